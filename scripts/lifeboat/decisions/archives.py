"""What of an archive's table of contents is restored, and what is left out and why: never by ignoring an error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# The descriptions of pg_dump (src/bin/pg_dump, up to 18) that are of several words; all others are of one.
_LONG_KINDS = (
    "ACCESS METHOD",
    "ACL LANGUAGE",
    "BLOB COMMENTS",
    "BLOB METADATA",
    "CHECK CONSTRAINT",
    "DATABASE PROPERTIES",
    "DEFAULT ACL",
    "EVENT TRIGGER",
    "FK CONSTRAINT",
    "FOREIGN DATA WRAPPER",
    "FOREIGN TABLE",
    "INDEX ATTACH",
    "MATERIALIZED VIEW DATA",
    "MATERIALIZED VIEW",
    "OPERATOR CLASS",
    "OPERATOR FAMILY",
    "PROCEDURAL LANGUAGE",
    "PUBLICATION TABLES IN SCHEMA",
    "PUBLICATION TABLE",
    "ROW SECURITY",
    "SECURITY LABEL",
    "SEQUENCE OWNED BY",
    "SEQUENCE SET",
    "SHELL TYPE",
    "STATISTICS DATA",
    "SUBSCRIPTION TABLE",
    "TABLE ATTACH",
    "TABLE DATA",
    "TEXT SEARCH CONFIGURATION",
    "TEXT SEARCH DICTIONARY",
    "TEXT SEARCH PARSER",
    "TEXT SEARCH TEMPLATE",
    "USER MAPPING",
)
_LINE = re.compile(r"(?P<id>[0-9]+); (?P<table>[0-9]+) (?P<oid>[0-9]+) (?P<rest>.*)")

# A copy that published or subscribed would meddle with the replication of what it is a copy of.
_REPLICATION = (
    "PUBLICATION",
    "PUBLICATION TABLE",
    "PUBLICATION TABLES IN SCHEMA",
    "SUBSCRIPTION",
    "SUBSCRIPTION TABLE",
)
_REPLICATION_REASON = "a copy takes no part in replication; create it again when the database serves"
_FOR_SUPERUSERS = {
    "EVENT TRIGGER": "only a superuser may create event triggers, and nobody is one here",
    "SECURITY LABEL": "security labels need their provider and a superuser",
}
RDS_OWNER = "rdsadmin"  # AWS's own superuser: what it owns belongs to the service, not to the application


@dataclass(frozen=True, kw_only=True)
class Item:
    """One line of `pg_restore --list`: an item's number, kind, and the rest as it is printed: schema, name, owner."""

    number: int
    kind: str
    rest: str

    @property
    def owner(self) -> str:
        """Return the last word, which is the owner; empty for what has none."""
        return self.rest.rpartition(" ")[2]

    @property
    def of(self) -> str:
        """Return the kind of thing that a comment is on; empty where it cannot be told."""
        _, _, on = self.rest.partition(" ")
        return _kind(on)[0] if self.kind == "COMMENT" else ""

    def __str__(self) -> str:
        return f"{self.kind} {self.rest.removeprefix('- ').strip()}"


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """An item that is not restored, and why."""

    item: Item
    why: str


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Which items are restored, in their order, and which are not."""

    restored: tuple[Item, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def list_file(self) -> str:
        """Return what `pg_restore --use-list` reads."""
        return "".join(f"{item.number};\n" for item in self.restored)


@dataclass(frozen=True, kw_only=True)
class Rights:
    """What whoever restores may do, and which schemas are there already because an extension needed them."""

    superuser: bool
    schemas_there: frozenset[str] = frozenset()


def items(listing: str) -> list[Item]:
    """Return the items that `pg_restore --list` prints; its header and its remarks are no items."""
    found = []
    for line in listing.splitlines():
        match = _LINE.fullmatch(line)
        if match is not None:
            kind, rest = _kind(match["rest"])
            found.append(Item(number=int(match["id"]), kind=kind, rest=rest))
    return found


def _kind(text: str) -> tuple[str, str]:
    for kind in _LONG_KINDS:
        if text.startswith(f"{kind} "):
            return kind, text[len(kind) + 1 :]
    kind, _, rest = text.partition(" ")
    return kind, rest


def choose(found: Sequence[Item], rights: Rights) -> Chosen:
    """Return what is restored and what is left out, each with its reason."""
    restored, left_out = [], []
    for item in found:
        why = _unwanted(item, rights)
        if why is None:
            restored.append(item)
        else:
            left_out.append(LeftOut(item=item, why=why))
    return Chosen(restored=tuple(restored), left_out=tuple(left_out))


def _unwanted(item: Item, rights: Rights) -> str | None:
    if item.kind in _REPLICATION or item.of in _REPLICATION:
        return _REPLICATION_REASON
    if item.kind == "SCHEMA" and _schema(item) in rights.schemas_there:
        return "it is there already, with the extension that needs it"
    if rights.superuser:
        return None
    if item.of == "EXTENSION":
        return "only an extension's owner may comment on it; the comment comes with the extension"
    for kind, why in _FOR_SUPERUSERS.items():
        if kind in (item.kind, item.of):
            return why
    if item.owner == RDS_OWNER:
        return f"it belongs to {RDS_OWNER}, AWS's own role, and every RDS database has its own"
    return None


def _schema(item: Item) -> str:
    """Return the name of a schema's own item: "- name owner"."""
    return item.rest.removeprefix("- ").rpartition(" ")[0]
