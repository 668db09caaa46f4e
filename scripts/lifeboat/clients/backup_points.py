"""AWS Backup's recovery points: what lies in a vault, and what its restore tests said of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from lifeboat.clients import sdk
from lifeboat.clients.sdk import translated
from lifeboat.database_model import PointKind, Proof, RecoveryPoint, RecoveryPointId, SnapshotMoment, Verdict

# Restored, and whoever validates restore tests was content: AWS Backup does not tell what they looked at.
_TESTED, _LOOKED = 1, "restored by AWS Backup and validated"
_OF_RDS = "awsbackup:"
_PAGE = 1000  # the most that AWS Backup gives at once


class BackupPoints:
    """The recovery points of the account, in whatever region."""

    def __init__(self, client: Callable[[str, str], Any]) -> None:
        self._client = client

    def in_vault(self, vault: str, region: str) -> list[RecoveryPoint]:
        """Return every recovery point of a vault, of whatever resource; `source` is its ARN."""
        with translated(f"list the recovery points of the vault {vault} in {region}"):
            found = sdk.items(
                self._client("backup", region),
                "list_recovery_points_by_backup_vault",
                "RecoveryPoints",
                BackupVaultName=vault,
                PaginationConfig={"PageSize": _PAGE},
            )
            return [_point(one, region) for one in found]

    def proofs(self, region: str) -> dict[str, list[Proof]]:
        """Return what validated restore tests said, oldest first, by the ARN of the recovery point."""
        proofs: dict[str, list[Proof]] = {}
        with translated(f"list the restore jobs of AWS Backup in {region}"):
            for job in sdk.items(
                self._client("backup", region),
                "list_restore_jobs",
                "RestoreJobs",
                PaginationConfig={"PageSize": _PAGE},
            ):
                verdict = _verdict(job)
                if verdict is not None and job.get("RecoveryPointArn"):
                    at = _utc(job.get("CompletionDate") or job["CreationDate"])
                    said = tuple(filter(None, [job.get("ValidationStatusMessage") or job.get("StatusMessage")]))
                    proof = Proof(level=_TESTED, at=at, verdict=verdict, findings=said, looked=_LOOKED)
                    proofs.setdefault(str(job["RecoveryPointArn"]), []).append(proof)
        return {arn: sorted(found, key=lambda proof: proof.at) for arn, found in proofs.items()}


def as_of(point: RecoveryPoint, moments: Mapping[str, SnapshotMoment]) -> RecoveryPoint:
    """Return a recovery point with the moment of its content: of one that is RDS's snapshot RDS tells, AWS Backup does not.

    AWS Backup's own time is when the point was made, in a copied one much later than the newest transaction in it.
    """
    if not (point.arn or "").partition(":snapshot:")[2].startswith(_OF_RDS):
        return point
    found = moments.get(point.arn or "")
    if found is None:
        return replace(point, flags=(*point.flags, "what is in it may be older: RDS does not tell its moment"))
    return replace(point, taken_at=found.taken_at, instance_made_at=found.instance_made_at)


def proven(point: RecoveryPoint, proofs: Mapping[str, list[Proof]]) -> RecoveryPoint:
    """Return a recovery point with what its restore tests said: the last one counts."""
    found = proofs.get(point.arn or "", [])
    if not found:
        return point
    last = found[-1]
    if last.verdict is Verdict.PASSED:
        return replace(point, proven=last)
    why = f"its last restore test failed ({last.at:%Y-%m-%d})"
    return replace(point, flags=(*point.flags, why), doubts=(why,))


def _verdict(job: Mapping[str, Any]) -> Verdict | None:
    """Return what a restore job proves; None for one whose result nobody checked, in time or at all: it proves nothing."""
    checked = job.get("ValidationStatus")
    if job.get("Status") in ("FAILED", "ABORTED") or checked == "FAILED":
        return Verdict.FAILED
    return Verdict.PASSED if checked == "SUCCESSFUL" else None


def _point(found: Mapping[str, Any], region: str) -> RecoveryPoint:
    arn, source = str(found["RecoveryPointArn"]), str(found.get("ResourceArn", ""))
    expires = (found.get("CalculatedLifecycle") or {}).get("DeleteAt")
    copied = str(found.get("SourceBackupVaultArn") or "").split(":")
    flags = [f"copied from {copied[3]}"] if len(copied) > 3 and copied[3] != region else []
    flags += ["continuous"] if ":continuous:" in arn else []
    flags += ["in cold storage"] if found.get("StorageClass") == "COLD" else []
    return RecoveryPoint(
        id=RecoveryPointId(_short(arn)),
        kind=PointKind.BACKUP_POINT,
        database=source.rpartition(":")[2],
        region=region,
        taken_at=_utc(found["CreationDate"]),
        status=str(found["Status"]).lower(),
        size=found.get("BackupSizeInBytes"),
        source=source,
        key=found.get("EncryptionKeyArn") if found.get("IsEncrypted") else None,
        expires_at=None if expires is None else _utc(expires),
        flags=tuple(flags),
        arn=arn,
    )


def _short(arn: str) -> str:
    """Return what tells a recovery point from the others: its ARN after the kind of thing that it is."""
    for mark in (":recovery-point:", ":snapshot:", ":snapshot/", ":image/"):
        if mark in arn:
            return arn.partition(mark)[2]
    return arn


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)
