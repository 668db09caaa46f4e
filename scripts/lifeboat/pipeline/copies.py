"""`lifeboat gitlab export` and `restore`: a copy of an environment's variables in the dump bucket, and back from there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from lifeboat.clients.gitlab_api import Patience
from lifeboat.clients.sync_journal import SyncJournal
from lifeboat.decisions import variable_exports
from lifeboat.decisions.variable_exports import Own, PutBack, Reach
from lifeboat.errors import NothingFits, Refused
from lifeboat.gitlab_model import Export
from lifeboat.model import Agree
from lifeboat.pipeline import sync, values, writes
from lifeboat.pipeline.writes import Scribe
from lifeboat.site import Site
from lifeboat.stack import holding

LATEST = "latest"


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was exported, and where it lies."""

    export: Export
    bucket: str
    key: str


@dataclass(frozen=True, kw_only=True)
class Restored:
    """From where what was put back."""

    key: str
    done: PutBack


def export(site: Site, patience: Patience) -> Exported:
    """Copy what the environment's jobs can see into the dump bucket; hidden values cannot be among it, and are named."""
    recovery = values.outputs(site).recovery
    empty = Export(
        environment=site.gitlab_environment,
        project=site.gitlab_settings.project,
        taken_at=datetime.now(UTC).replace(microsecond=0),
        variables=(),
    )
    found = variable_exports.exported(empty, site.gitlab(patience).variables(), own(site))
    if not found.variables and not found.hidden:
        raise NothingFits(
            f"{site.gitlab_settings.project} has no variable that jobs of {empty.environment} could see",
            hint=f"lifeboat gitlab sync -e {site.project.env} writes those that it asks for",
        )
    store = site.variable_exports(recovery)
    return Exported(export=found, bucket=store.bucket, key=store.put(found))


def exports(site: Site) -> list[str]:
    """Return the keys of all exports, oldest first."""
    return site.variable_exports(values.outputs(site).recovery).keys()


def preview(site: Site, patience: Patience, name: str, reach: Reach) -> Restored:
    """Return what putting an export back (its key, or latest) would write; reads only."""
    store = site.variable_exports(values.outputs(site).recovery)
    if name == LATEST:
        keys = store.keys()
        if not keys:
            raise NothingFits(
                f"s3://{store.bucket} holds no export of {site.project.env}",
                hint=f"lifeboat gitlab export -e {site.project.env}",
            )
        name = keys[-1]
    found = store.get(name)
    if found.environment != site.gitlab_environment:
        raise Refused(
            f"{name} is an export of {found.environment}, not of {site.gitlab_environment}",
            hint="another environment's values would reach this one's jobs",
        )
    done = variable_exports.put_back(found, site.gitlab(patience).variables(), own(site), reach)
    return Restored(key=name, done=done)


def restore(site: Site, patience: Patience, agree: Agree, wanted: tuple[str, Reach]) -> Restored:
    """Preview, ask, put back and verify, holding the environment."""
    name, reach = wanted
    with holding.alone(site, patience.tell, "gitlab restore") as lease:
        found = preview(site, patience, name, reach)
        if found.done.plan.writes:
            agree(sync.lines(found.done.plan.writes))
        lease.require()
        scribe = Scribe(
            client=site.gitlab(patience),
            journal=SyncJournal(site.project.work),
            tell=patience.tell,
            again=f"lifeboat gitlab restore {found.key} -e {site.project.env}",
        )
        writes.write(found.done.plan, scribe)
        return found


def own(site: Site) -> Own:
    """Return which variables are this environment's own."""
    asked = frozenset(wish.name for wish in values.wishes(site))
    return Own(environment=site.gitlab_environment, asked=asked)
