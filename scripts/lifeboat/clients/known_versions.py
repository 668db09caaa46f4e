"""What the versions of a state said when this machine read them whole: what a version says never changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from lifeboat.clients import private_files
from lifeboat.state_model import KnownVersion, StateEntry, StatePlace, VersionId

# The id of what was written while the bucket kept no versions: another object may bear it tomorrow (S3 user guide,
# "Working with objects in a versioning-suspended bucket").
_WRITTEN_OVER = VersionId("null")


@dataclass(frozen=True, kw_only=True)
class _File:
    form: Literal[1] = 1  # another one says something else, and is not read
    bucket: str
    key: str
    versions: dict[VersionId, KnownVersion]


@cache
def _files() -> TypeAdapter[_File]:
    return TypeAdapter(_File)


@dataclass(frozen=True, kw_only=True)
class KnownVersions:
    """The file of this machine that remembers the versions of one state object."""

    path: Path

    def read(self, place: StatePlace) -> Mapping[VersionId, KnownVersion]:
        """Return what is remembered of an object; nothing where that cannot be read, or is of another object."""
        try:
            found = _files().validate_json(self.path.read_bytes(), strict=True)
        except (OSError, ValueError):  # a pydantic ValidationError is a ValueError
            return {}
        return found.versions if (found.bucket, found.key) == (place.bucket, place.key) else {}

    def remember(self, place: StatePlace, entries: Iterable[StateEntry]) -> None:
        """Remember those of all entries that are states, and nothing else any more; where that fails nothing is lost."""
        versions = {
            entry.version_id: KnownVersion(etag=entry.etag, md5=entry.md5, facts=entry.facts)
            for entry in entries
            if entry.version_id != _WRITTEN_OVER and entry.etag and entry.md5 and entry.facts is not None
        }
        file = _File(bucket=place.bucket, key=place.key, versions=versions)
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            private_files.write(self.path, _files().dump_json(file))
