"""`lifeboat status`: everything looked at, side by side, judged by the checks, and what it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from lifeboat.commands import state_doctor as doctor
from lifeboat.config import Project
from lifeboat.decisions import state_doctor
from lifeboat.decisions.state_verdicts import Standing
from lifeboat.decisions.status import judging
from lifeboat.dumps import places
from lifeboat.dumps import status_facts as copies
from lifeboat.model import Teller
from lifeboat.site import Site
from lifeboat.stack import status_facts
from lifeboat.stack.looking import Looks, Place, look, results
from lifeboat.state_model import StateRoot
from lifeboat.status_model import Facts, Limits, Points, Seen, StateCheck, Status

# Most of a look's time is the service's: they wait for each other no more than the connections allow.
_AT_ONCE = 16


def status(site: Site, tell: Teller) -> Status:
    """Look at everything and judge it; changes nothing, and what cannot be looked at is told, not guessed."""
    return judging.status(site.project.env, observe(site, tell), limits(site.project))


def limits(project: Project) -> Limits:
    """Return how old and how large things may be, as the environment's file says."""
    settings, dumps, application = (
        project.environment.status,
        project.environment.dumps,
        project.environment.application,
    )
    return Limits(
        late=timedelta(minutes=settings.late_minutes),
        proof=timedelta(days=settings.proof_days),
        proof_level=settings.proof_level,
        image=timedelta(days=settings.image_days),
        image_proof=timedelta(days=settings.image_proof_days),
        drill=timedelta(days=settings.drill_days),
        plan=timedelta(days=settings.plan_days),
        beat=timedelta(minutes=settings.heartbeat_minutes),
        skew=timedelta(seconds=settings.skew_seconds),
        metric=timedelta(hours=settings.metric_hours),
        shrink_percent=dumps.shrink_percent,
        application=application.name,
        account_id=application.account_id,
        region=application.region,
        dr_region=application.dr_region,
    )


def observe(site: Site, tell: Teller) -> Facts:
    """Return all that can be seen of an environment, and why the rest cannot be."""
    now, application = datetime.now(UTC), site.project.environment.application
    region, regions = application.region, (application.region, application.dr_region)
    stack = look(Place(what="the stack's state", region=region, call="s3:GetObject"), lambda: status_facts.built(site))
    recovery = None if stack.found is None else stack.found.recovery
    where = places.of(site)
    settings = site.protection_settings()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        looks = Looks(pool=pool)
        # The largest first: listings of dumps take longest.
        dumps = pool.submit(copies.dumps, site, where, "" if recovery is None else recovery.database.name, now)
        windows = {one: pool.submit(copies.windows, site, one) for one in regions}
        snapshots = {one: pool.submit(copies.snapshots, site, one) for one in regions}
        vaults = {one: pool.submit(copies.vault, site, where, one) for one in regions}
        state = pool.submit(_state, site, tell)
        identifier = "" if recovery is None else recovery.database.identifier
        instance = looks.at(
            Place(what=f"the database {identifier}", region=region, call="rds:DescribeDBInstances"),
            lambda: status_facts.instance(site, identifier, region) if identifier else None,
        )
        table = site.project.environment.state.lock_table
        table_recovery = looks.at(
            Place(what=f"the table {table}", region=region, call="dynamodb:DescribeContinuousBackups"),
            lambda: settings.table_recovery(table, region),
        )
        return Facts(
            now=now,
            stack=stack,
            instance=instance.result(),
            windows=_points(windows),
            snapshots=_points(snapshots),
            vaults=_points(vaults),
            dumps=dumps.result().points,
            newest_dump=dumps.result().newest,
            table_recovery=table_recovery.result(),
            state=state.result(),
        )


def _points(looks: Mapping[str, object]) -> dict[str, Seen[Points]]:
    return results(looks)  # type: ignore[arg-type]


def _state(site: Site, tell: Teller) -> dict[str, StateCheck]:
    """Return what the state doctor says, by the name of the check."""
    diagnosis = state_doctor.diagnose(doctor.observe(site, tell, list(StateRoot)))
    found: dict[str, StateCheck] = {}
    for verdict in diagnosis.verdicts:
        name = verdict.check if verdict.root is None else f"{verdict.root.value} {verdict.check}"
        amiss = verdict.finding
        found[name] = StateCheck(
            name=name,
            says=verdict.says,
            finding="" if amiss is None else amiss.found,
            wanted="" if amiss is None else amiss.wanted,
            command="" if amiss is None else amiss.command,
            unseen=verdict.standing is Standing.UNSEEN,
        )
    return found
