"""TCP forwarders: what a published container port and an elastic address are made of."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

Place = tuple[str, int]
CHUNK = 65536
OPEN_SECONDS = 10


class Forwarders:
    """Listening sockets, each passing its connections on to a place that is asked for anew for every connection."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._servers: dict[Place, asyncio.Server] = {}
        self._connections: dict[Place, set[asyncio.Task[Any]]] = {}

    def open(self, listen: Place, target: Callable[[], Place | None]) -> None:
        """Listen on an address and port; OSError when that is taken. No target (None) means the connection is cut."""
        self._wait(self._open(listen, target))

    def close(self, listen: Place) -> None:
        """Stop listening there and cut the connections that came in there."""
        self._wait(self._close(listen))

    def close_all(self) -> None:
        """Stop listening everywhere."""
        for listen in self.listening():
            self.close(listen)

    def listening(self) -> set[Place]:
        """Return where connections are taken now."""
        return set(self._servers)

    def _wait(self, work: Coroutine[Any, Any, None]) -> None:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="forwarders", daemon=True).start()
            loop = self._loop
        asyncio.run_coroutine_threadsafe(work, loop).result(OPEN_SECONDS)

    async def _open(self, listen: Place, target: Callable[[], Place | None]) -> None:
        if listen in self._servers:
            raise OSError(f"{listen[0]}:{listen[1]} is forwarded already")
        connections: set[asyncio.Task[Any]] = set()

        async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            connections.add(task)
            try:
                await _pass_on(reader, writer, target())
            except (OSError, asyncio.CancelledError):
                writer.transport.abort()
            finally:
                connections.discard(task)

        self._servers[listen] = await asyncio.start_server(pass_on, listen[0], listen[1], reuse_address=True)
        self._connections[listen] = connections

    async def _close(self, listen: Place) -> None:
        server = self._servers.pop(listen, None)
        if server is None:
            return
        server.close()
        for task in tuple(self._connections.pop(listen)):
            task.cancel()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: Place | None) -> None:
    if target is None:
        writer.transport.abort()
        return
    far_reader, far_writer = await asyncio.open_connection(*target)
    try:
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
    finally:
        for end in (far_writer, writer):
            end.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while chunk := await source.read(CHUNK):
        sink.write(chunk)
        await sink.drain()
    with suppress(OSError, RuntimeError):
        sink.write_eof()
