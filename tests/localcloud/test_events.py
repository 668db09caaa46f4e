"""EventBridge: what reaches topics and queues, and what AWS refuses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from tests.conftest import RunningCloud
from tests.localcloud.inboxes import open_inbox

ACCOUNT = "123456789012"
BY_RULES = {
    "Sid": "RulesOfThisApplication",
    "Effect": "Allow",
    "Principal": {"Service": "events.amazonaws.com"},
    "Action": "sns:Publish",
    "Resource": "*",
    "Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:events:eu-west-1:{ACCOUNT}:rule/app-*"}},
}


@dataclass(frozen=True)
class Listener:
    """A topic that rules may publish to, and the queue in which its messages are seen."""

    cloud: RunningCloud
    topic: str
    queue: str

    @property
    def queue_arn(self) -> str:
        return f"arn:aws:sqs:eu-west-1:{ACCOUNT}:{self.queue.rsplit('/', 1)[-1]}"

    def rule(self, name: str, pattern: dict[str, Any], *, arn: str | None = None, **target: Any) -> None:
        events = self.cloud.client("events")
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=name, Targets=[{"Id": "alarms", "Arn": arn or self.topic, **target}])

    def put(self, detail: Any, *, source: str = "app.test", kind: str = "Something") -> dict[str, Any]:
        entry = {"Source": source, "DetailType": kind, "Detail": json.dumps(detail)}
        answer: dict[str, Any] = self.cloud.client("events").put_events(Entries=[entry])
        return answer

    def messages(self) -> list[str]:
        return [json.loads(body)["Message"] for body in self.bodies()]

    def bodies(self) -> list[str]:
        sqs = self.cloud.client("sqs")
        found: list[str] = []
        while batch := sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", []):
            found += [message["Body"] for message in batch]
            for message in batch:
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return found


@pytest.fixture
def listener(cloud: RunningCloud) -> Listener:
    name = f"alarms-{uuid4().hex[:8]}"
    sns, events = cloud.client("sns"), cloud.client("events")
    for rule in events.list_rules()["Rules"]:
        events.remove_targets(Rule=rule["Name"], Ids=["alarms"])
        events.delete_rule(Name=rule["Name"])
    queue = open_inbox(cloud, name)
    topic = sns.create_topic(Name=name)["TopicArn"]
    document = json.dumps({"Version": "2012-10-17", "Statement": [BY_RULES]})
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=document)
    found = Listener(cloud, topic, queue)
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=found.queue_arn)
    return found


def test_an_event_that_matches_reaches_the_topic_with_its_template_filled(listener: Listener) -> None:
    listener.rule(
        "app-failed",
        {"source": ["app.test"], "detail": {"state": ["FAILED", "ABORTED"]}},
        InputTransformer={
            "InputPathsMap": {
                "state": "$.detail.state",
                "why": "$.detail.why",
                "lost": "$.detail.lost",
                "at": "$.region",
            },
            "InputTemplate": '"<at>: ended <state>: <why> (refused: <lost>)"',
        },
    )

    listener.put({"state": "FAILED", "why": 'disk "sda" full'})
    listener.put({"state": "COMPLETED", "why": "never seen"})

    assert listener.messages() == ['"eu-west-1: ended FAILED: disk \\"sda\\" full (refused: )"']


def test_a_target_gets_the_event_or_a_part_of_it_or_a_constant(listener: Listener) -> None:
    pattern = {"detail-type": ["Something"]}
    listener.rule("app-whole", pattern)
    listener.rule("app-part", pattern, InputPath="$.detail")
    listener.rule("app-constant", pattern, Input='{"a": 1}')

    listener.put({"n": 7})

    messages = [json.loads(message) for message in listener.messages()]
    assert {"n": 7} in messages
    assert {"a": 1} in messages
    (whole,) = [message for message in messages if "source" in message]
    assert whole | {"id": "", "time": ""} == {
        "version": "0", "id": "", "detail-type": "Something", "source": "app.test", "account": ACCOUNT, "time": "",
        "region": "eu-west-1", "resources": [], "detail": {"n": 7},
    }  # fmt: skip


def test_a_queue_is_a_target_too(listener: Listener) -> None:
    listener.rule("app-queue", {"source": ["app.test"]}, arn=listener.queue_arn, InputPath="$.detail")

    listener.put({"n": 8})

    assert [json.loads(body) for body in listener.bodies()] == [{"n": 8}]


def test_a_topic_whose_policy_does_not_name_the_rule_is_not_told(listener: Listener) -> None:
    listener.rule("other-rule", {"source": ["app.test"]})

    answer = listener.put({"n": 9})

    assert answer["FailedEntryCount"] == 0
    assert listener.messages() == []


def test_a_disabled_rule_and_one_with_a_schedule_stay_quiet(listener: Listener) -> None:
    listener.rule("app-off", {"source": ["app.test"]})
    events = listener.cloud.client("events")
    events.disable_rule(Name="app-off")
    events.put_rule(Name="app-hourly", ScheduleExpression="rate(1 hour)")
    events.put_targets(Rule="app-hourly", Targets=[{"Id": "alarms", "Arn": listener.topic}])

    listener.put({"n": 10})

    assert listener.messages() == []


def test_an_event_in_the_name_of_aws_is_refused(listener: Listener) -> None:
    listener.rule("app-backup", {"source": ["aws.backup"]})

    answer = listener.put({"state": "FAILED"}, source="aws.backup")

    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"] == [
        {"ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": "Not authorized for the source."}
    ]
    assert listener.messages() == []


@pytest.mark.parametrize("template", ['{"a": <state>', '"<unheard-of>"'])
def test_a_template_that_cannot_be_filled_is_refused(listener: Listener, template: str) -> None:
    transformer = {"InputPathsMap": {"state": "$.detail.state"}, "InputTemplate": template}

    with pytest.raises(ClientError) as refusal:
        listener.rule("app-wrong", {"source": ["app.test"]}, InputTransformer=transformer)

    assert refusal.value.response["Error"]["Code"] == "ValidationException"
    assert listener.cloud.client("events").list_targets_by_rule(Rule="app-wrong")["Targets"] == []


def test_whoever_schedules_a_keys_deletion_rings_and_using_the_key_does_not(listener: Listener) -> None:
    kms = listener.cloud.client("kms")
    key, other = (kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(2))
    listener.rule(
        "app-kms-key-disabled",
        {
            "source": ["aws.kms"],
            "detail-type": ["AWS API Call via CloudTrail"],
            "detail": {
                "eventSource": ["kms.amazonaws.com"],
                "eventName": ["DisableKey", "PutKeyPolicy", "ScheduleKeyDeletion"],
                "requestParameters": {"keyId": [key]},
            },
        },
        InputTransformer={
            "InputPathsMap": {
                "what": "$.detail.eventName", "key": "$.detail.requestParameters.keyId", "error": "$.detail.errorCode",
            },
            "InputTemplate": '"<what> <key> (refused: <error>)"',
        },
    )  # fmt: skip

    kms.encrypt(KeyId=key, Plaintext=b"x")
    kms.schedule_key_deletion(KeyId=other)
    kms.schedule_key_deletion(KeyId=key)
    with pytest.raises(ClientError):
        kms.disable_key(KeyId=key)

    assert listener.messages() == [
        f'"ScheduleKeyDeletion {key} (refused: )"',
        f'"DisableKey {key} (refused: KMSInvalidStateException)"',
    ]


def test_tampering_with_a_vault_rings_even_when_it_is_refused(listener: Listener) -> None:
    backup = listener.cloud.client("backup")
    backup.create_backup_vault(BackupVaultName="main")
    listener.rule(
        "app-vault-tampering",
        {
            "source": ["aws.backup"],
            "detail-type": ["AWS API Call via CloudTrail"],
            "detail": {
                "eventSource": ["backup.amazonaws.com"],
                "eventName": [
                    "DeleteBackupVault", "DeleteBackupVaultAccessPolicy", "DeleteBackupVaultLockConfiguration",
                    "DeleteRecoveryPoint", "PutBackupVaultAccessPolicy", "PutBackupVaultLockConfiguration",
                ],
                "requestParameters": {"backupVaultName": ["main"]},
            },
        },
        InputPath="$.detail.eventName",
    )  # fmt: skip
    deny = {"Effect": "Deny", "Principal": "*", "Action": "backup:DeleteRecoveryPoint", "Resource": "*"}

    backup.put_backup_vault_access_policy(
        BackupVaultName="main", Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    )
    backup.put_backup_vault_lock_configuration(BackupVaultName="main", MinRetentionDays=7)
    with pytest.raises(ClientError):
        backup.delete_recovery_point(
            BackupVaultName="main", RecoveryPointArn=f"arn:aws:backup:eu-west-1:{ACCOUNT}:recovery-point:none"
        )
    backup.delete_backup_vault_lock_configuration(BackupVaultName="main")
    backup.delete_backup_vault(BackupVaultName="main")

    assert [json.loads(message) for message in listener.messages()] == [
        "PutBackupVaultAccessPolicy", "PutBackupVaultLockConfiguration", "DeleteRecoveryPoint",
        "DeleteBackupVaultLockConfiguration", "DeleteBackupVault",
    ]  # fmt: skip


def test_loosening_a_bucket_rings_under_the_name_that_cloudtrail_uses(listener: Listener) -> None:
    listener.rule(
        "app-bucket",
        {"source": ["aws.s3"], "detail": {"requestParameters": {"bucketName": ["guarded"]}}},
        InputPath="$.detail.eventName",
    )
    s3 = listener.cloud.client("s3")
    s3.create_bucket(Bucket="guarded", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="guarded", Key="a", Body=b"a")
    rule = {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 9}}

    s3.put_bucket_lifecycle_configuration(Bucket="guarded", LifecycleConfiguration={"Rules": [rule]})
    s3.delete_bucket_lifecycle(Bucket="guarded")

    names = [json.loads(message) for message in listener.messages()]
    assert names == ["CreateBucket", "PutBucketLifecycle", "DeleteBucketLifecycle"]
