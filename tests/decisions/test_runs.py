"""What the name of a run says of it."""

from __future__ import annotations

import pytest
from lifeboat.decisions.runs import is_of_the_application, is_recovery
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
