"""Plans of many resources that belong together in every way that rules join them, for measurements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.policies.cases.databases import INSTANCE
from tests.policies.plans import HERE, THERE, PlanFile, known, later

EACH = 16  # resources of one application
SHARED = 8


def fleet(applications: int) -> PlanFile:
    """Return a plan of this many applications, each with a database, a host, volumes, a bucket and alarms of its own."""
    plan = _shared()
    for number in range(applications):
        _application(plan, f"app{number}")
    return plan


def fleet_by_key(hosts: int) -> PlanFile:
    """Return a plan of this many hosts by for_each, each with a volume and a bucket that go with it by each.key."""
    plan = _shared()
    for number in range(hosts):
        key = f"host{number}"
        for short, values in _BY_KEY.items():
            plan.add(short, values(key), key=key)
    return plan


def _shared() -> PlanFile:
    details = {"policy_type": "EBS_SNAPSHOT_MANAGEMENT", "resource_types": ["VOLUME"], "target_tags": {"copy": "daily"}}
    schedule = [{"create_rule": [{"interval": 24}], "copy_tags": True, "retain_rule": [{"count": 14}]}]
    rule = {
        "rule_name": "daily",
        "schedule": "cron(0 5 * * ? *)",
        "target_vault_name": "primary",
        "lifecycle": [{"delete_after": 35}],
        "copy_action": [{"destination_vault_arn": later("aws_backup_vault.dr.arn")}],
    }
    plan = PlanFile()
    plan.add("aws_sns_topic.alarms", {"name": "alarms"})
    plan.add("aws_sns_topic_subscription.alarms", {"topic_arn": later("aws_sns_topic.alarms.arn")})
    plan.add("aws_backup_vault.primary", {"name": "primary"})
    plan.add("aws_backup_vault.dr", {"name": "dr"}, region=THERE)
    for place, region in (("primary", HERE), ("dr", THERE)):
        lock = {"backup_vault_name": known(place, f"aws_backup_vault.{place}.name"), "min_retention_days": 7}
        plan.add(f"aws_backup_vault_lock_configuration.{place}", lock, region=region)
    plan.add("aws_backup_plan.this", {"name": "plan", "rule": [rule]})
    plan.add(
        "aws_dlm_lifecycle_policy.this", {"state": "ENABLED", "policy_details": [{**details, "schedule": schedule}]}
    )
    return plan


_TAGS = {"copy": "daily"}
_BY_KEY: dict[str, Callable[[str], dict[str, Any]]] = {
    "aws_instance.hosts": lambda _: {"ami": "ami-0a1b2c3d4e5f60718", "tags": {**_TAGS, "lifeboat:data": "false"}},
    "aws_ebs_volume.data": lambda key: {"tags": {**_TAGS, "Name": key}, "encrypted": True},
    "aws_volume_attachment.data": lambda _: {
        "volume_id": later("aws_ebs_volume.data", "each.key"),
        "instance_id": later("aws_instance.hosts", "each.key"),
    },
    "aws_s3_bucket.dumps": lambda key: {"bucket": f"{key}-dumps-123456789012"},
    "aws_s3_bucket_versioning.dumps": lambda _: {
        "bucket": later("aws_s3_bucket.dumps", "each.key"),
        "versioning_configuration": [{"status": "Enabled"}],
    },
    "aws_s3_bucket_public_access_block.dumps": lambda _: {
        "bucket": later("aws_s3_bucket.dumps", "each.key"),
        "block_public_acls": True,
    },
    "aws_cloudwatch_metric_alarm.dumps": lambda key: {
        "metric_name": "DumpAgeHours",
        "dimensions": {"Kind": "dumps", "Name": key},
        "alarm_actions": [later("aws_sns_topic.alarms.arn")],
    },
}
EACH_BY_KEY = len(_BY_KEY)


def _application(plan: PlanFile, name: str) -> None:
    plan.add(f"aws_kms_key.{name}", {"enable_key_rotation": True, "deletion_window_in_days": 30})
    key = later(f"aws_kms_key.{name}.arn")
    plan.add(f"aws_db_instance.{name}", {**INSTANCE, "identifier": name, "kms_key_id": key})
    plan.add(f"aws_db_instance_automated_backups_replication.{name}", _source(name), region=THERE)
    selection = {"plan_id": later("aws_backup_plan.this.id"), "resources": [later(f"aws_db_instance.{name}.arn")]}
    plan.add(f"aws_backup_selection.{name}", selection)
    plan.add(
        f"aws_instance.{name}", {"ami": "ami-0a1b2c3d4e5f60718", "tags": {"copy": "daily", "lifeboat:data": "false"}}
    )
    for disk in ("one", "two"):
        plan.add(f"aws_ebs_volume.{name}-{disk}", {"tags": {"copy": "daily", "Name": name}, "encrypted": True})
        attachment = {
            "volume_id": later(f"aws_ebs_volume.{name}-{disk}.id"),
            "instance_id": later(f"aws_instance.{name}.id"),
        }
        plan.add(f"aws_volume_attachment.{name}-{disk}", attachment)
    bucket = {"bucket": later(f"aws_s3_bucket.{name}.id")}
    plan.add(f"aws_s3_bucket.{name}", {"bucket": f"{name}-dumps-123456789012", "tags": {"Name": name}})
    plan.add(f"aws_s3_bucket_versioning.{name}", {**bucket, "versioning_configuration": [{"status": "Enabled"}]})
    plan.add(f"aws_s3_bucket_public_access_block.{name}", {**bucket, "block_public_acls": True})
    for kind in ("database", "vault", "dumps", "volume"):
        alarm = {
            "alarm_name": f"{name}-{kind}",
            "metric_name": "BackupAgeSeconds",
            "dimensions": {"Kind": kind, "Name": name},
            "comparison_operator": "GreaterThanThreshold",
            "threshold": 86400,
            "period": 3600,
            "evaluation_periods": 3,
            "treat_missing_data": "breaching",
            "alarm_actions": [later("aws_sns_topic.alarms.arn")],
        }
        plan.add(f"aws_cloudwatch_metric_alarm.{name}-{kind}", alarm)


def _source(name: str) -> dict[str, object]:
    return {"source_db_instance_arn": later(f"aws_db_instance.{name}.arn"), "retention_period": 7}
