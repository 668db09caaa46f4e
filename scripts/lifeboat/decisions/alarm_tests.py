"""Whether what rings would be heard: what was built and is gone, what is switched off, who listens, what did not arrive."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, Protocol

from lifeboat.alarm_model import (
    Alarm,
    Built,
    Channels,
    News,
    Notifier,
    Outcome,
    Ringer,
    Row,
    Rule,
    Sending,
    Sort,
    Subscriber,
    Topic,
)
from lifeboat.decisions import hand_changes, synthetic_events
from lifeboat.errors import NothingFits
from lifeboat.model import RunId
from lifeboat.state_model import ResourceView

_PAGE = re.compile(r"docs/runbooks/[a-z0-9-]+\.md")
_AGAIN = "lifeboat apply makes it again"
_SERVICES = {
    Sort.ALARM: "cloudwatch.amazonaws.com",
    Sort.RULE: "events.amazonaws.com",
    Sort.DATABASE_EVENTS: "events.rds.amazonaws.com",
    Sort.VAULT_EVENTS: "backup.amazonaws.com",
}
_COMPARED = ("StringEquals", "StringLike", "ArnEquals", "ArnLike", "Bool")
_PAGES = {Sort.DATABASE_EVENTS: "docs/runbooks/alarm-database-event.md"}
# Attributes of Terraform's resources that name the events.
_TELL_OF = {Sort.DATABASE_EVENTS: "event_categories", Sort.VAULT_EVENTS: "backup_vault_events"}
# Of these somebody takes notice, or a program does that wakes somebody; a queue or a stream keeps what it gets to itself.
_HUMAN = ("email", "email-json", "sms", "http", "https", "application", "lambda")


# -- what was built ----------------------------------------------------------------------------------------------------


class Recorded(Protocol):
    """A resource as Terraform's state has it."""

    @property
    def kind(self) -> str: ...

    @property
    def attributes(self) -> Mapping[str, Any]: ...


def built(resources: Iterable[Recorded]) -> frozenset[Ringer]:
    """Return everything that rings in Terraform's state: what is not there any more rings no longer, and says nothing."""
    found = {ringer for view in resources if (ringer := _ringer(view)) is not None}
    return frozenset(found)


def topics_built(resources: Iterable[ResourceView]) -> tuple[str, ...]:
    """Return the ARNs of the topics in Terraform's state."""
    return tuple(sorted(str(view.attributes["arn"]) for view in resources if view.kind == "aws_sns_topic"))


def built_to_tell_of(resources: Iterable[Recorded]) -> dict[Ringer, News]:
    """Return of what each thing that only AWS can ring was made to tell, in Terraform's state."""
    return {
        ringer: News(
            events=tuple(sorted(_listed(view.attributes.get(_TELL_OF[ringer.sort]) or []))),
            source_type=str(view.attributes.get("source_type") or ""),
            sources=tuple(sorted(_listed(view.attributes.get("source_ids") or []))),
        )
        for view in resources
        if (ringer := _ringer(view)) is not None and ringer.sort in _TELL_OF
    }


def built_as(resources: Iterable[ResourceView]) -> dict[Ringer, Built]:
    """Return how each alarm and rule was set, in Terraform's state."""
    return {
        ringer: Built(kind=view.kind, settings=view.attributes)
        for view in resources
        if view.deposed is None and (ringer := _ringer(view)) is not None and ringer.sort in (Sort.ALARM, Sort.RULE)
    }


def _ringer(view: Recorded) -> Ringer | None:
    said = view.attributes
    match view.kind:
        case "aws_cloudwatch_metric_alarm" | "aws_cloudwatch_composite_alarm":
            return Ringer(sort=Sort.ALARM, region=_region(said["arn"]), name=str(said["alarm_name"]))
        case "aws_cloudwatch_event_rule" if said.get("event_pattern"):
            return Ringer(sort=Sort.RULE, region=_region(said["arn"]), name=str(said["name"]))
        case "aws_db_event_subscription":
            return Ringer(sort=Sort.DATABASE_EVENTS, region=_region(said["arn"]), name=str(said["name"]))
        case "aws_backup_vault_notifications":
            name, region = str(said["backup_vault_name"]), _region(said["backup_vault_arn"])
            return Ringer(sort=Sort.VAULT_EVENTS, region=region, name=name)
    return None


def _region(arn: object) -> str:
    return str(arn).split(":")[3]


# -- what is there -----------------------------------------------------------------------------------------------------


def named(channels: Channels, expected: frozenset[Ringer], names: Sequence[str], application: str) -> frozenset[Ringer]:
    """Return what rings by these names, whole or without the application's in front; all of it where none is given.

    Raises NothingFits naming those that nothing is called by.
    """
    there = {one.ringer for one in channels.to_ring} | {one.ringer for one in channels.notifiers} | expected
    if not names:
        return frozenset(there)
    found = {ringer for ringer in there if {ringer.name, ringer.name.removeprefix(f"{application}-")} & set(names)}
    called = {called for ringer in found for called in (ringer.name, ringer.name.removeprefix(f"{application}-"))}
    unknown = [name for name in names if name not in called]
    if unknown:
        raise NothingFits(f"no alarm or rule is called {', '.join(unknown)}", hint="lifeboat alarms list shows them")
    return frozenset(found)


def rows(channels: Channels, wanted: frozenset[Ringer]) -> list[Row]:
    """Return what rings, one line each, with why nobody would hear it."""
    found = [_row_of_alarm(one, channels) for one in channels.alarms]
    found += [_row_of_rule(one, channels) for one in channels.rules]
    found += [_row_of_notifier(one, channels) for one in channels.notifiers]
    there = {row.ringer for row in found}
    gone = [
        Row(ringer=ringer, state="GONE", tells=(), page=_page(ringer, ""), why=f"it was built and is gone; {_AGAIN}")
        for ringer in wanted - there
    ]
    return sorted((row for row in (*found, *gone) if row.ringer in wanted), key=lambda row: row.ringer)


def _row_of_alarm(one: Alarm, channels: Channels) -> Row:
    why = _amiss(one, channels) or _unheard(topics_of(one.tells), channels)
    return Row(ringer=one.ringer, state=one.state, tells=one.tells, page=_page(one.ringer, one.about), why=why)


def _row_of_rule(one: Rule, channels: Channels) -> Row:
    tells = tuple(target.arn for target in one.targets)
    why = _amiss(one, channels) or _unheard(topics_of(tells), channels)
    state = "ENABLED" if one.enabled else "DISABLED"
    return Row(ringer=one.ringer, state=state, tells=tells, page=_page(one.ringer, one.about), why=why)


def _row_of_notifier(one: Notifier, channels: Channels) -> Row:
    why = notifier_mute(one, channels) or _unheard(topics_of((one.topic,)), channels)
    tells = (one.topic,) if one.topic else ()
    state = "SILENT" if one.silent else "ACTIVE"
    return Row(ringer=one.ringer, state=state, tells=tells, page=_page(one.ringer, ""), why=why)


def topics_of(arns: Iterable[str]) -> tuple[str, ...]:
    """Return those of what is told that are topics."""
    return tuple(arn for arn in arns if arn.split(":")[2:3] == ["sns"])


def _page(ringer: Ringer, about: str) -> str:
    named_in_text = _PAGE.search(about)
    return named_in_text[0] if named_in_text else _PAGES.get(ringer.sort, "")


# -- why something cannot be heard, as far as its settings tell --------------------------------------------------------


def _amiss(one: Alarm | Rule, channels: Channels) -> str:
    """Return why something tells nobody, or rings for something else than it was built for; empty where neither is so."""
    mute = _tells_nobody(one, channels)
    found = _compared(one, channels)
    if mute:
        return mute
    if found.changes:
        return f"it is not as it was built: {found.words}; lifeboat apply sets it again"
    return (
        f"whether it is as it was built, nobody knows: {found.now}; lifeboat plan reads all of it"
        if found.untold
        else ""
    )


def _nobody_knows(one: Alarm | Rule, channels: Channels) -> bool:
    """Return whether all that speaks against a thing is that it cannot be compared with what was built."""
    found = _compared(one, channels)
    return bool(found.untold) and not found.changes and not _tells_nobody(one, channels)


def _tells_nobody(one: Alarm | Rule, channels: Channels) -> str:
    return alarm_mute(one, channels) if isinstance(one, Alarm) else rule_mute(one, channels)


def _compared(one: Alarm | Rule, channels: Channels) -> hand_changes.Compared:
    """Return how its settings differ from those that Terraform built; what it did not build may be as it likes."""
    built = channels.built_as.get(one.ringer)
    return hand_changes.Compared() if built is None else hand_changes.compared(built.kind, one.settings, built.settings)


def alarm_mute(alarm: Alarm, channels: Channels) -> str:
    """Return why an alarm tells nobody, by its settings; empty where they are right."""
    if not alarm.acts:
        name, region = alarm.ringer.name, alarm.ringer.region
        enable = f"aws cloudwatch enable-alarm-actions --alarm-names {name} --region {region}"
        return f"its actions are disabled: {channels.shell(enable)}"
    if not alarm.tells:
        return f"it has no action for ALARM; {_AGAIN}"
    return _no_topic(alarm.tells, channels.topics)


def rule_mute(rule: Rule, channels: Channels) -> str:
    """Return why a rule tells nobody, by its settings; empty where they are right."""
    if not rule.enabled:
        enable = f"aws events enable-rule --name {rule.ringer.name} --region {rule.ringer.region}"
        return f"it is disabled: {channels.shell(enable)}"
    if not rule.targets:
        return f"it has no target; {_AGAIN}"
    return _no_topic([target.arn for target in rule.targets], channels.topics)


def notifier_mute(notifier: Notifier, channels: Channels) -> str:
    """Return why what only AWS can ring does not tell all it was built for, its topic's policy included; empty where it does."""
    return notifier_amiss(notifier, channels.built_to_tell_of.get(notifier.ringer), channels.topics)


def notifier_amiss(notifier: Notifier, built: News | None, topics: Mapping[str, Topic | None]) -> str:
    """Return the same by what it was built to tell of, None where nobody knows, and by its topic among these."""
    if notifier.silent:
        return notifier.silent
    unsaid = "" if built is None else _unsaid(notifier, built)
    if unsaid:
        return unsaid
    missing = _no_topic([notifier.topic], topics)
    if missing:
        return missing
    topic = topics[notifier.topic]
    refused = None if topic is None else policy_refuses(topic, notifier.ringer, _account(topic.arn))
    return refused or ""


def _unsaid(notifier: Notifier, built: News) -> str:
    """Return of what it no longer tells; RDS tells of everything where no category is named, and of all that it has."""
    now = notifier.tells_of
    if now.source_type not in ("", built.source_type):
        return f"it tells of {now.source_type}s, and was built to tell of {built.source_type or 'everything'}; {_AGAIN}"
    if now.sources and not set(built.sources or ("",)) <= set(now.sources):
        wanted = ", ".join(built.sources) or "all of them, of those to come too"
        return f"it tells of {', '.join(now.sources)} alone, and was built to tell of {wanted}; {_AGAIN}"
    everything = notifier.ringer.sort is Sort.DATABASE_EVENTS
    if everything and not now.events:
        return ""
    if everything and not built.events:
        return f"it tells of {', '.join(now.events)} alone, and was built to tell of everything; {_AGAIN}"
    missing = [one for one in built.events if one not in now.events]
    return f"it does not tell of {', '.join(missing)}, as it was built to; {_AGAIN}" if missing else ""


def _no_topic(arns: Sequence[str], there: Mapping[str, Topic | None]) -> str:
    topics = topics_of(arns)
    if not topics:
        return f"it tells no topic, only {', '.join(arns)}; {_AGAIN}"
    missing = [arn for arn in topics if there.get(arn) is None]
    return f"there is no topic {missing[0]}; {_AGAIN}" if missing else ""


def _unheard(arns: Iterable[str], channels: Channels) -> str:
    problems = [deaf(arn, topic.subscribers) for arn in arns if (topic := channels.topics.get(arn)) is not None]
    return next((problem for problem in problems if problem), "")


def deaf(arn: str, subscribers: Iterable[Subscriber]) -> str:
    """Return why no person hears a topic; empty where one does. A queue alone is nobody: it wakes no one."""
    people = [one for one in subscribers if one.protocol in _HUMAN]
    if not people:
        return f"nobody listens to {arn}: alarms.subscribers in the environment's tfvars names who should"
    confirmed = [one for one in people if one.confirmed]
    if not confirmed:
        return f"nobody who should listen to {arn} has confirmed: {', '.join(one.endpoint for one in people)}"
    if not hearers(confirmed):
        return f"the filter of every subscriber of {arn} keeps alarms from them"
    return ""


def hearers(subscribers: Iterable[Subscriber]) -> list[Subscriber]:
    """Return those that confirmed, wake somebody, and surely get messages of alarms and rules."""
    return [one for one in subscribers if one.confirmed and one.protocol in _HUMAN and _hears(one)]


def _hears(one: Subscriber) -> bool:
    """Return whether a subscriber surely gets what bears no attributes, as messages of alarms and rules do.

    A filter holds where each of its keys allows its absence ("Filter policy", in the manual of SNS).
    """
    if not one.wants:
        return True
    if one.of_body:
        return False  # whether a text of ours would pass, nobody can say beforehand
    keys: Mapping[str, Any] = json.loads(one.wants)
    return all(isinstance(wanted, list) and {"exists": False} in wanted for wanted in keys.values())


# -- what a topic's policy says ----------------------------------------------------------------------------------------


def policy_refuses(topic: Topic, ringer: Ringer, account: str) -> str | None:
    """Return why a topic's policy keeps a service from publishing for this; None where it lets it.

    Conditions that are not known here hold where they deny, and not where they allow.
    """
    service = _SERVICES[ringer.sort]
    values = {"aws:sourceaccount": account, "aws:sourcearn": _arn(ringer, account), "aws:securetransport": "true"}
    statements = json.loads(topic.policy or "{}").get("Statement", [])
    statements = statements if isinstance(statements, list) else [statements]
    concerned = [one for one in statements if _names(one, service) and _covers(one)]
    denied = [one for one in concerned if one["Effect"] == "Deny" and _holds(one, values) is not False]
    allowed = [one for one in concerned if one["Effect"] == "Allow" and _holds(one, values)]
    if allowed and not denied:
        return None
    return f"the policy of {topic.arn} does not let {service} publish for it; lifeboat apply sets it again"


def _arn(ringer: Ringer, account: str) -> str:
    kind = {Sort.ALARM: "cloudwatch", Sort.RULE: "events", Sort.DATABASE_EVENTS: "rds"}.get(ringer.sort, "backup")
    what = {Sort.ALARM: f"alarm:{ringer.name}", Sort.RULE: f"rule/{ringer.name}"}.get(ringer.sort, f"es:{ringer.name}")
    return f"arn:aws:{kind}:{ringer.region}:{account}:{what}"


def _account(arn: str) -> str:
    return arn.split(":")[4]


def _listed(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _names(statement: Mapping[str, Any], service: str) -> bool:
    principal = statement.get("Principal", {})
    if principal == "*":
        return True
    return service in _listed(principal.get("Service", [])) or "*" in _listed(principal.get("AWS", []))


def _covers(statement: Mapping[str, Any]) -> bool:
    return any(fnmatchcase("sns:publish", action.lower()) for action in _listed(statement.get("Action", [])))


def _holds(statement: Mapping[str, Any], values: Mapping[str, str]) -> bool | None:
    """Return whether a statement's conditions hold; None where one of them is of a kind that is not known here."""
    unknown = False
    for operator, wanted in statement.get("Condition", {}).items():
        for key, patterns in wanted.items():
            value = values.get(key.lower())
            if operator not in _COMPARED or value is None:
                unknown = True
            elif not any(fnmatchcase(value.lower(), pattern.lower()) for pattern in _listed(patterns)):
                return False
    return None if unknown else True


# -- ringing on purpose ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Sendable:
    """What can be rung on purpose, what cannot arrive whatever is sent, and what only AWS can ring, checked instead."""

    sendings: tuple[Sending, ...]
    mute: tuple[Outcome, ...]
    checked: tuple[Outcome, ...]


def sendable(channels: Channels, wanted: frozenset[Ringer], run: RunId) -> Sendable:
    """Return what is to be sent for each thing that rings, and why nothing is."""
    sendings: list[Sending] = []
    mute = [_mute(row.ringer, row.page, row.why) for row in rows(channels, wanted) if row.state == "GONE"]
    chosen = [one for one in channels.to_ring if one.ringer in wanted]
    for one in sorted(chosen, key=lambda one: one.ringer):
        # Not the number alone: -1 would be found in -10.
        token = f"{run}-{len(sendings) + 1:04}"
        why = _amiss(one, channels)
        more = "" if why else _does_more(one)
        try:
            sending = None if why or more else _sending(one, token)
        except NothingFits as error:
            why, sending = error.summary, None
        if sending is None:
            page = _page(one.ringer, one.about)
            unsure = bool(more) or _nobody_knows(one, channels)
            mute.append(Outcome(ringer=one.ringer, page=page, why=why or more, unsure=unsure))
        else:
            sendings.append(sending)
    checked = [
        _mute(one.ringer, _page(one.ringer, ""), notifier_mute(one, channels))
        for one in channels.notifiers
        if one.ringer in wanted
    ]
    gone = [one for one in mute if one.ringer.sort in (Sort.DATABASE_EVENTS, Sort.VAULT_EVENTS)]
    return Sendable(
        sendings=tuple(sendings),
        mute=tuple(one for one in mute if one not in gone),
        checked=tuple(sorted((*checked, *gone), key=lambda one: one.ringer)),
    )


def _does_more(one: Alarm | Rule) -> str:
    """Return why something must not be rung: who rings an alarm that reboots a machine reboots it."""
    calls = (*one.tells, *one.back) if isinstance(one, Alarm) else tuple(target.arn for target in one.targets)
    others = sorted(set(calls) - set(topics_of(calls)))
    return f"not rung, since it does more than tell: {', '.join(others)}" if others else ""


def _mute(ringer: Ringer, page: str, why: str) -> Outcome:
    return Outcome(ringer=ringer, page=page, why=why)


def _sending(one: Alarm | Rule, token: str) -> Sending:
    if isinstance(one, Alarm):
        return Sending(ringer=one.ringer, token=token, topics=topics_of(one.tells), before=one.state)
    targets = [target for target in one.targets if topics_of([target.arn])]
    sending = Sending(ringer=one.ringer, token=token, topics=tuple(target.arn for target in targets))
    event = synthetic_events.event(one, targets, sending.text)
    return Sending(ringer=one.ringer, token=token, topics=sending.topics, event=event)


def page_of(channels: Channels, ringer: Ringer) -> str:
    """Return the page that something that rings names; empty where it names none."""
    about = next((one.about for one in channels.to_ring if one.ringer == ringer), "")
    return _page(ringer, about)


def lost(sending: Sending, channels: Channels, missing: Sequence[str], within: timedelta) -> str:
    """Return why a message did not arrive, as far as its topic's policy tells."""
    for arn in missing:
        topic = channels.topics[arn]
        refused = None if topic is None else policy_refuses(topic, sending.ringer, _account(arn))
        if refused:
            return refused
    seconds = f"{within.total_seconds():.0f} s"
    return f"its message did not come out of {', '.join(missing)} within {seconds}, and its settings do not say why"
