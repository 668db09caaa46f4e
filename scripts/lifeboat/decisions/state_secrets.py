"""What of a state must never be shown: what it marks, what by its name is a secret, and every place where one turns up again."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache

from lifeboat.model import Secret
from lifeboat.state_model import AttributePath

MASK = "(sensitive)"
# Providers mark the obvious ones; what Terraform before 1.10 wrote has no marks of the schema at all.
_TELLING = re.compile(
    r"pass(?:word|wd|phrase|code)|secret|token|credential|private|user_?data|key_?material|connection_?string|htpasswd"
    r"|(?:access|api|auth|encryption|license|master|shared|signing|ssh|session)_?keys?(?!.*_(?:ids?|arns?|aliases)$)",
    re.IGNORECASE,
)
# What such a name is said of that is none: private_ip, secret_arn, token_validity_units.
_HARMLESS = re.compile(
    r"_(?:arns?|ips?|ip_addresses|dns|dns_enabled|cidr_blocks?|subnets?|subnet_ids?|zones?|units?|days|length|type)$"
    r"|^private_(?:ips?|dns(?:_name.*)?)$",
    re.IGNORECASE,
)
_IN_A_TEXT = re.compile(r"://[^/\s:@]*:[^/\s@]+@|-----BEGIN [A-Z ]*PRIVATE KEY")
# What attributes of such names are set to that is no secret: http_tokens, secret_status.
_WORDS = {"active", "disabled", "enabled", "optional", "required"}
_SHORTEST = 6  # of secrets that are looked for elsewhere: "app" or "true" would be found everywhere
_DEEPEST = 4  # JSON within JSON, as container definitions within a task

Leaf = str | Secret


class _Standing(IntEnum):
    OPEN = 0
    IN_DOUBT = 1  # by its name
    MARKED = 2  # by the state


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """Every secret text of a state, by its first signs and by its length; however it is printed, it says nothing."""

    by_beginning: Mapping[str, Mapping[int, frozenset[str]]] = field(repr=False)

    def masked(self, text: str) -> str:
        """Return a text with each secret in it replaced."""
        if not self.by_beginning or len(text) < _SHORTEST:
            return text
        found: list[str] = []
        hidden = 0  # up to where the text is dealt with
        for at in range(len(text) - _SHORTEST + 1):
            here = self.by_beginning.get(text[at : at + _SHORTEST])
            if here is None:
                continue
            end = max((at + length for length, ones in here.items() if text[at : at + length] in ones), default=0)
            if end > hidden:
                if at >= hidden:  # else it begins within the one before, and goes on beyond it
                    found += [text[hidden:at], MASK]
                hidden = end
        return "".join([*found, text[hidden:]]) if found else text


def secrets(trees: Iterable[tuple[Mapping[str, object], frozenset[AttributePath]]]) -> Secrets:
    """Return the secrets of attributes, given with the paths in them that are marked."""
    texts: set[str] = set()
    for tree, marked in trees:
        for _, value, standing in walked(tree, marked):
            if _hidden(value, standing):
                found = _texts(value, 0)
                # A plain word under a name that tells is hidden there; it is not looked for in everything else.
                texts.update(found if standing is _Standing.MARKED else (t for t in found if not t.isalpha()))
    return _ordered(texts)


def both(one: Secrets, other: Secrets) -> Secrets:
    """Return the secrets of two states."""
    sets = [found for known in (one, other) for lengths in known.by_beginning.values() for found in lengths.values()]
    return _ordered(text for found in sets for text in found)


def _ordered(texts: Iterable[str]) -> Secrets:
    found: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for text in texts:
        if len(text) >= _SHORTEST:
            found[text[:_SHORTEST]][len(text)].add(text)
    return Secrets(
        by_beginning={
            beginning: {length: frozenset(ones) for length, ones in lengths.items()}
            for beginning, lengths in found.items()
        }
    )


def _texts(value: object, depth: int) -> Iterator[str]:
    """Yield the texts of a secret value: those within it too where it is JSON, and each as JSON would write it."""
    if isinstance(value, str):
        yield value
        escaped = json.dumps(value)[1:-1]
        if escaped != value:
            yield escaped
        if depth < _DEEPEST and value[:1] in ("{", "["):
            try:
                inner = json.loads(value)
            except (ValueError, RecursionError):
                return
            yield from _texts(inner, depth + 1)
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one, depth + 1)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one, depth + 1)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def walked(
    tree: Mapping[str, object], marked: frozenset[AttributePath]
) -> Iterator[tuple[AttributePath, object, _Standing]]:
    """Yield the values of attributes that are no mappings, nor lists of such, with their paths and how they stand."""
    whole = _Standing.MARKED if () in marked else _Standing.OPEN
    left: list[tuple[AttributePath, object, _Standing]] = [((), tree, whole)]
    while left:
        path, value, standing = left.pop()
        if isinstance(value, dict) and (value or not path):
            for key, inner in value.items():
                here = (*path, key)
                as_called = _within(value, key) if key == "value" else _by_name(key)
                as_it_is = _Standing.MARKED if here in marked else standing if standing > as_called else as_called
                if isinstance(inner, dict | list):
                    left.append((here, inner, as_it_is))
                else:  # most of a state, and the quicker for it
                    yield here, inner, as_it_is
        elif isinstance(value, list) and any(isinstance(inner, dict | list) for inner in value):
            for number, inner in enumerate(value):
                here = (*path, number)
                left.append((here, inner, _Standing.MARKED if here in marked else standing))
        elif isinstance(value, list) and any((*path, number) in marked for number in range(len(value))):
            yield path, value, _Standing.MARKED
        else:
            yield path, value, standing


def _within(mapping: Mapping[str, object], key: str) -> _Standing:
    """Return how a value of a mapping stands by its key; that of a pair of name and value by the name."""
    name = mapping.get("name") if key == "value" else None
    return max(_by_name(key), _by_name(name) if isinstance(name, str) else _Standing.OPEN)


@lru_cache(maxsize=4096)
def _by_name(name: str) -> _Standing:
    return _Standing.IN_DOUBT if _TELLING.search(name) and not _HARMLESS.search(name) else _Standing.OPEN


def _hidden(value: object, standing: _Standing) -> bool:
    if standing is _Standing.MARKED:
        return True
    if standing is _Standing.OPEN and isinstance(value, str):
        return _in_a_text(value) or _in_json(value)
    if isinstance(value, list):
        return any(_hidden(one, standing) for one in value)
    if standing is _Standing.IN_DOUBT:
        # Whether there is one may be known, and an ARN names a thing without opening it.
        open_to_all = value in ("", None) or isinstance(value, bool) or str(value).startswith("arn:")
        return not (open_to_all or (isinstance(value, str) and value in _WORDS))
    return False


def _in_a_text(text: str) -> bool:
    """Return whether a text has a password in a URL, or a private key; two looks for words spare nearly all the search."""
    return ("://" in text or "-----BEGIN " in text) and _IN_A_TEXT.search(text) is not None


def _in_json(text: str) -> bool:
    """Return whether a text is JSON with a secret in it, such as the definition of a container."""
    if text[:1] not in ("{", "[") or not _TELLING.search(text):
        return False
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return True  # nobody can tell
    return any(_hidden(value, standing) for _, value, standing in walked({"": document}, frozenset()))


def leaves(tree: Mapping[str, object], marked: frozenset[AttributePath]) -> dict[str, Leaf]:
    """Return the values of attributes by path as JSON, the hidden ones as secrets; what is null is as good as missing."""
    found: dict[str, Leaf] = {}
    for path, value, standing in walked(tree, marked):
        if value is not None:
            text = json.dumps(value, ensure_ascii=False)
            found[said(path)] = Secret(text) if _hidden(value, standing) else text
    return found


def said(path: AttributePath) -> str:
    """Return a path as people write it: ingress[0].from_port, tags["a b"]."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(r"[A-Za-z_][\w-]*", step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step, ensure_ascii=False)}]"
    return text


def shown(tree: Mapping[str, object], known: Secrets) -> dict[str, object]:
    """Return attributes that no state marks, as far as they may be shown, in their own shape."""
    return {key: _shown(value, _by_name(key), known) for key, value in tree.items()}


def _shown(value: object, standing: _Standing, known: Secrets) -> object:
    if isinstance(value, dict):
        return {
            known.masked(key): _shown(inner, max(standing, _within(value, key)), known) for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_shown(inner, standing, known) for inner in value]
    if _hidden(value, standing):
        return MASK
    return known.masked(value) if isinstance(value, str) else value
