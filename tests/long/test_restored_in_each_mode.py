"""A state that was lost or damaged stands on top again after each accident, in the lock modes that `make test` leaves out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lifeboat.state_model import LockMode

from tests.commands.test_state_restore import CASES, ONCE, require_the_latest_good_one_after
from tests.restored_states import StateSite, made, new_site

__all__ = ["made", "new_site"]
OTHERS = [case for case in CASES if case not in ONCE]


@pytest.mark.parametrize(("accident", "mode"), OTHERS, ids=lambda value: getattr(value, "__name__", value))
def test_after_any_accident_the_latest_good_state_is_on_top_and_a_plan_is_empty(
    new_site: Callable[[LockMode], StateSite], accident: Callable[[StateSite], None], mode: LockMode
) -> None:
    require_the_latest_good_one_after(accident, new_site(mode))
