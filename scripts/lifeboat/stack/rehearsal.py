"""The local cloud of a rehearsal environment, started before anything else is asked of it."""

from __future__ import annotations

import time

from lifeboat.clients import run_files
from lifeboat.model import RunId, Teller
from lifeboat.site import Site


def start(site: Site, tell: Teller, *, but: RunId) -> None:
    """Start the environment's local cloud, if it has one; forget what was known (but for run `but`) of one that is gone."""
    cloud = site.local_cloud()
    if cloud is None:
        return
    found = cloud.up()
    if found == "reused":
        return
    tell.say(f"local cloud started on {cloud.url} ({found})")
    if found != "continued":
        # Nothing of what this machine remembers exists any more: keep it aside, and build anew.
        local = site.root_state_file
        if local.exists():
            local.rename(local.with_name(f"{local.name}.lost-{int(time.time())}"))
        for lost in run_files.unfinished(site.project.work, but=but):
            run_files.mark_ended(lost.folder, "its local cloud is gone")
