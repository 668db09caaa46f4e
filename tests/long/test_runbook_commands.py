"""The commands of the runbooks that take longest, run on what they are about."""

from __future__ import annotations

import pytest
from lifeboat.runbooks.pages import SCENARIOS, Scenario

from tests.docs import runbook_commands
from tests.rehearsal import Rehearsal


@pytest.mark.parametrize("scenario", SCENARIOS[1:], ids=[scenario.file for scenario in SCENARIOS[1:]])
def test_the_commands_of_the_page_do_what_it_says(scenario: Scenario, stack: Rehearsal) -> None:
    runbook_commands.work(scenario, stack)
