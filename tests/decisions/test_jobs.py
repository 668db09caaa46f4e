"""Which job to play, what to do with it, and what its end means."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from lifeboat.decisions import jobs
from lifeboat.decisions.jobs import Cause, Next, Step
from lifeboat.gitlab_model import (
    ENDED,
    WAITING,
    Deployment,
    DeploymentId,
    Job,
    JobId,
    Pipeline,
    PipelineId,
    ProjectFacts,
    Role,
    RunnerFacts,
    Variable,
    VariableName,
)
from lifeboat.model import Secret

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PIPELINE = Pipeline(
    id=PipelineId(7),
    ref="main",
    sha="a" * 40,
    source="push",
    status="manual",
    web_url="https://g/7",
    created_at=NOON - MINUTE,
)
# Every status that GitLab documents for a job (doc/api/jobs.md).
STATUSES = (
    *("created", "waiting_for_resource", "preparing", "waiting_for_callback", "pending", "running", "canceling"),
    *("success", "failed", "canceled", "skipped", "manual", "scheduled"),
)


def job(name: str = "deploy", status: str = "manual", number: int = 1, **more: object) -> Job:
    return Job(
        **{
            "id": JobId(number),
            "name": name,
            "status": status,
            "pipeline": PIPELINE,
            "created_at": NOON - MINUTE,
            "web_url": "https://g/j",
            **more,
        }  # type: ignore[arg-type]
    )


# -- which job ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "found", "candidates"),
    [
        (["test", "deploy"], "deploy", ()),
        (["test"], None, ()),
        (["deployment", "re deploy", "deploy_it"], None, ()),
        (["deploy 1/2", "deploy 2/2"], None, ("deploy 1/2 (job 0)", "deploy 2/2 (job 1)")),
        (["deploy: [eu]", "deploy: [us, blue]"], None, ("deploy: [eu] (job 0)", "deploy: [us, blue] (job 1)")),
        (["deploy", "deploy"], None, ("deploy (job 0)", "deploy (job 1)")),
        (["deploy", "deploy: [eu]"], None, ("deploy (job 0)", "deploy: [eu] (job 1)")),
    ],
)
def test_one_job_of_a_name_is_found_and_several_are_candidates(
    names: list[str], found: str | None, candidates: tuple[str, ...]
) -> None:
    done = jobs.named([job(name, number=n) for n, name in enumerate(names)], "deploy")

    assert (done.job.name if done.job else None, done.candidates) == (found, candidates)


@pytest.mark.parametrize("source", ["push", "api", "web", "schedule", "trigger", "pipeline"])
def test_only_a_pushed_pipeline_surely_has_the_defaults_of_its_file(source: str) -> None:
    assert jobs.has_the_files_defaults(replace(PIPELINE, source=source)) is (source == "push")


# -- what to do with it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "started", "since", "step"),
    [
        ("manual", None, None, Step.PLAY),
        ("manual", None, NOON, Step.PLAY),
        ("pending", None, None, Step.FOLLOW),
        ("waiting_for_resource", None, None, Step.FOLLOW),
        ("scheduled", None, None, Step.FOLLOW),
        ("running", NOON - MINUTE, None, Step.WAIT),
        ("running", NOON - MINUTE, NOON, Step.WAIT),
        ("running", NOON, NOON, Step.FOLLOW),
        ("running", NOON + MINUTE, NOON, Step.FOLLOW),
        ("success", NOON - MINUTE, None, Step.RETRY),
        ("success", NOON - MINUTE, NOON, Step.RETRY),
        ("success", NOON + MINUTE, NOON, Step.FOLLOW),
        ("failed", NOON + MINUTE, NOON, Step.FOLLOW),
        ("failed", NOON + MINUTE, None, Step.RETRY),
        ("canceled", None, NOON, Step.RETRY),
        ("canceled", NOON + MINUTE, NOON, Step.FOLLOW),
        ("canceling", NOON, NOON, Step.WAIT),
        ("skipped", None, None, Step.REFUSE),
    ],
)
def test_a_job_is_played_once_and_with_the_variables_of_now(
    status: str, started: datetime | None, since: datetime | None, step: Step
) -> None:
    assert jobs.next_step(job(status=status, started_at=started), [], since).step is step


@pytest.mark.parametrize(
    ("status", "started", "since", "ours"),
    [
        ("running", NOON, NOON, True),
        ("running", NOON - MINUTE, NOON, False),
        ("success", NOON + MINUTE, NOON, True),
        ("success", NOON + MINUTE, None, False),
        ("pending", None, NOON, True),
        ("pending", None, None, False),
        ("manual", None, NOON, False),
        ("canceled", None, NOON, False),
        ("canceled", None, NOON - 2 * MINUTE, True),
    ],
)
def test_what_began_or_waits_since_is_this_runs(
    status: str, started: datetime | None, since: datetime | None, ours: bool
) -> None:
    assert jobs.is_ours(job(status=status, started_at=started), since) is ours


def test_a_job_has_begun_when_it_waits_runs_or_has_ended() -> None:
    begun = {status for status in STATUSES if jobs.has_begun(job(status=status))}

    assert set(STATUSES) - begun == {"created", "manual"}


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_has_a_next_step_with_its_reason(status: str) -> None:
    done = jobs.next_step(job(status=status), [], None)

    assert done.why
    assert (done.step in (Step.PLAY, Step.FOLLOW)) is (status == "manual" or status in WAITING)
    assert (done.step is Step.RETRY) is (status in ENDED and status != "skipped")


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        (
            [job("plan", "running", 2), job("apply", "manual", 3)],
            Next(step=Step.WAIT, why="it waits for earlier jobs: plan"),
        ),
        (
            [job("plan", "success", 2), job("apply", "manual", 3)],
            Next(
                step=Step.REFUSE,
                why="it waits for earlier jobs that do not run: apply (manual); give it needs: [] to be free of them",
            ),
        ),
        ([job("plan", "created", 2)], Next(step=Step.WAIT, why="GitLab has not prepared it yet")),
        ([job("plan", "success", 2)], Next(step=Step.WAIT, why="GitLab has not prepared it yet")),
        ([], Next(step=Step.WAIT, why="GitLab has not prepared it yet")),
    ],
)
def test_a_job_before_its_turn_waits_for_what_runs_and_for_gitlab(others: list[Job], expected: Next) -> None:
    created = job(status="created")

    assert jobs.next_step(created, [created, *others], None) == expected


@pytest.mark.parametrize("status", ["created", "pending", "running"])
def test_a_job_is_not_behind_a_manual_one_until_its_pipeline_says_so(status: str) -> None:
    pipeline = replace(PIPELINE, status=status)
    created = job(status="created", pipeline=pipeline)

    found = jobs.next_step(created, [created, job("apply", "manual", 3, pipeline=pipeline)], None)

    assert found == Next(step=Step.WAIT, why="GitLab has not prepared it yet")


def test_protected_variables_are_named_where_a_ref_is_not() -> None:
    variables = [
        Variable(name=VariableName(key=key, scope=scope), value=Secret("v"), protected=protected)
        for key, scope, protected in [("IP", "*", True), ("IP", "x", True), ("URL", "x", False), ("OTHER", "x", True)]
    ]

    found = jobs.unseen(variables, [VariableName(key=key, scope="x") for key in ("IP", "URL")])

    assert [str(name) for name in found] == ["IP (x)"]


def test_a_rejected_deployment_is_not_tried_again() -> None:
    rejected = job(status="failed", started_at=NOON, failure_reason="deployment_rejected")

    assert jobs.next_step(rejected, [], None) == Next(
        step=Step.REFUSE, why="somebody rejected its deployment, so GitLab runs it no more"
    )


# -- why it cannot be played -------------------------------------------------------------------------------------------

PROJECT = ProjectFacts(
    path="demo/app",
    web_url="https://g/demo/app",
    group="demo",
    default_branch="main",
    role=Role.MAINTAINER,
    override_role=None,
    forward_deployment=True,
    rollback_allowed=True,
)


def deployment(number: int, status: str, **more: object) -> Deployment:
    return Deployment(
        **{
            "id": DeploymentId(number),
            "environment": "production",
            "status": status,
            "job": JobId(number),
            "sha": "a" * 40,
            **more,
        }  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("status", "archived", "deployments", "cause", "why"),
    [
        ("created", False, [], Cause.EARLY, "it waits for earlier jobs"),
        (
            "manual",
            False,
            [deployment(1, "blocked", missing_approvals=2)],
            Cause.APPROVAL,
            "deployment 1 to production waits for 2 more approvals",
        ),
        (
            "manual",
            False,
            [deployment(1, "blocked", missing_approvals=1)],
            Cause.APPROVAL,
            "deployment 1 to production waits for 1 more approval",
        ),
        (
            "manual",
            False,
            [deployment(3, "success", sha="b" * 40), deployment(1, "created")],
            Cause.OUTDATED,
            "it is of commit aaaaaaaa, and bbbbbbbb was deployed to production since (deployment 3): GitLab prevents"
            " outdated deployments",
        ),
        (
            "manual",
            True,
            [deployment(1, "blocked")],
            Cause.ARCHIVED,
            "pipeline 7 is archived, and its jobs run no more",
        ),
        ("manual", False, [], Cause.UNKNOWN, "GitLab does not say why; its status is manual"),
        (
            "manual",
            False,
            [deployment(3, "failed", sha="b" * 40), deployment(1, "created")],
            Cause.UNKNOWN,
            "GitLab does not say why; its status is manual",
        ),
        (
            "manual",
            False,
            [deployment(3, "success"), deployment(1, "created")],
            Cause.UNKNOWN,
            "GitLab does not say why; its status is manual",
        ),
        (
            "manual",
            False,
            [deployment(3, "success", sha="b" * 40, environment="staging"), deployment(1, "created")],
            Cause.UNKNOWN,
            "GitLab does not say why; its status is manual",
        ),
    ],
)
def test_the_causes_of_an_unplayable_job_are_told_apart(
    status: str, archived: bool, deployments: list[Deployment], cause: Cause, why: str
) -> None:
    done = jobs.unplayable(job(status=status, archived=archived), deployments, PROJECT)

    assert (done.cause, done.why) == (cause, why)


# -- runners and ends --------------------------------------------------------------------------------------------------


def runner(
    description: str, *tags: str, online: bool = True, paused: bool = False, untagged: bool = False
) -> RunnerFacts:
    return RunnerFacts(description=description, online=online, paused=paused, tags=tags, run_untagged=untagged)


def unseen(description: str, *, online: bool = True) -> RunnerFacts:
    return RunnerFacts(description=description, online=online, paused=False, tags=None)


@pytest.mark.parametrize(
    ("tags", "runners", "able"),
    [
        ((), [runner("tagged", "aws")], []),
        ((), [runner("any", untagged=True)], ["any"]),
        (("aws",), [runner("one", "aws"), runner("two", "aws", "eu"), runner("three", "eu")], ["one", "two"]),
        (("aws", "eu"), [runner("one", "aws"), runner("two", "aws", "eu")], ["two"]),
        (("aws",), [runner("off", "aws", online=False), runner("paused", "aws", paused=True)], []),
        (("aws",), [unseen("one"), unseen("off", online=False)], ["one"]),
    ],
)
def test_a_runner_takes_a_job_whose_tags_it_has(
    tags: tuple[str, ...], runners: list[RunnerFacts], able: list[str]
) -> None:
    assert [r.description for r in jobs.able(runners, job(tags=tags))] == able


def test_a_job_that_no_runner_takes_is_told_which_there_are() -> None:
    runners = [runner("one", "aws", online=False), runner("two", "aws", paused=True), runner("three", "eu")]

    words = jobs.no_runner(runners, job(tags=("aws",)))

    assert words == "no runner is online that takes jobs with the tags aws (offline: one; paused: two)"
    assert jobs.no_runner([], job()) == "no runner is online that takes jobs with no tags"


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        ("failed", "script_failure", "deploy (job 1) failed: its script ended with an error"),
        ("failed", "stuck_or_timeout_failure", "deploy (job 1) failed: no runner took it in time, or it got stuck"),
        ("failed", "something_new", "deploy (job 1) failed: something_new"),
        ("failed", "", "deploy (job 1) failed: GitLab does not say why"),
        ("canceled", "", "deploy (job 1) ended as canceled"),
    ],
)
def test_an_end_is_told_in_words(status: str, reason: str, words: str) -> None:
    assert jobs.ending(job(status=status, failure_reason=reason)) == words
