"""`lifeboat scan` of an environment: plans that Terraform makes, a checkov that answers or not, and what is left behind."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from lifeboat.decisions.policy.formats.files import NAMES

from tests import command_line
from tests.localcloud.machines import until
from tests.policies.small_checkouts import CANARY, Small, small
from tests.rehearsal import CLEAN, ROOT, passed

WAIVER = '[[waiver]]\nrule = "LB_TF_1"\naddress = "check.*"\nreason = "a sandbox"\nexpires = {expires}\nwho = "eva"\n'
IN_A_MONTH = (datetime.now(UTC).date() + timedelta(days=30)).isoformat()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A checkout whose provider is installed once for all tests."""
    return small(tmp_path_factory.mktemp("small"))


@pytest.fixture
def here(made: Small) -> Small:
    """The same, with a checkov that looks at everything and finds nothing, and no waivers."""
    made.checkov()
    made.waive("")
    return made


def test_both_roots_are_planned_judged_and_reported(here: Small) -> None:
    done = passed(here.scan(), 1)

    found = here.report()
    assert found["valid"] is True
    assert (
        "OFFLINE: x is planned against an empty state, without asking AWS anything: there are no credentials"
        in done.stdout
    )
    assert found["warning"] in " ".join(done.stdout.split())
    assert found["checkov"] == "3.3.30"
    assert {one["root"] for one in found["findings"]} <= {"stack", "state"}
    assert [(one["rule"], one["root"], one["address"]) for one in found["findings"]] == [
        ("LB_TF_1", "stack", "check.backups")
    ]
    first = found["findings"][0]
    assert first["found"] == "the check fails"
    line = (here.root / first["file"]).read_text().splitlines()[first["line"] - 1]
    assert line == 'check "backups" {'
    judged = {one["id"]: one["judged"] for one in found["rules"]}
    assert judged["LB_TF_2"] == ["state:terraform_data.state", "terraform_data.app"]
    assert sorted(path.name for path in here.reports.iterdir()) == sorted(NAMES)


def test_on_a_terminal_what_the_scan_says_nothing_of_is_told_once(here: Small) -> None:
    ours, theirs = pty.openpty()
    program = subprocess.Popen(
        ["lifeboat", "scan", "-e", "x", "--native"],
        cwd=here.root,
        env={**CLEAN, "PATH": f"{ROOT / '.venv' / 'bin'}:{CLEAN['PATH']}"},
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    said = b""
    with suppress(OSError):  # the terminal is gone when the program is
        while read := os.read(ours, 65536):
            said += read
    os.close(ours)

    assert program.wait(60) == 1
    assert said.count(b"OFFLINE: ") == 1


def test_the_password_is_in_no_report_and_nowhere_else_afterwards(here: Small) -> None:
    for output in ("table", "json"):
        done = here.scan("-o", output)

        assert CANARY not in done.stdout + done.stderr
    assert here.left_behind() == []
    assert [path.name for path in (here.root / ".lifeboat" / "x").glob("plan-*")] == []


def test_checkov_is_given_a_plan_that_only_we_may_read(here: Small) -> None:
    here.scan()

    folder = here.root / ".venv-scan" / "bin"
    assert [(folder / f"seen-{root}").read_text().split() for root in ("stack", "state")] == [["600", "700"]] * 2


def test_a_native_scan_asks_no_checkov(here: Small) -> None:
    here.checkov(first="exit 9")

    passed(here.scan("--native"), 1)

    assert here.report()["checkov"] is None


@pytest.mark.parametrize(
    ("over", "reason"),
    [
        (
            {"problems": ["parse error: terraform/stack/main.tf"]},
            "stack: checkov: parse error: terraform/stack/main.tf",
        ),
        ({"resource_types": []}, "stack: checkov found no resource at all"),
        (
            {"evaluated": {"CKV_AWS_16": 1}},
            "stack: checkov did not have LB_RDS_1 among its checks: the pack was not loaded whole",
        ),
        (
            {
                "skipped": [
                    {"rule": "LB_TF_1", "address": "terraform_data.app", "reason": "", "file": "main.tf", "line": 9}
                ]
            },
            "stack: the comment in terraform/stack/main.tf:9 keeps LB_TF_1 from terraform_data.app without a reason:"
            " # checkov:skip=LB_TF_1:REASON",
        ),
    ],
    ids=["a parse error", "nothing seen", "no pack", "a skip without a reason"],
)
def test_a_checkov_that_did_not_really_look_makes_the_scan_not_valid(
    here: Small, over: dict[str, Any], reason: str
) -> None:
    here.checkov(over)

    done = passed(here.scan(), 2)

    assert f"not valid: {reason}" in " ".join(done.stdout.split())
    assert "NOT VALID: " in done.stdout
    assert reason in here.report()["not_valid"]


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ("echo 'Traceback'; echo 'KeyError: x' >&2; exit 1", "checkov ended with status 1"),
        ("echo nonsense; exit 0", "what checkov's process answered cannot be read"),
        ("exit 0", "what checkov's process answered cannot be read"),
    ],
    ids=["it crashes", "it answers nonsense", "it answers nothing"],
)
def test_a_checkov_that_does_not_answer_leaves_no_report_not_even_an_old_one(
    here: Small, first: str, said: str
) -> None:
    passed(here.scan(), 1)
    assert (here.reports / "junit.xml").exists()
    here.checkov(first=first)

    done = here.scan()

    passed(done, 2)
    assert said in done.stderr
    assert list(here.reports.iterdir()) == []
    assert here.left_behind() == []


def test_without_the_scan_tools_nothing_is_planned(tmp_path: Path) -> None:
    fresh = small(tmp_path)

    done = passed(fresh.scan(), 2)

    assert "error: the scan tools are not installed" in done.stderr
    assert "next: make scan-tools" in done.stderr
    assert not (fresh.root / ".lifeboat" / "x").exists()


@pytest.mark.parametrize("trace", [".lifeboat/x/known-state.json", "environments/x.recovery.tfvars.json"])
def test_what_was_ever_applied_is_not_scanned_offline_by_itself(here: Small, trace: str) -> None:
    passed(here.scan("--native"), 1)
    file = here.root / trace
    file.write_text('{"serial": 1, "lineage": "l", "md5": "m"}')

    done = here.scan("--native", "-o", "json")
    file.unlink()

    passed(done, 8)
    assert "sign in to AWS" in done.stderr
    assert "OFFLINE" not in done.stderr
    assert (done.stdout, list(here.reports.iterdir())) == ("", [])


def test_it_is_where_that_is_asked_for_and_says_so(here: Small) -> None:
    file = here.root / "environments" / "x.recovery.tfvars.json"
    file.write_text("{}")

    done = here.scan("--native", "--offline")
    file.unlink()

    passed(done, 1)
    assert (
        "OFFLINE: x is planned against an empty state, without asking AWS anything: it was asked for (--offline)"
        in done.stderr
    )


def test_an_option_that_no_variable_has_is_refused_before_anything_is_planned(here: Small) -> None:
    declared = here.root / "terraform" / "stack" / "variables.tf"
    text, inputs = declared.read_text(), here.root / "environments" / "x.tfvars"
    before = inputs.read_text()
    declared.write_text(text + 'variable "backup" {\n  type = object({ retention_days = optional(number, 7) })\n}\n')
    inputs.write_text(before + "backup = {\n  retention_dayz = 35\n}\n")

    done = here.scan("--native")
    declared.write_text(text)
    inputs.write_text(before)

    passed(done, 2)
    assert (
        "error: the environment's inputs are refused:\n"
        "  backup has no option retention_dayz; was retention_days meant?\n"
        "  next: edit environments/x.tfvars: terraform/stack/variables.tf has every option\n"
    ) in done.stderr
    assert "planning" not in done.stderr


def test_a_plan_that_fails_leaves_no_report(here: Small) -> None:
    passed(here.scan(), 1)
    here.edit("state", "kept for 90 days", "${nowhere.at_all}")

    done = here.scan()
    here.edit("state", "${nowhere.at_all}", "kept for 90 days")

    passed(done, 2)
    assert "error: terraform plan (state) failed" in done.stderr
    assert list(here.reports.iterdir()) == []
    assert here.left_behind() == []


def test_what_is_waived_is_shown_and_fails_nothing(here: Small) -> None:
    here.waive(WAIVER.format(expires=IN_A_MONTH))

    done = passed(here.scan())

    waived = here.report()["findings"][0]["waived"]
    assert waived == {"reason": "a sandbox", "by": "eva", "until": IN_A_MONTH}
    assert f"LB_TF_1 on check.backups is waived until {IN_A_MONTH} by eva: a sandbox" in done.stdout
    assert "passed: " in done.stdout


def test_a_waiver_that_is_over_makes_the_scan_not_valid(here: Small) -> None:
    here.waive(WAIVER.format(expires="2020-01-01"))

    done = passed(here.scan("--native"), 2)

    assert "the waiver of LB_TF_1 on check.* ended on 2020-01-01" in done.stdout


def test_a_file_of_waivers_that_cannot_be_read_is_one_error_before_anything_is_planned(here: Small) -> None:
    here.waive('[[waiver]]\nrule = "LB_TF_1"\n')

    done = passed(here.scan(), 2)

    assert "error: environments/x.waivers.toml cannot be used:" in done.stderr
    assert "planned against" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_the_middle_nothing_of_the_plan_is_left(here: Small, number: signal.Signals) -> None:
    started = here.root / "started"
    started.unlink(missing_ok=True)
    here.checkov(first=f"touch '{started}'; sleep 600")
    program = subprocess.Popen(
        ["lifeboat", "scan", "-e", "x"],
        cwd=here.root,
        env={**CLEAN, "PATH": f"{ROOT / '.venv' / 'bin'}:{CLEAN['PATH']}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    until(started.exists, 120)

    def planned() -> list[Path]:
        return list((here.root / ".lifeboat" / "x").glob("plan-*/*"))

    # It is asked for its version as well, while Terraform may still plan.
    until(lambda: any(path.suffix == ".json" and CANARY in path.read_text() for path in planned()), 120)
    files = planned()
    modes = {(path.suffix, path.stat().st_mode & 0o777) for path in files}

    program.send_signal(number)
    _, said = program.communicate(timeout=120)

    assert modes == {(".json", 0o600), (".jsonl", 0o600), (".plan", 0o600)}
    assert program.returncode == 130, said.decode()
    assert "\ninterrupted: ending what judges\n" in said.decode()
    assert here.left_behind() == []
    assert list((here.root / ".lifeboat" / "x").glob("plan-*")) == []
    assert list(here.reports.iterdir()) == []


def test_what_a_killed_scan_left_goes_with_the_next_of_a_file(here: Small) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = here.root / ".lifeboat" / "y" / f"plan-{ended.pid}-{socket.gethostname()}-x"
    left.mkdir(parents=True)
    (here.root / "none.json").write_text("{}")

    passed(command_line.run(here.root, "scan", "--plan", "none.json", env=CLEAN), 2)

    assert not left.exists()


def _slow_terraform(here: Small) -> Path:
    """Put a Terraform before the other that takes no notice of an interruption while it plans; it notes what it is told."""
    folder = here.root / "slow"
    folder.mkdir(exist_ok=True)
    program = folder / "terraform"
    real = shutil.which("terraform", path=CLEAN["PATH"])
    program.write_text(
        f"""#!/bin/sh
if [ "$1" = plan ]; then
  trap 'echo asked >> "{folder}/asked"' INT
  touch "{folder}/planning"
  while true; do sleep 0.2; done
fi
exec '{real}' "$@"
"""
    )
    program.chmod(0o755)
    return folder


def test_stopped_while_it_plans_it_says_so_and_waits_for_nothing_that_holds_nothing(here: Small) -> None:
    slow = _slow_terraform(here)
    program = subprocess.Popen(
        ["lifeboat", "scan", "-e", "x", "--native"],
        cwd=here.root,
        env={**CLEAN, "PATH": f"{slow}:{ROOT / '.venv' / 'bin'}:{CLEAN['PATH']}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    until((slow / "planning").exists, 120)

    program.send_signal(signal.SIGTERM)
    _, said = program.communicate(timeout=60)  # less than the 90 s that a Terraform is given which holds a lock

    assert program.returncode == 130
    assert said.decode().endswith("planning state and stack\ninterrupted: ending Terraform\n")
    assert not (slow / "asked").exists()
    assert list((here.root / ".lifeboat" / "x").glob("plan-*")) == []


def test_two_scans_have_the_same_fingerprints_and_so_has_one_of_moved_lines(here: Small) -> None:
    def marks() -> list[str]:
        here.scan("--native")
        found = json.loads((here.reports / "gl-code-quality-report.json").read_text())
        return [one["fingerprint"] for one in found]

    first = marks()
    here.edit("stack", 'check "backups" {', '# moved\n\ncheck "backups" {')
    moved = marks()
    here.edit("stack", '# moved\n\ncheck "backups" {', 'check "backups" {')

    assert first
    assert moved == first
