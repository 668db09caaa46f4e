"""`lifeboat state doctor` with each of its calls refused, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from lifeboat.commands import state_doctor
from lifeboat.errors import LifeboatError, Unreachable
from lifeboat.state_model import LockMode, StateRoot

from tests.commands.test_state_doctor import make as make  # noqa: PLC0414 (a fixture)
from tests.commands.test_state_doctor import no_bucket
from tests.commands.test_state_doctor import sites as sites  # noqa: PLC0414 (a fixture)
from tests.plain_sites import Told
from tests.sick_states import SickSite


def ended(sick: SickSite) -> LifeboatError | None:
    try:
        state_doctor.require_sound(state_doctor.diagnose(sick.site, Told(), list(StateRoot)))
    except LifeboatError as error:
        return error
    return None


@pytest.mark.parametrize("accident", [None, no_bucket], ids=["sound", "no-bucket"])
def test_whichever_call_is_refused_it_never_ends_green(
    make: Callable[[LockMode], SickSite], accident: Callable[[SickSite], Any] | None
) -> None:
    sick = make("both")
    if accident is not None:
        accident(sick)
    trace = sick.cloud.directory / "logs" / "trace.jsonl"
    start = trace.stat().st_size
    sound = ended(sick)
    calls = len(trace.read_bytes()[start:].splitlines())

    problems = []
    for number in range(1, calls + 1):
        rule = {"service": "*", "operation": ".*", "first": number, "code": "AccessDenied", "status": 403}
        sick.cloud.control("faults", add=rule)
        problems.append(ended(sick))
        sick.cloud.control("faults", clear=True)

    assert (sound is None) == (accident is None)
    assert calls > 25
    assert [type(problem) for problem in problems] == [Unreachable] * calls
    assert {problem.exit_status for problem in problems if problem is not None} == {8}
