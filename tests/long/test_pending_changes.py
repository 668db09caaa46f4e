"""A plan says by its exit status whether changes are pending."""

from __future__ import annotations

from tests.rehearsal import Rehearsal, passed


def test_plan_is_0_without_changes_and_20_with_one(stack: Rehearsal) -> None:
    unchanged = stack.lifeboat("plan", "--detailed-exitcode")
    stack.edit("environments/local.tfvars", r"retention_days\s*=\s*\d+", "retention_days = 21")
    changed = stack.lifeboat("plan", "--detailed-exitcode")

    passed(unchanged)
    passed(changed, 20)
    assert "aws_db_instance" in changed.stdout
