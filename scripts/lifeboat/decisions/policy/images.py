"""Rules on the image that the instance is recovered from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lifeboat.decisions.policy import controls
from lifeboat.decisions.policy.rule import Case, Fault, PlanCase, PlanRule, Rule, RuleId, Severity
from lifeboat.model import Address

_INSTANCE = "aws_instance"
_VARIABLE = re.compile(r"(^|_)ami(_id)?$|(^|_)(recovery|machine)_image(_id)?$")


def _image_variables(case: PlanCase) -> list[str]:
    return [name for name in case.plan.variables if _VARIABLE.search(name)]


def _with_variable(case: PlanCase) -> Sequence[Address]:
    instances = case.plan.of(_INSTANCE)
    return [one.address for one in instances] if _image_variables(case) else []


def _validated(case: PlanCase) -> Iterable[Fault]:
    names = {check.name.rpartition("var.")[2] for check in case.plan.checks if check.kind == "var"}
    # A module that the value goes on to may check it as well, under a name of its own.
    if any(_VARIABLE.search(name) for name in names):
        return
    for name in _image_variables(case):
        yield Fault(
            address=Address(f"var.{name}"),
            found="nothing checks what it is given",
            wanted=f'a validation: can(regex("^ami-[0-9a-f]{{8,17}}$", var.{name}))',
        )


def _takes_variable(case: Case) -> bool:
    return bool(case.resource.body.written("ami"))


def _obeys(case: Case) -> Iterable[Fault]:
    body = case.resource.body
    image, given = body.known("ami"), _given(case)
    if image is not None and given is not None and image != given[1]:
        yield Fault(
            found=f"{given[0]} names another image, and the instance stays on its old one: ignore_changes hides ami",
            wanted="no ami in ignore_changes: a recovery sets the image by that variable",
        )
    for disk in body.blocks("ebs_block_device"):
        if disk.flag("delete_on_termination") is not False:
            yield Fault(
                found="a data volume goes with the instance when it is replaced",
                wanted="delete_on_termination = false, or an aws_ebs_volume of its own",
            )


def _given(case: Case) -> tuple[str, Any] | None:
    """Return the variable of the plan that alone gives the image, and its value; None where it is not one alone."""
    expression = (case.resource.body.expressions or {}).get("ami")
    references = expression.get("references", []) if isinstance(expression, Mapping) else []
    if "." in case.resource.block.removesuffix(f".{case.resource.name}") or len(references) != 1:
        return None  # in a module the variable is the module's own
    name = str(references[0]).removeprefix("var.")
    found = case.plan.variables.get(name)
    return (f"var.{name}", found) if isinstance(found, str) else None


RULES = (
    PlanRule(
        id=RuleId("LB_REC_1"),
        severity=Severity.MEDIUM,
        title="The variable of the recovery image is checked",
        why="A name, or a mistyped id, is found out when the instance does not start.",
        change="Add a validation block to the variable.",
        types=(_INSTANCE,),
        present=_with_variable,
        judge=_validated,
        controls=(*controls.well_architected("REL13-BP05"),),
    ),
    Rule(
        id=RuleId("LB_REC_2"),
        severity=Severity.MEDIUM,
        title="A recovery image takes effect, and costs no data volume",
        why="An image that is ignored leaves the broken instance in place; a volume that goes with it takes the data along.",
        change="Take ami out of ignore_changes; keep data on volumes of their own.",
        types=(_INSTANCE,),
        among=_takes_variable,
        judge=_obeys,
        controls=(*controls.well_architected("REL13-BP05"),),
    ),
)
