"""The verb `lifeboat status`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from lifeboat import views, views_status
from lifeboat.cli_options import Env, site_of
from lifeboat.commands import status as status_command
from lifeboat.decisions.status import formats, gate
from lifeboat.errors import DONE


class Shape(StrEnum):
    """How a status is printed."""

    TABLE = "table"
    JSON = "json"
    PROMETHEUS = "prometheus"
    NAGIOS = "nagios"


def add_to(app: typer.Typer) -> None:
    """Make the verb a command of the program."""
    app.command()(status)


def status(
    env: Env = "local",
    output: Annotated[Shape, typer.Option("--output", "-o", help="table, json, prometheus or nagios.")] = Shape.TABLE,
    gated: Annotated[bool, typer.Option("--gate", help="End with the gravest of what is red or unknown.")] = False,
) -> int:
    """Show whether this environment could be recovered: each copy, its proof, the last drills, what watches over them.

    Everything is looked at anew, in both regions, and nothing is changed. What could not be looked at is unknown, which
    counts as red and says which permission or call it needs.

    With --gate: 0 all green, 11 something is damaged, 12 a drill left something, 8 something could not be seen, 1 a
    protection does not work, 10 something is too old or too slow. Of several, the first in this order counts.

    Example: lifeboat status --gate -e production
    """
    here, tell = site_of(env), views.Teller()
    found = status_command.status(here, tell)
    if output is Shape.JSON:
        views.document(formats.document(found))
    else:
        views_status.status(found)
    return gate.exit_status(found) if gated else DONE
