"""The pack as anybody uses it: by checkov's own command line, without lifeboat, and without a network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lifeboat.decisions.policy import built_in
from lifeboat.decisions.policy.registry import RULES
from lifeboat.decisions.policy.rule import Severity
from lifeboat.errors import WrongConfiguration

from tests.policies import scan_tools

_CANARY = scan_tools.POLICIES / "canary"


def test_checkov_alone_loads_the_pack_for_files_and_plans() -> None:
    done = scan_tools.run(
        "checkov",
        *("-f", str(_CANARY / "main.tf"), str(_CANARY / "plan.json")),
        *("--external-checks-dir", str(scan_tools.POLICIES)),
        *("-c", "LB_*", "--skip-download", "-o", "json"),
    )

    assert done.returncode == 1, done.stderr
    reports = {one["check_type"]: one for one in json.loads(done.stdout)}
    failed = {kind: {one["check_id"] for one in report["results"]["failed_checks"]} for kind, report in reports.items()}
    assert {"LB_RDS_1", "LB_RDS_3", "LB_COV_1"} <= failed["terraform"] & failed["terraform_plan"]
    first = next(one for one in reports["terraform"]["results"]["failed_checks"] if one["check_id"] == "LB_RDS_1")
    assert first["details"] == ["automated backups are kept for 1 day (wanted: at least 7 days)"]
    assert done.stderr == ""


def test_the_rules_need_nothing_that_checkov_does_not_bring() -> None:
    done = scan_tools.run(
        "python",
        "-I",
        "-c",
        f"import sys; sys.path.insert(0, {str(scan_tools.POLICIES)!r}); import lb_rules; print(len(lb_rules.CHECKS))",
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, f"{len(RULES)}\n", "")


def test_no_connection_can_be_made_while_checkov_runs() -> None:
    attempt = (
        f"import sys, socket; sys.path.insert(0, {str(scan_tools.POLICIES / 'process')!r})\n"
        "import lb_scan\n"
        "problems = lb_scan.Problems(); lb_scan.refuse_connections(problems)\n"
        "for where in (('127.0.0.1', 9), ('localhost', 9)):\n"
        "    try:\n"
        "        socket.create_connection(where)\n"
        "    except ConnectionRefusedError as refused:\n"
        "        print(refused)\n"
        "print(list(problems.found))\n"
    )

    done = scan_tools.run("python", "-c", attempt)

    assert done.stdout.splitlines() == [
        "a scan asks nobody",
        "a scan asks nobody",
        "['checkov tried to reach the network (socket.getaddrinfo)']",
    ]


def test_the_list_of_checkov_s_own_checks_says_why_of_each() -> None:
    checks = built_in.read((scan_tools.POLICIES / "builtin.toml").read_text(encoding="utf-8"))

    assert len(built_in.asked(checks)) == 47
    assert len(checks) == 63
    assert [check.id for check in checks if not check.why.endswith(".") or ". " in check.why] == []
    assert {check.severity for check in checks if not check.asked} == {Severity.LOW}


def test_the_lock_of_the_scan_tools_names_each_file_by_its_hash_and_no_registry() -> None:
    lock = Path(scan_tools.ROOT / "requirements-scan.lock").read_text(encoding="utf-8")

    pinned = [line for line in lock.splitlines() if line and not line.startswith((" ", "#"))]
    assert "checkov==3.3.30 \\" in pinned
    assert all(line.endswith("\\") and "==" in line for line in pinned)
    assert "://" not in lock


_WITHOUT_TYPES = '[CKV_1]\nasked = true\nseverity = "high"\nwhy = "Why."'


@pytest.mark.parametrize(
    "text", ["[", "x = 1", '[CKV_1]\nasked = true\nseverity = "grave"\nwhy = "Why."', "[CKV_1]", _WITHOUT_TYPES]
)
def test_a_list_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(WrongConfiguration, match="the list of checkov's own checks cannot be read"):
        built_in.read(text)
