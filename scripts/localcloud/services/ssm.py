"""SSM Run Command that runs: real shell on a host, with its real output and exit status."""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from localcloud import hosts, machine_images
from localcloud.cloud import Cloud
from localcloud.hosts import Host
from localcloud.operations import Call, Refused, operation
from localcloud.services import backup_access, networks

LOG = logging.getLogger("localcloud.ssm")
DOCUMENT = "AWS-RunShellScript"
PLUGIN = "aws:runShellScript"
PARAMETERS = {"commands", "workingDirectory", "executionTimeout"}
# How much of the output the API returns (SSM API reference, GetCommandInvocation and ListCommandInvocations).
OUTPUT_CHARACTERS, ERROR_CHARACTERS, PLUGIN_CHARACTERS = 24000, 8000, 2500
DEFAULT_SECONDS = 3600
OPEN = ("Pending", "InProgress", "Delayed", "Cancelling")
_PROCESSES: dict[tuple[str, str], subprocess.Popen[bytes]] = {}
_LOCK = threading.Lock()


# -- sending -----------------------------------------------------------------------------------------------------------


@operation("ssm", "SendCommand")
def send_command(call: Call, **asked: Any) -> dict[str, Any]:
    """Start the script on every host named."""
    document = asked["DocumentName"].rsplit("/", 1)[-1]
    if document != DOCUMENT:
        raise Refused("InvalidDocument", f"Document {document} does not exist in the local cloud; it has {DOCUMENT}.")
    parameters = asked.get("Parameters", {})
    unknown = sorted(set(parameters) - PARAMETERS)
    if unknown:
        raise Refused("InvalidParameters", f"Undefined parameters: {', '.join(unknown)}")
    if not parameters.get("commands"):
        raise Refused("InvalidParameters", "Parameter commands is required and has no value.")
    seconds = (parameters.get("executionTimeout") or [str(DEFAULT_SECONDS)])[0]
    if not seconds.isdigit() or not 1 <= int(seconds) <= 172800:
        raise Refused("InvalidParameters", f"executionTimeout must be 1 to 172800 seconds, not {seconds}.")
    if asked.get("TimeoutSeconds") is not None and not 30 <= asked["TimeoutSeconds"] <= 2592000:
        raise Refused("ValidationException", "TimeoutSeconds must be between 30 and 2592000.")
    named = list(asked.get("InstanceIds", []))
    if not named and not asked.get("Targets"):
        raise Refused("InvalidParameterCombination", "Specify InstanceIds or Targets.")
    managed = {host.instance_id: host for host in _managed(call)}
    if [i for i in named if i not in managed]:
        raise Refused(
            "InvalidInstanceId", f"Instances [[{', '.join(named)}]] not in a valid state for account {call.account_id}"
        )
    chosen = [managed[i] for i in dict.fromkeys(named)] or _targeted(call, asked["Targets"], managed)
    now = call.cloud.now()
    command: dict[str, Any] = {
        "CommandId": str(uuid4()),
        "DocumentName": document,
        "DocumentVersion": asked.get("DocumentVersion", "$DEFAULT"),
        "Comment": asked.get("Comment", ""),
        "ExpiresAfter": now + timedelta(seconds=asked.get("TimeoutSeconds", 3600) + int(seconds)),
        "Parameters": parameters,
        "InstanceIds": [host.instance_id for host in chosen] if named else [],
        "Targets": asked.get("Targets", []),
        "RequestedDateTime": now,
        "invocations": {host.instance_id: {"Status": "InProgress", "began": now} for host in chosen},
    }
    call.cloud.store("ssm.commands", call.region)[command["CommandId"]] = command
    script = "\n".join(parameters["commands"]) + "\n"
    folder = (parameters.get("workingDirectory") or [""])[0]
    for host in chosen:
        _start(call, host, command, script=script, working_directory=folder, seconds=int(seconds))
    return {"Command": _shown(command)}


def _targeted(call: Call, targets: list[dict[str, Any]], managed: dict[str, Host]) -> list[Host]:
    chosen = dict(managed)
    for target in targets:
        key, values = target["Key"], target["Values"]
        if key.lower() == "instanceids":
            chosen = {i: h for i, h in chosen.items() if i in values}
        elif key.startswith("tag:"):
            name = key.removeprefix("tag:")
            chosen = {
                i: h
                for i, h in chosen.items()
                if any(t["key"] == name and t["value"] in values for t in h.instance.get_tags())
            }
        else:
            raise Refused("InvalidTarget", f"The local cloud knows the targets InstanceIds and tag:NAME, not {key}.")
    return list(chosen.values())


def _managed(call: Call) -> list[Host]:
    """Return the hosts whose agent can speak to SSM: running, with a role that lets it, in a network that leads there."""
    cloud = call.cloud
    backend = cloud.moto("ec2", call.region)
    found = []
    for instance in backend.all_running_instances():
        host = hosts.of(cloud).running(instance.id)
        association = backend.iam_instance_profile_associations.get(instance.id)
        roles = association.iam_instance_profile.roles if association else []
        if (
            host is not None
            and roles
            and backup_access.role_allows(cloud, roles[0].arn, "ssm:UpdateInstanceInformation")
            and networks.reaches_ssm(cloud, call.region, instance)
        ):
            found.append(host)
    return found


# -- running -----------------------------------------------------------------------------------------------------------


def _start(
    call: Call, host: Host, command: dict[str, Any], *, script: str, working_directory: str, seconds: int
) -> None:
    cloud, region, number = call.cloud, call.region, command["CommandId"]
    folder = host.make(
        host.root / "var/lib/amazon/ssm" / host.instance_id / "document/orchestration" / number / "awsrunShellScript"
    )
    host.write(folder / "_script.sh", script, mode=0o700)
    where = Path(f"{host.root}{working_directory}") if working_directory else folder
    if working_directory.startswith(str(host.root)):
        where = Path(working_directory)
    environment = host.environment({"SSM_COMMAND_ID": number})
    argv = [
        "bash",
        "-c",
        'cd "$1" && exec sh "$2/_script.sh" >"$2/stdout" 2>"$2/stderr"',
        "ssm",
        str(where),
        str(folder),
    ]
    if script.startswith("#!"):
        argv[2] = 'cd "$1" && exec "$2/_script.sh" >"$2/stdout" 2>"$2/stderr"'
    process = host.start(argv, log=folder / "agent", env=environment)
    with _LOCK:
        _PROCESSES[(number, host.instance_id)] = process

    def work() -> None:
        began = time.monotonic()
        try:
            status: int | None = process.wait(seconds)
        except subprocess.TimeoutExpired:
            cloud.processes.stop(process, seconds=2)
            status = None
        with cloud.gate.working():
            with _LOCK:
                _PROCESSES.pop((number, host.instance_id), None)
            stored = cloud.store("ssm.commands", region).get(number)
            if stored is None or host.ended.is_set():
                return
            invocation = stored["invocations"][host.instance_id]
            cancelled = invocation["Status"] == "Cancelling"
            code = 137 if status is None else status if status >= 0 else 128 - status
            name, detail = _outcome(status, cancelled=cancelled)
            agent = (folder / "agent").read_text(errors="replace")
            invocation.update(
                Status=name,
                StatusDetails=detail,
                code=code,
                ended=cloud.now(),
                seconds=time.monotonic() - began,
                out=_text(folder / "stdout"),
                err=agent
                + _text(folder / "stderr")
                + ("" if code == 0 else f"failed to run commands: exit status {code}"),
            )

    cloud.background(work, name=f"command {number}")


def _outcome(status: int | None, *, cancelled: bool) -> tuple[str, str]:
    if cancelled:
        return "Cancelled", "Cancelled"
    if status is None:
        return "TimedOut", "ExecutionTimedOut"
    return ("Success", "Success") if status == 0 else ("Failed", "Failed")


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


# -- asking ------------------------------------------------------------------------------------------------------------


@operation("ssm", "GetCommandInvocation")
def get_command_invocation(call: Call, **asked: Any) -> dict[str, Any]:
    """Return how a command goes on one host."""
    command = _command(call, asked["CommandId"])
    invocation = command["invocations"].get(asked["InstanceId"])
    if invocation is None:
        raise Refused("InvocationDoesNotExist", "")
    plugin = asked.get("PluginName")
    if plugin not in (None, PLUGIN):
        raise Refused("InvalidPluginName", f"The command has no plugin {plugin}.")
    ended = invocation.get("ended")
    return {
        "CommandId": command["CommandId"],
        "InstanceId": asked["InstanceId"],
        "Comment": command["Comment"],
        "DocumentName": command["DocumentName"],
        "DocumentVersion": command["DocumentVersion"],
        "PluginName": PLUGIN,
        "ResponseCode": invocation.get("code", -1),
        "ExecutionStartDateTime": _time(invocation["began"]),
        "ExecutionElapsedTime": f"PT{invocation.get('seconds', 0):.3f}S",
        "ExecutionEndDateTime": _time(ended) if ended else "",
        "Status": invocation["Status"],
        "StatusDetails": invocation.get("StatusDetails", invocation["Status"]),
        "StandardOutputContent": invocation.get("out", "")[:OUTPUT_CHARACTERS],
        "StandardOutputUrl": "",
        "StandardErrorContent": invocation.get("err", "")[:ERROR_CHARACTERS],
        "StandardErrorUrl": "",
    }


@operation("ssm", "ListCommandInvocations")
def list_command_invocations(call: Call, **asked: Any) -> dict[str, Any]:
    """Return how commands go, one entry for each host."""
    if asked.get("CommandId"):
        commands = [_command(call, asked["CommandId"])]
    else:
        commands = list(call.cloud.store("ssm.commands", call.region).values())
    shown = []
    for command in reversed(commands):
        for instance_id, invocation in command["invocations"].items():
            if asked.get("InstanceId") in (None, instance_id):
                shown.append(_shown_invocation(command, instance_id, invocation, details=bool(asked.get("Details"))))
    page, token = _page(shown, asked)
    return {"CommandInvocations": page, "NextToken": token}


@operation("ssm", "ListCommands")
def list_commands(call: Call, **asked: Any) -> dict[str, Any]:
    """Return the commands sent, the newest first."""
    if asked.get("CommandId"):
        commands = [_command(call, asked["CommandId"])]
    else:
        commands = list(reversed(call.cloud.store("ssm.commands", call.region).values()))
    wanted = asked.get("InstanceId")
    page, token = _page([_shown(c) for c in commands if wanted is None or wanted in c["invocations"]], asked)
    return {"Commands": page, "NextToken": token}


@operation("ssm", "CancelCommand")
def cancel_command(call: Call, **asked: Any) -> dict[str, Any]:
    """End a command's processes."""
    command = _command(call, asked["CommandId"])
    chosen = asked.get("InstanceIds") or list(command["invocations"])
    for instance_id in chosen:
        invocation = command["invocations"].get(instance_id)
        if invocation is None:
            raise Refused("InvalidInstanceId", f"Command {command['CommandId']} was not sent to {instance_id}")
        with _LOCK:
            process = _PROCESSES.get((command["CommandId"], instance_id))
        if process is not None and invocation["Status"] in OPEN:
            invocation["Status"] = "Cancelling"
            call.cloud.processes.stop(process, seconds=2)
    return {}


@operation("ssm", "DescribeInstanceInformation")
def describe_instance_information(call: Call, **asked: Any) -> dict[str, Any]:
    """Return the hosts whose agent is online."""
    found = _managed(call)
    filters = {f["Key"]: f["Values"] for f in asked.get("Filters", [])}
    filters |= {f["key"]: f["valueSet"] for f in asked.get("InstanceInformationFilterList", [])}
    for key, values in filters.items():
        if key == "InstanceIds":
            found = [host for host in found if host.instance_id in values]
        elif key == "PingStatus":
            found = found if "Online" in values else []
        elif key.startswith("tag:"):
            found = [h for h in found if _targeted(call, [{"Key": key, "Values": values}], {h.instance_id: h})]
        else:
            raise Refused("InvalidFilterKey", f"The local cloud knows InstanceIds, PingStatus and tag:NAME, not {key}.")
    shown = [
        {
            "InstanceId": host.instance_id,
            "PingStatus": "Online",
            "LastPingDateTime": call.cloud.now(),
            "AgentVersion": "3.3.1345.0",
            "IsLatestVersion": True,
            "PlatformType": "Linux",
            "PlatformName": "Amazon Linux",
            "PlatformVersion": "2023",
            "ResourceType": "EC2Instance",
            "IPAddress": host.address,
            "ComputerName": host.instance.private_dns_name,
        }
        for host in found
    ]
    page, token = _page(shown, asked)
    return {"InstanceInformationList": page, "NextToken": token}


def _command(call: Call, number: str) -> dict[str, Any]:
    found: dict[str, Any] | None = call.cloud.store("ssm.commands", call.region).get(number)
    if found is None:
        raise Refused("InvalidCommandId", "")
    return found


def _shown(command: dict[str, Any]) -> dict[str, Any]:
    states = [invocation["Status"] for invocation in command["invocations"].values()]
    status = next(
        (s for s in ("Cancelling", "InProgress", "TimedOut", "Failed", "Cancelled") if s in states), "Success"
    )
    return {
        **{name: value for name, value in command.items() if name != "invocations"},
        "Status": status,
        "StatusDetails": status if states else "NoInstancesInTag",
        "TargetCount": len(states),
        "CompletedCount": len([s for s in states if s not in OPEN]),
        "ErrorCount": len([s for s in states if s in ("Failed", "TimedOut")]),
    }


def _shown_invocation(
    command: dict[str, Any], instance_id: str, invocation: dict[str, Any], *, details: bool
) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "CommandId": command["CommandId"],
        "InstanceId": instance_id,
        "Comment": command["Comment"],
        "DocumentName": command["DocumentName"],
        "DocumentVersion": command["DocumentVersion"],
        "RequestedDateTime": command["RequestedDateTime"],
        "Status": invocation["Status"],
        "StatusDetails": invocation.get("StatusDetails", invocation["Status"]),
    }
    if details:
        output = invocation.get("out", "") + (
            f"\n----------ERROR-------\n{invocation['err']}" if invocation.get("err") else ""
        )
        shown["CommandPlugins"] = [
            {
                "Name": PLUGIN,
                "Status": shown["Status"],
                "StatusDetails": shown["StatusDetails"],
                "ResponseCode": invocation.get("code", -1),
                "ResponseStartDateTime": invocation["began"],
                "ResponseFinishDateTime": invocation.get("ended", invocation["began"]),
                "Output": output[:PLUGIN_CHARACTERS],
            }
        ]
    return shown


def _page(items: list[dict[str, Any]], asked: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    begin = int(asked.get("NextToken") or 0)
    end = begin + int(asked.get("MaxResults") or 50)
    return items[begin:end], str(end) if end < len(items) else None


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def install(cloud: Cloud) -> None:
    """Note that commands which ran when the cloud stopped did not end well."""

    def start(cloud: Cloud) -> None:
        for region in machine_images.REGIONS:
            for command in cloud.store("ssm.commands", region).values():
                for invocation in command["invocations"].values():
                    if invocation["Status"] in OPEN:
                        invocation.update(Status="Failed", StatusDetails="Undeliverable", code=-1, ended=cloud.now())

    cloud.on_start(start)
