"""A sample of the damaged dumps, every kind of them; `make test-damage` looks at all."""

from __future__ import annotations

from collections import Counter

import pytest
from lifeboat.dumps.restoring import Tellers
from lifeboat.dumps.verifying import Depth, restored_on_scratch

from tests.damage import corpus, report
from tests.damage.corpus import Case
from tests.damage.sources import sources
from tests.restores.servers import RdsServer, StockDump

_OF_A_KIND = 2
_OF_THE_LISTING = {"stray file"}
# What a digest cannot show, since it is of the wrong bytes already: as many rows as there were, with other values.
_BEYOND_LEVEL_2 = {"wrong content, a value", "wrong content, a row changed"}


@pytest.fixture(scope="module")
def everything(rds: RdsServer) -> tuple[StockDump, list[Case]]:
    """The sound dump, and the whole corpus."""
    made = sources(rds)
    return made.sound, list(corpus.cases(made))


def test_the_corpus_is_large_and_of_many_kinds(everything: tuple[StockDump, list[Case]]) -> None:
    kinds = Counter(case.kind for case in everything[1])

    assert sum(kinds.values()) >= 500
    assert len(kinds) >= 12
    assert all(
        case.dump.files != everything[0].files or case.dump.manifest != everything[0].manifest for case in everything[1]
    )


def test_the_dump_that_it_is_made_of_is_sound(everything: tuple[StockDump, list[Case]]) -> None:
    sound = Case(kind="sound", name="", dump=everything[0], uploaded=everything[0].manifest)

    assert report.by_reading(sound) == []
    assert report.by_restoring(sound) == []
    assert not report.by_table_of_contents(sound)


def test_level_2_finds_what_bytes_can_show_and_level_3_the_rest(everything: tuple[StockDump, list[Case]]) -> None:
    seen: Counter[str] = Counter()
    for case in everything[1][::3]:
        seen[case.kind] += 1
        if seen[case.kind] > _OF_A_KIND:
            continue
        found = report.by_reading(case)
        if case.kind in _OF_THE_LISTING:
            # What is not in the manifest is never read.
            assert found == []
            assert [finding.partition(" ")[2] for finding in report.by_listing(case)] == ["is not of the dump"]
        elif case.kind in _BEYOND_LEVEL_2:
            assert found == [], case
            assert restored_on_scratch(case.dump.copy(), Depth(level=3), _QUIET)[0] != [], case.name
        else:
            assert found != [], (case.kind, case.name)


_QUIET = Tellers(say=lambda _: None, tell=lambda *_: None)
