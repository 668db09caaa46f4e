"""What the steps of drills share: the drill and its network, and when its clock starts."""

from __future__ import annotations

from lifeboat.decisions.drills import Isolation
from lifeboat.drill_model import Drill, Thing, ThingKind
from lifeboat.errors import Failed
from lifeboat.model import Gap
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Step, Turn


def isolation(c: Recovering) -> Isolation:
    """Return the drill and the network that it restores into; raises Failed where this is no drill."""
    if c.isolation is None:
        raise Failed("this is no drill: it has no network of its own")
    return c.isolation


def drill(c: Recovering) -> Drill:
    """Return the drill."""
    return isolation(c).drill


def thing(c: Recovering, kind: ThingKind, *, suffix: str = "") -> Thing:
    """Return the thing of a kind that this drill makes."""
    return drill(c).thing(kind, c.recovery.region, suffix=suffix)


def failure_is_declared(c: Recovering) -> Gap | None:
    """Is it written down when the clock of the drill started?"""
    return None if c.fact("failed_at") else Gap(text="the clock of the drill has not started")


def declare_failure(c: Recovering, turn: Turn) -> None:
    """Write down the moment: from now on everything is done that a recovery would have to do."""
    at = c.now()
    turn.note(f"taken for lost at {at:%Y-%m-%d %H:%M:%S}Z", failed_at=at.isoformat(), why="a drill declares it")


DECLARED: Step[Recovering] = Step(
    name="failure", title="Start the clock, as if it had failed now", check=failure_is_declared, do=declare_failure
)
