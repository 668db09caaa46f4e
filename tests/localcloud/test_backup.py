"""AWS Backup: vaults, plans, jobs, recovery points, copies, restores and restore tests, and what AWS refuses."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.conftest import RunningCloud
from tests.localcloud.inboxes import open_inbox

PRIMARY, DR = "eu-west-1", "eu-central-1"
ROLE = "arn:aws:iam::123456789012:role/backup"
ONLY_BACKUP = "arn:aws:iam::123456789012:role/only-backup"
STRANGER = "arn:aws:iam::123456789012:role/stranger"
DR_VAULT = f"arn:aws:backup:{DR}:123456789012:backup-vault:dr"


def trust(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@dataclass(frozen=True)
class Stage:
    """What the tests of this file share: a volume and a bucket, and how to wait for a job."""

    cloud: RunningCloud
    volume: str
    bucket: str

    @property
    def backup(self) -> Any:
        return self.cloud.client("backup")

    def ended(self, look: Callable[[], dict[str, Any]], member: str = "State") -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while (job := look())[member] not in ("COMPLETED", "FAILED", "ABORTED"):
            assert time.monotonic() < deadline, job
            time.sleep(0.05)
        return job

    def take(self, resource: str, vault: str = "main", **others: Any) -> dict[str, Any]:
        asked = {"IamRoleArn": ROLE, **others}
        job = self.backup.start_backup_job(BackupVaultName=vault, ResourceArn=resource, **asked)
        return self.ended(lambda: self.backup.describe_backup_job(BackupJobId=job["BackupJobId"]))

    def copied(self, point: str, vault: str = "main", destination: str = DR_VAULT, **others: Any) -> dict[str, Any]:
        job = self.backup.start_copy_job(
            RecoveryPointArn=point,
            SourceBackupVaultName=vault,
            DestinationBackupVaultArn=destination,
            IamRoleArn=ROLE,
            **others,
        )
        return self.ended(lambda: self.backup.describe_copy_job(CopyJobId=job["CopyJobId"])["CopyJob"])

    def restored(self, point: str, metadata: dict[str, str], **others: Any) -> dict[str, Any]:
        asked = {"IamRoleArn": ROLE, **others}
        job = self.backup.start_restore_job(RecoveryPointArn=point, Metadata=metadata, **asked)
        return self.ended(lambda: self.backup.describe_restore_job(RestoreJobId=job["RestoreJobId"]), "Status")


@pytest.fixture(scope="module")
def stage(cloud: RunningCloud) -> Stage:
    iam = cloud.client("iam")
    for name in ("backup", "only-backup"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust("backup.amazonaws.com"))
    iam.create_role(RoleName="stranger", AssumeRolePolicyDocument=trust("ec2.amazonaws.com"))
    managed = "arn:aws:iam::aws:policy/"
    backup, restore = (f"{managed}service-role/AWSBackupServiceRolePolicyFor{what}" for what in ("Backup", "Restores"))
    iam.attach_role_policy(RoleName="only-backup", PolicyArn=backup)
    s3_policies = [f"{managed}AWSBackupServiceRolePolicyForS3{what}" for what in ("Backup", "Restore")]
    for policy in (backup, restore, *s3_policies):
        iam.attach_role_policy(RoleName="backup", PolicyArn=policy)
    cloud.client("backup").create_backup_vault(BackupVaultName="main", BackupVaultTags={"team": "ops"})
    cloud.client("backup", DR).create_backup_vault(BackupVaultName="dr")
    volume = cloud.client("ec2").create_volume(
        AvailabilityZone="eu-west-1a",
        Size=2,
        TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "keep", "Value": "yes"}]}],
    )["VolumeId"]
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="documents", CreateBucketConfiguration={"LocationConstraint": PRIMARY})
    return Stage(cloud, f"arn:aws:ec2:{PRIMARY}:123456789012:volume/{volume}", "documents")


def plan_of(rule: dict[str, Any], name: str = "plan") -> dict[str, Any]:
    base = {"RuleName": "daily", "TargetBackupVaultName": "main", "ScheduleExpression": "cron(0 5 * * ? *)"}
    return {"BackupPlanName": name, "Rules": [{**base, **rule}]}


def refused(code: str, order: Callable[[], Any]) -> str:
    """Return the message of a refusal that must come."""
    with pytest.raises(ClientError) as refusal:
        order()
    assert refusal.value.response["Error"]["Code"] == code
    return str(refusal.value.response["Error"]["Message"])


# -- vaults ------------------------------------------------------------------------------------------------------------


def test_a_vault_reads_back_with_state_type_key_and_tags(stage: Stage) -> None:
    vault = stage.backup.describe_backup_vault(BackupVaultName="main")

    assert (vault["VaultState"], vault["VaultType"], vault["Locked"]) == ("AVAILABLE", "BACKUP_VAULT", False)
    assert vault["EncryptionKeyArn"].startswith(f"arn:aws:kms:{PRIMARY}:123456789012:key/")
    arn = vault["BackupVaultArn"]
    assert stage.backup.list_tags(ResourceArn=arn)["Tags"] == {"team": "ops"}
    stage.backup.tag_resource(ResourceArn=arn, Tags={"owner": "me"})
    stage.backup.untag_resource(ResourceArn=arn, TagKeyList=["team"])
    assert stage.backup.list_tags(ResourceArn=arn)["Tags"] == {"owner": "me"}


def test_a_vault_that_is_not_there_is_a_403_to_read_as_in_aws(stage: Stage) -> None:
    text = refused("AccessDeniedException", lambda: stage.backup.describe_backup_vault(BackupVaultName="nowhere"))

    assert text == "Insufficient privileges to perform this action."


def test_wrong_vaults_are_refused(stage: Stage) -> None:
    backup = stage.backup
    key = f"arn:aws:kms:{PRIMARY}:123456789012:key/00000000-0000-0000-0000-000000000000"
    elsewhere = stage.cloud.client("kms", DR).create_key()["KeyMetadata"]["Arn"]

    refused("AlreadyExistsException", lambda: backup.create_backup_vault(BackupVaultName="main"))
    refused("InvalidParameterValueException", lambda: backup.create_backup_vault(BackupVaultName="no spaces"))
    for arn in (key, elsewhere):
        refused(
            "InvalidParameterValueException",
            lambda arn=arn: backup.create_backup_vault(BackupVaultName="keyed", EncryptionKeyArn=arn),
        )
    refused("ResourceNotFoundException", lambda: backup.delete_backup_vault(BackupVaultName="nowhere"))


def test_an_access_policy_really_denies_and_spares_the_break_glass_role(stage: Stage) -> None:
    backup = stage.backup
    backup.create_backup_vault(BackupVaultName="guarded")
    point = stage.take(stage.volume, "guarded")["RecoveryPointArn"]
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["backup:DeleteRecoveryPoint", "backup:PutBackupVaultAccessPolicy"],
        "Resource": "*",
        "Condition": {"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/break-glass"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    backup.put_backup_vault_access_policy(BackupVaultName="guarded", Policy=policy)
    assert backup.get_backup_vault_access_policy(BackupVaultName="guarded")["Policy"] == policy
    wanted = {"BackupVaultName": "guarded", "RecoveryPointArn": point}

    text = refused("AccessDeniedException", lambda: backup.delete_recovery_point(**wanted))
    assert text.endswith("with an explicit deny in a resource-based policy")
    refused(
        "AccessDeniedException",
        lambda: backup.put_backup_vault_access_policy(BackupVaultName="guarded", Policy=policy),
    )

    iam = stage.cloud.client("iam")
    iam.create_role(RoleName="break-glass", AssumeRolePolicyDocument=trust("ec2.amazonaws.com"))
    keys = stage.cloud.client("sts").assume_role(
        RoleArn="arn:aws:iam::123456789012:role/break-glass", RoleSessionName="night"
    )["Credentials"]
    glass = boto3.client(
        "backup",
        region_name=PRIMARY,
        endpoint_url=stage.cloud.endpoint,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    glass.delete_recovery_point(**wanted)
    backup.delete_backup_vault_access_policy(BackupVaultName="guarded")
    refused("ResourceNotFoundException", lambda: backup.get_backup_vault_access_policy(BackupVaultName="guarded"))
    backup.delete_backup_vault(BackupVaultName="guarded")


def test_a_policy_that_is_none_or_cannot_be_evaluated_is_refused(stage: Stage) -> None:
    unknown = {"Effect": "Deny", "Principal": "*", "Action": "*", "Condition": {"NumericLessThan": {"a": "1"}}}
    for policy in ("{}", "no json", json.dumps({"Statement": [{"Effect": "Deny", "Action": "*"}]})):
        refused(
            "InvalidParameterValueException",
            lambda policy=policy: stage.backup.put_backup_vault_access_policy(BackupVaultName="main", Policy=policy),
        )
    text = refused(
        "InvalidParameterValueException",
        lambda: stage.backup.put_backup_vault_access_policy(
            BackupVaultName="main", Policy=json.dumps({"Statement": unknown})
        ),
    )
    assert "does not evaluate the condition NumericLessThan" in text


def test_a_locked_vault_keeps_what_it_has_and_bounds_what_comes(stage: Stage) -> None:
    backup = stage.backup
    backup.create_backup_vault(BackupVaultName="locked")
    point = stage.take(stage.volume, "locked", Lifecycle={"DeleteAfterDays": 10})["RecoveryPointArn"]
    backup.put_backup_vault_lock_configuration(BackupVaultName="locked", MinRetentionDays=7, MaxRetentionDays=35)
    wanted = {"BackupVaultName": "locked", "RecoveryPointArn": point}

    refused("InvalidRequestException", lambda: backup.delete_recovery_point(**wanted))
    refused(
        "InvalidRequestException",
        lambda: backup.update_recovery_point_lifecycle(**wanted, Lifecycle={"DeleteAfterDays": 30}),
    )
    short = stage.take(stage.volume, "locked", Lifecycle={"DeleteAfterDays": 6})
    endless = stage.take(stage.volume, "locked")
    fitting = stage.take(stage.volume, "locked", Lifecycle={"DeleteAfterDays": 35})
    assert [short["State"], endless["State"], fitting["State"]] == ["FAILED", "FAILED", "COMPLETED"]
    assert short["StatusMessage"] == "Retention of 6 days is below the minimum of 7 days of the locked vault locked"
    assert "for ever is above the maximum of 35 days" in endless["StatusMessage"]

    # Governance: whoever may, can take the lock away.
    backup.delete_backup_vault_lock_configuration(BackupVaultName="locked")
    for found in backup.list_recovery_points_by_backup_vault(BackupVaultName="locked")["RecoveryPoints"]:
        backup.delete_recovery_point(BackupVaultName="locked", RecoveryPointArn=found["RecoveryPointArn"])
    backup.delete_backup_vault(BackupVaultName="locked")


def test_wrong_locks_are_refused_and_a_compliance_lock_has_a_date(stage: Stage) -> None:
    backup = stage.backup
    for wrong in (
        {"MinRetentionDays": 30, "MaxRetentionDays": 7},
        {"MinRetentionDays": 0},
        {"MaxRetentionDays": 36501},
        {"ChangeableForDays": 2},
    ):
        refused(
            "InvalidParameterValueException",
            lambda wrong=wrong: backup.put_backup_vault_lock_configuration(BackupVaultName="main", **wrong),
        )
    backup.create_backup_vault(BackupVaultName="compliant")

    backup.put_backup_vault_lock_configuration(BackupVaultName="compliant", MinRetentionDays=7, ChangeableForDays=3)

    vault = backup.describe_backup_vault(BackupVaultName="compliant")
    assert round((vault["LockDate"] - vault["CreationDate"]).total_seconds() / 86400) == 3
    backup.delete_backup_vault_lock_configuration(BackupVaultName="compliant")  # within the grace time
    assert "LockDate" not in backup.describe_backup_vault(BackupVaultName="compliant")
    backup.delete_backup_vault(BackupVaultName="compliant")


def test_a_vault_tells_its_topic_when_the_topic_lets_it(stage: Stage) -> None:
    sns, sqs = stage.cloud.client("sns"), stage.cloud.client("sqs")
    topic = sns.create_topic(Name="vault-news")["TopicArn"]
    queue = open_inbox(stage.cloud, "vault-news")
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    stage.backup.put_backup_vault_notifications(
        BackupVaultName="main", SNSTopicArn=topic, BackupVaultEvents=["BACKUP_JOB_COMPLETED"]
    )
    found = stage.backup.get_backup_vault_notifications(BackupVaultName="main")
    assert (found["SNSTopicArn"], found["BackupVaultEvents"]) == (topic, ["BACKUP_JOB_COMPLETED"])

    stage.take(stage.volume)
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)  # the topic's policy forbids it
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "backup.amazonaws.com"},
        "Action": "SNS:Publish",
        "Resource": topic,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    job = stage.take(stage.volume)
    time.sleep(0.5)
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    body = json.loads(message["Body"])
    assert body["MessageAttributes"]["State"]["Value"] == "COMPLETED"
    assert body["MessageAttributes"]["Id"]["Value"] == job["BackupJobId"]

    wrong = {"BackupVaultName": "main", "SNSTopicArn": topic.replace(PRIMARY, DR)}
    refused(
        "InvalidParameterValueException",
        lambda: stage.backup.put_backup_vault_notifications(**wrong, BackupVaultEvents=["BACKUP_JOB_COMPLETED"]),
    )
    refused(
        "InvalidParameterValueException",
        lambda: stage.backup.put_backup_vault_notifications(
            BackupVaultName="main", SNSTopicArn=topic, BackupVaultEvents=["BACKUP_JOB_LATE"]
        ),
    )
    stage.backup.delete_backup_vault_notifications(BackupVaultName="main")
    refused("ResourceNotFoundException", lambda: stage.backup.get_backup_vault_notifications(BackupVaultName="main"))


# -- plans and selections ----------------------------------------------------------------------------------------------


def test_a_plan_has_defaults_versions_and_a_preview(stage: Stage) -> None:
    backup = stage.backup
    made = backup.create_backup_plan(BackupPlan=plan_of({}, "versioned"), BackupPlanTags={"a": "b"})
    plan_id = made["BackupPlanId"]

    changed = backup.update_backup_plan(
        BackupPlanId=plan_id, BackupPlan=plan_of({"Lifecycle": {"DeleteAfterDays": 35}}, "versioned")
    )

    now = backup.get_backup_plan(BackupPlanId=plan_id, MaxScheduledRunsPreview=2)
    rule = now["BackupPlan"]["Rules"][0]
    assert (rule["StartWindowMinutes"], rule["CompletionWindowMinutes"]) == (480, 10080)
    assert rule["ScheduleExpressionTimezone"] == "Etc/UTC"
    assert rule["Lifecycle"] == {"DeleteAfterDays": 35}
    assert [run["ExecutionTime"].hour for run in now["ScheduledRunsPreview"]] == [5, 5]
    assert now["VersionId"] == changed["VersionId"] != made["VersionId"]
    first = backup.get_backup_plan(BackupPlanId=plan_id, VersionId=made["VersionId"])["BackupPlan"]["Rules"][0]
    assert "Lifecycle" not in first
    assert first["RuleId"] == rule["RuleId"]
    versions = backup.list_backup_plan_versions(BackupPlanId=plan_id)["BackupPlanVersionsList"]
    assert [version["VersionId"] for version in versions] == [changed["VersionId"], made["VersionId"]]
    assert backup.list_tags(ResourceArn=made["BackupPlanArn"])["Tags"] == {"a": "b"}
    refused(
        "AlreadyExistsException",
        lambda: backup.create_backup_plan(BackupPlan=plan_of({"Lifecycle": {"DeleteAfterDays": 35}}, "versioned")),
    )
    backup.delete_backup_plan(BackupPlanId=plan_id)
    assert "DeletionDate" in backup.get_backup_plan(BackupPlanId=plan_id)
    assert plan_id not in [plan["BackupPlanId"] for plan in backup.list_backup_plans()["BackupPlansList"]]
    refused("ResourceNotFoundException", lambda: backup.delete_backup_plan(BackupPlanId=plan_id))


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"Lifecycle": {"MoveToColdStorageAfterDays": 30, "DeleteAfterDays": 60}}, "less than 90 days apart"),
        ({"Lifecycle": {"MoveToColdStorageAfterDays": 30, "DeleteAfterDays": 20}}, "less than 90 days apart"),
        ({"Lifecycle": {"DeleteAfterDays": 0}}, "must be 1 to 36500"),
        ({"EnableContinuousBackup": True, "Lifecycle": {"DeleteAfterDays": 90}}, "DeleteAfterDays of 1 to 35"),
        ({"EnableContinuousBackup": True}, "DeleteAfterDays of 1 to 35"),
        ({"StartWindowMinutes": 60, "CompletionWindowMinutes": 70}, "60 minutes longer than the start window"),
        ({"StartWindowMinutes": 10}, "at least 60 minutes"),
        ({"ScheduleExpression": "rate(1 day)"}, "is not of the form cron"),
        ({"ScheduleExpression": "every day"}, "is not of the form cron"),
        ({"ScheduleExpression": "cron(0/30 * * * ? *)"}, "less than an hour apart"),
        ({"ScheduleExpressionTimezone": "Mars/Base"}, "is not a time zone"),
        ({"CopyActions": [{"DestinationBackupVaultArn": "arn:aws:s3:::x"}]}, "not the ARN of a backup vault"),
        ({"TargetBackupVaultName": "a b"}, "TargetBackupVaultName"),
    ],
)
def test_plans_that_aws_refuses_are_refused(stage: Stage, rule: dict[str, Any], reason: str) -> None:
    before = len(stage.backup.list_backup_plans()["BackupPlansList"])

    text = refused("InvalidParameterValueException", lambda: stage.backup.create_backup_plan(BackupPlan=plan_of(rule)))

    assert reason in text
    assert len(stage.backup.list_backup_plans()["BackupPlansList"]) == before


def test_a_selection_reads_back_and_wrong_ones_are_refused(stage: Stage) -> None:
    backup = stage.backup
    plan_id = backup.create_backup_plan(BackupPlan=plan_of({}, "selecting"))["BackupPlanId"]
    tag = {"ConditionType": "STRINGEQUALS", "ConditionKey": "keep", "ConditionValue": "yes"}
    good = {"SelectionName": "tagged", "IamRoleArn": ROLE, "ListOfTags": [tag]}

    def select(**changed: Any) -> Any:
        return backup.create_backup_selection(BackupPlanId=plan_id, BackupSelection={**good, **changed})

    selection_id = select()["SelectionId"]

    found = backup.get_backup_selection(BackupPlanId=plan_id, SelectionId=selection_id)["BackupSelection"]
    assert {key: found[key] for key in good} == good
    listed = backup.list_backup_selections(BackupPlanId=plan_id)["BackupSelectionsList"]
    assert [(one["SelectionId"], one["IamRoleArn"]) for one in listed] == [(selection_id, ROLE)]
    refused("AlreadyExistsException", select)
    wrong = "InvalidParameterValueException"
    text = refused(wrong, lambda: select(SelectionName="x", IamRoleArn=STRANGER))
    assert text == f"IAM Role {STRANGER} cannot be assumed by AWS Backup"
    refused(wrong, lambda: select(SelectionName="x", Resources=["volume"]))
    refused(wrong, lambda: select(SelectionName="x", Resources=["arn:aws:ec2:*:*:*/vol-1"]))
    condition = {"StringEquals": [{"ConditionKey": "keep", "ConditionValue": "yes"}]}
    refused(wrong, lambda: select(SelectionName="x", Conditions=condition))
    refused("InvalidRequestException", lambda: backup.delete_backup_plan(BackupPlanId=plan_id))
    backup.delete_backup_selection(BackupPlanId=plan_id, SelectionId=selection_id)
    backup.delete_backup_plan(BackupPlanId=plan_id)


# -- jobs, recovery points, copies, restores ---------------------------------------------------------------------------


def test_a_volume_is_taken_copied_restored_and_deleted(stage: Stage) -> None:
    backup, ec2 = stage.backup, stage.cloud.client("ec2")
    lifecycle = {"MoveToColdStorageAfterDays": 30, "DeleteAfterDays": 120}

    job = stage.take(stage.volume, Lifecycle=lifecycle, RecoveryPointTags={"why": "test"})

    assert (job["State"], job["PercentDone"], job["ResourceType"]) == ("COMPLETED", "100.0", "EBS")
    arn = job["RecoveryPointArn"]
    snapshot = arn.rsplit("/", 1)[1]
    assert ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["VolumeSize"] == 2
    point = backup.describe_recovery_point(BackupVaultName="main", RecoveryPointArn=arn)
    assert (point["Status"], point["StorageClass"], point["Lifecycle"]) == ("COMPLETED", "WARM", lifecycle)
    assert (point["CalculatedLifecycle"]["DeleteAt"] - point["CompletionDate"]).days == 120
    assert backup.list_tags(ResourceArn=arn)["Tags"] == {"keep": "yes", "why": "test"}

    copied = stage.copied(arn, Lifecycle={"DeleteAfterDays": 7})
    assert copied["State"] == "COMPLETED", copied
    there = stage.cloud.client("backup", DR)
    (point,) = there.list_recovery_points_by_backup_vault(BackupVaultName="dr", ByResourceArn=stage.volume)[
        "RecoveryPoints"
    ]
    assert point["RecoveryPointArn"] == copied["DestinationRecoveryPointArn"]
    assert point["SourceBackupVaultArn"].endswith(":backup-vault:main")
    copy_id = point["RecoveryPointArn"].rsplit("/", 1)[1]
    assert stage.cloud.client("ec2", DR).describe_snapshots(SnapshotIds=[copy_id])["Snapshots"]

    metadata = backup.get_recovery_point_restore_metadata(BackupVaultName="main", RecoveryPointArn=arn)
    restored = stage.restored(arn, {**metadata["RestoreMetadata"], "availabilityZone": "eu-west-1b"})
    volume = restored["CreatedResourceArn"].rsplit("/", 1)[1]
    assert ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["SnapshotId"] == snapshot
    jobs = backup.list_restore_jobs_by_protected_resource(ResourceArn=stage.volume)["RestoreJobs"]
    assert restored["RestoreJobId"] in [one["RestoreJobId"] for one in jobs]

    text = refused("InvalidParameterValue", lambda: ec2.delete_snapshot(SnapshotId=snapshot))
    assert text.startswith("This snapshot is managed by the AWS Backup service")
    refused("InvalidRequestException", lambda: backup.delete_backup_vault(BackupVaultName="main"))
    backup.delete_recovery_point(BackupVaultName="main", RecoveryPointArn=arn)
    with pytest.raises(ClientError, match=r"InvalidSnapshot\.NotFound"):
        ec2.describe_snapshots(SnapshotIds=[snapshot])
    refused(
        "ResourceNotFoundException",
        lambda: backup.describe_recovery_point(BackupVaultName="main", RecoveryPointArn=arn),
    )


def test_jobs_fail_for_what_the_role_the_key_or_the_resource_lacks(stage: Stage) -> None:
    cloud = stage.cloud
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    stage.backup.create_backup_vault(BackupVaultName="keyed", EncryptionKeyArn=key)
    point = stage.take(stage.volume, "keyed")["RecoveryPointArn"]
    powerless = stage.restored(point, {"availabilityZone": "eu-west-1a"}, IamRoleArn=ONLY_BACKUP)
    assert powerless["Status"] == "FAILED"
    assert powerless["StatusMessage"].endswith("is not authorized to perform ec2:CreateVolume")
    cloud.client("kms").schedule_key_deletion(KeyId=key.rsplit("/", 1)[1], PendingWindowInDays=7)

    job = stage.take(stage.volume, "keyed")
    gone = stage.take(f"arn:aws:ec2:{PRIMARY}:123456789012:volume/vol-00000000000000000")
    unversioned = stage.take("arn:aws:s3:::documents")

    assert (job["State"], job["StatusMessage"]) == ("FAILED", f"KMS key {key} is PendingDeletion")
    assert gone["StatusMessage"].endswith("volume/vol-00000000000000000 does not exist")
    assert unversioned["StatusMessage"] == "Versioning is not enabled on bucket documents; AWS Backup needs it"
    failed = stage.backup.list_backup_jobs(ByState="FAILED", ByBackupVaultName="keyed")["BackupJobs"]
    assert [one["BackupJobId"] for one in failed] == [job["BackupJobId"]]


def test_a_failed_job_is_an_event_on_the_default_bus(stage: Stage) -> None:
    sqs, bus = stage.cloud.client("sqs"), stage.cloud.client("events")
    queue = sqs.create_queue(QueueName="failures")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.backup"], "detail-type": ["Backup Job State Change"], "detail": {"state": ["FAILED"]}}
    bus.put_rule(Name="failures", EventPattern=json.dumps(pattern))
    bus.put_targets(Rule="failures", Targets=[{"Id": "queue", "Arn": arn}])

    stage.take(stage.volume)
    job = stage.take(f"arn:aws:ec2:{PRIMARY}:123456789012:volume/vol-00000000000000000")
    time.sleep(0.5)

    (message,) = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    event = json.loads(message["Body"])
    assert event["detail"]["backupJobId"] == job["BackupJobId"]
    assert event["resources"] == [job["ResourceArn"]]
    measured = stage.cloud.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Backup",
        MetricName="NumberOfBackupJobsFailed",
        Dimensions=[{"Name": "BackupVaultName", "Value": "main"}],
        StartTime=job["CreationDate"] - timedelta(hours=1),
        EndTime=job["CreationDate"] + timedelta(hours=1),
        Period=60,
        Statistics=["Sum"],
    )
    assert sum(point["Sum"] for point in measured["Datapoints"]) >= 1


def test_orders_that_aws_refuses_are_refused(stage: Stage) -> None:
    backup = stage.backup
    point = stage.take(stage.volume)["RecoveryPointArn"]
    job = {"BackupVaultName": "main", "ResourceArn": stage.volume, "IamRoleArn": ROLE}
    restore = {"RecoveryPointArn": point, "IamRoleArn": ROLE}
    wrong = "InvalidParameterValueException"

    refused(wrong, lambda: backup.start_backup_job(**{**job, "IamRoleArn": STRANGER}))
    refused(wrong, lambda: backup.start_backup_job(**{**job, "ResourceArn": "arn:aws:sqs:eu-west-1:1:q"}))
    refused(wrong, lambda: backup.start_backup_job(**job, StartWindowMinutes=10))
    short = {"MoveToColdStorageAfterDays": 1, "DeleteAfterDays": 2}
    refused(wrong, lambda: backup.start_backup_job(**job, Lifecycle=short))
    refused("ResourceNotFoundException", lambda: backup.start_backup_job(**{**job, "BackupVaultName": "nowhere"}))
    text = refused(wrong, lambda: backup.start_restore_job(**restore, Metadata={}))
    assert text == "Invalid restore metadata. You must specify availabilityZone"
    refused(wrong, lambda: backup.start_restore_job(**restore, Metadata={}, ResourceType="RDS"))
    absent = {**restore, "RecoveryPointArn": point + "0"}
    refused("ResourceNotFoundException", lambda: backup.start_restore_job(**absent, Metadata={}))
    refused("ResourceNotFoundException", lambda: stage.copied(point, destination=DR_VAULT + "x"))
    done = backup.list_backup_jobs(ByState="COMPLETED")["BackupJobs"][0]["BackupJobId"]
    refused("InvalidRequestException", lambda: backup.stop_backup_job(BackupJobId=done))
    refused("ResourceNotFoundException", lambda: backup.describe_backup_job(BackupJobId="none"))
    refused(wrong, lambda: backup.list_backup_jobs(MaxResults=1001))
    refused(
        "InvalidRequestException",
        lambda: backup.disassociate_recovery_point(BackupVaultName="main", RecoveryPointArn=point),
    )


def test_a_job_is_started_once_for_one_token_and_lists_come_in_pages(stage: Stage) -> None:
    backup = stage.backup
    asked = {"BackupVaultName": "main", "ResourceArn": stage.volume, "IamRoleArn": ROLE, "IdempotencyToken": "once"}
    first, again = (backup.start_backup_job(**asked)["BackupJobId"] for _ in range(2))
    assert first == again
    stage.ended(lambda: backup.describe_backup_job(BackupJobId=first))
    stage.take(stage.volume)

    everything = backup.list_backup_jobs()["BackupJobs"]
    pages = [
        page["BackupJobs"]
        for page in backup.get_paginator("list_backup_jobs").paginate(PaginationConfig={"PageSize": 2})
    ]

    assert [job for page in pages for job in page] == everything
    assert len(pages) == -(-len(everything) // 2)


def test_a_versioned_bucket_and_a_table_come_back_as_they_were(stage: Stage) -> None:
    s3, dynamodb = stage.cloud.client("s3"), stage.cloud.client("dynamodb")
    where = {"CreateBucketConfiguration": {"LocationConstraint": PRIMARY}}
    s3.create_bucket(Bucket="versioned", **where)
    s3.create_bucket(Bucket="target", **where)
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="versioned", Key="a/b", Body=b"old")
    dynamodb.create_table(
        TableName="locks",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.put_item(TableName="locks", Item={"id": {"S": "1"}})

    bucket_point = stage.take("arn:aws:s3:::versioned")["RecoveryPointArn"]
    table_point = stage.take(f"arn:aws:dynamodb:{PRIMARY}:123456789012:table/locks")["RecoveryPointArn"]
    s3.put_object(Bucket="versioned", Key="a/b", Body=b"new")
    dynamodb.delete_item(TableName="locks", Key={"id": {"S": "1"}})
    objects = stage.restored(bucket_point, {"DestinationBucketName": "target"})
    rows = stage.restored(table_point, {"targetTableName": "locks-back"})

    assert (objects["Status"], rows["Status"]) == ("COMPLETED", "COMPLETED")
    assert s3.get_object(Bucket="target", Key="a/b")["Body"].read() == b"old"
    assert dynamodb.scan(TableName="locks-back")["Items"] == [{"id": {"S": "1"}}]
    assert stage.copied(table_point)["State"] == "FAILED"


# -- ticks -------------------------------------------------------------------------------------------------------------


def test_a_daily_tick_runs_the_plan_with_its_copies_and_only_for_the_selected(stage: Stage) -> None:
    backup = stage.backup
    rule = {
        "Lifecycle": {"DeleteAfterDays": 35},
        "RecoveryPointTags": {"by": "plan"},
        "CopyActions": [{"DestinationBackupVaultArn": DR_VAULT, "Lifecycle": {"DeleteAfterDays": 14}}],
    }
    plan_id = backup.create_backup_plan(BackupPlan=plan_of(rule, "ticking"))["BackupPlanId"]
    tag = {"ConditionType": "STRINGEQUALS", "ConditionKey": "keep", "ConditionValue": "yes"}
    selection_id = backup.create_backup_selection(
        BackupPlanId=plan_id, BackupSelection={"SelectionName": "s", "IamRoleArn": ROLE, "ListOfTags": [tag]}
    )["SelectionId"]
    stage.cloud.client("ec2").create_volume(AvailabilityZone="eu-west-1a", Size=1)

    lines = [line for line in stage.cloud.control("tick", schedule="daily")["fired"] if "ticking" in line]

    (point,) = backup.list_recovery_points_by_backup_vault(BackupVaultName="main", ByBackupPlanId=plan_id)[
        "RecoveryPoints"
    ]
    (copied,) = stage.cloud.client("backup", DR).list_recovery_points_by_backup_vault(
        BackupVaultName="dr", ByBackupPlanId=plan_id
    )["RecoveryPoints"]
    assert point["ResourceArn"] == copied["ResourceArn"] == stage.volume
    assert copied["Lifecycle"] == {"DeleteAfterDays": 14}
    assert lines == [
        f"AWS Backup ticking (daily): recovery point {point['RecoveryPointArn']} in main",
        f"AWS Backup ticking (daily): copy to {DR_VAULT}: {copied['RecoveryPointArn']}",
    ]
    monthly = stage.cloud.control("tick", schedule="monthly")["fired"]
    assert [line for line in monthly if "ticking" in line] == []
    # A region that has opted out takes tagged volumes no more; naming the ARN overrides that.
    backup.update_region_settings(ResourceTypeOptInPreference={"EBS": False})
    silent = stage.cloud.control("tick", schedule="daily")["fired"]
    backup.create_backup_selection(
        BackupPlanId=plan_id,
        BackupSelection={"SelectionName": "named", "IamRoleArn": ROLE, "Resources": [stage.volume]},
    )
    named = stage.cloud.control("tick", schedule="daily")["fired"]
    backup.update_region_settings(ResourceTypeOptInPreference={"EBS": True})
    assert [line for line in silent if "ticking" in line] == []
    assert len([line for line in named if "ticking" in line]) == 2
    for selection in backup.list_backup_selections(BackupPlanId=plan_id)["BackupSelectionsList"]:
        backup.delete_backup_selection(BackupPlanId=plan_id, SelectionId=selection["SelectionId"])
    assert selection_id
    backup.delete_backup_plan(BackupPlanId=plan_id)


TESTING = {
    "RestoreTestingPlanName": "weekly",
    "ScheduleExpression": "cron(0 5 ? * SUN *)",
    "RecoveryPointSelection": {
        "Algorithm": "LATEST_WITHIN_WINDOW",
        "IncludeVaults": ["*"],
        "RecoveryPointTypes": ["SNAPSHOT"],
    },
}
VOLUMES = {
    "RestoreTestingSelectionName": "volumes",
    "IamRoleArn": ROLE,
    "ProtectedResourceType": "EBS",
    "ProtectedResourceArns": ["*"],
    "ValidationWindowHours": 4,
}


def test_a_restore_test_restores_waits_for_a_verdict_and_cleans_up(stage: Stage) -> None:
    backup = stage.backup
    stage.take(stage.volume)
    backup.create_restore_testing_plan(RestoreTestingPlan=TESTING, Tags={"x": "y"})
    name = {"RestoreTestingPlanName": "weekly"}
    backup.create_restore_testing_selection(**name, RestoreTestingSelection=VOLUMES)
    found = backup.get_restore_testing_plan(**name)["RestoreTestingPlan"]
    assert (found["StartWindowHours"], found["RecoveryPointSelection"]["SelectionWindowDays"]) == (24, 30)

    lines = stage.cloud.control("tick", schedule="monthly")["fired"]

    (line,) = [line for line in lines if line.startswith("restore test weekly (volumes): COMPLETED")]
    plan_arn = found["RestoreTestingPlanArn"]
    (job,) = backup.list_restore_jobs(ByRestoreTestingPlanArn=plan_arn)["RestoreJobs"]
    assert line.endswith(job["CreatedResourceArn"])
    assert job["ValidationStatus"] == "VALIDATING"
    volume = job["CreatedResourceArn"].rsplit("/", 1)[1]
    assert stage.cloud.client("ec2").describe_volumes(VolumeIds=[volume])["Volumes"]
    backup.put_restore_validation_result(RestoreJobId=job["RestoreJobId"], ValidationStatus="SUCCESSFUL")
    job = backup.describe_restore_job(RestoreJobId=job["RestoreJobId"])
    assert (job["ValidationStatus"], job["DeletionStatus"]) == ("SUCCESSFUL", "SUCCESSFUL")
    with pytest.raises(ClientError, match=r"InvalidVolume\.NotFound"):
        stage.cloud.client("ec2").describe_volumes(VolumeIds=[volume])
    refused(
        "InvalidRequestException",
        lambda: backup.put_restore_validation_result(RestoreJobId=job["RestoreJobId"], ValidationStatus="FAILED"),
    )
    stage.cloud.control("tick", schedule="monthly")
    (job,) = [j for j in backup.list_restore_jobs()["RestoreJobs"] if j.get("ValidationStatus") == "VALIDATING"]
    lines = stage.cloud.control("tick", schedule="daily")["fired"]
    left = job["CreatedResourceArn"]
    assert f"restore test: the validation window of {left} is over: deletion SUCCESSFUL" in lines
    job = backup.describe_restore_job(RestoreJobId=job["RestoreJobId"])
    assert (job["ValidationStatus"], job["DeletionStatus"]) == ("TIMED_OUT", "SUCCESSFUL")
    with pytest.raises(ClientError, match=r"InvalidVolume\.NotFound"):
        stage.cloud.client("ec2").describe_volumes(VolumeIds=[left.rsplit("/", 1)[1]])
    refused("InvalidRequestException", lambda: backup.delete_restore_testing_plan(**name))
    backup.update_restore_testing_plan(**name, RestoreTestingPlan={"ScheduleExpression": "cron(0 6 ? * SUN *)"})
    assert backup.list_restore_testing_plans()["RestoreTestingPlans"][0]["ScheduleExpression"].startswith("cron(0 6")
    backup.update_restore_testing_selection(
        **name, RestoreTestingSelectionName="volumes", RestoreTestingSelection={"ValidationWindowHours": 1}
    )
    backup.delete_restore_testing_selection(**name, RestoreTestingSelectionName="volumes")
    backup.delete_restore_testing_plan(**name)


def test_wrong_restore_tests_are_refused(stage: Stage) -> None:
    backup = stage.backup

    def create(**changed: Any) -> Any:
        return backup.create_restore_testing_plan(RestoreTestingPlan={**TESTING, **changed})

    def select(**changed: Any) -> Any:
        return backup.create_restore_testing_selection(
            RestoreTestingPlanName="wrong", RestoreTestingSelection={**VOLUMES, **changed}
        )

    wrong = "InvalidParameterValueException"
    refused(wrong, lambda: create(ScheduleExpression="rate(7 days)"))
    refused(wrong, lambda: create(RestoreTestingPlanName="with-dash"))
    refused(wrong, lambda: create(StartWindowHours=200))
    selection = copy.deepcopy(TESTING["RecoveryPointSelection"])
    refused(wrong, lambda: create(RecoveryPointSelection={**selection, "SelectionWindowDays": 400}))
    refused("MissingParameterValueException", lambda: create(RecoveryPointSelection={**selection, "IncludeVaults": []}))
    refused("ResourceNotFoundException", select)
    create(RestoreTestingPlanName="wrong")
    refused("AlreadyExistsException", lambda: create(RestoreTestingPlanName="wrong"))
    refused(wrong, lambda: select(ProtectedResourceType="Toaster"))
    refused(wrong, lambda: select(ProtectedResourceArns=[]))
    refused(wrong, lambda: select(IamRoleArn=STRANGER))
    refused(wrong, lambda: select(ValidationWindowHours=200))
    backup.delete_restore_testing_plan(RestoreTestingPlanName="wrong")


# -- settings and frameworks -------------------------------------------------------------------------------------------


def test_settings_are_read_and_only_sensible_ones_written(stage: Stage) -> None:
    assert stage.backup.describe_region_settings()["ResourceTypeOptInPreference"]["RDS"] is True
    assert stage.backup.describe_global_settings()["GlobalSettings"]["isCrossAccountBackupEnabled"] == "false"
    refused(
        "InvalidParameterValueException",
        lambda: stage.backup.update_region_settings(ResourceTypeOptInPreference={"Toaster": True}),
    )
    refused(
        "InvalidRequestException",
        lambda: stage.backup.update_global_settings(GlobalSettings={"isCrossAccountBackupEnabled": "true"}),
    )


def test_a_framework_reads_back_and_unknown_controls_are_refused(stage: Stage) -> None:
    backup = stage.backup
    controls = [{"ControlName": "BACKUP_RECOVERY_POINT_ENCRYPTED"}]
    backup.create_framework(FrameworkName="audit", FrameworkControls=controls, FrameworkTags={"a": "b"})

    found = backup.describe_framework(FrameworkName="audit")

    assert (found["DeploymentStatus"], found["FrameworkControls"]) == ("COMPLETED", controls)
    assert backup.list_frameworks()["Frameworks"][0]["NumberOfControls"] == 1
    refused(
        "InvalidParameterValueException",
        lambda: backup.create_framework(FrameworkName="odd", FrameworkControls=[{"ControlName": "NONE_SUCH"}]),
    )
    backup.delete_framework(FrameworkName="audit")
    refused("ResourceNotFoundException", lambda: backup.describe_framework(FrameworkName="audit"))


# -- databases and instances -------------------------------------------------------------------------------------------


def test_a_database_and_an_instance_are_taken_copied_and_restored(stage: Stage) -> None:
    rds, ec2 = stage.cloud.client("rds"), stage.cloud.client("ec2")
    rds.create_db_instance(
        DBInstanceIdentifier="app-g1",
        Engine="postgres",
        EngineVersion="15",
        DBInstanceClass="db.t4g.micro",
        AllocatedStorage=20,
        MasterUsername="app",
        MasterUserPassword="canary-password",
        BackupRetentionPeriod=7,
    )
    rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier="app-g1", WaiterConfig={"Delay": 1})
    instance = ec2.run_instances(ImageId="ami-0f000000000000001", InstanceType="t3.micro", MinCount=1, MaxCount=1)
    instance_id = instance["Instances"][0]["InstanceId"]
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance_id], WaiterConfig={"Delay": 1})

    database = stage.take(f"arn:aws:rds:{PRIMARY}:123456789012:db:app-g1")
    machine = stage.take(f"arn:aws:ec2:{PRIMARY}:123456789012:instance/{instance_id}")

    snapshot = f"awsbackup:job-{database['BackupJobId']}"
    assert database["RecoveryPointArn"] == f"arn:aws:rds:{PRIMARY}:123456789012:snapshot:{snapshot}"
    (found,) = rds.describe_db_snapshots(SnapshotType="awsbackup")["DBSnapshots"]
    assert (found["DBSnapshotIdentifier"], found["Status"]) == (snapshot, "available")
    refused("InvalidDBSnapshotState", lambda: rds.delete_db_snapshot(DBSnapshotIdentifier=snapshot))
    image = machine["RecoveryPointArn"].rsplit("/", 1)[1]
    refused("InvalidParameterValue", lambda: ec2.deregister_image(ImageId=image))
    for point in (database, machine):
        copied = stage.copied(point["RecoveryPointArn"])
        assert copied["State"] == "COMPLETED", copied
        assert f":{DR}:" in copied["DestinationRecoveryPointArn"]
    back = stage.restored(database["RecoveryPointArn"], {"DBInstanceIdentifier": "app-g2"})
    assert (back["Status"], back["CreatedResourceArn"]) == (
        "COMPLETED",
        f"arn:aws:rds:{PRIMARY}:123456789012:db:app-g2",
    )
    metadata = {"InstanceType": "t3.small", "SubnetId": "", "SecurityGroupIds": "[]"}
    again = stage.restored(machine["RecoveryPointArn"], metadata)
    restored = ec2.describe_instances(InstanceIds=[again["CreatedResourceArn"].rsplit("/", 1)[1]])
    assert restored["Reservations"][0]["Instances"][0]["ImageId"] == image
    protected = [one["ResourceType"] for one in stage.backup.list_protected_resources()["Results"]]
    assert {"RDS", "EC2", "EBS"} <= set(protected)
    for point in (database, machine):
        arn = point["RecoveryPointArn"]
        stage.backup.delete_recovery_point(BackupVaultName="main", RecoveryPointArn=arn)
    assert rds.describe_db_snapshots(SnapshotType="awsbackup")["DBSnapshots"] == []


def test_continuous_backup_takes_over_the_retention_and_restores_to_now(stage: Stage) -> None:
    backup, rds = stage.backup, stage.cloud.client("rds")
    rule = {"EnableContinuousBackup": True, "Lifecycle": {"DeleteAfterDays": 14}}
    plan_id = backup.create_backup_plan(BackupPlan=plan_of(rule, "continuous"))["BackupPlanId"]
    arn = f"arn:aws:rds:{PRIMARY}:123456789012:db:app-g1"
    selection_id = backup.create_backup_selection(
        BackupPlanId=plan_id, BackupSelection={"SelectionName": "db", "IamRoleArn": ROLE, "Resources": [arn]}
    )["SelectionId"]

    stage.cloud.control("tick", schedule="daily")
    stage.cloud.control("tick", schedule="daily")

    (point,) = backup.list_recovery_points_by_backup_vault(BackupVaultName="main", ByBackupPlanId=plan_id)[
        "RecoveryPoints"
    ]
    assert point["Status"] == "AVAILABLE"
    assert rds.describe_db_instances(DBInstanceIdentifier="app-g1")["DBInstances"][0]["BackupRetentionPeriod"] == 14
    wanted = {"BackupVaultName": "main", "RecoveryPointArn": point["RecoveryPointArn"]}
    refused(
        "InvalidRequestException",
        lambda: backup.update_recovery_point_lifecycle(**wanted, Lifecycle={"DeleteAfterDays": 20}),
    )
    assert stage.copied(point["RecoveryPointArn"])["State"] == "FAILED"
    back = stage.restored(point["RecoveryPointArn"], {"DBInstanceIdentifier": "app-now"})
    assert back["Status"] == "COMPLETED", back
    backup.disassociate_recovery_point(**wanted)
    backup.delete_backup_selection(BackupPlanId=plan_id, SelectionId=selection_id)
    backup.delete_backup_plan(BackupPlanId=plan_id)
