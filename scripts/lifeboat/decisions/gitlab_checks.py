"""What a GitLab project must be like for a sync and a deploy to work, found before it is needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from lifeboat.decisions import variable_scopes
from lifeboat.gitlab_model import (
    Guard,
    Lint,
    ProjectFacts,
    Role,
    RunnerFacts,
    Schedule,
    TokenFacts,
    VariableName,
    Wish,
)
from lifeboat.model import Prerequisite

# POST /projects/:id/pipeline takes `inputs` since 17.11 (doc/ci/inputs, gitlab-org/gitlab#519958; python-gitlab#3194);
# hidden variables are there since 17.4 (doc/ci/variables).
TAKES_INPUTS_SINCE = (17, 11)
SHORTEST_TOKEN_LIFE = timedelta(days=30)


def version(found: str) -> Prerequisite:
    """Is this GitLab new enough for what lifeboat asks of it?"""
    numbers = tuple(int(part) for part in found.split("-", maxsplit=1)[0].split(".")[:2] if part.isdigit())
    return Prerequisite(
        name="GitLab",
        found=found,
        wanted="17.11 or newer: it takes inputs for a pipeline, and hides variables",
        good=numbers >= TAKES_INPUTS_SINCE,
        fix="update GitLab: an older one starts a pipeline without the inputs, or shows what shall be hidden",
    )


def token(found: TokenFacts | None, today: date) -> Prerequisite:
    """May the token write, and will it still do so in a month?"""
    wanted = f"scope api, valid for {SHORTEST_TOKEN_LIFE.days} days more"
    if found is None:
        return Prerequisite(name="token", found="GitLab does not say", wanted=wanted, good=True)
    left = None if found.expires_on is None else found.expires_on - today
    ends = "without end" if found.expires_on is None else f"until {found.expires_on}"
    return Prerequisite(
        name="token",
        found=f"{found.name}: scopes {', '.join(found.scopes)}, {ends}",
        wanted=wanted,
        good="api" in found.scopes and (left is None or left >= SHORTEST_TOKEN_LIFE),
        fix="make a new project access token with the scope api, and put it where [gitlab] says",
    )


def role(project: ProjectFacts) -> Prerequisite:
    """May the token's user write variables?"""
    found = "GitLab does not say" if project.role is None else project.role.name.title()
    return Prerequisite(
        name="role",
        found=found,
        wanted=f"Maintainer of {project.path}",
        good=project.role is None or project.role >= Role.MAINTAINER,
        fix="variables take a Maintainer: make the token with that role",
    )


def branch(ref: str, protected: bool | None, wishes: Iterable[Wish]) -> Prerequisite:
    """Do jobs of the branch that is deployed from see every variable?"""
    keys = [str(wish.name) for wish in wishes if wish.protected]
    found = "there is no such branch" if protected is None else "protected" if protected else "not protected"
    return Prerequisite(
        name=f"branch {ref}",
        found=found,
        wanted=f"protected, as {', '.join(keys)} are" if keys else "there",
        good=protected is not None and (protected or not keys),
        fix=f"protect {ref} in GitLab: its jobs would find protected variables empty",
    )


def environment(name: str, guard: Guard | None) -> Prerequisite:
    """Who may deploy, and must anybody approve? Nothing of it is wrong, but it takes people at 3 a.m."""
    if guard is None:
        found = "not protected: every Developer may deploy"
    else:
        approvals = f", after {guard.approvals} approvals" if guard.approvals else ""
        found = f"protected: {', '.join(guard.deployers) or 'nobody'} may deploy{approvals}"
    return Prerequisite(name=f"environment {name}", found=found, wanted="known", good=True)


def outdated(project: ProjectFacts) -> Prerequisite:
    """Can a pipeline that ran before be deployed from again?"""
    found = {
        None: "GitLab does not say",
        True: "older deployments are prevented",
        False: "older ones may overwrite newer",
    }
    again = "" if project.rollback_allowed is not False else ", and ended ones cannot be retried"
    return Prerequisite(
        name="outdated deployments",
        found=found[project.forward_deployment] + (again if project.forward_deployment else ""),
        wanted="known: roll back with the newest pipeline's job",
        good=True,
    )


def override(project: ProjectFacts) -> Prerequisite:
    """Who may give variables to a pipeline? lifeboat never does, so this only tells what others could shadow."""
    found = project.override_role or "GitLab does not say"
    return Prerequisite(name="pipeline variables", found=f"may be set by: {found}", wanted="known", good=True)


def runners(found: Sequence[RunnerFacts] | None) -> Prerequisite:
    """Is anybody there to run a job?"""
    wanted = "one online"
    if found is None:
        return Prerequisite(
            name="runners",
            found="unknown: this token may not see them",
            wanted=wanted,
            good=False,
            fix="use a Maintainer's token, or see in GitLab (Settings, CI/CD, Runners) that one is online",
        )
    online = [r for r in found if r.online and not r.paused]
    words = [f"{r.description} ({_tags(r)})" for r in online]
    return Prerequisite(
        name="runners",
        found=", ".join(words) or f"none of {len(found)} is online",
        wanted=wanted,
        good=bool(online),
        fix="start a runner: without one, deploys wait for ever (lifeboat app redeploy needs none)",
    )


def _tags(runner: RunnerFacts) -> str:
    return "tags unknown" if runner.tags is None else ", ".join(runner.tags) or "no tags"


def shadowing(
    names: Iterable[VariableName], group: Iterable[VariableName] | None, schedules: Iterable[Schedule] | None
) -> Prerequisite:
    """Does anything else set what the file writes? A schedule's variable wins over the project's, a group's loses."""
    keys = {name.key for name in names}
    said, won = [], []
    if group is None:
        said.append("the group's are not for this token to see")
    else:
        said += [f"{name.key} in the group (the project's wins)" for name in group if name.key in keys]
    if schedules is None:
        said.append("schedules are not for this token to see")
    else:
        won = [f"{key} in the schedule {s.description}" for s in schedules if s.active for key in s.keys if key in keys]
    return Prerequisite(
        name="shadowing",
        found="; ".join([*won, *said]) or "nothing",
        wanted="no schedule sets a variable of the file",
        good=not won,
        fix="take the variable out of the schedule: its jobs would not see what a recovery writes",
    )


def pipeline(found: Lint, wanted: Iterable[str]) -> Prerequisite:
    """Is the pipeline's file sound, and does it have the jobs that are played?"""
    missing = [name for name in wanted if name not in found.jobs]
    said = [*found.errors, *([f"no job {', '.join(missing)}"] if missing and not found.errors else [])]
    return Prerequisite(
        name=".gitlab-ci.yml",
        found="; ".join(said) or f"sound, {len(found.jobs)} jobs",
        wanted=f"sound, with {', '.join(wanted)}",
        good=not said,
        fix="mend .gitlab-ci.yml, or name the jobs in [gitlab] deploy_job and rollback_job",
    )


def scopes(names: Iterable[VariableName], name: str) -> Prerequisite:
    """Do the jobs of this environment see what the file writes?"""
    unseen = [str(n) for n in names if not variable_scopes.covers(n.scope, name)]
    return Prerequisite(
        name="scopes",
        found=f"not seen by jobs of {name}: {', '.join(unseen)}" if unseen else f"all are seen by jobs of {name}",
        wanted=f"scopes that cover {name}",
        good=not unseen,
        fix="check scope in [[gitlab.variables]], and [gitlab] environment",
    )
