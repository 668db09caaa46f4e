"""checkov's own checks: which of them are asked, how grave their findings are, and why (terraform/policies/builtin.toml)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Any

from lifeboat.decisions.policy.rule import Severity
from lifeboat.errors import WrongConfiguration


@dataclass(frozen=True, kw_only=True)
class BuiltIn:
    """One of checkov's own checks. `why` says in a sentence why it is asked, or why it is not.

    `types` are the types of resources that checkov asks it of, each one; empty for a check of a provider or of data.
    """

    id: str
    asked: bool
    severity: Severity
    why: str
    types: tuple[str, ...] = ()


def read(text: str) -> tuple[BuiltIn, ...]:
    """Return the checks of a list in TOML, in its order. Raises WrongConfiguration where it is no such list."""
    try:
        document = tomllib.loads(text)
        return tuple(_built_in(id_, one) for id_, one in document.items())
    except (tomllib.TOMLDecodeError, AttributeError, KeyError, TypeError) as error:
        raise WrongConfiguration(
            f"the list of checkov's own checks cannot be read: {error}",
            hint="terraform/policies/builtin.toml names asked, types, severity and why of each; git diff shows what changed",
        ) from None


def _built_in(id_: str, one: dict[str, Any]) -> BuiltIn:
    return BuiltIn(
        id=id_,
        asked=one["asked"],
        severity=Severity[one["severity"].upper()],
        why=one["why"],
        types=tuple(one["types"]) if one["asked"] else (),
    )


def asked(checks: tuple[BuiltIn, ...]) -> tuple[str, ...]:
    """Return the ids of the checks that are asked."""
    return tuple(check.id for check in checks if check.asked)
