"""Whether the network of drills is at rest: while a drill runs in it, or left something there, AWS does not let it go."""

from __future__ import annotations

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
            + "\n".join(f"  {leak.thing.words}" for leak in left),
            hint=f"lifeboat sweep shows and removes it; then {verb} again. Nothing was destroyed",
        )
