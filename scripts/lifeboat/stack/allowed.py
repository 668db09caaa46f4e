"""What an apply may do: never lose what must not be lost, nor undo a recovery; the rest of what is lost somebody agrees to."""

from __future__ import annotations

from collections.abc import Sequence

from lifeboat.decisions import generations, plans, recoveries
from lifeboat.errors import Refused
from lifeboat.model import Change, Plan
from lifeboat.site import Site
from lifeboat.stack import database_copies, recovered

STACK = "stack"


def require(site: Site, plan: Plan, root: str) -> list[str]:
    """Return, a line each, what somebody must agree to before a plan of a root is applied; raises Refused."""
    judgement = plans.judged(plan)
    empty = _made_empty(site, plan) if root == STACK else []
    lost = [change for change, _ in judgement.refused]
    if lost:
        lines = [f"  {change.action.value} {change.address}: {why}" for change, why in judgement.refused]
        lines += [f"  {change.action.value} {change.address}: it would be an empty database" for change in empty]
        raise _refused(
            site, plan, f"this plan of the {root} would lose what must not be lost:\n" + "\n".join(lines), lost
        )
    if empty:
        names = ", ".join(generations.of_address(change.address) or "" for change in empty)
        raise _refused(
            site,
            plan,
            f"this plan would make an empty database, {names}: a generation beside those of Terraform's state comes of a"
            " recovery only",
            [],
        )
    if root == STACK:
        recovered.require_kept(site, plan)
    return [f"{change.action.value} {change.address}: {why}" for change, why in judgement.to_agree]


def _made_empty(site: Site, plan: Plan) -> list[Change]:
    """Return the empty databases that a plan would make beside those that there are, or in place of a retired one."""
    made = generations.made_empty(plan)
    return made if made and database_copies.recorded(site) else []


def _refused(site: Site, plan: Plan, summary: str, lost: Sequence[Change]) -> Refused:
    """Return the refusal of a plan, and what to do instead of the apply."""
    env = site.project.env
    if lost and all(change.address in plan.gone for change in lost):
        scope = "full" if recoveries.INSTANCE in plan.gone else "database"
        return Refused(
            summary,
            hint=f"lifeboat plan-recovery -e {env} shows what it can come back from, and lifeboat recover --scope {scope}"
            f" -e {env} brings it back",
        )
    of_generations = not lost or any(generations.is_of_generation(change) for change in lost)
    stale = recovered.disagreeing(site) if of_generations else None
    if stale is None:
        return Refused(
            summary,
            hint="change the configuration so that it stays; if it truly must go: terraform state rm, then by hand",
        )
    named = sorted(
        {name for change in lost if (name := generations.of_address(change.address))}, key=generations.number
    )
    gone = f"; to take {named[0]} away on purpose: lifeboat retire {named[0]} -e {env}" if named else ""
    return Refused(f"{summary}\n{stale}", hint=f"{recovered.fetching(site)}{gone}")
