"""A state of which no version is left, made anew of what exists: looked for and imported in a copy, nothing written."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from lifeboat.clients import inventory_rewritten, owned_things, private_files, run_files, terraform
from lifeboat.clients.inventory import Inventory
from lifeboat.clients.terraform import Terraform
from lifeboat.decisions import (
    adoption,
    plans,
    state_digest_checks,
    state_documents,
    state_rebuilding,
    state_restoring,
)
from lifeboat.decisions import known_states as known_states_decided
from lifeboat.decisions.state_rebuilding import Doubtful, Existing, Inspected, Missing
from lifeboat.decisions.state_restoring import REBUILD, Seen
from lifeboat.errors import IntegrityFailure, NothingFits, Refused, StoppedPartWay, Unreachable, WrongConfiguration
from lifeboat.model import Address, Adoption, Candidate, Plan, StateMark, Teller, Wanted
from lifeboat.site import Site
from lifeboat.stack import known_states, repair
from lifeboat.stack import state_restoring as restoring_command
from lifeboat.stack.repair import ADOPTION_FILE, MAKING_SECONDS
from lifeboat.stack.state_restoring import Writing
from lifeboat.state_model import REBUILT, OwnedThing, StateEntry, StateHistory, StateRoot, StateTop, VersionId, Whose

_MAKING = ("creating", "pending")  # until then it has no address, and a plan of it would not say what it is
_WAIT_SECONDS = 2.0
_SHOWN = 5  # versions that are named in a refusal


@dataclass(frozen=True, kw_only=True)
class Request:
    """Which root's state to make anew, and what a person decided for it.

    `chosen` are the ids of what could be several things, `passed_over` versions that are not the environment's, `accept`
    how many things an apply may make anew that hold data. `again` is the command that asks for it, without --accept.
    """

    root: StateRoot
    chosen: Mapping[Address, str] = field(default_factory=dict, hash=False)
    passed_over: frozenset[VersionId] = frozenset()
    accept: int = 0
    again: str


@dataclass(frozen=True, kw_only=True)
class Lost:
    """What was looked at of a state that is lost: both histories (None: there is no replica bucket), and what is on top.

    `damaged` are the states that damaged versions were, as far as their beginnings say so; `left` ids of dead locks.
    """

    primary: StateHistory
    replica: StateHistory | None
    top: StateTop | None = field(repr=False)
    damaged: tuple[StateMark, ...]
    table: bool
    left: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What exists of all that the configuration names, all that bears our tags, and what of that has no address."""

    inspected: Inspected
    owned: tuple[OwnedThing, ...]
    strangers: tuple[OwnedThing, ...]


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """The state that was made of it, and what an apply would change of it.

    `settings` were taken from the configuration, since AWS does not keep them.
    """

    writing: Writing
    lineage: str
    whose: str
    resources: int
    settings: tuple[str, ...]
    changes: Plan
    remarks: tuple[str, ...]


# -- is it lost? -------------------------------------------------------------------------------------------------------


def look(site: Site, tell: Teller, request: Request) -> Lost:
    """Return what is left of a state, whatever that is; nothing is changed.

    Raises Unreachable where either bucket cannot be looked at, or there is none to write to, Locked where somebody holds it.
    """
    with tell.waiting() as show:
        try:
            primary = site.state_versions(request.root).history(show)
        except NothingFits as error:
            raise Unreachable(
                f"nothing can be written where the bucket of the state is not there: {error.summary}",
                hint=f"lifeboat state doctor says how it is made; then: {request.again}",
            ) from error
        try:
            replica: StateHistory | None = site.replica_state_versions(request.root).history(show)
        except NothingFits:
            replica = None
    top = site.state_writing(request.root).top()
    restoring_command.require_as_listed(primary, top)
    return Lost(
        primary=primary,
        replica=replica,
        top=top,
        damaged=tuple(_damaged(site, request.root, [primary, *([] if replica is None else [replica])])),
        table=site.stack_store().table_exists(),
        left=restoring_command.locks_left(site, request.root),
    )


def _damaged(site: Site, root: StateRoot, histories: list[StateHistory]) -> Iterator[StateMark]:
    sides = (site.state_versions(root), site.replica_state_versions(root))
    for versions, history in zip(sides, histories, strict=False):
        for entry in history.entries:
            if entry.facts is None and entry.md5 is not None:
                mark = state_rebuilding.head(versions.body(entry.version_id))
                if mark is not None:
                    yield mark


def half_done(site: Site, request: Request, lost: Lost) -> Writing | None:
    """Return what an earlier rebuild, which was cut off after it had written the state, has not written yet."""
    if lost.top is None or not state_rebuilding.is_rebuilt(lost.primary.current, REBUILT):
        return None
    found = writing(site, request, lost, lost.top.body)
    unended = any(state_restoring.is_of(run, [REBUILD]) for run in site.journals().unended())
    if found.restoring.writes_state or not (found.restoring.writes or unended):
        return None
    return found


def require_lost(site: Site, request: Request, lost: Lost) -> None:
    """Raise Refused where anything is left that a restore can use.

    Raises Unreachable where nobody can say whether it is, or of which lineage and serial the state was that is lost.
    """
    repair.require_own(site, site.stack_store())
    _require_nothing_here(site, request)
    site.state_memory().read(request.root)  # a damaged memory is told, and written anew
    whose = Whose(environment=site.project.env, lineage=None)
    here = state_rebuilding.left(lost.primary.entries, whose, request.passed_over)
    there = state_rebuilding.left(() if lost.replica is None else lost.replica.entries, whose, request.passed_over)
    usable = here.usable or there.usable
    if usable:
        how = "--latest-good" if here.usable else "--from-replica"
        place = lost.primary if here.usable or lost.replica is None else lost.replica
        raise Refused(
            f"s3://{place.bucket}/{place.key} has {_counted(usable)} that can be read: {_named(usable)}",
            hint=f"lifeboat state restore {how}{_root(request.root)}; where lifeboat state show tells that a version is not"
            f" this environment's: {request.again} --pass-over {usable[0].version_id}",
        )
    unread = (*here.unread, *there.unread)
    if unread:
        raise Unreachable(
            f"{_counted(unread)} may hold the state, and cannot be read: {_named(unread)}",
            hint="give it back what it lacks (its key, its place outside the archive, a newer Terraform); where one is lost"
            f" for good: {request.again} --pass-over {unread[0].version_id}",
        )


def _counted(entries: tuple[StateEntry, ...]) -> str:
    return f"{len(entries)} version{'' if len(entries) == 1 else 's'}"


def _named(entries: tuple[StateEntry, ...]) -> str:
    names = [
        f"{e.version_id} ({e.damage or 'unreadable'})"
        if e.facts is None
        else f"{e.version_id} (serial {e.facts.serial}, {e.facts.resources} resources, lineage {e.facts.lineage})"
        for e in entries[:_SHOWN]
    ]
    return ", ".join(names) + (f" and {len(entries) - _SHOWN} more" if len(entries) > _SHOWN else "")


def _root(root: StateRoot) -> str:
    return "" if root is StateRoot.STACK else f" --root {root.value}"


def _require_nothing_here(site: Site, request: Request) -> None:
    """Raise Refused where this machine still has the state: it knows what no search finds."""
    stack = request.root is StateRoot.STACK
    folder = site.project.stack_root if stack else site.project.state_root
    unsaved = folder / "errored.tfstate"
    if _is_ours(site, unsaved):
        kept = f"look at it, then: cp {unsaved} {site.root_state_file} && rm {unsaved}"
        raise Refused(
            f"Terraform could not save its state and left it in {unsaved}",
            hint=repair.put_on_top(site, unsaved) if stack else kept,
        )
    if not stack and _is_ours(site, site.root_state_file):
        raise Refused(
            f"the working copy of root 1's state is here: {site.root_state_file}",
            hint="lifeboat apply puts it into the bucket",
        )


def _is_ours(site: Site, path: Path) -> bool:
    try:
        facts = state_documents.facts(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return False
    return facts.environment in (None, site.project.env)  # roots are shared: it may be another environment's


# -- what exists -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Scratch:
    """A copy of a root whose state is a file beside it, in a folder that only we may read and that is gone afterwards."""

    site: Site
    tell: Teller
    terraform: Terraform
    folder: Path
    request: Request

    def plan(self, name: str) -> tuple[Plan, Path]:
        """Return what a plan says, and where it is saved."""
        saved = self.folder / f"{name}.plan"
        seconds = self.site.project.environment.terraform.plan_minutes * 60
        running = self.terraform.plan(out=saved, events=self.folder / f"{name}.jsonl", seconds=seconds)
        try:
            return running.planned(), saved
        finally:
            # It runs in a session of its own: nobody else would end it.
            if not running.ended:
                running.stop()

    def know(self, body: bytes) -> None:
        """Make a state what the copy knows."""
        private_files.write(self.terraform.root / "terraform.tfstate", body)


@contextmanager
def scratch(site: Site, tell: Teller, request: Request) -> Iterator[Scratch]:
    """Give a copy of the root that knows nothing yet; killed, what is left of it goes with the next plan."""
    with run_files.plan_folder(site.project.work) as folder:
        made = Scratch(
            site=site,
            tell=tell,
            terraform=site.scratch_terraform(request.root, folder),
            folder=folder,
            request=request,
        )
        made.terraform.init(None)
        yield made


def inspect(made: Scratch) -> Found:
    """Return what exists of all that the configuration names.

    Raises WrongConfiguration where an id was chosen for what the configuration does not name, Unreachable where AWS cannot
    be asked.
    """
    request = made.request
    with made.tell.waiting() as show:
        show("planning against an empty state")
        plan = made.terraform.planned(made.plan("empty")[1])
        wanted = state_rebuilding.wanted(plan)
        _require_named(request, wanted)
        inventory = made.site.whole_inventory(request.chosen)
        found: list[Existing | Missing | Doubtful] = list(state_rebuilding.configured(plan))
        for number, one in enumerate(sorted(wanted, key=lambda one: one.address), start=1):
            show(f"looked for {number} of {len(wanted)} resources: {one.address}")
            found.append(_looked_for(made, inventory, one))
    inspected = state_rebuilding.inspected(state_rebuilding.told_apart(found, wanted))
    owned = _owned(made.site, request.root)
    return Found(
        inspected=inspected,
        owned=owned,
        strangers=state_rebuilding.strangers(owned, inspected, _known_otherwise(made.site)),
    )


def _require_named(request: Request, wanted: list[Wanted]) -> None:
    named = {one.address for one in wanted}
    wrong = [address for address in request.chosen if address not in named]
    if wrong:
        raise WrongConfiguration(
            f"--import {wrong[0]}: the configuration does not name it",
            hint="addresses stand in the list that lifeboat state rebuild --preview shows",
        )


def _looked_for(made: Scratch, inventory: Inventory, one: Wanted) -> Existing | Missing | Doubtful:
    said = made.request.chosen.get(one.address)
    if said is None:
        if (nowhere := state_rebuilding.by_nature(one)) is not None:
            return nowhere
        if one.resource_type not in inventory_rewritten.EVERYTHING:
            return state_rebuilding.unknown(one)
    try:
        candidates = _made(made, one, lambda: inventory.candidates(one))
    except IntegrityFailure as error:
        return Doubtful(address=one.address, why=error.summary)
    return state_rebuilding.judged(one, candidates, said)


def _made(made: Scratch, one: Wanted, ask: Callable[[], tuple[Candidate, ...]]) -> tuple[Candidate, ...]:
    """Wait for what AWS is still making."""
    deadline, told = time.monotonic() + MAKING_SECONDS, False
    while True:
        candidates = ask()
        if all(candidate.status not in _MAKING for candidate in candidates):
            return candidates
        if time.monotonic() > deadline:
            raise StoppedPartWay(
                f"{one.address} is still being made after {MAKING_SECONDS / 60:.0f} minutes; nothing was written",
                hint="run the same command again when it is done",
            )
        if not told:
            made.tell.say(f"waiting for {one.address}, which is being made")
            told = True
        time.sleep(_WAIT_SECONDS)


def _owned(site: Site, root: StateRoot) -> tuple[OwnedThing, ...]:
    """Return what bears our tags; of root 1 nothing is looked for, it finds its things by their names."""
    if root is StateRoot.BACKEND:
        return ()
    application = site.project.environment.application
    return tuple(
        thing
        for kind in owned_things.KINDS
        for region in (application.region, application.dr_region)
        for thing in site.owned_things().of_kind(kind, region)
    )


def _known_otherwise(site: Site) -> frozenset[str]:
    """Return the ids of what is root 1's, whose state may be lost as well."""
    state = site.project.environment.state
    return state_digest_checks.recorded(site.root_store().body()) | {state.bucket, state.replica_bucket}


def require_decided(site: Site, request: Request, found: Found) -> None:
    """Raise Refused where a person must choose, or agree by number; NothingFits where nothing exists and nobody agreed to that."""
    if not (found.inspected.existing or found.inspected.doubtful or found.strangers or request.accept):
        number = max(1, sum(1 for one in found.inspected.missing if one.costs))
        raise NothingFits(
            "nothing that the configuration names exists, so there is nothing to make a state of",
            # An apply is refused where a state is remembered, until there is one of that lineage again.
            hint=f"where nothing was ever applied: lifeboat apply; where all of it is gone: {request.again} --accept {number}"
            " begins an empty state, and the next apply makes everything",
        )
    lines = state_rebuilding.refusals(found.inspected, found.owned, found.strangers, request.accept)
    if lines:
        raise Refused(
            "this must be decided first:\n" + "\n".join(f"  {line}" for line in lines),
            hint=state_rebuilding.way_on(found.inspected, found.strangers, request.again, _recovery_file(site)),
        )


def _recovery_file(site: Site) -> str:
    return f"environments/{site.project.recovery_file.name}"


# -- the state ---------------------------------------------------------------------------------------------------------


def build(made: Scratch, lost: Lost, found: Found) -> Rebuilt:
    """Return the state of what exists, which Terraform imports and reads in the copy, and what would change with it.

    Terraform is only told to plan: nothing in AWS is changed, whatever the configuration says. Raises Refused where an apply
    of it would delete or replace what is protected, or where what was imported is another environment's.
    """
    site, request = made.site, made.request
    lineage, whose = state_rebuilding.lineage(_remembered(site, request.root), lost.damaged, str(uuid4()))
    with made.tell.waiting() as show:
        show(f"importing {len(found.inspected.existing)} resources into a copy")
        made.know(state_rebuilding.empty(lineage))
        body, plan = _imported(made, found)
        completed, settings = state_rebuilding.completed(body, plan)
        made.know(completed)
        show("planning with what was imported")
        changes, saved = made.plan("rebuilt")
    final = terraform.state_in(saved)
    _require_whole(final, found)
    _require_harmless(site, request, changes)
    facts = state_documents.facts(final)
    if facts.lineage != lineage:
        raise IntegrityFailure("the rebuilt state has another lineage than it was begun with", hint=request.again)
    return Rebuilt(
        writing=writing(site, request, lost, final),
        lineage=lineage,
        whose=whose,
        resources=facts.resources,
        settings=settings,
        changes=changes,
        remarks=(
            *([] if lost.table else [restoring_command.without_table(site)]),
            *([] if lost.replica is not None else ["there is no replica bucket"]),
            *_unseen(site, request.root),
        ),
    )


def _imported(made: Scratch, found: Found) -> tuple[bytes, dict[str, Any]]:
    """Return a state with everything that was found, and the plan that imported it."""
    ours = [one for one in found.inspected.existing if one.way is not state_rebuilding.Way.CONFIGURED]
    blocks = adoption.document(Adoption(address=one.address, import_id=one.import_id) for one in ours)
    path = made.terraform.root / ADOPTION_FILE
    path.write_text(json.dumps(blocks))
    _, saved = made.plan("imports")
    path.unlink()
    body = terraform.state_in(saved)
    _require_whole(body, found)
    _require_own(made, body, found)
    return body, made.terraform.planned(saved)


def _require_whole(body: bytes, found: Found) -> None:
    absent = state_rebuilding.not_imported(body, found.inspected.existing)
    if absent:
        raise Refused(
            f"{len(absent)} of what was found went away meanwhile: {', '.join(absent[:_SHOWN])}; nothing was written",
            hint="run the same command again",
        )


def _require_own(made: Scratch, body: bytes, found: Found) -> None:
    """Raise Refused where an id that a person chose is another environment's, which only its tags tell."""
    theirs = state_rebuilding.others(body, found.inspected.existing, made.site.owner())
    if theirs:
        raise Refused(
            "an apply would take over what is somebody else's; nothing was written:\n"
            + "\n".join(f"  {line}" for line in theirs),
            hint="see which id --import must name: lifeboat state rebuild --preview",
        )


def _require_harmless(site: Site, request: Request, changes: Plan) -> None:
    """Raise Refused where an apply would lose what is protected: what was imported is not what the configuration means."""
    refused = plans.judged(changes).refused
    if refused:
        raise Refused(
            "an apply of the state that was made would lose what is protected; nothing was written:\n"
            + "\n".join(f"  {change.action.value} {change.address}: {why}" for change, why in refused),
            hint=f"see whether the right thing was imported, and whether environments/{site.project.env}.tfvars and"
            f" {_recovery_file(site)} are the newest of the repository; then: {request.again}",
        )


def _remembered(site: Site, root: StateRoot) -> StateMark | None:
    """Return which state was on top by what is remembered; of root 1 the working copy is none: an apply makes it anew."""
    memory = known_states.remembered(site, root)
    return known_states_decided.counting(memory if root is StateRoot.STACK else replace(memory, here=None))


def _unseen(site: Site, root: StateRoot) -> list[str]:
    unseen = known_states.remembered(site, root).unseen
    return [f"what is remembered in the other region was not asked: {unseen}"] if unseen else []


def writing(site: Site, request: Request, lost: Lost, body: bytes) -> Writing:
    """Return what is to be written so that this state stands on top, under a serial above all that was ever seen."""
    place = site.state_writing(request.root).place
    keeps = request.root is StateRoot.STACK and lost.primary.keeps_digest and lost.table
    remembered = _remembered(site, request.root)
    restoring = state_restoring.plan(
        Seen(
            chosen=body,
            on_top=None if lost.top is None else lost.top.body,
            rivals=(
                *restoring_command.marks(lost.primary),
                *(() if lost.replica is None else restoring_command.marks(lost.replica)),
                *lost.damaged,
                *([] if remembered is None else [remembered]),
            ),
            keeps_digest=keeps,
            digest=lost.primary.digest if keeps else None,
            left=lost.left,
        )
    )
    return Writing(
        verb=REBUILD,
        root=request.root,
        place=place,
        restoring=restoring,
        table=lost.table,
        seen=lost.top,
        made_of=REBUILT,
        came_from="AWS",
        begun=f"make {place} anew of what exists",
        again=request.again,
        any_lineage=True,
    )
