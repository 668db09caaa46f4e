"""Cases of the rules on the buckets of the state and of the dumps."""

from __future__ import annotations

import json
from typing import Any

from tests.policies.cases.case import absent, bad, clean, undecided
from tests.policies.plans import PlanFile, later

_STATE, _DUMPS = "app-tfstate-123456789012-eu-west-1", "app-dumps-123456789012-eu-west-1"
_TLS = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
_SSE = [{"apply_server_side_encryption_by_default": [{"sse_algorithm": "aws:kms"}]}]
_LOCK = [{"default_retention": [{"mode": "GOVERNANCE", "days": 30}]}]
_CLOSED = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
_NO_TLS = "its policy does not deny what comes without TLS"


def bucket(name: str | None, **parts: Any) -> PlanFile:
    """Return a plan with a bucket that has everything, but what `parts` takes out (None) or gives another way."""
    has = {
        "versioning": [{"status": "Enabled"}],
        "encryption": _SSE,
        "policy": json.dumps({"Statement": [_TLS]}),
        "closed": dict.fromkeys(_CLOSED, True),
        "lock": _LOCK,
        "lifecycle": None,
        "tags": {},
        **parts,
    }
    own = later("aws_s3_bucket.this.id")
    plan = PlanFile().add("aws_s3_bucket.this", {"bucket": name, "tags": has["tags"]})
    for kind, part, values in (
        ("aws_s3_bucket_versioning", "versioning", {"versioning_configuration": has["versioning"]}),
        ("aws_s3_bucket_server_side_encryption_configuration", "encryption", {"rule": has["encryption"]}),
        ("aws_s3_bucket_policy", "policy", {"policy": has["policy"]}),
        ("aws_s3_bucket_public_access_block", "closed", has["closed"]),
        ("aws_s3_bucket_object_lock_configuration", "lock", {"rule": has["lock"]}),
        ("aws_s3_bucket_lifecycle_configuration", "lifecycle", {"rule": has["lifecycle"]}),
    ):
        if has[part] is not None:
            plan.add(f"{kind}.this", {"bucket": own, **values})
    return plan


def table(*, recovery: bool = True, protected: bool | None = True) -> PlanFile:
    """Return a plan with a lock table."""
    return PlanFile().add(
        "aws_dynamodb_table.lock",
        {
            "name": "app-tflock",
            "hash_key": "LockID",
            "point_in_time_recovery": [{"enabled": recovery}],
            "deletion_protection_enabled": protected,
        },
    )


def _expiry(**over: Any) -> list[dict[str, Any]]:
    return [{"id": "r", "status": "Enabled", "filter": [{"prefix": ""}], **over}]


def _superseded(days: int, prefix: str = "") -> list[dict[str, Any]]:
    return _expiry(filter=[{"prefix": prefix}], noncurrent_version_expiration=[{"noncurrent_days": days}])


def _tagged(days: int, keep_as: str) -> list[dict[str, Any]]:
    both = [{"prefix": "dumps/", "tags": {"lifeboat:keep-as": keep_as}}]
    return _expiry(filter=[{"and": both}], expiration=[{"days": days}])


def _policy(**over: Any) -> str:
    return json.dumps({"Statement": [{**_TLS, **over}]})


_RULE = "aws_s3_bucket_lifecycle_configuration.this rule[0]"
CASES = (
    clean("LB_STATE_1", "everything", bucket(_STATE)),
    clean("LB_STATE_1", "by its tag", bucket("app", tags={"lifeboat:role": "state"})),
    bad("LB_STATE_1", "no versions", bucket(_STATE, versioning=None), "versions of the state are not kept"),
    bad(
        "LB_STATE_1",
        "suspended versions",
        bucket(_STATE, versioning=[{"status": "Suspended"}]),
        "versions of the state are not kept",
    ),
    bad("LB_STATE_1", "no encryption", bucket(_STATE, encryption=None), "nothing says how the state is encrypted"),
    bad("LB_STATE_1", "no policy", bucket(_STATE, policy=None), _NO_TLS),
    clean(
        "LB_STATE_1",
        "a list and a flag",
        bucket(_STATE, policy=_policy(Principal={"AWS": ["*"]}, Condition={"Bool": {"aws:SecureTransport": [False]}})),
    ),
    bad("LB_STATE_1", "TLS for one action", bucket(_STATE, policy=_policy(Action="s3:PutObject")), _NO_TLS),
    bad(
        "LB_STATE_1",
        "TLS for one principal",
        bucket(_STATE, policy=_policy(Principal={"AWS": "arn:aws:iam::1:root"})),
        _NO_TLS,
    ),
    bad(
        "LB_STATE_1",
        "the wrong way round",
        bucket(_STATE, policy=_policy(Condition={"Bool": {"aws:SecureTransport": "true"}})),
        _NO_TLS,
    ),
    bad("LB_STATE_1", "allowed", bucket(_STATE, policy=_policy(Effect="Allow")), _NO_TLS),
    undecided(
        "LB_STATE_1",
        "a policy that is known later",
        bucket(_STATE, policy=later("aws_kms_key.state.arn")),
        "aws_s3_bucket_policy.this: policy is known only after the apply",
    ),
    absent("LB_STATE_1", "another bucket", bucket("app-assets")),
    clean("LB_STATE_2", "both", table()),
    bad("LB_STATE_2", "no recovery", table(recovery=False), "the lock table has no point-in-time recovery"),
    bad("LB_STATE_2", "not protected", table(protected=None), "the lock table can be deleted"),
    absent("LB_STATE_2", "another table", PlanFile().add("aws_dynamodb_table.x", {"name": "x", "hash_key": "id"})),
    clean("LB_STATE_3", "no lifecycle", bucket(_STATE)),
    clean("LB_STATE_3", "90 days", bucket(_STATE, lifecycle=_superseded(90))),
    bad(
        "LB_STATE_3",
        "89 days",
        bucket(_STATE, lifecycle=_superseded(89)),
        f"{_RULE} deletes superseded states after 89 days",
    ),
    clean("LB_STATE_3", "lock files", bucket(_STATE, lifecycle=_superseded(1, "app/terraform.tfstate.tflock"))),
    clean("LB_STATE_3", "a rule that is off", bucket(_STATE, lifecycle=[{**_superseded(1)[0], "status": "Disabled"}])),
    clean(
        "LB_STATE_3",
        "delete markers",
        bucket(_STATE, lifecycle=_expiry(expiration=[{"expired_object_delete_marker": True, "days": 0}])),
    ),
    bad(
        "LB_STATE_3",
        "the current state expires",
        bucket(_STATE, lifecycle=_expiry(expiration=[{"days": 3650}])),
        f"{_RULE} lets the current state expire",
    ),
    absent("LB_STATE_3", "another bucket", bucket("app-assets")),
    clean("LB_STATE_4", "a root of its own", bucket(_STATE)),
    bad(
        "LB_STATE_4",
        "beside the database",
        bucket(_STATE).add("aws_db_instance.this"),
        "the plan that makes the state's bucket also makes aws_db_instance.this",
    ),
    absent("LB_STATE_4", "another bucket", bucket("app-assets").add("aws_db_instance.this")),
    clean("LB_DUMP_1", "kept for ever", bucket(_DUMPS)),
    clean("LB_DUMP_1", "30 days", bucket(_DUMPS, lifecycle=_expiry(expiration=[{"days": 30}]))),
    bad(
        "LB_DUMP_1",
        "29 days",
        bucket(_DUMPS, lifecycle=_expiry(expiration=[{"days": 29}])),
        f"{_RULE} lets dumps expire after 29 days",
    ),
    bad(
        "LB_DUMP_1",
        "a date",
        bucket(_DUMPS, lifecycle=_expiry(expiration=[{"date": "2027-01-01T00:00:00Z"}])),
        f"{_RULE} ends at a date",
    ),
    clean("LB_DUMP_1", "what is to go", bucket(_DUMPS, lifecycle=_tagged(1, "expire"))),
    bad(
        "LB_DUMP_1",
        "the daily ones",
        bucket(_DUMPS, lifecycle=_tagged(7, "daily")),
        f"{_RULE} lets dumps expire after 7 days",
    ),
    bad("LB_DUMP_1", "no versions", bucket(_DUMPS, versioning=None), "a dump that is overwritten is gone"),
    absent("LB_DUMP_1", "another bucket", bucket("app-assets")),
    clean("LB_DUMP_2", "everything", bucket(_DUMPS)),
    bad("LB_DUMP_2", "no block", bucket(_DUMPS, closed=None), "public access is not blocked"),
    bad(
        "LB_DUMP_2",
        "three of four",
        bucket(_DUMPS, closed={**dict.fromkeys(_CLOSED, True), "restrict_public_buckets": False}),
        "public access is not blocked",
    ),
    bad("LB_DUMP_2", "no TLS", bucket(_DUMPS, policy=None), _NO_TLS),
    bad("LB_DUMP_2", "no lock", bucket(_DUMPS, lock=None), "whoever may write dumps can delete them: no object lock"),
    bad(
        "LB_DUMP_2",
        "no lock, and a policy that is known later",
        bucket(_DUMPS, lock=None, policy=later("aws_kms_key.dumps.arn")),
        "whoever may write dumps can delete them: no object lock",
    ),
    clean("LB_DUMP_2", "no lock, and it says so", bucket(_DUMPS, lock=None, tags={"lifeboat:object-lock": "off"})),
    absent("LB_DUMP_2", "another bucket", bucket("app-assets")),
)
