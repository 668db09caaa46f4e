"""A site whose alarms, event rules and topics stand in a local cloud as modules/backup-alarms makes them, in both regions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifeboat.site import Site

from tests.conftest import RunningCloud
from tests.gitlab_sites import ACCOUNT, DR_REGION, RECOVERY, REGION
from tests.plain_sites import PlainSite, plain_site
from tests.terraform_attributes import alarm_attributes, rule_attributes

REGIONS = (REGION, DR_REGION)
# Every form of pattern that the module has: literals, anything-but, alternatives, lists of objects.
PATTERNS: dict[str, tuple[str, dict[str, Any], dict[str, str], str]] = {
    "backup-job-failed": (
        REGION,
        {
            "source": ["aws.backup", "lifeboat.test"],
            "detail-type": ["Backup Job State Change"],
            "detail": {"state": ["ABORTED", "FAILED"], "backupVaultName": ["v"]},
        },
        {"state": "$.detail.state", "job": "$.detail.backupJobId", "why": "$.detail.statusMessage"},
        "Backup job <job> ended <state>: <why>",
    ),
    "dump-job-failed": (
        REGION,
        {
            "source": ["aws.ecs", "lifeboat.test"],
            "detail-type": ["ECS Task State Change"],
            "detail": {
                "group": ["family:dump"],
                "lastStatus": ["STOPPED"],
                "$or": [
                    {"stopCode": [{"anything-but": ["EssentialContainerExited"]}]},
                    {"containers": {"exitCode": [{"anything-but": [0]}]}},
                ],
            },
        },
        {"task": "$.detail.taskArn", "status": "$.detail.containers[0].exitCode", "why": "$.detail.stoppedReason"},
        "Dump job <task> ended with status <status>: <why>",
    ),
    "kms-key-disabled": (
        DR_REGION,
        {
            "source": ["aws.kms", "lifeboat.test"],
            "detail-type": ["AWS API Call via CloudTrail"],
            "detail": {
                "eventSource": ["kms.amazonaws.com"],
                "eventName": ["DisableKey"],
                "requestParameters": {"keyId": ["k"]},
            },
        },
        {"who": "$.detail.userIdentity.arn", "what": "$.detail.eventName", "key": "$.detail.requestParameters.keyId"},
        "<who> called <what> on key <key>",
    ),
}
ALARMS = ("dumps-stale", "replication-failed-state")


@dataclass(frozen=True, kw_only=True)
class AlarmSite:
    """The site, and what its tests change of what rings."""

    plain: PlainSite

    @property
    def cloud(self) -> RunningCloud:
        return self.plain.cloud

    def site(self) -> Site:
        return self.plain.site()

    def name(self, slug: str) -> str:
        return f"{self.plain.application}-{slug}"

    def topic(self, region: str = REGION) -> str:
        return f"arn:aws:sns:{region}:{ACCOUNT}:{self.name('alarms')}"

    @property
    def events_of_databases(self) -> str:
        return self.name("database-event")

    @property
    def vault(self) -> str:
        return self.name("backups")

    def policy(self, region: str, *services: str) -> None:
        """Let these services, and no other, publish to the topic of a region."""
        statements = [
            {
                "Effect": "Allow",
                "Principal": {"Service": list(services)},
                "Action": "sns:Publish",
                "Resource": self.topic(region),
                "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
            },
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sns:Publish",
                "Resource": self.topic(region),
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ]
        self.cloud.client("sns", region).set_topic_attributes(
            TopicArn=self.topic(region),
            AttributeName="Policy",
            AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": statements}),
        )

    def alarm(self, slug: str, *, without: Iterable[str] = (), **changed: Any) -> None:
        """Make an alarm, or change it; `without` what it usually has."""
        asked = {
            "AlarmName": self.name(slug), "AlarmDescription": f"It is old. What to do: docs/runbooks/alarm-{slug}.md",
            "Namespace": self.plain.application, "MetricName": "BackupAgeSeconds", "Statistic": "Minimum",
            "Dimensions": [{"Name": "Kind", "Value": slug}], "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 86400, "Period": 3600, "EvaluationPeriods": 3, "TreatMissingData": "ignore",
            "AlarmActions": [self.topic()], "OKActions": [self.topic()], **changed,
        }  # fmt: skip
        self.cloud.client("cloudwatch").put_metric_alarm(**{key: asked[key] for key in asked if key not in without})

    def rule(self, slug: str, pattern: Mapping[str, Any] | None = None, **target: Any) -> None:
        """Make a rule, or change its pattern or its target."""
        region, usual, paths, message = PATTERNS[slug]
        events = self.cloud.client("events", region)
        about = f"What to do: docs/runbooks/alarm-{slug}.md"
        events.put_rule(Name=self.name(slug), EventPattern=json.dumps(pattern or usual), Description=about)
        transformer = {"InputPathsMap": {**paths, "region": "$.region"}, "InputTemplate": f'"<region>: {message}"'}
        shown = target or {"InputTransformer": transformer}
        events.put_targets(Rule=self.name(slug), Targets=[{"Id": "alarms", "Arn": self.topic(region), **shown}])

    def subscribe(self, *, to: str = "on-call@lifeboat.test", **attributes: str) -> None:
        """Let somebody listen in both regions."""
        for region in REGIONS:
            self.cloud.client("sns", region).subscribe(
                TopicArn=self.topic(region), Protocol="email", Endpoint=to, Attributes=attributes
            )

    def state_of(self, slug: str) -> str:
        found = self.cloud.client("cloudwatch").describe_alarms(AlarmNames=[self.name(slug)])["MetricAlarms"]
        return str(found[0]["StateValue"])

    def history(self, slug: str) -> str:
        found = self.cloud.client("cloudwatch").describe_alarm_history(AlarmName=self.name(slug))
        return str(found["AlarmHistoryItems"])

    def mail(self) -> str:
        return (self.cloud.directory / "live/mail/on-call@lifeboat.test").read_text()

    def queues(self) -> list[str]:
        found = [self.cloud.client("sqs", region).list_queues().get("QueueUrls", []) for region in REGIONS]
        return [url for urls in found for url in urls if self.plain.application in url]

    def listeners(self) -> list[str]:
        """Return what listens to the topics, by protocol."""
        return [
            one["Protocol"]
            for region in REGIONS
            for one in self.cloud.client("sns", region).list_subscriptions_by_topic(TopicArn=self.topic(region))[
                "Subscriptions"
            ]
        ]

    def journal(self) -> Iterator[dict[str, Any]]:
        """Yield the lines that tests of alarms wrote to the state bucket, in their order."""
        s3 = self.cloud.client("s3")
        found = s3.list_objects_v2(Bucket=self.plain.bucket, Prefix="runs/")["Contents"]
        for entry in sorted(found, key=lambda entry: entry["Key"]):
            if "-alarms-" in entry["Key"] and entry["Key"].endswith(".json"):
                yield json.load(s3.get_object(Bucket=self.plain.bucket, Key=entry["Key"])["Body"])

    def write_state(self, **patterns: Mapping[str, Any]) -> None:
        """Write down in Terraform's state what was built; `patterns` are those of rules that were built with others."""
        alarms = {
            slug: {
                "alarm_name": self.name(slug),
                "arn": self._arn("cloudwatch", slug),
                **alarm_attributes(
                    namespace=self.plain.application,
                    dimensions={"Kind": slug},
                    threshold=86400,
                    treat_missing_data="ignore",
                ),
            }
            for slug in ALARMS
        }
        rules = {
            slug: {
                "name": self.name(slug),
                "arn": f"arn:aws:events:{region}:{ACCOUNT}:rule/{self.name(slug)}",
                **rule_attributes(patterns.get(slug, pattern)),
            }
            for slug, (region, pattern, _, _) in PATTERNS.items()
        }
        topics = {region: {"arn": self.topic(region)} for region in REGIONS}
        vault = f"arn:aws:backup:{REGION}:{ACCOUNT}:backup-vault:{self.vault}"
        built = {
            "aws_cloudwatch_metric_alarm": alarms,
            "aws_cloudwatch_event_rule": rules,
            "aws_sns_topic": topics,
            "aws_db_event_subscription": {
                "d": {
                    "name": self.events_of_databases,
                    "arn": self._arn("rds", self.events_of_databases),
                    "source_type": "db-instance",
                    "event_categories": ["backup"],
                }
            },
            "aws_backup_vault_notifications": {
                "p": {
                    "backup_vault_name": self.vault,
                    "backup_vault_arn": vault,
                    "backup_vault_events": ["COPY_JOB_FAILED"],
                }
            },
        }
        state = {
            "version": 4,
            "serial": 2,
            "lineage": "l",
            "outputs": {"recovery": {"value": RECOVERY, "type": "dynamic"}},
            "resources": [_resource(kind, instances) for kind, instances in built.items()],
        }
        self.plain.put("stack.tfstate", json.dumps(state).encode())

    def _arn(self, service: str, slug: str) -> str:
        return f"arn:aws:{service}:{REGION}:{ACCOUNT}:alarm:{self.name(slug)}"


def _resource(kind: str, instances: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "module": "module.backup_alarms",
        "mode": "managed",
        "type": kind,
        "name": "this",
        "provider": 'provider["registry.terraform.io/hashicorp/aws"]',
        "instances": [
            {"index_key": key, "schema_version": 0, "attributes": {"id": key, **attributes}, "sensitive_attributes": []}
            for key, attributes in instances.items()
        ],
    }


def alarm_site(cloud: RunningCloud, folder: Path) -> AlarmSite:
    """Make the site, and everything of it that rings, well."""
    made = AlarmSite(plain=plain_site(cloud, folder))
    (folder / "terraform").mkdir()  # by which a checkout is found
    for region in REGIONS:
        cloud.client("sns", region).create_topic(Name=made.name("alarms"))
        made.policy(
            region,
            "cloudwatch.amazonaws.com", "events.amazonaws.com", "events.rds.amazonaws.com", "backup.amazonaws.com",
        )  # fmt: skip
    for slug in ALARMS:
        made.alarm(slug)
    for slug in PATTERNS:
        made.rule(slug)
    cloud.client("rds").create_event_subscription(
        SubscriptionName=made.events_of_databases,
        SnsTopicArn=made.topic(),
        SourceType="db-instance",
        EventCategories=["backup"],
    )
    backup = cloud.client("backup")
    backup.create_backup_vault(BackupVaultName=made.vault)
    backup.put_backup_vault_notifications(
        BackupVaultName=made.vault, SNSTopicArn=made.topic(), BackupVaultEvents=["COPY_JOB_FAILED"]
    )
    made.subscribe()
    made.write_state()
    return made
