"""What a status takes from the evidence of runs: drills alone, what they measured, and what is wrong with the chain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from lifeboat.errors import Unreachable
from lifeboat.evidence_model import Outcome
from lifeboat.stack import status_evidence

from tests.evidence_runs import bundle, chain, chained, drill

BODIES = chained(bundle(), drill(1), drill(2, scope="full", minutes=5))
PROVEN, STEP = drill(1).proof, drill(1).steps[0]
assert PROVEN is not None


def test_drills_are_told_with_what_they_measured_and_recoveries_are_none() -> None:
    first, second = status_evidence.drills(chain(*BODIES))

    assert (first.scope, second.scope) == ("database", "full")
    assert first.ended < second.ended
    assert second.run == drill(2, scope="full", minutes=5).run
    assert (first.rto_objective, second.rto_objective) == (timedelta(hours=4), timedelta(hours=4))
    assert second.rto == timedelta(minutes=5)
    assert first.passed


def test_a_drill_tells_which_copies_of_the_database_it_restored() -> None:
    (found,) = status_evidence.drills(chain(*chained(drill(1))))

    assert found.copies == tuple((one.kind, one.region) for one in drill(1).copies if one.asset == "database") != ()


@pytest.mark.parametrize(
    ("outcome", "passed"),
    [
        (Outcome.MET, True),
        (Outcome.MISSED, True),  # the objectives are other checks'
        (Outcome.LEFT_OVER, True),  # so is what it left
        (Outcome.UNSOUND, False),
        (Outcome.STOPPED, False),
        (Outcome.FAILED, False),
        (Outcome.INTERRUPTED, False),
    ],
)
def test_only_what_was_restored_and_answered_went_well(outcome: Outcome, passed: bool) -> None:
    bodies = chained(replace(drill(1), outcome=outcome, why="rows are missing"))

    (found,) = status_evidence.drills(chain(*bodies))

    assert (found.passed, found.why) == (passed, "rows are missing")


@pytest.mark.parametrize(
    ("outcome", "cut_off"),
    [(Outcome.INTERRUPTED, True), *((one, False) for one in Outcome if one is not Outcome.INTERRUPTED)],
)
def test_what_was_interrupted_and_nothing_else_was_cut_off(outcome: Outcome, cut_off: bool) -> None:
    (found,) = status_evidence.drills(chain(*chained(replace(drill(1), outcome=outcome, why="so"))))

    assert found.cut_off is cut_off


@pytest.mark.parametrize(
    ("found_amiss", "why"),
    [
        ({"proof": replace(PROVEN, probe_findings=("orders: 0 rows",))}, "orders: 0 rows"),
        ({"proof": replace(PROVEN, missing=("orders lacks 3 rows",))}, "orders lacks 3 rows"),
        ({"steps": (replace(STEP, outcome="stopped", why="it does not answer"),)}, "it does not answer"),
    ],
    ids=["probe", "rows", "step"],
)
def test_a_drill_that_had_found_something_amiss_failed_whoever_cut_it_off_then(
    found_amiss: dict[str, Any], why: str
) -> None:
    bodies = chained(replace(drill(1), outcome=Outcome.INTERRUPTED, why="swept", **found_amiss))

    (found,) = status_evidence.drills(chain(*bodies))

    assert (found.passed, found.cut_off, found.why) == (False, False, f"{why}; then it was cut off")


def test_a_step_that_the_interruption_stopped_is_nothing_amiss() -> None:
    steps = (replace(STEP, outcome="stopped", why="interrupted"),)
    bodies = chained(replace(drill(1), outcome=Outcome.INTERRUPTED, why="interrupted", steps=steps))

    (found,) = status_evidence.drills(chain(*bodies))

    assert (found.passed, found.cut_off) == (False, True)


def test_a_drill_that_measured_nothing_tells_its_objective_alone() -> None:
    one = drill(1)
    assert one.rto is not None
    bodies = chained(replace(one, rto=replace(one.rto, seconds=None), rpo=None))

    (found,) = status_evidence.drills(chain(*bodies))

    assert (found.rto, found.rto_objective) == (None, timedelta(hours=4))
    assert (found.rpo, found.rpo_objective, found.missed) == (None, None, False)


def test_a_drill_that_missed_an_objective_or_could_not_tell_says_so() -> None:
    one = drill(1)
    assert one.rpo is not None
    missed = replace(one, outcome=Outcome.MISSED, why="no canary", rpo=replace(one.rpo, seconds=None))

    (found,) = status_evidence.drills(chain(*chained(missed)))

    assert (found.missed, found.why, found.passed) == (True, "no canary", True)
    assert (found.rpo, found.rpo_objective) == (None, timedelta(seconds=one.rpo.objective_seconds))


def test_a_whole_chain_has_no_findings() -> None:
    assert status_evidence.findings(chain(*BODIES)) == ()
    assert status_evidence.findings(chain()) == ()
    assert status_evidence.drills(chain()) == ()


def _changed() -> Any:
    return replace(chain(*BODIES), stored=chain(BODIES[0], BODIES[1].replace(b"drill", b"dr1ll"), BODIES[2]).stored)


@pytest.mark.parametrize(
    ("found", "number"),
    [
        (_changed, 2),
        (lambda: replace(chain(*BODIES), stored=chain(BODIES[0], None, BODIES[2]).stored), 2),
        (lambda: replace(chain(*BODIES), stored=chain(*BODIES[:2]).stored), 3),
    ],
    ids=["changed", "missing", "cut off"],
)
def test_what_is_wrong_with_the_chain_names_the_bundle(found: Callable[[], Any], number: int) -> None:
    findings = status_evidence.findings(found())

    assert findings
    assert any(str(number) in text for text in findings)


def test_a_chain_that_nobody_could_see_all_of_is_not_called_whole() -> None:
    with pytest.raises(Unreachable, match="no answer"):
        status_evidence.findings(replace(chain(*BODIES), unseen=("no answer from the other region",)))


def test_a_last_bundle_that_the_other_region_does_not_know_of_is_not_called_whole() -> None:
    whole = chain(*BODIES)
    known = {number: head for number, head in whole.heads.items() if number < 3}

    with pytest.raises(Unreachable):
        status_evidence.findings(replace(whole, heads=known))


def test_bundles_that_the_other_region_never_knew_of_are_findings() -> None:
    assert status_evidence.findings(chain(*BODIES, heads=False))
