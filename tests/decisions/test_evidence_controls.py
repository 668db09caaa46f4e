"""What a run answers to a control: only what was seen counts."""

from __future__ import annotations

from lifeboat.decisions.evidence import Ended
from lifeboat.decisions.evidence_controls import Shown, answers
from lifeboat.evidence_model import Bundle

from tests.evidence_runs import FULL, NOTE, bundle, drill

YES, PART, NO = Shown.YES, Shown.IN_PART, Shown.NO


def shown(found: Bundle) -> dict[str, Shown]:
    return {one.control: one.shown for one in answers(found)}


def test_a_drill_that_restored_and_was_asked_shows_all() -> None:
    everything = dict.fromkeys(("A1.2", "A1.3", "CP-4", "CP-9", "CP-9(1)", "CP-10", "A.8.13"), YES)

    assert shown(bundle()) == shown(drill(1)) == everything


def test_one_that_stopped_shows_that_it_was_tried_and_no_more() -> None:
    found = shown(bundle(*FULL[:14], error=Ended(exit_status=4, why="no")))

    assert found == {
        "A1.2": NO,
        "A1.3": PART,
        "CP-4": PART,
        "CP-9": NO,
        "CP-9(1)": NO,
        "CP-10": NO,
        "A.8.13": NO,
    }


def test_wrong_answers_and_data_that_nobody_compared_show_integrity_in_part() -> None:
    wrong = bundle(*FULL[:-1], (136, NOTE, "proof", "", {"probe_findings": ["orders: 0"]}), FULL[-1])
    blind = bundle(*FULL[:-1], (136, NOTE, "proof", "", {"probes": []}), FULL[-1])

    assert [shown(one)["CP-9(1)"] for one in (wrong, blind)] == [PART, PART]
    assert [shown(one)["A1.2"] for one in (wrong, blind)] == [PART, YES]


def test_a_missed_objective_is_shown_in_part() -> None:
    late = bundle(*FULL[:-1], (136, NOTE, "proof", "", {"rpo_seconds": 100_000.0}), FULL[-1])
    [answer] = [one for one in answers(late) if one.control == "CP-10"]

    assert (answer.shown, answer.by) == (PART, "RTO 371 s of 14400 s; RPO 100000 s of 86400 s")
