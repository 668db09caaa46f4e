"""Printing of Terraform's state: its history, one version, what differs between two; nothing of it sensitive."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rich.markup import escape

from lifeboat.commands.state import Compared, Listed, Read
from lifeboat.decisions.durations import said
from lifeboat.decisions.recovery_points import humane
from lifeboat.state_model import (
    AttributeChange,
    Move,
    ResourceChange,
    ResourceView,
    StateDiff,
    StateEntry,
    StateFacts,
    StateHistory,
)
from lifeboat.views import aligned, clean, console, lines, next_command, pairs

_HEADINGS = (
    "written (UTC)",
    "age",
    "version",
    "",
    "serial",
    "lineage",
    "resources",
    "terraform",
    "size",
    "digest",
    "by",
    "readable",
)
_LINEAGE = 8  # signs of a lineage that tell one from another in a table
_LONGEST = 160  # signs of a value in a table; JSON has the whole
_NO_DIGEST = "none is kept"


# -- the history -------------------------------------------------------------------------------------------------------


def listed(found: Listed) -> None:
    """Print every version and delete marker, newest first, and below them what is amiss."""
    history = found.history
    rows = [_row(entry, history, found.now) for entry in history.entries]
    lines([f"{found.place.url} in {found.place.region}" + (", the copy" if found.place.replica else "")])
    lines(map(clean, aligned([_HEADINGS, *rows])))
    lines([_counted(history)])
    out = console(stderr=False)
    for warning in found.warnings:
        out.print(f"[yellow]! {escape(clean(warning.what))}[/yellow]")
        out.print(f"  next: {escape(next_command(warning.next))}")


def _row(entry: StateEntry, history: StateHistory, now: datetime) -> tuple[str, ...]:
    facts = entry.facts
    return (
        f"{entry.written_at:%Y-%m-%d %H:%M:%S}",
        said(now - entry.written_at),
        entry.version_id,
        "latest" if entry.latest else "",
        "" if facts is None else str(facts.serial),
        "" if facts is None else facts.lineage[:_LINEAGE],
        "" if facts is None else str(facts.resources),
        "" if facts is None else facts.terraform_version,
        "" if entry.marker else humane(entry.size),
        _digest(entry, history),
        entry.by or "-",
        _readable(entry),
    )


def _readable(entry: StateEntry) -> str:
    if entry.marker:
        return "a delete marker"
    return "yes" if entry.facts is not None else f"no: {entry.damage}"


def _digest(entry: StateEntry, history: StateHistory) -> str:
    if not history.keeps_digest:
        return _NO_DIGEST
    if entry.md5 is not None and entry.md5 == history.digest:
        return "current digest"
    return "not the digest" if entry.latest else ""


def _counted(history: StateHistory) -> str:
    markers = sum(entry.marker for entry in history.entries)
    broken = sum(entry.facts is None and not entry.marker for entry in history.entries)
    return f"{len(history.entries) - markers} versions, {broken} of them not readable; {markers} delete markers"


def listed_document(found: Listed) -> dict[str, Any]:
    """Return the history for JSON; times are RFC 3339, sizes bytes, ages seconds."""
    history = found.history
    return {
        "root": history.root.value,
        "bucket": history.bucket,
        "key": history.key,
        "region": history.region,
        "replica": found.place.replica,
        "keeps_digest": history.keeps_digest,
        "digest": history.digest,
        "versions": [entry_document(entry, history, found.now) for entry in history.entries],
        "warnings": [{"what": one.what, "next": next_command(one.next)} for one in found.warnings],
        "unseen": [error.summary for error in found.unseen],
    }


def entry_document(entry: StateEntry, history: StateHistory, now: datetime) -> dict[str, Any]:
    """Return one entry of a history for JSON."""
    return {
        "version_id": entry.version_id,
        "written_at": entry.written_at.isoformat(),
        "age_seconds": round((now - entry.written_at).total_seconds()),
        "latest": entry.latest,
        "marker": entry.marker,
        "size": entry.size,
        "md5": entry.md5,
        "is_digest": entry.md5 is not None and entry.md5 == history.digest if history.keeps_digest else None,
        "readable": entry.facts is not None,
        "damage": entry.damage,
        "by": entry.by,
        **_facts_document(entry.facts),
    }


def _facts_document(facts: StateFacts | None) -> dict[str, Any]:
    return {
        "serial": None if facts is None else facts.serial,
        "lineage": None if facts is None else facts.lineage,
        "resources": None if facts is None else facts.resources,
        "terraform_version": None if facts is None else facts.terraform_version,
        "environment": None if facts is None else facts.environment,
    }


# -- one version -------------------------------------------------------------------------------------------------------


def shown(found: Read) -> None:
    """Print what a version says of itself, its resources and its outputs."""
    document, entry = found.document, found.entry
    facts = document.facts
    written = [] if entry is None else [("written", f"{entry.written_at:%Y-%m-%d %H:%M:%S}Z")]
    pairs(
        [
            ("version", clean(found.name if entry is None else entry.version_id)),
            *written,
            ("serial", str(facts.serial)),
            ("lineage", clean(facts.lineage)),
            ("terraform", clean(facts.terraform_version)),
            ("environment", clean(facts.environment or "it does not say")),
            ("resources", f"{facts.resources}, and {document.data_sources} data sources, which are read anew"),
        ]
    )
    rows = [
        (view.module or "(root)", view.kind, view.address, view.id) for view in _ordered(document.resources.values())
    ]
    lines(["", *map(clean, aligned([("module", "type", "address", "id"), *rows]))])
    outputs = [(output.name, _short(output.value)) for output in document.outputs.values()]
    lines(["", *map(clean, aligned([("output", "value"), *outputs]))])


def _ordered(views: Iterable[ResourceView]) -> list[ResourceView]:
    return sorted(views, key=lambda view: (view.module, view.kind, view.address))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} signs)"


def shown_document(found: Read) -> dict[str, Any]:
    """Return a version for JSON; the values of outputs are JSON in a text."""
    document, entry = found.document, found.entry
    return {
        "name": found.name,
        "version_id": None if entry is None else entry.version_id,
        "written_at": None if entry is None else entry.written_at.isoformat(),
        **_facts_document(document.facts),
        "resources": [_view_document(view) for view in _ordered(document.resources.values())],
        "data_sources": document.data_sources,
        "outputs": [{"name": o.name, "sensitive": o.sensitive, "value": o.value} for o in document.outputs.values()],
    }


def _view_document(view: ResourceView) -> dict[str, Any]:
    return {
        "address": view.address,
        "module": view.module,
        "type": view.kind,
        "id": view.id,
        "deposed": view.deposed,
    }


# -- two versions ------------------------------------------------------------------------------------------------------


def compared(found: Compared) -> None:
    """Print what becomes of the first state in the second, and the counts of it."""
    lines([clean(f"from {_called(found.old)}"), clean(f"to   {_called(found.new)}")])
    difference(found.diff)


def difference(diff: StateDiff) -> None:
    """Print what one state has that another has not, a line for each resource and attribute, and the counts."""
    if len(set(diff.lineages)) > 1:
        lines([clean(f"! they are of different lineages, so two histories: {diff.lineages[0]}, {diff.lineages[1]}")])
    out = console(stderr=False)
    for sign, color, views in (("+", "green", diff.added), ("-", "red", diff.removed)):
        for view in views:
            out.print(f"[{color}]{sign:>3} {escape(clean(f'{view.address}  {view.id}'))}[/{color}]")
    lines(clean(f" -> {move.old} is now {move.new}  {move.id}") for move in diff.moved)
    for change in diff.replaced:
        out.print(f"[red]-/+ {escape(clean(f'{change.address}  {change.old_id} -> {change.new_id}'))}[/red]")
        lines(map(_change, change.changes))
    for change in diff.changed:
        lines([clean(f"  ~ {change.address}  {change.new_id}"), *map(_change, change.changes)])
    if diff.outputs:
        lines(["outputs:", *map(_change, diff.outputs)])
    lines([_summary(diff)])


def _called(found: Read) -> str:
    facts, entry = found.document.facts, found.entry
    what = found.name if entry is None else f"{entry.version_id} of {entry.written_at:%Y-%m-%d %H:%M:%S}Z"
    return f"{what}: serial {facts.serial}, {facts.resources} resources, terraform {facts.terraform_version}"


def _change(change: AttributeChange) -> str:
    return clean(f"      {change.path}: {_short(change.old or '(none)')} -> {_short(change.new or '(none)')}")


def _summary(diff: StateDiff) -> str:
    if diff.same:
        return "no difference: both say the same of the world"
    return (
        f"{len(diff.added)} added, {len(diff.removed)} removed, {len(diff.replaced)} replaced, {len(diff.changed)} changed,"
        f" {len(diff.moved)} moved; {len(diff.outputs)} values of outputs changed"
    )


def compared_document(found: Compared) -> dict[str, Any]:
    """Return which states were compared, and what differs, for JSON."""
    return {"old": _read_document(found.old), "new": _read_document(found.new), **diff_document(found.diff)}


def _read_document(found: Read) -> dict[str, Any]:
    return {
        "name": found.name,
        "version_id": None if found.entry is None else found.entry.version_id,
        **_facts_document(found.document.facts),
    }


def diff_document(diff: StateDiff) -> dict[str, Any]:
    """Return a difference for JSON; values are JSON in a text, null where there is none."""
    return {
        "same": diff.same,
        "added": [_view_document(view) for view in diff.added],
        "removed": [_view_document(view) for view in diff.removed],
        "moved": [_move_document(move) for move in diff.moved],
        "replaced": [_resource_document(change) for change in diff.replaced],
        "changed": [_resource_document(change) for change in diff.changed],
        "outputs": [_change_document(change) for change in diff.outputs],
    }


def _move_document(move: Move) -> dict[str, Any]:
    return {"old": move.old, "new": move.new, "id": move.id}


def _resource_document(change: ResourceChange) -> dict[str, Any]:
    return {
        "address": change.address,
        "old_id": change.old_id,
        "new_id": change.new_id,
        "attributes": [_change_document(one) for one in change.changes],
    }


def _change_document(change: AttributeChange) -> dict[str, Any]:
    return {"path": change.path, "old": change.old, "new": change.new}
