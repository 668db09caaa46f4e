"""What a plan found before it changes anything, in the nouns of a plan, so that the same rules can judge it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lifeboat.decisions.policy import reading
from lifeboat.decisions.policy.planned import Block, BlockAddress, CheckResult, Planned, Resource, mapping

_FAILS = ("fail", "error")


@dataclass(frozen=True, kw_only=True)
class BothSides:
    """What is there before a plan is applied (None: nothing at all), and what is there afterwards."""

    before: Planned | None
    after: Planned


def both_sides(document: Any) -> BothSides:
    """Return both sides of a parsed plan. Raises ScanNotValid where it is none, or is of an unknown format.

    The prior state is what Terraform read anew for this plan, with what it moves and imports at its new addresses
    (format of `terraform show -json`, `prior_state`). How its values are written is nowhere in a plan: what the plan leaves
    as it is counts as written as it is now, and of what it changes only the value is known, not how it came about.
    """
    after = reading.from_document(document)
    prior = mapping(mapping(document.get("prior_state")).get("values"))
    if not _holds_anything(mapping(prior.get("root_module"))):
        return BothSides(before=None, after=after)
    before = reading.as_written(_as_plan(document, prior))
    stays = {resource.address: resource.body.values for resource in after.resources}
    planned = {change.address for change in after.changes}
    # A plan of some targets alone says nothing of the rest, which stays as it is.
    untold = tuple(one for one in before.resources if one.address not in planned and one.address not in stays)
    was = tuple(
        one if one.address not in planned else _as_it_was(one, stays.get(one.address)) for one in before.resources
    )
    return BothSides(
        before=_of(before, was, _earlier(document, after.checks)),
        after=_of(after, (*after.resources, *untold), after.checks),
    )


def _holds_anything(module: Mapping[str, Any]) -> bool:
    """Return whether a state holds a resource; one of data sources alone is as good as none."""
    return any(one["mode"] == "managed" for one in module.get("resources", [])) or any(
        _holds_anything(child) for child in module.get("child_modules", [])
    )


def _as_plan(document: Mapping[str, Any], prior: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a plan that changes nothing of a state, and leaves out what waits to be destroyed."""
    return {**document, "planned_values": {"root_module": _kept(prior["root_module"])}, "resource_changes": []}


def _kept(module: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **module,
        "resources": [one for one in module.get("resources", []) if "deposed_key" not in one],
        "child_modules": [_kept(child) for child in module.get("child_modules", [])],
    }


def _as_it_was(resource: Resource, after: Mapping[str, Any] | None) -> Resource:
    """Return a resource with what is written of the values that stay; of one that changes, that something was."""
    body = resource.body
    values, written = body.values, body.expressions or {}
    expressions: dict[str, Any] = {}
    for name in {**written, **values}:
        value = values.get(name)
        if after is not None and _stays(name, values, after, written):
            if name in written:
                expressions[name] = written[name]
        elif value is not None and value != []:
            # An empty list tells of blocks that nobody knows how they were written.
            expressions[name] = [] if isinstance(value, list) else {}
    was = Block(where=body.where, values=values, unknown={}, expressions=expressions, trace=body.trace)
    return replace(resource, body=was)


def _stays(name: str, before: Mapping[str, Any], after: Mapping[str, Any], written: Mapping[str, Any]) -> bool:
    """Return whether a plan leaves a value as it is; what nobody writes and the provider chooses anew is nobody's change."""
    if name not in after:
        return name not in before or name not in written
    return name in before and before[name] == after[name]


def _earlier(document: Mapping[str, Any], checks: tuple[CheckResult, ...]) -> tuple[CheckResult, ...]:
    """Return the checks of a plan as they ended the last time; one that is new, or of which nobody knows, was well."""
    known = {
        mapping(one.get("address")).get("to_display"): str(one.get("status"))
        for one in mapping(document.get("prior_state")).get("checks") or []
        if isinstance(one, Mapping)
    }
    return tuple(replace(check, status=check.status if known.get(check.name) in _FAILS else "pass") for check in checks)


def _of(plan: Planned, resources: tuple[Resource, ...], checks: tuple[CheckResult, ...]) -> Planned:
    by_type: dict[str, list[Resource]] = defaultdict(list)
    by_block: dict[BlockAddress, list[Resource]] = defaultdict(list)
    for resource in resources:
        by_type[resource.type].append(resource)
        by_block[resource.block].append(resource)
    return replace(
        plan, resources=resources, checks=checks, by_type=dict(by_type), by_block=dict(by_block), worked_out={}
    )
