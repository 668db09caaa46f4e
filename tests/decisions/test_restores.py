"""Which dump is restored, what is in doubt about it, and everything that speaks against a place for it."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lifeboat.database_model import (
    Contents,
    DumpEntry,
    DumpFile,
    Extension,
    LargeObjects,
    Manifest,
    Proof,
    Selection,
    Server,
    StoredFile,
    Verdict,
    dump_id,
)
from lifeboat.decisions import restores, stored_files
from lifeboat.decisions.dump_floors import ACCEPTED
from lifeboat.decisions.extensions import Wanted, wanted
from lifeboat.decisions.restores import Elsewhere, LeftOver, Offer, Wish
from lifeboat.decisions.stored_files import Listed

AT = datetime(2026, 11, 29, 3, 15, tzinfo=UTC)
NOW = AT + timedelta(days=1)
SERVER = Server(
    version="15.18",
    version_number=150018,
    encoding="UTF8",
    collation="C.UTF-8",
    character_type="C.UTF-8",
    collation_version="",
    owner="app",
)
NAMES = ("data-00.dump.zst", "globals.sql.zst", "schema.dump.zst")
FILES = tuple(
    DumpFile(
        name=name,
        version_id=f"v-{name}",
        etag=f"e-{name}",
        crc64nvme="",
        size=10,
        sha256="",
        raw_size=20,
        raw_sha256="",
    )
    for name in NAMES
)
MANIFEST = Manifest(
    id=dump_id(AT, "3f9a1c"),
    application="app",
    environment="x",
    database="app",
    begun_at=AT,
    snapshot_at=AT,
    ended_at=AT,
    lsn="0/0",
    standby=False,
    server=SERVER,
    client_version="15.18",
    lifeboat_version="0.1.0",
    git_sha=None,
    image_tag=None,
    state_serial=None,
    selection=Selection(),
    files=FILES,
    contents=Contents(
        tables=(),
        sequences=(),
        large_objects=LargeObjects(count=0, fingerprint=""),
        extensions=(Extension(name="pg_trgm", version="1.6"),),
    ),
)
OFFER = Offer(server=SERVER, role="app", may_create=True, extensions={"pg_trgm"}, roles={"app", "crew"})
NEW = Wish(to="copy", holds=None)


def entry(*, hours: int = 0, files: tuple[str, ...] = (*NAMES, "manifest.json"), **more: Any) -> DumpEntry:
    """Return a dump's folder whose files are as the manifest has them."""
    at = AT + timedelta(hours=hours)
    return DumpEntry(
        database="app",
        id=dump_id(at, f"{hours:06x}"),
        begun_at=at,
        prefix="dumps/x/app/",
        files={
            name: StoredFile(name=name, size=10, etag=f"e-{name}", version_id=f"v-{name}", stored_at=at)
            for name in files
        },
        **more,
    )


def dated(hours: int, *, stored: int) -> DumpEntry:
    """Return a dump that says it was begun at an hour, and that S3 stored at another one."""
    made = entry(hours=hours)
    at = AT + timedelta(hours=stored)
    return replace(made, files={name: replace(file, stored_at=at) for name, file in made.files.items()})


def proof(hours: int, level: int, verdict: Verdict) -> Proof:
    return Proof(level=level, at=AT + timedelta(hours=hours), verdict=verdict)


def test_the_newest_complete_dumps_come_first_and_any_one_is_found_by_its_id() -> None:
    cut_off = entry(hours=3, files=NAMES)
    found = [entry(hours=1), entry(hours=2), cut_off]

    assert restores.newest_first(found, NOW) == [found[1], found[0]]
    assert restores.named(found, cut_off.id) == cut_off
    assert restores.named(found, dump_id(AT, "ffffff")) is None
    assert restores.newest([entry(hours=n) for n in range(9)]) == [entry(hours=n) for n in (8, 7, 6, 5, 4)]


@pytest.mark.parametrize(
    ("one", "doubt"),
    [
        (dated(26, stored=2), "it is dated in the future (2026-11-30 05:15Z)"),
        (dated(20, stored=2), "it says it was begun 2026-11-29 23:15Z, and S3 stored it 2026-11-29 05:15Z"),
    ],
)
def test_a_dump_that_is_dated_ahead_is_never_the_newest_and_in_doubt_where_it_is_named(
    one: DumpEntry, doubt: str
) -> None:
    found = [entry(hours=1), one]

    assert restores.newest_first(found, NOW) == [found[0]]
    assert restores.named(found, one.id) == one
    assert restores.doubts(one, MANIFEST, NOW) == [doubt]
    assert restores.listed_doubts(one, NOW) == [doubt]


def test_a_bucket_that_was_restored_has_a_newest_dump_all_the_same() -> None:
    found = [dated(1, stored=20), dated(2, stored=20)]

    assert restores.newest_first(found, NOW)[0] == found[1]
    assert restores.doubts(found[1], MANIFEST, NOW) == []


@pytest.mark.parametrize(
    ("proofs", "doubts"),
    [
        ((), []),
        ((proof(1, 2, Verdict.PASSED),), []),
        ((proof(1, 2, Verdict.FAILED),), ["its verification of 2026-11-29 04:15Z at level 2 failed"]),
        ((proof(1, 2, Verdict.FAILED), proof(2, 2, Verdict.PASSED)), []),
        (
            (proof(1, 3, Verdict.FAILED), proof(2, 1, Verdict.PASSED)),
            ["its verification of 2026-11-29 04:15Z at level 3 failed"],
        ),
        (
            (proof(1, 3, Verdict.PASSED), proof(2, 1, Verdict.FAILED)),
            ["its verification of 2026-11-29 05:15Z at level 1 failed"],
        ),
    ],
)
def test_a_failed_look_is_outweighed_by_a_later_one_that_is_as_deep(
    proofs: tuple[Proof, ...], doubts: list[str]
) -> None:
    assert restores.doubts(entry(proofs=proofs), MANIFEST, NOW) == doubts


def test_a_flag_is_a_doubt_until_somebody_has_accepted_it() -> None:
    flagged = replace(MANIFEST, flags=("half of it is gone", f"{ACCEPTED} by eva"))

    assert restores.doubts(entry(), flagged, NOW) == ["flagged when it was taken: half of it is gone"]
    assert restores.doubts(entry(), replace(MANIFEST, flags=(f"{ACCEPTED} by eva",)), NOW) == []


def test_nothing_speaks_against_a_new_database_on_the_same_server() -> None:
    assert restores.refusals(MANIFEST, NEW, OFFER) == []
    assert restores.refusals(MANIFEST, replace(NEW, to="app"), OFFER) == [], "the source that is gone is made again"
    assert restores.refusals(MANIFEST, Wish(to="copy", holds=[], encoding="UTF8", owner="crew"), OFFER) == []


@pytest.mark.parametrize(
    ("wish", "offer", "reason"),
    [
        (
            Wish(to="copy", holds=["2 tables", "1 view"]),
            OFFER,
            "the database copy is not empty: it holds 2 tables, 1 view",
        ),
        (
            Wish(to="copy", holds=["2 tables"], left=LeftOver(dump="20261129T031500Z-3f9a1c", under_way=False)),
            OFFER,
            "the database copy is not empty: it holds 2 tables, left by a restore of 20261129T031500Z-3f9a1c that did not"
            " come to a good end",
        ),
        (
            Wish(to="copy", holds=[], left=LeftOver(dump="20261129T031500Z-3f9a1c", under_way=True)),
            OFFER,
            "another lifeboat restore brings 20261129T031500Z-3f9a1c back into copy right now",
        ),
        (
            Wish(to="app", holds=[]),
            OFFER,
            "app is the database that the dump was taken of: a copy is restored beside it",
        ),
        (
            Wish(to="copy", holds=[], encoding="LATIN1"),
            OFFER,
            "the database copy is encoded in LATIN1, the dump in UTF8",
        ),
        (NEW, replace(OFFER, may_create=False), "the role app may not create databases"),
        (
            NEW,
            replace(OFFER, server=replace(SERVER, version="14.2", version_number=140002)),
            "the dump is of PostgreSQL 15.18, newer than the server's 14.2",
        ),
        (NEW, replace(OFFER, extensions=set()), "the server does not offer the extensions pg_trgm"),
        (replace(NEW, owner="nobody"), OFFER, "app is no member of the role nobody, or there is no such role"),
    ],
)
def test_each_reason_against_a_restore_is_said(wish: Wish, offer: Offer, reason: str) -> None:
    assert restores.refusals(MANIFEST, wish, offer) == [reason]


def test_only_a_mark_of_ours_makes_a_database_ours() -> None:
    marked = restores.left_over(restores.mark("d1"), restorers=0)

    assert marked == LeftOver(dump="d1", under_way=False)
    assert restores.left_over(restores.mark("d1"), restorers=2) == LeftOver(dump="d1", under_way=True)
    assert [restores.left_over(other, restorers=0) for other in (None, "", "the shop's")] == [None, None, None]
    assert Wish(to="copy", holds=[], left=marked).ours
    assert Wish(to="copy", holds=None).ours
    assert not Wish(to="copy", holds=[]).ours


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("copy", None),
        ("ü" * 31, None),
        ("", "it needs a name of printable characters"),
        ("a\nb", "it needs a name of printable characters"),
        ("ü" * 32, "the name has more than 63 bytes"),
        ("rdsadmin", "rdsadmin belongs to the server itself"),
    ],
)
def test_a_name_is_one_that_a_database_may_have(name: str, problem: str | None) -> None:
    assert restores.name_problem(name) == problem


# -- level 1 -----------------------------------------------------------------------------------------------------------


def test_a_listing_that_is_the_manifest_s_has_no_finding() -> None:
    assert stored_files.compared(entry(), MANIFEST) == Listed()


def test_all_that_a_listing_shows_is_told() -> None:
    there = entry(files=("data-00.dump.zst", "schema.dump.zst", "manifest.json", "data-07.dump.zst"))
    changed = replace(there.files["schema.dump.zst"], size=9, version_id="other")

    found = stored_files.compared(replace(there, files={**there.files, "schema.dump.zst": changed}), MANIFEST)

    assert found == Listed(
        findings=(
            "globals.sql.zst is missing",
            "schema.dump.zst is not what was stored: size 9, 10 in the manifest",
            "data-07.dump.zst is not of the dump",
        )
    )


def test_another_version_of_the_same_size_is_nothing_that_a_listing_can_tell() -> None:
    there = entry()
    files = {name: replace(file, version_id="new", etag="new") for name, file in there.files.items()}

    found = stored_files.compared(replace(there, files=files), MANIFEST)

    assert found == Listed(untold=NAMES)
    assert stored_files.remarks(found) == [
        "other versions than the manifest's lie here, of the same size, which their SHA-256 has to tell:"
        " data-00.dump.zst, globals.sql.zst, schema.dump.zst"
    ]


def test_a_copy_under_another_key_has_other_etags_and_is_the_same() -> None:
    there = entry()
    files = {name: replace(file, etag="of another key") for name, file in there.files.items()}

    assert stored_files.compared(replace(there, files=files), MANIFEST) == Listed()


def test_a_manifest_that_cannot_be_whole_is_told() -> None:
    manifest = replace(MANIFEST, files=(FILES[1], FILES[1]))

    assert stored_files.compared(entry(files=("globals.sql.zst", "manifest.json")), manifest).findings == (
        "the manifest names a file twice",
        "the manifest names no schema.dump.zst",
        "the manifest names no data",
    )


# -- extensions of a scratch server ------------------------------------------------------------------------------------


def test_extensions_are_made_by_the_archive_or_beforehand_or_not_at_all() -> None:
    offered = {"pg_trgm": True, "pageinspect": False, "dblink": False, "plpython3u": False}

    assert wanted(["plpgsql", "pg_trgm", "pageinspect", "dblink", "plpython3u", "aws_s3"], offered) == Wanted(
        beforehand=("pageinspect",), missing=("aws_s3",), denied=("dblink", "plpython3u")
    )


def of(database: str, name: str = "3f9a1c") -> DumpEntry:
    return DumpEntry(database=database, id=dump_id(AT, name), begun_at=AT, prefix="p/", files={})


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("app", "--database=app"),
        ("-rf", "--database=-rf"),
        ("a'b", """'--database=a'"'"'b'"""),
        ("Ödd Näme; drop", "'--database=Ödd Näme; drop'"),
    ],
)
def test_the_option_of_a_database_can_be_pasted_into_a_shell(name: str, option: str) -> None:
    assert restores.of_database(name) == option
    assert shlex.split(option) == [f"--database={name}"]


def test_a_dump_of_another_database_is_found_by_its_id() -> None:
    entries = [of("-rf"), of("app", "000001")]

    assert restores.in_other_databases(entries, dump_id(AT, "3f9a1c")) == (
        "20261129T031500Z-3f9a1c is of the database -rf: --database=-rf"
    )
    assert restores.in_other_databases(entries, dump_id(AT, "000002")) is None


def test_after_a_failure_the_other_copy_and_a_dump_of_the_same_database_are_named() -> None:
    failed = of("a'b")
    dump = """a new one: lifeboat dump '--database=a'"'"'b'"""

    alone = restores.after_failures([failed], [])
    copied = restores.after_failures([failed], [Elsewhere(entry=failed, region="eu-central-1")])
    many = restores.after_failures([failed], [Elsewhere(entry=failed, region="eu-central-1")] * 5)

    look = f"""lifeboat verify {failed.id} '--database=a'"'"'b' --region eu-central-1"""
    assert alone == f"lifeboat backups shows the others; {dump}"
    assert copied == f"the copy in the other region may be whole: {look}; {dump}"
    assert many == f"the copy in the other region may be whole: {look}, {look}, {look}, and 2 more; {dump}"
