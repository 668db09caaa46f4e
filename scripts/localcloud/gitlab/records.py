"""What this GitLab remembers: plain dictionaries in the cloud's store, their ids, and who may do what."""

from __future__ import annotations

import fnmatch
from datetime import datetime
from typing import Any

from localcloud.cloud import Cloud

Record = dict[str, Any]

GUEST, REPORTER, DEVELOPER, MAINTAINER, OWNER, ADMIN = 10, 20, 30, 40, 50, 60
ROLE_NAMES = {GUEST: "Guest", REPORTER: "Reporter", DEVELOPER: "Developers", MAINTAINER: "Maintainers", OWNER: "Owners"}
ROLE_NAMES[ADMIN] = "Administrators"

COMPLETED = ("success", "failed", "canceled", "skipped")
ACTIVE = ("waiting_for_resource", "preparing", "waiting_for_callback", "pending", "running", "canceling")
# app/models/concerns/ci/has_status.rb, AVAILABLE_STATUSES
STATUSES = ("created", *ACTIVE, "success", "failed", "canceled", "skipped", "manual", "scheduled")

TABLES = (
    "users",
    "tokens",
    "variables",
    "group_variables",
    "pipelines",
    "jobs",
    "environments",
    "deployments",
    "protected_environments",
    "protected_branches",
    "branches",
    "runners",
    "resource_groups",
)

SETTINGS: Record = {
    # doc/administration/instance_limits.md: variables of one project, of one group
    "project_ci_variables": 8000,
    "group_ci_variables": 30000,
    # doc/api/settings.md; the throttle is off on a self-managed GitLab until somebody sets it
    "throttle_authenticated_api_enabled": False,
    "throttle_authenticated_api_requests_per_period": 7200,
    "throttle_authenticated_api_period_in_seconds": 3600,
    "job_play_limit_per_user_project": 0,  # plays in a minute; 0 is no limit
    # How long after its answer a pipeline is prepared: app/workers/ci/initial_pipeline_process_worker.rb.
    "pipeline_preparation_milliseconds": 200,
    # Which GitLab is played; see knobs.py.
    "version": "18.9.2-ee",
    "edition": "premium",
    "refusal_of_stale_jobs": "unplayable",
}


class Records:
    """The tables of one GitLab. Read them afresh at each use: a load of the cloud replaces them."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    @property
    def store(self) -> dict[Any, Any]:
        """Return everything that is saved with the cloud."""
        return self._cloud.store("gitlab")

    def table(self, name: str) -> dict[int, Record]:
        """Return the records of one kind by id."""
        if name not in TABLES:
            raise KeyError(name)
        found: dict[int, Record] = self.store.setdefault(name, {})
        return found

    def add(self, table: str, **values: Any) -> Record:
        """Add a record under the next id of its kind; ids are never given out twice."""
        counters = self.store.setdefault("counters", {})
        counters[table] = counters.get(table, 0) + 1
        record = {"id": counters[table], **values}
        self.table(table)[record["id"]] = record
        return record

    def now(self) -> datetime:
        """Return the cloud's clock."""
        return self._cloud.now()

    @property
    def project(self) -> Record:
        """Return the project."""
        found: Record = self.store["project"]
        return found

    @property
    def group(self) -> Record:
        """Return the group that the project is in."""
        found: Record = self.store["group"]
        return found

    @property
    def settings(self) -> Record:
        """Return the settings of the instance."""
        found: Record = self.store.setdefault("settings", dict(SETTINGS))
        return found

    # -- who may do what -------------------------------------------------------------------------------------------

    def role(self, user: Record) -> int:
        """Return a user's role in the project (0 for an outsider); an administrator counts as owner."""
        if user["admin"]:
            return OWNER
        return int(self.store["members"].get(user["id"], 0))

    def group_role(self, user: Record) -> int:
        """Return a user's role in the group; who is a member of the project alone has none."""
        if user["admin"]:
            return OWNER
        return 0 if user["bot"] else self.role(user)

    # -- refs --------------------------------------------------------------------------------------------------------

    def branch(self, name: str) -> Record | None:
        """Return a branch by name."""
        return next((b for b in self.table("branches").values() if b["name"] == name), None)

    def protection(self, ref: str) -> Record | None:
        """Return what protects a branch: its own rule or one with wildcards."""
        rules = self.table("protected_branches").values()
        return next((rule for rule in rules if fnmatch.fnmatchcase(ref, rule["name"])), None)

    def may_update(self, user: Record, ref: str) -> bool:
        """Return whether a user may push to or merge into a branch (lib/gitlab/user_access.rb, can_update_branch?)."""
        rule = self.protection(ref)
        levels = [DEVELOPER] if rule is None else [rule["push_access_level"], rule["merge_access_level"]]
        return any(level and self.role(user) >= level for level in levels)

    # -- environments ------------------------------------------------------------------------------------------------

    def environment(self, name: str) -> Record | None:
        """Return an environment by name."""
        return next((e for e in self.table("environments").values() if e["name"] == name), None)

    def guard(self, environment: str | None) -> Record | None:
        """Return the protection of an environment."""
        rules = self.table("protected_environments").values()
        return next((rule for rule in rules if rule["name"] == environment), None)

    def last_deployment(self, environment_id: int) -> Record | None:
        """Return the newest successful deployment of an environment."""
        found = [
            d
            for d in self.table("deployments").values()
            if d["environment_id"] == environment_id and d["status"] == "success"
        ]
        return max(found, key=lambda d: d["id"], default=None)

    # -- pipelines ---------------------------------------------------------------------------------------------------

    def jobs_of(self, pipeline: Record) -> list[Record]:
        """Return the jobs of a pipeline, the newest try of each, in the order of their stages."""
        jobs = [j for j in self.table("jobs").values() if j["pipeline_id"] == pipeline["id"] and not j["retried"]]
        return sorted(jobs, key=lambda job: (job["stage_idx"], job["id"]))

    def is_prepared(self, pipeline: Record) -> bool:
        """Return whether a pipeline's jobs have their deployments and may move; those of an older save have."""
        return bool(pipeline.get("prepared", True))

    def pipeline_of(self, job: Record) -> Record:
        """Return the pipeline of a job."""
        return self.table("pipelines")[job["pipeline_id"]]

    def deployment_of(self, job: Record) -> Record | None:
        """Return the deployment that a job makes."""
        return self.table("deployments").get(job["deployment_id"] or 0)
