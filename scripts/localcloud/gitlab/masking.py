"""Which values GitLab can mask, and the masking of a job's output as it comes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

MASKED = b"[MASKED]"
# app/models/concerns/ci/maskable.rb: the first for raw=false, the second for raw=true. \Z is Ruby's \z, and Ruby's \S
# knows ASCII's blanks alone.
MASKABLE_EXPANDED = re.compile(r"[a-zA-Z0-9_+=/@:.~-]{8,}\Z")
MASKABLE_RAW = re.compile(r"\S{8,}\Z", re.ASCII)


def can_be_masked(variable: Mapping[str, Any]) -> bool:
    """Return whether GitLab accepts `masked` for a variable's value, which depends on whether it is raw."""
    pattern = MASKABLE_RAW if variable["raw"] else MASKABLE_EXPANDED
    return pattern.match(variable["value"]) is not None


class Mask:
    """Replaces secrets in a stream of bytes, also those cut in two by a read; only the exact string is hidden."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # The longest first: one that begins like another must not leave its end behind.
        self._secrets = sorted({secret.encode() for secret in secrets if secret}, key=len, reverse=True)
        self._held = b""

    def hide(self, data: bytes) -> bytes:
        """Return what can be shown so far; the beginning of a possible secret is held back."""
        self._held += data
        for secret in self._secrets:
            self._held = self._held.replace(secret, MASKED)
        keep = self._beginning_of_a_secret()
        shown, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return shown

    def rest(self) -> bytes:
        """Return what is left at the end."""
        shown, self._held = self._held, b""
        return shown

    def _beginning_of_a_secret(self) -> int:
        longest = len(self._secrets[0]) - 1 if self._secrets else 0
        for length in range(min(longest, len(self._held)), 0, -1):
            tail = self._held[-length:]
            if any(secret.startswith(tail) for secret in self._secrets):
                return length
        return 0
