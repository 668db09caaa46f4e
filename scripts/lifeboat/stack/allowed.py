"""What an apply may do: never lose what must not be lost, nor undo a recovery; the rest of what is lost somebody agrees to."""

from __future__ import annotations

from collections.abc import Sequence

from lifeboat.decisions import plans
from lifeboat.errors import Refused
from lifeboat.model import Change, Plan
from lifeboat.site import Site
from lifeboat.stack import recovered

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
        recovered.require_kept(site, plan)
    return [f"{change.action.value} {change.address}: {why}" for change, why in judgement.to_agree]


def _instead(site: Site, plan: Plan, refused: Sequence[Change]) -> str:
    """Return what to do instead of an apply that was refused."""
    if not all(change.address in plan.gone for change in refused):
        return "change the configuration so that it stays; if it truly must go: terraform state rm, then by hand"
    snapshots = "aws rds describe-db-snapshots --query 'DBSnapshots[].[DBSnapshotIdentifier,SnapshotCreateTime]'"
    return f"restore it under the same name, then apply again; its snapshots: {site.shell(snapshots)}"
