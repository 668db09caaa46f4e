"""The runbooks in docs/runbooks/, written from the tables of steps: `python -m lifeboat.runbooks.pages docs/runbooks`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from lifeboat.errors import EXIT_STATUSES
from lifeboat.runbooks import drill_page, recover_both, recover_database, state_lost
from lifeboat.runbooks.recover import ANSWERS, STEPS
from lifeboat.runner import SideBySide, Step, flat

_TEMPLATE = """\
<!-- Written by `make docs` from the table of steps in {{ table }}; do not edit. -->
# {{ title }}

**When.** {{ when }}

**What it costs.** {{ cost }}

## Do this

```sh
{{ commands }}
```

The first line changes nothing: it shows {{ shows }}.
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
{% if together -%}
{{ together }}

{% endif %}
{%- if open -%}
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
    shows: str
    note: str
    steps: Sequence[Step[Any] | SideBySide[Any]]
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
        shows="what each step finds missing, what Terraform would do, and what would stop it",
        note="`ENV=` and `-e` choose the environment, `--failed-at` says when it failed, `AMI=ami-…` takes another image"
        " (`lifeboat ami list`). Without any recovery image the one that the stack was built from is taken.",
        steps=STEPS,
        answers=ANSWERS,
        stops=(
            (2, "Mend what it names: an option, a file, a variable that cannot be written. Nothing was changed."),
            (
                3,
                "Read which change or rule it refuses; `--allow ADDRESS` lets the plan touch more, `--accept-risk RULE=REASON`"
                " lets pass what a rule finds. Nothing was changed.",
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
    Scenario(
        file="database-lost.md",
        table="scripts/lifeboat/runbooks/recover_database.py",
        title="The database is lost, or its data is wrong",
        when="The instance runs, and the database is deleted, has failed, is full, or holds wrong data: a table was dropped, a"
        " migration went wrong. Without a living instance, see [everything-lost.md](everything-lost.md).",
        cost="What was written after the moment that it comes back to. RDS keeps every second of the retention time until about"
        " five minutes ago. The old database stays as it is, and what was written to it since is in it.",
        commands=(
            "lifeboat plan-recovery",
            "make recover SCOPE=database",
        ),
        shows="every copy, what is lost with it, which one would be restored and why the others would not",
        note="Where data is wrong, write the moment just before the damage: `plan-recovery --to 2026-03-01T03:11:00Z` and"
        " `TO=2026-03-01T03:11:00Z`; the log of the database says when a table was dropped. Without it, it is the latest moment"
        " that RDS has. `lifeboat recover --scope database --from COPY` takes one copy, `--from latest-dump` the newest dump"
        " that nothing speaks against: it comes into an instance that is made empty for it, and is compared to the row. A dump"
        " holds no roles, no grants and no settings of the server, so by itself one is taken only where RDS has nothing left."
        " A moment that no copy reaches is refused with the window.",
        steps=recover_database.STEPS,
        answers=ANSWERS,
        stops=(
            (2, "Mend what it names: a moment without a zone or to come, an option, a file. Nothing was changed."),
            (
                3,
                "Read which change it refuses, or what must be there first; `--allow ADDRESS` lets the plan touch more,"
                " `--accept-risk RULE=REASON` lets pass what a rule finds.",
            ),
            (
                4,
                "`lifeboat resume`, here or elsewhere, once what it names is mended. What was restored holds no row, or is not"
                " what the dump's manifest says: `lifeboat abort` gives it up and deletes it, unless an apply that was cut off"
                " may have led the application to it; then take another copy. Tables lack their rows, or something of the"
                " application is still connected to the old database: see to it, or agree with `lifeboat resume --yes`. The"
                " application answers from the old database: let it read its secret, `lifeboat app restart`, then resume.",
            ),
            (5, "Somebody else is at it: `lifeboat logs RUN` shows what they do."),
            (6, "No copy holds that moment, or the one that was chosen cannot be restored: `lifeboat plan-recovery`."),
            (
                7,
                "The application answers, and nobody named a moment: agree that what is written now stays behind. Or a better"
                " copy may be where nobody could look: name one with `--from`, or agree.",
            ),
            (8, "A service does not answer: the message names it and the next command."),
            (
                10,
                "The application is back, later or with more lost than the objectives allow. The report says how much.",
            ),
            (
                11,
                "Terraform's state or the recovery file is not what was written: `lifeboat state doctor`. Nothing was changed.",
            ),
            (130, "`lifeboat resume`."),
        ),
        afterwards="Commit `environments/<env>.recovery.tfvars.json`: an apply from another checkout is refused without it,"
        " and `lifeboat recovery-file` writes it there as Terraform's state says. Look for what was written after the moment:"
        " it is in the old database, which serves nobody and still costs. When nobody misses anything of it,"
        " `lifeboat retire g1` takes it away; a snapshot of it stays.",
    ),
    Scenario(
        file="everything-lost.md",
        table="scripts/lifeboat/runbooks/recover_both.py",
        title="Instance and database are lost",
        when="Neither the instance nor the database can serve: both are gone, or nobody trusts either of them any more.",
        cost="What was written to the root volume since the image was taken, and to the database after the moment that it comes"
        " back to.",
        commands=(
            "lifeboat recover --scope full --preview",
            "make recover SCOPE=full",
        ),
        shows="what each step finds missing, and what would stop it",
        note="`TO=` and `--from` choose the copy of the database as in [database-lost.md](database-lost.md), `AMI=` the image"
        " as in [instance-lost.md](instance-lost.md).",
        steps=recover_both.STEPS,
        answers=ANSWERS,
        stops=(
            (2, "Mend what it names: an option, a file, a variable that cannot be written. Nothing was changed."),
            (
                3,
                "Read which change or rule it refuses; `--allow ADDRESS` lets the plan touch more, `--accept-risk RULE=REASON` lets"
                " pass what a rule finds.",
            ),
            (
                4,
                "`lifeboat resume`, here or on any other machine, once what it names is mended: as in"
                " [database-lost.md](database-lost.md); `lifeboat abort` gives it up.",
            ),
            (5, "Somebody else is at it: `lifeboat logs RUN` shows what they do."),
            (6, "No image or no copy fits: `lifeboat ami list` and `lifeboat plan-recovery` say why not."),
            (7, "What still serves would be replaced, or a deployment waits for approval: agree, or have it approved."),
            (8, "A service does not answer: the message names it and the next command."),
            (
                10,
                "The application is back, later or with more lost than the objectives allow. The report says how much.",
            ),
            (
                11,
                "Terraform's state or the recovery file is not what was written: `lifeboat state doctor`. Nothing was changed.",
            ),
            (130, "`lifeboat resume`."),
        ),
        afterwards="Commit `environments/<env>.recovery.tfvars.json`. Bake a new image (`lifeboat ami bake`), and when nobody"
        " misses anything of the old database, `lifeboat retire g1`, where it is still there.",
    ),
)


def page(scenario: Scenario) -> str:
    """Return the page of a scenario, as Markdown."""
    environment = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)  # noqa: S701
    steps = flat(scenario.steps)
    numbers = {step.name: number for number, step in enumerate(steps, start=1)}
    rows = [
        {
            "number": numbers[step.name],
            "title": step.title,
            "asks": _said(step.check),
            "does": "it stops" if step.do is None else _said(step.do),
            "limit": "" if step.do is None else f"{step.limit.total_seconds() / 60:.0f} min",
        }
        for step in steps
    ]
    return environment.from_string(_TEMPLATE).render(
        table=scenario.table,
        title=scenario.title,
        when=scenario.when,
        cost=scenario.cost,
        commands="\n".join(scenario.commands),
        note=scenario.note,
        shows=scenario.shows,
        answers=numbers[scenario.answers],
        rows=rows,
        open=", ".join(str(numbers[step.name]) for step in steps if step.may_stay_open),
        together=_together(scenario.steps, numbers),
        stops=[{"status": status, "means": EXIT_STATUSES[status], "type": text} for status, text in scenario.stops],
        afterwards=scenario.afterwards,
    )


def _together(rows: Sequence[Step[Any] | SideBySide[Any]], numbers: dict[str, int]) -> str:
    """Return which steps run side by side; nothing where none do."""
    found = [row for row in rows if isinstance(row, SideBySide)]
    return " ".join(
        f"Steps {numbers[row.beside[0].name]} to {numbers[row.beside[-1].name]} run beside steps"
        f" {numbers[row.here[0].name]} to {numbers[row.here[-1].name]}."
        for row in found
    )


def _said(function: Any) -> str:
    """Return the first sentence of what a function says of itself, without its last dot."""
    return " ".join((function.__doc__ or "").split("\n\n")[0].split()).removesuffix(".")


def main(folder: Path) -> None:
    """Write every page."""
    for scenario in SCENARIOS:
        (folder / scenario.file).write_text(page(scenario))
    (folder / state_lost.FILE).write_text(state_lost.page())
    (folder / drill_page.FILE).write_text(drill_page.page())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
