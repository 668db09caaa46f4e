"""`make scan` of an environment that nobody has applied yet: the real roots, the real rules, the real checkov."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import xmlschema
from lifeboat.decisions.policy.registry import RULES

from tests.policies.test_reports import SCHEMAS, schema
from tests.rehearsal import CLEAN, ROOT, passed


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reports of staging, whose scan ended with 0."""
    folder = tmp_path_factory.mktemp("checkout")
    left_behind = shutil.ignore_patterns(".terraform", "*.tfstate*", "__pycache__")
    for name in ("environments", "terraform", "modules"):
        shutil.copytree(ROOT / name, folder / name, ignore=left_behind)
    for name in ("Makefile", "pyproject.toml", "requirements-dev.lock", "requirements-scan.lock"):
        shutil.copy(ROOT / name, folder / name)
        os.utime(folder / name, (0, 0))  # older than what is installed
    for name in (".venv", ".venv-scan", "scripts"):
        (folder / name).symlink_to(ROOT / name)
    done = subprocess.run(
        ["make", "scan", "ENV=staging"],
        cwd=folder,
        env={**CLEAN, "AWS_EC2_METADATA_DISABLED": "true"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    passed(done)
    assert "OFFLINE: staging is planned against an empty state" in done.stderr
    assert list((folder / ".lifeboat" / "staging").glob("plan-*")) == []
    return folder / ".lifeboat" / "scan" / "staging"


@pytest.fixture(scope="module")
def found(reports: Path) -> Any:
    """The report in JSON."""
    return json.loads((reports / "scan.json").read_text())


def test_a_first_scan_is_valid_and_says_what_it_puts_off(found: Any) -> None:
    assert (found["valid"], found["passed"], found["not_valid"]) == (True, True, [])
    assert found["checkov"]
    put_off = {one.partition(": ")[2].partition(" ")[0] for one in found["put_off"]}
    assert put_off == {"LB_DUMP_2", "LB_ENC_1", "LB_STATE_1"}


def test_every_rule_is_answered_by_one_of_the_roots(found: Any) -> None:
    absent = {one["id"] for one in found["rules"] if one["verdict"] == "absent"}

    assert [one["id"] for one in found["rules"]] == [rule.id for rule in RULES]
    assert absent == {"LB_COV_2", "LB_SNAP_1"}


def test_every_finding_has_its_place_in_the_files(found: Any) -> None:
    for one in found["findings"]:
        lines = (ROOT / one["file"]).read_text().splitlines()
        assert 1 <= one["line"] <= len(lines), one


def test_its_reports_are_as_their_readers_want_them(reports: Path) -> None:
    sarif = json.loads((reports / "scan.sarif").read_text())
    quality = json.loads((reports / "gl-code-quality-report.json").read_text())

    jsonschema.Draft7Validator(schema("sarif.json")).validate(sarif)
    jsonschema.Draft7Validator(schema("code_quality.json")).validate(quality)
    xmlschema.XMLSchema(str(SCHEMAS / "junit.xsd")).validate(str(reports / "junit.xml"))
