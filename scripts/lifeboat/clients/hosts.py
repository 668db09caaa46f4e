"""The application's instances: whether they can be worked with, and shell that runs on them through SSM Run Command."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any, NewType

from botocore.exceptions import ClientError

from lifeboat.clients import sdk
from lifeboat.clients.images import machine
from lifeboat.clients.redaction import redacted
from lifeboat.clients.sdk import translated
from lifeboat.clients.waiting import Patience, until
from lifeboat.errors import Failed, Interrupted, LifeboatError, Refused, Unreachable
from lifeboat.model import HostCommand, HostScript, HostStanding, InstanceId

CommandId = NewType("CommandId", str)

_DOCUMENT = "AWS-RunShellScript"
_OURS = "lifeboat "  # what the comment of each command begins with
_JOBS = "job "  # and that of one that a job of the pipeline sends (scripts/ci/on_host.sh)
_OPEN = ("Pending", "InProgress", "Delayed", "Cancelling")
_SENDS = 4
_THROTTLED = ("ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException")
# SSM's own least (API reference, SendCommand): how long it tries to reach the agent.
_LEAST_DELIVERY_SECONDS = 30
# Seconds for which a command that was accepted may be unknown to GetCommandInvocation.
_APPEARING_SECONDS = 30.0
_UNTIL_LISTED_SECONDS = (1.0, 2.0, 4.0)
_AGENTS_OWN = re.compile(r"^failed to run commands: exit status \d+$", re.MULTILINE)
_SHOWN_LINES, _SHOWN_CHARACTERS = 12, 1500


class Hosts:
    """The instances of one region. `ec2` gives EC2's client, whose model is 30 MB: it is made for who asks EC2.

    `sender` is a client of SSM that tries each call once.

    SendCommand has no token: tried again by the SDK after a lost answer, a script would run twice.
    """

    def __init__(self, *, ec2: Callable[[], Any], ssm: Any, sender: Any) -> None:
        self._ec2 = ec2
        self._ssm = ssm
        self._sender = sender

    def standing(self, instance: InstanceId) -> HostStanding:
        """Return whether an instance runs and its agent answers; "missing" and "offline" where there is none."""
        with translated(f"look at {instance}"):
            answer = sdk.unless_absent(
                ("InvalidInstanceID.NotFound",), lambda: self._ec2().describe_instances(InstanceIds=[instance])
            )
            found = [i for reservation in answer["Reservations"] for i in reservation["Instances"]] if answer else []
            if not found:
                return HostStanding(instance=instance, state="missing", agent="offline")
        state = found[0]["State"]["Name"]
        return HostStanding(
            instance=instance,
            state=state,
            agent=self.agent(instance),
            # What is terminated keeps its record for an hour, without what it was made of.
            machine=machine(found[0]) if "RootDeviceName" in found[0] and "Architecture" in found[0] else None,
        )

    def agent(self, instance: InstanceId) -> str:
        """Return whether an instance's agent answers: "online", "connectionlost" …; "offline" where SSM knows none."""
        filters = [{"Key": "InstanceIds", "Values": [instance]}]
        with translated(f"look at the agent of {instance}"):
            agents = self._ssm.describe_instance_information(Filters=filters)["InstanceInformationList"]
        return str(agents[0]["PingStatus"]).lower() if agents else "offline"

    def run(self, instance: InstanceId, script: HostScript, patience: Patience) -> str:
        """Run a script on an instance and return what it printed, at most 24,000 characters.

        Its arguments are $1, $2 … and never part of the script's text. Raises Failed with the end of its errors when it
        did not end well in time (it is cancelled then), Unreachable when it could not be delivered, and Interrupted,
        with the command cancelled, on a KeyboardInterrupt.
        """
        try:
            return self._followed(instance, script, patience)
        except KeyboardInterrupt:
            raise self._given_up(instance, script, patience) from None

    def unended(self, instance: InstanceId) -> list[HostCommand]:
        """Return the commands of ours that still run on an instance, whoever sent them, the pipeline's jobs included."""
        with translated(f"look for what runs on {instance}"):
            return [
                HostCommand(id=command["CommandId"], script=_script_of(command["Comment"]))
                for command in sdk.items(self._ssm, "list_commands", "Commands", InstanceId=instance)
                if command.get("Comment", "").startswith((_OURS, _JOBS)) and command["Status"] in _OPEN
            ]

    def end(self, instance: InstanceId, command: HostCommand, patience: Patience) -> None:
        """Cancel a command and wait until it runs no more; raises Failed where it does so all the same."""
        number = CommandId(command.id)
        self._cancel(number)

        def ask() -> tuple[str | None, str]:
            found = self._invocation(number, instance)
            # One that was just sent is not known everywhere at once, and not over by that.
            status = "unknown" if found is None else str(found["Status"])
            return (None if found is None or status in _OPEN else status), f"{command.script} on {instance}: {status}"

        if until(patience, ask) is None:
            raise Failed(
                f"{command.script} still runs on {instance} {patience.seconds:.0f} s after it was cancelled",
                hint=_how_it_goes(number, instance),
            )

    def _followed(self, instance: InstanceId, script: HostScript, patience: Patience) -> str:
        command = self._sent(instance, script, patience)
        began, status = patience.clock(), "sent"

        def ask() -> tuple[Mapping[str, Any] | None, str]:
            nonlocal status
            found = self._invocation(command, instance)
            if found is None:
                if patience.clock() - began > _APPEARING_SECONDS:
                    raise Unreachable(f"SSM accepted {script.name} for {instance} and knows nothing of it ({command})")
                return None, f"{script.name} on {instance}: accepted"
            status = str(found["StatusDetails"])
            return (None if found["Status"] in _OPEN else found), f"{script.name} on {instance}: {status}"

        ended = until(patience, ask)
        if ended is None:
            self._cancel(command)
            raise Failed(
                f"{script.name} on {instance} did not end within {patience.seconds:.0f} s and was cancelled ({command})",
                hint=_how_it_goes(command, instance),
            )
        if ended["Status"] != "Success":
            raise _failure(instance, script, ended)
        return str(ended["StandardOutputContent"])

    # -- sending -------------------------------------------------------------------------------------------------------

    def _sent(self, instance: InstanceId, script: HostScript, patience: Patience) -> CommandId:
        """Send a script once, whatever becomes of the answer: before it is sent again, it is looked for."""
        for attempt in range(1, _SENDS + 1):
            try:
                return self._send(instance, script, patience)
            except ClientError as error:
                code, status = sdk.code(error), error.response["ResponseMetadata"]["HTTPStatusCode"]
                if code == "InvalidInstanceId":
                    raise Unreachable(f"SSM cannot reach {instance}: its agent is not online") from error
                with translated(f"send {script.name} to {instance}"):
                    if attempt == _SENDS or (status < 500 and code not in _THROTTLED):
                        raise
            except sdk.NO_ANSWER:
                with translated(f"send {script.name} to {instance}"):
                    if attempt == _SENDS:
                        raise
            patience.sleep(0.5 * 2**attempt)
            found = self._found(instance, script)
            if found is not None:
                return found
        raise AssertionError("the last attempt returns or raises")

    def _send(self, instance: InstanceId, script: HostScript, patience: Patience) -> CommandId:
        answer = self._sender.send_command(
            InstanceIds=[instance],
            DocumentName=_DOCUMENT,
            Comment=_comment(script),
            TimeoutSeconds=max(_LEAST_DELIVERY_SECONDS, int(patience.seconds)),
            Parameters={"commands": _lines(script), "executionTimeout": [str(max(1, int(patience.seconds)))]},
        )
        return CommandId(answer["Command"]["CommandId"])

    def _found(self, instance: InstanceId, script: HostScript) -> CommandId | None:
        """Return the command that an order whose answer was lost has started; None when it has not."""
        with translated(f"look for {script.name} on {instance}"):
            for command in sdk.items(self._ssm, "list_commands", "Commands", InstanceId=instance):
                if command.get("Comment") == _comment(script):
                    return CommandId(command["CommandId"])
        return None

    # -- following -----------------------------------------------------------------------------------------------------

    def _invocation(self, command: CommandId, instance: InstanceId) -> Mapping[str, Any] | None:
        with translated(f"ask how {command} goes on {instance}"):
            found: Mapping[str, Any] | None = sdk.unless_absent(
                ("InvocationDoesNotExist",),
                lambda: self._ssm.get_command_invocation(CommandId=command, InstanceId=instance),
            )
        return found

    def _given_up(self, instance: InstanceId, script: HostScript, patience: Patience) -> Interrupted:
        """Cancel what was sent, also where the answer to that never came, and return what to say of it."""
        where = f"{script.name} on {instance} was interrupted"
        try:
            command = self._found(instance, script)
            for seconds in _UNTIL_LISTED_SECONDS:  # an order that is on its way is not listed at once
                if command is None:
                    patience.sleep(seconds)
                    command = self._found(instance, script)
            if command is None:
                return Interrupted(f"{where}, and SSM knows of no such command")
            self._cancel(command)
            found = self._invocation(command, instance)
        except LifeboatError as error:
            return Interrupted(f"{where} and may run on: {error.summary}")
        # CancelCommand is an attempt, and does nothing to what has ended.
        status = (
            "cancelled"
            if found is None or found["Status"] in (*_OPEN, "Cancelled")
            else f"over ({found['StatusDetails']})"
        )
        return Interrupted(f"{where}: its command {command} is {status}", hint=_how_it_goes(command, instance))

    def _cancel(self, command: CommandId) -> None:
        with translated(f"cancel {command}"):
            self._ssm.cancel_command(CommandId=command)


def _lines(script: HostScript) -> list[str]:
    # SSM itself replaces {{ssm:name}} in what it is given, which no quoting prevents.
    if any("{{" in part for part in (script.text, *script.arguments)):
        raise Refused(f"{script.name} would hold {{{{, which SSM takes for a parameter of its own")
    return [f"set -- {shlex.join(script.arguments)}", *script.text.strip().splitlines()]


def _comment(script: HostScript) -> str:
    return f"{_OURS}{script.name} {script.token}"[:100]


def _script_of(comment: str) -> str:
    if comment.startswith(_JOBS):  # "job 12 1772332200.815: deploy.sh"
        return f"{comment.rpartition(': ')[2]} of job {comment.split()[1]}"
    return comment.removeprefix(_OURS).rpartition(" ")[0]


def _how_it_goes(command: CommandId, instance: InstanceId) -> str:
    return f"aws ssm get-command-invocation --command-id {command} --instance-id {instance}"


def _failure(instance: InstanceId, script: HostScript, ended: Mapping[str, Any]) -> Exception:
    """Return why a script did not end well, with the end of what it said."""
    details, where = str(ended["StatusDetails"]).replace(" ", ""), f"{script.name} on {instance}"
    if details in ("Undeliverable", "DeliveryTimedOut", "Terminated", "AccessDenied", "InvalidPlatform"):
        return Unreachable(f"{where} could not be delivered: {details}")
    how = {
        "Cancelled": "was cancelled",
        "ExecutionTimedOut": "took too long and was ended",
        "TimedOut": "took too long and was ended",
    }.get(details, f"failed with status {ended['ResponseCode']}")
    errors = _AGENTS_OWN.sub("", str(ended["StandardErrorContent"])).strip()
    said = (errors or str(ended["StandardOutputContent"]).strip()).splitlines()
    told = redacted("\n".join(said[-_SHOWN_LINES:]))[-_SHOWN_CHARACTERS:]
    return Failed(f"{where} {how}" + (":\n" + "\n".join(f"  {line}" for line in told.splitlines()) if told else ""))
