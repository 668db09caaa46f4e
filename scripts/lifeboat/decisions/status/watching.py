"""The checks of what watches: alarms that act, rules that tell somebody, topics that somebody hears, metrics that come."""

from __future__ import annotations

from lifeboat.alarm_model import Ringer
from lifeboat.decisions import alarm_tests
from lifeboat.decisions.durations import said
from lifeboat.decisions.status import built
from lifeboat.decisions.status.check import Bad, Case, Check, Good, Outcome, Unknown, old, seen
from lifeboat.status_model import Alarm, Asset, Resource, Stack, Weight

OURS = "Lifeboat"  # the namespace of what `lifeboat status --publish` writes
# Alarms on these ring while a check is red: were that a red check too, neither would ever end.
OF_A_STATUS = ("StatusChecksRed", "StatusChecksUnknown")
NOTIFIERS_ASK = (
    "rds:DescribeEventSubscriptions",
    "backup:GetBackupVaultNotifications",
    "sns:GetTopicAttributes",
    "sns:ListSubscriptionsByTopic",
    "sns:GetSubscriptionAttributes",
)
_NOTIFIERS = ("aws_db_event_subscription", "aws_backup_vault_notifications")
_ALARM, _RULE = "aws_cloudwatch_metric_alarm", "aws_cloudwatch_event_rule"
_AGAIN = "lifeboat apply, which sets it again; lifeboat alarms test shows whether it is heard"


def alarms(stack: Stack) -> tuple[str, ...]:
    """Return the names of the alarms that were built; one empty name where there is none."""
    return built.named(stack, _ALARM, "alarm_name") or ("",)


def _alarm(case: Case) -> Alarm | None:
    return (case.facts.alarms.value or {}).get(case.subject)


def _present(case: Case) -> Outcome:
    if not case.subject:
        return Bad(found="the stack has no alarm", wanted="one for each way to fail", command="lifeboat plan")
    found = _alarm(case)
    if found is None:
        return Bad(found=f"there is no alarm {case.subject}", wanted="it was built", command=_AGAIN)
    (resource,) = (one for one in case.stack.of_kind(_ALARM) if one.attributes["alarm_name"] == case.subject)
    return built.unlike(resource, found.settings, case.subject) or Good(says=f"{found.state}, set as it was built")


def _acts(case: Case) -> Outcome:
    found = _alarm(case)
    if found is None:
        return Good(says="nothing to judge: alarms.present tells that it is gone")
    if not found.enabled:
        return Bad(
            found=f"the actions of {case.subject} are switched off",
            wanted="enabled: in ALARM, it tells nobody",
            command=f"aws cloudwatch enable-alarm-actions --alarm-names {case.subject}",
        )
    topics = set(topics_of(case.stack))
    if not topics & set(found.actions):
        return Bad(
            found=f"{case.subject} has no action that tells the stack's topic"
            + (f": {', '.join(found.actions)}" if found.actions else ": it has none at all"),
            wanted="an action on the topic that people listen to",
            command=_AGAIN,
        )
    return Good(says="tells the topic")


def _quiet(case: Case) -> Outcome:
    found = _alarm(case)
    if found is None:
        return Good(says="nothing to judge: alarms.present tells that it is gone")
    if found.namespace == OURS and found.metric in OF_A_STATUS:
        return Good(says=f"{found.state}: it rings for what this status tells itself")
    since = "" if found.since is None else f" for {old(case, found.since)}"
    if found.state == "ALARM":
        return Bad(
            found=f"{case.subject} is in ALARM{since}: {found.reason}",
            wanted="OK",
            command=found.page or f"aws cloudwatch describe-alarm-history --alarm-name {case.subject}",
        )
    if found.state != "OK":
        return Unknown(
            found=f"{case.subject} is in {found.state}{since}: CloudWatch has no data of its metric yet"
            f" ({found.namespace} {found.metric})",
            wanted="OK",
            command="lifeboat status --publish, which writes it"
            if found.namespace == OURS
            else "lifeboat status once more in some minutes: AWS writes this metric itself",
        )
    return Good(says="OK")


def rules(stack: Stack) -> tuple[str, ...]:
    """Return the event rules that were built, as region and name; one empty where there is none."""
    return tuple(_rule_name(stack, one) for one in stack.of_kind(_RULE)) or ("",)


def _rule_name(stack: Stack, rule: Resource) -> str:
    return f"{rule.region or stack.recovery.region} {rule.attributes['name']}"


def _rule(case: Case) -> Outcome:
    if not case.subject:
        return Bad(found="the stack has no event rule", wanted="one for each event", command="lifeboat plan")
    region, _, name = case.subject.partition(" ")
    found = (seen(case.facts.rules, region) or {}).get(name)
    if found is None:
        return Bad(found=f"there is no rule {name} in {region}", wanted="it was built", command=_AGAIN)
    if not found.enabled:
        return Bad(
            found=f"the rule {name} in {region} is disabled",
            wanted="enabled",
            command=f"aws events enable-rule --name {name} --region {region}",
        )
    if not set(topics_of(case.stack)) & set(found.targets):
        return Bad(
            found=f"the rule {name} in {region} has no target that people listen to"
            + (f": {', '.join(found.targets)}" if found.targets else ""),
            wanted="the stack's topic of that region",
            command=_AGAIN,
        )
    (resource,) = (one for one in case.stack.of_kind(_RULE) if _rule_name(case.stack, one) == case.subject)
    unlike = built.unlike(resource, found.settings, f"the rule {name} in {region}")
    return unlike or Good(says="enabled, tells the topic, set as it was built")


def topics_of(stack: Stack) -> tuple[str, ...]:
    """Return the ARNs of the topics that were built, at least the one that the stack's output names."""
    found = {str(one.attributes["arn"]) for one in stack.of_kind("aws_sns_topic")}
    return tuple(sorted(found | {stack.recovery.topic_arn}))


def _heard(case: Case) -> Outcome:
    found = seen(case.facts.topics, case.subject)
    if found is None:
        return Bad(found=f"there is no topic {case.subject}", wanted="it was built", command="lifeboat apply")
    why = alarm_tests.deaf(case.subject, found.subscribers)
    if why:
        return Bad(
            found=why,
            wanted="somebody who confirmed, is no queue, and filters no alarm away",
            command="confirm the mail that AWS sent, or set alarms.subscribers and lifeboat apply;"
            " lifeboat alarms test shows whether it is heard",
        )
    heard, all_ = len(alarm_tests.hearers(found.subscribers)), len(found.subscribers)
    return Good(
        says=f"{heard} confirmed" + (f", {all_ - heard} more that did not, or hear no alarm" if all_ > heard else "")
    )


def notifiers(stack: Stack) -> dict[str, Ringer]:
    """Return what the stack built that only AWS itself can ring, by region and name."""
    found = alarm_tests.built(one for kind in _NOTIFIERS for one in stack.of_kind(kind))
    return {f"{ringer.region} {ringer.name}": ringer for ringer in sorted(found)}


def _notifier(case: Case) -> Outcome:
    if not case.subject:
        return Bad(
            found="AWS tells of no database and of no vault by itself",
            wanted="a subscription to the events of RDS, and notifications of both vaults",
            command="lifeboat plan",
        )
    ringer, found = notifiers(case.stack)[case.subject], seen(case.facts.notifiers, case.subject)
    if found is None:
        return Bad(found=f"{ringer.words}: there is none any more", wanted="it was built", command=_AGAIN)
    arn = found.notifier.topic
    why = alarm_tests.notifier_amiss(
        found.notifier, alarm_tests.built_to_tell_of(case.stack.resources)[ringer], {arn: found.topic}
    )
    if not why and arn not in topics_of(case.stack):
        why = f"it tells {arn}, which is not the stack's topic"
    if why:
        return Bad(found=f"{ringer.words}: {why}", wanted="all that it was built to tell of, told", command=_AGAIN)
    return Good(says="tells the topic all that it was built to tell of")


def measured(stack: Stack) -> tuple[str, ...]:
    """Return the alarms whose metric is lifeboat's own, and that ring where nobody writes it: those need somebody who does.

    What a drill measured is written where one has; the age of drills tells that there was none.
    """
    return tuple(
        str(one.attributes["alarm_name"])
        for one in stack.of_kind(_ALARM)
        if one.attributes.get("namespace") == OURS
        and one.attributes.get("treat_missing_data", "breaching") == "breaching"
    )


def _written(case: Case) -> Outcome:
    if _alarm(case) is None:
        return Good(says="nothing to judge: alarms.present tells that it is gone")
    at, limit = (case.facts.metrics.value or {}).get(case.subject), case.limits.metric
    if at is None or case.now - at > limit:
        return Bad(
            found=f"nobody has written the metric of {case.subject} for {said(limit)}",
            wanted="a data point each hour",
            command="lifeboat status --publish, and look for what became of its schedule",
        )
    return Good(says=f"written {old(case, at)} ago")


CHECKS = (
    Check(
        id="alarms.present",
        asset=Asset.ALARMS,
        weight=Weight.PROTECTION,
        title="Every alarm that was built is there, set as it was built",
        why="A deleted alarm is silent, as a quiet one is; so is one whose threshold nothing reaches any more.",
        act="`lifeboat apply` makes it again, and sets it again.",
        asks=("cloudwatch:DescribeAlarms",),
        subjects=alarms,
        judge=_present,
    ),
    Check(
        id="alarms.actions",
        asset=Asset.ALARMS,
        weight=Weight.PROTECTION,
        title="Every alarm acts: its actions are enabled and reach the topic",
        why="An alarm without an action turns red in a console that nobody looks at.",
        act="`lifeboat apply`, then `lifeboat alarms test`.",
        asks=("cloudwatch:DescribeAlarms",),
        subjects=alarms,
        judge=_acts,
    ),
    Check(
        id="alarms.quiet",
        asset=Asset.ALARMS,
        weight=Weight.PROTECTION,
        title="No alarm is in ALARM, and each knows how it stands",
        why="It has told already; somebody has to do something.",
        act="Each alarm has a page in docs/runbooks.",
        asks=("cloudwatch:DescribeAlarms",),
        subjects=alarms,
        judge=_quiet,
    ),
    Check(
        id="alarms.rules",
        asset=Asset.ALARMS,
        weight=Weight.PROTECTION,
        title="Every event rule is there, enabled, takes the events that it was built for, and tells the topic",
        why="Failed jobs, disabled keys and a tampered vault are told by these rules and by nothing else.",
        act="`lifeboat apply`, then `lifeboat alarms test`.",
        asks=("events:ListRules", "events:ListTargetsByRule"),
        subjects=rules,
        judge=_rule,
    ),
    Check(
        id="alarms.notifiers",
        asset=Asset.ALARMS,
        weight=Weight.PROTECTION,
        title="What RDS and AWS Backup tell by themselves is told, all of it, to the topic",
        why="A backup that RDS gave up, and a copy that no vault took, are told by these and by nothing else.",
        act="`lifeboat apply`, then `lifeboat alarms test`.",
        asks=NOTIFIERS_ASK,
        subjects=lambda stack: tuple(notifiers(stack)) or ("",),
        judge=_notifier,
    ),
    Check(
        id="alarms.heard",
        asset=Asset.ALARMS,
        weight=Weight.PROTECTION,
        title="Every topic has a subscriber that confirmed, wakes somebody, and filters no alarm away",
        why="A topic that nobody listens to takes every message and drops it.",
        act="Confirm the mail of AWS, name subscribers in `alarms.subscribers`, or take the filter of theirs away.",
        asks=("sns:ListSubscriptionsByTopic", "sns:GetSubscriptionAttributes"),
        subjects=topics_of,
        judge=_heard,
    ),
    Check(
        id="alarms.measured",
        asset=Asset.ALARMS,
        weight=Weight.PROTECTION,
        title="Every metric of lifeboat's that an alarm watches is written",
        why="Whoever should measure the age has stopped: nobody would hear of an old copy.",
        act="`lifeboat status --publish` writes them all now; then mend its schedule.",
        asks=("cloudwatch:GetMetricData",),
        subjects=measured,
        judge=_written,
    ),
)
