"""Rules on alarms: that they tell somebody, that they ring when copies grow old, and that every kind of copy has one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from lifeboat.decisions.policy import buckets, controls
from lifeboat.decisions.policy.coverage import is_replica
from lifeboat.decisions.policy.joins import attached, names_of
from lifeboat.decisions.policy.lengths import words
from lifeboat.decisions.policy.planned import Awaited, Block, Planned, Resource
from lifeboat.decisions.policy.rule import Case, Fault, PlanCase, PlanRule, Rule, RuleId, Severity
from lifeboat.model import Address

_METRIC = "aws_cloudwatch_metric_alarm"
_ALARMS = (_METRIC, "aws_cloudwatch_composite_alarm")
_TOPIC = "aws_sns_topic"
_AGE = re.compile(r"(backup|snapshot|recoverypoint|dump)age(days|hours|minutes|seconds)", re.IGNORECASE)
# Of what is no copy but shows that one can be restored: quiet without data it is as bad, and no RPO is its limit.
_RARE_AGE = re.compile(r"(restoreproof|drill)age(days|hours|minutes|seconds)", re.IGNORECASE)
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
    return [one for one in plan.of("aws_db_instance", "aws_rds_cluster") if not is_replica(one.body)]


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
# What an alarm without a dimension that says so is about: the first whose words it has. A dump of a database is a dump.
_PRECISE = (
    ("the dumps", frozenset({"dump", "dumps"})),
    ("the vaults", frozenset({"vault", "vaults"})),
    ("the volumes", frozenset({"volume", "volumes", "ebs"})),
    ("the database", frozenset({"database", "db", "rds", "aurora"})),
    ("the volumes", frozenset({"snapshot", "snapshots"})),
)
_OF_METRIC = {"dump": "the dumps", "recoverypoint": "the vaults"}
_OF_A_STACK = "Lifeboat"  # what lifeboat measures, of all databases of a stack together
_KINDS = ("kind", "source", "type")  # the dimensions that say what an alarm is about


# -- that it tells somebody --------------------------------------------------------------------------------------------


def _on_its_own(case: Case) -> bool:
    """Return whether an alarm is not only a part of a composite one, which then tells for it."""
    return not any(_tells_of(composite, case.resource) for composite in case.plan.of("aws_cloudwatch_composite_alarm"))


def _tells_of(composite: Resource, alarm: Resource) -> bool:
    """Return whether a composite alarm rings when this one does: OK(name) and INSUFFICIENT_DATA(name) ask for the contrary."""
    rule, name = composite.body.known("alarm_rule"), alarm.body.known("alarm_name")
    if rule is None or name is None:
        return composite.body.origin("alarm_rule").holds(alarm)
    return (
        re.search(
            rf"(?<!NOT )(?<![A-Z_])ALARM\s*\(\s*[\"']?(?:arn:[^\"')\s]*:alarm:)?{re.escape(name)}[\"']?\s*\)", rule
        )
        is not None
    )


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
    if body.origin("alarm_actions").references:
        return True  # the ARN of something that is made in the same apply
    raise Awaited(f"{alarm.address}: its alarm_actions are known only after the apply")


# -- that it rings -----------------------------------------------------------------------------------------------------


def _unit(alarm: Resource) -> timedelta | None:
    """Return the unit of the age of copies that an alarm watches; None where it watches something else."""
    found = _AGE.search(alarm.body.text("metric_name") or "")
    return None if found is None else _UNITS[found[2].lower()]


def _is_freshness(case: Case) -> bool:
    return (
        _unit(case.resource) is not None or _RARE_AGE.search(case.resource.body.text("metric_name") or "") is not None
    )


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
    rpo = case.parameters.rpo
    if unit * threshold > rpo:
        yield Fault(
            found=f"it rings when the newest copy is older than {words(unit * threshold)}",
            wanted=f"a threshold of at most the RPO, {words(rpo)}",
        )
    waits = _waits(body)
    if waits > rpo / 2:
        yield Fault(
            found=f"it rings only after the copy was too old for {words(waits)}",
            wanted=f"period times evaluation_periods of at most half the RPO, {words(rpo / 2)}",
            severity=Severity.MEDIUM if waits <= rpo else None,
        )


def _waits(body: Block) -> timedelta:
    """Return for how long an alarm looks on before it rings: all its periods, or as many of them as must be bad."""
    periods = body.number("datapoints_to_alarm") or body.number("evaluation_periods") or 0
    return timedelta(seconds=body.number("period") or 0) * periods


def _words(alarm: Resource) -> set[str]:
    """Return the words that say what an alarm is about: of its dimensions where it has any, else of its name."""
    dimensions = alarm.body.mapping("dimensions")
    kinds = _kinds(alarm)
    texts = kinds or [
        *(value for value in dimensions.values() if value),
        *names_of(alarm),
        alarm.name,
        str(alarm.key or ""),
    ]
    return {word for text in texts for word in re.split(r"[^a-z0-9]+", text.lower()) if word}


def _kinds(alarm: Resource) -> list[str]:
    return [value for key, value in alarm.body.mapping("dimensions").items() if key.lower() in _KINDS and value]


# -- that there is one -------------------------------------------------------------------------------------------------


def _there(case: PlanCase) -> Sequence[Address]:
    return [resource.address for _, _, sources in _SOURCES for resource in sources(case.plan)]


def _each_watched(case: PlanCase) -> Iterable[Fault]:
    alarms = [one for one in case.plan.of(_METRIC) if _unit(one) is not None and _is_heard(case.plan, one)]
    for what, names, sources in _SOURCES:
        found = sources(case.plan)
        mine = [one for one in alarms if _is_about(one, what, names)]
        if found and not mine:
            yield Fault(
                address=found[0].address,
                found=f"no alarm rings when the copies of {what} grow old",
                wanted=f"a freshness alarm (metric BackupAgeSeconds) whose dimension Kind is {' or '.join(sorted(names))}",
            )
        if what == "the database":
            yield from _each_named(found, [one for one in mine if one.body.known("namespace") != _OF_A_STACK])


def _each_named(sources: list[Resource], alarms: list[Resource]) -> Iterable[Fault]:
    """Yield each source that no alarm names, where alarms are for one source each: a dimension then has its name."""
    named = {
        value for one in alarms for key, value in one.body.mapping("dimensions").items() if key.lower() not in _KINDS
    }
    watched = [source for source in sources if not named.isdisjoint(names_of(source))]
    for source in sources if watched else ():
        if source not in watched:
            if None in named:
                raise Awaited(f"whether an alarm is of {source.address} is known only after the apply")
            yield Fault(
                address=source.address,
                found=f"the freshness alarm is one of {watched[0].address}, and none is of this",
                wanted="a freshness alarm for each, whose dimension has its name",
            )


def _is_heard(plan: Planned, alarm: Resource) -> bool:
    """Return whether an alarm tells anybody by itself or through a composite one."""
    composites = plan.of("aws_cloudwatch_composite_alarm")
    return alarm.body.flag("actions_enabled") is not False or any(_tells_of(one, alarm) for one in composites)


def _is_about(alarm: Resource, what: str, names: frozenset[str]) -> bool:
    """Return whether an alarm is about the copies of a kind of source."""
    if _kinds(alarm):
        return not _words(alarm).isdisjoint(names)
    metric = _AGE.search(alarm.body.text("metric_name") or "")
    told = None if metric is None else _OF_METRIC.get(metric[1].lower())
    said = _words(alarm)
    return (told or next((kind for kind, these in _PRECISE if not said.isdisjoint(these)), None)) == what


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
            "made": {
                topic.address
                for one in case.plan.of(*_ALARMS)
                for topic in case.plan.come_from(one.body, "alarm_actions", _TOPIC)
            },
            "arns": {
                arn
                for one in case.plan.of(*_ALARMS)
                if not one.body.awaited("alarm_actions")
                for arn in one.body.texts("alarm_actions")
            },
        }
    known = case.plan.worked_out[key]
    return case.resource.address in known["made"] or case.resource.body.known("arn") in (known["arns"] - {None})


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
        title="A freshness alarm rings soon after a copy is older than the recovery point objective, and when nothing is measured",
        why="Copies stop without an error; only their age, and the silence of what measures it, tells.",
        change='Set treat_missing_data = "breaching", a threshold of at most the RPO, and few periods.',
        types=(_METRIC,),
        among=_is_freshness,
        judge=_rings,
        controls=(
            *controls.well_architected("REL06-BP01"),
            *controls.nist("SI-4(5)", "CA-7"),
            *controls.soc2("CC7.2"),
            *controls.iso("A.8.16"),
        ),
    ),
    PlanRule(
        id=RuleId("LB_ALARM_3"),
        severity=Severity.HIGH,
        title="Every kind of copy, and every source that alarms name, has a freshness alarm",
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
