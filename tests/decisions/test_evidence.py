"""What a run's evidence says, from its journal: how it ended, what was chosen, proven, made, and how long it took."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from lifeboat.clients.journal import document
from lifeboat.decisions.evidence import Ended
from lifeboat.evidence_model import RESTORED, Attempt, Bundle, ChosenCopy, Kind, Made, Measured, Outcome, Rejected
from lifeboat.model import EventKind, Objectives

from tests.evidence_runs import (
    AT,
    BEGUN,
    COMPARED,
    DOING,
    DONE,
    FAILED_AT,
    FULL,
    INTENT,
    LEFT_OPEN,
    NOTE,
    PROOF,
    STOPPED,
    WHO,
    Line,
    bundle,
    drill,
    journal,
)

ENDED: Line = (200, EventKind.ENDED, "", "done", {})


def found(one: Bundle) -> tuple[Outcome, int]:
    return one.outcome, one.exit_status


def test_a_recovery_that_met_its_objectives_tells_what_it_measured_chose_and_made() -> None:
    one = bundle()

    assert (*found(one), one.why) == (Outcome.MET, 0, "")
    assert one.rto == Measured(
        seconds=371.0, objective_seconds=14400.0, met=True, how="it answers since 2026-03-01 03:17:11Z"
    )
    assert one.rpo == Measured(seconds=3660.0, objective_seconds=86400.0, met=True, how="the heartbeat's last row")
    assert (one.failed_at, one.failed_why) == (FAILED_AT, "the operator said so")
    assert one.who == (Attempt(at=AT, user="zoë", host="laptop", machine="m1"),)
    assert one.copies == (
        ChosenCopy(
            asset="database",
            id="app-2026-03-01-02-00",
            kind="automated snapshot",
            why="it loses least of what fits",
            region="eu-central-1",
            as_of=AT.replace(hour=2, minute=0),
            rejected=(
                Rejected(id="app-2026-02-28", why="older"),
                Rejected(id="app-<script>", why="status is <b>failed</b>"),
            ),
            unseen=("AWS Backup in eu-west-1",),
        ),
        ChosenCopy(
            asset="instance",
            id="ami-1",
            kind="image",
            why="the newest",
            rejected=(Rejected(id="ami-0", why="taken before"),),
        ),
    )
    assert [(one.type, one.id, one.gone_at) for one in one.made] == [
        ("aws_db_instance", "app-g2", None),
        ("aws_instance", "i-1", None),
    ]
    assert [(plan.sha256, plan.changes) for plan in one.plans] == [
        ("ab" * 32, ("replace module.app_instance.aws_instance.this",))
    ]
    assert one.proof is not None
    assert (one.proof.tables, one.proof.probes, one.proof.works_on) == (4, ("orders", "users"), "new")


def test_the_shares_of_the_recovery_time_add_up_to_it() -> None:
    one = bundle()

    assert one.rto is not None
    assert sum(part.seconds for part in one.time_spent) == one.rto.seconds


def test_each_step_of_each_attempt_is_told_with_how_it_ended() -> None:
    again: tuple[Line, ...] = (
        (300, BEGUN, "", "attempt 2", {**WHO, "host": "bastion"}),
        (301, EventKind.HOLDS, "failure", "", {}),
        (310, DOING, "instance", "i-0 runs", {}),
        (340, STOPPED, "instance", "quota", {}),
    )
    first = FULL[:18]  # killed while the instance was made and the restore was waited for

    one = bundle(*first, *again, error=Ended(exit_status=4, why="Launch: quota"))

    steps = [(step.attempt, step.name, step.outcome, step.seconds) for step in one.steps]
    assert steps == [
        (1, "failure", "done", 3.0),
        (1, "preflight", "holds", 5.0),
        (1, "copy", "done", 7.0),
        (1, "image", "done", 2.0),
        (1, "restore", "cut-off", 1.0),
        (1, "plan", "done", 9.0),
        (1, "instance", "cut-off", 1.0),
        (2, "failure", "holds", 1.0),
        (2, "instance", "stopped", 39.0),
    ]
    assert (*found(one), one.why, one.steps[-1].why) == (Outcome.STOPPED, 4, "Launch: quota", "quota")
    assert [who.host for who in one.who] == ["laptop", "bastion"]
    assert one.rto == Measured(seconds=None, objective_seconds=14400.0, met=False, how="it does not answer")


def test_what_is_done_outside_the_runners_steps_is_cut_off_only_where_an_effect_has_no_result() -> None:
    begun: Line = (0, BEGUN, "", "", WHO)
    lines: tuple[Line, ...] = (
        (1, INTENT, "unwind", "delete x", {}),
        (2, EventKind.RESULT, "unwind", "delete x", {}),
        (3, NOTE, "unwind", "x is gone", {}),
    )

    assert [step.outcome for step in bundle(begun, *lines).steps] == ["done"]
    assert [step.outcome for step in bundle(begun, lines[0]).steps] == ["cut-off"]


@pytest.mark.parametrize(
    ("more", "objectives", "expected"),
    [
        # To the second, and one more than allowed.
        ((), Objectives(rpo_hours=3660 / 3600, rto_hours=371 / 3600), (Outcome.MET, 0)),
        ((), Objectives(rpo_hours=24, rto_hours=370 / 3600), (Outcome.MISSED, 10)),
        ((), Objectives(rpo_hours=3659 / 3600, rto_hours=4), (Outcome.MISSED, 10)),
        # What nobody knows is not met.
        (
            ((132, NOTE, "proof", "", {"rpo_seconds": None}),),
            Objectives(rpo_hours=24, rto_hours=4),
            (Outcome.MISSED, 10),
        ),
        (
            ((132, NOTE, "losses", "", {"missing": ["notes holds no row"]}),),
            Objectives(rpo_hours=24, rto_hours=4),
            (Outcome.UNSOUND, 11),
        ),
        (
            ((132, NOTE, "proof", "", {"probe_findings": ["orders: 0"]}),),
            Objectives(rpo_hours=24, rto_hours=4),
            (Outcome.UNSOUND, 11),
        ),
        (
            ((136, NOTE, "sessions", "", {"works_on": "both", "works_on_why": "app-g1 too"}),),
            Objectives(rpo_hours=24, rto_hours=4),
            (Outcome.UNSOUND, 11),
        ),
        (((132, LEFT_OPEN, "variables", "GitLab", {}),), Objectives(rpo_hours=24, rto_hours=4), (Outcome.STOPPED, 4)),
    ],
)
def test_how_it_ended_is_told_as_the_command_does(
    more: tuple[Line, ...], objectives: Objectives, expected: tuple[Outcome, int]
) -> None:
    one = bundle(*FULL[:-1], *more, ENDED, objectives=objectives)

    assert found(one) == expected


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (1, Outcome.FAILED),
        (8, Outcome.FAILED),
        (11, Outcome.UNSOUND),
        (12, Outcome.LEFT_OVER),
        (130, Outcome.INTERRUPTED),
    ],
)
def test_what_an_attempt_was_raised_out_of_counts(status: int, outcome: Outcome) -> None:
    assert found(bundle(error=Ended(exit_status=status, why="why"))) == (outcome, status)


def test_a_step_that_an_earlier_attempt_left_open_is_not_open_any_more() -> None:
    left: Line = (132, LEFT_OPEN, "variables", "GitLab", {})
    again: tuple[Line, ...] = ((140, BEGUN, "", "", WHO), (141, EventKind.HOLDS, "answers", "", {}))
    confirmed: Line = (142, EventKind.HOLDS, "sessions", "", {})

    assert found(bundle(*FULL[:-1], left, *again, confirmed, ENDED)) == (Outcome.MET, 0)


def test_one_that_was_given_up_is_told_as_that() -> None:
    one = bundle(*FULL[:10], (50, EventKind.ENDED, "", "aborted", {}))

    assert (*found(one), one.why) == (Outcome.GIVEN_UP, 0, "it was given up")


def test_a_recovery_of_the_instance_alone_has_no_rpo_and_no_proof_of_data() -> None:
    without = [line for line in FULL if line[2] not in ("copy", "restore", "proof", "sessions")]

    one = bundle(*without, scope="instance")

    assert (one.rpo, one.proof, [copy.asset for copy in one.copies], one.outcome) == (
        None,
        None,
        ["instance"],
        Outcome.MET,
    )


# -- drills ------------------------------------------------------------------------------------------------------------


def test_a_drills_clock_starts_with_it_and_what_it_made_is_proven_gone() -> None:
    one = drill(1)

    assert one.rto is not None
    assert (one.outcome, one.rto.seconds, one.failed_at) == (Outcome.MET, 180.0, None)
    made = Made(
        type="aws_db_instance",
        id="app-drill-1",
        region="eu-central-1",
        made_at=one.events[2].at,
        gone_at=one.events[5].at,
    )
    assert (one.made, one.left_over) == ((made,), ())


@pytest.mark.parametrize(
    ("scope", "noted", "status", "why"),
    [
        ("database", {**PROOF, **COMPARED}, 0, ""),
        ("database", PROOF, 11, "what was restored was compared with nothing"),
        ("full", {**PROOF, "compared_with": []}, 11, "what was restored was compared with nothing"),
        ("full", {}, 11, "what was restored was compared with nothing"),
        ("instance", {}, 0, ""),
        (
            "database",
            {**PROOF, **COMPARED, "canary": None, "no_canary": "app has no heartbeat"},
            10,
            "no canary, so nobody knows that what was written last comes back: app has no heartbeat",
        ),
        # Of a copy that is older than the drill none is expected.
        ("database", {**PROOF, **COMPARED, "canary": None, "canary_why": "it was made before this drill"}, 0, ""),
    ],
)
def test_a_drill_proves_what_it_compared_and_a_canary_that_could_be_written(
    scope: str, noted: dict[str, Any], status: int, why: str
) -> None:
    lines: tuple[Line, ...] = ((0, BEGUN, "", "", WHO), (1, NOTE, "proof", "", noted), (3, DONE, "answers", "", {}))

    one = bundle(*lines, ENDED, kind=Kind.DRILL, scope=scope)

    assert (one.exit_status, one.why) == (status, why)


def test_a_drill_that_left_something_is_not_green() -> None:
    made: dict[str, Any] = {"type": "aws_secret", "id": "x", "region": "eu-central-1"}
    lines: tuple[Line, ...] = (
        (0, BEGUN, "", "", WHO),
        (1, NOTE, "secret", "to be made", {"made": made}),
        (2, NOTE, "proof", "proven", {**PROOF, **COMPARED}),
        (3, DONE, "answers", "", {}),
        (4, NOTE, "unwind", "another one is gone", {"gone": {**made, "id": "y"}}),
        ENDED,
    )

    one = bundle(*lines, kind=Kind.DRILL, scope="database")

    assert (*found(one), one.why) == (Outcome.LEFT_OVER, 12, "still there: aws_secret x")
    assert [left.id for left in one.left_over] == ["x"]


@pytest.mark.parametrize(
    ("status", "outcome"), [(1, Outcome.FAILED), (11, Outcome.UNSOUND), (130, Outcome.INTERRUPTED)]
)
def test_a_drill_that_failed_and_left_something_is_one_that_failed(status: int, outcome: Outcome) -> None:
    made: dict[str, Any] = {"type": "rds:db", "id": "x", "region": "eu-central-1"}
    lines: tuple[Line, ...] = (
        (0, BEGUN, "", "", WHO),
        (1, NOTE, "restore", "to be made", {"made": made}),
        (2, STOPPED, "restore", "quota", {}),
    )

    one = bundle(*lines, kind=Kind.DRILL, scope="database", error=Ended(exit_status=status, why="quota"))

    assert (*found(one), one.why) == (outcome, status, "quota; still there: rds:db x")
    assert outcome not in RESTORED
    assert [left.id for left in one.left_over] == ["x"]


def test_what_a_drill_made_once_more_after_it_was_gone_is_there_again() -> None:
    thing: dict[str, Any] = {"type": "aws_secret", "id": "x", "region": "eu-central-1"}
    lines: tuple[Line, ...] = (
        (0, BEGUN, "", "", WHO),
        (1, NOTE, "secret", "", {"made": thing}),
        (2, NOTE, "secret", "", {"gone": thing}),
        (3, NOTE, "secret", "", {"made": thing}),
        # A step tells of itself, and its ledger counts.
        (4, INTENT, "restore", "restore", {"identifier": "app-drill-1"}),
        (4, NOTE, "comparison", "compared", COMPARED | {"tables": 4}),
        (5, DONE, "answers", "", {}),
    )

    left = bundle(*lines, ENDED, kind=Kind.DRILL, scope="database")
    gone = bundle(*lines, (6, NOTE, "unwind", "", {"gone": thing}), ENDED, kind=Kind.DRILL, scope="database")

    assert ([one.id for one in left.made], [one.id for one in left.left_over]) == (["x"], ["x"])
    assert ([one.id for one in gone.made], gone.left_over, gone.outcome) == (["x"], (), Outcome.MET)


def test_a_drill_that_was_killed_ended_then_and_not_when_it_was_swept() -> None:
    thing = {"type": "aws_secretsmanager_secret", "id": "x", "region": "eu-central-1"}
    five_days = 5 * 24 * 3600
    swept = {"failed": True, "exit_status": 130, "swept": True}
    lines: tuple[Line, ...] = (
        (0, BEGUN, "", "", WHO),
        (1, NOTE, "secret", "", {"made": thing}),
        (70, DOING, "restore", "there is none", {}),
        (five_days, NOTE, "", "", {"gone": thing}),
        (five_days + 1, EventKind.ENDED, "", "it did not get to its end, and was swept", swept),
    )

    one = bundle(*lines, kind=Kind.DRILL, scope="database")

    assert (one.ended - one.began).total_seconds() == 70
    assert one.left_over == ()


def test_the_version_that_a_drill_of_the_state_chose_is_told() -> None:
    noted = {"version": "v7", "serial": 7, "why_version": "the newest sound one", "other_versions": {"v8": "cut off"}}

    one = bundle((0, BEGUN, "", "", WHO), (1, NOTE, "version", "v7", noted), kind=Kind.DRILL, scope="state")

    assert [(copy.asset, copy.id, copy.rejected) for copy in one.copies] == [
        ("state", "v7", (Rejected(id="v8", why="cut off"),))
    ]


# -- the journal -------------------------------------------------------------------------------------------------------


def test_the_digest_of_the_journal_is_that_of_its_file() -> None:
    file = "".join(json.dumps(document(event)) + "\n" for event in journal(*FULL)).encode()

    assert bundle().journal_sha256 == hashlib.sha256(file).hexdigest()


def test_a_journal_gives_the_same_evidence_before_and_after_it_was_written() -> None:
    def noted(value: Any) -> Bundle:
        return bundle(*FULL[:-1], (136, INTENT, "x", "", {"of": value}))

    assert noted((EventKind.NOTE, "b")) == noted(["note", "b"])
    assert noted(["note"]) != replace(noted(["note"]), journal_sha256="")
