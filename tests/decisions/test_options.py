"""Options that no variable has are told with the way to them, and keys of maps are anybody's choice."""

from __future__ import annotations

from typing import Any

import pytest
from lifeboat.decisions import options

_BACKUP = {"retention_days": 7, "window": None}


@pytest.mark.parametrize(
    ("written", "taken", "said"),
    [
        ({"backup": {"retention_days": 35}}, {"backup": _BACKUP}, []),
        (
            {"backup": {"retention_dayz": 35}},
            {"backup": _BACKUP},
            ["database.backup has no option retention_dayz; was retention_days meant?"],
        ),
        ({"backup": {"x": None}}, {"backup": _BACKUP}, ["database.backup has no option x"]),
        ({"bakup": {}}, {"backup": _BACKUP}, ["database has no option bakup; was backup meant?"]),
        ([{"tags": {"a": "1"}}, {"tags": {"b": "2"}}], [{"tags": {"a": "1"}}, {"tags": {"b": "2"}}], []),
        ([{"b": 1}, {"a": 1}], [{"a": 1, "b": None}, {"a": None, "b": 1}], []),
        ([{"a": 1}, {"aa": 1}], [{"a": 1}, {"a": None}], ["database[1] has no option aa; was a meant?"]),
        ({"backup": None}, {"backup": None}, []),
        ("text", "text", []),
        ({"a": 1}, None, []),
        ([], [], []),
    ],
)
def test_what_no_variable_takes_is_told(written: Any, taken: Any, said: list[str]) -> None:
    found = options.unknown({"database": written, "undeclared": {"x": 1}}, {"database": taken, "other": {"y": 1}})

    assert [one.words for one in found] == said
