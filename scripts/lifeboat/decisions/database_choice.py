"""Which copy of the database a recovery restores, what is lost with each, how long it takes, and why the others lose.

`latest` is never an answer to a time that no copy reaches: that is refused with the window.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lifeboat.database_model import CopyCandidate, PointKind, RecoveryPoint, RestoreRate, WantedCopy
from lifeboat.decisions.durations import said
from lifeboat.errors import NothingFits, WrongConfiguration
from lifeboat.model import Choice, Judged

_RESTORABLE = ("available", "completed")


@dataclass(frozen=True, kw_only=True)
class Choosing:
    """A choice among copies: the candidate that is taken, why, and each other copy with why not."""

    choice: Choice[CopyCandidate]
    others: tuple[tuple[RecoveryPoint, str], ...]


def require_time(to: datetime | None, *, now: datetime) -> None:
    """Raise WrongConfiguration for a moment that is to come: nobody can know its data."""
    if to is not None and to > now:
        raise WrongConfiguration(
            f"--to {_moment(to)} is in the future (it is {_moment(now)})",
            hint="write a moment just before the damage, such as --to 2026-03-01T03:12:00Z, or --to latest",
        )


def choose(points: Iterable[RecoveryPoint], wanted: WantedCopy, rate: RestoreRate) -> Choosing:
    """Return the copy with the least loss, of those equal the one that was proven; every other one with why it loses.

    Raises WrongConfiguration where a copy is named that there is none of.
    """
    every = sorted(points, key=lambda point: (point.taken_at, point.id), reverse=True)
    if wanted.named is not None and all(point.id != wanted.named for point in every):
        raise NothingFits(
            f"there is no copy {wanted.named} of this database",
            hint="lifeboat plan-recovery lists those that there are",
        )
    refused: list[tuple[RecoveryPoint, str]] = []
    fits: list[CopyCandidate] = []
    for point in every:
        why = _unusable(point, wanted)
        if why is None:
            fits.append(candidate(point, wanted, rate))
        else:
            refused.append((point, why))
    if not fits:
        return Choosing(choice=Choice(chosen=None, why=_nothing(every, wanted), rejected=()), others=tuple(refused))
    best = min(fits, key=lambda one: (one.loss, _order(one.point, wanted), -one.to.timestamp()))
    rejected = tuple(Judged(what=one, why=_loses(one, best)) for one in fits if one is not best)
    others = (*((one.what.point, one.why) for one in rejected), *refused)
    return Choosing(choice=Choice(chosen=best, why=_why(best, wanted), rejected=rejected), others=others)


def require(found: Choosing, points: Iterable[RecoveryPoint], wanted: WantedCopy, *, env: str) -> CopyCandidate:
    """Return what was chosen; raises NothingFits with the windows and the next command where nothing was."""
    if found.choice.chosen is not None:
        return found.choice.chosen
    hint = f"lifeboat plan-recovery -e {env} lists every copy and why it does not fit"
    nearest = _nearest(points, wanted)
    if nearest is not None:
        hint = f"lifeboat recover --scope database --to {_moment(nearest)} -e {env}, or {hint}"
    raise NothingFits(found.choice.why, hint=hint)


def candidate(point: RecoveryPoint, wanted: WantedCopy, rate: RestoreRate) -> CopyCandidate:
    """Return a copy with the moment of it that would be restored, and what that costs."""
    to = point.taken_at
    if point.kind is PointKind.POINT_IN_TIME and wanted.to is not None:
        # Of one that does not reach it, its nearest end.
        to = max(min(whole(wanted.to), point.taken_at), point.earliest or point.taken_at)
    takes, why = predicted(point, rate)
    needs = [f"one more instance beside {wanted.serving}"]
    if point.key is not None:
        needs.append(f"the key {point.key}")
    return CopyCandidate(
        point=point,
        to=to,
        loss=max(wanted.failed_at - to, timedelta(0)),
        takes=takes,
        takes_why=why,
        needs=tuple(needs),
    )


def predicted(point: RecoveryPoint, rate: RestoreRate) -> tuple[timedelta | None, str]:
    """Return how long a restore takes and how that is known: its storage over the rate of own restores, else their median."""
    if rate.bytes_per_second and point.size:
        seconds = point.size / rate.bytes_per_second
        speed = rate.bytes_per_second / 1_000_000
        return timedelta(
            seconds=seconds
        ), f"its storage over {speed:.0f} MB/s, measured in restores of this environment"
    if rate.whole is not None:
        return rate.whole, "the median of this environment's own restores"
    return None, "no restore of this environment was measured yet"


def whole(moment: datetime) -> datetime:
    """Return the whole second that RDS restores to (API reference): never one after the moment that was asked for."""
    return moment.replace(microsecond=0)


def _unusable(point: RecoveryPoint, wanted: WantedCopy) -> str | None:
    named = wanted.named == point.id
    if wanted.named is not None and not named:
        return f"{wanted.named} was asked for"
    if point.status not in _RESTORABLE:
        return f"its status is {point.status}"
    if point.kind is PointKind.DUMP:
        return "a dump is restored into a database that is there, by lifeboat restore"
    if point.region != wanted.region:
        return f"it lies in {point.region}, and the application runs in {wanted.region}"
    if point.key != wanted.key:
        return f"it is encrypted with {point.key or 'no key'}: Terraform could not adopt what is restored from it"
    return _of_another_time(point, wanted)


def _of_another_time(point: RecoveryPoint, wanted: WantedCopy) -> str | None:
    windowed = point.kind is PointKind.POINT_IN_TIME
    if wanted.to is None:
        # What an older generation holds is not what the application wrote last.
        if point.source != wanted.serving and wanted.named is None:
            return f"it is of {point.source}, which does not serve any more; --to or --from takes it"
        return None
    # An older generation's window goes on while another one serves, with nothing of what that one was given.
    since = wanted.serving_since
    if point.source != wanted.serving and wanted.named is None and since is not None and wanted.to >= since:
        return f"it is of {point.source}, and {wanted.serving} is there since {_moment(since)}; --from takes it"
    if windowed and whole(wanted.to) > point.taken_at:
        return f"its window ends at {_moment(point.taken_at)}"
    if windowed and point.earliest is not None and whole(wanted.to) < point.earliest:
        return f"its window begins at {_moment(point.earliest)}"
    if not windowed and wanted.named is None:
        return "it holds one moment only, and another one was asked for; --from takes it"
    if not windowed and point.taken_at > wanted.to:
        return f"it was taken after {_moment(wanted.to)}"
    return None


def _order(point: RecoveryPoint, wanted: WantedCopy) -> tuple[bool, bool, int]:
    """Return what decides between copies of the same loss: the serving instance's, a window, one that was proven."""
    proven = -(point.proven.level if point.proven else 0)
    return point.source != wanted.serving, point.kind is not PointKind.POINT_IN_TIME, proven


def _why(best: CopyCandidate, wanted: WantedCopy) -> str:
    if wanted.named is not None:
        return "it was asked for"
    if wanted.to is not None:
        return f"its window holds {_moment(best.to)}"
    return f"of all usable copies it loses least: {said(best.loss)}" if best.loss else "nothing is lost with it"


def _loses(one: CopyCandidate, best: CopyCandidate) -> str:
    if one.loss > best.loss:
        return f"it loses {said(one.loss - best.loss)} more than {best.point.id}"
    if one.point.source != best.point.source:
        return f"it is of {one.point.source}; {best.point.id} holds the same moment"
    return f"{best.point.id} loses no more"


def _nothing(points: Sequence[RecoveryPoint], wanted: WantedCopy) -> str:
    if not points:
        return f"there is no copy of {wanted.serving}"
    if wanted.named is not None:
        reasons = [_unusable(point, wanted) for point in points if point.id == wanted.named]
        return f"{wanted.named} cannot be restored: {reasons[0]}"
    if wanted.to is None:
        return f"no copy of {wanted.serving} can be restored"
    windows = [point for point in points if point.kind is PointKind.POINT_IN_TIME and point.region == wanted.region]
    shown = "; ".join(
        f"{point.source} can be restored to any second from {_moment(point.earliest)} to {_moment(point.taken_at)}"
        for point in windows
        if point.earliest is not None
    )
    return f"{_moment(wanted.to)} is outside every window: {shown or 'there is none'}"


def _nearest(points: Iterable[RecoveryPoint], wanted: WantedCopy) -> datetime | None:
    """Return the moment nearest to the one that was asked for that a usable window reaches."""
    if wanted.to is None or wanted.named is not None:
        return None
    ends = [
        end
        for point in points
        if point.kind is PointKind.POINT_IN_TIME and point.region == wanted.region and point.status in _RESTORABLE
        for end in (point.earliest, point.taken_at)
        if end is not None
    ]
    at = wanted.to
    return min(ends, key=lambda end: abs(end - at), default=None)


def _moment(moment: datetime | None) -> str:
    return "?" if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"
