"""The verbs that drill: drill database, instance, full, state; and sweep, which clears up after one that was killed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from lifeboat import views, views_drill, views_recovery
from lifeboat.cli_options import Env, Out, Output, Yes, asking, copy_id, site_of
from lifeboat.clients.journal import Journal
from lifeboat.commands import drill as drill_command
from lifeboat.commands import sweep as sweep_command
from lifeboat.drill_model import DrillRequest, DrillScope
from lifeboat.errors import DONE
from lifeboat.runbooks import drill_tables
from lifeboat.runner import Watcher

drill = typer.Typer(
    help="A recovery rehearsed in isolation: restored for real, proven, timed, and taken away again.",
    no_args_is_help=True,
)

From = Annotated[
    str | None,
    typer.Option("--from", metavar="COPY", help="From this copy, as lifeboat plan-recovery names it, or latest-dump."),
]
MaxCost = Annotated[
    float | None,
    typer.Option("--max-cost", metavar="USD", help="Refuse a drill that is expected to cost more.", min=0.0),
]


def add_to(app: typer.Typer) -> None:
    """Make these verbs commands of the program."""
    app.add_typer(drill, name="drill")
    app.command()(sweep)


@drill.command("database")
def drill_database(
    *,
    env: Env = "local",
    output: Out = Output.TABLE,
    copy: From = None,
    max_cost: MaxCost = None,
    yes: Yes = False,
) -> int:
    """Restore the database from the copy that a recovery would take, into a network that nothing leads out of.

    A canary row is written to the heartbeat of the database in service, waited for, and looked for in what is restored;
    tables are compared with those in service and the newest dump, and [\\[dumps.probes]] are asked. 11 where something is
    not as it must be, 10 where it took too long or lost too much, 12 where something could not be taken away again.

    Example: lifeboat drill database --max-cost 1 -e production
    """
    return _drilled(env, DrillRequest(scope=DrillScope.DATABASE, copy=_copy(copy), max_cost=max_cost), output, yes=yes)


@drill.command("instance")
def drill_instance(
    *, env: Env = "local", output: Out = Output.TABLE, max_cost: MaxCost = None, yes: Yes = False
) -> int:
    """Launch the image that a recovery would take, in isolation, until its application answers on its own host.

    It has no database there: that it answers at all proves that the image boots and starts it, and is noted on the image.

    Example: lifeboat drill instance -e production
    """
    return _drilled(env, DrillRequest(scope=DrillScope.INSTANCE, max_cost=max_cost), output, yes=yes)


@drill.command("full")
def drill_full(
    *,
    env: Env = "local",
    output: Out = Output.TABLE,
    copy: From = None,
    max_cost: MaxCost = None,
    yes: Yes = False,
) -> int:
    """Restore the database, launch the instance beside it, and wait until the application is well with what was restored.

    Example: lifeboat drill full --max-cost 2 -e production
    """
    return _drilled(env, DrillRequest(scope=DrillScope.FULL, copy=_copy(copy), max_cost=max_cost), output, yes=yes)


@drill.command("state")
def drill_state(*, env: Env = "local", output: Out = Output.TABLE, yes: Yes = False) -> int:
    """Copy the newest sound version of Terraform's state to a key of its own, and plan with it: nothing changes.

    Example: lifeboat drill state -e production
    """
    return _drilled(env, DrillRequest(scope=DrillScope.STATE), output, yes=yes)


def sweep(*, env: Env = "local", output: Out = Output.TABLE, yes: Yes = False) -> int:
    """Remove what drills left that were killed, by their ledgers and by their mark, after it is shown.

    What does not bear the mark is never removed. 12 where something stays, or where nobody could look. Of drills and recoveries
    that ended, and were cut off before their evidence was written, it is written now.

    Example: lifeboat sweep -e production
    """
    swept = sweep_command.run(site_of(env), views.Teller(), asking(yes=yes))
    if output is Output.JSON:
        views.document(views_drill.swept_document(swept))
    else:
        views_drill.swept(swept)
    return DONE


def _copy(text: str | None) -> str | None:
    return None if text is None else copy_id(text)


def _drilled(env: str, request: DrillRequest, output: Output, *, yes: bool) -> int:
    here = site_of(env)
    done = drill_command.run(here, _orders(yes=yes), request)
    if output is Output.JSON:
        views.document(views_drill.report_document(done))
    else:
        views_drill.report(done, drill_tables.titles(done.scope))
    return done.exit_status


def _orders(*, yes: bool) -> drill_command.Orders:
    def watch(journal: Journal, objective: timedelta) -> Watcher:
        def failed_at() -> datetime | None:
            noted = [event.data["failed_at"] for event in journal.events if "failed_at" in event.data]
            return datetime.fromisoformat(noted[-1]) if noted else None

        return views_recovery.Steps(objective=objective, failed_at=failed_at, now=lambda: datetime.now(UTC))

    return drill_command.Orders(tell=views.Teller(), watch=watch, agree=asking(yes=yes))
