"""When which generation of the database served: from the journals of recoveries, and from when instances were made.

A generation's backups go on while another one serves, and those of a restored one begin before it does: what a copy holds is
the application's own only in the time in which its generation served.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest

from lifeboat.database_model import Served
from lifeboat.model import Event, EventKind

_EVER = datetime.min.replace(tzinfo=UTC)
_CLOSES = (EventKind.HOLDS, EventKind.DONE)


@dataclass(frozen=True, kw_only=True)
class Switch:
    """A change of the serving instance: `begun` while the one before surely served, `done` when this one surely does.

    `before` None: nobody knows which one it was. `done` None: nobody knows whether, or when, it came to an end.
    """

    instance: str
    before: str | None
    begun: datetime
    done: datetime | None


def served(serving: str, made: Mapping[str, datetime], recoveries: Iterable[Sequence[Event]]) -> tuple[Served, ...]:
    """Return every time of which it is known which instance served, oldest first; no two of them overlap.

    `serving` is the one that Terraform's state names, `made` when each instance was made of which anything is left, and
    `recoveries` are the journals of recoveries. What they do not tell is left out.
    """
    journals = list(recoveries)
    switches = [switch for events in journals for switch in switches_in(events)]
    restored = {name for events in journals if (name := _noted(events, "identifier")) is not None}
    # By the journal of its own: of one that was served by again after a later one was given up, that is not told.
    begun = {switch.instance for switch in switches} & restored
    application = serving.rpartition("-g")[0]
    is_generation = re.compile(re.escape(application) + r"-g[1-9][0-9]{0,3}").fullmatch
    others = {name for name in made if is_generation(name)} - begun - (restored - {serving})
    # The first one is made with the application, or is named by somebody else: nothing of ours served before it.
    first = f"{application}-g1" if is_generation(serving) else serving
    switches.append(Switch(instance=first, before=None, begun=_EVER, done=_EVER))
    surely_served = {serving, *(switch.before for switch in switches)} - restored
    for name in sorted(others - {first}):
        # Where nothing is left of the one before, nobody knows since when that had served.
        before = f"{application}-g{int(name.removeprefix(f'{application}-g')) - 1}"
        done = made[name] if name in surely_served else None
        switches.append(Switch(instance=name, before=before, begun=made[name], done=done))
    if all(switch.instance != serving for switch in switches):
        return ()  # and so nobody knows until when any other one did
    return tuple(_between(sorted(switches, key=lambda one: (one.begun, one.instance)), serving))


def _between(switches: Sequence[Switch], serving: str) -> Iterator[Served]:
    for this, following in zip_longest(switches, switches[1:]):
        if following is None:
            ends, until = this.instance == serving, None
        else:
            ends, until = following.before in (None, this.instance), following.begun
        if ends and this.done is not None and (until is None or this.done < until):
            yield Served(instance=this.instance, since=this.done, until=until)


def switches_in(events: Sequence[Event]) -> list[Switch]:
    """Return the changes of the serving instance in one recovery: to the restored one, and back where it was given up."""
    name, before = _noted(events, "identifier"), _noted(events, "old_identifier")
    steps = [event for event in events if event.step == "adopt"]
    tried = [event.at for event in steps if event.kind is EventKind.INTENT]
    adopted = next((event for event in steps if _holds(event)), None)
    if name is None or (not tried and adopted is None):
        return []
    begun = tried[0] if tried else events[0].at
    if adopted is not None:
        return [Switch(instance=name, before=before, begun=begun, done=_done(events, name, adopted.seq))]
    ended = next((event.at for event in events if event.kind is EventKind.ENDED), None)
    away = Switch(instance=name, before=before, begun=begun, done=None)
    if ended is None or before is None:
        return [away]
    # Giving up is refused while the application's secret leads to the restored one.
    return [away, Switch(instance=before, before=name, begun=ended, done=ended)]


def _holds(event: Event) -> bool:
    return event.kind in _CLOSES or (event.kind is EventKind.RESULT and "error" not in event.data)


def _done(events: Sequence[Event], name: str, adopted: int) -> datetime | None:
    """Return when the application was started anew for an instance that was adopted; where it was not, when it answered."""
    later = [event for event in events if event.seq > adopted]
    started = [event.at for event in later if event.data.get("restarted_for") == name]
    answered = [event.at for event in later if event.step == "answers" and event.kind in _CLOSES]
    return next(iter([*started, *answered]), None)


def _noted(events: Iterable[Event], fact: str) -> str | None:
    """Return what was noted under a name when the copy was chosen."""
    noted = (event.data[fact] for event in events if event.kind is EventKind.NOTE and fact in event.data)
    return next((str(value) for value in noted if value is not None), None)


def at(moment: datetime, known: Iterable[Served]) -> Served | None:
    """Return the time that a moment lies in; None where nobody knows which instance served then."""
    return next((one for one in known if one.holds(moment)), None)


def written_until(instance: str, moment: datetime, known: Iterable[Served]) -> datetime | None:
    """Return until when the application surely wrote to an instance, of all that this one holds at a moment.

    None where nobody knows, and where it had not served before.
    """
    before = [one for one in known if one.instance == instance and one.since <= moment]
    last = max(before, key=lambda one: one.since, default=None)
    if last is None:
        return None
    return moment if last.until is None else min(moment, last.until)


def now(known: Collection[Served]) -> Served | None:
    """Return the time that has not ended; None where nobody knows since when the serving instance does."""
    return next((one for one in known if one.until is None), None)


def settled(recoveries: Sequence[Sequence[Event]], moment: datetime | None) -> bool:
    """Return whether the newest recoveries tell which instance served at a moment (None: now): older ones need not be read.

    One that was given up does not: since when the instance that served on did so, an older one tells.
    """
    switches = [switch for events in recoveries for switch in switches_in(events)[:1]]
    return any(switch.done is not None and (moment is None or switch.begun <= moment) for switch in switches)
