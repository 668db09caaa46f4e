"""`lifeboat dump`: what a dump is made of, what is refused before one is begun, and that nothing is left of one that fails."""

from __future__ import annotations

from tests.dump_sites import DumpSite


def test_a_dump_holds(site: DumpSite) -> None:
    done = site.dump()

    print(done[0].problem, site.told.lines, site.versions(), site.uploads())
    print(done[0].manifest)
    assert 0
