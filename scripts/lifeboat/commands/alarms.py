"""`lifeboat alarms …`: what rings and who would hear it, and a test that rings all of it and listens."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

from lifeboat import drill_model
from lifeboat.alarm_model import AlarmReport, Channels, Outcome, Ringer, Row, Sending, Sort
from lifeboat.clients import machines, run_files
from lifeboat.clients.alarm_routes import AlarmRoutes
from lifeboat.clients.journal import Journal
from lifeboat.clients.listening_queue import ListeningQueue
from lifeboat.clients.waiting import Patience, elapsed, until
from lifeboat.decisions import alarm_tests, drill_ledger, hints, state_documents
from lifeboat.decisions.alarm_tests import Sendable
from lifeboat.drill_model import DrillTag, Thing, ThingKind
from lifeboat.errors import CleanUpIncomplete, LifeboatError, Unreachable
from lifeboat.model import Agree, EventKind, RunId
from lifeboat.site import Site
from lifeboat.stack import outputs
from lifeboat.views import Teller

_GONE_SECONDS = 90.0  # SQS takes up to a minute to delete a queue (API reference, DeleteQueue)
_EXPIRES = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which alarms and rules to ring, all of them without a name, and how long to wait for what comes of it."""

    names: tuple[str, ...]
    within: timedelta


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What the stack built, and what of it is there."""

    channels: Channels
    expected: frozenset[Ringer]


def listed(site: Site) -> list[Row]:
    """Return what rings in both regions, what was built and is gone too, with why it would not be heard of what it is for."""
    looked = _look(site)
    everything = alarm_tests.named(looked.channels, looked.expected, (), site.project.environment.application.name)
    found = alarm_tests.rows(looked.channels, everything)
    return [replace(row, why=_typed(site, row.why)) for row in found]


def test(site: Site, tell: Teller, agree: Agree, asked: Asked) -> AlarmReport:
    """Ring what is asked for, listen to what comes out of its topics, and set everything back.

    Raises NothingFits for a name that nothing bears, Unreachable where it cannot be looked at, Locked while a drill, a sweep
    or another test is at it; all before anything is sent. CleanUpIncomplete where it failed later, and something of it stays.
    """
    looked = _look(site)
    application = site.project.environment.application.name
    wanted = alarm_tests.named(looked.channels, looked.expected, asked.names, application)
    run = RunId(f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-alarms-{uuid4().hex[:6]}")
    found = alarm_tests.sendable(looked.channels, wanted, run)
    _show(tell, found, looked.channels)
    rung: list[Outcome] = list(found.mute)
    left: list[str] = []
    if found.sendings:
        agree([_asked_of(found.sendings)])
        journal = site.journal(run)
        # What the holder of this lease makes is no leak: nobody sweeps it away while it is listened to.
        with (
            site.drill_lease(run, tell.say).held(),
            _telling(tell, left),
            _listening(site, journal, found.sendings, left) as queues,
        ):
            work = _Work(
                routes=site.alarm_routes(), queues=queues, channels=looked.channels, within=asked.within, tell=tell
            )
            rung += _ring(work, found.sendings, left)
    topics = {arn for sending in found.sendings for arn in sending.topics}
    topics |= {
        one.topic for one in looked.channels.notifiers if one.ringer in wanted and one.topic in looked.channels.topics
    }
    topics |= {topic.arn for topic in looked.channels.topics.values() if topic is not None and not asked.names}
    return AlarmReport(
        run=run,
        rung=tuple(replace(one, why=_typed(site, one.why)) for one in sorted(rung, key=lambda one: one.ringer)),
        checked=tuple(replace(one, why=_typed(site, one.why)) for one in found.checked),
        topics=tuple((arn, _deaf(looked.channels, arn)) for arn in sorted(topics)),
        left=tuple(left),
    )


def _typed(site: Site, why: str) -> str:
    """Return a reason whose command reaches this environment as it stands."""
    env = site.project.env
    return hints.for_environment(why, None if env == hints.DEFAULT else env)


def _deaf(channels: Channels, arn: str) -> str:
    topic = channels.topics[arn]
    return f"there is no topic {arn}" if topic is None else alarm_tests.deaf(arn, topic.subscribers)


def _look(site: Site) -> Looked:
    store = site.stack_store()
    recovery = outputs.recovery(store)
    resources = tuple(state_documents.resources(store.body() or b"").values())
    expected, routes = alarm_tests.built(resources), site.alarm_routes()
    regions = tuple(dict.fromkeys((recovery.region, recovery.dr_region)))
    alarms = tuple(alarm for region in regions for alarm in routes.alarms(region))
    rules = tuple(rule for region in regions for rule in routes.rules(region))
    only_aws = sorted(one for one in expected if one.sort in (Sort.DATABASE_EVENTS, Sort.VAULT_EVENTS))
    notifiers = tuple(found for one in only_aws if (found := routes.notifier(one)) is not None)
    told = [arn for alarm in alarms for arn in alarm.tells]
    told += [target.arn for rule in rules for target in rule.targets]
    told += [notifier.topic for notifier in notifiers]
    arns = dict.fromkeys([*alarm_tests.topics_of(told), *alarm_tests.topics_built(resources)])
    channels = Channels(
        alarms=alarms,
        rules=rules,
        notifiers=notifiers,
        topics={arn: routes.topic(arn) for arn in arns},
        built_to_tell_of=alarm_tests.built_to_tell_of(resources),
        built_as=alarm_tests.built_as(resources),
        shell=site.shell,
    )
    return Looked(channels=channels, expected=expected)


# -- what will be done -------------------------------------------------------------------------------------------------


def _show(tell: Teller, found: Sendable, channels: Channels) -> None:
    for sending in found.sendings:
        does = "set to ALARM and back" if sending.event is None else f"sent a made-up {sending.event.detail_type}"
        tell.say(f"  {sending.ringer.words}: {does}")
    topics = {arn for sending in found.sendings for arn in sending.topics}
    people = {
        one.endpoint
        for arn in topics
        if (topic := channels.topics[arn]) is not None
        for one in topic.subscribers
        if one.confirmed
    }
    if found.sendings:
        tell.say(f"Each message holds the word TEST and says that nothing happened. They go to: {_words(people)}")


def _words(people: set[str]) -> str:
    return ", ".join(sorted(people)) or "nobody"


def _asked_of(sendings: Sequence[Sending]) -> str:
    alarms = sum(sending.event is None for sending in sendings)
    return (
        f"ring {alarms} alarms and {len(sendings) - alarms} event rules: whoever listens gets that many messages,"
        " and those of the alarms once more when they are set back"
    )


# -- listening ---------------------------------------------------------------------------------------------------------


@contextmanager
def _telling(tell: Teller, left: list[str]) -> Iterator[None]:
    """Tell what is `left` of a test that came to no report: nobody else does."""
    try:
        yield
    except LifeboatError as error:
        if not left:
            raise
        raise CleanUpIncomplete("\n".join([error.summary, *left]), hint="lifeboat sweep") from error
    except BaseException:  # it was interrupted, or nobody foresaw it
        for line in left:
            tell.warn(line)
        raise


@contextmanager
def _listening(
    site: Site, journal: Journal, sendings: Sequence[Sending], left: list[str]
) -> Iterator[list[ListeningQueue]]:
    """Give a queue in each region that hears the topics of it; what could not be taken away again is added to `left`.

    Each is written down before it is made: `lifeboat sweep` takes away what a killed test left.
    """
    application = site.project.environment.application
    journal.write(
        EventKind.BEGUN,
        text="alarms test",
        user=run_files.user_name(),
        host=socket.gethostname(),
        machine=machines.machine(),
    )
    made: list[ListeningQueue] = []
    topics = sorted({arn for sending in sendings for arn in sending.topics})
    name = f"{drill_model.prefix(application.name)}{journal.run.rpartition('-')[2]}-alarms"
    tags = _tags(journal.run, application.name)
    try:
        for region in sorted({arn.split(":")[3] for arn in topics}):
            queue = site.listening_queue(region, name)
            journal.write(
                EventKind.NOTE, step="alarms", text=f"makes the queue {name}", **{drill_ledger.MADE: _entry(queue)}
            )
            made.append(queue)
            queue.make([arn for arn in topics if arn.split(":")[3] == region], application.account_id, tags)
        yield made
    finally:
        for queue in reversed(made):
            _remove(queue, journal, left)
        if not left:
            _told(lambda: journal.end("done"), left)


def _tags(run: RunId, application: str) -> dict[str, str]:
    return {
        DrillTag.DRILL: run,
        DrillTag.OF: application,
        DrillTag.EXPIRES: f"{datetime.now(UTC) + _EXPIRES:%Y-%m-%dT%H:%M:%SZ}",
        DrillTag.RUN: run,
    }


def _entry(queue: ListeningQueue) -> dict[str, str]:
    return drill_ledger.entry(Thing(kind=ThingKind.QUEUE.value, id=queue.name, region=queue.region))


def _remove(queue: ListeningQueue, journal: Journal, left: list[str]) -> None:
    def remove() -> None:
        if queue.remove(Patience(seconds=_GONE_SECONDS, tell=lambda _: None)):
            journal.write(
                EventKind.NOTE, step="alarms", text=f"{queue.name} is gone", **{drill_ledger.GONE: _entry(queue)}
            )
        else:
            left.append(f"the queue {queue.name} in {queue.region} is still there: lifeboat sweep")

    _told(remove, left)


def _told(do: Callable[[], object], left: list[str]) -> None:
    """Do one part of the clearing up; that it failed keeps no other part from being done."""
    try:
        do()
    except LifeboatError as error:
        left.append(f"{error.summary}; lifeboat sweep takes away what is left")


# -- ringing -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Work:
    routes: AlarmRoutes
    queues: list[ListeningQueue]
    channels: Channels
    within: timedelta
    tell: Teller


def _ring(work: _Work, sendings: Sequence[Sending], left: list[str]) -> list[Outcome]:
    """Ring each, wait until all have arrived or the time is over, and set the alarms back."""
    sent: dict[str, float] = {}
    outcomes: dict[str, Outcome] = {}
    touched: list[Sending] = []
    try:
        for sending in sendings:
            if sending.event is None:
                touched.append(sending)
            try:
                _send(work.routes, sending)
                sent[sending.token] = elapsed()
            except Unreachable as error:
                outcomes[sending.token] = replace(_outcome(work, sending), why=error.summary, unsure=True)
        arrived = _arrivals(work, [one for one in sendings if one.token in sent], sent)
        for sending in sendings:
            if sending.token in sent:
                outcomes[sending.token] = _judged(work, sending, arrived)
    finally:
        for sending in touched:
            stays = _set_back(work, sending)
            # Of an alarm that could not be set in the first place, its outcome says so.
            if stays and (sending.token in sent or sending.before == "ALARM"):
                left.append(stays)
    return [outcomes[sending.token] for sending in sendings]


def _send(routes: AlarmRoutes, sending: Sending) -> None:
    if sending.event is not None:
        routes.put(sending.event, sending.ringer.region)
        return
    if sending.before == "ALARM":  # an alarm acts when its state changes, and only then
        routes.set_state(sending.ringer, "OK", f"TEST: rung again by {sending.token}")
    routes.set_state(sending.ringer, "ALARM", sending.text)


_Arrived = dict[tuple[str, str], timedelta]


def _arrivals(work: _Work, sendings: Sequence[Sending], sent: dict[str, float]) -> _Arrived:
    """Return after how long each message came, by token and topic; what has not come at half time is rung once more.

    A subscription may take some seconds until it gets messages: what was rung at once can pass it by.
    """
    half, found = work.within / 2, _Arrived()
    hear = partial(_hear, work, sendings, sent)
    hear(found)
    missing = [one for one in sendings if any((one.token, arn) not in found for arn in one.topics)]
    if missing:
        work.tell.say(
            f"{len(missing)} messages have not come after {half.total_seconds():.0f} s; ringing these once more"
        )
    for sending in missing:
        with suppress(Unreachable):  # what did not come is told as that
            _send(work.routes, replace(sending, before="ALARM"))  # which it is by now
    if missing:
        hear(found)
    return found


def _hear(work: _Work, sendings: Sequence[Sending], sent: dict[str, float], found: _Arrived) -> None:
    """Listen until all have come, for half of the time at most, and add what came to `found`."""
    awaited = {(sending.token, arn): sending.mark for sending in sendings for arn in sending.topics}

    def ask() -> tuple[bool | None, str]:
        for heard in [one for queue in work.queues for one in queue.heard()]:
            for token, arn in awaited.keys() - found.keys():
                if arn == heard.topic and awaited[token, arn] in heard.text:
                    found[token, arn] = timedelta(seconds=elapsed() - sent[token])
        return (True if len(found) == len(awaited) else None), f"{len(found)} of {len(awaited)} messages arrived"

    with work.tell.waiting() as show:
        until(Patience(seconds=work.within.total_seconds() / 2, tell=show), ask)


def _judged(work: _Work, sending: Sending, arrived: dict[tuple[str, str], timedelta]) -> Outcome:
    missing = [arn for arn in sending.topics if (sending.token, arn) not in arrived]
    outcome = _outcome(work, sending)
    if not missing:
        return replace(outcome, took=max(arrived[sending.token, arn] for arn in sending.topics))
    said = ""
    if sending.ringer.sort is Sort.ALARM:
        try:
            said = work.routes.refused_action(sending.ringer, sending.token)
        except Unreachable as error:
            said = f"it did not arrive; {error.summary}"
    return replace(outcome, why=said or alarm_tests.lost(sending, work.channels, missing, work.within))


def _outcome(work: _Work, sending: Sending) -> Outcome:
    return Outcome(ringer=sending.ringer, page=alarm_tests.page_of(work.channels, sending.ringer))


def _set_back(work: _Work, sending: Sending) -> str:
    """Set an alarm as it was before, and return why it is not; empty where it is."""
    try:
        work.routes.set_state(sending.ringer, sending.before, f"the TEST {sending.token} is over")
    except LifeboatError as error:
        return f"{error.summary}; CloudWatch sets it back itself when it next looks at its metric"
    return ""
