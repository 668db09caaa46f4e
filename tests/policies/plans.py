"""Plans for the tests, in the shape of `terraform show -json` (checked against a real one in test_real_plan.py)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lifeboat.decisions.policy import judging, reading
from lifeboat.decisions.policy.registry import BY_ID
from lifeboat.decisions.policy.rule import Outcome, Verdict

HERE, THERE = "eu-west-1", "eu-central-1"
_PROVIDERS = {HERE: "aws", THERE: "aws.dr"}


@dataclass(frozen=True, kw_only=True)
class From:
    """A value that is written as a reference; known only after the apply unless `value` says what it is."""

    references: tuple[str, ...]
    value: Any = None


class _Computed:
    """A value that nobody wrote and the provider chooses."""


class _Hidden:
    """Blocks that a dynamic block makes of something that only the apply tells: a plan says nothing of them."""


COMPUTED = _Computed()
HIDDEN = _Hidden()


def later(*references: str) -> From:
    """Return a value that comes of something made in the same apply."""
    return From(references=references)


def known(value: Any, *references: str) -> From:
    """Return a value that is written as a reference and known already."""
    return From(references=references, value=value)


@dataclass(frozen=True, kw_only=True)
class Added:
    """A resource as a test wrote it, for whoever writes it in another way (hcl.py)."""

    kind: str
    name: str
    key: str | int | None
    values: Mapping[str, Any]
    region: str | None
    actions: tuple[str, ...]


@dataclass
class PlanFile:
    """A plan that is put together resource by resource."""

    variables: dict[str, Any] = field(default_factory=lambda: {"objectives": {"rpo_hours": 24, "rto_hours": 4}})
    resources: list[dict[str, Any]] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    configuration: list[dict[str, Any]] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)
    added: list[Added] = field(default_factory=list)
    lost_regions: bool = False  # the regions of its providers stand in locals, which are in no plan
    # What a plan is that has modules, and the files of its configuration, which nobody writes out of its resources.
    modules: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def add(
        self,
        where: str,
        values: Mapping[str, Any] | None = None,
        *,
        region: str | None = HERE,
        actions: Sequence[str] = ("create",),
        key: str | int | None = None,
    ) -> PlanFile:
        """Add a resource by its address (type.name), with what is written of it."""
        kind, name = where.split(".")
        self.added.append(
            Added(kind=kind, name=name, key=key, values=values or {}, region=region, actions=tuple(actions))
        )
        found = {key: _split(value) for key, value in (values or {}).items()}
        after = {key: part.known for key, part in found.items() if not part.unknown_whole}
        unknown = {key: part.unknown for key, part in found.items() if part.unknown not in (False, None)}
        address = where if key is None else f"{where}[{json.dumps(key)}]"
        common = {"address": address, "mode": "managed", "type": kind, "name": name, "provider_name": "aws"}
        common |= {} if key is None else {"index": key}
        if "delete" not in actions or "create" in actions:
            # What is forgotten is there without its values (Terraform 1.11).
            values = {} if list(actions) == ["forget"] else {"values": after, "sensitive_values": {}}
            self.resources.append({**common, "schema_version": 0, **values})
        gone = list(actions) in (["delete"], ["forget"])
        self.changes.append(
            {
                **common,
                "change": {
                    "actions": list(actions),
                    "before": None if list(actions) == ["create"] else after,
                    "after": None if gone else after,
                    "after_unknown": {} if gone else unknown,
                },
            }
        )
        self.configuration.append(
            {
                "address": where,
                "mode": "managed",
                "type": kind,
                "name": name,
                "provider_config_key": "aws.elsewhere" if region is None else _PROVIDERS[region],
                "expressions": {key: part.expression for key, part in found.items() if part.expression is not None},
                "schema_version": 0,
            }
        )
        return self

    def check(self, kind: str, name: str, status: str, *problems: str) -> PlanFile:
        """Add what came of a check block, a condition or a validation."""
        instances = [{"address": {}, "status": status, "problems": [{"message": text} for text in problems]}]
        self.checks.append({"address": {"kind": kind, "to_display": name}, "status": status, "instances": instances})
        return self

    def document(self, **over: Any) -> dict[str, Any]:
        """Return the whole document; `over` replaces parts of it."""
        # Instances of one block are written once.
        written = {one["address"]: one for one in self.configuration}
        return {
            "format_version": "1.2",
            "terraform_version": "1.11.4",
            "variables": {name: {"value": value} for name, value in self.variables.items()},
            "planned_values": {"root_module": {"resources": self.resources}},
            "resource_changes": self.changes,
            "configuration": {
                "provider_config": {
                    key: {"name": "aws", "expressions": {"region": self._region(region)}}
                    for region, key in _PROVIDERS.items()
                }
                | {"aws.elsewhere": {"name": "aws", "expressions": {}}},
                "root_module": {"resources": list(written.values())},
            },
            "checks": self.checks,
            "complete": True,
            "errored": False,
            **self._in_modules(written),
            **over,
        }

    def _region(self, region: str) -> dict[str, Any]:
        return {"references": ["local.regions"]} if self.lost_regions else {"constant_value": region}

    def _in_modules(self, written: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is otherwise where everything stands in a module that is called several times, by its key."""
        if not self.modules:
            return {}
        calls = [
            {
                "address": f"module.it[{json.dumps(key)}]",
                "resources": [{**one, "address": f"module.it[{json.dumps(key)}].{one['address']}"} for one in inside],
            }
            for key, inside in self.modules.items()
        ]
        changes = [
            {**change, "address": f"{call['address']}.{change['address']}"}
            for call in calls
            for change in self.changes
            if f"{call['address']}.{change['address']}" in {one["address"] for one in call["resources"]}
        ]
        call = {"module": {"resources": list(written.values())}, "for_each_expression": {"references": ["var.them"]}}
        providers = {"aws": {"name": "aws", "expressions": {"region": {"constant_value": HERE}}}}
        return {
            "planned_values": {"root_module": {"child_modules": calls}},
            "resource_changes": changes,
            "configuration": {"provider_config": providers, "root_module": {"module_calls": {"it": call}}},
        }

    def called(self, *keys: str, only: Mapping[str, Sequence[str]]) -> PlanFile:
        """Return this plan as that of a module that is called with these keys; `only` says which calls have a resource."""
        self.modules = {
            key: [one for one in self.resources if key in only.get(f"{one['type']}.{one['name']}", keys)]
            for key in keys
        }
        return self

    def text(self, **over: Any) -> bytes:
        """Return the document as Terraform prints it."""
        return json.dumps(self.document(**over)).encode()


def outcome(plan: PlanFile, rule: str) -> Outcome:
    """Return how one rule ends for a plan."""
    read = reading.read(plan.text())
    return next(one for one in judging.scanned(read, [BY_ID[rule]]).outcomes)


def verdict(plan: PlanFile, rule: str) -> Verdict:
    """Return the verdict of one rule on a plan."""
    return outcome(plan, rule).verdict


@dataclass(frozen=True, kw_only=True)
class _Part:
    known: Any
    unknown: Any
    expression: Any

    @property
    def unknown_whole(self) -> bool:
        return self.unknown is True


def _split(value: Any) -> _Part:
    if isinstance(value, From):
        expression = {"references": _widened(value.references)}
        return _Part(known=value.value, unknown=value.value is None, expression=expression)
    if value is COMPUTED or value is HIDDEN:
        return _Part(known=None, unknown=True, expression=None)
    if isinstance(value, list):
        return _list(value)
    if isinstance(value, dict):
        parts = {key: _split(one) for key, one in value.items()}
        return _Part(
            known={key: one.known for key, one in parts.items() if not one.unknown_whole},
            unknown={key: True for key, one in parts.items() if one.unknown_whole},
            expression=_flat(parts.values(), value),
        )
    return _Part(known=value, unknown=False, expression=None if value is None else {"constant_value": value})


def _list(value: list[Any]) -> _Part:
    parts = [_block(one) if isinstance(one, dict) else _split(one) for one in value]
    blocks = bool(value) and isinstance(value[0], dict)
    return _Part(
        # The place of an unknown element is kept by a null.
        known=[None if one.unknown_whole else one.known for one in parts],
        unknown=[one.unknown for one in parts],
        expression=[one.expression for one in parts] if blocks else _flat(parts, value),
    )


def _block(value: dict[str, Any]) -> _Part:
    parts = {key: _split(one) for key, one in value.items()}
    return _Part(
        known={key: one.known for key, one in parts.items() if not one.unknown_whole},
        unknown={key: one.unknown for key, one in parts.items() if one.unknown not in (False, None)},
        expression={key: one.expression for key, one in parts.items() if one.expression is not None},
    )


def _flat(parts: Any, value: Any) -> dict[str, Any]:
    references = [ref for one in parts for ref in (one.expression or {}).get("references", [])]
    return {"references": references} if references else {"constant_value": value}


def _widened(references: Sequence[str]) -> list[str]:
    """Return references as a plan lists them: each one, then what it is an attribute of."""
    found: list[str] = []
    for one in references:
        found.append(one)
        parts = one.split(".")
        found += [".".join(parts[:2])] if len(parts) > 2 else []
        found += [found[-1].partition("[")[0]] if "[" in found[-1] else []
    return found
