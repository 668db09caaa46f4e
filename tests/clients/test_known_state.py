"""What this machine knows of the state."""

from __future__ import annotations

from pathlib import Path

import pytest
from lifeboat.clients import known_state
from lifeboat.model import StateMark


def test_what_was_remembered_is_known_until_it_is_forgotten(tmp_path: Path) -> None:
    mark = StateMark(serial=4, lineage="a", md5="0f")

    before = known_state.read(tmp_path)
    known_state.remember(tmp_path, mark)
    known = known_state.read(tmp_path)
    known_state.forget(tmp_path)
    known_state.forget(tmp_path)

    assert (before, known, known_state.read(tmp_path)) == (None, mark, None)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"serial": "x", "lineage": "a"}'])
def test_what_cannot_be_read_is_not_known(tmp_path: Path, text: str) -> None:
    known_state.path(tmp_path).write_text(text)

    assert known_state.read(tmp_path) is None
