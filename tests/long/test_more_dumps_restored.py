"""More recoveries from a dump: which one is the newest, and what is written down of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from lifeboat.database_model import LATEST_DUMP, Proof, Verdict
from lifeboat.decisions import manifests
from lifeboat.dumps import recovery_choice
from lifeboat.dumps.recovery_choice import Asked
from lifeboat.errors import ApprovalMissing, Refused

from tests.dump_sites import DumpSite
from tests.dumps.conftest import made as made  # noqa: PLC0414 (a fixture)
from tests.dumps.conftest import site as site  # noqa: PLC0414 (a fixture)
from tests.restored_sites import carried_out, recovering


def test_a_recovery_by_a_dump_that_failed_a_look_ends_and_outweighs_nothing(site: DumpSite) -> None:
    (made,) = site.dump()
    c = recovering(site, made.id)
    carried_out(c, "copy", "restore", "password", "fill", "proof", "retention")
    store = c.site.dump_store(c.recovery)
    (entry,) = store.entries("app")
    failed = Proof(level=3, at=datetime.now(UTC), verdict=Verdict.FAILED, findings=("pg_amcheck: an index",))
    store.prove(entry, failed)

    ended = carried_out(c, "noted")

    (entry,) = store.entries("app")
    assert ended == ["done"]
    assert carried_out(c, "noted") == ["holds"]
    assert entry.failure is not None
    assert (entry.failure.level, entry.proven) == (3, None)


def test_nothing_is_noted_on_a_manifest_that_was_written_over_since(site: DumpSite) -> None:
    (made,) = site.dump()
    c = recovering(site, made.id)
    carried_out(c, "copy", "restore", "password", "fill", "proof", "retention")
    assert made.manifest is not None
    body = manifests.written(replace(made.manifest, lsn="0/0"))
    site.cloud.client("s3").put_object(Bucket=site.bucket, Key=f"dumps/x/app/{made.id}/manifest.json", Body=body)

    ended = carried_out(c, "noted")

    (entry,) = c.site.dump_store(c.recovery).entries("app")
    assert ended == [
        f"left open: the manifest of {made.id} was written over since it was restored: nothing is noted on it"
    ]
    assert entry.proofs == ()


def test_the_newest_dump_waits_for_agreement_where_a_newer_one_may_lie_in_a_bucket_that_nobody_could_look_at(
    site: DumpSite,
) -> None:
    (made,) = site.dump()
    c = recovering(site, LATEST_DUMP)

    with pytest.raises(ApprovalMissing, match=f"restore {made.id} although .* dumps in eu-central-1"):
        carried_out(c, "copy")

    assert c.fact("copy") is None


def test_the_newest_dump_is_the_newest_that_is_not_flagged(site: DumpSite) -> None:
    (good,), (newer,) = site.dump(), site.dump()
    assert newer.manifest is not None
    flagged = replace(newer.manifest, flags=("half of its tables are gone",))
    key = f"dumps/x/app/{newer.id}/manifest.json"
    site.cloud.client("s3").put_object(Bucket=site.bucket, Key=key, Body=manifests.written(flagged))
    c = recovering(site, LATEST_DUMP)

    with pytest.raises(ApprovalMissing, match=f"restore {good.id} although"):
        carried_out(c, "copy")
    with pytest.raises(Refused, match="flagged when it was taken: half of its tables are gone") as error:
        carried_out(recovering(site, newer.id), "copy")
    assert f"--from {newer.id} --accept-flagged takes this one in spite of it" in error.value.hint


def test_the_newest_dump_is_the_newest_of_all_of_the_database(site: DumpSite) -> None:
    (good,), (part,) = site.dump(), site.dump(tables=("filler",))
    c = recovering(site, LATEST_DUMP)

    with pytest.raises(ApprovalMissing, match=f"restore {good.id} although"):
        carried_out(c, "copy")

    made = recovery_choice.candidates(c.site, Asked(to=None, named=LATEST_DUMP, failed_at=datetime.now(UTC))).choosing()
    assert f"newer ones were passed over: {part.id} (it holds a part of the database only" in made.choice.why


def test_a_part_of_a_database_is_no_database_to_come_back_to(site: DumpSite) -> None:
    (made,) = site.dump(tables=("filler",))
    c = recovering(site, made.id)

    with pytest.raises(Refused, match="it holds a part of the database only"):
        carried_out(c, "copy")

    assert c.fact("copy") is None
