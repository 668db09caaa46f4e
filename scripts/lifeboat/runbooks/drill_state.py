"""The drill of Terraform's state: the newest sound version, planned with from a place of its own, changes nothing."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from lifeboat.clients import run_files
from lifeboat.decisions import drill_guard, state_choice
from lifeboat.decisions.drill_guard import Deed
from lifeboat.drill_model import Thing, ThingKind
from lifeboat.errors import IntegrityFailure, NothingFits
from lifeboat.model import Gap, RunId, Secret
from lifeboat.runbooks import drilling
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Step, Turn
from lifeboat.stack import drill_effects, known_states
from lifeboat.state_model import LatestGood, StateRoot, VersionId

_POLL_SECONDS = 0.5
_SHOWN = 10


def version_is_chosen(c: Recovering) -> Gap | None:
    """Is the version decided on?"""
    return None if c.fact("version") is not None else Gap(text="no version of the state is chosen")


def choose_version(c: Recovering, turn: Turn) -> None:
    """Read every version, choose as `state restore --latest-good` would, and write down why not the others."""
    with c.tell.waiting() as show:
        history = c.site.state_versions(StateRoot.STACK).history(show)
    choice = state_choice.choose(history, LatestGood(), known_states.whose(c.site, StateRoot.STACK))
    chosen = choice.chosen
    rejected = {judged.what.version_id: judged.why for judged in choice.rejected[:_SHOWN]}
    if chosen is None or chosen.facts is None:
        raise NothingFits(
            "\n".join([choice.why, *(f"  {version}: {why}" for version, why in rejected.items())]),
            hint=f"lifeboat state doctor -e {c.site.project.env}",
        )
    turn.note(
        f"serial {chosen.facts.serial}, version {chosen.version_id}: {choice.why}",
        version=chosen.version_id,
        serial=chosen.facts.serial,
        why_version=choice.why,
        resources=chosen.facts.resources,
        other_versions=rejected,
    )
    c.remarks += choice.remarks


def copy_of(c: Recovering) -> Thing:
    """Return the object that this drill copies the version to, below its own run."""
    state, region = c.site.project.environment.state, c.site.project.environment.application.region
    return Thing(
        kind=ThingKind.STATE_COPY.value, id=f"s3://{state.bucket}/runs/{c.journal.run}/drill.tfstate", region=region
    )


def is_copied(c: Recovering) -> Gap | None:
    """Does the copy lie at a key of its own?"""
    thing = copy_of(c)
    return None if c.site.drill_things().standing(thing) is not None else Gap(text=f"there is no {thing.id}")


def copy(c: Recovering, turn: Turn) -> None:
    """Read that version and write it there, as the bucket encrypts everything; the state in service is not touched."""
    body = c.site.state_versions(StateRoot.STACK).body(VersionId(c.fact("version")))
    thing = copy_of(c)
    with turn.effect(f"copy version {c.fact('version')} to {thing.id}", **drill_effects.about(Deed.MAKE, thing)):
        c.site.drill_things().make_copy(thing, Secret(body.decode()), drilling.drill(c).tags)


def plan_is_empty(c: Recovering) -> Gap | None:
    """Is it written down that Terraform would change nothing with it?"""
    return None if c.fact("planned") is not None else Gap(text="Terraform has not planned with the copy")


def plan(c: Recovering, turn: Turn) -> None:
    """Plan with a data folder and a backend of the drill's own; nothing is carried out, whatever it would change.

    Raises Refused where it would change a resource, IntegrityFailure where only outputs.
    """
    site, thing = c.site, copy_of(c)
    terraform = site.drill_terraform(RunId(c.journal.run))
    terraform.init(site.drill_backend(thing.id.partition("//")[2].partition("/")[2]))
    with run_files.plan_folder(site.project.work) as folder, c.tell.waiting() as show:
        running = terraform.plan(
            out=folder / "plan",
            events=folder / "events.jsonl",
            seconds=min(turn.seconds_left, site.project.environment.terraform.plan_minutes * 60),
        )
        try:
            while not running.ended:
                show("Terraform plans with the copy")
                for _ in running.progress():
                    continue
                turn.sleep(_POLL_SECONDS)
            planned = running.planned()
            digest = hashlib.sha256((folder / "plan").read_bytes()).hexdigest()
        finally:
            if not running.ended:
                running.stop()
    drill_guard.require_no_change(planned, drilling.drill(c))
    if planned.outputs_change:
        raise IntegrityFailure(
            "Terraform plans other outputs with the newest sound version of the state than are in it",
            hint=f"lifeboat plan -e {site.project.env}",
        )
    turn.note("a plan with the copy changes nothing", planned=0, changes=[], plan_sha256=digest)


PLANNED = "plan"
STEPS: tuple[Step[Recovering], ...] = (
    drilling.DECLARED,
    Step(
        name="version",
        title="Choose the newest sound version of the state",
        check=version_is_chosen,
        do=choose_version,
        limit=timedelta(minutes=30),
    ),
    Step(name="copy-state", title="Copy it to a key of its own", check=is_copied, do=copy),
    Step(
        name=PLANNED,
        title="Plan with it: nothing changes",
        check=plan_is_empty,
        do=plan,
        limit=timedelta(minutes=30),
    ),
)
