"""What an apply and a recovery ask of a plan: who is refused, what is told, what is typed, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from lifeboat.decisions.policy import risks
from lifeboat.decisions.policy.introduced import Deed
from lifeboat.errors import LifeboatError, Refused, ScanNotValid, TerraformFailed, WrongConfiguration
from lifeboat.model import AcceptedRisk
from lifeboat.stack import gate
from lifeboat.stack.gate import Gate

from tests.plain_sites import Told
from tests.policies.cases.databases import database
from tests.policies.changes import changed
from tests.policies.plans import known

_KEY = known("arn:aws:kms:eu-west-1:123456789012:key/1", "aws_kms_key.this.arn")


def _asked(deed: Deed, *accepted: AcceptedRisk) -> Gate:
    def again(wanted: Sequence[AcceptedRisk]) -> str:
        return " ".join(["lifeboat it", *map(gate.option, wanted)])

    return Gate(tell=Told(), deed=deed, risks=accepted, again=again)


def _told(asked: Gate) -> list[str]:
    assert isinstance(asked.tell, Told)
    return asked.tell.lines


def _short() -> dict[str, Any]:
    return changed(
        database(kms_key_id=_KEY), database(kms_key_id=_KEY, backup_retention_period=5, skip_final_snapshot=True)
    )


@pytest.mark.parametrize("deed", Deed)
def test_what_is_new_and_grave_is_refused_with_the_command_that_accepts_it(deed: Deed) -> None:
    asked = _asked(deed, AcceptedRisk(rule="LB_RDS_1", reason="it's known"))

    with pytest.raises(Refused) as refusal:
        asked.require("stack", _short)

    assert "LB_RDS_3 (high) aws_db_instance.this: skip_final_snapshot is true" in refusal.value.summary
    assert "LB_RDS_1" not in refusal.value.summary
    assert refusal.value.hint == (
        "mend it; where the risk is known and accepted: lifeboat it"
        r" --accept-risk LB_RDS_1='it'\''s known' --accept-risk LB_RDS_3='why it is accepted'"
    )
    assert asked.passed == []


@pytest.mark.parametrize("deed", Deed)
def test_what_is_accepted_passes_and_is_kept_with_its_reason(deed: Deed) -> None:
    asked = _asked(deed, *risks.parsed(["lb_rds_1=one", " LB_RDS_3 = two "]))

    passing = asked.require("stack", _short)

    kept = gate.record(passing)
    assert kept == gate.record(asked.passed)
    assert [(one["rule"], one["reason"]) for one in kept] == [("LB_RDS_1", "one"), ("LB_RDS_3", "two")]
    assert gate.told([*kept, *kept]) == (
        "LB_RDS_1 aws_db_instance.this: automated backups are kept for 5 days; accepted: one",
        "LB_RDS_3 aws_db_instance.this: skip_final_snapshot is true; accepted: two",
    )
    assert [line for line in _told(asked) if "accepted" in line] == [f"policy: {line}" for line in gate.told(kept)]


@pytest.mark.parametrize("deed", Deed)
def test_who_lowers_what_is_measured_by_is_told_so(deed: Deed) -> None:
    after = database(kms_key_id=_KEY, backup_retention_period=3)
    after.variables["min_retention_days"] = 1
    asked = _asked(deed)

    asked.require("stack", lambda: changed(database(kms_key_id=_KEY, backup_retention_period=14), after))

    assert _told(asked)[0] == (
        "policy: min_retention is measured by 24 hours (var.min_retention_days), which asks for less than the default of 7 days"
    )


def test_what_a_failing_check_says_is_neither_told_nor_kept() -> None:
    plan = database(kms_key_id=_KEY).check("check", "check.token", "fail", "the token hunter2-canary was refused")
    plan.variables["token"] = "hunter2-canary"
    before = database(kms_key_id=_KEY).check("check", "check.token", "pass")

    with pytest.raises(Refused) as refusal:
        _asked(Deed.APPLY).require("stack", lambda: changed(before, plan))
    asked = _asked(Deed.APPLY, AcceptedRisk(rule="LB_TF_1", reason="known"))
    kept = gate.record(asked.require("stack", lambda: changed(before, plan)))

    assert [(one["address"], one["found"]) for one in kept] == [("check.token", "the check fails")]
    assert "hunter2" not in repr([kept, _told(asked), refusal.value.summary, refusal.value.hint])


def _unreadable() -> dict[str, Any]:
    return {"format_version": "2.0", "planned_values": {}, "configuration": {}}


def _failing() -> dict[str, Any]:
    raise TerraformFailed("terraform show (stack) failed")


@pytest.mark.parametrize(("show", "error"), [(_unreadable, ScanNotValid), (_failing, TerraformFailed)])
def test_a_plan_that_cannot_be_judged_stops_an_apply_and_no_recovery(
    show: Callable[[], dict[str, Any]], error: type[LifeboatError]
) -> None:
    night = _asked(Deed.RECOVERY)

    with pytest.raises(error):
        _asked(Deed.APPLY).require("stack", show)
    assert night.require("stack", show) == ()

    assert _told(night)[0].startswith("policy: no rule could be asked of this plan of the stack: ")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["LB_RDS_33=x"], "there is no rule LB_RDS_33"),
        (["=x"], "there is no rule "),
        (["LB_RDS_3"], "--accept-risk LB_RDS_3 gives no reason"),
        (["LB_RDS_3=  "], "--accept-risk LB_RDS_3 gives no reason"),
        (["LB_RDS_3=a\nb"], "is not one line"),
        (["LB_RDS_3=" + "a" * 501], "is not one line of at most 500 characters"),
        (["LB_RDS_3=a", "lb_rds_3=b"], "--accept-risk LB_RDS_3 is given twice"),
    ],
)
def test_a_risk_without_a_rule_or_a_reason_is_refused(given: list[str], words: str) -> None:
    with pytest.raises(WrongConfiguration) as refusal:
        risks.parsed(given)

    assert words in refusal.value.summary
    assert refusal.value.hint


def test_of_what_is_accepted_twice_the_newer_reason_counts() -> None:
    one, two = AcceptedRisk(rule="LB_RDS_1", reason="one"), AcceptedRisk(rule="LB_RDS_1", reason="two")
    other = AcceptedRisk(rule="LB_RDS_3", reason="three")

    assert risks.together([one, other], [two]) == (two, other)
