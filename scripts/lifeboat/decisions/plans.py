"""What a plan may do: which changes are refused, which a person must agree to, and why."""

from __future__ import annotations

from dataclasses import dataclass

from lifeboat.model import LOSING, Action, Change, Plan

# Types whose loss loses data or the means to get it back. Deleting or replacing one is refused, whatever was agreed to.
PROTECTED = {
    "aws_db_instance": "it is the database",
    "aws_s3_bucket": "it holds the state or the dumps",
    "aws_dynamodb_table": "it holds the state's lock and digest",
    "aws_kms_key": "what it encrypted can never be read again",
    "aws_kms_replica_key": "what it encrypted can never be read again",
    "aws_backup_vault": "it holds recovery points",
    "aws_db_instance_automated_backups_replication": "it is the database's copy in the other region",
    "aws_secretsmanager_secret": "it holds what the application connects with",
}
# Types that hold data which also exists elsewhere: replacing one is normal in a recovery, but never unasked.
HOLDS_DATA = {
    "aws_instance": "its root volume goes with it",
    "aws_ebs_volume": "its data goes with it",
    "aws_backup_plan": "nothing makes new recovery points until it is back",
    "aws_dlm_lifecycle_policy": "its snapshots are orphaned",
    "aws_route53_zone": "its name servers change",
    "aws_backup_vault_lock_configuration": "its recovery points can be deleted until it is back",
    "aws_backup_vault_policy": "its recovery points can be deleted until it is back",
    "aws_s3_bucket_object_lock_configuration": "new objects are not locked until it is back",
    "aws_s3_bucket_policy": "versions can be deleted until it is back",
    "aws_s3_bucket_replication_configuration": "nothing is copied to the other region until it is back",
    "aws_s3_bucket_versioning": "what is overwritten is lost until it is back",
}
# Types that come back empty when they are only made anew: what is lost must be restored first.
RESTORED_FIRST = {
    "aws_db_instance": "it is gone from AWS, and this plan would put an empty database in its place",
}
_MADE_EMPTY = "it is gone from AWS, and this plan would put a new, empty one in its place"
# What it means that one is made anew which is gone; of others what they held is lost, but for settings, which hold nothing.
MADE_ANEW = {
    **{kind: f"it is gone from AWS: {why}" for kind, why in HOLDS_DATA.items() if why.endswith("until it is back")},
    "aws_dynamodb_table": "it is gone from AWS, with all locks and with the digest of the state",
    "aws_instance": f"{_MADE_EMPTY}; lifeboat recover launches it from its newest image instead",
}


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The changes of a plan that are refused and those to be agreed to, each with the reason."""

    refused: tuple[tuple[Change, str], ...]
    to_agree: tuple[tuple[Change, str], ...]


def judged(plan: Plan) -> Judgement:
    """Return what a plan may not do and what it may do only when somebody agrees."""
    losing = [change for change in plan.changes if change.action in LOSING]
    refused = [(c, PROTECTED[c.resource_type]) for c in losing if c.resource_type in PROTECTED]
    to_agree = [(c, HOLDS_DATA[c.resource_type]) for c in losing if c.resource_type in HOLDS_DATA]
    for change in plan.changes:
        if change.address not in plan.gone or change.action is not Action.CREATE:
            continue
        if change.resource_type in RESTORED_FIRST:
            refused.append((change, RESTORED_FIRST[change.resource_type]))
        elif change.resource_type in PROTECTED or change.resource_type in HOLDS_DATA:
            to_agree.append((change, MADE_ANEW.get(change.resource_type, _MADE_EMPTY)))
    return Judgement(refused=tuple(refused), to_agree=tuple(to_agree))


def headline(plan: Plan) -> str:
    """Return the counts of a plan in one line, as Terraform words them."""
    if plan.empty:
        return "no changes"
    counts = [
        (Action.IMPORT, "to import"),
        (Action.CREATE, "to add"),
        (Action.UPDATE, "to change"),
        (Action.REPLACE, "to replace"),
        (Action.DELETE, "to destroy"),
        (Action.FORGET, "to forget"),
        (Action.MOVE, "to move"),
    ]
    shown = [f"{plan.count(action)} {words}" for action, words in counts if plan.count(action)]
    return ", ".join(shown) or "only outputs change"


def lost_by_name(plan: Plan) -> list[str]:
    """Return one line for each delete and replacement, and for each thing that is gone already."""
    return [f"gone from AWS: {address}" for address in plan.gone] + [
        f"{change.action.value} {change.address}" + (f" ({change.reason.replace('_', ' ')})" if change.reason else "")
        for change in plan.changes
        if change.action in LOSING
    ]
