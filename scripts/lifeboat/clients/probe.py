"""The question whether the application answers over HTTP, at an address and through its public name."""

from __future__ import annotations

import http.client
import ipaddress
import json
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from lifeboat.errors import LifeboatError
from lifeboat.model import Door, Health, PublicAnswer, Resolved

_ANSWER_SECONDS = 5.0
_LEAST_SECONDS = 0.5
_SHOWN = 120
_BODY_BYTES = 65536
_POLL_SECONDS = 0.5
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))

Sleep = Callable[[float], None]


def answer(url: str, *, seconds: float, sleep: Sleep = time.sleep) -> str | None:
    """Return the status and the beginning of what `url` answers with 200; None when it does not within `seconds`."""
    # The caller's http_proxy cannot reach this machine's loopback; an application elsewhere may need it.
    opener = _DIRECT if _on_loopback(url) else urllib.request.build_opener()
    deadline = time.monotonic() + seconds
    while True:
        try:
            with opener.open(url, timeout=_ANSWER_SECONDS) as reply:
                return f"HTTP {reply.status}: {_shown(reply.read(4096))}"
        except (OSError, http.client.HTTPException):
            if time.monotonic() > deadline:
                return None
            sleep(_POLL_SECONDS)


def health(
    address: str,
    door: Door,
    *,
    seconds: float,
    good: Callable[[Health], bool] = lambda found: found.status == 200,
    sleep: Sleep = time.sleep,
) -> Health:
    """Return the first answer at an address that is `good`, or the last one when none is within `seconds`.

    With 0 seconds it is asked once, and has the usual time to answer. No proxy and no resolver is asked: the
    connection goes to `address`, with the door's name as Host and for TLS.
    """
    deadline = time.monotonic() + (seconds or _ANSWER_SECONDS)
    while True:
        found = _asked(address, door, _left(deadline))
        if good(found) or not seconds or time.monotonic() + _POLL_SECONDS > deadline:
            return found
        sleep(_POLL_SECONDS)


def through_name(
    resolve: Callable[[str], Resolved],
    door: Door,
    *,
    seconds: float,
    good: Callable[[PublicAnswer], bool],
    sleep: Sleep = time.sleep,
) -> PublicAnswer:
    """Return the first answer through the door's name that is `good`, or the last one when none is within `seconds`.

    The name is resolved anew each time, and every address that it has is asked: a client may be given any of them.
    With 0 seconds this is done once.
    """
    deadline = time.monotonic() + (seconds or _ANSWER_SECONDS)
    while True:
        found = _through_name(resolve, door, deadline)
        if good(found) or not seconds or time.monotonic() + _POLL_SECONDS > deadline:
            return found
        sleep(_POLL_SECONDS)


def _through_name(resolve: Callable[[str], Resolved], door: Door, deadline: float) -> PublicAnswer:
    name = door.name or ""
    try:
        resolved = resolve(name)
    except LifeboatError as error:
        return PublicAnswer(name=name, resolved=None, healths=(), problem=error.summary)
    healths = tuple(_asked(address, door, _left(deadline)) for address in resolved.addresses)
    return PublicAnswer(name=name, resolved=resolved, healths=healths)


def _left(deadline: float) -> float:
    """Return how long one question may take: what is left, but never so little that nobody far away could answer."""
    return min(_ANSWER_SECONDS, max(_LEAST_SECONDS, deadline - time.monotonic()))


def _asked(address: str, door: Door, seconds: float) -> Health:
    """Ask once. Each read may take `seconds`; a timer ends an answer that comes drop by drop."""
    try:
        connection = socket.create_connection((address, door.port), timeout=seconds)
    except OSError as error:
        return Health(address=address, status=None, says=f"no connection: {error}")
    if door.scheme == "https":
        connection = ssl.create_default_context().wrap_socket(
            connection, server_hostname=door.name or address, do_handshake_on_connect=False
        )
    late = threading.Event()
    watch = threading.Timer(seconds, _hang_up, [connection, late])
    watch.daemon = True
    watch.start()
    try:
        with connection:
            status, body = _spoken(connection, address, door)
        if late.is_set():  # http.client takes the end of a connection for the end of the headers
            raise TimeoutError(f"not whole after {seconds:.1f} s")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Health(address=address, status=None, says=f"no answer: {str(error) or type(error).__name__}")
    finally:
        watch.cancel()
    told = _told(body)
    return Health(
        address=address,
        status=status,
        says=_shown(body),
        instance_id=_text(told.get("instance_id")),
        image=_text(told.get("image")),
    )


def _spoken(connection: socket.socket, address: str, door: Door) -> tuple[int, bytes]:
    if isinstance(connection, ssl.SSLSocket):
        connection.do_handshake()
    speaking = http.client.HTTPConnection(address, door.port)
    speaking.sock = connection
    host = door.name or (f"[{address}]" if ":" in address else address)
    usual = {"http": 80, "https": 443}[door.scheme]
    speaking.request(
        "GET",
        door.path,
        headers={
            "Host": host if door.port == usual else f"{host}:{door.port}",
            "Accept": "application/json",
            "Connection": "close",
            "User-Agent": "lifeboat",
        },
    )
    reply = speaking.getresponse()
    body = reply.read(_BODY_BYTES)
    # `length` is what is still to come, None where only the end of the connection tells.
    cut_off = not body if reply.length is None and not reply.chunked else reply.length and len(body) < _BODY_BYTES
    if cut_off:
        raise http.client.IncompleteRead(body)
    return reply.status, body


def _hang_up(connection: socket.socket, late: threading.Event) -> None:
    late.set()
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)  # TLS's own would wait for the other side


def _told(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _shown(body: bytes) -> str:
    return " ".join(body.decode(errors="replace").split())[:_SHOWN]


def _on_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
