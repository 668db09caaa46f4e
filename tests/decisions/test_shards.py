"""Shards: every table in exactly one, the largest ones apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.database_model import Relation, TableName
from lifeboat.decisions import shards

GB = 1024**3


def table(name: str, size: int) -> Relation:
    return Relation(
        oid=1,
        name=TableName(schema="public", name=name),
        kind="r",
        size=size,
        visible=True,
        filtered=False,
        unlogged=False,
        columns=(),
    )


def names(sizes: dict[str, int], jobs: int) -> list[list[str]]:
    found = shards.shards([table(name, size) for name, size in sizes.items()], jobs)
    return [[name.name for name in shard] for shard in found]


@pytest.mark.parametrize(
    ("size", "cores", "jobs"),
    [(0, 8, 1), (5 * GB - 1, 8, 1), (5 * GB, 8, 4), (5 * GB, 2, 2), (900 * GB, 64, 4), (900 * GB, 1, 1)],
)
def test_a_small_database_is_read_by_one_and_a_large_one_by_at_most_four(size: int, cores: int, jobs: int) -> None:
    assert shards.default_jobs(size, cores) == jobs


@pytest.mark.parametrize(
    ("sizes", "jobs", "expected"),
    [
        ({}, 4, []),
        ({"a": 100}, 1, []),
        ({"a": 100, "b": 90}, 2, [["b"]]),
        ({"a": 50, "b": 40, "c": 30, "d": 20}, 2, [["b", "c"]]),
        # Less than 1 %: with the catch-all, whatever else is in it.
        ({"a": 1000, **{f"s{n}": 5 for n in range(40)}}, 2, [["a"]]),
        ({"empty": 0, "other": 0}, 3, []),
    ],
)
def test_the_largest_go_first_into_the_emptiest_shard(
    sizes: dict[str, int], jobs: int, expected: list[list[str]]
) -> None:
    assert names(sizes, jobs) == expected


@given(st.lists(st.integers(0, 10**12), max_size=60), st.integers(1, 8))
def test_no_table_is_named_twice_and_no_shard_is_empty(sizes: list[int], jobs: int) -> None:
    found = names({f"t{number}": size for number, size in enumerate(sizes)}, jobs)

    named = [name for shard in found for name in shard]
    assert len(named) == len(set(named))
    assert len(found) < jobs or found == []
    assert all(found)
    assert all(sizes[int(name[1:])] * 100 >= sum(sizes) for name in named)
