"""Plans that change what stands: the document of `terraform show -json` with the state that Terraform read before."""

from __future__ import annotations

import copy
from typing import Any

from tests.policies.plans import PlanFile

Document = dict[str, Any]


def changed(before: PlanFile, after: PlanFile, *, forced: tuple[str, ...] = ()) -> Document:
    """Return the plan that makes `after` of `before`; what is `forced` is replaced, whatever it is like."""
    document, earlier = copy.deepcopy((after.document(), before.document()))
    was = {one["address"]: one for one in _resources(earlier["planned_values"]["root_module"])}
    document["prior_state"] = {
        "format_version": "1.0",
        "values": copy.deepcopy(earlier["planned_values"]),
        "checks": earlier["checks"],
    }
    changes = []
    for change in document["resource_changes"]:
        old = was.pop(change["address"], None)
        if old is None and change["change"]["after"] is None:
            continue  # it was gone already
        change["change"] |= {"before": None if old is None else old.get("values", {})}
        change["change"]["actions"] = _actions(change, forced)
        changes.append(change)
    for gone in was.values():
        details = {"actions": ["delete"], "before": gone["values"], "after": None, "after_unknown": {}}
        changes.append({key: value for key, value in gone.items() if key != "values"} | {"change": details})
    document["resource_changes"] = changes
    return document


def _resources(module: Document) -> list[Document]:
    inside = [one for child in module.get("child_modules", []) for one in _resources(child)]
    return [*module.get("resources", []), *inside]


def _actions(change: Document, forced: tuple[str, ...]) -> list[str]:
    details = change["change"]
    if details["before"] is None:
        return ["create"]
    if change["address"] in forced:
        return ["delete", "create"]
    return ["no-op"] if details["before"] == details["after"] else ["update"]
