"""`lifeboat backups`, `describe`, `keep` and `retention` against a local cloud: every kind, both regions, nothing hidden."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from lifeboat.clients.dump_store import proven_identity
from lifeboat.decisions.dump_floors import ACCEPTED

from tests.backup_sites import BackupSite, backup_site
from tests.conftest import RunningCloud
from tests.dump_manifests import proof_body
from tests.gitlab_sites import ACCOUNT, DR_REGION, REGION
from tests.localcloud.test_backup import trust

HOUR = timedelta(hours=1)
MANAGED = "arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyFor"


@pytest.fixture(scope="module")
def made(cloud: RunningCloud, tmp_path_factory: pytest.TempPathFactory) -> BackupSite:
    return backup_site(cloud, tmp_path_factory.mktemp("project"))


@pytest.fixture
def site(made: BackupSite) -> Iterator[BackupSite]:
    """The site, without dumps and manual snapshots at the start and the end of each test."""
    yield made
    made.cloud.control("faults", clear=True)
    made.empty()


@pytest.fixture
def refuse(site: BackupSite) -> Callable[..., None]:
    """Give a function that lets a call be refused as a policy would."""

    def add(service: str, operation: str, times: int = 1, first: int = 1) -> None:
        rule = {"code": "AccessDenied", "status": 403, "times": times, "first": first}
        site.cloud.control("faults", add={"service": service, "operation": operation, **rule})

    return add


def snapshot(site: BackupSite, name: str, **tags: str) -> str:
    """Take a snapshot as people do, and return its name."""
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    site.cloud.client("rds").create_db_snapshot(
        DBInstanceIdentifier=site.instance, DBSnapshotIdentifier=name, Tags=pairs
    )
    return name


def back_up(site: BackupSite) -> str:
    """Let AWS Backup take a recovery point of the database and copy it to the other region; return its id."""
    iam = site.cloud.client("iam")
    iam.create_role(RoleName="backup", AssumeRolePolicyDocument=trust("backup.amazonaws.com"))
    iam.attach_role_policy(RoleName="backup", PolicyArn=f"{MANAGED}Backup")
    backup, role = site.cloud.client("backup"), f"arn:aws:iam::{ACCOUNT}:role/backup"
    arn = f"arn:aws:rds:{REGION}:{ACCOUNT}:db:{site.instance}"
    lifecycle = {"DeleteAfterDays": 35}
    job = backup.start_backup_job(BackupVaultName=site.vault(), ResourceArn=arn, IamRoleArn=role, Lifecycle=lifecycle)[
        "BackupJobId"
    ]
    while (done := backup.describe_backup_job(BackupJobId=job))["State"] not in ("COMPLETED", "FAILED"):
        pass
    assert done["State"] == "COMPLETED", done
    return str(done["RecoveryPointArn"]).partition(":snapshot:")[2]


def by_id(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(point["id"], point["region"]): point for point in document["points"]}


# -- the list ----------------------------------------------------------------------------------------------------------


def test_every_kind_is_in_one_list_newest_first_with_what_is_to_be_known(site: BackupSite) -> None:
    dump = site.put_dump(5 * HOUR, "1-passed", "2-passed")
    lonely = site.put_dump(6 * HOUR, "2-failed", regions=[REGION])
    manual = snapshot(site, f"{site.instance}-by-hand", **{"lifeboat:proven-at": "2026-01-02T03:04:05Z"})
    backup = back_up(site)
    site.cloud.client("rds").create_db_instance(
        DBInstanceIdentifier="others",
        DBInstanceClass="db.t4g.small",
        Engine="postgres",
        AllocatedStorage=20,
        MasterUsername="app_admin",
        MasterUserPassword="Canary-Pass+1",
        BackupRetentionPeriod=1,
    )

    document = site.listed()
    table = site.run("backups").stdout

    found = by_id(document)
    assert document["unseen"] == []
    assert [point["taken_at"] for point in document["points"]] == sorted(
        (point["taken_at"] for point in document["points"]), reverse=True
    )
    kinds = sorted((point["kind"], point["region"]) for point in document["points"])
    assert kinds == [
        ("AWS Backup point", REGION),
        ("automated snapshot", REGION),
        ("dump", DR_REGION),
        ("dump", REGION),
        ("dump", REGION),
        ("manual snapshot", REGION),
        ("point-in-time window", DR_REGION),
        ("point-in-time window", REGION),
    ]
    assert found[dump, REGION]["verified"]["level"] == 2
    assert found[dump, REGION]["key"] != found[dump, DR_REGION]["key"]
    assert found[lonely, REGION]["flags"] == [
        "its last verification (level 2) failed",
        "no copy in the other region",
    ]
    assert found[manual, REGION]["verified"]["at"] == "2026-01-02T03:04:05+00:00"
    assert (found[manual, REGION]["verified"]["level"], found[manual, REGION]["verified"]["looked"]) == (
        1,
        "restored, rows seen",
    )
    assert found[manual, REGION]["size"] == 20 * 1024**3
    assert found[backup, REGION]["status"] == "completed"
    assert found[backup, REGION]["expires_at"] is not None
    assert [
        p["flags"] for p in document["points"] if p["kind"] == "point-in-time window" and p["region"] != REGION
    ] == [[f"copied from {REGION}"]]
    assert not any("others" in point["source"] for point in document["points"])
    assert table.split("\n")[0].split()[:3] == ["id", "kind", "of"]
    rows = [line.split()[:3] for line in table.splitlines() if line.startswith(dump)]
    assert rows == [[dump, "dump", "app"]] * 2
    for word in (dump, manual, backup, "level 2, ", "20 GiB allocated", "by retention", "3 dumps"):
        assert word in table


def test_kinds_and_a_region_can_be_asked_for(site: BackupSite) -> None:
    dump = site.put_dump(5 * HOUR)

    found = site.listed("--kind", "dump", "--region", DR_REGION)
    wrong = site.run("backups", "--region", "us-east-1", status=2)

    assert [(point["id"], point["region"]) for point in found["points"]] == [(dump, DR_REGION)]
    assert "us-east-1 is neither of the regions of x" in wrong.stderr


@pytest.mark.parametrize(
    ("operation", "call", "what"),
    [
        ("ListObjectVersions", "s3:ListBucketVersions", "dumps"),
        ("DescribeDBSnapshots", "rds:DescribeDBSnapshots", "snapshots"),
        (
            "DescribeDBInstanceAutomatedBackups",
            "rds:DescribeDBInstanceAutomatedBackups",
            "point-in-time windows",
        ),
        ("ListRecoveryPointsByBackupVault", "backup:ListRecoveryPointsByBackupVault", "the vault"),
        ("ListRestoreJobs", "backup:ListRestoreJobs", "restore tests"),
    ],
)
def test_a_place_that_may_not_be_looked_at_has_a_row_of_its_own_and_the_end_is_8(
    site: BackupSite, refuse: Callable[..., None], operation: str, call: str, what: str
) -> None:
    site.put_dump(5 * HOUR)
    refuse(call.partition(":")[0], operation, times=2)  # in both regions

    done = site.run("backups", status=8)

    rows = [line for line in done.stdout.splitlines() if line.startswith("?")]
    assert sorted((what in row, call in row, "AccessDenied" in row) for row in rows) == [(True, True, True)] * 2
    assert "unknown: 2 places, so there may be more" in done.stdout
    assert "copies may be missing from this list" in done.stderr
    assert f"take a role that has {call}" in done.stderr


def test_a_key_that_may_not_be_seen_is_not_taken_for_none(site: BackupSite, refuse: Callable[..., None]) -> None:
    site.put_dump(5 * HOUR)
    refuse("s3", "GetBucketEncryption", times=2)

    document = site.listed("--kind", "dump", status=8)

    assert {point["key"] for point in document["points"]} == {"not to be seen"}
    assert [one["call"] for one in document["unseen"]] == ["s3:GetEncryptionConfiguration"] * 2


def test_under_a_disabled_key_copies_are_flagged_and_the_end_is_8(site: BackupSite) -> None:
    dump = site.put_dump(5 * HOUR, "2-passed")
    kms = site.cloud.client("kms")
    key = by_id(site.listed("--kind", "dump"))[dump, REGION]["key"]
    kms.disable_key(KeyId=key)
    try:
        document = site.listed("--kind", "dump", status=8)
        ended = site.run("backups", "--kind", "dump", "--region", REGION, status=8)
        elsewhere = site.listed("--kind", "dump", "--region", DR_REGION)
    finally:
        kms.enable_key(KeyId=key)

    found = by_id(document)
    assert found[dump, REGION]["flags"] == ["its key is disabled"]
    assert found[dump, DR_REGION]["flags"] == elsewhere["points"][0]["flags"] == []
    assert "its key is disabled" in ended.stdout
    assert f"the key {key} in {REGION} is disabled: 1 of them" in ended.stderr
    assert f"aws kms enable-key --key-id {key} --region {REGION}" in ended.stderr


def test_a_key_whose_state_may_not_be_seen_has_a_row_of_its_own(site: BackupSite, refuse: Callable[..., None]) -> None:
    site.put_dump(5 * HOUR)
    refuse("kms", "DescribeKey")

    document = site.listed("--kind", "dump", "--region", REGION, status=8)

    assert [one["call"] for one in document["unseen"]] == ["kms:DescribeKey"]
    assert document["points"][0]["flags"] == []


def test_what_failed_in_one_region_is_not_said_of_the_copy_in_the_other(site: BackupSite) -> None:
    dump = site.put_dump(5 * HOUR, "2-passed")
    # Its manifest was missing when it was looked at, and S3 copies the proof.
    name = f"20261129T050000Z-3-failed-{proven_identity(site.bucket(), '')}-listing.json"
    for region in (REGION, DR_REGION):
        site.cloud.client("s3", region).put_object(
            Bucket=site.bucket(region),
            Key=f"dumps/x/app/{dump}/proofs/{name}",
            Body=json.dumps(proof_body("there is no manifest")).encode(),
        )

    found = by_id(site.listed("--kind", "dump"))
    told = json.loads(site.run("describe", dump, "-o", "json").stdout)["dump"]["proofs"]

    assert found[dump, REGION]["flags"] == ["its last verification (level 3) failed"]
    assert found[dump, DR_REGION]["flags"] == []
    assert found[dump, DR_REGION]["verified"]["level"] == 2
    assert sorted((one["region"] or "?", one["level"]) for one in told) == [("?", 3), (DR_REGION, 2), (REGION, 2)]


def test_without_the_state_copies_are_found_by_their_names(site: BackupSite) -> None:
    dump = site.put_dump(5 * HOUR)
    key, s3 = "stack.tfstate", site.cloud.client("s3")
    body = s3.get_object(Bucket=site.plain.bucket, Key=key)["Body"].read()
    site.plain.delete(key)

    done = site.run("backups", "--kind", "dump")
    site.plain.put(key, body)

    assert dump in done.stdout
    assert "looked where the names say that copies lie" in done.stderr


# -- one of them -------------------------------------------------------------------------------------------------------


def test_a_dump_is_described_with_its_tables_flags_and_findings(site: BackupSite) -> None:
    dump = site.put_dump(5 * HOUR, "2-failed", flags=("it shrank to 3 % of the one before",))

    table = site.run("describe", dump).stdout
    document = json.loads(site.run("describe", dump, "-o", "json").stdout)

    for word in ("public.orders", "WAL 0/1A2B3C4", "app:1", "the whole database", "finding of 2-failed"):
        assert word in table
    assert "it shrank to 3 % of the one before" in table
    assert [copy["region"] for copy in document["copies"]] == [DR_REGION, REGION]
    assert document["dump"]["tables"] == [{"table": "public.orders", "rows": 3, "fingerprint": "f00d"}]
    assert document["dump"]["proofs"][0]["findings"] == ["finding of 2-failed"]


def test_a_manifest_of_another_place_is_told_of_the_dump(site: BackupSite) -> None:
    dump = site.put_dump(5 * HOUR, "2-passed", database="other")
    proofs = site.cloud.client("s3").list_objects_v2(Bucket=site.bucket(), Prefix=f"dumps/x/app/{dump}/proofs/")
    site.cloud.client("s3").put_object(Bucket=site.bucket(), Key=proofs["Contents"][0]["Key"], Body=b"{}")

    done = site.run("describe", dump, "-o", "json", status=11)

    document = json.loads(done.stdout)
    assert "is of another place" in document["dump"]["problem"]
    assert document["dump"]["tables"] == []
    assert [(proof["level"], proof["region"]) for proof in document["dump"]["proofs"]] == [(2, REGION), (2, DR_REGION)]
    assert "is not what lifeboat verify writes" in done.stderr


def test_an_id_that_is_not_there_ends_with_6_and_with_8_where_nobody_can_say(
    site: BackupSite, refuse: Callable[..., None]
) -> None:
    absent = site.run("describe", "app-nowhere", status=6)
    refuse("rds", "DescribeDBSnapshots")
    unknown = site.run("describe", "app-nowhere", status=8)

    assert "there is no recovery point app-nowhere" in absent.stderr
    assert "copies may be missing from this list" in unknown.stderr


# -- kept for ever -----------------------------------------------------------------------------------------------------


def test_a_dump_is_kept_in_both_regions_until_it_is_released(site: BackupSite) -> None:
    dump = site.put_dump(5 * HOUR, "2-passed")

    lifecycle = {"ID": "all", "Status": "Enabled", "Filter": {"Prefix": "dumps/"}, "Expiration": {"Days": 90}}
    s3 = site.cloud.client("s3")
    s3.put_bucket_lifecycle_configuration(Bucket=site.bucket(), LifecycleConfiguration={"Rules": [lifecycle]})
    warned = site.run("keep", dump, "--why", "before the merger; see #42").stderr
    s3.delete_bucket_lifecycle(Bucket=site.bucket())
    kept = site.listed("--kind", "dump")
    tags = {region: site.tags(dump, region) for region in (REGION, DR_REGION)}
    site.run("keep", dump, "--release")
    released = site.listed("--kind", "dump")
    again = site.run("keep", dump, "--release", status=3)

    assert "the rule all expires every dump after 90 days, those that are kept or held too" in warned
    assert by_id(kept)[dump, REGION]["kept"] is True
    assert set(tags[REGION]) >= {"manifest.json", "schema.dump.zst", "kept.json"}
    for found in tags.values():
        assert {tuple(tag.items()) for tag in found.values()} == {(("lifeboat:keep-as", "held"),)}
    assert not any(point["kept"] for point in released["points"])
    assert f"{dump} is not kept" in again.stderr


def test_a_manual_snapshot_is_kept_by_a_tag(site: BackupSite) -> None:
    name = snapshot(site, f"{site.instance}-manual")

    site.run("keep", name, "--why", "audit 2026")
    kept = by_id(site.listed("--kind", "manual"))[name, REGION]
    wrong = site.run("keep", name, "--why", "#42; now", status=2)
    site.run("keep", name, "--release")
    released = by_id(site.listed("--kind", "manual"))[name, REGION]

    assert (kept["kept"], kept["tags"]["lifeboat:keep"]) == (True, "audit 2026")
    assert "cannot be a tag" in wrong.stderr
    assert released["kept"] is False


def test_an_automated_snapshot_is_copied_to_a_manual_one_that_is_kept_once_somebody_agrees(site: BackupSite) -> None:
    name = next(p["id"] for p in site.listed("--kind", "automated")["points"])

    asked = site.run("keep", name, "--why", "audit", status=7)
    before = site.listed("--kind", "manual")["points"]
    done = site.run("keep", name, "--why", "audit", "--yes")
    site.run("keep", name, "--why", "audit", "--yes")

    found = site.listed("--kind", "manual")["points"]
    assert f"copy {name} in {REGION} to a manual snapshot" in asked.stderr
    assert before == []
    assert [(point["id"], point["kept"]) for point in found] == [(f"{name.removeprefix('rds:')}-kept", True)]
    assert f"{found[0]['id']} in {REGION} is kept" in done.stdout


@pytest.mark.parametrize("arguments", [(), ("--why", "w", "--release")])
def test_keep_is_told_what_to_do_or_does_nothing(site: BackupSite, arguments: tuple[str, ...]) -> None:
    dump = site.put_dump(5 * HOUR)

    assert "write either --why TEXT" in site.run("keep", dump, *arguments, status=2).stderr
    assert "there is no recovery point nope" in site.run("keep", "nope", *arguments, status=6).stderr


def test_what_cannot_be_kept_is_refused_with_the_reason(site: BackupSite) -> None:
    window = next(p["id"] for p in site.listed("--kind", "window", "--region", REGION)["points"])
    points = site.listed("--kind", "backup")["points"]

    moving = site.run("keep", window, "--why", "w", status=3)
    vaulted = site.run("keep", points[0]["id"], "--why", "w", status=3)

    assert "is a window that moves on, and cannot be kept" in moving.stderr
    assert "the vault is locked against everybody" in vaulted.stderr
    assert "lifeboat snapshot create" in vaulted.stderr


# -- retention ---------------------------------------------------------------------------------------------------------


def test_retention_says_why_tags_both_regions_and_deletes_nothing(site: BackupSite) -> None:
    newest = site.put_dump(HOUR, chance="000001")
    verified = site.put_dump(3 * HOUR, "2-passed", chance="000002")
    goes = site.put_dump(30 * HOUR, "2-passed", chance="000003")
    writing = f"{goes[:-6]}00000a"
    site.cloud.client("s3").put_object(Bucket=site.bucket(), Key=f"dumps/x/app/{writing}/data-00.dump.zst", Body=b"d")
    run = site.plain.run("20261101T000000Z-recover-1a2b3c")
    paired = site.put_dump(31 * HOUR, "2-passed", chance="000004")
    site.plain.put(
        f"runs/{run}/000002.json",
        json.dumps(
            {
                "seq": 2,
                "at": "2026-11-01T00:00:02+00:00",
                "kind": "intent",
                "step": "data",
                "text": "",
                "data": {"dump": paired},
            }
        ).encode(),
    )
    site.cloud.client("s3").put_object_tagging(
        Bucket=site.bucket(),
        Key=f"dumps/x/app/{goes}/manifest.json",
        Tagging={"TagSet": [{"Key": "team", "Value": "shop"}]},
    )

    plan = site.run("retention", "plan").stdout
    untouched = site.tags(verified)
    asked = site.run("retention", "apply", status=7)
    done = site.run("retention", "apply", "--yes")
    again = json.loads(site.run("retention", "apply", "--yes", "-o", "json").stdout)
    for seq in (1, 2):
        site.plain.delete(f"runs/{run}/{seq:06}.json")

    assert "the newest verified one" in plan
    assert "no rule expires what is tagged lifeboat:keep-as=expire, so nothing ever goes" in plan
    assert f"used by the run {run}, which has not ended" in plan
    assert untouched["manifest.json"] == {}
    assert f"let the bucket expire {goes} of app" in asked.stderr
    assert "tag as held: 3 of the dumps that stay" in asked.stderr
    assert "4 dumps tagged" in done.stdout
    assert {one["id"]: one["keep_as"] for one in again["dumps"]} == {
        newest: "held",
        verified: "held",
        goes: "expire",
        paired: "held",
        writing: "held",
    }
    assert site.tags(writing) == {"data-00.dump.zst": {}}
    assert again["tagged"] == 1  # what goes is told again, for files that came to it since
    for region in (REGION, DR_REGION):
        assert {tag["lifeboat:keep-as"] for tag in site.tags(goes, region).values()} == {"expire"}
        assert {tag["lifeboat:keep-as"] for tag in site.tags(verified, region).values()} == {"held"}
    assert site.tags(goes)["manifest.json"]["team"] == "shop"
    assert len(site.listed("--kind", "dump")["points"]) == 9


def test_a_dump_whose_manifest_is_gone_in_one_bucket_stays_for_its_whole_copy_in_the_other(site: BackupSite) -> None:
    site.put_dump(HOUR, chance="000001")
    half = site.put_dump(31 * HOUR, "3-passed", chance="000002")
    site.cloud.client("s3").delete_object(Bucket=site.bucket(), Key=f"dumps/x/app/{half}/manifest.json")

    found = json.loads(site.run("retention", "apply", "--yes", "-o", "json").stdout)
    again = json.loads(site.run("retention", "apply", "--yes", "-o", "json").stdout)

    (fate,) = (one for one in found["dumps"] if one["id"] == half)
    assert "the newest verified one" in fate["reasons"]
    assert {tag["lifeboat:keep-as"] for tag in site.tags(half, DR_REGION).values()} == {"held"}
    assert again["tagged"] == 0


def test_tags_are_agreed_to_where_nothing_goes_and_nothing_is_asked_where_none_changes(site: BackupSite) -> None:
    kept = site.put_dump(HOUR, "2-passed")

    asked = site.run("retention", "apply", status=7)
    untouched = site.tags(kept)
    site.run("retention", "apply", "--yes")
    again = site.run("retention", "apply")

    assert "tag as held: 1 of the dumps that stay" in asked.stderr
    assert "--yes" in asked.stderr
    assert untouched["manifest.json"] == {}
    assert "0 dumps tagged" in again.stdout


def test_of_verified_dumps_a_flagged_one_counts_once_it_was_accepted(site: BackupSite) -> None:
    flagged = site.put_dump(HOUR, "3-passed", chance="000001", flags=("99 % below the median",))
    accepted = site.put_dump(2 * HOUR, "3-passed", chance="000002", flags=(f"{ACCEPTED} by eva",))
    before = site.put_dump(3 * HOUR, "3-passed", chance="000003")

    found = json.loads(site.run("retention", "plan", "-o", "json").stdout)["dumps"]

    reasons = {one["id"]: one["reasons"] for one in found}
    assert [dump for dump in (flagged, accepted, before) if "the newest verified one" in reasons[dump]] == [accepted]


def test_an_apply_that_is_cut_off_goes_on_from_there_and_a_dump_that_goes_is_none_at_once(
    site: BackupSite, refuse: Callable[..., None]
) -> None:
    kept, goes = site.put_dump(3 * HOUR, "2-passed"), site.put_dump(30 * HOUR, "2-passed")
    # Four objects of the kept one, and of the other its manifest.
    refuse("s3", "PutObjectTagging", first=8, times=9)

    stopped = site.run("retention", "apply", "--yes", status=4)
    half = site.tags(goes)
    site.cloud.control("faults", clear=True)
    site.run("retention", "apply", "--yes")

    assert "lifeboat retention apply -e x goes on from there" in stopped.stderr
    assert half["manifest.json"] == {"lifeboat:keep-as": "expire"}
    assert half["schema.dump.zst"] == {}
    assert {tag["lifeboat:keep-as"] for tag in site.tags(goes).values()} == {"expire"}
    assert {tag["lifeboat:keep-as"] for tag in site.tags(kept).values()} == {"held"}


def test_without_a_look_at_the_other_region_nothing_is_decided(site: BackupSite, refuse: Callable[..., None]) -> None:
    site.put_dump(3 * HOUR, "2-passed")
    refuse("s3", "ListObjectVersions")

    done = site.run("retention", "apply", "--yes", status=8)

    assert "AccessDenied" in done.stderr


def test_a_database_without_dumps_is_told(site: BackupSite) -> None:
    assert (
        "there is no dump of a database audit" in site.run("retention", "plan", "--database", "audit", status=6).stderr
    )


@pytest.mark.parametrize(
    "arguments", [("backups",), ("describe",), ("keep",), ("retention", "plan"), ("retention", "apply")]
)
def test_every_verb_teaches_by_an_example(site: BackupSite, arguments: tuple[str, ...]) -> None:
    assert "Example: " in site.run(*arguments, "--help").stdout
