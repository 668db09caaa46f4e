"""Cases of the rules on vaults and restore tests."""

from __future__ import annotations

import json
from typing import Any

from tests.policies.cases.case import absent, bad, clean, undecided
from tests.policies.plans import THERE, PlanFile, known, later

_EVENTS = ["BACKUP_JOB_COMPLETED", "COPY_JOB_FAILED", "RESTORE_JOB_COMPLETED"]
_GUARDED = ["backup:DeleteRecoveryPoint", "backup:UpdateRecoveryPointLifecycle"]


def vault() -> PlanFile:
    """Return a plan with one vault."""
    return PlanFile().add("aws_backup_vault.main", {"name": "main"})


def _lock(days: int | None, name: Any = "main", region: str = "eu-west-1") -> PlanFile:
    return vault().add(
        "aws_backup_vault_lock_configuration.main",
        {"backup_vault_name": name, "min_retention_days": days},
        region=region,
    )


def _policy(policy: Any) -> PlanFile:
    return vault().add("aws_backup_vault_policy.main", {"backup_vault_name": "main", "policy": policy})


def _denial(**over: Any) -> str:
    statement = {
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": _GUARDED,
        "Resource": "*",
        "Condition": {"ArnNotLike": {"aws:PrincipalArn": ["arn:aws:iam::123456789012:role/app-break-glass"]}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [{**statement, **over}]})


def _told(*events: str) -> PlanFile:
    return vault().add(
        "aws_backup_vault_notifications.main", {"backup_vault_name": "main", "backup_vault_events": list(events)}
    )


def _backed_up() -> PlanFile:
    return (
        PlanFile()
        .add("aws_db_instance.this", {"identifier": "app"})
        .add("aws_backup_selection.this", {"resources": ["*"]})
    )


def _test(schedule: str, days: int | None, **variables: Any) -> PlanFile:
    found = PlanFile().add(
        "aws_backup_restore_testing_plan.this",
        {"schedule_expression": schedule, "recovery_point_selection": [{"selection_window_days": days}]},
    )
    found.variables |= variables
    return found


def _same_name(*locked: str | None) -> PlanFile:
    """Return two vaults of one name in two regions that the plan does not tell, and locks of some; None: by the bare name."""
    found = PlanFile(lost_regions=True)
    regions = {"main": "eu-west-1", "dr": THERE}
    for vault_, region in regions.items():
        found.add(f"aws_backup_vault.{vault_}", {"name": "lifeboat"}, region=region)
    for one in locked:
        name = known("lifeboat", f"aws_backup_vault.{one}.name") if one else "lifeboat"
        lock = {"backup_vault_name": name, "min_retention_days": 7}
        found.add(f"aws_backup_vault_lock_configuration.{one or 'named'}", lock, region=regions[one or "dr"])
    return found


_OPEN = "nothing denies backup:DeleteRecoveryPoint and backup:UpdateRecoveryPointLifecycle"
_NO_TEST = "RDS is backed up, and no restore of it is ever tested"
_WEEKLY = "cron(0 9 ? * SUN *)"
CASES = (
    clean("LB_VAULT_1", "a lock by name", _lock(7)),
    clean("LB_VAULT_1", "a lock by reference", _lock(7, later("aws_backup_vault.main.name"))),
    clean("LB_VAULT_1", "a lock of a day", _lock(1)),
    bad("LB_VAULT_1", "a lock of no day", _lock(0), "the vault's lock has no min_retention_days, so it keeps nothing"),
    bad(
        "LB_VAULT_1",
        "a lock with a most alone",
        _lock(None),
        "the vault's lock has no min_retention_days, so it keeps nothing",
    ),
    bad("LB_VAULT_1", "no lock", vault(), "the vault has no lock"),
    bad("LB_VAULT_1", "a lock of another vault", _lock(7, "other"), "the vault has no lock"),
    bad("LB_VAULT_1", "a lock of a vault of that name elsewhere", _lock(7, region=THERE), "the vault has no lock"),
    undecided(
        "LB_VAULT_1",
        "a lock whose vault a local hides",
        _lock(7, later("local.vault")),
        "aws_backup_vault_lock_configuration.main: whether its backup_vault_name is aws_backup_vault.main is known only after"
        " the apply",
    ),
    absent("LB_VAULT_1", "no vault", PlanFile().add("aws_vpc.this")),
    clean("LB_VAULT_2", "denied to all but break-glass", _policy(_denial())),
    clean("LB_VAULT_2", "denied to everybody", _policy(_denial(Condition={}))),
    clean("LB_VAULT_2", "by a wildcard", _policy(_denial(Action="backup:*"))),
    bad("LB_VAULT_2", "no policy", vault(), "the vault has no policy"),
    bad("LB_VAULT_2", "allowed", _policy(_denial(Effect="Allow")), _OPEN),
    bad("LB_VAULT_2", "one action", _policy(_denial(Action=_GUARDED[:1])), f"nothing denies {_GUARDED[1]}"),
    bad("LB_VAULT_2", "to one role", _policy(_denial(Principal={"AWS": "arn:aws:iam::1:role/x"})), _OPEN),
    bad(
        "LB_VAULT_2", "only by night", _policy(_denial(Condition={"DateLessThan": {"aws:CurrentTime": "2026"}})), _OPEN
    ),
    bad("LB_VAULT_2", "only to one role", _policy(_denial(Condition={"ArnLike": {"aws:PrincipalArn": "x"}})), _OPEN),
    undecided("LB_VAULT_2", "no policy that can be read", _policy("{"), "its policy is not one that can be read"),
    undecided(
        "LB_VAULT_2",
        "a policy that is known later",
        _policy(later("aws_iam_role.glass.arn")),
        "aws_backup_vault_policy.main: policy is known only after the apply",
    ),
    absent("LB_VAULT_2", "no vault", PlanFile().add("aws_vpc.this")),
    clean("LB_VAULT_3", "every end", _told(*_EVENTS)),
    clean("LB_VAULT_3", "every failure", _told("BACKUP_JOB_FAILED", "COPY_JOB_FAILED", "RESTORE_JOB_FAILED")),
    bad("LB_VAULT_3", "not of copies", _told(_EVENTS[0], _EVENTS[2]), "nobody is told of a failed copy"),
    bad(
        "LB_VAULT_3",
        "of beginnings",
        _told("BACKUP_JOB_STARTED"),
        "nobody is told of a failed backup or a failed copy or a failed restore",
    ),
    bad("LB_VAULT_3", "nobody", vault(), "the vault notifies nobody"),
    absent("LB_VAULT_3", "no vault", PlanFile().add("aws_vpc.this")),
    clean(
        "LB_TEST_1",
        "a test",
        _backed_up().add("aws_backup_restore_testing_selection.this", {"protected_resource_type": "RDS"}),
    ),
    bad("LB_TEST_1", "no test", _backed_up(), _NO_TEST),
    bad(
        "LB_TEST_1",
        "a test of volumes",
        _backed_up().add("aws_backup_restore_testing_selection.this", {"protected_resource_type": "EBS"}),
        _NO_TEST,
    ),
    bad(
        "LB_TEST_1",
        "a second type",
        _backed_up()
        .add("aws_backup_restore_testing_selection.this", {"protected_resource_type": "RDS"})
        .add("aws_efs_file_system.this"),
        "EFS is backed up, and no restore of it is ever tested",
    ),
    undecided(
        "LB_TEST_1",
        "a type that is known later",
        _backed_up().add(
            "aws_backup_restore_testing_selection.this", {"protected_resource_type": later("aws_ssm_parameter.x.value")}
        ),
        "aws_backup_restore_testing_selection.this: protected_resource_type is known only after the apply",
    ),
    absent("LB_TEST_1", "nothing in AWS Backup", PlanFile().add("aws_db_instance.this", {"identifier": "app"})),
    clean("LB_TEST_2", "weekly, of a week", _test(_WEEKLY, 7)),
    bad("LB_TEST_2", "of eight days", _test(_WEEKLY, 8), "the test takes recovery points of up to 8 days of age"),
    bad("LB_TEST_2", "AWS's own age", _test(_WEEKLY, None), "the test takes recovery points of up to 30 days of age"),
    clean("LB_TEST_2", "as rare as a variable allows", _test("rate(30 days)", 7, drill_days=30)),
    bad(
        "LB_TEST_2",
        "a day too rare",
        _test("rate(30 days)", 7, drill_days=29),
        "restores are tested with up to 30 days between them",
    ),
    bad("LB_TEST_2", "once", _test("at(2026-01-01T00:00:00)", 7), "restores are tested until the schedule ends"),
    absent("LB_TEST_2", "no test", PlanFile().add("aws_vpc.this")),
    bad("LB_VAULT_1", "a lock of the other region's vault of the same name", _same_name("dr"), "the vault has no lock"),
    clean("LB_VAULT_1", "a lock of each of two vaults of one name", _same_name("main", "dr")),
    undecided(
        "LB_VAULT_1",
        "a lock by a name that two vaults have",
        _same_name(None),
        "aws_backup_vault_lock_configuration.named: whether it is in the region of aws_backup_vault.main is not in the plan",
    ),
    *(
        bad("LB_VAULT_2", what, _policy(_denial(Condition=condition)), _OPEN)
        for what, condition in (
            ("other organisations alone", {"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}),
            ("other accounts alone", {"StringNotEquals": {"aws:PrincipalAccount": "123456789012"}}),
            ("all but every role", {"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}}),
            ("all but everybody of an account", {"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::123456789012:*"}}),
        )
    ),
    clean(
        "LB_VAULT_2",
        "all but roles by the beginning of their names",
        _policy(_denial(Condition={"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/break-glass-*"}})),
    ),
    bad(
        "LB_VAULT_2",
        "recovery points of one kind",
        _policy(_denial(Resource="arn:aws:ec2:eu-west-1::snapshot/*")),
        _OPEN,
    ),
    clean(
        "LB_TEST_1",
        "a test of each of two types",
        _backed_up()
        .add("aws_efs_file_system.this")
        .add("aws_backup_restore_testing_selection.this", {"protected_resource_type": "RDS"})
        .add("aws_backup_restore_testing_selection.files", {"protected_resource_type": "EFS"}),
    ),
)
