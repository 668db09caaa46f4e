"""Cases of the rules on keys."""

from __future__ import annotations

from typing import Any

from tests.policies.cases.case import absent, bad, clean, undecided
from tests.policies.cases.stores import bucket
from tests.policies.plans import COMPUTED, HERE, THERE, PlanFile, later

_KEY = "arn:aws:kms:{}:123456789012:key/0"
_KEYS = later("aws_kms_key.this.arn")


def _vault(key: Any, region: str = HERE, of_key: str = HERE) -> PlanFile:
    return (
        PlanFile()
        .add("aws_kms_key.this", {"enable_key_rotation": True}, region=of_key)
        .add("aws_backup_vault.main", {"name": "main", "kms_key_arn": key}, region=region)
    )


def _key(**values: Any) -> PlanFile:
    return (
        PlanFile()
        .add("aws_kms_key.this", {"enable_key_rotation": True, "deletion_window_in_days": 30, **values})
        .add("aws_backup_vault.main", {"name": "main", "kms_key_arn": _KEYS})
    )


def _measured(plan: PlanFile, **variables: Any) -> PlanFile:
    plan.variables |= variables
    return plan


def _dlm(key: Any, region: str) -> PlanFile:
    copy = {"target": THERE, "encrypted": True, "cmk_arn": key}
    return (
        PlanFile()
        .add("aws_kms_key.this", {"enable_key_rotation": True}, region=region)
        .add("aws_dlm_lifecycle_policy.this", {"policy_details": [{"schedule": [{"cross_region_copy_rule": [copy]}]}]})
    )


def _hidden(region: str) -> PlanFile:
    """Return a plan whose policy has its schedules from a dynamic block: the configuration then says nothing of them."""
    found = _dlm(_KEYS, region)
    del found.configuration[-1]["expressions"]["policy_details"][0]["schedule"]
    return found


def _dumps(key: Any) -> PlanFile:
    rule = [{"apply_server_side_encryption_by_default": [{"sse_algorithm": "aws:kms", "kms_master_key_id": key}]}]
    return bucket("app-dumps", encryption=rule).add("aws_kms_key.this", {})


def _lost(found: PlanFile) -> PlanFile:
    found.lost_regions = True
    return found


def _of_two(short: str) -> PlanFile:
    """Return a vault under one of two keys of a block; the one with this name can be gone in a week."""
    found = PlanFile()
    for key in ("a", "b"):
        days = 7 if key == short else 30
        values = {"enable_key_rotation": True, "deletion_window_in_days": days}
        found.add("aws_kms_key.these", values, key=key)
    return found.add("aws_backup_vault.main", {"name": "main", "kms_key_arn": later('aws_kms_key.these["a"].arn')})


_COPY = "aws_dlm_lifecycle_policy.this policy_details[0] schedule[0] cross_region_copy_rule[0]"
CASES = (
    clean("LB_ENC_1", "a key of the same plan", _vault(_KEYS)),
    clean("LB_ENC_1", "a key that is known", _vault(_KEY.format(HERE))),
    bad("LB_ENC_1", "no key", _vault(None), "aws_backup_vault.main names no key of your own"),
    bad("LB_ENC_1", "AWS's own", _vault(COMPUTED), "aws_backup_vault.main names no key of your own"),
    bad(
        "LB_ENC_1",
        "a key of the other region",
        _vault(_KEYS, region=THERE),
        f"the key of aws_backup_vault.main is in {HERE}, and the copy in {THERE}",
    ),
    bad(
        "LB_ENC_1",
        "a known key of the other region",
        _vault(_KEY.format(THERE)),
        f"the key of aws_backup_vault.main is in {THERE}, and the copy in {HERE}",
    ),
    undecided(
        "LB_ENC_1",
        "a key that a local hides",
        _vault(later("local.key")),
        "aws_backup_vault.main: which key kms_key_arn is, is known only after the apply",
    ),
    clean("LB_ENC_1", "copies of snapshots under a key there", _dlm(_KEYS, THERE)),
    bad(
        "LB_ENC_1",
        "copies under a key here",
        _dlm(_KEYS, HERE),
        f"the key of {_COPY} is in {HERE}, and the copy in {THERE}",
    ),
    bad("LB_ENC_1", "copies without a key", _dlm(None, THERE), f"{_COPY} names no key of your own"),
    undecided(
        "LB_ENC_1",
        "a dynamic block, and a key there",
        _hidden(THERE),
        f"{_COPY}: which key cmk_arn is, is known only after the apply",
    ),
    undecided(
        "LB_ENC_1",
        "a dynamic block, and no key there",
        _hidden(HERE),
        f"{_COPY}: which key cmk_arn is, is known only after the apply",
    ),
    clean("LB_ENC_1", "dumps under a key", _dumps(_KEYS)),
    bad(
        "LB_ENC_1",
        "dumps under AWS's key",
        _dumps(None),
        "aws_s3_bucket_server_side_encryption_configuration.this rule[0] apply_server_side_encryption_by_default[0] names no key"
        " of your own",
    ),
    bad(
        "LB_ENC_1",
        "dumps of which nothing is said",
        bucket("app-dumps", encryption=None),
        "nothing says how it is encrypted",
    ),
    absent("LB_ENC_1", "no copies", bucket("app-assets")),
    clean("LB_ENC_2", "thirty days, rotated", _key()),
    clean("LB_ENC_2", "KMS's own window", _key(deletion_window_in_days=None)),
    bad("LB_ENC_2", "29 days", _key(deletion_window_in_days=29), "a deletion of the key can be taken back for 29 days"),
    clean("LB_ENC_2", "as short as a variable allows", _measured(_key(deletion_window_in_days=7), key_window_days=7)),
    bad(
        "LB_ENC_2",
        "a day shorter",
        _measured(_key(deletion_window_in_days=7), key_window_days=8),
        "a deletion of the key can be taken back for 7 days",
    ),
    bad("LB_ENC_2", "not rotated", _key(enable_key_rotation=False), "the key is not rotated"),
    clean("LB_ENC_2", "a key that cannot be rotated", _key(enable_key_rotation=False, key_usage="SIGN_VERIFY")),
    bad("LB_ENC_2", "disabled", _key(is_enabled=False), "the key is disabled"),
    clean("LB_ENC_2", "of a dynamic block", _hidden(THERE)),
    absent("LB_ENC_2", "a key of something else", PlanFile().add("aws_kms_key.this", {"deletion_window_in_days": 7})),
    undecided(
        "LB_ENC_1",
        "a key of another provider whose region the plan does not tell",
        _lost(_vault(_KEYS, region=THERE)),
        "aws_backup_vault.main: whether aws_kms_key.this is in the region of the copy is not in the plan",
    ),
    clean("LB_ENC_1", "a key of the same provider, whichever its region", _lost(_vault(_KEYS, THERE, THERE))),
    undecided(
        "LB_ENC_1",
        "a dynamic block, and a key of something else there",
        _hidden(THERE).add("aws_kms_key.logs", {"description": "logs", "enable_key_rotation": True}, region=THERE),
        f"{_COPY}: which key cmk_arn is, is known only after the apply",
    ),
    bad(
        "LB_ENC_1",
        "a copy of an Aurora snapshot without a key",
        PlanFile().add("aws_rds_cluster_snapshot_copy.this", {"kms_key_id": None}),
        "aws_rds_cluster_snapshot_copy.this names no key of your own",
    ),
    clean(
        "LB_ENC_1",
        "a copy of an Aurora snapshot",
        PlanFile()
        .add("aws_kms_key.this", {"enable_key_rotation": True})
        .add("aws_rds_cluster_snapshot_copy.this", {"kms_key_id": _KEYS}),
    ),
    clean("LB_ENC_2", "another key of the same block", _of_two("b")),
    bad("LB_ENC_2", "a key of two", _of_two("a"), "a deletion of the key can be taken back for 7 days"),
)
