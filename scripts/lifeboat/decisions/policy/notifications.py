"""The rule on events that are told: a rule of EventBridge that is switched off tells nobody of a failed job."""

from __future__ import annotations

from collections.abc import Iterable

from lifeboat.decisions.policy import controls
from lifeboat.decisions.policy.joins import attached
from lifeboat.decisions.policy.planned import Resource
from lifeboat.decisions.policy.rule import Case, Fault, Rule, RuleId, Severity

_TOPIC = "aws_sns_topic"


def _tells(case: Case) -> bool:
    """Return whether a rule waits for events, and one of its targets is a topic."""
    if not case.resource.body.written("event_pattern"):
        return False
    targets = attached(case.plan, case.resource, "aws_cloudwatch_event_target", "rule")
    return any(_is_topic(case, target) for target in targets)


def _is_topic(case: Case, target: Resource) -> bool:
    arn = target.body.known("arn")
    return ":sns:" in arn if arn is not None else bool(case.plan.come_from(target.body, "arn", _TOPIC))


def _enabled(case: Case) -> Iterable[Fault]:
    body = case.resource.body
    if body.text("state") == "DISABLED" or body.flag("is_enabled") is False:
        yield Fault(found="the rule is disabled: what it waits for is told to nobody", wanted='state = "ENABLED"')


RULES = (
    Rule(
        id=RuleId("LB_ALARM_5"),
        severity=Severity.HIGH,
        title="A rule that tells of events is enabled",
        why="A backup job that failed, or a key that was scheduled for deletion, is told once, or never.",
        change="Enable the rule, or take it out where nobody wants to know.",
        types=("aws_cloudwatch_event_rule",),
        among=_tells,
        judge=_enabled,
        controls=(
            *controls.well_architected("REL06-BP03"),
            *controls.nist("SI-4(5)"),
            *controls.soc2("CC7.2"),
            *controls.iso("A.8.16"),
        ),
    ),
)
