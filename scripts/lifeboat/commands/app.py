"""`lifeboat app …`: roll back, restart or redeploy the application on its living instance, and see that it is well."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from lifeboat import config
from lifeboat.clients import machines, run_files
from lifeboat.clients.journal import Journal
from lifeboat.clients.waiting import WallClock
from lifeboat.decisions import runs as run_states
from lifeboat.errors import Interrupted, LifeboatError
from lifeboat.model import EventKind, RunId, RunState
from lifeboat.runner import Turn
from lifeboat.site import Site
from lifeboat.stack.application import SCRIPT_SECONDS, Done, Verb, Work, perform
from lifeboat.views import Teller


def run(site: Site, tell: Teller, verb: Verb, within: timedelta) -> Done:
    """Hold the environment, do one thing to the application and wait until it is healthy; a journal tells of it.

    Raises Locked where somebody else holds the environment, and what `perform` raises.
    """
    run_id = RunId(f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{run_states.APPLICATION}-{verb.name}-{uuid4().hex[:6]}")
    with (
        run_files.held(site.project.work, f"app-{verb.name}", patience=timedelta(0), tell=tell.say) as this_run,
        run_files.ending(this_run, lambda: False),
        site.lease(run_id, tell.say).held() as held,
    ):
        journal = site.journal(run_id)
        journal.write(
            EventKind.BEGUN,
            text=verb.name,
            user=run_files.user_name(),
            host=socket.gethostname(),
            machine=machines.machine(),
        )
        this_run.known_as(run_id)
        turn = Turn(
            verb.name, limit=timedelta(seconds=SCRIPT_SECONDS) + within, journal=journal, clock=WallClock(), fence=held
        )
        # The host itself says what runs there, so nothing is left for anybody to go on with, however this ends.
        ended = "interrupted"
        try:
            done = perform(Work(site=site, tell=tell, within=within, effect=turn.effect, note=turn.note), verb)
            ended = "done"
        except LifeboatError as error:
            ended = f"{'interrupted' if isinstance(error, Interrupted) else 'failed'}: {error.summary}"
            raise
        finally:
            _end(tell, journal, ended)
        _end_what_was_cut_off(site, tell, run_id)
    named = config.app_image_named(site.project)
    if named not in (None, done.image):
        tell.warn(
            f"the next instance starts with {named}, as environments/{site.project.env}.tfvars says:"
            " change instance.app_image there too"
        )
    return done


def _end(tell: Teller, journal: Journal, how: str) -> None:
    """Write down that it is over; where that cannot be written, what was done is no less done."""
    try:
        journal.end(how)
    except LifeboatError as error:
        tell.warn(f"the end of {journal.run} is not written down: {error.summary}")


def _end_what_was_cut_off(site: Site, tell: Teller, by: RunId) -> None:
    """Write the end of earlier ones that were killed before they could: whoever holds the lease is the only one."""
    try:
        for earlier in filter(run_states.is_of_the_application, site.journals().unended()):
            journal = site.journal(earlier)
            journal.open()
            if run_states.state(journal.events) is RunState.ENDED:
                journal.mark_ended()
            else:
                journal.end(f"cut off; found by {by}")
    except LifeboatError as error:
        tell.warn(f"an earlier run stays open: {error.summary}")
