"""The steps that bring a database back from a dump, against RDS and S3 of the local cloud; Terraform comes after them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from lifeboat.database_model import LATEST_DUMP
from lifeboat.dumps import recovery_choice
from lifeboat.dumps.recovery_choice import Asked
from lifeboat.errors import ApprovalMissing, ChoiceGone, IntegrityFailure

from tests.dump_sites import DumpSite
from tests.restored_sites import carried_out, in_it, recovering


@pytest.mark.parametrize(
    ("left", "database"),
    [
        ("CREATE TABLE filler (n int); INSERT INTO filler VALUES (-1)", "app"),
        ("DROP DATABASE app", "postgres"),
    ],
    ids=["half of it", "no database"],
)
def test_whatever_an_attempt_has_left_the_dump_is_restored_from_the_beginning(
    site: DumpSite, left: str, database: str
) -> None:
    (made,) = site.dump()
    c = recovering(site, made.id)
    carried_out(c, "copy", "restore", "password")
    in_it(c, *left.split("; "), database=database)

    ended = carried_out(c)

    rows = in_it(c, "SELECT (SELECT count(*) FROM filler), (SELECT count(*) FROM sales.orders), min(n) FROM filler")
    assert ended == ["holds", "holds", "holds", "done", "done", "done", "done"]
    assert carried_out(c) == ["holds"] * 7
    assert rows == [(5000, 2000, 1)]
    assert made.manifest is not None
    assert c.fact("data_until") == made.manifest.snapshot_at.isoformat()
    (entry,) = c.site.dump_store(c.recovery).entries("app")
    assert [(proof.level, proof.verdict.value, proof.run) for proof in entry.proofs] == [(2, "passed", c.journal.run)]


def test_an_instance_that_does_not_bear_the_mark_of_the_run_is_not_emptied(site: DumpSite) -> None:
    (made,) = site.dump()
    c = recovering(site, made.id)
    carried_out(c, "copy", "restore", "password")
    in_it(c, "CREATE TABLE somebodys AS SELECT 1 AS n")
    rds = site.cloud.client("rds")
    arn = rds.describe_db_instances(DBInstanceIdentifier=c.fact("identifier"))["DBInstances"][0]["DBInstanceArn"]
    rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["lifeboat:run"])

    with pytest.raises(ChoiceGone, match="does not bear the mark of this recovery, so nothing in it is emptied"):
        carried_out(c, "fill")

    assert in_it(c, "SELECT n FROM somebodys") == [(1,)]


@pytest.mark.parametrize(
    ("spoilt", "body", "why"),
    [
        ("schema.dump.zst", None, "schema.dump.zst is missing"),
        ("manifest.json", b"{", "is not what this lifeboat writes"),
    ],
)
def test_a_damaged_dump_is_passed_over_for_the_one_before_it(
    site: DumpSite, spoilt: str, body: bytes | None, why: str
) -> None:
    (good,), (bad,) = site.dump(), site.dump()
    place = {"Bucket": site.bucket, "Key": f"dumps/x/app/{bad.id}/{spoilt}"}
    if body is None:
        site.cloud.client("s3").delete_object(**place)
    else:
        site.cloud.client("s3").put_object(**place, Body=body)
    c = recovering(site, LATEST_DUMP)

    made = recovery_choice.candidates(c.site, Asked(to=None, named=LATEST_DUMP, failed_at=datetime.now(UTC))).choosing()

    assert made.choice.chosen is not None
    assert made.choice.chosen.point.id == good.id
    assert f"newer ones were passed over: {bad.id} (" in made.choice.why
    assert why in made.choice.why
    with pytest.raises(ApprovalMissing, match=f"restore {good.id} although"):
        carried_out(c, "copy")
    with pytest.raises(IntegrityFailure, match=why):
        carried_out(recovering(site, bad.id), "copy")
