"""A job's log as it grows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.decisions import job_logs


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"plain", ("plain",)),
        (
            b"section_start:1560896352:step_script[collapsed=true]\r\x1b[0K\x1b[0K\x1b[36;1mExecuting\x1b[0;m",
            ("Executing",),
        ),
        (b"section_end:1560896353:step_script\r\x1b[0K", ()),
        (b"\x1b[0;m", ()),
        (b"", ("",)),
        (b"2024-05-22T12:43:46.962646Z 00O $ echo hello", ("$ echo hello",)),
        (b"2024-05-22T12:43:46.962646Z 01E+ and on", (" and on",)),
        (b"10%\r50%\r100%", ("100%",)),
        (b"windows\r", ("windows",)),
        (b"bell\x07 \x1b]0;title\x07gone \xc2\x9b31mred", ("bell gone 31mred",)),
        ("right-to-left \u202etxt.exe".encode(), ("right-to-left txt.exe",)),
        (b"broken \xff\xfe bytes", ("broken \ufffd\ufffd bytes",)),
        (b"x" * 5000, ("x" * 4000,)),
    ],
)
def test_a_line_is_shown_without_marks_and_controls(line: bytes, shown: tuple[str, ...]) -> None:
    found = job_logs.fresh(line + b"\n", 0)

    assert found == job_logs.Fresh(lines=shown, shown=len(line) + 1)


def test_half_a_line_waits_for_its_end() -> None:
    first = job_logs.fresh(b"one\ntw", 0)
    second = job_logs.fresh(b"one\ntwo\n", first.shown)
    last = job_logs.rest(b"one\ntwo\nthree", second.shown)

    assert (first.lines, second.lines, last.lines) == (("one",), ("two",), ("three",))
    assert job_logs.rest(b"one\ntwo\nthree", last.shown).lines == ()


def test_a_log_that_became_shorter_is_not_shown_again() -> None:
    assert job_logs.fresh(b"one\n", 40) == job_logs.Fresh(lines=(), shown=40)
    assert job_logs.rest(b"one\n", 40) == job_logs.Fresh(lines=(), shown=40)


@given(log=st.binary(max_size=80), cuts=st.lists(st.integers(0, 80), max_size=6))
def test_however_a_log_arrives_every_line_of_it_is_shown_once(log: bytes, cuts: list[int]) -> None:
    shown, lines = 0, []
    for cut in sorted(cuts):
        found = job_logs.fresh(log[:cut], shown)
        shown, lines = found.shown, [*lines, *found.lines]
    found = job_logs.rest(log, shown)

    assert (*lines, *found.lines) == job_logs.rest(log, 0).lines


@given(st.text())
def test_nothing_that_moves_a_cursor_is_shown(text: str) -> None:
    found = job_logs.rest(text.encode(errors="replace"), 0)

    assert not any((ord(c) < 32 and c != "\t") or 127 <= ord(c) < 160 for line in found.lines for c in line)
