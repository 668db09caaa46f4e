"""What the commands have in common: their options, the environment they are for, and how they ask."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lifeboat import config, views
from lifeboat.commands import apply as apply_command
from lifeboat.decisions import durations, hints
from lifeboat.errors import ApprovalMissing, NoSuchEnvironment
from lifeboat.model import Agree, ImageId
from lifeboat.site import Site, site

_IMAGE_ID = re.compile(r"ami-(?:[0-9a-f]{8}|[0-9a-f]{17})")


class Output(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"


Env = Annotated[
    str, typer.Option("--env", "-e", help="Environment: the name of a file in environments/.", envvar="ENV")
]
Out = Annotated[Output, typer.Option("--output", "-o", help="How to print the result.")]
Yes = Annotated[bool, typer.Option("--yes", help="Agree to what would be asked. Safety checks stay in force.")]


Within = Annotated[str, typer.Option("--within", metavar="TIME", help="When to give up waiting: 45s, 90m, 4h.")]


def duration(text: str) -> timedelta:
    """Return the length of time that an option names."""
    found = durations.parsed(text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no length of time; write 45s, 90m, 4h or 7d")
    return found


def image_id(text: str) -> ImageId | None:
    """Return the image that is named; None for the newest one."""
    return None if text == "latest" else ImageId(matching(text, _IMAGE_ID, "latest or an image id: ami-…"))


def matching(text: str, pattern: re.Pattern[str], wanted: str) -> str:
    """Return the text of an option when it has the form that is wanted."""
    if not pattern.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is not {wanted}")
    return text


def site_of(env: str) -> Site:
    """Return the site of an environment of the checkout that we are in; what to type next is from then on for it."""
    try:
        found = site(config.load(config.found_root(Path.cwd()), env))
    except NoSuchEnvironment as error:
        if error.meant is not None:
            error.hint = hints.with_environment(sys.argv[1:], typed=env, meant=error.meant)
        raise
    unnamed = env == hints.DEFAULT and os.environ.get("ENV", env) == env
    views.speak_for(None if unnamed else env)
    return found


def asking(*, yes: bool) -> Agree:
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
