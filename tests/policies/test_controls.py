"""No control is claimed by a rule that does not look at it: each that a source names is broken by a plan, and its rules say so."""

from __future__ import annotations

from typing import Any

import pytest
from lifeboat.decisions.policy import judging, reading, standards
from lifeboat.decisions.policy.controls import Framework
from lifeboat.decisions.policy.rule import Verdict

from tests.policies.cases import CASES
from tests.policies.cases.databases import CLUSTER, cluster, database
from tests.policies.plans import PlanFile

# What AWS itself checks, so that it can be said of each of them what breaks it; the rest are chapters of standards.
_CHECKS = (Framework.CONFIG, Framework.FSBP, Framework.AUDIT_MANAGER)


def _case(name: str) -> PlanFile:
    return next(case.plan for case in CASES if case.id == name)


def _alone(kind: str, **values: Any) -> PlanFile:
    return PlanFile().add(f"{kind}.this", values)


_RARE, _SHORT = _case("LB_PLAN_1: weekly"), _case("LB_PLAN_2: six days")
_BREAKS: dict[str, tuple[PlanFile, ...]] = {
    "AURORA_RESOURCES_PROTECTED_BY_BACKUP_PLAN": (cluster(),),
    "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK": (_RARE, _SHORT),
    "BACKUP_RECOVERY_POINT_ENCRYPTED": (_case("LB_ENC_1: no key"),),
    "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED": (_case("LB_VAULT_2: no policy"),),
    "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK": (_SHORT,),
    "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN": (database(), _alone("aws_efs_file_system")),
    "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK": (_case("LB_VAULT_1: no lock"),),
    "BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION": (_case("LB_PLAN_3: no copy"),),
    "Backup.1": (_case("LB_ENC_1: no key"),),
    "CLOUDWATCH_ALARM_ACTION_CHECK": (_case("LB_ALARM_1: none"),),
    "CloudWatch.15": (_case("LB_ALARM_1: none"),),
    "CloudWatch.17": (_case("LB_ALARM_1: switched off"),),
    "DB_INSTANCE_BACKUP_ENABLED": (database(backup_retention_period=0),),
    "DYNAMODB_PITR_ENABLED": (_case("LB_STATE_2: no recovery"),),
    "DocumentDB.2": (_alone("aws_docdb_cluster", **{**CLUSTER, "backup_retention_period": 6}),),
    "DocumentDB.5": (_alone("aws_docdb_cluster", **{**CLUSTER, "deletion_protection": False}),),
    "DynamoDB.2": (_case("LB_STATE_2: no recovery"),),
    "DynamoDB.6": (_case("LB_STATE_2: not protected"),),
    "EBS_SNAPSHOT_PUBLIC_RESTORABLE_CHECK": (_case("LB_SNAP_1: sharing not blocked"),),
    "EC2.1": (_case("LB_SNAP_1: sharing not blocked"),),
    "EFS.2": (_alone("aws_efs_file_system"),),
    "EFS_RESOURCES_PROTECTED_BY_BACKUP_PLAN": (_alone("aws_efs_file_system"),),
    "KMS.3": (_case("LB_TF_2: replaced, the new one first"),),
    "KMS.4": (_case("LB_ENC_2: not rotated"),),
    "KMS_CMK_NOT_SCHEDULED_FOR_DELETION": (_case("LB_TF_2: replaced, the new one first"),),
    "Neptune.4": (_alone("aws_neptune_cluster", **{**CLUSTER, "deletion_protection": False}),),
    "Neptune.5": (_alone("aws_neptune_cluster", **{**CLUSTER, "backup_retention_period": 6}),),
    "RDS.1": (_case("LB_SNAP_1: shared with all"),),
    "RDS.11": (database(backup_retention_period=6),),
    "RDS.26": (database(),),
    "RDS.27": (cluster(storage_encrypted=False),),
    "RDS.3": (database(storage_encrypted=False),),
    "RDS.4": (_alone("aws_db_snapshot_copy", source_db_snapshot_identifier="s"),),
    "RDS.7": (cluster(deletion_protection=False),),
    "RDS.8": (database(deletion_protection=False),),
    "RDS_RESOURCES_PROTECTED_BY_BACKUP_PLAN": (database(),),
    "RDS_SNAPSHOTS_PUBLIC_PROHIBITED": (_case("LB_SNAP_1: shared with all"),),
    "S3.14": (_case("LB_STATE_1: no versions"), _case("LB_DUMP_1: no versions")),
    "S3.15": (_case("LB_DUMP_2: no lock"),),
    "S3.5": (_case("LB_STATE_1: no policy"), _case("LB_DUMP_2: no TLS")),
    "S3.8": (_case("LB_DUMP_2: no block"),),
    "S3_BUCKET_DEFAULT_LOCK_ENABLED": (_case("LB_DUMP_2: no lock"),),
    "S3_BUCKET_VERSIONING_ENABLED": (_case("LB_STATE_1: no versions"),),
}


@pytest.mark.parametrize("name", _BREAKS)
def test_what_breaks_a_control_is_found_by_the_rules_that_claim_it(name: str) -> None:
    for plan in _BREAKS[name]:
        covered = standards.covered(judging.scanned(reading.read(plan.text())))

        verdicts = {one.verdict for one in covered.controls if one.name == name}
        assert verdicts == {Verdict.FINDINGS}


def test_every_control_that_a_source_gives_to_a_rule_can_be_broken() -> None:
    claimed = {one.name for one in standards.covered().controls if one.sourced and one.framework in _CHECKS}

    assert claimed == set(_BREAKS)
