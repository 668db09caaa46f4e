"""What the name of a run says of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from lifeboat.decisions.runs import began, is_of_the_application, is_recovery
from lifeboat.model import RunId


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
