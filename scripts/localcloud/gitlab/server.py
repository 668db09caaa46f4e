"""This GitLab as one object: its state, its runner, and the answer to each request below /_gitlab/."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from localcloud.cloud import Cloud
from localcloud.gitlab import environments, id_tokens, jobs, knobs, people, pipelines, projects, variables
from localcloud.gitlab.creation import add_deployment
from localcloud.gitlab.limits import Limits
from localcloud.gitlab.processing import Processing
from localcloud.gitlab.projects import new_project
from localcloud.gitlab.records import MAINTAINER, REPORTER, SETTINGS, Record, Records
from localcloud.gitlab.repository import Repository
from localcloud.gitlab.requests import (
    API,
    PREFIX,
    ApiError,
    Request,
    answer,
    decoded,
    forbidden,
    moment,
    not_found,
    read_parameters,
    unauthorized,
)
from localcloud.gitlab.routes import Route, find
from localcloud.gitlab.runner import Runner
from localcloud.operations import Answer, Call

DEFAULT_PROJECT = "demo/app"
RUNNER = "local cloud"
# Importing them registers their endpoints.
ENDPOINTS = (environments, jobs, people, pipelines, projects, variables)


class GitLab:
    """One GitLab. Its lock is held by every request and by what the runner tells; take the cloud's gate first."""

    def __init__(self, cloud: Cloud, *, repository: Path | None, project: str | None) -> None:
        self.cloud = cloud
        self.base = f"{cloud.endpoint}{API}"
        self.lock = threading.RLock()
        self.records = Records(cloud)
        self.processing = Processing(self.records)
        self.limits = Limits(self.records)
        self.repository = Repository(repository) if repository is not None else None
        self.runner = Runner(self, cloud)
        self._project = project

    def install(self) -> None:
        """Start and end with the cloud."""
        self.cloud.on_start(lambda _cloud: self._start())
        self.cloud.on_end(lambda _cloud: self.runner.end())

    def _start(self) -> None:
        with self.lock:
            if "project" not in self.records.store:
                self._seed()
            if self._project is not None:
                self._rename(self._project)
            people.write_tokens(
                self.cloud.directory,
                {
                    "url": f"{self.cloud.endpoint}{PREFIX}",
                    "project": self.records.project["path"],
                    "project_id": self.records.project["id"],
                    "group": self.records.group["path"],
                    "tokens": self.records.store["seeded_tokens"],
                },
            )
            self.runner.begin()
        self.cloud.changed()

    def _seed(self) -> None:
        records = self.records
        records.store["project"] = new_project(DEFAULT_PROJECT) | {"created_at": moment(records.now())}
        records.store["group"] = {"id": 2}
        self._rename(DEFAULT_PROJECT)
        records.store["seeded_tokens"] = people.seed(records)
        records.add("branches", name="main")
        records.add("protected_branches", name="main", push_access_level=MAINTAINER, merge_access_level=MAINTAINER)
        records.add("runners", description=RUNNER, online=True, paused=False, tags=["local-cloud"], run_untagged=True)

    def _rename(self, path: str) -> None:
        group = path.rsplit("/", 1)[0]
        self.records.project["path"] = path
        self.records.group.update(path=group, name=group.rsplit("/", 1)[-1])

    def turn(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Turn knobs for a test or a drill."""
        with self.cloud.gate.working(), self.lock:
            found = knobs.turn(self, asked)
        self.cloud.changed()
        return found

    # -- pipelines ---------------------------------------------------------------------------------------------------

    def prepare_soon(self, pipeline: Record) -> None:
        """Prepare a new pipeline a moment after its answer, as GitLab's workers do: until then its jobs are `created`."""
        name, life = "pipeline_preparation_milliseconds", self.runner.life
        seconds = int(self.records.settings.get(name, SETTINGS[name]) or 0) / 1000
        number = pipeline["id"]

        def work() -> None:
            time.sleep(seconds)
            with self.cloud.gate.working(), self.lock:
                found = self.records.table("pipelines").get(number)
                if found is not None and life is self.runner.life:
                    self.prepare(found)

        self.cloud.background(work, name=f"pipeline {number}")

    def prepare(self, pipeline: Record) -> None:
        """Give the jobs of a pipeline their deployments and let them move; call it holding the lock."""
        if not self.records.is_prepared(pipeline):
            pipeline["prepared"] = True
            for job in self.records.jobs_of(pipeline):
                add_deployment(self.records, job)
        self.processing.settle()
        self.runner.take()

    # -- one request -------------------------------------------------------------------------------------------------

    def named(self, call: Call) -> Route | Answer:
        """Return the endpoint that a request is for, or the answer when there is none."""
        if call.path in (f"{PREFIX}/oauth/discovery/keys", f"{PREFIX}/.well-known/openid-configuration"):
            return self._discovery(call.path)
        if not call.path.startswith(f"{API}/"):
            return Answer(404, [("Content-Type", "text/html")], b"<!DOCTYPE html><title>Not Found (404)</title>")
        try:
            return find(call.method, decoded(call.path.removeprefix(f"{API}/")))[0]
        except ApiError as refusal:
            return _refused(refusal)

    def answer(self, call: Call, route: Route) -> Answer:
        """Answer one request inside the gate; GitLab's own errors are answers too."""
        segments = decoded(call.path.removeprefix(f"{API}/"))
        try:
            with self.lock:
                return self._answered(call, route, segments)
        except ApiError as refusal:
            return _refused(refusal)

    def _answered(self, call: Call, route: Route, segments: list[str]) -> Answer:
        given = read_parameters(call.query, call.headers.get("content-type", "application/json"), call.body)
        user, token = people.identify(self.records, call.headers, given)
        throttled = self.limits.throttled(user)
        if throttled is not None:
            return throttled
        people.check_scope(token, call.method)
        request = Request(
            gitlab=self,
            method="GET" if call.method == "HEAD" else call.method,
            segments=segments,
            given=given,
            base=self.base,
            names=route.names(segments) or {},
            user=user,
            token=token,
        )
        self._check_visible(request)
        done = route.endpoint(request)
        self.runner.take()
        return done

    def _check_visible(self, request: Request) -> None:
        """Answer 404 for a project or group that is not there or not to be seen: both are private."""
        kind = request.segments[0]
        if kind not in ("projects", "groups") or "id" not in request.names:
            return
        records, asked = self.records, request.names["id"]
        public = request.segments[2:] == [] and request.method == "GET"
        if request.user is None and not public:
            raise unauthorized()
        record = records.project if kind == "projects" else records.group
        role = 0 if request.user is None else records.role(request.user)
        if asked not in (str(record["id"]), record["path"]) or role == 0:
            raise not_found("Project" if kind == "projects" else "Group")
        if kind == "projects" and role < REPORTER and len(request.segments) > 2:
            # A guest of a private project sees that it is there, but neither its code nor its pipelines.
            raise forbidden()

    def _discovery(self, path: str) -> Answer:
        issuer = f"{self.cloud.endpoint}{PREFIX}"
        if path.endswith("/keys"):
            with self.cloud.gate.working(), self.lock:
                return answer(id_tokens.published(self.records))
        return answer({"issuer": issuer, "jwks_uri": f"{issuer}/oauth/discovery/keys"})


def _refused(refusal: ApiError) -> Answer:
    return answer(refusal.body, refusal.status, refusal.headers)
