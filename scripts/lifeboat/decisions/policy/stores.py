"""Rules on the buckets that a recovery starts from: Terraform's state with its lock table, and the dumps of the database."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta

from lifeboat.decisions.policy import buckets, controls
from lifeboat.decisions.policy.joins import attached
from lifeboat.decisions.policy.lengths import words
from lifeboat.decisions.policy.planned import Block, Undecided
from lifeboat.decisions.policy.rule import Case, Fault, Rule, RuleId, Severity

_BUCKET = ("aws_s3_bucket",)
_LOCKS = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
_KEEP_AS = "lifeboat:keep-as"
_NO_LOCK = "lifeboat:object-lock"
# What a state is kept for: the plan that makes it must not be the one that it describes.
_WORKLOAD = (
    "aws_db_instance",
    "aws_rds_cluster",
    "aws_instance",
    "aws_ecs_service",
    "aws_eks_cluster",
    "aws_lambda_function",
)


def _state_bucket(case: Case) -> Iterable[Fault]:
    yield from buckets.emptied(case)
    if not buckets.versioned(case.plan, case.resource):
        yield Fault(
            found="versions of the state are not kept",
            wanted="versioning",
            change='Add an aws_s3_bucket_versioning with status = "Enabled".',
        )
    if not buckets.encryption(case.plan, case.resource):
        yield Fault(
            found="nothing says how the state is encrypted",
            wanted="an encryption configuration",
            change="Add an aws_s3_bucket_server_side_encryption_configuration.",
        )
    yield from buckets.without_tls(case)


def _is_lock_table(case: Case) -> bool:
    return case.resource.body.text("hash_key") == "LockID"


def _lock_table(case: Case) -> Iterable[Fault]:
    body = case.resource.body
    recovery = body.block("point_in_time_recovery")
    if recovery is None or not recovery.flag("enabled"):
        yield Fault(found="the lock table has no point-in-time recovery", wanted="point_in_time_recovery enabled")
    if not body.flag("deletion_protection_enabled"):
        yield Fault(found="the lock table can be deleted", wanted="deletion_protection_enabled = true")
    if not buckets.state_is_elsewhere(case.plan):
        raise Undecided(
            "no bucket beside the lock table was taken for the state's: tag it lifeboat:role = state, or the others with theirs"
        )


def _state_kept(case: Case) -> Iterable[Fault]:
    wanted = case.parameters.state_keep
    for rule in buckets.lifecycle_rules(case.plan, case.resource):
        prefix, _ = buckets.filtered_by(rule)
        if prefix.endswith(".tflock"):
            continue  # Terraform's lock files, of which each apply leaves one
        # Under which key the state lies is in no plan: of a part of the bucket it is only told.
        severity = None if not prefix or "state" in prefix.lower() else Severity.MEDIUM
        part = f" under {prefix}" if severity else ""
        if buckets.expiry_days(rule) is not None:
            yield Fault(
                found=f"{rule.where} lets {'what is' if part else 'the current state'}{part or ''} expire",
                wanted="no expiration of current versions of the state",
                severity=severity,
            )
        days = buckets.superseded_days(rule)
        if days is not None and timedelta(days=days) < wanted:
            yield Fault(
                found=f"{rule.where} deletes {'what is superseded' if part else 'superseded states'}{part} after {days:g} days",
                wanted=f"at least {words(wanted)}",
                severity=severity,
            )


def _state_inside(case: Case) -> Iterable[Fault]:
    inside = case.plan.of(*_WORKLOAD)
    if inside:
        yield Fault(
            found=f"the plan that makes the state's bucket also makes {inside[0].address}",
            wanted="a root of its own for the state's bucket",
        )


def _dumps_kept(case: Case) -> Iterable[Fault]:
    if not buckets.versioned(case.plan, case.resource):
        yield Fault(
            found="a dump that is overwritten is gone",
            wanted="versioning",
            change='Add an aws_s3_bucket_versioning with status = "Enabled".',
        )
    wanted = case.parameters.min_dump
    for rule in buckets.lifecycle_rules(case.plan, case.resource):
        prefix, tags = buckets.filtered_by(rule)
        if tags.get(_KEEP_AS) == "expire":
            continue  # what lifeboat has decided to let go
        of_dumps = not prefix or _KEEP_AS in tags or re.search("dump|backup", prefix, re.IGNORECASE)
        severity = None if of_dumps else Severity.MEDIUM
        what = "dumps" if of_dumps else f"what is under {prefix}"
        days, old = buckets.expiry_days(rule), buckets.superseded_days(rule)
        if days is not None and timedelta(days=days) < wanted:
            yield Fault(
                found=f"{rule.where} lets {what} expire after {days:g} days"
                if days
                else f"{rule.where} ends at a date",
                wanted=f"at least {words(wanted)}",
                severity=severity,
            )
        if old is not None and timedelta(days=old) < wanted:
            yield Fault(
                found=f"{rule.where} deletes superseded versions of {what} after {old:g} days",
                wanted=f"at least {words(wanted)}",
                severity=severity,
            )


def _dumps_closed(case: Case) -> Iterable[Fault]:
    plan, bucket = case.plan, case.resource
    yield from buckets.emptied(case)
    blocks = attached(plan, bucket, "aws_s3_bucket_public_access_block", "bucket")
    if not any(all(block.body.flag(name) for name in _LOCKS) for block in blocks):
        yield Fault(
            found="public access is not blocked",
            wanted=f"an aws_s3_bucket_public_access_block with {', '.join(_LOCKS)}",
            change="Add it, all four true.",
        )
    locks = attached(plan, bucket, "aws_s3_bucket_object_lock_configuration", "bucket")
    retained = [one for lock in locks for rule in lock.body.blocks("rule") for one in rule.blocks("default_retention")]
    longest = max((_retention(one) for one in retained), default=timedelta())
    if retained and longest < case.parameters.min_backup:
        yield Fault(
            found=f"dumps are locked for {words(longest)}",
            wanted=f"a default retention of at least {words(case.parameters.min_backup)}",
            change="Raise the default_retention of the object lock.",
        )
    if not retained and bucket.tags().get(_NO_LOCK) != "off":
        yield Fault(
            found="whoever may write dumps can delete them: no object lock",
            wanted="an object lock with a default retention (or the tag lifeboat:object-lock = off)",
            change="Add an aws_s3_bucket_object_lock_configuration with a default_retention.",
        )
    # Last: before the first apply the policy may not be known, and what else is wrong is found all the same.
    yield from buckets.without_tls(case)


def _retention(lock: Block) -> timedelta:
    """Return for how long an object lock keeps what is written. Raises Undecided."""
    return timedelta(days=(lock.number("days") or 0) + 365 * (lock.number("years") or 0))


RULES = (
    Rule(
        id=RuleId("LB_STATE_1"),
        severity=Severity.HIGH,
        title="The state's bucket keeps versions, encrypts, and answers over TLS only",
        why="A state that was overwritten or is read on the way is the loss of everything that it describes.",
        change="Add what is missing to the bucket of the state.",
        types=_BUCKET,
        among=buckets.holds_state,
        judge=_state_bucket,
        controls=(
            *controls.well_architected("REL09-BP02"),
            *controls.nist("CP-9", "SC-8"),
            *controls.fsbp("S3.5", "S3.14"),
            *controls.config("S3_BUCKET_VERSIONING_ENABLED"),
            *controls.soc2("A1.2", sourced=True),
            *controls.iso("A.8.13"),
        ),
    ),
    Rule(
        id=RuleId("LB_STATE_2"),
        severity=Severity.MEDIUM,
        title="The lock table can be recovered, and is not deleted by mistake",
        why="Without the table nobody can apply, and two who force it overwrite each other's state.",
        change="Set deletion_protection_enabled = true and switch on point_in_time_recovery.",
        types=("aws_dynamodb_table",),
        among=_is_lock_table,
        judge=_lock_table,
        controls=(
            *controls.well_architected("REL09-BP01"),
            *controls.nist("CP-9"),
            *controls.fsbp("DynamoDB.2", "DynamoDB.6"),
            *controls.config("DYNAMODB_PITR_ENABLED"),
            *controls.soc2("A1.2", sourced=True),
        ),
    ),
    Rule(
        id=RuleId("LB_STATE_3"),
        severity=Severity.HIGH,
        title="Superseded states are kept long enough, and the current one does not expire",
        why="A state that was damaged weeks ago is repaired from the version before it.",
        change="Raise noncurrent_days, and take the expiration of current versions out.",
        types=_BUCKET,
        among=buckets.holds_state,
        judge=_state_kept,
        controls=(
            *controls.nist("CP-9"),
            *controls.iso("A.8.13"),
        ),
    ),
    Rule(
        id=RuleId("LB_STATE_4"),
        severity=Severity.MEDIUM,
        title="The state's bucket is not in the state that it keeps",
        why="A plan that destroys or replaces its own state's bucket saws off the branch it sits on.",
        change="Move the bucket and its table into a root of their own (terraform state mv).",
        types=_BUCKET,
        among=buckets.holds_state,
        judge=_state_inside,
        controls=(*controls.well_architected("REL09-BP02"),),
    ),
    Rule(
        id=RuleId("LB_DUMP_1"),
        severity=Severity.HIGH,
        title="Dumps keep their versions and do not expire too early",
        why="The dump is the copy that needs no AWS account to be read; one that expired helps nobody.",
        change="Raise the expiration in days of the bucket's lifecycle rules.",
        types=_BUCKET,
        among=buckets.holds_dumps,
        judge=_dumps_kept,
        controls=(
            *controls.well_architected("REL09-BP01"),
            *controls.nist("CP-9"),
            *controls.fsbp("S3.14"),
            *controls.soc2("A1.2", sourced=True),
            *controls.iso("A.8.13"),
        ),
    ),
    Rule(
        id=RuleId("LB_DUMP_2"),
        severity=Severity.MEDIUM,
        title="The bucket of the dumps is closed, and what is in it stays",
        why="A dump is the whole database in one file, for whoever can read it, and gone for whoever can delete it.",
        change="Add what is missing to the bucket of the dumps.",
        types=_BUCKET,
        among=buckets.holds_dumps,
        judge=_dumps_closed,
        controls=(
            *controls.well_architected("REL09-BP02"),
            *controls.nist("CP-9(d)", "AC-3"),
            *controls.fsbp("S3.5", "S3.8", "S3.15"),
            *controls.config("S3_BUCKET_DEFAULT_LOCK_ENABLED"),
            *controls.iso("A.8.3"),
        ),
    ),
)
