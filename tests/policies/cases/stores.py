"""Cases of the rules on the buckets of the state and of the dumps."""

from __future__ import annotations

import json
from typing import Any

from tests.policies.cases.case import absent, bad, clean, undecided
from tests.policies.plans import HIDDEN, PlanFile, later

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
        "emptied": False,
        **parts,
    }
    own = later("aws_s3_bucket.this.id")
    plan = PlanFile().add("aws_s3_bucket.this", {"bucket": name, "tags": has["tags"], "force_destroy": has["emptied"]})
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


def _by_exclusion() -> str:
    statement = {name: value for name, value in _TLS.items() if name != "Action"}
    return json.dumps({"Statement": [{**statement, "NotAction": "iam:*"}]})


def _lock(days: int) -> list[dict[str, Any]]:
    return [{"default_retention": [{"mode": "GOVERNANCE", "days": days}]}]


def _called(resource: str, name: str) -> PlanFile:
    """Return a plan with a bucket that has all that the state's must have, under another name of the resource."""
    own = later(f"aws_s3_bucket.{resource}.id")
    return (
        PlanFile()
        .add(f"aws_s3_bucket.{resource}", {"bucket": name})
        .add("aws_s3_bucket_versioning.this", {"bucket": own, "versioning_configuration": [{"status": "Enabled"}]})
        .add("aws_s3_bucket_server_side_encryption_configuration.this", {"bucket": own, "rule": _SSE})
        .add("aws_s3_bucket_policy.this", {"bucket": own, "policy": _policy()})
    )


_ENABLED = {"versioning_configuration": [{"status": "Enabled"}]}


def _versioned_by_key(key: str) -> PlanFile:
    """Return a bucket of dumps and another one of the same block; the one with this key keeps versions."""
    return (
        PlanFile()
        .add("aws_s3_bucket.these", {"bucket": "app-dumps"}, key="app")
        .add("aws_s3_bucket.these", {"bucket": "scratch"}, key="scratch")
        .add("aws_s3_bucket_versioning.this", {"bucket": later(f'aws_s3_bucket.these["{key}"].id'), **_ENABLED})
    )


def _counted(*numbers: int) -> PlanFile:
    """Return two buckets of dumps that are counted; those with these numbers keep versions."""
    found = PlanFile()
    for number in (0, 1):
        found.add("aws_s3_bucket.dumps", {}, key=number)
    for number in numbers:
        versions = {"bucket": later(f"aws_s3_bucket.dumps[{number}].id"), **_ENABLED}
        found.add(f"aws_s3_bucket_versioning.v{number}", versions)
    return found


def _in_module(*versioned: str) -> PlanFile:
    """Return a module with a bucket of dumps that is called twice; these calls keep versions."""
    own = later("aws_s3_bucket.dumps.id")
    found = (
        PlanFile()
        .add("aws_s3_bucket.dumps", {})
        .add("aws_s3_bucket_versioning.dumps", {"bucket": own, **_ENABLED}, key=0)
        .called("a", "b", only={"aws_s3_bucket_versioning.dumps": versioned})
    )
    them = "".join(f"    {key} = {str(key in versioned).lower()}\n" for key in ("a", "b"))
    found.files = {"main": _CALLS.replace("THEM", them), "it/main": _CALLED}
    return found


_CALLS = """
provider "aws" {
  region = "eu-west-1"
}
module "it" {
  source = "./it"
  for_each = {
THEM  }
  versioned = each.value
}
"""
_CALLED = """
variable "versioned" {
  type = bool
}
resource "aws_s3_bucket" "dumps" {
}
resource "aws_s3_bucket_versioning" "dumps" {
  count  = var.versioned ? 1 : 0
  bucket = aws_s3_bucket.dumps.id
  versioning_configuration {
    status = "Enabled"
  }
}
"""
_RULE = "aws_s3_bucket_lifecycle_configuration.this rule[0]"
_EMPTIED = "force_destroy is true: a destroy deletes everything in it first"


def _of_no_worth(plan: PlanFile) -> PlanFile:
    plan.variables["disposable"] = True
    return plan


CASES = (
    bad("LB_STATE_1", "emptied by a destroy", bucket(_STATE, emptied=True), _EMPTIED),
    clean("LB_STATE_1", "emptied, and of no worth", _of_no_worth(bucket(_STATE, emptied=True))),
    bad("LB_DUMP_2", "emptied by a destroy", bucket(_DUMPS, emptied=True), _EMPTIED),
    clean("LB_DUMP_2", "emptied, and of no worth", _of_no_worth(bucket(_DUMPS, emptied=True))),
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
    clean(
        "LB_STATE_1",
        "all that is not over TLS, were it without the key",
        bucket(_STATE, policy=_policy(Condition={"BoolIfExists": {"aws:SecureTransport": "false"}})),
    ),
    bad(
        "LB_STATE_1",
        "TLS for a part of it",
        bucket(_STATE, policy=_policy(Resource=f"arn:aws:s3:::{_STATE}/public/*")),
        _NO_TLS,
    ),
    bad(
        "LB_STATE_1",
        "TLS for another bucket",
        bucket(_STATE, policy=_policy(Resource=["arn:aws:s3:::other", "arn:aws:s3:::other/*"])),
        _NO_TLS,
    ),
    bad(
        "LB_STATE_1",
        "TLS for objects alone",
        bucket(_STATE, policy=_policy(Resource=f"arn:aws:s3:::{_STATE}/*")),
        _NO_TLS,
    ),
    clean(
        "LB_STATE_1",
        "TLS for the bucket and its objects",
        bucket(_STATE, policy=_policy(Resource=[f"arn:aws:s3:::{_STATE}", f"arn:aws:s3:::{_STATE}/*"])),
    ),
    clean(
        "LB_STATE_1",
        "TLS action by action",
        bucket(_STATE, policy=_policy(Action=["s3:GetObject*", "s3:PutObject", "s3:List*"])),
    ),
    bad("LB_STATE_1", "TLS for reading alone", bucket(_STATE, policy=_policy(Action="s3:GetObject")), _NO_TLS),
    undecided(
        "LB_STATE_1",
        "what is denied by what is left out",
        bucket(_STATE, policy=_by_exclusion()),
        "its policy says by NotAction or NotResource what it denies without TLS",
    ),
    clean("LB_STATE_1", "by the end of its name", bucket("acme-prod-state")),
    clean("LB_STATE_1", "a well-known name", bucket("terraform-up-and-running-state")),
    clean("LB_STATE_1", "by the name of the resource", _called("terraform_state", "acme")),
    absent("LB_STATE_1", "a bucket of the states of something", bucket("united-states-assets")),
    undecided(
        "LB_STATE_2",
        "a bucket beside it that nobody would take for the state's",
        table().add("aws_s3_bucket.this", {"bucket": "acme"}),
        "no bucket beside the lock table was taken for the state's: tag it lifeboat:role = state, or the others with theirs",
    ),
    clean(
        "LB_STATE_2",
        "a bucket beside it that says what it is for",
        table().add("aws_s3_bucket.this", {"bucket": "acme", "tags": {"lifeboat:role": "logs"}}),
    ),
    clean("LB_STATE_2", "the state's bucket beside it", table().add("aws_s3_bucket.this", {"bucket": _STATE})),
    undecided(
        "LB_STATE_3",
        "rules that nobody knows how many",
        bucket(_STATE, lifecycle=HIDDEN),
        "aws_s3_bucket_lifecycle_configuration.this: how many rule it has is known only after the apply",
    ),
    bad(
        "LB_STATE_3",
        "another part of the bucket",
        bucket(_STATE, lifecycle=_expiry(filter=[{"prefix": "access-logs/"}], expiration=[{"days": 30}])),
        f"{_RULE} lets what is under access-logs/ expire",
    ),
    bad(
        "LB_STATE_3",
        "the part that the state is in",
        bucket(_STATE, lifecycle=_expiry(filter=[{"prefix": "states/"}], expiration=[{"days": 30}])),
        f"{_RULE} lets the current state expire",
    ),
    bad(
        "LB_STATE_4",
        "beside the application host",
        bucket(_STATE).add("aws_instance.this"),
        "the plan that makes the state's bucket also makes aws_instance.this",
    ),
    clean("LB_STATE_4", "beside its own key", bucket(_STATE).add("aws_kms_key.this")),
    clean("LB_DUMP_1", "superseded ones for 30 days", bucket(_DUMPS, lifecycle=_superseded(30))),
    bad(
        "LB_DUMP_1",
        "superseded ones for 29 days",
        bucket(_DUMPS, lifecycle=_superseded(29)),
        f"{_RULE} deletes superseded versions of dumps after 29 days",
    ),
    bad(
        "LB_DUMP_1",
        "another part of the bucket",
        bucket(_DUMPS, lifecycle=_expiry(filter=[{"prefix": "inventory/"}], expiration=[{"days": 7}])),
        f"{_RULE} lets what is under inventory/ expire after 7 days",
    ),
    bad(
        "LB_DUMP_1", "versions of another instance", _versioned_by_key("scratch"), "a dump that is overwritten is gone"
    ),
    clean("LB_DUMP_1", "versions of this instance", _versioned_by_key("app")),
    bad("LB_DUMP_1", "versions of the first alone", _counted(0), "a dump that is overwritten is gone"),
    clean("LB_DUMP_1", "versions of both", _counted(0, 1)),
    bad("LB_DUMP_1", "versions in another call of the module", _in_module("a"), "a dump that is overwritten is gone"),
    clean("LB_DUMP_1", "versions in each call of the module", _in_module("a", "b")),
    clean("LB_DUMP_2", "a lock of a week", bucket(_DUMPS, lock=_lock(7))),
    bad("LB_DUMP_2", "a lock of six days", bucket(_DUMPS, lock=_lock(6)), "dumps are locked for 6 days"),
)
