"""What the local GitLab keeps over restarts, loads and power cuts, and how it fails when a rehearsal asks for it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gitlab
import psutil
import pytest
import requests

from tests.conftest import open_folder
from tests.localcloud.gitlab_places import MANUAL, LocalGitLab, gitlab_on, refused
from tests.localcloud.machines import until

LONG = "job:\n  script: [echo begun, sleep 5432 & sleep 5432]\n  resource_group: one\n"


def sleepers() -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "5432"]]


# -- restarts ----------------------------------------------------------------------------------------------------------


def test_a_restart_forgets_nothing() -> None:
    with open_folder() as folder:
        with gitlab_on(folder) as first:
            first.project().variables.create({"key": "KEPT", "value": "kept-value-1", "masked": True})
            pipeline = first.pipeline("done: {script: [echo kept]}\nhand: {script: [echo later], when: manual}\n")
            first.ended(pipeline, "done")
            tokens = first.document["tokens"]

        with gitlab_on(folder, first.cloud.port) as second:
            second.job(pipeline, "hand").play()
            later = second.ended(pipeline, "hand")

            assert second.document["tokens"] == tokens
            assert second.project().variables.get("KEPT").value == "kept-value-1"
            assert second.said(second.job(pipeline, "done"), "kept")
            assert second.said(later, "later")
            assert second.pipeline().id == pipeline.id + 1


def test_a_job_that_ran_when_the_cloud_stopped_has_failed_and_frees_its_resource() -> None:
    with open_folder() as folder:
        with gitlab_on(folder) as first:
            pipeline = first.pipeline(LONG)
            until(lambda: first.said(first.job(pipeline, "job"), "begun"))
        left = sleepers()

        with gitlab_on(folder, first.cloud.port) as second:
            job = second.job(pipeline, "job")
            following = second.pipeline("job: {script: [echo free], resource_group: one}\n")

            assert left == []
            assert (job.status, job.failure_reason) == ("failed", "runner_system_failure")
            assert second.ended(following, "job").status == "success"


def test_nothing_survives_a_killed_cloud_and_the_next_start_tells_what_was_lost() -> None:
    with open_folder() as folder:
        with gitlab_on(folder) as first:
            pipeline = first.pipeline(LONG)
            until(lambda: first.said(first.job(pipeline, "job"), "begun"))
            until(lambda: len(sleepers()) == 2)
            time.sleep(3)  # the state is written a second after the last change
            os.kill(first.cloud.process.pid, signal.SIGKILL)
            first.cloud.process.wait(10)
        until(lambda: sleepers() == [], 10)

        with gitlab_on(folder, first.cloud.port) as second:
            job = second.job(pipeline, "job")

            assert (job.status, job.failure_reason) == ("failed", "runner_system_failure")


def test_a_load_goes_back_to_the_variables_pipelines_and_logs_of_the_save(local: LocalGitLab) -> None:
    project = local.project()
    project.variables.create({"key": "BEFORE", "value": "v1"})
    pipeline = local.pipeline("done: {script: [echo kept]}\nhand: {script: [echo later], when: manual}\n")
    local.ended(pipeline, "done")
    local.cloud.control("save", name="before")
    project.variables.update("BEFORE", {"value": "v2"})
    later = local.pipeline(LONG)
    until(lambda: local.said(local.job(later, "job"), "begun"))

    local.cloud.control("load", name="before")

    assert sleepers() == []
    assert project.variables.get("BEFORE").value == "v1"
    assert refused(lambda: project.pipelines.get(later.id)).response_code == 404
    assert local.said(local.job(pipeline, "done"), "kept")
    # The id of the job that was cut off is given out again; it must not be touched by how the old one ended.
    same_id = local.pipeline("job: {script: [sleep 1, echo new]}\n")
    assert same_id.id == later.id
    assert local.said(local.ended(same_id, "job"), "new")
    project.variables.delete("BEFORE")


def test_a_save_while_a_job_runs_holds_it_up_and_loses_nothing_of_its_log(local: LocalGitLab) -> None:
    pipeline = local.pipeline("job:\n  script: ['for n in $(seq 40); do echo line $n; sleep 0.05; done']\n")
    until(lambda: local.said(local.job(pipeline, "job"), "line 3"))

    local.cloud.control("save", name="while-running")
    job = local.ended(pipeline, "job")
    local.cloud.control("load", name="while-running")
    loaded = local.job(pipeline, "job")

    assert job.status == "success"
    assert [line for line in local.log(loaded).splitlines() if line.startswith("line")]
    assert (loaded.status, loaded.failure_reason) == ("failed", "runner_system_failure")


def test_the_project_can_be_named_and_the_repository_left_out() -> None:
    with open_folder() as folder, gitlab_on(folder, options=["--gitlab-project", "platform/shop/api"]) as local:
        error = refused(local.pipeline)

        assert (local.document["project"], local.document["group"]) == ("platform/shop/api", "platform/shop")
        assert error.error_message == {"base": ["Missing CI config file"]}


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def faults(local: LocalGitLab) -> Iterator[LocalGitLab]:
    yield local
    local.cloud.control("faults", clear=True)


def fail(local: LocalGitLab, operation: str, **rule: Any) -> None:
    local.cloud.control("faults", add={"service": "gitlab", "operation": operation, **rule})


@pytest.mark.parametrize(
    ("status", "content_type"),
    [(500, "application/json"), (502, "text/html"), (503, "text/html"), (429, "text/plain"), (401, "application/json")],
)
def test_a_fault_refuses_one_call_and_does_nothing(faults: LocalGitLab, status: int, content_type: str) -> None:
    place = faults.place()
    fail(faults, "CreateVariable", status=status)

    first = place.ask("POST", f"{place.at}/variables", key="FAULTY", value="v")
    absent = place.ask("GET", f"{place.at}/variables/FAULTY")
    second = place.ask("POST", f"{place.at}/variables", key="FAULTY", value="v")
    place.ask("DELETE", f"{place.at}/variables/FAULTY")

    assert (first.status, first.headers["Content-Type"]) == (status, content_type)
    assert ("Retry-After" in first.headers) is (status == 429)
    assert (absent.status, second.status) == (404, 201)


def test_a_lost_answer_has_done_its_work(faults: LocalGitLab) -> None:
    place = faults.place()
    fail(faults, "CreateVariable", when="after", status=502)

    lost = place.ask("POST", f"{place.at}/variables", key="LOST", value="v")
    again_sent = place.ask("POST", f"{place.at}/variables", key="LOST", value="v")
    place.ask("DELETE", f"{place.at}/variables/LOST")

    assert lost.status == 502
    assert (again_sent.status, again_sent.body) == (400, {"message": {"key": ["(LOST) has already been taken"]}})


@pytest.mark.parametrize(
    ("operation", "order", "left"),
    [
        ("UpdateVariable", lambda variables: variables.update("CUT", {"value": "v2"}), ["v2"]),
        ("DeleteVariable", lambda variables: variables.delete("CUT"), []),
    ],
)
def test_a_cut_answer_breaks_the_connection_after_the_work(
    faults: LocalGitLab, operation: str, order: Callable[[Any], None], left: list[str]
) -> None:
    variables = faults.project().variables
    variables.create({"key": "CUT", "value": "v1"})
    fail(faults, operation, when="cut")

    with pytest.raises(requests.exceptions.RequestException):
        order(variables)

    assert [v.value for v in variables.list() if v.key == "CUT"] == left
    for _ in left:
        variables.delete("CUT")


def test_a_slow_answer_is_slow(faults: LocalGitLab) -> None:
    fail(faults, "GetJobTrace|ListVariables", status=200, held=True)
    impatient = gitlab.Gitlab(faults.document["url"], private_token=faults.place().token, timeout=0.5)

    with pytest.raises(requests.exceptions.Timeout):
        impatient.projects.get(1, lazy=True).variables.list(get_all=True)
    faults.cloud.control("faults", clear=True)

    assert faults.project().variables.list(get_all=True) == []


def test_the_third_call_can_be_chosen(faults: LocalGitLab) -> None:
    place = faults.place()
    fail(faults, "Get.*", first=3, status=500)

    answers = [place.ask("GET", "/user").status for _ in range(4)]

    assert answers == [200, 200, 500, 200]


def test_each_request_is_traced_by_the_name_that_faults_know(local: LocalGitLab) -> None:
    place = local.place()
    place.ask("GET", f"{place.at}/variables/ABSENT")
    place.ask("GET", f"{place.at}/nonsense")

    lines = [json.loads(line) for line in (local.cloud.directory / "logs/trace.jsonl").read_text().splitlines()]

    traced = {(line["service"], line["operation"], line["region"], line["status"]) for line in lines}
    assert ("gitlab", "GetVariable", "global", 404) in traced
    assert "GET /_gitlab/api/v4/projects/demo%2Fapp/nonsense" in {line["operation"] for line in lines}


# -- at once -----------------------------------------------------------------------------------------------------------


def test_of_many_who_create_the_same_variable_one_does(local: LocalGitLab) -> None:
    place = local.place()

    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda n: place.ask("POST", f"{place.at}/variables", key="RACE", value=f"value-{n}").status, range(24)
            )
        )

    assert (answers.count(201), answers.count(400)) == (1, 23)
    place.ask("DELETE", f"{place.at}/variables/RACE")


def test_of_many_who_play_the_same_job_each_gets_an_answer_and_none_runs_beside_another(local: LocalGitLab) -> None:
    pipeline, place = local.pipeline(MANUAL), local.place()
    job = local.job(pipeline, "deploy")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: place.ask("POST", f"{place.at}/jobs/{job.id}/play").status, range(8)))
    local.ended(pipeline, "deploy")
    tries = pipeline.jobs.list(include_retried=True, get_all=True)

    assert answers.count(200) == len(tries)
    assert set(answers) <= {200, 400}


def test_more_jobs_than_the_runner_takes_at_once_all_end(local: LocalGitLab) -> None:
    pipelines = [
        local.pipeline("a: {script: [sleep 0.2, echo a]}\nb: {script: [sleep 0.2]}\nc: {script: [sleep 0.2]}\n")
        for _ in range(4)
    ]

    ended = [local.ended(pipeline, name) for pipeline in pipelines for name in ("a", "b", "c")]

    assert {job.status for job in ended} == {"success"}


def test_two_operators_write_variables_while_jobs_run_and_the_cloud_is_saved(local: LocalGitLab) -> None:
    pipeline = local.pipeline("job: {script: ['for n in 1 2 3 4 5; do echo $n; sleep 0.2; done']}\n")

    def write(who: str) -> None:
        variables = local.project(who).variables
        for number in range(10):
            variables.create({"key": f"{who}_{number}".upper(), "value": str(number)})

    with ThreadPoolExecutor(3) as pool:
        work = [pool.submit(write, who) for who in ("owner", "maintainer")]
        saving = pool.submit(local.cloud.control, "save", name="busy")
        for one in (*work, saving):
            one.result()
    job = local.ended(pipeline, "job")
    variables = local.project().variables
    keys = {v.key for v in variables.list(get_all=True)}
    for key in keys:
        variables.delete(key)

    assert job.status == "success"
    assert keys == {f"{who}_{number}" for who in ("OWNER", "MAINTAINER") for number in range(10)}
