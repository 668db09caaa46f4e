"""The page of the checks, docs/status.md, written from the registry: `python -m lifeboat.runbooks.status_page docs/status.md`."""

from __future__ import annotations

import sys
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from lifeboat.decisions.status.gate import GRAVEST_FIRST, OF_WEIGHT
from lifeboat.decisions.status.registry import CHECKS
from lifeboat.errors import EXIT_STATUSES
from lifeboat.status_model import Asset

_TEMPLATE = """\
<!-- Written by `make docs` from the registry of checks in scripts/lifeboat/decisions/status/; do not edit. -->
# What `lifeboat status` checks

`lifeboat status` looks at everything anew, in both regions, and changes nothing. Each check comes out green, red or unknown.
It is green only by what was seen: where a permission is missing, a service does not answer, or a list does not come to its
end, the check is **unknown**, which counts as red and names the call. Which checks must be made follows from the stack's
output and Terraform's state, not from what answers: an alarm that was deleted is red, not absent. The last line says how many
of how many checks were executed. Why it is so: [decisions/status.md](decisions/status.md).

How old a copy may be follows from how often the stack makes it, and `late_minutes`; the other limits stand in `[status]` of
`environments/<env>.toml`.

## What a red check means for the gate

`lifeboat status --gate` ends with the first of these that holds, and with 0 where every check was made and is green:

| status | when | checks |
|---|---|---|
{% for one in gate -%}
| {{ one.status }} | {{ one.when }} | {{ one.checks }} |
{% endfor %}
With `-o nagios` it ends as a plugin of Nagios does: 0 all green, 1 too old or too slow, 2 anything graver, 3 unknown.

## The checks

| check | asks |
|---|---|
{% for check in checks -%}
| [{{ check.id }}](#{{ check.anchor }}) | {{ check.title }} |
{% endfor %}
{%- for asset in assets %}
## {{ asset.name }}
{% for check in asset.checks %}
### {{ check.id }}

**{{ check.title }}.** Red ends the gate with {{ check.status }}.

- **Why.** {{ check.why }}
- **What to do.** {{ check.act }}
- **Needs.** {{ check.asks }}
{% endfor %}
{%- endfor -%}
"""
_WHEN = {
    11: "something is damaged, or not what it says",
    12: "a drill left something behind",
    8: "something could not be looked at, or not every check was made",
    1: "a protection does not work",
    10: "everything works, and something is too old or too slow",
}


def page() -> str:
    """Return the page, as Markdown."""
    environment = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)  # noqa: S701
    checks = [
        {
            "id": check.id,
            "anchor": check.id.replace(".", ""),
            "asset": check.asset,
            "title": check.title,
            "why": check.why,
            "act": check.act,
            "asks": ", ".join(f"`{call}`" for call in check.asks),
            "status": OF_WEIGHT[check.weight],
        }
        for check in CHECKS
    ]
    gate = [
        {
            "status": f"{status} ({EXIT_STATUSES[status]})",
            "when": when,
            "checks": ", ".join(f"`{one['id']}`" for one in checks if one["status"] == status) or "any",
        }
        for status, when in ((status, _WHEN[status]) for status in GRAVEST_FIRST)
    ]
    assets = [{"name": a.value.capitalize(), "checks": [c for c in checks if c["asset"] is a]} for a in Asset]
    return environment.from_string(_TEMPLATE).render(checks=checks, gate=gate, assets=assets)


def main(path: Path) -> None:
    """Write the page."""
    path.write_text(page())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
