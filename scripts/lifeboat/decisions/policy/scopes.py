"""What a reference in a configuration means where it stands: variables as they were given, locals, outputs, `each`, resources."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from lifeboat.decisions.policy.configuration import Body, Call, Module, as_declared, default, only
from lifeboat.decisions.policy.expressions import (
    LOST,
    Coming,
    Fields,
    Items,
    Known,
    Path,
    Worth,
    at,
    worth,
)
from lifeboat.decisions.policy.planned import Key as AnyKey
from lifeboat.decisions.policy.planned import Reference, Which
from lifeboat.decisions.policy.tracing import ModulePath, address_of

Key = str | int | None
_ELSEWHERE = frozenset({"data", "path", "terraform", "self"})  # what only Terraform or the provider tells


@dataclass(frozen=True, kw_only=True)
class Scope:
    """One module as it is called once. `surely` is False where nobody can tell how many times it is called, if at all."""

    module: Module
    path: ModulePath = ()
    keys: tuple[AnyKey | Which, ...] = ()  # of the calls on the way; any where nobody can tell how many there are
    address: str = ""  # with a dot at its end: module.database["a"].
    given: Callable[[str], Worth]
    providers: Mapping[str, tuple[Scope, Body]] = field(default_factory=dict, repr=False)
    iterators: Mapping[str, tuple[Worth, Worth]] = field(default_factory=dict, repr=False)  # name: key and value
    surely: bool = True
    found: dict[str, Worth] = field(default_factory=dict, repr=False)

    def look_up(self, path: Path) -> Worth:
        """Return what a reference is worth here."""
        head, rest = str(path[0]), path[1:]
        if head in self.iterators:
            key, value = self.iterators[head]
            return at({"key": key, "index": key, "value": value}.get(str(rest[0]), LOST), rest[1:]) if rest else LOST
        if head in _ELSEWHERE or head in ("each", "count") or not rest:
            return LOST
        name = str(rest[0])
        outside = replace(self, iterators={})
        if head == "var":
            return at(self._once(f"var.{name}", lambda: self.given(name)), rest[1:])
        if head == "local":
            return at(self._once(f"local.{name}", lambda: outside._local(name)), rest[1:])
        if head == "module":
            return self._once(f"module.{name}{rest[1:]}", lambda: outside._output(name, rest[1:]))
        return self._once(f"{head}.{name}{rest[1:]}", lambda: outside._attribute(head, name, rest[1:]))

    def _once(self, place: str, work_out: Callable[[], Worth]) -> Worth:
        if place not in self.found:
            self.found[place] = LOST  # Terraform allows no circle, a damaged configuration may hold one
            self.found[place] = work_out()
        return self.found[place]

    def _local(self, name: str) -> Worth:
        written = self.module.local_values
        return worth(written[name], self.look_up) if name in written else LOST

    def _output(self, name: str, rest: Path) -> Worth:
        call = self.module.calls.get(name)
        if call is None or call.module is None:
            return LOST
        several = "for_each" in call.body or "count" in call.body
        key, rest = (rest[0], rest[1:]) if several and rest else (None, rest)
        for scope in called(self, name, call):
            if rest and scope.surely and scope.key_is(key) and str(rest[0]) in scope.module.outputs:
                return at(worth(scope.module.outputs[str(rest[0])], scope.look_up), rest[1:])
        return LOST

    def key_is(self, key: Key) -> bool:
        """Return whether this is the call of the module with a key; None is that of a module without any."""
        return self.address.endswith(f"{keyed(self.path[-1], key)}.")

    def _attribute(self, kind: str, name: str, rest: Path) -> Worth:
        body = self.module.resources.get((kind, name))
        if body is None:
            return LOST
        scope = self
        key: Key = None
        if "for_each" in body or "count" in body:
            instances = instances_of(body, scope) or []
            keys = {str(one): one for one, _ in instances}
            instance = {str(one): inside for one, inside in instances}.get(str(rest[0])) if rest else None
            if instance is None:
                return LOST
            key = keys[str(rest[0])]
            scope, rest = instance, rest[1:]
        if rest and str(rest[0]) in body:
            return at(worth(only(body, str(rest[0])), scope.look_up), rest[1:])
        block = address_of(self.path, f"{kind}.{name}")
        return Coming(references=frozenset([Reference(block=block, keys=(*self.keys, key))]))


def keyed(name: str, key: Key) -> str:
    """Return a name with the key of its instance, as Terraform writes addresses."""
    if key is None:
        return name
    return f"{name}[{key}]" if isinstance(key, int) else f'{name}["{key}"]'


def instances_of(body: Body, scope: Scope) -> list[tuple[Key, Scope]] | None:
    """Return the keys of a block's instances with what `each` and `count` mean in them; None where they cannot be told."""
    if "for_each" in body:
        return _of_each(worth(only(body, "for_each"), scope.look_up), scope)
    if "count" in body:
        found = worth(only(body, "count"), scope.look_up)
        if not isinstance(found, Known) or not isinstance(found.value, int | float):
            return None
        return [
            (number, replace(scope, iterators={"count": (Known(value=number, constant=False), LOST)}))
            for number in range(int(found.value))
        ]
    return [(None, scope)]


def _of_each(found: Worth, scope: Scope) -> list[tuple[Key, Scope]] | None:
    pairs = elements(found)
    if pairs is None:
        return None
    instances: dict[Key, Scope] = {}
    for key, value in pairs:
        if isinstance(found, Items):
            if not isinstance(value, Known) or not isinstance(value.value, str):
                return None
            key = value  # noqa: PLW2901 (a set of texts has them for keys)
        instances[str(key.value)] = replace(scope, iterators={"each": (key, value)})
    return sorted(instances.items(), key=lambda pair: str(pair[0]))


def elements(found: Worth) -> list[tuple[Known, Worth]] | None:
    """Return what a for_each goes through; None where it cannot be told."""
    if isinstance(found, Fields):
        return [(Known(value=key, constant=False), value) for key, value in found.parts.items()]
    if isinstance(found, Items):
        return [(Known(value=number, constant=False), value) for number, value in enumerate(found.parts)]
    return None


# -- modules -----------------------------------------------------------------------------------------------------------


def root(module: Module, values: Mapping[str, object]) -> Scope:
    """Return the scope of a root whose variables are given these values, as the parser gives them."""

    def given(name: str) -> Worth:
        variable = module.variables.get(name)
        if variable is None:
            return LOST
        return as_declared(worth(values[name]), variable) if name in values else default(variable)

    scope = Scope(module=module, given=given)
    return replace(scope, providers={name: (scope, body) for name, body in module.providers.items()})


def called(scope: Scope, name: str, call: Call) -> Iterator[Scope]:
    """Yield the scope of each call of a module: one that is not sure where nobody can tell how many there are."""
    if call.module is None:
        return
    instances = instances_of(call.body, replace(scope, iterators={}))
    if instances is None:
        yield _called(scope, name, call, None)
        return
    for key, inside in instances:
        yield _called(inside, name, call, key)


def _called(scope: Scope, name: str, call: Call, key: Key) -> Scope:
    module = call.module or Module()
    several = "for_each" in call.body or "count" in call.body

    def given(variable: str) -> Worth:
        declared = module.variables.get(variable)
        if declared is None:
            return LOST
        if variable not in call.body:
            return default(declared)
        return as_declared(worth(only(call.body, variable), scope.look_up), declared)

    found = Scope(
        module=module,
        path=(*scope.path, name),
        keys=(*scope.keys, Which.ANY if key is None and several else key),
        address=f"{scope.address}module.{keyed(name, key)}.",
        given=given,
        surely=scope.surely and (key is not None or not several),
    )
    own = {alias: (found, body) for alias, body in module.providers.items()}
    return replace(found, providers={**_passed(scope, call), **own})


def _passed(scope: Scope, call: Call) -> dict[str, tuple[Scope, Body]]:
    """Return the providers that a call hands on: those that it names, and the ones without an alias."""
    handed = {name: one for name, one in scope.providers.items() if "." not in name}
    named = only(call.body, "providers")
    if isinstance(named, Mapping):
        for inner, outer in named.items():
            outer_name = str(outer).removeprefix("${").removesuffix("}")
            handed.pop(str(inner), None)
            if outer_name in scope.providers:
                handed[str(inner)] = scope.providers[outer_name]
    return handed
