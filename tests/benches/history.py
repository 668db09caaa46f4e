"""An S3 that has the versions of one state and a table that has its digest, in a process of their own that costs next to nothing.

The local cloud takes as long to give a version as a listing takes to read it, on cores that both share: AWS's does not.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.benches.large_states import resources
from tests.rehearsal import ROOT
from tests.state_sites import KEY, md5, state

RESOURCES = 200  # of a version: what one application has, some 450 KB
_PAGE = 1000  # as many as S3 lists at once
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_SERIAL = b'"serial": 0,'


@dataclass(frozen=True, kw_only=True)
class History:
    """A running one."""

    url: str
    process: subprocess.Popen[str]

    def seconds(self) -> float:
        """Return the CPU seconds that it has used."""
        with urllib.request.urlopen(f"{self.url}/-/figures", timeout=30) as answer:
            return float(answer.read())


@contextmanager
def running(versions: int, resources_of_each: int = RESOURCES) -> Iterator[History]:
    """Run one with so many versions, of which the newest is the one with the digest, for as long as this lasts."""
    command = [sys.executable, "-m", __name__, str(versions), str(resources_of_each)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        yield History(url=f"http://127.0.0.1:{int(process.stdout.readline())}", process=process)
    finally:
        process.terminate()
        process.wait()


@dataclass(frozen=True, kw_only=True)
class _Versions:
    """The versions by their numbers, from 1; each differs from the next in its serial."""

    count: int
    before: bytes
    after: bytes

    def body(self, number: int) -> bytes:
        return b'%s"serial": %d,%s' % (self.before, number, self.after)

    def listed(self, marker: int) -> bytes:
        """Return the page below a number; the newest comes first."""
        numbers = range(marker - 1, max(marker - 1 - _PAGE, 0), -1)
        rows = [
            f"<Version><Key>{KEY}</Key><VersionId>{number}</VersionId>"
            f"<IsLatest>{'true' if number == self.count else 'false'}</IsLatest>"
            f"<LastModified>{_BEGAN + timedelta(minutes=number):%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
            f"<ETag>&quot;{number:032x}&quot;</ETag><Size>{len(self.body(number))}</Size></Version>"
            for number in numbers
        ]
        more = f"<NextKeyMarker>{KEY}</NextKeyMarker><NextVersionIdMarker>{numbers[-1]}</NextVersionIdMarker>"
        truncated = numbers[-1] > 1
        tag = "ListVersionsResult"
        told = f"<IsTruncated>{str(truncated).lower()}</IsTruncated>{more if truncated else ''}"
        return f"<{tag}>{told}{''.join(rows)}</{tag}>".encode()


def _versions(count: int, resources_of_each: int) -> _Versions:
    before, serial, after = state(0, resources(resources_of_each, 0)).partition(_SERIAL)
    assert serial
    return _Versions(count=count, before=before, after=after)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    versions: _Versions

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what is measured is not what is written here."""

    def do_GET(self) -> None:
        found = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(found.query, keep_blank_values=True).items()}
        if found.path == "/-/figures":
            self._answer(str(time.process_time()).encode())
        elif "list-type" in query:  # the runs, of which there are none
            self._answer(b"<ListBucketResult><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>")
        elif "versions" in query:
            self._answer(self.versions.listed(int(query.get("version-id-marker") or self.versions.count + 1)))
        elif found.path.endswith(f"/{KEY}"):
            number = int(query.get("versionId") or self.versions.count)
            body = self.versions.body(number)
            self._answer(body, number)
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        digest = md5(self.versions.body(self.versions.count))
        item = {"LockID": asked["Key"]["LockID"], "Digest": {"S": digest}}
        told = {"Item": item} if asked["Key"]["LockID"]["S"].endswith("-md5") else {}
        capacity = {"TableName": asked["TableName"], "CapacityUnits": 1.0}
        self._answer(json.dumps({**told, "ConsumedCapacity": capacity}).encode())

    def _answer(self, body: bytes, version: int | None = None) -> None:
        whole, asked = len(body), self.headers.get("Range")  # of the first byte, where there is any
        body = body[:1] if asked else body
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes 0-0/{whole}")
        if version is not None:
            self.send_header("ETag", f'"{version:032x}"')
            self.send_header("Last-Modified", format_datetime(_BEGAN + timedelta(minutes=version), usegmt=True))
            self.send_header("x-amz-version-id", str(version))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until somebody ends it; the port is printed."""
    _Handler.versions = _versions(*map(int, sys.argv[1:]))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
