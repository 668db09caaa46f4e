"""What must never be shown or written: passwords, keys and tokens in text that other programs print."""

from __future__ import annotations

import re

_HIDDEN = "(hidden)"
_PATTERNS = (
    # name = "value", "name": "value", name=value; the name tells that it is a secret
    re.compile(
        r"""(?ix)(\b[\w.-]*(?:password|passwd|secret_access_key|session_token|private_token|secret_string|api_key)\b
        \\?["']?\s*[:=]\s*\\?["']?)(?!null\b|true\b|false\b|\(sensitive)[^\s"',}\\]{3,}"""
    ),
    re.compile(r"(://[^\s:/@]+:)[^\s@/]+(?=@)"),  # user:password@host
    re.compile(r"()\b(?:glpat|gldt|glrt)-[\w-]{10,}"),  # GitLab tokens
    re.compile(r"()-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL),
)


def redacted(text: str) -> str:
    """Return `text` with everything that looks like a secret replaced."""
    for pattern in _PATTERNS:
        text = pattern.sub(lambda match: f"{match.group(1)}{_HIDDEN}", text)
    return text
