"""The checks of dumps: that one is made on time, that it holds what it should, and that it was proven."""

from __future__ import annotations

from datetime import datetime
from statistics import median

from lifeboat.database_model import HEARTBEAT_TABLE, RecoveryPoint
from lifeboat.decisions import dump_floors, restores
from lifeboat.decisions.durations import said
from lifeboat.decisions.recovery_points import humane
from lifeboat.decisions.status import built, copies
from lifeboat.decisions.status.check import Bad, Case, Check, Good, Outcome, late, old, once, regions, seen
from lifeboat.status_model import Asset, Weight

_MEASURED_BY = 7  # dumps whose median is the measure, as `lifeboat dump` takes it


def _age(case: Case) -> Outcome:
    region, stack = case.subject, case.stack
    points = seen(case.facts.dumps, region) or ()
    mine = copies.dumps_of_database(points, stack)
    limit = late(case, built.every(stack, Asset.DUMPS.value, "", stack.recovery.region))
    wanted = f"one of the database {stack.recovery.database.name} at most {said(limit)} old"
    if region == stack.recovery.region:
        # What else speaks against the newest one is for the checks of its content and its verification to tell.
        good = [p for p in mine if p.restorable and not any("future" in doubt for doubt in p.doubts)]
        command = "lifeboat dump"
    else:
        good = copies.sound(mine, case.now)
        command = f"lifeboat backups --kind dump --region {region}"
    newest = max(good, key=lambda point: point.taken_at, default=None)
    instead = _instead(points, mine, newest)
    if newest is None:
        return Bad(found=f"no dump in {region}{instead}", wanted=wanted, command=command)
    if case.now - newest.taken_at > limit:
        return Bad(
            found=f"the newest in {region} is {old(case, newest.taken_at)} old{instead}", wanted=wanted, command=command
        )
    return Good(says=f"{newest.id}, {old(case, newest.taken_at)} old")


def _others(case: Case) -> Outcome:
    """Judge the dumps of the databases that are dumped beside the application's: one red one is enough."""
    region, points, says = case.subject, seen(case.facts.dumps, case.subject) or (), []
    limit = late(case, built.every(case.stack, Asset.DUMPS.value, "", case.stack.recovery.region))
    for name in (one for one in case.limits.databases if one != case.stack.recovery.database.name):
        mine = [point for point in points if point.database == name]
        newest = next(iter(copies.sound(mine, case.now)), None)
        if newest is None or case.now - newest.taken_at > limit:
            how = (
                "no sound dump"
                if newest is None
                else f"the newest sound dump is {old(case, newest.taken_at)} old, that"
            )
            return Bad(
                found=f"{how} of the database {name} in {region}{_instead(tuple(mine), mine, newest)}",
                wanted=f"one at most {said(limit)} old",
                command=f"lifeboat dump --database {name}"
                if region == case.stack.recovery.region
                else f"lifeboat backups --kind dump --region {region}",
            )
        says.append(f"{name}: {old(case, newest.taken_at)} old")
    return Good(says=", ".join(says) or "no other database is to be dumped")


def _instead(points: tuple[RecoveryPoint, ...], mine: list[RecoveryPoint], newest: RecoveryPoint | None) -> str:
    """Return in words what there is that is newer and does not count: incomplete, dated ahead, of another database."""
    newer = [point for point in points if newest is None or point.taken_at > newest.taken_at]
    of_ours = [point for point in newer if point in mine]
    if of_ours:
        last = max(of_ours, key=lambda point: point.taken_at)
        never = (
            "it has no manifest, so it never became a dump" if last.status == "incomplete" else f"it is {last.status}"
        )
        why = "; ".join(last.doubts) if last.restorable else never
        return f", and {last.id} does not count: {why}"
    others = sorted({point.database for point in newer})
    return f", but there are newer ones of the database {', '.join(others[:3])}" if others else ""


_NONE = Good(says="nothing to judge: dumps.age tells that there is none")


def _readable(case: Case) -> Outcome:
    newest = case.facts.newest_dump.value
    if newest is None:
        return _NONE
    command = f"lifeboat dump, then: lifeboat describe {newest.point.id}"
    if newest.manifest is None:
        return Bad(found=f"{newest.point.id}: {newest.damage}", wanted="a manifest that can be read", command=command)
    part = restores.part(newest.manifest)
    if part is not None:
        return Bad(found=f"{newest.point.id} holds {part}", wanted="all of the database", command="lifeboat dump")
    tables = [one for one in newest.manifest.contents.tables if one.table.name != HEARTBEAT_TABLE]
    rows = sum(table.rows for table in tables)
    if not rows:
        return Bad(
            found=f"{newest.point.id} is empty: {len(tables)} tables, and no row in any",
            wanted="the application's rows",
            command="psql \"$DATABASE_URL\" -c '\\dt+', and keep the last full one: lifeboat keep ID --why TEXT",
        )
    return Good(says=f"{len(tables)} tables, {rows:,} rows")


def _size(case: Case) -> Outcome:
    newest = case.facts.newest_dump.value
    if newest is None or newest.manifest is None:
        return Good(says="nothing to judge: dumps.age or dumps.content tells why")
    suspicious = dump_floors.suspicious(newest.manifest)
    command = f"lifeboat describe {newest.point.id}; where the data is meant to be less: lifeboat dump --accept-smaller"
    if suspicious:
        return Bad(
            found=f"{newest.point.id} was flagged when it was made: {'; '.join(suspicious)}",
            wanted="as much as the dumps before it",
            command=command,
        )
    accepted = any(flag.startswith(dump_floors.ACCEPTED) for flag in newest.manifest.flags)
    before, size = newest.sizes_before[:_MEASURED_BY], newest.point.size or 0
    usual = median(before) if before else 0
    if before and not accepted and size < usual * (1 - case.limits.shrink_percent / 100):
        return Bad(
            found=f"{newest.point.id} has {humane(size)}, the median of the {len(before)} before it {humane(round(usual))}",
            wanted=f"not more than {case.limits.shrink_percent:g} % less",
            command=command,
        )
    return Good(says=humane(size) + (f", usually {humane(round(usual))}" if before else ", the first one"))


def _verification(case: Case) -> Outcome:
    newest = case.facts.newest_dump.value
    if newest is None:
        return _NONE
    failed = [doubt for doubt in newest.point.doubts if "verification" in doubt]
    if failed:
        return Bad(
            found=f"{newest.point.id}: {failed[0]}",
            wanted="a newest dump that passed what it was verified by",
            command=f"lifeboat describe {newest.point.id}; lifeboat dump makes another, lifeboat verify latest looks into it",
        )
    proven = newest.point.proven
    return Good(says="not verified yet" if proven is None else f"passed level {proven.level}")


def proofs(case: Case) -> list[tuple[datetime, str, int]]:
    """Return when whole dumps of the primary region passed a verification that is deep enough, which, and the level."""
    points = seen(case.facts.dumps, case.stack.recovery.region) or ()
    return [
        (point.proven.at, point.id, point.proven.level)
        for point in copies.dumps_of_database(points, case.stack)
        if point.proven is not None and point.proven.level >= case.limits.proof_level and not point.proven.part
    ]


def _proof(case: Case) -> Outcome:
    limits, newest = case.limits, max(proofs(case), default=None)
    if newest is None or case.now - newest[0] > limits.proof:
        return Bad(
            found=f"no dump passed a verification of level {limits.proof_level}"
            if newest is None
            else f"the last one that passed level {newest[2]} did so {old(case, newest[0])} ago",
            wanted=f"one of level {limits.proof_level} or deeper within {said(limits.proof)}",
            command=f"lifeboat verify latest --level {max(3, limits.proof_level)}",
        )
    return Good(says=f"{newest[1]} passed level {newest[2]}, {old(case, newest[0])} ago")


CHECKS = (
    Check(
        id="dumps.age",
        asset=Asset.DUMPS,
        weight=Weight.OBJECTIVE,
        title="The newest dump of the application's database is young enough, and in the other region the newest sound copy",
        why="A dump that was not made, or is of another database, is missed on the day that RDS itself is the problem.",
        act="`lifeboat dump` makes one; the output of the last job is in the log group of modules/dump-job.",
        asks=("s3:ListBucketVersions",),
        subjects=regions,
        judge=_age,
    ),
    Check(
        id="dumps.others",
        asset=Asset.DUMPS,
        weight=Weight.OBJECTIVE,
        title="Of each further database that is to be dumped the newest sound dump in each region is young enough",
        why="What `[dumps] databases` names beside the application's is missed as much, and nothing else watches it.",
        act="`lifeboat dump --database NAME` makes one; the output of the last job is in the log group of modules/dump-job.",
        asks=("s3:ListBucketVersions",),
        subjects=regions,
        judge=_others,
    ),
    Check(
        id="dumps.content",
        asset=Asset.DUMPS,
        weight=Weight.INTEGRITY,
        title="The newest dump can be read, is of the whole database, and holds rows",
        why="An emptied database makes a perfect dump, and retention then takes the full ones away.",
        act="Look at the database at once. `lifeboat keep ID --why TEXT` holds the last full dump for ever.",
        asks=("s3:GetObjectVersion",),
        subjects=once,
        judge=_readable,
    ),
    Check(
        id="dumps.size",
        asset=Asset.DUMPS,
        weight=Weight.INTEGRITY,
        title="The newest dump is not much smaller than those before it",
        why="Data that went missing shows as a smaller dump long before anybody asks for it.",
        act="Compare both: `lifeboat describe ID`. Where less is right: `lifeboat dump --accept-smaller`.",
        asks=("s3:ListBucketVersions", "s3:GetObjectVersion"),
        subjects=once,
        judge=_size,
    ),
    Check(
        id="dumps.verification",
        asset=Asset.DUMPS,
        weight=Weight.INTEGRITY,
        title="The newest dump did not fail a verification",
        why="Something looked into it and found it damaged: it is no copy to count on.",
        act="`lifeboat describe ID` says what was found; make another and verify that.",
        asks=("s3:ListBucketVersions", "s3:GetObjectVersion"),
        subjects=once,
        judge=_verification,
    ),
    Check(
        id="dumps.proof",
        asset=Asset.DUMPS,
        weight=Weight.OBJECTIVE,
        title="A dump passed a verification that is deep enough, not long ago",
        why="A dump that nobody read is a file. What nobody restored is a hope.",
        act="`lifeboat verify latest --level 3` restores it into a scratch server and compares every row.",
        asks=("s3:ListBucketVersions",),
        subjects=once,
        judge=_proof,
    ),
)
