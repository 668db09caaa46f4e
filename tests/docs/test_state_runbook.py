"""The page on a lost state says what the doctor says, and its commands bring a state back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lifeboat.clients import known_state, state_store
from lifeboat.decisions import state_doctor
from lifeboat.errors import EXIT_STATUSES
from lifeboat.runbooks import state_lost
from lifeboat.runbooks.state_lost import COMMANDS, ROWS, STOPS, Row
from lifeboat.stack import known_states
from lifeboat.state_model import StateRoot

from tests import command_line
from tests.commands.test_state_doctor import ACCIDENTS
from tests.conftest import RunningCloud
from tests.decisions.test_state_doctor import FINDINGS
from tests.rehearsal import ROOT, passed
from tests.restored_states import KEY, applied, state_site

PAGE = ROOT / "docs" / "runbooks" / state_lost.FILE
# What stands before a command in the operator's shell, to reach an environment of the local cloud.
SHELL = r'(?:eval "\$\(lifeboat local env -e x\)" && )?'
# Each accident that happens in a local cloud, and each finding that there is.
NAMED = sorted(
    {(check, command) for accident in ACCIDENTS.values() for check, command in accident.finds.items()}
    | {(case.check, case.command) for case in FINDINGS.values()}
)


def test_the_page_is_what_the_table_says() -> None:
    assert PAGE.read_text() == state_lost.page(), "run `make docs` and commit what it writes"


def test_every_check_of_the_doctor_has_a_row_and_every_row_a_check() -> None:
    checks = {*state_doctor.SHARED, *state_doctor.OF_A_ROOT, *state_doctor.GUARDS, "tagged"}

    assert {check for row in ROWS for check in row.checks} == checks


@pytest.mark.parametrize(("check", "command"), NAMED)
def test_what_the_doctor_names_stands_in_a_row_of_its_check(check: str, command: str) -> None:
    name = re.sub(r"^(stack|state) ", "", check)
    name = "tagged" if name.startswith("tagged ") else name

    assert [row for row in ROWS if name in row.checks and named_by(row).fullmatch(command)]


def named_by(row: Row) -> re.Pattern[str]:
    """Return what a row says the doctor names: capitals stand for anything in one line, Terraform for how it is called."""
    pattern = re.escape(row.command.replace("terraform ", "TERRAFORM ", 1))
    pattern = pattern.replace(r"BREAK_GLASS\ \&\&\ ", r"(?:keys=.+ \&\& eval \"\$keys\" \&\& )?")
    pattern = pattern.replace("TERRAFORM\\ ", r"(?:TF_DATA_DIR=\S+ )?terraform (?:-chdir=\S+ )?")
    pattern = re.sub(r"\b[A-Z_]{2,}\b(?<!TF_DATA_DIR)", r"[^&]+?", pattern)
    pattern = re.sub(
        r"(lifeboat\\ state\\ (?:restore|rebuild|list|unlock|diff)(?:(?!\\ &).)*)", r"\1(?: --root state)?", pattern
    )
    return re.compile(SHELL + pattern)


def test_every_status_of_the_page_is_one_of_the_table() -> None:
    assert {status for status, _ in STOPS} <= set(EXIT_STATUSES)
    assert {status for command in COMMANDS for status in command.statuses} <= {0, *dict(STOPS)}


def test_the_links_of_the_page_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", PAGE.read_text())

    assert links
    assert [link for link in links if not (PAGE.parent / link).is_file()] == []


def test_every_option_of_a_shown_command_exists() -> None:
    shown = re.findall(r"`lifeboat ((?:state )?[a-z]+)((?: [^`]*)?)`", PAGE.read_text())

    for verb, rest in sorted(set(shown)):
        usage = passed(command_line.run(ROOT, *verb.split(), "--help")).stdout
        assert [o for o in re.findall(r"--[a-z-]+", rest.split(" && ")[0]) if o not in usage] == [], verb


def test_the_commands_of_the_page_bring_a_deleted_state_back(cloud: RunningCloud, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    site = state_site(cloud, folder, applied(tmp_path), "both")
    mark = state_store.mark(site.applied.newest)
    assert mark is not None
    work = site.plain.site().project.work
    work.mkdir(parents=True)
    known_state.remember(work, mark)
    for root, body in ((StateRoot.STACK, site.applied.newest), (StateRoot.BACKEND, site.applied.root)):
        assert known_states.keep(site.plain.site(), root, body, "20260301T030000Z-apply-1a2b3c") is None
    site.replicate()
    site.plain.delete(KEY)
    before = site.versions()

    for command in COMMANDS:
        # Nobody is there to answer.
        words = [*command.typed.split()[1:], *(["--yes"] if "restore" in command.typed else [])]
        (status,) = command.statuses
        site.run(*words, status=status)

    site.require_restored(before, site.applied.newest)
    assert [command.typed for command in COMMANDS] == re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.S | re.M)[
        0
    ].splitlines()
