"""Which copy of the database a recovery restores, what is lost with each, how long it takes, and why the others lose.

`latest` is never an answer to a time that no copy reaches: that is refused with the window. A dump holds no roles and no
settings of the server, so it is taken where it is named, or where RDS has nothing left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lifeboat.database_model import (
    LATEST_DUMP,
    CopyCandidate,
    PointKind,
    RecoveryPoint,
    RestoreRate,
    Served,
    Unseen,
    WantedCopy,
    dump_begun_at,
)
from lifeboat.decisions import service_times
from lifeboat.decisions.durations import said
from lifeboat.errors import NothingFits, WrongConfiguration
from lifeboat.model import Choice, Judged

# A dump of 1 GB of rows, 0.33 GB as it is stored, was restored in 18.7 s: measured on two cores, the server's among them.
MEASURED_DUMP_RATE = 0.33e9 / 18.7
_SHOWN = 3  # newer dumps that were passed over; plan-recovery lists them all
# RDS restores from those points of AWS Backup that are snapshots of its own.
_RDS_BACKUP = "awsbackup:"
# What lists copies; the rest tells more of those that are listed.
_LISTS_DUMPS = "s3:ListBucketVersions"
_LISTS = {
    "rds:DescribeDBSnapshots",
    "rds:DescribeDBInstanceAutomatedBackups",
    "backup:ListRecoveryPointsByBackupVault",
}


@dataclass(frozen=True, kw_only=True)
class Choosing:
    """A choice among copies: the candidate that is taken, why, and each other copy with why not.

    `hidden` is where a copy may be that nobody could look at, and that might have been taken instead.
    """

    choice: Choice[CopyCandidate]
    others: tuple[tuple[RecoveryPoint, str], ...]
    hidden: tuple[Unseen, ...] = ()


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
    if wanted.named is not None and not any(is_named(point, wanted) for point in every):
        what = "dump" if wanted.named == LATEST_DUMP else f"copy {wanted.named}"
        raise NothingFits(
            f"there is no {what} of this database", hint="lifeboat plan-recovery lists the copies that there are"
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
        return Choosing(choice=nothing(_nothing(every, wanted)), others=tuple(refused))
    best = min(fits, key=lambda one: (_is_dump(one.point), _most(one), _order(one.point, wanted), -one.to.timestamp()))
    rejected = tuple(Judged(what=one, why=_loses(one, best)) for one in fits if one is not best)
    others = (*((one.what.point, one.why) for one in rejected), *refused)
    why = f"{_why(best, wanted)}{_passed_over(best, refused)}"
    return Choosing(choice=Choice(chosen=best, why=why, rejected=rejected), others=others)


def _most(one: CopyCandidate) -> timedelta:
    """Return what is lost at most with a copy: where nobody knows, all of it."""
    return timedelta.max if one.loss is None else one.loss


def nothing(why: str) -> Choice[CopyCandidate]:
    """Return the choice of no copy, and why."""
    return Choice(chosen=None, why=why, rejected=())


def hidden(unseen: Iterable[Unseen], found: Choosing, wanted: WantedCopy) -> tuple[Unseen, ...]:
    """Return which places that nobody could look at may hold a copy that would be taken instead of the chosen one."""
    best, named = found.choice.chosen, wanted.named
    if best is not None and (named == best.point.id or wanted.to is not None):
        return ()
    named_dump = named is not None and (named == LATEST_DUMP or dump_begun_at(named) is not None)
    # What RDS has comes before any dump.
    dumps = named_dump or (named is None and (best is None or _is_dump(best.point)))
    return tuple(
        one
        for one in unseen
        if (one.call == _LISTS_DUMPS and dumps)
        or (one.call in _LISTS and one.region == wanted.region and not named_dump)
    )


def blind_spots(unseen: Iterable[Unseen]) -> str:
    """Return in a line what could not be looked at."""
    return "; ".join(f"{one.what} in {one.region} ({one.call}): {one.why}" for one in unseen)


def require(found: Choosing, points: Iterable[RecoveryPoint], wanted: WantedCopy, *, env: str) -> CopyCandidate:
    """Return what was chosen; raises NothingFits with the windows and the next command where nothing was."""
    if found.choice.chosen is not None:
        return found.choice.chosen
    hint = f"lifeboat plan-recovery -e {env} lists every copy and why it does not fit"
    nearest = _nearest(points, wanted)
    if nearest is not None:
        later = wanted.to is not None and nearest > wanted.to
        though = " (later than was asked: what was done until then is in it)" if later else ""
        hint = f"lifeboat recover --scope database --to {_moment(nearest)} -e {env}{though}, or {hint}"
    raise NothingFits(found.choice.why, hint=hint)


def candidate(point: RecoveryPoint, wanted: WantedCopy, rate: RestoreRate) -> CopyCandidate:
    """Return a copy with the moment of it that would be restored, and what that costs."""
    to = point.taken_at
    if point.kind is PointKind.POINT_IN_TIME:
        # Of one that does not reach it, its nearest end; the latest one is a moment too, else RDS takes what is latest later.
        asked = point.taken_at if wanted.to is None else wanted.to
        to = max(min(whole(asked), point.taken_at), point.earliest or point.taken_at)
    written_until, warning = _written(point, to, wanted)
    takes, why = predicted(point, rate)
    needs = [f"one more instance beside {wanted.serving}"]
    if _is_dump(point):
        needs.append("pg_restore of the instance's major version on this machine")
    elif point.key is not None:
        needs.append(f"the key {point.key}")
    return CopyCandidate(
        point=point,
        to=to,
        loss=None if written_until is None else max(wanted.failed_at - written_until, timedelta(0)),
        after=max((written_until or to) - wanted.failed_at, timedelta(0)),
        takes=takes,
        takes_why=why,
        needs=tuple(needs),
        warning=warning,
    )


def _written(point: RecoveryPoint, to: datetime, wanted: WantedCopy) -> tuple[datetime | None, str]:
    """Return until when the application wrote what a copy holds at a moment (None: nobody knows), and a word of warning.

    An older generation's window goes on for as long as its instance is there, and what was written to the one that took over
    is not in it.
    """
    name, serving = point.database, wanted.serving
    if _is_dump(point) or _is_of_bucket(point) or name == serving:
        return to, ""
    until = service_times.written_until(name, to, wanted.served)
    if until is None:
        return None, f"{name} does not serve, and nobody knows whether and until when it had served by {_moment(to)}"
    if until < to:
        return until, (
            f"{name} has not served since {_moment(until)}: what was written to the generation that took over, {serving}"
            " last, is not in it"
        )
    return until, ""


def lost(one: CopyCandidate) -> str:
    """Return in words what is lost with a copy; of one from after the failure, that whatever was done until then is in it."""
    if one.loss is None:
        return "unknown"
    if one.loss:
        return said(one.loss)
    # Of a dump the moment is what it calls itself: S3 and its manifest are asked before it is restored.
    by = " by its date" if _is_dump(one.point) else ""
    return (
        f"nothing{by}, and what was done in the {said(one.after)} after the failure is in it"
        if one.after
        else "nothing"
    )


def predicted(point: RecoveryPoint, rate: RestoreRate) -> tuple[timedelta | None, str]:
    """Return how long a restore takes and how that is known: its bytes over the rate of own restores, else their median.

    A dump that none was restored of before: its stored bytes over a rate that was measured elsewhere.
    """
    if _is_dump(point):
        return _predicted_of_dump(point, rate)
    if rate.bytes_per_second and point.size:
        seconds = point.size / rate.bytes_per_second
        speed = rate.bytes_per_second / 1_000_000
        return timedelta(
            seconds=seconds
        ), f"its storage over {speed:.0f} MB/s, measured in restores of this environment"
    if rate.whole is not None:
        return rate.whole, "the median of this environment's own restores"
    return None, rate.cut_off or "no restore of this environment was measured yet"


def _predicted_of_dump(point: RecoveryPoint, rate: RestoreRate) -> tuple[timedelta | None, str]:
    if point.size is None:
        return None, "nobody knows its size"
    speed = rate.of_dumps or MEASURED_DUMP_RATE
    measured = (
        "measured in restores of dumps of this environment, the making of the instance included"
        if rate.of_dumps
        else "measured with 1 GB on two cores; the making of the instance comes on top"
    )
    return timedelta(seconds=point.size / speed), f"its stored bytes over {speed / 1_000_000:.0f} MB/s, {measured}"


def whole(moment: datetime) -> datetime:
    """Return the whole second that RDS restores to (API reference): never one after the moment that was asked for."""
    return moment.replace(microsecond=0)


def _unusable(point: RecoveryPoint, wanted: WantedCopy) -> str | None:
    if wanted.named is not None and not is_named(point, wanted):
        return "the newest dump was asked for" if wanted.named == LATEST_DUMP else f"{wanted.named} was asked for"
    if not point.restorable:
        return f"its status is {point.status}"
    if point.unfit:
        return "; ".join(point.unfit)
    if _is_dump(point):
        if point.database != wanted.database:
            return f"it is of the database {point.database}, and the application uses {wanted.database}"
        return _in_doubt(point, wanted) or _of_another_time(point, wanted)
    if point.kind is PointKind.BACKUP_POINT and not point.id.startswith(_RDS_BACKUP):
        return "only AWS Backup restores it: aws backup start-restore-job"
    if point.region != wanted.region:
        return f"it lies in {point.region}, and the application runs in {wanted.region}"
    if point.key != wanted.key:
        return f"it is encrypted with {point.key or 'no key'}: Terraform could not adopt what is restored from it"
    return _in_doubt(point, wanted) or _of_another_time(point, wanted)


def _is_dump(point: RecoveryPoint) -> bool:
    return point.kind is PointKind.DUMP


def _is_of_bucket(point: RecoveryPoint) -> bool:
    """Return whether a recovery point of AWS Backup is of the bucket of dumps, and so of no instance."""
    return ":s3:" in point.source


def is_named(point: RecoveryPoint, wanted: WantedCopy) -> bool:
    """Return whether a copy is the one that is asked for by its id, or one of the dumps of which the newest is."""
    return wanted.named == point.id or (wanted.named == LATEST_DUMP and _is_dump(point))


def _in_doubt(point: RecoveryPoint, wanted: WantedCopy) -> str | None:
    """Return which check a copy failed; None where it is named by whoever knows that."""
    if not point.doubts or (wanted.accepted and wanted.named == point.id):
        return None
    return f"{'; '.join(point.doubts)}; --from with --accept-flagged takes it"


def _of_another_time(point: RecoveryPoint, wanted: WantedCopy) -> str | None:
    windowed = point.kind is PointKind.POINT_IN_TIME
    if _is_dump(point):
        return _dump_of_another_time(point, wanted)
    if wanted.to is None:
        # What an older generation holds is not what the application wrote last.
        if point.database != wanted.serving and wanted.named is None:
            return f"it is of {point.database}, which does not serve any more; --to or --from takes it"
        return None
    why = _not_serving(point, wanted) if wanted.named is None else None
    if why is not None:
        return why
    if windowed and whole(wanted.to) > point.taken_at:
        return f"its window ends at {_moment(point.taken_at)}"
    if windowed and point.earliest is not None and whole(wanted.to) < point.earliest:
        return f"its window begins at {_moment(point.earliest)}"
    if not windowed and wanted.named is None:
        return "it holds one moment only, and another one was asked for; --from takes it"
    if not windowed and point.taken_at > wanted.to:
        return f"it was taken after {_moment(wanted.to)}"
    return None


def _not_serving(point: RecoveryPoint, wanted: WantedCopy) -> str | None:
    """Return why a copy of a generation does not hold what the application had at the moment that is asked for.

    An older generation's window goes on while another one serves, and a restored one's begins before it does.
    """
    if wanted.to is None:
        return None
    then = service_times.at(whole(wanted.to), wanted.served)
    if then is None:
        return f"nobody knows whether {point.database} served at {_moment(wanted.to)}; --from takes it"
    if then.instance == point.database:
        return None
    return f"it is of {point.database}, and {then.instance} served at {_moment(wanted.to)}; --from takes it"


def _dump_of_another_time(point: RecoveryPoint, wanted: WantedCopy) -> str | None:
    """Return why a dump is of another time than the one that is asked for; it does not say which generation it is of."""
    if wanted.to is not None and point.taken_at > wanted.to:
        return f"it was taken after {_moment(wanted.to)}"
    if wanted.named == point.id:
        return None
    if wanted.to is not None and wanted.named is None:
        return "it holds one moment only, and another one was asked for; --from takes it"
    served = wanted.served
    then = service_times.now(served) if wanted.to is None else service_times.at(wanted.to, served)
    if then is None:
        when = (
            f"since when {wanted.serving} serves" if wanted.to is None else f"which one served at {_moment(wanted.to)}"
        )
        return f"nobody knows {when}, and so of which generation it is; --from with its id takes it"
    if not any(one.holds(point.taken_at) for one in served if one.instance == then.instance):
        return f"it was taken before {then.instance} served, since {_moment(then.since)}; --from with its id takes it"
    return None


def _order(point: RecoveryPoint, wanted: WantedCopy) -> tuple[bool, int, bool]:
    """Return what decides between copies of the same loss: a window comes first, then a proven one, then a near one."""
    proven = -(point.proven.level if point.proven else 0)
    return point.kind is not PointKind.POINT_IN_TIME, proven, point.region != wanted.region


def _why(best: CopyCandidate, wanted: WantedCopy) -> str:
    if wanted.named == LATEST_DUMP:
        return "it is the newest dump that nothing speaks against"
    if wanted.named is not None:
        return "it was asked for"
    if _is_dump(best.point):
        return f"RDS has no copy that fits, and of all dumps it loses least: {lost(best)}"
    if wanted.to is not None:
        return f"its window holds {_moment(best.to)}"
    if best.loss != timedelta(0):
        return f"of all copies of RDS it loses least: {lost(best)}"
    if best.after:
        return f"nothing is lost with it, and it holds what was done in the {said(best.after)} after the failure"
    return "nothing is lost with it"


def _passed_over(best: CopyCandidate, refused: Iterable[tuple[RecoveryPoint, str]]) -> str:
    """Return which newer dumps were passed over for a dump that was not named, and why; nothing where there are none."""
    found = {
        point.id: why
        for point, why in refused
        if _is_dump(best.point)
        and (point.kind, point.database) == (best.point.kind, best.point.database)
        and point.taken_at > best.point.taken_at
        and (point.doubts or point.unfit or not point.restorable)
    }
    shown = [f"{name} ({why})" for name, why in list(found.items())[:_SHOWN]]
    more = [f"{len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return f"; newer ones were passed over: {', '.join([*shown, *more])}" if shown else ""


def is_from_after(as_of: datetime, wanted: WantedCopy, declared: datetime | None) -> bool:
    """Return whether a copy that nobody asked for by moment or name is from after the failure that was declared.

    Whatever broke the data at that time is in it then.
    """
    return declared is not None and as_of > declared and wanted.to is None and wanted.named is None


def require_reached(points: Iterable[RecoveryPoint], wanted: WantedCopy, declared: datetime | None) -> None:
    """Raise NothingFits where nobody asked for a copy by moment or name, and none holds data from before the failure."""
    if declared is None or wanted.to is not None or wanted.named is not None:
        return
    firsts = [point.earliest or point.taken_at for point in points if _unusable(point, wanted) is None]
    if firsts and min(firsts) > declared:
        raise NothingFits(
            f"no copy is from before the failure at {_moment(declared)}: the oldest that could be restored is of"
            f" {_moment(min(firsts))}, and whatever broke the data at that time is in all of them",
            hint="is --failed-at right? with --from COPY a recovery takes one all the same",
        )


def _loses(one: CopyCandidate, best: CopyCandidate) -> str:
    if _is_dump(one.point) and not _is_dump(best.point):
        less = _most(best) - _most(one)
        costs = f"{said(less)} less would be lost with it, and" if less > timedelta(0) else "it loses no less, and"
        return f"{costs} no dump holds roles and settings; --from takes it"
    if one.loss is None and best.loss is not None:
        return f"nobody knows how much is lost with it; {best.point.id} loses {lost(best)}"
    if _most(one) > _most(best):
        return f"it loses {said(_most(one) - _most(best))} more than {best.point.id}"
    if one.point.id == best.point.id:
        return f"the same dump in {best.point.region} is taken"
    return f"{best.point.id} loses no more"


def _nothing(points: Sequence[RecoveryPoint], wanted: WantedCopy) -> str:
    if not points:
        return f"there is no copy of {wanted.serving}"
    if wanted.named is not None:
        named = [point for point in points if is_named(point, wanted)]
        # Of dumps, the newest of the application's database says why; others only where it has none.
        named.sort(key=lambda point: wanted.named == LATEST_DUMP and point.database != wanted.database)
        what = "the newest dump" if wanted.named == LATEST_DUMP else wanted.named
        return f"{what} cannot be restored: {_unusable(named[0], wanted)}"
    if wanted.to is None:
        return f"no copy of {wanted.serving} can be restored"
    windows = [point for point in points if point.kind is PointKind.POINT_IN_TIME and point.region == wanted.region]
    reached = [point for point in windows if _reaches(point, wanted.to)]
    if reached:
        why = "; ".join(f"{point.id}: {_unusable(point, wanted)}" for point in reached)
        return f"no window that reaches {_moment(wanted.to)} can be taken: {why}"
    shown = "; ".join(
        f"{point.database} can be restored to any second from {_moment(point.earliest)} to {_moment(point.taken_at)}"
        for point in windows
        if point.earliest is not None
    )
    return f"{_moment(wanted.to)} is outside every window: {shown or 'there is none'}"


def _reaches(point: RecoveryPoint, to: datetime) -> bool:
    return point.earliest is not None and point.earliest <= whole(to) <= point.taken_at


def _nearest(points: Iterable[RecoveryPoint], wanted: WantedCopy) -> datetime | None:
    """Return the last moment before the one that was asked for that would be restored, else the first one after it.

    What is earlier has nothing of a damage at the moment that was asked for; what is later may.
    """
    asked = wanted.to
    if asked is None or wanted.named is not None:
        return None
    ends = [
        end
        for point in points
        if point.kind is PointKind.POINT_IN_TIME and point.earliest is not None
        for one in wanted.served
        if one.instance == point.database
        for end in _shared(point, one)
        if _unusable(point, replace(wanted, to=end)) is None
    ]
    earlier = [end for end in ends if end <= asked]
    return max(earlier) if earlier else min(ends, default=None)


def _shared(point: RecoveryPoint, served: Served) -> list[datetime]:
    """Return the first and the last whole second of a window in which its generation served."""
    second = timedelta(seconds=1)
    first = max(point.earliest or point.taken_at, served.since)
    last = point.taken_at if served.until is None else min(point.taken_at, served.until - timedelta(microseconds=1))
    return [first if first == whole(first) else whole(first) + second, whole(last)]


def _moment(moment: datetime | None) -> str:
    return "?" if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"
