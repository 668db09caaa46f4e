"""The conditions of `rules:if`: GitLab's expression language, parsed and evaluated.

Written after doc/ci/jobs/job_rules.md, "CI/CD variable expressions", and lib/gitlab/ci/pipeline/expression.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Variables = Mapping[str, str]
Value = str | bool | None | re.Pattern[str]
Condition = Callable[[Variables], Value]

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<operator>==|!=|=~|!~|&&|\|\||\(|\))
    |(?P<variable>\$\w+)
    |(?P<string>"[^"]*"|'[^']*')
    |(?P<pattern>/(?:\\.|[^/\\])+/[ismU]*)
    |(?P<null>null\b)
    )""",
    re.VERBOSE,
)
_FLAGS = {"i": re.IGNORECASE, "s": re.DOTALL, "m": re.MULTILINE}


class BadExpression(Exception):
    """The text is no expression of GitLab's."""


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str


def parsed(text: str) -> Condition:
    """Return an expression as a function of the variables; BadExpression when GitLab would not read it."""
    tokens = _tokens(text)
    condition, rest = _either(tokens)
    if rest:
        raise BadExpression(f"unexpected {rest[0].text}")
    return condition


def holds(text: str, variables: Variables) -> bool:
    """Return whether an expression is true; an undefined or empty variable alone is not."""
    return _truth(parsed(text)(variables))


def _truth(value: Value) -> bool:
    return bool(value) if isinstance(value, str | bool) else value is not None


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    text = text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise BadExpression(f"cannot read {text[at:]!r}")
        assert match.lastgroup is not None
        found.append(_Token(match.lastgroup, match[match.lastgroup]))
        at = match.end()
    if not found:
        raise BadExpression("it is empty")
    return found


def _either(tokens: list[_Token]) -> tuple[Condition, list[_Token]]:
    left, rest = _both(tokens)
    while rest and rest[0].text == "||" and rest[0].kind == "operator":
        right, rest = _both(rest[1:])
        left = _any(left, right)
    return left, rest


def _both(tokens: list[_Token]) -> tuple[Condition, list[_Token]]:
    left, rest = _comparison(tokens)
    while rest and rest[0].text == "&&" and rest[0].kind == "operator":
        right, rest = _comparison(rest[1:])
        left = _all(left, right)
    return left, rest


def _any(left: Condition, right: Condition) -> Condition:
    return lambda variables: _truth(left(variables)) or _truth(right(variables))


def _all(left: Condition, right: Condition) -> Condition:
    return lambda variables: _truth(left(variables)) and _truth(right(variables))


def _comparison(tokens: list[_Token]) -> tuple[Condition, list[_Token]]:
    left, rest = _operand(tokens)
    if not rest or rest[0].kind != "operator" or rest[0].text not in ("==", "!=", "=~", "!~"):
        return left, rest
    operator = rest[0].text
    right, rest = _operand(rest[1:])
    compare = _matches if operator in ("=~", "!~") else _equals
    wanted = operator in ("==", "=~")
    return lambda variables: compare(left(variables), right(variables)) is wanted, rest


def _equals(left: Value, right: Value) -> bool:
    return left == right


def _matches(left: Value, right: Value) -> bool:
    if not isinstance(left, str):
        return False
    pattern = right
    if isinstance(right, str):  # a variable may hold the pattern (GitLab 15.0)
        written = re.fullmatch(r"/(.+)/([ismU]*)", right, re.DOTALL)
        pattern = _pattern(right) if written else re.compile(re.escape(right))
    return isinstance(pattern, re.Pattern) and pattern.search(left) is not None


def _operand(tokens: list[_Token]) -> tuple[Condition, list[_Token]]:
    if not tokens:
        raise BadExpression("it ends too soon")
    token, rest = tokens[0], tokens[1:]
    if token.text == "(" and token.kind == "operator":
        inner, rest = _either(rest)
        if not rest or rest[0].text != ")":
            raise BadExpression("a parenthesis is not closed")
        return inner, rest[1:]
    if token.kind == "variable":
        name = token.text[1:]
        return (lambda variables: variables.get(name)), rest
    if token.kind == "string":
        text = token.text[1:-1]
        return (lambda _variables: text), rest
    if token.kind == "null":
        return (lambda _variables: None), rest
    if token.kind == "pattern":
        pattern = _pattern(token.text)
        return (lambda _variables: pattern), rest
    raise BadExpression(f"unexpected {token.text}")


def _pattern(text: str) -> re.Pattern[str]:
    body, _, flags = text[1:].rpartition("/")
    combined = re.RegexFlag(0)
    for letter in flags:
        combined |= _FLAGS.get(letter, re.RegexFlag(0))
    try:
        return re.compile(body.replace("\\/", "/"), combined)
    except re.error as error:
        raise BadExpression(f"{text} is no regular expression: {error}") from error
