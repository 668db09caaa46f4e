"""What a plan brings about stops it; what was there before is told; a recovery is stopped by what is known to be new alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from lifeboat.decisions.policy import introduced, judging
from lifeboat.decisions.policy.introduced import Deed, Weighed
from lifeboat.decisions.policy.prior import both_sides
from lifeboat.decisions.policy.rule import Severity
from lifeboat.errors import ScanNotValid
from lifeboat.model import AcceptedRisk

from tests.policies.cases import CASES
from tests.policies.cases.case import RuleCase
from tests.policies.cases.databases import INSTANCE, database
from tests.policies.cases.protection import volume, with_policy
from tests.policies.changes import changed
from tests.policies.plans import PlanFile, known, later

_SHORT = "automated backups are kept for {} days"


def _alone(**over: Any) -> PlanFile:
    """Return a database of which LB_RDS_1 and LB_RDS_3 alone are asked here."""
    return database(kms_key_id=known("arn:aws:kms:eu-west-1:123456789012:key/1", "aws_kms_key.this.arn"), **over)


def _stopping(found: Weighed, *rules: str) -> list[tuple[str, str]]:
    """Return what stops a plan, of some rules or of all."""
    return [(one.finding.rule, one.finding.found) for one in found.stopping if not rules or one.finding.rule in rules]


def _weighed(before: PlanFile, after: PlanFile, deed: Deed = Deed.APPLY) -> Weighed:
    return introduced.weighed(changed(before, after), deed)


# -- what is new -------------------------------------------------------------------------------------------------------


def test_of_a_first_apply_everything_is_new() -> None:
    found = introduced.weighed(_alone(backup_retention_period=5).document(), Deed.APPLY)

    assert _stopping(found, "LB_RDS_1") == [("LB_RDS_1", _SHORT.format(5))]
    assert found.old == ()


def test_what_a_change_brings_about_stops_it() -> None:
    found = _weighed(_alone(), _alone(backup_retention_period=5))

    assert _stopping(found) == [("LB_RDS_1", _SHORT.format(5))]
    assert "LB_RDS_1" not in {one.rule for one in found.old}


def test_what_was_there_stops_no_other_change() -> None:
    found = _weighed(
        _alone(backup_retention_period=5), _alone(backup_retention_period=5, instance_class="db.t4g.large")
    )

    assert _stopping(found) == []
    assert "LB_RDS_1" in {one.rule for one in found.old}


@pytest.mark.parametrize("days", [3, 6])
def test_what_is_still_wrong_after_it_was_changed_stops_an_apply_and_says_what_it_was(days: int) -> None:
    found = _weighed(_alone(backup_retention_period=5), _alone(backup_retention_period=days))

    assert _stopping(found) == [("LB_RDS_1", _SHORT.format(days))]
    assert found.stopping[0].before == (_SHORT.format(5),)
    assert f"(before: {_SHORT.format(5)})" in introduced.stopped(found)


def test_another_fault_of_the_same_rule_is_new() -> None:
    found = _weighed(_alone(skip_final_snapshot=True), _alone(skip_final_snapshot=True, delete_automated_backups=True))

    assert _stopping(found) == [("LB_RDS_3", "delete_automated_backups is true")]


_LATER, _GONE = {"id": "a", "status": "Enabled"}, {"id": "old", "status": "Enabled", "expiration": [{"days": 30}]}


def _state_bucket(*rules: Any) -> PlanFile:
    return (
        PlanFile()
        .add("aws_s3_bucket.state", {"bucket": "acme-tfstate"})
        .add("aws_s3_bucket_lifecycle_configuration.state", {"bucket": "acme-tfstate", "rule": list(rules)})
    )


def test_a_block_that_is_put_before_an_old_fault_makes_it_no_new_one() -> None:
    found = _weighed(_state_bucket(_GONE), _state_bucket(_LATER, _GONE))

    assert _stopping(found, "LB_STATE_3") == []
    assert [one.found for one in found.old if one.rule == "LB_STATE_3"] == [
        "aws_s3_bucket_lifecycle_configuration.state rule[1] lets the current state expire"
    ]


def test_a_second_fault_of_the_same_words_is_new() -> None:
    found = _weighed(_state_bucket(_GONE), _state_bucket(_GONE, {**_GONE, "id": "older"}))

    assert _stopping(found, "LB_STATE_3") == [
        ("LB_STATE_3", "aws_s3_bucket_lifecycle_configuration.state rule[1] lets the current state expire")
    ]


@pytest.mark.parametrize("deed", Deed)
def test_a_database_that_comes_before_the_unwatched_one_makes_that_no_new_fault(deed: Deed) -> None:
    before = database()
    after = PlanFile().add("aws_db_instance.another", {**INSTANCE, "identifier": "another"})
    after.resources += before.resources
    after.changes += before.changes
    after.configuration += before.configuration

    found = _weighed(before, after, deed)

    assert _stopping(found, "LB_ALARM_3") == []
    assert {one.address for one in found.old if one.rule == "LB_ALARM_3"} == {"aws_db_instance.another"}


def test_a_check_that_fails_in_place_of_another_is_new() -> None:
    before = PlanFile().add("aws_vpc.this").check("check", "check.a", "fail").check("check", "check.b", "pass")
    after = PlanFile().add("aws_vpc.this").check("check", "check.a", "pass").check("check", "check.b", "fail")

    assert [one.finding.address for one in _weighed(before, after).stopping] == ["check.b"]


def test_what_is_taken_from_another_resource_counts_where_it_is_missed() -> None:
    found = _weighed(with_policy(volume()), volume())

    assert [(one.finding.rule, one.finding.address) for one in found.stopping] == [
        ("LB_TF_2", "aws_dlm_lifecycle_policy.daily"),
        ("LB_COV_1", "aws_ebs_volume.data"),
    ]


def test_a_replacement_of_copies_is_always_new() -> None:
    vault = PlanFile().add("aws_backup_vault.this", {"name": "v"})

    found = introduced.weighed(changed(vault, vault, forced=("aws_backup_vault.this",)), Deed.RECOVERY)

    assert _stopping(found, "LB_TF_2") == [("LB_TF_2", "the plan replaces it: it holds recovery points")]


def _password(password: Any, **over: Any) -> PlanFile:
    values = {**INSTANCE, "kms_key_id": None, "manage_master_user_password": None, "password": password, **over}
    return PlanFile().add("aws_db_instance.this", values)


def test_a_password_that_stood_in_the_configuration_stops_no_other_change() -> None:
    found = _weighed(_password("hunter2"), _password("hunter2", instance_class="db.t4g.large"))

    assert _stopping(found, "LB_SEC_1") == []


def test_a_password_that_is_written_where_a_variable_was_is_new() -> None:
    found = _weighed(_password(known("hunter2", "var.password")), _password("hunter3"))

    assert _stopping(found, "LB_SEC_1") == [("LB_SEC_1", "the database's password stands in the configuration")]
    assert "hunter" not in repr([found.stopping, found.told, introduced.warnings(found)])


def test_a_plan_of_targets_says_nothing_of_the_rest_which_stays() -> None:
    document = changed(with_policy(volume()), with_policy(volume(**{"lifeboat:protect": "daily", "Name": "data"})))
    document["complete"] = False
    for part in (document["planned_values"]["root_module"], document):
        name = "resources" if "resources" in part else "resource_changes"
        part[name] = [one for one in part[name] if one["type"] == "aws_ebs_volume"]

    found = introduced.weighed(document, Deed.RECOVERY)

    assert _stopping(found, "LB_COV_1") == []
    assert [one.type for one in both_sides(document).after.resources] == ["aws_ebs_volume", "aws_dlm_lifecycle_policy"]


def test_what_waits_to_be_destroyed_was_not_there() -> None:
    document = changed(_alone(), _alone())
    resources = document["prior_state"]["values"]["root_module"]["resources"]
    resources.append({**copy.deepcopy(resources[-1]), "deposed_key": "00000000"})

    sides = both_sides(document)

    assert sides.before is not None
    assert len(sides.before.resources) == len(sides.after.resources)


# Their finding hangs on a value that an apply would tell. Once that is told a state holds it; here it is in neither.
_OF_WHAT_IS_TOLD = {
    "LB_ENC_1: a key of the other region",
    "LB_ENC_1: copies under a key here",
    "LB_SEC_1: made in the same apply",
}
_STANDING = [case for case in CASES if case.id not in _OF_WHAT_IS_TOLD]


@pytest.mark.parametrize("case", _STANDING, ids=lambda case: case.id)
@pytest.mark.parametrize("deed", Deed)
def test_a_plan_that_changes_nothing_brings_nothing_about(case: RuleCase, deed: Deed) -> None:
    document = changed(case.plan, case.plan)

    found = introduced.weighed(document, deed)

    assert [introduced.line(one) for one in (*found.stopping, *found.told)] == []
    assert len(found.old) == len(judging.scanned(both_sides(document).after).findings)


@pytest.mark.parametrize("deed", Deed)
def test_every_finding_is_new_or_old_and_nothing_is_both(deed: Deed) -> None:
    before, after = _alone(skip_final_snapshot=True), _alone(skip_final_snapshot=True, backup_retention_period=2)

    found = introduced.weighed(changed(before, after), deed)

    new = [one.finding for one in (*found.stopping, *found.told)] + [one.finding for one in found.passing]
    every = judging.scanned(both_sides(changed(before, after)).after).findings
    assert sorted((one.rule, one.address, one.found) for one in (*new, *found.old)) == sorted(
        (one.rule, one.address, one.found) for one in every
    )


# -- a recovery --------------------------------------------------------------------------------------------------------


def _generations(**days: int) -> PlanFile:
    plan = PlanFile()
    for name, kept in days.items():
        plan.add(
            "aws_db_instance.this",
            {**INSTANCE, "kms_key_id": None, "identifier": f"app-{name}", "backup_retention_period": kept},
            key=name,
        )
    return plan


def test_a_generation_that_is_adopted_with_the_old_ones_faults_stops_no_recovery() -> None:
    before, after = _generations(g1=5), _generations(g1=5, g2=5)

    assert _stopping(_weighed(before, after, Deed.RECOVERY), "LB_RDS_1") == []
    assert _stopping(_weighed(before, after, Deed.APPLY), "LB_RDS_1") == [("LB_RDS_1", _SHORT.format(5))]


def test_a_fault_that_the_old_one_did_not_have_stops_a_recovery() -> None:
    found = _weighed(_generations(g1=14), _generations(g1=14, g2=5), Deed.RECOVERY)

    assert _stopping(found, "LB_RDS_1") == [("LB_RDS_1", _SHORT.format(5))]


def test_a_check_that_fails_that_night_stops_an_apply_and_no_recovery() -> None:
    before = PlanFile().add("aws_vpc.this").check("check", "check.health", "pass")
    after = PlanFile().add("aws_vpc.this", {"tags": {"a": "b"}}).check("check", "check.health", "fail")

    night = _weighed(before, after, Deed.RECOVERY)

    assert _stopping(_weighed(before, after, Deed.APPLY)) == [("LB_TF_1", "the check fails")]
    assert night.stopping == ()
    assert [one.finding.rule for one in night.told] == ["LB_TF_1"]


def test_a_check_that_failed_before_stops_nobody() -> None:
    failing = PlanFile().add("aws_vpc.this").check("check", "check.health", "fail")

    assert _weighed(failing, failing).stopping == ()


def test_what_nobody_knew_before_stops_an_apply_and_no_recovery() -> None:
    unclear, short = _alone(backup_retention_period="many"), _alone(backup_retention_period=5)

    assert _stopping(_weighed(unclear, short, Deed.APPLY), "LB_RDS_1") == [("LB_RDS_1", _SHORT.format(5))]
    assert _stopping(_weighed(unclear, short, Deed.RECOVERY), "LB_RDS_1") == []


# -- what is accepted, told, not seen ----------------------------------------------------------------------------------


def test_a_risk_that_is_accepted_passes_with_its_reason_and_no_other_does() -> None:
    document = changed(_alone(), _alone(backup_retention_period=5, skip_final_snapshot=True))

    found = introduced.weighed(document, Deed.APPLY, [AcceptedRisk(rule="LB_RDS_1", reason="moved next week")])

    assert _stopping(found) == [("LB_RDS_3", "skip_final_snapshot is true")]
    assert [introduced.accepted(one) for one in found.passing] == [
        f"LB_RDS_1 aws_db_instance.this: {_SHORT.format(5)}; accepted: moved next week"
    ]
    assert introduced.accepting(found) == [AcceptedRisk(rule="LB_RDS_3", reason="why it is accepted")]


def test_what_stops_a_plan_is_told_with_why_and_what_to_change() -> None:
    found = _weighed(_alone(), _alone(backup_retention_period=5))

    assert introduced.stopped(found) == (
        "  LB_RDS_1 (high) aws_db_instance.this: automated backups are kept for 5 days; wanted: at least 7 days\n"
        "  LB_RDS_1: Damage that is found after the last backup is gone cannot be undone. Set backup_retention_period to at"
        " least the retention that is wanted."
    )


def test_what_is_less_than_grave_is_told_and_stops_nothing() -> None:
    found = _weighed(_alone(), _alone(maintenance_window="sun:03:30-sun:04:30"))

    assert found.stopping == ()
    assert [(one.finding.rule, one.finding.severity) for one in found.told] == [("LB_RDS_2", Severity.MEDIUM)]
    assert introduced.warnings(found)[0].startswith(
        "policy: LB_RDS_2 (medium) aws_db_instance.this: backups at 03:00-04:00"
    )


def test_a_rule_that_could_not_be_judged_is_named_with_what_nobody_sees() -> None:
    found = _weighed(_alone(), _alone(backup_retention_period=later("aws_ssm_parameter.days.value")))

    assert found.stopping == ()
    said = [line for line in introduced.warnings(found) if "could not be judged" in line]
    assert said == [
        f"policy: {rule} could not be judged: aws_db_instance.this: aws_db_instance.this: backup_retention_period is known"
        " only after the apply"
        for rule in ("LB_RDS_1", "LB_RDS_4")
    ]


def test_findings_of_before_are_one_line() -> None:
    short = _alone(backup_retention_period=5, skip_final_snapshot=True)

    lines = introduced.warnings(_weighed(short, short))

    assert sum("of before this change" in line for line in lines) == 1


@pytest.mark.parametrize("document", [{}, [], {"format_version": "2.0", "planned_values": {}, "configuration": {}}])
def test_what_is_no_plan_is_refused(document: Any) -> None:
    with pytest.raises(ScanNotValid):
        introduced.weighed(document, Deed.APPLY)


def test_a_prior_state_of_a_shape_that_nobody_knows_is_not_valid_and_says_no_value() -> None:
    document = changed(_alone(), _alone())
    document["prior_state"]["values"]["root_module"]["resources"] = "hunter2"

    with pytest.raises(ScanNotValid) as refusal:
        introduced.weighed(document, Deed.APPLY)

    assert "hunter2" not in refusal.value.summary
