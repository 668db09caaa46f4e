"""`lifeboat app …`: roll back, restart or redeploy the application on its living instance, and see that it is well."""

from __future__ import annotations

from datetime import timedelta

from lifeboat import config
from lifeboat.clients import run_files
from lifeboat.errors import LifeboatError
from lifeboat.site import Site
from lifeboat.stack.application import Done, Verb, Work, perform
from lifeboat.views import Teller


def run(site: Site, tell: Teller, verb: Verb, within: timedelta) -> Done:
    """Hold the environment, do one thing to the application and wait until it is healthy; it is written down as a run."""
    with run_files.held(site.project.work, f"app-{verb.name}", patience=timedelta(0), tell=tell.say) as this_run:
        ended = "interrupted"
        try:
            done = perform(Work(site=site, tell=tell, within=within, note=this_run.note), verb)
            ended = "done"
        except LifeboatError as error:
            ended = f"failed: {type(error).__name__}"
            raise
        finally:
            # Nothing of it is repaired by the next run: the host itself says what runs there.
            run_files.mark_ended(this_run.folder, ended)
    named = config.app_image_named(site.project)
    if named not in (None, done.image):
        tell.warn(
            f"the next instance starts with {named}, as environments/{site.project.env}.tfvars says:"
            " change instance.app_image there too"
        )
    return done
