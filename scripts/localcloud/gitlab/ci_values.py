"""The values of single keywords of a .gitlab-ci.yml, checked and in one form each."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from localcloud.gitlab import ci_rules
from localcloud.gitlab.ci_yaml import CiError, Document

RULE_KEYS = {"if", "when", "allow_failure", "variables"}
RULE_WHENS = ("on_success", "on_failure", "always", "manual", "never")
ACTIONS = ("start", "stop", "prepare", "verify", "access")
ARTIFACT_KEYS = {"access", "exclude", "expire_in", "expose_as", "name", "paths", "public", "reports", "when"}
ACCESS = ("all", "developer", "maintainer", "none")
NESTED = 10  # lib/gitlab/ci/config/entry/commands.rb, MAX_NESTING_LEVEL
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True, kw_only=True)
class Need:
    """Another job that must have ended well first."""

    job: str
    artifacts: bool = True
    optional: bool = False


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A variable of the file; `expand` says whether `$OTHER` in it is replaced."""

    value: str
    expand: bool = True


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One of `rules`; without a condition it always applies."""

    condition: str | None
    when: str | None
    allow_failure: bool | None
    variables: dict[str, Variable] = field(default_factory=dict)


def texts(place: str, keyword: str, value: Any) -> list[str]:
    """Return a list of texts."""
    if not isinstance(value, list) or not all(isinstance(one, str | int) for one in value):
        raise CiError(f"{place}:{keyword} config should be an array of strings")
    return [str(one) for one in value]


def commands(place: str, keyword: str, value: Any) -> list[str]:
    """Return the lines of a script, nested lists made flat."""
    return [] if value is None else _flat(place, keyword, value, 0)


def _flat(place: str, keyword: str, value: Any, depth: int) -> list[str]:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or depth > NESTED:
        raise CiError(f"{place}:{keyword} config should be a string or a nested array of strings up to 10 levels deep")
    return [line for inner in value for line in _flat(place, keyword, inner, depth + 1)]


def variables(place: str, value: Any) -> dict[str, Variable]:
    """Return variables, written short or with value, description, options and expand."""
    if not isinstance(value, dict):
        raise CiError(f"{place} config should be a hash of key value pairs")
    found = {}
    for name, given in value.items():
        long = given if isinstance(given, dict) else {"value": given}
        unknown = sorted(set(long) - {"value", "description", "options", "expand"})
        if unknown:
            raise CiError(f"{place}:{name} config uses invalid data keys: {', '.join(unknown)}")
        content = long.get("value", "")
        if isinstance(content, dict | list):
            raise CiError(f"{place}:{name} config should be a string")
        text = "" if content is None else str(content).lower() if isinstance(content, bool) else str(content)
        found[str(name)] = Variable(value=text, expand=bool(long.get("expand", True)))
    return found


def rules(place: str, value: Any, keys: set[str]) -> list[Rule]:
    """Return `rules`, each condition read once to refuse what GitLab would."""
    if not isinstance(value, list):
        raise CiError(f"{place}:rules config should be an array containing hashes")
    found = []
    for one in (inner for part in value for inner in (part if isinstance(part, list) else [part])):
        if not isinstance(one, dict):
            raise CiError(f"{place}:rules config should be an array containing hashes")
        unknown = sorted(set(one) - keys)
        if unknown:
            raise CiError(f"{place}:rules:rule config contains unknown keys: {', '.join(unknown)}")
        condition, when = one.get("if"), one.get("when")
        if when is not None and when not in RULE_WHENS:
            raise CiError(f"{place}:rules:rule when should be one of: {', '.join(RULE_WHENS)}")
        if condition is not None:
            try:
                ci_rules.parsed(str(condition))
            except ci_rules.BadExpression as error:
                raise CiError(f"{place}:rules:rule if invalid expression syntax: {error}") from error
        allowed, _ = allow_failure(f"{place}:rules:rule", one.get("allow_failure"))
        found.append(
            Rule(
                condition=None if condition is None else str(condition),
                when=when,
                allow_failure=allowed,
                variables=variables(f"{place}:rules:rule:variables", one.get("variables") or {}),
            )
        )
    return found


def needs(place: str, value: Any) -> list[Need]:
    """Return `needs`, jobs of the same pipeline only."""
    if not isinstance(value, list):
        raise CiError(f"{place}:needs config can only be a hash or an array")
    found = []
    for one in value:
        if isinstance(one, str):
            found.append(Need(job=one))
        elif isinstance(one, dict) and "job" in one and not set(one) - {"job", "artifacts", "optional"}:
            found.append(
                Need(
                    job=str(one["job"]),
                    artifacts=bool(one.get("artifacts", True)),
                    optional=bool(one.get("optional", False)),
                )
            )
        else:
            raise CiError(f"{place}:needs:need: the local GitLab plays job, artifacts and optional only")
    return found


def environment(place: str, value: Any) -> Document | None:
    """Return name, action, URL and tier of an environment."""
    if value is None:
        return None
    given = {"name": value} if isinstance(value, str) else value
    known = {"name", "action", "url", "deployment_tier"}
    if not isinstance(given, dict) or set(given) - known:
        unknown = ", ".join(sorted(set(given) - known)) if isinstance(given, dict) else "it is no hash"
        raise CiError(f"{place}:environment config contains unknown keys: {unknown}")
    if not given.get("name"):
        raise CiError(f"{place}:environment name can't be blank")
    action = given.get("action", "start")
    if action not in ACTIONS:
        raise CiError(f"{place}:environment action should be {', '.join(ACTIONS)}")
    return {"name": str(given["name"]), "action": action, "url": given.get("url"), "tier": given.get("deployment_tier")}


def artifacts(place: str, value: Any) -> Document:
    """Return paths, reports by kind, excluded paths and when to keep them; they never expire here."""
    if value is None:
        return {}
    unknown = sorted(set(value) - ARTIFACT_KEYS) if isinstance(value, dict) else ["it is no hash"]
    if unknown:
        raise CiError(f"{place}:artifacts config contains unknown keys: {', '.join(unknown)}")
    when = value.get("when", "on_success")
    if when not in ("on_success", "on_failure", "always"):
        raise CiError(f"{place}:artifacts when should be one of: on_success, on_failure, always")
    if value.get("access", "all") not in ACCESS:
        raise CiError(f"{place}:artifacts access should be one of: {', '.join(ACCESS)}")
    if "access" in value and "public" in value:
        raise CiError(f"{place}:artifacts these keys cannot be used together: public, access")
    if "expire_in" in value and str(value["expire_in"]) != "never":
        seconds(f"{place}:artifacts expire_in", value["expire_in"])
    reports = value.get("reports") or {}
    return {
        "paths": texts(place, "artifacts:paths", value.get("paths") or []),
        "exclude": texts(place, "artifacts:exclude", value.get("exclude") or []),
        "reports": {kind: [one] if isinstance(one, str) else _report(place, one) for kind, one in reports.items()},
        "when": when,
    }


def _report(place: str, value: Any) -> list[str]:
    if isinstance(value, dict):  # coverage_report: {coverage_format, path}
        return [str(value["path"])] if "path" in value else []
    return texts(place, "artifacts:reports", value)


def id_tokens(place: str, value: Any) -> dict[str, list[str]]:
    """Return the audiences of each token."""
    found = {}
    for name, given in value.items() if isinstance(value, dict) else []:
        if not isinstance(given, dict) or set(given) != {"aud"}:
            raise CiError(f"{place}:id_tokens:{name} config should hold aud and nothing else")
        found[str(name)] = [given["aud"]] if isinstance(given["aud"], str) else texts(place, "id_tokens", given["aud"])
    return found


def allow_failure(place: str, value: Any) -> tuple[bool | None, list[int]]:
    """Return whether a job may fail (None: not said), and the exit statuses with which alone it may."""
    if isinstance(value, dict) and set(value) == {"exit_codes"}:
        codes = value["exit_codes"]
        return False, [int(code) for code in (codes if isinstance(codes, list) else [codes])]
    if value is not None and not isinstance(value, bool):
        raise CiError(f"{place} allow failure should be a hash or a boolean value")
    return value, []


def seconds(place: str, value: Any) -> int:
    """Return a duration such as `1h 30m`, `90 minutes` or a number of seconds."""
    text = str(value).lower().replace(",", " ").replace(" and ", " ")
    total, seen = 0.0, ""
    for amount, unit in _AMOUNT.findall(text):
        seen += amount + unit
        if (unit[:1] or "") not in _UNITS or unit.startswith("mo"):
            raise CiError(f"{place} config should be a duration")
        total += float(amount) * _UNITS[unit[:1]]
    if not seen or seen != re.sub(r"\s", "", text) or total <= 0:
        raise CiError(f"{place} config should be a duration")
    return int(total)
