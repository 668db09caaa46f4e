"""The runbooks in docs/runbooks/, written from the tables of steps: `python -m lifeboat.runbooks.pages docs/runbooks`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from lifeboat.errors import EXIT_STATUSES
from lifeboat.runbooks.recover import ANSWERS, STEPS
from lifeboat.runner import Step

_TEMPLATE = """\
<!-- Written by `make docs` from the table of steps in {{ table }}; do not edit. -->
# {{ title }}

**When.** {{ when }}

**What it costs.** {{ cost }}

## Do this

```sh
{{ commands }}
```

The first line changes nothing: it shows what each step finds missing, what Terraform would do, and what would stop it.
{{ note }}

## What it does

The clock runs from the declared failure until step {{ answers }}. A step whose question is answered is skipped, so the same
command can be given again at any time. Each side effect is written down before and after it happens, on this machine and
in the state bucket below `runs/`.

| # | step | it asks | where that is missing, it does | at most |
|---|---|---|---|---|
{% for row in rows -%}
| {{ row.number }} | {{ row.title }} | {{ row.asks }} | {{ row.does }} | {{ row.limit }} |
{% endfor %}
{% if open -%}
Steps that may stay open when a service does not answer, for `lifeboat resume` to finish: {{ open }}.
{% endif %}
## When it stops

| status | means | type |
|---|---|---|
{% for stop in stops -%}
| {{ stop.status }} | {{ stop.means }} | {{ stop.type }} |
{% endfor %}
`lifeboat runs` lists what is open, `lifeboat logs RUN` shows every line of it.

## Afterwards

{{ afterwards }}
"""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What a page says beside its steps; `stops` are the statuses that it may end with, and what to type then."""

    file: str
    table: str
    title: str
    when: str
    cost: str
    commands: tuple[str, ...]
    note: str
    steps: Sequence[Step[Any]]
    answers: str
    stops: tuple[tuple[int, str], ...]
    afterwards: str


SCENARIOS = (
    Scenario(
        file="instance-lost.md",
        table="scripts/lifeboat/runbooks/recover.py",
        title="The instance is lost",
        when="The public name does not answer, the instance is terminated, fails its status checks, or was changed in a"
        " way that nobody can undo. The database is there: its own runbook is another one.",
        cost="What was written to the root volume since the image was taken. Data in the database is not touched.",
        commands=(
            "lifeboat recover --preview",
            "make recover AMI=latest",
        ),
        note="`ENV=` and `-e` choose the environment, `--failed-at` says when it failed, `AMI=ami-…` takes another image"
        " (`lifeboat ami list`). Without any recovery image the one that the stack was built from is taken.",
        steps=STEPS,
        answers=ANSWERS,
        stops=(
            (2, "Mend what it names: an option, a file, a variable that cannot be written. Nothing was changed."),
            (
                3,
                "Read which change or rule it refuses; `--allow ADDRESS` lets the plan touch more. Nothing was changed.",
            ),
            (4, "`lifeboat resume`, here or on any other machine; `lifeboat abort` gives it up."),
            (5, "Somebody else is at it: `lifeboat logs RUN` shows what they do."),
            (6, "No image fits: `lifeboat ami list` says why not; `lifeboat ami from-snapshot latest` makes one."),
            (7, "What still serves would be replaced, or a deployment waits for approval: agree, or have it approved."),
            (8, "A service does not answer: the message names it and the next command."),
            (10, "The application is back, later than the objective allows. The report says where the time went."),
            (130, "`lifeboat resume`."),
        ),
        afterwards="Commit `environments/<env>.recovery.tfvars.json`: it keeps the image, and every apply from another"
        " checkout would go back to the old one without it. Bake a new image once the application is well"
        " (`lifeboat ami bake`), and find out what killed the instance.",
    ),
)


def page(scenario: Scenario) -> str:
    """Return the page of a scenario, as Markdown."""
    environment = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)  # noqa: S701
    numbers = {step.name: number for number, step in enumerate(scenario.steps, start=1)}
    rows = [
        {
            "number": numbers[step.name],
            "title": step.title,
            "asks": _said(step.check),
            "does": "it stops" if step.do is None else _said(step.do),
            "limit": "" if step.do is None else f"{step.limit.total_seconds() / 60:.0f} min",
        }
        for step in scenario.steps
    ]
    return environment.from_string(_TEMPLATE).render(
        table=scenario.table,
        title=scenario.title,
        when=scenario.when,
        cost=scenario.cost,
        commands="\n".join(scenario.commands),
        note=scenario.note,
        answers=numbers[scenario.answers],
        rows=rows,
        open=", ".join(str(numbers[step.name]) for step in scenario.steps if step.may_stay_open),
        stops=[{"status": status, "means": EXIT_STATUSES[status], "type": text} for status, text in scenario.stops],
        afterwards=scenario.afterwards,
    )


def _said(function: Any) -> str:
    """Return the first sentence of what a function says of itself, without its last dot."""
    return " ".join((function.__doc__ or "").split("\n\n")[0].split()).removesuffix(".")


def main(folder: Path) -> None:
    """Write every page."""
    for scenario in SCENARIOS:
        (folder / scenario.file).write_text(page(scenario))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
