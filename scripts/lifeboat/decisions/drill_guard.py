"""What a drill may touch: what bears its own mark, and nothing that is production's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lifeboat.drill_model import Drill, DrillTag, Thing, ThingKind, prefix
from lifeboat.errors import Refused
from lifeboat.model import Plan

# The step of a recovery in which an effect that names an instance makes it; in any other one it is changed.
_MAKING_STEP = "restore"


class Deed(StrEnum):
    """What an effect does to a thing."""

    MAKE = "make"
    CHANGE = "change"
    DELETE = "delete"
    PROVE = "prove"  # notes on a copy that it was restored and held its data: adds a tag, or a proof beside a dump
    CANARY = "canary"  # adds one row to the table that is there for nothing else


@dataclass(frozen=True, kw_only=True)
class Touch:
    """One effect: what it does to which thing. `tags` are what that bears now; None: there is no such thing."""

    deed: Deed
    thing: Thing
    tags: Mapping[str, str] | None = field(default=None, hash=False)


def touched(step: str, about: Mapping[str, Any], *, region: str) -> Touch | None:
    """Return what an effect touches, from what is written down about it; None where that does not say.

    Effects of steps that recoveries have too name the instance that they work on (`identifier`); those of drills alone say
    what they do to which thing ({"deed": "make", "type": …, "id": …, "region": …}).
    """
    if "deed" in about:
        thing = Thing(kind=str(about["type"]), id=str(about["id"]), region=str(about["region"]))
        return Touch(deed=Deed(about["deed"]), thing=thing)
    if "identifier" in about:
        thing = Thing(kind=ThingKind.DATABASE.value, id=str(about["identifier"]), region=region)
        return Touch(deed=Deed.MAKE if step == _MAKING_STEP else Deed.CHANGE, thing=thing)
    if "proves" in about:
        return Touch(deed=Deed.PROVE, thing=Thing(kind="copy", id=str(about["proves"]), region=region))
    return None


def refusal(touch: Touch, drill: Drill) -> str | None:
    """Return why a drill may not do this; None where it may."""
    thing, tags = touch.thing, touch.tags
    if touch.deed in (Deed.PROVE, Deed.CANARY):
        return None
    if not _is_named(thing, drill):
        return f"{thing.words} is not called as what the drill {drill.run} makes is"
    if touch.deed is Deed.MAKE and tags is None:
        return None
    if tags is None:
        return f"{thing.words} is not there, so nobody knows whose it would be"
    run = tags.get(DrillTag.DRILL)
    if run != drill.run:
        whose = f"is marked as {run}'s" if run else "bears no mark of a drill"
        return f"{thing.words} {whose}"
    return None


def _is_named(thing: Thing, drill: Drill) -> bool:
    if thing.kind == ThingKind.STATE_COPY.value:
        return thing.id.partition("//")[2].partition("/")[2].startswith(f"runs/{drill.run}/")
    return thing.id == drill.name or thing.id.startswith(f"{drill.name}/")


def require(touch: Touch | None, drill: Drill) -> None:
    """Raise Refused where an effect would touch what is not the drill's, or does not say what it touches."""
    why = "an effect does not say what it touches" if touch is None else refusal(touch, drill)
    if why is not None:
        deed = "do this" if touch is None else f"{touch.deed.value} it"
        raise Refused(
            f"a drill must not {deed}: {why}",
            hint=f"lifeboat logs {drill.run} shows what the drill did before; nothing of production was changed",
        )


def removable(thing: Thing, tags: Mapping[str, str], *, application: str) -> str | None:
    """Return why what a drill left may not be removed; None where it may: it bears a drill's mark, and is this application's.

    What is there under the name of a drill's thing without that mark was made by somebody else.
    """
    if not tags.get(DrillTag.DRILL):
        return "it bears no mark of a drill: somebody else made it, or took the mark off"
    of = tags.get(DrillTag.OF)
    named = thing.id.startswith(prefix(application)) or thing.kind == ThingKind.STATE_COPY.value
    if of == application or (of is None and named):
        return None
    return f"it is of a drill of {of or 'nobody knows what'}, not of {application}"


def require_no_change(plan: Plan, drill: Drill) -> None:
    """Raise Refused where a plan would change anything: nothing that Terraform has in its state bears a drill's mark."""
    if plan.changes:
        lines = "\n".join(f"  {change.action.value} {change.address}" for change in plan.changes)
        raise Refused(
            f"the drill {drill.run} plans from a copy of the state, and that would change production, so nothing is"
            f" carried out:\n{lines}",
            hint="lifeboat plan shows whether the state in service would change it too",
        )
