"""A rebuild of the state that is killed before any call that changes something, in each lock mode."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lifeboat.state_model import LockMode

from tests.commands.test_state_rebuild import gone_on_with_everywhere
from tests.restored_states import StateSite, made, new_site

__all__ = ["made", "new_site"]


@pytest.mark.parametrize(("mode", "calls"), [("both", 17), ("dynamodb", 15), ("lockfile", 12)])
def test_killed_before_any_write_the_same_command_goes_on_from_there(
    new_site: Callable[[LockMode], StateSite], mode: LockMode, calls: int
) -> None:
    assert len(gone_on_with_everywhere(new_site(mode))) >= calls
