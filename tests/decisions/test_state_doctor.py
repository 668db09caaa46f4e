"""Every finding of the doctor, a near miss of each, and a state with which all is well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lifeboat.decisions import state_digest_checks, state_doctor
from lifeboat.decisions.state_doctor import GUARDS, OF_A_ROOT, SHARED
from lifeboat.decisions.state_observation import KindSeen, LeftState, LockSeen, Look, Observation, RootSeen
from lifeboat.decisions.state_verdicts import Severity, Standing, Verdict
from lifeboat.model import RunId, StateMark
from lifeboat.state_model import (
    REBUILDING,
    REBUILT,
    RESTORING,
    AtWork,
    CopyRule,
    Holding,
    KnownState,
    Life,
    LockPlace,
    OwnedThing,
    StateEntry,
    StateFacts,
    StateLock,
    StatePlace,
    StateRoot,
    VersionId,
)

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1)
LOCK = StateLock(
    place=LockPlace.TABLE,
    lock_id="lock-1",
    who="eva@laptop",
    operation="OperationTypeApply",
    created=NOW - timedelta(hours=2),
)
GONE = Holding(life=Life.GONE, why="its process 7 of this machine is gone")
RULE = CopyRule(enabled=True, destination="copy", prefix="", by_tags=False, encrypted=True)
BREAK_GLASS = frozenset({"arn:aws:iam::123456789012:role/app-break-glass"})
DENIED = {
    "s3:DeleteObjectVersion": BREAK_GLASS,
    "s3:PutBucketPolicy": BREAK_GLASS,
    "s3:PutBucketVersioning": BREAK_GLASS,
    "s3:PutReplicationConfiguration": BREAK_GLASS,
}
LIVES = Holding(life=Life.LIVES, why="its process 7 works on this machine")
UNKNOWN = Holding(life=Life.UNKNOWN, why="it is of another machine (laptop)")


def facts(serial: int, lineage: str = "ours", **more: Any) -> StateFacts:
    given = {"terraform_version": "1.11.4", "resources": 3, "environment": "x", **more}
    return StateFacts(serial=serial, lineage=lineage, **given)


def version(serial: int, *, age: timedelta | None = None, lineage: str = "ours", **more: Any) -> StateEntry:
    """Return a version of which all follows from its serial; the later the serial, the younger it is."""
    given: dict[str, Any] = {
        "version_id": VersionId(f"v{serial}"),
        "written_at": NOW - (age or timedelta(days=1, minutes=-serial)),
        "latest": False,
        "size": 100,
        "md5": f"{serial:032x}",
        "facts": facts(serial, lineage),
    }
    return StateEntry(**{**given, **more})


def damaged(serial: int, **more: Any) -> StateEntry:
    return version(serial, facts=None, damage="not JSON: cut off at byte 100", **more)


def marker() -> StateEntry:
    return StateEntry(version_id=VersionId("gone"), written_at=NOW - timedelta(hours=1), latest=True, marker=True)


def entries(*found: StateEntry) -> Look[tuple[StateEntry, ...]]:
    """Return a history, newest first, whose first one is the latest."""
    return Look(found=tuple(replace(entry, latest=number == 0) for number, entry in enumerate(found)))


def place(root: StateRoot = StateRoot.STACK, *, keeps_digest: bool = True) -> StatePlace:
    key = "stack.tfstate" if root is StateRoot.STACK else "state.tfstate"
    keeps = keeps_digest and root is StateRoot.STACK
    return StatePlace(root=root, bucket="bucket", key=key, region="eu-west-1", keeps_digest=keeps, replica=False)


def known(serial: int, lineage: str = "ours", md5: str = "") -> KnownState:
    """Return what the other region remembers."""
    mark = StateMark(serial=serial, lineage=lineage, md5=md5 or f"{serial:032x}")
    return KnownState(mark=mark, at=LONG_AGO, by="eva@laptop", run="r", account="123456789012")


def of_root(root: StateRoot = StateRoot.STACK, **more: Any) -> RootSeen:
    """Return a root with which all is well: serials 1 to 5."""
    given: dict[str, Any] = {
        "place": place(root),
        "terraform": f"terraform -chdir={root.value}",
        "entries": entries(*(version(serial) for serial in (5, 4, 3, 2, 1))),
        "copies": entries(*(version(serial) for serial in (5, 4, 3, 2, 1))),
        "digest": Look(found=f"{5:032x}") if root is StateRoot.STACK else Look(),
        "item": Look(),
        "file": Look(),
        "remembered": Look(found=StateMark(serial=5, lineage="ours", md5=f"{5:032x}")),
        "known": Look(found=known(5)),
        "left": Look(),
    }
    return RootSeen(**{**given, **more})


def observation(*, stack: RootSeen | None = None, backend: RootSeen | None = None, **more: Any) -> Observation:
    """Return an environment with which all is well."""
    thing = OwnedThing(kind="aws_instance", region="eu-west-1", name="i-1", ids=frozenset({"i-1"}))
    given: dict[str, Any] = {
        "env": "x",
        "now": NOW,
        "mode": "both",
        "table_name": "table",
        "replica_name": "copy",
        "replica_region": "eu-central-1",
        "shell": "",
        "bucket": Look(found="Enabled"),
        "replica_bucket": Look(found="Enabled"),
        "table": Look(found="ACTIVE"),
        "terraform": Look(found=(1, 11, 4)),
        "cut_off": Look(found=()),
        "at_work": Look(),
        "rules": Look(found=(RULE,)),
        "replica_key": Look(found="key-of-copies"),
        "replicator": "copier",
        "denied": Look(found=DENIED),
        "replica_denied": Look(found=DENIED),
        "as_break_glass": lambda command: f"({command})",
        "roots": (backend or of_root(StateRoot.BACKEND), stack or of_root()),
        "kinds": (KindSeen(kind="aws_instance", things=Look(found=(thing,))),),
        "recorded": Look(found=frozenset({"i-1"})),
    }
    return Observation(**{**given, **more})


def verdict(seen: Observation, check: str, root: StateRoot | None = None) -> Verdict:
    return next(v for v in state_doctor.diagnose(seen).verdicts if (v.check, v.root) == (check, root))


# -- laws --------------------------------------------------------------------------------------------------------------


def test_with_a_sound_state_every_check_is_made_and_there_is_no_finding() -> None:
    found = state_doctor.diagnose(observation())

    assert (found.expected, found.executed) == (31, 31)
    assert [(v.check, v.root) for v in found.verdicts] == [
        *((name, None) for name in SHARED),
        *((name, root) for root in StateRoot for name in OF_A_ROOT),
        *((name, None) for name in GUARDS),
        ("tagged aws_instance", None),
    ]
    assert (found.findings, found.unseen) == ([], [])
    assert {v.check for v in found.verdicts if v.standing is Standing.MOOT} == {"digest"}
    assert verdict(observation(), "digest", StateRoot.BACKEND).says == "of root 1 none is kept"


def _looks(seen: Any) -> list[str]:
    return [field.name for field in fields(seen) if isinstance(getattr(seen, field.name), Look)]


NOTHING = {
    "entries": Look(found=()),
    "copies": Look(found=()),
    "digest": Look(),
    "remembered": Look(),
    "known": Look(),
}
COPIED = "aws s3 cp s3://bucket/stack.tfstate s3://copy/stack.tfstate --source-region eu-west-1 --region eu-central-1"
SICK = {
    "sound": observation,
    "deleted": lambda: observation(stack=of_root(entries=Look(found=(marker(), version(5))))),
    "never there": lambda: observation(
        stack=of_root(**NOTHING),
        kinds=(KindSeen(kind="aws_instance", things=Look(found=())),),
    ),
    "no bucket": lambda: observation(
        bucket=Look(),
        stack=of_root(entries=Look(), copies=Look(found=()), remembered=Look(), known=Look()),
        backend=of_root(StateRoot.BACKEND, entries=Look(), copies=Look(found=()), remembered=Look(), known=Look()),
    ),
    "no table": lambda: observation(table=Look(), stack=of_root(digest=Look())),
    "damaged": lambda: observation(stack=of_root(entries=entries(damaged(6), version(5)))),
}


@pytest.mark.parametrize("sick", SICK.values(), ids=SICK)
def test_whatever_may_not_be_looked_at_is_told_and_never_taken_for_absent(sick: Callable[[], Observation]) -> None:
    seen, hidden = sick(), Look[Any](unseen="cannot look: AccessDenied")
    blinded = [replace(seen, **{name: hidden}) for name in _looks(seen)]
    for number, root in enumerate(seen.roots):
        for name in _looks(root):
            if name != "digest" or root.place.keeps_digest:
                roots = list(seen.roots)
                roots[number] = replace(root, **{name: hidden})
                blinded.append(replace(seen, roots=tuple(roots)))
    blinded.append(replace(seen, kinds=(replace(seen.kinds[0], things=hidden),)))

    found = [state_doctor.diagnose(one) for one in blinded]

    assert len(found) == 11 + 7 + 8 + 1
    assert all(any("cannot look: AccessDenied" in line for line in one.unseen) for one in found)
    assert all(one.executed < one.expected == len(one.verdicts) for one in found)
    assert not any(
        "there never was a state" in v.says for one in found for v in one.verdicts if one.unseen[0] in v.says
    )


# -- one case for each finding, and what nearly is one -----------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Case:
    """What was seen, and what of it is said: the severity, a part of what is, and the whole command."""

    seen: Observation
    check: str
    root: StateRoot | None = StateRoot.STACK
    severity: Severity = Severity.CRITICAL
    says: str
    command: str


def locked(holding: Holding, look: str = "item", **lock: Any) -> dict[str, Any]:
    seen = LockSeen(
        lock=replace(LOCK, place=LockPlace.TABLE if look == "item" else LockPlace.FILE, **lock), holding=holding
    )
    return {look: Look(found=seen)}


def restored(**more: Any) -> RootSeen:
    """Return a root on which a restore of version 2 has written serial 6, a minute after it took the lock."""
    top = version(6, made_of=VersionId("v2"), written_at=NOW - timedelta(minutes=59))
    held = locked(GONE, operation=RESTORING, created=NOW - timedelta(hours=1))
    given = {"entries": entries(top, *(version(serial) for serial in (5, 4, 3, 2, 1))), **held, **more}
    return of_root(**given)


def rebuilt(**more: Any) -> RootSeen:
    """Return a root on which a rebuild has written serial 6 where nothing was left, a minute after it took the lock."""
    top = version(6, made_of=REBUILT, written_at=NOW - timedelta(minutes=59))
    held = locked(GONE, operation=REBUILDING, created=NOW - timedelta(hours=1))
    return of_root(**{**NOTHING, "entries": entries(top), **held, **more})


def left(**more: Any) -> Look[LeftState]:
    return Look(found=LeftState(path="/srv/errored.tfstate", push="terraform state push errored.tfstate", **more))


def things(*names: str) -> tuple[KindSeen, ...]:
    found = tuple(OwnedThing(kind="aws_eip", region="eu-west-1", name=name, ids=frozenset({name})) for name in names)
    return (KindSeen(kind="aws_eip", things=Look(found=found)),)


NO_BUCKET = {**NOTHING, "entries": Look()}
FIRST = {**NOTHING, "digest": Look()}
KNOWN_7 = Look(found=StateMark(serial=7, lineage="ours", md5=f"{7:032x}"))
ANOTHER_5 = Look(found=StateMark(serial=5, lineage="ours", md5=f"{99:032x}"))
OLD_ON_TOP = entries(
    version(2, version_id=VersionId("again"), age=timedelta(hours=1)), version(5), version(4), version(2)
)
LOST = of_root(StateRoot.BACKEND, **{**NO_BUCKET, "remembered": Look()})
FINDINGS = {
    "no bucket, and copies": Case(
        seen=observation(
            bucket=Look(), stack=of_root(entries=Look()), backend=of_root(StateRoot.BACKEND, entries=Look())
        ),
        check="bucket",
        root=None,
        says="there is no bucket bucket in eu-west-1, and copy has copies of what was in it",
        command="aws s3api create-bucket --bucket bucket --region eu-west-1"
        " --create-bucket-configuration LocationConstraint=eu-west-1"
        " && aws s3api put-bucket-versioning --bucket bucket --versioning-configuration Status=Enabled"
        " && lifeboat state doctor",
    ),
    "no bucket and no copy, of something that was": Case(
        seen=observation(
            bucket=Look(), stack=of_root(**{**NO_BUCKET, "remembered": KNOWN_7}), backend=LOST, kinds=things("eip-1")
        ),
        check="bucket",
        root=None,
        says="there is no bucket bucket in eu-west-1, nor a copy in copy",
        command="aws s3api create-bucket --bucket bucket --region eu-west-1"
        " --create-bucket-configuration LocationConstraint=eu-west-1"
        " && aws s3api put-bucket-versioning --bucket bucket --versioning-configuration Status=Enabled"
        " && lifeboat state rebuild",
    ),
    "no bucket, as before a first apply": Case(
        seen=observation(bucket=Look(), stack=of_root(**NO_BUCKET), backend=LOST, kinds=things()),
        check="bucket",
        root=None,
        severity=Severity.NOTICE,
        says="nothing here says that anything was ever applied",
        command="lifeboat apply",
    ),
    "versioning suspended": Case(
        seen=observation(bucket=Look(found="Suspended")),
        check="versioning",
        root=None,
        severity=Severity.WARNING,
        says="versioning of bucket is suspended: an overwritten state is lost",
        command="(aws s3api put-bucket-versioning --bucket bucket --versioning-configuration Status=Enabled)",
    ),
    "versioning never enabled": Case(
        seen=observation(bucket=Look(found=""), denied=Look(found={})),
        check="versioning",
        root=None,
        severity=Severity.WARNING,
        says="versioning of bucket is off",
        command="aws s3api put-bucket-versioning --bucket bucket --versioning-configuration Status=Enabled",
    ),
    "no table": Case(
        seen=observation(table=Look()),
        check="lock table",
        root=None,
        says="the lock table table is not there: Terraform cannot lock the state",
        command="lifeboat apply",
    ),
    "a table that goes": Case(
        seen=observation(table=Look(found="DELETING"), mode="dynamodb"),
        check="lock table",
        root=None,
        says="the lock table table is deleting",
        command="lifeboat apply",
    ),
    "no table, where only the lease needs it": Case(
        seen=observation(table=Look(), mode="lockfile"),
        check="lock table",
        root=None,
        severity=Severity.WARNING,
        says="lifeboat cannot keep two operators apart",
        command="lifeboat apply",
    ),
    "a run that was cut off": Case(
        seen=observation(cut_off=Look(found=(RunId("20260301T020000Z-apply"),))),
        check="runs of this machine",
        root=None,
        severity=Severity.WARNING,
        says="cut off on this machine, and not repaired: 20260301T020000Z-apply",
        command="lifeboat apply",
    ),
    "no replica bucket": Case(
        seen=observation(replica_bucket=Look()),
        check="replica bucket",
        root=None,
        severity=Severity.WARNING,
        says="there is no replica bucket copy",
        command="lifeboat apply",
    ),
    "a replica that keeps no versions": Case(
        seen=observation(replica_bucket=Look(found="Suspended"), replica_denied=Look(found={})),
        check="replica bucket",
        root=None,
        severity=Severity.WARNING,
        says="versioning of copy is suspended: S3 copies nothing to it",
        command="lifeboat apply",
    ),
    "a lock of the dead": Case(
        seen=observation(stack=of_root(**locked(GONE))),
        check="lock in the table",
        says="locked by eva@laptop for 2h (OperationTypeApply, lock lock-1): its process 7 of this machine is gone",
        command="lifeboat state unlock lock-1",
    ),
    "a lock of whom nobody knows": Case(
        seen=observation(stack=of_root(**locked(UNKNOWN, "file", created=None, who=""))),
        check="lock file",
        severity=Severity.WARNING,
        says="locked by nobody known since nobody knows when",
        command="lifeboat state unlock lock-1",
    ),
    "a lock of the living": Case(
        seen=observation(stack=of_root(**locked(LIVES))),
        check="lock in the table",
        severity=Severity.NOTICE,
        says="its process 7 works on this machine, and lives",
        command="lifeboat state doctor",
    ),
    "a lock where nobody looks": Case(
        seen=observation(stack=of_root(**locked(GONE, "file")), mode="dynamodb"),
        check="lock file",
        severity=Severity.NOTICE,
        says="the lock mode dynamodb does not look there",
        command="lifeboat state unlock lock-1",
    ),
    "a lock of root 1": Case(
        seen=observation(backend=of_root(StateRoot.BACKEND, **locked(GONE))),
        check="lock in the table",
        root=StateRoot.BACKEND,
        says="locked by eva@laptop",
        command="lifeboat state unlock lock-1 --root state",
    ),
    "an item that is no lock": Case(
        seen=observation(stack=of_root(**locked(UNKNOWN, lock_id=""))),
        check="lock in the table",
        says="what lies in the lock table is not what Terraform writes",
        command='aws dynamodb delete-item --table-name table --key \'{"LockID": {"S": "bucket/stack.tfstate"}}\'',
    ),
    "a file that is no lock": Case(
        seen=observation(stack=of_root(**locked(UNKNOWN, "file", lock_id=""))),
        check="lock file",
        says="what lies in the lock file is not what Terraform writes",
        command="aws s3api delete-object --bucket bucket --key stack.tfstate.tflock",
    ),
    "a restore stopped before it wrote": Case(
        seen=observation(stack=of_root(**locked(GONE, operation=RESTORING))),
        check="lock in the table",
        says="it has written nothing, and the state is what it was before",
        command="lifeboat state unlock lock-1",
    ),
    "a restore stopped before its first write, after another that had ended": Case(
        seen=observation(
            stack=restored(digest=Look(found=f"{6:032x}"), **locked(GONE, operation=RESTORING, created=NOW))
        ),
        check="lock in the table",
        says="it has written nothing, and the state is what it was before",
        command="lifeboat state unlock lock-1",
    ),
    "a restore stopped between state and digest": Case(
        seen=observation(stack=restored()),
        check="lock in the table",
        says="it has written version v6, serial 6, made of version v2, and not its digest, which is that of version v5 (serial 5)",
        command="lifeboat state unlock lock-1 && lifeboat state restore v6",
    ),
    "a restore stopped between state and digest, whose lock is gone": Case(
        seen=observation(stack=restored(item=Look())),
        check="digest",
        says="version v6 (serial 6) is on top: a restore of version v2 was stopped before it wrote the digest",
        command="lifeboat state restore v6",
    ),
    "a restore stopped after its last write": Case(
        seen=observation(stack=restored(digest=Look(found=f"{6:032x}"))),
        check="lock in the table",
        says="made of version v2 and its digest: nothing but the lock is left",
        command="lifeboat state unlock lock-1",
    ),
    "a restore without digests stopped after its last write": Case(
        seen=observation(
            mode="lockfile",
            stack=restored(
                place=place(keeps_digest=False),
                item=Look(),
                **locked(GONE, "file", operation=RESTORING, created=NOW - timedelta(hours=1)),
            ),
        ),
        check="lock file",
        says="made of version v2: nothing but the lock is left",
        command="lifeboat state unlock lock-1",
    ),
    "a rebuild stopped before its first write": Case(
        seen=observation(stack=of_root(**{**NOTHING, **locked(GONE, operation=REBUILDING, created=NOW)})),
        check="lock in the table",
        says="a rebuild was interrupted: the state is locked",
        command="lifeboat state unlock lock-1",
    ),
    "a rebuild stopped between state and digest": Case(
        seen=observation(stack=rebuilt()),
        check="lock in the table",
        says="it has written version v6, serial 6, made of what exists in AWS, and not its digest, which is that of no version",
        command="lifeboat state unlock lock-1 && lifeboat state restore v6",
    ),
    "a rebuild stopped between state and digest, whose lock is gone": Case(
        seen=observation(stack=rebuilt(item=Look(), digest=Look(found=f"{5:032x}"))),
        check="digest",
        says="version v6 (serial 6) is on top: a rebuild was stopped before it wrote the digest",
        command="lifeboat state restore v6",
    ),
    "a restore of another machine": Case(
        seen=observation(stack=restored(**locked(UNKNOWN, operation=RESTORING, created=NOW - timedelta(hours=1)))),
        check="lock in the table",
        severity=Severity.WARNING,
        says="a restore was interrupted, or is under way elsewhere",
        command="lifeboat state unlock lock-1 && lifeboat state restore v6",
    ),
    "a restore of which it cannot be seen how far it came": Case(
        seen=observation(stack=restored(digest=Look(unseen="AccessDenied"))),
        check="lock in the table",
        says="how far it came could not be seen",
        command="lifeboat state unlock lock-1",
    ),
    "a state that could not be saved": Case(
        seen=observation(stack=of_root(left=left(facts=facts(6)))),
        check="errored.tfstate",
        says="Terraform could not save its state (serial 6) and left it in /srv/errored.tfstate",
        command="terraform state push errored.tfstate && rm /srv/errored.tfstate",
    ),
    "a state that a killed apply could not save": Case(
        seen=observation(stack=of_root(left=left(facts=facts(6))), cut_off=Look(found=(RunId("r"),))),
        check="errored.tfstate",
        says="only there is what it made",
        command="lifeboat apply",
    ),
    "a state that could not be saved and has been overtaken": Case(
        seen=observation(stack=of_root(left=left(facts=facts(5)))),
        check="errored.tfstate",
        severity=Severity.WARNING,
        says="the state has gone on to serial 5",
        command="lifeboat state diff file:/srv/errored.tfstate latest && rm /srv/errored.tfstate",
    ),
    "a state that could not be saved, and nothing that can be read is on top": Case(
        seen=observation(
            stack=of_root(entries=Look(found=(marker(), version(5))), left=left(facts=facts(6))),
            cut_off=Look(found=(RunId("r"),)),
        ),
        check="errored.tfstate",
        says="only there is what it made",
        command="aws s3api put-object --bucket bucket --key stack.tfstate --body /srv/errored.tfstate"
        " && lifeboat state restore --latest-good",
    ),
    "a state that could not be saved, older than the one that was lost": Case(
        seen=observation(stack=of_root(entries=Look(found=(marker(), version(5))), left=left(facts=facts(4)))),
        check="errored.tfstate",
        severity=Severity.NOTICE,
        says="the state had gone on to serial 5 before it was lost",
        command="lifeboat state doctor",
    ),
    "a state that was half left": Case(
        seen=observation(stack=of_root(left=left(damage="it is empty"))),
        check="errored.tfstate",
        severity=Severity.WARNING,
        says="is no state: it is empty",
        command="mv /srv/errored.tfstate /srv/errored.tfstate.damaged",
    ),
    "deleted": Case(
        seen=observation(stack=of_root(entries=Look(found=(marker(), version(5), version(4))))),
        check="object",
        says="s3://bucket/stack.tfstate was deleted at 2026-03-01 02:00:00Z: a delete marker stands on 2 versions; Terraform"
        " refuses to work while its digest is left, and without that would make everything a second time; its digest is that"
        " of version v5 (serial 5)",
        command="lifeboat state restore v5",
    ),
    "deleted with its digest": Case(
        seen=observation(stack=of_root(entries=Look(found=(marker(), damaged(6), version(5))), digest=Look())),
        check="object",
        says="a delete marker stands on 2 versions",
        command="lifeboat state restore v5",
    ),
    "deleted, and only the copy can be read": Case(
        seen=observation(stack=of_root(entries=Look(found=(marker(), damaged(6))))),
        check="object",
        says="a delete marker stands on 1 version",
        command="lifeboat state restore --from-replica",
    ),
    "versions, and none on top": Case(
        seen=observation(stack=of_root(entries=Look(found=(version(5), version(4))))),
        check="object",
        says="nothing stands on top of s3://bucket/stack.tfstate",
        command="lifeboat state restore v5",
    ),
    "every version gone": Case(
        seen=observation(stack=of_root(**{**NOTHING, "remembered": KNOWN_7}), kinds=things("eip-1")),
        check="object",
        says="although this machine last knew serial 7, things exist that bear our tags",
        command="lifeboat state rebuild",
    ),
    "every version gone, and copied": Case(
        seen=observation(stack=of_root(entries=Look(found=()))),
        check="object",
        says="although this machine last knew serial 5, serial 5 was written down at 2026-02-28 03:00:00Z by eva@laptop"
        " (run r), copy has copies of it, there is a digest of it",
        command="lifeboat state restore --from-replica",
    ),
    "every version of root 1 gone": Case(
        seen=observation(backend=of_root(StateRoot.BACKEND, entries=Look(found=()), copies=Look(found=()))),
        check="object",
        root=StateRoot.BACKEND,
        says="although this machine last knew serial 5",
        command="lifeboat apply",
    ),
    "every version of both gone, of root 1 but for its working copy": Case(
        seen=observation(
            backend=of_root(StateRoot.BACKEND, entries=Look(found=()), copies=Look(found=())),
            stack=of_root(entries=Look(found=()), copies=Look(found=())),
        ),
        check="object",
        root=StateRoot.BACKEND,
        says="although this machine last knew serial 5",
        command="lifeboat state rebuild",
    ),
    "every version of root 1 gone, and a foreign state of the stack": Case(
        seen=observation(
            backend=of_root(StateRoot.BACKEND, entries=Look(found=()), copies=Look(found=())),
            stack=of_root(entries=entries(version(9, lineage="theirs"), version(5), version(4))),
        ),
        check="object",
        root=StateRoot.BACKEND,
        says="although this machine last knew serial 5",
        command="lifeboat state restore v5",
    ),
    "every version of root 1 gone, looked at alone": Case(
        seen=replace(
            observation(),
            roots=(of_root(StateRoot.BACKEND, entries=Look(found=()), copies=Look(found=())),),
        ),
        check="object",
        root=StateRoot.BACKEND,
        says="although this machine last knew serial 5",
        command="lifeboat state doctor",
    ),
    "every version of root 1 gone, and its working copy": Case(
        seen=observation(
            backend=of_root(StateRoot.BACKEND, entries=Look(found=()), copies=entries(damaged(5)), remembered=Look())
        ),
        check="object",
        root=StateRoot.BACKEND,
        says="copy has copies of it",
        command="lifeboat state rebuild --root state",
    ),
    "every version of root 1 gone, with its working copy, and the stack never there": Case(
        seen=observation(
            backend=of_root(StateRoot.BACKEND, entries=Look(found=()), copies=Look(found=())),
            stack=of_root(**FIRST),
            kinds=things(),
        ),
        check="object",
        root=StateRoot.BACKEND,
        says="although this machine last knew serial 5",
        command="lifeboat apply",
    ),
    "every version of root 1 gone, of which only the other region knows": Case(
        seen=observation(
            backend=of_root(StateRoot.BACKEND, entries=Look(found=()), copies=Look(found=()), remembered=Look())
        ),
        check="object",
        root=StateRoot.BACKEND,
        says="although serial 5 was written down at",
        command="lifeboat apply",
    ),
    "deleted, and its digest left": Case(
        seen=observation(stack=of_root(entries=Look(found=(marker(), version(5))))),
        check="object",
        says="Terraform refuses to work while its digest is left",
        command="lifeboat state restore v5",
    ),
    "a memory that is damaged": Case(
        seen=observation(
            stack=of_root(known=Look(), damaged_memory="s3://copy/stack.json is damaged: it has no serial")
        ),
        check="memory",
        says="s3://copy/stack.json is damaged: it has no serial: which state is the newest is known to this machine alone",
        command="lifeboat state restore --latest-good",
    ),
    "a memory of root 1 that is damaged": Case(
        seen=observation(backend=of_root(StateRoot.BACKEND, known=Look(), damaged_memory="it is damaged")),
        check="memory",
        root=StateRoot.BACKEND,
        says="it is damaged: which state is the newest",
        command="lifeboat state restore --latest-good --root state",
    ),
    "no memory but a damaged one, and nothing else": Case(
        seen=observation(stack=of_root(**FIRST, damaged_memory="it is damaged"), kinds=things()),
        check="object",
        says="although the other region remembers one",
        command="lifeboat state rebuild",
    ),
    "no rule that copies": Case(
        seen=observation(rules=Look(found=())),
        check="replication",
        root=None,
        says="S3 does not copy state.tfstate and stack.tfstate of bucket to copy, so what is written has no copy:"
        " there is no rule",
        command="(aws s3api put-bucket-replication --bucket bucket --region eu-west-1 --replication-configuration '"
        '{"Role":"copier","Rules":[{"ID":"to-eu-central-1","Priority":0,"Status":"Enabled","Filter":{},'
        '"DeleteMarkerReplication":{"Status":"Disabled"},"SourceSelectionCriteria":{"SseKmsEncryptedObjects":'
        '{"Status":"Enabled"}},"Destination":{"Bucket":"arn:aws:s3:::copy","StorageClass":"STANDARD",'
        '"EncryptionConfiguration":{"ReplicaKmsKeyID":"key-of-copies"},"ReplicationTime":{"Status":"Enabled",'
        '"Time":{"Minutes":15}},"Metrics":{"Status":"Enabled","EventThreshold":{"Minutes":15}}}}]}'
        "')",
    ),
    "no rule that copies, and a policy that lets an apply make it": Case(
        seen=observation(rules=Look(found=()), denied=Look(found=frozenset({"s3:DeleteObjectVersion"}))),
        check="replication",
        root=None,
        says="there is no rule",
        command="lifeboat apply",
    ),
    "rules that copy something else": Case(
        seen=observation(
            rules=Look(
                found=(
                    replace(RULE, enabled=False),
                    replace(RULE, destination="elsewhere"),
                    replace(RULE, prefix="runs/"),
                    replace(RULE, by_tags=True),
                    replace(RULE, encrypted=False),
                )
            ),
            denied=Look(found={}),
        ),
        check="replication",
        root=None,
        says="a rule is disabled, copies to copy; a rule copies to elsewhere; a rule copies to copy, only what begins with"
        " runs/; a rule copies to copy, only what bears certain tags; a rule copies to copy, nothing that is encrypted with"
        " a key of KMS",
        command="lifeboat apply",
    ),
    "a rule for the stack alone": Case(
        seen=observation(rules=Look(found=(replace(RULE, prefix="stack."),)), denied=Look(found={})),
        check="replication",
        root=None,
        says="S3 does not copy state.tfstate of bucket to copy",
        command="lifeboat apply",
    ),
    "a bucket without a policy": Case(
        seen=observation(denied=Look(found={})),
        check="bucket policies",
        root=None,
        severity=Severity.WARNING,
        says="the policy of bucket keeps nobody from s3:DeleteObjectVersion and s3:PutBucketVersioning",
        command="lifeboat apply",
    ),
    "a replica whose policy is not what it was": Case(
        seen=observation(
            replica_denied=Look(found={key: who for key, who in DENIED.items() if key != "s3:DeleteObjectVersion"})
        ),
        check="bucket policies",
        root=None,
        severity=Severity.WARNING,
        says="the policy of copy keeps nobody from s3:DeleteObjectVersion",
        command="(aws s3api delete-bucket-policy --bucket copy --region eu-central-1) && lifeboat apply",
    ),
    "a replica that keeps no versions, which break-glass alone may change": Case(
        seen=observation(replica_bucket=Look(found="Suspended")),
        check="replica bucket",
        root=None,
        severity=Severity.WARNING,
        says="versioning of copy is suspended",
        command="(aws s3api put-bucket-versioning --bucket copy --versioning-configuration Status=Enabled"
        " --region eu-central-1)",
    ),
    "nothing yet": Case(
        seen=observation(stack=of_root(**NOTHING), kinds=things()),
        check="object",
        severity=Severity.NOTICE,
        says="there never was a state s3://bucket/stack.tfstate, as far as can be seen",
        command="lifeboat apply",
    ),
    "truncated": Case(
        seen=observation(stack=of_root(entries=entries(damaged(6), version(5)))),
        check="readable",
        says="version v6 on top is no state that can be read: not JSON: cut off at byte 100",
        command="lifeboat state restore v5",
    ),
    "written by a newer Terraform": Case(
        seen=observation(
            stack=of_root(entries=entries(version(5, facts=facts(5, terraform_version="1.12.0")), version(4)))
        ),
        check="terraform version",
        severity=Severity.WARNING,
        says="it was written by Terraform 1.12.0, and here is 1.11.4",
        command="terraform version",
    ),
    "of another lineage": Case(
        seen=observation(stack=of_root(entries=entries(version(9, lineage="theirs"), version(5), version(4)))),
        check="lineage",
        says="of another lineage (theirs, not ours)",
        command="lifeboat state restore v5",
    ),
    "of another environment": Case(
        seen=observation(
            stack=of_root(entries=entries(version(6, facts=facts(6, environment="y")), version(5), version(4)))
        ),
        check="lineage",
        says="of environment y",
        command="lifeboat state restore v5",
    ),
    "of another lineage, which nobody remembers": Case(
        seen=observation(
            stack=of_root(
                entries=entries(version(9, lineage="theirs"), version(5), version(4)), remembered=Look(), known=Look()
            )
        ),
        check="lineage",
        says="of another lineage (theirs, not ours)",
        command="lifeboat state restore v5",
    ),
    "every version of another lineage": Case(
        seen=observation(
            stack=of_root(
                entries=entries(version(9, lineage="theirs"), version(8, lineage="theirs")), copies=Look(found=())
            )
        ),
        check="lineage",
        says="and no version is",
        command="lifeboat state list",
    ),
    "every version here of another lineage, and the copy ours": Case(
        seen=observation(stack=of_root(entries=entries(version(9, lineage="theirs")))),
        check="lineage",
        says="of another lineage (theirs, not ours)",
        command="lifeboat state restore --from-replica",
    ),
    "a lower serial": Case(
        seen=observation(stack=of_root(entries=OLD_ON_TOP)),
        check="serial",
        says="the serial goes backwards: 2 on top, and version v5 has 5",
        command="lifeboat state restore v5",
    ),
    "a lower serial than this machine knew, in the copy still": Case(
        seen=observation(stack=of_root(remembered=KNOWN_7, copies=entries(version(7), version(5)))),
        check="serial",
        says="the serial goes backwards: 5 on top, and this machine last knew 7",
        command="lifeboat state restore --from-replica",
    ),
    "a lower serial than this machine knew, nowhere any more": Case(
        seen=observation(stack=of_root(remembered=KNOWN_7)),
        check="serial",
        says="this machine last knew 7",
        command="lifeboat state list",
    ),
    "a lower serial than the other region remembers, in the copy still": Case(
        seen=observation(
            stack=of_root(remembered=Look(), known=Look(found=known(7)), copies=entries(version(7), version(5)))
        ),
        check="serial",
        says="the serial goes backwards: 5 on top, and the other region remembers 7",
        command="lifeboat state restore --from-replica",
    ),
    "another lineage than the other region remembers": Case(
        seen=observation(
            stack=of_root(
                entries=entries(version(9, lineage="theirs"), version(8, lineage="theirs"), version(5)),
                remembered=Look(),
            )
        ),
        check="lineage",
        says="of another lineage (theirs, not ours)",
        command="lifeboat state restore v5",
    ),
    "the other region does not remember": Case(
        seen=observation(stack=of_root(known=Look())),
        check="memory",
        severity=Severity.WARNING,
        says="copy does not remember the state (serial 5)",
        command="lifeboat apply",
    ),
    "the other region remembers an older one": Case(
        seen=observation(stack=of_root(known=Look(found=known(4)))),
        check="memory",
        severity=Severity.WARNING,
        says="by eva@laptop (run r), and the state has gone on to serial 5",
        command="lifeboat apply",
    ),
    "every version gone, which only the other region remembers": Case(
        seen=observation(stack=of_root(**{**NOTHING, "known": Look(found=known(7))}), kinds=things("eip-1")),
        check="object",
        says="although serial 7 was written down at 2026-02-28 03:00:00Z by eva@laptop (run r), things exist",
        command="lifeboat state rebuild",
    ),
    "no bucket and no copy, of what the other region remembers": Case(
        seen=observation(
            bucket=Look(), stack=of_root(**{**NO_BUCKET, "known": Look(found=known(7))}), backend=LOST, kinds=things()
        ),
        check="bucket",
        root=None,
        says="there is no bucket bucket in eu-west-1, nor a copy in copy",
        command="aws s3api create-bucket --bucket bucket --region eu-west-1"
        " --create-bucket-configuration LocationConstraint=eu-west-1"
        " && aws s3api put-bucket-versioning --bucket bucket --versioning-configuration Status=Enabled"
        " && lifeboat state rebuild",
    ),
    "a working copy of root 1 that is ahead": Case(
        seen=observation(backend=of_root(StateRoot.BACKEND, remembered=KNOWN_7)),
        check="serial",
        root=StateRoot.BACKEND,
        says="this machine last knew 7",
        command="lifeboat apply",
    ),
    "a serial that was written twice": Case(
        seen=observation(
            stack=of_root(
                remembered=ANOTHER_5,
                known=Look(found=known(5, md5=f"{99:032x}")),
                entries=entries(version(5), version(5, version_id=VersionId("first"), md5=f"{99:032x}"), version(4)),
            )
        ),
        check="serial",
        severity=Severity.WARNING,
        says="it is not the state of serial 5 that was last found sound",
        command="lifeboat state restore first",
    ),
    "no digest": Case(
        seen=observation(stack=of_root(digest=Look())),
        check="digest",
        severity=Severity.WARNING,
        says="the digest is missing, so Terraform takes whatever stands on top for the newest state",
        command="lifeboat state restore v5",
    ),
    "an empty digest": Case(
        seen=observation(stack=of_root(digest=Look(found=""))),
        check="digest",
        severity=Severity.WARNING,
        says="the digest is empty",
        command="lifeboat state restore v5",
    ),
    "a digest that is none": Case(
        seen=observation(stack=of_root(digest=Look(found="abc"))),
        check="digest",
        severity=Severity.WARNING,
        says="the digest is no MD5",
        command="lifeboat state restore v5",
    ),
    "a digest that was not written by an apply": Case(
        seen=observation(stack=of_root(digest=Look(found=f"{4:032x}"))),
        check="digest",
        says="the digest is that of version v4 (serial 4), and version v5 (serial 5) is on top: a Terraform wrote the state"
        " and not its digest; every Terraform command fails",
        command="lifeboat state restore v5",
    ),
    "a digest that was not written by an apply that was killed here": Case(
        seen=observation(stack=of_root(digest=Look(found=f"{4:032x}")), cut_off=Look(found=(RunId("r"),))),
        check="digest",
        says="a Terraform wrote the state and not its digest",
        command="lifeboat apply",
    ),
    "a digest of the newest version, and an old one on top": Case(
        seen=observation(stack=of_root(entries=OLD_ON_TOP)),
        check="digest",
        says="an older state was put over it by hand",
        command="lifeboat state restore v5",
    ),
    "a digest of nothing": Case(
        seen=observation(stack=of_root(digest=Look(found="f" * 32))),
        check="digest",
        says="the digest is that of no version",
        command="lifeboat state restore v5",
    ),
    "a digest of the version before, while somebody works": Case(
        seen=observation(stack=of_root(digest=Look(found=f"{4:032x}"), **locked(LIVES))),
        check="digest",
        severity=Severity.NOTICE,
        says="the state is just worked on",
        command="lifeboat state doctor",
    ),
    "a copy that is behind": Case(
        seen=observation(stack=of_root(copies=entries(version(3), version(2)))),
        check="replica",
        severity=Severity.WARNING,
        says="the copy is 2 versions behind, serial 3 there and 5 here, for 86160 s",
        command=COPIED,
    ),
    "no copy at all": Case(
        seen=observation(stack=of_root(copies=Look(found=()))),
        check="replica",
        severity=Severity.WARNING,
        says="the copy is 5 versions behind, for 86340 s",
        command=COPIED,
    ),
    "a copy that is ahead": Case(
        seen=observation(stack=of_root(copies=entries(version(7), version(3)), remembered=Look())),
        check="replica",
        says="the other region has a newer state: version v7 (serial 7), and here version v5 (serial 5) is on top",
        command="lifeboat state restore --from-replica",
    ),
    "something that no state knows": Case(
        seen=observation(kinds=things("eip-1", "i-1")),
        check="tagged aws_eip",
        root=None,
        severity=Severity.WARNING,
        says="1 of 2 that bear our tags are in no state: eip-1 in eu-west-1",
        command="terraform -chdir=stack import ADDRESS eip-1",
    ),
    "something that a killed apply made": Case(
        seen=observation(kinds=things("eip-1"), cut_off=Look(found=(RunId("r"),))),
        check="tagged aws_eip",
        root=None,
        severity=Severity.WARNING,
        says="1 of 1 that bear our tags are in no state",
        command="lifeboat apply",
    ),
    "something that a better state may know": Case(
        seen=observation(kinds=things("eip-1"), stack=of_root(entries=OLD_ON_TOP)),
        check="tagged aws_eip",
        root=None,
        severity=Severity.WARNING,
        says="1 of 1 that bear our tags are in no state",
        command="lifeboat state restore v5",
    ),
    "more than are named": Case(
        seen=observation(kinds=things(*(f"eip-{n}" for n in range(7)))),
        check="tagged aws_eip",
        root=None,
        severity=Severity.WARNING,
        says="eip-4 in eu-west-1 and 2 more",
        command="terraform -chdir=stack import ADDRESS eip-0",
    ),
}


@pytest.mark.parametrize("case", FINDINGS.values(), ids=FINDINGS)
def test_what_is_amiss_is_found_with_its_severity_and_the_command_to_type(case: Case) -> None:
    found = verdict(case.seen, case.check, case.root)

    assert found.finding is not None, found
    assert case.says in found.finding.found
    assert (found.standing, found.finding.severity) == (Standing.FINDING, case.severity)
    assert found.finding.command == case.command
    assert found.finding.wanted


# name: what was seen, the check that has no finding, and what it says
NEAR_MISSES: dict[str, tuple[Observation, str, StateRoot | None, str]] = {
    "a table being updated": (observation(table=Look(found="UPDATING")), "lock table", None, "table is updating"),
    "the serial of a first apply": (
        observation(stack=of_root(entries=entries(version(5)), copies=entries(version(5)))),
        "serial",
        StateRoot.STACK,
        "5, the highest of 1 versions",
    ),
    "another machine applied since": (
        observation(
            stack=of_root(
                remembered=Look(found=StateMark(serial=4, lineage="ours", md5=version(4).md5 or "")), known=Look()
            )
        ),
        "serial",
        StateRoot.STACK,
        "5, the highest of 5 versions; this machine last knew 4",
    ),
    "a higher serial of another lineage below": (
        observation(stack=of_root(entries=entries(version(5), version(9, lineage="theirs"), version(4)))),
        "serial",
        StateRoot.STACK,
        "5, the highest of 2 versions",
    ),
    "nobody remembers, and all are of one lineage": (
        observation(stack=of_root(remembered=Look(), known=Look())),
        "lineage",
        StateRoot.STACK,
        "ours, as in most of its versions; nothing remembers it",
    ),
    "this machine alone remembers": (
        observation(stack=of_root(known=Look())),
        "lineage",
        StateRoot.STACK,
        "ours, as this machine remembers",
    ),
    "this machine remembers another lineage than the other region": (
        observation(stack=of_root(remembered=Look(found=StateMark(serial=9, lineage="old", md5="9")))),
        "lineage",
        StateRoot.STACK,
        "ours, as the other region remembers",
    ),
    "what is sound is remembered": (
        observation(),
        "memory",
        StateRoot.STACK,
        "serial 5, written down at 2026-02-28 03:00:00Z by eva@laptop (run r)",
    ),
    "an apply is under way": (
        observation(stack=of_root(known=Look(found=known(3)), **locked(LIVES))),
        "memory",
        StateRoot.STACK,
        "serial 3, written down at 2026-02-28 03:00:00Z by eva@laptop (run r); the state is just worked on:"
        " its process 7 works on this machine",
    ),
    "no bucket to remember it in": (
        observation(replica_bucket=Look(), stack=of_root(known=Look(), copies=Look())),
        "memory",
        StateRoot.STACK,
        "there is no replica bucket",
    ),
    "no output says whose it is": (
        observation(stack=of_root(entries=entries(version(5, facts=facts(5, environment=None)), version(4)))),
        "lineage",
        StateRoot.STACK,
        "ours, as the other region remembers",
    ),
    "a damaged version below": (
        observation(stack=of_root(entries=entries(version(5), damaged(4), version(3)))),
        "readable",
        StateRoot.STACK,
        "serial 5, 3 resources",
    ),
    "a delete marker below": (
        observation(
            stack=of_root(entries=Look(found=(version(5, latest=True), replace(marker(), latest=False), version(4))))
        ),
        "object",
        StateRoot.STACK,
        "version v5 of s3://bucket/stack.tfstate, written 23h ago",
    ),
    "a candidate of the Terraform that is here": (
        observation(stack=of_root(entries=entries(version(5, facts=facts(5, terraform_version="1.11.4-rc1"))))),
        "terraform version",
        StateRoot.STACK,
        "written by Terraform 1.11.4-rc1; here is 1.11.4",
    ),
    "an older Terraform wrote it": (
        observation(stack=of_root(entries=entries(version(5, facts=facts(5, terraform_version="1.9.12"))))),
        "terraform version",
        StateRoot.STACK,
        "written by Terraform 1.9.12; here is 1.11.4",
    ),
    "a state that does not say by which Terraform": (
        observation(stack=of_root(entries=entries(version(5, facts=facts(5, terraform_version=""))))),
        "terraform version",
        StateRoot.STACK,
        "it does not say by which Terraform it was written",
    ),
    "no digest where none is kept": (
        observation(stack=of_root(place=place(keeps_digest=False), digest=Look()), mode="lockfile"),
        "digest",
        StateRoot.STACK,
        "Terraform keeps none in the lock mode lockfile",
    ),
    "no digest for want of a table": (
        observation(stack=of_root(digest=Look()), table=Look()),
        "digest",
        StateRoot.STACK,
        "there is no lock table that it could be in",
    ),
    "a digest with nothing that it is of": (
        observation(stack=of_root(entries=Look(found=(marker(), version(5))))),
        "digest",
        StateRoot.STACK,
        "there is no state object; it is that of version v5 (serial 5)",
    ),
    "a copy on its way": (
        observation(
            stack=of_root(
                entries=entries(version(5, age=timedelta(minutes=15)), version(4)), copies=entries(version(4))
            )
        ),
        "replica",
        StateRoot.STACK,
        "the copy is 1 version behind, serial 4 there and 5 here, for 900 s: S3 takes up to 15m",
    ),
    "a copy of a foreign state that is higher": (
        observation(
            stack=of_root(
                entries=entries(version(5, age=timedelta(minutes=1)), version(4)),
                copies=entries(version(9, lineage="theirs"), version(4)),
            )
        ),
        "replica",
        StateRoot.STACK,
        "the copy is 1 version behind, serial 4 there and 5 here, for 60 s: S3 takes up to 15m",
    ),
    "no copies of a state that is deleted": (
        observation(stack=of_root(entries=Look(found=(marker(), version(5))))),
        "replica",
        StateRoot.STACK,
        "there is no state object to be copied; the newest copy is version v5 (serial 5)",
    ),
    "what another environment could not save": (
        observation(stack=of_root(left=left(facts=facts(9, lineage="theirs")))),
        "errored.tfstate",
        StateRoot.STACK,
        "/srv/errored.tfstate was left, of another lineage: roots are shared, it is another environment's",
    ),
    "things that cannot be held against a state": (
        observation(stack=of_root(entries=Look(found=(marker(), version(5)))), kinds=things("eip-1")),
        "tagged aws_eip",
        None,
        "there is no state to hold it against in s3://bucket/stack.tfstate; eip-1 in eu-west-1 bear our tags",
    ),
    "a database that the state knows by its other name": (
        observation(
            kinds=(
                KindSeen(
                    kind="aws_db_instance",
                    things=Look(
                        found=(
                            OwnedThing(
                                kind="aws_db_instance", region="r", name="app-g1", ids=frozenset({"app-g1", "db-ABC"})
                            ),
                        )
                    ),
                ),
            ),
            recorded=Look(found=frozenset({"db-ABC"})),
        ),
        "tagged aws_db_instance",
        None,
        "1 bear our tags, and all are in a state",
    ),
    "a bucket that was never made, and no other": (
        observation(bucket=Look(), replica_bucket=Look(), stack=of_root(**NO_BUCKET), backend=LOST, kinds=things()),
        "replica bucket",
        None,
        "neither bucket is there",
    ),
}


@pytest.mark.parametrize("seen", NEAR_MISSES.values(), ids=NEAR_MISSES)
def test_what_is_nearly_amiss_is_no_finding(seen: tuple[Observation, str, StateRoot | None, str]) -> None:
    looked, check, root, says = seen

    found = verdict(looked, check, root)

    assert (found.finding, found.says) == (None, says)
    assert found.standing in (Standing.GOOD, Standing.MOOT)


def test_of_a_state_that_was_left_locked_the_lock_is_the_first_to_go() -> None:
    stack = of_root(entries=OLD_ON_TOP, digest=Look(found="f" * 32), **locked(GONE))

    found = state_doctor.diagnose(observation(stack=stack)).findings

    assert [finding.command for finding in found] == [
        "lifeboat state unlock lock-1",
        "lifeboat state restore v5",
        "lifeboat state restore v5",
    ]


def test_a_digest_that_keeps_every_apply_out_is_written_before_an_apply_is_named() -> None:
    stack = of_root(digest=Look(found=f"{4:032x}"), known=Look(found=known(4)))

    found = state_doctor.diagnose(observation(stack=stack)).findings

    assert [finding.command for finding in found] == ["lifeboat state restore v5", "lifeboat apply"]


def test_a_state_is_back_before_an_apply_is_named_that_guards_it_anew() -> None:
    stack = of_root(entries=entries(marker(), version(5)))

    found = state_doctor.diagnose(observation(stack=stack, denied=Look(found={}))).findings

    assert [finding.command for finding in found] == ["lifeboat state restore v5", "lifeboat apply"]


def test_the_region_that_needs_no_name_is_given_none() -> None:
    america = replace(place(), region="us-east-1")
    roots = (of_root(place=america, entries=Look()),)

    found = verdict(replace(observation(bucket=Look()), roots=roots), "bucket")

    assert found.finding is not None
    assert found.finding.command.startswith(
        "aws s3api create-bucket --bucket bucket --region us-east-1 && aws s3api put-"
    )


def test_what_a_state_knows_is_known_by_all_its_names_and_data_is_not_its_own() -> None:
    body = b"""{"serial": 1, "lineage": "ours", "resources": [
        {"mode": "managed", "type": "t", "name": "a",
         "instances": [{"attributes": {"id": "db-1", "identifier": "app-g1", "arn": null, "size": 5}}]},
        {"mode": "managed", "type": "t", "name": "b", "instances": [{"attributes": {"id": "i-2"}, "deposed": "1"}, {}]},
        {"mode": "data", "type": "t", "name": "c", "instances": [{"attributes": {"id": "vpc-9"}}]}]}"""

    assert state_digest_checks.recorded(body) == {"db-1", "app-g1", "i-2"}


@pytest.mark.parametrize("body", [None, b"", b"{", b"{}", b"[]", b"null", b'"x"', b"3", b"\xff", b"[" * 100_000])
def test_what_is_no_state_knows_nothing(body: bytes | None) -> None:
    assert state_digest_checks.recorded(body) == frozenset()


# -- while somebody works ------------------------------------------------------------------------------------------------

AT_WORK = AtWork(who="eva@laptop (process 7)", what="apply", since=NOW - timedelta(minutes=9), elsewhere=False)
UNDER_WAY = "an apply of this machine runs since 02:51:00Z, for 9m (eva@laptop (process 7))"


def test_what_a_first_apply_has_not_made_yet_is_waited_for_and_nothing_is_repaired() -> None:
    backend = of_root(StateRoot.BACKEND, **{**FIRST, "remembered": KNOWN_7})
    seen = observation(
        at_work=Look(found=AT_WORK),
        table=Look(),
        replica_bucket=Look(),
        rules=Look(found=()),
        stack=of_root(**FIRST),
        backend=backend,
        kinds=things("eip-1"),
    )

    found = state_doctor.diagnose(seen)

    assert {(f.severity, f.command) for f in found.findings} == {(Severity.NOTICE, "lifeboat state doctor")}
    assert all(UNDER_WAY in f.found for f in found.findings)
    assert not any("second time" in f.found for f in found.findings)
    assert [v.check for v in found.verdicts if v.finding] == [
        *("at work", "lock table", "object", "object", "replica bucket"),
    ]


def test_a_memory_that_is_behind_a_run_at_work_is_waited_for() -> None:
    seen = observation(at_work=Look(found=AT_WORK), stack=of_root(known=Look(found=known(4))))

    found = verdict(seen, "memory", StateRoot.STACK)

    assert found.finding is not None
    assert (found.finding.severity, found.finding.command) == (Severity.NOTICE, "lifeboat state doctor")


def test_a_state_that_was_deleted_is_an_accident_whoever_works() -> None:
    seen = observation(at_work=Look(found=AT_WORK), stack=of_root(entries=Look(found=(marker(), version(5)))))

    found = verdict(seen, "object", StateRoot.STACK)

    assert found.finding is not None
    assert (found.finding.severity, found.finding.command) == (Severity.CRITICAL, "lifeboat state restore v5")
