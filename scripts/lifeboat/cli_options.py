"""What the commands have in common: their options, the environment they are for, and how they ask."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lifeboat import config, views
from lifeboat.database_model import RecoveryPointId, dump_begun_at
from lifeboat.decisions import durations, hints
from lifeboat.errors import DONE, ApprovalMissing, NoSuchEnvironment, WrongConfiguration
from lifeboat.model import Agree, ImageId, Prerequisite
from lifeboat.site import Site, site

_IMAGE_ID = re.compile(r"ami-(?:[0-9a-f]{8}|[0-9a-f]{17})")

_COPY_ID = re.compile(r"[A-Za-z][A-Za-z0-9:._-]{0,250}")  # of RDS or AWS Backup


class Output(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"


Env = Annotated[
    str, typer.Option("--env", "-e", help="Environment: the name of a file in environments/.", envvar="ENV")
]
Out = Annotated[Output, typer.Option("--output", "-o", help="How to print the result.")]
Yes = Annotated[bool, typer.Option("--yes", help="Agree to what would be asked. Safety checks stay in force.")]


AcceptFlagged = Annotated[
    bool,
    typer.Option(
        "--accept-flagged", help="Take the copy named by --from although it is flagged, or failed its last check."
    ),
]
AcceptRisk = Annotated[
    list[str] | None,
    typer.Option(
        "--accept-risk",
        metavar="RULE=REASON",
        help="Let pass what this rule finds in the plan; written down with the reason. Repeatable.",
    ),
]
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


def copy_id(text: str) -> RecoveryPointId:
    """Return the copy of the database that is named: an id of RDS, AWS Backup or a dump, or latest-dump."""
    if dump_begun_at(text) is not None:
        return RecoveryPointId(text)
    return RecoveryPointId(matching(text, _COPY_ID, "a copy; lifeboat plan-recovery lists them"))


_FIRST_YEAR, _LAST_YEAR = 1970, 9000


def moment_or_latest(text: str | None) -> datetime | None:
    """Return the moment that --to names; None for the latest one, and where nothing is said."""
    return None if text in (None, "latest") else moment(str(text), "--to")


def moment(text: str, option: str) -> datetime:
    """Return the time that an option names; one without a zone could be hours off."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise WrongConfiguration(
            f"{option} {text!r} is no time with a zone",
            hint=f"write it as RFC 3339, in UTC for example: {option} {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        )
    # Near the ends of the calendar, which reaches from year 1 to 9999, UTC may lie beyond them.
    if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        raise WrongConfiguration(
            f"{option} {text!r} is of no year from {_FIRST_YEAR} to {_LAST_YEAR}",
            hint=f"write it as RFC 3339, in UTC for example: {option} {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        )
    return found.astimezone(UTC)


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
    views.speak_for(None if unnamed else env, before_aws=found.shell(""))
    return found


def examined(rows: Sequence[Prerequisite], output: Output) -> int:
    """Print what a doctor found, and return the exit status; raises WrongConfiguration naming what is missing or wrong."""
    if output is Output.JSON:
        views.document(views.prerequisites_document(rows))
    else:
        views.prerequisites(rows)
    bad = [row.name for row in rows if not row.good]
    if bad:
        raise WrongConfiguration(f"missing or wrong: {', '.join(bad)}", hint="the last column says how to mend each")
    return DONE


def asking(*, yes: bool) -> Agree:
    """Return how to ask for agreement: on a terminal, or not at all where it was given already."""

    def agree(lines: Sequence[str]) -> None:
        if yes:
            return
        if not sys.stdin.isatty():
            raise ApprovalMissing(
                "these changes need somebody to agree:\n" + "\n".join(f"  {line}" for line in lines),
                hint="run it on a terminal, or add --yes",
            )
        views.lines(["These changes need your agreement:", *(f"  {line}" for line in lines)])
        if typer.prompt("Type yes to go on", default="no") != "yes":
            # Asked in the middle of a recovery too: what was done until then is for whoever carries it out to say.
            raise ApprovalMissing("not agreed to", hint="agree to it once it is right")

    return agree
