"""Whatever else stands where a state should, no command about states breaks over it either."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lifeboat.state_model import StateRoot

from tests.commands.test_state_doctor import make, sites
from tests.commands.test_states_that_are_none import BODIES, ONCE, require_no_command_breaks_over
from tests.sick_states import SickSite

__all__ = ["make", "sites"]
OTHERS = [(kind, root) for kind in BODIES for root in StateRoot if (kind, root) not in ONCE]


@pytest.mark.parametrize(("kind", "root"), OTHERS)
def test_no_command_breaks_over_it_and_the_doctor_names_the_version_below(
    make: Callable[..., SickSite], kind: str, root: StateRoot
) -> None:
    require_no_command_breaks_over(BODIES[kind], root, make("both"))
