"""Cases of the rule on events that are told."""

from __future__ import annotations

from typing import Any

from tests.policies.cases.case import absent, bad, clean, undecided
from tests.policies.plans import PlanFile, later

_OFF = "the rule is disabled: what it waits for is told to nobody"


_TOPIC = later("aws_sns_topic.alarms.arn")


def _told(to: Any = _TOPIC, **over: Any) -> PlanFile:
    return (
        PlanFile()
        .add("aws_sns_topic.alarms", {"name": "alarms"})
        .add("aws_cloudwatch_event_rule.jobs", {"name": "jobs", "event_pattern": "{}", **over})
        .add("aws_cloudwatch_event_target.jobs", {"rule": later("aws_cloudwatch_event_rule.jobs.name"), "arn": to})
    )


CASES = (
    clean("LB_ALARM_5", "enabled", _told()),
    clean("LB_ALARM_5", "enabled, and said so", _told(state="ENABLED", is_enabled=True)),
    clean("LB_ALARM_5", "enabled, to a topic that stands", _told("arn:aws:sns:eu-west-1:123456789012:alarms")),
    clean("LB_ALARM_5", "of which the pattern is known later", _told(event_pattern=later("aws_kms_key.k.arn"))),
    bad("LB_ALARM_5", "disabled", _told(state="DISABLED"), _OFF),
    bad("LB_ALARM_5", "disabled, as it was written before", _told(is_enabled=False), _OFF),
    bad("LB_ALARM_5", "disabled, of a topic that stands", _told("arn:aws:sns:eu-west-1:1:t", state="DISABLED"), _OFF),
    absent("LB_ALARM_5", "a function", _told("arn:aws:lambda:eu-west-1:123456789012:function:f", state="DISABLED")),
    absent(
        "LB_ALARM_5", "on the clock", _told(event_pattern=None, schedule_expression="rate(1 day)", state="DISABLED")
    ),
    undecided(
        "LB_ALARM_5",
        "known later",
        _told(state=later("aws_ssm_parameter.state.value")),
        "aws_cloudwatch_event_rule.jobs: state is known only after the apply",
    ),
)
