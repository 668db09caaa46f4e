"""What is amiss with Terraform's state: one check each, three-valued, every finding with the command that repairs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lifeboat.decisions import state_backend_checks as backend
from lifeboat.decisions import state_digest_checks as against
from lifeboat.decisions import state_guard_checks as guard
from lifeboat.decisions import state_object_checks as itself
from lifeboat.decisions.state_observation import Observation, RootSeen
from lifeboat.decisions.state_verdicts import Finding, Outcome, Standing, Verdict


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
    "at work": backend.at_work,
    "bucket": backend.bucket,
    "versioning": guard.versioning,
    "lock table": backend.table,
    "runs of this machine": backend.runs,
}
# An apply mends these, and refuses to while a root has no state: they come after those of the roots.
GUARDS: dict[str, Callable[[Observation], Outcome]] = {
    "replica bucket": guard.replica_bucket,
    "bucket policies": guard.guards,
    "replication": guard.replication,
}
_TAGGED = "tagged "
# What an apply makes, or writes down when it ends.
_OF_AN_APPLY = frozenset(SHARED) - {"at work"} | frozenset(GUARDS) | {"memory"}
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
    verdicts = [_verdict(seen, name, None, check(seen)) for name, check in SHARED.items()]
    for root in seen.roots:
        verdicts += [_verdict(seen, name, root, check(seen, root)) for name, check in OF_A_ROOT.items()]
    verdicts += [_verdict(seen, name, None, check(seen)) for name, check in GUARDS.items()]
    verdicts += [_verdict(seen, f"{_TAGGED}{kind.kind}", None, against.things(seen, kind)) for kind in seen.kinds]
    return Diagnosis(
        expected=len(SHARED) + len(OF_A_ROOT) * len(seen.roots) + len(GUARDS) + len(seen.kinds),
        verdicts=tuple(verdicts),
    )


def _verdict(seen: Observation, name: str, of: RootSeen | None, outcome: Outcome) -> Verdict:
    root = None if of is None else of.root
    if isinstance(outcome, Finding):
        finding = backend.awaited(seen, outcome) if _is_made_by_a_run(name, of) else outcome
        return Verdict(check=name, root=root, standing=Standing.FINDING, says=finding.found, finding=finding)
    return Verdict(check=name, root=root, standing=outcome[0], says=outcome[1])


def _is_made_by_a_run(name: str, of: RootSeen | None) -> bool:
    """Return whether what a check misses may be what a run at work has not made yet; a state that was deleted is an accident."""
    if name == "object":
        return of is not None and not of.entries.found
    return name in _OF_AN_APPLY or name.startswith(_TAGGED)
