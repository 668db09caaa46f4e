"""RDS's database instances: whether one can serve, and tokens to sign in to it."""

from __future__ import annotations

from typing import Any

from lifeboat.clients import sdk
from lifeboat.clients.postgres import ServerAddress
from lifeboat.clients.sdk import translated
from lifeboat.model import Secret

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

    def token(self, address: ServerAddress) -> Secret:
        """Return a password that IAM gives for a role of a database; it is valid for 15 minutes, for any connections."""
        with translated(f"get a token for {address.user} at {address.host}"):
            return Secret(
                self._rds.generate_db_auth_token(
                    DBHostname=address.host, Port=address.port, DBUsername=address.user, Region=address.region
                )
            )
