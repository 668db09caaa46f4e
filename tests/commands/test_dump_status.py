"""The exit status of a dump of several databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
from lifeboat.commands import dump
from lifeboat.database_model import DumpId, DumpOutcome
from lifeboat.errors import CleanUpIncomplete, Failed, IntegrityFailure, LifeboatError, Locked, Unreachable


@pytest.mark.parametrize(
    ("problems", "status"),
    [
        ([], 0),
        ([None, None], 0),
        ([None, IntegrityFailure("")], 11),
        ([CleanUpIncomplete(""), IntegrityFailure("")], 11),
        ([IntegrityFailure(""), Locked(""), None], 5),
        ([Locked(""), Unreachable("")], 8),
        ([Unreachable(""), Failed("")], 1),
    ],
)
def test_what_failed_is_worse_than_what_is_suspicious(problems: list[LifeboatError | None], status: int) -> None:
    outcomes = [
        DumpOutcome(database="d", id=DumpId("i"), manifest=None, problem=problem, took=timedelta())
        for problem in problems
    ]

    assert dump.status(outcomes) == status
