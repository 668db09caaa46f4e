"""Rows counted out of a text that comes in pieces, wherever it is cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.database_model import TableName
from lifeboat.decisions.archive_rows import RowCounter

_HEAD = b"--\n-- PostgreSQL database dump\n--\n\nSET statement_timeout = 0;\n\n"
_TABLES = ('public.t (a, "b c")', '"Ventas 2024"."we""ird.*T?" ("FROM stdin;")', "audit.no_columns ", "näh.ß_1 (x)")
_NAMES = (
    TableName(schema="public", name="t"),
    TableName(schema="Ventas 2024", name='we"ird.*T?'),
    TableName(schema="audit", name="no_columns"),
    TableName(schema="näh", name="ß_1"),
)
_ROW = st.text(st.characters(blacklist_characters="\n\r", blacklist_categories=("Cs",)), max_size=20).filter(
    lambda row: row != "\\."
)


@given(st.lists(st.lists(_ROW, max_size=5), min_size=4, max_size=4), st.lists(st.integers(1, 40), min_size=1))
def test_each_table_has_its_rows_wherever_the_text_is_cut(rows: list[list[str]], cuts: list[int]) -> None:
    text = _HEAD + b"SELECT pg_catalog.lowrite(0, '\\x00');\n"
    for table, lines in zip(_TABLES, rows, strict=True):
        text += f"COPY {table} FROM stdin;\n".encode() + "".join(f"{line}\n" for line in lines).encode() + b"\\.\n\n\n"
    counter, at = RowCounter(), 0

    for number in range(len(text)):
        size = cuts[number % len(cuts)]
        counter.feed(text[at : at + size])
        at += size

    assert counter.rows == {name: len(lines) for name, lines in zip(_NAMES, rows, strict=True)}
    assert counter.open_table is None


def test_data_that_says_copy_opens_no_table_and_an_end_that_is_missing_is_seen() -> None:
    counter = RowCounter()

    counter.feed(
        b"COPY public.t (a) FROM stdin;\nCOPY public.u (a) FROM stdin;\n1\n\\.\nCOPY x;\nCOPY public.v (a) FROM stdin;\n1\n"
    )

    assert counter.rows[_NAMES[0]] == 2
    assert counter.open_table == TableName(schema="public", name="v")
    assert set(counter.rows) == {_NAMES[0], TableName(schema="public", name="v")}
