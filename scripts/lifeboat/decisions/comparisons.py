"""Whether a restored database holds what its dump's manifest says."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lifeboat.database_model import Contents, SequenceValue, TableName

# A proof with this remark is of rows alone.
NO_DEFINITIONS = (
    "the schema's definitions are not compared: they were changed while it was dumped, or the server is of another major"
    " version"
)
_NONE: frozenset[TableName] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What differs and must not, and what differs and may."""

    findings: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def compared(wanted: Contents, found: Contents, *, descending: Collection[TableName] = _NONE) -> Compared:
    """Compare rows and fingerprints of each table, sequences, large objects, extensions and definitions.

    `descending` names the sequences that count down. A sequence may be ahead of the dump and never behind it.
    """
    findings = [*_tables(wanted, found), *_sequences(wanted, found, descending), *_large_objects(wanted, found)]
    findings += _schema(wanted, found)
    versions = {extension.name: extension.version for extension in found.extensions}
    findings += [f"extension {e.name} is missing" for e in wanted.extensions if e.name not in versions]
    remarks = [
        f"extension {e.name} is version {versions[e.name]} here and was {e.version}"
        for e in wanted.extensions
        if versions.get(e.name, e.version) != e.version
    ]
    if found.schema and not wanted.schema:
        remarks.append(NO_DEFINITIONS)
    return Compared(findings=tuple(findings), remarks=tuple(remarks))


def rows_differ(wanted: Contents, rows: Mapping[TableName, int]) -> list[str]:
    """Return what differs between the rows that an archive holds and those that the manifest tells."""
    told = {content.table: content.rows for content in wanted.tables}
    findings = []
    for table in sorted({*told, *rows}):
        if table not in rows:
            findings.append(f"table {table}: no data in the archives, {told[table]:,} rows in the manifest")
        elif table in told and rows[table] != told[table]:
            findings.append(f"table {table}: {rows[table]:,} rows in the archives, {told[table]:,} in the manifest")
    return findings


def behind(wanted: SequenceValue, found: SequenceValue, *, step: int) -> bool:
    """Return whether a sequence that moves by `step` would give a value again that the dump had given already."""
    steps = (_next(found, step) - _next(wanted, step)) * (1 if step > 0 else -1)
    return steps < 0


def _next(value: SequenceValue, step: int) -> int:
    return value.last_value + (step if value.is_called else 0)


def _tables(wanted: Contents, found: Contents) -> list[str]:
    here = {content.table: content for content in found.tables}
    findings = []
    for content in wanted.tables:
        other = here.pop(content.table, None)
        if other is None:
            findings.append(f"table {content.table} is missing")
        elif other.rows != content.rows:
            findings.append(f"table {content.table} has {other.rows:,} rows, not {content.rows:,}")
        elif other.fingerprint != content.fingerprint:
            findings.append(f"table {content.table} has {other.rows:,} rows as it should, but other content")
    return [*findings, *(f"table {table} is not in the manifest" for table in sorted(here))]


def _sequences(wanted: Contents, found: Contents, descending: Collection[TableName]) -> list[str]:
    here = {value.sequence: value for value in found.sequences}
    findings = []
    for value in wanted.sequences:
        other = here.get(value.sequence)
        if other is None:
            findings.append(f"sequence {value.sequence} is missing")
        elif behind(value, other, step=-1 if value.sequence in descending else 1):
            findings.append(f"sequence {value.sequence} is at {other.last_value}, behind {value.last_value}")
    return findings


def _schema(wanted: Contents, found: Contents) -> list[str]:
    here = {content.kind: content for content in found.schema}
    findings = []
    for content in wanted.schema:
        other = here.get(content.kind)
        if other is None:
            findings.append(f"nobody looked at the {content.kind}")
        elif other.count != content.count:
            findings.append(f"there are {other.count:,} {content.kind}, not {content.count:,}")
        elif other.fingerprint != content.fingerprint:
            findings.append(
                f"there are {other.count:,} {content.kind} as it should be, but not all defined as they were"
            )
    return findings


def _large_objects(wanted: Contents, found: Contents) -> list[str]:
    was, now = wanted.large_objects, found.large_objects
    if was.count != now.count:
        return [f"there are {now.count:,} large objects, not {was.count:,}"]
    if was.fingerprint != now.fingerprint:
        return [f"there are {now.count:,} large objects as it should be, but their content differs"]
    return []
