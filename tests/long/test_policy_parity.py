"""The rules say of a configuration, inside checkov, what they say of its plan, or nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lifeboat.decisions.policy import judging, reading
from lifeboat.decisions.policy.registry import RULES
from lifeboat.decisions.policy.reported import block_of
from lifeboat.decisions.policy.rule import Verdict

from tests.policies import hcl, scan_tools
from tests.policies.cases import CASES

# Where a configuration cannot answer what its plan can, and why. All else must be answered alike.
_CHANGES = "what a plan changes, and what comes of its checks, is in no configuration"
_DEFAULTS = "whether a cluster's provider knows delete_automated_backups is in a plan alone"
_IMAGE = "whether an instance keeps its old image is in a plan alone"
ABSTAINS = {
    **{case.id: _CHANGES for case in CASES if case.rule in ("LB_TF_1", "LB_TF_2")},
    **{case.id: _IMAGE for case in CASES if case.rule == "LB_REC_2"},
    "LB_COV_1: each by its own of many": "an index that is no constant is worked out in a plan alone",
    "LB_VAULT_1: a lock of the other region's vault of the same name": "a known name is read without what it refers to",
    "LB_RDS_3: a cluster of a provider without the argument": _DEFAULTS,
    "LB_RDS_3: a cluster without a snapshot": _DEFAULTS,
    "LB_RDS_3: documents without a snapshot": _DEFAULTS,
}
# Plans that no configuration of the same parts makes, so that the configuration that the tests write is another one.
OTHERS = {
    "LB_ALARM_1: a part by reference": "the name of an alarm is known where it is written: only a damaged plan hides it",
    **{
        f"LB_ENC_1: a dynamic block, and {key}": "the configuration is written without the dynamic block, and shows the key"
        for key in ("no key there", "a key there", "a key of something else there")
    },
    "LB_REC_1: no variable": "a reference to a variable needs the variable",
}
_NUMBERED = {f"case_{number:03}": case for number, case in enumerate(CASES)}
_COMMENTED = """
resource "aws_db_instance" "waived" {
  # checkov:skip=LB_RDS_1:it is filled anew every night
  identifier              = "waived"
  backup_retention_period = 1
  skip_final_snapshot     = false
}
"""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the rules answered inside checkov, in one process: of each case, of a comment, of what cannot be planned."""

    cases: dict[str, Any]
    named: dict[str, Any]
    plans: dict[str, list[list[str]]]
    problems: list[str]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """Everything that checkov is asked here: its start takes longer than its work."""
    folder = tmp_path_factory.mktemp("configurations")
    for name, case in _NUMBERED.items():
        _write(folder / "cases" / name / f"{name}.tf", hcl.text(case.plan))
        for place, text in case.plan.files.items():
            if "/" in place:  # a module; its file has the name of the case, by which answers are looked up
                _write(folder / "cases" / name / place.split("/")[0] / f"{name}.tf", text)
    _write(folder / "commented" / "commented.tf", _COMMENTED)
    # A module that others call, with what covers its database standing beside it.
    _write(folder / "module" / "module.tf", f'variable "name" {{\n}}\n{_COMMENTED}')
    names = ("cases", "commented", "module")
    folders = {name: {"folder": str(folder / name), "var_files": [], "plan": None} for name in names}
    plans = {name: folder / f"{name}.json" for name in _NUMBERED}
    for name, path in plans.items():
        path.write_bytes(_NUMBERED[name].plan.text())
    question = {"folders": folders, "plans": {name: str(path) for name, path in plans.items()}}

    done = scan_tools.run("python", str(scan_tools.ANSWERS), given=json.dumps(question))

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return Answers(
        cases=answer["names"]["cases"]["answers"],
        named=answer["names"],
        plans=answer["plans"],
        problems=answer["problems"],
    )


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _verdict(said: dict[str, Any] | None) -> Verdict:
    if said is None:
        return Verdict.ABSENT
    if said["findings"]:
        return Verdict.FINDINGS
    return Verdict.UNDECIDED if said["abstains"] else Verdict.CLEAN


@pytest.mark.parametrize("name", [name for name, case in _NUMBERED.items() if case.id not in OTHERS])
def test_a_configuration_is_judged_as_its_plan_or_not_at_all(answers: Answers, name: str) -> None:
    case = _NUMBERED[name]
    said = answers.cases.get(name, {}).get(case.rule)

    verdict = _verdict(said)

    if case.id in ABSTAINS:
        assert verdict in (Verdict.UNDECIDED, Verdict.ABSENT), ABSTAINS[case.id]
        return
    assert verdict is case.verdict, said
    if verdict is Verdict.FINDINGS:
        assert said is not None
        assert sorted(said["findings"]) == sorted(case.found)


def test_a_plan_is_judged_inside_checkov_as_here(answers: Answers) -> None:
    ours = {
        name: {
            (str(one.rule), block_of(one.address)) for one in judging.scanned(reading.read(case.plan.text())).findings
        }
        for name, case in _NUMBERED.items()
    }
    theirs = {name: {(rule, block_of(address)) for rule, address in found} for name, found in answers.plans.items()}

    assert {name: ours[name] ^ found for name, found in theirs.items() if ours[name] != found} == {}
    assert sum(map(len, theirs.values())) > len(RULES)


def test_what_differs_is_named_case_by_case() -> None:
    known = {case.id for case in CASES}

    assert {*ABSTAINS, *OTHERS} <= known
    # What a rule cannot judge on a plan either is no loss.
    assert {case.rule for case in CASES if case.id in ABSTAINS} == {
        "LB_TF_1",
        "LB_TF_2",
        "LB_REC_2",
        "LB_RDS_3",
        "LB_COV_1",
        "LB_VAULT_1",
    }


def test_each_rule_that_a_configuration_can_answer_is_answered_well_and_badly(answers: Answers) -> None:
    seen = {(case.rule, _verdict(answers.cases.get(name, {}).get(case.rule))) for name, case in _NUMBERED.items()}

    missing = [
        (rule.id, verdict.value)
        for rule in RULES
        for verdict in (Verdict.CLEAN, Verdict.FINDINGS)
        if (rule.id, verdict) not in seen
    ]

    only_plan = ("LB_REC_2", "LB_TF_1", "LB_TF_2")
    assert missing == [(rule, verdict) for rule in only_plan for verdict in ("clean", "findings")]


def test_nothing_goes_wrong_and_nobody_is_asked(answers: Answers) -> None:
    assert answers.problems == []


def test_a_comment_in_the_block_keeps_a_rule_from_it(answers: Answers) -> None:
    found = answers.named["commented"]

    assert [(one["rule"], one["address"], one["reason"]) for one in found["skipped"]] == [
        ("LB_RDS_1", "aws_db_instance.waived", "it is filled anew every night")
    ]
    assert "LB_RDS_1" not in found["answers"]["commented"]


def test_what_stands_beside_a_module_that_lacks_its_variables_is_nobody_s_to_say(answers: Answers) -> None:
    found = answers.named["module"]["answers"]["module"]

    assert found["LB_RDS_3"]["findings"] == ["delete_automated_backups is true"]
    assert found["LB_COV_1"]["findings"] == []
    assert found["LB_COV_1"]["abstains"]


def test_no_rule_answers_what_it_cannot_know(tmp_path: Path) -> None:
    files = {}
    for name, case in _NUMBERED.items():
        _write(tmp_path / f"{name}.tf", hcl.text(case.plan))
        files[str(tmp_path / f"{name}.tf")] = case.rule

    done = scan_tools.run("python", str(scan_tools.LOST), given=json.dumps({"files": files}))

    # Each value of each case is lost in its turn: an answer is the one with the value, or none.
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["wrong"] == []
    assert answer["lost"] > 3000
    assert answer["dropped"] > 1000
