"""docs/policy.md and `lifeboat policy coverage` say what the registry says."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import fields
from pathlib import Path
from typing import Any

from lifeboat.decisions.policy import judging, parameters, reading, standards
from lifeboat.decisions.policy.controls import Framework
from lifeboat.decisions.policy.judging import outcome
from lifeboat.decisions.policy.overlooked import OVERLOOKED
from lifeboat.decisions.policy.parameters import Parameters
from lifeboat.decisions.policy.registry import BY_ID, RULES
from lifeboat.decisions.policy.rule import Verdict
from lifeboat.runbooks.policy_page import MEASURED_BY, page

from tests import command_line
from tests.policies.cases import CASES
from tests.policies.cases.databases import database
from tests.rehearsal import CLEAN, ROOT, passed

_MEASURES = {field.name for field in fields(Parameters)} - {"sources"}


class _Asked(Parameters):
    """Parameters that remember which of them a rule asked for."""

    def __getattribute__(self, name: str) -> Any:
        if name in _MEASURES:
            object.__getattribute__(self, "sources")[0][1].add(name)  # type: ignore[attr-defined]
        return object.__getattribute__(self, name)


def test_the_page_is_what_the_registry_says() -> None:
    assert (ROOT / "docs" / "policy.md").read_text() == page(), "run `make docs` and commit what it writes"


def test_the_page_names_for_each_rule_what_it_is_measured_by() -> None:
    asked: dict[str, set[str]] = defaultdict(set)
    for case in CASES:
        plan = reading.read(case.plan.text())
        found = parameters.of(plan.variables)
        lengths = {name: getattr(found, name) for name in _MEASURES}
        outcome(BY_ID[case.rule], plan, _Asked(**lengths, sources=(("asked", asked[case.rule]),)))  # type: ignore[arg-type]

    assert {rule: tuple(sorted(names)) for rule, names in asked.items() if names} == dict(MEASURED_BY)


def test_every_rule_is_covered_once_and_every_control_by_the_rules_that_name_it() -> None:
    found = standards.covered()

    assert [one.rule.id for one in found.rules] == [rule.id for rule in RULES]
    assert all(one.verdict is None for one in (*found.rules, *found.controls))
    named = {(control.framework, control.name, rule.id) for rule in RULES for control in rule.controls}
    assert {(one.framework, one.name, rule) for one in found.controls for rule in one.rules} == named
    assert {one.framework for one in found.controls} == set(Framework)


def test_a_control_is_as_good_as_the_worst_of_its_rules() -> None:
    scan = judging.scanned(reading.read(database(backup_retention_period=1).text()))

    found = standards.covered(scan)

    ended = {one.rule.id: one.verdict for one in found.rules}
    eleven = next(one for one in found.controls if (one.framework, one.name) == (Framework.FSBP, "RDS.11"))
    assert (ended["LB_RDS_1"], ended["LB_RDS_3"], ended["LB_STATE_1"]) == (
        Verdict.FINDINGS,
        Verdict.CLEAN,
        Verdict.ABSENT,
    )
    assert (eleven.rules, eleven.verdict, eleven.sourced) == (("LB_RDS_1",), Verdict.FINDINGS, True)
    shared = next(one for one in found.controls if (one.framework, one.name) == (Framework.ISO, "A.8.13"))
    assert {"LB_RDS_1", "LB_RDS_3"} <= set(shared.rules)
    assert shared.verdict is Verdict.FINDINGS


def test_what_is_replaced_is_replaced_by_a_rule_that_there_is() -> None:
    assert {one.rule for one in standards.REPLACED} <= BY_ID.keys()
    assert len({one.check for one in standards.REPLACED}) == len(standards.REPLACED)


def test_coverage_of_the_rules_alone_and_of_a_plan(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_bytes(database(backup_retention_period=1).text())

    alone = passed(command_line.run(Path("/"), "policy", "coverage", env=CLEAN))
    of_plan = passed(command_line.run(Path("/"), "policy", "coverage", "--plan", str(plan), "-o", "json", env=CLEAN))

    found = standards.covered()
    assert f"{len(RULES)} rules answer to {len(found.controls)} controls of {len(Framework)} standards" in alone.stdout
    document = json.loads(of_plan.stdout)
    assert {"id": "LB_RDS_1", "verdict": "findings", "judged": 1} in document["rules"]
    assert {one["check"] for one in document["replaced"]} == {one.check for one in standards.REPLACED}


def test_what_no_rule_looks_at_is_named() -> None:
    text = page()

    asked = {kind for rule in RULES if rule.id in ("LB_COV_1", "LB_COV_2") for kind in rule.types}
    assert asked & set(OVERLOOKED) == set()
    assert [name for name in OVERLOOKED.values() if name not in text] == []


def test_a_plan_and_an_environment_are_not_covered_at_once() -> None:
    done = passed(command_line.run(Path("/"), "policy", "coverage", "--plan", "x", "-e", "local", env=CLEAN), 2)

    assert "only one of them can be judged" in done.stderr
    assert "next: lifeboat policy coverage --plan plan.json, or lifeboat policy coverage -e production" in done.stderr
