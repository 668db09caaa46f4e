"""Manual snapshots of the database: how they are named and tagged, which is copied, which may go."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lifeboat.database_model import (
    PointKind,
    RecoveryPoint,
    RecoveryPointId,
    SnapshotOrder,
    SnapshotPruning,
    SnapshotTag,
)
from lifeboat.decisions import generations
from lifeboat.decisions.durations import said
from lifeboat.model import Choice, Judged, Owner, Tag

MANAGED_BY = "lifeboat"
# What a tag of RDS may hold, at most 256 of it (RDS user guide, "Tagging Amazon RDS resources").
_TAG_TEXT = re.compile(r"[\w .:/=+\-@]{1,256}")
# True of the original only.
_NOT_COPIED = (SnapshotTag.KEEP, SnapshotTag.RUN, SnapshotTag.PROVEN_BY, Tag.PROVEN_AT, Tag.COPIED_FROM)


@dataclass(frozen=True, kw_only=True)
class SnapshotSource:
    """What a snapshot is taken of and what is known of it then; None: not known, and the snapshot has no such tag."""

    owner: Owner
    region: str
    instance: str
    now: datetime
    before: str | None = None
    git_sha: str | None = None
    state_serial: int | None = None


def wrong_text(text: str) -> str | None:
    """Return why a text cannot be a tag's; None when it can."""
    if _TAG_TEXT.fullmatch(text) and text.strip():
        return None
    return f"{text!r} cannot be a tag: RDS takes 1 to 256 letters, digits, spaces and . : / = + - @ _"


def is_ours(instance: str, tags: Mapping[str, str], owner: Owner) -> bool:
    """Return whether a snapshot is of this application's database: by its instance's name, or by its tags.

    Instances are named <application>-g1, -g2 … (modules/database); the name outlives instance and tags.
    """
    if re.fullmatch(re.escape(owner.application) + r"-g[1-9][0-9]{0,3}", instance):
        return True
    return all(tags.get(tag) == value for tag, value in _our_names(owner).items())


def taking(source: SnapshotSource) -> SnapshotOrder:
    """Return the order for a snapshot: named by instance and second, so that it is made once however often it is sent."""
    facts = {
        SnapshotTag.SOURCE: source.instance,
        SnapshotTag.BEFORE: source.before,
        Tag.GIT_SHA: source.git_sha,
        Tag.STATE_SERIAL: None if source.state_serial is None else str(source.state_serial),
    }
    return SnapshotOrder(
        name=RecoveryPointId(f"{source.instance}-{source.now:%Y%m%d-%H%M%S}"),
        region=source.region,
        tags={**_our_tags(source.owner), **{str(tag): value for tag, value in facts.items() if value is not None}},
    )


def under_way(points: Iterable[RecoveryPoint], order: SnapshotOrder, instance: str) -> RecoveryPoint | None:
    """Return the snapshot for the same change that is still being made: an order that was cut off goes on with it."""
    before = order.tags.get(SnapshotTag.BEFORE)
    going = [
        p
        for p in points
        if p.kind is PointKind.MANUAL_SNAPSHOT
        and p.status == "creating"
        and (p.source, p.region) == (instance, order.region)
        and p.tags.get(SnapshotTag.SOURCE) == instance
        and p.tags.get(SnapshotTag.BEFORE) == before
    ]
    return max(going, key=lambda p: (p.taken_at, p.id), default=None)


def last_instance(points: Iterable[RecoveryPoint], owner: Owner) -> str | None:
    """Return the instance of the highest generation that there are snapshots of; None where none is of a generation."""
    found = {p.source: generations.of_identifier(owner.application, p.source) for p in points}
    numbers = {source: generations.number(generation) for source, generation in found.items() if generation is not None}
    return max(numbers, key=lambda source: numbers[source], default=None)


def choose(
    points: Iterable[RecoveryPoint], wanted: RecoveryPointId | None, region: str, instance: str | None = None
) -> Choice[RecoveryPoint]:
    """Return the snapshot of a region to copy: the one that is named, or the newest of an instance that is available.

    After a recovery there are snapshots of the generation that served before, its final one for instance, which may well be
    newer than the newest of the one that serves. An instance of None: whichever it is of.
    """
    kinds = (PointKind.AUTOMATED_SNAPSHOT, PointKind.MANUAL_SNAPSHOT)
    there = sorted((p for p in points if p.kind in kinds), key=lambda p: (p.taken_at, p.id), reverse=True)
    if wanted is not None:
        there = [p for p in there if wanted in (p.id, p.arn)]
    reasons = [(p, _unusable(p, region, None if wanted is not None else instance)) for p in there]
    usable = [p for p, why in reasons if why is None]
    rejected = tuple(Judged(what=p, why=why or f"it is not newer than {usable[0].id}") for p, why in reasons)
    if usable:
        whose = "" if instance is None else f" of {instance}"
        why = "it was asked for" if wanted else f"the newest of {len(usable)}{whose} in {region}"
        return Choice(chosen=usable[0], why=why, rejected=tuple(j for j in rejected if j.what is not usable[0]))
    if wanted is None:
        return Choice(chosen=None, why=f"no snapshot in {region} can be copied", rejected=rejected)
    why = f"{wanted} cannot be copied: {rejected[0].why}" if rejected else f"there is no snapshot {wanted} in {region}"
    return Choice(chosen=None, why=why, rejected=rejected)


def _unusable(point: RecoveryPoint, region: str, instance: str | None) -> str | None:
    if point.region != region:
        return f"it is in {point.region}, not in {region}"
    if instance is not None and point.source != instance:
        return f"it is of {point.source}, not of {instance}"
    return None if point.restorable else f"it is {point.status}"


def copy_in(points: Iterable[RecoveryPoint], original: RecoveryPoint) -> RecoveryPoint | None:
    """Return the copy of a snapshot among others, or what it was itself copied from; both have the same content."""
    for point in points:
        if original.arn is not None and point.tags.get(Tag.COPIED_FROM) == original.arn and point.status != "failed":
            return point
        if point.arn is not None and original.tags.get(Tag.COPIED_FROM) == point.arn and point.restorable:
            return point
    return None


def copying(original: RecoveryPoint, owner: Owner, region: str) -> SnapshotOrder:
    """Return the order for a copy: of the same name, as far as it may be, and with the original's tags."""
    return SnapshotOrder(name=_plain(original.id), region=region, tags=_tags_of_copy(original, owner))


def keeping_copy(original: RecoveryPoint, owner: Owner, why: str) -> SnapshotOrder:
    """Return the order for a manual copy of an automated snapshot, which RDS would otherwise expire."""
    tags = {**_tags_of_copy(original, owner), str(SnapshotTag.KEEP): why}
    return SnapshotOrder(name=RecoveryPointId(f"{_plain(original.id)}-kept"), region=original.region, tags=tags)


def _plain(name: RecoveryPointId) -> RecoveryPointId:
    """Return the name of an automated snapshot as a manual one may have it: without "rds:"."""
    return RecoveryPointId(name.rpartition(":")[2])


def _tags_of_copy(original: RecoveryPoint, owner: Owner) -> dict[str, str]:
    inherited = {k: v for k, v in original.tags.items() if not k.startswith("aws:") and k not in _NOT_COPIED}
    return {**inherited, **_our_tags(owner), str(Tag.COPIED_FROM): original.arn or original.id}


def _our_names(owner: Owner) -> dict[str, str]:
    return {str(Tag.APPLICATION): owner.application, str(Tag.ENVIRONMENT): owner.environment}


def _our_tags(owner: Owner) -> dict[str, str]:
    return {**_our_names(owner), str(Tag.MANAGED_BY): MANAGED_BY}


# -- which may go ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SnapshotKeeping:
    """How many of the newest manual snapshots of each region stay, and up to which age all of them; `used`: by what."""

    newest: int
    age: timedelta
    now: datetime
    owner: Owner
    used: Mapping[str, str]


def prunable(points: Iterable[RecoveryPoint], keeping: SnapshotKeeping) -> SnapshotPruning:
    """Return which manual snapshots may go: those that lifeboat made and nothing speaks for.

    In each region the newest stay and the newest proven one; everything kept, used, young, unfinished or made by others.
    """
    manual = [p for p in points if p.kind is PointKind.MANUAL_SNAPSHOT]
    newest_first = sorted(manual, key=lambda p: (p.taken_at, p.region, p.id), reverse=True)
    fixed = {_place(p): _stays(p, keeping) for p in newest_first}
    usable = [p for p in newest_first if p.restorable and _of_lifeboat(p, keeping.owner)]
    newest, proven = _newest(usable, keeping.newest), _newest([p for p in usable if p.proven is not None], 1)
    kept: list[Judged[RecoveryPoint]] = []
    removed: list[Judged[RecoveryPoint]] = []
    for point in newest_first:
        why = fixed[_place(point)]
        if why is None and _place(point) in newest:
            why = f"one of the newest {max(keeping.newest, 1)} in {point.region}"
        if why is None and _place(point) in proven:
            why = f"the newest in {point.region} that is proven"
        if why is None:
            newer = sum(1 for place in newest if place[0] == point.region)
            removed.append(Judged(what=point, why=f"{newer} newer in {point.region} stay"))
        else:
            kept.append(Judged(what=point, why=why))
    return SnapshotPruning(kept=tuple(kept), removed=tuple(removed))


def _place(point: RecoveryPoint) -> tuple[str, str]:
    return point.region, point.id


def _newest(newest_first: Sequence[RecoveryPoint], count: int) -> set[tuple[str, str]]:
    regions = {point.region for point in newest_first}
    return {
        _place(point)
        for region in regions
        for point in [p for p in newest_first if p.region == region][: max(count, 1)]
    }


def _of_lifeboat(point: RecoveryPoint, owner: Owner) -> bool:
    """Return whether lifeboat took or copied a snapshot. Tags of the instance are on those that others took, too."""
    mine = point.tags.get(SnapshotTag.SOURCE) == point.source or Tag.COPIED_FROM in point.tags
    return mine and _our_tags(owner).items() <= point.tags.items()


def _stays(point: RecoveryPoint, keeping: SnapshotKeeping) -> str | None:
    if not _of_lifeboat(point, keeping.owner):
        return "lifeboat did not make it"
    if point.kept:
        return f"it is kept: {point.tags.get(SnapshotTag.KEEP, '')}"
    used = keeping.used.get(point.id) or keeping.used.get(point.arn or "")
    if used is not None:
        return f"used by {used}"
    if SnapshotTag.RUN in point.tags:
        return f"the drill {point.tags[SnapshotTag.RUN]} takes it away"
    if point.status == "failed":
        return None
    if not point.restorable:
        return f"it is {point.status}, which may change"
    age = keeping.now - point.taken_at
    if age < keeping.age:
        return f"it is {said(age)} old, not yet {said(keeping.age)}"
    return None
