"""The recoveries of an environment that are not finished: what they have begun is nobody else's to end."""

from __future__ import annotations

from lifeboat.decisions import runs as run_states
from lifeboat.errors import Refused
from lifeboat.model import RunId, RunState
from lifeboat.site import Site


def runs(site: Site) -> list[RunId]:
    """Return the recoveries that changed something and have not ended, oldest first.

    Raises IntegrityFailure, with how to set it aside, where the journal of one that is not known to have ended cannot be
    read: nobody knows what that has changed.
    """
    bucket = site.journals()
    unended = [run for run in bucket.unended() if run_states.is_recovery(run)]
    return [run for run in unended if run_states.state(bucket.events(run)) is RunState.OPEN]


def require_none(site: Site, why: str = "") -> None:
    """Raise Refused with the newest one that is open, why it is in the way (where that needs words), and how it ends."""
    found = runs(site)
    if found:
        raise Refused(
            f"the recovery {found[-1]} was cut off and is not finished{f': {why}' if why else ''}",
            hint=f"lifeboat resume {found[-1]} goes on with it; lifeboat abort {found[-1]} gives it up",
        )
