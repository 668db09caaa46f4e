"""Which resources belong to each other: by id, name or ARN where it is known, else by what the configuration refers to."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import cast

from lifeboat.decisions.policy.planned import Awaited, Block, BlockAddress, Keys, Planned, Reference, Resource

_NAMES = ("id", "name", "arn", "bucket", "identifier", "key_id", "cluster_identifier", "alarm_name")


@dataclass(frozen=True, kw_only=True)
class _Index:
    """The resources of one type by what one of their values names."""

    by_value: dict[str, list[Resource]]
    by_instance: dict[tuple[BlockAddress, Keys], list[Resource]]
    by_block: dict[BlockAddress, list[tuple[Reference, Resource]]]  # where it is not told which instance is meant
    lost: list[Resource]


def attached(plan: Planned, resource: Resource, kind: str, name: str) -> list[Resource]:
    """Return the resources of a type, in its region, whose value `name` names this one.

    Raises Undecided where one may name it, and none surely does: what has the same name in another region is not meant.
    """
    found: list[Resource] = []
    unsure: list[Resource] = []
    for one in attached_anywhere(plan, resource, kind, name):
        if apart(one, resource):
            continue
        referred = [] if together(one, resource) else plan.come_from(one.body, name, resource.type)
        if together(one, resource) or any(other is resource for other in referred):
            found.append(one)
        elif not referred:
            unsure.append(one)
    if unsure and not found:
        raise unsure[0].doubt_of_region(
            f"{unsure[0].address}: whether it is in the region of {resource.address} is not in the plan"
        )
    if not found:
        _require_known(plan, resource, kind, name)
    return found


def attached_anywhere(plan: Planned, resource: Resource, kind: str, name: str) -> list[Resource]:
    """Return the resources of a type, in whatever region, whose value `name` surely names this one."""
    index = _index(plan, kind, name)
    found = {one.address: one for value in names_of(resource) for one in index.by_value.get(value, ())}
    found |= {one.address: one for one in index.by_instance.get((resource.block, resource.keys), ())}
    found |= {
        one.address: one for reference, one in index.by_block.get(resource.block, ()) if reference.means(resource)
    }
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


def together(one: Resource, other: Resource) -> bool:
    """Return whether two resources are known to be in one region: by its name, or as one provider makes both."""
    return one.provider == other.provider if None in (one.region, other.region) else one.region == other.region


def _index(plan: Planned, kind: str, name: str) -> _Index:
    key = ("index", kind, name)
    if key not in plan.worked_out:
        index = _Index(by_value=defaultdict(list), by_instance=defaultdict(list), by_block=defaultdict(list), lost=[])
        for resource in plan.of(kind):
            text = resource.body.known(name)
            origin = resource.body.origin(name)
            if text is not None:
                index.by_value[text].append(resource)
            elif origin.references:
                for reference in origin.references:
                    if reference.exact:
                        index.by_instance[reference.block, cast("Keys", reference.keys)].append(resource)
                    else:
                        index.by_block[reference.block].append((reference, resource))
            elif origin.lost:
                index.lost.append(resource)
        plan.worked_out[key] = index
    found: _Index = plan.worked_out[key]
    return found
