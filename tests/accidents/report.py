"""`make test-accidents` in a table: what plain Terraform makes of each accident, and how lifeboat got the state back.

    python -m tests.accidents.report OUTCOMES [PAGE.md]

A page as well is written where one is named.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

SHELL = 'eval "$(lifeboat local env -e local)" && '  # before what is no command of lifeboat's


_CHANGES_EACH_TIME = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]+|/\S*/(?=[^/\s]+)"
)  # ids, and where a checkout lies


def main(path: Path, page: Path | None = None) -> int:
    """Print the outcomes that the file holds, and write them into a page; returns 1 when there are none."""
    outcomes = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    modes: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for outcome in outcomes:
        modes[outcome["mode"]].append(outcome)
    console = Console(width=None if sys.stdout.isatty() else 150, emoji=False)
    for mode, found in sorted(modes.items()):
        console.print(_table(mode, found))
        console.print(f"{mode}: {_figures(found)}", markup=False)
    for outcome in outcomes:
        for line in outcome["wrong"]:
            console.print(f"{outcome['mode']}, {outcome['accident']}: {line}", markup=False)
    if page is not None:
        page.write_text("\n".join(_page(modes)) + "\n", encoding="utf-8")
    return 0 if outcomes else 1


def _table(mode: str, found: list[dict[str, Any]]) -> Table:
    table = Table(title=f"lock mode {mode}: {len(found)} accidents", show_lines=True)
    for heading in (
        "accident",
        "terraform plan",
        "as its message says",
        "what the doctor names, typed",
        "state is back",
    ):
        table.add_column(heading, overflow="fold")
    for outcome in found:
        theirs = outcome["naive"]
        afterwards = theirs["afterwards"]
        table.add_row(
            outcome["accident"],
            _said(theirs["plain"]),
            f"{theirs['advice']}: {_said(afterwards)}" if afterwards else "-",
            "\n".join(one["command"].removeprefix(SHELL) for one in outcome["typed"]),
            f"after {outcome['seconds']:.0f} s" if not outcome["wrong"] else "NO",
        )
    return table


def _page(modes: dict[str, list[dict[str, Any]]]) -> list[str]:
    lines = [
        "# Accidents to Terraform's state",
        "",
        "Each on an applied local stack: what `terraform plan` ends with and says, what doing as its message says leads to,",
        "the commands that `lifeboat state doctor` names and after which the plan is empty, and seconds until then.",
    ]
    for mode, found in sorted(modes.items()):
        lines += ["", f"## Lock mode {mode}", "", "| accident | terraform plan | as its message says | typed | s |"]
        lines += ["|---|---|---|---|---|"]
        lines += [f"| {' | '.join(_plain(cell) for cell in _cells(outcome))} |" for outcome in found]
        lines += ["", f"{_figures(found)}."]
    return lines


def _cells(outcome: dict[str, Any]) -> list[str]:
    theirs, afterwards = outcome["naive"], outcome["naive"]["afterwards"]
    return [
        outcome["accident"],
        _said(theirs["plain"]),
        f"{theirs['advice']}: {_said(afterwards)}" if afterwards else "-",
        "; ".join(f"`{one['command'].removeprefix(SHELL)}`" for one in outcome["typed"]),
        f"{outcome['seconds']:.0f}" if not outcome["wrong"] else "not back",
    ]


def _plain(cell: str) -> str:
    return _CHANGES_EACH_TIME.sub("…", " ".join(cell.split())).replace("|", "\\|")


def _said(answer: dict[str, Any]) -> str:
    return f"{answer['status']}: {answer['says']}"


def _figures(found: list[dict[str, Any]]) -> str:
    """Return how many ended well, ours and plain Terraform's, and how often that would make things once more."""
    right = sum(not outcome["wrong"] for outcome in found)
    plain = [outcome["naive"]["plain"] for outcome in found]
    last = [outcome["naive"]["afterwards"] or outcome["naive"]["plain"] for outcome in found]
    again = [answer for answer in last if answer["status"] != 1 and answer["adds"] + answer["destroys"] > 0]
    made = sum(answer["adds"] for answer in again)
    return (
        f"lifeboat {right} of {len(found)}; terraform alone {sum(map(_goes_on, plain))} of {len(found)}, as its messages say"
        f" {sum(map(_goes_on, last))} of {len(found)}, and after {len(again)} it would have made {made} things once more"
    )


def _goes_on(answer: dict[str, Any]) -> bool:
    return answer["status"] != 1 and not answer["adds"] and not answer["destroys"]


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
