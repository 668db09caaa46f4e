"""Whose turn it is: one drill at a time, and none beside a recovery, which goes first."""

from __future__ import annotations

from lifeboat.clients.lease import Holding, Lease
from lifeboat.decisions import runs
from lifeboat.errors import Locked
from lifeboat.model import RunId
from lifeboat.site import Site
from lifeboat.stack import open_recoveries


class DrillTurn:
    """A drill's fence: its own lease, and nobody who recovers the environment meanwhile."""

    def __init__(self, site: Site, held: Lease) -> None:
        self._held = held
        self._environment = site.lease(RunId("drill"))

    def require(self) -> None:
        """Raise Locked where another drill has the lease now, or a recovery holds the environment: the drill gives way."""
        self._held.require()
        other = self._environment.holding()
        if other is not None and runs.is_recovery(other.run):
            raise _goes_first(other)


def require_nobody(site: Site) -> None:
    """Raise Locked where somebody holds the environment, Refused where a recovery of it was cut off and is open."""
    held = site.lease(RunId("drill")).holding()
    if held is not None:
        raise _goes_first(held)
    open_recoveries.require_none(site, "nobody drills what is being recovered")


def running(site: Site) -> Holding | None:
    """Return the drill that runs now; None where none does."""
    return site.drill_lease(RunId("look")).holding()


def _goes_first(held: Holding) -> Locked:
    what = "recovery" if runs.is_recovery(held.run) else "run"
    return Locked(
        f"the {what} {held.run} of {held.who} holds the environment since {held.since:%H:%M:%S}Z and goes first",
        hint=f"lifeboat logs {held.run} shows what it does; drill again when it has ended",
    )
