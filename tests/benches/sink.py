"""An S3 of a few verbs that costs next to nothing, in a process of its own: it keeps bodies in memory, or lets them go by."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.rehearsal import ROOT

# A manifest or a state is always kept.
SMALL = 1024 * 1024
_READ = 1024 * 1024
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(frozen=True, kw_only=True)
class Sink:
    """A running sink."""

    url: str
    process: subprocess.Popen[str]

    def put(self, path: str, body: bytes) -> None:
        """Keep an object, bucket first."""
        self._ask("PUT", path, body)

    def keep_bodies(self) -> None:
        """Keep what comes in from now on."""
        self._ask("PUT", "-/keep", b"all")

    def drop_bodies(self) -> None:
        """Forget what there is, and let go by what comes in from now on, but for what is small."""
        self._ask("PUT", "-/keep", b"small")

    def seconds(self) -> float:
        """Return the CPU seconds that it has used."""
        found: float = json.loads(self._ask("GET", "-/figures", None))["cpu"]
        return found

    def taken(self) -> int:
        """Return the bytes of all bodies that came in."""
        found: int = json.loads(self._ask("GET", "-/figures", None))["bytes"]
        return found

    def _ask(self, method: str, path: str, body: bytes | None) -> bytes:
        request = urllib.request.Request(f"{self.url}/{path}", data=body, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: bytes = answer.read()
            return found


@contextmanager
def running() -> Iterator[Sink]:
    """Run a sink for as long as this lasts."""
    process = subprocess.Popen([sys.executable, "-m", __name__], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        yield Sink(url=f"http://127.0.0.1:{int(process.stdout.readline())}", process=process)
    finally:
        process.terminate()
        process.wait()


@dataclass(kw_only=True)
class _Kept:
    """What the sink has: objects and parts by name, each the pieces of its body; None in place of one that went by."""

    everything: bool = False
    objects: dict[str, list[bytes] | None] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    stored: dict[str, datetime] = field(default_factory=dict)
    parts: dict[str, dict[int, tuple[int, bytes | None]]] = field(default_factory=dict)
    taken: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    kept = _Kept()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what is measured is not what is written here."""

    def do_GET(self) -> None:
        path, query = self._place()
        if path == "-/figures":
            self._answer(200, json.dumps({"cpu": time.process_time(), "bytes": self.kept.taken}).encode())
        elif "versions" in query:
            self._answer(200, _versions(self.kept, path, query.get("prefix", [""])[0]))
        elif "uploads" in query:
            self._answer(
                200, b"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"
            )
        else:
            self._object(path)

    def do_HEAD(self) -> None:
        self._object(self._place()[0])

    def do_PUT(self) -> None:
        path, query = self._place()
        body, size = self._body()
        if path == "-/keep":
            self.kept.everything = body == b"all"
            if not self.kept.everything:
                for key in [key for key, there in self.kept.sizes.items() if there > SMALL]:
                    del self.kept.objects[key], self.kept.sizes[key]
        elif "uploadId" in query:
            upload = self.kept.parts[query["uploadId"][0]]
            upload[int(query["partNumber"][0])] = (size, body)
        elif self.headers.get("If-None-Match") == "*" and path in self.kept.sizes:
            self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            return
        else:
            self.kept.objects[path], self.kept.sizes[path] = None if body is None else [body], size
            self.kept.stored[path] = datetime.now(UTC)
        self._answer(200, b"")

    def do_POST(self) -> None:
        path, query = self._place()
        body, _ = self._body()
        if self.headers.get("X-Amz-Target") == "secretsmanager.GetSecretValue":
            name = json.loads(body or b"")["SecretId"]
            secret = b"".join(self.kept.objects[f"-/secrets/{name}"] or [])
            self._answer(200, json.dumps({"Name": name, "SecretString": secret.decode()}).encode())
        elif "uploads" in query:
            with self.kept.lock:
                number = str(len(self.kept.parts) + 1)
                self.kept.parts[number] = {}
            tag = "InitiateMultipartUploadResult"
            self._answer(200, f"<{tag}><UploadId>{number}</UploadId></{tag}>".encode())
        else:
            parts = self.kept.parts[query["uploadId"][0]]
            bodies = [body for _, (_, body) in sorted(parts.items())]
            self.kept.objects[path] = None if None in bodies else [body for body in bodies if body is not None]
            self.kept.sizes[path] = sum(size for size, _ in parts.values())
            self.kept.stored[path] = datetime.now(UTC)
            parts.clear()
            tag = "CompleteMultipartUploadResult"
            self._answer(200, f"<{tag}><ETag>{_etag(path)}</ETag></{tag}>".encode())

    def do_DELETE(self) -> None:
        path, query = self._place()
        if "uploadId" in query:
            self.kept.parts[query["uploadId"][0]].clear()
        else:
            self.kept.objects.pop(path, None)
            self.kept.sizes.pop(path, None)
        self._answer(204, b"")

    def _place(self) -> tuple[str, dict[str, list[str]]]:
        found = urlsplit(self.path)
        return unquote(found.path).strip("/"), parse_qs(found.query, keep_blank_values=True)

    def _body(self) -> tuple[bytes | None, int]:
        """Read the body; return it where it is kept, and its size."""
        size = int(self.headers.get("Content-Length", 0))
        keeping = self.kept.everything or size <= SMALL
        buffer = bytearray(size if keeping else min(size, _READ))
        view, left = memoryview(buffer), size
        while left:
            at = size - left if keeping else 0
            left -= self.rfile.readinto(view[at : at + left])  # type: ignore[attr-defined]
        with self.kept.lock:
            self.kept.taken += size
        return (bytes(buffer) if size <= SMALL else buffer) if keeping else None, size  # type: ignore[return-value]

    def _object(self, path: str) -> None:
        pieces = self.kept.objects.get(path)
        if pieces is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        size = self.kept.sizes[path]
        found = _RANGE.fullmatch(self.headers.get("Range", ""))
        start = int(found[1]) if found else 0
        end = min(int(found[2]) + 1 if found and found[2] else size, size)
        self.send_response(206 if found else 200)
        if found:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        for name, value in (
            ("Content-Length", str(end - start)),
            ("ETag", _etag(path)),
            ("Last-Modified", format_datetime(self.kept.stored[path], usegmt=True)),
            ("Accept-Ranges", "bytes"),
        ):
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            for piece in _between(pieces, start, end):
                self.wfile.write(piece)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        # Of what went by nobody knows a hash; of each name and each part this is as good.
        self.send_header("ETag", _etag(self.path if "uploadId=" in self.path else self._place()[0]))
        self.send_header("x-amz-version-id", "v1")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if body and self.command != "HEAD":
            self.wfile.write(body)


def _etag(name: str) -> str:
    return f'"{hash(name) & (2**128 - 1):032x}"'


def _between(pieces: list[bytes], start: int, end: int) -> Iterator[memoryview]:
    at = 0
    for piece in pieces:
        first, last = max(start - at, 0), min(end - at, len(piece))
        if first < last:
            yield memoryview(piece)[first:last]
        at += len(piece)


def _versions(kept: _Kept, bucket: str, prefix: str) -> bytes:
    rows = [
        f"<Version><Key>{key.removeprefix(bucket + '/')}</Key><VersionId>v1</VersionId><IsLatest>true</IsLatest>"
        f"<LastModified>{kept.stored[key]:%Y-%m-%dT%H:%M:%S.000Z}</LastModified><ETag>{_etag(key)}</ETag><Size>{size}</Size></Version>"
        for key, size in sorted(kept.sizes.items())
        if key.startswith(f"{bucket}/{prefix}")
    ]
    tag = "ListVersionsResult"
    return f"<{tag}><IsTruncated>false</IsTruncated>{''.join(rows)}</{tag}>".encode()


def main() -> None:
    """Serve until somebody ends it; the port is printed."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing of who went away."""

    server = Server(("127.0.0.1", 0), _Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
