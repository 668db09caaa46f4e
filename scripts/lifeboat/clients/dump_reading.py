"""A dump's file as it streams out of the bucket: checked against the manifest byte by byte, and decompressed in slices."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

import zstandard

from lifeboat.database_model import DumpFile
from lifeboat.errors import IntegrityFailure

SLICE_BYTES = (
    128 * 1024
)  # what pg_restore is fed at once: with more of it, memory more than doubles (285 against 114 MB)
# 1 KiB of zstd may stand for 32 MiB (256 blocks of four bytes and 128 KiB): more at once would be a way to fill memory.
_FED_BYTES = 1024
# RFC 8878, 3.1.1.1.2: what every decoder should support; our own archives need far less.
_WINDOW_BYTES = 8 * 1024 * 1024
_LONGEST_HEADER = 18  # bytes of a zstd frame's header, at most


def slices(chunks: Iterable[bytes], file: DumpFile, passed: Callable[[int], None]) -> Iterator[memoryview]:
    """Yield the content of a file of a dump, decompressed, in slices of at most SLICE_BYTES.

    `passed` is told of each chunk of stored bytes. Raises IntegrityFailure as soon as anything is not what the manifest
    says (size and SHA-256 of the stored and of the raw bytes; one zstd frame with a checksum that ends with the file): the
    last slices are not yielded before it is known that all of it is right.
    """
    stored, raw = _Counted(file.name, "stored", file.size), _Counted(file.name, "raw", file.raw_size)
    frame = _Frame(file.name)
    held: memoryview | None = None
    for chunk in chunks:
        passed(len(chunk))
        stored.add(chunk)
        for content in frame.content(chunk):
            raw.add(content)
            for piece in _sliced(content):
                if held is not None:
                    yield held
                held = piece
    stored.require(file.sha256)
    frame.require_end()
    raw.require(file.raw_sha256)
    if held is not None:
        yield held


def _sliced(content: bytes) -> Iterator[memoryview]:
    view = memoryview(content)
    for start in range(0, len(view), SLICE_BYTES):
        yield view[start : start + SLICE_BYTES]


class _Counted:
    """Bytes that pass by: no more than the manifest tells, and with its digest."""

    def __init__(self, name: str, kind: str, size: int) -> None:
        self._name, self._kind, self._size = name, kind, size
        self._digest, self._count = hashlib.sha256(), 0

    def add(self, piece: bytes) -> None:
        self._count += len(piece)
        if self._count > self._size:
            raise IntegrityFailure(f"{self._name}: more than the {self._size:,} {self._kind} bytes of the manifest")
        self._digest.update(piece)

    def require(self, digest: str) -> None:
        if self._count != self._size:
            raise IntegrityFailure(f"{self._name}: {self._count:,} {self._kind} bytes, {self._size:,} in the manifest")
        if self._digest.hexdigest() != digest:
            raise IntegrityFailure(f"{self._name}: the SHA-256 of the {self._kind} bytes is not the manifest's")


class _Frame:
    """One zstd frame with a content checksum, and nothing after it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES).decompressobj()
        self._header = b""

    def content(self, chunk: bytes) -> Iterator[bytes]:
        if len(self._header) < _LONGEST_HEADER:
            self._header += chunk[:_LONGEST_HEADER]
        view = memoryview(chunk)
        for start in range(0, len(view), _FED_BYTES):
            if self._decompressor.eof:
                raise IntegrityFailure(f"{self._name}: something follows the end of its zstd frame")
            try:
                content = self._decompressor.decompress(view[start : start + _FED_BYTES])
            except zstandard.ZstdError as error:
                raise IntegrityFailure(f"{self._name} is no sound zstd frame: {error}") from error
            if content:
                yield content

    def require_end(self) -> None:
        if not self._decompressor.eof:
            raise IntegrityFailure(f"{self._name}: its zstd frame does not end")
        if self._decompressor.unused_data:
            raise IntegrityFailure(f"{self._name}: something follows the end of its zstd frame")
        if not zstandard.get_frame_parameters(self._header).has_checksum:
            raise IntegrityFailure(f"{self._name}: its zstd frame has no checksum")
