"""The verbs about recovery points of every kind: backups, describe, keep, retention."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from lifeboat import views, views_backups
from lifeboat.cli_options import Env, Out, Output, Within, Yes, asking, duration, site_of
from lifeboat.commands import backups as backups_command
from lifeboat.commands import retention as retention_command
from lifeboat.commands.backups import Keeping
from lifeboat.database_model import PointKind
from lifeboat.decisions import recovery_points
from lifeboat.dumps.points import ALL, Scope
from lifeboat.errors import DONE, IntegrityFailure

retention = typer.Typer(
    help="How long dumps are kept: planned with every reason, and told to the buckets.", no_args_is_help=True
)


class Kind(StrEnum):
    """The kinds of recovery points, in one word each."""

    DUMP = "dump"
    AUTOMATED = "automated"
    MANUAL = "manual"
    BACKUP = "backup"
    WINDOW = "window"


_KINDS = {
    Kind.DUMP: PointKind.DUMP,
    Kind.AUTOMATED: PointKind.AUTOMATED_SNAPSHOT,
    Kind.MANUAL: PointKind.MANUAL_SNAPSHOT,
    Kind.BACKUP: PointKind.BACKUP_POINT,
    Kind.WINDOW: PointKind.POINT_IN_TIME,
}
Id = Annotated[str, typer.Argument(help="The id of a recovery point, as lifeboat backups shows it.")]
Region = Annotated[str | None, typer.Option("--region", help="Only what is in this region.")]
Database = Annotated[str | None, typer.Option("--database", help="Only dumps of this database.")]


def add_to(app: typer.Typer) -> None:
    """Make these verbs commands of the program."""
    for verb in (backups, describe, keep):
        app.command()(verb)
    app.add_typer(retention, name="retention")


def backups(
    env: Env = "local",
    output: Out = Output.TABLE,
    kind: Annotated[list[Kind] | None, typer.Option("--kind", help="Only this kind. Repeatable.")] = None,
    region: Region = None,
) -> int:
    """List every recovery point of the database, newest first: dumps, snapshots, AWS Backup, point-in-time windows.

    Both regions, copies included. A place that cannot be looked at has a row of its own, and the command ends with 8:
    fewer rows never mean fewer copies. So it does where a copy cannot be read, since its key is disabled.

    Example: lifeboat backups --kind dump --kind manual -e production -o json
    """
    kinds = frozenset(_KINDS[one] for one in kind) if kind else ALL
    found = backups_command.listed(site_of(env), Scope(kinds=kinds, region=region))
    for remark in found.remarks:
        views.Teller().warn(remark)
    if output is Output.JSON:
        views.document(views_backups.points_document(found.list))
    else:
        views_backups.points(found.list)
    found.require_known()
    recovery_points.require_readable(found.list.points)
    return DONE


def describe(wanted: Id, env: Env = "local", output: Out = Output.TABLE) -> int:
    """Show all that is known of one recovery point; of a dump what is in it, and what each verification found.

    Ends with 11 where its manifest or a proof cannot be read.

    Example: lifeboat describe 20261129T031500Z-3f9a1c -e production
    """
    found, now = backups_command.described(site_of(env), wanted), datetime.now(UTC)
    if output is Output.JSON:
        views.document(views_backups.described_document(found, now))
    else:
        views_backups.described(found, now)
    if found.dump is not None and found.dump.problem:
        raise IntegrityFailure(found.dump.problem, hint="lifeboat backups lists the other copies")
    recovery_points.require_readable(found.copies)
    return DONE


def keep(
    wanted: Id,
    *,
    env: Env = "local",
    why: Annotated[str | None, typer.Option("--why", metavar="TEXT", help="Why it is kept.")] = None,
    release: Annotated[bool, typer.Option("--release", help="Keep it no longer; nothing is deleted by that.")] = False,
    region: Region = None,
    within: Within = "2h",
    yes: Yes = False,
) -> int:
    """Keep a recovery point for ever, whatever retention says, until it is released.

    A dump is marked, a manual snapshot tagged. An automated snapshot is copied to a manual one, which is asked first. A
    recovery point of AWS Backup cannot be kept: its vault says how long it lasts.

    Example: lifeboat keep 20261129T031500Z-3f9a1c --why "before the merger" -e production
    """
    limit, here, tell = duration(within), site_of(env), views.Teller()
    if release == (why is not None):
        backups_command.require_there(here, wanted, region)
        raise typer.BadParameter("write either --why TEXT, to keep it, or --release")
    if why is None:
        views_backups.kept(backups_command.release(here, tell, wanted, region), "released")
    else:
        keeping = Keeping(wanted=wanted, region=region, why=why, within=limit)
        views_backups.kept(backups_command.keep(here, tell, asking(yes=yes), keeping), "kept")
    return DONE


@retention.command("plan")
def retention_plan(env: Env = "local", output: Out = Output.TABLE, database: Database = None) -> int:
    """Show what becomes of each dump and every reason for it; change nothing.

    The counts stand in \\[dumps.retention] of environments/<env>.toml: daily, weekly, monthly, yearly, minimum_verified,
    verified_level. Never expired: the newest complete dump, the newest verified ones, kept ones, those that a run or drill
    uses, and all while none is verified.

    Example: lifeboat retention plan --database app -e production
    """
    found = retention_command.plan(site_of(env), database)
    if output is Output.JSON:
        views.document(views_backups.retention_document(found))
    else:
        views_backups.retention(found)
    return DONE


@retention.command("apply")
def retention_apply(env: Env = "local", output: Out = Output.TABLE, database: Database = None, yes: Yes = False) -> int:
    """Show what becomes of each dump, ask, then tag it so in both regions; the buckets' rules expire what is tagged to go.

    Nothing is deleted by this command, and what expires stays below a delete marker for superseded_days.

    Example: lifeboat retention apply --yes -e production
    """
    table = output is Output.TABLE
    done = retention_command.apply(
        site_of(env), views.Teller(), views_backups.retention if table else lambda _: None, asking(yes=yes), database
    )
    if table:
        views.lines([f"{done.tagged} dumps tagged"])
    else:
        views.document({"tagged": done.tagged, **views_backups.retention_document(done.retention)})
    return DONE
