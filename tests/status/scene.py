"""An environment with all that watches and protects it, made by boto3 in a local cloud: no stack is applied for it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.backup_sites import BackupSite, backup_site
from tests.conftest import RunningCloud
from tests.gitlab_sites import ACCOUNT, DR_REGION, REGION
from tests.localcloud.test_backup import trust
from tests.status.healthy import PROTECTION
from tests.terraform_attributes import alarm_attributes, rule_attributes, schedule_attributes

MANAGED = "arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyFor"
PROTECT, BACKUP = {"lifeboat:protect": "daily"}, {"lifeboat:backup": "plan"}


@dataclass(frozen=True, kw_only=True)
class Names:
    """How the things of an environment are called: what an accident befalls."""

    application: str
    instance: str
    database: str
    dumps: str
    copies: str
    state: str
    table: str
    key: str
    vault: str
    plan: str
    policy: str
    schedule: str
    rule: str
    events: str  # the subscription to the events of RDS
    topic: str
    alarm: str  # one whose metric is lifeboat's own


@dataclass(frozen=True, kw_only=True)
class Place:
    """An environment that accidents may befall: how its services are called, and what a status says of it."""

    names: Names
    client: Callable[..., Any]
    faults: Callable[..., Any]
    status: Callable[[], dict[str, Any]]
    more: dict[str, Any] = field(default_factory=dict)


def scene(cloud: RunningCloud, folder: Path) -> tuple[BackupSite, Place]:
    """Make the environment, and everything that `lifeboat status` looks at which a stack would have built."""
    site = backup_site(cloud, folder)
    resources: list[dict[str, Any]] = []

    def built(kind: str, called: str, key: str = "", **attributes: Any) -> None:
        one: dict[str, Any] = {"attributes": attributes, **({"index_key": key} if key else {})}
        resources.append({"mode": "managed", "type": kind, "name": called, "instances": [one]})

    key = cloud.client("kms").describe_key(KeyId=f"alias/{site.plain.application}-database")["KeyMetadata"]["Arn"]
    built("aws_kms_key", "this", arn=key)
    machine, policy = _machine(site, built)
    plan = _backups(site, built, machine)
    topic = _watchers(site, built)
    _buckets(site, built)
    _database(site)
    schedule = _schedule(site, built)
    names = Names(
        application=site.plain.application,
        instance=machine,
        database=site.instance,
        dumps=site.bucket(),
        copies=site.bucket(DR_REGION),
        state=site.plain.bucket,
        table=site.plain.table,
        key=key,
        vault=site.vault(),
        plan=plan,
        policy=policy,
        schedule=schedule,
        rule=f"{site.plain.application}-vault-tampering",
        events=f"{site.plain.application}-database-event",
        topic=topic,
        alarm=f"{site.plain.application}-dumps-stale",
    )
    _write_state(site, names, resources)
    return site, Place(names=names, client=cloud.client, faults=cloud.control, status=lambda: said(site))


def said(site: BackupSite) -> dict[str, Any]:
    """Return what `lifeboat status -o json` says."""
    document: dict[str, Any] = json.loads(site.run("status", "-o", "json").stdout)
    return document


def _role(site: BackupSite, name: str, service: str, actions: list[str]) -> str:
    iam = site.cloud.client("iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(f"{service}.amazonaws.com"))
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=name, PolicyName="work", PolicyDocument=document)
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def _machine(site: BackupSite, built: Callable[..., None]) -> tuple[str, str]:
    ec2 = site.cloud.client("ec2")
    tags = {**PROTECT, **BACKUP, "application": site.plain.application, "environment": "x", "managed-by": "lifeboat"}
    pairs = [{"Key": name, "Value": value} for name, value in tags.items()]
    base = ec2.describe_images(Owners=["self", "amazon"])["Images"][0]["ImageId"]
    made = ec2.run_instances(
        ImageId=base,
        InstanceType="t3.micro",
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": pairs}],
    )["Instances"][0]["InstanceId"]
    role = _role(site, "dlm", "dlm", ["ec2:*"])
    policy = site.cloud.client("dlm").create_lifecycle_policy(
        ExecutionRoleArn=role,
        Description="snapshots",
        State="ENABLED",
        PolicyDetails={
            "PolicyType": "EBS_SNAPSHOT_MANAGEMENT",
            "ResourceTypes": ["INSTANCE"],
            "TargetTags": [{"Key": name, "Value": value} for name, value in PROTECT.items()],
            "Schedules": [
                {
                    "Name": "daily",
                    "CreateRule": {"Interval": 24, "IntervalUnit": "HOURS", "Times": ["03:00"]},
                    "RetainRule": {"Count": 7},
                    "CopyTags": True,
                }
            ],
        },
    )["PolicyId"]
    built(
        "aws_dlm_lifecycle_policy",
        "this",
        "snapshots",
        id=policy,
        policy_details=[{"policy_type": "EBS_SNAPSHOT_MANAGEMENT"}],
    )
    return str(made), str(policy)


def _backups(site: BackupSite, built: Callable[..., None], machine: str) -> str:
    backup, iam = site.cloud.client("backup"), site.cloud.client("iam")
    iam.create_role(RoleName="backup", AssumeRolePolicyDocument=trust("backup.amazonaws.com"))
    for what in ("Backup", "Restores"):
        iam.attach_role_policy(RoleName="backup", PolicyArn=f"{MANAGED}{what}")
    role = f"arn:aws:iam::{ACCOUNT}:role/backup"
    database = f"arn:aws:rds:{REGION}:{ACCOUNT}:db:{site.instance}"
    for region in (REGION, DR_REGION):
        site.cloud.client("backup", region).put_backup_vault_lock_configuration(
            BackupVaultName=site.vault(region), MinRetentionDays=7, MaxRetentionDays=100
        )
        name = site.vault(region)
        built("aws_backup_vault_lock_configuration", region, backup_vault_name=name, min_retention_days=7)
    rule = {
        "RuleName": "daily",
        "TargetBackupVaultName": site.vault(),
        "ScheduleExpression": "cron(0 5 * * ? *)",
        "Lifecycle": {"DeleteAfterDays": 35},
    }
    plan = backup.create_backup_plan(BackupPlan={"BackupPlanName": site.plain.application, "Rules": [rule]})[
        "BackupPlanId"
    ]
    for name, selection in {
        "by-arn-g1": {"Resources": [database]},
        "by-tag": {
            "Resources": ["*"],
            "Conditions": {
                "StringEquals": [
                    {"ConditionKey": f"aws:ResourceTag/{tag}", "ConditionValue": value} for tag, value in BACKUP.items()
                ]
            },
        },
    }.items():
        backup.create_backup_selection(
            BackupPlanId=plan, BackupSelection={"SelectionName": name, "IamRoleArn": role, **selection}
        )
    for arn in (database, f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{machine}"):
        job = backup.start_backup_job(
            BackupVaultName=site.vault(), ResourceArn=arn, IamRoleArn=role, Lifecycle={"DeleteAfterDays": 35}
        )["BackupJobId"]
        while (done := backup.describe_backup_job(BackupJobId=job))["State"] not in ("COMPLETED", "FAILED"):
            time.sleep(0.05)
        assert done["State"] == "COMPLETED", done
        copy = backup.start_copy_job(
            RecoveryPointArn=done["RecoveryPointArn"],
            SourceBackupVaultName=site.vault(),
            DestinationBackupVaultArn=f"arn:aws:backup:{DR_REGION}:{ACCOUNT}:backup-vault:{site.vault(DR_REGION)}",
            IamRoleArn=role,
            Lifecycle={"DeleteAfterDays": 35},
        )["CopyJobId"]
        while (ended := backup.describe_copy_job(CopyJobId=copy)["CopyJob"])["State"] not in ("COMPLETED", "FAILED"):
            time.sleep(0.05)
        assert ended["State"] == "COMPLETED", ended
    return str(plan)


def _told_by_aws(site: BackupSite, built: Callable[..., None], region: str, topic: str) -> None:
    """Let RDS and the vault of a region tell its topic by themselves, which lets them."""
    services = ["events.rds.amazonaws.com", "backup.amazonaws.com", "events.amazonaws.com", "cloudwatch.amazonaws.com"]
    lets = {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sns:Publish", "Resource": topic}
    site.cloud.client("sns", region).set_topic_attributes(
        TopicArn=topic,
        AttributeName="Policy",
        AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": [lets]}),
    )
    vault, ends = site.vault(region), ["COPY_JOB_FAILED"]
    site.cloud.client("backup", region).put_backup_vault_notifications(
        BackupVaultName=vault, SNSTopicArn=topic, BackupVaultEvents=ends
    )
    arn = f"arn:aws:backup:{region}:{ACCOUNT}:backup-vault:{vault}"
    told = {"backup_vault_name": vault, "backup_vault_arn": arn, "backup_vault_events": ends}
    built("aws_backup_vault_notifications", region, **told)
    if region == REGION:
        name, kinds = f"{site.plain.application}-database-event", ["backup", "failure"]
        site.cloud.client("rds").create_event_subscription(
            SubscriptionName=name, SnsTopicArn=topic, SourceType="db-instance", EventCategories=kinds
        )
        events = f"arn:aws:rds:{REGION}:{ACCOUNT}:es:{name}"
        of = {"name": name, "arn": events, "source_type": "db-instance", "event_categories": kinds}
        built("aws_db_event_subscription", "databases", **of)


def _watchers(site: BackupSite, built: Callable[..., None]) -> str:
    application, topics = site.plain.application, {}
    pattern = {"source": ["aws.backup"]}
    for place, region in (("primary", REGION), ("dr", DR_REGION)):
        sns, events = site.cloud.client("sns", region), site.cloud.client("events", region)
        topics[region] = sns.create_topic(Name=f"{application}-alarms")["TopicArn"]
        sns.subscribe(TopicArn=topics[region], Protocol="email", Endpoint="on-call@lifeboat.test")
        built("aws_sns_topic", place, arn=topics[region])
        _told_by_aws(site, built, region, topics[region])
        name = f"{application}-vault-tampering"
        arn = events.put_rule(Name=name, EventPattern=json.dumps(pattern))["RuleArn"]
        events.put_targets(Rule=name, Targets=[{"Id": "topic", "Arn": topics[region]}])
        built("aws_cloudwatch_event_rule", place, "vault-tampering", name=name, arn=arn, **rule_attributes(pattern))
    cloudwatch = site.cloud.client("cloudwatch")
    kinds = {
        "dumps-stale": ("Lifeboat", "BackupAgeSeconds"),
        "backup-job-failed": ("AWS/Backup", "NumberOfBackupJobsFailed"),
    }
    for slug, (namespace, metric) in kinds.items():
        ours = namespace == "Lifeboat"
        dimensions = {"Kind": "dumps", "Name": application} if ours else {"BackupVaultName": site.vault()}
        attributes = alarm_attributes(
            namespace=namespace,
            metric_name=metric,
            dimensions=dimensions,
            statistic="Minimum" if ours else "Sum",
            threshold=93600 if ours else 0,
            evaluation_periods=1,
            treat_missing_data="breaching" if ours else "notBreaching",
        )
        cloudwatch.put_metric_alarm(
            AlarmName=f"{application}-{slug}",
            Namespace=namespace,
            MetricName=metric,
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
            Statistic=attributes["statistic"],
            ComparisonOperator=attributes["comparison_operator"],
            Threshold=attributes["threshold"],
            Period=attributes["period"],
            EvaluationPeriods=1,
            TreatMissingData=attributes["treat_missing_data"],
            AlarmActions=[topics[REGION]],
        )
        arn = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{application}-{slug}"
        built("aws_cloudwatch_metric_alarm", "this", slug, alarm_name=f"{application}-{slug}", arn=arn, **attributes)
    return str(topics[REGION])


def _buckets(site: BackupSite, built: Callable[..., None]) -> None:
    s3, copies = site.cloud.client("s3"), site.cloud.client("s3", DR_REGION)
    state_copies = site.plain.bucket.replace(REGION, DR_REGION)
    copies.create_bucket(Bucket=state_copies, CreateBucketConfiguration={"LocationConstraint": DR_REGION})
    for client, bucket in ((s3, site.plain.bucket), (copies, state_copies)):
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    role = _role(site, "replication", "s3", ["s3:*", "kms:*"])
    alias = f"alias/{site.plain.application}-database"
    key = site.cloud.client("kms", DR_REGION).describe_key(KeyId=alias)["KeyMetadata"]["Arn"]
    for source, target in ((site.bucket(), site.bucket(DR_REGION)), (site.plain.bucket, state_copies)):
        rule = {
            "ID": f"to-{DR_REGION}",
            "Priority": 1,
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "DeleteMarkerReplication": {"Status": "Disabled"},
            "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
            "Destination": {
                "Bucket": f"arn:aws:s3:::{target}",
                "EncryptionConfiguration": {"ReplicaKmsKeyID": key},
            },
        }
        s3.put_bucket_replication(Bucket=source, ReplicationConfiguration={"Role": role, "Rules": [rule]})


def _database(site: BackupSite) -> None:
    site.cloud.client("rds").modify_db_instance(
        DBInstanceIdentifier=site.instance, BackupRetentionPeriod=14, DeletionProtection=True, ApplyImmediately=True
    )
    site.cloud.client("dynamodb").update_continuous_backups(
        TableName=site.plain.table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )


def _schedule(site: BackupSite, built: Callable[..., None]) -> str:
    name, sqs = f"{site.plain.application}-dump", site.cloud.client("sqs")
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    role = _role(site, "scheduler", "scheduler", ["sqs:SendMessage"])
    site.cloud.client("scheduler").create_schedule(
        Name=name,
        ScheduleExpression="cron(15 3 * * ? *)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": arn, "RoleArn": role},
    )
    built("aws_scheduler_schedule", "this", name=name, **schedule_attributes())
    return name


def _write_state(site: BackupSite, names: Names, resources: list[dict[str, Any]]) -> None:
    s3 = site.cloud.client("s3")
    state = json.loads(s3.get_object(Bucket=site.plain.bucket, Key="stack.tfstate")["Body"].read())
    recovery = state["outputs"]["recovery"]["value"]
    recovery["app"] = {**recovery["app"], "instance_id": names.instance}
    recovery["backup_plan_ids"], recovery["dlm_policy_ids"] = [names.plan], [names.policy]
    recovery["topic_arn"], recovery["protection"] = names.topic, PROTECTION
    state["resources"] = resources
    site.plain.put("stack.tfstate", json.dumps(state).encode())


def since(age: timedelta) -> datetime:
    """Return the time that was so long ago."""
    return datetime.now(UTC) - age
