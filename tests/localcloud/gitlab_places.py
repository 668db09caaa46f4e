"""Where the GitLab tests run: a local GitLab with a small repository, and a real project when one is named."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from textwrap import dedent
from typing import Any
from urllib.parse import quote, urlencode

import gitlab

from tests.conftest import RunningCloud, open_folder, start_cloud, stop_cloud
from tests.localcloud.machines import until

REAL = {name: os.environ.get(f"LIFEBOAT_GITLAB_{name.upper()}", "") for name in ("url", "token", "project")}
# A real project takes part when all three are given. What needs knobs that it lacks is collected for the local one only.
PLACES = ["local", *(["real"] if all(REAL.values()) else [])]
ENDED = ("success", "failed", "canceled", "skipped")
MANUAL = """
deploy:
  script: ['echo "to ${HOST:-nowhere} as $CI_JOB_NAME with ${EXTRA:-nothing}"']
  when: manual
"""


@dataclass(frozen=True)
class Said:
    """An HTTP answer as it came."""

    status: int
    body: Any
    headers: Message
    text: str


@dataclass(frozen=True, kw_only=True)
class Place:
    """One GitLab project and somebody's token for it."""

    url: str
    token: str
    project_path: str
    made: list[tuple[str, str]] = field(default_factory=list)

    @property
    def api(self) -> gitlab.Gitlab:
        """Return a client of the maintainer, or of whoever this place is for."""
        return gitlab.Gitlab(self.url, private_token=self.token, timeout=30)

    @property
    def project(self) -> Any:
        return self.api.projects.get(self.project_path)

    @property
    def at(self) -> str:
        """Return the path of the project in the API."""
        return f"/projects/{quote(self.project_path, safe='')}"

    def ask(self, method: str, path: str, /, *, token: str | None = None, **body: Any) -> Said:
        """Send one request as it is, with a JSON body when there is anything to say."""
        secret = self.token if token is None else token
        headers = {"PRIVATE-TOKEN": secret} if secret else {}
        return http(f"{self.url}/api/v4{path}", method, headers=headers, body=body or None)

    def create(self, key: str, value: str = "some-value-1", scope: str = "*", **more: Any) -> Any:
        """Create a variable that is deleted at the end of the test."""
        self.made.append((key, scope))
        return self.project.variables.create({"key": key, "value": value, "environment_scope": scope, **more})

    def clean(self) -> None:
        """Delete what `create` made, also where a test has moved it."""
        keys = {key for key, _ in self.made}
        variables = self.project.variables
        for variable in variables.list(get_all=True):
            if variable.key in keys:
                variables.delete(variable.key, filter={"environment_scope": variable.environment_scope})
        self.made.clear()

    def variable(self, key: str, scope: str) -> Any:
        return self.project.variables.get(key, filter={"environment_scope": scope})


def http(url: str, method: str = "GET", *, headers: dict[str, str] | None = None, body: Any = None) -> Said:
    """Send one request and return the answer, whatever its status."""
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    sent = {"Content-Type": "application/json"} if data is not None else {}
    request = urllib.request.Request(url, data, {**sent, **(headers or {})}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read().decode()
            status, seen = answer.status, answer.headers
    except urllib.error.HTTPError as error:
        text, status, seen = error.read().decode(), error.code, error.headers
    try:
        document = json.loads(text)
    except ValueError:
        document = text
    return Said(status, document, seen, text)


def filtered(scope: str) -> str:
    """Return the query that names a scope."""
    return "?" + urlencode({"filter[environment_scope]": scope})


@dataclass(frozen=True, kw_only=True)
class LocalGitLab:
    """A local GitLab in a cloud of its own, and the repository it runs."""

    cloud: RunningCloud
    repository: Path

    @property
    def document(self) -> dict[str, Any]:
        """Return what the cloud wrote down for its operator."""
        found: dict[str, Any] = json.loads((self.cloud.directory / "gitlab-tokens.json").read_text())
        return found

    def place(self, who: str = "maintainer") -> Place:
        """Return the project as one of the seeded users sees it."""
        document = self.document
        return Place(url=document["url"], token=document["tokens"][who], project_path=document["project"])

    def project(self, who: str = "maintainer") -> Any:
        return self.place(who).project

    def turn(self, **knobs: Any) -> dict[str, Any]:
        """Turn knobs that a real GitLab lacks."""
        return self.cloud.control("gitlab", **knobs)

    def write(self, text: str) -> None:
        """Replace the repository's .gitlab-ci.yml."""
        (self.repository / ".gitlab-ci.yml").write_text(dedent(text))

    def commit(self) -> str:
        """Commit the repository as it is; return the commit's id."""
        git = ["git", "-C", str(self.repository), "-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        if not (self.repository / ".git").exists():
            subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", f"Commit {time.time_ns()}"], check=True)
        found = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
        return found.stdout.strip()

    # -- pipelines ---------------------------------------------------------------------------------------------------

    def pipeline(self, text: str | None = None, *, who: str = "maintainer", ref: str = "main", **more: Any) -> Any:
        """Start a pipeline, with this .gitlab-ci.yml when one is given; return it when it is prepared."""
        if text is not None:
            self.write(text)
        project = self.project(who)
        return self.prepared(project.pipelines.create({"ref": ref, **more}).id, who)

    def pushed(self, text: str | None = None, *, ref: str = "main") -> Any:
        """Start the pipeline of a push, with this .gitlab-ci.yml when one is given; return it when it is prepared."""
        if text is not None:
            self.write(text)
        return self.prepared(self.turn(push=ref)["pipeline"])

    def scheduled(self, **variables: str) -> Any:
        """Start the pipeline of a schedule with these variables; return it when it is prepared."""
        return self.prepared(self.turn(schedule=variables)["pipeline"])

    def prepared(self, number: int, who: str = "maintainer") -> Any:
        """Return a pipeline as soon as GitLab has prepared it; until then all of it is `created`."""
        pipelines = self.project(who).pipelines
        until(lambda: pipelines.get(number).status != "created", 60)
        return pipelines.get(number)

    def job(self, pipeline: Any, name: str) -> Any:
        """Return the newest try of a job."""
        found = [j for j in pipeline.jobs.list(get_all=True) if j.name == name]
        return self.project().jobs.get(found[0].id)

    def ended(self, pipeline: Any, name: str, seconds: float = 60) -> Any:
        """Wait until a job has ended and return it."""
        return self.reached(pipeline, name, ENDED, seconds)

    def reached(self, pipeline: Any, name: str, statuses: tuple[str, ...] | str, seconds: float = 60) -> Any:
        """Wait until a job has one of these statuses and return it."""
        wanted = (statuses,) if isinstance(statuses, str) else statuses
        until(lambda: self.job(pipeline, name).status in wanted, seconds)
        return self.job(pipeline, name)

    def log(self, job: Any) -> str:
        """Return a job's log."""
        return str(job.trace().decode())

    def said(self, job: Any, line: str) -> bool:
        """Return whether a script printed a line; the echo of its commands does not count."""
        return line in self.log(job).splitlines()


@contextmanager
def gitlab_on(folder: Path, port: int | None = None, options: Sequence[str] = ()) -> Iterator[LocalGitLab]:
    """Run a local GitLab on a folder: its cloud, and the repository unless `options` are given."""
    repository = folder / "repository"
    repository.mkdir(exist_ok=True)
    cloud = start_cloud(folder / "cloud", port, options or ["--repository", str(repository)])
    try:
        yield LocalGitLab(cloud=cloud, repository=repository)
    finally:
        if cloud.process.poll() is None:
            stop_cloud(cloud)


@contextmanager
def local_gitlab() -> Iterator[LocalGitLab]:
    """Run a local GitLab on an empty repository."""
    with open_folder() as folder, gitlab_on(folder) as running:
        yield running


def refused(call: Callable[[], Any]) -> gitlab.GitlabError:
    """Return the error that a call of the client ends with."""
    try:
        call()
    except gitlab.GitlabError as error:
        return error
    raise AssertionError("the call was not refused")


def statuses(pipeline: Any) -> dict[str, str]:
    """Return the status of each job of a pipeline."""
    return {job.name: job.status for job in pipeline.jobs.list(get_all=True)}


def deploying(environment: str) -> str:
    """Return a .gitlab-ci.yml with a manual job that deploys to an environment."""
    return f"""
    deploy:
      script: [echo deployed]
      environment: {{name: $WHERE}}
      variables: {{WHERE: {environment}}}
      when: manual
    """
