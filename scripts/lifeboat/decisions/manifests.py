"""The manifest as a JSON document and back: format number 1, read strictly."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, TypeVar

from lifeboat.database_model import (
    Contents,
    DumpFile,
    DumpId,
    Extension,
    LargeObjects,
    Manifest,
    SchemaContent,
    Selection,
    SequenceValue,
    Server,
    TableContent,
    TableName,
    dump_begun_at,
)
from lifeboat.errors import NewerFormat

FORMAT = 1
_NEWER = "look into it with the lifeboat that wrote it, or a newer one"
_Thing = TypeVar("_Thing")


def digest(manifest: Manifest) -> str:
    """Return what tells a manifest from every other one, in hex: the SHA-256 of its text as this lifeboat writes it."""
    return hashlib.sha256(written(manifest)).hexdigest()


def written(manifest: Manifest) -> bytes:
    """Return a manifest as it is stored."""
    return json.dumps(document(manifest), indent=1, ensure_ascii=False).encode()


def document(manifest: Manifest) -> dict[str, Any]:
    """Return a manifest for JSON; times are RFC 3339 in UTC, sizes bytes."""
    found = asdict(manifest)
    for name in ("begun_at", "snapshot_at", "ended_at"):
        found[name] = getattr(manifest, name).astimezone(UTC).isoformat()
    return {"format": FORMAT, **found}


def read(body: bytes) -> Manifest:
    """Return the manifest that `written` made this of; raises ValueError saying what is unknown, missing or wrong.

    Raises NewerFormat for one of a newer lifeboat.
    """
    found = json.loads(body.decode())
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    number = found.pop("format", None)
    if isinstance(number, int) and number > FORMAT:
        raise NewerFormat(f"its format is {number}, and this lifeboat knows {FORMAT}", hint=_NEWER)
    if number != FORMAT or isinstance(number, bool):
        raise ValueError(f"its format is {number!r}, and this lifeboat knows {FORMAT}")
    return _whole(found, "the manifest", _manifest)


class _Fields:
    """The fields of one JSON object, each taken once and by its type."""

    def __init__(self, found: dict[str, Any], where: str) -> None:
        self._found = dict(found)
        self.where = where

    def take(self, name: str) -> Any:
        if name not in self._found:
            raise ValueError(f"{self.where} lacks {name}")
        return self._found.pop(name)

    def left(self) -> list[str]:
        return sorted(self._found)

    def text(self, name: str) -> str:
        return _typed(self.take(name), str, f"{self.where}: {name}")

    def number(self, name: str) -> int:
        return _typed(self.take(name), int, f"{self.where}: {name}")

    def flag(self, name: str) -> bool:
        return _typed(self.take(name), bool, f"{self.where}: {name}")

    def text_or_none(self, name: str) -> str | None:
        value = self.take(name)
        return None if value is None else _typed(value, str, f"{self.where}: {name}")

    def number_or_none(self, name: str) -> int | None:
        value = self.take(name)
        return None if value is None else _typed(value, int, f"{self.where}: {name}")

    def size(self, name: str) -> int:
        value = self.number(name)
        if value < 0:
            raise ValueError(f"{self.where}: {name} is negative")
        return value

    def time(self, name: str) -> datetime:
        found = datetime.fromisoformat(self.text(name))
        if found.tzinfo is None:
            raise ValueError(f"{self.where}: {name} has no zone")
        return found.astimezone(UTC)

    def one(self, name: str, make: Callable[[_Fields], _Thing]) -> _Thing:
        return _whole(self.take(name), name, make)

    def many(self, name: str, make: Callable[[_Fields], _Thing]) -> tuple[_Thing, ...]:
        listed = _typed(self.take(name), list, f"{self.where}: {name}")
        return tuple(_whole(entry, f"an entry of {name}", make) for entry in listed)

    def texts(self, name: str) -> tuple[str, ...]:
        listed = _typed(self.take(name), list, f"{self.where}: {name}")
        return tuple(_typed(entry, str, f"an entry of {name}") for entry in listed)


def _typed(value: object, kind: type[_Thing], what: str) -> _Thing:
    # JSON's true is an int to Python.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{what} is not of the type {kind.__name__}")
    return value


def _whole(found: object, where: str, make: Callable[[_Fields], _Thing]) -> _Thing:
    """Return what `make` reads of an object; raises ValueError when anything of it is left."""
    fields = _Fields(_typed(found, dict, where), where)
    made = make(fields)
    if fields.left():
        raise ValueError(f"{where} has the unknown {', '.join(fields.left())}")
    return made


def _manifest(of: _Fields) -> Manifest:
    name = of.text("id")
    if dump_begun_at(name) is None:
        raise ValueError(f"{name!r} is no dump's id")
    return Manifest(
        id=DumpId(name),
        application=of.text("application"),
        environment=of.text("environment"),
        database=of.text("database"),
        begun_at=of.time("begun_at"),
        snapshot_at=of.time("snapshot_at"),
        ended_at=of.time("ended_at"),
        lsn=of.text("lsn"),
        standby=of.flag("standby"),
        server=of.one("server", _server),
        client_version=of.text("client_version"),
        lifeboat_version=of.text("lifeboat_version"),
        git_sha=of.text_or_none("git_sha"),
        image_tag=of.text_or_none("image_tag"),
        state_serial=of.number_or_none("state_serial"),
        selection=of.one("selection", lambda s: Selection(schemas=s.texts("schemas"), tables=s.texts("tables"))),
        files=of.many("files", _file),
        contents=of.one("contents", _contents),
        flags=of.texts("flags"),
    )


def _server(of: _Fields) -> Server:
    return Server(
        version=of.text("version"),
        version_number=of.size("version_number"),
        encoding=of.text("encoding"),
        collation=of.text("collation"),
        character_type=of.text("character_type"),
        collation_version=of.text("collation_version"),
        owner=of.text("owner"),
    )


def _file(of: _Fields) -> DumpFile:
    return DumpFile(
        name=of.text("name"),
        version_id=of.text("version_id"),
        etag=of.text("etag"),
        crc64nvme=of.text("crc64nvme"),
        size=of.size("size"),
        sha256=of.text("sha256"),
        raw_size=of.size("raw_size"),
        raw_sha256=of.text("raw_sha256"),
        tables=of.many("tables", _table_name),
        parts_sha256=of.text("parts_sha256"),
    )


def _contents(of: _Fields) -> Contents:
    return Contents(
        tables=of.many(
            "tables",
            lambda t: TableContent(
                table=t.one("table", _table_name), rows=t.size("rows"), fingerprint=t.text("fingerprint")
            ),
        ),
        sequences=of.many(
            "sequences",
            lambda s: SequenceValue(
                sequence=s.one("sequence", _table_name),
                last_value=s.number("last_value"),
                is_called=s.flag("is_called"),
            ),
        ),
        large_objects=of.one(
            "large_objects", lambda o: LargeObjects(count=o.size("count"), fingerprint=o.text("fingerprint"))
        ),
        extensions=of.many("extensions", lambda e: Extension(name=e.text("name"), version=e.text("version"))),
        schema=of.many(
            "schema",
            lambda s: SchemaContent(kind=s.text("kind"), count=s.size("count"), fingerprint=s.text("fingerprint")),
        ),
    )


def _table_name(of: _Fields) -> TableName:
    return TableName(schema=of.text("schema"), name=of.text("name"))
