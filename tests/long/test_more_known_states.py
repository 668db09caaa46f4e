"""A history that left the remembered state, in the lock modes that `make test` leaves out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lifeboat.state_model import LockMode

from tests.commands.test_known_states import LEFT, require_refused_and_back
from tests.restored_states import MODES, StateSite, made, new_site

__all__ = ["made", "new_site"]
OTHERS = [(further, mode) for further in (0, 1) for mode in MODES if (further, mode) not in LEFT]


@pytest.mark.parametrize(("further", "mode"), OTHERS)
def test_a_history_that_left_the_remembered_state_is_refused_and_the_remembered_one_comes_back(
    new_site: Callable[[LockMode], StateSite], further: int, mode: LockMode
) -> None:
    require_refused_and_back(new_site(mode), further)
