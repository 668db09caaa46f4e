"""Cases of the rules on what must not get out."""

from __future__ import annotations

from typing import Any

from tests.policies.cases.case import absent, bad, clean
from tests.policies.plans import PlanFile, known, later


def _snapshot(*accounts: str) -> PlanFile:
    return PlanFile().add("aws_db_snapshot.this", {"db_snapshot_identifier": "s", "shared_accounts": list(accounts)})


def _permission(**values: Any) -> PlanFile:
    return PlanFile().add("aws_ami_launch_permission.this", {"image_id": "ami-1", **values})


def _block(state: str) -> PlanFile:
    return PlanFile().add("aws_ebs_snapshot_block_public_access.this", {"state": state})


def _password(kind: str = "aws_db_instance", **values: Any) -> PlanFile:
    return PlanFile().add(f"{kind}.this", {"identifier": "app", **values})


_LITERAL = "the database's password stands in the configuration"
_PASSED = "the database's password goes through a variable or resource, into the state and into every plan"
CASES = (
    clean("LB_SNAP_1", "shared with an account", _snapshot("123456789012")),
    clean("LB_SNAP_1", "not shared", _snapshot()),
    bad("LB_SNAP_1", "shared with all", _snapshot("123456789012", "all"), "anybody may restore the snapshot"),
    clean("LB_SNAP_1", "an image for an account", _permission(account_id="123456789012")),
    bad("LB_SNAP_1", "an image for all", _permission(group="all"), "anybody may launch the image, and read its disks"),
    clean("LB_SNAP_1", "new sharing blocked", _block("block-new-sharing")),
    bad("LB_SNAP_1", "sharing not blocked", _block("unblocked"), "snapshots of the account may be made public"),
    absent("LB_SNAP_1", "no snapshot", PlanFile().add("aws_vpc.this")),
    clean("LB_SEC_1", "managed by AWS", _password(manage_master_user_password=True)),
    clean("LB_SEC_1", "write-only", _password(password_wo=known("hunter2", "var.p"))),
    bad("LB_SEC_1", "written", _password(password="hunter2"), _LITERAL),
    bad("LB_SEC_1", "a variable", _password(password=known("hunter2", "var.password")), _PASSED),
    bad("LB_SEC_1", "made in the same apply", _password(password=later("random_password.this.result")), _PASSED),
    bad("LB_SEC_1", "of a cluster", _password("aws_rds_cluster", master_password="hunter2"), _LITERAL),
    absent("LB_SEC_1", "restored, with none", _password()),
    bad(
        "LB_SNAP_1",
        "a copy of an Aurora snapshot for everybody",
        PlanFile().add("aws_rds_cluster_snapshot_copy.this", {"shared_accounts": ["all"]}),
        "anybody may restore the snapshot",
    ),
    clean(
        "LB_SNAP_1",
        "a copy of an Aurora snapshot for one account",
        PlanFile().add("aws_rds_cluster_snapshot_copy.this", {"shared_accounts": ["123456789012"]}),
    ),
)
