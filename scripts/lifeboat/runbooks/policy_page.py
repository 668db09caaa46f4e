"""The page of the rules, docs/policy.md, written from the registry: `python -m lifeboat.runbooks.policy_page docs/policy.md`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from lifeboat.decisions.policy import parameters, standards
from lifeboat.decisions.policy.coverage import BACKUP_TYPES
from lifeboat.decisions.policy.lengths import words
from lifeboat.decisions.policy.overlooked import OVERLOOKED
from lifeboat.decisions.policy.parameters import Parameters
from lifeboat.decisions.policy.registry import RULES
from lifeboat.decisions.policy.rule import AnyRule

_TEMPLATE = """\
<!-- Written by `make docs` from the registry of rules in scripts/lifeboat/decisions/policy/; do not edit. -->
# The rules of disaster recovery

`lifeboat scan` judges a plan by them, and so does every `lifeboat apply` and `lifeboat recover` before it changes anything.
Why they are as they are: [decisions/policy.md](decisions/policy.md). `lifeboat policy explain RULE` prints one of them,
`lifeboat policy coverage` the controls that they answer to.

A finding of **high** or **critical** severity fails a scan (1). It stops an apply or a recovery (3) where the plan brings it
about: what was there before is told, and stops nothing. Who knows the risk says so, with a reason that is written into the
journal and the report: `lifeboat apply --accept-risk LB_RDS_1='we leave RDS on Friday'`. What no rule could judge is named.

## What is measured by

Each is a variable of the plan itself; where it has none, the default counts.

| measure | variables, the first that is set | default |
|---|---|---|
{% for one in measures -%}
| `{{ one.name }}` | {{ one.variables }} | {{ one.default }} |
{% endfor %}
## The rules

| rule | severity | asks for |
|---|---|---|
{% for rule in rules -%}
| [{{ rule.id }}](#{{ rule.id|lower }}) | {{ rule.severity }} | {{ rule.title }} |
{% endfor %}
## What is not looked at

- **Asked whether copies are taken of it** (LB_COV_1, and LB_COV_2 where it says that it holds data): {{ asked }}.
- **Not looked at**: {{ overlooked }}. A scan of a plan that has any of it says so, and is no worse for it.
{% for rule in rules %}
### {{ rule.id }}

**{{ rule.title }}** ({{ rule.severity }})

{{ rule.why }}

- **What to change.** {{ rule.change }}
- **Of.** {{ rule.types }}
{%- if rule.measures %}
- **Measured by.** {{ rule.measures }}
{%- endif %}
- **Controls.** {{ rule.controls }}
{% endfor %}
## Checks of checkov that they replace

| checkov's own | asks for | replaced by | what it does not see, or sees wrongly |
|---|---|---|---|
{% for one in replaced -%}
| {{ one.check }} | {{ one.title }} | [{{ one.rule }}](#{{ one.rule|lower }}) | {{ one.blind_to }} |
{% endfor -%}
"""

# Which measures a rule asks for (held against the rules themselves in tests/policies/test_policy_page.py).
MEASURED_BY: Mapping[str, tuple[str, ...]] = {
    "LB_RDS_1": ("min_retention",),
    "LB_RDS_4": ("rpo",),
    "LB_RDS_6": ("rpo",),
    "LB_RDS_7": ("disposable",),
    "LB_PLAN_1": ("rpo",),
    "LB_PLAN_2": ("min_backup", "rpo"),
    "LB_PLAN_3": ("rpo",),
    "LB_DLM_1": ("rpo",),
    "LB_DLM_2": ("min_backup", "rpo"),
    "LB_TEST_2": ("drill", "rpo"),
    "LB_STATE_1": ("disposable",),
    "LB_STATE_3": ("state_keep",),
    "LB_DUMP_1": ("min_dump",),
    "LB_DUMP_2": ("disposable", "min_backup"),
    "LB_ALARM_2": ("rpo",),
    "LB_ENC_2": ("key_window",),
}


def page() -> str:
    """Return the page, as Markdown."""
    environment = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)  # noqa: S701
    return environment.from_string(_TEMPLATE).render(
        measures=_measures(),
        rules=[_rule(rule) for rule in RULES],
        replaced=standards.REPLACED,
        asked=_services(BACKUP_TYPES),
        overlooked=_services(OVERLOOKED),
    )


def _services(by_type: Mapping[str, str]) -> str:
    *most, last = sorted(set(by_type.values()))
    return f"{', '.join(most)} and {last}"


def _measures() -> list[dict[str, str]]:
    defaults = Parameters()
    found = []
    for name, variables, _ in parameters.FROM:
        default = getattr(defaults, name)
        assert isinstance(default, timedelta)
        found.append(
            {
                "name": name,
                "variables": ", ".join(f"`var.{variable}`" for variable in variables),
                "default": words(default),
            }
        )
    of_disposable = ", ".join(f"`var.{variable}`" for variable in parameters.DISPOSABLE)
    return [*found, {"name": "disposable", "variables": of_disposable, "default": "no"}]


def _rule(rule: AnyRule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "severity": rule.severity.name.lower(),
        "title": rule.title,
        "why": rule.why,
        "change": rule.change,
        "types": ", ".join(f"`{name}`" for name in rule.types) or "the plan as a whole",
        "measures": ", ".join(f"`{name}`" for name in MEASURED_BY.get(rule.id, ())),
        "controls": "; ".join(
            f"{one.framework.value} {one.name}{'' if one.sourced else ' (our choice)'}" for one in rule.controls
        ),
    }


def main(path: Path) -> None:
    """Write the page."""
    path.write_text(page())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
