"""The verbs of `lifeboat snapshot`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from lifeboat import views, views_backups
from lifeboat.cli_options import Env, Out, Output, Within, Yes, asking, duration, site_of
from lifeboat.commands import snapshot as snapshot_command
from lifeboat.commands.snapshot import Ordered, Sparing
from lifeboat.database_model import RecoveryPointId
from lifeboat.decisions import recovery_points
from lifeboat.errors import DONE

snapshot = typer.Typer(help="Manual snapshots of the database: create, list, copy, prune.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Make this a group of commands of the program."""
    app.add_typer(snapshot, name="snapshot")


NoWait = Annotated[bool, typer.Option("--no-wait", help="End when it is ordered; the same command waits for it later.")]


@snapshot.command("create")
def snapshot_create(
    env: Env = "local",
    output: Out = Output.TABLE,
    before: Annotated[
        str | None, typer.Option("--before", metavar="TEXT", help="The risky change that follows.")
    ] = None,
    within: Within = "1h",
    no_wait: NoWait = False,
) -> int:
    """Take a snapshot of the serving database, as before a risky change, and wait until it is available. Prints its name.

    It says what it was taken before, which commit and which state serial it belongs to. One that is being taken for the
    same change already is waited for, not taken twice.

    Example: lifeboat snapshot create --before "migration 42" -e production
    """
    done = snapshot_command.create(site_of(env), views.Teller(), before, _patience(within, no_wait=no_wait))
    return _shown(done, output)


@snapshot.command("list")
def snapshot_list(env: Env = "local", output: Out = Output.TABLE) -> int:
    """List the manual snapshots of both regions, newest first.

    Example: lifeboat snapshot list -e production
    """
    found = snapshot_command.listed(site_of(env))
    for remark in found.remarks:
        views.Teller().warn(remark)
    if output is Output.JSON:
        views.document(views_backups.points_document(found.list))
    else:
        views_backups.points(found.list)
    found.require_known()
    recovery_points.require_readable(found.list.points)
    return DONE


@snapshot.command("copy")
def snapshot_copy(
    wanted: Annotated[str, typer.Argument(metavar="SNAPSHOT", help="A snapshot's name, or latest.")] = "latest",
    env: Env = "local",
    output: Out = Output.TABLE,
    within: Within = "3h",
    no_wait: NoWait = False,
) -> int:
    """Copy a snapshot to the DR region under the database's key there, tags included. Prints the copy's name.

    Asked again, it returns the copy that exists. A snapshot of the DR region is copied back to the primary one.

    Example: lifeboat snapshot copy latest -e production
    """
    which = None if wanted == "latest" else RecoveryPointId(wanted)
    done = snapshot_command.copy(site_of(env), views.Teller(), which, _patience(within, no_wait=no_wait))
    return _shown(done, output)


@snapshot.command("prune")
def snapshot_prune(
    env: Env = "local",
    output: Out = Output.TABLE,
    keep: Annotated[int, typer.Option("--keep", help="Newest snapshots to keep in each region.", min=1)] = 3,
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="TIME", help="Younger ones stay in any case: 12h, 30d.")
    ] = "30d",
    yes: Yes = False,
) -> int:
    """Show which manual snapshots nothing needs, ask, then delete them.

    What stays, whatever is said: those that are kept, the newest ones, the newest proven, the younger ones, those that a
    run which has not ended uses, and everything that lifeboat did not make.

    Example: lifeboat snapshot prune --keep 5 --older-than 60d -e production
    """
    table = output is Output.TABLE
    sparing = Sparing(newest=keep, age=duration(older_than))
    done = snapshot_command.prune(
        site_of(env), views.Teller(), views_backups.pruning if table else lambda _: None, asking(yes=yes), sparing
    )
    if table:
        views.lines([f"{len(done.removed)} snapshots deleted"])
    else:
        views.document(views_backups.pruning_document(done))
    return DONE


def _patience(within: str, *, no_wait: bool) -> timedelta | None:
    return None if no_wait else duration(within)


def _shown(done: Ordered, output: Output) -> int:
    if output is Output.JSON:
        now = datetime.now(UTC)
        point = None if done.point is None else views_backups.point_document(done.point, now)
        views.document({"id": done.name, "region": done.region, "snapshot": point})
    else:
        views.lines([done.name])
    return DONE
