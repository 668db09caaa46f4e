"""`lifeboat restore` and `lifeboat verify` with dumps that `lifeboat dump` made: what they do, and all that they refuse."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lifeboat.clients.dump_store import DumpStore
from lifeboat.commands import restore as restore_command
from lifeboat.commands import verify as verify_command
from lifeboat.commands.restore import Asked, Done
from lifeboat.commands.verify import Which
from lifeboat.database_model import DumpId, Extension, Manifest, Verdict
from lifeboat.decisions import manifests
from lifeboat.decisions.comparisons import NO_DEFINITIONS
from lifeboat.decisions.samples import Share
from lifeboat.dumps.restoring import Tellers
from lifeboat.dumps.verifying import Depth
from lifeboat.errors import (
    ApprovalMissing,
    Failed,
    IntegrityFailure,
    LifeboatError,
    NothingFits,
    Refused,
    Unreachable,
    WrongConfiguration,
)
from psycopg import sql

from tests import command_line
from tests.gitlab_sites import DR_REGION, DUMP_BUCKET, RECOVERY
from tests.restores.dump_sites import CLEAN, DumpSite
from tests.restores.servers import BIN, schema_text, session

ASKED = Asked(wanted=None, database=None, to="copy", jobs=2, owner=None, grants=False, accept_flagged=False)
QUIET = Tellers(say=lambda _: None, tell=lambda *_: None)
NOW = datetime.now(UTC)  # some week
NEWEST = Which(wanted=None, every=False, share=None, database=None, now=NOW)


@pytest.fixture(scope="module")
def manifest(place: DumpSite, everything_database: str) -> Manifest:
    """The dump of the database with everything."""
    return place.dump(everything_database)[0]


@pytest.fixture
def small(place: DumpSite) -> Manifest:
    """A dump of a database of its own, for a test to spoil."""
    source = place.rds.new_database("small")
    with session(source) as connection:
        connection.execute("CREATE TABLE t AS SELECT n FROM generate_series(1, 10) AS n")
    return place.dump("small")[0]


def restore(place: DumpSite, asked: Asked, agreed: Callable[[object], None] = lambda _: None) -> Done:
    told = Tellers(say=place.told.append, warn=place.told.append, tell=lambda *_: None)
    return restore_command.run(place.site(), told, agreed, asked)


def refused(place: DumpSite, asked: Asked, kind: type[LifeboatError]) -> LifeboatError:
    """Return the error of a restore that changed nothing."""
    before = databases(place)
    with pytest.raises(kind) as raised:
        restore(place, asked)
    assert databases(place) == before
    return raised.value


def databases(place: DumpSite) -> list[str]:
    with place.rds.admin() as connection:
        return [row[0] for row in connection.execute("SELECT datname FROM pg_database ORDER BY 1").fetchall()]


def drop(place: DumpSite, *names: str) -> None:
    with place.rds.admin() as connection:
        for name in names:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def rewritten(place: DumpSite, manifest: Manifest, **changes: object) -> None:
    """Write another manifest over a dump's."""
    body = manifests.written(replace(manifest, **changes))  # type: ignore[arg-type]
    place.s3.put_object(Bucket=DUMP_BUCKET, Key=place.key(manifest, "manifest.json"), Body=body)


# -- what it does ------------------------------------------------------------------------------------------------------


def test_a_dump_comes_back_through_the_command_line(place: DumpSite, manifest: Manifest) -> None:
    drop(place, 'it\'s "back"')

    done = place.lifeboat("restore", manifest.id, "--to", 'it\'s "back"', "--yes", "-o", "json")

    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["dump"], document["findings"], document["large_objects"]) == (manifest.id, [], 21)
    assert document["rows"] == sum(content.rows for content in manifest.contents.tables)
    assert schema_text(place.rds.master('it\'s "back"')) == schema_text(place.rds.master("everything"))


def test_nothing_is_made_before_it_is_agreed_to(place: DumpSite, manifest: Manifest) -> None:
    done = place.ask("restore", manifest.id, "--to", "unasked")

    assert done.returncode == 7
    assert f"create database unasked at {place.rds.cluster.address}:5432, beside everything" in done.stderr
    assert "leave out COMMENT EXTENSION pg_trgm" in done.stderr
    unchecked = (
        f"nobody checks that {place.rds.cluster.address} is the database: [database] ca_file names its authorities"
    )
    assert unchecked in " ".join(done.stderr.split())
    assert "unasked" not in databases(place)


def test_old_programs_are_restored_with_and_their_holes_are_told_first(
    place: DumpSite, small: Manifest, temporary: Path
) -> None:
    folder = temporary / "programs"
    folder.mkdir(mode=0o755)
    program = folder / "pg_restore"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo "pg_restore (PostgreSQL) 15.13" && exit\nexec {BIN}/pg_restore "$@"\n'
    )
    program.chmod(0o755)
    asked = ("restore", small.id, "--database", "small", "--to", "copy", "-e", "x")
    drop(place, "copy")

    unasked = command_line.run(place.root, *asked, env={**CLEAN, "PG_BIN": str(folder)})
    done = command_line.run(place.root, *asked, "--yes", env={**CLEAN, "PG_BIN": str(folder)})

    told = "pg_restore 15.13 has known holes (CVE-2025-8714, CVE-2025-8715, CVE-2026-6477); 15.18 closes them"
    assert unasked.returncode == 7
    assert told in " ".join(unasked.stderr.split())
    assert (done.returncode, told in " ".join(done.stderr.split())) == (0, True)
    drop(place, "copy")


def test_an_empty_database_is_filled_and_owned_by_whom_is_named(place: DumpSite, small: Manifest) -> None:
    with place.rds.admin() as connection:
        connection.execute("DROP ROLE IF EXISTS crew")
        connection.execute("CREATE ROLE crew ROLE app")
    place.rds.new_database("copy")
    with place.rds.admin() as connection:
        connection.execute("GRANT CREATE ON DATABASE copy TO crew")
    with place.rds.admin("copy") as connection:
        connection.execute("GRANT CREATE ON SCHEMA public TO crew")

    done = restore(place, replace(ASKED, wanted=small.id, database="small", owner="crew"))

    assert done.restored.compared.findings == ()
    with place.rds.admin("copy") as connection:
        assert connection.execute("SELECT tableowner FROM pg_tables WHERE tablename = 't'").fetchone() == ("crew",)
    drop(place, "copy")


def test_the_source_that_is_gone_is_made_again(place: DumpSite, small: Manifest) -> None:
    drop(place, "small")

    done = restore(place, replace(ASKED, wanted=small.id, database="small", to="small"))

    assert done.restored.compared.findings == ()


def test_a_dump_that_was_accepted_as_the_new_measure_is_in_no_doubt(place: DumpSite, small: Manifest) -> None:
    with session(place.rds.master("small")) as connection:
        connection.execute("TRUNCATE t")
    (accepted,) = place.dump("small", accepting=True)
    drop(place, "copy")

    done = restore(place, replace(ASKED, wanted=accepted.id, database="small"))

    assert len(accepted.flags) == 1
    assert done.restored.compared.findings == ()
    assert [content.rows for content in done.restored.contents.tables] == [0]
    drop(place, "copy")


def test_tables_that_were_dumped_by_name_come_back_alone(place: DumpSite, everything_database: str) -> None:
    (part,) = place.dump(everything_database, tables=("audit.hashed*", "public.children", "public.parents"))
    drop(place, "copy")

    done = restore(place, replace(ASKED, wanted=part.id))
    proof = verify_command.run(place.site(), QUIET, replace(NEWEST, wanted=part.id), Depth(level=3))[0].proof

    assert done.restored.compared.findings == ()
    assert sorted(str(content.table) for content in done.restored.contents.tables) == [
        "audit.hashed_0",
        "audit.hashed_1",
        "public.children",
        "public.parents",
    ]
    assert proof is not None
    assert proof.findings == ()
    drop(place, "copy")


def test_the_newest_dump_is_of_all_and_a_part_is_restored_by_its_id_and_called_that(place: DumpSite) -> None:
    with session(place.rds.new_database("parted")) as connection:
        connection.execute("CREATE TABLE a AS SELECT 1 AS n; CREATE TABLE b AS SELECT 2 AS n")
    (whole,) = place.dump("parted")
    (part,) = place.dump("parted", tables=("b",))
    drop(place, "copy")

    newest = place.ask("restore", "latest", "--database", "parted", "--to", "copy", "--yes", "-o", "json")
    asked = place.ask("restore", part.id, "--database", "parted", "--to", "unasked")
    drop(place, "copy")
    named = place.ask("restore", part.id, "--database", "parted", "--to", "copy", "--yes")
    drop(place, "copy")
    read = place.ask("restore", part.id, "--database", "parted", "--to", "copy", "--yes", "-o", "json")
    week = replace(NEWEST, share=Share(part=1, whole=9999), database="parted")

    assert (json.loads(newest.stdout)["dump"], json.loads(newest.stdout)["part"]) == (whole.id, None)
    assert "it holds a part: only the tables b of parted" in asked.stderr
    assert "only the tables b of parted" in named.stdout
    assert "rows, fingerprints and sequences are the manifest's" in named.stdout
    assert json.loads(read.stdout)["part"] == "only the tables b of parted"
    assert [e.id for e in verify_command.chosen(place.site(), place.store, replace(NEWEST, database="parted"))] == [
        whole.id
    ]
    assert whole.id in [entry.id for entry in verify_command.chosen(place.site(), place.store, week)]
    drop(place, "copy")


def test_parts_alone_are_no_newest_dump(place: DumpSite) -> None:
    with session(place.rds.new_database("pieces")) as connection:
        connection.execute("CREATE TABLE a AS SELECT 1 AS n")
    (part,) = place.dump("pieces", tables=("a",))

    error = refused(place, replace(ASKED, database="pieces"), NothingFits)

    assert error.summary.startswith("there is no dump of all of pieces in s3://")
    assert f"{part.id}  of " in error.summary
    assert error.summary.endswith("complete, of a part")
    assert error.hint == "name a part by its id, or make one of all: lifeboat dump"


# -- what it refuses ---------------------------------------------------------------------------------------------------


def test_a_database_that_is_not_empty_is_refused_with_what_is_in_it(place: DumpSite, small: Manifest) -> None:
    other = place.rds.new_database("copy")
    with session(other) as connection:
        connection.execute("CREATE TABLE a(); CREATE TABLE b(); CREATE SEQUENCE s; SELECT lo_create(0)")

    error = refused(place, replace(ASKED, wanted=small.id, database="small"), Refused)

    assert "the database copy is not empty: it holds 2 tables, 1 sequence, 1 large object" in error.summary
    drop(place, "copy")


def test_what_is_to_be_typed_for_an_odd_name_can_be_pasted(place: DumpSite) -> None:
    with session(place.rds.new_database("odd name; drop")) as connection:
        connection.execute("CREATE TABLE t (n int)")
    place.dump("odd name; drop")

    error = refused(place, replace(ASKED, database="odd name; drop", to="odd name; drop"), Refused)

    assert error.hint == "name a database that does not exist yet: --to 'odd name; drop_restored'"


def test_the_source_is_refused_as_target(place: DumpSite, manifest: Manifest) -> None:
    error = refused(place, replace(ASKED, to="everything"), Refused)

    assert "everything is the database that the dump was taken of: a copy is restored beside it" in error.summary


def test_an_unknown_id_names_the_newest(place: DumpSite, manifest: Manifest) -> None:
    error = refused(place, replace(ASKED, wanted=DumpId("20200101T000000Z-000000")), NothingFits)

    assert "there is no dump 20200101T000000Z-000000 of everything in s3://" in error.summary
    assert manifest.id in error.summary
    assert error.exit_status == 6


def test_a_dump_that_is_dated_ahead_is_not_called_the_newest_and_the_list_says_why(
    place: DumpSite, small: Manifest
) -> None:
    later = f"{NOW + timedelta(days=2):%Y%m%dT%H%M%SZ}-000000"
    there = place.key(small, "manifest.json")
    body = place.s3.get_object(Bucket=DUMP_BUCKET, Key=there)["Body"].read()
    place.s3.put_object(Bucket=DUMP_BUCKET, Key=there.replace(small.id, later).replace("/small/", "/ahead/"), Body=body)

    error = refused(place, replace(ASKED, database="ahead"), NothingFits)

    assert f"{later}  of " in error.summary
    assert "it is dated in the future" in error.summary


def test_a_dump_under_a_key_that_is_disabled_is_refused_and_the_key_is_named(place: DumpSite) -> None:
    kms = place.cloud.client("kms")
    key = kms.create_key()["KeyMetadata"]
    default = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key["Arn"]}}
    place.s3.put_bucket_encryption(Bucket=DUMP_BUCKET, ServerSideEncryptionConfiguration={"Rules": [default]})
    with session(place.rds.new_database("sealed")) as connection:
        connection.execute("CREATE TABLE t (n int)")
    place.dump("sealed")
    place.s3.delete_bucket_encryption(Bucket=DUMP_BUCKET)
    kms.disable_key(KeyId=key["KeyId"])
    before = databases(place)

    error = refused(place, replace(ASKED, database="sealed"), Unreachable)

    assert "KMS.DisabledException" in error.summary
    assert f"aws kms enable-key --key-id {key['Arn']} --region eu-west-1 where it is disabled" in error.hint
    assert (error.exit_status, databases(place)) == (8, before)


def test_a_dump_whose_manifest_was_deleted_is_told_from_one_that_was_never_finished(
    place: DumpSite, small: Manifest
) -> None:
    place.s3.delete_object(Bucket=DUMP_BUCKET, Key=place.key(small, "manifest.json"))

    error = refused(place, replace(ASKED, wanted=small.id, database="small"), IntegrityFailure)

    assert error.summary.startswith(f"{small.id}: its manifest was deleted: version ")
    assert error.hint == "its copy may be whole: the same command with --region eu-central-1"
    for version in place.s3.list_object_versions(Bucket=DUMP_BUCKET, Prefix=place.key(small, "manifest.json"))[
        "Versions"
    ]:
        place.s3.delete_object(
            Bucket=DUMP_BUCKET, Key=version["Key"], VersionId=version["VersionId"], BypassGovernanceRetention=True
        )

    error = refused(place, replace(ASKED, wanted=small.id, database="small"), Refused)

    assert error.summary == f"{small.id} never became a dump: it has no manifest, so it was cut off while it was taken"
    assert error.hint == "lifeboat backups shows those that are complete"


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"environment": "production"}, IntegrityFailure, "is of another place"),
        ({"application": "shop"}, IntegrityFailure, "is of another place"),
        ({"database": "other"}, IntegrityFailure, "is of another place"),
        (
            {"flags": ("half of its tables are gone",)},
            Refused,
            "flagged when it was taken: half of its tables are gone",
        ),
    ],
)
def test_a_dump_of_another_place_or_in_doubt_is_refused(
    place: DumpSite, small: Manifest, changes: dict[str, object], kind: type[LifeboatError], words: str
) -> None:
    rewritten(place, small, **changes)

    assert words in refused(place, replace(ASKED, wanted=small.id, database="small"), kind).summary


def test_the_command_that_restores_a_doubtful_dump_in_spite_of_it_does(place: DumpSite, small: Manifest) -> None:
    rewritten(place, small, flags=("half of its tables are gone",))
    drop(place, "it's")
    asked = replace(ASKED, wanted=small.id, database="small", to="it's")

    hint = refused(place, asked, Refused).hint
    words = shlex.split(hint.partition("; lifeboat ")[2].removesuffix(" takes this one in spite of it"))
    done = place.ask(*words[:-2], "--yes")

    assert words[-2:] == ["-e", "x"]
    assert done.returncode == 0, done.stderr
    assert "it's" in databases(place)
    drop(place, "it's")


def test_a_manifest_of_a_newer_format_is_refused(place: DumpSite, small: Manifest) -> None:
    body = manifests.written(small).replace(b'"format": 1', b'"format": 2')
    place.s3.put_object(Bucket=DUMP_BUCKET, Key=place.key(small, "manifest.json"), Body=body)

    error = refused(place, replace(ASKED, wanted=small.id, database="small"), IntegrityFailure)

    assert "its format is 2, and this lifeboat knows 1" in error.summary


def test_everything_that_the_server_lacks_is_said_at_once(place: DumpSite, small: Manifest) -> None:
    rewritten(
        place,
        small,
        server=replace(small.server, version="99.1", version_number=990001),
        contents=replace(small.contents, extensions=(Extension(name="aws_s3", version="1.0"),)),
    )

    error = refused(place, replace(ASKED, wanted=small.id, database="small", owner="nobody here"), Refused)

    assert error.summary.splitlines()[1:] == [
        "  the dump is of PostgreSQL 99.1, newer than the server's 15.18",
        "  the server does not offer the extensions aws_s3",
        "  app is no member of the role nobody here, or there is no such role",
    ]


@pytest.mark.parametrize("name", ["postgres", "rdsadmin", "x" * 64, "a\nb"])
def test_a_name_that_no_copy_may_have_is_refused(place: DumpSite, small: Manifest, name: str) -> None:
    assert refused(place, replace(ASKED, wanted=small.id, database="small", to=name), Refused).exit_status == 3


def test_a_file_that_was_written_over_is_found_before_anything_is_made(place: DumpSite, small: Manifest) -> None:
    key = place.key(small, "data-00.dump.zst")
    place.s3.put_object(Bucket=DUMP_BUCKET, Key=key, Body=b"other")

    error = refused(place, replace(ASKED, wanted=small.id, database="small"), IntegrityFailure)

    assert "data-00.dump.zst is not what was stored: size 5," in error.summary


def test_a_failed_look_is_proven_and_a_restore_needs_a_second_word(place: DumpSite, small: Manifest) -> None:
    place.s3.put_object(Bucket=DUMP_BUCKET, Key=place.key(small, "stray"), Body=b"")
    which = replace(NEWEST, wanted=small.id, database="small")

    done = verify_command.run(place.site(), QUIET, which, Depth(level=1))

    proof = done[0].proof
    assert proof is not None
    assert (proof.verdict, proof.findings) == (Verdict.FAILED, ("stray is not of the dump",))
    with pytest.raises(IntegrityFailure, match="1 of 1 copies failed"):
        verify_command.require_sound(done)
    entry = next(e for e in place.store.entries("small") if e.id == small.id)
    assert [(p.level, p.verdict) for p in entry.proofs] == [(1, Verdict.FAILED)]
    assert place.store.proof(entry, entry.proofs[0]).findings == proof.findings
    place.s3.delete_object(Bucket=DUMP_BUCKET, Key=place.key(small, "stray"))
    drop(place, "copy")
    asked = replace(ASKED, wanted=small.id, database="small")
    assert "at level 1 failed" in refused(place, asked, Refused).summary
    assert restore(place, replace(asked, accept_flagged=True)).restored.compared.findings == ()
    drop(place, "copy")


def test_a_restore_that_fails_says_what_is_left_and_how_to_remove_it(place: DumpSite) -> None:
    source = place.rds.new_database("granted")
    with place.rds.admin("granted") as connection:
        connection.execute("CREATE ROLE guest")
        connection.execute("CREATE TABLE t AS SELECT 1 AS n; ALTER TABLE t OWNER TO app; GRANT SELECT ON t TO guest")
    (manifest,) = place.dump(source.address.database)
    with place.rds.admin("granted") as connection:
        connection.execute("DROP OWNED BY guest; DROP ROLE guest")
    drop(place, "copy")
    asked = replace(ASKED, wanted=manifest.id, database="granted")

    with pytest.raises(Failed) as raised:
        restore(place, replace(asked, grants=True))

    host = f"-h {place.rds.cluster.address} -p 5432 -U app -d postgres"
    assert raised.value.summary == (
        'schema.dump.zst: pg_restore ended with status 1: could not execute query: ERROR:  role "guest" does not exist'
        "\nthe database copy is left, not whole"
    )
    assert raised.value.hint == (
        'create it first (CREATE ROLE "guest"), or leave --with-grants out\n'
        f"  psql {host} -c 'DROP DATABASE \"copy\" WITH (FORCE)'"
    )
    again = refused(place, asked, Refused)
    assert again.summary.endswith(f", left by a restore of {manifest.id} that did not come to a good end")
    assert again.hint == (
        f"to remove what is left there: psql {host} -c 'DROP DATABASE \"copy\" WITH (FORCE)'\n"
        "  or name a database that does not exist yet: --to granted_restored"
    )
    drop(place, "copy")
    assert restore(place, asked).restored.compared.findings == ()
    whole = refused(place, asked, Refused)
    assert "left by a restore" not in whole.summary
    assert whole.hint == "name a database that does not exist yet: --to granted_restored"
    drop(place, "copy")


def test_an_empty_database_that_was_there_before_is_not_offered_to_be_dropped(place: DumpSite, small: Manifest) -> None:
    drop(place, "mine")
    place.rds.new_database("mine")

    done = place.lifeboat("restore", small.id, "--database", "small", "--to", "mine", "--yes")

    assert done.returncode == 0, done.stderr
    assert "mine holds" in done.stdout
    assert "DROP DATABASE" not in done.stdout + done.stderr
    assert not done.stderr.rstrip().endswith("time:")
    drop(place, "mine")


def test_agreement_that_is_refused_changes_nothing(place: DumpSite, small: Manifest) -> None:
    def never(_: object) -> None:
        raise ApprovalMissing("no")

    drop(place, "copy")
    with pytest.raises(ApprovalMissing):
        restore(place, replace(ASKED, wanted=small.id, database="small"), never)

    assert "copy" not in databases(place)


# -- verify ------------------------------------------------------------------------------------------------------------


def test_all_copies_are_verified_and_their_proofs_lie_beside_them(place: DumpSite, manifest: Manifest) -> None:
    done = place.ask("verify", manifest.id, "--level", "3", "-o", "json")

    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert (found["dump"], found["level"], found["verdict"], found["findings"]) == (manifest.id, 3, "passed", [])
    entry = next(e for e in place.store.entries("everything") if e.id == manifest.id)
    assert entry.proven is not None
    assert entry.proven.level == 3


def test_a_policy_for_a_role_is_restored_on_a_scratch_server(place: DumpSite) -> None:
    source = place.rds.new_database("policies")
    with place.rds.admin() as connection:
        connection.execute('CREATE ROLE "Prüfer ""x"""')
    with session(source) as connection:
        connection.execute("CREATE TABLE t (n int)")
        connection.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY")
        connection.execute('CREATE POLICY seen ON t TO "Prüfer ""x""" USING (n > 0)')
    (made,) = place.dump("policies")

    (done,) = verify_command.run(
        place.site(), QUIET, replace(NEWEST, wanted=made.id, database="policies"), Depth(level=3)
    )

    assert done.proof is not None
    assert done.proof.findings == ()
    drop(place, "policies")
    with place.rds.admin() as connection:
        connection.execute('DROP ROLE "Prüfer ""x"""')


def test_a_copy_of_a_version_that_is_not_here_is_not_called_bad(place: DumpSite, small: Manifest) -> None:
    rewritten(place, small, server=replace(small.server, version="99.1", version_number=990001))

    done = verify_command.run(place.site(), QUIET, replace(NEWEST, wanted=small.id, database="small"), Depth(level=2))

    assert [(one.proof, str(one.unable)) for one in done] == [
        (
            None,
            "there is no pg_restore 99 on this machine, and no other version will do; apt-get install postgresql-client-99",
        )
    ]
    with pytest.raises(Refused, match="1 of 1 copies could not be judged by this look on this machine"):
        verify_command.require_sound(done)
    assert next(e for e in place.store.entries("small") if e.id == small.id).proofs == ()


def test_all_copies_and_a_share_of_them_are_looked_at(place: DumpSite, small: Manifest) -> None:
    for _ in range(3):
        place.dump("small")
    complete = [entry.id for entry in place.store.entries("small") if entry.complete]
    every = replace(NEWEST, every=True, database="small")
    third = replace(every, every=False, share=Share(part=1, whole=3))

    done = verify_command.run(place.site(), QUIET, every, Depth(level=1))
    weeks = [
        [entry.id for entry in verify_command.chosen(place.site(), place.store, replace(third, now=now))]
        for now in (NOW, NOW + timedelta(days=7), NOW + timedelta(days=14))
    ]

    assert [one.entry.id for one in done] == complete
    assert set().union(*weeks) == set(complete)
    assert [week[-1] for week in weeks] == [complete[-1]] * 3, "the newest is never left to another week"
    assert sum(map(len, weeks)) <= len(complete) + 2, "any other one has its turn once"


def copied(place: DumpSite, made: Manifest) -> DumpStore:
    """Put the objects of a dump into the bucket of the other region, as versions of its own, and return that one."""
    there, name = place.cloud.client("s3", DR_REGION), RECOVERY["dumps"]["replica_bucket"]
    if name not in [bucket["Name"] for bucket in there.list_buckets()["Buckets"]]:
        there.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": DR_REGION})
        there.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for file in [*(file.name for file in made.files), "manifest.json"]:
        body = place.s3.get_object(Bucket=DUMP_BUCKET, Key=place.key(made, file))["Body"].read()
        there.put_object(Bucket=name, Key=place.key(made, file), Body=body)
    return place.site().dumps_in(name, DR_REGION, "dumps/")


def test_copies_in_the_other_region_are_looked_at_and_proven_there_alone(place: DumpSite, small: Manifest) -> None:
    store = copied(place, small)
    which = replace(NEWEST, wanted=small.id, database="small", region=DR_REGION)

    (listed,) = verify_command.run(place.site(), QUIET, which, Depth(level=1))
    (read,) = verify_command.run(place.site(), QUIET, which, Depth(level=2))

    assert listed.proof is None
    assert str(listed.unable).startswith("level 1 cannot tell: other versions than the manifest's lie here")
    assert read.proof is not None
    assert read.proof.verdict is Verdict.PASSED
    there = next(entry for entry in store.entries("small") if entry.id == small.id)
    assert there.proven is not None
    assert store.proof(there, there.proven).remarks == read.remarks
    assert read.remarks[0].startswith("other versions than the manifest's lie here, of the same size")
    here = next(entry for entry in place.store.entries("small") if entry.id == small.id)
    assert here.proven is None


def test_a_copy_that_was_altered_in_its_own_length_is_found_by_its_digest(place: DumpSite, small: Manifest) -> None:
    store = copied(place, small)
    data = next(file for file in small.files if file.name.startswith("data-"))
    client = place.cloud.client("s3", DR_REGION)
    client.put_object(Bucket=store.bucket, Key=place.key(small, data.name), Body=b"\0" * data.size)
    which = replace(NEWEST, wanted=small.id, database="small", region=DR_REGION)

    (done,) = verify_command.run(place.site(), QUIET, which, Depth(level=2))

    assert done.proof is not None
    assert done.proof.verdict is Verdict.FAILED
    assert done.proof.findings[0].startswith(f"{data.name} is no sound zstd frame")


def test_a_region_without_dumps_is_refused_with_those_that_have_some(place: DumpSite) -> None:
    with pytest.raises(WrongConfiguration, match="dumps lie in eu-west-1 and eu-central-1, not in us-east-1"):
        verify_command.run(place.site(), QUIET, replace(NEWEST, region="us-east-1"), Depth(level=1))


def test_a_dump_whose_files_were_brought_back_as_other_versions_is_restored(place: DumpSite, small: Manifest) -> None:
    for file in small.files:
        body = place.s3.get_object(Bucket=DUMP_BUCKET, Key=place.key(small, file.name))["Body"].read()
        place.s3.put_object(Bucket=DUMP_BUCKET, Key=place.key(small, file.name), Body=body)
    drop(place, "copy")
    place.told.clear()

    done = restore(place, replace(ASKED, wanted=small.id, database="small"))

    assert done.restored.compared.findings == ()
    assert [line for line in place.told if line.startswith("other versions than the manifest's lie here")] != []
    drop(place, "copy")


def test_the_definitions_that_nobody_compared_are_named_in_the_proof(place: DumpSite, small: Manifest) -> None:
    rewritten(place, small, contents=replace(small.contents, schema=()))

    (done,) = verify_command.run(
        place.site(), QUIET, replace(NEWEST, wanted=small.id, database="small"), Depth(level=3)
    )

    entry = next(entry for entry in place.store.entries("small") if entry.id == small.id)
    assert entry.proven is not None
    assert (entry.proven.level, entry.proven.rows_only) == (3, True)
    assert NO_DEFINITIONS in place.store.proof(entry, entry.proven).remarks
    assert done.proof is not None
    assert done.proof.verdict is Verdict.PASSED


def test_level_4_needs_probes_and_asks_them(place: DumpSite, manifest: Manifest) -> None:
    without = place.ask("verify", manifest.id, "--level", "4")
    place.write('[[dumps.probes]]\nname = "accounts"\nsql = "SELECT count(*) FROM accounts"\nexpect = 301')
    try:
        wrong = place.ask("verify", manifest.id, "--level", "4")
        place.write('[[dumps.probes]]\nname = "accounts"\nsql = "SELEC count(*) FROM accounts"\nexpect = 300')
        told = [one for one in place.store.entries() if one.id == manifest.id]
        mistyped = place.ask("verify", manifest.id, "--level", "4")
    finally:
        place.write()

    assert (without.returncode, wrong.returncode, mistyped.returncode) == (2, 11, 2)
    assert "environment x has no probes to ask at level 4" in without.stderr
    assert "probe accounts: 300; expected 301" in wrong.stdout
    assert 'probe accounts: syntax error at or near "SELEC"' in " ".join(mistyped.stderr.split())
    assert "mend the sql of that [[dumps.probes]] in environments/x.toml" in " ".join(mistyped.stderr.split())
    assert [one for one in place.store.entries() if one.id == manifest.id] == told
