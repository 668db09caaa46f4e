"""Which resources belong to each other: by id, name or ARN where it is known, else by what the configuration refers to."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from lifeboat.decisions.policy.planned import Awaited, Block, BlockAddress, Planned, Resource

_NAMES = ("id", "name", "arn", "bucket", "identifier", "key_id", "cluster_identifier", "alarm_name")


@dataclass(frozen=True, kw_only=True)
class _Index:
    """The resources of one type by what one of their values names."""

    by_value: dict[str, list[Resource]]
    by_block: dict[BlockAddress, list[Resource]]
    lost: list[Resource]


def attached(plan: Planned, resource: Resource, kind: str, name: str) -> list[Resource]:
    """Return the resources of a type, in its region, whose value `name` names this one.

    Raises Undecided where one may name it, and none surely does.
    """
    found = [one for one in attached_anywhere(plan, resource, kind, name) if not apart(one, resource)]
    if not found:
        _require_known(plan, resource, kind, name)
    return found


def attached_anywhere(plan: Planned, resource: Resource, kind: str, name: str) -> list[Resource]:
    """Return the resources of a type, in whatever region, whose value `name` surely names this one."""
    index = _index(plan, kind, name)
    found = {one.address: one for value in names_of(resource) for one in index.by_value.get(value, ())}
    for one in index.by_block.get(resource.block, ()):
        if same_instance(plan, one, resource):
            found[one.address] = one
    return list(found.values())


def _require_known(plan: Planned, resource: Resource, kind: str, name: str) -> None:
    for one in _index(plan, kind, name).lost:
        if not apart(one, resource):
            raise Awaited(f"{one.address}: whether its {name} is {resource.address} is known only after the apply")


def pointed_at(plan: Planned, block: Block, name: str, *types: str) -> list[Resource]:
    """Return the resources of these types that a value names, by what is known of it or by what it refers to."""
    text = block.known(name)
    if text is not None:
        key = ("names", types)
        if key not in plan.worked_out:
            index: dict[str, list[Resource]] = defaultdict(list)
            for resource in plan.of(*types):
                for value in set(names_of(resource)):
                    index[value].append(resource)
            plan.worked_out[key] = index
        known: list[Resource] = plan.worked_out[key].get(text, [])
        if known:
            return known
    return plan.come_from(block, name, *types)


def names_of(resource: Resource) -> list[str]:
    """Return the known texts by which others name a resource."""
    return [text for name in _NAMES if (text := resource.body.known(name)) is not None]


def apart(one: Resource, other: Resource) -> bool:
    """Return whether two resources are known to be in different regions."""
    return one.region is not None and other.region is not None and one.region != other.region


def same_instance(plan: Planned, one: Resource, other: Resource) -> bool:
    """Return whether a reference from `one` can mean this instance of `other`: each["a"] refers to each["a"]."""
    if one.key is None or other.key is None or one.key == other.key:
        return True
    return all(sibling.key != one.key for sibling in plan.by_block[other.block])


def _index(plan: Planned, kind: str, name: str) -> _Index:
    key = ("index", kind, name)
    if key not in plan.worked_out:
        index = _Index(by_value=defaultdict(list), by_block=defaultdict(list), lost=[])
        for resource in plan.of(kind):
            text = resource.body.known(name)
            origin = resource.body.origin(name)
            if text is not None:
                index.by_value[text].append(resource)
            elif origin.blocks:
                for block in origin.blocks:
                    index.by_block[block].append(resource)
            elif origin.lost:
                index.lost.append(resource)
        plan.worked_out[key] = index
    found: _Index = plan.worked_out[key]
    return found
