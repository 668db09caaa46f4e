"""Cases of the rules on alarms."""

from __future__ import annotations

from typing import Any

from tests.policies.cases.case import absent, bad, clean, undecided
from tests.policies.plans import COMPUTED, PlanFile, later

_TOPIC = "arn:aws:sns:eu-west-1:123456789012:alarms"
_SILENT = "the alarm has no alarm_actions: it turns red and tells nobody"


def alarm(name: str = "database-stale", kind: str = "database", **over: Any) -> dict[str, Any]:
    """Return a freshness alarm."""
    return {
        "alarm_name": name,
        "namespace": "Lifeboat",
        "metric_name": "BackupAgeSeconds",
        "dimensions": {"Kind": kind, "Name": "app"},
        "comparison_operator": "GreaterThanThreshold",
        "threshold": 86400,
        "period": 3600,
        "evaluation_periods": 3,
        "treat_missing_data": "breaching",
        "actions_enabled": True,
        "alarm_actions": [_TOPIC],
        **over,
    }


def _one(**over: Any) -> PlanFile:
    return PlanFile().add("aws_cloudwatch_metric_alarm.this", alarm(**over))


def _rpo(hours: float, **over: Any) -> PlanFile:
    found = _one(**over)
    found.variables["objectives"] = {"rpo_hours": hours}
    return found


def _watched(*kinds: str) -> PlanFile:
    """Return a plan with each source of copies, and alarms of some kinds."""
    found = (
        PlanFile()
        .add("aws_db_instance.this", {"identifier": "app"})
        .add("aws_backup_plan.this", {"name": "p"})
        .add("aws_s3_bucket.dumps", {"bucket": "app-dumps"})
        .add("aws_dlm_lifecycle_policy.daily", {"policy_details": [{"policy_type": "EBS_SNAPSHOT_MANAGEMENT"}]})
    )
    for kind in kinds:
        found.add("aws_cloudwatch_metric_alarm.this", alarm(f"{kind}-stale", kind), key=kind)
    return found


def _composite(rule: Any) -> PlanFile:
    return _one(alarm_actions=[]).add(
        "aws_cloudwatch_composite_alarm.all", {"alarm_name": "all", "alarm_rule": rule, "alarm_actions": [_TOPIC]}
    )


def _topic(*, subscribed: bool) -> PlanFile:
    found = _one(alarm_actions=later("aws_sns_topic.alarms.arn")).add("aws_sns_topic.alarms", {"name": "alarms"})
    if subscribed:
        found.add("aws_sns_topic_subscription.mail", {"topic_arn": later("aws_sns_topic.alarms.arn")})
    return found


def _unwatched(what: str) -> str:
    return f"no alarm rings when the copies of {what} grow old"


_ANOTHER = "the freshness alarm is one of aws_db_instance.a, and none is of this"


def _databases(*names: str) -> PlanFile:
    """Return two databases, and alarms whose dimension has these names."""
    found = PlanFile()
    for name in ("a", "b"):
        found.add(f"aws_db_instance.{name}", {"identifier": name})
    for name in names:
        dimensions = {"Kind": "database", "Name": name}
        found.add(f"aws_cloudwatch_metric_alarm.{name}", alarm(name, namespace="Acme", dimensions=dimensions))
    return found


def _of_database(name: str = "database-stale", **over: Any) -> PlanFile:
    """Return a database, and an alarm that says only by its name and metric what it is about."""
    return (
        PlanFile()
        .add("aws_db_instance.this", {"identifier": "app"})
        .add("aws_cloudwatch_metric_alarm.this", alarm(name, **{"dimensions": {"Name": "x"}, **over}))
    )


_ALL = ("database", "vault", "dumps", "instance-volume")
CASES = (
    clean("LB_ALARM_1", "a topic by its ARN", _one()),
    clean("LB_ALARM_1", "a topic of the same plan", _topic(subscribed=True)),
    clean("LB_ALARM_1", "a list with one that is known later", _one(alarm_actions=[later("aws_sns_topic.alarms.arn")])),
    bad("LB_ALARM_1", "none", _one(alarm_actions=[]), _SILENT),
    bad("LB_ALARM_1", "not said", _one(alarm_actions=None), _SILENT),
    bad("LB_ALARM_1", "not said, of an argument that the provider fills in", _one(alarm_actions=COMPUTED), _SILENT),
    bad("LB_ALARM_1", "switched off", _one(actions_enabled=False), "actions_enabled is false"),
    undecided(
        "LB_ALARM_1",
        "actions that a local hides",
        _one(alarm_actions=later("local.topics")),
        "aws_cloudwatch_metric_alarm.this: its alarm_actions are known only after the apply",
    ),
    clean("LB_ALARM_1", "a part of a composite alarm", _composite('ALARM("database-stale") OR ALARM(other)')),
    clean("LB_ALARM_1", "a part by reference", _composite(later("aws_cloudwatch_metric_alarm.this.alarm_name"))),
    bad("LB_ALARM_1", "a composite alarm of others", _composite('ALARM("database-stale-2")'), _SILENT),
    absent("LB_ALARM_1", "no alarm", PlanFile().add("aws_vpc.this")),
    clean("LB_ALARM_2", "the RPO", _one()),
    bad("LB_ALARM_2", "an hour over it", _one(threshold=90000), "it rings when the newest copy is older than 25 hours"),
    clean("LB_ALARM_2", "in hours", _one(metric_name="BackupAgeHours", threshold=24)),
    bad(
        "LB_ALARM_2",
        "in hours, one over it",
        _one(metric_name="BackupAgeHours", threshold=25),
        "it rings when the newest copy is older than 25 hours",
    ),
    clean("LB_ALARM_2", "a shorter RPO", _rpo(6, threshold=21600)),
    bad(
        "LB_ALARM_2",
        "over a shorter RPO",
        _rpo(6, threshold=25200),
        "it rings when the newest copy is older than 7 hours",
    ),
    clean("LB_ALARM_2", "in seconds", _one(metric_name="DumpAgeSeconds", threshold=86400)),
    bad(
        "LB_ALARM_2",
        "a second over it",
        _one(metric_name="DumpAgeSeconds", threshold=86401),
        "it rings when the newest copy is older than 86401 seconds",
    ),
    clean("LB_ALARM_2", "an image, which is made monthly", _one(kind="image", threshold=2764800)),
    clean("LB_ALARM_2", "a drill, which is rarer still", _one(metric_name="DrillAgeSeconds", threshold=7948800)),
    bad(
        "LB_ALARM_2",
        "a drill that nobody measures",
        _one(metric_name="DrillAgeSeconds", threshold=7948800, treat_missing_data="notBreaching"),
        "treat_missing_data is notBreaching",
    ),
    bad(
        "LB_ALARM_2",
        "quiet without data",
        _one(treat_missing_data="notBreaching"),
        "treat_missing_data is notBreaching",
    ),
    bad("LB_ALARM_2", "AWS's own", _one(treat_missing_data=None), "treat_missing_data is missing"),
    bad(
        "LB_ALARM_2",
        "the wrong way round",
        _one(comparison_operator="LessThanThreshold"),
        "it rings when LessThanThreshold",
    ),
    absent("LB_ALARM_2", "another metric", _one(metric_name="CPUUtilization")),
    clean("LB_ALARM_3", "each", _watched(*_ALL)),
    bad(
        "LB_ALARM_3",
        "none",
        _watched(),
        *(_unwatched(f"the {what}") for what in ("database", "volumes", "vaults", "dumps")),
    ),
    bad("LB_ALARM_3", "not the dumps", _watched("database", "vault", "instance-volume"), _unwatched("the dumps")),
    bad("LB_ALARM_3", "not the volumes", _watched("database", "vault", "dumps"), _unwatched("the volumes")),
    bad(
        "LB_ALARM_3",
        "an alarm on another metric",
        PlanFile()
        .add("aws_db_instance.this", {"identifier": "app"})
        .add("aws_cloudwatch_metric_alarm.this", alarm(metric_name="CPUUtilization")),
        _unwatched("the database"),
    ),
    bad(
        "LB_ALARM_3",
        "an alarm on the age of a proof, which is not that of a copy",
        PlanFile()
        .add("aws_db_instance.this", {"identifier": "app"})
        .add("aws_cloudwatch_metric_alarm.this", alarm(metric_name="RestoreProofAgeSeconds")),
        _unwatched("the database"),
    ),
    absent("LB_ALARM_3", "no copies", PlanFile().add("aws_vpc.this")),
    clean("LB_ALARM_4", "seven days of hours", _one(period=3600, evaluation_periods=168)),
    bad("LB_ALARM_4", "an hour more", _one(period=3600, evaluation_periods=169), "it looks at 169 periods of 1 hour"),
    clean("LB_ALARM_4", "a day of minutes", _one(period=60, evaluation_periods=1440)),
    bad(
        "LB_ALARM_4", "a minute more", _one(period=60, evaluation_periods=1441), "it looks at 1441 periods of 1 minute"
    ),
    clean("LB_ALARM_4", "a topic with a subscriber", _topic(subscribed=True)),
    bad(
        "LB_ALARM_4",
        "a topic without one",
        _topic(subscribed=False),
        "alarms go to this topic, and nobody subscribes to it",
    ),
    absent("LB_ALARM_4", "a topic of no alarm", PlanFile().add("aws_sns_topic.orders", {"name": "orders"})),
    bad("LB_ALARM_1", "a part that a composite alarm asks to be well", _composite('OK("database-stale")'), _SILENT),
    bad("LB_ALARM_1", "a part whose silence it asks for", _composite("INSUFFICIENT_DATA(database-stale)"), _SILENT),
    clean("LB_ALARM_1", "a part that it asks for after another", _composite("OK(x) AND ALARM(database-stale)")),
    clean("LB_ALARM_2", "half the RPO of waiting", _one(evaluation_periods=12)),
    bad(
        "LB_ALARM_2",
        "an hour more of it",
        _one(evaluation_periods=13),
        "it rings only after the copy was too old for 13 hours",
    ),
    clean("LB_ALARM_2", "as many bad hours as need be", _one(evaluation_periods=24, datapoints_to_alarm=3)),
    bad(
        "LB_ALARM_2",
        "a week of waiting",
        _one(evaluation_periods=168),
        "it rings only after the copy was too old for 7 days",
    ),
    bad("LB_ALARM_3", "one of two databases", _databases("a"), _ANOTHER),
    clean("LB_ALARM_3", "each of two databases", _databases("a", "b")),
    clean("LB_ALARM_3", "all databases of a stack", _databases("stack")),
    bad("LB_ALARM_3", "the age of dumps", _of_database(metric_name="DumpAgeHours"), _unwatched("the database")),
    bad("LB_ALARM_3", "a dump of it by its name", _of_database("dump-of-db-too-old"), _unwatched("the database")),
    clean("LB_ALARM_3", "a database by its name", _of_database("db-snapshot-too-old")),
    bad("LB_ALARM_3", "an alarm that is switched off", _of_database(actions_enabled=False), _unwatched("the database")),
    clean(
        "LB_ALARM_3",
        "one that is switched off and part of another",
        _of_database(actions_enabled=False).add(
            "aws_cloudwatch_composite_alarm.all", {"alarm_name": "all", "alarm_rule": "ALARM(database-stale)"}
        ),
    ),
    absent(
        "LB_ALARM_3",
        "a cluster that is the copy of another region's",
        PlanFile().add("aws_rds_cluster.this", {"cluster_identifier": "app", "replication_source_identifier": "arn"}),
    ),
)
