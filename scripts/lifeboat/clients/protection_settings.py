"""How copies are protected: what AWS says of policies, selections, vaults, buckets and the lock table. Looks only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lifeboat.clients import sdk, terraform_attributes
from lifeboat.clients.sdk import translated
from lifeboat.status_model import (
    BackupSelection,
    BucketSeen,
    LifecyclePolicy,
    ReplicationRule,
    Schedule,
    VaultLock,
)

_NO_TABLE = ("TableNotFoundException", "ResourceNotFoundException")
_NO_RULES = ("ReplicationConfigurationNotFoundError",)
_NO_LOCK = ("ObjectLockConfigurationNotFoundError",)
_NO_BUCKET = ("NoSuchBucket", "404")
_TAG = "aws:ResourceTag/"


class ProtectionSettings:
    """The settings of whatever protects the environment, in whatever region."""

    def __init__(self, client: Callable[[str, str], Any]) -> None:
        self._client = client

    def policy(self, policy: str, region: str) -> LifecyclePolicy | None:
        """Return a policy of Data Lifecycle Manager; None where there is none."""
        with translated(f"look at the lifecycle policy {policy}"):
            answer = sdk.unless_absent(
                ("ResourceNotFoundException",),
                lambda: self._client("dlm", region).get_lifecycle_policy(PolicyId=policy)["Policy"],
            )
        if answer is None:
            return None
        return LifecyclePolicy(
            id=policy,
            state=str(answer["State"]),
            message=str(answer.get("StatusMessage", "")),
            target_tags=sdk.tags(answer.get("PolicyDetails", {}).get("TargetTags", [])),
        )

    def selections(self, plan: str, region: str) -> tuple[BackupSelection, ...] | None:
        """Return what a backup plan takes; None where there is no such plan."""
        backup = self._client("backup", region)
        with translated(f"look at what the backup plan {plan} selects"):
            standing = sdk.unless_absent(
                ("ResourceNotFoundException",), lambda: backup.get_backup_plan(BackupPlanId=plan)
            )
            # One that was deleted is still told of for a while, with when that was.
            if standing is None or "DeletionDate" in standing:
                return None
            listed = sdk.items(backup, "list_backup_selections", "BackupSelectionsList", BackupPlanId=plan)
            found = [
                backup.get_backup_selection(BackupPlanId=plan, SelectionId=one["SelectionId"])["BackupSelection"]
                for one in listed
            ]
        return tuple(selection for one in found for selection in _selections(one))

    def lock(self, vault: str, region: str) -> VaultLock | None:
        """Return how a vault is locked; None where there is no such vault."""
        with translated(f"look at the vault {vault} in {region}"):
            # To who may not look, AWS Backup answers that there is no such vault: "AccessDeniedException" for both.
            answer = sdk.unless_absent(
                ("ResourceNotFoundException",),
                lambda: self._client("backup", region).describe_backup_vault(BackupVaultName=vault),
            )
        if answer is None:
            return None
        return VaultLock(
            locked=bool(answer.get("Locked", False)),
            min_days=answer.get("MinRetentionDays"),
            max_days=answer.get("MaxRetentionDays"),
        )

    def bucket(self, bucket: str, region: str, newest: str) -> BucketSeen | None:
        """Return how a bucket keeps and copies what is in it; None where there is none. `newest`: a key to ask about, or empty."""
        s3 = self._client("s3", region)
        with translated(f"look at how s3://{bucket} keeps what is in it"):
            versioning = sdk.unless_absent(_NO_BUCKET, lambda: s3.get_bucket_versioning(Bucket=bucket))
            if versioning is None:
                return None
            rules = sdk.unless_absent(
                _NO_RULES, lambda: s3.get_bucket_replication(Bucket=bucket)["ReplicationConfiguration"]["Rules"]
            )
            lock = sdk.unless_absent(_NO_LOCK, lambda: s3.get_object_lock_configuration(Bucket=bucket))
            head = None
            if newest:
                head = sdk.unless_absent(("NoSuchKey", "404"), lambda: s3.head_object(Bucket=bucket, Key=newest))
        kept = ((lock or {}).get("ObjectLockConfiguration", {}).get("Rule") or {}).get("DefaultRetention", {})
        days = kept.get("Days") or (kept["Years"] * 365 if kept.get("Years") else None)
        return BucketSeen(
            versioning=str(versioning.get("Status", "never enabled")),
            lock_days=days,
            rules=tuple(_rule(one) for one in rules or []),
            newest_key=newest if head is not None else "",
            copied="" if head is None else str(head.get("ReplicationStatus", "")),
        )

    def table_recovery(self, table: str, region: str) -> str | None:
        """Return whether a table of DynamoDB can be restored to any second, in its word; None where there is no table."""
        with translated(f"look at the backups of the table {table}"):
            answer = sdk.unless_absent(
                _NO_TABLE, lambda: self._client("dynamodb", region).describe_continuous_backups(TableName=table)
            )
        if answer is None:
            return None
        recovery = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
        return str(recovery.get("PointInTimeRecoveryStatus", "DISABLED"))

    def schedule(self, name: str, region: str) -> Schedule | None:
        """Return a schedule; None where there is none of that name."""
        with translated(f"look at the schedule {name}"):
            answer = sdk.unless_absent(
                ("ResourceNotFoundException",), lambda: self._client("scheduler", region).get_schedule(Name=name)
            )
        if answer is None:
            return None
        return Schedule(
            name=name,
            state=str(answer["State"]),
            expression=str(answer["ScheduleExpression"]),
            target=str(answer.get("Target", {}).get("Arn", "")),
            settings=terraform_attributes.of_schedule(answer),
        )

    def tags(self, instance: str, region: str) -> dict[str, str] | None:
        """Return the tags of an instance of EC2; None where there is none of that id."""
        found = self._instance(instance, region)
        return None if found is None else sdk.tags(found.get("Tags", []))

    def architecture(self, instance: str, region: str) -> str | None:
        """Return what an instance of EC2 is built for; None where there is none, or one that was terminated and says it no more."""
        found = self._instance(instance, region)
        return None if found is None else found.get("Architecture")

    def _instance(self, instance: str, region: str) -> Mapping[str, Any] | None:
        with translated(f"look at {instance}"):
            answer = sdk.unless_absent(
                ("InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed"),
                lambda: self._client("ec2", region).describe_instances(InstanceIds=[instance])["Reservations"],
            )
        found = [one for reservation in answer or [] for one in reservation["Instances"]]
        return found[0] if found else None


def _selections(found: Mapping[str, Any]) -> Iterator[BackupSelection]:
    """Yield what a selection takes: its resources that have all tags of its conditions, and whatever has one of its list."""
    name, excluded = str(found["SelectionName"]), tuple(found.get("NotResources", []))
    equal = found.get("Conditions", {}).get("StringEquals", [])
    if found.get("Resources"):
        tags = {one["ConditionKey"].removeprefix(_TAG): one["ConditionValue"] for one in equal}
        yield BackupSelection(name=name, resources=tuple(found["Resources"]), excluded=excluded, tags=tags)
    for one in found.get("ListOfTags", []):
        tag = {one["ConditionKey"].removeprefix(_TAG): one["ConditionValue"]}
        yield BackupSelection(name=name, resources=("*",), excluded=excluded, tags=tag)


def _rule(found: Mapping[str, Any]) -> ReplicationRule:
    return ReplicationRule(
        id=str(found.get("ID", "")),
        enabled=found["Status"] == "Enabled",
        destination=str(found["Destination"]["Bucket"]),
    )
