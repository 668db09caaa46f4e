"""The verbs that build an environment, look at it whole, and take it down."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from lifeboat import views
from lifeboat.cli_options import AcceptRisk, Env, Out, Output, Yes, asking, examined, site_of
from lifeboat.commands import apply as apply_command
from lifeboat.commands import destroy as destroy_command
from lifeboat.commands import doctor as doctor_command
from lifeboat.commands import plan as plan_command
from lifeboat.decisions.known_states import Purpose
from lifeboat.decisions.policy import risks
from lifeboat.errors import (
    DONE,
    OBJECTIVE_MISSED,
    PENDING_CHANGES,
    IntegrityFailure,
    StoppedPartWay,
)
from lifeboat.stack import grounds


def add_to(app: typer.Typer) -> None:
    """Make these verbs commands of the program."""
    for verb in (apply, plan, destroy, doctor):
        app.command()(verb)


def apply(
    env: Env = "local",
    output: Out = Output.TABLE,
    first_apply: Annotated[
        bool,
        typer.Option(
            "--first-apply",
            help="There was an environment of this name, and nothing of it exists. Refused where its state is remembered.",
        ),
    ] = False,
    accept_risk: AcceptRisk = None,
    yes: Yes = False,
) -> int:
    """Build or mend the environment, then show what is protected and how.

    Starts the local cloud where there is one, makes the state backend when it is missing, repairs what a killed apply
    left, refuses to lose anything protected, and compares state and digest at the end.

    Refused (3) where the state is gone, another one, or older than what this machine or the other region remembers of it;
    root 1's, where this machine has it still, is put back once you agree. Refused too where a plan would bring about a
    finding of high severity (lifeboat policy list) that nobody accepts.
    """
    here = site_of(env)
    tell = views.Teller()
    asked = apply_command.Asked(
        purpose=Purpose.FIRST_APPLY if first_apply else Purpose.APPLY, risks=risks.parsed(accept_risk or ())
    )
    done = apply_command.run(here, tell, asking(yes=yes), asked)
    if output is Output.JSON:
        views.document(
            {
                "changed": done.changed,
                "application": done.recovery.app.model_dump(),
                "answers": done.answers,
                "public_name": views.public_document(done.public),
                "unproven": list(done.unproven),
                "unremembered": list(done.unremembered),
                "accepted_risks": list(done.accepted),
                "put_back": list(done.put_back),
                "protection": views.protection_document(done.rows),
                "seconds": dict(done.stages),
            }
        )
    else:
        views.lines([] if done.changed else ["no changes: the environment is what its files say"])
        views.lines([f"done: {line}" for line in done.put_back])
        views.protection(done.rows, done.recovery)
        views.application(done.recovery, done.answers, done.public)
        views.lines([f"accepted risk: {line}" for line in done.accepted])
        views.timings(done.stages)
    if done.answers is None:
        raise IntegrityFailure(
            f"everything is applied, but {done.recovery.app.url} does not answer with 200 from here",
            hint=f"{'lifeboat local logs' if here.local_cloud() else f'curl -v {done.recovery.app.url}'}; where the instance"
            " is what fails: lifeboat recover --preview",
        )
    if done.unproven:
        raise IntegrityFailure(
            "everything is applied, but the application does not answer through its public name:\n"
            + "\n".join(f"  {finding}" for finding in done.unproven),
            hint=f"lifeboat dns show -e {env}",
        )
    if done.unremembered:
        raise StoppedPartWay(
            "everything is applied, but:\n" + "\n".join(f"  {line}" for line in done.unremembered),
            hint=f"lifeboat apply -e {env} writes it down, once the other region answers and takes it",
        )
    # What is stored but copied on no schedule yet is shown as unknown; what nothing protects misses the objective.
    missed = [row.asset for row in done.rows if not row.meets and (row.rpo is not None or not row.ways)]
    if missed:
        tell.warn(f"objective missed for: {', '.join(missed)}")
        return OBJECTIVE_MISSED
    return DONE


def plan(
    env: Env = "local",
    output: Out = Output.TABLE,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 20 when something would change.")
    ] = False,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline", help="Check the configuration alone, without an account (implied by dummy credentials)."
        ),
    ] = False,
) -> int:
    """Show what an apply would change, and whether it would refuse to; change nothing."""
    here, tell = site_of(env), views.Teller()
    alone = offline or (here.project.environment.endpoint is None and grounds.dummy_credentials(here.caller_env))
    done = plan_command.run(here, tell, offline=alone)
    refusals = dict(done.refusals)
    if output is Output.JSON:
        views.document(
            [
                {
                    "root": name,
                    "offline": done.offline,
                    **views.plan_document(found),
                    "refused": refusals[name].summary if name in refusals else None,
                }
                for name, found in done.plans
            ]
        )
    else:
        for name, found in done.plans:
            views.plan(f"{name} (offline, against an empty state)" if done.offline else name, found)
    for error in refusals.values():
        tell.warn(f"an apply would refuse this: {error.summary}\n  next: {error.hint}")
    return PENDING_CHANGES if detailed_exitcode and not done.empty else DONE


def destroy(env: Env = "local", yes: Yes = False) -> int:
    """Take a disposable environment down: the stack, then its local cloud with all data. Refused for any other."""
    here = site_of(env)
    rehearsal = here.local_cloud() is not None and not sys.stdin.isatty()
    done = destroy_command.run(here, views.Teller(), asking(yes=yes or rehearsal))
    left = f"still there: {', '.join(done.left)}" if done.left else "nothing is left running"
    views.lines([f"{env} is gone: {len(done.stack_plan.changes)} resources destroyed; {left}"])
    views.timings(done.stages)
    return DONE


def doctor(env: Env = "local", output: Out = Output.TABLE) -> int:
    """Look at everything lifeboat needs on this machine, with the command that fixes what is missing."""
    return examined(doctor_command.run(site_of(env)), output)
