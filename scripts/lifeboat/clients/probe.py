"""The question whether the application answers over HTTP."""

from __future__ import annotations

import http.client
import ipaddress
import time
import urllib.request
from collections.abc import Callable
from urllib.parse import urlsplit

_ANSWER_SECONDS = 5
_SHOWN = 120
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def answer(url: str, *, seconds: float, sleep: Callable[[float], None] = time.sleep) -> str | None:
    """Return the status and the beginning of what `url` answers with 200; None when it does not within `seconds`."""
    # The caller's http_proxy cannot reach this machine's loopback; an application elsewhere may need it.
    opener = _DIRECT if _on_loopback(url) else urllib.request.build_opener()
    deadline = time.monotonic() + seconds
    while True:
        try:
            with opener.open(url, timeout=_ANSWER_SECONDS) as reply:
                body = reply.read(4096).decode(errors="replace")
                return f"HTTP {reply.status}: {' '.join(body.split())[:_SHOWN]}"
        except (OSError, http.client.HTTPException):
            if time.monotonic() > deadline:
                return None
            sleep(0.5)


def _on_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
