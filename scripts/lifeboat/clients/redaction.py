"""What must never be shown or written: passwords, keys and tokens in text that other programs print."""

from __future__ import annotations

import json
import re
from itertools import groupby
from typing import Any

_HIDDEN = "(hidden)"
# The name that tells that a value is a secret, or how it ends. Not AWS's ExpiredToken: after it comes the explanation.
_TELLTALE = (
    r"(?i:(?:password|passwd|secret[_-]?(?:access[_-]?)?key|secret[_-]?string|api[_-]?key"
    r"|(?<!expired)(?<!invalid)token)(?:_wo)?)"  # Terraform's write-only arguments end in _wo
)
_NAMED = re.compile(_TELLTALE + r"""(?![\w-])\\*["']?\s*(?:=>|==|[:=])\s*""")
# Terraform's plan shows what was before what will be.
_BECOMES = re.compile(r"""(?:null|\([\w ]+\))?\\*["']?\s*->\s*""")
_ENDS_TELLTALE = re.compile(_TELLTALE + r"\Z")
_QUOTE = re.compile(r"""(\\*)(["'])""")
# In single quotes a backslash is only a backslash to a shell and to YAML; these are their ways to write a quote there.
_SHELL_WORD = re.compile(r"""(?:[^']|'\\''|'"'"'|'')*""")
# What stands where a secret would and is none, or the beginning of something that holds values of its own.
_NO_SECRET = re.compile(
    r"""(?:null|true|false)(?![\w-])|\((?:sensitive|known\ after\ apply|hidden)\b|[{\[](?=\s|[{\["'\\]|\Z)""",
    re.VERBOSE,
)
_UNQUOTED = re.compile(r"\S{3,}")
_PATTERNS = (
    re.compile(rf"(<[\w:]*{_TELLTALE}>)[^<]+"),  # AWS's XML
    re.compile(r"(://[^\s:/@]*:)[^\s@/]+(?=@)"),  # user:password@host
    re.compile(r"()\b(?:glpat|gldt|glrt)-[\w-]{10,}"),  # GitLab tokens
    re.compile(r"()-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL),
)


def redacted(text: str) -> str:
    """Return `text` with everything that looks like a secret replaced; a line that is JSON stays JSON."""
    parts: list[str] = []
    documents = [(line, _document(line)) for line in text.split("\n")]
    for is_text, lines in groupby(documents, key=lambda pair: pair[1] is None):
        if is_text:
            parts.append(_redacted_text("\n".join(line for line, _ in lines)))
            continue
        for line, document in lines:
            clean = _redacted_value(document)
            parts.append(line if clean == document else json.dumps(clean, separators=(",", ":")))
    return "\n".join(parts)


def _document(line: str) -> Any:
    if not line.lstrip().startswith(("{", "[", '"')):
        return None
    try:
        return json.loads(line)
    except ValueError:
        return None


def _redacted_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _hidden(v) if _ENDS_TELLTALE.search(k) else _redacted_value(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_redacted_value(v) for v in value]
    return redacted(value) if isinstance(value, str) else value


def _hidden(value: Any) -> Any:
    """Return a value of the same shape with nothing to read in it."""
    if isinstance(value, dict):
        return {k: _hidden(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_hidden(v) for v in value]
    return value if value in (None, True, False, "") else _HIDDEN


def _redacted_text(text: str) -> str:
    parts: list[str] = []
    done = 0
    while (name := _NAMED.search(text, done)) is not None:
        following: re.Match[str] | None = name
        while following is not None:
            begin, end = _value(text, following.end())
            parts += [text[done:begin], _HIDDEN if begin < end else ""]
            done = end
            following = _BECOMES.match(text, done)
    parts.append(text[done:])
    text = "".join(parts)
    for pattern in _PATTERNS:
        text = pattern.sub(lambda match: f"{match.group(1)}{_HIDDEN}", text)
    return text


def _value(text: str, start: int) -> tuple[int, int]:
    """Return where the secret that is written at `start` begins and ends; the same place twice when there is none."""
    opening = _QUOTE.match(text, start)
    if opening is not None:
        return opening.end(), _closing(text, opening)
    if _NO_SECRET.match(text, start):
        return start, start
    # Where it ends nobody can tell but by a blank, so what closes around it may be hidden with it.
    unquoted = _UNQUOTED.match(text, start)
    return (start, start) if unquoted is None else unquoted.span()


def _closing(text: str, opening: re.Match[str]) -> int:
    """Return where the quote closes that `opening` opens; the end of the text when it is cut off before.

    Each string within a string doubles the backslashes: a quote written with n of them closes at one with n, and
    before that a backslash in the value adds 2n + 2, a quote n + 1. Where languages disagree, the longer one is hidden.
    """
    written, quote = opening.groups()
    unit = 2 * len(written) + 2
    end = len(text)
    for found in _QUOTE.finditer(text, opening.end()):
        if found[2] == quote and len(found[1]) % unit == len(written):
            end = found.end() - 1 - len(written)
            break
    word = _SHELL_WORD.match(text, opening.end()) if opening[0] == "'" else None
    return end if word is None else max(end, word.end())
