"""The local cloud of a rehearsal environment, started before anything else is asked of it."""

from __future__ import annotations

import time

from lifeboat.clients import known_state, run_files
from lifeboat.errors import IntegrityFailure, NothingFits, Unreachable
from lifeboat.model import RunId, Teller
from lifeboat.site import Site


def require_running(site: Site, what: str) -> None:
    """Raise Unreachable where the environment's local cloud does not run: one that is started may be empty."""
    cloud = site.local_cloud()
    if cloud is not None and cloud.health() is None:
        raise Unreachable(
            f"the local cloud of {site.project.env} does not run, so there is nothing to {what}",
            hint="lifeboat local up (goes on from where it was), or lifeboat apply",
        )


def require_begun(site: Site, what: str) -> None:
    """Raise NothingFits where the environment's local cloud does not run and keeps no state: nothing was ever applied to it."""
    env, cloud = site.project.env, site.local_cloud()
    if cloud is not None and cloud.health() is None and not cloud.directory.exists():
        raise NothingFits(
            f"the local cloud of {env} does not run and has no state, so there is nothing to {what}",
            hint=f"lifeboat apply -e {env}",
        )


def start(site: Site, tell: Teller, *, but: RunId) -> None:
    """Start the environment's local cloud, if it has one; forget what was known (but for run `but`) of one that is gone.

    One whose state is damaged is empty: that is told with the way back, and what was asked for begins from nothing.
    """
    lost = begin(site, tell, but=but)
    if lost is not None:
        tell.warn(f"{lost.summary}\n  {lost.hint}")


def begin(site: Site, tell: Teller, *, but: RunId) -> IntegrityFailure | None:
    """Start it as `start` does; return what is to be told of a state that was damaged."""
    cloud = site.local_cloud()
    if cloud is None:
        return None
    found = cloud.up()
    if found == "reused":
        return None
    tell.say(f"local cloud started on {cloud.url} ({found})")
    if found == "continued":
        return None
    # Nothing of what this machine remembers exists any more: keep it aside, and build anew.
    local = site.root_state_file
    if local.exists():
        local.rename(local.with_name(f"{local.name}.lost-{int(time.time())}"))
    known_state.forget(site.project.work)
    for lost in run_files.unfinished(site.project.work, but=but):
        run_files.mark_ended(lost.folder, "its local cloud is gone")
    if not found.startswith("damaged"):
        return None
    env = site.project.env
    return IntegrityFailure(
        f"the local cloud runs, but it is EMPTY: the state that it was stopped with is {found}",
        hint=f"lifeboat local saves -e {env} lists what lifeboat local load NAME -e {env} goes back to;"
        f" lifeboat apply -e {env} builds everything anew",
    )
