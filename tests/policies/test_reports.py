"""The reports of a scan: each is what its reader's schema says, tells the same, and keeps its fingerprints."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import xmlschema
from lifeboat.checkov_model import CheckovFinding, CheckovSkip
from lifeboat.decisions.policy import judging, reading, report
from lifeboat.decisions.policy.formats import files
from lifeboat.decisions.policy.registry import RULES
from lifeboat.decisions.policy.report import Report, Subject
from lifeboat.decisions.policy.reported import Looked, Place
from lifeboat.decisions.policy.validity import Evidence
from lifeboat.decisions.policy.waivers import Waiver

from tests.policies.cases.databases import database
from tests.policies.evidence import ENCRYPTED, TODAY, ran, reported, seen, wrong
from tests.policies.plans import PlanFile, later

SCHEMAS = Path(__file__).parent / "schemas"
WARNING = "OFFLINE: production is planned against an empty state"
NASTY = 'a|b`<script>"]\n\x1b[31m'
WAIVER = Waiver(rule="LB_RDS_1", address="aws_db_instance.this", reason="a cache", who="eva", expires=TODAY)
BUILT_IN = CheckovFinding(
    rule=ENCRYPTED.id,
    address="aws_db_instance.this",
    file="modules/database/main.tf",
    lines=(9, 20),
    found="x",
    source="hcl",
)
SKIP = CheckovSkip(rule=ENCRYPTED.id, address="aws_db_instance.old", reason="going", file="main.tf", line=3)


def first() -> PlanFile:
    """Return a plan of which a rule awaits the first apply."""
    return (
        wrong()
        .add("aws_backup_vault.main", {"name": "main"})
        .add("aws_backup_vault_policy.main", {"backup_vault_name": "main", "policy": later("aws_iam_role.glass.arn")})
        .add("aws_backup_vault_lock_configuration.main", {"backup_vault_name": "main", "min_retention_days": 7})
    )


def nasty() -> PlanFile:
    """Return a plan with a key that means something to every format."""
    return PlanFile().add("aws_db_instance.this", {"identifier": "a", "backup_retention_period": 1}, key=NASTY)


REPORTS: dict[str, Report] = {
    "with grave findings": reported(seen(wrong())),
    "with all that there is": reported(
        seen(
            first(),
            ran(first(), BUILT_IN, skipped=(SKIP,)),
            waivers=(WAIVER, replace(WAIVER, rule="LB_RDS_4")),
        ),
        WARNING,
    ),
    "not valid": reported(
        seen(
            wrong(),
            ran(wrong(), problems=("parse error: main.tf",)),
            waivers=(replace(WAIVER, expires=TODAY - timedelta(1)),),
        )
    ),
    "of a nasty key": reported(seen(nasty())),
    "of nothing wrong": reported(seen(PlanFile().add("aws_s3_bucket.web", {"bucket": "web"}))),
}


def schema(name: str) -> Any:
    return json.loads((SCHEMAS / name).read_text())


def written(report: Report) -> dict[str, Any]:
    """Return what the files hold, by name."""
    texts = files.files(report)
    return {name: json.loads(text) if name.endswith(("json", "sarif")) else text for name, text in texts.items()}


@pytest.fixture(params=REPORTS.values(), ids=REPORTS.keys())
def each(request: pytest.FixtureRequest) -> Report:
    """Each of the reports."""
    found: Report = request.param
    return found


def test_the_reports_have_the_names_that_are_removed_before_a_scan(each: Report) -> None:
    assert tuple(files.files(each)) == files.NAMES


def test_sarif_is_as_its_standard_says(each: Report) -> None:
    found = written(each)["scan.sarif"]

    jsonschema.Draft7Validator(schema("sarif.json")).validate(found)
    run = found["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert [one["ruleId"] for one in run["results"]] == [rules[one["ruleIndex"]]["id"] for one in run["results"]]
    assert [one["ruleId"] for one in run["results"]] == [one.rule for one in each.found]
    assert run["invocations"][0]["executionSuccessful"] is (each.not_valid == ())


def test_junit_is_as_its_schema_says(each: Report) -> None:
    text = written(each)["junit.xml"]

    xmlschema.XMLSchema(str(SCHEMAS / "junit.xsd")).validate(text)
    suite = ElementTree.fromstring(text)[0]  # noqa: S314  (our own)
    kinds = [case[0].tag if len(case) else "" for case in suite]
    assert {name: suite.attrib[name] for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": str(len(suite)),
        "failures": str(kinds.count("failure")),
        "errors": str(kinds.count("error")),
        "skipped": str(kinds.count("skipped")),
    }
    assert (kinds.count("failure"), kinds.count("error")) == (len(each.failing), len(each.not_valid))
    assert {rule.id for rule in RULES} <= {case.attrib["classname"] for case in suite}


def test_code_quality_is_as_gitlab_reads_it(each: Report) -> None:
    found = written(each)["gl-code-quality-report.json"]

    jsonschema.Draft7Validator(schema("code_quality.json")).validate(found)
    fingerprints = [one["fingerprint"] for one in found]
    assert len(fingerprints) == len(set(fingerprints))
    told = [*each.remarks, *filter(None, [each.subject.warning])]
    assert len(found) == len(each.found) + len(each.not_valid) + len(each.put_off) + len(told)


def test_a_schema_refuses_what_its_reader_would() -> None:
    found = written(REPORTS["with grave findings"])
    sarif, quality = found["scan.sarif"], found["gl-code-quality-report.json"]
    sarif["runs"][0]["results"][0]["level"] = "grave"
    quality[0]["location"]["path"] = "./main.tf"

    assert not jsonschema.Draft7Validator(schema("sarif.json")).is_valid(sarif)
    assert not jsonschema.Draft7Validator(schema("code_quality.json")).is_valid(quality)
    assert not xmlschema.XMLSchema(str(SCHEMAS / "junit.xsd")).is_valid(
        found["junit.xml"].replace("classname", "class")
    )


def test_every_report_tells_of_every_finding_and_of_what_is_accepted(each: Report) -> None:
    found = written(each)
    whole = {
        name: text if isinstance(text, str) else json.dumps(text, ensure_ascii=False) for name, text in found.items()
    }

    for one in each.found:
        assert [name for name, text in whole.items() if one.rule not in text] == []
    for one in each.accepted:
        assert one.waived is not None
        reason = one.waived.reason
        assert [name for name, text in whole.items() if reason not in text] == []


def test_what_makes_a_scan_not_valid_and_what_is_put_off_is_in_every_report() -> None:
    all_of_it, failed = REPORTS["with all that there is"], REPORTS["not valid"]

    assert len(failed.not_valid) == 2
    for name, text in files.files(failed).items():
        assert "parse error: main.tf" in text.replace("\\", ""), name
        assert "ended on 2026-11-28" in text.replace("\\", ""), name
    assert all_of_it.put_off
    for name, text in files.files(all_of_it).items():
        assert "known only after the apply" in text, name
        assert "OFFLINE" in text, name


def test_a_measure_that_was_lowered_is_told_in_every_report() -> None:
    plan = database(backup_retention_period=1)
    plan.variables |= {"min_retention_days": 1, "objectives": {"rpo_hours": 8760}, "drill_days": 30}

    done = reported(seen(plan))

    assert done.remarks == (
        "rpo is measured by 365 days (var.objectives.rpo_hours), which asks for less than the default of 24 hours",
        "min_retention is measured by 24 hours (var.min_retention_days), which asks for less than the default of 7 days",
    )
    for name, text in files.files(done).items():
        assert [one for one in done.remarks if one not in text.replace("\\", "")] == [], name


def test_fingerprints_are_the_same_in_a_second_scan_and_when_lines_move() -> None:
    def marks(place: Place) -> dict[str, list[str]]:
        evidence = seen(wrong(), ran(wrong(), BUILT_IN))
        looked = replace(evidence.looked[0], places={"aws_db_instance.this": place})
        found = written(reported(replace(evidence, looked=(looked,))))
        return {
            "quality": [one["fingerprint"] for one in found["gl-code-quality-report.json"]],
            "sarif": [one["partialFingerprints"]["lifeboat/v1"] for one in found["scan.sarif"]["runs"][0]["results"]],
            "json": [one["fingerprint"] for one in found["scan.json"]["findings"]],
        }

    before = marks(Place(file="main.tf", line=12))

    assert before["quality"] == before["sarif"] == before["json"]
    assert len(before["json"]) > 2
    assert marks(Place(file="main.tf", line=12)) == before
    assert marks(Place(file="moved.tf", line=400)) == before


def test_two_faults_of_one_rule_on_one_resource_are_one_finding() -> None:
    plan = database(backup_window="03:00-03:10", maintenance_window="sun:03:00-sun:03:05")

    done = reported(seen(plan))

    rows = [(one.rule, one.where) for one in done.found]
    assert len(rows) == len(set(rows))


def test_what_a_check_of_checkov_asks_for_is_what_is_wanted_not_what_was_found() -> None:
    done = reported(seen(wrong(), ran(wrong(), findings=(BUILT_IN,))))

    own = next(one for one in done.found if one.rule == BUILT_IN.rule)
    assert (own.found, own.wanted) == ("it is not so", BUILT_IN.found)


def test_a_report_is_the_same_twice(each: Report) -> None:
    assert files.files(each) == files.files(each)


def test_sarif_names_files_as_uris_do() -> None:
    looked = replace(
        seen(wrong()).looked[0], places={"aws_db_instance.this": Place(file="terraform/my stack/a#bé?.tf", line=3)}
    )

    found = written(reported(replace(seen(wrong()), looked=(looked,))))["scan.sarif"]

    first = found["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert first == {"uri": "terraform/my%20stack/a%23b%C3%A9%3F.tf", "uriBaseId": "SRCROOT"}


def test_what_is_found_in_a_plan_of_another_repository_is_at_the_plan_itself() -> None:
    plan = database(backup_retention_period=later("aws_ssm_parameter.days.value"), skip_final_snapshot=True)
    looked = Looked(root="", scan=judging.scanned(reading.read(plan.text())), places={})

    done = report.of(Evidence(looked=(looked,), today=TODAY), Subject(name="plan.json", ground="The plan in plan.json"))

    assert done.found
    assert done.not_valid
    found = written(done)
    assert {one["location"]["path"] for one in found["gl-code-quality-report.json"]} == {"plan.json"}
    assert [name for name, content in found.items() if "main.tf" in str(content)] == []


def test_markdown_lets_nothing_out_of_its_cell() -> None:
    text = files.files(REPORTS["of a nasty key"])["summary.md"]

    assert "<script>" not in text
    assert "\x1b" not in text
    rows = [line for line in text.splitlines() if line.startswith("| high")]
    assert rows
    assert {len(row.replace("\\|", "").split("|")) for row in rows} == {7}
