"""Whether both halves of a plan tell of the same resources: what is to change, and what is there afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lifeboat.decisions.policy.planned import Planned
from lifeboat.errors import ScanNotValid

_GONE = (["delete"], ["forget"])


def require(document: Mapping[str, Any], plan: Planned) -> None:
    """Raise ScanNotValid where a resource is in one half of a plan alone: it would be judged by half, or by nobody.

    Terraform makes `planned_values` of the changes, those that change nothing included (internal/command/jsonplan).
    """
    changes = [one for one in document.get("resource_changes", []) if one["mode"] == "managed" and "deposed" not in one]
    there = {str(resource.address) for resource in plan.resources}
    staying = {one["address"] for one in changes if one["change"]["actions"] not in _GONE}
    lost, untold = staying - there, there - {one["address"] for one in changes}
    for only, has, lacks in (
        (lost, "resource_changes", "planned_values"),
        (untold, "planned_values", "resource_changes"),
    ):
        if only:
            raise ScanNotValid(
                f"the plan is not whole: its {has} have {min(only)} and its {lacks} do not ({len(only)} of this kind)",
                hint="take the document as terraform show -json prints it, with nothing left out or put in",
            )
