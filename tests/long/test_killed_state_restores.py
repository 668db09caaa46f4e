"""A restore of a state that is killed before any of its changing calls, in each lock mode: the same command goes on."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest
from lifeboat.state_model import LockMode

from tests.commands.test_state_restore import killed_before
from tests.restored_states import MODES, StateSite, made, new_site

__all__ = ["made", "new_site"]
# The lease taken and given back, the lines of the journal, locks, the object, the digest.
AT_LEAST: dict[LockMode, int] = {"both": 17, "dynamodb": 15, "lockfile": 12}


@pytest.mark.parametrize("mode", MODES)
def test_killed_before_any_write_the_same_restore_goes_on_from_there(
    new_site: Callable[[LockMode], StateSite], mode: LockMode
) -> None:
    calls = killed_before(new_site(mode), count(1))

    assert calls[0] == calls[-1] == "dynamodb:UpdateItem"
    assert len(calls) >= AT_LEAST[mode]
