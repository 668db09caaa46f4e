"""Pipelines of the local GitLab: which jobs they get, protected environments, runners."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.localcloud.gitlab_places import MANUAL, LocalGitLab, deploying, refused, statuses
from tests.localcloud.machines import until

# -- protected environments --------------------------------------------------------------------------------------------


def protect(local: LocalGitLab, name: str, level: int = 40, **more: Any) -> None:
    local.project().protected_environments.create(
        {"name": name, "deploy_access_levels": [{"access_level": level}], **more}
    )


def test_a_developer_plays_on_branches_and_environments_that_are_not_protected(local: LocalGitLab) -> None:
    place = local.place("developer")
    on_main = local.pipeline(MANUAL)
    project = local.project()
    protect(local, "guarded-1")
    on_branch = local.pipeline(MANUAL, who="developer", ref="hot-fix")
    guarded = local.pipeline(deploying("guarded-1"), ref="hot-fix")

    answers = [
        place.ask("POST", f"{place.at}/jobs/{local.job(pipeline, 'deploy').id}/play").status
        for pipeline in (on_main, on_branch, guarded)
    ]
    run_on_main = place.ask("POST", f"{place.at}/pipeline", ref="main")
    project.protected_environments.delete("guarded-1")

    assert answers == [403, 200, 403]
    assert run_on_main.status == 400
    assert "You do not have sufficient permission to run a pipeline on 'main'" in run_on_main.body["message"]["base"][0]


@pytest.mark.parametrize(("who", "status"), [("reporter", 403), ("guest", 403), ("outsider", 404)])
def test_a_play_is_not_for_everybody(local: LocalGitLab, who: str, status: int) -> None:
    pipeline, place = local.pipeline(MANUAL), local.place(who)

    said = place.ask("POST", f"{place.at}/jobs/{local.job(pipeline, 'deploy').id}/play")

    assert said.status == status
    assert local.job(pipeline, "deploy").status == "manual"


def test_a_deployment_waits_for_its_approvals_and_then_for_somebody_to_play_it(local: LocalGitLab) -> None:
    protect(local, "guarded-2", required_approval_count=1)
    pipeline, place, project = local.pipeline(deploying("guarded-2")), local.place(), local.project()
    job = local.job(pipeline, "deploy")
    at_first = job.status
    early = place.ask("POST", f"{place.at}/jobs/{job.id}/play")
    blocked = project.deployments.list(environment="guarded-2", status="blocked")
    own = place.ask("POST", f"{place.at}/deployments/{blocked[0].id}/approval", status="approved")
    stranger = local.place("developer").ask(
        "POST", f"{place.at}/deployments/{blocked[0].id}/approval", status="approved"
    )

    approval = local.project("owner").deployments.get(blocked[0].id).approval("approved", comment="go")
    then = local.job(pipeline, "deploy").status
    job.play()
    ended = local.ended(pipeline, "deploy")

    assert (at_first, early.status, early.body) == (
        "manual",
        400,
        {"message": "400 Bad request - Unplayable Job"},
    )
    assert (own.status, "You cannot approve your own deployment" in own.body["message"]) == (400, True)
    assert stranger.status == 400
    assert (approval["status"], approval["comment"], then) == ("approved", "go", "manual")
    assert ended.status == "success"
    assert project.deployments.list(environment="guarded-2", status="blocked") == []
    assert project.deployments.get(blocked[0].id).status == "success"


def test_a_rejected_deployment_fails_for_good(local: LocalGitLab) -> None:
    protect(local, "guarded-3", required_approval_count=1)
    pipeline, place = local.pipeline(deploying("guarded-3")), local.place("owner")
    blocked = local.project().deployments.list(environment="guarded-3", status="blocked")

    said = place.ask("POST", f"{place.at}/deployments/{blocked[0].id}/approval", status="rejected")
    job = local.job(pipeline, "deploy")

    assert said.status == 201
    assert (job.status, job.failure_reason) == ("failed", "deployment_rejected")
    assert place.ask("POST", f"{place.at}/jobs/{job.id}/retry").status == 403


def test_an_automatic_deployment_is_blocked_as_well(local: LocalGitLab) -> None:
    protect(local, "guarded-4", required_approval_count=1)
    text = deploying("guarded-4").replace("manual", "on_success")
    pipeline = local.pipeline(text)
    job, blocked = local.job(pipeline, "deploy"), local.project().deployments.list(status="blocked")
    at_first = job.status

    local.project("owner").deployments.get(blocked[-1].id).approval("approved")
    waiting = local.job(pipeline, "deploy").status
    job.play()

    assert (at_first, waiting) == ("manual", "manual")
    assert local.ended(pipeline, "deploy").status == "success"


def test_deployments_and_environments_follow_their_jobs(local: LocalGitLab) -> None:
    pipeline = local.pipeline(
        """
        stages: [plan, deploy]
        plan: {stage: plan, script: [echo x], environment: {name: followed, action: prepare}}
        deploy: {stage: deploy, script: ["exit 1"], environment: followed}
        """
    )
    job = local.ended(pipeline, "deploy")
    project = local.project()

    found = project.deployments.list(environment="followed")
    environment = project.environments.list(name="followed")[0]

    assert [(d.status, d.deployable["id"], d.sha) for d in found] == [("failed", job.id, pipeline.sha)]
    assert project.environments.get(environment.id).last_deployment is None


# -- runners and limits ------------------------------------------------------------------------------------------------


def test_without_a_runner_a_job_stays_pending(settings: LocalGitLab) -> None:
    project = settings.project()
    settings.turn(runner="offline")
    pipeline = settings.pipeline("job:\n  script: [echo x]\n")
    time.sleep(0.5)
    stuck = settings.job(pipeline, "job").status
    online, all_of_them = project.runners.list(status="online"), project.runners.list()

    settings.turn(runner="online")

    assert (stuck, online, [r.status for r in all_of_them]) == ("pending", [], ["offline"])
    assert settings.ended(pipeline, "job").status == "success"


def test_a_job_waits_for_a_runner_with_its_tags(local: LocalGitLab) -> None:
    pipeline = local.pipeline("job:\n  tags: [gpu]\n  script: [echo x]\n")
    time.sleep(0.3)
    job, runner = local.job(pipeline, "job"), local.place().ask("GET", "/runners/1").body

    local.place().ask("PUT", "/runners/1", tag_list=["local-cloud", "gpu"])
    ended = local.ended(pipeline, "job")
    local.place().ask("PUT", "/runners/1", tag_list=["local-cloud"])

    assert (job.status, job.tag_list, runner["tag_list"]) == ("pending", ["gpu"], ["local-cloud"])
    assert (ended.status, ended.runner["id"]) == ("success", 1)


def test_a_paused_runner_takes_nothing(local: LocalGitLab) -> None:
    local.place().ask("PUT", "/runners/1", paused=True)
    pipeline = local.pipeline("job:\n  script: [echo x]\n")
    time.sleep(0.3)
    paused = local.job(pipeline, "job").status

    local.place().ask("PUT", "/runners/1", paused=False)

    assert (paused, local.ended(pipeline, "job").status) == ("pending", "success")


def test_plays_have_a_limit_of_their_own(settings: LocalGitLab) -> None:
    settings.turn(settings={"job_play_limit_per_user_project": 1})
    pipelines, place = [settings.pipeline(MANUAL) for _ in range(2)], settings.place("owner")

    answers = [place.ask("POST", f"{place.at}/jobs/{settings.job(p, 'deploy').id}/play") for p in pipelines]

    assert [a.status for a in answers] == [200, 429]
    assert answers[1].body == {
        "message": {"error": "This endpoint has been requested too many times. Try again later."}
    }
    assert 0 < int(answers[1].headers["Retry-After"]) <= 60
    assert settings.job(pipelines[1], "deploy").status == "manual"


def test_a_new_pipeline_is_prepared_after_its_answer(settings: LocalGitLab) -> None:
    settings.turn(settings={"pipeline_preparation_milliseconds": 1000})
    settings.write(deploying("late"))
    project, place = settings.project(), settings.place()

    made = project.pipelines.create({"ref": "main"})
    job = settings.job(made, "deploy")
    early = place.ask("POST", f"{place.at}/jobs/{job.id}/play")
    deployments = project.deployments.list(environment="late")
    settings.prepared(made.id)

    assert (made.status, job.status, early.status, deployments) == ("created", "created", 400, [])
    assert settings.job(made, "deploy").status == "manual"
    assert [d.deployable["id"] for d in project.deployments.list(environment="late")] == [job.id]


# -- pipelines ---------------------------------------------------------------------------------------------------------


def test_rules_decide_which_jobs_there_are(local: LocalGitLab) -> None:
    text = """
    workflow:
      rules:
        - if: $CI_COMMIT_BRANCH == "main"
          variables: {FROM_WORKFLOW: "yes"}
    never: {script: [echo x], rules: [{if: '$CI_COMMIT_BRANCH == "main"', when: never}, {when: always}]}
    unmatched: {script: [echo x], rules: [{if: $DRILL}]}
    matched:
      script: ['echo "$FROM_WORKFLOW $FROM_RULE"']
      rules: [{if: '$CI_COMMIT_BRANCH =~ /^ma/ && $CI_PIPELINE_SOURCE != "schedule"', variables: {FROM_RULE: rule}}]
    by_hand: {script: [echo x], rules: [{when: manual, allow_failure: true}]}
    """
    pipeline = local.pipeline(text)
    job = local.ended(pipeline, "matched")
    drill = local.pipeline(text, variables=[{"key": "DRILL", "value": "true"}])
    elsewhere = refused(lambda: local.pipeline(text, ref="hot-fix"))

    assert set(statuses(pipeline)) == {"matched", "by_hand"}
    assert set(statuses(drill)) == {"matched", "by_hand", "unmatched"}
    assert local.said(job, "yes rule")
    assert elsewhere.error_message == {"base": ["Pipeline filtered out by workflow rules."]}


def test_a_pipeline_without_jobs_is_not_made(local: LocalGitLab) -> None:
    before = len(local.project().pipelines.list(get_all=True))

    error = refused(lambda: local.pipeline("job:\n  script: [echo x]\n  rules: [{if: $NEVER_SET}]\n"))

    assert error.response_code == 400
    assert "The rules configuration prevented any jobs from being added" in error.error_message["base"][0]
    assert len(local.project().pipelines.list(get_all=True)) == before


def test_what_the_local_gitlab_cannot_play_is_refused_by_name(local: LocalGitLab) -> None:
    error = refused(lambda: local.pipeline("job:\n  script: [echo x]\n  retry: 2\ninclude: other.yml\n"))

    assert error.error_message == {
        "base": [
            "the local GitLab does not play the keyword include",
            "jobs:job: the local GitLab does not play the keyword retry",
        ]
    }


def test_a_repository_without_configuration_has_no_pipelines(local: LocalGitLab) -> None:
    (local.repository / ".gitlab-ci.yml").unlink()

    error = refused(local.pipeline)

    assert error.error_message == {"base": ["Missing CI config file"]}


def test_pipelines_are_listed_newest_first_and_filtered(local: LocalGitLab) -> None:
    project = local.project()
    made = [local.pipeline("job:\n  script: [echo x]\n").id for _ in range(2)]
    elsewhere = local.pipeline(ref="hot-fix").id
    until(lambda: project.pipelines.get(elsewhere).status == "success")

    found = [p.id for p in project.pipelines.list(ref="main", per_page=2, get_all=False)]
    of_branch = [p.id for p in project.pipelines.list(ref="hot-fix", get_all=True)]

    assert found == made[::-1]
    assert of_branch[0] == elsewhere
    assert project.pipelines.latest(ref="main").id == made[-1]
    assert elsewhere in [p.id for p in project.pipelines.list(status="success", get_all=True)]


def test_jobs_of_a_pipeline_can_be_listed_by_status(local: LocalGitLab) -> None:
    pipeline = local.pipeline(
        "good: {script: [echo x]}\nbad: {script: ['exit 1']}\nhand: {script: [a], when: manual}\n"
    )
    local.ended(pipeline, "good")
    local.ended(pipeline, "bad")

    failed = [job.name for job in pipeline.jobs.list(scope=["failed", "manual"])]

    assert sorted(failed) == ["bad", "hand"]


def test_the_variables_of_a_pipeline_are_told_to_its_maker(local: LocalGitLab) -> None:
    pipeline = local.pipeline("job: {script: [a], when: manual}\n", variables=[{"key": "K", "value": "v"}])

    found = json.loads(local.place().ask("GET", f"/projects/1/pipelines/{pipeline.id}/variables").text)

    assert [(v["key"], v["value"]) for v in found] == [("K", "v")]
    assert local.place("developer").ask("GET", f"/projects/1/pipelines/{pipeline.id}/variables").status == 403


def test_a_failed_pipeline_can_be_retried_as_a_whole(local: LocalGitLab) -> None:
    (local.repository / "fail").write_text("")
    pipeline = local.pipeline("good: {script: [echo x]}\nbad: {script: ['test ! -e fail']}\n")
    good = local.ended(pipeline, "good")
    local.ended(pipeline, "bad")
    (local.repository / "fail").unlink()

    pipeline.retry()
    until(lambda: statuses(pipeline) == {"good": "success", "bad": "success"})

    assert local.job(pipeline, "good").id == good.id
    until(lambda: local.project().pipelines.get(pipeline.id).status == "success")


def test_lint_simulates_a_pipeline_of_the_repository(local: LocalGitLab) -> None:
    local.write("on_main: {script: [a], rules: [{if: '$CI_COMMIT_BRANCH == \"main\"'}]}\nalways: {script: [b]}\n")
    project = local.project()

    static = project.ci_lint.get(include_jobs=True)
    on_main = project.ci_lint.get(include_jobs=True, dry_run=True, dry_run_ref="main")
    elsewhere = project.ci_lint.get(include_jobs=True, dry_run=True, dry_run_ref="hot-fix")

    assert (static.valid, [job["name"] for job in static.jobs]) == (True, ["on_main", "always"])
    assert [job["name"] for job in on_main.jobs] == ["on_main", "always"]
    assert [job["name"] for job in elsewhere.jobs] == ["always"]
