"""Run by the scan tools' Python: what rules say of configurations whose values are lost, one value after the other.

Standard input: {"files": {path: rule}}. Standard output: how many values were lost, how many of the answers were dropped for
it, and every answer that differs from the one with the value: it was given without knowing.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts"))

from lifeboat.decisions.policy import configuration, foreseen_judging  # noqa: E402 (found there)
from lifeboat.decisions.policy.foreseen import foreseen  # noqa: E402
from lifeboat.decisions.policy.registry import BY_ID  # noqa: E402

_LOST = '${file("what only Terraform reads")}'


def _said(document: dict[str, Any], rule: str) -> tuple[set[str], set[str]]:
    """Return the verdicts of a rule, and the words of its findings."""
    found = foreseen(configuration.module([document], lambda _: None), {})
    judged = foreseen_judging.judged(found, [BY_ID[rule]])
    return {one.verdict.value for one in judged}, {finding.found for one in judged for finding in one.findings}


def _places(node: dict[str, Any], path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where attributes and blocks stand in a resource."""
    for name, value in node.items():
        if name.startswith("__") or name in ("provider", "dynamic"):
            continue  # what a dynamic block goes through is lost already
        if isinstance(value, dict):
            yield from _places(value, (*path, name))
        elif isinstance(value, list):
            yield (*path, name)
            for number, one in enumerate(value):
                yield from _places(one, (*path, name, number)) if isinstance(one, dict) else ()


def _without(document: dict[str, Any], resource: int, place: tuple[Any, ...]) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    node = changed["resource"][resource]
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] = [_LOST]
    return changed


def main() -> None:
    """Answer what is asked on standard input."""
    lost, dropped, wrong = 0, 0, []
    for file, rule in json.load(sys.stdin)["files"].items():
        document = hcl2.loads(Path(file).read_text(encoding="utf-8"))
        verdicts, words = _said(document, rule)
        for number, resource in enumerate(document.get("resource", [])):
            for place in _places(resource):
                now, said = _said(_without(document, number, place), rule)
                lost += 1
                dropped += "undecided" in now - verdicts
                if not now <= verdicts | {"undecided"} or not said <= words:
                    wrong.append(f"{file}: {rule} without {'.'.join(map(str, place))}: {sorted(now)}")
    json.dump({"lost": lost, "dropped": dropped, "wrong": wrong}, sys.stdout)


if __name__ == "__main__":
    main()
