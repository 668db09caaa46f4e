"""The checks of the database: that it serves as it should, and that each kind of its copies is there and young enough."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from lifeboat.database_model import PointKind, RecoveryPoint
from lifeboat.decisions.durations import said
from lifeboat.decisions.status import built, copies
from lifeboat.decisions.status.check import Bad, Case, Check, Good, Outcome, late, old, once, seen
from lifeboat.errors import NotSeen
from lifeboat.status_model import Asset, Stack, Weight


def _in_regions(kind: copies.Kind) -> Callable[[Stack], tuple[str, ...]]:
    """Return the regions that the stack copies to so; the primary one where it names none, which is then red."""
    return lambda stack: (
        built.regions_of(stack, kind.asset.value, kind.word) or (stack.recovery.region, stack.recovery.dr_region)
    )


def _primary(stack: Stack) -> tuple[str, ...]:
    return (stack.recovery.region,)


# -- the instance ------------------------------------------------------------------------------------------------------


def _serving(case: Case) -> Outcome:
    name, found = case.stack.recovery.database.identifier, case.facts.instance.value
    if found is None:
        return Bad(
            found=f"there is no database instance {name}",
            wanted=f"{name} serves the application",
            command="lifeboat recover --scope database --preview",
        )
    if not found.usable:
        return Bad(
            found=f"{name} is {found.status}",
            wanted="a status in which it takes connections",
            command=f"aws rds describe-events --source-type db-instance --source-identifier {name}",
        )
    return Good(says=f"{name} is {found.status}")


def _retention(case: Case) -> Outcome:
    name, wanted = case.stack.recovery.database.identifier, case.stack.recovery.database.retention_days
    found = case.facts.instance.value
    kept = 0 if found is None else found.retention
    if kept < wanted:
        return Bad(
            found=f"automated backups of {name} are kept {kept} day{'' if kept == 1 else 's'}",
            wanted=f"{wanted} days, as the stack was built",
            command="lifeboat apply, which sets it again; what is older than this is gone already",
        )
    return Good(says=f"kept {kept} days")


def _protected(case: Case) -> Outcome:
    name, found = case.stack.recovery.database.identifier, case.facts.instance.value
    if found is None or not found.protected:
        return Bad(
            found=f"nothing keeps {name} from being deleted",
            wanted="deletion protection",
            command="lifeboat apply, which sets it again",
        )
    return Good(says="protected from being deleted")


def _secret(case: Case) -> Outcome:
    if not case.limits.beat and case.facts.beat.unseen is not None:
        return Good(says="nothing to judge: status.heartbeat_minutes is 0, and from here nobody reaches the database")
    found, recovery = case.facts.beat.value, case.stack.recovery
    if found is not None and found.refused:
        return Bad(
            found=f"the secret of the application does not open its database: {found.known_by}",
            wanted="the password of its role",
            command=f"aws rds modify-db-instance --region {recovery.region} --db-instance-identifier"
            f" {recovery.database.identifier} --rotate-master-user-password --apply-immediately",
        )
    return Good(says="it signs in")


def _beat(case: Case) -> Outcome:
    limit = case.limits.beat
    if not limit:
        return Good(says="none is expected: status.heartbeat_minutes is 0")
    found = case.facts.beat.value
    if found is not None and found.refused:
        return Good(says="nothing to judge: database.secret tells that nobody is let in")
    if found is None or found.at is None:
        return Bad(
            found=f"nothing tells when the database was last written to{f': {found.known_by}' if found else ''}",
            wanted="a heartbeat each minute, from which a restore tells what it lost",
            command="lifeboat app restart; on the host: systemctl status lifeboat-heartbeat",
        )
    age = case.now - found.at
    if found.stopped or age > limit:
        return Bad(
            found=f"the heartbeat has stopped: {found.known_by}"
            if found.stopped
            else f"its last row is {said(age)} old",
            wanted=f"a row at most {said(limit)} old",
            command="lifeboat app restart; on the host: systemctl status lifeboat-heartbeat",
        )
    return Good(says=f"written {said(age)} ago")


# -- its copies --------------------------------------------------------------------------------------------------------


def _age(case: Case, kind: copies.Kind, points: Iterable[RecoveryPoint]) -> Outcome:
    """Judge the age of the newest copy of a kind: what there is of other databases, or unsound, is told."""
    stack, region = case.stack, case.subject
    mine = copies.of_database(points, stack)
    good = copies.sound(mine, case.now)
    often = kind.every or built.every(stack, kind.asset.value, kind.word, region)
    limit = late(case, often)
    wanted = f"one of {stack.recovery.database.identifier} at most {said(limit)} old"
    command = f"lifeboat backups --region {region}"
    if often is None:
        return Bad(found=f"the stack makes no {kind.kind.value} in {region}", wanted=wanted, command="lifeboat plan")
    if not good:
        return Bad(found=f"none in {region}{_instead(mine, points)}", wanted=wanted, command=command)
    at = good[0].taken_at
    if case.now - at > limit:
        return Bad(
            found=f"the newest in {region} is {old(case, at)} old{_instead(mine, points, at)}",
            wanted=wanted,
            command=command,
        )
    return Good(says=f"{old(case, at)} old")


def _instead(mine: Iterable[RecoveryPoint], points: Iterable[RecoveryPoint], after: datetime | None = None) -> str:
    """Return in words what there is that does not count: newer ones that are unsound, else those of other databases."""
    newer = [p for p in mine if after is None or p.taken_at > after]
    if newer:
        first = max(newer, key=lambda point: point.taken_at)
        why = first.doubts or ((f"it is {first.status}",) if not first.restorable else ("it is dated in the future",))
        return f", and {first.id} does not count: {'; '.join(why)}"
    kept = {id(point) for point in mine}
    others = sorted({p.database for p in points if id(p) not in kept and (after is None or p.taken_at > after)})
    return f", but there are newer ones of {', '.join(others[:3])}" if others else ""


def _windows(case: Case) -> Outcome:
    return _age(case, copies.WINDOWS, seen(case.facts.windows, case.subject) or ())


def _snapshots(case: Case) -> Outcome:
    points = seen(case.facts.snapshots, case.subject) or ()
    return _age(case, copies.AUTOMATED, [p for p in points if p.kind is PointKind.AUTOMATED_SNAPSHOT])


def _in_vault(case: Case) -> Outcome:
    points = seen(case.facts.vaults, case.subject) or ()
    return _age(case, copies.IN_VAULT, [point for point in points if ":rds:" in point.source])


def _all_points(case: Case) -> tuple[list[RecoveryPoint], list[NotSeen]]:
    """Return every sound copy of the database that could be seen, dumps too, and what could not be."""
    found: list[RecoveryPoint] = []
    unseen: list[NotSeen] = []
    for looks in (case.facts.windows, case.facts.snapshots, case.facts.vaults, case.facts.dumps):
        for region in (case.stack.recovery.region, case.stack.recovery.dr_region):
            try:
                points = seen(looks, region) or ()
            except NotSeen as error:
                unseen.append(error)
                continue
            pick = copies.dumps_of_database if looks is case.facts.dumps else copies.of_database
            found += copies.sound(pick(points, case.stack), case.now)
    return found, unseen


def _rpo(case: Case) -> Outcome:
    points, unseen = _all_points(case)
    newest = max(points, key=lambda point: point.taken_at, default=None)
    if newest is not None and case.now - newest.taken_at <= case.rpo:
        return Good(
            says=f"a loss now would be {old(case, newest.taken_at)}, from the {newest.kind.value} in {newest.region}"
        )
    if unseen:
        raise unseen[0]
    return Bad(
        found="there is no copy to restore from"
        if newest is None
        else f"a loss now would be {old(case, newest.taken_at)}: the newest copy of all is the {newest.kind.value} {newest.id}",
        wanted=f"at most {said(case.rpo)}",
        command="lifeboat dump, which makes one now; lifeboat backups shows all",
    )


def proofs(case: Case) -> tuple[list[tuple[datetime, str]], list[NotSeen]]:
    """Return when copies of RDS's own were restored for real, and which; and what could not be looked at for it."""
    points, unseen = _all_points(case)
    found = [
        (p.proven.at, f"the {p.kind.value} {p.id}")
        for p in points
        if p.proven is not None and p.kind is not PointKind.DUMP
    ]
    found += [
        (d.ended, f"the drill {d.run}")
        for d in case.facts.drills.found or ()
        if d.passed and any(kind != PointKind.DUMP for kind, _ in d.copies)
    ]
    return found, unseen


def _proof(case: Case) -> Outcome:
    proven, unseen = proofs(case)
    newest = max(proven, default=None)
    if newest is not None and case.now - newest[0] <= case.limits.proof:
        return Good(says=f"restored {old(case, newest[0])} ago: {newest[1]}")
    if unseen:
        raise unseen[0]
    drills = case.facts.drills.value
    never = f"none of RDS's own copies was ever restored, in {len(drills or ())} drills"
    return Bad(
        found=never if newest is None else f"the last one was restored {old(case, newest[0])} ago",
        wanted=f"one restored and looked into within {said(case.limits.proof)}",
        command="lifeboat drill database",
    )


CHECKS = (
    Check(
        id="database.serving",
        asset=Asset.DATABASE,
        weight=Weight.PROTECTION,
        title="The database instance is there and takes connections",
        why="Whatever else is green: without it the application is down, and no copy is made any more.",
        act="Look at the instance's events; where it is gone: `lifeboat recover --scope database --preview`.",
        asks=("rds:DescribeDBInstances",),
        subjects=once,
        judge=_serving,
    ),
    Check(
        id="database.retention",
        asset=Asset.DATABASE,
        weight=Weight.PROTECTION,
        title="Automated backups are kept as long as the stack says",
        why="Damage that is found after the retention cannot be undone; set to 0, RDS deletes every automated backup at once.",
        act="`lifeboat apply` sets it again. Then find out who changed it (CloudTrail, ModifyDBInstance).",
        asks=("rds:DescribeDBInstances",),
        subjects=once,
        judge=_retention,
    ),
    Check(
        id="database.protected",
        asset=Asset.DATABASE,
        weight=Weight.PROTECTION,
        title="The database is protected from being deleted",
        why="One wrong command deletes an unprotected instance, and RDS asks nobody.",
        act="`lifeboat apply` sets it again.",
        asks=("rds:DescribeDBInstances",),
        subjects=once,
        judge=_protected,
    ),
    Check(
        id="database.secret",
        asset=Asset.DATABASE,
        weight=Weight.PROTECTION,
        title="The application's secret opens its database",
        why="Somebody set the password by hand, or a rotation broke off half-way: what connects anew is refused, the"
        " application and the job of the dumps too.",
        act="Let RDS set another password, which it writes into the secret itself: `aws rds modify-db-instance"
        " --rotate-master-user-password --apply-immediately`. When the instance is available again: `lifeboat app restart`.",
        asks=("secretsmanager:GetSecretValue",),
        subjects=once,
        judge=_secret,
    ),
    Check(
        id="database.heartbeat",
        asset=Asset.DATABASE,
        weight=Weight.PROTECTION,
        title="The heartbeat of the database beats",
        why="Its newest row is what a restore tells the real loss by; without it a recovery can only guess.",
        act="`lifeboat app restart`; on the host `systemctl status lifeboat-heartbeat` says why it stopped.",
        asks=("secretsmanager:GetSecretValue",),
        subjects=once,
        judge=_beat,
    ),
    Check(
        id="database.rpo",
        asset=Asset.DATABASE,
        weight=Weight.OBJECTIVE,
        title="A loss of the database now would cost no more than the objective",
        why="That is the promise: the newest sound copy of any kind, in any region, is not older than the RPO.",
        act="`lifeboat dump` makes a copy now; then mend what makes the others.",
        asks=(
            "rds:DescribeDBInstanceAutomatedBackups",
            "rds:DescribeDBSnapshots",
            "backup:ListRecoveryPointsByBackupVault",
        ),
        subjects=once,
        judge=_rpo,
    ),
    Check(
        id="database.window",
        asset=Asset.DATABASE,
        weight=Weight.OBJECTIVE,
        title="The database can be restored to a moment that is young enough, in each region that the stack copies to",
        why="A window that stands still means that RDS no longer stores the log: every minute more is lost with the instance.",
        act="`aws rds describe-events` says why; storage full and a key that is disabled are the usual reasons.",
        asks=("rds:DescribeDBInstanceAutomatedBackups",),
        subjects=_in_regions(copies.WINDOWS),
        judge=_windows,
    ),
    Check(
        id="database.snapshot",
        asset=Asset.DATABASE,
        weight=Weight.OBJECTIVE,
        title="RDS takes an automated snapshot of the serving instance each day",
        why="The point-in-time window begins with one; where they stop, so will the window.",
        act="`aws rds describe-events` says what became of the last backup window.",
        asks=("rds:DescribeDBSnapshots",),
        subjects=_primary,
        judge=_snapshots,
    ),
    Check(
        id="database.vault",
        asset=Asset.DATABASE,
        weight=Weight.OBJECTIVE,
        title="The newest recovery point of the database in each locked vault is young enough",
        why="It is the only copy that nobody can delete: neither an attacker with every permission nor one of us.",
        act="`aws backup list-backup-jobs --by-state FAILED` and `list-copy-jobs` say why there is no newer one.",
        asks=("backup:ListRecoveryPointsByBackupVault", "backup:ListRestoreJobs", "rds:DescribeDBSnapshots"),
        subjects=_in_regions(copies.IN_VAULT),
        judge=_in_vault,
    ),
    Check(
        id="database.proof",
        asset=Asset.DATABASE,
        weight=Weight.OBJECTIVE,
        title="One of RDS's own copies was restored for real, not long ago",
        why="A copy that nobody restored is a hope. Restores fail for reasons that no list of copies shows.",
        act="`lifeboat drill database` restores one beside production, looks into it, and takes it away again.",
        asks=("s3:GetObject", "backup:ListRestoreJobs"),
        subjects=once,
        judge=_proof,
    ),
)
