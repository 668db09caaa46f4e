"""The document of `terraform show -json PLAN`, read into the nouns of a plan; what is no whole plan is refused, never judged."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from lifeboat.decisions.policy import agreement, pairing
from lifeboat.decisions.policy.literals import literals
from lifeboat.decisions.policy.planned import (
    Block,
    BlockAddress,
    Change,
    CheckResult,
    Key,
    Keys,
    Planned,
    Resource,
)
from lifeboat.decisions.policy.tracing import ModulePath, Standing, Tracer, address_of, heads, steps
from lifeboat.decisions.policy.wholeness import Wholeness, wholeness
from lifeboat.errors import ScanNotValid
from lifeboat.model import Address

_REGION = re.compile(r"[a-z]{2,}(?:-[a-z]+)+-\d+")
_HOW = "terraform plan -out=stack.plan, then: terraform show -json stack.plan > plan.json"


def read(text: bytes) -> Planned:
    """Return the plan that a JSON text is. Raises ScanNotValid where it is none, is empty, or is of an unknown format.

    The format is https://developer.hashicorp.com/terraform/internals/json-format; of its major version 1 all is read.
    """
    if text[:4] == b"PK\x03\x04":
        raise ScanNotValid("this is a saved plan, not its JSON", hint=_HOW)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        # What the decoder says of it may hold a piece of the text, and so a secret.
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise ScanNotValid(f"this is not JSON{where}", hint=_HOW) from None
    return from_document(document)


def from_document(document: Any) -> Planned:
    """Return the plan that a parsed document is. Raises ScanNotValid where it is none, is empty, or of an unknown format."""
    found = as_written(document)
    agreement.require(document, found)
    return found


def as_written(document: Any) -> Planned:
    """Return the plan of a document whose changes may be of other resources than its values; raises as `from_document`."""
    plan = _required(document)
    try:
        found = _Reader(plan).planned()
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ScanNotValid(
            "this is not a plan as Terraform writes it: a part of it is missing, or of another form", hint=_HOW
        ) from None
    if not found.resources and not found.changes:
        raise ScanNotValid(
            "the plan is empty: it has no resource at all, so nothing was judged",
            hint="plan the root and the environment that were meant, and look whether its modules are left out",
        )
    return found


def _required(document: Any) -> Mapping[str, Any]:
    if not isinstance(document, Mapping):
        raise ScanNotValid("this is JSON and no plan", hint=_HOW)
    version = document.get("format_version")
    if "planned_values" not in document and "resource_changes" not in document:
        what = "this is a state, not a plan" if "values" in document and version else "this is JSON and no plan"
        raise ScanNotValid(what, hint=_HOW)
    if not isinstance(version, str) or version.partition(".")[0] != "1":
        raise ScanNotValid(
            f"the plan has the unknown format version {version!r}; 1.x is known",
            hint="a lifeboat that knows it is needed, or a Terraform from 1.1 on",
        )
    if document.get("errored"):
        raise ScanNotValid(
            "Terraform failed while it made this plan, so it is not whole",
            hint="terraform plan says why; mend that first",
        )
    if "configuration" not in document:
        raise ScanNotValid("the plan has no configuration, so nothing tells where its values come from", hint=_HOW)
    return document


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a resource of `planned_values` stands."""

    path: ModulePath
    keys: Keys  # of the modules on the way
    resource: Mapping[str, Any]

    @property
    def short(self) -> str:
        return f"{self.resource['type']}.{self.resource['name']}"

    @property
    def block(self) -> BlockAddress:
        return address_of(self.path, self.short)

    @property
    def all_keys(self) -> Keys:
        return (*self.keys, self.resource.get("index"))


class _Reader:
    """One document, with what is looked up in it for every resource."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        configuration: Mapping[str, Any] = document["configuration"]
        places = self._places((), (), document.get("planned_values", {}).get("root_module", {}), "")
        forgotten = {
            change["address"]
            for change in document.get("resource_changes", [])
            if change["change"]["actions"] == ["forget"] and "deposed" not in change
        }
        # What a `removed` block lets go is in the planned values still, without any value (Terraform 1.11).
        self._managed = [
            place
            for place in places
            if place.resource.get("mode") == "managed" and place.resource["address"] not in forgotten
        ]
        self._tracer = Tracer(configuration, ((place.block, place.all_keys) for place in self._managed))
        self._providers: Mapping[str, Any] = configuration.get("provider_config", {})
        self._variables = {name: one.get("value") for name, one in document.get("variables", {}).items()}
        self._unknown = {
            change["address"]: change["change"].get("after_unknown")
            for change in document.get("resource_changes", [])
            if "deposed" not in change
        }

    def planned(self) -> Planned:
        """Return everything that the rules ask for."""
        found = wholeness(self._document)
        resources = tuple(self._resource(place) for place in self._managed)
        by_type: dict[str, list[Resource]] = defaultdict(list)
        by_block: dict[BlockAddress, list[Resource]] = defaultdict(list)
        for resource in resources:
            by_type[resource.type].append(resource)
            by_block[resource.block].append(resource)
        return Planned(
            terraform_version=str(self._document.get("terraform_version", "unknown")),
            resources=resources,
            changes=tuple(self._changes()),
            checks=tuple(self._checks()),
            variables=self._variables,
            complete=found is not Wholeness.PART,
            untold=found is Wholeness.UNTOLD,
            by_type=dict(by_type),
            by_block=dict(by_block),
            literals=literals(self._document["configuration"]),
        )

    def _places(self, path: ModulePath, keys: Keys, module: Mapping[str, Any], address: str) -> Iterator[_Place]:
        for resource in module.get("resources", []):
            yield _Place(path=path, keys=keys, resource=resource)
        for child in module.get("child_modules", []):
            # module.a["x.y"].module.b: what follows the parent's address begins with the child's own name.
            own = child["address"][len(address) + 1 if address else 0 :].removeprefix("module.")
            name, bracket, key = own.partition("[")
            own_key: Key = json.loads(key.removesuffix("]")) if bracket else None
            yield from self._places((*path, name), (*keys, own_key), child, child["address"])

    def _resource(self, place: _Place) -> Resource:
        found = place.resource
        written = self._tracer.block(place.path, place.short)
        standing = Standing(path=place.path, keys=place.all_keys, each=written.get("for_each_expression"))
        unknown = self._unknown.get(found["address"])
        values = found.get("values") or {}
        provider = written.get("provider_config_key", "")
        return Resource(
            address=Address(found["address"]),
            block=place.block,
            type=found["type"],
            name=found["name"],
            keys=place.all_keys,
            body=Block(
                where=found["address"],
                values=values,
                unknown=unknown if isinstance(unknown, Mapping) else {},
                expressions=pairing.paired(values, written.get("expressions", {})),
                trace=partial(self._tracer.origin, standing),
            ),
            region=_own_region(values) or self._region(provider),
            provider=provider,
            default_tags=self._default_tags(provider),
        )

    def _region(self, provider: str) -> str | None:
        expression = self._provider(provider).get("region")
        found = self._constant(expression)
        # Of an expression such as "eu-${var.x}-1" a plan tells no more than var.x.
        return found if isinstance(found, str) and _REGION.fullmatch(found) else None

    def _default_tags(self, provider: str) -> Mapping[str, str] | None:
        blocks = self._provider(provider).get("default_tags")
        if not blocks:
            return {}
        tags = self._constant(blocks[0].get("tags")) if isinstance(blocks, list) else None
        return {key: str(value) for key, value in tags.items()} if isinstance(tags, Mapping) else None

    def _provider(self, key: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._providers.get(key, {}).get("expressions", {})
        return found

    def _constant(self, expression: Any) -> Any:
        """Return what an expression of a provider is: written there, or an input of the plan; None for all else."""
        if not isinstance(expression, Mapping):
            return None
        if "constant_value" in expression:
            return expression["constant_value"]
        named = list(heads(expression.get("references", [])))
        if len(named) != 1:
            return None
        head, *names = steps(named[0])
        found: Any = self._variables if head == "var" and names else None
        for name in names:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found

    def _changes(self) -> Iterator[Change]:
        for change in self._document.get("resource_changes", []):
            if change.get("mode") == "managed":
                before = change["change"].get("before")
                yield Change(
                    address=Address(change["address"]),
                    type=change["type"],
                    actions=tuple(change["change"]["actions"]),
                    before=before if isinstance(before, Mapping) else {},
                )

    def _checks(self) -> Iterator[CheckResult]:
        for check in self._document.get("checks", []):
            address = check["address"]
            yield CheckResult(kind=address["kind"], name=address["to_display"], status=check["status"])


def _own_region(values: Mapping[str, Any]) -> str | None:
    """Return the region that a resource itself names: its ARN, or the argument that it has from provider 6 on."""
    arn = values.get("arn")
    if isinstance(arn, str) and arn.count(":") >= 5 and arn.split(":")[3]:
        return arn.split(":")[3]
    region = values.get("region")
    return region if isinstance(region, str) and region else None
