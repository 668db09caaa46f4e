"""What a drill makes must be like: as the real thing, but marked as the drill's, alone in its network, and quick to go."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

from lifeboat.database_model import ClientSession, InstanceSettings
from lifeboat.drill_model import Drill, DrillScope, NetworkSeen
from lifeboat.errors import Failed, Refused
from lifeboat.model import App, Database, DrillNetwork, Health, HostScript

# After so many hours whatever is left of a drill may be taken away without asking who needs it.
EXPIRES_AFTER = timedelta(hours=24)
# Logs in CloudWatch would outlive the instance, a standby and autoscaling prove nothing that a drill looks at.
_NOT_OF_A_DRILL = ("EnableCloudwatchLogsExports", "MaxAllocatedStorage", "OptionGroupName")
_ANSWERED = 600  # HTTP statuses end below it
_SECRET = "APP_SECRET_NAME="  # noqa: S105  (of a setting)
# An operator's or a backup's sessions say nothing of the application.
_TOOLS = ("psql", "pg_dump", "pg_restore", "lifeboat")


@dataclass(frozen=True, kw_only=True)
class Isolation:
    """One drill and the network that it restores into."""

    drill: Drill
    network: DrillNetwork


def network(found: DrillNetwork | None, env: str) -> DrillNetwork:
    """Return the network that drills restore into; raises Refused with what to set where the stack has none."""
    if found is None:
        raise Refused(
            f"{env} has no network that nothing leads out of: what is restored could write to production, or to people",
            hint=f"set drill = {{ enabled = true }} in environments/{env}.tfvars, then lifeboat apply -e {env}"
            " (modules/drill-network says what it costs)",
        )
    return found


def require_no_way_out(found: DrillNetwork, seen: NetworkSeen, env: str) -> None:
    """Raise Refused where something leads out of the network by now that Terraform did not build.

    A route or a gateway that was added by hand is no drift: no plan shows it. Back to who asks the restored database, and
    nowhere else, a route may lead.
    """
    lines = [
        f"the route table {route.table} leads to {route.to} by {route.by}"
        for route in seen.routes
        if not _is_within(route.to, found.client_cidrs)
    ]
    lines += [f"the internet gateway {gateway} is attached" for gateway in seen.gateways]
    lines += [
        f"the security group {rule.group} lets out to {rule.to} ({rule.rule})"
        for rule in seen.lets_out
        if not rule.stays or rule.group == found.security_groups.database
    ]
    if lines:
        raise Refused(
            f"something leads out of the network of drills of {env}, so what is restored could write to production, or to"
            " people:\n" + "\n".join(f"  {line}" for line in lines),
            hint=f"take it away, and the drill begins; whoever asks the restored database belongs into drill.client_cidrs in"
            f" environments/{env}.tfvars",
        )


def _is_within(destination: str, ranges: Sequence[str]) -> bool:
    """Return whether a route's destination lies in one of these ranges; a list of prefixes lies nowhere."""
    try:
        to = ip_network(destination, strict=False)
    except ValueError:
        return False
    known = [one for one in map(ip_network, ranges) if one.version == to.version]
    return any(to.subnet_of(one) for one in known)  # type: ignore[arg-type]


def require_reached(found: DrillNetwork, serving: Database, env: str) -> None:
    """Raise Refused where nobody could ask a database in the network, which would be found out only when it is restored.

    Where the database in service has a loopback address, all databases are on this machine, and need no way.
    """
    if found.client_cidrs or _is_loopback(serving.address):
        return
    raise Refused(
        f"nobody could ask a database that is restored into the network of drills of {env}: it names no range that drills"
        " ask from",
        hint=f'set drill = {{ enabled = true, client_cidrs = ["10.20.0.0/16"] }} in environments/{env}.tfvars, with the range'
        f" that you drill from and that you have joined to that network, then lifeboat apply -e {env}"
        f" (modules/drill-network); without it: lifeboat drill instance -e {env}",
    )


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:  # a name, as RDS gives
        return False


def settings(known: InstanceSettings, isolation: Isolation) -> InstanceSettings:
    """Return what a drill's database must be like, from what a new generation would: in its network, with its marks alone.

    None of production's tags is on it, for backups, cost reports and recoveries choose what they work on by these.
    """
    asked = {name: value for name, value in known.asked.items() if name not in _NOT_OF_A_DRILL}
    group = isolation.network.security_groups.database
    return replace(
        known,
        asked={
            **asked,
            "DBSubnetGroupName": isolation.network.subnet_group,
            "VpcSecurityGroupIds": [group],
            "MultiAZ": False,
            "PubliclyAccessible": False,
            "CopyTagsToSnapshot": False,
        },
        modified={name: value for name, value in known.modified.items() if name not in _NOT_OF_A_DRILL},
        tags=isolation.drill.tags,
        retention=0,
    )


# -- the instance ------------------------------------------------------------------------------------------------------


def require_instance(found: DrillNetwork, env: str) -> str:
    """Return the instance profile of a drill's instance; raises Refused where none could be asked anything."""
    if found.instance_profile is None:
        raise Refused(
            f"the drill network of {env} has no endpoints of AWS, so an instance in it could not be asked anything",
            hint=f"leave drill.endpoints out of environments/{env}.tfvars, then lifeboat apply -e {env}; without an instance:"
            f" lifeboat drill database -e {env}",
        )
    return found.instance_profile


def secret(database: Database) -> dict[str, Any]:
    """Return what a drill's secret says of its database, as modules/app-secrets writes it for production's."""
    return {
        "host": database.address,
        "port": database.port,
        "dbname": database.name,
        "username": database.username,
        "password_secret_arn": database.password_secret_arn,
    }


_USER_DATA = """#!/bin/bash
# First boot of a drill: the application of the image, told of the drill's secret or of none. Nothing is fetched.
set -uo pipefail
settings="${{HOST_ROOT:-}}/etc/app/app.env"
systemctl disable --now lifeboat-heartbeat.service >/dev/null 2>&1 || true
for attempt in $(seq 60); do
  docker info >/dev/null 2>&1 && break
  sleep 1
done
image="$(sed -n 's/^APP_IMAGE=//p' "$settings" | tail -n 1)"
port="$(sed -n 's/^PORT=//p' "$settings" | tail -n 1)"
grep -v '^APP_SECRET_NAME=' "$settings" >"$settings.new"
echo 'APP_SECRET_NAME={secret}' >>"$settings.new"
mv "$settings.new" "$settings"
docker rm --force app >/dev/null 2>&1 || true
docker run --detach --name app --restart always --publish "$port:$port" --env-file "$settings" "$image"
"""


def user_data(secret_name: str) -> str:
    """Return what a drill's instance does at its first boot: run the image's own container, told of this secret alone."""
    return _USER_DATA.format(secret=secret_name)


def launch(isolation: Isolation, app: App, image: str, root: Mapping[str, Any]) -> dict[str, Any]:
    """Return how EC2 is asked for a drill's instance: production's type, in the drill's network, with the drill's role."""
    return {
        "ImageId": image,
        "InstanceType": app.instance_type,
        "SubnetId": isolation.network.subnet_ids[0],
        "SecurityGroupIds": [isolation.network.security_groups.instance],
        "IamInstanceProfile": {"Name": isolation.network.instance_profile},
        "UserData": user_data(isolation.drill.name + SECRET_SUFFIX),
        "MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 2},
        "BlockDeviceMappings": [dict(root)],
        "InstanceInitiatedShutdownBehavior": "terminate",
    }


SECRET_SUFFIX = "/database"  # noqa: S105  (of a name)
_ASK = """
settings="${HOST_ROOT:-}/etc/app/app.env"
port="$(sed -n 's/^PORT=//p' "$settings" | tail -n 1)"
curl --silent --show-error --max-time 10 --write-out '\\n%{http_code}' "http://${HOST_ADDRESS:-localhost}:$port$1" || true
echo
docker inspect app 2>/dev/null | grep -o 'APP_SECRET_NAME=[^"]*' | head -n 1 || true
"""


def asking(path: str, token: str) -> HostScript:
    """Return what asks the application on its own host for its health: there is no route to it from anywhere else.

    It also says which secret its container was told of, for one that the image started by itself is told of production's.
    """
    return HostScript(name="drill-health", text=_ASK, arguments=(path,), token=token)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the application answered on its host, and the secret that its container was told of; empty: there is none."""

    health: Health
    secret: str


def answered(said: str, address: str) -> Answer:
    """Return what the application answered to that."""
    lines = said.strip().splitlines()
    told = lines.pop().removeprefix(_SECRET) if lines and lines[-1].startswith(_SECRET) else ""
    while lines and not lines[-1].strip():
        lines.pop()
    status = lines.pop().strip() if lines and lines[-1].strip().isdigit() else ""
    body = "\n".join(lines).strip()
    try:
        document: Any = json.loads(body)
    except ValueError:
        document = {}
    about = document if isinstance(document, dict) else {}
    health = Health(
        address=address,
        status=int(status or 0) or None,
        says=body[:200] or "nothing",
        instance_id=about.get("instance_id"),
        image=about.get("image"),
    )
    return Answer(health=health, secret=told)


def unwell(answer: Answer, drill: Drill) -> str | None:
    """Return why an answer is not the one that a drill waits for; None where it is.

    Without a database the application cannot be well: that it answers at all shows that the image boots and starts it.
    """
    health, own = answer.health, drill.name + SECRET_SUFFIX
    if answer.secret != own:
        return f"its container was told of {answer.secret or 'no secret'}, and not yet of the drill's {own}"
    if health.status is None:
        return f"nobody answers there: {health.says}"
    if drill.scope is DrillScope.FULL and health.status != 200:
        return f"HTTP {health.status}: {health.says}"
    return None if health.status < _ANSWERED else f"HTTP {health.status}"


# -- whom the application works with -------------------------------------------------------------------------------------


def not_connected(sessions: Sequence[ClientSession], user: str) -> str | None:
    """Return why nothing of the application works on the restored database; None where it does, by who is connected."""
    if any(session.user == user and not _is_tool(session) for session in sessions):
        return None
    others = ", ".join(sorted({session.program or session.user for session in sessions})) or "nobody"
    return f"no session of {user} is in the restored database: there is {others}"


def reached_production(sessions: Sequence[ClientSession], address: str | None) -> str | None:
    """Return who of the drill's host is connected to the database in service; None where nobody is.

    Raises Failed where nobody knows the host's address: nobody can tell then.
    """
    if address is None:
        raise Failed("EC2 tells no address of the drill's instance, so nobody can tell whether it reached production")
    there = [session for session in sessions if session.address == address]
    if not there:
        return None
    return f"{there[0].program or there[0].user} from {address}, which is the drill's instance"


def _is_tool(session: ClientSession) -> bool:
    return session.program.startswith(_TOOLS)


def canary_is_due(canary: datetime, restorable: datetime | None) -> str | None:
    """Return why the canary cannot be in what is restored yet, in words; None where RDS can restore the moment after it."""
    if restorable is None:
        return "RDS does not say until when it can restore"
    due = canary.replace(microsecond=0) + timedelta(seconds=1)
    if restorable < due:
        return f"RDS can restore until {restorable:%H:%M:%S}Z, and the canary is of {canary:%H:%M:%S}Z"
    return None


def canary_finding(canary: datetime, as_of: datetime) -> str | None:
    """Return what is wrong where a copy of a moment lacks the canary; None where that moment is before it."""
    if canary >= as_of:
        return None
    return (
        f"the row that was committed at {canary:%Y-%m-%d %H:%M:%S.%f}Z is not in what was restored as of"
        f" {as_of:%Y-%m-%d %H:%M:%S}Z: the copy is not of that moment, or lost what was written"
    )
