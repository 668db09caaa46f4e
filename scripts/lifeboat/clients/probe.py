"""The questions whether the application answers over HTTP, and how it says that it is."""

from __future__ import annotations

import http.client
import ipaddress
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from urllib.parse import urlsplit

from lifeboat.model import Health

_ANSWER_SECONDS = 5
_SHOWN = 120
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def answer(url: str, *, seconds: float, sleep: Callable[[float], None] = time.sleep) -> str | None:
    """Return the status and the beginning of what `url` answers with 200; None when it does not within `seconds`."""
    opener = _opener(url)
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


def health(url: str) -> Health:
    """Return what the application's health page answers now; it is read as JSON where it is."""
    try:
        with _opener(url).open(url, timeout=_ANSWER_SECONDS) as reply:
            return _health(int(reply.status), reply.read(4096))
    except urllib.error.HTTPError as error:
        with error:
            return _health(error.code, error.read(4096))
    except (OSError, http.client.HTTPException) as error:
        return Health(status=None, text=str(error) or type(error).__name__)


def _health(status: int, body: bytes) -> Health:
    text = " ".join(body.decode(errors="replace").split())[:_SHOWN]
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        return Health(status=status, text=text)
    image, instance = said.get("image"), said.get("instance_id")
    return Health(
        status=status,
        text=text,
        image=image if isinstance(image, str) else None,
        instance=instance if isinstance(instance, str) else None,
    )


def _opener(url: str) -> urllib.request.OpenerDirector:
    # The caller's http_proxy cannot reach this machine's loopback; an application elsewhere may need it.
    return _DIRECT if _on_loopback(url) else urllib.request.build_opener()


def _on_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
