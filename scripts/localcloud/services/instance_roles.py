"""Secrets that an instance's role may read: what a host asks for with its role's keys, its role must allow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud.operations import Answer, Call, Refused, around
from localcloud.services import backup_access


@around("secretsmanager", "GetSecretValue", "DescribeSecret")
def check_reader(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse what the role of an instance does not allow for this secret; whoever is no instance may read everything."""
    caller = backup_access.caller(call)
    if not caller.startswith("arn:aws:iam::") or ":role/" not in caller:
        return proceed()
    if not backup_access.assumable(call.cloud, caller, "ec2.amazonaws.com"):
        return proceed()
    arn, tags = _secret(call)
    action = f"secretsmanager:{call.operation}"
    values = {f"aws:resourcetag/{key.lower()}": value for key, value in tags.items()}
    if not backup_access.role_allows_on(call.cloud, caller, action, arn, values):
        raise Refused(
            "AccessDeniedException",
            f"User: {caller} is not authorized to perform: {action} on resource: {arn} because no identity-based policy"
            f" allows the {action} action",
        )
    return proceed()


def _secret(call: Call) -> tuple[str, dict[str, str]]:
    """Return the ARN of the secret that is asked for and its tags; of one that there is none of, the ARN it would have."""
    named = str(call.params.get("SecretId", ""))
    secrets = call.cloud.moto("secretsmanager", call.region).secrets
    found: Any = next((one for one in secrets.values() if named in (one.arn, one.name)), None)
    if found is None:
        arn = f"arn:aws:secretsmanager:{call.region}:{call.account_id}:secret:{named}-??????"
        return (named if named.startswith("arn:") else arn), {}
    return str(found.arn), {tag["Key"]: tag["Value"] for tag in found.tags or []}
