"""Whether a plan is about all of its configuration: what Terraform says of it, or, before 1.8, what its own parts tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from lifeboat.decisions.policy.planned import mapping
from lifeboat.decisions.policy.reported import block_of


class Wholeness(StrEnum):
    """What is known of it. A plan made with -target leaves out what it is not about, and nothing of that is judged."""

    WHOLE = "whole"
    PART = "part"
    UNTOLD = "untold"


def wholeness(document: Mapping[str, Any]) -> Wholeness:
    """Return what is known of a plan's document.

    From 1.8 on it has `complete` (https://developer.hashicorp.com/terraform/internals/json-format). Before that, a plan of
    everything names each resource of the state before it, and each that is written without count and for_each.
    """
    if document.get("deferred_changes"):
        return Wholeness.PART
    if "complete" in document:
        return Wholeness.PART if document["complete"] is False else Wholeness.WHOLE
    named = {change["address"] for change in document.get("resource_changes", [])}
    named |= set(_held(mapping(mapping(document.get("planned_values")).get("root_module"))))
    prior = mapping(mapping(document.get("prior_state")).get("values"))
    held = set(_held(mapping(prior.get("root_module"))))
    written = set(_written(mapping(mapping(document.get("configuration")).get("root_module")), ""))
    # A for_each over literals alone leaves no expression in a plan: one of its instances is then all that can be asked for.
    blocks = {block_of(address) for address in named}
    return Wholeness.UNTOLD if held <= named and written <= blocks else Wholeness.PART


def _held(module: Mapping[str, Any]) -> Iterator[str]:
    for resource in module.get("resources", []):
        if resource["mode"] == "managed":
            yield resource["address"]
    for child in module.get("child_modules", []):
        yield from _held(child)


def _written(module: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """Yield the addresses of what is written to be there once: of the rest nobody knows how many there should be."""
    for resource in module.get("resources", []):
        if resource["mode"] == "managed" and _once(resource):
            yield f"{prefix}{resource['address']}"
    for name, call in mapping(module.get("module_calls")).items():
        if _once(call):
            yield from _written(mapping(call.get("module")), f"{prefix}module.{name}.")


def _once(written: Mapping[str, Any]) -> bool:
    return "count_expression" not in written and "for_each_expression" not in written
