"""`lifeboat gitlab deploy` and `rollback` on a local GitLab whose jobs really run."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from lifeboat.clients.gitlab_api import Patience
from lifeboat.errors import (
    ApprovalMissing,
    Failed,
    GitLabUnreachable,
    JobNotBegun,
    LifeboatError,
    NothingFits,
    Refused,
    RoleMissing,
    StoppedPartWay,
    WrongConfiguration,
)
from lifeboat.gitlab_model import Job, JobId, PipelineId, Played
from lifeboat.pipeline import deploy, sync
from lifeboat.pipeline.deploy import Approval, Pipelines, Task, Wanted, play_and_follow
from lifeboat.pipeline.following import withdrawn
from lifeboat.pipeline.sync import Way

from tests.gitlab_sites import PASSWORD, GitLabSite, forget_pipelines
from tests.localcloud.machines import until, until_there

SECONDS = 60
CI = """
stages: [build, deploy]
deploy_application:
  stage: deploy
  needs: []
  script: ['echo "to ${EC2_INSTANCE_IP:-nowhere} with $DATABASE_URL"']
  environment: {name: x}
  when: manual
rollback_application:
  stage: deploy
  needs: []
  script: ['echo "going back"']
  environment: {name: x}
  when: manual
"""


def ci(script: str = "echo deployed", **more: str) -> str:
    """Return a .gitlab-ci.yml with one deploy job."""
    keys = {"needs": "[]", "environment": "{name: x}", "when": "manual", **more}
    lines = [f"  {key}: {value}" for key, value in keys.items() if value]
    return "\n".join(
        ["stages: [build, deploy]", "deploy_application:", "  stage: deploy", f"  script: ['{script}']", *lines]
    )


@pytest.fixture
def lab(lab: GitLabSite) -> Iterator[GitLabSite]:
    """A site whose project has no pipelines."""
    forget_pipelines(lab)
    yield lab
    lab.local.turn(runner="online")


def patience(lab: GitLabSite) -> Patience:
    return Patience(tell=lab.told.append, sleep=lambda seconds: time.sleep(min(seconds, 0.05)))


def task(lab: GitLabSite, **more: Any) -> Task:
    """Return the task of deploying with limits that a test can wait for."""
    limits = {"start_within": timedelta(seconds=SECONDS), "end_within": timedelta(seconds=SECONDS)}
    return Task(**{"job": "deploy_application", "ref": "main", **limits, **more})


def deployed(lab: GitLabSite, **more: Any) -> Job:
    return play_and_follow(lab.site(), task(lab, **more), patience(lab))


def refused(kind: type[LifeboatError], call: Callable[[], Any]) -> LifeboatError:
    with pytest.raises(LifeboatError) as caught:
        call()
    assert type(caught.value) is kind, f"{caught.value!r}"
    return caught.value


def tries(lab: GitLabSite, name: str = "deploy_application") -> list[str]:
    """Return the statuses of all tries of a job in all pipelines, oldest first."""
    project = lab.local.project()
    jobs = [j for p in project.pipelines.list(get_all=True) for j in p.jobs.list(include_retried=True, get_all=True)]
    return [j.status for j in sorted(jobs, key=lambda j: j.id) if j.name == name]


# -- playing -----------------------------------------------------------------------------------------------------------


def test_the_job_runs_with_todays_variables_and_its_log_is_shown(lab: GitLabSite) -> None:
    pipeline = lab.local.pushed(CI)
    sync.sync(lab.site(), patience(lab), lambda _: None, Way())

    done = deployed(lab)

    assert (done.name, done.status, done.pipeline.id) == ("deploy_application", "success", pipeline.id)
    assert done.ran is not None
    assert "  | to 10.0.0.7 with [MASKED]" in lab.told
    assert not any(PASSWORD in line or "Canary" in line for line in lab.told)
    assert tries(lab) == ["success"]


def test_a_second_deploy_is_a_new_try_with_the_variables_of_now(lab: GitLabSite) -> None:
    lab.local.pushed(CI)
    sync.sync(lab.site(), patience(lab), lambda _: None, Way())
    first = deployed(lab)
    lab.output(lambda r: r["app"].update(address="10.0.0.8"))
    sync.sync(lab.site(), patience(lab), lambda _: None, Way())
    lab.told.clear()

    second = deployed(lab)

    assert second.id > first.id
    assert "  | to 10.0.0.8 with [MASKED]" in lab.told
    assert tries(lab) == ["success", "success"]


def test_the_newest_pipeline_that_has_the_job_for_this_environment_is_taken(lab: GitLabSite) -> None:
    lab.local.pushed(ci("echo old"))
    wanted = lab.local.pushed(ci("echo wanted"))
    lab.local.pushed(ci("echo elsewhere", environment="{name: y}"))
    lab.local.pushed("other: {script: [echo x]}")

    done = deployed(lab)

    assert done.pipeline.id == wanted.id
    assert "  | wanted" in lab.told


def test_the_rollback_job_is_played_by_its_own_name(lab: GitLabSite) -> None:
    lab.local.pushed(CI)
    site = lab.site()

    done = deploy.run(site, deploy.rollback_task(site, Wanted()), patience(lab))

    assert done.name == "rollback_application"
    assert "  | going back" in lab.told
    assert tries(lab) == ["manual"]


def test_a_failed_job_fails_although_its_pipeline_passes(lab: GitLabSite) -> None:
    pipeline = lab.local.pushed(ci("echo before; exit 3", allow_failure="true"))

    problem = refused(Failed, lambda: deployed(lab))

    assert problem.exit_status == 1
    assert problem.summary.endswith("failed: its script ended with an error")
    assert "/-/jobs/" in problem.hint
    assert "  | before" in lab.told
    until(lambda: lab.local.project().pipelines.get(pipeline.id).status == "success", SECONDS)


def test_a_canceled_job_ends_the_following(lab: GitLabSite) -> None:
    pipeline = lab.local.pushed(ci("echo begun; sleep 60"))

    def cancel() -> None:
        lab.local.reached(pipeline, "deploy_application", "running")
        until(lambda: "  | begun" in lab.told, SECONDS)
        lab.local.job(pipeline, "deploy_application").cancel()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    problem = refused(Failed, lambda: deployed(lab))
    canceller.join()

    assert problem.summary.endswith("ended as canceled")


def test_inputs_of_a_new_pipeline_carry_the_image(lab: GitLabSite) -> None:
    lab.write(settings=lab.token("maintainer") + '\ninputs = { where = "x" }')
    lab.local.write("""
    spec:
      inputs:
        where: {default: nowhere}
        image: {default: ""}
    ---
    deploy_application:
      script: ["echo 'image $[[ inputs.image ]]'"]
      environment: {name: "$[[ inputs.where ]]"}
      when: manual
    """)
    site = lab.site()

    done = deploy.run(site, deploy.deploy_task(site, Wanted(image="app:7")), patience(lab))

    assert done.status == "success"
    assert "  | image app:7" in lab.told
    assert any(line.startswith(f"pipeline {done.pipeline.id} of main started: ") for line in lab.told)


def test_a_pipeline_that_was_given_an_image_is_not_repeated(lab: GitLabSite) -> None:
    lab.local.write("""
    spec:
      inputs:
        image: {default: "of its settings"}
    ---
    deploy_application:
      script: ["echo 'image $[[ inputs.image ]]'"]
      environment: {name: x}
      when: manual
    """)
    site = lab.site()
    bad = deploy.run(site, deploy.deploy_task(site, Wanted(image="app:bad")), patience(lab))
    lab.told.clear()

    problem = refused(NothingFits, lambda: deploy.run(site, deploy.deploy_task(site, Wanted()), patience(lab)))
    recovered = deploy.run(site, deploy.deploy_task(site, Wanted(pipelines=Pipelines.EITHER)), patience(lab))

    assert problem.summary == (
        "no pushed pipeline of main has a job deploy_application for the environment x"
        f" (1 looked at; {bad.pipeline.id} may have inputs of its own, so it is not repeated)"
    )
    assert recovered.pipeline.id > bad.pipeline.id
    assert "  | image of its settings" in lab.told


# -- once --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after", "cut"])
@pytest.mark.parametrize("again", ["first", "second"])
def test_a_play_whose_answer_is_lost_is_not_played_twice(lab: GitLabSite, when: str, again: str) -> None:
    lab.local.pushed(ci())
    if again == "second":
        deployed(lab)
    lab.fail("PlayJob|RetryJob", when=when, status=502 if when != "cut" else 200)

    deployed(lab)

    assert tries(lab) == ["success"] * (2 if again == "second" else 1)


@pytest.mark.parametrize("when", ["before", "after", "cut"])
def test_a_pipeline_whose_answer_is_lost_is_not_started_twice(lab: GitLabSite, when: str) -> None:
    lab.local.write(ci())
    lab.fail("CreatePipeline", when=when, status=502 if when != "cut" else 200)

    deployed(lab, pipelines=Pipelines.NEW)

    assert tries(lab) == ["success"]


def test_what_this_run_played_before_it_was_cut_off_is_followed(lab: GitLabSite, tmp_path: Path) -> None:
    pipeline = lab.local.pushed(ci(until_there(tmp_path / "go")))
    since = lab.site().gitlab_pipelines(patience(lab)).now()
    lab.local.job(pipeline, "deploy_application").play()
    lab.local.reached(pipeline, "deploy_application", "running")
    lab.local.pushed(ci("echo another"))  # somebody pushed meanwhile
    (tmp_path / "go").touch()

    done = deployed(lab, since=since)
    again = deployed(lab, since=since)

    assert done.pipeline.id == pipeline.id
    assert again.id == done.id
    assert tries(lab) == ["success", "manual"]


def test_what_this_run_played_and_still_waits_for_a_runner_is_followed(lab: GitLabSite) -> None:
    lab.local.turn(runner="offline")
    pipeline = lab.local.pushed(ci())
    since = lab.site().gitlab_pipelines(patience(lab)).now()
    lab.local.job(pipeline, "deploy_application").play()
    lab.local.pushed(ci("echo another"))

    refused(GitLabUnreachable, lambda: deployed(lab, since=since, start_within=timedelta(seconds=0.2)))

    assert tries(lab) == ["pending", "manual"]


def test_what_somebody_elses_pipeline_lets_wait_is_named_and_not_followed(lab: GitLabSite) -> None:
    """It may have been started for a bad image, as `lifeboat gitlab deploy --image` does."""
    lab.local.turn(runner="offline")
    theirs = lab.local.job(lab.local.pipeline(ci("echo theirs")), "deploy_application")
    theirs.play()
    ours = lab.local.job(lab.local.pushed(ci("echo pushed")), "deploy_application")
    time.sleep(1.1)  # GitLab's clock has seconds
    since = lab.site().gitlab_pipelines(patience(lab)).now()

    problem = refused(GitLabUnreachable, lambda: deployed(lab, since=since, start_within=timedelta(seconds=0.2)))

    assert f"(job {ours.id})" in problem.summary
    assert any(
        f"(job {theirs.id}) of a pipeline that somebody else started is pending, and will replace" in line
        for line in lab.told
    )


def test_a_pipeline_that_this_run_started_before_it_was_cut_off_is_taken(lab: GitLabSite) -> None:
    lab.local.pushed(ci("echo old"))
    time.sleep(1.1)  # GitLab's clock has seconds
    since = lab.site().gitlab_pipelines(patience(lab)).now()
    started = lab.local.pipeline(ci("echo ours"))

    done = deployed(lab, since=since, pipelines=Pipelines.NEW)

    assert done.pipeline.id == started.id
    assert len(lab.local.project().pipelines.list(get_all=True)) == 2


def test_a_job_that_runs_with_the_variables_of_before_is_waited_for_and_played_again(
    lab: GitLabSite, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    pipeline = lab.local.pushed(ci(f'echo "to ${{EC2_INSTANCE_IP:-nowhere}}"; {until_there(go)}'))
    lab.local.job(pipeline, "deploy_application").play()
    lab.local.reached(pipeline, "deploy_application", "running")
    sync.sync(lab.site(), patience(lab), lambda _: None, Way())

    def release() -> None:
        until(lambda: any("it runs with the variables of before" in line for line in lab.told), SECONDS)
        go.touch()

    releaser = threading.Thread(target=release)
    releaser.start()
    deployed(lab)
    releaser.join()

    assert tries(lab) == ["success", "success"]
    assert [line for line in lab.told if line.startswith("  | to ")] == ["  | to 10.0.0.7"]


# -- a GitLab that takes its time --------------------------------------------------------------------------------------


@pytest.fixture
def slow(lab: GitLabSite) -> Iterator[GitLabSite]:
    """The site while GitLab prepares a pipeline only long after it has answered."""
    lab.local.turn(settings={"pipeline_preparation_milliseconds": 1500})
    yield lab
    lab.local.turn(settings={"pipeline_preparation_milliseconds": 200})


def test_the_job_of_a_pipeline_that_is_not_prepared_yet_is_waited_for(slow: GitLabSite) -> None:
    slow.local.write(ci())

    done = deployed(slow, pipelines=Pipelines.NEW)

    assert done.status == "success"
    assert any(line.endswith("GitLab has not prepared it yet") for line in slow.told)


def test_no_older_pipeline_is_taken_while_the_newest_is_not_prepared(slow: GitLabSite) -> None:
    slow.local.pushed(ci("echo older"))
    slow.local.write(ci("echo newest"))
    newest = slow.local.turn(push="main")["pipeline"]

    done = deployed(slow, pipelines=Pipelines.EITHER)

    assert done.pipeline.id == newest
    assert "  | newest" in slow.told


def test_a_pipeline_that_is_never_prepared_is_given_up_in_time(slow: GitLabSite) -> None:
    slow.local.write(ci())

    problem = refused(JobNotBegun, lambda: deployed(slow, pipelines=Pipelines.NEW, start_within=timedelta(seconds=0.3)))
    until(lambda: tries(slow) == ["manual"], SECONDS)

    assert problem.exit_status == 4
    assert problem.summary.endswith("was not played in time: GitLab has not prepared it yet")
    assert problem.hint.startswith("play it at http")


# -- not to be played --------------------------------------------------------------------------------------------------


def test_without_a_pipeline_it_says_how_to_get_one(lab: GitLabSite) -> None:
    problem = refused(NothingFits, lambda: deployed(lab))

    assert problem.exit_status == 6
    assert problem.summary == (
        "no pushed pipeline of main has a job deploy_application for the environment x (there are none)"
    )
    assert problem.hint == "start one: lifeboat gitlab deploy -e x --new-pipeline"


def test_a_job_for_another_environment_is_not_played(lab: GitLabSite) -> None:
    pipeline = lab.local.pushed(ci(environment="{name: y}"))

    problem = refused(NothingFits, lambda: deployed(lab))

    assert problem.summary.endswith(f"(1 looked at; in {pipeline.id} it is not for that environment)")
    assert tries(lab) == ["manual"]


def test_a_new_pipeline_that_became_one_for_another_environment_is_not_played(lab: GitLabSite) -> None:
    lab.local.write(ci(environment="{name: production}"))  # a GitLab that drops inputs makes the default of them

    problem = refused(Refused, lambda: deployed(lab, pipelines=Pipelines.NEW, inputs={}))

    assert problem.summary.endswith("cannot be played: it is not for the environment x")
    assert tries(lab) == ["manual"]


def test_what_somebody_else_played_for_another_environment_meanwhile_is_not_ours(lab: GitLabSite) -> None:
    since = lab.site().gitlab_pipelines(patience(lab)).now()
    other = lab.local.pushed(ci("echo elsewhere; sleep 1", environment="{name: y}"))
    lab.local.job(other, "deploy_application").play()
    wanted = lab.local.pushed(ci("echo wanted"))

    done = deployed(lab, since=since)

    assert done.pipeline.id == wanted.id


def test_a_pipeline_that_somebody_else_started_for_another_environment_is_not_taken_for_ours(lab: GitLabSite) -> None:
    since = lab.site().gitlab_pipelines(patience(lab)).now()
    other = lab.local.pipeline(ci(environment="{name: y}"))
    lab.local.write(ci("echo ours"))

    done = deployed(lab, since=since, pipelines=Pipelines.NEW)

    assert done.pipeline.id > other.id
    assert tries(lab) == ["manual", "success"]


def test_a_new_pipeline_without_the_job_is_told(lab: GitLabSite) -> None:
    lab.local.write("other: {script: [echo x]}")

    problem = refused(NothingFits, lambda: deployed(lab, pipelines=Pipelines.NEW))

    assert "of main has no job deploy_application" in problem.summary


def test_several_jobs_of_the_name_are_candidates_and_none_is_chosen(lab: GitLabSite) -> None:
    both = ci().replace("deploy_application:", "'deploy_application: [eu]':")
    pipeline = lab.local.pushed(both + "\n" + both.replace("[eu]", "[us]").partition("\n")[2])

    problem = refused(NothingFits, lambda: deployed(lab))

    assert problem.summary.startswith(f"pipeline {pipeline.id} has several jobs deploy_application: ")
    assert "deploy_application: [eu] (job " in problem.summary
    assert "deploy_application: [us] (job " in problem.summary


def test_a_job_behind_a_manual_one_is_refused_with_its_name(lab: GitLabSite) -> None:
    text = ci(needs="") + "\nbuild: {stage: build, script: [echo x], rules: [{when: manual}]}"
    lab.local.pushed(text)

    problem = refused(Refused, lambda: deployed(lab))

    assert problem.summary.endswith(
        "cannot be played: it waits for earlier jobs that do not run: build (manual); give it needs: [] to be free of them"
    )
    assert tries(lab) == ["created"]


def test_a_job_behind_a_running_one_is_waited_for(lab: GitLabSite) -> None:
    lab.local.pushed(ci(needs="") + "\nbuild: {stage: build, script: [sleep 1]}")

    deployed(lab)

    assert any(line.endswith("it waits for earlier jobs: build") for line in lab.told)
    assert tries(lab) == ["success"]


def test_a_skipped_job_is_refused(lab: GitLabSite) -> None:
    pipeline = lab.local.pushed(ci(needs="") + "\nbuild: {stage: build, script: [exit 1]}")
    lab.local.reached(pipeline, "deploy_application", "skipped")

    problem = refused(Refused, lambda: deployed(lab))

    assert problem.summary.endswith("it was skipped, since a job before it did not succeed")


@pytest.fixture
def guarded(lab: GitLabSite) -> Iterator[GitLabSite]:
    """The environment protected: Maintainers deploy, one more person approves."""
    owner = lab.local.project("owner")
    owner.protected_environments.create(
        {"name": "x", "deploy_access_levels": [{"access_level": 40}], "required_approval_count": 1}
    )
    yield lab
    owner.protected_environments.delete("x")


def test_a_protected_environment_that_waits_for_approval_is_told_as_that(guarded: GitLabSite) -> None:
    guarded.local.pushed(ci())

    problem = refused(ApprovalMissing, lambda: deployed(guarded))

    assert problem.exit_status == 7
    assert "may not be played yet: deployment " in problem.summary
    assert problem.summary.endswith("to x waits for 1 more approval")
    assert "--wait-approval" in problem.hint
    assert tries(guarded) == ["manual"]


def test_a_second_deploy_waits_for_an_approval_of_its_own(guarded: GitLabSite) -> None:
    guarded.local.pushed(ci())
    guarded.local.project("second-maintainer").deployments.list(environment="x")[0].approval("approved")
    deployed(guarded)

    since = guarded.site().gitlab_pipelines(patience(guarded)).now() - timedelta(hours=1)
    deploy.require_playable(guarded.site(), task(guarded, since=since), patience(guarded))  # its own try is over
    ahead = refused(ApprovalMissing, lambda: deploy.require_playable(guarded.site(), task(guarded), patience(guarded)))
    problem = refused(ApprovalMissing, lambda: deployed(guarded))

    assert ahead.summary.startswith("a deployment to x must be approved in GitLab first (http")
    assert problem.summary.endswith("to x waits for 1 more approval")
    assert tries(guarded) == ["success", "manual"]


def test_an_approval_is_waited_for_when_asked(guarded: GitLabSite) -> None:
    guarded.local.pushed(ci())

    def approve() -> None:
        until(lambda: any("waits for 1 more approval" in line for line in guarded.told), SECONDS)
        other = guarded.local.project("second-maintainer")
        other.deployments.list(environment="x")[0].approval("approved")

    approver = threading.Thread(target=approve)
    approver.start()
    done = deployed(guarded, approval=Approval.WAIT)
    approver.join()

    assert done.status == "success"


def test_a_rejected_deployment_is_refused(guarded: GitLabSite) -> None:
    guarded.local.pushed(ci())
    guarded.local.project("second-maintainer").deployments.list(environment="x")[0].approval("rejected")

    problem = refused(Refused, lambda: deployed(guarded))

    assert problem.summary.endswith("somebody rejected its deployment, so GitLab runs it no more")


@pytest.mark.parametrize("answer", ["unplayable", "forbidden"])
def test_an_archived_pipeline_is_refused_or_a_new_one_is_taken(lab: GitLabSite, answer: str) -> None:
    pipeline = lab.local.pushed(ci())
    lab.local.turn(archive=pipeline.id, settings={"refusal_of_stale_jobs": answer})

    problem = refused(Refused, lambda: deployed(lab))
    done = deployed(lab, pipelines=Pipelines.EITHER)
    lab.local.turn(settings={"refusal_of_stale_jobs": "unplayable"})

    assert problem.summary.endswith(f"pipeline {pipeline.id} is archived, and its jobs run no more")
    assert problem.hint.startswith("take a new pipeline: lifeboat gitlab deploy -e x --new-pipeline; ")
    assert done.pipeline.id > pipeline.id


@pytest.mark.parametrize("answer", ["unplayable", "forbidden"])
def test_an_outdated_deployment_is_refused_with_the_newer_one(lab: GitLabSite, answer: str) -> None:
    if not any(b.name == "older" for b in lab.local.project().branches.list()):
        lab.local.project().branches.create({"branch": "older", "ref": "main"})
    lab.local.write(ci())
    old = lab.local.commit()
    lab.local.pushed(ref="older")
    lab.local.write(ci("echo newer"))
    new = lab.local.commit()
    lab.local.pushed()
    deployed(lab)
    lab.local.turn(settings={"refusal_of_stale_jobs": answer})

    problem = refused(Refused, lambda: deployed(lab, ref="older"))
    lab.local.turn(settings={"refusal_of_stale_jobs": "unplayable"})

    assert f"it is of commit {old[:8]}, and {new[:8]} was deployed to x since" in problem.summary
    assert "GitLab prevents outdated deployments" in problem.summary
    assert tries(lab) == ["manual", "success"]


def test_a_ref_whose_jobs_would_not_see_protected_variables_is_refused(lab: GitLabSite) -> None:
    project = lab.local.project()
    if not any(b.name == "hot-fix" for b in project.branches.list()):
        project.branches.create({"branch": "hot-fix", "ref": "main"})
    lab.write('[[gitlab.variables]]\nkey = "EC2_INSTANCE_IP"\noutput = "app.address"\nprotected = true\n')
    sync.sync(lab.site(), patience(lab), lambda _: None, Way())
    lab.local.pushed(ci(), ref="hot-fix")

    problem = refused(Refused, lambda: deployed(lab, ref="hot-fix"))

    assert problem.summary == "hot-fix is not protected, so its jobs would find these empty: EC2_INSTANCE_IP (x)"
    assert tries(lab) == ["manual"]


@pytest.mark.parametrize(
    ("wanted", "command"),
    [
        (Wanted(ref="older"), "lifeboat gitlab rollback -e x --ref older --new-pipeline"),
        (Wanted(), "lifeboat gitlab rollback -e x --new-pipeline"),
    ],
)
def test_the_next_command_asks_for_the_same(lab: GitLabSite, wanted: Wanted, command: str) -> None:
    site = lab.site()
    lab.local.write(CI)

    problem = refused(NothingFits, lambda: deploy.run(site, deploy.rollback_task(site, wanted), patience(lab)))

    assert problem.hint == f"start one: {command}"


def test_the_next_command_keeps_the_image(guarded: GitLabSite) -> None:
    site = guarded.site()
    guarded.local.write("spec: {inputs: {image: {default: ''}}}\n---\n" + ci("echo $[[ inputs.image ]]"))

    problem = refused(
        ApprovalMissing,
        lambda: deploy.run(site, deploy.deploy_task(site, Wanted(image="app:7")), patience(guarded)),
    )

    assert re.fullmatch(
        "have it approved, then play it at http[^ ]+;"
        " or wait: lifeboat gitlab deploy -e x --image app:7 --wait-approval",
        problem.hint,
    )


# -- who may -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "kind", "words"),
    [
        ("reporter", RoleMissing, "the token may not; it takes the role Developer in demo/app"),
        ("guest", RoleMissing, "the token may not; it takes the role Reporter in demo/app"),
        ("outsider", WrongConfiguration, "the token's user sees no project demo/app"),
    ],
)
def test_a_role_that_may_not_play_is_named(lab: GitLabSite, who: str, kind: type[LifeboatError], words: str) -> None:
    lab.local.pushed(ci())
    lab.write(settings=lab.token(who))

    problem = refused(kind, lambda: deployed(lab))

    assert words in problem.summary
    assert problem.exit_status == 2
    assert tries(lab) == ["manual"]


def test_who_may_deploy_to_a_protected_environment_is_named(lab: GitLabSite) -> None:
    owner = lab.local.project("owner")
    number = next(m.id for m in owner.members_all.list(get_all=True) if m.username == "second-maintainer")
    owner.protected_environments.create({"name": "x", "deploy_access_levels": [{"user_id": number}]})
    lab.local.pushed(ci())

    try:
        problem = refused(RoleMissing, lambda: deployed(lab))
    finally:
        owner.protected_environments.delete("x")

    assert problem.summary.endswith("; x is protected: User may deploy to it")


# -- limits ------------------------------------------------------------------------------------------------------------


def test_without_a_runner_it_says_so_and_leaves_the_job_waiting(lab: GitLabSite) -> None:
    lab.local.pushed(ci())
    lab.local.turn(runner="offline")

    problem = refused(GitLabUnreachable, lambda: deployed(lab, start_within=timedelta(seconds=0.5)))
    waiting = tries(lab)
    lab.local.turn(runner="online")

    assert problem.exit_status == 8
    assert problem.summary.endswith(
        "did not begin within 0 min: no runner is online that takes jobs with no tags (offline: local cloud)"
    )
    assert waiting == ["pending"]


def test_a_job_that_a_runner_may_take_and_none_takes_has_not_begun(lab: GitLabSite) -> None:
    lab.local.pushed(ci(tags="[elsewhere]"))
    lab.fail("GetRunner", status=403, times=1000)

    problem = refused(JobNotBegun, lambda: deployed(lab, start_within=timedelta(seconds=0.5)))

    assert problem.summary.endswith("did not begin within 0 min: it is pending")


@pytest.mark.parametrize("state", ["waiting", "manual", "ended", "running"])
def test_what_was_played_and_waits_is_taken_back_and_what_runs_is_named(
    lab: GitLabSite, state: str, tmp_path: Path
) -> None:
    pipeline = lab.local.pushed(ci(until_there(tmp_path / "go") if state == "running" else "echo x"))
    job = lab.local.job(pipeline, "deploy_application")
    if state == "waiting":
        lab.local.turn(runner="offline")
    if state != "manual":
        job.play()
        lab.local.reached(pipeline, job.name, {"waiting": "pending", "ended": "success"}.get(state, state))
    played = Played(name=job.name, job=job.id, pipeline=pipeline.id, web_url=job.web_url)

    left = withdrawn(lab.site().gitlab_pipelines(patience(lab)), played)

    expected = f"deploy_application (job {job.id}) is running, and replaces what is deployed now: look at {job.web_url}"
    assert left == (expected if state == "running" else "")
    assert tries(lab) == [{"waiting": "canceled", "ended": "success"}.get(state, state)]
    (tmp_path / "go").touch()


def test_what_was_played_is_named_where_gitlab_does_not_answer(lab: GitLabSite) -> None:
    lab.fail(status=503, times=1000)
    played = Played(name="deploy_application", job=JobId(7), pipeline=PipelineId(8), web_url="https://g/7")

    left = withdrawn(lab.site().gitlab_pipelines(patience(lab)), played)

    assert left.startswith(
        "deploy_application (job 7) may still run, and then replaces what is deployed now: cancel it at https://g/7 ("
    )


def test_a_limit_that_passes_leaves_the_job_running_and_says_where(lab: GitLabSite, tmp_path: Path) -> None:
    pipeline = lab.local.pushed(ci(until_there(tmp_path / "go")))

    problem = refused(StoppedPartWay, lambda: deployed(lab, end_within=timedelta(seconds=1)))

    assert problem.exit_status == 4
    assert "is running after 0 min and goes on" in problem.summary
    assert problem.hint.startswith("watch it at http")
    (tmp_path / "go").touch()
    assert lab.local.ended(pipeline, "deploy_application").status == "success"


def test_a_gitlab_that_is_away_for_a_while_does_not_end_the_following(lab: GitLabSite) -> None:
    lab.local.pushed(ci("echo one; sleep 1; echo two"))
    lab.fail("GetJob|GetJobTrace", first=2, times=9, status=503)

    done = deployed(lab)

    assert done.status == "success"
    assert [line for line in lab.told if line in ("  | one", "  | two")] == ["  | one", "  | two"]
    assert any("the job goes on, so asking again" in line for line in lab.told)


def test_every_line_of_a_long_log_is_shown_once(lab: GitLabSite) -> None:
    lab.local.pushed(ci("for n in $(seq 300); do echo line $n; sleep 0.005; done"))

    deployed(lab)

    lines = [line.removeprefix("  | line ") for line in lab.told if line.startswith("  | line ")]
    assert lines == [str(n) for n in range(1, 301)]


# -- hidden values, which only a job can see ---------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after", "cut"])
@pytest.mark.parametrize("operation", ["CreateVariable", "UpdateVariable"])
def test_a_hidden_value_whose_answer_was_lost_is_the_wanted_one_for_a_job(
    lab: GitLabSite, when: str, operation: str
) -> None:
    lab.write('[[gitlab.variables]]\nkey = "TOKEN"\noutput = "app.url"\nhidden = true\n')
    if operation == "UpdateVariable":
        lab.output(lambda r: r["app"].update(url="http://192.0.2.1"))
        sync.sync(lab.site(), patience(lab), lambda _: None, Way())
        lab.output()
    lab.local.pushed(ci('printf %s "$TOKEN" | sha256sum'))
    lab.fail(operation, when=when, status=504 if when != "cut" else 200)

    sync.sync(lab.site(), patience(lab), lambda _: None, Way())
    deployed(lab)

    digest = hashlib.sha256(b"http://10.0.0.7:8080").hexdigest()
    assert f"  | {digest}  -" in lab.told
