"""A dump's file as it streams out of the bucket: checked against the manifest byte by byte, and decompressed in slices."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

import zstandard

from lifeboat.database_model import DumpFile
from lifeboat.errors import IntegrityFailure

# What pg_restore is fed at once: with more of it, memory more than doubles (285 against 114 MB). It is what a block of
# zstd holds at most (RFC 8878, 3.1.1.2.4), however few its bytes are.
SLICE_BYTES = 128 * 1024
# RFC 8878, 3.1.1.1.2: what every decoder should support; our own archives need far less.
_WINDOW_BYTES = 8 * 1024 * 1024
# RFC 8878, 3.1.1.1: of a frame's header, by the bits of its descriptor.
_DESCRIPTOR_AT = 4
_DICTIONARY_BYTES = (0, 1, 2, 4)
_SIZE_BYTES = (0, 2, 4, 8)
_BLOCK_HEADER_BYTES, _CHECKSUM_BYTES = 3, 4
_RUN_LENGTH, _RESERVED = 1, 3


def slices(chunks: Iterable[bytes], file: DumpFile, passed: Callable[[int], None]) -> Iterator[bytes]:
    """Yield the content of a file of a dump, decompressed, in slices of at most SLICE_BYTES.

    `passed` is told of each chunk of stored bytes. Raises IntegrityFailure as soon as anything is not what the manifest
    says (size and SHA-256 of the stored and of the raw bytes; one zstd frame with a checksum that ends with the file): the
    last slice is not yielded before it is known that all of it is right.
    """
    stored, raw = _Counted(file.name, "stored", file.size), _Counted(file.name, "raw", file.raw_size)
    frame = _Frame(file.name)
    held: bytes | None = None
    for chunk in chunks:
        passed(len(chunk))
        stored.add(chunk)
        for content in frame.content(chunk):
            raw.add(content)
            if held is not None:
                yield held
            held = content
    stored.require(file.sha256)
    frame.require_end()
    raw.require(file.raw_sha256)
    if held is not None:
        yield held


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
    """One zstd frame with a content checksum, and nothing after it, decompressed one block at a time.

    A KiB may stand for 32 MiB: what is decompressed at once is bounded by the format, not by the bytes that are given.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES).decompressobj()
        self._rest = b""
        self._descriptor: int | None = None
        self._last_block = False

    def content(self, chunk: bytes) -> Iterator[bytes]:
        data, at = self._rest + chunk, 0
        view = memoryview(data)
        while at < len(data):
            if self._decompressor.eof:
                raise IntegrityFailure(f"{self._name}: something follows the end of its zstd frame")
            size = self._unit(view[at:])
            if size is None or len(data) - at < size:
                break
            try:
                content = self._decompressor.decompress(view[at : at + size])
            except zstandard.ZstdError as error:
                raise self._unsound(str(error)) from error
            self._passed(view[at : at + size])
            at += size
            if content:
                yield content
        self._rest = data[at:]

    def _unit(self, ahead: memoryview) -> int | None:
        """Return how many bytes the header, block or checksum takes that is next; None where too few are there to tell."""
        if self._descriptor is None:
            return self._header_bytes(ahead)
        if self._last_block:
            return _CHECKSUM_BYTES
        if len(ahead) < _BLOCK_HEADER_BYTES:
            return None
        kind, size = ahead[0] >> 1 & 3, int.from_bytes(ahead[:_BLOCK_HEADER_BYTES], "little") >> 3
        if kind == _RESERVED or size > SLICE_BYTES:
            raise self._unsound("a block is of no kind, or longer than any")
        return _BLOCK_HEADER_BYTES + (1 if kind == _RUN_LENGTH else size)

    def _header_bytes(self, ahead: memoryview) -> int | None:
        magic = zstandard.FRAME_HEADER[: len(ahead)]
        if ahead[: len(magic)] != magic:
            raise self._unsound("it does not begin as one")
        if len(ahead) <= _DESCRIPTOR_AT:
            return None
        descriptor = ahead[_DESCRIPTOR_AT]
        single, size = descriptor >> 5 & 1, _SIZE_BYTES[descriptor >> 6]
        window_or_size = max(size, 1) if single else 1 + size
        return _DESCRIPTOR_AT + 1 + window_or_size + _DICTIONARY_BYTES[descriptor & 3]

    def _passed(self, unit: memoryview) -> None:
        if self._descriptor is None:
            self._descriptor = unit[_DESCRIPTOR_AT]
        elif not self._last_block:
            self._last_block = bool(unit[0] & 1)

    def _unsound(self, why: str) -> IntegrityFailure:
        return IntegrityFailure(f"{self._name} is no sound zstd frame: {why}")

    def require_end(self) -> None:
        if not self._decompressor.eof:
            raise IntegrityFailure(f"{self._name}: its zstd frame does not end")
        assert self._descriptor is not None
        if not self._descriptor & 4:
            raise IntegrityFailure(f"{self._name}: its zstd frame has no checksum")
