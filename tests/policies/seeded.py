"""Defects of disaster recovery, each seeded alone into a real plan, with the rules that find it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]
Seed = Callable[[Document], None]


@dataclass(frozen=True, kw_only=True)
class Defect:
    """One defect: the rules that find it, what it is, and how a plan comes to have it."""

    rules: frozenset[str]
    what: str
    seed: Seed

    @property
    def id(self) -> str:
        """Return the name of the test."""
        return f"{'+'.join(sorted(self.rules))}: {self.what}"


def resources(plan: Document, kind: str, part: str = "") -> Iterator[dict[str, Any]]:
    """Yield the resources of a type whose address ends with a text."""
    waiting = [plan["planned_values"]["root_module"]]
    while waiting:
        module = waiting.pop()
        waiting += module.get("child_modules", [])
        yield from (one for one in module.get("resources", []) if one["type"] == kind and one["address"].endswith(part))


def _without(kind: str, part: str = "") -> Seed:
    def seed(plan: Document) -> None:
        waiting = [plan["planned_values"]["root_module"]]
        while waiting:
            module = waiting.pop()
            waiting += module.get("child_modules", [])
            kept = [
                one for one in module.get("resources", []) if one["type"] != kind or not one["address"].endswith(part)
            ]
            module["resources"] = kept
        plan["resource_changes"] = [
            one for one in plan["resource_changes"] if one["type"] != kind or not one["address"].endswith(part)
        ]

    return seed


def _with(kind: str, part: str = "", **values: Any) -> Seed:
    def seed(plan: Document) -> None:
        found = list(resources(plan, kind, part))
        assert found, f"there is no {kind} {part}"
        for one in found:
            one["values"] |= values
        addresses = {one["address"] for one in found}
        for change in plan["resource_changes"]:
            if change["address"] in addresses:
                for name in values:
                    change["change"]["after_unknown"].pop(name, None)

    return seed


def _in(kind: str, part: str, way: str, **values: Any) -> Seed:
    """Return a seed that changes the blocks at the end of a way such as policy_details.schedule, or all of a list."""

    def seed(plan: Document) -> None:
        found: list[dict[str, Any]] = [one["values"] for one in resources(plan, kind, part)]
        for name in way.split("."):
            found = [block for one in found for block in one[name]]
        assert found, f"there is no {way} in {kind} {part}"
        for one in found:
            one.update(values)

    return seed


def _first_rule(**values: Any) -> Seed:
    def seed(plan: Document) -> None:
        for one in resources(plan, _PLAN):
            one["values"]["rule"][0] |= values

    return seed


def _changed(kind: str, *actions: str) -> Seed:
    def seed(plan: Document) -> None:
        for change in plan["resource_changes"]:
            if change["type"] == kind:
                change["change"] |= {"actions": list(actions), "before": {}}

    return seed


def _made(short: str, **values: Any) -> Seed:
    """Return a seed that makes one resource more, in the primary region."""

    def seed(plan: Document) -> None:
        kind, name = short.split(".")
        common = {"address": short, "mode": "managed", "type": kind, "name": name}
        change = {"actions": ["create"], "before": None, "after": values, "after_unknown": {"arn": True}}
        plan["planned_values"]["root_module"].setdefault("resources", []).append({**common, "values": values})
        plan["resource_changes"].append({**common, "change": change})
        expressions = {one: {"constant_value": value} for one, value in values.items()}
        written = {**common, "provider_config_key": "aws", "expressions": expressions}
        plan["configuration"]["root_module"].setdefault("resources", []).append(written)

    return seed


def _both(*seeds: Seed) -> Seed:
    def seed(plan: Document) -> None:
        for one in seeds:
            one(plan)

    return seed


def _literal_password(plan: Document) -> None:
    _with(_DATABASE, manage_master_user_password=None, password="hunter2-canary")(plan)
    module: Mapping[str, Any] = plan["configuration"]["root_module"]["module_calls"]["database"]["module"]
    for one in module["resources"]:
        if one["type"] == _DATABASE:
            one["expressions"]["password"] = {"constant_value": "hunter2-canary"}


def _failing_check(plan: Document) -> None:
    plan["checks"].append({"address": {"kind": "check", "to_display": "check.health"}, "status": "fail"})


def _unchecked_image(plan: Document) -> None:
    plan["checks"] = [one for one in plan["checks"] if not one["address"]["to_display"].endswith("ami_id")]


def _of(rules: str, what: str, seed: Seed) -> Defect:
    return Defect(rules=frozenset(rules.split()), what=what, seed=seed)


_DATABASE, _PLAN, _DLM = "aws_db_instance", "aws_backup_plan", "aws_dlm_lifecycle_policy"
_ALARM, _VAULT = "aws_cloudwatch_metric_alarm", "aws_backup_vault"
_SNAPSHOTS, _IMAGES = '["snapshots"]', '["images"]'
_UNDER_KEY = {"kms_key_id": "arn:aws:kms:eu-west-1:123456789012:key/1"}
_SUNDAYS = "cron(0 3 ? * SUN *)"

STACK = (
    _of("LB_RDS_1", "retention of six days", _with(_DATABASE, backup_retention_period=6)),
    _of("LB_RDS_2", "windows that overlap", _with(_DATABASE, maintenance_window="sun:03:30-sun:04:30")),
    _of("LB_RDS_3", "no final snapshot", _with(_DATABASE, skip_final_snapshot=True)),
    _of("LB_RDS_3", "backups deleted with the database", _with(_DATABASE, delete_automated_backups=True)),
    _of("LB_RDS_7", "no deletion protection", _with(_DATABASE, deletion_protection=False)),
    _of(
        "LB_RDS_4",
        "no dumps at the weekend",
        _with("aws_scheduler_schedule", schedule_expression="cron(0 3 ? * MON-FRI *)"),
    ),
    _of("LB_RDS_4", "the dumps' schedule disabled", _with("aws_scheduler_schedule", state="DISABLED")),
    _of("LB_RDS_5", "AWS's own key", _with(_DATABASE, kms_key_id="arn:aws:kms:eu-west-1:123456789012:alias/aws/rds")),
    _of("LB_RDS_5", "no encryption", _with(_DATABASE, storage_encrypted=False)),
    _of(
        "LB_RDS_6 LB_COV_1",
        "the database in no selection, and not replicated",
        _both(
            _without("aws_db_instance_automated_backups_replication", '["g1"]'),
            _without("aws_backup_selection", '.arns["g1"]'),
        ),
    ),
    _of("LB_COV_1 LB_COV_3", "the instance without its tags", _with("aws_instance", tags_all={"Name": "app"})),
    _of(
        "LB_COV_3",
        "a misspelt tag of the images",
        _in(_DLM, _IMAGES, "policy_details", target_tags={"lifeboat:protect": "dayly"}),
    ),
    _of("LB_PLAN_1", "weekly", _first_rule(schedule=_SUNDAYS)),
    _of("LB_PLAN_1", "on weekdays", _first_rule(schedule="cron(0 5 ? * MON-FRI *)")),
    _of("LB_PLAN_2 LB_PLAN_5", "kept for three days", _first_rule(lifecycle=[{"delete_after": 3}])),
    _of("LB_PLAN_3", "no copy", _first_rule(copy_action=[])),
    _of(
        "LB_PLAN_3",
        "a copy in the same region",
        _first_rule(
            copy_action=[{"destination_vault_arn": "arn:aws:backup:eu-west-1:123456789012:backup-vault:other"}]
        ),
    ),
    _of("LB_PLAN_4", "in the maintenance window", _first_rule(schedule="cron(45 0 * * ? *)")),
    _of("LB_PLAN_4", "longer than a day", _first_rule(completion_window=2000)),
    _of("LB_PLAN_5", "kept for longer than the lock allows", _first_rule(lifecycle=[{"delete_after": 500}])),
    _of("LB_DLM_1", "snapshots disabled", _with(_DLM, _SNAPSHOTS, state="DISABLED")),
    _of(
        "LB_DLM_1",
        "weekly snapshots",
        _in(_DLM, _SNAPSHOTS, "policy_details.schedule.create_rule", cron_expression=_SUNDAYS, interval=None),
    ),
    _of(
        "LB_DLM_2", "snapshots for three days", _in(_DLM, _SNAPSHOTS, "policy_details.schedule.retain_rule", interval=3)
    ),
    _of("LB_DLM_2", "snapshots without tags", _in(_DLM, _SNAPSHOTS, "policy_details.schedule", copy_tags=False)),
    _of(
        "LB_DLM_2", "snapshots not copied", _in(_DLM, _SNAPSHOTS, "policy_details.schedule", cross_region_copy_rule=[])
    ),
    _of(
        "LB_DLM_2",
        "copies not encrypted",
        _in(_DLM, _SNAPSHOTS, "policy_details.schedule.cross_region_copy_rule", encrypted=False),
    ),
    _of("LB_VAULT_1", "a vault without a lock", _without("aws_backup_vault_lock_configuration", ".primary")),
    _of("LB_VAULT_1", "the other vault without a lock", _without("aws_backup_vault_lock_configuration", ".dr")),
    _of(
        "LB_VAULT_1",
        "a lock without a least",
        _with("aws_backup_vault_lock_configuration", ".dr", min_retention_days=None),
    ),
    _of("LB_VAULT_2", "a vault without a policy", _without("aws_backup_vault_policy", ".primary")),
    _of("LB_VAULT_3", "a vault that tells nobody", _without("aws_backup_vault_notifications", ".primary")),
    _of(
        "LB_VAULT_3",
        "failed restores told to nobody",
        _with("aws_backup_vault_notifications", ".dr", backup_vault_events=["BACKUP_JOB_COMPLETED", "COPY_JOB_FAILED"]),
    ),
    _of("LB_TEST_1", "no test of a restore of the database", _without("aws_backup_restore_testing_selection")),
    _of(
        "LB_TEST_2",
        "restores tested once a year",
        _with("aws_backup_restore_testing_plan", schedule_expression="cron(0 9 1 1 ? *)"),
    ),
    _of("LB_DUMP_1", "dumps without versions", _without("aws_s3_bucket_versioning", ".dumps")),
    _of("LB_DUMP_3", "dumps that nobody makes", _without("aws_scheduler_schedule")),
    _of("LB_DUMP_2", "dumps without a lock", _without("aws_s3_bucket_object_lock_configuration", ".dumps")),
    _of("LB_DUMP_2", "dumps open to the public", _without("aws_s3_bucket_public_access_block", ".replica")),
    _of("LB_DUMP_2", "dumps without a policy", _without("aws_s3_bucket_policy", ".dumps")),
    _of("LB_ALARM_1", "an alarm without an action", _with(_ALARM, '["drill-stale-full"]', alarm_actions=[])),
    _of("LB_ALARM_1 LB_ALARM_3", "an alarm switched off", _with(_ALARM, '["vault-stale"]', actions_enabled=False)),
    _of("LB_ALARM_2", "quiet without data", _with(_ALARM, '["dumps-stale"]', treat_missing_data="notBreaching")),
    _of("LB_ALARM_2", "rings after two days", _with(_ALARM, '["database-stale"]', threshold=172800)),
    _of("LB_ALARM_3", "no alarm on the database's age", _without(_ALARM, '["database-stale"]')),
    _of("LB_ALARM_3", "no alarm on the dumps' age", _without(_ALARM, '["dumps-stale"]')),
    _of("LB_ALARM_3", "no alarm on the vaults' age", _without(_ALARM, '["vault-stale"]')),
    _of("LB_ALARM_3", "no alarm on the volumes' age", _without(_ALARM, '["instance-volume-stale"]')),
    _of("LB_ALARM_4", "ten days of hours", _with(_ALARM, '["drill-stale-full"]', evaluation_periods=240)),
    _of("LB_ALARM_5", "failed jobs told to nobody", _with("aws_cloudwatch_event_rule", state="DISABLED")),
    _of("LB_DUMP_2", "a destroy that empties the bucket", _with("aws_s3_bucket", ".dumps", force_destroy=True)),
    _of(
        "LB_ALARM_4",
        "nobody subscribes",
        _both(
            *(
                _without("aws_sns_topic_subscription", f'.primary["{who}@example.com"]')
                for who in ("on-call", "platform")
            )
        ),
    ),
    _of(
        "LB_ENC_1",
        "a vault's key of the other region",
        _with(_VAULT, ".primary", kms_key_arn="arn:aws:kms:eu-central-1:123456789012:key/1"),
    ),
    _of(
        "LB_ENC_2",
        "a key that can be gone in a week",
        _with("aws_kms_key", "module.backup_plan.aws_kms_key.primary", deletion_window_in_days=7),
    ),
    _of(
        "LB_ENC_2",
        "a key that is not rotated",
        _with("aws_kms_key", "module.ebs_lifecycle.aws_kms_key.copies", enable_key_rotation=False),
    ),
    _of("LB_SEC_1", "a password in the configuration", _literal_password),
    _of(
        "LB_SNAP_1",
        "snapshots that may be made public",
        _made("aws_ebs_snapshot_block_public_access.this", state="unblocked"),
    ),
    _of("LB_SNAP_1", "a copy for everybody", _made("aws_db_snapshot_copy.this", shared_accounts=["all"], **_UNDER_KEY)),
    _of(
        "LB_COV_2",
        "a bucket that says it holds data, and no copy of it",
        _made("aws_s3_bucket.files", bucket="files", tags_all={"lifeboat:data": "true"}),
    ),
    _of(
        "LB_COV_1",
        "a cluster that nothing copies",
        _made("aws_docdb_cluster.this", tags_all={}, backup_retention_period=7, deletion_protection=True),
    ),
    _of(
        "LB_REC_2",
        "a data volume that goes with the instance",
        _with("aws_instance", ebs_block_device=[{"device_name": "/dev/sdf", "delete_on_termination": True}]),
    ),
    _of(
        "LB_STATE_1 LB_STATE_4",
        "the state's bucket in the stack's own state",
        _made("aws_s3_bucket.state", bucket="app-tfstate", tags_all={}),
    ),
    _of("LB_REC_1", "an image that nothing checks", _unchecked_image),
    _of("LB_TF_1", "a check that fails", _failing_check),
    _of("LB_TF_2", "vaults replaced", _changed(_VAULT, "delete", "create")),
    _of("LB_TF_2", "keys deleted", _changed("aws_kms_key", "delete")),
)
