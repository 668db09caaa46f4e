"""What is printed is what was meant: Rich's codes for colours and emoji change nothing of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import typer
from lifeboat import views, views_alarms, views_recovery
from lifeboat.alarm_model import Ringer, Row, Sort
from lifeboat.cli import app
from lifeboat.errors import Failed
from lifeboat.model import AssetRow, Gap, Prerequisite, Previewed, Recovery, RecoveryPreview, Way
from rich.text import Text

from tests.gitlab_sites import RECOVERY

# ":secret:" and ":key:" are emoji to Rich, "[red]" is a colour.
TEXT = "arn:aws:secretsmanager:eu-west-1:1:secret:rds!db:key:[red]"


def waited() -> None:
    with views.Teller().waiting() as show:
        show(TEXT)


PRINTED: dict[str, Callable[[], None]] = {
    "say": lambda: views.Teller().say(TEXT),
    "warn": lambda: views.Teller().warn(TEXT),
    "error": lambda: views.error(Failed(TEXT, hint=TEXT)),
    "findings": lambda: views.findings([TEXT]),
    "pairs": lambda: views.pairs([("name", TEXT)]),
    "timings": lambda: views.timings([(TEXT, 1.0)]),
    "prerequisites": lambda: views.prerequisites(
        [Prerequisite(name="x", found=TEXT, wanted="y", good=False, fix="do it")]
    ),
    "protection": lambda: views.protection(
        [
            AssetRow(
                asset="a",
                ways=(Way(mechanism=TEXT, every="1 d", kept="7 d", regions=("r",)),),
                rpo=timedelta(hours=1),
                meets=True,
            )
        ],
        Recovery.model_validate(RECOVERY),
    ),
    "preview": lambda: views_recovery.preview(
        RecoveryPreview(
            steps=[Previewed(name="s", title="step", gap=Gap(text=TEXT))],
            expected={},
            plan=None,
            refused=[],
            remarks=[TEXT],
            asks=[TEXT],
        )
    ),
}


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    """Return all that was printed, with what a table broke over lines put together again."""
    found = capsys.readouterr()
    return re.sub(r"[\s│┃|]+", "", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", found.out + found.err))


@pytest.mark.parametrize("what", PRINTED)
def test_no_part_of_a_text_becomes_a_picture_or_a_colour(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    PRINTED[what]()

    assert TEXT in printed(capsys)


def bar() -> None:
    teller = views.Teller()
    teller.resources(1, 2, TEXT)
    teller.resources_end()


@pytest.mark.parametrize("show", [bar, waited])
def test_no_part_of_a_text_becomes_a_picture_or_a_colour_in_what_moves_on_a_terminal(
    show: Callable[[], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")

    show()

    assert TEXT in printed(capsys)


def helps(command: Any) -> list[str]:
    """Return every text of a command's help and of the commands below it."""
    own = [command.help or "", command.epilog or "", *(getattr(p, "help", "") or "" for p in command.params)]
    return own + [text for below in getattr(command, "commands", {}).values() for text in helps(below)]


def test_no_help_loses_a_word_in_brackets() -> None:
    found = helps(typer.main.get_command(app))

    assert [text for text in found if Text.from_markup(text).plain != text.replace("\\[", "[")] == []


def test_no_help_has_what_would_become_a_picture() -> None:
    found = helps(typer.main.get_command(app))

    assert len(found) > 100
    assert [text for text in found if Text.from_markup(text) != Text.from_markup(text, emoji=False)] == []


def test_what_rings_is_listed_whole_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    name, page = f"{'a-long-application-' * 4}drill-stale-database", "docs/runbooks/alarm-drill-stale.md"
    ringer = Ringer(sort=Sort.ALARM, region="eu-central-1", name=name)
    tells = (f"arn:aws:sns:eu-central-1:123456789012:{'a-long-application-' * 4}alarms",)

    views_alarms.rows([Row(ringer=ringer, state="OK", tells=tells, page=page, why="[red] it has no action")])

    _, line = capsys.readouterr().out.splitlines()
    assert re.split(r" {2,}", line) == [
        "alarm",
        name,
        "eu-central-1",
        "OK",
        tells[0].rpartition(":")[2],
        "no: [red] it has no action",
        page,
    ]


def test_the_end_of_an_apply_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    teller = views.Teller()

    for _ in range(2):
        for done in (2, 3, 3, 3):
            teller.resources(done, 3, "")
        teller.resources_end()

    assert capsys.readouterr().err.splitlines()[-2:] == ["  3 of 3 resources done"] * 2


def test_in_json_only_what_is_wrong_has_a_fix() -> None:
    rows = [
        Prerequisite(name=str(good), found="f", wanted="w", good=good, fix="lifeboat apply") for good in (True, False)
    ]

    views.speak_for("staging")
    found = [row["fix"] for row in views.prerequisites_document(rows)]
    views.speak_for(None)

    assert found == ["", "lifeboat apply -e staging"]
