"""`lifeboat retention …`: which dumps stay and which go, each with its reasons, and the tags that tell the buckets so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lifeboat.dumps import retaining
from lifeboat.dumps.retaining import Retention
from lifeboat.errors import NothingFits
from lifeboat.model import Agree, Teller
from lifeboat.site import Site
from lifeboat.stack import holding


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What was decided, and how many dumps had to be tagged for it."""

    retention: Retention
    tagged: int


def plan(site: Site, database: str | None) -> Retention:
    """Return what would become of each dump, with the reasons; changes nothing."""
    found = retaining.decided(site, database)
    if database is not None and not found.fates:
        raise NothingFits(f"there is no dump of a database {database}", hint="lifeboat backups --kind dump")
    return found


def apply(site: Site, tell: Teller, show: Callable[[Retention], None], agree: Agree, database: str | None) -> Applied:
    """Tag every dump with what becomes of it, in both regions, once somebody agrees to what changes; deletes nothing."""
    # Held against a recovery that may choose a dump while this decides that nobody needs it.
    with holding.alone(site, tell.say, "retention apply") as held:
        found = plan(site, database)
        show(found)
        orders = found.orders()
        if orders:
            agree(orders)
        with tell.waiting() as progress:
            return Applied(retention=found, tagged=retaining.apply(site, found, held, progress))
