"""The recovery of instance and database, restored side by side, until the application answers from both."""

from __future__ import annotations

from datetime import timedelta

from lifeboat.decisions import recoveries
from lifeboat.errors import GitLabUnreachable
from lifeboat.model import Address, Gap
from lifeboat.runbooks import (
    database_adoption,
    database_losses,
    database_proof,
    database_restore,
    database_sessions,
    deployment,
)
from lifeboat.runbooks import recover as instance
from lifeboat.runbooks import recover_database as database
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import SideBySide, Step, Turn
from lifeboat.stack import repair

# With a database that is gone no plan of the whole stack can be carried out before that is restored.
ALONE = (instance.INSTANCE, Address("module.app_instance.aws_eip_association.this"))


def all_is_at_hand(c: Recovering) -> Gap | None:
    """Look at what would stop the recovery later; raises what does, and remarks on what only makes it slower."""
    repair.require_state(c.site, c.site.stack_store())
    database.require_readable(c)
    database.require_keys(c)
    if not c.has_launched:
        instance.require_image(c)
        instance.require_room(c, c.app.instance_type)
    database.remark_on_gitlab(c)
    return None


def _why_not_launched(c: Recovering) -> str | None:
    """Return why no instance runs from the image; the stack's output tells of it only when the database is adopted."""
    known = sorted(c.recorded() - c.to_destroy())
    for name in known:
        found = c.site.instances().instance(name)
        fresh = name != c.old or not c.replaces
        if found is not None and found.state == "running" and found.image == c.image and fresh:
            left = sorted(c.to_destroy())
            return f"{name} runs, and Terraform has still to end {', '.join(left)}" if left else None
    return f"{', '.join(known) or 'no instance'} of Terraform's does not run from {c.image}, or does not serve"


def is_planned(c: Recovering) -> Gap | None:
    """Has Terraform planned the new instance, and nothing else?"""
    why = _why_not_launched(c)
    return None if why is None or c.planned is not None else Gap(text=f"{why}; Terraform has to plan one")


def make_plan(c: Recovering, turn: Turn) -> None:
    """Plan it without the database, and refuse what is not on the instance's path; nothing is changed."""
    instance.plan_instance(c, turn, ALONE)


def is_launched(c: Recovering) -> Gap | None:
    """Does the instance that Terraform knows run, from the image that was chosen?"""
    why = _why_not_launched(c)
    return None if why is None else Gap(text=why)


def launch(c: Recovering, turn: Turn) -> None:
    """Apply the plan: the new instance is made, given the address, and the old one goes."""
    if c.planned is None:
        make_plan(c, turn)
    instance.carry_out(c, turn)


def old_one_is_quiet(c: Recovering) -> Gap | None:
    """Has the instance that does not serve stopped writing to the database?"""
    return None if _why_not_launched(c) is None else instance.old_one_is_quiet(c)


def works_on_it(c: Recovering) -> Gap | None:
    """Was the application deployed, or started anew, since its secret names the new database?"""
    name = c.fact("identifier")
    if name is not None and recoveries.started_anew(c.journal.events, database=name, instance=c.app.instance_id):
        return None
    return Gap(
        text=f"nothing has started the application on {c.app.instance_id} since its secret names the new database"
    )


STEPS: tuple[Step[Recovering] | SideBySide[Recovering], ...] = (
    Step(
        name="failure",
        title="Declare when it failed",
        check=instance.failure_is_declared,
        do=instance.declare_failure,
    ),
    Step(name="preflight", title="Look at everything that a recovery needs", check=all_is_at_hand),
    database.CHOICE,
    Step(
        name="image",
        title="Choose the recovery image",
        check=instance.image_is_chosen,
        do=instance.choose_image,
    ),
    Step(
        name="left-over",
        title="End what an interrupted attempt launched",
        check=instance.nothing_is_left_over,
        do=instance.end_left_over,
    ),
    SideBySide(
        beside=database_restore.RESTORING,
        here=(
            Step(
                name="plan",
                title="Plan the new instance, and nothing else",
                check=is_planned,
                do=make_plan,
                limit=instance.PLAN_LIMIT,
            ),
            Step(
                name="fence",
                title="Stop the instance that does not serve",
                check=old_one_is_quiet,
                do=instance.stop_old_one,
            ),
            Step(
                name="file",
                title="Keep the image for every later apply",
                check=instance.file_says_so,
                do=instance.write_file,
            ),
            Step(
                name="instance",
                title="Launch the instance from the image",
                check=is_launched,
                do=launch,
                limit=timedelta(hours=2),
            ),
        ),
    ),
    database_losses.COMPARED,
    *database_adoption.ADOPTING,
    Step(
        name="alone",
        title="Prove that exactly one instance serves",
        check=instance.exactly_one_serves,
        do=instance.wait_until_alone,
    ),
    Step(
        name="variables",
        title="Point GitLab at both",
        check=deployment.variables_match,
        do=deployment.sync_variables,
        may_stay_open=(GitLabUnreachable,),
    ),
    instance.DEPLOYED,
    Step(
        name="restart",
        title="Start the application anew, unless it was just deployed",
        check=works_on_it,
        do=database.restart,
        limit=timedelta(minutes=30),
    ),
    *instance.ANSWERING,
    database_sessions.ASKED,
    database_losses.LEFT_BEHIND,
    database_proof.NOTED,
    database_adoption.COPIES,
    instance.AGREES,
)
