"""`lifeboat destroy`: take a disposable environment down, in order, and leave nothing running."""

from __future__ import annotations

from lifeboat.clients import run_files
from lifeboat.commands import apply, preflight
from lifeboat.commands.apply import Agree, Destroyed
from lifeboat.errors import NothingFits, Refused
from lifeboat.site import Site
from lifeboat.views import Teller


def run(site: Site, tell: Teller, agree: Agree) -> Destroyed:
    """Destroy the stack of a disposable environment, then its local cloud; raises Refused for any other."""
    project = site.project
    if not project.environment.application.disposable:
        raise Refused(
            f"{project.env} is not disposable, so lifeboat does not destroy it",
            hint=f"if it truly is: set disposable = true in environments/{project.env}.toml, have it reviewed, apply",
        )
    preflight.require(site)
    with run_files.held(project.work, "destroy", patience=apply.PATIENCE, tell=tell.say) as this_run:
        work = apply.Apply(site, tell, agree, this_run, teardown=True)
        try:
            _require_something(site)
            destroyed = work.destroy()
        except BaseException as error:
            if not work.cut_off:
                run_files.mark_ended(this_run.folder, f"failed: {type(error).__name__}")
            raise
        run_files.mark_ended(this_run.folder, "done")
        return destroyed


def _require_something(site: Site) -> None:
    cloud = site.local_cloud()
    if cloud is not None and cloud.health() is None and not (cloud.directory / "live" / "cloud.state").exists():
        raise NothingFits(
            f"there is nothing to destroy: {site.project.env} was never applied, or was destroyed before",
            hint="lifeboat local reset deletes what saves are left" if cloud.directory.exists() else "",
        )
