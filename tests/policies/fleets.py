"""Plans of many resources that belong together in every way that rules join them, for measurements."""

from __future__ import annotations

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
            "metric_name": "BackupAgeHours",
            "dimensions": {"Kind": kind, "Name": name},
            "comparison_operator": "GreaterThanThreshold",
            "threshold": 24,
            "period": 3600,
            "evaluation_periods": 3,
            "treat_missing_data": "breaching",
            "alarm_actions": [later("aws_sns_topic.alarms.arn")],
        }
        plan.add(f"aws_cloudwatch_metric_alarm.{name}-{kind}", alarm)


def _source(name: str) -> dict[str, object]:
    return {"source_db_instance_arn": later(f"aws_db_instance.{name}.arn"), "retention_period": 7}
