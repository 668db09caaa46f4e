"""One program's output on its way into the bucket: read, checked, compressed, uploaded, and held until told."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import zstandard

from lifeboat.clients.dump_programs import RunningProgram
from lifeboat.clients.dump_uploads import Upload
from lifeboat.database_model import DumpFile, TableName
from lifeboat.errors import Failed, IntegrityFailure

# Measured: five times as fast as level 6 and within 10 % of its size.
_LEVEL = 1


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A file of a dump: the program that makes it, how its output begins, and the tables that it names."""

    file: str
    argv: Sequence[str]
    begins: bytes
    tables: tuple[TableName, ...] = ()


class Stream:
    """One file of a dump while it is made."""

    def __init__(self, planned: Planned, env: Mapping[str, str], upload: Upload) -> None:
        self.planned = planned
        self.upload = upload
        self.raw_size = 0
        self._raw_digest = hashlib.sha256()
        self.program = RunningProgram(planned.argv, env)

    def run(self) -> None:
        """Take the whole output; S3 then has all of it, and no object yet.

        Raises Failed with the program's last words when it ends with anything but 0, IntegrityFailure when what it wrote
        is not what it ought to be, Unreachable when S3 does not take it.
        """
        # One frame, with a checksum over its content, that zstd reads anywhere.
        compressing = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compressobj()
        beginning = b""
        for chunk in self.program.chunks():
            if len(beginning) < len(self.planned.begins):
                beginning += bytes(chunk[: len(self.planned.begins)])
            self._raw_digest.update(chunk)
            self.raw_size += len(chunk)
            self.upload.write(compressing.compress(chunk))
        status = self.program.ended()
        if status != 0:
            how = f"status {status}" if status > 0 else f"signal {-status}"
            words = self.program.words
            raise Failed(f"{self.what} ended with {how}" + (f":\n{words}" if words else ", and said nothing"))
        if not beginning.startswith(self.planned.begins):
            raise IntegrityFailure(f"{self.what} ended with 0 and wrote no archive: {self.raw_size} bytes")
        self.upload.write(compressing.flush())
        self.upload.flush()

    @property
    def what(self) -> str:
        """The file and its program, in words."""
        return f"{self.planned.file} ({self.program.name})"

    def complete(self) -> DumpFile:
        """Make the object of it, and return what is known of it."""
        stored = self.upload.complete()
        return DumpFile(
            name=self.planned.file,
            version_id=stored.version_id,
            etag=stored.etag,
            crc64nvme=stored.crc64nvme,
            size=stored.size,
            sha256=stored.sha256,
            raw_size=self.raw_size,
            raw_sha256=self._raw_digest.hexdigest(),
            tables=self.planned.tables,
            parts_sha256=stored.parts_sha256,
        )
