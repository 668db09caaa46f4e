"""What a plan says will be: resources with their values, what is known only after the apply, what changes, and what failed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NewType

from lifeboat.model import Address

# A resource as the configuration writes it, without the keys of its instances: module.database.aws_db_instance.this
BlockAddress = NewType("BlockAddress", str)
Expressions = Mapping[str, Any]
Key = str | int | float | None  # of an instance; None where there is only one


class Which(Enum):
    """Which instance a reference means, where nothing tells."""

    ANY = "any"


Keys = tuple[Key, ...]  # of each module on the way from the root down, then of the resource itself


class Undecided(Exception):
    """A rule cannot tell, and why: what it needs is known only after the apply, or has a form that it does not know."""


class Impossible(Undecided):
    """A value that AWS refuses, or that never comes true: whatever rests on it is wrong, so it is found, not put off."""

    def __init__(self, found: str, wanted: str) -> None:
        super().__init__(found)
        self.wanted = wanted


class Awaited(Undecided):
    """A rule cannot tell yet: a value is known only after the apply."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What an expression refers to: a resource as it is written, with the keys of its instance as far as they are told."""

    block: BlockAddress
    keys: tuple[Key | Which, ...]

    @property
    def exact(self) -> bool:
        """Whether it means one instance alone."""
        return Which.ANY not in self.keys

    @property
    def is_data(self) -> bool:
        """Whether it is a data source, which is no resource of the plan."""
        return self.block.split(".")[-3:-2] == ["data"]

    def means(self, resource: Resource) -> bool:
        """Return whether a resource is what is referred to, or may be one of several that are."""
        return self.block == resource.block and all(
            wanted is Which.ANY or wanted == key for wanted, key in zip(self.keys, resource.keys, strict=False)
        )


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What an expression takes its value from; `lost` where a local hides some: a plan holds no locals."""

    references: frozenset[Reference] = frozenset()
    lost: bool = False

    @property
    def blocks(self) -> frozenset[BlockAddress]:
        """The resources as they are written, whichever of their instances is meant."""
        return frozenset(one.block for one in self.references)

    def holds(self, resource: Resource) -> bool:
        """Return whether a resource is among what the value is taken from."""
        return any(one.means(resource) for one in self.references)


NOWHERE = Origin()
Trace = Callable[[Any], Origin]


# The blocks that are optional and computed, of those that rules read.
_FILLED_IN = frozenset(
    {
        "condition",
        "ebs_block_device",
        "lifecycle_rule",
        "point_in_time_recovery",
        "root_block_device",
        "server_side_encryption_configuration",
        "versioning",
    }
)


@dataclass(frozen=True, kw_only=True)
class Block:
    """The values of a resource or of a block in it. A value that is asked for and not known yet raises Undecided.

    A value that the provider will choose because nobody wrote one is not set: that is how it is told from one that is
    written and comes of something made in the same apply. `expressions` is None where a dynamic block hides what is written.
    """

    where: str
    values: Mapping[str, Any]
    unknown: Mapping[str, Any] = field(default_factory=dict)
    expressions: Expressions | None = None
    trace: Trace = lambda _: NOWHERE

    def origin(self, name: str) -> Origin:
        """Return the resources that a value is taken from, as far as the plan tells."""
        if self.expressions is None:
            return Origin(lost=True)
        return self.trace(self.expressions[name]) if name in self.expressions else NOWHERE

    def awaited(self, name: str) -> bool:
        """Return whether a value is written, and known only after the apply."""
        if self.unknown.get(name) is not True:
            return False
        # What is known gives what is known: an unknown value of no resource is one that nobody wrote.
        origin = self.origin(name)
        return origin.lost or bool(origin.references)

    def written(self, name: str) -> bool:
        """Return whether the configuration gives a value, known or not."""
        if self.awaited(name):
            return True
        if self.unknown.get(name) or self.values.get(name) is None:
            return False
        return self.expressions is None or name in self.expressions

    def constant(self, name: str) -> bool:
        """Return whether the value itself stands in the configuration."""
        expression = (self.expressions or {}).get(name)
        return isinstance(expression, Mapping) and "constant_value" in expression

    def value(self, name: str) -> Any:
        """Return a value, None where it is not set. Raises Undecided."""
        if self.awaited(name):
            raise Awaited(f"{self.where}: {name} is known only after the apply")
        return self.values.get(name)

    def number(self, name: str) -> float | None:
        """Return a number, None where it is not set. Raises Undecided."""
        found = self.value(name)
        if found is None or found == "":
            return None
        try:
            return float(found)
        except (TypeError, ValueError):
            raise Undecided(f"{self.where}: {name} is no number") from None

    def text(self, name: str) -> str | None:
        """Return a text, None where it is not set or empty. Raises Undecided."""
        found = self.value(name)
        if found is None or found == "":
            return None
        if not isinstance(found, str):
            raise Undecided(f"{self.where}: {name} is no text")
        return found

    def flag(self, name: str) -> bool | None:
        """Return yes or no, None where it is not set. Raises Undecided."""
        found = self.value(name)
        if found is None or isinstance(found, bool):
            return found
        if found in ("true", "false"):
            return bool(found == "true")
        raise Undecided(f"{self.where}: {name} is neither true nor false")

    def known(self, name: str) -> str | None:
        """Return a text where it is known now, None otherwise; never raises."""
        found = self.values.get(name)
        return found if isinstance(found, str) and found else None

    def size(self, name: str) -> int:
        """Return how many elements a list has, known ones or not. Raises Undecided where even that is not known."""
        return len(_listed(self.value(name), f"{self.where}: {name}"))

    def texts(self, name: str) -> list[str | None]:
        """Return the elements of a list of texts, None for each that is not known yet. Raises Undecided."""
        return [
            element if isinstance(element, str) else None
            for element in _listed(self.value(name), f"{self.where}: {name}")
        ]

    def mapping(self, name: str) -> dict[str, str | None]:
        """Return a map of texts such as tags, None for each value that is not known yet. Raises Undecided."""
        found = self.value(name)
        if found is None:
            found = {}
        if not isinstance(found, Mapping):
            raise Undecided(f"{self.where}: {name} is no map")
        later = self.unknown.get(name)
        awaited = {key: None for key, how in later.items() if how is True} if isinstance(later, Mapping) else {}
        return {**{key: None if value is None else str(value) for key, value in found.items()}, **awaited}

    def blocks(self, name: str) -> list[Block]:
        """Return the blocks of a name that stand in this one, none where there is none. Raises Undecided."""
        found = self.value(name)
        if self._hides_blocks(name):
            raise Awaited(f"{self.where}: how many {name} it has is known only after the apply")
        bodies = [found] if isinstance(found, Mapping) else _listed(found, f"{self.where}: {name}")
        unknown, written = self.unknown.get(name), (self.expressions or {}).get(name)
        awaited = unknown if isinstance(unknown, list) else [unknown]
        expressions = written if isinstance(written, list) else [written]
        if len(expressions) != len(bodies):
            expressions = [None] * len(bodies)  # a dynamic block: what its content is written as is not in the plan
        return [
            Block(
                where=f"{self.where} {name}[{number}]",
                values=mapping(body),
                unknown=mapping(awaited[number] if number < len(awaited) else None),
                expressions=expression if isinstance(expression, Mapping) else None,
                trace=self.trace,
            )
            for number, (body, expression) in enumerate(zip(bodies, expressions, strict=True))
        ]

    def _hides_blocks(self, name: str) -> bool:
        """Return whether a dynamic block makes a number of blocks that is not known: a plan then says nothing of them.

        Of the few that the provider fills in where nobody writes one, that cannot be told (a plan of provider 5.100).
        """
        written = self.expressions is not None and name in self.expressions
        return self.unknown.get(name) is True and not written and name not in _FILLED_IN

    def block(self, name: str) -> Block | None:
        """Return the only or first block of a name. Raises Undecided."""
        found = self.blocks(name)
        return found[0] if found else None


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource that is there once the plan is applied. `region` is None where nothing in the plan tells it."""

    address: Address
    block: BlockAddress
    type: str
    name: str
    keys: Keys
    body: Block
    region: str | None
    provider: str  # the configuration of the provider that it is made with: what has the same is in the same region
    default_tags: Mapping[str, str] | None  # of its provider; None where they are not in the plan

    @property
    def key(self) -> Key:
        """Its own key among the instances of its block."""
        return self.keys[-1]

    def tags(self) -> dict[str, str | None]:
        """Return its tags with those of its provider, None for each value that is not known yet. Raises Undecided."""
        everything = self.body.values.get("tags_all")
        if isinstance(everything, Mapping) and not self.body.unknown.get("tags_all"):
            return {key: None if value is None else str(value) for key, value in everything.items()}
        return {**(self.default_tags or {}), **self.body.mapping("tags")}

    def doubt_of_region(self, why: str) -> Undecided:
        """Return why a rule cannot tell for want of this region: the ARN of what the apply makes will tell it."""
        return Awaited(why) if self.body.unknown.get("arn") is True else Undecided(why)

    @property
    def all_tags_known(self) -> bool:
        """Whether `tags` returns every tag: those of its provider may be hidden by a local."""
        everything = self.body.values.get("tags_all")
        whole = isinstance(everything, Mapping) and not self.body.unknown.get("tags_all")
        return whole or self.default_tags is not None


@dataclass(frozen=True, kw_only=True)
class Change:
    """What the apply does to one resource: Terraform's own words for it (create, update, delete, no-op, forget)."""

    address: Address
    type: str
    actions: tuple[str, ...]
    before: Mapping[str, Any]

    @property
    def loses(self) -> bool:
        """Whether the resource that exists is deleted, be it to be made anew."""
        return "delete" in self.actions


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What came of a `check` block, a condition or a validation, without its words, which may hold a secret.

    `kind` is Terraform's: check, resource, var, output_value.
    """

    kind: str
    name: str
    status: str


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A plan as the rules see it. Raw values of the operator's variables are here: nothing of them may be printed."""

    terraform_version: str
    resources: tuple[Resource, ...]
    changes: tuple[Change, ...]
    checks: tuple[CheckResult, ...]
    variables: Mapping[str, Any]
    complete: bool
    by_type: Mapping[str, Sequence[Resource]]
    by_block: Mapping[BlockAddress, Sequence[Resource]]
    untold: bool = False  # nothing in it says whether it is complete: Terraform does from 1.8 on
    literals: frozenset[str] = frozenset()  # texts that stand in the configuration: they may be secret
    # What was worked out of this plan already, by the rules that share it: each pays for it once.
    worked_out: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)

    def of(self, *types: str) -> list[Resource]:
        """Return the resources of these types, in the order of the plan."""
        return [resource for kind in types for resource in self.by_type.get(kind, ())]

    def come_from(self, block: Block, name: str, *types: str) -> list[Resource]:
        """Return the resources of these types that a value is taken from, as far as the plan tells."""
        return self.named(block.origin(name).references, *types)

    def named(self, references: Iterable[Reference], *types: str) -> list[Resource]:
        """Return the resources of these types that are referred to, each once."""
        found = {
            resource.address: resource
            for reference in sorted(references, key=lambda one: (one.block, str(one.keys)))
            for resource in self._meant(reference)
        }
        return [resource for resource in found.values() if not types or resource.type in types]

    def _meant(self, reference: Reference) -> list[Resource]:
        written = self.by_block.get(reference.block, ())
        if not reference.exact:
            return [one for one in written if reference.means(one)]
        # One look for each instance: a fleet of a thousand refers to itself a thousand times.
        place = ("instances", reference.block)
        if place not in self.worked_out:
            self.worked_out[place] = {one.keys: one for one in written}
        one = self.worked_out[place].get(reference.keys)
        return [] if one is None else [one]


def _listed(found: Any, what: str) -> list[Any]:
    if found is None:
        return []
    if not isinstance(found, list):
        raise Undecided(f"{what} is no list")
    return found


def mapping(found: Any) -> Mapping[str, Any]:
    """Return a part of a plan's document that should be an object; an empty one where it is anything else."""
    return found if isinstance(found, Mapping) else {}
