"""What a recovery decides before it acts: when the failure was, what the recovery file says, which instances are left over."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lifeboat.decisions import runs
from lifeboat.errors import IntegrityFailure, WrongConfiguration
from lifeboat.model import (
    LOSING,
    Address,
    CountedFrom,
    Event,
    EventKind,
    Failure,
    ImageId,
    Instance,
    InstanceId,
    Plan,
    RunId,
    RunState,
)

# An older good answer says when somebody looked last, not when the application failed.
RECENT = timedelta(minutes=15)
INSTANCE = Address("module.app_instance.aws_instance.this")
_AMI = "ami_id"
TAKEN_OUT = "taken_out"  # where a recovery that is given up was taken out of the file


def failure(asked: datetime | None, *, now: datetime, answer: str, last_good: datetime | None) -> Failure:
    """Return when the application failed, and why that is taken for it; the clock of the recovery starts there.

    `answer` is what its health check answers where that is well, "" where it is not: that does not say that its users get
    what they ask for. Raises WrongConfiguration for a time in the future: nothing that is measured from it would be true.
    """
    require_past(asked, now=now)
    if asked is not None:
        return Failure(at=asked, why="the operator said so", counted_from=CountedFrom.DECLARED)
    if answer:
        why = f"nobody said when it failed, and its health check answers: {answer}"
        return Failure(at=now, why=why, counted_from=CountedFrom.START)
    if last_good is not None and now - RECENT <= last_good <= now:
        why = "nobody said when it failed, and its health check has not answered to lifeboat since"
        return Failure(at=last_good, why=why, counted_from=CountedFrom.LAST_SEEN)
    why = "nobody said when it failed, and lifeboat did not see it well in the last 15 minutes"
    return Failure(at=now, why=why, counted_from=CountedFrom.START)


def require_past(asked: datetime | None, *, now: datetime) -> None:
    """Raise WrongConfiguration where the failure that somebody names is to come."""
    if asked is not None and asked > now:
        raise WrongConfiguration(
            f"--failed-at {asked:%Y-%m-%dT%H:%M:%SZ} is in the future (it is {now:%Y-%m-%dT%H:%M:%SZ})",
            hint="write when it failed, such as --failed-at 2026-03-01T03:12:00Z",
        )


def recovery_file(text: str | None, image: ImageId, configured: ImageId | None) -> str | None:
    """Return what the recovery file must hold so that every later apply keeps this image; None when no file is needed.

    What an earlier recovery chose beside the image stays. Raises IntegrityFailure when the file is not what we write.
    """
    document = {} if text is None else readable(text)
    # Where the committed files name the image already, a second place that names it could only disagree later.
    wanted = {key: value for key, value in document.items() if key != _AMI}
    if image != configured:
        wanted[_AMI] = image
    return json.dumps(wanted, indent=2, sort_keys=True) + "\n" if wanted else None


def readable(text: str) -> dict[str, Any]:
    """Return what a recovery file holds; raises IntegrityFailure where it is not what we write."""
    hint = "look at it; git log shows what it was"
    try:
        document = json.loads(text)
    except ValueError as error:
        raise IntegrityFailure(f"the recovery file is not JSON: {error}", hint=hint) from None
    if not isinstance(document, dict):
        raise IntegrityFailure("the recovery file is no JSON object", hint=hint)
    return document


def image_before(events: Iterable[Event]) -> ImageId | None:
    """Return the image that the recovery file named before a recovery first wrote it; None when it named none."""
    wrote = (event for event in events if event.kind is EventKind.INTENT and event.step == "file")
    return next((image_in(event.data.get("before")) for event in wrote), None)


def with_image(text: str | None, image: ImageId | None) -> str | None:
    """Return a recovery file that names this image, or none, instead of its own; None when nothing is left in it."""
    document = json.loads(text or "{}")
    left = {key: value for key, value in document.items() if key != _AMI} | ({} if image is None else {_AMI: image})
    return json.dumps(left, indent=2, sort_keys=True) + "\n" if left else None


def image_in(text: str | None) -> ImageId | None:
    """Return the image that a recovery file names; None when it names none, or there is no file."""
    try:
        document = json.loads(text or "{}")
    except ValueError:
        return None
    found = document.get(_AMI) if isinstance(document, dict) else None
    return ImageId(found) if isinstance(found, str) else None


def left_over(
    alive: Iterable[Instance], *, recorded: Collection[InstanceId], image: ImageId, since: datetime
) -> list[Instance]:
    """Return the instances that an attempt at this recovery launched and that Terraform's state does not know.

    While a recovery holds the environment nobody else launches there; `since` is when its first attempt began.
    """
    return [
        instance
        for instance in alive
        if instance.id not in recorded and instance.image == image and instance.launched_at >= since
    ]


def replaces_instance(plan: Plan) -> bool:
    """Return whether a plan takes the application's instance away, or another one into its place."""
    return any(change.address == INSTANCE and change.action in LOSING for change in plan.changes)


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A recovery and its journal."""

    run: RunId
    events: Sequence[Event]


@dataclass(frozen=True, kw_only=True)
class Launched:
    """The recovery that launched what runs: from which image, and on which machine it was carried out."""

    run: RunId
    image: ImageId
    host: str
    before: ImageId | None  # which image the recovery file named until then


def launched(newest_first: Iterator[Recorded], *, running: ImageId) -> Launched | None:
    """Return the newest recovery that launched an instance from the image that runs; None without one.

    A newer one may have been given up before its own image ran. What is older is left in the iterator.
    """
    for one in newest_first:
        applied = any(event.kind is EventKind.INTENT and event.step == "instance" for event in one.events)
        if runs.state(one.events) is RunState.IDLE or not applied:
            continue
        if chosen(one.events) == running:
            began = [event for event in one.events if event.kind is EventKind.BEGUN]
            return Launched(
                run=one.run, image=running, host=str(began[-1].data["host"]), before=image_before(one.events)
            )
    return None


def wrote_generations(events: Sequence[Event]) -> list[str]:
    """Return the machines on which a recovery wrote the database's generations into a recovery file, the last one last."""
    hosts: dict[str, None] = {}
    at = ""
    for event in events:
        if event.kind is EventKind.BEGUN:
            at = str(event.data["host"])
        elif event.kind is EventKind.INTENT and "generation" in event.data:
            hosts.pop(at, None)
            hosts[at] = None
    return list(hosts)


def taken_out(events: Iterable[Event]) -> set[str]:
    """Return the machines on which what was not adopted was taken out of a recovery file again."""
    return {str(event.data[TAKEN_OUT]) for event in events if TAKEN_OUT in event.data}


def is_older(image: ImageId, launch: Launched, older: Iterable[Recorded]) -> bool:
    """Return whether an image was that of the recovery file before a recovery, or of a recovery before it."""
    return image == launch.before or any(chosen(one.events) == image for one in older)


def chosen(events: Sequence[Event]) -> ImageId | None:
    """Return the image that a recovery decided on; None before it has."""
    noted = (event.data["image"] for event in reversed(events) if event.step == "image" and "image" in event.data)
    return next(map(ImageId, noted), None)


def ordered_at(events: Sequence[Event]) -> datetime | None:
    """Return when the instance was last ordered of RDS; None before that."""
    return next((event.at for event in reversed(events) if _orders(event)), None)


def since_ordered(events: Sequence[Event]) -> Sequence[Event]:
    """Return what was written since then: of an instance that is made anew nothing holds that held of the one before."""
    last = max((number for number, event in enumerate(events) if _orders(event)), default=-1)
    return events[last + 1 :]


def _orders(event: Event) -> bool:
    return event.step == "restore" and event.kind is EventKind.INTENT


def is_ours(events: Sequence[Event]) -> bool:
    """Return whether a recovery has found the instance that was ordered last to be its own: an adoption takes the mark off."""
    held = (EventKind.HOLDS, EventKind.DONE)
    return any(event.step == "restore" and event.kind in held for event in since_ordered(events))


def is_filled(events: Sequence[Event]) -> bool:
    """Return whether a dump was restored into the instance that was ordered last."""
    return any(event.step == "fill" and "filled" in event.data for event in since_ordered(events))


def is_proven(events: Sequence[Event]) -> bool:
    """Return whether it was written down what the instance holds that was ordered last."""
    return any(event.step == "proof" and "tables" in event.data for event in since_ordered(events))


def is_adopting(events: Sequence[Event]) -> bool:
    """Return whether an apply that adopts was begun, and nobody knows that it got through."""
    return next(
        (
            event.kind is EventKind.INTENT or "error" in event.data
            for event in reversed(events)
            if event.step == "adopt" and event.kind in (EventKind.INTENT, EventKind.RESULT)
        ),
        False,
    )


def started_anew(events: Sequence[Event], *, database: str, instance: str) -> datetime | None:
    """Return when the application was first started on an instance since its secret names a database; None before that.

    By a restart for that database, or by a deployment once it was adopted: what was deployed before has read the old secret.
    """
    number = _started(events, database=database, instance=instance)
    return None if number is None else events[number].at


def ordered_anew(events: Sequence[Event], *, database: str, instance: str) -> datetime | None:
    """Return when that start was first ordered; None where it was not started.

    By the time that it is written down as started the application was waited for, and has connected to its database.
    """
    number = _started(events, database=database, instance=instance)
    if number is None:
        return None
    adopted = max((before for before, event in enumerate(events[:number]) if _carries_out(event)), default=0)
    orders = (
        event.at
        for event in events[adopted:number]
        if event.kind is EventKind.INTENT and event.step == events[number].step
    )
    return next(orders, events[number].at)


def _started(events: Sequence[Event], *, database: str, instance: str) -> int | None:
    adopted = max((number for number, event in enumerate(events) if _carries_out(event)), default=None)
    notes = ((number, event) for number, event in enumerate(events) if event.kind is EventKind.NOTE)
    for number, event in notes:
        deployed = event.data.get("deployed_to") == instance and adopted is not None and number > adopted
        if deployed or event.data.get("restarted_for") == database:
            return number
    return None


def _carries_out(event: Event) -> bool:
    return event.step == "adopt" and event.kind is EventKind.INTENT


def again(asked: Mapping[str, str | None], flags: Sequence[str], *, run: RunId | None, env: str) -> str:
    """Return the command that asks for the same recovery once more with more flags: a new one, or one that is open."""
    if run is not None:
        return " ".join(["lifeboat resume", run, "-e", env, *flags])
    said = [part for option, value in asked.items() if value is not None for part in (option, value) if part]
    return " ".join(["lifeboat recover -e", env, *said, *flags])
