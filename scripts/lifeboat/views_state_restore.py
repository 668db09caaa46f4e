"""Printing of a restore of Terraform's state: what would be done, before anything is; what was done, and what a plan says."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.markup import escape

from lifeboat import views
from lifeboat.commands.state_restore import Done
from lifeboat.decisions import plans
from lifeboat.stack.state_restoring import Preview, Source
from lifeboat.state_model import StateChoice, StateEntry
from lifeboat.views import clean
from lifeboat.views_state import diff_document

_NAMED = 20  # resources of a kind, in the preview


def preview(found: Preview) -> None:
    """Print on stderr which version would be put on top, what that changes in the state, and what would be written."""
    out = views.console(stderr=True)
    facts, restoring = found.chosen.facts, found.restoring
    copy = f", from the replica {found.came_from}" if found.request.source is Source.REPLICA else ""
    rows = [
        ("state", found.place),
        ("on top", _called(found.on_top)),
        ("chosen", f"{_called(found.chosen)}{copy}"),
        ("why", found.choice.why),
    ]
    if facts is not None:
        rows.append(
            ("serial", f"{facts.serial} -> {restoring.serial}" if restoring.writes_state else str(facts.serial))
        )
    rows += [("to note", remark) for remark in found.remarks]
    for name, value in rows:
        out.print(escape(clean(f"{name:<8} {value}")))
    changes = found.changes
    if changes is None:
        nothing = found.on_top is None or found.on_top.marker
        why = "nothing stands on top" if nothing else "what stands on top cannot be read"
        out.print(f"{why}, so there is nothing to compare with: all of the chosen version comes back")
    elif restoring.writes_state:
        _named(found, "come back", [f"{view.address} ({view.id})" for view in changes.added])
        _named(found, "change", [f"{one.address} ({one.new_id})" for one in changes.changed])
    _named(found, "appear", [f"{one.address} ({one.id})" for one in found.appear])
    _named(found, "vanish", [f"{one.address} ({one.id}), known to {one.known_to}" for one in found.vanish])
    if not restoring.writes:
        out.print("nothing is to be written: it stands on top, and everything about it is in order")
    for number, text in enumerate(found.written, start=1):
        out.print(escape(clean(f"  {number}. {text}")))


def _named(found: Preview, what: str, names: list[str]) -> None:
    out = views.console(stderr=True)
    if not found.restoring.writes_state:
        return
    out.print(escape(f"{what}: {len(names)}"))
    for name in names[:_NAMED]:
        out.print(escape(clean(f"  {name}")))
    if len(names) > _NAMED:
        out.print(f"  and {len(names) - _NAMED} more; lifeboat state diff shows all")


def _called(entry: StateEntry | None) -> str:
    if entry is None:
        return "nothing"
    at = f"{entry.written_at:%Y-%m-%d %H:%M:%S}Z"
    if entry.marker:
        return f"a delete marker of {at}"
    if entry.facts is None:
        return f"version {entry.version_id} of {at}, which cannot be read: {entry.damage}"
    return f"version {entry.version_id} of {at}: serial {entry.facts.serial}, {entry.facts.resources} resources"


def restored(found: Done) -> None:
    """Print what stands on top now and, for each root, what an apply would change."""
    views.lines([_said(found)])
    for name, plan in found.planned.plans:
        views.plan(name, plan)


def _said(found: Done) -> str:
    done = found.restored
    if done.run is None:
        else_written = (
            "; of the state nothing was written, and in the other region was written down that it is the newest"
            if done.written_down
            else "; nothing was written"
        )
        return f"serial {done.serial} stands on top of {found.preview.place} already{else_written}"
    return f"serial {done.serial} stands on top of {found.preview.place}; written down as run {done.run}"


def restored_document(found: Done) -> dict[str, Any]:
    """Return what was done, and what an apply would change, for JSON."""
    return {
        **preview_document(found.preview),
        "run": found.restored.run,
        "written": list(found.restored.written),
        "unremembered": found.restored.unremembered,
        "written_down": found.restored.written_down,
        "plans": [
            {"root": name, "empty": plan.empty, "summary": plans.headline(plan)} for name, plan in found.planned.plans
        ],
    }


def preview_document(found: Preview) -> dict[str, Any]:
    """Return what was decided for JSON; times are RFC 3339."""
    chosen = found.chosen
    return {
        "root": found.request.root.value,
        "state": found.place,
        "from": found.came_from,
        "version_id": chosen.version_id,
        "written_at": chosen.written_at.isoformat(),
        "why": found.choice.why,
        "remarks": list(found.remarks),
        "serial": found.restoring.serial,
        "serial_before": None if chosen.facts is None else chosen.facts.serial,
        "vanish": [{"address": one.address, "id": one.id, "known_to": one.known_to} for one in found.vanish],
        "appear": [{"address": one.address, "id": one.id} for one in found.appear],
        "changes": None if found.changes is None else diff_document(found.changes),
    }


def pulled(choice: StateChoice, path: Path) -> list[str]:
    """Return the lines that tell which version was written into a file."""
    return [clean(f"{path}: {_called(choice.chosen)} ({choice.why})"), *_remarks(choice.remarks)]


def _remarks(remarks: Iterable[str]) -> list[str]:
    return [clean(f"to note: {remark}") for remark in remarks]
