"""Stacks of others, in the shape of the examples that well-known modules publish: each finding was read, and is so."""

from __future__ import annotations

import json

import pytest
from lifeboat.decisions.policy import judging, reading
from lifeboat.decisions.policy.rule import Scan, Severity, Standing

from tests.modules.conftest import terraform as terraform  # noqa: PLC0414 (a fixture)
from tests.modules.terraform_runs import Terraform
from tests.policies.planning import offline
from tests.rehearsal import ROOT

_FOLDER = ROOT / "tests" / "policies" / "foreign"
_ALIASES = {"rds": ["replica"], "backup": ["secondary"], "tfstate": []}
_NO_COPIES = "no backup selection and no lifecycle policy takes copies of it"
_DELETED = "delete_automated_backups is true"

# The copies that RDS keeps by itself are no copies by a plan, which FSBP RDS.26 asks for; the replica is of no rule's interest.
_GRAVE = {
    "rds": [
        ("LB_ALARM_3", "aws_db_instance.default", "no alarm rings when the copies of the database grow old"),
        ("LB_COV_1", "aws_db_instance.default", _NO_COPIES),
        ("LB_COV_1", "aws_db_instance.this", _NO_COPIES),
        (
            "LB_RDS_1",
            "aws_db_instance.default",
            "backup_retention_period is not set, and RDS then keeps a day of backups or none",
        ),
        ("LB_RDS_1", "aws_db_instance.this", "automated backups are kept for 1 day"),
        ("LB_RDS_3", "aws_db_instance.default", _DELETED),
        ("LB_RDS_3", "aws_db_instance.this", "skip_final_snapshot is true"),
        ("LB_RDS_3", "aws_db_instance.this", _DELETED),
        ("LB_RDS_4", "aws_db_instance.default", "there is no point-in-time recovery"),
        ("LB_RDS_7", "aws_db_instance.default", "nothing protects it from being deleted"),
        ("LB_RDS_7", "aws_db_instance.this", "nothing protects it from being deleted"),
    ],
    # Of the two vaults only one is locked; the selection's condition leaves out what says that it holds nothing.
    "backup": [
        ("LB_ALARM_3", "aws_backup_plan.this", "no alarm rings when the copies of the vaults grow old"),
        ("LB_VAULT_1", "aws_backup_vault.secondary", "the vault has no lock"),
    ],
    "tfstate": [],
}
_REST = {
    "rds": [
        ("LB_ENC_2", "aws_kms_key.replica", "the key is not rotated"),
        (
            "LB_RDS_2",
            "aws_db_instance.default",
            "backup_window and maintenance_window not set: AWS picks a time at random",
        ),
        ("LB_RDS_5", "aws_db_instance.default", "the storage is encrypted with AWS's own key"),
        ("LB_RDS_5", "aws_db_instance.this", "the storage is encrypted with AWS's own key"),
        ("LB_RDS_6", "aws_db_instance.default", "nothing copies its backups to another region"),
    ],
    "backup": [
        *(
            ("LB_TEST_1", address, f"{kind} is backed up, and no restore of it is ever tested")
            for address, kind in (
                ("aws_dynamodb_table.sessions", "DynamoDB"),
                ("aws_ebs_volume.data", "EBS"),
                ("aws_efs_file_system.files", "EFS"),
            )
        ),
        ("LB_VAULT_2", "aws_backup_vault.secondary", "the vault has no policy"),
        ("LB_VAULT_2", "aws_backup_vault.this[0]", "the vault has no policy"),
        ("LB_VAULT_3", "aws_backup_vault.secondary", "the vault notifies nobody"),
        ("LB_VAULT_3", "aws_backup_vault.this[0]", "nobody is told of a failed copy"),
    ],
    "tfstate": [
        (
            "LB_STATE_2",
            "aws_dynamodb_table.with_server_side_encryption[0]",
            "the lock table can be deleted",
        )
    ],
}
# The regions stand in a local, or the vault behind a dynamic block: an apply tells.
_PUT_OFF = {
    "rds": ("LB_RDS_6 on aws_db_instance.this: aws_db_instance.this: in which region it is, is not in the plan",),
    "backup": (
        "LB_PLAN_3 on aws_backup_plan.this: aws_backup_plan.this rule[0] copy_action[0]: in which regions the plan and the"
        " vault of the copy are is not in the plan",
    ),
    "tfstate": (),
}


def _said(scan: Scan) -> dict[str, list[tuple[str, str, str]]]:
    found: dict[str, list[tuple[str, str, str]]] = {"grave": [], "rest": []}
    for one in scan.findings:
        found["grave" if one.severity >= Severity.HIGH else "rest"].append((one.rule, one.address, one.found))
    return found


@pytest.mark.parametrize("name", sorted(_ALIASES))
def test_a_foreign_stack_has_the_findings_that_were_read_and_no_other(name: str, terraform: Terraform) -> None:
    document = offline(_FOLDER / name, terraform, *_ALIASES[name]).planned()

    scan = judging.scanned(reading.from_document(document), standing=Standing.TO_BUILD)

    assert _said(scan) == {"grave": _GRAVE[name], "rest": _REST[name]}
    assert (scan.not_valid, scan.put_off) == ((), _PUT_OFF[name])
    assert "dummy" not in json.dumps(document)
