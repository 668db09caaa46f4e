"""What plain checkov ends with 0 after having looked at nothing, and a scan with 2 and the reason; each for real.

With LIFEBOAT_SILENT_GREEN_REPORT=FILE the table is written there: docs/measured/silent-green.md.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import command_line
from tests.policies.cases.databases import database
from tests.policies.plans import PlanFile, later
from tests.policies.small_checkouts import Small, small
from tests.rehearsal import CLEAN, ROOT

CHECKOV = ROOT / ".venv-scan" / "bin"
REPORT = os.environ.get("LIFEBOAT_SILENT_GREEN_REPORT")
Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a trap is laid: checkov's own files that are bad, with the pack; and a checkout for the scan."""

    checkout: Small

    @property
    def policies(self) -> Path:
        return self.checkout.root / "terraform" / "policies"

    @property
    def stack(self) -> Path:
        return self.checkout.root / "terraform" / "stack"

    def plain(self, *options: str, root: Path | None = None, **env: str) -> Done:
        """Run checkov's own command line on the canary, which is bad, with the pack of this place."""
        given = options or ("-d", str(root or self.policies / "canary"), "--framework", "terraform", "-c", "LB_*")
        return subprocess.run(
            [
                str(CHECKOV / "checkov"),
                *given,
                "--external-checks-dir",
                str(self.policies),
                "--skip-download",
                "--quiet",
            ],
            env={"PATH": os.environ["PATH"], "HOME": "/", "CKV_SKIP_PACKAGE_UPDATE_CHECK": "True", **env},
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )

    def plain_plan(self, plan: bytes, rules: str) -> Done:
        file = self.checkout.root / "plan.json"
        file.write_bytes(plan)
        return self.plain("-f", str(file), "--framework", "terraform_plan", "-c", rules)

    def scan_plan(self, plan: bytes) -> Done:
        file = self.checkout.root / "plan.json"
        file.write_bytes(plan)
        return command_line.run(Path("/"), "scan", "--plan", str(file), env=CLEAN)

    def edit_pack(self, old: str, new: str) -> None:
        file = self.policies / "lb_rules.py"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))


@dataclass(frozen=True, kw_only=True)
class Trap:
    """One way to look at nothing: how it comes about, what both are asked then, and the reason that a scan gives."""

    what: str
    reason: str
    lay: Callable[[Place], object] = lambda _: None
    plain: Callable[[Place], Done] = lambda place: place.plain()
    scan: Callable[[Place], Done] = lambda place: place.checkout.scan()


def _of_plan(what: str, reason: str, plan: bytes, rules: str = "LB_*") -> Trap:
    return Trap(
        what=what,
        reason=reason,
        plain=lambda place: place.plain_plan(plan, rules),
        scan=lambda place: place.scan_plan(plan),
    )


_SECOND = {"HCL_PARSE_TIMEOUT_SEC": "1"}
_MUCH = "\n".join(f'locals {{\n  much{number} = {{ a = "b", c = ["d", "e"] }}\n}}' for number in range(4000))


def _slow_parser(place: Place) -> None:
    """Let a file take longer than it may, as on a busy machine: a second here, since the scan gives it a minute."""
    with (place.stack / "main.tf").open("a") as file:
        file.write(_MUCH)
    shutil.copytree(place.policies / "canary", place.checkout.root / "slow")
    with (place.checkout.root / "slow" / "main.tf").open("a") as file:
        file.write(_MUCH)
    python = place.checkout.root / ".venv-scan" / "bin" / "python"
    (place.checkout.root / ".venv-scan").unlink()
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nHCL_PARSE_TIMEOUT_SEC=1 exec "{CHECKOV / "python"}" "$@"\n')
    python.chmod(0o755)


def _skip(place: Place) -> None:
    main = place.stack / "main.tf"
    head = 'resource "terraform_data" "app" {'
    assert head in main.read_text()
    main.write_text(main.read_text().replace(head, f"{head}\n  # checkov:skip=LB_TF_2"))


_CRASH = "answer = _answer(self.graph, self.rule, address, file)"

TRAPS = (
    # The ten of plain checkov that are known.
    Trap(
        what="the pack has no __init__.py",
        lay=lambda place: (place.policies / "__init__.py").unlink(),
        reason="the pack in terraform/policies was not loaded",
    ),
    Trap(
        what="the pack is not there",
        lay=lambda place: shutil.rmtree(place.policies),
        plain=lambda place: place.plain(root=ROOT / "terraform" / "policies" / "canary"),
        reason="the rules of the scan are not there",
    ),
    Trap(
        what="a file of the pack has a syntax error",
        lay=lambda place: place.edit_pack("_NOTHING = Answer(", "_NOTHING = = Answer("),
        reason="the pack in terraform/policies was not loaded",
    ),
    Trap(
        what="a check of the pack raises",
        lay=lambda place: place.edit_pack(_CRASH, 'answer = {}["nowhere"]'),
        reason="Failed to run check LB_",
    ),
    Trap(
        what="a check that is asked for does not exist",
        lay=lambda place: (place.policies / "builtin.toml").write_text(
            '[CKV_AWS_99999]\nasked = true\ntypes = []\nseverity = "high"\nwhy = "It is not there."\n'
        ),
        plain=lambda place: place.plain("-d", str(place.policies / "canary"), "-c", "CKV_AWS_99999"),
        reason="checkov has no check CKV_AWS_99999",
    ),
    Trap(
        what="a check of checkov's own is asked of no resource",
        lay=lambda place: (place.policies / "builtin.toml").write_text(
            '[CKV_AWS_157]\nasked = true\ntypes = ["terraform_data"]\nseverity = "high"\nwhy = "It is of another type."\n'
        ),
        plain=lambda place: place.plain("-d", str(place.stack), "--framework", "terraform", "-c", "CKV_AWS_157"),
        reason="CKV_AWS_157 is about 1 resource of the plan, and checkov asked it of none",
    ),
    Trap(
        what="no check of checkov's own is asked for",
        lay=lambda place: (place.policies / "builtin.toml").write_text(""),
        plain=lambda place: place.plain("-d", str(place.policies / "canary"), "-c", "NONE"),
        reason="builtin.toml asks for none of checkov's own checks",
    ),
    Trap(
        what="the folder to scan does not exist",
        lay=lambda place: shutil.rmtree(place.stack),
        plain=lambda place: place.plain(root=place.stack),
        reason="error: ",
    ),
    Trap(
        what="a .tf file has a syntax error",
        lay=lambda place: (place.stack / "main.tf").write_text('resource "aws_db_instance" {'),
        plain=lambda place: place.plain(root=place.stack),
        reason="error: ",
    ),
    _of_plan("the JSON is no plan", "error: this is JSON and no plan", b'{"format_version": "1.2", "rows": []}'),
    Trap(
        what="a file takes longer to parse than it may",
        lay=_slow_parser,
        plain=lambda place: place.plain(root=place.checkout.root / "slow", **_SECOND),
        reason="cannot be parsed",
    ),
    Trap(
        what="a check says UNKNOWN of everything",
        lay=lambda place: place.edit_pack("return answer.result\n", "return CheckResult.UNKNOWN\n"),
        reason="finds nothing wrong with the configuration that is known to be bad",
    ),
    # And of our own.
    _of_plan("the plan is empty", "error: the plan is empty", PlanFile().text()),
    _of_plan(
        "the plan has a format of the future",
        "error: the plan has the unknown format version '2.0'",
        database(backup_retention_period=1).text(format_version="2.0", planned_values={"modules": {}}),
    ),
    _of_plan(
        "Terraform failed while it planned",
        "error: Terraform failed while it made this plan",
        PlanFile().add("aws_kms_key.this", {"enable_key_rotation": True}).text(errored=True),
    ),
    _of_plan(
        "the plan was made with -target",
        "the plan is not complete",
        PlanFile().add("aws_kms_key.this", {"enable_key_rotation": True}).text(complete=False),
    ),
    _of_plan(
        "what a rule needs is known only after the apply",
        "LB_RDS_1 on aws_db_instance.this: aws_db_instance.this: backup_retention_period is known only after the apply",
        PlanFile()
        .add("aws_db_instance.this", {"backup_retention_period": later("aws_ssm_parameter.days.value")})
        .text(),
        rules="LB_RDS_1",
    ),
    Trap(
        what="a comment waives a rule and gives no reason",
        lay=_skip,
        reason="without a reason",
        plain=lambda place: place.plain("-d", str(place.stack), "--framework", "terraform", "-c", "LB_TF_2"),
    ),
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A checkout with the real pack and the real scan tools."""
    assert (CHECKOV / "checkov").exists(), "the scan tools are not installed: make scan-tools"
    checkout = small(tmp_path)
    policies = tmp_path / "terraform" / "policies"
    own = (policies / "builtin.toml").read_text()
    shutil.rmtree(policies)
    shutil.copytree(ROOT / "terraform" / "policies", policies, ignore=shutil.ignore_patterns("__pycache__"))
    (policies / "builtin.toml").write_text(own)
    (tmp_path / "scripts").symlink_to(ROOT / "scripts")
    (tmp_path / ".venv-scan").symlink_to(ROOT / ".venv-scan")
    return Place(checkout=checkout)


@pytest.fixture(scope="module")
def table() -> Iterator[list[tuple[str, int, int, str]]]:
    """The rows, written down at the end."""
    rows: list[tuple[str, int, int, str]] = []
    yield rows
    if REPORT and rows:
        lines = [
            "| what is wrong | checkov 3.3.30 ends with | lifeboat scan ends with | and says |",
            "|---|---|---|---|",
        ]
        lines += [f"| {what} | {plain} | {ours} | {said} |" for what, plain, ours, said in rows]
        Path(REPORT).write_text("\n".join(lines) + "\n")


def test_where_nothing_is_wrong_with_the_scan_both_find_what_is_bad(place: Place) -> None:
    assert place.plain().returncode == 1
    done = place.checkout.scan()

    assert done.returncode == 1, done.stdout + done.stderr
    assert place.checkout.report()["valid"] is True


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.what)
def test_what_is_green_by_accident_in_plain_checkov_is_2_here(
    place: Place, trap: Trap, table: list[tuple[str, int, int, str]]
) -> None:
    trap.lay(place)

    plain = trap.plain(place)
    done = trap.scan(place)

    said = [line for line in (done.stdout + done.stderr).splitlines() if trap.reason in line]
    assert done.returncode == 2, done.stdout + done.stderr
    assert said, done.stdout + done.stderr
    assert plain.returncode == 0, plain.stdout + plain.stderr
    reports = place.checkout.reports
    assert not (reports / "scan.json").exists() or json.loads((reports / "scan.json").read_text())["valid"] is False
    words = said[0].strip().replace(str(place.checkout.root), "CHECKOUT")
    table.append((trap.what, plain.returncode, done.returncode, words))
