"""What an apply may do: never lose what must not be lost, nor undo a recovery; the rest of what is lost somebody agrees to."""

from __future__ import annotations

from collections.abc import Sequence

from lifeboat.decisions import generations, plans, recoveries
from lifeboat.errors import Refused
from lifeboat.model import Change, Plan
from lifeboat.site import Site
from lifeboat.stack import database_copies, recovered, recovery_file

STACK = "stack"


def require(site: Site, plan: Plan, root: str) -> list[str]:
    """Return, a line each, what somebody must agree to before a plan of a root is applied; raises Refused."""
    judgement = plans.judged(plan)
    if judgement.refused:
        lines = [f"  {change.action.value} {change.address}: {why}" for change, why in judgement.refused]
        raise Refused(
            f"this plan of the {root} would lose what must not be lost:\n" + "\n".join(lines),
            hint=_instead(site, plan, [change for change, _ in judgement.refused]),
        )
    if root == STACK:
        _require_no_empty_one(site, plan)
        recovered.require_kept(site, plan)
    return [f"{change.action.value} {change.address}: {why}" for change, why in judgement.to_agree]


def _require_no_empty_one(site: Site, plan: Plan) -> None:
    """Raise Refused where a plan would make an empty database beside those that there are, or in place of a retired one."""
    made = generations.made_empty(plan)
    known = sorted(database_copies.recorded(site)) if made else []
    if not known:
        return
    names = ", ".join(generations.of_address(change.address) or "" for change in made)
    raise Refused(
        f"this plan would make an empty database, {names}: Terraform's state knows {', '.join(known)}, and a generation"
        " beside these comes of a recovery only",
        hint=recovered.fetching(site),
    )


def _instead(site: Site, plan: Plan, refused: Sequence[Change]) -> str:
    """Return what to do instead of an apply that was refused."""
    if all(change.address in plan.gone for change in refused):
        env = site.project.env
        scope = "full" if recoveries.INSTANCE in plan.gone else "database"
        return (
            f"lifeboat plan-recovery -e {env} shows what it can come back from, and lifeboat recover --scope {scope}"
            f" -e {env} brings it back"
        )
    if unnamed := generations.unnamed(recovery_file.text(site), refused):
        env, named = site.project.env, ", ".join(unnamed)
        return f"{recovered.fetching(site)}; to take {named} away on purpose: lifeboat retire {unnamed[0]} -e {env}"
    return "change the configuration so that it stays; if it truly must go: terraform state rm, then by hand"
