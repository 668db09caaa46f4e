"""What the commands have in common: their options, the environment they are for, and how they ask."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lifeboat import config, views
from lifeboat.commands import apply as apply_command
from lifeboat.errors import ApprovalMissing
from lifeboat.site import Site, site


class Output(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"


Env = Annotated[
    str, typer.Option("--env", "-e", help="Environment: the name of a file in environments/.", envvar="ENV")
]
Out = Annotated[Output, typer.Option("--output", "-o", help="How to print the result.")]
Yes = Annotated[bool, typer.Option("--yes", help="Agree to what would be asked. Safety checks stay in force.")]


def site_of(env: str) -> Site:
    """Return the site of an environment of the checkout that we are in."""
    return site(config.load(config.found_root(Path.cwd()), env))


def asking(*, yes: bool) -> apply_command.Agree:
    """Return how to ask for agreement: on a terminal, or not at all where it was given already."""

    def agree(lines: Sequence[str]) -> None:
        if yes:
            return
        if not sys.stdin.isatty():
            apply_command.nobody_agrees(lines)
        views.lines(["These changes need your agreement:", *(f"  {line}" for line in lines)])
        if typer.prompt("Type yes to go on", default="no") != "yes":
            raise ApprovalMissing(
                "not agreed to; nothing of the stack was changed", hint="run it again when it is right"
            )

    return agree
