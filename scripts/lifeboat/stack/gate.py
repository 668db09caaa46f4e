"""The rules of disaster recovery asked of a saved plan before it is carried out: what it brings about, and what is let pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lifeboat.decisions.policy import introduced
from lifeboat.decisions.policy.introduced import Deed, Passing, Weighed
from lifeboat.errors import LifeboatError, Refused
from lifeboat.model import AcceptedRisk, Teller

Document = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What one apply or recovery asks of its plans. `again` is the command that is given once more with these options."""

    tell: Teller
    deed: Deed
    risks: Sequence[AcceptedRisk]
    again: Callable[[Sequence[AcceptedRisk]], str]
    passed: list[Passing] = field(default_factory=list)  # of all plans so far

    def require(self, root: str, show: Callable[[], Document]) -> tuple[Passing, ...]:
        """Return what is let pass of a plan of a root; raises Refused where it brings about what stops it.

        A recovery is not kept up by a plan that cannot be judged: that is told. An apply can wait until it can be.
        """
        try:
            found = introduced.weighed(show(), self.deed, self.risks)
        except LifeboatError as error:
            if self.deed is Deed.APPLY:
                raise
            self.tell.warn(f"policy: no rule could be asked of this plan of the {root}: {error.summary}")
            return ()
        for line in introduced.warnings(found):
            self.tell.warn(line)
        if found.stopping:
            raise self._refusal(root, found)
        for one in found.passing:
            self.tell.warn(f"policy: {introduced.accepted(one)}")
        self.passed.extend(found.passing)
        return found.passing

    def _refusal(self, root: str, found: Weighed) -> Refused:
        wanted = [*self.risks, *introduced.accepting(found)]
        return Refused(
            f"this plan of the {root} would bring about what costs dearly in a disaster:\n{introduced.stopped(found)}",
            hint=f"mend it; where the risk is known and accepted: {self.again(wanted)}",
        )


def record(found: Sequence[Passing]) -> list[dict[str, str]]:
    """Return what was let pass for a journal: of values, findings hold schedules, windows and lengths alone."""
    return [
        {
            "rule": one.finding.rule,
            "address": one.finding.address,
            "found": one.finding.found,
            "reason": one.reason,
        }
        for one in found
    ]


def told(recorded: Sequence[dict[str, str]]) -> tuple[str, ...]:
    """Return what a journal says was let pass, a line each, once."""
    lines = (f"{one['rule']} {one['address']}: {one['found']}; accepted: {one['reason']}" for one in recorded)
    return tuple(dict.fromkeys(lines))


def option(risk: AcceptedRisk) -> str:
    """Return the option that accepts a risk, as a shell takes it."""
    quoted = risk.reason.replace("'", "'\\''")
    return f"--accept-risk {risk.rule}='{quoted}'"
