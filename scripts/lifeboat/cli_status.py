"""The verb `lifeboat status`."""

from __future__ import annotations

import sys
import time
from enum import StrEnum
from typing import Annotated

import typer

from lifeboat import views, views_status
from lifeboat.cli_options import Env, duration, site_of
from lifeboat.commands import status as status_command
from lifeboat.decisions.status import formats, gate
from lifeboat.errors import DONE, LifeboatError


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
    *,
    env: Env = "local",
    output: Annotated[Shape, typer.Option("--output", "-o", help="table, json, prometheus or nagios.")] = Shape.TABLE,
    gated: Annotated[bool, typer.Option("--gate", help="End with the gravest of what is red or unknown.")] = False,
    watched: Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")] = False,
    every: Annotated[
        str | None, typer.Option("--every", metavar="TIME", help="With --watch: how often: 30s (which is meant), 5m.")
    ] = None,
    published: Annotated[bool, typer.Option("--publish", help="Write ages, sizes and counts to CloudWatch.")] = False,
) -> int:
    """Show whether this environment could be recovered: each copy, its proof, the last drills, what watches over them.

    Everything is looked at anew, in both regions, and nothing is changed. What could not be looked at is unknown, which
    counts as red and says which permission or call it needs. docs/status.md lists the checks.

    With --gate it ends with 11 where something is damaged, 12 where a drill left something, 8 where something could not
    be seen, 1 where a protection does not work, 10 where something is too old or too slow, the first of these that holds,
    and with 0 where all is green. With -o nagios it ends as a plugin of Nagios does (0, 1, 2, 3).

    Example: lifeboat status --gate -e production
    """
    if every is not None and not watched:
        raise typer.BadParameter("--every says how often --watch looks; without it, a status is made once")
    pause = duration(every or "30s")
    besides = [*(["--output"] if output is not Shape.TABLE else []), *(["--gate"] if gated else [])]
    besides += ["--publish"] if published else []
    if watched and besides:
        raise typer.BadParameter(f"--watch shows the table and nothing else, so not with {' and '.join(besides)}")
    try:
        here = site_of(env)
        if watched:
            if not sys.stdout.isatty():
                raise typer.BadParameter("--watch needs a terminal")
            with views_status.watching() as show:
                status_command.watch(here, show, pause, time.sleep)
        looked = status_command.status(here, views.Teller())
    except LifeboatError as problem:
        if output is not Shape.NAGIOS or gated:
            raise
        views.error(problem)
        views_status.text(formats.nagios_unseen(problem.summary))
        return gate.NAGIOS_UNKNOWN
    found = looked.status
    if output is Shape.JSON:
        views.document(formats.document(found))
    elif output is Shape.PROMETHEUS:
        views_status.text(formats.prometheus(found, looked.measures))
    elif output is Shape.NAGIOS:
        views_status.text(formats.nagios(found, looked.measures))
    else:
        views_status.status(found)
    if published:
        views.Teller().say(f"{status_command.publish(here, looked)} metrics written")
    if gated:
        return gate.exit_status(found)
    return gate.nagios_status(found) if output is Shape.NAGIOS else DONE
