"""What differs between a restored database and its manifest."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lifeboat.database_model import (
    Contents,
    Extension,
    LargeObjects,
    SchemaContent,
    SequenceValue,
    TableContent,
    TableName,
)
from lifeboat.decisions.comparisons import Compared, behind, compared, rows_differ

T, U, S = (TableName(schema="public", name=name) for name in ("t", "u", "s"))
WANTED = Contents(
    tables=(TableContent(table=T, rows=1000, fingerprint="a"), TableContent(table=U, rows=0, fingerprint="b")),
    sequences=(SequenceValue(sequence=S, last_value=10, is_called=True),),
    large_objects=LargeObjects(count=2, fingerprint="c"),
    extensions=(Extension(name="pg_trgm", version="1.6"),),
    schema=(
        SchemaContent(kind="indexes", count=3, fingerprint="d"),
        SchemaContent(kind="functions", count=1, fingerprint="e"),
    ),
)


def at(last: int, *, called: bool) -> SequenceValue:
    return SequenceValue(sequence=S, last_value=last, is_called=called)


def test_the_same_content_is_the_same() -> None:
    assert compared(WANTED, WANTED) == Compared(findings=())


def test_everything_that_differs_is_told() -> None:
    found = Contents(
        tables=(
            TableContent(table=T, rows=999, fingerprint="a"),
            TableContent(table=TableName(schema="public", name="v"), rows=0, fingerprint=""),
        ),
        sequences=(),
        large_objects=LargeObjects(count=1, fingerprint="c"),
        extensions=(),
    )

    assert compared(WANTED, found).findings == (
        "table public.t has 999 rows, not 1,000",
        "table public.u is missing",
        "table public.v is not in the manifest",
        "sequence public.s is missing",
        "there are 1 large objects, not 2",
        "nobody looked at the indexes",
        "nobody looked at the functions",
        "extension pg_trgm is missing",
    )


def test_content_that_differs_is_told_though_the_counts_agree() -> None:
    tables = (replace(WANTED.tables[0], fingerprint="x"), WANTED.tables[1])
    found = replace(WANTED, tables=tables, large_objects=LargeObjects(count=2, fingerprint="x"))

    assert compared(WANTED, found).findings == (
        "table public.t has 1,000 rows as it should, but other content",
        "there are 2 large objects as it should be, but their content differs",
    )


def test_definitions_that_are_missing_or_others_are_told() -> None:
    found = replace(
        WANTED,
        schema=(
            SchemaContent(kind="functions", count=1, fingerprint="x"),
            SchemaContent(kind="indexes", count=2, fingerprint="y"),
        ),
    )

    assert compared(WANTED, found).findings == (
        "there are 2 indexes, not 3",
        "there are 1 functions as it should be, but not all defined as they were",
    )


def test_that_definitions_are_not_compared_is_said() -> None:
    found = compared(replace(WANTED, schema=()), WANTED)

    assert found.findings == ()
    assert [remark.partition(":")[0] for remark in found.remarks] == ["the schema's definitions are not compared"]


def test_another_version_of_an_extension_is_a_remark() -> None:
    found = replace(WANTED, extensions=(Extension(name="pg_trgm", version="1.7"),))

    assert compared(WANTED, found) == Compared(
        findings=(), remarks=("extension pg_trgm is version 1.7 here and was 1.6",)
    )


@pytest.mark.parametrize(
    ("found", "step", "is_behind"),
    [
        (at(10, called=True), 1, False),
        (at(11, called=False), 1, False),
        (at(10, called=False), 1, True),
        (at(9, called=True), 1, True),
        (at(500, called=True), 1, False),
        (at(500, called=True), -1, True),
        (at(5, called=True), -5, False),
    ],
)
def test_a_sequence_may_be_ahead_and_never_behind(found: SequenceValue, step: int, is_behind: bool) -> None:
    assert behind(at(10, called=True), found, step=step) is is_behind


def test_rows_of_an_archive_are_those_of_the_manifest() -> None:
    config = TableName(schema="ext", name="configuration")

    assert rows_differ(WANTED, {T: 1000, U: 0, config: 7}) == []
    assert rows_differ(WANTED, {T: 1}) == [
        "table public.t: 1 rows in the archives, 1,000 in the manifest",
        "table public.u: no data in the archives, 0 rows in the manifest",
    ]
