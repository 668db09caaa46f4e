"""Jobs of the local GitLab that really run: their script, their copy of the repository, their end."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

from tests.localcloud.gitlab_places import MANUAL, LocalGitLab, statuses
from tests.localcloud.machines import until, until_there


def test_a_job_runs_its_script_and_tells_how_it_ended(local: LocalGitLab) -> None:
    pipeline = local.pipeline(
        "good:\n  script: [echo hello]\nbad:\n  script: ['echo before', 'exit 3', 'echo after']\n"
    )

    good, bad = local.ended(pipeline, "good"), local.ended(pipeline, "bad")
    until(lambda: local.project().pipelines.get(pipeline.id).status == "failed")

    assert (good.status, bad.status, bad.failure_reason) == ("success", "failed", "script_failure")
    assert local.said(good, "hello")
    assert "$ echo hello" in local.log(good)
    assert "Job succeeded" in local.log(good)
    assert local.said(bad, "before")
    assert not local.said(bad, "after")
    assert "ERROR: Job failed: exit status 3" in local.log(bad)
    assert good.duration is not None


def test_a_log_is_text_and_empty_before_the_job_has_begun(local: LocalGitLab) -> None:
    pipeline = local.pipeline(MANUAL)
    place = local.place()

    said = place.ask("GET", f"{place.at}/jobs/{local.job(pipeline, 'deploy').id}/trace")

    assert (said.status, said.text, said.headers["Content-Type"]) == (200, "", "text/plain")


def test_a_log_grows_while_the_job_runs(local: LocalGitLab, tmp_path: Path) -> None:
    pipeline = local.pipeline(f"slow:\n  script: [echo first, '{until_there(tmp_path / 'go')}', echo second]\n")
    until(lambda: local.said(local.job(pipeline, "slow"), "first"))

    running = local.job(pipeline, "slow")
    early = local.log(running)
    (tmp_path / "go").touch()
    ended = local.ended(pipeline, "slow")

    assert running.status == "running"
    assert "\nsecond" not in early
    assert local.log(ended).startswith(early)
    assert local.said(ended, "second")


def test_a_shell_is_shared_by_before_script_and_script_but_not_by_after_script(local: LocalGitLab) -> None:
    pipeline = local.pipeline(
        """
        job:
          before_script: [shared=yes, "helper() { echo helped; }"]
          script: ['echo "shared: $shared"', helper, 'false | true', 'echo unreachable']
          after_script: ['echo "after: ${shared:-no} $CI_JOB_STATUS"', 'exit 9']
        """
    )

    job = local.ended(pipeline, "job")

    assert (local.said(job, "shared: yes"), local.said(job, "helped")) == (True, True)
    assert "unreachable" not in local.log(job)
    assert local.said(job, "after: no failed")
    assert job.failure_reason == "script_failure"
    assert "WARNING: after_script failed" in local.log(job)


def test_a_job_works_on_a_copy_of_the_repository(local: LocalGitLab) -> None:
    repository = local.repository
    (repository / "bin").mkdir(exist_ok=True)
    (repository / "bin/tool").write_text("#!/bin/sh\necho from the repository\n")
    (repository / "bin/tool").chmod(0o755)
    for private in (".git", ".venv", ".lifeboat"):
        (repository / private).mkdir(exist_ok=True)
        (repository / private / "secret").write_text("not for jobs")
    pipeline = local.pipeline("job:\n  script: [bin/tool, ls -A, echo changed > bin/tool, pwd]\n")

    job = local.ended(pipeline, "job")
    (repository / ".git/secret").unlink()
    (repository / ".git").rmdir()

    assert job.status == "success", local.log(job)
    assert local.said(job, "from the repository")
    listed = set(local.log(job).splitlines())
    assert {"bin", ".gitlab-ci.yml"} <= listed
    assert not {".git", ".venv", ".lifeboat"} & listed
    assert "changed" not in (repository / "bin/tool").read_text()


def test_files_go_from_job_to_job(local: LocalGitLab) -> None:
    pipeline = local.pipeline(
        """
        stages: [one, two, three]
        make:
          stage: one
          script: [mkdir -p out/deep, echo made > out/deep/file, echo no > out/skipped.tmp, ln -s /etc/passwd out/link]
          artifacts: {paths: [out/], exclude: ["*.tmp"], expire_in: 1 hour}
        use: {stage: two, script: [cat out/deep/file, ls out]}
        without: {stage: three, needs: [], script: ["ls out || echo none"]}
        """
    )

    used, without = local.ended(pipeline, "use"), local.ended(pipeline, "without")
    made = local.job(pipeline, "make")

    assert used.status == "success", local.log(used)
    assert local.said(used, "made")
    assert not {"skipped.tmp", "link"} & set(local.log(used).splitlines())
    assert local.said(without, "none")
    assert made.artifact("out/deep/file") == b"made\n"
    assert made.artifacts().startswith(b"PK")


def test_a_job_reaches_aws_as_the_role_of_a_runner_would(local: LocalGitLab) -> None:
    pipeline = local.pipeline("job:\n  script: [aws sns create-topic --name from-a-job --output text]\n")

    job = local.ended(pipeline, "job")

    assert job.status == "success", local.log(job)
    topics = local.cloud.client("sns").list_topics()["Topics"]
    assert [topic["TopicArn"].rsplit(":", 1)[-1] for topic in topics] == ["from-a-job"]


def test_a_log_has_a_limit_and_the_job_does_not(local: LocalGitLab) -> None:
    pipeline = local.pipeline(
        "job:\n  script: ['head -c 5000000 /dev/zero | tr \"\\0\" x', touch done, test -e done]\n"
    )

    job = local.ended(pipeline, "job")
    log = local.log(job)

    assert job.status == "success"
    assert len(log) < 4 * 1024 * 1024 + 1000
    assert "Job's log exceeded limit of 4194304 bytes." in log


def test_a_job_over_its_time_is_ended(local: LocalGitLab) -> None:
    pipeline = local.pipeline(
        "job:\n  timeout: 1 second\n  script: [echo begun, sleep 60]\n  after_script: [echo late]\n"
    )

    job = local.ended(pipeline, "job", seconds=20)

    assert (job.status, job.failure_reason) == ("failed", "job_execution_timeout")
    assert local.said(job, "begun")
    assert "execution took longer than 1 seconds" in local.log(job)


def test_nothing_that_a_job_started_outlives_it(local: LocalGitLab) -> None:
    mark = f"3{time.time_ns() % 10**6}"
    pipeline = local.pipeline(f"job:\n  script: [setsid -f sleep {mark}, 'sleep {mark} &', echo done]\n")

    job = local.ended(pipeline, "job")

    assert job.status == "success", local.log(job)
    until(lambda: not [p for p in psutil.process_iter(["cmdline"]) if mark in (p.info["cmdline"] or [])], 5)


def test_the_jobs_of_a_stage_wait_for_the_one_before(local: LocalGitLab, tmp_path: Path) -> None:
    pipeline = local.pipeline(
        f"""
        stages: [one, two]
        first: {{stage: one, script: ['{until_there(tmp_path / "go")}']}}
        second: {{stage: two, script: [echo after]}}
        at_once: {{stage: two, needs: [], script: [echo early]}}
        """
    )
    at_first = statuses(pipeline)
    local.ended(pipeline, "at_once")
    (tmp_path / "go").touch()

    second, at_once = local.ended(pipeline, "second"), local.job(pipeline, "at_once")

    assert at_first["second"] == "created"
    assert at_first["at_once"] in ("pending", "running", "success")
    assert second.started_at >= local.job(pipeline, "first").finished_at
    assert at_once.started_at < local.job(pipeline, "first").finished_at


def test_a_failure_skips_what_follows_except_what_asks_for_it(local: LocalGitLab) -> None:
    pipeline = local.pipeline(
        """
        stages: [one, two]
        fails: {stage: one, script: ["exit 1"]}
        normal: {stage: two, script: [echo x]}
        tidy: {stage: two, script: [echo x], when: on_failure}
        report: {stage: two, script: [echo x], when: always}
        """
    )

    local.ended(pipeline, "report")
    local.ended(pipeline, "tidy")

    assert statuses(pipeline) == {"fails": "failed", "normal": "skipped", "tidy": "success", "report": "success"}


def test_a_failed_job_that_may_fail_leaves_the_pipeline_passed(local: LocalGitLab) -> None:
    pipeline = local.pipeline(
        """
        may: {script: ["exit 1"], allow_failure: true}
        by_status: {script: ["exit 42"], allow_failure: {exit_codes: [42]}}
        """
    )

    local.ended(pipeline, "may")
    local.ended(pipeline, "by_status")
    until(lambda: local.project().pipelines.get(pipeline.id).status == "success")

    assert statuses(pipeline) == {"may": "failed", "by_status": "failed"}
    assert local.project().pipelines.get(pipeline.id).detailed_status["label"] == "passed with warnings"


def test_a_resource_group_runs_one_at_a_time(local: LocalGitLab, tmp_path: Path) -> None:
    waits = f"job:\n  resource_group: terraform-$CI_COMMIT_BRANCH\n  script: ['{until_there(tmp_path / 'go')}']\n"
    both = [local.pipeline(waits) for _ in range(2)]
    waiting = statuses(both[1])["job"]
    upcoming = local.place().ask("GET", f"{local.place().at}/resource_groups/terraform-main/upcoming_jobs").body
    (tmp_path / "go").touch()

    first, second = (local.ended(pipeline, "job") for pipeline in both)

    assert waiting == "waiting_for_resource"
    assert [job["id"] for job in upcoming] == [second.id]
    assert second.started_at >= first.finished_at
    assert local.project().resource_groups.get("terraform-main").process_mode == "unordered"
