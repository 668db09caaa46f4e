"""What restore tests of AWS Backup restored and have not deleted yet: it stays for the validation window of the test."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from lifeboat.clients import sdk
from lifeboat.clients.sdk import translated

# AWS Backup names what it restores in a test so, and nothing else:
# https://docs.aws.amazon.com/aws-backup/latest/devguide/restore-testing-inferred-metadata.html
PREFIX = "awsbackup-restore-test-"
_BUSY = "InvalidDBInstanceState"  # it is being deleted already, or made, or changed
_ABSENT = {"DBInstanceNotFound", "DBInstanceNotFoundFault"}


class RestoreTests:
    """The databases that restore tests made in one region."""

    def __init__(self, rds: Any) -> None:
        self._rds = rds

    def databases(self, subnet_groups: Collection[str]) -> list[str]:
        """Return the identifiers of those in these subnet groups, sorted."""
        with translated("look for databases of restore tests"):
            return sorted(
                instance["DBInstanceIdentifier"]
                for instance in sdk.items(self._rds, "describe_db_instances", "DBInstances")
                if instance["DBInstanceIdentifier"].startswith(PREFIX)
                and instance.get("DBSubnetGroup", {}).get("DBSubnetGroupName") in subnet_groups
            )

    def delete(self, database: str) -> None:
        """Have one deleted, without a last snapshot: it is a copy of a recovery point. It is gone minutes later.

        One that is being made or changed refuses that, so callers order it until the database is gone.
        """
        with translated(f"delete the database {database} of a restore test"):
            sdk.unless_absent(
                {*_ABSENT, _BUSY, f"{_BUSY}Fault"},
                lambda: self._rds.delete_db_instance(
                    DBInstanceIdentifier=database, SkipFinalSnapshot=True, DeleteAutomatedBackups=True
                ),
            )


def by_hand(database: str, region: str) -> str:
    """Return the command that deletes it."""
    order = "aws rds delete-db-instance --skip-final-snapshot"
    return f"{order} --region {region} --db-instance-identifier {database}"
