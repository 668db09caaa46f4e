"""Printing of a rebuild of Terraform's state: what was found of all that should be there, and what would be written."""

from __future__ import annotations

from typing import Any

from rich.markup import escape

from lifeboat import views
from lifeboat.commands.state_rebuild import Done, Preview
from lifeboat.decisions import plans, state_rebuilding
from lifeboat.decisions.state_rebuilding import Existing
from lifeboat.stack.state_rebuilding import Found, Rebuilt
from lifeboat.stack.state_restoring import Writing
from lifeboat.views import clean


def found(seen: Found) -> None:
    """Print on stderr everything that was found, and what was not, or is in doubt, or bears our tags and has no address."""
    inspected = seen.inspected
    _listed("found", [_existing(one) for one in inspected.existing])
    _listed(
        "not found, and made by the next apply",
        [f"{one.address}: {one.why}" + (f"; {one.costs}" if one.costs else "") for one in inspected.missing],
    )
    _listed(
        "to be decided",
        [state_rebuilding.doubt_words(one, seen.owned) for one in inspected.doubtful],
    )
    _listed(
        "bears our tags and has no address",
        [state_rebuilding.thing_words(thing) for thing in seen.strangers],
    )


def _listed(what: str, lines: list[str]) -> None:
    _line(f"{what}: {len(lines)}")
    for line in lines:
        _line(f"  {line}")


def _existing(one: Existing) -> str:
    return f"{one.address}  {one.import_id}  {one.way}" + ("; it bears no tag of an owner" if one.unowned else "")


def rebuilt(made: Rebuilt) -> None:
    """Print on stderr what state was made of it, and what an apply would change with it."""
    _line(f"state    {made.writing.place}: {made.resources} resources, serial {made.writing.restoring.serial}")
    _line(f"lineage  {made.lineage}, {made.whose}")
    if made.settings:
        _line(f"settings that AWS does not keep, as the configuration has them: {', '.join(made.settings)}")
    for remark in made.remarks:
        _line(f"to note  {remark}")
    _line(f"an apply with it: {plans.headline(made.changes)}")
    for change in made.changes.changes:
        _line(f"  {change.action} {change.address}")
    left(made.writing)


def left(writing: Writing) -> None:
    """Print on stderr what is to be written; nothing where all is."""
    if not writing.restoring.writes:
        _line("a rebuild has written everything; it is only read back")
    for number, text in enumerate(writing.written, start=1):
        _line(f"  {number}. {text}")


def _line(text: str) -> None:
    views.console(stderr=True).print(escape(clean(text)))


def done(ended: Done) -> None:
    """Print what stands on top now and, for each root, what an apply would change."""
    restored, place = ended.restored, ended.preview.writing.place
    noted = "" if restored.run is None else f"; written down as run {restored.run}"
    views.lines([f"serial {restored.serial} stands on top of {place}{noted}"])
    for name, plan in ended.planned.plans:
        views.plan(name, plan)


def preview_document(seen: Preview) -> dict[str, Any]:
    """Return what was found and would be written, for JSON."""
    inspected, made = None if seen.found is None else seen.found.inspected, seen.rebuilt
    return {
        "root": seen.writing.root.value,
        "state": seen.writing.place,
        "serial": seen.writing.restoring.serial,
        "lineage": None if made is None else made.lineage,
        "to_write": list(seen.writing.written),
        "found": [
            {"address": one.address, "import_id": one.import_id, "how": one.way.value, "unowned": one.unowned}
            for one in (() if inspected is None else inspected.existing)
        ],
        "not_found": [
            {"address": one.address, "why": one.why, "costs": one.costs or None}
            for one in (() if inspected is None else inspected.missing)
        ],
        "without_address": [
            {"kind": thing.kind, "name": thing.name, "region": thing.region}
            for thing in (() if seen.found is None else seen.found.strangers)
        ],
        "settings": [] if made is None else list(made.settings),
        "changes": None
        if made is None
        else [{"address": change.address, "action": change.action.value} for change in made.changes.changes],
    }


def done_document(ended: Done) -> dict[str, Any]:
    """Return what was done, and what an apply would change, for JSON."""
    return {
        **preview_document(ended.preview),
        "run": ended.restored.run,
        "written": list(ended.restored.written),
        "unremembered": ended.restored.unremembered,
        "plans": [
            {"root": name, "empty": plan.empty, "summary": plans.headline(plan)} for name, plan in ended.planned.plans
        ],
    }
