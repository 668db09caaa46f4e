"""What the name of a run says of it, and what its journal says that it works with."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from lifeboat.decisions.runs import began, is_of_the_application, is_recovery, words
from lifeboat.model import Event, EventKind, RunId

AT = datetime(2026, 11, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    ("run", "recovery", "application"),
    [
        ("20261128T032535Z-recover-1a2b3c", True, False),
        ("20261128T032535Z-app-restart-1a2b3c", False, True),
        ("20261128T032535Z-app-recover-1a2b3c", False, True),
        ("20261128T032535Z-drill-recover-1a2b3c", False, False),
        ("20261128T032535Z", False, False),
    ],
)
def test_only_a_recovery_can_be_gone_on_with(run: str, recovery: bool, application: bool) -> None:
    assert (is_recovery(RunId(run)), is_of_the_application(RunId(run))) == (recovery, application)


def test_when_a_run_began_stands_in_its_name() -> None:
    assert began(RunId("20261128T032535Z-recover-1a2b3c")) == datetime(2026, 11, 28, 3, 25, 35, tzinfo=UTC)
    assert began(RunId("20269928T032535Z-recover-1a2b3c")) is None


def test_the_copy_that_a_recovery_has_chosen_is_in_use_by_its_id_and_its_arn() -> None:
    arn = "arn:aws:rds:eu-west-1:123456789012:snapshot:app-g1-before"
    asked = Event(seq=1, at=AT, kind=EventKind.BEGUN, data={"request": {"copy": "20261129T031500Z-3f9a1c"}})
    chosen = Event(seq=2, at=AT, kind=EventKind.NOTE, step="copy", data={"copy": "app-g1-before", "copy_arn": arn})

    assert {"20261129T031500Z-3f9a1c", "app-g1-before", arn} <= words([asked, chosen])
