"""What is made good before anything is planned: what killed runs left, a lock table or a digest that is gone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lifeboat import config
from lifeboat.clients import known_state, run_files, state_locks, state_store
from lifeboat.clients.inventory import Inventory
from lifeboat.clients.run_files import Run, Unfinished
from lifeboat.clients.state_store import StateStore
from lifeboat.clients.terraform import Terraform, recorded_progress
from lifeboat.decisions import adoption, interrupted
from lifeboat.decisions import known_states as known_states_decided
from lifeboat.decisions import runs as runs_decided
from lifeboat.errors import (
    IntegrityFailure,
    LifeboatError,
    Locked,
    Refused,
    StoppedPartWay,
    TooLarge,
    WrongConfiguration,
)
from lifeboat.model import Address, Adoption, Agree, Teller, Wanted
from lifeboat.site import Site
from lifeboat.stack import known_states, lock_holders
from lifeboat.state_model import Life, StateLock, StateRoot

ADOPTION_FILE = "lifeboat_adopt.tf.json"
BEGINNING = "lifeboat-first-apply"  # the operation of the lock under which a digest is emptied
LOOKED_AT = 50  # newest versions of a state, among which one that is newer than the present one would be
MAKING_SECONDS = 1800.0  # a real RDS instance takes 5 to 15 minutes


@dataclass
class Lost:
    """What was found amiss and not all made good yet."""

    runs: list[Unfinished] = field(default_factory=list)  # killed before they ended, oldest first
    table: bool = False  # the lock table is gone, with the digest of a state that is still there
    trusted: bytes | None = None  # the state that is to get a new digest
    unsaved: Path | None = None  # what is to be pushed as soon as there is a table to lock the state by


def run(site: Site, tell: Teller, this_run: Run, elsewhere: Sequence[Unfinished] = ()) -> Lost:
    """Free locks, mend the digest and save the state that killed runs left; return what else is amiss.

    They are those of this checkout; `elsewhere` are others that are known to be dead. Raises, before any change, where
    the state is another environment's, or a person must decide; that it is not lost, the caller has asked
    (`known_states.require`).
    """
    store = site.stack_store()
    require_own(site, store)
    lost = Lost(runs=[*elsewhere, *run_files.unfinished(site.project.work, but=this_run.run)])
    unsaved = _unsaved(site, tell, this_run, lost)
    if lost.runs:
        # Of one recovery every attempt may be among them.
        tell.say("cut off earlier: " + ", ".join(dict.fromkeys(one.told for one in lost.runs)))
    _put_aside_half_written(site, tell, lost.runs)
    if not store.bucket_exists():
        return lost
    _unlock(site, lost.runs, tell)
    if not store.table_exists() and store.body() is not None:
        lost.trusted = _trusted(site, store) if store.keeps_digest else None
        tell.warn(f"the lock table {store.table} is gone; the state s3://{store.bucket}/{store.key} is there")
        lost.table = True
        if store.keeps_digest:  # without a table Terraform cannot lock the state that it is to save
            lost.unsaved = unsaved
            return lost
    if store.keeps_digest:
        _mend_digest(site, lost.runs, tell)
    if unsaved is not None:
        _push(site, tell, this_run, unsaved)
    return lost


def _put_aside_half_written(site: Site, tell: Teller, runs: Sequence[Unfinished]) -> None:
    """Put root 1's state aside where a Terraform was killed while it wrote the file: what that made is found again.

    Without a run that was cut off, nobody knows who damaged it, and a person must look.
    """
    path = site.root_state_file
    if not runs or not path.exists():
        return
    try:
        json.loads(path.read_bytes())
    except ValueError:
        aside = path.with_name(f"{path.name}.damaged-{int(time.time())}")
        path.rename(aside)
        tell.warn(f"{path.name} was half written when its run was killed; it is kept as {aside.name}")


def require_state(site: Site, store: StateStore) -> None:
    """Raise Refused where the state was deleted: to Terraform that is "nothing is there yet", so it would make it all."""
    if not store.bucket_exists() or store.body() is not None:
        return
    versions = store.versions(newest=1)
    if not versions:
        return
    deleted = "".join(f", deleted at {marker.written_at:%Y-%m-%d %H:%M:%S}Z" for marker in store.delete_markers())
    newest = versions[0]
    what = "not a Terraform state" if newest.serial is None else f"serial {newest.serial}"
    raise Refused(
        f"the state s3://{store.bucket}/{store.key} is gone{deleted}; its newest version, written at"
        f" {newest.written_at:%Y-%m-%d %H:%M:%S}Z, is {what}",
        hint=f"lifeboat state restore --latest-good -e {site.project.env}",
    )


def require_own(site: Site, store: StateStore) -> None:
    """Raise Refused where the state is another environment's: names in AWS are the application's, not the file's.

    Where no state says whose it is yet, the files of this checkout must not leave it open.
    """
    env = site.project.env
    owner = _owner(_readable(store)) if store.bucket_exists() else None
    if owner is not None and owner != env:
        raise Refused(
            f"what stands in s3://{store.bucket}/{store.key} is environment {owner}, and {env} would take it over: both"
            f" are {site.project.environment.application.name}",
            hint=f"give {env} a name of its own ([application] name and the names in [state] of environments/{env}.toml);"
            f" to work on what is there: -e {owner}",
        )
    twins = [] if owner == env else config.twins(site.project)
    if twins:
        raise WrongConfiguration(
            f"environments/{env}.toml and environments/{twins[0]}.toml describe one application in one account,"
            f" {site.project.environment.application.name}: what one of them makes, the other would change",
            hint="give one of them a name of its own: [application] name and the names in [state]",
        )


def _readable(store: StateStore) -> bytes | None:
    try:
        return store.body()
    except TooLarge:
        return None  # it says of no environment that it is of it


def _owner(body: bytes | None) -> str | None:
    """Return the environment that a state says it is of; None when it does not say, or is no state."""
    try:
        said = json.loads(body or b"{}")["outputs"]["recovery"]["value"]["environment"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return None if said is None else str(said)


def begin_anew(site: Site, tell: Teller, agree: Agree) -> Callable[[], None]:
    """Empty the digest of a state that is gone, where somebody said that the next apply is a first one; return what undoes it.

    With a digest and no state every Terraform fails; an empty one it takes for none, and the item stays. It may be the last
    trace of the state, so that somebody agrees, no Terraform works meanwhile, and it comes back where no state was made.
    """
    store = site.stack_store()
    looked = store.keeps_digest and store.bucket_exists() and store.table_exists() and store.body() is None
    digest = store.digest() if looked else None
    if not digest:
        return lambda: None
    agree(
        [f"begin a new state of {site.project.env}: empty the digest {digest}, which is left of the one that is gone"]
    )
    with site.state_locks(StateRoot.STACK).taken(BEGINNING):
        store.write_digest("", instead_of=digest)
    tell.say(f"emptied the digest {digest}, which no state has")

    def undo() -> None:
        try:
            if store.body() is None and store.digest() == "":
                store.write_digest(digest, instead_of="")
                tell.say(f"wrote the digest {digest} again: no new state was begun")
        except LifeboatError as error:
            tell.warn(f"the digest {digest} could not be written again: {error.summary}")

    return undo


def require_table(site: Site) -> None:
    """Raise Refused where there is no lock table: Terraform would only say that it cannot lock the state."""
    store = site.stack_store()
    if store.bucket_exists() and not store.table_exists():
        lost = "nothing can lock" if store.keeps_digest else "nothing keeps two operators apart who change"
        raise Refused(
            f"there is no lock table {store.table}, so {lost} the state s3://{store.bucket}/{store.key}",
            hint=f"lifeboat apply -e {site.project.env} makes it again, with the digest of the state in it",
        )


def require_backend(site: Site) -> None:
    """Raise Refused where a state is there and its table does not answer, or its bucket keeps no versions."""
    store = site.root_store()
    if not store.table_answers():
        raise Refused(
            f"the lock table {store.table} is {str(store.table_status() or 'gone').lower()}, so nothing keeps two operators apart",
            hint="wait until it is active, then run the same command again; lifeboat state doctor shows how it is",
        )
    versioning = store.versioning()
    if versioning != "Enabled":
        command = f"aws s3api put-bucket-versioning --bucket {store.bucket} --versioning-configuration Status=Enabled"
        raise Refused(
            f"versioning of {store.bucket} is {versioning.lower() or 'off'}: the state that a recovery writes over would be lost",
            hint=f"{site.shell(command)}; then run the same command again",
        )


def fill_table(site: Site, tell: Teller, this_run: Run, lost: Lost) -> None:
    """Put into a lock table that was made again what only the old one had, once more provided that the state is sound."""
    store = site.stack_store()
    if store.keeps_digest:
        body = _trusted(site, store)
        store.write_digest(state_store.md5(body), instead_of=None)
        tell.say(f"wrote the digest of the state (serial {state_store.serial_and_lineage(body)[0]})")
    if lost.unsaved is not None:
        _push(site, tell, this_run, lost.unsaved)


def adopt_stack(site: Site, tell: Teller, terraform: Terraform, lost: Lost) -> None:
    """Make Terraform trust and take over what killed runs made in the stack and the state does not know."""
    store = site.stack_store()
    body = store.body()
    if body is not None:
        fresh = interrupted.untainted(body, _begun(lost, "stack"))
        if fresh is not None:
            tell.say("trusting again what Terraform was making when it was stopped")
            path = site.project.work / "untainted.tfstate"
            path.touch(mode=0o600)
            path.write_bytes(fresh)
            terraform.push_state(path)
            path.unlink()
            body = fresh
    wanted = _wanted(site, terraform, lost.runs, "stack", body)
    _write_adoptions(site, tell, terraform, wanted)


def adopt_planned(site: Site, tell: Teller, terraform: Terraform, document: dict[str, Any]) -> bool:
    """Make the next plan take over what this one would create and AWS has already; return whether there is any.

    An apply that was cut off made it, on whatever machine: what a run's own files tell is looked for by `adopt_stack`.
    """
    planned = adoption.planned_creates(document)
    wanted = adoption.unrecorded(planned, None, state_store.recorded(site.stack_store().body()))
    found = _found(site.inventory(), tell, wanted)
    if found:
        path = terraform.root / ADOPTION_FILE
        before = json.loads(path.read_text())["import"] if path.exists() else []
        known = [Adoption(address=Address(block["to"]), import_id=block["id"]) for block in before]
        path.write_text(json.dumps(adoption.document([*known, *found]), indent=2))
    return bool(found)


def adopt_root(site: Site, tell: Teller, terraform: Terraform, lost: Lost) -> None:
    """The same for root 1, whose state is a file; where that is gone, everything it made is looked for by name."""
    local = site.root_state_file
    body = local.read_bytes() if local.exists() else None
    if body is not None:
        fresh = interrupted.untainted(body, _begun(lost, "state"))
        if fresh is not None:
            local.write_bytes(fresh)
            body = fresh
    wanted = _wanted(site, terraform, lost.runs, "state", body)
    if body is None and site.root_store().bucket_exists():
        tell.say("the state of root 1 is lost; looking for what it made")
        wanted = _everything(site, terraform)
    _write_adoptions(site, tell, terraform, wanted)


def done(site: Site, this_run: Run) -> None:
    """Forget what was repaired, once an apply got through."""
    for earlier in run_files.unfinished(site.project.work, but=this_run.run):
        run_files.mark_ended(earlier.folder, f"repaired by {this_run.run}")


def forget_adoptions(terraform: Terraform) -> None:
    """Take the import blocks away as soon as they are in a saved plan: the root is shared by all environments."""
    (terraform.root / ADOPTION_FILE).unlink(missing_ok=True)


def _unsaved(site: Site, tell: Teller, this_run: Run, lost: Lost) -> Path | None:
    """Return the state of the stack that a run which was cut off could not save and left beside its configuration.

    Raises Refused where nothing was cut off, so that a person looks first. Where the state has gone on since, Terraform
    would refuse to take it: it is put aside, and what only it knows is told.
    """
    unsaved = None
    for root, store in ((site.project.state_root, site.root_store()), (site.project.stack_root, site.stack_store())):
        left = root / "errored.tfstate"
        if not left.exists():
            continue
        left.chmod(0o600)  # it holds what the state holds
        theirs = state_store.serial_and_lineage(left.read_bytes())
        body = store.body() or b""
        ours = state_store.serial_and_lineage(body)
        if None not in (theirs[1], ours[1]) and theirs[1] != ours[1]:
            continue  # the roots are shared: it is another environment's
        if theirs[0] is not None and ours[0] is not None and theirs[0] <= ours[0]:
            aside = this_run.folder / f"superseded-{root.name}.tfstate"
            known = set(state_store.recorded(body).values())
            recorded = state_store.recorded(left.read_bytes()).items()
            only = ", ".join(f"{address} ({thing})" for address, thing in recorded if thing not in known)
            left.rename(aside)
            tell.warn(
                f"Terraform could not save its state (serial {theirs[0]}) once; the state has gone on to serial {ours[0]}"
                f" since, so what it left is kept aside in {aside}; "
                + (f"see whether these still exist: {only}" if only else "all it made is in the state")
            )
            continue
        # Without a bucket to save it in, a person has to look: forgotten, all that it knows would be made once more.
        if root == site.project.stack_root and lost.runs and store.bucket_exists():
            unsaved = left
            continue
        # Root 1's working state is a file.
        first = root == site.project.state_root
        keep = f"cp {left} {site.root_state_file}" if first else f"{site.by_hand(root)} state push errored.tfstate"
        raise Refused(
            f"Terraform could not save its state (serial {theirs[0]}) and left it in {left}",
            hint=f"look at it, then: {keep} && rm {left}",
        )
    return unsaved


def require_saved(site: Site) -> None:
    """Raise Refused where a Terraform here could not save the stack's state: what only it knows looks like nobody's.

    Where nothing that can be read stands on top, it is held against what is remembered.
    """
    left = site.project.stack_root / "errored.tfstate"
    if not left.exists():
        return
    body = left.read_bytes()
    serial, lineage = state_store.serial_and_lineage(body)
    ours = state_store.serial_and_lineage(site.stack_store().body() or b"")
    lost = ours == (None, None)
    if lost:
        known = known_states_decided.counting(known_states.remembered(site, StateRoot.STACK))
        owner = _owner(body)
        ours = (None, lineage) if known is None else (known.serial, known.lineage)
        if owner not in (None, site.project.env):
            return  # the roots are shared: it is another environment's
    if serial is not None and lineage == ours[1] and serial > (-1 if ours[0] is None else ours[0]):
        raise Refused(
            f"Terraform could not save its state (serial {serial}) and left it in {left}",
            hint=put_on_top(site, left) if lost else _saving(site, left),
        )


def put_on_top(site: Site, left: Path) -> str:
    """Return how a state of the stack that was not saved becomes the state where none stands on top.

    Terraform pushes none there while a digest is left: it reads the state that it would replace first.
    """
    store = site.stack_store()
    put = site.shell(f"aws s3api put-object --bucket {store.bucket} --key {store.key} --body {left}")
    return f"look at it, then: {put} && lifeboat state restore --latest-good -e {site.project.env}, which writes its digest"


def _saving(site: Site, left: Path) -> str:
    """Return what saves a state that was left: the run that was cut off, gone on with; without one, a person's push."""
    cut_off = run_files.cut_off(site.project.work)
    recoveries = [run.known_as for run in cut_off if run.known_as and runs_decided.is_recovery(run.known_as)]
    if recoveries:
        return f"lifeboat resume {recoveries[-1]} -e {site.project.env} saves it and goes on"
    if cut_off:
        return f"lifeboat apply -e {site.project.env} saves it and goes on"
    return f"look at it, then: {site.by_hand(site.project.stack_root)} state push {left.name} && rm {left}"


def _push(site: Site, tell: Teller, this_run: Run, unsaved: Path) -> None:
    """Save what Terraform could not; it refuses by itself what does not follow the present state. The file is kept."""
    terraform = site.stack_terraform()
    terraform.init(site.backend())
    terraform.push_state(unsaved)
    tell.say(
        f"saved the state that Terraform could not save (serial {state_store.serial_and_lineage(unsaved.read_bytes())[0]})"
    )
    unsaved.rename(this_run.folder / "pushed-stack.tfstate")


def _begun(lost: Lost, name: str) -> set[Address]:
    files = [run.folder / f"{name}-apply.jsonl" for run in lost.runs]
    return {address for path in files if path.exists() for address in interrupted.unfinished(recorded_progress(path))}


# -- locks and digest ---------------------------------------------------------------------------------------------


def _unlock(site: Site, runs: Collection[Unfinished], tell: Teller) -> None:
    """Remove the locks that Terraforms of these runs left, of which none works any more, from whatever folder.

    Raises Locked, before it removes any, where there is another one, or one whose holder may live. What a restore or a rebuild
    left is for these to go on with.
    """
    client = site.state_locks(StateRoot.STACK)
    found = [lock_holders.seen(site, lock, client.state, runs) for lock in client.locks()]
    for one in found:
        gone, ours = one.holding.life is Life.GONE, one.lock.process is None or one.lock.operation == BEGINNING
        if not (gone and ours):
            unlock = f"lifeboat state unlock {one.lock.lock_id} -e {site.project.env}"
            raise Locked(
                f"the state is locked {state_locks.words(one.lock, datetime.now(UTC))}: {one.holding.why}",
                hint=f"{unlock}, then the same command again" if gone else way_out(site, one.lock),
            )
    for lock_id in dict.fromkeys(one.lock.lock_id for one in found):
        client.unlock(lock_id)
        tell.say(f"removed the lock {lock_id}, which a run that was cut off left")


def way_out(site: Site, lock: StateLock) -> str:
    """Return what to do about a lock of this environment's state, in words that end with the command."""
    return f"{state_locks.way_out(lock)} -e {site.project.env}"


def _mend_digest(site: Site, runs: list[Unfinished], tell: Teller) -> None:
    store = site.stack_store()
    body = store.body()
    versions = (
        [] if body is None else store.versions()
    )  # without a state, it is a first apply: there is none to agree with
    digest = store.digest()
    if not versions or versions[0].md5 == digest:
        return
    known = known_states_decided.counting(known_states.remembered(site, StateRoot.STACK))
    if (
        digest is None
        and body is not None
        and known is not None
        and not interrupted.doubt(state_store.mark(body), known, versions)
    ):
        store.write_digest(state_store.md5(body), instead_of=None)
        tell.say(f"wrote the digest of the state, which was missing (serial {known.serial} is known)")
        return
    repair = interrupted.digest_repair(versions, digest)
    if repair.write is None or not runs:
        why = repair.why if repair.write is None else "no run of this machine was cut off"
        raise IntegrityFailure(
            f"the state s3://{store.bucket}/{store.key} and its digest disagree, and {why}",
            hint=f"lifeboat state doctor -e {site.project.env} says which of the two is right, and what repairs the other",
        )
    store.write_digest(repair.write, instead_of=digest)
    tell.say(f"repaired the state's digest: {repair.why}")


def remember_state(site: Site, body: bytes | None) -> None:
    """Write down which state of the stack was found sound."""
    mark = state_store.mark(body or b"")
    if mark is not None:
        known_state.remember(site.project.work, mark)


def _trusted(site: Site, store: StateStore) -> bytes:
    """Return the state whose digest is lost; raises IntegrityFailure where it may not be the newest."""
    body = store.body() or b""
    memory = known_states.remembered(site, StateRoot.STACK)
    known = known_states_decided.counting(memory)
    why = interrupted.doubt(state_store.mark(body), known, store.versions(newest=LOOKED_AT))
    if why is not None:
        forget = (
            ""
            if not known_states_decided.here_alone(memory)
            else f", or if this machine knows the wrong one: rm -f {known_state.path(site.project.work)}"
        )
        raise IntegrityFailure(
            f"the lock table {store.table} is gone, and with it the digest of the state s3://{store.bucket}/{store.key};"
            f" it cannot be written again from this state: {why}",
            hint=f"lifeboat state list -e {site.project.env} shows the versions; lifeboat state restore VERSION puts the right one"
            f" on top{forget}; then apply again",
        )
    return body


# -- adoption -----------------------------------------------------------------------------------------------------


def _wanted(
    site: Site, terraform: Terraform, runs: Iterable[Unfinished], name: str, body: bytes | None
) -> list[Wanted]:
    recorded = state_store.recorded(body)
    wanted: dict[Address, Wanted] = {}
    for unfinished in runs:
        plan, events = unfinished.folder / f"{name}.plan", unfinished.folder / f"{name}-apply.jsonl"
        if not plan.exists() or not events.exists():
            continue
        progress = recorded_progress(events)
        planned = adoption.planned_creates(terraform.planned(plan))
        _require_no_second(site, adoption.half_replaced(planned, progress, recorded))
        for found in adoption.unrecorded(planned, progress, recorded):
            known = wanted.get(found.address)
            # A later run that did not get as far must not hide what an earlier one had begun.
            if known is None or (known.known_id is None and (found.known_id is not None or not known.begun)):
                wanted[found.address] = found
    return list(wanted.values())


def _require_no_second(site: Site, half_replaced: Iterable[Wanted]) -> None:
    """Refuse to go on while the new object of a cut-off replacement exists beside the old one: which one is right?"""
    inventory = site.inventory()
    found = [(w, inventory.import_id(w)) for w in half_replaced]
    second = [
        f"{w.address}: {import_id} was made and {w.instead_of} is still recorded" for w, import_id in found if import_id
    ]
    if second:
        raise Refused(
            "a replacement was cut off after the new one was made:\n" + "\n".join(f"  {line}" for line in second),
            hint="look at both; delete the one that does not serve, then run the same command again",
        )


def _everything(site: Site, terraform: Terraform) -> list[Wanted]:
    folder: Path = site.project.work
    terraform.plan(out=folder / "adopt.plan", events=folder / "adopt.jsonl", seconds=300).planned()
    planned = adoption.planned_creates(terraform.planned(folder / "adopt.plan"))
    (folder / "adopt.plan").unlink()
    return adoption.unrecorded(planned, None, set())


def _write_adoptions(site: Site, tell: Teller, terraform: Terraform, wanted: list[Wanted]) -> None:
    path = terraform.root / ADOPTION_FILE
    adoptions = _found(site.inventory(), tell, wanted)
    if not adoptions:
        path.unlink(missing_ok=True)
        return
    path.write_text(json.dumps(adoption.document(adoptions), indent=2))


def _found(inventory: Inventory, tell: Teller, wanted: list[Wanted]) -> list[Adoption]:
    """Return what is there of it, once AWS is done with it and what its creation left undone is done."""
    _wait_for(inventory, tell, wanted)
    found = [(w, inventory.import_id(w)) for w in wanted]
    adoptions = [Adoption(address=w.address, import_id=import_id) for w, import_id in found if import_id is not None]
    if adoptions:
        tell.say(f"adopting {len(adoptions)} resources that were made and not recorded")
    for w, import_id in found:
        finished = inventory.finish(w) if import_id is not None else None
        if finished is not None:
            tell.say(finished)
    return adoptions


def _wait_for(inventory: Inventory, tell: Teller, wanted: Iterable[Wanted]) -> None:
    """Wait for what AWS is still making: unfinished, it has no address yet and refuses changes."""
    deadline = time.monotonic() + MAKING_SECONDS
    told: set[Address] = set()
    for w in wanted:
        while (status := inventory.status(w)) is not None:
            if time.monotonic() > deadline:
                raise StoppedPartWay(
                    f"{w.address} is still {status} after {MAKING_SECONDS / 60:.0f} minutes",
                    hint="run the same command again when it is done",
                )
            if w.address not in told:
                tell.say(f"waiting for {w.address}, which is {status}")
                told.add(w.address)
            time.sleep(1)
