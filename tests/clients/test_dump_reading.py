"""A dump's file as it streams: everything that is not as the manifest says is found before the end is given."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator

import pytest
import zstandard
from lifeboat.clients.dump_reading import SLICE_BYTES, slices
from lifeboat.database_model import DumpFile
from lifeboat.errors import IntegrityFailure

RAW = random.Random(1).randbytes(400_000) + b"\0" * 3_000_000  # noqa: S311


def compressed(raw: bytes, *, checksum: bool = True) -> bytes:
    return zstandard.ZstdCompressor(level=1, write_checksum=checksum).compress(raw)


def told(raw: bytes, stored: bytes) -> DumpFile:
    return DumpFile(
        name="data-00.dump.zst",
        version_id="v",
        etag="e",
        crc64nvme="",
        size=len(stored),
        sha256=hashlib.sha256(stored).hexdigest(),
        raw_size=len(raw),
        raw_sha256=hashlib.sha256(raw).hexdigest(),
    )


def chunks(body: bytes) -> Iterator[bytes]:
    return (body[at : at + 1000] for at in range(0, len(body), 1000))


def test_the_content_comes_in_small_slices_and_the_bytes_are_counted() -> None:
    stored, passed = compressed(RAW), list[int]()

    found = list(slices(chunks(stored), told(RAW, stored), passed.append))

    assert b"".join(found) == RAW
    assert max(len(piece) for piece in found) <= SLICE_BYTES
    assert sum(passed) == len(stored)


@pytest.mark.parametrize(
    ("stored", "file", "finding"),
    [
        (compressed(RAW)[:-5], told(RAW, compressed(RAW)), "400,123 stored bytes, 400,128 in the manifest"),
        (compressed(RAW)[:-5], told(RAW, compressed(RAW)[:-5]), "its zstd frame does not end"),
        (compressed(RAW) + b"x", told(RAW, compressed(RAW)), "more than the 400,128 stored bytes of the manifest"),
        (compressed(RAW) + b"x", told(RAW, compressed(RAW) + b"x"), "something follows the end of its zstd frame"),
        (compressed(RAW) * 2, told(RAW * 2, compressed(RAW) * 2), "something follows the end of its zstd frame"),
        (compressed(RAW, checksum=False), told(RAW, compressed(RAW, checksum=False)), "its zstd frame has no checksum"),
        (RAW, told(RAW, RAW), "is no sound zstd frame"),
        (compressed(RAW), told(RAW[:-1], compressed(RAW)), "more than the 3,399,999 raw bytes of the manifest"),
        (compressed(RAW), told(RAW[:-1] + b"x", compressed(RAW)), "the SHA-256 of the raw bytes is not the manifest's"),
        (compressed(RAW[:-1] + b"x"), told(RAW, compressed(RAW)), "the SHA-256 of the stored bytes|stored bytes"),
        (b"", told(RAW, b""), "its zstd frame does not end"),
    ],
    ids=range(11),
)
def test_whatever_is_wrong_is_found_before_the_last_slice(stored: bytes, file: DumpFile, finding: str) -> None:
    given: list[bytes] = []

    with pytest.raises(IntegrityFailure, match=finding):
        given += (bytes(piece) for piece in slices(chunks(stored), file, lambda _: None))

    assert sum(map(len, given)) < len(RAW)


def test_memory_does_not_grow_with_what_a_few_bytes_stand_for() -> None:
    stored = compressed(b"\0" * 1_000_000_000)
    file = told(b"", stored)

    with pytest.raises(IntegrityFailure, match="more than the 0 raw bytes"):
        list(slices(iter([stored]), file, lambda _: None))
