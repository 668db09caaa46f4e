"""The copy that a recovery has decided to restore, and what as: as it stands in the journal, for every later attempt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from lifeboat.database_model import PointKind, RecoveryPoint, RecoveryPointId


@dataclass(frozen=True, kw_only=True)
class DecidedCopy:
    """A copy, the moment of its content, of a window the one to name to RDS, and the generation it becomes."""

    point: RecoveryPoint
    as_of: datetime
    to: datetime | None
    generation: str
    identifier: str


def facts(decided: DecidedCopy) -> dict[str, Any]:
    """Return what is noted of it in the journal."""
    point = decided.point
    return {
        # By its id and its ARN: neither retention nor prune takes away what a run that has not ended names.
        "copy": point.id,
        "copy_arn": point.arn,
        "copy_kind": point.kind.value,
        "copy_region": point.region,
        "source": point.database,
        "size": point.size,
        "copy_to": None if decided.to is None else decided.to.isoformat(),
        "as_of": decided.as_of.isoformat(),
        "generation": decided.generation,
        "identifier": decided.identifier,
    }


def decided(fact: Callable[[str], Any]) -> DecidedCopy | None:
    """Return what was noted, by the function that tells what was last noted under a name; None before anything was."""
    if fact("copy") is None:
        return None
    as_of, noted, kind = datetime.fromisoformat(fact("as_of")), fact("copy_to"), PointKind(fact("copy_kind"))
    to = None if noted is None else datetime.fromisoformat(noted)
    if to is None and kind is PointKind.POINT_IN_TIME:
        # Older versions left the latest moment to RDS, which takes another one each time that it is ordered.
        to = as_of.replace(microsecond=0)
    point = RecoveryPoint(
        id=RecoveryPointId(fact("copy")),
        kind=kind,
        database=fact("source"),
        region=fact("copy_region"),
        taken_at=as_of,
        status="available",
        size=fact("size"),
        source=fact("source"),
        key=None,
        arn=fact("copy_arn"),
    )
    return DecidedCopy(
        point=point,
        as_of=as_of,
        to=to,
        generation=fact("generation"),
        identifier=fact("identifier"),
    )


def restored_in(decided: DecidedCopy, region: str) -> RecoveryPoint:
    """Return the copy as one of the region in which it is restored: a dump is read from wherever it lies."""
    return replace(decided.point, region=region)
