"""What a scan reports: each finding once, with its place in the files, and who accepted it until when."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from lifeboat.checkov_model import CheckovFinding, CheckovRun, CheckovSkip
from lifeboat.decisions.policy.built_in import BuiltIn
from lifeboat.decisions.policy.controls import Control
from lifeboat.decisions.policy.registry import BY_ID
from lifeboat.decisions.policy.rule import Finding, Scan, Severity

STACK = "stack"  # the root whose addresses are written without the root's name, and a plan that belongs to none
_KEY = re.compile(r'\[(?:"(?:[^"\\]|\\.)*"|\d+)\]')


class Source(StrEnum):
    """Whose rule it is."""

    LIFEBOAT = "lifeboat"
    CHECKOV = "checkov"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where something is written: a file, relative to the repository, and a line of it, from 1."""

    file: str
    line: int


@dataclass(frozen=True, kw_only=True)
class Waived:
    """Why a finding fails nothing: somebody accepted it in the file of waivers, or a comment in the configuration does."""

    reason: str
    by: str
    until: date | None = None  # a comment has no end

    @property
    def words(self) -> str:
        """Return it as one sentence."""
        end = "" if self.until is None else f" until {self.until.isoformat()}"
        return f"waived{end} by {self.by}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class Reported:
    """All that a report says of one rule and one resource."""

    rule: str
    title: str
    severity: Severity
    root: str
    address: str
    found: str
    wanted: str
    why: str
    change: str
    controls: tuple[Control, ...]
    source: Source
    place: Place | None = None
    waived: Waived | None = None

    @property
    def where(self) -> str:
        """The address, with the name of the root where it is not the stack's: state:module.state_backend.…"""
        return whole_address(self.root, self.address)

    @property
    def fingerprint(self) -> str:
        """What tells this finding from every other, and stays the same when lines move and files are renamed."""
        return hashlib.sha256(f"{self.rule}|{self.where}".encode()).hexdigest()

    @property
    def fails(self) -> bool:
        """Whether it fails a scan."""
        return self.severity >= Severity.HIGH and self.waived is None


@dataclass(frozen=True, kw_only=True)
class Looked:
    """All that was seen of one root: what the rules say of its plan, what checkov says (None: not asked), and its places.

    `places` is by the address of a block, without the keys of its instances.
    """

    root: str
    scan: Scan
    places: Mapping[str, Place]
    run: CheckovRun | None = None


def whole_address(root: str, address: str) -> str:
    """Return an address that is unique among all roots."""
    return address if root in ("", STACK) else f"{root}:{address}"


def block_of(address: str) -> str:
    """Return the address of the block that a resource is written in: without the keys of instances and modules."""
    return _KEY.sub("", address)


def merged(looked: Iterable[Looked], built_in: Sequence[BuiltIn]) -> tuple[Reported, ...]:
    """Return every finding once for each rule and resource, the gravest first.

    Our rules are judged on the plan. What checkov says of them gives the place and the comments that waive them; that both
    say the same is for the validity of the scan (validity.py). checkov's own checks count as it says.
    """
    known = {check.id: check for check in built_in}
    found = [one for each in looked for one in (*_ours(each), *_theirs(each, known))]
    return tuple(sorted(found, key=lambda one: (-one.severity, one.rule, one.where)))


def idle_comments(looked: Iterable[Looked]) -> tuple[str, ...]:
    """Return what comments in the configuration waive without need: a rule of ours that finds nothing there."""
    said = []
    for each in looked:
        found = {(one.rule, block_of(one.address)) for one in each.scan.findings}
        for skip in _skips(each):
            if skip.rule in BY_ID and (skip.rule, block_of(skip.address)) not in found:
                where = whole_address(each.root, skip.address)
                said.append(
                    f"the comment in {skip.file}:{skip.line} waives {skip.rule} on {where}, which finds nothing"
                )
    return tuple(dict.fromkeys(said))


def _ours(looked: Looked) -> Iterator[Reported]:
    grouped: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in looked.scan.findings:
        grouped[finding.rule, finding.address].append(finding)
    # A plan has no lines: what is found in it has the place of the file that holds it.
    written = [one for one in _of_checkov(looked) if one.rule in BY_ID and one.source == "hcl"]
    places = {(one.rule, block_of(one.address)): _place(one) for one in written}
    comments = {(one.rule, block_of(one.address)): _comment(one) for one in _skips(looked)}
    for (rule, address), findings in grouped.items():
        first, key = findings[0], (rule, block_of(address))
        yield Reported(
            rule=rule,
            title=BY_ID[rule].title,
            severity=max(one.severity for one in findings),
            root=looked.root,
            address=address,
            found=_joined(one.found for one in findings),
            wanted=_joined(one.wanted for one in findings),
            why=first.why,
            change=_joined((one.change for one in findings), " "),
            controls=first.controls,
            source=Source.LIFEBOAT,
            place=places.get(key) or looked.places.get(key[1]),
            waived=comments.get(key),
        )


def _theirs(looked: Looked, known: Mapping[str, BuiltIn]) -> Iterator[Reported]:
    found = {(one.rule, one.address): one for one in reversed(_of_checkov(looked)) if one.rule in known}
    for one in found.values():
        # checkov says what should be, whatever is.
        yield replace(_of_built_in(known[one.rule], looked.root, one, found="it is not so"), wanted=one.found)
    kept = {(one.rule, one.address): one for one in _skips(looked) if one.rule in known}
    for key, skip in kept.items():
        if key not in found:
            yield waived(
                _of_built_in(known[skip.rule], looked.root, skip, found="a comment keeps this check from looking"),
                _comment(skip),
            )


def _of_built_in(check: BuiltIn, root: str, one: CheckovFinding | CheckovSkip, *, found: str) -> Reported:
    return Reported(
        rule=check.id,
        title=f"checkov's own {check.id}",
        severity=check.severity,
        root=root,
        address=one.address,
        found=found,
        wanted="",
        why=check.why,
        change=f"Change it, or say why it stays: # checkov:skip={check.id}:REASON in the block.",
        controls=(),
        source=Source.CHECKOV,
        place=_place(one),
    )


def _of_checkov(looked: Looked) -> tuple[CheckovFinding, ...]:
    # What is read from the files has the line that somebody would change, so it comes first.
    found = () if looked.run is None else looked.run.findings
    return tuple(sorted(found, key=lambda one: one.source != "hcl"))


def _skips(looked: Looked) -> tuple[CheckovSkip, ...]:
    return () if looked.run is None else looked.run.skipped


def _place(one: CheckovFinding | CheckovSkip) -> Place:
    line = one.line if isinstance(one, CheckovSkip) else one.lines[0]
    return Place(file=one.file, line=max(line, 1))


def _comment(skip: CheckovSkip) -> Waived:
    return Waived(reason=skip.reason or "no reason is given", by=f"the comment in {skip.file}:{skip.line}")


def _joined(texts: Iterable[str], between: str = "; ") -> str:
    return between.join(dict.fromkeys(text for text in texts if text))


def waived(one: Reported, how: Waived) -> Reported:
    """Return a finding as accepted; a comment in the configuration that waived it before is not forgotten."""
    return one if one.waived is not None else replace(one, waived=how)
