"""More mistakes in an environment's variables, each refused by a plan of the whole stack with what to change."""

from __future__ import annotations

from typing import Any

import pytest

from tests.modules.conftest import terraform
from tests.modules.test_stack_plan import HERE, REFUSALS, Stack, require_refused, stack

__all__ = ["stack", "terraform"]
OTHERS = {name: refusal for name, refusal in REFUSALS.items() if name != HERE}


@pytest.mark.parametrize(("variables", "messages"), OTHERS.values(), ids=OTHERS.keys())
def test_a_mistake_is_refused_with_what_to_change(variables: dict[str, Any], messages: list[str], stack: Stack) -> None:
    require_refused(stack, variables, messages)
