"""Whether a restored database that no state knows may go, or may be what an apply that was cut off has led to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Unrecorded:
    """An instance that Terraform's state does not know, as RDS, the journal and the application's secret tell of it.

    `marked`: it bears the mark of the run. `seen`: the run has found it to be its own before. `adopting`: an apply that
    adopts was begun, and nobody knows that it got through. `broken`: nothing can go on with it. `leads_to` is the host that
    the application's secret names.
    """

    identifier: str
    address: str | None
    marked: bool
    seen: bool
    adopting: bool
    broken: bool
    leads_to: str


def why_not(found: Unrecorded) -> str | None:
    """Return why a recovery must not be given up that restored it; None where it may be.

    Terraform takes the mark off, leads the application to it, and only then saves its state: what was cut off in between
    looks as if nobody had adopted it.
    """
    if found.broken:
        return None
    if found.leads_to == found.address:
        return f"the application's secret leads to {found.identifier}, which Terraform's state does not know"
    if not found.marked and (found.seen or found.adopting):
        return f"{found.identifier} does not bear the mark of this recovery any more, and Terraform's state does not know it"
    return None


def stays(found: Unrecorded) -> str | None:
    """Return why it is not deleted when its recovery is given up; None where it is: whatever was led to it wrote to it."""
    if found.leads_to == found.address:
        return f"{found.identifier} stays, for the application's secret leads to it: what was written to it is nowhere else"
    if not found.marked:
        return f"{found.identifier} stays, for it does not bear the mark of this recovery"
    return None
