"""Plan the stack into a folder, or apply exactly the plan in it: what a pipeline's plan and apply jobs run.

    python scripts/ci/saved_plan.py plan|apply ENVIRONMENT FOLDER

The summary beside the plan holds counts alone, as GitLab's terraform report wants them; the plan itself may hold
secrets. Terraform refuses a plan that was made from another state.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from lifeboat import config
from lifeboat.clients.terraform import Running, Terraform
from lifeboat.decisions import plans
from lifeboat.decisions.known_states import Purpose
from lifeboat.decisions.policy.introduced import Deed
from lifeboat.errors import (
    LifeboatError,
    NothingFits,
    Refused,
    StoppedPartWay,
    WrongConfiguration,
)
from lifeboat.model import LOSING, Action, Plan, RunId
from lifeboat.site import Site, site
from lifeboat.stack import drill_rest, gate, known_states, recovered, repair
from lifeboat.stack.gate import Gate
from lifeboat.stack.known_states import Passed
from lifeboat.state_model import StateRoot
from lifeboat.views import Teller

ROOT = Path(__file__).parents[2]
INIT_SECONDS = 300
COUNTED = {
    "create": (Action.CREATE, Action.REPLACE),
    "update": (Action.UPDATE,),
    "delete": LOSING,
}


def main(arguments: list[str]) -> int:
    """Do one of the two; returns lifeboat's exit status for what went wrong."""
    try:
        if len(arguments) != 3 or arguments[0] not in ("plan", "apply"):
            raise WrongConfiguration("usage: saved_plan.py plan|apply ENVIRONMENT FOLDER")
        order, name, folder = arguments
        here = site(config.load(ROOT, name))
        (plan if order == "plan" else apply)(here, Path(folder).resolve())
    except LifeboatError as error:
        say(f"error: {error.summary}")
        if error.hint:
            say(f"hint: {error.hint}")
        return error.exit_status
    return 0


def plan(here: Site, folder: Path) -> None:
    """Save a plan and its summary; Refused when it would lose what must not be lost."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stack, passed = _stack(here, Purpose.PLAN)
    seconds = here.project.environment.terraform.plan_minutes * 60
    found = _finished(stack.plan(out=folder / "stack.plan", events=folder / "events.jsonl", seconds=seconds))
    (folder / "events.jsonl").unlink()  # it may hold what the plan holds
    say(f"stack: {plans.headline(found)}")
    judgement = plans.judged(found)
    for change, why in (*judgement.refused, *judgement.to_agree):
        say(f"  {change.action.value} {change.address}: {why}")
    if judgement.refused:
        (folder / "stack.plan").unlink()
        raise Refused("this plan would lose what must not be lost, so it is not kept")
    try:
        known_states.require_planned_from(here, passed, folder / "stack.plan")
        recovered.require_kept(here, found)
        drill_rest.require_for(here, found)
        if not found.empty:
            _gate(here).require("stack", lambda: stack.planned(folder / "stack.plan"))
    except LifeboatError:
        (folder / "stack.plan").unlink()
        raise
    summary = {name: sum(found.count(action) for action in actions) for name, actions in COUNTED.items()}
    (folder / "summary.json").write_text(json.dumps(summary))


def _gate(here: Site) -> Gate:
    """Return what the rules are asked with. A pipeline accepts no risk: that a person does, by name, with an apply."""
    command = f"lifeboat apply -e {here.project.env}"
    return Gate(
        tell=Teller(),
        deed=Deed.APPLY,
        risks=(),
        again=lambda risks: " ".join([command, *map(gate.option, risks)]),
    )


def apply(here: Site, folder: Path) -> None:
    """Apply the saved plan; raises as the plan did where a drill has begun, or left something, in what it would destroy."""
    saved = folder / "stack.plan"
    if not saved.is_file():
        raise NothingFits(f"there is no plan {saved}", hint="run the pipeline's plan job first, of the same pipeline")
    (stack, _), settings = _stack(here, Purpose.APPLY), here.project.environment.terraform
    run = RunId(f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-pipeline-{uuid4().hex[:6]}")
    with here.lease(run, say).held():  # so that a recovery and this one know of each other
        drill_rest.require_for_saved(here, stack.planned(saved))
        running = stack.apply(
            saved,
            events=folder / "events.jsonl",
            seconds=settings.apply_minutes * 60,
            parallelism=settings.parallelism,
        )
        _finished(running)
        _remember(here, run)
    say("stack: applied as planned")


def _remember(here: Site, run: RunId) -> None:
    """Let the other region remember the state that the apply left; raises StoppedPartWay where it does not."""
    store = here.stack_store()
    body = store.checked() if store.keeps_digest else store.body()
    why = "there is no state" if body is None else known_states.keep(here, StateRoot.STACK, body, run)
    if why is not None:
        again = f"lifeboat apply -e {here.project.env}"
        raise StoppedPartWay(f"applied as planned, but {known_states.told(StateRoot.STACK, why)}", hint=again)


def _stack(here: Site, purpose: Purpose) -> tuple[Terraform, Passed]:
    repair.require_own(here, here.stack_store())
    passed = known_states.require(here, purpose, known_states.STACK)
    for remark in passed.remarks:
        say(remark)
    stack = here.stack_terraform()
    stack.init(here.backend(), seconds=INIT_SECONDS)
    return stack, passed


def _finished(running: Running) -> Plan:
    if running.finish() != 0:
        raise running.failure()
    return running.planned()


def say(line: str) -> None:
    """Print a line at once, in order with what Terraform prints."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
