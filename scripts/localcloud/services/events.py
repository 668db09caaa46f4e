"""EventBridge that delivers: events of our own and of AWS services reach topics and queues, transformed as asked."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from moto.events.models import EventPattern, Rule

from localcloud.cloud import ACCOUNT_ID, Cloud
from localcloud.operations import Answer, Call, Refused, around, operation
from localcloud.services import backup_access

LOG = logging.getLogger("localcloud.events")
MOST_ENTRIES, MOST_TARGETS = 10, 5
_PLACEHOLDER = re.compile(r"<([A-Za-z0-9_.\-]+)>")
_STEP = re.compile(r"\.([A-Za-z0-9_\-]+)|\['([^']+)'\]|\[(\d+)\]")
_ABSENT = object()


def emit(  # noqa: PLR0917 (the parts of an event, in the order of the API)
    cloud: Cloud, region: str, source: str, detail_type: str, detail: dict[str, Any], resources: list[str]
) -> None:
    """Put an event of an AWS service on the default bus of a region."""
    event = _event(cloud, region, source=source, detail_type=detail_type, detail=detail, resources=resources)
    _send(cloud, cloud.moto("events", region).event_buses["default"].rules.values(), event)


def _event(
    cloud: Cloud,
    region: str,
    *,
    source: str,
    detail_type: str,
    detail: dict[str, Any],
    resources: list[str],
    at: datetime | None = None,
) -> dict[str, Any]:
    return {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": ACCOUNT_ID,
        "time": (at or cloud.now()).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": resources,
        "detail": json.loads(json.dumps(detail, default=str)),
    }


def _send(cloud: Cloud, rules: Iterable[Any], event: dict[str, Any]) -> None:
    for rule in list(rules):
        # moto takes a rule with a schedule only for one that matches everything, and knows no disabled rules.
        listens = rule.state.startswith("ENABLED") and rule.event_pattern.get_pattern()
        if listens and rule.event_pattern.matches_event(event):
            for target in list(rule.targets):
                _deliver(cloud, rule, target, event)


def _deliver(cloud: Cloud, rule: Any, target: dict[str, Any], event: dict[str, Any]) -> None:
    """Hand an event to one target; a target that fails concerns nobody else, and is logged."""
    _, _, service, region, *_ = target["Arn"].split(":")
    try:
        if service == "sns":
            _to_topic(cloud, rule, target["Arn"], transformed(rule, target, event))
        elif service == "sqs":
            queues = cloud.moto("sqs", region)
            group = target.get("SqsParameters", {}).get("MessageGroupId")
            name = target["Arn"].rsplit(":", 1)[-1]
            queues.send_message(name, transformed(rule, target, event), group_id=group)
        elif service == "events" and ":event-bus/" in target["Arn"]:
            bus = cloud.moto("events", region).event_buses[target["Arn"].rsplit("/", 1)[-1]]
            _send(cloud, bus.rules.values(), event)
        else:
            LOG.warning("rule %s: the local cloud does not deliver to %s", rule.name, target["Arn"])
    except Exception:
        LOG.exception("rule %s could not deliver to %s", rule.name, target["Arn"])


def _to_topic(cloud: Cloud, rule: Any, arn: str, message: str) -> None:
    sns = cloud.moto("sns", arn.split(":")[3])
    values = {"aws:sourcearn": rule.arn, "aws:sourceaccount": ACCOUNT_ID}
    if not backup_access.service_may(sns.get_topic(arn).policy, "sns:Publish", "events.amazonaws.com", values):
        # AWS counts it in FailedInvocations and says nothing; here the log says it.
        LOG.warning("the policy of %s does not let events.amazonaws.com publish for rule %s", arn, rule.name)
        return
    sns.publish(message, arn=arn)


# -- what a target is sent ---------------------------------------------------------------------------------------------


def transformed(rule: Any, target: dict[str, Any], event: dict[str, Any]) -> str:
    """Return the text that a target gets: its constant input, a part of the event, its template, or the event."""
    if target.get("Input") is not None:
        return str(target["Input"])
    if target.get("InputPath"):
        return json.dumps(_at(event, target["InputPath"]))
    template = target.get("InputTransformer")
    if template is None:
        return json.dumps(event)
    values = {name: _at(event, path) for name, path in template.get("InputPathsMap", {}).items()}
    values |= {
        "aws.events.rule-arn": rule.arn,
        "aws.events.rule-name": rule.name,
        "aws.events.event.ingestion-time": event["time"],
        "aws.events.event.json": event,
        "aws.events.event": {key: value for key, value in event.items() if key != "detail"},
    }
    return filled(template["InputTemplate"], values)


def filled(template: str, values: dict[str, Any]) -> str:
    """Return a template with its <placeholders> replaced: bare text inside a JSON string, JSON outside one.

    What the event does not have is empty inside a string and "" outside one.
    """
    text = ""
    for piece, quoted in _pieces(template):
        match = _PLACEHOLDER.fullmatch(piece)
        if match is None:
            text += piece
            continue
        value = values.get(match.group(1), _ABSENT)
        if not quoted:
            text += json.dumps("" if value is _ABSENT else value)
        elif value is not _ABSENT:
            text += json.dumps(value if isinstance(value, str) else json.dumps(value))[1:-1]
    return text


def _pieces(template: str) -> Iterator[tuple[str, bool]]:
    """Split a template at its placeholders; say of each piece whether it starts inside a JSON string."""
    quoted, position = False, 0
    for match in [*_PLACEHOLDER.finditer(template), None]:
        plain = template[position : match.start() if match else len(template)]
        yield plain, quoted
        quoted ^= len(re.findall(r'(?<!\\)"', plain)) % 2 == 1
        if match:
            yield match.group(), quoted
            position = match.end()


def _at(event: Any, path: str) -> Any:
    """Return what a JSON path such as $.detail.state leads to, or nothing at all."""
    for name, quoted, index in _STEP.findall(path.removeprefix("$")):
        key = name or quoted
        if key and isinstance(event, dict) and key in event:
            event = event[key]
        elif index and isinstance(event, list) and int(index) < len(event):
            event = event[int(index)]
        else:
            return _ABSENT
    return event


# -- operations --------------------------------------------------------------------------------------------------------


@operation("events", "PutEvents")
def put_events(call: Call, **asked: Any) -> dict[str, Any]:
    """Put events of applications on a bus; AWS keeps the sources that start with aws. for itself."""
    entries = asked["Entries"]
    if not 1 <= len(entries) <= MOST_ENTRIES:
        raise Refused(
            "ValidationException",
            "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length "
            f"less than or equal to {MOST_ENTRIES}",
        )
    results = [_put(call, entry) for entry in entries]
    return {"FailedEntryCount": sum("ErrorCode" in result for result in results), "Entries": results}


def _put(call: Call, entry: dict[str, Any]) -> dict[str, Any]:
    for member in ("Source", "DetailType", "Detail"):
        if not entry.get(member):
            text = f"Parameter {member} is not valid. Reason: {member} is a required argument."
            return {"ErrorCode": "InvalidArgument", "ErrorMessage": text}
    if entry["Source"].startswith("aws."):
        return {"ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": "Not authorized for the source."}
    try:
        detail = json.loads(entry["Detail"])
    except ValueError:
        return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
    name = (entry.get("EventBusName") or "default").rsplit("/", 1)[-1]
    bus = call.cloud.moto("events", call.region).event_buses.get(name)
    event = _event(
        call.cloud,
        call.region,
        source=entry["Source"],
        detail_type=entry["DetailType"],
        detail=detail,
        resources=entry.get("Resources", []),
        at=entry.get("Time"),
    )
    if bus is not None:  # AWS takes events for a bus that does not exist, and drops them
        _send(call.cloud, bus.rules.values(), event)
    return {"EventId": event["id"]}


@around("events", "PutTargets")
def check_targets(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse templates that do not become JSON, and more targets than a rule has."""
    for target in call.params["Targets"]:
        transformer = target.get("InputTransformer")
        if transformer is not None:
            _check_template(target["Id"], transformer)
    bus = call.cloud.moto("events", call.region).event_buses.get(call.params.get("EventBusName") or "default")
    rule = bus.rules.get(call.params["Rule"]) if bus is not None else None
    if rule is not None:
        names = {target["Id"] for target in [*rule.targets, *call.params["Targets"]]}
        if len(names) > MOST_TARGETS:
            raise Refused("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
    return proceed()


def _check_template(target: str, transformer: dict[str, Any]) -> None:
    paths = transformer.get("InputPathsMap", {})
    wrong = [path for path in paths.values() if not re.fullmatch(rf"\$({_STEP.pattern})*", path)]
    if wrong:
        raise Refused("ValidationException", f"Invalid InputPathsMap for target {target}: {wrong[0]}")
    template = transformer["InputTemplate"]
    used = set(_PLACEHOLDER.findall(template))
    unknown = sorted(name for name in used if name not in paths and not name.startswith("aws.events."))
    if unknown:
        text = f"Invalid InputTemplate for target {target} : Invalid placeholder(s): {', '.join(unknown)}"
        raise Refused("ValidationException", text)
    sample = filled(template, dict.fromkeys(used, "x")).strip()
    try:
        _read(sample)
    except ValueError as error:
        raise Refused("ValidationException", f"Invalid InputTemplate for target {target} : {error}") from error


def _read(text: str) -> None:
    """Raise ValueError for text that is neither JSON nor lines of JSON strings."""
    try:
        json.loads(text)
    except ValueError:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or not all(line.startswith('"') for line in lines):
            raise
        for line in lines:
            json.loads(line)


def flattened(node: Any, prefix: str = "", result: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the values of an event by their paths; of a list of objects, those of all of them at one path.

    So a pattern finds an exit code among the containers of a task ("Event patterns", arrays, in the EventBridge manual);
    moto leaves such a list as it is.
    """
    found = {} if result is None else result
    for key, value in node.items():
        path = f"{prefix}.{key}" if prefix else key
        if isinstance(value, dict) and value:
            flattened(value, path, found)
            continue
        found[path] = value
        if isinstance(value, list):
            for one in (element for element in value if isinstance(element, dict)):
                for inner, at_it in flattened(one, path).items():
                    found.setdefault(inner, []).extend(at_it if isinstance(at_it, list) else [at_it])
    return found


def install(cloud: Cloud) -> None:
    """Let what moto itself puts on a bus (events of buckets) be delivered by us too."""

    def send_to_targets(self: Any, event: dict[str, Any], transform_input: bool = True) -> None:
        del transform_input
        plain = {key: value for key, value in event.items() if key != "ingestion-time"}
        at = plain.get("time")
        if not isinstance(at, str):
            plain["time"] = datetime.fromtimestamp(float(at or 0), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        _send(cloud, [self], plain)

    Rule.send_to_targets = send_to_targets
    EventPattern._flatten_dict = staticmethod(flattened)
