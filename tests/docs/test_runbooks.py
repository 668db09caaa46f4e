"""The runbooks say what the tables of steps do, and their commands work."""

from __future__ import annotations

import re

import pytest
from lifeboat.errors import EXIT_STATUSES
from lifeboat.runbooks.pages import SCENARIOS, Scenario, page
from lifeboat.runner import flat

from tests import command_line
from tests.docs import runbook_commands
from tests.rehearsal import ROOT, Rehearsal, passed

FOLDER = ROOT / "docs" / "runbooks"
BY_FILE = pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.file for scenario in SCENARIOS])


@BY_FILE
def test_the_page_is_what_the_table_says(scenario: Scenario) -> None:
    assert (FOLDER / scenario.file).read_text() == page(scenario), "run `make docs` and commit what it writes"


@BY_FILE
def test_every_step_has_a_question_and_its_names_are_its_own(scenario: Scenario) -> None:
    steps = flat(scenario.steps)
    names = [step.name for step in steps]

    assert len(set(names)) == len(names)
    assert all(step.check.__doc__ for step in steps)
    assert all(step.do is None or step.do.__doc__ for step in steps)
    assert scenario.answers in names


@BY_FILE
def test_every_status_of_a_page_is_one_of_the_table(scenario: Scenario) -> None:
    assert {status for status, _ in scenario.stops} <= set(EXIT_STATUSES)


@BY_FILE
def test_every_command_of_a_page_is_there(scenario: Scenario) -> None:
    shown = re.findall(r"`(lifeboat [a-z -]+[a-z])", page(scenario)) + list(scenario.commands)
    verbs = {tuple(word for word in command.split()[:3] if re.fullmatch("[a-z-]+", word)) for command in shown}

    for verb in sorted(verb for verb in verbs if verb[0] == "lifeboat"):
        words = [word for word in verb[1:] if not word.startswith("--") and word != "latest"]
        passed(command_line.run(ROOT, *words, "--help"))


def test_the_commands_of_the_page_on_a_lost_instance_do_what_it_says(stack: Rehearsal) -> None:
    runbook_commands.work(SCENARIOS[0], stack)
