"""The page on drills says what their tables do, and every command that it names is there."""

from __future__ import annotations

import re

import pytest
from lifeboat.drill_model import DrillScope
from lifeboat.runbooks import drill_page, drill_tables

from tests import command_line
from tests.rehearsal import ROOT, passed

PAGE = ROOT / "docs" / "runbooks" / drill_page.FILE


def test_the_page_is_what_the_tables_say() -> None:
    assert PAGE.read_text() == drill_page.page(), "run `make docs` and commit what it writes"


@pytest.mark.parametrize("scope", DrillScope)
def test_every_step_has_a_question_and_a_name_of_its_own(scope: DrillScope) -> None:
    steps = drill_tables.of(scope)
    names = [step.name for step in steps]

    assert len(set(names)) == len(names)
    assert all(step.check.__doc__ for step in steps)
    assert all(step.do is None or step.do.__doc__ for step in steps)
    assert drill_tables.answering(scope).step in names
    assert set(drill_tables.titles(scope)) == set(names)


def test_every_command_of_the_page_is_there() -> None:
    shown = {
        tuple(words.split())
        for words in re.findall(r"`lifeboat ([a-z-]+(?: (?:database|instance|full|state|list))?)", drill_page.page())
    }

    assert ("sweep",) in shown
    assert {("drill", scope.value) for scope in DrillScope} <= shown
    for words in sorted(shown):
        passed(command_line.run(ROOT, *words, "--help"))


def test_the_make_target_is_there() -> None:
    assert re.search(r"^drill: setup ## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
