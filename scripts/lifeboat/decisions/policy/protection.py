"""Rules on what is covered: everything that holds data has a policy that copies it, and every policy has something to copy."""

from __future__ import annotations

from collections.abc import Iterable

from lifeboat.decisions.policy import controls
from lifeboat.decisions.policy.buckets import versioned
from lifeboat.decisions.policy.coverage import (
    BACKUP_TYPES,
    coverage,
    covered_by,
    is_replica,
    stateful,
    with_data,
    without_data,
)
from lifeboat.decisions.policy.joins import apart, attached
from lifeboat.decisions.policy.rule import Case, Fault, Rule, RuleId, Severity

# Buckets and tables hold more often what can be made anew: they are asked for where they say that they hold data.
_ASKED = ("aws_s3_bucket", "aws_dynamodb_table")
_COVERED = tuple(kind for kind in BACKUP_TYPES if kind not in _ASKED)
POLICIES = ("aws_backup_selection", "aws_dlm_lifecycle_policy")


def _holds_data(case: Case) -> bool:
    return not is_replica(case.resource.body) and not without_data(case.resource)


def _covered(case: Case) -> Iterable[Fault]:
    has = coverage(case.plan, case.resource)
    if has.any:
        return
    if has.doubt:
        raise has.doubt
    yield Fault(
        found="no backup selection and no lifecycle policy takes copies of it",
        wanted="one that matches it by ARN or by a tag that it bears (tag lifeboat:data = false where it holds none)",
    )


def _says_so(case: Case) -> bool:
    return with_data(case.resource)


def _copied(case: Case) -> Iterable[Fault]:
    plan, resource = case.plan, case.resource
    has = coverage(plan, resource)
    if has.any:
        return
    if resource.type == "aws_dynamodb_table":
        recovery = resource.body.block("point_in_time_recovery")
        if recovery is not None and recovery.flag("enabled"):
            return
        wanted = "a backup selection that matches it, or point_in_time_recovery"
    else:
        replicated = attached(plan, resource, "aws_s3_bucket_replication_configuration", "bucket")
        if replicated and versioned(plan, resource):
            return
        wanted = "a backup selection that matches it, or versioning and replication"
    if has.doubt:
        raise has.doubt
    yield Fault(found="it holds data (tag lifeboat:data = true) and nothing takes copies of it", wanted=wanted)


def _has_something_to_take(case: Case) -> bool:
    """Return whether the plan holds anything that could be copied: a plan of policies alone is for other plans' resources."""
    details = case.resource.body.block("policy_details")
    by_event = details is not None and details.text("policy_type") == "EVENT_BASED_POLICY"
    return not by_event and any(not apart(case.resource, one) for one in stateful(case.plan))


def _takes(case: Case) -> Iterable[Fault]:
    if covered_by(case.plan, case.resource):
        return
    for resource in stateful(case.plan):
        doubt = coverage(case.plan, resource).doubt
        if doubt:
            raise doubt
    yield Fault(found="it matches nothing in this plan", wanted="tags or ARNs of what it is to copy, letter by letter")


RULES = (
    Rule(
        id=RuleId("LB_COV_1"),
        severity=Severity.HIGH,
        title="Everything that holds data is matched by a backup selection or a lifecycle policy",
        why="What no policy matches has no copy, and nobody is told: a misspelt tag looks like a protected volume.",
        change="Give it the tag that a policy selects by, or add its ARN to a selection.",
        types=_COVERED,
        among=_holds_data,
        judge=_covered,
        controls=(
            *controls.well_architected("REL09-BP01"),
            *controls.nist("CP-9(a)", "CP-10", "CP-6"),
            *controls.fsbp("RDS.26", "EFS.2"),
            *controls.config(
                "RDS_RESOURCES_PROTECTED_BY_BACKUP_PLAN",
                "EFS_RESOURCES_PROTECTED_BY_BACKUP_PLAN",
                "AURORA_RESOURCES_PROTECTED_BY_BACKUP_PLAN",
            ),
            # A lifecycle policy of DLM is no plan of AWS Backup, and takes the same snapshots.
            *controls.fsbp("EC2.28", sourced=False),
            *controls.config(
                "EBS_RESOURCES_PROTECTED_BY_BACKUP_PLAN", "EC2_RESOURCES_PROTECTED_BY_BACKUP_PLAN", sourced=False
            ),
            *controls.audit_manager("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN"),
            *controls.soc2("A1.2", sourced=True),
            *controls.iso("A.8.13", sourced=True),
        ),
    ),
    Rule(
        id=RuleId("LB_COV_2"),
        severity=Severity.MEDIUM,
        title="A bucket or table that says it holds data is copied",
        why="Versions in the same bucket, and a table without recovery, are lost with the bucket and the table.",
        change="Add it to a backup selection; or replicate the bucket, or switch on the table's point-in-time recovery.",
        types=_ASKED,
        among=_says_so,
        judge=_copied,
        controls=(
            *controls.well_architected("REL09-BP01"),
            *controls.nist("CP-9(a)"),
            # A table's own recovery, or a bucket's replication, is no plan, and copies as well.
            *controls.fsbp("DynamoDB.4", sourced=False),
            *controls.config(
                "S3_RESOURCES_PROTECTED_BY_BACKUP_PLAN", "DYNAMODB_RESOURCES_PROTECTED_BY_BACKUP_PLAN", sourced=False
            ),
            *controls.soc2("A1.2", sourced=True),
            *controls.iso("A.8.13"),
        ),
    ),
    Rule(
        id=RuleId("LB_COV_3"),
        severity=Severity.MEDIUM,
        title="No selection and no lifecycle policy matches nothing",
        why="A policy that matches nothing runs for years without making a copy, and never fails.",
        change="Correct the tags or ARNs, or take the policy out.",
        types=POLICIES,
        among=_has_something_to_take,
        judge=_takes,
        controls=(*controls.well_architected("REL09-BP01"), *controls.nist("CP-9(a)")),
    ),
)
