"""`lifeboat gitlab …`: exit statuses, what is printed where, and one error without a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import command_line
from tests.commands.test_gitlab_deploy import CI, ci
from tests.conftest import free_port
from tests.gitlab_sites import VARIABLES, GitLabSite, forget_pipelines
from tests.localcloud.machines import until, until_there
from tests.rehearsal import CLEAN, ROOT, passed

Done = subprocess.CompletedProcess[str]


@pytest.fixture
def lab(lab: GitLabSite) -> Iterator[GitLabSite]:
    forget_pipelines(lab)
    lab.local.write(CI)
    yield lab
    lab.local.turn(runner="online")


def environment(**env: str) -> dict[str, str]:
    path = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{CLEAN['PATH']}"
    return {**{k: v for k, v in CLEAN.items() if not k.startswith("GITLAB_")}, "PATH": path, **env}


def lifeboat(lab: GitLabSite, *arguments: str, **env: str) -> Done:
    """Run `lifeboat gitlab …` in the project; as a program of its own it runs where one is stopped by a signal."""
    return command_line.run(lab.root, "gitlab", *arguments, "-e", "x", env=environment(**env))


def refused(done: Done, status: int, *words: str) -> None:
    passed(done, status)
    for word in words:
        assert word in done.stderr, done.stderr
    assert done.stderr.count("error:") == 1, done.stderr
    assert "Traceback" not in done.stderr


def test_the_way_of_a_sync_through_the_command_line(lab: GitLabSite) -> None:
    pending = passed(lifeboat(lab, "plan", "--detailed-exitcode"), 20)
    unasked = lifeboat(lab, "sync")
    synced = passed(lifeboat(lab, "sync", "--yes"))
    again = passed(lifeboat(lab, "sync"))
    nothing = passed(lifeboat(lab, "plan", "--detailed-exitcode"))

    assert pending.stdout.splitlines() == [
        "+ DATABASE_URL (x) (masked, 77 characters)",
        "+ APP_URL (x) (shown in logs, 20 characters)",
        "+ DB_PORT (x) (shown in logs, 4 characters)  -- not masked: it has fewer than 8 characters",
        "+ EC2_INSTANCE_IP (x) (shown in logs, 8 characters) [pointer, written last]",
        "4 to write",
    ]
    refused(unasked, 7, "these changes need somebody to agree", "+ EC2_INSTANCE_IP (x)")
    assert synced.stdout.splitlines()[-1] == "4 written and verified"
    assert "4 of 4: create EC2_INSTANCE_IP (x)" in synced.stderr
    assert again.stdout.splitlines()[-1] == "no changes: GitLab has what is asked for"
    assert nothing.stdout == again.stdout


def test_plans_are_json_for_programs_without_a_value(lab: GitLabSite) -> None:
    document = json.loads(passed(lifeboat(lab, "plan", "-o", "json")).stdout)

    assert (document["writes"], document["differs"], document["warnings"]) == (4, True, [])
    assert document["changes"][0] == {
        "key": "DATABASE_URL",
        "scope": "x",
        "action": "create",
        "attributes": ["value", "variable_type", "masked", "raw", "protected", "description"],
        "pointer": False,
        "notes": [],
    }


def test_an_export_with_hidden_variables_ends_with_4_unless_that_is_accepted(lab: GitLabSite) -> None:
    lab.place.create("SECRET", "hidden-value", scope="x", masked_and_hidden=True)
    lab.place.create("PLAIN", "some-value", scope="x")

    strict = lifeboat(lab, "export")
    time.sleep(1.1)  # one name for each second
    lenient = passed(lifeboat(lab, "export", "--allow-missing", "-o", "json"))
    lab.place.project.variables.delete("PLAIN", filter={"environment_scope": "x"})
    preview = passed(lifeboat(lab, "restore", "--preview"))
    restored = passed(lifeboat(lab, "restore", "latest", "--yes"))

    refused(strict, 4, "hidden in GitLab, so in no export: SECRET (x)", "--allow-missing")
    assert "? SECRET (x): not exportable" in strict.stdout
    assert json.loads(lenient.stdout)["not_exportable"] == ["SECRET (x)"]
    assert preview.stdout.splitlines() == ["+ PLAIN (x) (shown in logs, 10 characters)", "1 to write"]
    assert restored.stdout.splitlines()[-1] == "1 put back and verified"
    assert restored.stderr.splitlines()[-1] == "next: lifeboat gitlab sync -e x"
    assert "next:" not in preview.stderr
    assert lab.value("PLAIN") == "some-value"


def test_a_deploy_prints_its_result_and_tells_the_log_on_the_other_stream(lab: GitLabSite) -> None:
    lab.local.pushed()
    passed(lifeboat(lab, "sync", "--yes"))

    done = passed(lifeboat(lab, "deploy"))
    rolled_back = passed(lifeboat(lab, "rollback", "-o", "json"))
    fresh = passed(lifeboat(lab, "deploy", "--new-pipeline", "-o", "json"))

    assert done.stdout.startswith("deploy_application (job ")
    assert ": success in " in done.stdout
    assert "  | to 10.0.0.7 with [MASKED]" in done.stderr
    found = json.loads(rolled_back.stdout)
    assert (found["name"], found["status"]) == ("rollback_application", "success")
    assert json.loads(fresh.stdout)["pipeline"] > found["pipeline"]


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        (ci("exit 1"), 1, "failed: its script ended with an error"),
        (
            ci(environment="{name: y}"),
            6,
            "no pushed pipeline of main has a job deploy_application for the environment x",
        ),
        (ci(needs="") + "\nbuild: {stage: build, script: [echo x], rules: [{when: manual}]}", 3, "build (manual)"),
    ],
)
def test_a_deploy_ends_with_the_status_of_what_happened(lab: GitLabSite, text: str, status: int, words: str) -> None:
    lab.local.pushed(text)

    refused(lifeboat(lab, "deploy"), status, words)


def test_a_watch_that_is_stopped_says_where_the_job_goes_on(lab: GitLabSite, tmp_path: Path) -> None:
    pipeline = lab.local.pushed(ci(f"echo begun; {until_there(tmp_path / 'go')}"))
    process = subprocess.Popen(
        ["lifeboat", "gitlab", "deploy", "-e", "x"],
        cwd=lab.root,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lab.local.reached(pipeline, "deploy_application", "running")
    time.sleep(0.5)

    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "stopped watching deploy_application; what was played goes on: http://" in errors
    assert "Traceback" not in errors
    (tmp_path / "go").touch()
    assert lab.local.ended(pipeline, "deploy_application").status == "success"


def test_a_sync_that_is_stopped_puts_back_what_it_wrote(lab: GitLabSite) -> None:
    lab.fail("CreateVariable", first=3, times=1, status=200, held=True)
    process = subprocess.Popen(
        ["lifeboat", "gitlab", "sync", "--yes", "-e", "x"],
        cwd=lab.root,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: lab.hit() != "", 300)

    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    before = lab.variables()
    lab.cloud.control("faults", clear=True)  # the request that was under way

    assert process.returncode == 130
    assert before == {}
    assert "GitLab is as it was: what was written before is put back" in errors
    assert "the last request, for DB_PORT (x), may still be carried out: look again later" in errors
    until(lambda: set(lab.variables()) == {("DB_PORT", "x")})


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("restore", "20200101T000000Z.json"), 6, "there is no export"),
        (("restore", "gitlab/y/20200101T000000Z.json"), 3, "is no export of this environment"),
        (("plan", "--prune", "--nonsense"), 2, "No such option"),
        (("deploy", "--ref", "nowhere"), 6, "no pushed pipeline of nowhere has a job"),
    ],
)
def test_what_does_not_fit_has_its_status(lab: GitLabSite, arguments: tuple[str, ...], status: int, words: str) -> None:
    done = passed(lifeboat(lab, *arguments), status)

    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_token_or_an_unreachable_gitlab_has_its_status(lab: GitLabSite) -> None:
    lab.write(settings='token_env = "GITLAB_TOKEN"')
    no_token = lifeboat(lab, "sync", "--yes")
    wrong_token = lifeboat(lab, "sync", "--yes", GITLAB_TOKEN="glpat-canary-token")
    lab.write()
    path = lab.root / "environments" / "x.toml"
    path.write_text(path.read_text().replace(lab.local.document["url"], f"http://127.0.0.1:{free_port()}"))
    away = lifeboat(lab, "sync", "--yes")

    refused(no_token, 2, "there is no token in the environment variable GITLAB_TOKEN")
    refused(wrong_token, 2, "the token is not valid: GitLab does not know it")
    assert "glpat-canary-token" not in wrong_token.stdout + wrong_token.stderr
    refused(away, 8, "does not answer", "lifeboat app redeploy")


def test_what_cannot_be_written_is_listed_whole_with_status_2(lab: GitLabSite) -> None:
    entry = '[[gitlab.variables]]\nkey = "{}"\noutput = "{}"\n'
    lab.write(VARIABLES + entry.format("A", "no.such") + entry.format("B", "app.dns_name"))

    done = lifeboat(lab, "plan")

    refused(done, 2, "A (x): the stack's output recovery has no no.such")
    assert "B (x): the stack's output recovery.app.dns_name is null" in done.stderr


def test_the_doctor_ends_with_2_when_something_is_wrong(lab: GitLabSite) -> None:
    good = passed(lifeboat(lab, "doctor"))
    lab.local.turn(runner="offline")
    bad = lifeboat(lab, "doctor", "-o", "json")

    assert "sound, 2 jobs" in good.stdout
    refused(bad, 2, "missing or wrong: runners")
    assert {row["name"]: row["good"] for row in json.loads(bad.stdout)}["runners"] is False
