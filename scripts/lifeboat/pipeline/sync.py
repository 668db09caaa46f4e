"""`lifeboat gitlab plan` and `sync`: make GitLab's variables what the environment's file and the stack's output say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from lifeboat.clients.gitlab_api import Patience
from lifeboat.clients.sync_journal import SyncJournal
from lifeboat.decisions import variable_changes, variables
from lifeboat.errors import Refused, WrongConfiguration
from lifeboat.gitlab_model import Doing, SyncPlan, VariableChange
from lifeboat.model import Agree
from lifeboat.pipeline import values, writes
from lifeboat.pipeline.writes import OnFailure, Scribe
from lifeboat.site import Site
from lifeboat.stack import holding


class Prune(StrEnum):
    """What becomes of variables that lifeboat keeps and nothing asks for any more."""

    LEAVE = "leave"
    DELETE = "delete"


@dataclass(frozen=True, kw_only=True)
class Way:
    """How to sync."""

    prune: Prune = Prune.LEAVE
    on_failure: OnFailure = OnFailure.PUT_BACK


def preview(site: Site, patience: Patience, prune: Prune = Prune.LEAVE) -> SyncPlan:
    """Return what a sync would write; reads only, one request for each 100 variables of the project.

    Raises WrongConfiguration naming every output that is missing and every value that GitLab would not take or mask.
    """
    values.outputs(site)  # without a stack there is nothing to ask GitLab about
    environment = site.gitlab_environment
    current = site.gitlab(patience).variables()
    # Read again: GitLab may take its time, and whoever applied meanwhile has changed what the variables shall be.
    wanted = values.values(site, values.outputs(site))
    targets = variables.targets(wanted.wishes, current, environment)
    mistakes = (*wanted.mistakes, *targets.mistakes)
    if mistakes:
        raise WrongConfiguration(
            f"GitLab's variables of {site.project.env} cannot be written; nothing was:\n"
            + "\n".join(f"  {mistake}" for mistake in mistakes),
            hint=f"edit [[gitlab.variables]] in environments/{site.project.env}.toml, or apply what the outputs lack",
        )
    plan = variable_changes.planned(targets.targets, current, environment)
    if prune is Prune.DELETE:
        if not targets.targets:
            raise Refused(
                f"environments/{site.project.env}.toml asks for no variable, so a prune would delete all that lifeboat keeps",
                hint="delete them in GitLab by hand if that is what you want",
            )
        plan = variable_changes.pruned(plan, current, environment)
    return replace(plan, warnings=(*_cut_off(site), *plan.warnings))


def run(site: Site, plan: SyncPlan, patience: Patience, on_failure: OnFailure = OnFailure.PUT_BACK) -> None:
    """Write a plan; afterwards GitLab has all of it, or is as it was, or the error names what is neither.

    Call it holding the environment. A rerun after any failure is a new preview and a new run.
    """
    writes.write(
        plan,
        Scribe(
            client=site.gitlab(patience),
            journal=SyncJournal(site.project.work),
            tell=patience.tell,
            on_failure=on_failure,
            again=f"lifeboat gitlab sync -e {site.project.env}",
        ),
    )


def sync(site: Site, patience: Patience, agree: Agree, way: Way) -> SyncPlan:
    """Preview, ask, write and verify, holding the environment; return what was written."""
    with holding.alone(site, patience.tell, "gitlab sync") as lease:
        plan = preview(site, patience, way.prune)
        if plan.writes:
            agree(lines(plan.writes))
        lease.require()
        run(site, plan, patience, way.on_failure)
        return plan


def lines(changes: Sequence[VariableChange]) -> list[str]:
    """Return changes in words, one line each: names of attributes and lengths of values, never a value."""
    return [_line(change) for change in changes]


_MARKS = {Doing.CREATE: "+", Doing.UPDATE: "~", Doing.REWRITE: "?", Doing.DELETE: "-", Doing.KEEP: "="}


def _line(change: VariableChange) -> str:
    said = ""
    if change.doing is Doing.CREATE and change.after is not None:
        kind = ["hidden" if change.after.hidden else "masked" if change.after.masked else "shown in logs"]
        kind += ["protected"] if change.after.protected else []
        said = f" ({', '.join(kind)}, {len(change.after.value or '')} characters)"
    elif change.doing is Doing.UPDATE:
        said = f" ({', '.join(change.attributes)})"
    elif change.doing is Doing.REWRITE:
        said = f" (hidden, cannot be compared: {', '.join(change.attributes)} written again)"
    pointer = " [pointer, written last]" if change.pointer and change.doing is not Doing.KEEP else ""
    notes = f"  -- {'; '.join(change.notes)}" if change.notes else ""
    return f"{_MARKS[change.doing]} {change.name}{said}{pointer}{notes}"


def _cut_off(site: Site) -> tuple[str, ...]:
    last = SyncJournal(site.project.work).cut_off()
    if last is None:
        return ()
    written = ", ".join(last.written) or "nothing yet"
    return (f"the sync of {last.who} at {last.began} was cut off; it may have written {written}",)
