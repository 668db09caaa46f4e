"""RDS's restores: a new instance from a copy or an empty one, what is changed on it afterwards, and which names are taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from lifeboat.clients import sdk
from lifeboat.clients.sdk import translated
from lifeboat.database_model import PointKind, RecoveryPoint, RestoredInstance, RestoreOrder, SnapshotProgress
from lifeboat.errors import Failed, NothingFits, NotYet

RUN_TAG = "lifeboat:run"
_ABSENT = ("DBInstanceNotFound", "DBInstanceNotFoundFault")
_NO_SNAPSHOT = ("DBSnapshotNotFound", "DBSnapshotNotFoundFault")
_TAKEN = ("DBInstanceAlreadyExists", "DBInstanceAlreadyExistsFault")
_SNAPSHOT_TAKEN = ("DBSnapshotAlreadyExists", "DBSnapshotAlreadyExistsFault")
_BUSY = ("InvalidDBInstanceState", "InvalidDBInstanceStateFault")
# What the calls that make an instance say (RDS API reference: CreateDBInstance, RestoreDBInstanceFromDBSnapshot and
# RestoreDBInstanceToPointInTime) when the copy is not there any more, or never will be restorable from,
_GONE = {
    "DBInstanceAutomatedBackupNotFound",
    "DBInstanceNotFound",
    "DBSnapshotNotFound",
    "InvalidDBSnapshotState",
    "PointInTimeRestoreNotEnabled",
}
# and when asking again changes nothing before somebody has changed something else; everything that is not here may pass.
_REFUSED = {
    "AccessDenied",
    "AuthorizationNotFound",
    "BackupPolicyNotFound",
    "CertificateNotFound",
    "DBCapacityReservationNotFound",
    "DBParameterGroupNotFound",
    "DBSecurityGroupNotFound",
    "DBSubnetGroupDoesNotCoverEnoughAZs",
    "DBSubnetGroupNotFound",
    "DomainNotFound",
    "InstanceQuotaExceeded",
    "InsufficientDBInstanceCapacity",
    "InvalidDBCapacityReservationState",
    "InvalidParameterCombination",
    "InvalidParameterValue",
    "InvalidRestore",
    "InvalidSubnet",
    "InvalidVPCNetworkState",
    "KMSKeyNotAccessible",
    "NetworkTypeNotSupported",
    "OptionGroupNotFound",
    "ProvisionedIopsNotAvailableInAZ",
    "StorageQuotaExceeded",
    "StorageTypeNotSupported",
    "TenantDatabaseQuotaExceeded",
    "VpcEncryptionControlViolation",
}
_GIB = 1024**3


class DatabaseRestores:
    """The instances of one region whose names begin as this application's do."""

    def __init__(self, rds: Any, *, region: str, application: str) -> None:
        self._rds = rds
        self._region = region
        self._ours = f"{application}-g"

    # -- what there is -------------------------------------------------------------------------------------------------

    def names(self) -> set[str]:
        """Return the names of this application's instances, and of those and the final snapshots that copies tell of."""
        with translated(f"list the databases in {self._region}"):
            instances = sdk.items(self._rds, "describe_db_instances", "DBInstances")
            backups = sdk.items(self._rds, "describe_db_instance_automated_backups", "DBInstanceAutomatedBackups")
            snapshots = sdk.items(self._rds, "describe_db_snapshots", "DBSnapshots")
            # RDS leaves these out where they are not asked for.
            vaulted = sdk.items(self._rds, "describe_db_snapshots", "DBSnapshots", SnapshotType="awsbackup")
            found = {
                str(one[key])
                for listed in (instances, backups, snapshots, vaulted)
                for one in listed
                for key in ("DBInstanceIdentifier", "DBSnapshotIdentifier")
                if key in one
            }
        return {name for name in found if name.startswith(self._ours)}

    def created_at(self, identifier: str) -> datetime | None:
        """Return when an instance was made, also of one that is gone whose backups are there; None: nobody knows."""
        with translated(f"look at the database {identifier}"):
            answer = sdk.unless_absent(
                _ABSENT, lambda: self._rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"]
            )
            found = answer or [
                one
                for one in sdk.items(self._rds, "describe_db_instance_automated_backups", "DBInstanceAutomatedBackups")
                if one["DBInstanceIdentifier"] == identifier
            ]
        times = [one["InstanceCreateTime"] for one in found if one.get("InstanceCreateTime")]
        return max(times, default=None)

    def restorable_until(self, identifier: str) -> datetime | None:
        """Return until when an instance's backups can be restored from; None where there is none, or RDS does not say."""
        with translated(f"look at the backups of {identifier}"):
            answer = sdk.unless_absent(
                _ABSENT, lambda: self._rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"]
            )
        return answer[0].get("LatestRestorableTime") if answer else None

    def instance(self, identifier: str) -> RestoredInstance | None:
        """Return an instance; None when there is none of that name."""
        with translated(f"look at the database {identifier}"):
            answer = sdk.unless_absent(
                _ABSENT, lambda: self._rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"]
            )
        return _instance(answer[0]) if answer else None

    # -- a new one -----------------------------------------------------------------------------------------------------

    def restore(self, order: RestoreOrder) -> None:
        """Order the restore of a new instance; one of that name that this run has ordered before is the same one.

        For a dump it is made empty, with its password managed from the beginning: nobody ever knows another one.
        It is not protected from being deleted yet: RDS lifts no protection while it restores, nor where it could not.
        Raises NothingFits where the copy is gone, Failed with RDS's words where it refuses, or where the name is somebody
        else's.
        """
        asked = {
            **order.settings.asked,
            "Tags": sdk.pairs({**order.settings.tags, RUN_TAG: order.run}),
            # A first backup would keep the instance from serving no longer, and from answering a modify for long.
            "BackupRetentionPeriod": 0,
            "DeletionProtection": False,
        }
        with translated(f"restore {order.identifier} from {order.point.id}"):
            try:
                self._ordered(order, asked)
            except ClientError as error:
                if sdk.code(error) in _TAKEN:
                    self._require_ours(order)
                    return
                told = _told(order.point, error)
                if told is None:
                    raise
                raise told from error

    def _ordered(self, order: RestoreOrder, asked: dict[str, Any]) -> None:
        if order.point.kind is PointKind.DUMP:
            settings = order.settings
            under = {} if settings.password_key is None else {"MasterUserSecretKmsKeyId": settings.password_key}
            told = {**settings.created, **asked, **settings.modified, **under}
            self._rds.create_db_instance(DBInstanceIdentifier=order.identifier, ManageMasterUserPassword=True, **told)
            return
        if order.point.kind is not PointKind.POINT_IN_TIME:
            # Not a parameter of this call: storage grows by itself again once it is modified.
            asked = {key: value for key, value in asked.items() if key != "MaxAllocatedStorage"}
            self._rds.restore_db_instance_from_db_snapshot(
                DBSnapshotIdentifier=order.point.id, DBInstanceIdentifier=order.identifier, **asked
            )
            return
        # Never UseLatestRestorableTime: what is latest when the order arrives may be what broke the data.
        self._rds.restore_db_instance_to_point_in_time(
            **self._source(order.point),
            TargetDBInstanceIdentifier=order.identifier,
            RestoreTime=order.to,
            **asked,
        )

    def _source(self, point: RecoveryPoint) -> dict[str, str]:
        """Return how RDS is told which instance: one that is gone only by its resource id, which its name may not be."""
        for backup in sdk.items(self._rds, "describe_db_instance_automated_backups", "DBInstanceAutomatedBackups"):
            if str(backup["DBInstanceAutomatedBackupsArn"]).endswith(f":{point.id}"):
                return {"SourceDbiResourceId": backup["DbiResourceId"]}
        raise NothingFits(f"the automated backups {point.id} of {point.source} are gone")

    def _require_ours(self, order: RestoreOrder) -> None:
        found = self.instance(order.identifier)
        if found is None or found.tags.get(RUN_TAG) != order.run:
            raise Failed(
                f"there is a database {order.identifier} that this run did not make",
                hint="lifeboat plan-recovery shows which generations there are; look at whose it is",
            )

    # -- what is changed on it -----------------------------------------------------------------------------------------

    def manage_password(self, identifier: str, key: str | None, modified: Mapping[str, object]) -> None:
        """Let RDS give the instance a password of its own, in a secret under this key, and set what no restore sets."""
        under = {} if key is None else {"MasterUserSecretKmsKeyId": key}
        self._modify(identifier, ManageMasterUserPassword=True, **under, **modified)

    def keep(self, identifier: str, days: int) -> None:
        """Turn automated backups on, and the deletion protection; RDS then makes the first one, while it serves."""
        self._modify(identifier, BackupRetentionPeriod=days, DeletionProtection=True)

    def unprotect(self, identifier: str) -> None:
        """Lift the deletion protection."""
        self._modify(identifier, DeletionProtection=False)

    def _modify(self, identifier: str, **asked: Any) -> None:
        """Change an instance now; raises NotYet while RDS makes, changes or backs it up."""
        with translated(f"modify the database {identifier}"), _told_when_busy(identifier):
            self._rds.modify_db_instance(DBInstanceIdentifier=identifier, ApplyImmediately=True, **asked)

    def delete(self, identifier: str) -> None:
        """Delete an instance of which nothing has to be kept; one that is gone already is none.

        Raises NotYet where its state does not let it: one that is being deleted answers so as well.
        """
        with translated(f"delete the database {identifier}"), _told_when_busy(identifier):
            sdk.unless_absent(
                _ABSENT,
                lambda: self._rds.delete_db_instance(
                    DBInstanceIdentifier=identifier, SkipFinalSnapshot=True, DeleteAutomatedBackups=True
                ),
            )

    # -- a snapshot before one goes ------------------------------------------------------------------------------------

    def take_snapshot(self, identifier: str, name: str, tags: Mapping[str, str]) -> None:
        """Order a snapshot of an instance; one of that name is the same one.

        Raises NotYet while RDS makes, changes or backs it up.
        """
        with translated(f"take the snapshot {name} of {identifier}"), _told_when_busy(identifier):
            sdk.unless_absent(
                _SNAPSHOT_TAKEN,
                lambda: self._rds.create_db_snapshot(
                    DBInstanceIdentifier=identifier, DBSnapshotIdentifier=name, Tags=sdk.pairs(tags)
                ),
            )

    def snapshot_progress(self, name: str) -> SnapshotProgress | None:
        """Return how far a snapshot is; None when there is none."""
        with translated(f"look at the snapshot {name}"):
            found = sdk.unless_absent(
                _NO_SNAPSHOT, lambda: self._rds.describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"]
            )
        if not found:
            return None
        return SnapshotProgress(status=str(found[0]["Status"]), percent=int(found[0].get("PercentProgress", 0)))


@contextmanager
def _told_when_busy(identifier: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if sdk.code(error) not in _BUSY:
            raise
        words = error.response["Error"].get("Message", "")
        raise NotYet(f"the database {identifier} takes no order now: {words}") from error


def _told(point: RecoveryPoint, error: ClientError) -> NothingFits | Failed | None:
    """Return what a refusal to restore means; None where it may pass."""
    code, words = sdk.code(error), error.response["Error"].get("Message", "")
    # Some codes of RDS end in Fault or Exception and some do not, and not the same ones in every version of its reference.
    plain = code.removesuffix("Fault").removesuffix("Exception")
    if plain in _GONE:
        return NothingFits(f"{point.id} cannot be restored from any more: {code}: {words}")
    if plain in _REFUSED:
        return Failed(f"RDS does not restore {point.id}: {code}: {words}")
    return None


def _instance(shape: dict[str, Any]) -> RestoredInstance:
    endpoint, secret = shape.get("Endpoint") or {}, shape.get("MasterUserSecret") or {}
    return RestoredInstance(
        identifier=shape["DBInstanceIdentifier"],
        status=shape["DBInstanceStatus"],
        address=endpoint.get("Address"),
        port=endpoint.get("Port"),
        tags=sdk.tags(shape.get("TagList", [])),
        password_secret_arn=secret.get("SecretArn"),
        secret_status=secret.get("SecretStatus"),
        retention=int(shape.get("BackupRetentionPeriod", 0)),
        size=int(shape.get("AllocatedStorage", 0)) * _GIB,
        protected=bool(shape.get("DeletionProtection")),
    )
