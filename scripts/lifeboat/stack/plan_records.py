"""What a plan or an apply found is written down, so that a status can tell of drift without planning anew."""

from __future__ import annotations

from datetime import UTC, datetime

from lifeboat.decisions import plans
from lifeboat.errors import LifeboatError
from lifeboat.model import Plan, Teller
from lifeboat.site import Site
from lifeboat.status_model import PlanRecord


def planned(site: Site, tell: Teller, found: Plan) -> None:
    """Write down what a plan of the stack found; who may not write is told, and has planned all the same."""
    changes = len(found.changes) or int(found.outputs_change)
    _write(site, tell, PlanRecord(at=datetime.now(UTC), by="plan", changes=changes, summary=plans.headline(found)))


def applied(site: Site, tell: Teller) -> None:
    """Write down that the stack was applied, so that nothing is left to change."""
    _write(site, tell, PlanRecord(at=datetime.now(UTC), by="apply", changes=0, summary="no changes"))


def _write(site: Site, tell: Teller, record: PlanRecord) -> None:
    try:
        site.plan_records().write(record)
    except LifeboatError as error:
        tell.warn(f"lifeboat status will not know of this {record.by}: {error.summary}")
