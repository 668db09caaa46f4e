"""What a status comes to for a pipeline: one exit status, the gravest of what is red (docs/decisions/status.md)."""

from __future__ import annotations

from lifeboat.errors import (
    DONE,
    OBJECTIVE_MISSED,
    CleanUpIncomplete,
    Failed,
    IntegrityFailure,
    Unreachable,
)
from lifeboat.status_model import Colour, Status, Weight

# In the order of how grave they are: what is damaged, what costs, what nobody can see, what does not work, what is old.
OF_WEIGHT = {
    Weight.INTEGRITY: IntegrityFailure.exit_status,
    Weight.LEAK: CleanUpIncomplete.exit_status,
    Weight.PROTECTION: Failed.exit_status,
    Weight.OBJECTIVE: OBJECTIVE_MISSED,
}
GRAVEST_FIRST = (
    IntegrityFailure.exit_status,
    CleanUpIncomplete.exit_status,
    Unreachable.exit_status,
    Failed.exit_status,
    OBJECTIVE_MISSED,
)
# What a plugin of Nagios ends with (Nagios plug-in development guidelines, "Plugin Return Codes").
NAGIOS_OK, NAGIOS_WARNING, NAGIOS_CRITICAL, NAGIOS_UNKNOWN = 0, 1, 2, 3


def exit_status(status: Status) -> int:
    """Return what the gate ends with: 0 only where every check was made and is green."""
    found = {OF_WEIGHT[verdict.weight] for verdict in status.of(Colour.RED)}
    if status.of(Colour.UNKNOWN) or not status.whole:
        found.add(Unreachable.exit_status)
    return next((one for one in GRAVEST_FIRST if one in found), DONE)


def nagios_status(status: Status) -> int:
    """Return the same in the four words of Nagios: what is only too old is a warning, what nobody saw is unknown."""
    return {
        DONE: NAGIOS_OK,
        OBJECTIVE_MISSED: NAGIOS_WARNING,
        Unreachable.exit_status: NAGIOS_UNKNOWN,
    }.get(exit_status(status), NAGIOS_CRITICAL)
