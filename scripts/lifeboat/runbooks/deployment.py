"""The steps of a recovery that go through GitLab, and the way around it when it does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from lifeboat.decisions import deployments, played_jobs
from lifeboat.errors import (
    ApprovalMissing,
    Failed,
    GitLabUnreachable,
    IntegrityFailure,
    JobNotBegun,
    NothingFits,
    Refused,
    Unreachable,
    WrongConfiguration,
)
from lifeboat.gitlab_model import Job
from lifeboat.model import Gap, InstanceId, Scope, Tag
from lifeboat.pipeline import deploy as playing
from lifeboat.pipeline import following, sync
from lifeboat.pipeline.deploy import Pipelines, Wanted
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Turn
from lifeboat.stack import application
from lifeboat.stack.application import Work

_POLL_SECONDS = 1.0
_ANSWER_SECONDS = 10.0
# No image is named: what the recovered disk serves is run anew, also when GitLab's registry is down with GitLab.
_FROM_DISK = replace(application.redeployment(None), script=deployments.redeploying_from_disk)


def require_gitlab(c: Recovering) -> None:
    """Raise what would stop the sync or the deploy; where GitLab does not answer, remark on it: there is another way."""
    if c.site.project.environment.gitlab is None or _deployed(c):
        return
    try:
        with _or_around(c):
            _require_wanted(c)
            sync.preview(c.site, c.gitlab_patience())
            # What this run has played already waits for nobody's approval any more.
            since = played_jobs.since(c.journal.events, c.app.instance_id)
            playing.require_playable(c.site, replace(_task(c), since=since), c.gitlab_patience())
    except GitLabUnreachable as error:
        c.remarks.append(f"without GitLab, the application will be deployed over SSM: {error.summary}")


def _require_wanted(c: Recovering) -> None:
    """Raise GitLabUnreachable where this attempt is to do without GitLab: it goes the way of one that does not answer."""
    if c.request.without_gitlab:
        raise GitLabUnreachable("--without-gitlab was said", hint="lifeboat resume finishes it with GitLab")


@contextmanager
def _or_around(c: Recovering) -> Iterator[None]:
    """Tell of what GitLab forbids that the recovery can do without it: a token may take longer to get than there is time."""
    try:
        yield
    except (WrongConfiguration, ApprovalMissing, Refused, NothingFits) as error:
        around = c.again(replace(c.request, without_gitlab=True))
        way = f"without waiting for that, over SSM: {around}"
        error.hint = f"{error.hint}; {way}" if error.hint else way
        raise


def variables_match(c: Recovering) -> Gap | None:
    """Are GitLab's variables what the stack says?"""
    if c.site.project.environment.gitlab is None:
        return None
    with _or_around(c):
        _require_wanted(c)
        try:
            plan = sync.preview(c.site, c.gitlab_patience())
        except (Unreachable, IntegrityFailure) as error:
            # The password of a database that is gone went with it.
            if isinstance(error, GitLabUnreachable) or not _awaits_database(c):
                raise
            return Gap(text=f"what they have to be is known once the database is restored; until then: {error.summary}")
    if not plan.differs:  # a hidden variable is written each time, since nobody can read it
        return None
    return Gap(text="to be written: " + ", ".join(str(change.name) for change in plan.writes))


def _awaits_database(c: Recovering) -> bool:
    """Whether the stack still tells of the database that this recovery brings back, and not of the one that it becomes."""
    return c.request.scope is not Scope.INSTANCE and c.recovery.database.identifier != c.fact("identifier")


def sync_variables(c: Recovering, turn: Turn) -> None:
    """Write them, the pointers to the instance last."""
    plan = sync.preview(c.site, c.gitlab_patience())
    written = [str(change.name) for change in plan.writes]
    with _or_around(c), turn.effect("write GitLab's variables", variables=written):
        sync.run(c.site, plan, c.gitlab_patience())


def is_deployed(c: Recovering) -> Gap | None:
    """Was the application deployed to the instance that this recovery launched?"""
    if c.site.project.environment.gitlab is None or _deployed(c):
        return None
    return Gap(text=f"the application was not deployed to {c.app.instance_id} yet")


def _deployed(c: Recovering) -> bool:
    """Return whether it was; an instance that was there before and is well needs no deployment."""
    if c.fact("deployed_to") == c.app.instance_id:
        return True
    return not c.has_launched and not c.replaces and c.serves and c.image == c.app.ami_id


def deploy(c: Recovering, turn: Turn) -> None:
    """Play the job and follow it to its end; where GitLab does not answer or lets it wait, run the same over SSM."""
    instance = c.app.instance_id
    served = c.health().image or _of_the_image(c)
    try:
        if variables_match(c) is not None:
            sync_variables(c, turn)  # left open before: the job goes where they point
        try:
            job = _played(c, turn)
        except JobNotBegun:
            if not withdraw(c, turn):
                raise
            job = _played(c, turn)  # a runner has just taken it: it is followed, not deployed beside
        turn.note(
            f"{job.name} (job {job.id}) deployed to {instance}", deployed_to=instance, deployed_by=f"job {job.id}"
        )
    except (GitLabUnreachable, JobNotBegun) as error:
        c.tell.warn(f"GitLab does not deploy it ({error.summary}); deploying over SSM")
        left = withdraw(c, turn)
        if left:
            c.tell.warn(left)
            c.remarks.append(left)
        _deploy_over_ssm(c, turn)
    _compare(c, turn, served)


def _played(c: Recovering, turn: Turn) -> Job:
    """Play the job, writing down each try before it may run, and whether it ended."""

    def note(job: Job) -> None:
        turn.note(f"{job.name} is job {job.id}", **played_jobs.noted(job))

    task = replace(_task(c), since=_since(c, turn))
    with turn.effect(f"play {task.job}", instance=c.app.instance_id) as came:
        try:
            job = playing.play_and_follow(c.site, task, c.gitlab_patience(), note)
        except Failed:
            came[played_jobs.ENDED] = True
            raise
        came.update(job=job.id, url=job.web_url)
    return job


def withdraw(c: Recovering, turn: Turn) -> str:
    """Cancel what this recovery has played and still waits: begun hours later, it would replace what is deployed then.

    Returns what it may still do; nothing when it will not run any more, or never was to.
    """
    played = played_jobs.last(c.journal.events)
    if played is None:
        return ""
    patience = replace(c.gitlab_patience(), seconds=_ANSWER_SECONDS)
    left = following.withdrawn(c.site.gitlab_pipelines(patience), played)
    if left:
        turn.note(left)
    else:
        turn.note(f"{played.name} (job {played.job}) will not run any more", **{played_jobs.ENDED: True})
    return left


def _compare(c: Recovering, turn: Turn, served: str | None) -> None:
    """Write down which container image answers, and say so where it is not the one that the recovered disk served."""
    answers = c.health(seconds=_ANSWER_SECONDS).image
    other = None not in (served, answers) and served != answers
    told = "" if served == answers else f"; the recovery image was made with {served or 'an unknown one'}"
    text = f"{answers or 'an unknown container image'} answers{told}"
    turn.note(text, container=answers, container_of_image=served)
    if other:
        back = f"lifeboat app redeploy --image {served} -e {c.site.project.env}"
        c.remarks.append(f"{text}; if that is not wanted: {back}")
        c.tell.warn(text)


def _of_the_image(c: Recovering) -> str | None:
    """Return the container image that ran where the recovery image was baked, which its tag tells."""
    try:
        found = c.site.images().image(c.image, c.recovery.region)
    except Unreachable:
        return None
    return None if found is None else found.tags.get(Tag.IMAGE_TAG)


def _task(c: Recovering) -> playing.Task:
    return playing.deploy_task(c.site, Wanted(pipelines=Pipelines.EITHER))


def _since(c: Recovering, turn: Turn) -> datetime:
    """Return when, by GitLab's clock, this recovery may first have played the job; it is written down before."""
    noted = played_jobs.since(c.journal.events, c.app.instance_id)
    if noted is not None:
        return noted
    # GitLab tells whole seconds.
    since = c.site.gitlab_pipelines(c.gitlab_patience()).now() - timedelta(seconds=1)
    turn.note("the job may be played from now on", **played_jobs.begun(since, c.app.instance_id))
    return since


def _deploy_over_ssm(c: Recovering, turn: Turn) -> None:
    instance = InstanceId(c.app.instance_id)
    hosts = c.site.hosts(c.recovery.region)
    with c.tell.waiting() as show:
        while (why := deployments.unreachable(hosts.standing(instance))) is not None:
            show(why)
            turn.sleep(_POLL_SECONDS)
    within = timedelta(seconds=turn.seconds_left)
    work = Work(site=c.site, tell=c.tell, within=within, effect=turn.effect, note=turn.note)
    application.perform(work, _FROM_DISK)
    turn.note(f"deployed to {instance} over SSM", deployed_to=instance, deployed_by="SSM")
