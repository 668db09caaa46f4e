"""The verb `lifeboat restore`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from lifeboat import views, views_restores
from lifeboat.cli_options import Env, Out, Output, Yes, asking, matching, site_of
from lifeboat.commands import restore as restore_command
from lifeboat.commands.restore import Asked
from lifeboat.database_model import DUMP_ID, DumpId
from lifeboat.dumps.restoring import Tellers
from lifeboat.errors import DONE

Dump = Annotated[
    str, typer.Argument(help="A dump's id, as lifeboat backups shows it, or latest: the newest of all of the database.")
]
Database = Annotated[
    str | None,
    typer.Option("--database", metavar="NAME", help="Of which database the dump is; the stack's own by default."),
]


def add_to(app: typer.Typer) -> None:
    """Make this verb a command of the program."""
    app.command()(restore)


def dump_id(text: str) -> DumpId | None:
    """Return the dump that is named; None for the newest one."""
    return (
        None if text == "latest" else DumpId(matching(text, DUMP_ID, "latest or a dump's id: 20261129T031500Z-3f9a1c"))
    )


def restore(
    dump: Dump = "latest",
    *,
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="The new database, or an existing empty one.")],
    env: Env = "local",
    output: Out = Output.TABLE,
    database: Database = None,
    jobs: Annotated[int, typer.Option("--jobs", help="Tables and indexes restored at a time.", min=1, max=32)] = 4,
    owner: Annotated[
        str | None,
        typer.Option("--owner", metavar="ROLE", help="To whom all will belong; to whoever restores by default."),
    ] = None,
    with_grants: Annotated[
        bool, typer.Option("--with-grants", help="Give the rights that the dump has; the roles must be there.")
    ] = False,
    accept_flagged: Annotated[
        bool,
        typer.Option(
            "--accept-flagged", help="Restore a dump although it was flagged, or failed its last verification."
        ),
    ] = False,
    region: Annotated[
        str | None,
        typer.Option("--region", help="Read the copy in this region, instead of where dumps are written to."),
    ] = None,
    yes: Yes = False,
) -> int:
    """Restore a dump into a new database beside the one that serves, and compare every table with the dump's manifest.

    Refused before anything is changed: a database that is not empty, the one that the dump is of, a dump of another
    environment, of a newer server, or in doubt. What an RDS database has of AWS itself is left out by name, with the
    reason. Nothing is repointed: the application goes on with its own database.

    Example: lifeboat restore latest --to app_restored -e production
    """
    asked = Asked(
        wanted=dump_id(dump),
        database=database,
        to=to,
        jobs=jobs,
        owner=owner,
        grants=with_grants,
        accept_flagged=accept_flagged,
        region=region,
    )
    here, tell = site_of(env), views.Teller()
    rehearsal = here.local_cloud() is not None and not sys.stdin.isatty()
    with tell.waiting() as show:
        tellers = Tellers(
            say=tell.say, warn=tell.warn, tell=lambda n, total, seconds: show(views_restores.passing(n, total, seconds))
        )
        done = restore_command.run(here, tellers, asking(yes=yes or rehearsal), asked)
    if output is Output.JSON:
        views.document(views_restores.restored_document(done))
    else:
        views_restores.restored(done)
    restore_command.require_same(done)
    return DONE
