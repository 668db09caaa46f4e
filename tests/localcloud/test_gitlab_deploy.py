"""The repository's own .gitlab-ci.yml: sound for GitLab, and really deploying the sample application to a host."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from lifeboat import config
from lifeboat.clients.gitlab_api import Patience
from lifeboat.decisions.policy.formats.files import NAMES
from lifeboat.pipeline import deploy
from lifeboat.pipeline.deploy import Wanted
from lifeboat.site import Site

from tests.conftest import open_folder
from tests.localcloud.gitlab_places import LocalGitLab, gitlab_on, refused, statuses
from tests.localcloud.machines import TRUST, Machines, asked, until
from tests.localcloud.test_sample_app import rendered

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / ".gitlab-ci.yml").read_text()
HEADER, PIPELINE = yaml.safe_load_all(TEXT)
JOBS = {
    name: job
    for name, job in PIPELINE.items()
    if isinstance(job, dict) and "script" in job and not name.startswith(".")
}
# GitLab's own schema of the file, as check-jsonschema ships it.
SCHEMA = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/gitlab-ci.json").read_text())


# -- the file ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", [HEADER, PIPELINE], ids=["header", "pipeline"])
def test_each_document_is_what_gitlabs_schema_wants(document: dict[str, Any]) -> None:
    jsonschema.Draft7Validator(SCHEMA).validate(document)


def test_the_schema_would_notice_a_mistake() -> None:
    wrong = {**PIPELINE, "apply": {**PIPELINE["apply"], "when": "manuel"}}

    assert not jsonschema.Draft7Validator(SCHEMA).is_valid(wrong)


def test_the_scan_leaves_reports_and_no_plan_in_clear_text() -> None:
    job = JOBS["policy"]
    reports = job["artifacts"]["reports"]
    left = [*job["artifacts"]["paths"], *reports.values()]

    assert job["stage"] == "validate"
    assert {"junit", "codequality"} == set(reports)
    assert sorted(left) == sorted(f"scan/{name}" for name in NAMES)
    assert job["artifacts"]["when"] == "always"  # a scan that fails is the one whose reports are read
    assert job["cache"]["key"]["files"] == ["requirements-scan.lock"]
    assert "allow_failure" not in job


def test_all_that_touches_an_environment_goes_one_after_the_other_and_is_never_interrupted() -> None:
    changing = {name: JOBS[name] for name in ("apply", "sync", "deploy_application", "rollback_application")}

    groups = {name: job["resource_group"] for name, job in changing.items()}

    assert groups["apply"] == groups["sync"] == "terraform-$ENVIRONMENT"
    assert groups["deploy_application"] == groups["rollback_application"] == "deploy-$ENVIRONMENT"
    assert PIPELINE["default"]["interruptible"] is False
    assert not any(job.get("interruptible") for job in changing.values())


def test_only_deployments_are_deployments() -> None:
    actions = {name: job["environment"].get("action", "start") for name, job in JOBS.items() if "environment" in job}

    assert {name for name, action in actions.items() if action == "start"} == {
        "deploy_application",
        "rollback_application",
    }


def test_aws_is_reached_by_signed_tokens_alone() -> None:
    assert PIPELINE[".on_aws"]["id_tokens"] == {"AWS_ID_TOKEN": {"aud": "https://sts.amazonaws.com"}}
    assert "AWS_SECRET_ACCESS_KEY" not in TEXT
    for name, job in JOBS.items():
        uses_aws = "AWS_ROLE_ARN" in job.get("variables", {})
        assert uses_aws == (".on_aws" in job.get("extends", "")), name


def test_what_drills_may_restore_and_not_apply() -> None:
    assert JOBS["drill"]["variables"]["AWS_ROLE_ARN"] == "$CI_DRILL_ROLE_ARN"


def test_the_plan_is_kept_for_maintainers_and_a_day_and_of_a_scan_the_reports_alone() -> None:
    kept = {name: job["artifacts"] for name, job in JOBS.items() if "artifacts" in job}

    assert set(kept) == {"plan", "policy", "drill"}
    assert kept["drill"]["paths"] == ["drill/report.html"]
    assert kept["policy"]["paths"] == ["scan/scan.json", "scan/scan.sarif", "scan/summary.md"]
    assert (kept["plan"]["access"], kept["plan"]["expire_in"]) == ("maintainer", "1 day")
    assert kept["plan"]["reports"] == {"terraform": "plan/summary.json"}


# -- its pipelines -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """The local GitLab on this repository, and the instance that it deploys to."""

    gitlab: LocalGitLab
    machines: Machines
    instance: str

    @property
    def address(self) -> str:
        return str(self.machines.described(self.instance)["PrivateIpAddress"])

    @property
    def serving(self) -> str:
        """Return the image that answers."""
        status, text = asked(f"http://{self.address}:8080/version")
        return str(json.loads(text)["image"]) if status == 200 else f"HTTP {status}"

    @property
    def previous(self) -> Path:
        return self.machines.root(self.instance) / "var/lib/app/previous"

    def play(self, name: str, **inputs: str) -> Any:
        """Play a job in a new pipeline for the environment `local` and return it when it has ended."""
        pipeline = self.gitlab.pipeline(inputs={"environment": "local", **inputs})
        self.gitlab.job(pipeline, name).play()
        return self.gitlab.ended(pipeline, name, seconds=120)


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    with open_folder() as folder, gitlab_on(folder, options=["--repository", str(ROOT)]) as gitlab:
        machines = Machines(gitlab.cloud)
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "application", "Value": "app-test"}]}]
        made = Deployment(
            gitlab=gitlab, machines=machines, instance=machines.launch(rendered(), TagSpecifications=tags)
        )
        until(lambda: made.serving == "app:1")
        # There is no database here; /version needs none.
        values = {"EC2_INSTANCE_ID": made.instance, "EC2_INSTANCE_IP": made.address, "HEALTH_PATH": "/version"}
        values["ON_HOST_POLL_SECONDS"] = "1"  # each look is a program
        for key, value in values.items():
            gitlab.place().create(key, value, "local", raw=True)
        gitlab.project().branches.create({"branch": "hot-fix", "ref": "main"})
        yield made


def test_what_a_recovery_starts_deploys_and_does_nothing_else(deployment: Deployment) -> None:
    pipeline = deployment.gitlab.pipeline(inputs={"environment": "local"})

    assert statuses(pipeline) == {"deploy_application": "manual", "rollback_application": "manual"}


def test_a_push_plans_and_leaves_the_rest_to_people(deployment: Deployment) -> None:
    gitlab = deployment.gitlab
    gitlab.turn(runner="offline")

    pushed = gitlab.pushed()
    number, found = pushed.id, statuses(pushed)
    on_branch = statuses(gitlab.pushed(ref="hot-fix"))
    gitlab.project().pipelines.get(number).cancel()
    gitlab.project().pipelines.get(number + 1).cancel()
    gitlab.turn(runner="online")

    assert found == {
        "configuration": "pending",
        "policy": "pending",
        "plan": "created",
        "apply": "created",
        "sync": "created",
        "deploy_application": "manual",
        "rollback_application": "manual",
    }
    assert set(on_branch) == {"configuration", "policy", "plan"}


def test_a_schedule_that_drills_does_nothing_else(deployment: Deployment) -> None:
    gitlab = deployment.gitlab
    gitlab.turn(runner="offline")

    drilling, plain = gitlab.scheduled(DRILL="full"), gitlab.scheduled()
    found = statuses(drilling), set(statuses(plain))
    drilling.cancel()
    plain.cancel()
    gitlab.turn(runner="online")

    assert found[0] == {"drill": "pending"}
    assert found[1] == {
        "configuration", "policy", "plan", "apply", "sync", "deploy_application", "rollback_application",
    }  # fmt: skip


RUN = "20260301T000000Z-drill-full-aaaaaa"
# In the place of lifeboat: it says what it was asked, and ends as it is told to; a report fails where REPORT says so.
STUB = f"""#!/bin/sh
echo "lifeboat $*" >>asked
case "$1" in
  drill) echo "asks first" >&2; [ -z "$BEGUN" ] || echo "run: {RUN}" >&2; echo "done"; exit "$WITH" ;;
  report) exit "$REPORT" ;;
  sweep) [ "$(grep -c sweep asked)" -ge "$SWEPT" ] || exit 5 ;;
esac
"""


def ran(script: str, **asked: str) -> tuple[int, list[str], str]:
    """Run a script of the pipeline beside a stub; return its status, what lifeboat was asked, and what was printed."""
    with open_folder() as folder:
        (folder / "lifeboat").write_text(STUB)
        (folder / "lifeboat").chmod(0o755)
        env = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "ENVIRONMENT": "x", "REPORT": "0", **asked}
        done = subprocess.run(
            ["bash", ROOT / "scripts/ci" / script], env=env, cwd=folder, capture_output=True, text=True, check=False
        )
        return done.returncode, (folder / "asked").read_text().splitlines(), done.stdout


@pytest.mark.parametrize("status", [0, 1, 3, 5, 6, 8, 10, 11, 12, 130])
@pytest.mark.parametrize("report", [0, 1])
def test_a_drill_that_began_ends_with_its_own_status_beside_its_own_evidence(status: int, report: int) -> None:
    ended, asked, printed = ran("drill.sh", DRILL="full", BEGUN="yes", WITH=str(status), REPORT=str(report))

    assert ended == status
    assert asked == [
        "lifeboat drill full --max-cost 10 -e x --yes",
        f"lifeboat report {RUN} -e x -o junit --out drill/junit.xml",
        f"lifeboat report {RUN} -e x -o html --out drill/report.html",
    ]
    assert printed == "done\n"


@pytest.mark.parametrize("status", [2, 3, 5, 7, 8])
def test_a_drill_that_did_not_begin_shows_no_other_drills_evidence(status: int) -> None:
    ended, asked, _ = ran("drill.sh", DRILL="state", BEGUN="", WITH=str(status))

    assert (ended, asked) == (status, ["lifeboat drill state -e x --yes"])


def test_a_pipelines_drill_costs_no_more_than_its_schedule_says() -> None:
    _, asked, _ = ran("drill.sh", DRILL="database", BEGUN="", WITH="3", DRILL_MAX_COST="2.5")

    assert asked == ["lifeboat drill database --max-cost 2.5 -e x --yes"]


def test_what_a_drill_left_is_swept_once_its_lease_is_over() -> None:
    at_once, later = (ran("sweep.sh", SWEPT=at, SWEEP_AGAIN_SECONDS="0") for at in ("1", "2"))
    never, _, _ = ran("sweep.sh", SWEPT="3", SWEEP_AGAIN_SECONDS="0")

    assert (at_once[0], len(at_once[1]), later[0], len(later[1]), never) == (0, 1, 0, 2, 5)


def test_a_sweep_follows_a_drill_within_the_jobs_time_and_as_whoever_drilled() -> None:
    job = JOBS["drill"]

    assert job["script"] == ["scripts/ci/drill.sh"]
    assert job["after_script"] == ["source scripts/ci/aws_login.sh", "scripts/ci/sweep.sh"]
    limits = [job["variables"][f"RUNNER_{part}_TIMEOUT"] for part in ("SCRIPT", "AFTER_SCRIPT")]
    assert (limits, job["timeout"]) == (["3h 20m", "35m"], "4 hours")


def test_the_local_gitlab_finds_the_file_sound(deployment: Deployment) -> None:
    found = deployment.gitlab.project().ci_lint.get(include_jobs=True)

    assert (found.valid, found.errors, found.warnings) == (True, [], [])
    assert {job["name"] for job in found.jobs} == set(JOBS)


# -- deploying ---------------------------------------------------------------------------------------------------------


def test_playing_deploy_application_replaces_the_application_on_the_host(deployment: Deployment) -> None:
    job = deployment.play("deploy_application", image="app:2")
    log = deployment.gitlab.log(job)

    assert job.status == "success", log
    assert f"EC2_INSTANCE_IP={deployment.address}" in log
    assert f"instance {deployment.instance} at {deployment.address}" in log
    assert "AWS knows this job as arn:aws:" in log
    assert "app:2 answers on" in log
    assert deployment.serving == "app:2"
    assert deployment.previous.read_text() == "app:1\n"
    settings = (deployment.machines.root(deployment.instance) / "etc/app/app.env").read_text()
    assert "APP_IMAGE=app:2\n" in settings
    done = deployment.gitlab.project().deployments.list(environment="local", status="success")
    assert [d.deployable["name"] for d in done] == ["deploy_application"]


def test_deploying_again_keeps_the_image_and_what_to_go_back_to(deployment: Deployment) -> None:
    before = deployment.serving

    job = deployment.play("deploy_application")

    assert job.status == "success", deployment.gitlab.log(job)
    assert (deployment.serving, deployment.previous.read_text()) == (before, "app:1\n")


def test_playing_rollback_application_goes_back_to_the_image_before(deployment: Deployment) -> None:
    job = deployment.play("rollback_application")
    log = deployment.gitlab.log(job)

    assert job.status == "success", log
    assert "going back from app:2 to app:1" in log
    assert deployment.serving == "app:1"
    # And from there forward again, since that image worked.
    assert deployment.previous.read_text() == "app:2\n"


def test_a_rollback_to_an_image_that_is_named_goes_there(deployment: Deployment) -> None:
    job = deployment.play("rollback_application", rollback_image="app:2")

    assert job.status == "success", deployment.gitlab.log(job)
    assert deployment.serving == "app:2"


def test_a_rollback_with_nothing_to_go_back_to_is_refused(deployment: Deployment) -> None:
    before = deployment.serving
    deployment.previous.unlink()

    nothing = deployment.play("rollback_application")
    same = deployment.play("rollback_application", rollback_image=before)

    for job in (nothing, same):
        log = deployment.gitlab.log(job)
        assert (job.status, job.failure_reason) == ("failed", "script_failure")
        assert "error: there is nothing to go back to" in log
        assert "Job failed: exit status 3" in log
    assert deployment.serving == before


def test_an_image_that_does_not_exist_stops_nothing(deployment: Deployment) -> None:
    before = deployment.serving

    job = deployment.play("deploy_application", image="app:99")

    assert job.status == "failed"
    assert "manifest for app:99 not found" in deployment.gitlab.log(job)
    assert deployment.serving == before


def test_an_application_that_never_gets_healthy_fails_the_job_and_says_its_last_words(deployment: Deployment) -> None:
    variables = deployment.gitlab.project().variables
    variables.update("HEALTH_PATH", {"value": "/healthz"}, filter={"environment_scope": "local"})
    variables.create({"key": "HEALTH_SECONDS", "value": "2"})

    job = deployment.play("deploy_application", image="app:1")
    log = deployment.gitlab.log(job)
    variables.update("HEALTH_PATH", {"value": "/version"}, filter={"environment_scope": "local"})
    variables.delete("HEALTH_SECONDS")

    assert job.status == "failed"
    assert "error: app:1 did not answer on" in log
    assert "within 2 s; it runs on. Its last lines:" in log
    assert deployment.previous.read_text() == "app:2\n"
    back = deployment.play("rollback_application")
    assert (back.status, deployment.serving) == ("success", "app:2")


def test_without_an_instance_id_the_instance_is_found_by_its_tag(deployment: Deployment) -> None:
    variables = deployment.gitlab.project().variables
    scope = {"environment_scope": "local"}
    for key in ("EC2_INSTANCE_ID", "EC2_INSTANCE_IP"):
        variables.delete(key, filter=scope)
    variables.create({"key": "APPLICATION", "value": "app-test", **scope})

    found = deployment.play("deploy_application", image="app:1")
    second = deployment.machines.launch(
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "application", "Value": "app-test"}]},
        ]
    )
    two = deployment.play("deploy_application", image="app:2")
    deployment.machines.ec2.terminate_instances(InstanceIds=[second])

    assert found.status == "success", deployment.gitlab.log(found)
    assert f"instance {deployment.instance} at " in deployment.gitlab.log(found)
    assert two.status == "failed"
    assert "error: 2 running instances have the tag application=app-test, not one" in deployment.gitlab.log(two)
    assert deployment.serving == "app:1"


# -- a branch of its own -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def staging(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The site of environments/staging.toml, whose GitLab and AWS are the local ones."""
    place, root = deployment.gitlab.place(), tmp_path_factory.mktemp("staging")
    (root / "terraform").mkdir()
    (root / "environments").mkdir()
    (root / "environments/staging.tfvars").write_text("")
    text = (ROOT / "environments/staging.toml").read_text()
    for ours, theirs in (("https://gitlab.example.com", place.url), ('"app/app"', f'"{place.project_path}"')):
        assert ours in text
        text = text.replace(ours, theirs)
    (root / "environments/staging.toml").write_text(f'{text}\n[endpoint]\nurl = "{deployment.gitlab.cloud.endpoint}"\n')
    project = deployment.gitlab.project()
    project.branches.create({"branch": "staging", "ref": "main"})
    project.protectedbranches.create({"name": "staging"})
    values = {"EC2_INSTANCE_ID": deployment.instance, "EC2_INSTANCE_IP": deployment.address}
    for key, value in {**values, "HEALTH_PATH": "/version", "ON_HOST_POLL_SECONDS": "1"}.items():
        place.create(key, value, "staging", raw=True)
    return Site(config.load(root, "staging"), {"GITLAB_TOKEN": place.token, "PATH": os.environ["PATH"]})


def test_staging_deploys_from_its_own_branch(deployment: Deployment, staging: Site) -> None:
    image = "app:2" if deployment.serving == "app:1" else "app:1"
    task, patience = deploy.deploy_task(staging, Wanted(image=image)), Patience(tell=lambda _: None)

    deploy.require_playable(staging, task, patience)
    job = deploy.play_and_follow(staging, task, patience)

    assert (task.ref, job.status, deployment.serving) == ("staging", "success", image)
    done = deployment.gitlab.project().deployments.list(environment="staging", status="success")
    assert [(d.ref, d.deployable["name"]) for d in done] == [("staging", "deploy_application")]


def test_a_push_to_stagings_branch_is_for_staging(deployment: Deployment, staging: Site) -> None:
    gitlab = deployment.gitlab
    gitlab.turn(runner="offline")

    found = gitlab.pushed(ref=staging.gitlab_settings.default_branch)
    jobs = set(statuses(found))
    found.cancel()
    gitlab.turn(runner="online")

    # An image is built where the project has a registry; a drill is by the clock.
    assert jobs == set(JOBS) - {"tests", "build_image", "drill"}
    planned = gitlab.project().deployments.list(environment="staging", status="created")
    assert {d.deployable["name"] for d in planned if d.deployable["pipeline"]["id"] == found.id} == {
        "deploy_application",
        "rollback_application",
    }


def test_an_open_merge_request_keeps_no_recovery_away(deployment: Deployment, staging: Site) -> None:
    gitlab, wanted = deployment.gitlab, staging.gitlab_settings
    gitlab.place().create("CI_OPEN_MERGE_REQUESTS", "demo/app!1")  # as GitLab sets it

    pipeline = gitlab.pipeline(ref=wanted.default_branch, inputs=wanted.inputs)
    gitlab.project().variables.delete("CI_OPEN_MERGE_REQUESTS", filter={"environment_scope": "*"})

    assert statuses(pipeline) == {"deploy_application": "manual", "rollback_application": "manual"}


@pytest.mark.parametrize(("ref", "environment"), [("main", "staging"), ("staging", "production"), ("hot-fix", "local")])
def test_no_environment_is_deployed_from_a_branch_of_another(
    deployment: Deployment, staging: Site, ref: str, environment: str
) -> None:
    assert staging.gitlab_settings.default_branch == "staging"

    said = refused(lambda: deployment.gitlab.pipeline(ref=ref, inputs={"environment": environment}))

    assert "prevented any jobs from being added" in str(said)


def test_each_environment_names_the_branch_that_the_pipeline_deploys_it_from() -> None:
    found = {path.stem: tomllib.loads(path.read_text())["gitlab"] for path in (ROOT / "environments").glob("*.toml")}

    branches = {name: gitlab.get("default_branch", "main") for name, gitlab in found.items()}

    assert branches == {"local": "main", "production": "main", "staging": "staging"}
    assert all(gitlab["inputs"] == {"environment": name} for name, gitlab in found.items())


# -- who a job is ------------------------------------------------------------------------------------------------------


@contextmanager
def settings(deployment: Deployment, **values: str) -> Iterator[None]:
    """Give the project variables of the environment `local` for as long as this lasts."""
    variables, scope = deployment.gitlab.project().variables, {"environment_scope": "local"}
    for key, value in values.items():
        variables.create({"key": key, "value": value, "raw": True, **scope})
    try:
        yield
    finally:
        for key in values:
            variables.delete(key, filter=scope)


def test_a_job_whose_role_is_missing_stops_before_it_does_anything(deployment: Deployment) -> None:
    before = deployment.serving

    with settings(deployment, AWS_RUNNER_IDENTITY="not meant"):
        job = deployment.play("deploy_application", image="app:2")
    log = deployment.gitlab.log(job)

    assert job.status == "failed"
    assert "error: AWS_ROLE_ARN is empty, so deploy_application would run as its runner" in log
    assert "deploying" not in log
    assert deployment.serving == before


def test_a_job_says_which_role_it_has_become(deployment: Deployment) -> None:
    role = deployment.gitlab.cloud.client("iam").create_role(
        RoleName="ci-apply", AssumeRolePolicyDocument=json.dumps(TRUST)
    )["Role"]["Arn"]

    with settings(deployment, AWS_RUNNER_IDENTITY="not meant", CI_APPLY_ROLE_ARN=role):
        job = deployment.play("deploy_application")
    log = deployment.gitlab.log(job)

    assert job.status == "success", log
    assert f":assumed-role/ci-apply/gitlab-1-{job.id}" in log


# -- on the host -------------------------------------------------------------------------------------------------------


def on_host(deployment: Deployment, file: Path, script: str, **env: str) -> subprocess.Popen[str]:
    """Start on_host.sh as a job does, in a process group of its own."""
    file.write_text(script)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    aws = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "eu-west-1"}
    host = {"EC2_INSTANCE_ID": deployment.instance, "EC2_INSTANCE_IP": deployment.address}
    more = {"AWS_ENDPOINT_URL": deployment.gitlab.cloud.endpoint, "PATH": path, "ON_HOST_POLL_SECONDS": "1"}
    return subprocess.Popen(
        [ROOT / "scripts/ci/on_host.sh", "word=a b", "--", file],
        env={**clean, **aws, **host, **more, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def sent(deployment: Deployment, file: Path) -> list[str]:
    """Return how the sendings of a file stand."""
    commands = deployment.machines.ssm.list_commands()["Commands"]
    return [command["Status"] for command in commands if command["Comment"].endswith(f": {file.name}")]


@pytest.mark.parametrize("when", ["after", "before"], ids=["answer lost", "not reached"])
def test_what_is_sent_to_a_host_runs_once_whatever_becomes_of_the_answer(
    deployment: Deployment, tmp_path: Path, when: str
) -> None:
    file = tmp_path / f"once-{when}.sh"
    script = f'echo "$word" >>"$HOST_ROOT/opt/{file.name}"; cat "$HOST_ROOT/opt/{file.name}"'
    deployment.gitlab.cloud.control("faults", add={"service": "ssm", "operation": "SendCommand", "when": when})

    process = on_host(deployment, file, script)
    told, _ = process.communicate(timeout=120)

    assert process.returncode == 0, told
    assert [line for line in told.splitlines() if line == "a b"] == ["a b"]
    assert sent(deployment, file) == ["Success"]


def test_what_ssm_refuses_is_not_sent_again(deployment: Deployment, tmp_path: Path) -> None:
    file = tmp_path / "refused.sh"
    refusal = {"code": "AccessDeniedException", "status": 400}
    deployment.gitlab.cloud.control("faults", add={"service": "ssm", "operation": "SendCommand", **refusal})

    process = on_host(deployment, file, "true")
    told, _ = process.communicate(timeout=120)

    assert process.returncode == 1, told
    assert "AccessDeniedException" in told
    assert sent(deployment, file) == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_cancels_what_runs_on_the_host(
    deployment: Deployment, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    file = tmp_path / f"stopped-{number.name}.sh"
    process = on_host(deployment, file, "sleep 60")
    until(lambda: sent(deployment, file) == ["InProgress"])

    os.killpg(process.pid, number)
    told, _ = process.communicate(timeout=60)

    assert process.returncode == status, told
    assert "is cancelled" in told
    until(lambda: sent(deployment, file) == ["Cancelled"])


def test_what_runs_past_the_deadline_is_cancelled_and_not_said_to_have_ended(
    deployment: Deployment, tmp_path: Path
) -> None:
    file = tmp_path / "late.sh"

    process = on_host(deployment, file, "sleep 60", ON_HOST_SECONDS="60", ON_HOST_GRACE_SECONDS="-58")
    told, _ = process.communicate(timeout=60)

    assert process.returncode == 1, told
    assert "error: the command has not ended within 2 s" in told
    assert "is cancelled" in told
    assert "ended as" not in told
    until(lambda: sent(deployment, file) == ["Cancelled"])


def test_cancelling_a_job_cancels_what_it_runs_on_the_host(deployment: Deployment) -> None:
    root, gitlab, before = deployment.machines.root(deployment.instance), deployment.gitlab, deployment.serving
    docker, begun = root / "usr/local/bin/docker", root / "tmp/pulling"
    docker.parent.mkdir(parents=True, exist_ok=True)
    docker.write_text(
        '#!/bin/sh\nif [ "$1" = pull ]; then touch "$HOST_ROOT/tmp/pulling"; sleep 60; fi\n'
        'exec "$HOST_ROOT/usr/bin/docker" "$@"\n'
    )
    docker.chmod(0o755)
    pipeline = gitlab.pipeline(inputs={"environment": "local", "image": "app:2"})
    gitlab.job(pipeline, "deploy_application").play()
    until(begun.exists)
    docker.unlink()

    gitlab.job(pipeline, "deploy_application").cancel()
    job = gitlab.ended(pipeline, "deploy_application")

    assert job.status == "canceled"
    assert "is cancelled" in gitlab.log(job)
    until(lambda: deployment.machines.ssm.list_commands()["Commands"][0]["Status"] == "Cancelled")
    assert deployment.serving == before
