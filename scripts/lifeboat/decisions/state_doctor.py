"""What is amiss with Terraform's state: one check each, three-valued, every finding with the command that repairs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lifeboat.decisions import state_backend_checks as backend
from lifeboat.decisions import state_digest_checks as against
from lifeboat.decisions import state_object_checks as itself
from lifeboat.decisions.state_observation import Observation, RootSeen
from lifeboat.decisions.state_verdicts import Finding, Outcome, Standing, Verdict
from lifeboat.state_model import StateRoot


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """Every check with its verdict, in the order in which to repair; `expected` counts the checks that there are."""

    expected: int
    verdicts: tuple[Verdict, ...]

    @property
    def executed(self) -> int:
        """Return how many checks could look."""
        return sum(verdict.standing is not Standing.UNSEEN for verdict in self.verdicts)

    @property
    def findings(self) -> list[Finding]:
        """Return what is amiss, in the order in which to repair it."""
        return [verdict.finding for verdict in self.verdicts if verdict.finding is not None]

    @property
    def unseen(self) -> list[str]:
        """Return what could not be looked at, and why."""
        return [f"{v.check}: {v.says}" for v in self.verdicts if v.standing is Standing.UNSEEN]


SHARED: dict[str, Callable[[Observation], Outcome]] = {
    "bucket": backend.bucket,
    "versioning": backend.versioning,
    "lock table": backend.table,
    "runs of this machine": backend.runs,
    "replica bucket": backend.replica_bucket,
}
# In the order in which to repair: nothing is restored while somebody holds the lock, and no apply writes down what it
# found while the digest keeps it out.
OF_A_ROOT: dict[str, Callable[[Observation, RootSeen], Outcome]] = {
    "lock in the table": backend.item,
    "lock file": backend.file,
    "errored.tfstate": itself.left,
    "object": itself.present,
    "readable": itself.readable,
    "terraform version": itself.terraform_version,
    "lineage": itself.lineage,
    "serial": itself.serial,
    "digest": against.digest,
    "memory": itself.memory,
    "replica": against.replica,
}


def diagnose(seen: Observation) -> Diagnosis:
    """Judge everything that was seen; a pure function, so that what the night will say can be read and tested by day."""
    verdicts = [_verdict(name, None, check(seen)) for name, check in SHARED.items()]
    for root in seen.roots:
        verdicts += [_verdict(name, root.root, check(seen, root)) for name, check in OF_A_ROOT.items()]
    verdicts += [_verdict(f"tagged {kind.kind}", None, against.things(seen, kind)) for kind in seen.kinds]
    return Diagnosis(
        expected=len(SHARED) + len(OF_A_ROOT) * len(seen.roots) + len(seen.kinds), verdicts=tuple(verdicts)
    )


def _verdict(name: str, root: StateRoot | None, outcome: Outcome) -> Verdict:
    if isinstance(outcome, Finding):
        return Verdict(check=name, root=root, standing=Standing.FINDING, says=outcome.found, finding=outcome)
    return Verdict(check=name, root=root, standing=outcome[0], says=outcome[1])
