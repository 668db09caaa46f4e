"""`lifeboat recovery-file`: the recovery file of a checkout, written as Terraform's state says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from lifeboat.clients import programs, run_files
from lifeboat.decisions import recovery_files
from lifeboat.decisions.known_states import Purpose
from lifeboat.model import Teller
from lifeboat.site import Site
from lifeboat.stack import database_copies, known_states, open_recoveries, outputs, recovered, recovery_file, repair


@dataclass(frozen=True, kw_only=True)
class Agreed:
    """The recovery file: what it held and what it must hold, each None where no file is needed, and both in words."""

    name: str
    before: str | None
    wanted: str | None
    said: str
    told: str
    tracked: bool
    written: bool = False

    @property
    def agrees(self) -> bool:
        """Whether it held that already."""
        return self.before == self.wanted

    @property
    def to_commit(self) -> str:
        """The command that makes it known to every other checkout; empty where git never had it and it is gone."""
        if self.wanted is None and not self.tracked:
            return ""
        return f"git add {self.name} && git commit -m 'The recovery file as the state says' -- {self.name} && git push"


def preview(site: Site) -> Agreed:
    """Return what the file says and must say; nothing is changed.

    Raises Refused while a recovery is open, which has still to write the file, and where the state is older than what is
    remembered of it: it names the databases of then. IntegrityFailure where nobody can tell.
    """
    repair.require_own(site, site.stack_store())
    known_states.require(site, Purpose.PLAN, known_states.STACK)
    text, known = recovery_file.text(site), database_copies.in_state(site)
    open_recoveries.require_none(site, "what Terraform's state says is not its last word")
    return Agreed(
        name=f"environments/{site.project.recovery_file.name}",
        before=text,
        wanted=recovered.agreeing(site),
        said=recovery_files.said(text),
        told=recovery_files.told(known),
        tracked=programs.tracked(site.project.recovery_file),
    )


def run(site: Site, tell: Teller) -> Agreed:
    """Write it, where it says anything else, while nobody else changes the environment; return what it said and says."""
    outputs.recovery(site.stack_store())  # where nothing was applied, there is no table for a lease either
    with (
        run_files.held(site.project.work, "recovery-file", patience=timedelta(0), tell=tell.say) as this_run,
        run_files.ending(this_run, lambda: False),
        site.lease(this_run.run, tell.say).held(),
    ):
        found = preview(site)
        if found.agrees:
            return found
        recovery_file.write(site, found.wanted)
        return replace(found, written=True)
