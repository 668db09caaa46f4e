"""What a state file says: its serial and lineage, its resources and outputs, and why something is no state at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lifeboat.decisions import state_forms, state_secrets
from lifeboat.decisions.state_forms import Form
from lifeboat.decisions.state_secrets import MASK, Secrets
from lifeboat.model import Address, state_address
from lifeboat.state_model import AttributePath, ResourceView, StateFacts, StateOutput

FORMAT = 4  # of Terraform 0.12 and all since (internal/states/statefile/version4.go)


@dataclass(frozen=True, kw_only=True)
class StateDocument:
    """A state that was read whole: the managed resources of it, its outputs, and what must never be shown.

    `raw_outputs` are the values as they are, the sensitive ones too.
    """

    facts: StateFacts
    resources: Mapping[Address, ResourceView]
    outputs: Mapping[str, StateOutput]
    raw_outputs: Mapping[str, object] = field(repr=False)
    data_sources: int
    secrets: Secrets


def facts(body: bytes) -> StateFacts:
    """Return what a state says of itself; raises ValueError with the reason, in plain words, where it is none."""
    # Two thirds of the time: hundreds of states are read for a listing, and all but the broken ones have this form.
    form = state_forms.form(body)
    return _facts(_document(body)) if form is None else _facts_of(form)


def read(body: bytes) -> StateDocument:
    """Return a state with all that is in it; raises ValueError, as `facts` does."""
    document = _document(body)
    said = _facts(document)
    views = {view.address: view for view in _views(document)}
    outputs = _outputs(document)
    secrets = state_secrets.secrets(
        [
            *((view.attributes, view.sensitive) for view in views.values()),
            *(
                ({name: found["value"]}, frozenset([(name,)] if _is_sensitive(found) else []))
                for name, found in outputs
            ),
        ]
    )
    return StateDocument(
        facts=said,
        resources={address: _fit(view, secrets) for address, view in views.items()},
        outputs={name: _output(name, found, secrets) for name, found in sorted(outputs)},
        raw_outputs={name: found["value"] for name, found in outputs},
        data_sources=sum(len(one["instances"]) for one in document["resources"] if one["mode"] == "data"),
        secrets=secrets,
    )


def _fit(view: ResourceView, secrets: Secrets) -> ResourceView:
    """Return a resource whose names are fit to be shown: the key of a for_each, or an id, may be what is sensitive elsewhere."""
    return replace(
        view,
        address=Address(secrets.masked(view.address)),
        module=secrets.masked(view.module),
        id=secrets.masked(view.id),
    )


def managed_attributes(body: bytes) -> Iterator[Mapping[str, object]]:
    """Yield the attributes of each instance of a managed resource, as they are written; raises ValueError, as `facts` does."""
    for _, instance in _managed(_document(body)):
        yield instance.get("attributes") or instance.get("attributes_flat") or {}


def resources(body: bytes) -> dict[Address, ResourceView]:
    """Return the instances of managed resources by address; what a replacement left to destroy has its key behind it.

    Raises ValueError, as `facts` does.
    """
    return dict(read(body).resources)


# -- reading -----------------------------------------------------------------------------------------------------------


def _document(body: bytes) -> dict[str, Any]:
    if not body.strip():
        raise ValueError("it is empty")
    # No error is chained: json's own carries the whole text, with all that is sensitive in it.
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        cut = error.reason == "unexpected end of data"
        raise ValueError(
            f"not JSON: cut off at byte {len(body)}" if cut else f"not JSON: byte {error.start} is no UTF-8"
        ) from None
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(_why_no_json(text, error)) from None
    except (ValueError, RecursionError):  # a number of thousands of digits; thousands of brackets
        raise ValueError("not JSON that can be read: a number too long, or nested too deeply") from None
    return _checked(document)


def _why_no_json(text: str, error: json.JSONDecodeError) -> str:
    written = text.strip()
    # An object that is never closed ends before its end; of a text within it that is not closed, json names the beginning.
    if written.startswith("{") and (not written.endswith("}") or error.pos >= len(text.rstrip())):
        return f"not JSON: cut off at byte {len(text.encode())}"
    return f"not JSON: {error.msg[:1].lower()}{error.msg[1:]} at byte {len(text[: error.pos].encode())}"


def _checked(document: Any) -> dict[str, Any]:
    """Return a state all of whose parts have the form that the rest of this file takes for granted."""
    if not isinstance(document, dict):
        raise ValueError("no state: it is JSON, but no object")
    version = document.get("version", FORMAT)  # none is written by hand only, and says nothing against it
    if version != FORMAT:
        raise ValueError(f"of format version {json.dumps(version)[:20]}, and only {FORMAT} is known")
    serial, lineage = document.get("serial"), document.get("lineage")
    if not isinstance(serial, int) or isinstance(serial, bool) or serial < 0:
        raise ValueError("no state: it has no serial")
    if not isinstance(lineage, str) or not lineage:
        raise ValueError("no state: it has no lineage")
    found = document.setdefault("resources", [])
    if not isinstance(found, list):
        raise ValueError("no state: its resources are no list")
    for number, resource in enumerate(found):
        if not _is_resource(resource):
            raise ValueError(f"no state: its resource number {number} has not the form of one")
    outputs = document.setdefault("outputs", {})
    if not isinstance(outputs, dict) or not all(isinstance(o, dict) and "value" in o for o in outputs.values()):
        raise ValueError("no state: its outputs have not the form of outputs")
    return document


def _is_resource(found: Any) -> bool:
    return (
        isinstance(found, dict)
        and all(isinstance(found.get(name), str) for name in ("mode", "type", "name"))
        and isinstance(found.get("module", ""), str)
        and isinstance(found.get("instances"), list)
        and all(isinstance(one, dict) and _has_attributes(one) for one in found["instances"])
    )


def _has_attributes(instance: Mapping[str, Any]) -> bool:
    # What an older Terraform, or a provider of the first kind, left has its attributes in attributes_flat.
    return isinstance(instance.get("attributes", {}), dict) and isinstance(instance.get("attributes_flat", {}), dict)


def _facts(document: Mapping[str, Any]) -> StateFacts:
    return StateFacts(
        serial=document["serial"],
        lineage=document["lineage"],
        terraform_version=str(document.get("terraform_version", "unknown")),
        resources=sum(1 for _, instance in _managed(document) if "deposed" not in instance),
        environment=_environment(document["outputs"].get("recovery", {}).get("value")),
    )


def _facts_of(form: Form) -> StateFacts:
    recovery = form.outputs.get("recovery")
    return StateFacts(
        serial=form.serial,
        lineage=form.lineage,
        terraform_version=form.terraform_version,
        resources=form.managed,
        environment=None if recovery is None else _environment(recovery.value),
    )


def _environment(recovery: object) -> str | None:
    found = recovery.get("environment") if isinstance(recovery, dict) else None
    return found if isinstance(found, str) else None


def _managed(document: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for resource in document["resources"]:
        if resource["mode"] == "managed":
            for instance in resource["instances"]:
                yield resource, instance


def _views(document: Mapping[str, Any]) -> Iterator[ResourceView]:
    for resource, instance in _managed(document):
        deposed = instance.get("deposed")
        address = state_address(resource, instance)
        attributes = instance.get("attributes") or instance.get("attributes_flat") or {}
        marked = [_path(steps) for steps in instance.get("sensitive_attributes") or ()]
        sensitive = frozenset(path for steps in marked for path in _found(attributes, steps, ()))
        yield ResourceView(
            address=address if deposed is None else Address(f"{address} (deposed {deposed})"),
            module=resource.get("module", ""),
            kind=resource["type"],
            id=MASK if {("id",), ()} & sensitive else identity(attributes),
            deposed=deposed,
            status=str(instance.get("status") or ""),
            attributes=attributes,
            sensitive=sensitive,
        )


def identity(attributes: Mapping[str, object]) -> str:
    """Return what says which thing it is: its id, else its ARN; empty for what has neither."""
    found = attributes.get("id") or attributes.get("arn")
    return found if isinstance(found, str) else ""


def _path(steps: Any) -> AttributePath:
    """Return the path that the state marks; what cannot be understood marks all that it lies in."""
    found: list[str | int] = []
    for step in steps if isinstance(steps, list) else []:
        value = step.get("value") if isinstance(step, dict) else None
        if isinstance(value, dict):  # an index has its type beside it
            value = value.get("value")
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, str | int):
            break
        found.append(value)
    return tuple(found)


def _found(value: object, steps: AttributePath, at: AttributePath) -> Iterator[AttributePath]:
    """Yield where a marked path leads to in attributes as they are written; what it does not lead through is marked whole.

    A value whose type the schema leaves open is written as {"value": …, "type": …}, and the path does not say so.
    """
    if not steps:
        yield at
        return
    step, rest = steps[0], steps[1:]
    ways: list[tuple[object, AttributePath, AttributePath]] = []
    if isinstance(value, dict):
        if step in value:
            ways.append((value[step], rest, (*at, step)))
        if value.keys() == {"value", "type"}:
            ways.append((value["value"], steps, (*at, "value")))
    elif isinstance(value, list) and isinstance(step, int) and step < len(value):
        ways.append((value[step], rest, (*at, step)))
    for way in ways:
        yield from _found(*way)
    if not ways and at:  # an attribute that is not there has nothing to hide
        yield at


def _outputs(document: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return list(document["outputs"].items())


def _is_sensitive(output: Mapping[str, Any]) -> bool:
    return bool(output.get("sensitive"))


def _output(name: str, found: Mapping[str, Any], secrets: Secrets) -> StateOutput:
    if _is_sensitive(found):
        return StateOutput(name=name, sensitive=True, value=MASK)
    shown = state_secrets.shown({name: found["value"]}, secrets)[name]
    return StateOutput(name=name, sensitive=False, value=json.dumps(shown, ensure_ascii=False))
