"""The verbs `lifeboat state …`: the history of Terraform's state, looked at and gone back to."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from lifeboat import views, views_state, views_state_doctor, views_state_rebuild, views_state_restore
from lifeboat.cli_options import Env, Out, Output, Yes, asking, moment, site_of
from lifeboat.commands import state as state_command
from lifeboat.commands import state_doctor as doctor_command
from lifeboat.commands import state_rebuild as rebuild_command
from lifeboat.commands import state_restore as restore_command
from lifeboat.commands.state import Source
from lifeboat.commands.state_restore import Orders as RestoreOrders
from lifeboat.decisions.state_unlocking import Sure
from lifeboat.errors import DONE, PENDING_CHANGES, WrongConfiguration
from lifeboat.model import Address, RunId
from lifeboat.site import Site
from lifeboat.stack import state_writing
from lifeboat.stack.state_rebuilding import Request as RebuildRequest
from lifeboat.stack.state_restoring import Request
from lifeboat.stack.state_restoring import Source as RestoreSource
from lifeboat.state_model import AtTime, LatestGood, OneVersion, StateRoot, VersionId, WantedVersion

state = typer.Typer(
    help="Terraform's own state: every version of it listed, read, compared, and gone back to.", no_args_is_help=True
)


def add_to(app: typer.Typer) -> None:
    """Make this a group of commands of the program."""
    app.add_typer(state, name="state")


Root = Annotated[
    StateRoot, typer.Option("--root", help="Whose state: the stack's, or that of root 1, which makes the bucket.")
]
Replica = Annotated[
    bool, typer.Option("--replica", help="The copy of the bucket in the other region, where the first is out of reach.")
]
Version = Annotated[
    str,
    typer.Argument(
        metavar="VERSION",
        help="A version id, as lifeboat state list shows it, latest, previous, or file:PATH of this machine.",
    ),
]


# -- looking -----------------------------------------------------------------------------------------------------------


@state.command("list")
def list_(
    env: Env = "local", output: Out = Output.TABLE, root: Root = StateRoot.STACK, replica: Replica = False
) -> int:
    """List every version and delete marker of the state, newest first: what each is, who wrote it, whether it can be read.

    Below them stands what is amiss. Ends with 0 when all could be looked at, whatever was found: whether the state is sound
    says lifeboat state doctor. With 8 where something may not be looked at, with 6 where there is no bucket.

    Example: lifeboat state list --replica -e production
    """
    found = state_command.listed(site_of(env), views.Teller(), Source(root=root, replica=replica))
    if output is Output.JSON:
        views.document(views_state.listed_document(found))
    else:
        views_state.listed(found)
    found.require_whole()
    return DONE


@state.command("show")
def show(
    wanted: Version,
    *,
    env: Env = "local",
    output: Out = Output.TABLE,
    root: Root = StateRoot.STACK,
    replica: Replica = False,
) -> int:
    """Show what one version says of itself, its resources, and its outputs; never what is sensitive.

    Ends with 6 where there is no such version, and with 11 where it is no state that can be read.

    Example: lifeboat state show previous -e production
    """
    found = state_command.shown(site_of(env), Source(root=root, replica=replica), wanted)
    if output is Output.JSON:
        views.document(views_state.shown_document(found))
    else:
        views_state.shown(found)
    return DONE


@state.command("diff")
def diff(
    old: Version,
    new: Version,
    *,
    env: Env = "local",
    output: Out = Output.TABLE,
    root: Root = StateRoot.STACK,
    replica: Replica = False,
) -> int:
    """Show what the second version has that the first has not: resources, attributes, outputs; what is sensitive is masked.

    A resource is replaced where its id changed, and moved where only its address did. Serials and data sources make no
    difference. Ends with 0 when both are the same, with 20 when they differ.

    Example: lifeboat state diff previous latest -e production
    """
    found = state_command.compared(site_of(env), Source(root=root, replica=replica), old, new)
    if output is Output.JSON:
        views.document(views_state.compared_document(found))
    else:
        views_state.compared(found)
    return DONE if found.diff.same else PENDING_CHANGES


# -- judging: doctor, unlock ---------------------------------------------------------------------------------------------


@state.command("doctor")
def doctor(
    env: Env = "local",
    output: Out = Output.TABLE,
    root: Annotated[
        StateRoot | None, typer.Option("--root", help="Look at this root's state alone, instead of both.")
    ] = None,
) -> int:
    """Look at the state and all it hangs on, and change nothing: each finding comes with the command that repairs it.

    The buckets of both regions, the lock table, locks and whether their holders live, the object and the marker on it, its
    lineage and serial, the digest, the copy, what a Terraform could not save, and what exists and is in no state.

    Ends with 0 when all is well, with 11 when something is amiss, with 8 when something could not be looked at.

    Example: lifeboat state doctor -e production
    """
    roots = list(StateRoot) if root is None else [root]
    found = doctor_command.diagnose(site_of(env), views.Teller(), roots)
    if output is Output.JSON:
        views.document(views_state_doctor.diagnosis_document(found))
    else:
        views_state_doctor.diagnosis(found)
    doctor_command.require_sound(found)
    return DONE


@state.command("unlock")
def unlock(
    lock_id: Annotated[
        str | None, typer.Argument(metavar="LOCK_ID", help="The lock to remove; without one all are shown.")
    ] = None,
    *,
    env: Env = "local",
    output: Out = Output.TABLE,
    root: Root = StateRoot.STACK,
    holder_is_dead: Annotated[
        bool,
        typer.Option("--holder-is-dead", help="You know it: do not wait until its lock is older than an apply takes."),
    ] = False,
    without_gitlab: Annotated[
        bool, typer.Option("--without-gitlab", help="Do not ask GitLab whether a job that runs may hold it.")
    ] = False,
    yes: Yes = False,
) -> int:
    """Show who locks the state, or remove the lock with this id alone: its item, its file, and never a digest.

    Ends with 5 while the holder lives, or may: its process on this machine, a lease, a job of GitLab's that runs, or a
    lock of an unknown holder that is younger than an apply may take (apply_minutes). With 8 where GitLab cannot be asked.

    Example: lifeboat state unlock 1c5a4f5e-7b8a-7a4d-9d1a-0e3f4b5c6d7e -e production
    """
    here = site_of(env)
    if lock_id is None:
        found = doctor_command.locks(here, root)
        if output is Output.JSON:
            views.document(views_state_doctor.locks_document(found))
        else:
            views_state_doctor.locks(found)
        return DONE
    sure = {Sure.HOLDER_IS_DEAD: holder_is_dead, Sure.WITHOUT_GITLAB: without_gitlab}
    orders = doctor_command.Orders(
        agree=asking(yes=yes), tell=views.Teller(), sure=frozenset(one for one, said in sure.items() if said)
    )
    done = doctor_command.unlock(here, orders, root, lock_id)
    if output is Output.JSON:
        views.document(views_state_doctor.unlocked_document(done))
    else:
        views_state_doctor.unlocked(done)
    return DONE


# -- going back: restore -------------------------------------------------------------------------------------------------


@state.command("restore")
def restore(
    version: Annotated[
        str | None, typer.Argument(metavar="VERSION", help="A version id, as lifeboat state list shows it.")
    ] = None,
    *,
    env: Env = "local",
    output: Out = Output.TABLE,
    root: Root = StateRoot.STACK,
    latest_good: Annotated[
        bool, typer.Option("--latest-good", help="The newest version that is sound and this environment's.")
    ] = False,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="As it was then, RFC 3339 with a zone: 2026-03-01T03:12:00Z."),
    ] = None,
    before_run: Annotated[
        str | None, typer.Option("--before-run", metavar="RUN", help="As it was before this run began.")
    ] = None,
    from_replica: Annotated[
        bool,
        typer.Option(
            "--from-replica", help="Choose from the copy in the other region; alone: its newest sound version."
        ),
    ] = False,
    accept: Annotated[
        int,
        typer.Option(
            "--accept",
            metavar="N",
            min=0,
            help="Agree that up to N resources vanish from what is known, or appear in it.",
        ),
    ] = 0,
    allow_lineage: Annotated[
        bool, typer.Option("--allow-lineage", help="Take the named VERSION although it is of another lineage.")
    ] = False,
    to_file: Annotated[
        Path | None,
        typer.Option(
            "--to-file", metavar="PATH", help="Write the version into this new file, mode 0600, and nothing else."
        ),
    ] = None,
    yes: Yes = False,
) -> int:
    """Put a version of the state on top again: under both locks, a serial higher than any before, and with its digest.

    Shown first: which version, what would vanish and come back, what would be written. No version is ever removed, and the
    same command goes on where it was cut off. Then Terraform reads it back, and both roots are planned: ends with 0 when
    nothing would change, with 20 when something would.

    Refused when something that Terraform knows, or knew under the highest serial, would vanish from the state, or something
    appear in it that it no longer knows: the next apply would make it once more. --accept N agrees to so many, and to no more.

    Example: lifeboat state restore --latest-good -e production
    """
    here = site_of(env)
    alone = from_replica and version is None and at is None and before_run is None
    source = RestoreSource.REPLICA if from_replica else RestoreSource.PRIMARY
    given = _given(here, source, version=version, latest_good=latest_good or alone, at=at, before_run=before_run)
    if allow_lineage and version is None:
        raise typer.BadParameter("--allow-lineage is for a VERSION that is named")
    request = Request(
        root=root,
        wanted=given.wanted,
        whose=restore_command.whose(here, root),
        source=source,
        accept=accept,
        any_lineage=allow_lineage,
        again=shlex.join(
            [
                *("lifeboat", "state", "restore", *given.words),
                *(["--from-replica"] if from_replica else []),
                *(["--root", root.value] if root is not StateRoot.STACK else []),
                *(["--allow-lineage"] if allow_lineage else []),
            ]
        ),
    )
    if to_file is not None:
        views.lines(views_state_restore.pulled(restore_command.pull(here, request, to_file), to_file))
        return DONE
    orders = RestoreOrders(tell=views.Teller(), show=views_state_restore.preview, agree=asking(yes=yes))
    done = restore_command.run(here, orders, request)
    if output is Output.JSON:
        views.document(views_state_restore.restored_document(done))
    else:
        views_state_restore.restored(done)
    state_writing.require_remembered(done.restored, done.preview.writing)
    return DONE if done.planned.empty else PENDING_CHANGES


@dataclass(frozen=True, kw_only=True)
class _Given:
    """Which version is wanted, and how that was said."""

    wanted: WantedVersion
    words: tuple[str, ...]


def _given(
    site: Site, source: RestoreSource, *, version: str | None, latest_good: bool, at: str | None, before_run: str | None
) -> _Given:
    """Return which version is wanted; exactly one way of saying it must have been used."""
    if [version is not None, latest_good, at is not None, before_run is not None].count(True) != 1:
        raise WrongConfiguration(
            "name one version: VERSION, --latest-good, --at TIME, --before-run RUN, or --from-replica alone for the newest copy",
            hint="lifeboat state list",
        )
    if version is not None and not version.strip():
        raise WrongConfiguration("the version that is named is empty", hint="lifeboat state list")
    if version is not None:
        return _Given(wanted=OneVersion(version_id=VersionId(version)), words=(version,))
    if at is not None:
        return _Given(wanted=AtTime(at=moment(at, "--at")), words=("--at", at))
    if before_run is not None:
        wanted = restore_command.before_run(site, RunId(before_run), source)
        return _Given(wanted=wanted, words=("--before-run", before_run))
    return _Given(wanted=LatestGood(), words=("--latest-good",))


# -- the last resort: rebuild --------------------------------------------------------------------------------------------

# An address may have a key in it, and a key what it likes: module.a.aws_s3_bucket.b["x=y"]=ID.
_CHOICE = re.compile(r'((?:[^=\["]|\[\d+\]|\["(?:[^"\\]|\\.)*"\])+)=(.+)')


@state.command("rebuild")
def rebuild(
    *,
    env: Env = "local",
    output: Out = Output.TABLE,
    root: Root = StateRoot.STACK,
    chosen: Annotated[
        list[str] | None,
        typer.Option(
            "--import", metavar="ADDRESS=ID", help="Of several things, or one that was not found: take this one."
        ),
    ] = None,
    pass_over: Annotated[
        list[str] | None,
        typer.Option(
            "--pass-over", metavar="VERSION", help="You have looked at it: it is not this environment's, or lost."
        ),
    ] = None,
    accept: Annotated[
        int,
        typer.Option(
            "--accept",
            metavar="N",
            min=0,
            help="Agree that up to N things are made anew, empty, or stay unknown to the state.",
        ),
    ] = 0,
    preview: Annotated[
        bool, typer.Option("--preview", help="Show what was found and would be written; change nothing.")
    ] = False,
    yes: Yes = False,
) -> int:
    """Make the state anew of what exists in AWS: the last resort, where no version of it can be read in either region.

    Everything that the configuration names is looked for by name, tags and place, and shown: found, not found, several.
    Terraform imports it in a copy, where it is only ever told to plan: nothing in AWS is changed. Then the state is written
    as lifeboat state restore writes it, and both roots are planned: ends with 0 when nothing would change, 20 otherwise.

    Refused (3) while a version is left that a restore can use, while several things could be one (--import), when something
    that holds data was not found or something that bears our tags has no address (--accept N), whatever was agreed to when
    that is a database, and when an apply would lose what is protected; with 8 where something cannot be looked at.

    Example: lifeboat state rebuild --preview -e production
    """
    request = RebuildRequest(
        root=root,
        chosen=dict(_choice(one) for one in chosen or []),
        passed_over=frozenset(VersionId(one) for one in pass_over or []),
        accept=accept,
        again=shlex.join(
            [
                *("lifeboat", "state", "rebuild"),
                *(["--root", root.value] if root is not StateRoot.STACK else []),
                *(word for one in chosen or [] for word in ("--import", one)),
                *(word for one in pass_over or [] for word in ("--pass-over", one)),
            ]
        ),
    )
    orders = rebuild_command.Orders(
        tell=views.Teller(),
        found=views_state_rebuild.found,
        rebuilt=views_state_rebuild.rebuilt,
        left=views_state_rebuild.left,
        agree=asking(yes=yes),
    )
    here = site_of(env)
    if preview:
        seen = rebuild_command.preview(here, orders, request)
        if output is Output.JSON:
            views.document(views_state_rebuild.preview_document(seen))
        else:
            views.lines(["nothing was changed"])
        return DONE
    done = rebuild_command.run(here, orders, request)
    if output is Output.JSON:
        views.document(views_state_rebuild.done_document(done))
    else:
        views_state_rebuild.done(done)
    state_writing.require_remembered(done.restored, done.preview.writing)
    return DONE if done.planned.empty else PENDING_CHANGES


def _choice(text: str) -> tuple[Address, str]:
    """Return the address and the id that --import names."""
    found = _CHOICE.fullmatch(text)
    if found is None:
        raise typer.BadParameter(f"--import {text!r} is not ADDRESS=ID")
    return Address(found[1]), found[2]
