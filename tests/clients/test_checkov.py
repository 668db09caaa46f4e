"""checkov, really run: what it finds, what comments keep it from, and that nothing that went wrong looks like a clean scan."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from lifeboat.checkov_model import Asked, CheckovFinding, CheckovRun, CheckovSkip
from lifeboat.clients.checkov import Checkov
from lifeboat.decisions.policy import built_in
from lifeboat.decisions.policy.registry import BY_ID
from lifeboat.errors import WrongConfiguration

from tests.policies import scan_tools
from tests.policies.plans import PlanFile, known

_SECRET = "hunter2-canary"
_ROOT = """
variable "days" {
  default = 30
}

variable "password" {
  default = ""
}

resource "aws_db_instance" "this" {
  # checkov:skip=LB_RDS_2:AWS may choose
  # checkov:skip=CKV_AWS_16
  identifier               = "app"
  backup_retention_period  = var.days
  skip_final_snapshot      = false
  delete_automated_backups = false
  multi_az                 = false
  password                 = var.password
  tags                     = { "lifeboat:data" = "false" }
}

resource "aws_vpc" "later" {
  count = length(aws_db_instance.this.id)
}
"""
# All that are asked: one that checkov does not know is a problem.
_CHECKS = built_in.read((scan_tools.POLICIES / "builtin.toml").read_text(encoding="utf-8"))
_BUILT_IN = built_in.asked(_CHECKS)


def _checkov(policies: Path = scan_tools.POLICIES) -> Checkov:
    return Checkov(python=scan_tools.BIN / "python", policies=policies)


def _root(folder: Path, text: str = _ROOT) -> Path:
    folder.mkdir()
    (folder / "main.tf").write_text(text, encoding="utf-8")
    return folder


def _plan(folder: Path) -> Path:
    plan = PlanFile().add(
        "aws_db_instance.this", {"backup_retention_period": 5, "password": known(_SECRET, "var.password")}
    )
    plan.variables["password"] = _SECRET
    path = folder / "stack.json"
    path.write_bytes(plan.text())
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> CheckovRun:
    """A root and a plan of it, looked at once."""
    folder = tmp_path_factory.mktemp("scanned")
    variables, later = folder / "given.tfvars", folder / "later.tfvars.json"
    variables.write_text(f'days = 40\npassword = "{_SECRET}"\n', encoding="utf-8")
    later.write_text('{"days": 5}', encoding="utf-8")
    asked = Asked(root=_root(folder / "root"), var_files=(variables, later), built_in=_BUILT_IN, plan=_plan(folder))
    return _checkov().run(asked)


def test_a_finding_has_its_place_and_its_words(run: CheckovRun) -> None:
    found = {(one.rule, one.source): one for one in run.findings}

    assert found["LB_RDS_1", "hcl"] == CheckovFinding(
        rule="LB_RDS_1",
        address="aws_db_instance.this",
        file="main.tf",
        lines=(10, 20),
        found="automated backups are kept for 5 days",
        source="hcl",
        wanted="at least 7 days",
    )
    assert found["LB_RDS_1", "plan"].found == "automated backups are kept for 5 days"
    assert found["CKV_AWS_157", "hcl"].found == "Ensure that RDS instances have Multi-AZ enabled"
    assert ("CKV_AWS_157", "plan") not in found  # what is not known yet counts as missing there
    assert ("CKV2_AWS_60", "hcl") in found
    assert ("LB_RDS_2", "hcl") not in found


def test_what_comments_skip_is_told_with_its_reason(run: CheckovRun) -> None:
    assert {one.rule: one for one in run.skipped} == {
        "LB_RDS_2": CheckovSkip(
            rule="LB_RDS_2", address="aws_db_instance.this", reason="AWS may choose", file="main.tf", line=10
        ),
        "CKV_AWS_16": CheckovSkip(
            rule="CKV_AWS_16",
            address="aws_db_instance.this",
            reason="No comment provided",
            file="main.tf",
            line=10,
        ),
    }


def test_the_scan_really_looked(run: CheckovRun) -> None:
    assert run.problems == ()
    assert {*_BUILT_IN, *BY_ID} == set(run.evaluated)
    assert run.checkov_version == "3.3.30"
    assert run.resource_types == {"aws_db_instance", "aws_vpc"}
    assert {rule: run.evaluated[rule] for rule in ("LB_RDS_1", "LB_RDS_2", "CKV_AWS_157", "LB_VAULT_1")} == {
        "LB_RDS_1": 2,
        "LB_RDS_2": 2,
        "CKV_AWS_157": 1,
        "LB_VAULT_1": 0,
    }
    assert run.abstained["LB_TF_2"] == 1


def test_each_check_of_checkovs_own_is_asked_of_each_of_its_types(tmp_path: Path) -> None:
    kinds = sorted({kind for check in _CHECKS for kind in check.types})
    blocks = "\n".join(f'resource "{kind}" "this" {{\n}}\n' for kind in kinds)
    asked = Asked(root=_root(tmp_path / "root", blocks), built_in=_BUILT_IN)

    found = _checkov().run(asked)

    looked = {check.id: found.evaluated[check.id] + found.abstained[check.id] for check in _CHECKS if check.asked}
    assert [id_ for id_, number in looked.items() if number == 0] == ["CKV_AWS_386", "CKV_AWS_41"]
    assert [check.id for check in _CHECKS if check.asked and not check.types] == ["CKV_AWS_386", "CKV_AWS_41"]
    assert [check.id for check in _CHECKS if looked.get(check.id, 0) < len(check.types)] == []


def test_no_value_of_a_variable_is_told(run: CheckovRun) -> None:
    assert _SECRET not in repr(run)


def test_what_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    root = _root(tmp_path / "root")
    (root / "broken.tf").write_text('resource "aws_vpc" {{{', encoding="utf-8")
    plan = tmp_path / "stack.json"
    plan.write_text("[]", encoding="utf-8")

    found = _checkov().run(Asked(root=root, built_in=("CKV_AWS_157", "CKV_NONE_1"), plan=plan))

    assert "checkov has no check CKV_NONE_1" in found.problems
    assert "broken.tf cannot be parsed" in found.problems
    assert "checkov found no resource in the plan" in found.problems


def _policies(folder: Path) -> Path:
    """Return a copy of the pack in a checkout of its own."""
    (folder / "terraform").mkdir()
    (folder / "scripts").symlink_to(scan_tools.ROOT / "scripts")
    return Path(shutil.copytree(scan_tools.POLICIES, folder / "terraform" / "policies"))


def test_a_pack_that_is_not_loaded_is_a_problem(tmp_path: Path) -> None:
    policies = _policies(tmp_path)
    (policies / "__init__.py").unlink()

    found = _checkov(policies).run(Asked(root=_root(tmp_path / "root")))

    assert found.problems[0] == "the pack in terraform/policies was not loaded: it has no rule"
    assert "LB_RDS_1 finds nothing wrong with the configuration that is known to be bad: it looks at nothing" in (
        found.problems
    )


def test_a_check_that_raises_and_a_file_that_is_no_python_are_problems(tmp_path: Path) -> None:
    policies = _policies(tmp_path)
    rules = policies / "lb_rules.py"
    text = rules.read_text(encoding="utf-8")
    crash = f"if self.rule.id == 'LB_RDS_3':\n            raise ValueError({_SECRET!r})\n        address, file ="
    assert text.count("address, file =") == 1
    rules.write_text(text.replace("address, file =", crash), encoding="utf-8")
    (policies / "lb_broken.py").write_text("def", encoding="utf-8")

    found = _checkov(policies).run(Asked(root=_root(tmp_path / "root")))

    assert "Cannot load external check 'lb_broken' (SyntaxError)" in found.problems
    assert "Failed to run check LB_RDS_3 on /main.tf:aws_db_instance.this (ValueError)" in found.problems
    assert found.evaluated["LB_RDS_3"] == 0
    assert _SECRET not in repr(found)


def test_without_the_scan_tools_nothing_is_said(tmp_path: Path) -> None:
    missing = Checkov(python=tmp_path / "python", policies=scan_tools.POLICIES)

    with pytest.raises(WrongConfiguration) as refused:
        missing.run(Asked(root=tmp_path))

    assert refused.value.summary == f"the scan tools are not installed: there is no {tmp_path / 'python'}"
    assert refused.value.hint == "make scan-tools"


def test_what_is_not_there_is_not_scanned(tmp_path: Path) -> None:
    with pytest.raises(WrongConfiguration) as refused:
        _checkov().run(Asked(root=tmp_path / "none"))

    assert refused.value.summary == f"there is no {tmp_path / 'none'} to scan"
