"""The nouns of a checkov run: what it was asked, what it found and skipped, and everything that went wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Source = Literal["hcl", "plan"]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What checkov is to look at: a Terraform root with the files of its variables, and the JSON of its plan where there is one.

    `built_in` are the ids of checkov's own checks that are wanted (decisions/policy/built_in.py). The plan is one that
    `terraform show -json` wrote, which holds every variable in clear text: mode 0600, deleted afterwards by who made it.
    """

    root: Path
    var_files: tuple[Path, ...] = ()
    built_in: tuple[str, ...] = ()
    plan: Path | None = None


@dataclass(frozen=True, kw_only=True)
class CheckovFinding:
    """What a check found wrong with one resource. `found` of one of checkov's own is the sentence that does not hold.

    `file` is relative to the root that was asked about where it lies below it; `lines` are its first and last one, from 1.
    `wanted` is empty for checkov's own.
    """

    rule: str
    address: str
    file: str
    lines: tuple[int, int]
    found: str
    source: Source
    wanted: str = ""


@dataclass(frozen=True, kw_only=True)
class CheckovSkip:
    """A check that a comment in the configuration keeps from a resource; `reason` is empty where none is given."""

    rule: str
    address: str
    reason: str
    file: str
    line: int


@dataclass(frozen=True, kw_only=True)
class CheckovRun:
    """What one run of checkov brought. Anything in `problems` makes it no scan: it did not look at all that it should have.

    `evaluated` counts, for every rule that was asked, the resources that it passed, failed or was kept from, and those of
    a plan of which it cannot tell yet; `abstained` those of the configuration of which reading alone does not tell, or of which
    a check of checkov's own says UNKNOWN.
    """

    findings: tuple[CheckovFinding, ...]
    skipped: tuple[CheckovSkip, ...]
    evaluated: Mapping[str, int] = field(hash=False)
    resource_types: frozenset[str]
    problems: tuple[str, ...]
    checkov_version: str
    abstained: Mapping[str, int] = field(default_factory=dict, hash=False)
