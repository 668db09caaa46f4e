"""Findings that somebody accepted until a day: environments/<env>.waivers.toml, and what in it does not hold."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lifeboat.decisions.policy.judging import WHOLE_PLAN
from lifeboat.decisions.policy.reported import Looked, Reported, Waived, waived, whole_address
from lifeboat.decisions.policy.rule import Severity
from lifeboat.errors import WrongConfiguration

LONGEST = timedelta(days=366)  # what is accepted for longer is a decision, and belongs into the configuration
_SHAPE = (
    'each [[waiver]] has rule, address, reason, expires (a date: 2027-03-31) and who; address = "module.x.*" is a glob'
)
_QUOTED = "it must be a date, which TOML writes without quotes: 2027-03-31"


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, str_strip_whitespace=True)

    rule: str = Field(min_length=1)
    address: str = Field(min_length=1)
    reason: str = Field(min_length=1)
    expires: date
    who: str = Field(min_length=1)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    waiver: list[_Entry] = []


@dataclass(frozen=True, kw_only=True)
class Waiver:
    """One accepted finding: until the end of the day `expires` (UTC), wherever the glob `address` matches."""

    rule: str
    address: str
    reason: str
    expires: date
    who: str

    def matches(self, where: str) -> bool:
        """Return whether it is about an address. Only * and ? are wild: keys of instances are written in brackets."""
        parts = (".*" if one == "*" else "." if one == "?" else re.escape(one) for one in self.address)
        return re.fullmatch("".join(parts), where, flags=re.DOTALL) is not None

    @property
    def bounded(self) -> bool:
        """Whether at least one label of the address is written out: a type, the name of a module or of a resource."""
        labels = (label.rpartition(":")[2] for label in self.address.split("."))
        return any(label and label != "module" and not set("*?") & set(label) for label in labels)

    @property
    def words(self) -> str:
        """Return which one it is."""
        return f"the waiver of {self.rule} on {self.address}"


def read(text: str, name: str) -> tuple[Waiver, ...]:
    """Return the waivers of a file. Raises WrongConfiguration naming every mistake in it."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WrongConfiguration(f"{name} is not TOML: {error}", hint=_SHAPE) from None
    try:
        found = _File.model_validate(document)
    except ValidationError as error:
        mistakes = [
            f"  {'.'.join(str(part) for part in one['loc'])}: {_QUOTED if one['type'] == 'date_type' else one['msg']}"
            for one in error.errors()
        ]
        raise WrongConfiguration(f"{name} cannot be used:\n" + "\n".join(mistakes), hint=_SHAPE) from None
    return tuple(Waiver(**one.model_dump()) for one in found.waiver)


def applied(found: Iterable[Reported], waivers: Sequence[Waiver], today: date) -> tuple[Reported, ...]:
    """Return the findings, with what is accepted marked as such: it is reported, and fails nothing."""
    return tuple(_applied(one, waivers, today) for one in found)


def _applied(one: Reported, waivers: Sequence[Waiver], today: date) -> Reported:
    for waiver in waivers:
        if waiver.rule == one.rule and today <= waiver.expires and waiver.matches(one.where):
            return waived(one, Waived(reason=waiver.reason, by=waiver.who, until=waiver.expires))
    return one


def unused(found: Sequence[Reported], waivers: Iterable[Waiver]) -> tuple[str, ...]:
    """Return which waivers are about nothing that was found: they can go."""
    return tuple(
        f"{waiver.words} is not needed any more: nothing was found there"
        for waiver in waivers
        if not any(waiver.rule == one.rule and waiver.matches(one.where) for one in found)
    )


def problems(
    waivers: Iterable[Waiver], *, rules: Mapping[str, Severity], looked: Sequence[Looked], today: date
) -> Iterator[str]:
    """Yield why a scan cannot lean on its waivers: one that is over, unending, unbounded, or about no rule or resource."""
    there = _addresses(looked)
    for waiver in waivers:
        if waiver.expires < today:
            yield f"{waiver.words} ended on {waiver.expires.isoformat()}: mend what it accepts, or renew it"
        if waiver.expires > today + LONGEST:
            yield f"{waiver.words} ends on {waiver.expires.isoformat()}, in more than a year: nothing is accepted for ever"
        if waiver.rule not in rules:
            yield f"{waiver.words} names no rule: lifeboat policy list shows every one"
        if not any(waiver.matches(one) for one in there):
            yield f"{waiver.words} matches nothing that is there: mend the address, or take it out"
        elif waiver.address in there:
            continue
        elif rules.get(waiver.rule) is Severity.CRITICAL:
            yield f"{waiver.words} is wide, and the rule is critical: write a waiver for each address, without * and ?"
        elif not waiver.bounded:
            yield f"{waiver.words} is about everything: write a type, a module or a name of it without * and ?"


def _addresses(looked: Iterable[Looked]) -> set[str]:
    found: set[str] = set()
    for each in looked:
        plan = each.scan.plan
        own: list[str] = [*(one.address for one in plan.resources), *(one.address for one in plan.changes), WHOLE_PLAN]
        own += [one.name for one in plan.checks]
        own += [] if each.run is None else [one.address for one in each.run.findings]
        found |= {whole_address(each.root, str(one)) for one in own}
    return found
