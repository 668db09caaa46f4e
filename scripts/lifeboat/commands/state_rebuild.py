"""`lifeboat state rebuild`: the last resort, a state of what exists in AWS, where no version of it is left anywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lifeboat.commands import plan as plan_command
from lifeboat.commands.plan import Planned
from lifeboat.errors import LifeboatError, StoppedPartWay
from lifeboat.model import Agree
from lifeboat.site import Site
from lifeboat.stack import preflight, state_rebuilding, state_writing
from lifeboat.stack.state_rebuilding import Found, Rebuilt, Request
from lifeboat.stack.state_restoring import Writing
from lifeboat.stack.state_writing import Restored
from lifeboat.views import Teller


@dataclass(frozen=True, kw_only=True)
class Orders:
    """Whom to tell how it goes, whom to show what was found and what would be written, whom to ask for agreement."""

    tell: Teller
    found: Callable[[Found], None]
    rebuilt: Callable[[Rebuilt], None]
    left: Callable[[Writing], None]
    agree: Agree


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a rebuild would write; `found` and `rebuilt` are None where an earlier one has written the state already."""

    writing: Writing
    found: Found | None = None
    rebuilt: Rebuilt | None = None


@dataclass(frozen=True, kw_only=True)
class Done:
    """What stands on top now, what it was made of, and what an apply would change of it."""

    preview: Preview
    restored: Restored
    planned: Planned


def preview(site: Site, orders: Orders, request: Request) -> Preview:
    """Return what a rebuild would write, with everything shown on the way; changes nothing, in AWS least of all.

    Raises Refused where a restore can do better or a person must decide, Unreachable where something cannot be looked at.
    """
    preflight.require(site, orders.tell)
    preflight.require_account(site)
    lost = state_rebuilding.look(site, orders.tell, request)
    half = state_rebuilding.half_done(site, request, lost)
    if half is not None:
        orders.left(half)
        return Preview(writing=half)
    state_rebuilding.require_lost(site, request, lost)
    with state_rebuilding.scratch(site, orders.tell, request) as scratch:
        found = state_rebuilding.inspect(scratch)
        orders.found(found)
        state_rebuilding.require_decided(site, request, found)
        rebuilt = state_rebuilding.build(scratch, lost, found)
    orders.rebuilt(rebuilt)
    return Preview(writing=rebuilt.writing, found=found, rebuilt=rebuilt)


def run(site: Site, orders: Orders, request: Request) -> Done:
    """Put a state of what exists on top, and plan both roots with it; raises before any change what forbids it."""
    found = preview(site, orders, request)
    state_writing.require_versioned(site, found.writing)
    if found.writing.restoring.writes:
        orders.agree(found.writing.written)
    restored = state_writing.carry_out(site, orders.tell, found.writing)
    return Done(preview=found, restored=restored, planned=_planned(site, orders.tell, found.writing, restored))


def _planned(site: Site, tell: Teller, writing: Writing, restored: Restored) -> Planned:
    try:
        return plan_command.run(site, tell, offline=False)
    except LifeboatError as error:
        # A plan with a state that the other region does not know may be refused for that, with a hint that undoes it.
        state_writing.require_remembered(restored, writing)
        raise StoppedPartWay(
            f"serial {writing.restoring.serial} stands on top of {writing.place}, and what an apply would change of it could"
            f" not be seen: {error.summary}",
            hint=error.hint or "lifeboat plan",
        ) from error
