"""Playing, retrying and cancelling jobs of the local GitLab, and why it refuses to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.localcloud.gitlab_places import MANUAL, LocalGitLab, deploying, refused, statuses
from tests.localcloud.machines import until, until_there

# -- playing -----------------------------------------------------------------------------------------------------------


def test_playing_a_manual_job_answers_200_with_it(local: LocalGitLab) -> None:
    pipeline = local.pipeline(MANUAL)
    job, place = local.job(pipeline, "deploy"), local.place()
    before = job.status

    said = place.ask("POST", f"{place.at}/jobs/{job.id}/play")

    assert (before, said.status, said.body["id"]) == ("manual", 200, job.id)
    assert said.body["status"] in ("pending", "running")
    assert local.ended(pipeline, "deploy").status == "success"


def test_a_manual_job_may_fail_by_default_outside_of_rules_and_may_not_within(local: LocalGitLab) -> None:
    pipeline = local.pipeline(
        """
        stages: [one, two]
        outside: {stage: one, script: [echo x], when: manual}
        within: {stage: one, script: [echo x], rules: [{when: manual}]}
        later: {stage: two, script: [echo x]}
        """
    )

    jobs = {job.name: job for job in pipeline.jobs.list()}

    assert (jobs["outside"].allow_failure, jobs["within"].allow_failure) == (True, False)
    assert (jobs["later"].status, local.project().pipelines.get(pipeline.id).status) == ("created", "manual")


def test_variables_of_a_play_reach_the_job(local: LocalGitLab) -> None:
    pipeline = local.pipeline(MANUAL)

    local.job(pipeline, "deploy").play(
        post_data={"job_variables_attributes": [{"key": "EXTRA", "value": "a canary"}, {"key": "HOST", "value": "h"}]}
    )

    assert local.said(local.ended(pipeline, "deploy"), "to h as deploy with a canary")


@pytest.mark.parametrize(
    ("pairs", "missing"),
    [
        ([{"value": "v"}], "job_variables_attributes[0][key] is missing"),
        ([{"key": "K"}], "job_variables_attributes[0][value] is missing"),
        ([{"key": "K", "value": "v"}, {"value": "w"}], "job_variables_attributes[1][key] is missing"),
    ],
)
def test_a_play_with_half_a_variable_starts_nothing(local: LocalGitLab, pairs: list[Any], missing: str) -> None:
    pipeline = local.pipeline(MANUAL)
    job, place = local.job(pipeline, "deploy"), local.place()

    said = place.ask("POST", f"{place.at}/jobs/{job.id}/play", job_variables_attributes=pairs)

    assert (said.status, said.body) == (400, {"error": missing})
    assert local.job(pipeline, "deploy").status == "manual"


@pytest.fixture
def strict(local: LocalGitLab) -> Iterator[LocalGitLab]:
    """Return the local GitLab while nobody may give variables to pipelines."""
    owner = local.project("owner")
    owner.ci_pipeline_variables_minimum_override_role = "no_one_allowed"
    owner.save()
    yield local
    owner.ci_pipeline_variables_minimum_override_role = "maintainer"
    owner.save()


def test_below_the_override_role_no_variables_are_taken(strict: LocalGitLab) -> None:
    pipeline, place = strict.pipeline(MANUAL), strict.place()
    job = strict.job(pipeline, "deploy")

    played = place.ask("POST", f"{place.at}/jobs/{job.id}/play", job_variables_attributes=[{"key": "K", "value": "v"}])
    made = place.ask("POST", f"{place.at}/pipeline", ref="main", variables=[{"key": "K", "value": "v"}])
    plain = place.ask("POST", f"{place.at}/jobs/{job.id}/play")

    assert (played.status, played.body) == (403, {"message": "403 Forbidden"})
    assert made.status == 400
    assert made.body == {"message": {"base": ["Insufficient permissions to set pipeline variables"]}}
    assert plain.status == 200


def test_inputs_are_not_subject_to_the_override_role(strict: LocalGitLab) -> None:
    text = """
    spec:
      inputs:
        image: {default: ""}
        count: {type: number, default: 1}
        strategy: {options: [fast, slow], default: fast}
    ---
    deploy:
      script: ["echo 'image: $[[ inputs.image ]] $[[ inputs.count ]] $[[ inputs.strategy ]]'"]
    """
    pipeline = strict.pipeline(text, inputs={"image": "app:7", "count": 3})

    job = strict.ended(pipeline, "deploy")
    wrong = refused(lambda: strict.pipeline(inputs={"count": "many", "other": 1, "strategy": "none"}))

    assert strict.said(job, "image: app:7 3 fast")
    assert wrong.response_code == 400
    assert wrong.error_message == {
        "base": [
            "unknown input arguments: other, `count` input: provided value is not a number, "
            "`strategy` input: `none` cannot be used because it is not in the list of allowed options"
        ]
    }


def test_playing_an_ended_job_makes_a_new_one_and_answers_with_the_old(local: LocalGitLab) -> None:
    pipeline, place = local.pipeline(MANUAL), local.place()
    old = local.job(pipeline, "deploy")
    old.play(post_data={"job_variables_attributes": [{"key": "EXTRA", "value": "first"}]})
    local.ended(pipeline, "deploy")

    said = place.ask(
        "POST",
        f"{place.at}/jobs/{old.id}/play",
        job_variables_attributes=[{"key": "EXTRA", "value": "second"}],
    )
    new = local.ended(pipeline, "deploy")
    tries = [job.id for job in pipeline.jobs.list(include_retried=True)]

    assert (said.status, said.body["id"]) == (200, old.id)
    assert new.id > old.id
    assert ([job.id for job in pipeline.jobs.list()], tries) == ([new.id], [new.id, old.id])
    # The new try has the variables of the old one; those given with this play are lost.
    assert local.said(new, "to nowhere as deploy with first")


def test_a_retry_answers_201_with_the_new_job(local: LocalGitLab) -> None:
    pipeline, place = local.pipeline(MANUAL), local.place()
    old = local.job(pipeline, "deploy")
    early = place.ask("POST", f"{place.at}/jobs/{old.id}/retry")
    old.play()
    local.ended(pipeline, "deploy")

    said = place.ask("POST", f"{place.at}/jobs/{old.id}/retry")
    again = place.ask("POST", f"{place.at}/jobs/{old.id}/retry")
    replay = place.ask("POST", f"{place.at}/jobs/{old.id}/play")

    assert (early.status, early.body) == (403, {"message": "403 Forbidden - Job is not retryable"})
    assert (said.status, said.body["id"] > old.id) == (201, True)
    assert local.ended(pipeline, "deploy").id == said.body["id"]
    assert (again.status, again.body) == (403, {"message": "403 Forbidden - Job is not retryable"})
    assert (replay.status, replay.body) == (400, {"message": "400 Bad request - Unplayable Job"})


def test_a_retry_gives_what_was_skipped_another_chance(local: LocalGitLab) -> None:
    (local.repository / "fail").write_text("")
    pipeline = local.pipeline(
        """
        stages: [one, two]
        first: {stage: one, script: ["test ! -e fail"]}
        by_stage: {stage: two, script: [echo x]}
        by_need: {stage: two, needs: [first], script: [echo x]}
        """
    )
    local.ended(pipeline, "first")
    skipped = statuses(pipeline)
    (local.repository / "fail").unlink()

    local.job(pipeline, "first").retry()
    local.ended(pipeline, "by_stage")
    local.ended(pipeline, "by_need")
    until(lambda: set(statuses(pipeline).values()) == {"success"})

    assert skipped == {"first": "failed", "by_stage": "skipped", "by_need": "skipped"}


def test_a_cancelled_job_ends_with_its_programs(local: LocalGitLab) -> None:
    pipeline = local.pipeline("job:\n  script: [echo begun, sleep 4321]\n  after_script: [echo tidied]\n")
    until(lambda: local.said(local.job(pipeline, "job"), "begun"))
    began, place = time.monotonic(), local.place()

    said = place.ask("POST", f"{place.at}/jobs/{local.job(pipeline, 'job').id}/cancel")
    job = local.ended(pipeline, "job")

    assert (said.status, said.body["status"], job.status) == (201, "canceling", "canceled")
    assert time.monotonic() - began < 10
    assert local.said(job, "tidied")
    assert not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "4321"]]


def test_cancelling_what_has_ended_changes_nothing(local: LocalGitLab) -> None:
    pipeline = local.pipeline("job:\n  script: [echo x]\n")
    job = local.ended(pipeline, "job")

    job.cancel()

    assert local.job(pipeline, "job").status == "success"


def test_cancelling_a_pipeline_leaves_its_manual_jobs(local: LocalGitLab) -> None:
    pipeline = local.pipeline(
        """
        stages: [one, two]
        by_hand: {stage: one, script: [echo x], when: manual}
        slow: {stage: one, script: [sleep 30]}
        later: {stage: two, script: [echo x]}
        """
    )
    local.reached(pipeline, "slow", "running")

    pipeline.cancel()
    local.ended(pipeline, "slow")

    assert statuses(pipeline) == {"by_hand": "manual", "slow": "canceled", "later": "canceled"}


# -- why a job is unplayable -------------------------------------------------------------------------------------------

UNPLAYABLE = (400, {"message": "400 Bad request - Unplayable Job"})


def test_a_job_that_waits_for_an_earlier_stage_is_unplayable(local: LocalGitLab, tmp_path: Path) -> None:
    pipeline, place = (
        local.pipeline(
            f"""
            stages: [one, two]
            slow: {{stage: one, script: ['{until_there(tmp_path / "go")}']}}
            deploy: {{stage: two, script: [echo x], when: manual}}
            """
        ),
        local.place(),
    )
    job = local.job(pipeline, "deploy")

    said = place.ask("POST", f"{place.at}/jobs/{job.id}/play")

    assert job.status == "created"
    assert (said.status, said.body) == UNPLAYABLE
    (tmp_path / "go").touch()
    local.reached(pipeline, "deploy", "manual")
    assert place.ask("POST", f"{place.at}/jobs/{job.id}/play").status == 200


def test_an_archived_job_is_unplayable_or_forbidden_in_newer_versions(settings: LocalGitLab) -> None:
    pipeline, place = settings.pipeline(MANUAL), settings.place()
    settings.turn(archive=pipeline.id)
    job = settings.job(pipeline, "deploy")

    older = place.ask("POST", f"{place.at}/jobs/{job.id}/play")
    settings.turn(settings={"refusal_of_stale_jobs": "forbidden"})
    newer = place.ask("POST", f"{place.at}/jobs/{job.id}/play")

    assert job.archived
    assert (older.status, older.body) == UNPLAYABLE
    assert (newer.status, newer.body) == (403, {"message": "403 Forbidden"})


def test_a_deployment_older_than_the_last_is_outdated(local: LocalGitLab) -> None:
    place = local.place()
    local.commit()
    old = local.pipeline(deploying("forward"))
    same = local.pipeline()
    same_commit = local.job(same, "deploy")
    same_commit.play()
    local.ended(same, "deploy")
    while_same = place.ask("POST", f"{place.at}/jobs/{local.job(old, 'deploy').id}/play")
    local.ended(old, "deploy")
    older = local.pipeline()
    local.commit()
    new = local.pipeline()
    local.job(new, "deploy").play()
    local.ended(new, "deploy")

    refusal = place.ask("POST", f"{place.at}/jobs/{local.job(older, 'deploy').id}/play")
    rollback = place.ask("POST", f"{place.at}/jobs/{local.job(old, 'deploy').id}/retry")

    # Of the same commit it is not outdated (app/models/deployment.rb); one that had completed may be retried.
    assert while_same.status == 200
    assert (refusal.status, refusal.body) == UNPLAYABLE
    assert rollback.status == 201
    assert local.ended(old, "deploy").status == "success"


def test_an_outdated_deployment_that_waited_is_dropped_when_a_runner_takes_it(settings: LocalGitLab) -> None:
    settings.commit()
    automatic = settings.pipeline(deploying("dropped").replace("when: manual", "tags: [nobody]"))
    settings.commit()
    new = settings.pipeline(deploying("dropped"))
    settings.job(new, "deploy").play()
    settings.ended(new, "deploy")

    settings.place().ask("PUT", "/runners/1", tag_list=["local-cloud", "nobody"])
    job = settings.ended(automatic, "deploy")
    settings.place().ask("PUT", "/runners/1", tag_list=["local-cloud"])

    assert (job.status, job.failure_reason) == ("failed", "forward_deployment_failure")
