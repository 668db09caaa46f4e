"""Whether the network of drills is at rest: while a drill runs in it, or left something there, AWS does not let it go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lifeboat.drill_model import Leak
from lifeboat.errors import CleanUpIncomplete, Locked
from lifeboat.model import LOSING, Plan
from lifeboat.site import Site
from lifeboat.stack import drill_turns, leaks

_NETWORK = "module.drill_network"
# What AWS does not delete while something is in it, and what the instance of a drill is asked and works through.
_TYPES = ("aws_db_subnet_group", "aws_security_group", "aws_subnet", "aws_vpc", "aws_vpc_endpoint")


def require_for(site: Site, plan: Plan) -> None:
    """Raise as `require` does where an apply of a plan would take something of the network away, for good or to make it anew."""
    lost = [one for one in plan.changes if one.action in LOSING and one.resource_type in _TYPES]
    if any(change.address.startswith(_NETWORK) for change in lost):
        require(site, "apply")


def require_for_saved(site: Site, document: Mapping[str, Any]) -> None:
    """Raise as `require_for` does, for a saved plan as `terraform show -json` prints it: a drill may have begun since."""
    lost = [
        one
        for one in document.get("resource_changes", [])
        if "delete" in one["change"]["actions"] and one["type"] in _TYPES
    ]
    if any(one["address"].startswith(_NETWORK) for one in lost):
        require(site, "apply")


def require(site: Site, verb: str) -> None:
    """Raise Locked where a drill runs, CleanUpIncomplete where one left something: its network cannot go before that does."""
    drill = drill_turns.running(site)
    if drill is not None:
        raise Locked(
            f"the drill {drill.run} of {drill.who} runs since {drill.since:%H:%M:%S}Z, in the network that would be destroyed",
            hint=f"lifeboat logs {drill.run} shows what it does; {verb} when it has ended",
        )
    left = leaks.leaks(site)
    if left:
        raise CleanUpIncomplete(
            "drills left what stands in the way of what would be destroyed:\n"
            + "\n".join(f"  {leak.thing.words}{'' if leak.why_not is None else f': {leak.why_not}'}" for leak in left),
            hint="; ".join([*_orders(left), f"then {verb} again. Nothing was destroyed"]),
        )


def _orders(left: Sequence[Leak]) -> list[str]:
    """Return what takes these away: no sweep removes what does not bear the mark, however often it is typed."""
    swept = ["lifeboat sweep shows and removes it"] if any(leak.why_not is None for leak in left) else []
    asked = ["what it does not remove is somebody's: ask whose it is, and delete it by hand"]
    return swept + (asked if any(leak.why_not is not None for leak in left) else [])
