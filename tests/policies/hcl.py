"""The configuration that a plan of the tests could come of, as HCL."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from tests.policies.plans import COMPUTED, HERE, HIDDEN, THERE, Added, From, PlanFile

_PROVIDER = {HERE: None, THERE: "aws.dr", None: "aws.elsewhere"}
_LAST = "aws.elsewhere"
_HIDDEN = "one(data.aws_ssm_parameter.hidden[*].value)"


def text(plan: PlanFile) -> str:
    """Return the files of a root in one. What a plan does to what exists is no part of a configuration."""
    if plan.files:
        return plan.files["main"]
    blocks: dict[tuple[str, str], list[Added]] = defaultdict(list)
    for one in plan.added:
        if one.actions != ("delete",):
            blocks[one.kind, one.name].append(one)
    references = {ref: value for one in plan.added for ref, value in _references(one.values)}
    return "\n".join(
        [
            *_providers(plan),
            *_variables(plan, references),
            *_locals(references),
            *(_resource(kind, name, instances) for (kind, name), instances in blocks.items()),
            *_elsewhere(references, set(blocks)),
        ]
    )


def _providers(plan: PlanFile) -> Iterator[str]:
    here, there = (_HIDDEN, _HIDDEN) if plan.lost_regions else (f'"{HERE}"', f'"{THERE}"')
    yield f'provider "aws" {{\n  region = {here}\n}}'
    yield f'provider "aws" {{\n  alias  = "dr"\n  region = {there}\n}}'
    if any(one.region is None for one in plan.added):
        yield 'provider "aws" {\n  alias = "elsewhere"\n}'


def _variables(plan: PlanFile, references: Mapping[str, Any]) -> Iterator[str]:
    checked = {check["address"]["to_display"].rpartition("var.")[2] for check in plan.checks if _is_of_variable(check)}
    given = {ref.removeprefix("var."): value for ref, value in references.items() if ref.startswith("var.")}
    for name, value in {**given, **plan.variables, **dict.fromkeys(checked - set(plan.variables), "")}.items():
        validation = f'  validation {{\n    condition = var.{name} != null\n    error_message = "No."\n  }}\n'
        yield f'variable "{name}" {{\n  default = {_value(value)}\n{validation if name in checked else ""}}}'


def _is_of_variable(check: Mapping[str, Any]) -> bool:
    return bool(check["address"]["kind"] == "var")


def _locals(references: Mapping[str, Any]) -> Iterator[str]:
    for ref, value in references.items():
        if ref.startswith("local."):
            # What only the apply tells stands behind a function that nobody evaluates who reads.
            written = _HIDDEN if value is None else _value(value)
            yield f"locals {{\n  {ref.removeprefix('local.')} = {written}\n}}"


def _elsewhere(references: Mapping[str, Any], written: set[tuple[str, str]]) -> Iterator[str]:
    """Yield the resources that are referred to, and that the plan of the test leaves out."""
    for ref in references:
        kind, name, *_ = ref.split("[")[0].split(".")
        if kind not in ("var", "local", "each", "data") and (kind, name) not in written:
            written.add((kind, name))
            yield f'resource "{kind}" "{name}" {{\n}}'


def _references(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, From):
        yield from ((reference, value.value) for reference in value.references)
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _references(one)
    elif isinstance(value, list):
        for one in value:
            yield from _references(one)


# -- resources ---------------------------------------------------------------------------------------------------------


def _resource(kind: str, name: str, instances: list[Added]) -> str:
    first = instances[0]
    lines = [f'resource "{kind}" "{name}" {{']
    if _PROVIDER[first.region]:
        lines.append(f"  provider = {_PROVIDER[first.region]}")
    if first.key is None:
        lines += _body(first.values, "  ")
    elif isinstance(first.key, int):
        assert all(one.values == first.values for one in instances)
        lines += [f"  count = {len(instances)}", *_body(first.values, "  ")]
    else:
        assert all(_is_plain(one.values) for one in instances)
        names = sorted({name for one in instances for name in one.values})
        lines.append(f"  for_each = {_value({str(one.key): dict(one.values) for one in instances})}")
        lines += [f"  {name} = each.value.{name}" for name in names]
    return "\n".join([*lines, "}"])


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_plain(one) for one in value.values())
    return not isinstance(value, From) and value not in (COMPUTED, HIDDEN)


def _body(values: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, value in values.items():
        if value is HIDDEN:
            yield f'{indent}dynamic "{name}" {{\n{indent}  for_each = {_HIDDEN}\n{indent}  content {{\n{indent}  }}\n{indent}}}'
        elif isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            for block in value:
                yield f"{indent}{name} {{"
                yield from _body(block, f"{indent}  ")
                yield f"{indent}}}"
        elif value is not None and value not in (COMPUTED, HIDDEN):
            yield f"{indent}{name} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, From):
        return value.references[0] if len(value.references) == 1 else f"coalesce({', '.join(value.references)})"
    if isinstance(value, Mapping):
        return "{\n" + "".join(f"{json.dumps(key)} = {_value(one)}\n" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(_value(one) for one in value)}]"
    return re.sub(r"([$%])\{", r"\1\1{", json.dumps(value))
