"""Dumps that fail: how they end, what they say, and that nothing of them is left in the bucket or on the machine."""

from __future__ import annotations

import json
import signal
import tempfile
import threading
import time
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from lifeboat.clients.dump_server import DumpServer
from lifeboat.database_model import ClientPrograms, DumpOutcome, Manifest, Relation, Selection, dump_id
from lifeboat.dumps import dumping
from lifeboat.dumps.dumping import Order, Origin, Tools
from lifeboat.errors import LifeboatError, WrongConfiguration

from tests.dump_sites import PASSWORD, WAIT_SECONDS, DumpSite, real_programs, scripted, waited_for


def nothing_is_left(site: DumpSite) -> None:
    """Fail when there is a version, a delete marker, an upload, a program, a session or a password file of a dump."""
    site.cloud.control("faults", clear=True)
    assert site.versions() == []
    assert site.uploads() == []
    ours = [p for p in psutil.Process().children(recursive=True) if p.name().startswith("pg_dump")]
    assert ours == []
    deadline = time.monotonic() + WAIT_SECONDS  # a session ends a moment after its client
    query = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE '%dump%' OR application_name = 'lifeboat'"
    while site.run(query):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for path in Path(tempfile.gettempdir()).glob("lifeboat-pg-*/pgpass"):
        with suppress(FileNotFoundError):
            assert "Canary-of" not in path.read_text(), path


def failed(site: DumpSite, **wanted: Any) -> LifeboatError:
    """Dump in vain, and return why."""
    (done,) = site.dump(**wanted)
    assert done.manifest is None
    assert done.problem is not None
    return done.problem


def test_a_dump_that_is_complete_is_one_though_the_connection_of_its_snapshot_breaks(site: DumpSite) -> None:
    here = site.site()
    with closing(here.dump_uploads(site.recovery())) as uploads:
        postgres = here.postgres(site.recovery())
        tools = Tools(
            postgres=postgres,
            programs=ClientPrograms(folder=str(real_programs()), version=(15,)),
            store=here.dump_store(site.recovery()),
            uploads=uploads,
        )
        order = Order(
            id=dump_id(datetime.now(UTC), "3f9a1c"),
            begun_at=datetime.now(UTC),
            database="app",
            selection=Selection(),
            jobs=1,
            cores=1,
            lock_seconds=5,
            origin=Origin(lifeboat_version="0", git_sha=None, image_tag=None, state_serial=None),
        )

        def cut(_: Manifest) -> tuple[str, ...]:
            """End the session that holds the snapshot, just before the manifest is written."""
            held = (
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'lifeboat dump'"
            )
            assert site.run(held) == [(True,)]
            return ()

        manifest = dumping.dump(tools, order, site.told, cut)

    assert [entry.id for entry in here.dump_store(site.recovery()).entries() if entry.complete] == [manifest.id]


# -- programs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pg_dump", "status", "words"),
    [
        (
            'case "$*" in *post-data*) exec "$real" "$@";; esac; "$real" "$@" | head -c 4000; kill -9 $$',
            1,
            "data-00.dump.zst (pg_dump) ended with signal 9, and said nothing",
        ),
        (
            'case "$*" in *post-data*) exec "$real" "$@";; esac; "$real" "$@" | head -c 4000; echo "no: password=x1y2z3" >&2;'
            " exit 3",
            1,
            "data-00.dump.zst (pg_dump) ended with status 3:\nno: password=(hidden)",
        ),
        (
            'case "$*" in *post-data*) exec "$real" "$@";; esac; exit 0',
            11,
            "data-00.dump.zst (pg_dump) ended with 0 and wrote no archive: 0 bytes",
        ),
        (
            'case "$*" in *post-data*) exec "$real" "$@";; esac; echo "-- plain SQL"',
            11,
            "data-00.dump.zst (pg_dump) ended with 0 and wrote no archive: 13 bytes",
        ),
    ],
    ids=["killed", "failing", "silent", "no-archive"],
)
def test_a_pg_dump_that_does_not_do_its_work_leaves_no_dump(
    site: DumpSite, tmp_path: Path, pg_dump: str, status: int, words: str
) -> None:
    programs = scripted(tmp_path / "bin", pg_dump)

    problem = failed(site.with_programs(programs))

    assert problem.summary == words
    assert problem.exit_status == status
    nothing_is_left(site)


@pytest.mark.parametrize(("version", "how"), [("14.9", "older"), ("17.2", "newer")])
def test_a_pg_dump_of_another_major_version_is_refused_before_anything_is_begun(
    site: DumpSite, tmp_path: Path, version: str, how: str
) -> None:
    programs = scripted(tmp_path / "bin", "")
    (programs / "pg_dump").write_text(f'#!/bin/sh\necho "pg_dump (PostgreSQL) {version}"\n')

    with pytest.raises(WrongConfiguration) as error:
        site.with_programs(programs).dump()

    assert error.value.summary == (
        "no PostgreSQL client of version 15\n"
        f"{programs}: {version} is {how} than the server's {site.run('SHOW server_version')[0][0].split()[0]}"
    )
    nothing_is_left(site)


# -- S3 ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "first"),
    [
        ("CreateMultipartUpload", 2),
        ("UploadPart", 1),
        ("UploadPart", 3),
        ("CompleteMultipartUpload", 1),
        ("CompleteMultipartUpload", 3),
        ("PutObject", 1),
    ],
)
def test_a_bucket_that_refuses_something_is_left_as_it_was(site: DumpSite, operation: str, first: int) -> None:
    site.fail(operation, first=first)

    problem = failed(site)

    assert problem.exit_status == 8
    assert "AccessDenied: fault asked for by the rehearsal" in problem.summary
    assert "left behind" not in problem.summary
    nothing_is_left(site)


def test_one_failure_of_s3_is_got_over(site: DumpSite) -> None:
    site.fail("UploadPart|CompleteMultipartUpload", code="InternalError", status=500, times=1)
    site.fail("CompleteMultipartUpload", code="InternalError", status=500, times=1, when="after")

    (done,) = site.dump()

    assert done.problem is None
    assert len(site.versions()) == 4


def test_what_cannot_be_taken_back_is_named(site: DumpSite) -> None:
    site.fail("CompleteMultipartUpload")
    site.fail("AbortMultipartUpload")

    problem = failed(site)

    uploads = site.uploads()
    assert len(uploads) == 3
    for key in uploads:
        assert f"to s3://{site.bucket}/{key}: AccessDenied" in problem.summary
    assert site.versions() == []


def test_by_a_role_that_may_delete_nothing_what_was_completed_is_named(site: DumpSite) -> None:
    site.fail("DeleteObject")
    site.fail("PutObject")

    problem = failed(site)

    (entry,) = site.site().dump_store(site.recovery()).entries()
    assert problem.exit_status == 8
    assert (
        f"below s3://{site.bucket}/{entry.prefix} there still are {', '.join(sorted(entry.files))}:" in problem.summary
    )
    assert problem.summary.endswith(": without a manifest they are no dump, and nothing restores them")
    assert problem.hint.startswith("lifeboat retention apply lets the bucket expire them")
    assert not entry.complete


def test_a_manifest_that_may_be_there_is_told_as_what_may_be_a_whole_dump(site: DumpSite) -> None:
    site.fail("DeleteObject")
    site.fail("PutObject", when="after")

    problem = failed(site)

    (entry,) = site.site().dump_store(site.recovery()).entries()
    assert problem.summary.endswith(": with its manifest it may be a whole dump")
    assert problem.hint == f"lifeboat verify {entry.id} --level 2 says"
    assert {*entry.files} == {
        *(f.name for f in site.site().dump_store(site.recovery()).manifest(entry).files),
        "manifest.json",
    }


def test_in_a_locked_bucket_what_was_completed_is_hidden_and_named(site: DumpSite) -> None:
    s3 = site.cloud.client("s3")
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    locked = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    s3.put_object_lock_configuration(Bucket=site.bucket, ObjectLockConfiguration=locked)
    site.fail("PutObject")

    try:
        problem = failed(site)
    finally:
        s3.put_object_lock_configuration(Bucket=site.bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})

    assert problem.summary.count("stays as a hidden version until its lock ends") == 3
    assert site.uploads() == []
    assert s3.list_objects_v2(Bucket=site.bucket).get("Contents", []) == []
    assert site.site().dump_store(site.recovery()).entries() == []


# -- the server --------------------------------------------------------------------------------------------------------


def test_a_wrong_password_is_told_without_showing_it(site: DumpSite) -> None:
    text = json.dumps({"username": "app_admin", "password": "Canary-wrong"})
    secret = site.cloud.client("secretsmanager").create_secret(Name="wrong", SecretString=text)["ARN"]
    site.output(lambda found: found["database"].update(password_secret_arn=secret))

    with pytest.raises(LifeboatError) as error:
        site.dump()

    assert error.value.exit_status == 8
    assert 'password authentication failed for user "app_admin"' in error.value.summary
    assert "Canary" not in error.value.summary
    nothing_is_left(site)


def test_a_server_that_dies_meanwhile_is_what_is_told(site: DumpSite, tmp_path: Path) -> None:
    programs = scripted(tmp_path / "bin", 'hold; exec "$real" "$@"')
    outcomes: list[DumpOutcome] = []
    thread = threading.Thread(target=lambda: outcomes.extend(site.with_programs(programs).dump()))
    thread.start()
    waited_for(programs / "started")
    rds = site.cloud.client("rds")
    name = site.database["database"]["identifier"]
    arn = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]["DBInstanceArn"]
    rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "localcloud:break", "Value": "crash"}])
    (programs / "go").touch()
    thread.join()
    rds.reboot_db_instance(DBInstanceIdentifier=name)

    (done,) = outcomes
    assert done.problem is not None
    assert done.problem.exit_status == 8
    assert "the database app at" in done.problem.summary
    nothing_is_left(site)


def test_whose_lock_is_in_the_way_is_told_and_the_next_database_is_dumped(site: DumpSite) -> None:
    site.settings("[dumps]\nlock_seconds = 1\n")
    with site.connect() as other:
        other.execute("SET application_name = 'migration 42'")
        other.execute("BEGIN")
        other.execute("LOCK TABLE filler IN ACCESS EXCLUSIVE MODE")
        first, second = site.dump("app", "second")
        pid = other.info.backend_pid

    assert first.problem is not None
    assert first.problem.exit_status == 5
    assert f"could not be locked for reading within 1 s: process {pid} (migration 42) holds public.filler" in (
        first.problem.summary
    )
    assert "LOCK TABLE" not in first.problem.summary
    assert (second.database, second.problem) == ("second", None)
    assert {key.split("/")[2] for key in site.versions()} == {"second"}


def test_an_alter_that_waits_for_us_does_not_hang_the_dump(site: DumpSite, tmp_path: Path) -> None:
    site.settings("[dumps]\nlock_seconds = 1\n")
    programs = scripted(tmp_path / "bin", 'hold; exec "$real" "$@"')
    outcomes: list[DumpOutcome] = []
    dump = threading.Thread(target=lambda: outcomes.extend(site.with_programs(programs).dump()))
    dump.start()
    waited_for(programs / "started")
    with site.connect() as other:
        pid = other.info.backend_pid
        alter = threading.Thread(target=lambda: other.execute("ALTER TABLE filler ADD COLUMN later int"))
        alter.start()
        while not site.run(f"SELECT 1 FROM pg_locks WHERE pid = {pid} AND NOT granted"):
            time.sleep(0.02)
        (programs / "go").touch()
        dump.join()
        alter.join()  # goes on as soon as the dump has let go
        other.execute("ALTER TABLE filler DROP COLUMN later")

    (done,) = outcomes
    assert done.problem is not None
    assert done.problem.exit_status == 5
    assert f"(pg_dump) waited 1 s for a lock: process {pid}" in done.problem.summary
    nothing_is_left(site)


def test_rows_that_row_security_hides_are_not_left_out_silently(site: DumpSite) -> None:
    site.run("ALTER TABLE filler ENABLE ROW LEVEL SECURITY", "ALTER TABLE filler FORCE ROW LEVEL SECURITY")
    try:
        with pytest.raises(LifeboatError) as error:
            site.dump()
    finally:
        site.run("ALTER TABLE filler DISABLE ROW LEVEL SECURITY")

    assert error.value.exit_status == 3
    assert error.value.summary == (
        "row security hides rows of public.filler from the role that dumps: they would be missing"
    )
    nothing_is_left(site)


def test_tables_that_come_while_all_are_locked_are_locked_as_well(site: DumpSite) -> None:
    times = []

    def choose(found: Any) -> list[Relation]:
        times.append(len(times))
        if len(times) == 1:
            with site.connect() as other:
                other.execute("CREATE TABLE later AS SELECT 1 AS n")
        return [relation for relation in found if relation.kind == "r"]

    server = DumpServer(site.site().postgres(site.recovery()))
    try:
        with server.snapshot(choose, lock_seconds=5) as held:
            names = [relation.name.name for relation in held.relations]
            with site.connect() as other:
                other.execute("SET lock_timeout = '100ms'")
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    other.execute("TRUNCATE later")
    finally:
        site.run("DROP TABLE later")

    assert "later" in names
    assert len(times) == 4  # once more before and once more after the locks


# -- this machine ------------------------------------------------------------------------------------------------------


def test_a_disk_that_is_full_here_stops_no_dump_for_no_row_is_written_to_it(site: DumpSite, tmp_path: Path) -> None:
    full = """
        mkdir -p .lifeboat
        for there in "$0" .lifeboat; do
            mount -t tmpfs -o size=4k none "$there" && head -c 4096 /dev/zero >"$there/full" || exit 77
        done
        TMPDIR="$0" exec "$@"
    """
    within = ("unshare", "--mount", "--map-root-user", "sh", "-c", full, str(tmp_path))

    with site.lifeboat("dump", "-e", "x", within=within) as running:
        _, err = running.communicate(timeout=WAIT_SECONDS)

    assert running.returncode == 0, err
    assert len(site.versions()) == 4


# -- the operator ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_dump_that_is_stopped_takes_everything_back(site: DumpSite, tmp_path: Path, number: signal.Signals) -> None:
    programs = scripted(tmp_path / "bin", 'hold; exec "$real" "$@"')
    with site.with_programs(programs).lifeboat("dump", "-e", "x") as running:
        waited_for(programs / "started")
        family = psutil.Process(running.pid).children(recursive=True)
        running.send_signal(number)
        out, err = running.communicate(timeout=WAIT_SECONDS)

    assert running.returncode == 130
    assert (out, PASSWORD in err) == ("", False)
    gone = {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
    assert [p for p in family if p.is_running() and p.status() not in gone] == []
    nothing_is_left(site)


def test_a_dump_that_nohup_started_outlives_its_terminal(site: DumpSite, tmp_path: Path) -> None:
    programs = scripted(tmp_path / "bin", 'hold; exec "$real" "$@"')
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which is what nohup hands on
    try:
        running = site.with_programs(programs).lifeboat("dump", "-e", "x")
    finally:
        signal.signal(signal.SIGHUP, before)
    with running:
        waited_for(programs / "started")
        running.send_signal(signal.SIGHUP)
        (programs / "go").touch()
        _, err = running.communicate(timeout=WAIT_SECONDS)

    assert running.returncode == 0, err
    assert len(site.versions()) == 4


def test_a_dump_that_is_stopped_when_it_is_complete_stays_whole(site: DumpSite) -> None:
    # The manifest is on its way when Ctrl-C comes: S3 has it, and its answer comes later.
    site.fail("PutObject", when="after", path=".*manifest.json", status=200, held=True)
    with site.lifeboat("dump", "-e", "x") as running:
        store = site.site().dump_store(site.recovery())
        while not any(entry.complete for entry in store.entries()):
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        site.cloud.control("faults", clear=True)
        _, err = running.communicate(timeout=WAIT_SECONDS)

    assert running.returncode == 130
    (entry,) = store.entries()
    assert f"{entry.id} of app was complete by then, and stays" in err
    assert {file.name for file in store.manifest(entry).files} == set(entry.files) - {"manifest.json"}
    assert site.uploads() == []


def test_no_jobs_at_all_are_refused(site: DumpSite) -> None:
    out, err = site.lifeboat("dump", "-e", "x", "--jobs", "0").communicate(timeout=WAIT_SECONDS)

    assert (out, "Invalid value for '--jobs'" in err) == ("", True)


@pytest.mark.parametrize(
    ("databases", "wanted", "words"),
    [
        (("nowhere",), {}, "there is no database nowhere on"),
        ((), {"tables": ("nothing*",)}, "nothing in the database app matches nothing*"),
        ((), {"schemas": ("sales", "none")}, "nothing in the database app matches none"),
        ((), {"schemas": ("sales",), "tables": ("filler",)}, "--schema and --table exclude each other"),
        ((), {"tables": ('a"b',)}, "is no pattern of a table"),
        (("app", "second"), {"tables": ("filler",)}, "nothing in the database second matches filler"),
    ],
)
def test_wrong_orders_are_refused_before_anything_is_begun(
    site: DumpSite, databases: tuple[str, ...], wanted: dict[str, Any], words: str
) -> None:
    with pytest.raises(WrongConfiguration) as error:
        site.dump(*databases, **wanted)

    assert words in error.value.summary
    nothing_is_left(site)


def test_a_database_that_cannot_be_dumped_keeps_no_other_from_it(site: DumpSite) -> None:
    site.run(
        "CREATE TABLE mine AS SELECT 1 AS n",
        "ALTER TABLE mine ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE mine FORCE ROW LEVEL SECURITY",
        database="second",
    )
    site.settings('[dumps]\ndatabases = ["gone", "second"]\n')

    with site.lifeboat("dump", "-e", "x", "-o", "json") as running:
        out, err = running.communicate(timeout=WAIT_SECONDS)
    site.run("DROP TABLE mine", database="second")

    app, gone, second = json.loads(out)["dumps"]
    assert (app["database"], app["problem"], app["dump"]["flags"]) == ("app", None, [])
    assert (gone["dump"], gone["problem"]["exit_status"]) == (None, 2)
    assert gone["problem"]["summary"].startswith("there is no database gone on ")
    assert (second["dump"], second["problem"]["exit_status"]) == (None, 3)
    assert "row security hides rows of public.mine" in second["problem"]["summary"]
    assert running.returncode == 3, err


def test_several_databases_end_with_the_worst_of_their_statuses(site: DumpSite) -> None:
    site.settings('[dumps]\nlock_seconds = 1\n[dumps.hooks]\nbefore = ["false"]\n')

    with site.lifeboat("dump", "-e", "x", "--database", "app", "--database", "second", "-o", "json") as running:
        out, err = running.communicate(timeout=WAIT_SECONDS)

    assert running.returncode == 1
    found = json.loads(out)["dumps"]
    assert [(one["database"], one["dump"], one["problem"]["exit_status"]) for one in found] == [
        ("app", None, 1),
        ("second", None, 1),
    ]
    assert err.count("error: the hook before the dump of") == 2
    nothing_is_left(site)
