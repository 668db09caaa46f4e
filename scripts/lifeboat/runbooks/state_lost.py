"""The page on a state that is lost, foreign, stale or locked: what one sees, what the doctor finds, what to type, what not."""

from __future__ import annotations

from dataclasses import dataclass

from jinja2 import Environment, StrictUndefined

from lifeboat.errors import EXIT_STATUSES

FILE = "state-lost.md"
TABLE = "scripts/lifeboat/runbooks/state_lost.py"


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What Terraform or lifeboat says, and what that mostly is."""

    seen: str
    means: str


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command of the page, what it is for, and the statuses that it may end with where the state was lost."""

    typed: str
    does: str
    statuses: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One finding of the doctor: by which of its checks, what has happened, and the command that it names.

    In `command` what is written in capitals stands for what the doctor fills in; BREAK_GLASS for what takes the role of that
    name, for the command in brackets alone. Of a state it is the stack's: root 1's has
    `--root state` behind it.
    """

    checks: tuple[str, ...]
    happened: str
    command: str


@dataclass(frozen=True, kw_only=True)
class Never:
    """What must not be done, and what comes of it."""

    what: str
    why: str


SIGHTS = (
    Sight(
        seen="`state data in S3 does not have the expected content`",
        means="the digest in the lock table is not that of the object: an old version was copied over it, it was deleted,"
        " a write stopped half-way",
    ),
    Sight(
        seen="`Plan: 150 to add` for a stack that serves",
        means="the object and its digest are gone, or it is an old or a foreign one. **Apply nothing**",
    ),
    Sight(seen="`Unsupported state file format`", means="the object was cut off, or is no state"),
    Sight(seen="`Error acquiring the state lock`", means="somebody works, or was killed while they did"),
    Sight(seen="`ResourceNotFoundException` while locking", means="the lock table is gone"),
    Sight(seen="`NoSuchBucket`, or a bucket that does not answer", means="the bucket is gone, or its region is"),
    Sight(seen="`errored.tfstate` beside the configuration", means="Terraform could not save what it had made"),
)

COMMANDS = (
    Command(
        typed="lifeboat state doctor",
        does="says what is amiss with both roots' states and all that they hang on, each with the command that repairs it;"
        " changes nothing",
        statuses=(11,),
    ),
    Command(
        typed="lifeboat state list",
        does="shows every version and delete marker, who wrote it, and whether it can be read; changes nothing",
        statuses=(0,),
    ),
    Command(
        typed="lifeboat state restore --latest-good",
        does="shows which version it would put on top, what would come back and what would vanish, and asks. Or type what the"
        " doctor names: that is the same, by the version's id",
        statuses=(0,),
    ),
    Command(typed="lifeboat state doctor", does="ends with 0 once nothing is amiss", statuses=(0,)),
    Command(
        typed="lifeboat plan --detailed-exitcode",
        does="the proof: ends with 0 when Terraform would change nothing in either root",
        statuses=(0,),
    ),
)

RESTORE = "lifeboat state restore VERSION"
FROM_REPLICA = "lifeboat state restore --from-replica"
UNLOCK = "lifeboat state unlock LOCK_ID"
APPLY = "lifeboat apply"
REBUILD = "lifeboat state rebuild"
IMPORT = "terraform import ADDRESS ID"
AGAIN = "lifeboat state doctor"
LIST = "lifeboat state list"
LATEST_GOOD = "lifeboat state restore --latest-good"
VERSIONED = "aws s3api put-bucket-versioning BUCKET"
LOCKS = ("lock in the table", "lock file")

ROWS = (
    Row(
        checks=("at work",),
        happened="an apply works, or another run, on this machine or elsewhere: what it has not made or written down yet is"
        " missing, and no accident. Wait until it has ended",
        command=AGAIN,
    ),
    Row(
        checks=("bucket",),
        happened="the bucket is gone and the other region has a copy of what was in it: it is made by hand, and the doctor"
        " then names the restores; an apply comes last, and mends its settings",
        command="aws s3api create-bucket BUCKET && aws s3api put-bucket-versioning BUCKET && lifeboat state doctor",
    ),
    Row(
        checks=("bucket",),
        happened="the bucket is gone, and no copy is left",
        command="aws s3api create-bucket BUCKET && aws s3api put-bucket-versioning BUCKET && lifeboat state rebuild",
    ),
    Row(checks=("bucket",), happened="nothing says that anything was ever applied", command=APPLY),
    Row(
        checks=("versioning",),
        happened="somebody suspended the bucket's versioning: until it is on again nothing is restored into the bucket. Its policy"
        " lets the role break-glass alone enable it",
        command=f"(BREAK_GLASS && {VERSIONED})",
    ),
    Row(
        checks=("versioning",),
        happened="the same of a bucket that has no such policy, since it was made by hand",
        command=VERSIONED,
    ),
    Row(
        checks=("lock table",),
        happened="the lock table is gone: it is made again, with the digest of the state that this machine knows",
        command=APPLY,
    ),
    Row(checks=("runs of this machine",), happened="an apply of this machine was cut off", command=APPLY),
    Row(
        checks=("replica bucket",),
        happened="the copy's bucket is gone, or is not versioned and has no policy",
        command=APPLY,
    ),
    Row(
        checks=("replica bucket",),
        happened="somebody suspended the versioning of the copy's bucket: S3 copies nothing to it",
        command=f"(BREAK_GLASS && {VERSIONED})",
    ),
    Row(
        checks=("bucket policies",),
        happened="the policy of a bucket is gone, which lets nobody but break-glass remove a version of the state",
        command=APPLY,
    ),
    Row(
        checks=("bucket policies",),
        happened="somebody wrote another policy, which keeps an apply from putting ours back",
        command="(BREAK_GLASS && aws s3api delete-bucket-policy BUCKET) && lifeboat apply",
    ),
    Row(
        checks=("replication",),
        happened="the rule by which S3 copies the state to the other region is gone, disabled, or leads elsewhere: nothing that is"
        " written has a copy",
        command="(BREAK_GLASS && aws s3api put-bucket-replication BUCKET RULE)",
    ),
    Row(
        checks=("replication",),
        happened="the same of a bucket whose policy lets an apply make the rule",
        command=APPLY,
    ),
    Row(
        checks=LOCKS,
        happened="a Terraform was killed: its lock goes once it is sure that its holder is gone, or it is older than an apply may"
        " take; who saw it die says `--holder-is-dead`",
        command=UNLOCK,
    ),
    Row(
        checks=LOCKS,
        happened="a restore was killed between the state and its digest",
        command=f"{UNLOCK} && {RESTORE}",
    ),
    Row(checks=LOCKS, happened="its holder lives: wait until it has ended", command=AGAIN),
    Row(
        checks=("lock in the table",),
        happened="something lies there that Terraform did not write, which has no id: it goes by hand, once you have looked at it",
        command="aws dynamodb delete-item TABLE KEY",
    ),
    Row(checks=("lock file",), happened="the same, beside the state", command="aws s3api delete-object BUCKET KEY"),
    Row(
        checks=("errored.tfstate",),
        happened="Terraform could not save the state: only this file knows what it made",
        command="terraform state push errored.tfstate && rm FILE",
    ),
    Row(
        checks=("errored.tfstate",),
        happened="the same, and nothing readable is on top, where Terraform pushes nothing: the file is put there, and the restore"
        " writes it as a state",
        command="aws s3api put-object FILE && lifeboat state restore --latest-good",
    ),
    Row(
        checks=("errored.tfstate",),
        happened="the same, of an apply that was cut off: that one goes on from it",
        command=APPLY,
    ),
    Row(
        checks=("errored.tfstate",),
        happened="the state was lost since, and had gone on from the file: the state first",
        command=AGAIN,
    ),
    Row(checks=("errored.tfstate",), happened="what was left is no state", command="mv FILE ASIDE"),
    Row(
        checks=("errored.tfstate",),
        happened="the state has it already: the file goes where both say the same",
        command="lifeboat state diff file:FILE latest && rm FILE",
    ),
    Row(checks=("object",), happened="the state was deleted: a delete marker stands on its versions", command=RESTORE),
    Row(checks=("object",), happened="every version is gone, and the other region has a copy", command=FROM_REPLICA),
    Row(
        checks=("object",),
        happened="nothing is left of root 1's state: this machine has it still, or what it made is found by its names. Where the"
        " stack's state is lost too, that one comes first, and the doctor names it here",
        command=APPLY,
    ),
    Row(
        checks=("object",),
        happened="the same, and the stack's state was not looked at: without `--root` the doctor looks at both",
        command=AGAIN,
    ),
    Row(checks=("object",), happened="there never was a state", command=APPLY),
    Row(
        checks=("object",),
        happened="no version is left in either region: the last resort, a state that is made of what exists, found by the names"
        " and tags that the configuration gives; shown first. What bears our tags and has no address must be agreed to, a database"
        " must not be among it, and a plan that would lose what is protected is refused",
        command=REBUILD,
    ),
    Row(checks=("readable",), happened="the object was cut off, or is no state", command=RESTORE),
    Row(
        checks=("terraform version",),
        happened="a newer Terraform wrote it than the one here",
        command="terraform version",
    ),
    Row(
        checks=("memory",), happened="the other region does not remember the state, or an older one only", command=APPLY
    ),
    Row(
        checks=("memory",),
        happened="what the other region remembers is damaged: plan and apply refuse (8) until it is written anew, which this does"
        " also where nothing else is amiss",
        command=LATEST_GOOD,
    ),
    Row(
        checks=("lineage",), happened="another environment's state, or another root's, was put over it", command=RESTORE
    ),
    Row(
        checks=("lineage",),
        happened="the same, and no version is ours: either what is remembered is of another one, or every version was replaced",
        command=LIST,
    ),
    Row(
        checks=("serial",),
        happened="an old version was copied over it, or pushed with force: what was made since is not in it",
        command=RESTORE,
    ),
    Row(
        checks=("serial",),
        happened="that, and somebody has gone on from it, or a serial was written twice: what goes on from the remembered"
        " state is put on top",
        command=RESTORE,
    ),
    Row(checks=("serial",), happened="the same, and only the other region has the newest", command=FROM_REPLICA),
    Row(checks=("serial",), happened="the same, and only root 1's working copy here has it", command=APPLY),
    Row(
        checks=("serial",),
        happened="the same, and the remembered state is nowhere left: a person decides",
        command=LIST,
    ),
    Row(
        checks=("digest",),
        happened="the digest is missing, wrong, or was not written: the newest sound version gets its own",
        command=RESTORE,
    ),
    Row(checks=("digest",), happened="an apply was cut off before it wrote the digest", command=APPLY),
    Row(checks=("digest",), happened="the state is just worked on: wait", command=AGAIN),
    Row(checks=("replica",), happened="the other region has a newer state than this one", command=FROM_REPLICA),
    Row(
        checks=("replica",),
        happened="the copy is behind for more than fifteen minutes: S3 copies nothing afterwards, so it is copied by hand",
        command="aws s3 cp OBJECT COPY",
    ),
    Row(
        checks=("tagged",),
        happened="something bears our tags and is in no state: a state that was restored before may know it",
        command=RESTORE,
    ),
    Row(checks=("tagged",), happened="an apply that was cut off made it: the next one takes it over", command=APPLY),
    Row(
        checks=("tagged",),
        happened="no version knows it: it was made a second time, or by hand",
        command=IMPORT,
    ),
)

NEVERS = (
    Never(
        what="`aws s3api copy-object` of an old version over the key",
        why="the digest in the lock table is still that of the newest one, so every command fails, `state push -force`"
        " included. Without a digest it is worse: Terraform takes the old one and plans what it does not know once more",
    ),
    Never(
        what="Deleting the digest, as the message about checksums leads to",
        why="the digest alone tells Terraform that there was a state. Where the object is gone too, it plans everything a"
        " second time, without an error",
    ),
    Never(
        what="`terraform force-unlock` of a lock that nobody looked at",
        why="its holder may live and write: two that write lose what one of them made. `lifeboat state unlock` looks whether"
        " the process lives, how old the lock is, and whether a job of GitLab's runs that may hold it",
    ),
    Never(
        what="`terraform apply`, or `make apply`, while the plan shows what exists as new",
        why="it makes a second of whatever AWS lets it, and fails half-way on the first name that is taken",
    ),
    Never(
        what="`terraform state push -force`",
        why="it takes a lower serial and another lineage: later versions then have serials that earlier ones had",
    ),
    Never(
        what="Deleting versions to get at an older one",
        why="nothing that lifeboat does removes a version, so there is always a way back; there is none from a version that"
        " is gone",
    ),
)

STOPS = (
    (2, "Mend what it names: an option, a time without a zone. Nothing was changed."),
    (
        3,
        "More would vanish from what Terraform knows, or appear in it, than you agreed to: read the list. If that is what you"
        " want, `--accept N`; else take a newer version. Or the bucket keeps no versions: type what it names, then the same"
        " again. Nothing was changed.",
    ),
    (4, "The same command goes on from where it was; the message says what is missing, `lifeboat state doctor` too."),
    (5, "Somebody works on it, or may: wait, or `lifeboat state unlock` once that is surely dead."),
    (6, "No version fits, each with its reason: take the copy in the other region, `--from-replica`."),
    (7, "Nobody agreed: run it on a terminal, or with `--yes`."),
    (8, "Something may not be looked at, or does not answer: what could not be seen is never taken for absent."),
    (11, "The doctor found something: type what it names."),
    (20, "The state is back, and Terraform would change something: read `lifeboat plan`, then `lifeboat apply`."),
)

_TEMPLATE = """\
<!-- Written by `make docs` from the tables in {{ table }}; do not edit. -->
# Terraform's state is lost, foreign, stale or locked

**When.** Terraform or lifeboat says one of these:

| you see | it mostly is |
|---|---|
{% for sight in sights -%}
| {{ sight.seen }} | {{ sight.means }} |
{% endfor %}
**What it costs.** Nothing that serves is touched, neither by the accident nor by the repair: the application goes on while
you read this. What costs is an apply against a state that does not know what exists.

## Do this

```sh
{% for command in commands -%}
{{ command.typed }}
{% endfor -%}
```

{% for command in commands -%}
{{ loop.index }}. `{{ command.typed }}` {{ command.does }}.
{% endfor %}
`-e` chooses the environment, `--root state` the state of root 1. What only the role break-glass may do, the doctor names with
what takes that role, in brackets: the shell stays who it was. What writes asks first, and takes `--yes` where nobody can
answer. Cut off anywhere, the doctor says what is half done, and the same command goes on.

## What the doctor finds, and the command that it names

It names them in the order in which to repair. Type the first, ask it again, and so on until it finds nothing. What stands
here in capitals, the doctor fills in, and `BREAK_GLASS` is what takes the role of that name; what is about root 1's state has
`--root state` too.

| check | what has happened | it names |
|---|---|---|
{% for row in rows -%}
| {{ row.checks | join(', ') }} | {{ row.happened }} | `{{ row.command }}` |
{% endfor %}
## When the bucket does not answer

Nothing can be put back while the bucket is out of reach. The state itself is in the other region, too:
`lifeboat state list --replica` lists it, and `lifeboat state restore --from-replica --to-file ~/stack.tfstate` writes its newest
sound version into a file that only you can read. Once the bucket answers, `lifeboat state doctor` says whether anything is
amiss.

## What not to do, and why

{% for never in nevers -%}
- **{{ never.what }}**: {{ never.why }}.
{% endfor %}
## When it stops

| status | means | type |
|---|---|---|
{% for stop in stops -%}
| {{ stop.status }} | {{ stop.means }} | {{ stop.type }} |
{% endfor %}
## Afterwards

`lifeboat runs` lists the restore, and `lifeboat logs RUN` every write of it. Find out who wrote what stood on top:
`lifeboat state list` names them where the version says it. Of others it knows only which run was at work then, and says
"probably", or "unknown" where that run never ended: such a version may be anybody's.
[state-history.md](../decisions/state-history.md) and
[state-locks.md](../decisions/state-locks.md) say why it works as it does.
"""


def page() -> str:
    """Return the page, as Markdown."""
    environment = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)  # noqa: S701
    return environment.from_string(_TEMPLATE).render(
        table=TABLE,
        sights=SIGHTS,
        commands=COMMANDS,
        rows=ROWS,
        nevers=NEVERS,
        stops=[{"status": status, "means": EXIT_STATUSES[status], "type": text} for status, text in STOPS],
    )
