"""Each check of a status: what it finds, and what is so near to it that it must not; what nobody saw is never green."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any

import pytest
from lifeboat.alarm_model import News, Subscriber
from lifeboat.database_model import (
    HEARTBEAT_TABLE,
    PointKind,
    RecoveryPoint,
    RecoveryPointId,
    Selection,
    TableContent,
    TableName,
)
from lifeboat.decisions import state_mending
from lifeboat.decisions.dump_floors import ACCEPTED
from lifeboat.decisions.state_doctor import Diagnosis
from lifeboat.decisions.state_verdicts import Finding, Standing, critical, notice, warning
from lifeboat.decisions.state_verdicts import Verdict as DoctorsVerdict
from lifeboat.decisions.status import gate, judging, state
from lifeboat.decisions.status.check import Case, Check, Good
from lifeboat.decisions.status.registry import BY_ID, CHECKS
from lifeboat.model import EncryptionKey, SnapshotId
from lifeboat.state_model import StateRoot
from lifeboat.status_model import (
    Asset,
    BackupSelection,
    Beat,
    Colour,
    CopyKind,
    DrillRecord,
    Facts,
    InstanceSeen,
    LeftBehind,
    LifecyclePolicy,
    Limits,
    PlanRecord,
    RecoveryFile,
    Seen,
    Stack,
    StateCheck,
    Topic,
    VaultLock,
)

from tests.gitlab_sites import ACCOUNT, DR_REGION, REGION
from tests.status.healthy import (
    COPIES,
    DATABASE_EVENTS,
    DAY,
    DR_TOPIC,
    DUMP,
    DUMP_COPY,
    DUMPS,
    FAILED,
    HOUR,
    IMAGES_POLICY,
    KEY,
    LATE,
    LIMITS,
    MANIFEST,
    NOW,
    PATTERN,
    PLAN,
    POLICY,
    PROTECTION,
    RESOURCES,
    RULE,
    RUN,
    SCHEDULE,
    SERVING,
    STALE,
    STATE,
    TOPIC,
    alarm,
    amiss,
    both,
    bucket,
    drill,
    healthy,
    image,
    in_vault,
    judged,
    listener,
    machine_in_vault,
    newest,
    notifier,
    passed,
    point,
    recovery,
    resource,
    rules,
    schedule,
    unseen,
    volume,
)
from tests.terraform_attributes import alarm_attributes, rule_attributes, schedule_attributes

MINUTE = timedelta(minutes=1)
DAILY = DAY + LATE


CUT_OFF = {"passed": False, "cut_off": True, "why": "interrupted", "rto": None, "rpo": None}


@dataclass(frozen=True, kw_only=True)
class Accident:
    """One thing that is changed in healthy facts; `red` are the checks that must find it, each with words of its reason."""

    what: str
    changes: dict[str, Any]
    red: dict[str, str]
    limits: Limits = LIMITS


def accident(what: str, red: dict[str, str] | None = None, limits: Limits = LIMITS, **changes: Any) -> Accident:
    return Accident(what=what, changes=changes, red=red or {}, limits=limits)


def _stack(**other: Any) -> Seen[Stack]:
    return Seen(found=Stack(recovery=recovery(**other), resources=RESOURCES))


def _instance(**other: Any) -> Seen[InstanceSeen]:
    facts: dict[str, Any] = {
        "identifier": SERVING,
        "status": "available",
        "retention": 14,
        "protected": True,
        "usable": True,
    }
    return Seen(found=InstanceSeen(**{**facts, **other}))


def _manifest(**other: Any) -> Seen[Any]:
    return Seen(found=newest(manifest=replace(MANIFEST, **other)))


def _tables(*counts: tuple[str, int]) -> Any:
    tables = tuple(
        TableContent(table=TableName(schema="public", name=name), rows=rows, fingerprint="f") for name, rows in counts
    )
    return replace(MANIFEST.contents, tables=tables)


def _policy(state: str, **tags: str) -> dict[str, Seen[Any]]:
    chosen = tags or {"lifeboat:protect": "daily"}
    found = LifecyclePolicy(id=POLICY, state=state, message="no role", target_tags=chosen)
    return {**healthy().policies, POLICY: Seen(found=found)}


def _selections(*found: BackupSelection) -> dict[str, Seen[Any]]:
    return {PLAN: Seen(found=found)}


def _taking(*resources: str, **tags: str) -> BackupSelection:
    return BackupSelection(name="s", resources=resources, excluded=(), tags=tags)


ARN = f"arn:aws:rds:{REGION}:{ACCOUNT}:db:{SERVING}"
BY_TAG = BackupSelection(name="by-tag", resources=("*",), excluded=(), tags={"lifeboat:backup": "plan"})


def _buckets(name: str, **other: Any) -> dict[str, Seen[Any]]:
    return {**healthy().buckets, name: Seen(found=bucket(name, **other))}


def _alarms(**other: Any) -> Seen[Any]:
    return Seen(found={STALE: alarm(STALE, **other), FAILED: alarm(FAILED)})


def _topic(*subscribers: Subscriber) -> dict[str, Seen[Any]]:
    return {**healthy().topics, TOPIC: Seen(found=Topic(arn=TOPIC, subscribers=subscribers))}


def _notifiers(subject: str, **other: Any) -> dict[str, Seen[Any]]:
    return {**healthy().notifiers, subject: Seen(found=notifier(subject, **other))}


def _without(*kinds: str) -> Seen[Stack]:
    return Seen(found=Stack(recovery=recovery(), resources=tuple(one for one in RESOURCES if one.kind not in kinds)))


def _old_dump(age: timedelta, **other: Any) -> dict[str, Seen[Any]]:
    return both((replace(DUMP, taken_at=NOW - age, **other),), (DUMP_COPY,))


LOCKED = replace(volume(DAY, DR_REGION), key=EncryptionKey(arn=KEY, state="not to be seen (AccessDenied)"))
WITH_REPORTS = replace(LIMITS, databases=("app", "reports"))
REPORTS = replace(DUMP, id=RecoveryPointId("20261129T090000Z-aaaaaa"), database="reports", proven=None)


def _reports(primary: Sequence[RecoveryPoint], copies: Sequence[RecoveryPoint]) -> dict[str, Seen[Any]]:
    return both((DUMP, *primary), (DUMP_COPY, *(replace(one, region=DR_REGION) for one in copies)))


EVENTS = f"{REGION} {DATABASE_EVENTS}"
DR_VAULT = f"{DR_REGION} app-x-backups-dr"
ACCIDENTS = (
    accident("another account", {"environment.account": "signed in to the account 9"}, account=Seen(found="9")),
    accident("clock behind", {"environment.clock": "6m behind"}, skew=Seen(found=-6 * MINUTE)),
    accident("clock ahead", {"environment.clock": "6m ahead"}, skew=Seen(found=6 * MINUTE)),
    accident("clock nearly right", skew=Seen(found=-5 * MINUTE)),
    accident(
        "another stack",
        {"environment.stack": "of app-y"},
        stack=_stack(application="app-y"),
        buckets={
            **healthy().buckets,
            f"app-y-tfstate-{ACCOUNT}-{REGION}": Seen(found=bucket(f"app-y-tfstate-{ACCOUNT}-{REGION}")),
        },
    ),
    accident(
        "instance gone",
        {
            "database.serving": "there is no database instance",
            "database.retention": "kept 0 days",
            "database.protected": "nothing keeps",
        },
        instance=Seen(),
    ),
    accident(
        "instance failed",
        {"database.serving": "is storage-full"},
        instance=_instance(status="storage-full", usable=False),
    ),
    accident("instance backing up", instance=_instance(status="backing-up")),
    accident("retention changed to 1", {"database.retention": "kept 1 day"}, instance=_instance(retention=1)),
    accident("retention longer", instance=_instance(retention=35)),
    accident("protection off", {"database.protected": "nothing keeps app-x-g1"}, instance=_instance(protected=False)),
    accident(
        "heartbeat silent",
        {"database.heartbeat": "its last row is 11m old"},
        beat=Seen(found=Beat(at=NOW - 11 * MINUTE, known_by="the heartbeat's last row", stopped=False)),
    ),
    accident(
        "another password in the secret",
        {"database.secret": "the secret of the application does not open its database: cannot use app"},
        beat=Seen(found=Beat(at=None, known_by="cannot use app", stopped=True, refused=True)),
    ),
    accident(
        "heartbeat stopped, commits go on",
        {"database.heartbeat": "the heartbeat has stopped: the last commit"},
        beat=Seen(found=Beat(at=NOW, known_by="the last commit; its heartbeat stopped at 3", stopped=True)),
    ),
    accident(
        "never a heartbeat",
        {"database.heartbeat": "nothing tells"},
        beat=Seen(found=Beat(at=None, known_by="nothing", stopped=True)),
    ),
    accident(
        "heartbeat just in time",
        beat=Seen(found=Beat(at=NOW - 10 * MINUTE, known_by="the heartbeat's last row", stopped=False)),
    ),
    accident(
        "window stands still",
        {f"database.window {REGION}": "the newest in eu-west-1 is 3h old"},
        windows=both((point(PointKind.POINT_IN_TIME, 3 * HOUR),), healthy().windows[DR_REGION].found),
    ),
    accident(
        "no window in the other region",
        {f"database.window {DR_REGION}": "none in eu-central-1"},
        windows=both(healthy().windows[REGION].found, ()),
    ),
    accident(
        "window of another database",
        {f"database.window {REGION}": "but there are newer ones of app-x-g0"},
        windows=both(
            (point(PointKind.POINT_IN_TIME, MINUTE, database="app-x-g0"),), healthy().windows[DR_REGION].found
        ),
    ),
    accident(
        "window without a window yet",
        {f"database.window {REGION}": "does not count: it is without a window yet"},
        windows=both(
            (point(PointKind.POINT_IN_TIME, MINUTE, status="without a window yet"),), healthy().windows[DR_REGION].found
        ),
    ),
    accident(
        "stale snapshot",
        {f"database.snapshot {REGION}": "is 27h old"},
        snapshots=both((point(PointKind.AUTOMATED_SNAPSHOT, 27 * HOUR),), ()),
    ),
    accident("snapshot a little late", snapshots=both((point(PointKind.AUTOMATED_SNAPSHOT, DAILY),), ())),
    accident(
        "manual snapshots only",
        {f"database.snapshot {REGION}": "none in eu-west-1"},
        snapshots=both((point(PointKind.MANUAL_SNAPSHOT, HOUR),), ()),
    ),
    accident(
        "snapshot that failed",
        {f"database.snapshot {REGION}": "does not count: it is failed"},
        snapshots=both((point(PointKind.AUTOMATED_SNAPSHOT, HOUR, status="failed"),), ()),
    ),
    accident(
        "snapshot from the future",
        {f"database.snapshot {REGION}": "dated in the future"},
        snapshots=both((point(PointKind.AUTOMATED_SNAPSHOT, -2 * HOUR),), ()),
    ),
    accident(
        "vault stale",
        {f"database.vault {REGION}": "is 30h old"},
        vaults=both((in_vault(30 * HOUR), machine_in_vault(HOUR)), healthy().vaults[DR_REGION].found),
    ),
    accident(
        "vault of another database",
        {f"database.vault {REGION}": "newer ones of app-x-g0"},
        vaults=both((in_vault(HOUR, database="app-x-g0"), machine_in_vault(HOUR)), healthy().vaults[DR_REGION].found),
    ),
    accident(
        "restore test failed",
        {f"database.vault {REGION}": "does not count: its last restore test failed"},
        vaults=both(
            (in_vault(HOUR, doubts=("its last restore test failed",)), machine_in_vault(HOUR)),
            healthy().vaults[DR_REGION].found,
        ),
    ),
    accident(
        "every copy of the database old",
        {
            "database.rpo": "a loss now would be 25h",
            f"database.window {REGION}": "25h old",
            f"database.window {DR_REGION}": "none",
        },
        windows=both((point(PointKind.POINT_IN_TIME, 25 * HOUR),), ()),
        snapshots=both((point(PointKind.AUTOMATED_SNAPSHOT, 26 * HOUR),), ()),
        vaults=both(
            (in_vault(26 * HOUR), machine_in_vault(HOUR)),
            (in_vault(26 * HOUR, DR_REGION), machine_in_vault(HOUR, DR_REGION)),
        ),
        dumps=both((replace(DUMP, taken_at=NOW - 26 * HOUR),), (replace(DUMP_COPY, taken_at=NOW - 26 * HOUR),)),
    ),
    accident(
        "nothing restored for real, ever",
        {
            "database.proof": "was ever restored",
            "drills.age database": "ever went well",
            "drills.age instance": "ever went well",
            "drills.age full": "ever went well",
        },
        drills=Seen(found=(drill("state"),)),
    ),
    accident(
        "proof too old",
        {"database.proof": "the last one was restored 32d ago"},
        drills=Seen(found=(drill("full", 32 * DAY), drill("state"))),
    ),
    accident(
        "only a dump was ever restored",
        {"database.proof": "none of RDS's own copies was ever restored, in 2 drills"},
        drills=Seen(found=(drill("full", copies=((PointKind.DUMP.value, REGION),)), drill("state"))),
    ),
    accident(
        "a restore test is a proof",
        drills=Seen(found=(drill("full", 32 * DAY), drill("state"))),
        vaults=both(
            (in_vault(HOUR, proven=passed(1, HOUR)), machine_in_vault(HOUR)), healthy().vaults[DR_REGION].found
        ),
    ),
    accident("job stopped: dump old", {f"dumps.age {REGION}": "is 27h old"}, dumps=_old_dump(27 * HOUR)),
    accident("dump a little late", dumps=_old_dump(DAILY)),
    accident(
        "no dump",
        {f"dumps.age {REGION}": "no dump in eu-west-1", "dumps.proof": "no dump passed"},
        dumps=both((), (DUMP_COPY,)),
        newest_dump=Seen(),
    ),
    accident("no copy of the dump", {f"dumps.age {DR_REGION}": "no dump in eu-central-1"}, dumps=both((DUMP,), ())),
    accident(
        "dump cut off",
        {f"dumps.age {REGION}": "it has no manifest, so it never became a dump"},
        dumps=both(
            (replace(DUMP, taken_at=NOW - 30 * HOUR), point(PointKind.DUMP, HOUR, status="incomplete")), (DUMP_COPY,)
        ),
    ),
    accident(
        "wrong database dumped",
        {f"dumps.age {REGION}": "but there are newer ones of the database postgres"},
        dumps=both(
            (replace(DUMP, taken_at=NOW - 30 * HOUR), point(PointKind.DUMP, HOUR, database="postgres")), (DUMP_COPY,)
        ),
    ),
    accident(
        "another database dumped too", dumps=both((DUMP, point(PointKind.DUMP, HOUR, database="other")), (DUMP_COPY,))
    ),
    accident("empty dump", {"dumps.content": "no row in any"}, newest_dump=_manifest(contents=_tables(("orders", 0)))),
    accident(
        "only the heartbeat has rows",
        {"dumps.content": "1 tables, and no row in any"},
        newest_dump=_manifest(contents=_tables(("orders", 0), (HEARTBEAT_TABLE, 900))),
    ),
    accident("one empty table", newest_dump=_manifest(contents=_tables(("orders", 1), ("drafts", 0)))),
    accident(
        "part of the database",
        {"dumps.content": "only the tables a"},
        newest_dump=_manifest(selection=Selection(tables=("a",))),
    ),
    accident(
        "manifest damaged",
        {"dumps.content": "it is no JSON"},
        newest_dump=Seen(found=newest(manifest=None, damage="it is no JSON")),
    ),
    accident(
        "shrunk dump",
        {"dumps.size": "has 499 B, the median of the 3 before it 1000 B"},
        newest_dump=Seen(found=newest(point=replace(DUMP, size=499))),
    ),
    accident("dump not much smaller", newest_dump=Seen(found=newest(point=replace(DUMP, size=500)))),
    accident("flagged dump", {"dumps.size": "flagged when it was made: half"}, newest_dump=_manifest(flags=("half",))),
    accident(
        "smaller and accepted",
        newest_dump=Seen(
            found=newest(point=replace(DUMP, size=1), manifest=replace(MANIFEST, flags=(f"{ACCEPTED}: x",)))
        ),
    ),
    accident(
        "failed verification",
        {"dumps.verification": "its verification of"},
        newest_dump=Seen(found=newest(point=replace(DUMP, doubts=("its verification of 3 at level 3 failed",)))),
    ),
    accident(
        "verified too long ago", {"dumps.proof": "did so 32d ago"}, dumps=_old_dump(HOUR, proven=passed(3, 32 * DAY))
    ),
    accident(
        "never verified",
        {"dumps.proof": "no dump passed a verification of level 2"},
        dumps=_old_dump(HOUR, proven=None),
    ),
    accident(
        "the copy in the other region failed a verification",
        {f"dumps.age {DR_REGION}": "does not count: its verification of 3 at level 3 failed"},
        dumps=both((DUMP,), (replace(DUMP_COPY, doubts=("its verification of 3 at level 3 failed",)),)),
    ),
    accident(
        "a part of it alone was verified",
        {"dumps.proof": "no dump passed a verification of level 2"},
        dumps=_old_dump(HOUR, proven=replace(passed(3, HOUR), part=True)),
    ),
    accident("verified too shallow", {"dumps.proof": "no dump passed"}, dumps=_old_dump(HOUR, proven=passed(1, HOUR))),
    accident(
        "an older dump is proven",
        dumps=both((replace(DUMP, proven=None), point(PointKind.DUMP, 27 * HOUR, proven=passed(2, DAY))), (DUMP_COPY,)),
    ),
    accident(
        "nothing copies the volume",
        {"volume.covered": "nothing copies"},
        stack=_stack(protection=[one for one in PROTECTION if one["asset"] != "instance volume"]),
    ),
    accident(
        "volume snapshot stale",
        {f"volume.snapshot {REGION}": "is 27h old"},
        volumes=both((volume(27 * HOUR),), (volume(HOUR, DR_REGION),)),
    ),
    accident(
        "volume snapshot pending",
        {f"volume.snapshot {REGION}": "no volume snapshot"},
        volumes=both((volume(HOUR, state="pending"),), (volume(HOUR, DR_REGION),)),
    ),
    accident(
        "only snapshots of images",
        {f"volume.snapshot {REGION}": "no volume snapshot"},
        volumes=both((volume(HOUR, policy=IMAGES_POLICY), volume(HOUR, tags={})), (volume(HOUR, DR_REGION),)),
    ),
    accident(
        "no snapshot in the other region",
        {f"volume.snapshot {DR_REGION}": "no volume snapshot"},
        volumes=both((volume(HOUR),), ()),
    ),
    accident(
        "instance not in the vault",
        {f"volume.vault {REGION}": "no AWS Backup point"},
        vaults=both((in_vault(HOUR),), healthy().vaults[DR_REGION].found),
    ),
    accident(
        "image too old",
        {f"image.age {REGION}": "ami-1, is 32d old"},
        images=both((image(32 * DAY),), (image(DAY, DR_REGION),)),
    ),
    accident(
        "image that is not available",
        {f"image.age {REGION}": "no image", "image.proof": "none of 0 images to launch from"},
        images=both((image(DAY, state="failed"),), (image(DAY, DR_REGION),)),
    ),
    accident(
        "image for another kind of machine",
        {
            f"image.age {REGION}": "ami-1: it is for x86_64, and the instance is arm64",
            f"image.age {DR_REGION}": "arm64",
            "image.proof": "none of 0",
        },
        architecture=Seen(found="arm64"),
    ),
    accident(
        "image that is deprecated",
        {f"image.age {REGION}": "ami-1: it is deprecated since", "image.proof": "none of 0"},
        images=both((replace(image(DAY), deprecated_at=NOW - HOUR),), (image(DAY, DR_REGION),)),
    ),
    accident(
        "image whose snapshot is gone",
        {f"image.age {DR_REGION}": "ami-1: its snapshot snap-9 does not exist"},
        images=both((image(DAY),), (replace(image(DAY, DR_REGION), snapshot_ids=(SnapshotId("snap-9"),)),)),
    ),
    accident("a further database is dumped", limits=WITH_REPORTS, dumps=_reports([REPORTS], [REPORTS])),
    accident(
        "a further database is not dumped",
        {f"dumps.others {REGION}": "no sound dump of the database reports", f"dumps.others {DR_REGION}": "reports"},
        limits=WITH_REPORTS,
    ),
    accident(
        "a further database is not dumped any more",
        {f"dumps.others {REGION}": "the newest sound dump is 2d old, that of the database reports"},
        limits=WITH_REPORTS,
        dumps=_reports([replace(REPORTS, taken_at=NOW - 2 * DAY)], [REPORTS]),
    ),
    accident(
        "a further database whose copy failed a verification",
        {f"dumps.others {DR_REGION}": "does not count: it failed a verification"},
        limits=WITH_REPORTS,
        dumps=_reports([REPORTS], [replace(REPORTS, doubts=("it failed a verification",))]),
    ),
    accident(
        "images of any kind are for a machine that is gone",
        architecture=Seen(),
    ),
    accident(
        "image with a key that nobody may look at",
        {f"image.age {DR_REGION}": "whether ami-1 can be used nobody knows"},
        images=both((image(DAY),), (replace(image(DAY, DR_REGION), snapshots=(LOCKED,)),)),
    ),
    accident("image copy missing", {f"image.age {DR_REGION}": "no image"}, images=both((image(DAY),), ())),
    accident(
        "image that never booted",
        {"image.proof": "none of 1 images to launch from was ever seen to boot"},
        images=both((image(DAY, proven=None),), (image(DAY, DR_REGION),)),
    ),
    accident(
        "image booted long ago",
        {"image.proof": "93d ago"},
        images=both((image(DAY, proven=93 * DAY),), (image(DAY, DR_REGION),)),
    ),
    accident(
        "DLM policy disabled", {f"lifecycle.enabled {POLICY}": "is DISABLED: no role"}, policies=_policy("DISABLED")
    ),
    accident("DLM policy in error", {f"lifecycle.enabled {POLICY}": "is ERROR: no role"}, policies=_policy("ERROR")),
    accident(
        "DLM policy gone",
        {f"lifecycle.enabled {POLICY}": "there is no lifecycle policy"},
        policies={**healthy().policies, POLICY: Seen()},
    ),
    accident(
        "DLM selects nothing",
        {f"lifecycle.selects {POLICY}": "selects lifeboat:protect=weekly"},
        policies=_policy("ENABLED", **{"lifeboat:protect": "weekly"}),
    ),
    accident(
        "DLM selects by another tag of ours too",
        policies=_policy("ENABLED", **{"lifeboat:protect": "weekly", "lifeboat:backup": "plan"}),
    ),
    accident(
        "instance without tags",
        {
            f"lifecycle.selects {POLICY}": "does not have",
            f"lifecycle.selects {IMAGES_POLICY}": "does not have",
            f"vault.selection {PLAN}": "no selection takes the application's instance",
        },
        machine_tags=Seen(found={}),
    ),
    accident(
        "vault lock removed",
        {f"vault.lock {REGION}": "is not locked"},
        locks=both(VaultLock(locked=False, min_days=None, max_days=None), healthy().locks[DR_REGION].found),
    ),
    accident(
        "vault lock shorter",
        {f"vault.lock {REGION}": "keeps recovery points 1 days"},
        locks=both(VaultLock(locked=True, min_days=1, max_days=None), healthy().locks[DR_REGION].found),
    ),
    accident(
        "vault gone",
        {f"vault.lock {DR_REGION}": "there is no vault app-x-backups-dr"},
        locks=both(healthy().locks[REGION].found, None),
    ),
    accident(
        "selection matches nothing",
        {f"vault.selection {PLAN}": "there is none that takes any"},
        selections=_selections(BY_TAG),
    ),
    accident(
        "selection of an old generation",
        {f"vault.selection {PLAN}": "take app-x-g0"},
        selections=_selections(_taking(ARN.replace("g1", "g0")), BY_TAG),
    ),
    accident(
        "serving database left out",
        {f"vault.selection {PLAN}": "no selection takes the serving database"},
        selections=_selections(replace(_taking("*"), excluded=(ARN,)), BY_TAG),
    ),
    accident("plan gone", {f"vault.selection {PLAN}": "there is no backup plan"}, selections={PLAN: Seen()}),
    accident(
        "schedule disabled",
        {f"dumps.schedule {SCHEDULE}": "is DISABLED"},
        schedules={SCHEDULE: Seen(found=schedule(state="DISABLED"))},
    ),
    accident("schedule gone", {f"dumps.schedule {SCHEDULE}": "there is no schedule"}, schedules={SCHEDULE: Seen()}),
    accident(
        "schedule without target",
        {f"dumps.schedule {SCHEDULE}": "calls nobody"},
        schedules={SCHEDULE: Seen(found=schedule(target=""))},
    ),
    *(
        accident(
            f"schedule with another {setting}",
            {f"dumps.schedule {SCHEDULE}": f"the schedule {SCHEDULE} is not as it was built: {setting} is {value}"},
            schedules={SCHEDULE: Seen(found=schedule(settings=schedule_attributes(**{setting: value})))},
        )
        for setting, value in {
            "schedule_expression": "rate(365 days)",
            "schedule_expression_timezone": "Asia/Tokyo",
            "end_date": "2026-01-01T00:00:00Z",
        }.items()
    ),
    accident(
        "schedule of which nobody knows when it runs",
        {f"dumps.schedule {SCHEDULE}": "nobody knows: schedule_expression cannot be compared"},
        schedules={SCHEDULE: Seen(found=schedule(settings={}))},
    ),
    accident(
        "versioning suspended",
        {f"dumps.versioning {DUMPS}": "is suspended"},
        buckets=_buckets(DUMPS, versioning="Suspended"),
    ),
    accident(
        "bucket gone",
        {f"dumps.versioning {COPIES}": "there is no bucket", f"dumps.lock {COPIES}": "there is no bucket"},
        buckets={**healthy().buckets, COPIES: Seen()},
    ),
    accident(
        "lock of dumps removed", {f"dumps.lock {DUMPS}": "locked 0 days"}, buckets=_buckets(DUMPS, lock_days=None)
    ),
    accident("lock of dumps shorter", {f"dumps.lock {DUMPS}": "locked 13 days"}, buckets=_buckets(DUMPS, lock_days=13)),
    accident(
        "replication rule off",
        {f"copies.replication {DUMPS}": "no rule that is enabled"},
        buckets=_buckets(DUMPS, rules=tuple(replace(rule, enabled=False) for rule in bucket(DUMPS).rules)),
    ),
    accident(
        "replication to elsewhere",
        {f"copies.replication {STATE}": "no rule that is enabled"},
        buckets=_buckets(
            STATE, rules=tuple(replace(rule, destination="arn:aws:s3:::other") for rule in bucket(STATE).rules)
        ),
    ),
    accident(
        "replication failing",
        {f"copies.replication {DUMPS}": "S3 could not copy it"},
        buckets=_buckets(DUMPS, copied="FAILED"),
    ),
    accident(
        "replication never asked for",
        {f"copies.replication {STATE}": "S3 was not asked"},
        buckets=_buckets(STATE, copied=""),
    ),
    accident("replication under way", buckets=_buckets(DUMPS, copied="PENDING")),
    accident(
        "key disabled",
        {"keys.enabled database.this.eu-west-1": "the key is Disabled"},
        keys={KEY: Seen(found=EncryptionKey(arn=KEY, state="Disabled"))},
    ),
    accident(
        "key to be deleted",
        {"keys.enabled database.this.eu-west-1": "is PendingDeletion"},
        keys={KEY: Seen(found=EncryptionKey(arn=KEY, state="PendingDeletion"))},
    ),
    accident(
        "state finding",
        {"state.sound stack digest": "another digest"},
        state={
            **healthy().state,
            "stack digest": StateCheck(
                name="stack digest", says="x", finding="another digest", command="lifeboat state restore 1"
            ),
        },
    ),
    accident("lock table without PITR", {"state.table-recovery": "is off"}, table_recovery=Seen(found="DISABLED")),
    accident("no lock table", {"state.table-recovery": "there is no lock table"}, table_recovery=Seen()),
    accident(
        "alarm gone",
        {f"alarms.present {STALE}": "there is no alarm"},
        alarms=Seen(found={FAILED: alarm(FAILED)}),
        metrics=Seen(found={}),
    ),
    accident("alarm without action", {f"alarms.actions {STALE}": "it has none at all"}, alarms=_alarms(actions=())),
    accident(
        "alarm tells another topic",
        {f"alarms.actions {STALE}": "no action that tells the stack's topic: arn:x"},
        alarms=_alarms(actions=("arn:x",)),
    ),
    accident("alarm tells more", alarms=_alarms(actions=("arn:x", TOPIC))),
    accident("alarm disabled", {f"alarms.actions {STALE}": "are switched off"}, alarms=_alarms(enabled=False)),
    *(
        accident(
            f"alarm with another {setting}",
            {f"alarms.present {STALE}": f"{STALE} is not as it was built: {setting} is {value}"},
            alarms=_alarms(settings=alarm_attributes(**{setting: value})),
        )
        for setting, value in {
            "threshold": 1_000_000_000,
            "comparison_operator": "LessThanThreshold",
            "evaluation_periods": 24,
            "treat_missing_data": "ignore",
            "statistic": "Maximum",
            "metric_name": "Nothing",
            "unit": "Bytes",
        }.items()
    ),
    accident(
        "alarm of other dimensions",
        {f"alarms.present {STALE}": "dimensions.Kind is drills"},
        alarms=_alarms(settings=alarm_attributes(dimensions={"Kind": "drills", "Name": "app-x"})),
    ),
    accident(
        "alarm of which nobody knows how it is set",
        {f"alarms.present {STALE}": "nobody knows: namespace cannot be compared"},
        alarms=_alarms(settings={}),
    ),
    accident("alarm that names all of its periods", alarms=_alarms(settings=alarm_attributes(datapoints_to_alarm=3))),
    accident(
        "alarm in ALARM",
        {f"alarms.quiet {STALE}": "is in ALARM for 24h: too old"},
        alarms=_alarms(state="ALARM", reason="too old"),
    ),
    accident("alarm that rings for this very status", alarms=_alarms(state="ALARM", metric="StatusChecksRed")),
    accident(
        "alarm of that name that is not ours",
        {f"alarms.quiet {STALE}": "is in ALARM"},
        alarms=_alarms(state="ALARM", metric="StatusChecksRed", namespace="Others"),
    ),
    accident(
        "rule disabled",
        {f"alarms.rules {REGION} {RULE}": "is disabled"},
        rules=both(rules(TOPIC, enabled=False), rules(DR_TOPIC)),
    ),
    accident(
        "rule without target",
        {f"alarms.rules {DR_REGION} {RULE}": "has no target"},
        rules=both(rules(TOPIC), rules(DR_TOPIC, targets=())),
    ),
    accident(
        "rule of other events",
        {
            f"alarms.rules {DR_REGION} {RULE}": f"the rule {RULE} in {DR_REGION} is not as it was built:"
            ' event_pattern.detail.eventName is ["Nothing"]'
        },
        rules=both(
            rules(TOPIC),
            rules(DR_TOPIC, settings=rule_attributes({**PATTERN, "detail": {"eventName": ["Nothing"]}})),
        ),
    ),
    accident(
        "rule of which nobody knows its events",
        {f"alarms.rules {REGION} {RULE}": "nobody knows: event_pattern cannot be compared"},
        rules=both(rules(TOPIC, settings={}), rules(DR_TOPIC)),
    ),
    accident("rule gone", {f"alarms.rules {REGION} {RULE}": "there is no rule"}, rules=both({}, rules(DR_TOPIC))),
    accident("topic without subscriber", {f"alarms.heard {TOPIC}": "nobody listens to"}, topics=_topic()),
    accident(
        "topic without confirmed subscriber",
        {f"alarms.heard {TOPIC}": "has confirmed: on-call"},
        topics=_topic(listener(confirmed=False), listener("sqs")),
    ),
    accident("only a queue listens", {f"alarms.heard {TOPIC}": "nobody listens to"}, topics=_topic(listener("sqs"))),
    accident(
        "a filter keeps every alarm away",
        {f"alarms.heard {TOPIC}": "the filter of every subscriber of"},
        topics=_topic(listener(wants='{"State": ["none"]}'), listener("sqs")),
    ),
    accident(
        "a filter keeps some away",
        topics=_topic(listener(wants='{"State": ["none"]}'), listener()),
    ),
    accident("one of two confirmed", topics=_topic(listener(), listener(confirmed=False))),
    accident("topic gone", {f"alarms.heard {TOPIC}": "there is no topic"}, topics={**healthy().topics, TOPIC: Seen()}),
    accident(
        "subscription to database events disabled",
        {f"alarms.notifiers {EVENTS}": "it is disabled"},
        notifiers=_notifiers(EVENTS, silent="it is disabled"),
    ),
    accident(
        "subscription to fewer database events",
        {f"alarms.notifiers {EVENTS}": "it does not tell of failure, as it was built to"},
        notifiers=_notifiers(EVENTS, tells_of=News(events=("backup",), source_type="db-instance")),
    ),
    accident(
        "subscription to all database events",
        notifiers=_notifiers(EVENTS, tells_of=News(events=(), source_type="db-instance")),
    ),
    accident(
        "vault that tells nobody",
        {
            f"alarms.notifiers {DR_VAULT}": "vault notifications app-x-backups-dr in eu-central-1: there is none any more"
        },
        notifiers={**healthy().notifiers, DR_VAULT: Seen()},
    ),
    accident(
        "vault that tells another topic",
        {f"alarms.notifiers {DR_VAULT}": "it tells arn:aws:sns:eu-central-1:1:other, which is not the stack's topic"},
        notifiers=_notifiers(DR_VAULT, topic="arn:aws:sns:eu-central-1:1:other"),
    ),
    accident(
        "topic that does not let RDS publish",
        {f"alarms.notifiers {EVENTS}": "does not let events.rds.amazonaws.com publish"},
        notifiers=_notifiers(EVENTS, policy="{}"),
    ),
    accident(
        "nothing that AWS tells by itself",
        {"alarms.notifiers": "AWS tells of no database and of no vault by itself"},
        stack=_without("aws_db_event_subscription", "aws_backup_vault_notifications"),
    ),
    accident("metric missing", {f"alarms.measured {STALE}": "nobody has written the metric"}, metrics=Seen(found={})),
    accident(
        "metric old",
        {f"alarms.measured {STALE}": "nobody has written the metric"},
        metrics=Seen(found={STALE: NOW - 4 * HOUR}),
    ),
    accident("open run", {"runs.open": f"1 recovery is not finished: {RUN}"}, open_runs=Seen(found=(RUN,))),
    accident(
        "leak",
        {"runs.leaks": "drills left 1 thing: database d in eu-west-1"},
        leaks=Seen(found=(LeftBehind(kind="database", id="d", region=REGION, run="r"),)),
    ),
    accident(
        "recovery file not committed",
        {"runs.recovery-file": "is not committed"},
        recovery_file=Seen(found=RecoveryFile(exists=True, uncommitted=True)),
    ),
    accident("recovery file committed", recovery_file=Seen(found=RecoveryFile(exists=True, uncommitted=False))),
    accident(
        "recovery file of another time",
        {"runs.recovery-file": "names ami-0"},
        recovery_file=Seen(found=RecoveryFile(exists=True, uncommitted=False, disagrees="names ami-0")),
    ),
    accident(
        "drift",
        {"runs.drift": "found 2 to change"},
        last_plan=Seen(found=PlanRecord(at=NOW, by="plan", changes=2, summary="2 to change")),
    ),
    accident("no plan", {"runs.drift": "nobody has written down"}, last_plan=Seen()),
    accident(
        "plan too old",
        {"runs.drift": "is 9d old"},
        last_plan=Seen(found=PlanRecord(at=NOW - 9 * DAY, by="apply", changes=0, summary="no changes")),
    ),
    accident(
        "drill too old",
        {"drills.age instance": "93d ago", "drills.age full": "no drill of everything ever went well"},
        drills=Seen(found=(drill("database"), drill("instance", 93 * DAY), drill("state"))),
    ),
    accident(
        "last drill failed: rows missing",
        {"drills.passed database": "failed 2h ago: 3 rows missing"},
        drills=Seen(
            found=(drill("full"), drill("state"), drill("database", 2 * HOUR, passed=False, why="3 rows missing"))
        ),
    ),
    accident(
        "last drill cut off",
        {"drills.cut-off full": "was cut off 2h ago, with nothing found amiss until then"},
        drills=Seen(found=(drill("full"), drill("state"), drill("full", 2 * HOUR, **CUT_OFF))),
    ),
    accident(
        "a drill of one kind failed, and a later one was cut off",
        {"drills.passed state": "failed 24h ago: no plan", "drills.cut-off state": "was cut off 2h ago"},
        drills=Seen(
            found=(
                drill("full"),
                drill("state", 2 * DAY),
                drill("state", passed=False, why="no plan"),
                drill("state", 2 * HOUR, **CUT_OFF),
            )
        ),
    ),
    accident(
        "first drill cut off",
        {"drills.age state": "ever went well", "drills.cut-off state": "was cut off 2h ago"},
        drills=Seen(found=(drill("full"), drill("state", 2 * HOUR, **CUT_OFF))),
    ),
    accident(
        "a drill cut off, and a later one went well",
        drills=Seen(found=(drill("full", 2 * DAY, **CUT_OFF), drill("full"), drill("state"))),
    ),
    accident(
        "a drill failed, and a later one was cut off",
        {
            "drills.passed database": "that ran to its end failed 24h ago: 3 rows missing",
            "drills.cut-off full": "was cut off 2h ago",
        },
        drills=Seen(
            found=(
                drill("full", 2 * DAY),
                drill("state"),
                drill("database", passed=False, why="3 rows missing", rto=None, rpo=None),
                drill("full", 2 * HOUR, **CUT_OFF),
            )
        ),
    ),
    accident(
        "a drill failed, and a later one went well",
        drills=Seen(found=(drill("full", 2 * DAY, passed=False), drill("full"), drill("state"))),
    ),
    accident(
        "RTO above the objective",
        {"drills.rto state": "took 5h"},
        drills=Seen(found=(drill("full"), drill("state", rto=5 * HOUR))),
    ),
    accident(
        "RTO not known",
        {"drills.rto state": "never saw the application answer"},
        drills=Seen(found=(drill("full"), drill("state", rto=None))),
    ),
    accident(
        "no RTO was to be measured", drills=Seen(found=(drill("full"), drill("state", rto=None, rto_objective=None)))
    ),
    accident(
        "RPO above the objective",
        {"drills.rpo full": "lost 25h", "drills.rpo database": "lost 25h", "drills.rpo instance": "lost 25h"},
        drills=Seen(found=(drill("full", rpo=25 * HOUR, rpo_objective=24 * HOUR, missed=True), drill("state"))),
    ),
    accident(
        "RPO not known",
        {"drills.rpo state": "cannot tell what was lost"},
        drills=Seen(found=(drill("full"), drill("state", rpo=None, rpo_objective=24 * HOUR, missed=True))),
    ),
    accident(
        "no canary",
        {"drills.rpo state": "does not show what would be lost: no canary"},
        drills=Seen(found=(drill("full"), drill("state", missed=True, why="no canary"))),
    ),
    accident(
        "RPO of restored rows not measured at all",
        {f"drills.rpo {scope}": "cannot tell what was lost" for scope in ("full", "database", "instance")},
        drills=Seen(found=(drill("full", rpo=None, rpo_objective=None), drill("state"))),
    ),
    accident("RPO just met", drills=Seen(found=(drill("full", rpo=24 * HOUR), drill("state")))),
    accident("RTO just met", drills=Seen(found=(drill("full"), drill("state", rto=4 * HOUR)))),
    accident(
        "evidence broken", {"drills.evidence": "bundle 3 was changed"}, evidence=Seen(found=("bundle 3 was changed",))
    ),
)


def test_nothing_is_amiss_with_a_healthy_environment() -> None:
    found = judged(healthy())

    assert amiss(healthy()) == {}
    assert found.whole
    assert (found.executed, found.expected) == (len(found.verdicts), len(found.verdicts))
    assert gate.exit_status(found) == 0


@pytest.mark.parametrize("case", ACCIDENTS, ids=lambda case: case.what)
def test_an_accident_is_found_by_the_checks_that_should_and_by_no_other(case: Accident) -> None:
    facts = replace(healthy(), **case.changes)

    found = amiss(facts, case.limits)

    assert found.keys() == case.red.keys(), found
    assert {name for name, words in case.red.items() if words not in found[name]} == set(), found
    assert (gate.exit_status(judged(facts, case.limits)) == 0) == (not case.red)


@pytest.mark.parametrize(
    ("drills", "status"),
    [
        ((drill("full"), drill("state"), drill("full", 2 * HOUR, **CUT_OFF)), 10),
        ((), 10),
        ((drill("full"), drill("state"), drill("state", 2 * HOUR, passed=False, why="no rows")), 11),
    ],
    ids=["cut off", "none ever", "failed"],
)
def test_what_no_drill_has_shown_is_an_objective_missed_and_what_one_has_is_damage(
    drills: tuple[DrillRecord, ...], status: int
) -> None:
    assert gate.exit_status(judged(replace(healthy(), drills=Seen(found=drills)))) == status


def test_every_check_is_made_red_by_an_accident() -> None:
    found = {name.partition(" ")[0] for case in ACCIDENTS for name in case.red}

    assert {check.id for check in CHECKS} - found == set()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_a_check_that_finds_nothing_any_more_is_missed_by_this_table(check: Check) -> None:
    blind = replace(check, judge=lambda case: Good(says="all is well"))
    case = next(one for one in ACCIDENTS if check.id in {name.partition(" ")[0] for name in one.red})
    subject = next(name for name in case.red if name.partition(" ")[0] == check.id).partition(" ")[2]
    facts = Case(facts=replace(healthy(), **case.changes), limits=case.limits, subject=subject)

    assert judging.verdict(check, facts).colour is Colour.RED
    assert judging.verdict(blind, facts).colour is Colour.GREEN
    assert subject in check.subjects(facts.stack)


def _hidden() -> Iterator[tuple[str, Facts]]:
    """Yield healthy facts of which one look each could not be made."""
    facts = healthy()
    for field in fields(Facts):
        value = getattr(facts, field.name)
        if isinstance(value, Seen):
            yield field.name, replace(facts, **{field.name: unseen("aws:Call", "AccessDenied: not you")})
        elif isinstance(value, dict):
            for key in value:
                if field.name == "state":
                    hidden: Any = StateCheck(name=key, says="AccessDenied: not you", unseen=True)
                else:
                    hidden = unseen("aws:Call", "AccessDenied: not you")
                yield f"{field.name} {key}", replace(facts, **{field.name: {**value, key: hidden}})


# RDS takes snapshots in the primary region only: no check hangs on those of the other one.
HIDDEN = [(what, facts) for what, facts in _hidden() if what != f"snapshots {DR_REGION}"]


@pytest.mark.parametrize(("what", "facts"), HIDDEN, ids=[what for what, _ in HIDDEN])
def test_what_could_not_be_looked_at_is_unknown_and_says_which_call(what: str, facts: Facts) -> None:
    found = judged(facts)

    unknown = found.of(Colour.UNKNOWN)
    assert unknown
    assert found.of(Colour.RED) == []
    assert all("AccessDenied: not you" in one.says and one.wanted for one in unknown)
    assert gate.exit_status(found) == 8
    assert found.executed == found.expected - len(unknown)
    assert found.whole


@pytest.mark.parametrize(
    "name", [f.name for f in fields(Facts) if f.name not in ("now", "stack", "windows", "snapshots")]
)
def test_what_nobody_looked_at_is_unknown(name: str) -> None:
    empty = Facts(now=NOW, stack=healthy().stack)

    found = judged(replace(healthy(), **{name: getattr(empty, name)}))

    assert found.of(Colour.UNKNOWN)
    assert gate.exit_status(found) == 8


def test_without_a_stack_what_hangs_on_it_is_unknown_and_the_rest_is_judged() -> None:
    facts = replace(healthy(), stack=unseen("s3:GetObject", "there is no state"))

    found = judged(facts)

    colours = {one.check: one.colour for one in found.verdicts}
    assert {colour for check, colour in colours.items() if check.startswith(("runs.", "drills.", "state."))} == {
        Colour.GREEN
    }
    assert colours["environment.account"] is Colour.GREEN
    assert colours["alarms.present"] is Colour.UNKNOWN
    assert colours["database.window"] is Colour.UNKNOWN
    assert colours.keys() == BY_ID.keys()
    assert [row.kind.value for row in found.copies if row.count and row.region == REGION] != []
    assert gate.exit_status(found) == 8


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        ("aws_kms_key", "keys.enabled"),
        ("aws_cloudwatch_metric_alarm", "alarms.present"),
        ("aws_cloudwatch_event_rule", "alarms.rules"),
    ],
)
def test_a_stack_that_names_none_of_what_must_be_there_is_red(kind: str, check: str) -> None:
    left = tuple(one for one in RESOURCES if one.kind != kind)
    facts = replace(healthy(), stack=Seen(found=Stack(recovery=recovery(), resources=left)))

    found = judged(facts)

    assert check in {one.check for one in found.of(Colour.RED)}


def test_a_state_without_resources_is_no_reason_to_check_less() -> None:
    facts = replace(healthy(), stack=Seen(found=Stack(recovery=recovery(), resources=())))

    assert "environment.stack" in amiss(facts)


def test_one_bad_copy_among_many_is_told_where_it_would_be_the_newest() -> None:
    many = tuple(point(PointKind.AUTOMATED_SNAPSHOT, timedelta(hours=30 + n)) for n in range(2000))
    bad = point(PointKind.AUTOMATED_SNAPSHOT, HOUR, status="failed")

    found = amiss(replace(healthy(), snapshots=both((*many[:1500], bad, *many[1500:]), ())))

    assert found == {
        f"database.snapshot {REGION}": "the newest in eu-west-1 is 30h old, and automated_snapshot-1 does not count: it is failed"
    }


def test_the_heartbeat_of_a_stack_that_has_none_is_not_asked_for() -> None:
    facts = replace(healthy(), beat=unseen("secretsmanager:GetSecretValue"))

    assert amiss(facts, replace(LIMITS, beat=timedelta(0))) == {}


def test_a_secret_that_does_not_open_the_database_is_red_where_no_heartbeat_is_asked_for() -> None:
    facts = replace(healthy(), beat=Seen(found=Beat(at=None, known_by="cannot use app", stopped=True, refused=True)))

    assert amiss(facts, replace(LIMITS, beat=timedelta(0))).keys() == {"database.secret"}


def test_a_check_that_breaks_hides_no_other() -> None:
    broken = replace(healthy(), instance=Seen(found="not an instance"))  # type: ignore[arg-type]

    found = judged(broken)

    assert {one.check for one in found.of(Colour.UNKNOWN)} == {
        "database.serving",
        "database.retention",
        "database.protected",
    }
    assert "could not be made of what was seen: AttributeError" in found.of(Colour.UNKNOWN)[0].says
    assert found.of(Colour.RED) == []


def test_a_verdict_too_few_is_not_the_whole_answer() -> None:
    found = judged(healthy())

    less = replace(found, verdicts=found.verdicts[1:])

    assert not less.whole
    assert gate.exit_status(less) == 8


def test_a_verdict_twice_is_not_the_whole_answer() -> None:
    found = judged(healthy())

    twice = replace(found, verdicts=(*found.verdicts[1:], found.verdicts[-1]))

    assert not twice.whole
    assert gate.exit_status(twice) == 8


def _weighed(*red: str, hidden: bool = False) -> int:
    by_id = {case.what: case for case in ACCIDENTS}
    facts = healthy()
    for what in red:
        facts = replace(facts, **by_id[what].changes)
    return gate.exit_status(judged(replace(facts, table_recovery=unseen("x")) if hidden else facts))


@pytest.mark.parametrize(
    ("red", "hidden", "status"),
    [
        (("image booted long ago",), False, 10),
        (("image booted long ago", "key disabled"), False, 1),
        (("image booted long ago", "key disabled"), True, 8),
        (("image booted long ago", "key disabled", "leak"), True, 12),
        (("image booted long ago", "key disabled", "leak", "empty dump"), True, 11),
        (("empty dump", "image booted long ago"), False, 11),
        ((), True, 8),
    ],
)
def test_the_gate_ends_with_the_gravest(red: tuple[str, ...], hidden: bool, status: int) -> None:
    assert _weighed(*red, hidden=hidden) == status


@pytest.mark.parametrize(
    ("red", "status"),
    [((), 0), (("image booted long ago",), 1), (("key disabled",), 2), (("leak",), 2), (("empty dump",), 2)],
)
def test_nagios_knows_four_words(red: tuple[str, ...], status: int) -> None:
    facts = healthy()
    for what in red:
        facts = replace(facts, **next(case.changes for case in ACCIDENTS if case.what == what))

    assert gate.nagios_status(judged(facts)) == status
    assert gate.nagios_status(judged(replace(healthy(), table_recovery=unseen("x")))) == 3


def test_each_check_says_what_it_is_for() -> None:
    assert len(BY_ID) == len(CHECKS)
    for check in CHECKS:
        assert check.title
        assert check.why.endswith((".", "!"))
        assert check.act
        assert all(":" in call for call in check.asks)


def test_expected_checks_follow_from_the_stack_alone() -> None:
    before = [(check.id, subject) for check, subject in judging.expected(healthy().stack.found, LIMITS)]
    nothing = judged(Facts(now=NOW, stack=healthy().stack))

    assert [(one.check, one.subject) for one in nothing.verdicts] == before


def test_what_is_to_be_typed_names_the_environment_and_reaches_it() -> None:
    by_what = {case.what: case for case in ACCIDENTS}
    facts = healthy()
    for what in ("retention changed to 1", "key disabled"):
        facts = replace(facts, **by_what[what].changes)

    found = judging.status("production", facts, replace(LIMITS, before_aws="eval x && "))
    here = judging.status("local", facts, LIMITS)

    retention, key = (
        next(one for one in found.verdicts if one.check == name) for name in ("database.retention", "keys.enabled")
    )
    assert retention.command.startswith("lifeboat apply -e production, which sets it again")
    assert key.command.startswith("eval x && aws kms enable-key")
    assert next(one for one in here.verdicts if one.check == "database.retention").command.startswith(
        "lifeboat apply, "
    )


def test_every_command_of_ours_that_is_printed_is_one() -> None:
    for case in ACCIDENTS:
        for one in judged(replace(healthy(), **case.changes), case.limits).of(Colour.RED):
            assert re.search(r"\b(lifeboat|aws|git|psql|sign in|timedatectl|confirm)\b|docs/runbooks/", one.command), (
                one
            )


@pytest.mark.parametrize(
    ("namespace", "command"),
    [
        ("Lifeboat", "lifeboat status -e production --publish, which writes it"),
        ("AWS/Backup", "lifeboat status -e production once more in some minutes: AWS writes this metric itself"),
    ],
)
def test_an_alarm_that_has_no_data_yet_is_unknown_and_says_who_writes_its_metric(namespace: str, command: str) -> None:
    alarms = _alarms(state="INSUFFICIENT_DATA", namespace=namespace, since=NOW - 2 * HOUR)

    status = judging.status("production", replace(healthy(), alarms=alarms), LIMITS)

    (found,) = status.of(Colour.UNKNOWN)
    assert (found.name, found.wanted, found.command) == (f"alarms.quiet {STALE}", "OK", command)
    assert found.says == (
        f"{STALE} is in INSUFFICIENT_DATA for 2h: CloudWatch has no data of its metric yet"
        f" ({namespace} BackupAgeSeconds)"
    )
    assert status.of(Colour.RED) == []
    assert gate.exit_status(status) == 8


def _verdict(finding: Finding | None, standing: Standing) -> DoctorsVerdict:
    says = "it is well" if finding is None else finding.found
    return DoctorsVerdict(check="digest", root=StateRoot.STACK, standing=standing, says=says, finding=finding)


@pytest.mark.parametrize(
    ("verdict", "colour"),
    [
        (_verdict(None, Standing.GOOD), Colour.GREEN),
        (_verdict(None, Standing.MOOT), Colour.GREEN),
        (_verdict(None, Standing.UNSEEN), Colour.UNKNOWN),
        (_verdict(critical("another digest", "that of the top", "x"), Standing.FINDING), Colour.RED),
        (_verdict(warning("no digest", "one", "x"), Standing.FINDING), Colour.RED),
        (_verdict(notice("there never was a state", "one", "lifeboat apply"), Standing.FINDING), Colour.RED),
        (_verdict(notice("it is just worked on", "x", state_mending.AGAIN), Standing.FINDING), Colour.UNKNOWN),
    ],
)
def test_what_the_state_doctor_says_counts_as_it_says_it(verdict: DoctorsVerdict, colour: Colour) -> None:
    told = state.of_doctor(Diagnosis(expected=1, verdicts=(verdict,)))

    found = judged(replace(healthy(), state={**healthy().state, **told}))

    (one,) = (one for one in found.verdicts if one.subject == "stack digest")
    assert one.colour is colour
    assert one.says == verdict.says


def test_where_there_is_nothing_to_judge_another_check_is_red() -> None:
    moot = [
        (case, judged(replace(healthy(), **case.changes), case.limits))
        for case in ACCIDENTS
        if any(
            "nothing to judge" in one.says for one in judged(replace(healthy(), **case.changes), case.limits).verdicts
        )
    ]

    assert {case.what for case, _ in moot} >= {"no dump", "alarm gone", "DLM policy gone"}
    assert [case.what for case, found in moot if not found.of(Colour.RED)] == ["no RTO was to be measured"]
    assert not any("nothing to judge" in one.says for one in judged(healthy()).verdicts)


def test_a_metric_that_is_written_only_where_something_was_measured_is_not_missed() -> None:
    seldom = resource(
        "aws_cloudwatch_metric_alarm",
        "this",
        "rto-missed-state",
        alarm_name="app-x-rto-missed-state",
        arn=f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:app-x-rto-missed-state",
        **alarm_attributes(treat_missing_data="notBreaching"),
    )
    there = alarm("app-x-rto-missed-state", settings=seldom.attributes)
    alarms = {**(healthy().alarms.found or {}), there.name: there}
    facts = replace(
        healthy(),
        stack=Seen(found=Stack(recovery=recovery(), resources=(*RESOURCES, seldom))),
        alarms=Seen(found=alarms),
    )

    assert amiss(facts) == {}


@pytest.mark.parametrize("region", [REGION, DR_REGION])
@pytest.mark.parametrize(
    ("restored", "kind"),
    [
        (PointKind.DUMP, CopyKind.DUMP),
        (PointKind.POINT_IN_TIME, CopyKind.WINDOW),
        (PointKind.AUTOMATED_SNAPSHOT, CopyKind.SNAPSHOT),
        (PointKind.MANUAL_SNAPSHOT, CopyKind.SNAPSHOT),
        (PointKind.BACKUP_POINT, CopyKind.VAULT),
    ],
)
def test_a_drill_has_restored_the_kind_of_copy_that_it_took_in_its_region_and_no_other(
    restored: PointKind, kind: CopyKind, region: str
) -> None:
    unproven = replace(DUMP, proven=None)
    taken = drill("database", copies=((restored.value, region),))
    facts = replace(
        healthy(),
        dumps=both((unproven,), (replace(unproven, region=DR_REGION),)),
        snapshots=both(*((point(PointKind.AUTOMATED_SNAPSHOT, HOUR, where),) for where in (REGION, DR_REGION))),
        drills=Seen(found=(taken, drill("full", copies=((restored.value, region),), passed=False), drill("state"))),
    )

    found = [row for row in judged(facts).copies if row.restored_at is not None and row.kind is not CopyKind.IMAGE]

    assert [(row.asset is Asset.VOLUME, row.kind, row.region) for row in found] == [(False, kind, region)]
    assert found[0].restored_at == taken.ended
