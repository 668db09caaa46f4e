"""Which tables and sequences a dump is of: the patterns of --schema and --table, applied to what is there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lifeboat.database_model import Contents, Relation, Selection, TableName
from lifeboat.decisions.fingerprints import quoted_name

_OUTSIDE = re.compile(r"pg_catalog|information_schema|pg_toast.*|pg_temp.*")


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What a selection takes of a database, by schema and name, and which of its patterns match nothing."""

    relations: tuple[Relation, ...]
    unmatched: tuple[str, ...]

    def of_kind(self, kinds: str) -> tuple[Relation, ...]:
        """Return those of some kinds (pg_class.relkind)."""
        return tuple(relation for relation in self.relations if relation.kind in kinds)


def counted(tables: Iterable[Relation]) -> dict[TableName, tuple[Relation, ...]]:
    """Return the tables whose rows are told together, by the name that they are told under, in the order of these.

    Each is told by itself, but for partitions whose rows are loaded through the table that they divide: that is what a copy
    can be held against, since a restore spreads them otherwise.
    """
    found: dict[TableName, tuple[Relation, ...]] = {}
    for table in tables:
        name = table.through or table.name
        found[name] = (*found.get(name, ()), table)
    return dict(sorted(found.items()))


def problem(selection: Selection) -> str | None:
    """Return what is wrong with a selection's patterns; None where they can be used."""
    if selection.schemas and selection.tables:
        return "--schema and --table exclude each other: write --table SCHEMA.* for all tables of a schema"
    for pattern in selection.schemas:
        if len(_parts(pattern) or ()) != 1:
            return f"{pattern!r} is no pattern of a schema: write a name, * or ? in it, or a name in double quotes"
    for pattern in selection.tables:
        if len(_parts(pattern) or ()) not in (1, 2):
            return f"{pattern!r} is no pattern of a table: write TABLE or SCHEMA.TABLE, * or ? in it, or double quotes"
    return None


def by_name(selection: Selection, found: Contents) -> Selection:
    """Return the selection of what a selection by tables has found, by full names: in a database with another search_path too.

    One of schemas, or of all, means the same everywhere.
    """
    names = [*(one.table for one in found.tables), *(one.sequence for one in found.sequences)]
    return replace(selection, tables=tuple(map(quoted_name, names))) if selection.tables and names else selection


def chosen(relations: Iterable[Relation], selection: Selection) -> Chosen:
    """Return what a selection takes of the relations of a database; what an extension made belongs to no selection.

    A sequence comes with the table that owns it.
    """
    ours = sorted(
        (r for r in relations if r.extension is None and not _OUTSIDE.fullmatch(r.name.schema)), key=lambda r: r.name
    )
    if selection.whole:
        return Chosen(relations=tuple(ours), unmatched=())
    patterns = selection.schemas or selection.tables
    matched = {
        pattern: [r for r in ours if _schema_fits(r, pattern)]
        if selection.schemas
        else [r for r in ours if _table_fits(r, pattern)]
        for pattern in patterns
    }
    names = {relation.name for found in matched.values() for relation in found}
    return Chosen(
        relations=tuple(r for r in ours if r.name in names or (r.owner is not None and r.owner in names)),
        unmatched=tuple(pattern for pattern, found in matched.items() if not found),
    )


def _schema_fits(relation: Relation, pattern: str) -> bool:
    return re.fullmatch((_parts(pattern) or ("",))[0], relation.name.schema, re.DOTALL) is not None


def _table_fits(relation: Relation, pattern: str) -> bool:
    parts = _parts(pattern) or ("",)
    if re.fullmatch(parts[-1], relation.name.name, re.DOTALL) is None:
        return False
    # Without a schema, what the role finds without one (PostgreSQL manual, psql, "Patterns").
    return relation.visible if len(parts) == 1 else re.fullmatch(parts[0], relation.name.schema, re.DOTALL) is not None


def _parts(pattern: str) -> Sequence[str] | None:
    """Return a pattern's parts between its dots as regular expressions; None where it is none.

    As psql has it: * is any text, ? any character, what is in double quotes stands for itself, all else is lower case.
    """
    parts, quoted, at = [""], False, 0
    while at < len(pattern):
        sign = pattern[at]
        if sign == '"':
            if quoted and pattern[at + 1 : at + 2] == '"':
                parts[-1] += re.escape('"')
                at += 1
            else:
                quoted = not quoted
        elif quoted:
            parts[-1] += re.escape(sign)
        elif sign == ".":
            parts.append("")
        else:
            parts[-1] += {"*": ".*", "?": "."}.get(sign) or re.escape(sign.lower())
        at += 1
    return None if quoted or not all(parts) else parts
