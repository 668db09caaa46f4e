"""All that a status sees of an environment that nothing is wrong with, to be changed in one thing at a time."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lifeboat.alarm_model import Notifier, Subscriber
from lifeboat.alarm_model import Topic as TopicSettings
from lifeboat.database_model import PointKind, Proof, RecoveryPoint, RecoveryPointId, Unseen, Verdict
from lifeboat.decisions import alarm_tests
from lifeboat.decisions.status import judging, state, watching
from lifeboat.model import EncryptionKey, Image, ImageId, Recovery, RunId, Snapshot, SnapshotId, Tag
from lifeboat.status_model import (
    Alarm,
    BackupSelection,
    Beat,
    BucketSeen,
    Colour,
    DrillRecord,
    EventRule,
    Facts,
    InstanceSeen,
    LifecyclePolicy,
    Limits,
    NewestDump,
    NotifierSeen,
    PlanRecord,
    RecoveryFile,
    ReplicationRule,
    Resource,
    Schedule,
    Seen,
    Stack,
    StateCheck,
    Status,
    Topic,
    VaultLock,
)

from tests.backup_sites import manifest
from tests.gitlab_sites import ACCOUNT, DR_REGION, RECOVERY, REGION
from tests.terraform_attributes import alarm_attributes, rule_attributes, schedule_attributes

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DATABASE_EVENTS = "app-x-database-event"
APP, SERVING, INSTANCE = "app-x", "app-x-g1", "i-0123456789abcdef0"
ENVIRONMENT = "x"
DUMPS, COPIES = f"app-x-dumps-{ACCOUNT}-{REGION}", f"app-x-dumps-{ACCOUNT}-{DR_REGION}"
STATE = f"app-x-tfstate-{ACCOUNT}-{REGION}"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
TOPIC, DR_TOPIC = (f"arn:aws:sns:{region}:{ACCOUNT}:app-x-alarms" for region in (REGION, DR_REGION))
POLICY, IMAGES_POLICY, PLAN = "policy-1", "policy-2", "plan-1"
STALE, FAILED = "app-x-dumps-stale", "app-x-backup-job-failed"
SCHEDULE, RULE = "app-x-dump", "app-x-vault-tampering"
PATTERN = {"source": ["aws.backup"], "detail": {"eventName": ["DeleteBackupVault", "PutBackupVaultAccessPolicy"]}}
LATE = timedelta(hours=2)

LIMITS = Limits(
    late=LATE,
    proof=timedelta(days=31),
    image=timedelta(days=32),
    image_proof=timedelta(days=92),
    drill=timedelta(days=92),
    plan=timedelta(days=8),
    beat=timedelta(minutes=10),
    skew=timedelta(minutes=5),
    metric=timedelta(hours=3),
    shrink_percent=50,
    proof_level=2,
    application=APP,
    environment=ENVIRONMENT,
    account_id=ACCOUNT,
    region=REGION,
    dr_region=DR_REGION,
)


def _protection(asset: str, mechanism: str, hours: float, *regions: str) -> dict[str, Any]:
    return {"asset": asset, "mechanism": mechanism, "every_hours": hours, "kept_days": 14, "regions": list(regions)}


PROTECTION = [
    _protection("database", "RDS automated backups, restorable to any second", 0.0833, REGION),
    _protection("database", "RDS automated backups copied to the DR region", 0.0833, DR_REGION),
    _protection("database", "AWS Backup, locked vault (daily)", 24, REGION),
    _protection("database", "AWS Backup, copy in a locked vault (daily)", 24, DR_REGION),
    _protection("instance volume", "AWS Backup, locked vault (daily)", 24, REGION),
    _protection("instance volume", "AWS Backup, copy in a locked vault (daily)", 24, DR_REGION),
    _protection("instance volume", "EBS snapshots (DLM, daily)", 24, REGION),
    _protection("instance volume", "EBS snapshots copied to the DR region (DLM, daily)", 24, DR_REGION),
    _protection("image", "Machine images (DLM, monthly)", 744, REGION),
    _protection("image", "Machine images copied to the DR region (DLM, monthly)", 744, DR_REGION),
    _protection("dumps", "versioned S3 objects", 24, REGION, DR_REGION),
]


def resource(kind: str, called: str, key: str = "", module: str = "", **attributes: Any) -> Resource:
    return Resource(kind=kind, module=module, name=called, key=key, attributes=attributes)


def recovery(**other: Any) -> Recovery:
    return Recovery.model_validate(
        {
            **RECOVERY,
            "dumps": {"bucket": DUMPS, "prefix": "dumps/", "replica_bucket": COPIES},
            "vaults": {"primary": "app-x-backups", "dr": "app-x-backups-dr"},
            "dlm_policy_ids": [POLICY, IMAGES_POLICY],
            "backup_plan_ids": [PLAN],
            "topic_arn": TOPIC,
            "protection": PROTECTION,
            **other,
        }
    )


def _lock(region: str, bucket: str) -> Resource:
    kept = [{"default_retention": [{"mode": "GOVERNANCE", "days": 14}]}]
    return resource("aws_s3_bucket_object_lock_configuration", region, bucket=bucket, rule=kept)


def _arn(alarm: str) -> str:
    return f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{alarm}"


RESOURCES = (
    resource("aws_kms_key", "this", module="module.database", arn=KEY),
    resource(
        "aws_cloudwatch_metric_alarm", "this", "dumps-stale", alarm_name=STALE, arn=_arn(STALE), **alarm_attributes()
    ),
    resource(
        "aws_cloudwatch_metric_alarm",
        "this",
        "backup-job-failed",
        alarm_name=FAILED,
        arn=_arn(FAILED),
        **alarm_attributes(namespace="AWS/Backup"),
    ),
    *(
        resource(
            "aws_cloudwatch_event_rule",
            place,
            name=RULE,
            arn=f"arn:aws:events:{region}:{ACCOUNT}:rule/{RULE}",
            **rule_attributes(PATTERN),
        )
        for place, region in (("primary", REGION), ("dr", DR_REGION))
    ),
    resource("aws_sns_topic", "primary", arn=TOPIC),
    resource("aws_sns_topic", "dr", arn=DR_TOPIC),
    resource(
        "aws_db_event_subscription",
        "databases",
        name=DATABASE_EVENTS,
        arn=f"arn:aws:rds:{REGION}:{ACCOUNT}:es:{DATABASE_EVENTS}",
        source_type="db-instance",
        event_categories=["backup", "failure"],
    ),
    *(
        resource(
            "aws_backup_vault_notifications",
            place,
            backup_vault_name=name,
            backup_vault_arn=f"arn:aws:backup:{region}:{ACCOUNT}:backup-vault:{name}",
            backup_vault_events=["COPY_JOB_FAILED"],
        )
        for place, region, name in (("primary", REGION, "app-x-backups"), ("dr", DR_REGION, "app-x-backups-dr"))
    ),
    resource("aws_scheduler_schedule", "this", name=SCHEDULE, **schedule_attributes()),
    resource(
        "aws_dlm_lifecycle_policy",
        "this",
        "snapshots",
        id=POLICY,
        policy_details=[{"policy_type": "EBS_SNAPSHOT_MANAGEMENT"}],
    ),
    resource(
        "aws_dlm_lifecycle_policy",
        "this",
        "images",
        id=IMAGES_POLICY,
        policy_details=[{"policy_type": "IMAGE_MANAGEMENT"}],
    ),
    resource(
        "aws_backup_vault_lock_configuration", "primary", backup_vault_name="app-x-backups", min_retention_days=35
    ),
    resource("aws_backup_vault_lock_configuration", "dr", backup_vault_name="app-x-backups-dr", min_retention_days=35),
    _lock("dumps", DUMPS),
    _lock("replica", COPIES),
)
STACK = Stack(recovery=recovery(), resources=RESOURCES)


def point(kind: PointKind, age: timedelta, region: str = REGION, **other: Any) -> RecoveryPoint:
    facts: dict[str, Any] = {
        "id": RecoveryPointId(f"{kind.name.lower()}-{round(age.total_seconds() / 3600)}"),
        "kind": kind,
        "database": "app" if kind is PointKind.DUMP else SERVING,
        "region": region,
        "taken_at": NOW - age,
        "status": "available",
        "size": 1000,
        "source": f"s3://{DUMPS}/dumps/x/app/" if kind is PointKind.DUMP else SERVING,
        "key": KEY,
    }
    return RecoveryPoint(**{**facts, **other})


def in_vault(age: timedelta, region: str = REGION, **other: Any) -> RecoveryPoint:
    source = f"arn:aws:rds:{REGION}:{ACCOUNT}:db:{SERVING}"
    return point(PointKind.BACKUP_POINT, age, region, status="completed", **{"source": source, **other})


def machine_in_vault(age: timedelta, region: str = REGION) -> RecoveryPoint:
    source = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{INSTANCE}"
    return in_vault(age, region, id=RecoveryPointId("ami-1"), source=source, database=f"instance/{INSTANCE}")


def passed(level: int, age: timedelta, **other: Any) -> Proof:
    return Proof(level=level, at=NOW - age, verdict=Verdict.PASSED, **other)


def volume(age: timedelta, region: str = REGION, policy: str = POLICY, **other: Any) -> Snapshot:
    facts: dict[str, Any] = {
        "id": SnapshotId("snap-1"),
        "region": region,
        "owner_id": ACCOUNT,
        "state": "completed",
        "progress": 100,
        "started_at": NOW - age,
        "volume_id": "vol-1",
        "size_gb": 8,
        "tags": {Tag.DLM_POLICY.value: policy},
    }
    return Snapshot(**{**facts, **other})


def image(age: timedelta, region: str = REGION, proven: timedelta | None = DAY, state: str = "available") -> Image:
    tags = {Tag.APPLICATION.value: APP, Tag.ENVIRONMENT.value: ENVIRONMENT}
    if proven is not None:
        tags[Tag.PROVEN_AT.value] = (NOW - proven).isoformat()
    return Image(
        id=ImageId("ami-1"),
        region=region,
        name="app-x",
        owner_id=ACCOUNT,
        state=state,
        architecture="x86_64",
        root_device_type="ebs",
        root_device_name="/dev/xvda",
        made_at=NOW - age,
        tags=tags,
    )


def drill(scope: str, age: timedelta = DAY, **other: Any) -> DrillRecord:
    facts: dict[str, Any] = {
        "scope": scope,
        "run": f"20261128T120000Z-drill-{scope}",
        "ended": NOW - age,
        "passed": True,
        "rto": timedelta(minutes=3),
        "rto_objective": 4 * HOUR,
        "rpo": None if scope in ("instance", "state") else HOUR,
        "rpo_objective": None if scope in ("instance", "state") else 24 * HOUR,
        "copies": () if scope in ("instance", "state") else ((PointKind.POINT_IN_TIME.value, REGION),),
    }
    return DrillRecord(**{**facts, **other})


def alarm(name: str, **other: Any) -> Alarm:
    facts: dict[str, Any] = {
        "name": name,
        "enabled": True,
        "actions": (TOPIC,),
        "state": "OK",
        "reason": "",
        "since": NOW - DAY,
        "namespace": "Lifeboat",
        "metric": "BackupAgeSeconds",
        "dimensions": {},
        "settings": alarm_attributes(namespace="AWS/Backup" if name == FAILED else "Lifeboat"),
    }
    return Alarm(**{**facts, **other})


def rules(topic: str, **other: Any) -> dict[str, EventRule]:
    facts: dict[str, Any] = {"name": RULE, "enabled": True, "targets": (topic,), "settings": rule_attributes(PATTERN)}
    return {RULE: EventRule(**{**facts, **other})}


def schedule(**other: Any) -> Schedule:
    facts: dict[str, Any] = {
        "name": SCHEDULE,
        "state": "ENABLED",
        "expression": "cron(15 3 * * ? *)",
        "target": "arn:c",
        "settings": schedule_attributes(),
    }
    return Schedule(**{**facts, **other})


def listener(protocol: str = "email", **other: Any) -> Subscriber:
    return Subscriber(**{"protocol": protocol, "endpoint": "on-call", "confirmed": True, **other})


def bucket(name: str, **other: Any) -> BucketSeen:
    to = f"arn:aws:s3:::{name.removesuffix(REGION)}{DR_REGION}"
    facts: dict[str, Any] = {
        "versioning": "Enabled",
        "lock_days": 14,
        "rules": (ReplicationRule(id="to", enabled=True, destination=to),),
        "newest_key": "k",
        "copied": "COMPLETED",
    }
    return BucketSeen(**{**facts, **other})


DUMP = point(PointKind.DUMP, 3 * HOUR, proven=passed(3, 2 * HOUR))
DUMP_COPY = replace(DUMP, region=DR_REGION)
MANIFEST = manifest("20261129T090000Z-3f9a1c", NOW - 3 * HOUR, APP)  # type: ignore[arg-type]


def newest(**other: Any) -> NewestDump:
    facts: dict[str, Any] = {"point": DUMP, "manifest": MANIFEST, "sizes_before": (1000, 990, 1010)}
    return NewestDump(**{**facts, **other})


def both(one: Any, other: Any) -> dict[str, Seen[Any]]:
    """Return what was found in the primary region and in the DR region."""
    return {REGION: Seen(found=one), DR_REGION: Seen(found=other)}


def notifier(subject: str, *, policy: str | None = None, **other: Any) -> NotifierSeen:
    """Return what AWS itself rings, as it was built: it tells the topic of its region, which lets it."""
    ringer = watching.notifiers(STACK)[subject]
    arn = TOPIC if ringer.region == REGION else DR_TOPIC
    facts = {"topic": arn, "tells_of": alarm_tests.built_to_tell_of(STACK.resources)[ringer], **other}
    services = ["events.rds.amazonaws.com", "backup.amazonaws.com"]
    lets = {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sns:Publish", "Resource": arn}
    text = json.dumps({"Statement": [lets]}) if policy is None else policy
    topic = TopicSettings(arn=str(facts["topic"]), policy=text, subscribers=(listener(),))
    return NotifierSeen(notifier=Notifier(ringer=ringer, **facts), topic=topic)


def unseen(call: str, why: str = "AccessDenied") -> Seen[Any]:
    return Seen(unseen=Unseen(what="it", region=REGION, call=call, why=why))


def healthy() -> Facts:
    """Return facts of which every check is green."""
    minute = timedelta(minutes=1)
    return Facts(
        now=NOW,
        stack=Seen(found=STACK),
        account=Seen(found=ACCOUNT),
        skew=Seen(found=timedelta(seconds=1)),
        instance=Seen(
            found=InstanceSeen(identifier=SERVING, status="available", retention=14, protected=True, usable=True)
        ),
        beat=Seen(found=Beat(at=NOW - minute, known_by="the heartbeat's last row", stopped=False)),
        windows=both(
            (point(PointKind.POINT_IN_TIME, 5 * minute),), (point(PointKind.POINT_IN_TIME, 9 * minute, DR_REGION),)
        ),
        snapshots=both((point(PointKind.AUTOMATED_SNAPSHOT, 9 * HOUR),), ()),
        dumps=both((DUMP,), (DUMP_COPY,)),
        vaults=both(
            (in_vault(8 * HOUR), machine_in_vault(8 * HOUR)),
            (in_vault(9 * HOUR, DR_REGION), machine_in_vault(9 * HOUR, DR_REGION)),
        ),
        newest_dump=Seen(found=newest()),
        volumes=both((volume(5 * HOUR),), (volume(6 * HOUR, DR_REGION),)),
        images=both((image(10 * DAY),), (image(10 * DAY, DR_REGION),)),
        machine_tags=Seen(found={"lifeboat:protect": "daily", "lifeboat:backup": "plan"}),
        architecture=Seen(found="x86_64"),
        keys={KEY: Seen(found=EncryptionKey(arn=KEY, state="Enabled"))},
        policies={
            name: Seen(
                found=LifecyclePolicy(id=name, state="ENABLED", message="", target_tags={"lifeboat:protect": "daily"})
            )
            for name in (POLICY, IMAGES_POLICY)
        },
        selections={
            PLAN: Seen(
                found=(
                    BackupSelection(
                        name="by-arn-g1",
                        resources=(f"arn:aws:rds:{REGION}:{ACCOUNT}:db:{SERVING}",),
                        excluded=(),
                        tags={},
                    ),
                    BackupSelection(name="by-tag", resources=("*",), excluded=(), tags={"lifeboat:backup": "plan"}),
                )
            )
        },
        locks=both(
            VaultLock(locked=True, min_days=35, max_days=365), VaultLock(locked=True, min_days=35, max_days=365)
        ),
        buckets={
            DUMPS: Seen(found=bucket(DUMPS)),
            COPIES: Seen(found=bucket(COPIES, rules=())),
            STATE: Seen(found=bucket(STATE, lock_days=None)),
        },
        table_recovery=Seen(found="ENABLED"),
        schedules={SCHEDULE: Seen(found=schedule())},
        alarms=Seen(found={name: alarm(name) for name in (STALE, FAILED)}),
        rules=both(rules(TOPIC), rules(DR_TOPIC)),
        topics={arn: Seen(found=Topic(arn=arn, subscribers=(listener(),))) for arn in (TOPIC, DR_TOPIC)},
        notifiers={subject: Seen(found=notifier(subject)) for subject in watching.notifiers(STACK)},
        metrics=Seen(found={STALE: NOW - HOUR}),
        state={name: StateCheck(name=name, says="good") for name in state.names()},
        open_runs=Seen(found=()),
        recovery_file=Seen(found=RecoveryFile(exists=False, uncommitted=False)),
        last_plan=Seen(found=PlanRecord(at=NOW - DAY, by="plan", changes=0, summary="no changes")),
        drills=Seen(found=(drill("full"), drill("state"))),
        evidence=Seen(found=()),
        leaks=Seen(found=()),
    )


def judged(facts: Facts, limits: Limits = LIMITS) -> Status:
    return judging.status("x", facts, limits)


def amiss(facts: Facts, limits: Limits = LIMITS) -> dict[str, str]:
    """Return what is not green of facts, by the name of the check: what it says."""
    found = judged(facts, limits)
    return {one.name: one.says for one in found.verdicts if one.colour is not Colour.GREEN}


RUN = RunId("20261128T032535Z-recover-1a2b3c")
