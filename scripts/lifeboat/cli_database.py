"""The verbs of the database's generations: plan-recovery, recovery-file, retire."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from lifeboat import views, views_database
from lifeboat.cli_options import (
    AcceptFlagged,
    Env,
    Out,
    Output,
    Yes,
    asking,
    copy_id,
    matching,
    moment,
    moment_or_latest,
    site_of,
)
from lifeboat.commands import plan_recovery as plan_command
from lifeboat.commands import recovery_file as file_command
from lifeboat.commands import retire as retire_command
from lifeboat.commands.plan_recovery import Question
from lifeboat.errors import DONE

_GENERATION = re.compile(r"g[1-9][0-9]{0,3}")


def add_to(app: typer.Typer) -> None:
    """Make these verbs commands of the program."""
    app.command("plan-recovery")(plan_recovery)
    app.command("recovery-file")(recovery_file)
    app.command()(retire)


def plan_recovery(
    *,
    env: Env = "local",
    output: Out = Output.TABLE,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME", help="The moment to come back to: latest, or RFC 3339 with a zone."),
    ] = None,
    copy: Annotated[
        str | None,
        typer.Option("--from", metavar="COPY", help="Only this copy; latest-dump: the newest dump that fits."),
    ] = None,
    failed_at: Annotated[
        str | None, typer.Option("--failed-at", metavar="TIME", help="When it failed; the loss is counted from there.")
    ] = None,
    accept_flagged: AcceptFlagged = False,
) -> int:
    """Show every copy of the database, what is lost with it, how long it takes, and which one a recovery would restore.

    Changes nothing. Ends with 6 where nothing fits what is asked.

    Example: lifeboat plan-recovery --to 2026-03-01T03:11:00Z -e production
    """
    question = Question(
        to=moment_or_latest(to),
        named=None if copy is None else copy_id(copy),
        failed_at=None if failed_at is None else moment(failed_at, "--failed-at"),
        accepted=accept_flagged,
    )
    found, refusal = plan_command.run(site_of(env), question)
    if output is Output.JSON:
        views.document(views_database.planned_document(found))
    else:
        views_database.planned(found)
    if refusal is not None:
        raise refusal
    return DONE


def recovery_file(
    *,
    env: Env = "local",
    output: Out = Output.TABLE,
    preview: Annotated[bool, typer.Option("--preview", help="Show what it would say; write nothing.")] = False,
) -> int:
    """Write the recovery file of this checkout as Terraform's state says: which databases there are, which of them serves.

    And which image runs, where a recovery launched it. For a checkout that has an older file than the newest recovery's, or
    none: an apply from there is refused. Nothing but the file is changed. Refused while a recovery is open.

    Example: lifeboat recovery-file -e production
    """
    here = site_of(env)
    found = file_command.preview(here) if preview else file_command.run(here, views.Teller())
    if output is Output.JSON:
        views.document(views_database.recovery_file_document(found))
    else:
        views_database.recovery_file(found)
    return DONE


def retire(
    generation: Annotated[str, typer.Argument(help="The generation to take away: g1.")],
    *,
    env: Env = "local",
    preview: Annotated[bool, typer.Option("--preview", help="Show what would go; change nothing.")] = False,
    yes: Yes = False,
) -> int:
    """Take away an older generation of the database, which a recovery has left; a snapshot of it stays.

    Refused for the one that serves. The snapshot is there before anything is deleted.

    Example: lifeboat retire g1 -e production
    """
    name = matching(generation, _GENERATION, "a generation of the database: g1, g2 …")
    here = site_of(env)
    if preview:
        views.lines([*retire_command.lines(retire_command.preview(here, name)), "nothing was changed"])
        return DONE
    done = retire_command.run(here, views.Teller(), name, asking(yes=yes))
    views.lines(
        [
            f"{done.identifier} is gone; "
            + (
                f"the snapshot {done.snapshot} stays until somebody deletes it"
                if done.snapshot
                else "no snapshot of it is there, for it was gone before: its automated backups stay until they expire"
            ),
            f"commit it, else an apply from elsewhere is refused: {done.to_commit}",
        ]
    )
    return DONE
