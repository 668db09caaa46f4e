"""Rules on alarms: that they tell somebody, that they ring when copies grow old, and that every kind of copy has one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from lifeboat.decisions.policy import buckets, controls
from lifeboat.decisions.policy.joins import attached, names_of
from lifeboat.decisions.policy.lengths import words
from lifeboat.decisions.policy.planned import Awaited, Planned, Resource
from lifeboat.decisions.policy.rule import Case, Fault, PlanCase, PlanRule, Rule, RuleId, Severity
from lifeboat.model import Address

_METRIC = "aws_cloudwatch_metric_alarm"
_ALARMS = (_METRIC, "aws_cloudwatch_composite_alarm")
_TOPIC = "aws_sns_topic"
_AGE = re.compile(r"(backup|snapshot|recoverypoint|dump)age(days|hours|minutes|seconds)", re.IGNORECASE)
_UNITS = {
    "days": timedelta(days=1),
    "hours": timedelta(hours=1),
    "minutes": timedelta(minutes=1),
    "seconds": timedelta(seconds=1),
}
# What is proven or made anew more rarely than data is copied: an image is not data, a drill no copy.
_RARE = ("image", "images", "ami", "drill", "drills")
# PutMetricAlarm: period times evaluation periods may be 7 days, and a day where a period is shorter than an hour.
_LONGEST, _LONGEST_OF_SHORT = timedelta(days=7), timedelta(days=1)


def _databases(plan: Planned) -> list[Resource]:
    return [one for one in plan.of("aws_db_instance", "aws_rds_cluster") if not one.body.written("replicate_source_db")]


def _snapshots(plan: Planned) -> list[Resource]:
    return [one for one in plan.of("aws_dlm_lifecycle_policy") if _of_snapshots(one)]


def _of_snapshots(policy: Resource) -> bool:
    details = policy.body.block("policy_details")
    return details is not None and details.text("policy_type") in (None, "EBS_SNAPSHOT_MANAGEMENT")


# Where copies come from, the words by which an alarm is about it, and which resources say that it is there.
_SOURCES: tuple[tuple[str, frozenset[str], Callable[[Planned], list[Resource]]], ...] = (
    ("the database", frozenset({"database", "db", "rds", "aurora"}), _databases),
    ("the volumes", frozenset({"volume", "volumes", "ebs", "snapshot", "snapshots"}), _snapshots),
    ("the vaults", frozenset({"vault", "vaults"}), lambda plan: plan.of("aws_backup_plan")),
    ("the dumps", frozenset({"dump", "dumps"}), buckets.dump_buckets),
)


# -- that it tells somebody --------------------------------------------------------------------------------------------


def _on_its_own(case: Case) -> bool:
    """Return whether an alarm is not only a part of a composite one, which then tells for it."""
    name = case.resource.body.known("alarm_name")
    for composite in case.plan.of("aws_cloudwatch_composite_alarm"):
        rule = composite.body.known("alarm_rule")
        if (rule is not None and name is not None and re.search(rf"\(\s*\"?{re.escape(name)}\"?\s*\)", rule)) or (
            case.resource.block in composite.body.origin("alarm_rule").blocks
        ):
            return False
    return True


def _tells(case: Case) -> Iterable[Fault]:
    body = case.resource.body
    if body.flag("actions_enabled") is False:
        yield Fault(found="actions_enabled is false", wanted="actions_enabled = true")
    if not _has_actions(case.resource):
        yield Fault(
            found="the alarm has no alarm_actions: it turns red and tells nobody", wanted="a topic that somebody reads"
        )


def _has_actions(alarm: Resource) -> bool:
    body = alarm.body
    if not body.awaited("alarm_actions"):
        return body.size("alarm_actions") > 0
    if body.origin("alarm_actions").blocks:
        return True  # the ARN of something that is made in the same apply
    raise Awaited(f"{alarm.address}: its alarm_actions are known only after the apply")


# -- that it rings -----------------------------------------------------------------------------------------------------


def _unit(alarm: Resource) -> timedelta | None:
    """Return the unit of the age that an alarm watches; None where it watches something else."""
    found = _AGE.search(alarm.body.text("metric_name") or "")
    return None if found is None else _UNITS[found[2].lower()]


def _is_freshness(case: Case) -> bool:
    return _unit(case.resource) is not None


def _rings(case: Case) -> Iterable[Fault]:
    alarm, body = case.resource, case.resource.body
    unit, threshold = _unit(alarm), body.number("threshold")
    if body.text("treat_missing_data") != "breaching":
        yield Fault(
            found=f"treat_missing_data is {body.text('treat_missing_data') or 'missing'}",
            wanted='"breaching": what should measure the age is down as well',
        )
    if not (body.text("comparison_operator") or "").startswith("GreaterThan"):
        yield Fault(
            found=f"it rings when {body.text('comparison_operator')}", wanted="an alarm that rings when the age grows"
        )
    if unit is None or threshold is None or _words(alarm) & set(_RARE):
        return
    if unit * threshold > case.parameters.rpo:
        yield Fault(
            found=f"it rings when the newest copy is older than {words(unit * threshold)}",
            wanted=f"a threshold of at most the RPO, {words(case.parameters.rpo)}",
        )


def _words(alarm: Resource) -> set[str]:
    """Return the words that say what an alarm is about: of its dimensions where it has any, else of its name."""
    dimensions = alarm.body.mapping("dimensions")
    kinds = [value for key, value in dimensions.items() if key.lower() in ("kind", "source", "type") and value]
    texts = kinds or [
        *(value for value in dimensions.values() if value),
        *names_of(alarm),
        alarm.name,
        str(alarm.key or ""),
    ]
    return {word for text in texts for word in re.split(r"[^a-z0-9]+", text.lower()) if word}


# -- that there is one -------------------------------------------------------------------------------------------------


def _there(case: PlanCase) -> Sequence[Address]:
    return [resource.address for _, _, sources in _SOURCES for resource in sources(case.plan)]


def _each_watched(case: PlanCase) -> Iterable[Fault]:
    watched = [_words(alarm) for alarm in case.plan.of(_METRIC) if _unit(alarm) is not None]
    for what, names, sources in _SOURCES:
        found = sources(case.plan)
        if found and not any(words_of & names for words_of in watched):
            yield Fault(
                address=found[0].address,
                found=f"no alarm rings when the copies of {what} grow old",
                wanted=f"a freshness alarm (metric BackupAgeHours) whose dimension Kind is {' or '.join(sorted(names))}",
            )


# -- that it can -------------------------------------------------------------------------------------------------------


def _possible(case: Case) -> Iterable[Fault]:
    if case.resource.type == _TOPIC:
        yield from _heard(case)
        return
    period, periods = case.resource.body.number("period"), case.resource.body.number("evaluation_periods")
    if period is None or periods is None:
        return
    longest = _LONGEST if period >= 3600 else _LONGEST_OF_SHORT
    if timedelta(seconds=period) * periods > longest:
        yield Fault(
            found=f"it looks at {periods:g} periods of {words(timedelta(seconds=period))}",
            wanted=f"{words(longest)} in all at most: CloudWatch refuses more",
        )


def _heard(case: Case) -> Iterable[Fault]:
    if not attached(case.plan, case.resource, "aws_sns_topic_subscription", "topic_arn"):
        yield Fault(found="alarms go to this topic, and nobody subscribes to it", wanted="at least one subscription")


def _used(case: Case) -> bool:
    """Return whether it is an alarm, or a topic that one of them tells."""
    if case.resource.type == _METRIC:
        return True
    key = ("topics of alarms",)
    if key not in case.plan.worked_out:
        case.plan.worked_out[key] = {
            "blocks": {block for one in case.plan.of(*_ALARMS) for block in one.body.origin("alarm_actions").blocks},
            "arns": {
                arn
                for one in case.plan.of(*_ALARMS)
                if not one.body.awaited("alarm_actions")
                for arn in one.body.texts("alarm_actions")
            },
        }
    known = case.plan.worked_out[key]
    return case.resource.block in known["blocks"] or case.resource.body.known("arn") in (known["arns"] - {None})


RULES = (
    Rule(
        id=RuleId("LB_ALARM_1"),
        severity=Severity.HIGH,
        title="An alarm tells somebody",
        why="An alarm without an action is red on a page that nobody has open at night.",
        change="Give it alarm_actions, and leave actions_enabled on.",
        types=_ALARMS,
        among=_on_its_own,
        judge=_tells,
        controls=(
            *controls.well_architected("REL06-BP03"),
            *controls.nist("SI-4(5)", "AU-6(1)"),
            *controls.fsbp("CloudWatch.15", "CloudWatch.17"),
            *controls.config("CLOUDWATCH_ALARM_ACTION_CHECK"),
            *controls.soc2("CC7.2", "CC7.3"),
            *controls.iso("A.8.16"),
        ),
    ),
    Rule(
        id=RuleId("LB_ALARM_2"),
        severity=Severity.HIGH,
        title="A freshness alarm rings before the recovery point objective is missed, and when nothing is measured",
        why="Copies stop without an error; only their age, and the silence of what measures it, tells.",
        change='Set treat_missing_data = "breaching" and a threshold of at most the RPO.',
        types=(_METRIC,),
        among=_is_freshness,
        judge=_rings,
        controls=(
            *controls.well_architected("REL06-BP01"),
            *controls.nist("SI-4(5)", "CA-7"),
            *controls.config("RDS_LAST_BACKUP_RECOVERY_POINT_CREATED"),
            *controls.audit_manager("BACKUP_LAST_RECOVERY_POINT_CREATED"),
            *controls.soc2("CC7.2"),
            *controls.iso("A.8.16"),
        ),
    ),
    PlanRule(
        id=RuleId("LB_ALARM_3"),
        severity=Severity.HIGH,
        title="Every kind of copy has a freshness alarm",
        why="The kind of copy that nobody watches is the one that stopped in spring.",
        change="Add an alarm on the age of its newest copy.",
        types=(
            "aws_db_instance",
            "aws_rds_cluster",
            "aws_dlm_lifecycle_policy",
            "aws_backup_plan",
            "aws_s3_bucket",
            _METRIC,
        ),
        present=_there,
        judge=_each_watched,
        controls=(
            *controls.well_architected("REL06-BP01"),
            *controls.nist("SI-4(5)", "CA-7"),
            *controls.audit_manager("BACKUP_LAST_RECOVERY_POINT_CREATED"),
            *controls.soc2("CC7.2"),
            *controls.iso("A.8.16"),
        ),
    ),
    Rule(
        id=RuleId("LB_ALARM_4"),
        severity=Severity.MEDIUM,
        title="An alarm is one that CloudWatch takes, and its topic has a subscriber",
        why="An alarm that is refused, or goes to a topic without readers, is none.",
        change="Shorten period or evaluation_periods; add an aws_sns_topic_subscription.",
        types=(_METRIC, _TOPIC),
        among=_used,
        judge=_possible,
        controls=(*controls.well_architected("REL06-BP03"), *controls.nist("SI-4(5)")),
    ),
)
