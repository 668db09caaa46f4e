"""RDS's snapshots and point-in-time windows: looked at to the last page, taken, copied, tagged and deleted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from lifeboat.clients import sdk
from lifeboat.clients.sdk import translated
from lifeboat.clients.waiting import Patience, until
from lifeboat.database_model import (
    PointKind,
    Proof,
    RecoveryPoint,
    RecoveryPointId,
    Restored,
    SnapshotMoment,
    SnapshotOrder,
    SnapshotTag,
    Verdict,
)
from lifeboat.errors import Failed, Refused, StoppedPartWay
from lifeboat.model import Tag, moment

_ABSENT = ("DBSnapshotNotFound", "DBSnapshotNotFoundFault")
_TAKEN = ("DBSnapshotAlreadyExists", "DBSnapshotAlreadyExistsFault")
_BUSY = ("InvalidDBInstanceState", "InvalidDBInstanceStateFault")
_PAGE = 100  # the most that RDS gives at once
_GIB = 1024**3
_KINDS = {"automated": PointKind.AUTOMATED_SNAPSHOT, "manual": PointKind.MANUAL_SNAPSHOT}


class DatabaseSnapshots:
    """The snapshots and automated backups of the account, in whatever region."""

    def __init__(self, *, client: Callable[[str, str], Any], application: str) -> None:
        self._client = client
        self._application = application

    # -- what there is -------------------------------------------------------------------------------------------------

    def snapshots(self, region: str) -> list[RecoveryPoint]:
        """Return every automated and manual snapshot of a region, of instances that are gone too."""
        with translated(f"list the database snapshots in {region}"):
            found = sdk.items(
                self._rds(region), "describe_db_snapshots", "DBSnapshots", PaginationConfig={"PageSize": _PAGE}
            )
            return [_snapshot(one, region) for one in found if one["SnapshotType"] in _KINDS]

    def moments_of_aws_backup(self, region: str) -> dict[str, SnapshotMoment]:
        """Return the moment of each snapshot that AWS Backup took, by its ARN; RDS tells of these only where it is asked."""
        with translated(f"list the database snapshots of AWS Backup in {region}"):
            found = sdk.items(
                self._rds(region),
                "describe_db_snapshots",
                "DBSnapshots",
                SnapshotType="awsbackup",
                PaginationConfig={"PageSize": _PAGE},
            )
            return {
                str(one["DBSnapshotArn"]): SnapshotMoment(taken_at=_taken_at(one), instance_made_at=_made_at(one))
                for one in found
            }

    def snapshot(self, name: str, region: str) -> RecoveryPoint | None:
        """Return one snapshot; None when the region has none of that name."""
        with translated(f"look at the database snapshot {name} in {region}"):
            answer = sdk.unless_absent(
                _ABSENT, lambda: self._rds(region).describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"]
            )
        return _snapshot(answer[0], region) if answer else None

    def windows(self, region: str) -> list[RecoveryPoint]:
        """Return the point-in-time window of each instance, of those that are gone and of those copied from elsewhere."""
        with translated(f"list the automated backups of databases in {region}"):
            found = sdk.items(
                self._rds(region),
                "describe_db_instance_automated_backups",
                "DBInstanceAutomatedBackups",
                PaginationConfig={"PageSize": _PAGE},
            )
            return [_window(one, region) for one in found]

    # -- making --------------------------------------------------------------------------------------------------------

    def take(self, order: SnapshotOrder, instance: str) -> RecoveryPointId:
        """Order a snapshot of an instance and return its name; one whose answer was lost is found, not made again.

        Raises Refused while RDS makes, changes or backs up the instance: also in the moment after it was seen available.
        """

        def make(rds: Any) -> None:
            try:
                rds.create_db_snapshot(
                    DBInstanceIdentifier=instance, DBSnapshotIdentifier=order.name, Tags=sdk.pairs(order.tags)
                )
            except ClientError as error:
                if sdk.code(error) not in _BUSY:
                    raise
                raise Refused(
                    f"RDS takes no snapshot of {instance} now: {error.response['Error'].get('Message', '')}",
                    hint="wait until it is available, then run the same command again",
                ) from error

        return self._made(order, f"take the snapshot {order.name} of {instance}", make)

    def copy(self, original: RecoveryPoint, order: SnapshotOrder, key: str | None) -> RecoveryPointId:
        """Order a copy in the order's region, under a key there (ARN or alias; None: the original's own)."""
        # boto3 signs the request to the other region where the source's is named.
        elsewhere = {} if original.region == order.region else {"SourceRegion": original.region}
        return self._made(
            order,
            f"copy the snapshot {original.id} from {original.region} to {order.region}",
            lambda rds: rds.copy_db_snapshot(
                SourceDBSnapshotIdentifier=original.arn,
                TargetDBSnapshotIdentifier=order.name,
                Tags=sdk.pairs(order.tags),
                **elsewhere,
                **({} if key is None else {"KmsKeyId": key}),
            ),
        )

    def _made(self, order: SnapshotOrder, what: str, make: Callable[[Any], Any]) -> RecoveryPointId:
        with translated(what):
            try:
                make(self._rds(order.region))
                return order.name
            except ClientError as error:
                # RDS takes a name once in a region, so it keeps a repeated order itself from being done twice.
                lost = sdk.code(error) in _TAKEN or int(error.response["ResponseMetadata"]["HTTPStatusCode"]) >= 500
                found = self.snapshot(order.name, order.region) if lost else None
                if found is None:
                    raise
            except sdk.NO_ANSWER:
                found = self.snapshot(order.name, order.region)
                if found is None:
                    raise
        if not order.tags.items() <= found.tags.items():
            raise Refused(
                f"the name {order.name} is taken in {order.region} by a snapshot that is not the one ordered",
                hint=f"lifeboat describe {order.name}",
            )
        return order.name

    def available(self, name: RecoveryPointId, region: str, patience: Patience) -> RecoveryPoint:
        """Wait until a snapshot is available and return it; raises Failed when it never will be."""
        status, seen = "not listed", False

        def ask() -> tuple[RecoveryPoint | None, str]:
            nonlocal status, seen
            with translated(f"look at the database snapshot {name} in {region}"):
                answer = sdk.unless_absent(
                    _ABSENT, lambda: self._rds(region).describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"]
                )
            if not answer:
                if seen:
                    raise Failed(f"the snapshot {name} in {region} is gone", hint="lifeboat snapshot list")
                return None, f"{name} in {region}: not listed yet"
            seen, status = True, str(answer[0]["Status"])
            if status in ("failed", "incompatible-restore"):
                raise Failed(
                    f"the snapshot {name} in {region} is {status}",
                    hint="look at the database's events (aws rds describe-events), then order it again",
                )
            found = _snapshot(answer[0], region) if status == "available" else None
            return found, f"{name} in {region}: {status}, {answer[0].get('PercentProgress', 0)} %"

        found = until(patience, ask)
        if found is None:
            raise StoppedPartWay(
                f"the snapshot {name} in {region} is still {status} after {patience.seconds:.0f} s; RDS goes on with it",
                hint="the same command waits for it again; lifeboat snapshot list shows it",
            )
        return found

    # -- marking and deleting ------------------------------------------------------------------------------------------

    def tag(self, point: RecoveryPoint, tags: Mapping[str, str]) -> None:
        """Add tags to a snapshot."""
        with translated(f"tag {point.id} in {point.region}", hint=self._role("restore-operator", "tag copies")):
            self._rds(point.region).add_tags_to_resource(ResourceName=point.arn, Tags=sdk.pairs(tags))

    def untag(self, point: RecoveryPoint, key: str) -> None:
        """Take a tag away; one that is not there is as good."""
        with translated(f"untag {point.id} in {point.region}", hint=self._role("restore-operator", "untag copies")):
            self._rds(point.region).remove_tags_from_resource(ResourceName=point.arn, TagKeys=[key])

    def delete(self, point: RecoveryPoint) -> None:
        """Delete a manual snapshot; one that is gone already is as good."""
        with translated(f"delete {point.id} in {point.region}", hint=self._role("break-glass", "delete copies")):
            sdk.unless_absent(
                _ABSENT, lambda: self._rds(point.region).delete_db_snapshot(DBSnapshotIdentifier=point.id)
            )

    def _role(self, role: str, may: str) -> str:
        return f"where permissions refuse it: only the role {self._application}-{role} may {may}"

    def _rds(self, region: str) -> Any:
        return self._client("rds", region)


def _snapshot(found: Mapping[str, Any], region: str) -> RecoveryPoint:
    kind, tags = _KINDS[found["SnapshotType"]], sdk.tags(found.get("TagList", []))
    taken_at = _taken_at(found)
    days = found.get("BackupRetentionPeriod")
    automated = kind is PointKind.AUTOMATED_SNAPSHOT
    return RecoveryPoint(
        id=RecoveryPointId(found["DBSnapshotIdentifier"]),
        kind=kind,
        database=found["DBInstanceIdentifier"],
        region=region,
        taken_at=taken_at,
        status=found["Status"],
        size=int(found["AllocatedStorage"]) * _GIB if found.get("AllocatedStorage") else None,
        source=found["DBInstanceIdentifier"],
        key=found.get("KmsKeyId") if found.get("Encrypted") else None,
        proven=_proof(tags),
        expires_at=taken_at + timedelta(days=int(days)) if automated and days else None,
        kept=SnapshotTag.KEEP in tags,
        flags=(f"copied from {found['SourceRegion']}",) if found.get("SourceRegion", region) != region else (),
        arn=found["DBSnapshotArn"],
        instance_made_at=_made_at(found),
        tags=tags,
    )


def _proof(tags: Mapping[str, str]) -> Proof | None:
    """Return what a recovery noted when it had restored it; older versions did not say what they had looked at: at rows."""
    at, by = moment(tags.get(Tag.PROVEN_AT)), tags.get(SnapshotTag.PROVEN_BY)
    how = Restored.PROBES if by == Restored.PROBES else Restored.ROWS
    return None if at is None else Proof(level=how.level, at=at, verdict=Verdict.PASSED, looked=how.words)


def _taken_at(found: Mapping[str, Any]) -> datetime:
    # The newest transaction in it; when it was done is later, and of a copy, by as much as one likes.
    taken = found.get("SnapshotDatabaseTime") or found.get("OriginalSnapshotCreateTime")
    # One that is being made has no time yet.
    return _utc(taken or found.get("SnapshotCreateTime") or datetime.now(UTC))


def _window(found: Mapping[str, Any], region: str) -> RecoveryPoint:
    window, status = found.get("RestoreWindow") or {}, str(found.get("Status", "active"))
    latest, earliest = window.get("LatestTime"), window.get("EarliestTime")
    arn = str(found["DBInstanceAutomatedBackupsArn"])
    home = str(found.get("Region") or region)
    copied = (f"copied from {home}",) if home != region else ()
    return RecoveryPoint(
        id=RecoveryPointId(arn.rpartition(":")[2]),
        kind=PointKind.POINT_IN_TIME,
        database=found["DBInstanceIdentifier"],
        region=region,
        taken_at=_utc(latest or found.get("InstanceCreateTime") or datetime.now(UTC)),
        status="available" if latest else "without a window yet",
        size=int(found["AllocatedStorage"]) * _GIB if found.get("AllocatedStorage") else None,
        source=found["DBInstanceIdentifier"],
        key=found.get("KmsKeyId") if found.get("Encrypted") else None,
        earliest=None if earliest is None else _utc(earliest),
        flags=(*copied, *(("its instance is gone",) if status == "retained" else ())),
        arn=arn,
        instance_made_at=_made_at(found),
        tags=sdk.tags(found.get("TagList", [])),
    )


def _made_at(found: Mapping[str, Any]) -> datetime | None:
    at = found.get("InstanceCreateTime")
    return None if at is None else _utc(at)


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)
