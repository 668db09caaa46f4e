"""A plan foreseen from the configuration alone, for the rules to judge: what only a real plan tells is lost, and is watched.

A rule that asks for something that is lost gets an answer that rests on nothing; whoever judges looks at the watch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lifeboat.decisions.policy.configuration import Body, Module, only
from lifeboat.decisions.policy.expressions import (
    Coming,
    Fields,
    Items,
    Known,
    Worth,
    referred,
    worth,
)
from lifeboat.decisions.policy.planned import (
    NOWHERE,
    Block,
    BlockAddress,
    CheckResult,
    Keys,
    Origin,
    Planned,
    Reference,
    Resource,
    Which,
)
from lifeboat.decisions.policy.scopes import Key, Scope, called, elements, instances_of, keyed, root
from lifeboat.decisions.policy.tracing import address_of
from lifeboat.decisions.policy.watched import Kinds, Watch, Watched, Written
from lifeboat.model import Address

# What Terraform itself reads of a resource; all else is the provider's.
_META = frozenset({"count", "for_each", "provider", "depends_on", "lifecycle", "provisioner", "connection"})
# The parser gives a block and an attribute that is an object alike; of what the rules read, these are attributes.
_MAPS = frozenset(
    {
        "tags",
        "tags_all",
        "target_tags",
        "volume_tags",
        "dimensions",
        "tags_to_add",
        "variables",
        "exclude_tags",
        "exclude_data_volume_tags",
        "resource_type_opt_in_preference",
    }
)
# What the provider sets where nothing is written, as far as rules tell it from null; as the parser gives it.
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {"aws_db_instance": {"delete_automated_backups": [True]}}


@dataclass(frozen=True, kw_only=True)
class Foreseen:
    """A plan that was foreseen. `doubtful` are the resources of which nobody can tell how many there will be, if any."""

    plan: Planned
    watch: Watch
    doubtful: frozenset[Address]


def foreseen(module: Module, values: Mapping[str, object]) -> Foreseen:
    """Return the plan of a root module whose variables have these values, as far as reading tells."""
    watch = Watch()
    # Nobody can plan a root whose variables are not all given: it is a module that others call, with what stands beside it.
    given = all(name in values or "default" in variable for name, variable in module.variables.items())
    reader = _Reader(watch=watch, whole=given)
    reader.read(root(module, values))
    doubtful_kinds = {one.type for one in reader.resources if one.address in reader.doubtful}
    doubtful_blocks = {one.block for one in reader.resources if one.address in reader.doubtful}
    by_type: dict[str, list[Resource]] = defaultdict(list)
    by_block: dict[BlockAddress, list[Resource]] = defaultdict(list)
    for resource in reader.resources:
        by_type[resource.type].append(resource)
        by_block[resource.block].append(resource)
    plan = Planned(
        terraform_version="unknown",
        resources=tuple(reader.resources),
        changes=(),
        checks=tuple(reader.validations),
        variables=_variables(module, values, watch),
        complete=reader.whole,
        by_type=Kinds(by_type, doubtful=lambda kind: not reader.whole or kind in doubtful_kinds, note=watch.note),
        by_block=Kinds(by_block, doubtful=lambda block: block in doubtful_blocks, note=watch.note),
    )
    return Foreseen(plan=plan, watch=watch, doubtful=frozenset(reader.doubtful))


def _variables(module: Module, values: Mapping[str, object], watch: Watch) -> Watched:
    scope = root(module, values)
    parts = {name: _part(scope.given(name)) for name in module.variables}
    return Watched(
        {name: None if part.unknown else part.known for name, part in parts.items()},
        lost=[name for name, part in parts.items() if part.lost],
        note=lambda name: watch.note(f"var.{name}"),
    )


# -- values ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A value in the three forms that a plan has it in: what is known, what is not, and where it comes from."""

    known: Any = None
    unknown: Any = False
    references: frozenset[Reference] = frozenset()
    lost: bool = False
    constant: bool = False


_LOST = _Part(unknown=True, lost=True)


def _part(found: Worth) -> _Part:
    if isinstance(found, Known):
        return _Part(known=found.value, constant=found.constant)
    if isinstance(found, Coming):
        return _Part(unknown=True, references=found.references)
    if isinstance(found, Items):
        return _list([_part(one) for one in found.parts])
    if isinstance(found, Fields):
        return _map({name: _part(one) for name, one in found.parts.items()})
    return _LOST


def _list(parts: list[_Part]) -> _Part:
    if any(one.lost for one in parts):
        return _LOST
    return _Part(
        # The place of an unknown element is kept by a null.
        known=[None if one.unknown is True else one.known for one in parts],
        unknown=[one.unknown for one in parts],
        references=_all_references(parts),
        constant=all(one.constant for one in parts),
    )


def _map(parts: Mapping[str, _Part]) -> _Part:
    if any(one.lost for one in parts.values()):
        return _LOST
    return _Part(
        known={name: one.known for name, one in parts.items() if one.unknown is not True},
        unknown={name: one.unknown for name, one in parts.items() if one.unknown},
        references=_all_references(parts.values()),
        constant=all(one.constant for one in parts.values()),
    )


def _all_references(parts: Iterable[_Part]) -> frozenset[Reference]:
    return frozenset(reference for one in parts for reference in one.references)


# -- resources ---------------------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class _Reader:
    """What is read of a configuration, module by module."""

    watch: Watch
    resources: list[Resource] = field(default_factory=list)
    validations: list[CheckResult] = field(default_factory=list)
    doubtful: set[Address] = field(default_factory=set)
    whole: bool

    def read(self, scope: Scope) -> None:
        """Read one call of a module, and the calls in it."""
        self.whole = self.whole and scope.module.whole
        for (kind, name), body in scope.module.resources.items():
            self._resources(scope, kind, name, body)
        for name, variable in scope.module.variables.items():
            if "validation" in variable:
                self.validations.append(CheckResult(kind="var", name=f"{scope.address}var.{name}", status="unknown"))
        for name, call in scope.module.calls.items():
            self.whole = self.whole and call.module is not None
            for inside in called(scope, name, call):
                self.read(inside)

    def _resources(self, scope: Scope, kind: str, name: str, body: Body) -> None:
        instances = instances_of(body, scope)
        for key, inside in [(None, scope)] if instances is None else instances:
            resource = self._resource(inside, kind, name, key)
            self.resources.append(resource)
            if instances is None or not scope.surely:
                self.doubtful.add(resource.address)

    def _resource(self, scope: Scope, kind: str, name: str, key: Key) -> Resource:
        body = scope.module.resources[kind, name]
        address = Address(f"{scope.address}{keyed(f'{kind}.{name}', key)}")
        writer = _Writer(watch=self.watch, where=str(address))
        written = {one: value for one, value in body.items() if one not in _META}
        block = writer.block({**_DEFAULTS.get(kind, {}), **written}, scope)
        provider = scope.providers.get(_provider(body, kind))
        return Resource(
            address=address,
            block=address_of(scope.path, f"{kind}.{name}"),
            type=kind,
            name=name,
            keys=(*_sure(scope), key),
            body=block,
            region=_own_region(body, scope) if "region" in body else _region(provider),
            provider=_identity(provider, _provider(body, kind)),
            default_tags=_default_tags(provider),
        )


def _provider(body: Body, kind: str) -> str:
    found = only(body, "provider")
    return found.removeprefix("${").removesuffix("}") if isinstance(found, str) else kind.partition("_")[0]


def _sure(scope: Scope) -> Keys:
    """Return the keys of the calls that a scope stands in; nobody asks for those of what is doubtful."""
    return tuple(None if key is Which.ANY else key for key in scope.keys)


def _identity(provider: tuple[Scope, Body] | None, name: str) -> str:
    """Return which configuration of a provider it is; a root may leave the one without an alias out."""
    if provider is None:
        return name
    alias = only(provider[1], "alias")
    return f"{provider[0].address}{name.partition('.')[0]}{f'.{alias}' if isinstance(alias, str) else ''}"


def _region(provider: tuple[Scope, Body] | None) -> str | None:
    return None if provider is None else _own_region(provider[1], provider[0])


def _own_region(body: Body, scope: Scope) -> str | None:
    found = worth(only(body, "region"), scope.look_up)
    return found.value if isinstance(found, Known) and isinstance(found.value, str) else None


def _default_tags(provider: tuple[Scope, Body] | None) -> Mapping[str, str] | None:
    blocks = None if provider is None else provider[1].get("default_tags")
    if provider is None or not blocks:
        return {}
    part = _part(worth(only(blocks[0], "tags"), provider[0].look_up))
    if part.unknown or not isinstance(part.known, Mapping):
        return None
    return {name: str(value) for name, value in part.known.items()}


# -- blocks ------------------------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class _Content:
    """A block that is put together: the values of its attributes, and of the blocks in it, by name."""

    known: dict[str, Any] = field(default_factory=dict)
    unknown: dict[str, Any] = field(default_factory=dict)
    expressions: dict[str, Any] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True)
class _Writer:
    """Puts the blocks of one resource together."""

    watch: Watch
    where: str

    def block(self, body: Body, scope: Scope) -> Block:
        """Return a resource's own block."""
        content = self._content(body, scope)
        return Block(
            where=self.where,
            values=Written(content.known, lost=content.lost, note=self._note),
            unknown=self._watched(content.unknown, content),
            expressions=self._watched(content.expressions, content),
            trace=_origin,
        )

    def _note(self, name: str) -> None:
        self.watch.note(f"{self.where}: {name}")

    def _watched(self, values: Mapping[str, Any], content: _Content) -> Watched:
        return Watched(values, lost=content.lost, note=self._note)

    def _content(self, body: Body, scope: Scope) -> _Content:
        content = _Content()
        nested: dict[str, list[_Content] | None] = {}
        for name, written in body.items():
            if name.startswith("__") or name == "dynamic":
                continue
            if _are_blocks(name, written):
                nested[name] = [self._content(one, scope) for one in written]
            else:
                self._attribute(content, name, written, scope)
        for name, label in _dynamic(body):
            found = self._generated(name, label, scope)
            before = nested.get(name, [])
            nested[name] = None if found is None or before is None else [*before, *found]
        for name, blocks in nested.items():
            self._nested(content, name, blocks)
        return content

    def _attribute(self, content: _Content, name: str, written: Any, scope: Scope) -> None:
        raw = written[0] if isinstance(written, list) and len(written) == 1 else written
        part = _part(worth(raw, scope.look_up))
        if part.lost:
            _lose(content, name)
            return
        if part.known is None and part.unknown is False:
            return  # null: as if it were not written
        if part.unknown is not True:
            content.known[name] = part.known
        if part.unknown:
            content.unknown[name] = part.unknown
        content.expressions[name] = (
            {"constant_value": part.known}
            if part.constant and not part.unknown
            else {"references": list(referred(raw)), "origin": Origin(references=part.references)}
        )

    def _nested(self, content: _Content, name: str, blocks: list[_Content] | None) -> None:
        if blocks is None:
            _lose(content, name)
            return
        content.known[name] = [Written(one.known, lost=one.lost, note=self._note) for one in blocks]
        content.unknown[name] = [self._watched(one.unknown, one) for one in blocks]
        content.expressions[name] = [self._watched(one.expressions, one) for one in blocks]

    def _generated(self, name: str, dynamic: Body, scope: Scope) -> list[_Content] | None:
        """Return the blocks that a dynamic block makes; None where it cannot be told how many."""
        through = elements(worth(only(dynamic, "for_each"), scope.look_up))
        bodies = dynamic.get("content")
        if through is None or not isinstance(bodies, list) or len(bodies) != 1:
            return None
        iterator = only(dynamic, "iterator")
        called_by = iterator.removeprefix("${").removesuffix("}") if isinstance(iterator, str) else name
        return [
            self._content(bodies[0], replace(scope, iterators={**scope.iterators, called_by: (key, value)}))
            for key, value in through
        ]


def _lose(content: _Content, name: str) -> None:
    content.unknown[name] = True
    content.expressions[name] = {"origin": Origin(lost=True)}
    content.lost.add(name)


def _are_blocks(name: str, written: Any) -> bool:
    if name in _MAPS or not isinstance(written, list) or not all(isinstance(one, Mapping) for one in written):
        return False
    # Attributes in a block are wrapped in a list each, those of an object are not.
    return all(isinstance(value, list) for one in written for key, value in one.items() if not key.startswith("__"))


def _dynamic(body: Body) -> Iterator[tuple[str, Body]]:
    for one in body.get("dynamic", []):
        for name, label in one.items() if isinstance(one, Mapping) else ():
            if isinstance(label, Mapping):
                yield name, label


def _origin(expression: Any) -> Origin:
    """Return where a value comes from, of an expression or of the blocks that a name has."""
    if isinstance(expression, Mapping):
        found = dict.get(expression, "origin") if isinstance(expression, dict) else None
        if isinstance(found, Origin):
            return found
        return _together([_origin(one) for one in expression.values() if isinstance(one, Mapping | list)])
    if isinstance(expression, list):
        return _together([_origin(one) for one in expression])
    return NOWHERE


def _together(origins: list[Origin]) -> Origin:
    return Origin(
        references=frozenset(reference for one in origins for reference in one.references),
        lost=any(one.lost for one in origins),
    )
