"""Which tables have lost their rows: held against what the old database has, or the newest dump from before had."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.database_model import DumpId, TableContent, TableName, Tables
from lifeboat.decisions.missing_rows import (
    Elsewhere,
    is_compared,
    missing,
    of_manifest,
    of_tables,
    taken_for_partitions,
)
from lifeboat.model import Event, EventKind

from tests.backup_sites import manifest

NAMES = ["orders", "notes", "parts", "parts_2025", "parts_2026", "log"]


def table(name: str) -> TableName:
    return TableName(schema="public", name=name)


def elsewhere(where: str, *names: str) -> Elsewhere:
    return Elsewhere(where=where, tables=frozenset(map(table, names)), with_partitions=where.startswith("dump"))


def test_a_table_without_its_rows_is_told_with_who_has_some_and_one_that_never_had_any_is_not() -> None:
    restored = Tables(holds_rows={table("orders"): True, table("notes"): False, table("log"): False})

    lines = missing(restored, [elsewhere("app-g1", "orders", "gone"), elsewhere("dump 1", "notes", "gone")])

    assert lines == [
        "public.gone is not there, and app-g1 and dump 1 have rows of it",
        "public.notes holds no row, and dump 1 has rows of it",
    ]


def test_partitions_come_and_go_and_the_table_that_is_divided_tells_of_them() -> None:
    full = Tables(
        holds_rows={table("parts"): True},
        partitions=frozenset({table("parts_2026")}),
        divided=frozenset({table("parts")}),
    )
    emptied = Tables(holds_rows={table("parts"): False}, partitions=full.partitions, divided=full.divided)
    before = [elsewhere("dump 1", "parts_2025", "parts_2026")]

    assert missing(full, before) == []
    assert missing(emptied, before) == ["public.parts_2025 is not there, and dump 1 has rows of it"]
    assert missing(emptied, [elsewhere("app-g1", "parts")]) == ["public.parts holds no row, and app-g1 has rows of it"]


def test_what_a_database_says_that_is_no_partition_is_missed_whatever_its_name() -> None:
    restored = Tables(holds_rows={table("parts"): True}, divided=frozenset({table("parts")}))
    old, dump = elsewhere("app-g1", "parts_archive"), elsewhere("dump 1", "parts_archive", "parts_2025")

    assert missing(restored, [old, dump]) == [
        "public.parts_archive is not there, and app-g1 and dump 1 have rows of it"
    ]
    assert taken_for_partitions(restored, [old, dump]) == {table("parts_2025")}
    assert taken_for_partitions(restored, [dump]) == {table("parts_2025"), table("parts_archive")}
    assert missing(restored, [dump]) == []


def test_of_many_tables_the_first_ten_are_named() -> None:
    lines = missing(Tables(holds_rows={}), [elsewhere("app-g1", *(f"t{number:02}" for number in range(13)))])

    assert len(lines) == 11
    assert lines[9] == "public.t09 is not there, and app-g1 has rows of it"
    assert lines[10] == "so it is with 3 more tables"


def test_the_heartbeats_own_table_counts_nowhere() -> None:
    begun = datetime(2026, 3, 1, tzinfo=UTC)
    dump = manifest(DumpId("20260301T000000Z-3f9a1c"), begun, "app")
    counted = (
        TableContent(table=table("lifeboat_heartbeat"), rows=900, fingerprint="1"),
        TableContent(table=table("notes"), rows=0, fingerprint="0"),
    )

    contents = replace(dump.contents, tables=(*dump.contents.tables, *counted))

    found = of_manifest(replace(dump, contents=contents))

    assert found == elsewhere("dump 20260301T000000Z-3f9a1c", "orders")


@pytest.mark.parametrize(
    ("lines", "compared"),
    [
        ([], False),
        ([("restore", EventKind.INTENT, {})], False),
        ([("restore", EventKind.INTENT, {}), ("comparison", EventKind.NOTE, {"compared_with": []})], True),
        # RDS had lost the instance, and it was ordered anew.
        (
            [
                ("restore", EventKind.INTENT, {}),
                ("comparison", EventKind.NOTE, {"compared_with": ["app-g1"]}),
                ("restore", EventKind.INTENT, {}),
            ],
            False,
        ),
    ],
)
def test_an_instance_that_is_made_anew_is_compared_anew(
    lines: list[tuple[str, EventKind, dict[str, Any]]], compared: bool
) -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    events = [Event(seq=n, at=at, kind=kind, step=step, data=data) for n, (step, kind, data) in enumerate(lines)]

    assert is_compared(events) is compared


SOME = st.dictionaries(st.sampled_from(NAMES), st.booleans())


@given(restored=SOME, old=SOME)
def test_nothing_is_missing_where_every_table_with_rows_has_some_and_else_each_is_named(
    restored: dict[str, bool], old: dict[str, bool]
) -> None:
    here = Tables(holds_rows={table(name): holds for name, holds in restored.items()})
    there = of_tables("app-g1", Tables(holds_rows={table(name): holds for name, holds in old.items()}))

    lines = missing(here, [there])

    lost = sorted(name for name, holds in old.items() if holds and not restored.get(name))
    assert [line.split()[0] for line in lines] == [f"public.{name}" for name in lost]
