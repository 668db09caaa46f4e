"""Which tables a selection takes: patterns as psql has them, and nothing of the system or of extensions."""

from __future__ import annotations

from typing import Any

import pytest
from lifeboat.database_model import Relation, Selection, TableName
from lifeboat.decisions import selections


def relation(name: str, **more: Any) -> Relation:
    schema, _, short = name.partition("|")
    found = {
        "oid": 1,
        "name": TableName(schema=schema, name=short),
        "kind": "r",
        "size": 0,
        "visible": schema == "public",
        "filtered": False,
        "unlogged": False,
        "columns": (),
    }
    return Relation(**{**found, **more})


THERE = [
    relation("public|orders"),
    relation("public|Orders"),
    relation("public|orders_id_seq", kind="S", owner=TableName(schema="public", name="orders")),
    relation("sales|orders"),
    relation('sales|we"ird.*'),
    relation("public|spatial_ref_sys", extension="postgis"),
    relation("pg_catalog|pg_class"),
]


def taken(**patterns: tuple[str, ...]) -> list[str]:
    return [str(r.name) for r in selections.chosen(THERE, Selection(**patterns)).relations]


def test_all_of_a_database_is_all_but_the_system_and_extensions() -> None:
    assert taken() == ["public.Orders", "public.orders", "public.orders_id_seq", "sales.orders", 'sales.we"ird.*']


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("orders", ["public.orders", "public.orders_id_seq"]),
        ("ORDERS", ["public.orders", "public.orders_id_seq"]),
        ('"Orders"', ["public.Orders"]),
        ("*.order?", ["public.orders", "public.orders_id_seq", "sales.orders"]),
        ('sales."we""ird.*"', ['sales.we"ird.*']),
        ("sales.*", ["sales.orders", 'sales.we"ird.*']),
        ("spatial_ref_sys", []),
        ("pg_catalog.pg_class", []),
        ("order.", []),
    ],
)
def test_a_pattern_of_a_table_takes_what_psql_would_show(pattern: str, expected: list[str]) -> None:
    assert taken(tables=(pattern,)) == expected


def test_a_pattern_of_a_schema_takes_all_in_it() -> None:
    assert taken(schemas=("s*",)) == ["sales.orders", 'sales.we"ird.*']


def test_patterns_that_match_nothing_are_named() -> None:
    found = selections.chosen(THERE, Selection(tables=("orders", "customers", "x*")))

    assert found.unmatched == ("customers", "x*")


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        (Selection(), None),
        (Selection(tables=("a.b", 'a."b.c"', "*")), None),
        (Selection(schemas=("a",), tables=("b",)), "exclude each other"),
        (Selection(schemas=("a.b",)), "'a.b' is no pattern of a schema"),
        (Selection(tables=("a.b.c",)), "'a.b.c' is no pattern of a table"),
        (Selection(tables=('"a',)), "is no pattern of a table"),
        (Selection(tables=("",)), "'' is no pattern of a table"),
    ],
)
def test_patterns_that_cannot_be_meant_are_refused(selection: Selection, words: str | None) -> None:
    problem = selections.problem(selection)

    assert (problem is None) == (words is None)
    assert words is None or (problem is not None and words in problem)
