"""Ways in which copies are silently no good any more: what happens, which check must be red then, and with which reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import psycopg

from tests.status.scene import Place


class Where(StrEnum):
    """Where an accident can happen."""

    ANYWHERE = "anywhere"
    WITHOUT_LOCK = "without object lock"  # S3 keeps versioning on for a bucket that has it
    ON_A_STACK = "on an applied stack"  # whose database has its password in a secret of RDS's


@dataclass(frozen=True, kw_only=True)
class Breakage:
    """One accident. `colour` is what the check must come out as, and `words` must be in what it says.

    `guarded`: the policies of an applied stack let nobody do that but the break-glass role.
    """

    what: str
    happen: Callable[[Place], object]
    check: str
    words: str
    colour: str = "red"
    where: Where = Where.ANYWHERE
    guarded: bool = False


def _schedule(**changed: object) -> Callable[[Place], object]:
    def change(place: Place) -> None:
        scheduler = place.client("scheduler")
        found = scheduler.get_schedule(Name=place.names.schedule)
        asked = ("Name", "ScheduleExpression", "ScheduleExpressionTimezone", "State", "FlexibleTimeWindow", "Target")
        scheduler.update_schedule(**{**{key: found[key] for key in asked if key in found}, **changed})

    return change


def _password(place: Place) -> None:
    found = place.client("rds").describe_db_instances(DBInstanceIdentifier=place.names.database)["DBInstances"][0]
    arn = found["MasterUserSecret"]["SecretArn"]
    secret = json.loads(place.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])
    with psycopg.connect(
        host=found["Endpoint"]["Address"],
        port=found["Endpoint"]["Port"],
        dbname=found["DBName"],
        user=secret["username"],
        password=secret["password"],
        autocommit=True,
    ) as connection:
        connection.execute("ALTER ROLE CURRENT_USER PASSWORD 'set-by-hand'")


def _selections(place: Place) -> None:
    backup = place.client("backup")
    for one in backup.list_backup_selections(BackupPlanId=place.names.plan)["BackupSelectionsList"]:
        found = backup.get_backup_selection(BackupPlanId=place.names.plan, SelectionId=one["SelectionId"])
        if any(place.names.database in arn for arn in found["BackupSelection"].get("Resources", [])):
            backup.delete_backup_selection(BackupPlanId=place.names.plan, SelectionId=one["SelectionId"])


def _alarm(**changed: object) -> Callable[[Place], object]:
    def change(place: Place) -> None:
        cloudwatch = place.client("cloudwatch")
        found = cloudwatch.describe_alarms(AlarmNames=[place.names.alarm])["MetricAlarms"][0]
        kept = (
            "AlarmName",
            "AlarmDescription",
            "Namespace",
            "MetricName",
            "Dimensions",
            "Statistic",
            "ComparisonOperator",
            "Threshold",
            "Period",
            "EvaluationPeriods",
            "DatapointsToAlarm",
            "TreatMissingData",
            "AlarmActions",
        )
        cloudwatch.put_metric_alarm(**{**{key: found[key] for key in kept if key in found}, **changed})

    return change


def _pattern(place: Place) -> None:
    place.client("events").put_rule(Name=place.names.rule, EventPattern=json.dumps({"source": ["aws.nothing"]}))


def _targets(place: Place) -> None:
    events = place.client("events")
    targets = events.list_targets_by_rule(Rule=place.names.rule)["Targets"]
    events.remove_targets(Rule=place.names.rule, Ids=[one["Id"] for one in targets])


def _listeners(place: Place) -> None:
    sns = place.client("sns")
    for one in sns.list_subscriptions_by_topic(TopicArn=place.names.topic)["Subscriptions"]:
        sns.unsubscribe(SubscriptionArn=one["SubscriptionArn"])


def _filtered(place: Place) -> None:
    sns = place.client("sns")
    for one in sns.list_subscriptions_by_topic(TopicArn=place.names.topic)["Subscriptions"]:
        sns.set_subscription_attributes(
            SubscriptionArn=one["SubscriptionArn"],
            AttributeName="FilterPolicy",
            AttributeValue=json.dumps({"nothing": ["has-this"]}),
        )


def _untag(place: Place) -> None:
    place.client("ec2").delete_tags(Resources=[place.names.instance], Tags=[{"Key": "lifeboat:protect"}])


def _replication(place: Place) -> None:
    s3 = place.client("s3")
    found = s3.get_bucket_replication(Bucket=place.names.dumps)["ReplicationConfiguration"]
    rules = [{**rule, "Status": "Disabled"} for rule in found["Rules"]]
    s3.put_bucket_replication(Bucket=place.names.dumps, ReplicationConfiguration={**found, "Rules": rules})


def _open_run(place: Place) -> None:
    run = "20260301T030000Z-recover-1a2b3c"
    for number, kind in enumerate(("begun", "intent"), start=1):
        line = {"seq": number, "at": "2026-03-01T03:00:00+00:00", "kind": kind, "step": "image", "text": "", "data": {}}
        place.client("s3").put_object(
            Bucket=place.names.state, Key=f"runs/{run}/{number:06}.json", Body=json.dumps(line).encode()
        )


def _drifted(place: Place) -> None:
    record = {"at": "2026-11-29T12:00:00+00:00", "by": "plan", "changes": 2, "summary": "2 to change"}
    place.client("s3").put_object(Bucket=place.names.state, Key="runs/last-plan.json", Body=json.dumps(record).encode())


def _denied(service: str, operation: str) -> Callable[[Place], object]:
    rule = {"code": "AccessDenied", "status": 403, "times": 99, "first": 1}
    return lambda place: place.faults("faults", add={"service": service, "operation": operation, **rule})


def _modified(**asked: object) -> Callable[[Place], object]:
    return lambda place: place.client("rds").modify_db_instance(
        DBInstanceIdentifier=place.names.database, ApplyImmediately=True, **asked
    )


BREAKAGES = (
    Breakage(
        what="job stopped",
        happen=_schedule(State="DISABLED"),
        check="dumps.schedule",
        words="is DISABLED: the job no longer runs",
    ),
    Breakage(
        what="job runs once in a year",
        happen=_schedule(ScheduleExpression="rate(365 days)"),
        check="dumps.schedule",
        words="is not as it was built: schedule_expression is rate(365 days)",
    ),
    Breakage(
        what="job runs by another clock",
        happen=_schedule(ScheduleExpressionTimezone="Asia/Tokyo"),
        check="dumps.schedule",
        words="is not as it was built: schedule_expression_timezone is Asia/Tokyo",
    ),
    Breakage(
        what="job runs some time within a day",
        happen=_schedule(FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 1440}),
        check="dumps.schedule",
        words="is not as it was built: flexible_time_window is",
    ),
    Breakage(
        what="job's schedule has ended",
        happen=_schedule(EndDate=datetime(2099, 1, 1, tzinfo=UTC)),
        check="dumps.schedule",
        words="is not as it was built: end_date is 2099-01-01T00:00:00Z",
    ),
    Breakage(
        what="job's schedule deleted",
        happen=lambda place: place.client("scheduler").delete_schedule(Name=place.names.schedule),
        check="dumps.schedule",
        words="there is no schedule",
    ),
    Breakage(
        what="retention changed to 1",
        happen=_modified(BackupRetentionPeriod=1),
        check="database.retention",
        words="are kept 1 day",
    ),
    Breakage(
        what="deletion protection off",
        happen=_modified(DeletionProtection=False),
        check="database.protected",
        words="nothing keeps",
    ),
    Breakage(
        what="key disabled",
        happen=lambda place: place.client("kms").disable_key(KeyId=place.names.key),
        check="keys.enabled",
        words="the key is Disabled",
    ),
    Breakage(
        what="key to be deleted",
        happen=lambda place: place.client("kms").schedule_key_deletion(KeyId=place.names.key, PendingWindowInDays=7),
        check="keys.enabled",
        words="the key is PendingDeletion",
    ),
    Breakage(
        what="selection matches nothing",
        happen=_selections,
        check="vault.selection",
        words="no selection takes the serving database",
    ),
    Breakage(what="tag removed from the instance", happen=_untag, check="lifecycle.selects", words="does not have"),
    Breakage(
        what="DLM policy disabled",
        happen=lambda place: place.client("dlm").update_lifecycle_policy(PolicyId=place.names.policy, State="DISABLED"),
        check="lifecycle.enabled",
        words="is DISABLED",
    ),
    Breakage(
        what="vault lock removed",
        happen=lambda place: place.client("backup").delete_backup_vault_lock_configuration(
            BackupVaultName=place.names.vault
        ),
        check="vault.lock",
        words="is not locked",
        guarded=True,
    ),
    Breakage(
        what="replication rule off",
        happen=_replication,
        check="copies.replication",
        words="no rule that is enabled",
        guarded=True,
    ),
    Breakage(
        what="versioning of dumps suspended",
        happen=lambda place: place.client("s3").put_bucket_versioning(
            Bucket=place.names.copies,
            VersioningConfiguration={"Status": "Suspended"},
        ),
        check="dumps.versioning",
        words="is suspended",
        where=Where.WITHOUT_LOCK,
    ),
    Breakage(
        what="lock table without point-in-time recovery",
        happen=lambda place: place.client("dynamodb").update_continuous_backups(
            TableName=place.names.table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
        ),
        check="state.table-recovery",
        words="is off",
    ),
    Breakage(
        what="alarm without action", happen=_alarm(AlarmActions=[]), check="alarms.actions", words="it has none at all"
    ),
    Breakage(
        what="alarm disabled",
        happen=lambda place: place.client("cloudwatch").disable_alarm_actions(AlarmNames=[place.names.alarm]),
        check="alarms.actions",
        words="are switched off",
    ),
    Breakage(
        what="alarm deleted",
        happen=lambda place: place.client("cloudwatch").delete_alarms(AlarmNames=[place.names.alarm]),
        check="alarms.present",
        words="there is no alarm",
    ),
    Breakage(
        what="alarm in ALARM",
        happen=lambda place: place.client("cloudwatch").set_alarm_state(
            AlarmName=place.names.alarm, StateValue="ALARM", StateReason="of a test"
        ),
        check="alarms.quiet",
        words="is in ALARM",
    ),
    Breakage(
        what="subscription to the events of RDS disabled",
        happen=lambda place: place.client("rds").modify_event_subscription(
            SubscriptionName=place.names.events, Enabled=False
        ),
        check="alarms.notifiers",
        words="it is disabled",
    ),
    Breakage(
        what="vault that tells nobody any more",
        happen=lambda place: place.client("backup").delete_backup_vault_notifications(
            BackupVaultName=place.names.vault
        ),
        check="alarms.notifiers",
        words="there is none any more",
    ),
    Breakage(
        what="rule disabled",
        happen=lambda place: place.client("events").disable_rule(Name=place.names.rule),
        check="alarms.rules",
        words="is disabled",
    ),
    *(
        Breakage(
            what=f"alarm with another {setting}",
            happen=_alarm(**{asked: value}),
            check="alarms.present",
            words=f"is not as it was built: {setting} is {value}",
        )
        for asked, setting, value in (
            ("Threshold", "threshold", 1_000_000_000),
            ("ComparisonOperator", "comparison_operator", "LessThanThreshold"),
            ("EvaluationPeriods", "evaluation_periods", 24),
            ("TreatMissingData", "treat_missing_data", "ignore"),
            ("Statistic", "statistic", "SampleCount"),
            ("MetricName", "metric_name", "Nothing"),
        )
    ),
    Breakage(
        what="alarm that watches something else",
        happen=_alarm(Dimensions=[{"Name": "Kind", "Value": "nothing"}]),
        check="alarms.present",
        words="dimensions.Kind is nothing",
    ),
    Breakage(
        what="rule that takes other events",
        happen=_pattern,
        check="alarms.rules",
        words='event_pattern.source is ["aws.nothing"]',
    ),
    Breakage(what="rule without target", happen=_targets, check="alarms.rules", words="has no target"),
    Breakage(what="topic that nobody hears", happen=_listeners, check="alarms.heard", words="nobody listens"),
    Breakage(
        what="filter that nothing passes",
        happen=_filtered,
        check="alarms.heard",
        words="the filter of every subscriber",
    ),
    Breakage(
        what="state overwritten with another digest",
        happen=lambda place: place.client("s3").put_object(
            Bucket=place.names.state, Key="stack.tfstate", Body=place.more["state"] + b"\n"
        ),
        check="state.sound",
        words="digest",
    ),
    Breakage(what="open run", happen=_open_run, check="runs.open", words="1 recovery is not finished"),
    Breakage(what="drift", happen=_drifted, check="runs.drift", words="found 2 to change"),
    Breakage(
        what="password set by hand",
        happen=_password,
        check="database.secret",
        words="the secret of the application does not open its database",
        where=Where.ON_A_STACK,
    ),
    Breakage(
        what="windows denied",
        happen=_denied("rds", "DescribeDBInstanceAutomatedBackups"),
        check="database.window",
        words="AccessDenied",
        colour="unknown",
    ),
    Breakage(
        what="alarms denied",
        happen=_denied("cloudwatch", "DescribeAlarms"),
        check="alarms.actions",
        words="AccessDenied",
        colour="unknown",
    ),
    Breakage(
        what="key denied",
        happen=_denied("kms", "DescribeKey"),
        check="keys.enabled",
        words="AccessDenied",
        colour="unknown",
    ),
    Breakage(
        what="dumps denied",
        happen=_denied("s3", "ListObjectVersions"),
        check="dumps.age",
        words="AccessDenied",
        colour="unknown",
    ),
)
