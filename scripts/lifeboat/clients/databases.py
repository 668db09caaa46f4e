"""RDS's database instances: whether one can serve."""

from __future__ import annotations

from typing import Any

from lifeboat.clients import sdk
from lifeboat.clients.sdk import translated

_ABSENT = ("DBInstanceNotFound", "DBInstanceNotFoundFault")


class Databases:
    """The database instances of one region."""

    def __init__(self, rds: Any) -> None:
        self._rds = rds

    def status(self, identifier: str) -> str | None:
        """Return a database's status in RDS's words; None when there is none of that name."""
        with translated(f"look at the database {identifier}"):
            answer = sdk.unless_absent(
                _ABSENT, lambda: self._rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"]
            )
        return str(answer[0]["DBInstanceStatus"]) if answer else None
