"""`lifeboat gitlab …`: the variables, deploys and state of the environment's GitLab project."""

from __future__ import annotations

from typing import Annotated

import typer

from lifeboat import views
from lifeboat.cli_options import Env, Out, Output, Yes, asking, examined, site_of
from lifeboat.clients.gitlab_api import Patience
from lifeboat.decisions.variable_exports import Reach
from lifeboat.errors import DONE, PENDING_CHANGES, StoppedPartWay
from lifeboat.gitlab_model import SyncPlan
from lifeboat.pipeline import copies as copying
from lifeboat.pipeline import deploy as deploying
from lifeboat.pipeline import doctor as checking
from lifeboat.pipeline import sync as syncing
from lifeboat.pipeline.deploy import Approval, Pipelines, Task, Wanted
from lifeboat.pipeline.sync import Prune, Way
from lifeboat.pipeline.writes import OnFailure

gitlab = typer.Typer(
    help="The environment's GitLab project: its variables, and the jobs that deploy and roll back.",
    no_args_is_help=True,
)


def add_to(app: typer.Typer) -> None:
    """Make this a group of commands of the program."""
    app.add_typer(gitlab, name="gitlab")


Pruning = Annotated[
    bool, typer.Option("--prune", help="Delete variables that lifeboat keeps here and the file asks for no more.")
]
Ref = Annotated[str | None, typer.Option("--ref", help="Branch of the pipeline; the file's default_branch by default.")]
NewPipeline = Annotated[
    bool, typer.Option("--new-pipeline", help="Start a pipeline instead of taking the newest pushed one.")
]
WaitApproval = Annotated[
    bool, typer.Option("--wait-approval", help="Wait for the approvals of a protected environment.")
]


def _patience() -> Patience:
    return Patience(tell=views.Teller().say)


def _prune(*, asked: bool) -> Prune:
    return Prune.DELETE if asked else Prune.LEAVE


def _show(plan: SyncPlan, output: Output, done: str) -> None:
    if output is Output.JSON:
        views.document(views.sync_document(plan))
        return
    views.lines(syncing.lines(plan.changes))
    views.lines(f"! {warning}" for warning in plan.warnings)
    views.lines([f"{len(plan.writes)} {done}" if plan.writes else "no changes: GitLab has what is asked for"])


@gitlab.command("plan")
def plan(
    env: Env = "local",
    output: Out = Output.TABLE,
    prune: Pruning = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 20 when something would be written.")
    ] = False,
) -> int:
    """Show what a sync would write; write nothing. Values are never shown.

    + create, ~ update, ? hidden (cannot be compared, so it is written again), - delete, = same, ! to know.

    Example: lifeboat gitlab plan --detailed-exitcode -e production
    """
    found = syncing.preview(site_of(env), _patience(), _prune(asked=prune))
    _show(found, output, "to write")
    return PENDING_CHANGES if detailed_exitcode and found.writes else DONE


@gitlab.command("sync")
def sync(
    env: Env = "local",
    output: Out = Output.TABLE,
    prune: Pruning = False,
    no_undo: Annotated[
        bool, typer.Option("--no-undo", help="When one fails, leave those that were written before it.")
    ] = False,
    yes: Yes = False,
) -> int:
    """Write the variables that the file asks for, pointers last; on a failure all are put back. Run twice, it writes once.

    Only attributes that differ are written, and only those that the file states. What somebody else changed since the
    plan is not overwritten: it ends with 3.

    Example: lifeboat gitlab sync -e production --yes
    """
    way = Way(prune=_prune(asked=prune), on_failure=OnFailure.LEAVE if no_undo else OnFailure.PUT_BACK)
    _show(syncing.sync(site_of(env), _patience(), asking(yes=yes), way), output, "written and verified")
    return DONE


@gitlab.command("export")
def export(
    env: Env = "local",
    output: Out = Output.TABLE,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="End with 0 although hidden variables are not in it.")
    ] = False,
) -> int:
    """Copy the variables that the environment's jobs see into the dump bucket: encrypted, versioned, locked. Prints where.

    GitLab gives the values of hidden variables to nobody: they are named, and it ends with 4.

    Example: lifeboat gitlab export -e production
    """
    done = copying.export(site_of(env), _patience())
    hidden = [str(name) for name in done.export.hidden]
    where = f"s3://{done.bucket}/{done.key}"
    if output is Output.JSON:
        views.document({"export": where, "variables": len(done.export.variables), "not_exportable": hidden})
    else:
        views.lines(
            [f"{where}: {len(done.export.variables)} variables", *(f"? {name}: not exportable" for name in hidden)]
        )
    if hidden and not allow_missing:
        raise StoppedPartWay(
            f"hidden in GitLab, so in no export: {', '.join(hidden)}",
            hint="keep their values in Secrets Manager and map them from there; --allow-missing accepts it",
        )
    return DONE


@gitlab.command("restore")
def restore(
    *,
    name: Annotated[str, typer.Argument(help="Key of an export, its last part, or latest.")] = copying.LATEST,
    env: Env = "local",
    output: Out = Output.TABLE,
    shared: Annotated[
        bool, typer.Option("--shared", help="Put back variables too that jobs of other environments see.")
    ] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Show what would be written; write nothing.")] = False,
    yes: Yes = False,
) -> int:
    """Put the variables of an export back, as a sync does: only what differs, and all or nothing. Deletes nothing.

    What the environment's file asks for is left to a sync: the export may name an instance that is gone.

    Example: lifeboat gitlab restore latest --preview -e production
    """
    reach = Reach.SHARED if shared else Reach.OWN
    here = site_of(env)
    if preview:
        found = copying.preview(here, _patience(), name, reach)
    else:
        found = copying.restore(here, _patience(), asking(yes=yes), (name, reach))
    tell = views.Teller()
    tell.say(f"from {found.key}")
    if found.done.shared:
        names = ", ".join(str(other) for other in found.done.shared)
        tell.warn(f"differs too, and other environments see it; --shared puts it back: {names}")
    _show(found.done.plan, output, "to write" if preview else "put back and verified")
    if here.gitlab_settings.variables and not preview:
        tell.say(f"next: lifeboat gitlab sync -e {here.project.env}")
    return DONE


@gitlab.command("deploy")
def deploy(
    *,
    env: Env = "local",
    output: Out = Output.TABLE,
    ref: Ref = None,
    image: Annotated[str | None, typer.Option("--image", help="Image to deploy; takes a new pipeline.")] = None,
    new_pipeline: NewPipeline = False,
    wait_approval: WaitApproval = False,
) -> int:
    """Play the deploy job of the newest pushed pipeline, follow its log, and end as the job ends.

    The job's own end counts, not the pipeline's. When a limit passes while it runs: 4, and it goes on.

    Example: lifeboat gitlab deploy --image registry.example.com/app/app:7 -e production
    """
    here = site_of(env)
    wanted = _wanted(ref=ref, image=image, new_pipeline=new_pipeline, wait_approval=wait_approval)
    return _played(env, deploying.deploy_task(here, wanted), output)


@gitlab.command("rollback")
def rollback(
    *,
    env: Env = "local",
    output: Out = Output.TABLE,
    ref: Ref = None,
    image: Annotated[str | None, typer.Option("--image", help="Image to go back to; takes a new pipeline.")] = None,
    new_pipeline: NewPipeline = False,
    wait_approval: WaitApproval = False,
) -> int:
    """Play the rollback job of the newest pushed pipeline, follow its log, and end as the job ends.

    Where GitLab does not answer, `lifeboat app rollback` does it on the living instance itself.

    Example: lifeboat gitlab rollback -e production
    """
    here = site_of(env)
    wanted = _wanted(ref=ref, image=image, new_pipeline=new_pipeline, wait_approval=wait_approval)
    return _played(env, deploying.rollback_task(here, wanted), output)


def _wanted(*, ref: str | None, image: str | None, new_pipeline: bool, wait_approval: bool) -> Wanted:
    return Wanted(
        ref=ref,
        image=image,
        pipelines=Pipelines.NEW if new_pipeline else Pipelines.EXISTING,
        approval=Approval.WAIT if wait_approval else Approval.REFUSE,
    )


def _played(env: str, task: Task, output: Output) -> int:
    job = deploying.run(site_of(env), task, _patience())
    if output is Output.JSON:
        views.document(views.job_document(job))
    else:
        views.lines([views.job_line(job)])
    return DONE


@gitlab.command("doctor")
def doctor(env: Env = "local", output: Out = Output.TABLE) -> int:
    """Look at GitLab, the token, the project, its protection, runners and pipeline file; what is wrong, and what mends it.

    Example: lifeboat gitlab doctor -e production
    """
    return examined(checking.run(site_of(env), _patience()), output)
