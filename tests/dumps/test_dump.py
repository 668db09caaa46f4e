"""`lifeboat dump`: what a dump is made of, and that it is all that it says."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import zstandard
from lifeboat.database_model import Manifest, Selection, TableName
from lifeboat.decisions import manifests
from lifeboat.dumps.contents import contents
from lifeboat.errors import IntegrityFailure

from tests.dump_sites import PASSWORD, DumpSite, real_programs, scripted, waited_for
from tests.loopback_servers import http, saying

ORDERS = TableName(schema="sales", name="orders")


def dumped(site: DumpSite, *databases: str, **wanted: Any) -> Manifest:
    """Dump one database and return its manifest as the bucket has it."""
    (done,) = site.dump(*databases, **wanted)
    assert done.manifest is not None, done.problem
    store = site.site().dump_store(site.recovery())
    entry = store.entries(done.database)[-1]
    found = store.manifest(entry)
    assert found == done.manifest
    return found


_ZSTD = b"\x28\xb5\x2f\xfd"  # RFC 8878, 3.1.1


def unpacked(site: DumpSite, manifest: Manifest, file: str) -> bytes:
    """Return a file of a dump as its program wrote it, by zstd's own check."""
    return uncompressed(site.body(f"dumps/x/{manifest.database}/{manifest.id}/{file}"))


def uncompressed(body: bytes) -> bytes:
    """Return what an object holds: of a zstd frame its content."""
    return zstandard.ZstdDecompressor().decompressobj().decompress(body) if body.startswith(_ZSTD) else body


def restored(site: DumpSite, manifest: Manifest) -> None:
    """Restore a dump with PostgreSQL's own pg_restore into a new database called `copy`."""
    site.run("DROP DATABASE IF EXISTS copy", "CREATE DATABASE copy TEMPLATE template0", database="postgres")
    with site.site().postgres(site.recovery()).of("copy").program_env() as env:
        data = sorted(file.name for file in manifest.files if file.name.startswith("data-"))
        for section, file in (
            ("pre-data", "schema.dump.zst"),
            *(("data", name) for name in data),
            ("post-data", "schema.dump.zst"),
        ):
            subprocess.run(
                [real_programs() / "pg_restore", f"--section={section}", "--no-owner", "--exit-on-error", "-d", "copy"],
                input=unpacked(site, manifest, file),
                env=env,
                check=True,
            )


def listed(site: DumpSite, manifest: Manifest, file: str) -> str:
    """Return the table of contents of an archive."""
    return subprocess.run(
        [real_programs() / "pg_restore", "--list"],
        input=unpacked(site, manifest, file),
        capture_output=True,
        check=True,
    ).stdout.decode()


def test_a_dump_restores_to_the_content_that_its_manifest_tells(site: DumpSite) -> None:
    manifest = dumped(site, jobs=3)

    assert [file.name for file in manifest.files] == [
        "schema.dump.zst",
        "data-00.dump.zst",
        "data-01.dump.zst",
        "data-02.dump.zst",
        "globals.sql.zst",
    ]
    assert {str(content.table): content.rows for content in manifest.contents.tables} == {
        'public.Größen "x".y': 2,
        "public.filler": 5000,
        "public.parts_1": 100,
        "public.parts_2": 100,
        "sales.orders": 2000,
    }
    assert manifest.contents.large_objects.count == 1
    restored(site, manifest)
    with site.connect("copy") as connection:
        assert contents(connection, Selection()) == manifest.contents
    # The fingerprints tell one value of one row.
    site.run("UPDATE sales.orders SET total = total + 1 WHERE id = 77", database="copy")
    with site.connect("copy") as connection:
        found = contents(connection, Selection())
    pairs = zip(found.tables, manifest.contents.tables, strict=True)
    assert [str(now.table) for now, then in pairs if now != then] == ["sales.orders"]


def test_the_manifest_tells_what_was_stored(site: DumpSite) -> None:
    manifest = dumped(site)

    entry = site.site().dump_store(site.recovery()).entries()[-1]
    assert sorted(entry.files) == ["data-00.dump.zst", "globals.sql.zst", "manifest.json", "schema.dump.zst"]
    assert entry.complete
    for file in manifest.files:
        stored = site.body(f"{entry.prefix}{file.name}")
        raw = unpacked(site, manifest, file.name)
        assert (file.size, file.sha256) == (len(stored), hashlib.sha256(stored).hexdigest())
        assert (file.raw_size, file.raw_sha256) == (len(raw), hashlib.sha256(raw).hexdigest())
        assert entry.files[file.name].version_id == file.version_id
        assert entry.files[file.name].etag == file.etag
        shown = site.cloud.client("s3").head_object(
            Bucket=site.bucket, Key=f"{entry.prefix}{file.name}", ChecksumMode="ENABLED"
        )
        assert shown["ChecksumSHA256"] == file.parts_sha256
        assert zstandard.get_frame_parameters(stored).has_checksum
    assert (manifest.state_serial, manifest.server.major, manifest.standby) == (7, 15, False)
    assert manifest.begun_at <= manifest.snapshot_at <= manifest.ended_at
    assert site.uploads() == []
    assert len(site.versions()) == 4


def test_roles_are_told_without_their_passwords(site: DumpSite) -> None:
    text = unpacked(site, dumped(site), "globals.sql.zst").decode()

    assert "CREATE ROLE app_admin;" in text
    assert "SCRAM-SHA-256" not in text


@pytest.mark.parametrize(
    ("patterns", "tables"),
    [
        ({"schemas": ("sal*",)}, ["sales.orders"]),
        ({"tables": ("sales.orders",)}, ["sales.orders"]),
        ({"tables": ('"Größen ""x"".y"', "parts_?")}, ['public.Größen "x".y', "public.parts_1", "public.parts_2"]),
    ],
)
def test_a_part_of_a_database_is_dumped_with_its_sequences(
    site: DumpSite, patterns: dict[str, tuple[str, ...]], tables: list[str]
) -> None:
    manifest = dumped(site, **patterns)

    assert [str(content.table) for content in manifest.contents.tables] == tables
    rows = [line for line in listed(site, manifest, "data-00.dump.zst").splitlines() if "TABLE DATA" in line]
    assert len(rows) == len(tables)
    sequences = [line for line in listed(site, manifest, "data-00.dump.zst").splitlines() if "SEQUENCE SET" in line]
    assert len(sequences) == len(manifest.contents.sequences)
    assert manifest.contents.large_objects.count == 0


def test_a_stream_of_many_parts_becomes_one_object(site: DumpSite) -> None:
    site.run(
        "CREATE TABLE noise AS SELECT decode(string_agg(md5(random()::text), ''), 'hex') AS body"
        " FROM generate_series(1, 640000) n GROUP BY n % 300"
    )
    try:
        manifest = dumped(site, tables=("noise",))
    finally:
        site.run("DROP TABLE noise")

    data = manifest.files[1]
    assert data.size > 8 * 1024 * 1024
    assert data.parts_sha256.endswith("-2")
    assert hashlib.sha256(unpacked(site, manifest, data.name)).hexdigest() == data.raw_sha256


def test_what_is_truncated_meanwhile_is_in_the_dump(site: DumpSite, tmp_path: Path) -> None:
    programs = scripted(tmp_path / "bin", 'hold; exec "$real" "$@"')
    with site.with_programs(programs).lifeboat("dump", "-e", "x", "-o", "json") as running:
        waited_for(programs / "started")
        with site.connect() as connection:
            connection.execute("SET lock_timeout = '300ms'")
            with pytest.raises(Exception, match="lock timeout"):
                connection.execute("TRUNCATE filler")
            # What other sessions may do is not in the dump either.
            connection.execute("DELETE FROM filler WHERE n > 100")
        (programs / "go").touch()
        out, err = running.communicate()
    site.run("INSERT INTO filler SELECT n, repeat(md5(n::text), 4) FROM generate_series(101, 5000) n")

    assert running.returncode == 0, err
    (done,) = json.loads(out)["dumps"]
    manifest = manifests.read(site.body(f"dumps/x/app/{done['dump']['id']}/manifest.json"))
    assert {str(c.table): c.rows for c in manifest.contents.tables}["public.filler"] == 5000
    assert unpacked(site, manifest, "data-00.dump.zst").count(b"4999\t") == 1


def everybody_sees(pid: int) -> Iterator[str]:
    """Give command line and environment of a process and of each that it started and that is still there."""
    head = psutil.Process(pid)
    for process in [head, *head.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            yield " ".join(process.cmdline()) + str(process.environ())


def test_the_password_is_nowhere_to_be_seen(site: DumpSite, tmp_path: Path) -> None:
    programs = scripted(tmp_path / "bin", 'hold; exec "$real" "$@"')
    with site.with_programs(programs).lifeboat("dump", "-e", "x", "-o", "json") as running:
        try:
            waited_for(programs / "started")
            seen = list(everybody_sees(running.pid))
        finally:
            (programs / "go").touch()
        out, err = running.communicate()

    assert running.returncode == 0, err
    assert any("pg_dump" in text for text in seen)
    files = [uncompressed(site.body(key)) for key in site.versions()]
    shown = "\n".join([*seen, out, err, *(body.decode(errors="replace") for body in files)])
    assert "PostgreSQL database cluster dump" in shown, "the globals are looked into, where a password would be"
    assert PASSWORD not in shown
    assert "Canary" not in shown
    assert not [path for text in seen for path in text.split("'") if "lifeboat-pg-" in path and Path(path).exists()]


def test_a_dump_that_shrank_is_kept_and_flagged_until_it_is_accepted(site: DumpSite) -> None:
    site.run("CREATE TABLE saved AS TABLE filler", "TRUNCATE filler", "ALTER TABLE saved SET SCHEMA sales")
    try:
        site.run("INSERT INTO filler TABLE sales.saved")
        (large,) = site.dump(tables=("filler",))
        site.run("TRUNCATE filler")
        (small,) = site.dump(tables=("filler",))
        (again,) = site.dump(tables=("filler",))
        (accepted,) = site.dump(tables=("filler",), accepting=True)
        (after,) = site.dump(tables=("filler",))
    finally:
        site.run("TRUNCATE filler", "INSERT INTO filler TABLE sales.saved", "DROP TABLE sales.saved")

    assert large.problem is None
    for done in (small, again):
        assert isinstance(done.problem, IntegrityFailure)
        assert done.manifest is not None
        assert "% below the median of the last 1 good dumps" in done.manifest.flags[0]
        assert done.problem.hint.endswith("lifeboat dump --accept-smaller")
    assert (accepted.problem, after.problem) == (None, None)
    assert after.manifest is not None
    assert after.manifest.flags == ()


def test_a_dump_that_has_no_readable_one_to_be_measured_by_is_kept_and_flagged(site: DumpSite) -> None:
    before = dumped(site)
    key = f"dumps/x/app/{before.id}/manifest.json"
    site.cloud.client("s3").put_object(Bucket=site.bucket, Key=key, Body=b"{}")

    (done,) = site.dump()

    assert isinstance(done.problem, IntegrityFailure)
    assert done.manifest is not None
    assert done.manifest.flags == (
        "nobody can tell whether it shrank: none of the 1 dumps before it can be read and is not flagged itself",
    )
    assert done.problem.hint.endswith("lifeboat dump --accept-smaller")
    (accepted,) = site.dump(accepting=True)
    assert accepted.problem is None


def test_leftovers_of_dumps_that_were_cut_off_are_aborted_in_the_end(site: DumpSite) -> None:
    s3 = site.cloud.client("s3")
    old, new = "20200101T000000Z-aaaaaa", "29990101T000000Z-bbbbbb"
    keys = [f"dumps/x/app/{old}/data-00.dump.zst", f"dumps/x/app/{new}/data-00.dump.zst", "dumps/other/else"]
    for key in keys:
        s3.create_multipart_upload(Bucket=site.bucket, Key=key)

    dumped(site)

    assert sorted(site.uploads()) == sorted(keys[1:])
    assert f"aborted what a dump that was cut off left: s3://{site.bucket}/{keys[0]}" in site.told.lines


def test_hooks_hear_of_the_dump_and_of_what_came_of_it(site: DumpSite, tmp_path: Path) -> None:
    script = tmp_path / "hook"
    script.write_text(
        f'#!/bin/sh\necho "$1 $LIFEBOAT_ENVIRONMENT $LIFEBOAT_DATABASE $LIFEBOAT_DUMP_ID $LIFEBOAT_OUTCOME'
        f' $LIFEBOAT_EXIT_STATUS" >> {tmp_path}/heard; env >> {tmp_path}/env; exit "$2"\n'
    )
    script.chmod(0o755)

    def hooks(before: int, after: int) -> None:
        site.settings(
            f'[dumps.hooks]\nbefore = ["{script}", "before", "{before}"]\nafter = ["{script}", "after", "{after}"]\n'
        )

    hooks(0, 0)
    (good,) = site.dump()
    hooks(3, 0)
    (refused,) = site.dump()
    hooks(0, 1)
    (left,) = site.dump()

    heard = [line.strip() for line in (tmp_path / "heard").read_text().splitlines()]
    assert heard == [
        f"before x app {good.id}",
        f"after x app {good.id} dumped 0",
        f"before x app {refused.id}",
        f"after x app {refused.id} failed 1",
        f"before x app {left.id}",
        f"after x app {left.id} dumped 0",
    ]
    assert good.problem is None
    assert refused.problem is not None
    assert (refused.manifest, refused.problem.exit_status) == (None, 1)
    assert refused.problem.summary.startswith("the hook before the dump of app: ")
    assert left.manifest is not None
    assert left.problem is not None
    assert left.problem.exit_status == 12
    assert "Canary" not in (tmp_path / "env").read_text()


def fingerprint(site: DumpSite, values: str, *settings: str) -> str:
    """Return the fingerprint of a table with these rows, as a session with some settings takes it."""
    site.run("DROP TABLE IF EXISTS probe", "CREATE TABLE probe (a text, b text, r real, t timestamptz, x bytea)")
    site.run(f"INSERT INTO probe VALUES {values}")
    try:
        with site.connect() as connection:
            for setting in settings:
                connection.execute(f"SET {setting}".encode())
            (found,) = contents(connection, Selection(tables=("probe",))).tables
    finally:
        site.run("DROP TABLE probe")
    return found.fingerprint


def test_a_fingerprint_is_of_the_rows_and_of_nothing_else(site: DumpSite) -> None:
    one, two = "('a', 'b', 0.1, '2026-01-01Z', '\\x00ff')", "('c', NULL, 'NaN', 'infinity', NULL)"
    usual = fingerprint(site, f"{one}, {two}")

    assert fingerprint(site, f"{two}, {one}") == usual
    odd = ("DateStyle = 'German'", "TimeZone = 'Asia/Tokyo'", "extra_float_digits = -15", "bytea_output = 'escape'")
    assert fingerprint(site, f"{one}, {two}", *odd) == usual
    others = [
        f"{one}, {two}, {two}",
        f"{one}, {one}, {two}",
        one,
        f"{one}, {two.replace('NULL, ', repr('') + ', ', 1)}",
        f"{one.replace('0.1', '0.10000001')}, {two}",
        f"{one.replace('a', 'a,b').replace(', ' + repr('b'), ', NULL')}, {two}",
    ]
    found = [fingerprint(site, other) for other in others]
    assert len({usual, *found}) == len(others) + 1


def test_tables_and_columns_may_be_called_as_what_a_fingerprint_is_made_with(site: DumpSite) -> None:
    site.run('CREATE TABLE rendered (content text, rendered int, "row" int, oid int)')
    try:
        with site.connect() as connection:
            (found,) = contents(connection, Selection(tables=("rendered",))).tables
    finally:
        site.run("DROP TABLE rendered")

    assert (found.rows, len(found.fingerprint)) == (0, 64)


@pytest.mark.parametrize(
    ("says", "image"),
    [({"status": "ok", "image": "registry.example.com/app:7"}, "registry.example.com/app:7"), ({"status": "ok"}, None)],
)
def test_the_manifest_names_the_image_that_runs_and_none_where_nobody_tells(
    site: DumpSite, says: dict[str, str], image: str | None
) -> None:
    named = site.plain.root / "environments" / "x.tfvars"
    before = named.read_text()
    named.write_text('instance = {\n  app_image = "registry.example.com/app:1"\n}\n')

    with saying(http(json.dumps(says).encode())) as port:
        site.output(lambda found: found["app"].update(url=f"http://127.0.0.1:{port}", address="127.0.0.1"))
        manifest = dumped(site)
    site.output()
    named.write_text(before)

    told = [line for line in site.told.lines if line.startswith("nobody tells which image of the application runs")]
    assert manifest.image_tag == image
    assert bool(told) is (image is None)
