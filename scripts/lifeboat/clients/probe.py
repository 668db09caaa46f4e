"""The question whether the application answers over HTTP."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable

_ANSWER_SECONDS = 5
_SHOWN = 120


def answer(url: str, *, seconds: float, sleep: Callable[[float], None] = time.sleep) -> str | None:
    """Return the status and the beginning of what `url` answers with 200; None when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=_ANSWER_SECONDS) as reply:  # noqa: S310  (http url of our own output)
                body = reply.read(4096).decode(errors="replace")
                return f"HTTP {reply.status}: {' '.join(body.split())[:_SHOWN]}"
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                return None
            sleep(0.5)
