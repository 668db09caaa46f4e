"""Servers on loopback that say one thing, whatever they are asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import dns.message


@contextmanager
def saying(answer: bytes) -> Iterator[int]:
    """Run a server on loopback that says the same to whoever connects; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection, suppress(OSError):
                    connection.recv(65536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def http(body: bytes, status: str = "200 OK") -> bytes:
    """Return a whole HTTP answer with this body."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


@contextmanager
def name_server(
    reply: Callable[[dns.message.Message], dns.message.Message | bytes | None],
) -> Iterator[tuple[str, int]]:
    """Run a name server over UDP that answers each question as told, None with silence; gives its address and port."""
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.1)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                with suppress(OSError):
                    wire, asker = server.recvfrom(65535)
                    said = reply(dns.message.from_wire(wire))
                    if said is not None:
                        server.sendto(said if isinstance(said, bytes) else said.to_wire(), asker)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()
        over.set()
        thread.join(5)
