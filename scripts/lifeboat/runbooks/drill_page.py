"""The page on drills in docs/runbooks, written from their tables of steps."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, StrictUndefined

from lifeboat.drill_model import DrillScope
from lifeboat.errors import EXIT_STATUSES
from lifeboat.runbooks import drill_tables
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Step

FILE = "drill.md"
_TEMPLATE = """\
<!-- Written by `make docs` from scripts/lifeboat/runbooks/drill_tables.py; do not edit. -->
# Drill: bring it back while nothing is lost

**When.** Before anybody needs it: monthly the database, quarterly everything, and after each change of how copies are made.
The alarm [drill-stale](alarm-drill-stale.md) says when it was too long ago.

**What it costs.** What the restored database and the instance cost while they exist, minutes to hours; it says how much before
it begins, and `--max-cost USD` refuses more, and what it does not know the price of. What serves is read, and one row is written
to its heartbeat; nothing else of it is touched.

## Do this

```sh
make drill DRILL=full
```

`ENV=` chooses the environment. `DRILL=` is `database`, `instance`, `full` or `state`; `lifeboat drill database --from latest-dump`
restores another copy than the one that a recovery would take. It ends with 0 where everything came back in time, and nothing
of it is left then.

**What it needs.** A network that nothing leads out of: `drill = { enabled = true }` in the environment's `.tfvars`, then
`make apply`. The drill asks the restored database from where it runs, so that place needs a way into that network, and its
range stands in `client_cidrs` ([modules/drill-network](../../modules/drill-network/README.md)): without one a drill of the
database is refused. A route that leads anywhere else, a gateway, or a rule that lets out refuses each drill but that of the
state. The instance is asked over SSM.

## What it does

The clock runs from the step that starts it until the step in bold. Each thing is written into the ledger before it is made, and
bears the run and when it expires; whatever does not bear this run's mark is not touched. At the end, also after a failure or
Ctrl-C, all that was made is taken away, last made first, and seen to be gone; what was ordered in the last minutes, only when
nobody sees it for a minute. Its run stands in a line `run: RUN` on stderr, whatever comes of it.
{% for table in tables %}
### `lifeboat drill {{ table.scope }}`

| # | step | it asks | where that is missing, it does | at most |
|---|---|---|---|---|
{% for row in table.rows -%}
| {{ loop.index }} | {{ row.title }} | {{ row.asks }} | {{ row.does }} | {{ row.limit }} |
{% endfor -%}
{% endfor %}
A recovery goes first: one that begins meanwhile makes the drill stop at its next look, and take away what it made. Two drills
at once there are never.

## When it stops

| status | means | type |
|---|---|---|
{% for stop in stops -%}
| {{ stop.status }} | {{ stop.means }} | {{ stop.type }} |
{% endfor %}
No drill is gone on with: `lifeboat resume` refuses one. What a drill left that was killed, `lifeboat sweep` shows and removes.
It also writes the evidence of one that ended and was cut off, or refused, before that was there.

## Afterwards

`lifeboat logs RUN` shows what was seen and how long each step took. The copy and the image that came back say so
(`lifeboat:proven-at`), and the next recovery counts on it. Why it is made this way: [drills.md](../decisions/drills.md).
"""
_STOPS: tuple[tuple[int, str], ...] = (
    (2, "Mend what it names: an option, a file, a program, the SQL of a probe. What was made is gone again."),
    (
        3,
        "There is no network for drills, something leads out of it, or nobody could ask a database in it; the estimate is"
        " above `--max-cost`, or holds what nobody knows the price of; or an effect would have touched production.",
    ),
    (
        4,
        "It came back, and a step of it stayed open, which the report names: the canary was not waited for to the end, or"
        " nobody may write that a copy is proven. It counts as stopped, and is drilled anew.",
    ),
    (5, "A recovery, an apply or another drill is at it. What was made until then is gone again."),
    (
        6,
        "Nothing was ever applied, or no copy or no image fits: `lifeboat plan-recovery` and `lifeboat ami list` say why not.",
    ),
    (7, "Nobody here knows the price of something that it would make: agree, or `--yes`, without `--max-cost`."),
    (8, "A service does not answer: the message names it. Or all came back, and its evidence could not be written."),
    (
        10,
        "It came back, later or with more lost than the objectives allow, or no canary could be written. This is what a"
        " drill is for.",
    ),
    (
        11,
        "It is not what it should be: rows are missing, a probe is wrong, the canary is gone, or nobody could compare it with"
        " anything. A recovery's would be, too.",
    ),
    (12, "Something of the drill is still there: `lifeboat sweep`, once what it says is mended."),
    (130, "Interrupted; what was made is gone again."),
)


def page() -> str:
    """Return the page, as Markdown."""
    environment = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)  # noqa: S701
    return environment.from_string(_TEMPLATE).render(
        tables=[{"scope": scope.value, "rows": _rows(scope)} for scope in DrillScope],
        stops=[{"status": status, "means": EXIT_STATUSES[status], "type": text} for status, text in _STOPS],
    )


def _rows(scope: DrillScope) -> list[dict[str, str]]:
    answers = drill_tables.answering(scope).step
    return [_row(step, answers) for step in drill_tables.of(scope)]


def _row(step: Step[Recovering], answers: str) -> dict[str, str]:
    return {
        "title": f"**{step.title}**" if step.name == answers else step.title,
        "asks": _said(step.check),
        "does": "it stops" if step.do is None else _said(step.do),
        "limit": "" if step.do is None else f"{step.limit.total_seconds() / 60:.0f} min",
    }


def _said(function: Any) -> str:
    """Return the first sentence of what a function says of itself, without its last dot."""
    return " ".join((function.__doc__ or "").split("\n\n")[0].split()).removesuffix(".")
