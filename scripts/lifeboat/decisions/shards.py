"""Which of several pg_dumps dumps the rows of which tables, so that all are done at about the same time."""

from __future__ import annotations

from collections.abc import Sequence

from lifeboat.database_model import Relation, TableName

# Measured: below this, what a second pg_dump costs at its start is more than what it gains.
SMALL = 5 * 1024**3
MOST_JOBS = 4
_SMALL_SHARE = 0.01


def default_jobs(size: int, cores: int) -> int:
    """Return how many pg_dumps to run for a database of so many bytes of rows, on a machine of so many cores."""
    return 1 if size < SMALL else max(1, min(cores, MOST_JOBS))


def shards(tables: Sequence[Relation], jobs: int) -> list[tuple[TableName, ...]]:
    """Return the tables that each shard but the first names; the first dumps what none of them names, whatever it is.

    Largest first into the emptiest of `jobs` shards. Tables of less than 1 % of all bytes stay in the first.
    """
    total = sum(table.size for table in tables)
    large = [table for table in tables if table.size > 0 and table.size >= total * _SMALL_SHARE]
    loads = [total - sum(table.size for table in large)] + [0] * (jobs - 1)
    named: list[list[TableName]] = [[] for _ in loads]
    for table in sorted(large, key=lambda table: (-table.size, table.name)):
        emptiest = min(range(jobs), key=lambda number: (loads[number], number))
        loads[emptiest] += table.size
        named[emptiest].append(table.name)
    return [tuple(sorted(names)) for names in named[1:] if names]
