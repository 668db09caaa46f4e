"""The verb `lifeboat dump`."""

from __future__ import annotations

from typing import Annotated

import typer

from lifeboat import views, views_dump
from lifeboat.cli_options import Env, Out, Output, site_of
from lifeboat.commands import dump as dump_command
from lifeboat.commands.dump import Wanted
from lifeboat.database_model import Selection

_Many = list[str] | None


def add_to(app: typer.Typer) -> None:
    """Make the verb a command of the program."""
    app.command()(dump)


def dump(
    *,
    env: Env = "local",
    output: Out = Output.TABLE,
    database: Annotated[
        _Many, typer.Option("--database", metavar="NAME", help="Dump this database of the server. Repeatable.")
    ] = None,
    schema: Annotated[
        _Many, typer.Option("--schema", metavar="PATTERN", help="Only schemas like this: sales, 's*'. Repeatable.")
    ] = None,
    table: Annotated[
        _Many,
        typer.Option("--table", metavar="PATTERN", help="Only tables like this: orders, 'sales.*'. Repeatable."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", "-j", help="pg_dumps that read rows side by side; by default 1 below 5 GB.", min=1, max=64
        ),
    ] = None,
    accept_smaller: Annotated[
        bool,
        typer.Option("--accept-smaller", help="Take these dumps as the new measure, however small they are."),
    ] = False,
) -> int:
    """Dump the database into the dump bucket, streamed, and write down what is in it, row counts and fingerprints.

    All of a dump is of one snapshot. It becomes one with its manifest, written last: of a dump that fails nothing is left.
    One that is much smaller than those before it is kept and flagged, and ends with 11.

    Example: lifeboat dump --jobs 4 -e production
    """
    wanted = Wanted(
        databases=tuple(database or ()),
        selection=Selection(schemas=tuple(schema or ()), tables=tuple(table or ())),
        jobs=jobs,
        accepting=accept_smaller,
    )
    done = dump_command.run(site_of(env), views.Teller(), wanted)
    if output is Output.JSON:
        views.document(views_dump.outcomes_document(done))
    else:
        views_dump.outcomes(done)
    for outcome in done:
        if outcome.problem is not None:
            views.error(outcome.problem)
    return dump_command.status(done)
