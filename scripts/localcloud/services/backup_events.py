"""How DLM and AWS Backup tell what happened: events on the default bus, vault notifications, metrics."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from localcloud.cloud import ACCOUNT_ID, Cloud
from localcloud.services import events
from localcloud.services.backup import SERVICE, public, table
from localcloud.services.backup_access import service_may

LOG = logging.getLogger("localcloud.backup")
# Notification name → (event's detail type, its id member, kind of job as SNS attributes name it, metric).
_KINDS = {
    "BACKUP_JOB": ("Backup Job State Change", "BackupJobId", "BackupJobs"),
    "COPY_JOB": ("Copy Job State Change", "CopyJobId", "CopyJobs"),
    "RESTORE_JOB": ("Restore Job State Change", "RestoreJobId", "RestoreJobs"),
}


def announce(
    cloud: Cloud, region: str, *, source: str, detail_type: str, detail: dict[str, Any], resources: list[str]
) -> None:
    """Put an event of an AWS service on the region's default bus."""
    events.emit(cloud, region, source, detail_type, detail, resources)


def told(cloud: Cloud, region: str, event: str, job: dict[str, Any]) -> None:
    """Tell that a job started or ended: event, metric, and the notification its vault asks for.

    A job that ended badly is delivered as …_COMPLETED with another State, as AWS does.
    """
    kind = event.rsplit("_", 1)[0]
    detail_type, id_member, metric = _KINDS[kind]
    state = job.get("State") or job["Status"]
    detail = {_camel(key): _plain(value) for key, value in public(job).items()}
    announce(
        cloud,
        region,
        source="aws.backup",
        detail_type=detail_type,
        detail=detail,
        resources=[value for value in (job.get("RecoveryPointArn"), job.get("ResourceArn")) if value],
    )
    ending = {"COMPLETED": "Completed", "FAILED": "Failed", "ABORTED": "Aborted", "EXPIRED": "Expired"}
    _measure(cloud, region, f"NumberOf{metric}{ending.get(state, 'Created')}", job)
    vault_arn = job.get("BackupVaultArn") or job.get("SourceBackupVaultArn") or ""
    vault = table(cloud, region, "vaults").get(vault_arn.rsplit(":", 1)[-1])
    wanted = (vault or {}).get("_notifications") or {}
    if event in wanted.get("BackupVaultEvents", []):
        attributes = {"EventType": kind, "State": state, "AccountId": ACCOUNT_ID, "Id": job[id_member]}
        attributes["StartTime"] = _plain(job["CreationDate"])
        text = f"An AWS {kind.replace('_', ' ').lower()} is {state}. Resource ARN : {job.get('ResourceArn')}."
        text += f" {id_member} : {job[id_member]}. {job.get('StatusMessage') or ''}".rstrip()
        _publish(cloud, region, wanted["SNSTopicArn"], text, attributes)


def point_changed(cloud: Cloud, region: str, point: dict[str, Any]) -> None:
    """Tell that a recovery point was made, modified or deleted."""
    announce(
        cloud,
        region,
        source="aws.backup",
        detail_type="Recovery Point State Change",
        detail={_camel(key): _plain(value) for key, value in public(point).items()},
        resources=[point["RecoveryPointArn"]],
    )


def _publish(cloud: Cloud, region: str, topic_arn: str, text: str, attributes: dict[str, str]) -> None:
    sns = cloud.client("sns", region)
    try:
        policy = sns.get_topic_attributes(TopicArn=topic_arn)["Attributes"].get("Policy", '{"Statement": []}')
        values = {"aws:sourceaccount": ACCOUNT_ID}
        if not service_may(policy, "sns:Publish", SERVICE, values):
            # AWS drops it too, without a trace; here the log has one.
            LOG.warning("the policy of %s does not let %s publish", topic_arn, SERVICE)
            return
        sns.publish(
            TopicArn=topic_arn,
            Subject="Notification from AWS Backup",
            Message=text,
            MessageAttributes={k: {"DataType": "String", "StringValue": v} for k, v in attributes.items()},
        )
    except ClientError as error:
        LOG.warning("the topic %s was not told: %s", topic_arn, error)


def _measure(cloud: Cloud, region: str, name: str, job: dict[str, Any]) -> None:
    vault_arn = job.get("BackupVaultArn") or job.get("DestinationBackupVaultArn") or ""
    by_type = {"Name": "ResourceType", "Value": job["ResourceType"]}
    by_vault = {"Name": "BackupVaultName", "Value": vault_arn.rsplit(":", 1)[-1]}
    sets: list[list[dict[str, str]]] = [[], [by_type], [by_vault], [by_vault, by_type]]
    moment = cloud.now().replace(tzinfo=None)  # moto compares naive UTC times
    data = [
        {"MetricName": name, "Dimensions": dimensions, "Value": 1.0, "Unit": "Count", "Timestamp": moment}
        for dimensions in sets
    ]
    cloud.moto("cloudwatch", region).put_metric_data("AWS/Backup", data)


def _camel(name: str) -> str:
    return name[0].lower() + name[1:]


def _plain(value: Any) -> Any:
    """Return a value as the JSON of an event holds it."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, dict):
        return {_camel(key): _plain(entry) for key, entry in value.items()}
    return value
