"""The text of a .gitlab-ci.yml as data: inputs filled in, `!reference` and `extends` resolved."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

Document = dict[str, Any]

_INPUT = re.compile(r"\$\[\[\s*(?P<inside>[^\]]*?)\s*\]\]")
_NAMED = re.compile(r"inputs\.(?P<name>[A-Za-z0-9_-]+)\Z")
INPUT_KEYS = {"default", "description", "options", "regex", "type"}
INPUT_TYPES = {"string": str, "number": int | float, "boolean": bool, "array": list}
DEPTH = 11  # doc/ci/yaml: `extends` nests at most eleven levels, `!reference` ten
ERRORS_TOLD = 3  # lib/gitlab/ci/config/yaml/interpolator.rb, error_message


class CiError(Exception):
    """The configuration cannot be used; the texts say why, as GitLab would."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = list(reasons)


class Reference:
    """A `!reference [job, keyword, …]`, before it is resolved."""

    def __init__(self, path: list[str]) -> None:
        self.path = path


class _Loader(yaml.SafeLoader):
    """YAML with GitLab's one tag of its own."""


def _reference(loader: yaml.SafeLoader, node: yaml.Node) -> Reference:
    if not isinstance(node, yaml.SequenceNode):
        raise CiError("!reference must be a list")
    return Reference([str(part) for part in loader.construct_sequence(node)])


_Loader.add_constructor("!reference", _reference)


def documents(text: str) -> tuple[Document, Document]:
    """Return header (empty when there is none) and configuration; raises CiError."""
    try:
        found = [d for d in yaml.load_all(text, Loader=_Loader) if d is not None]
    except yaml.YAMLError as error:
        raise CiError(f"(<unknown>): {' '.join(str(error).split())}") from error
    header: Any = {}
    if len(found) > 1 or (found and isinstance(found[0], dict) and set(found[0]) == {"spec"}):
        header, *found = found
        if not isinstance(header, dict) or set(header) != {"spec"}:
            raise CiError("header:spec config should be the first document and hold nothing but spec")
    if len(found) != 1 or not isinstance(found[0], dict):
        raise CiError("Please provide content of .gitlab-ci.yml" if not found else "Invalid configuration format")
    return header, found[0]


# -- inputs ------------------------------------------------------------------------------------------------------------


def filled(header: Document, document: Document, given: Mapping[str, Any]) -> Document:
    """Return the configuration with each `$[[ inputs.name ]]` replaced; raises CiError for wrong inputs."""
    values = _inputs(header, given)
    result = _interpolated(document, values)
    assert isinstance(result, dict)
    return result


def _inputs(header: Document, given: Mapping[str, Any]) -> Document:
    spec = header.get("spec") or {}
    unknown_keys = sorted(set(spec) - {"inputs"})
    if unknown_keys:
        raise CiError(f"header:spec config contains unknown keys: {', '.join(unknown_keys)}")
    declared: Document = spec.get("inputs") or {}
    wrong = (
        [f"unknown input arguments: {', '.join(unknown)}"] if (unknown := sorted(set(given) - set(declared))) else []
    )
    values: Document = {}
    for name, asked in declared.items():
        rules = asked or {}
        extra = sorted(set(rules) - INPUT_KEYS)
        if extra or rules.get("type", "string") not in INPUT_TYPES:
            raise CiError(f"header:spec:inputs:{name} config contains unknown keys or types: {', '.join(extra)}")
        if name not in given and "default" not in rules:
            wrong.append(f"`{name}` input: required value has not been provided")
            continue
        value = given.get(name, rules.get("default"))
        wrong += [f"`{name}` input: {reason}" for reason in _wrong_input(value, rules)]
        values[name] = value
    if wrong:
        raise CiError(", ".join(wrong[:ERRORS_TOLD]))
    return values


def _wrong_input(value: Any, rules: Document) -> list[str]:
    kind = rules.get("type", "string")
    wanted = INPUT_TYPES[kind]
    if not isinstance(value, wanted) or (kind == "number" and isinstance(value, bool)):
        article = "an" if kind == "array" else "a"
        return [f"provided value is not {article} {kind}"]
    if rules.get("options") and value not in rules["options"]:
        return [f"`{value}` cannot be used because it is not in the list of allowed options"]
    if rules.get("regex") and not re.search(rules["regex"], str(value)):
        return ["provided value does not match required RegEx pattern"]
    return []


def _interpolated(value: Any, inputs: Document) -> Any:
    if isinstance(value, dict):
        return {_interpolated(key, inputs): _interpolated(inner, inputs) for key, inner in value.items()}
    if isinstance(value, list):
        return [_interpolated(inner, inputs) for inner in value]
    if not isinstance(value, str):
        return value
    alone = _INPUT.fullmatch(value.strip())
    if alone:  # keeps its type: a number stays a number, a list a list
        return _looked_up(alone["inside"], inputs)
    return _INPUT.sub(lambda found: _text(_looked_up(found["inside"], inputs)), value)


def _looked_up(inside: str, inputs: Document) -> Any:
    named = _NAMED.match(inside)
    if named is None:
        raise CiError(f"interpolation `{inside}` is not known here: write inputs.NAME without functions")
    if named["name"] not in inputs:
        raise CiError(f"unknown interpolation provided: `{named['name']}` in `{inside}`")
    return inputs[named["name"]]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, list) else str(value)


# -- references and extends --------------------------------------------------------------------------------------------


def resolved(document: Document) -> Document:
    """Return the configuration without `!reference` and `extends`; raises CiError."""
    plain = {key: _dereferenced(value, document, 0) for key, value in document.items()}
    return {
        key: _extended(key, plain, ()) if isinstance(value, dict) and "extends" in value else value
        for key, value in plain.items()
    }


def _dereferenced(value: Any, document: Document, depth: int) -> Any:
    if depth > DEPTH:
        raise CiError("!reference is nested too deeply (or refers to itself)")
    if isinstance(value, Reference):
        found: Any = document
        for part in value.path:
            if not isinstance(found, dict) or part not in found:
                raise CiError(f"!reference {json.dumps(value.path)} could not be found")
            found = found[part]
        return _dereferenced(found, document, depth + 1)
    if isinstance(value, dict):
        return {key: _dereferenced(inner, document, depth) for key, inner in value.items()}
    if isinstance(value, list):
        flat = []
        for inner in value:
            one = _dereferenced(inner, document, depth)
            flat += one if isinstance(inner, Reference) and isinstance(one, list) else [one]
        return flat
    return value


def _extended(name: str, document: Document, seen: tuple[str, ...]) -> Document:
    job: Document = document[name]
    bases = job.get("extends")
    if bases is None:
        return job
    merged: Document = {}
    for base in bases if isinstance(bases, list) else [bases]:
        if base in (*seen, name):
            raise CiError(f"{name}: circular dependency detected in `extends`")
        if not isinstance(document.get(base), dict):
            raise CiError(f"{name}: unknown keys in `extends` ({base})")
        if len(seen) + 1 > DEPTH:
            raise CiError(f"{name}: nesting too deep in `extends`")
        merged = _merged(merged, _extended(base, document, (*seen, name)))
    return _merged(merged, {key: value for key, value in job.items() if key != "extends"})


def _merged(below: Document, above: Document) -> Document:
    """Merge hashes deeply; anything else of the upper one replaces the lower (lib/gitlab/ci/config/extendable)."""
    result = dict(below)
    for key, value in above.items():
        before = result.get(key)
        both = isinstance(before, dict) and isinstance(value, dict)
        result[key] = _merged(before, value) if both else value  # type: ignore[arg-type]
    return result
