"""The step that restores a dump into the next generation: always from the beginning, in a database made anew."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from lifeboat.clients import dump_server, restore_programs, restore_target
from lifeboat.clients.restore_programs import RestorePrograms
from lifeboat.database_model import DumpId, Manifest
from lifeboat.decisions import manifests, recoveries, restores
from lifeboat.decisions.archives import Rights
from lifeboat.decisions.restores import Offer, Wish
from lifeboat.dumps import choosing, recovery_choice, restoring
from lifeboat.dumps.restoring import Copy, Restored, Target, Tellers
from lifeboat.errors import ChoiceGone, Failed, IntegrityFailure, LifeboatError, NothingFits, Refused
from lifeboat.model import Gap
from lifeboat.runbooks import next_generation
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Step, Turn

_MOST_JOBS = 4
_WATCHED_SECONDS = 0.5
_LIMIT = timedelta(hours=24)


def dump_is_restored(c: Recovering) -> Gap | None:
    """Is the dump in it, compared with its manifest to the row? Another copy brings its data by itself."""
    if not next_generation.is_from_dump(c) or recoveries.is_filled(c.journal.events):
        return None
    return Gap(text=f"{c.fact('copy') or c.request.copy} is not restored into {next_generation.named(c)}")


def restore_dump(c: Recovering, turn: Turn) -> None:
    """Make its database anew, restore the dump into it and compare; half of an earlier attempt is never gone on with."""
    found = next_generation.instance(c)
    if found is None:
        raise Failed("there is no instance to restore into")
    next_generation.require_of_this_run(c, found)
    copy = _copy(c)
    server = c.site.new_postgres(next_generation.stack_with(c, found))
    name = server.address.database
    with server.of(next_generation.MAINTENANCE).connection(application="lifeboat recover") as connection:
        place = restore_target.place(connection, dump_server.server(connection))
        _require(c, copy.manifest, place)
        about = f"make the database {name} of {found.identifier} anew"
        with turn.effect(about, identifier=found.identifier):
            restore_target.drop(connection, name)
            restore_target.create(connection, name, copy.manifest.server, None)
    rights = Rights(superuser=place.superuser)
    jobs = min(_MOST_JOBS, os.cpu_count() or 1)
    target = Target(postgres=server, rights=rights, jobs=jobs)
    with (
        turn.effect(f"restore {copy.manifest.id} into {found.identifier}", identifier=found.identifier),
        RestorePrograms(restore_programs.folder(place.server.major, c.site.caller_env)) as programs,
        _ending_with(turn, programs.end),
        c.tell.waiting() as show,
    ):
        for hole in restoring.holes(programs):
            c.tell.warn(hole)
        done = restoring.restore(copy, target, programs, _tellers(c, show))
        _require_same(c, copy.manifest, done)
    _note(c, turn, copy.manifest, done)


def _copy(c: Recovering) -> Copy:
    """Return the dump that was chosen, by the versions that its manifest names."""
    env, run = c.site.project.env, c.journal.run
    try:
        store, entry = recovery_choice.dump(
            c.site, c.fact("source"), DumpId(c.fact("copy")), c.fact("copy_region") or c.recovery.region
        )
    except NothingFits as error:
        raise ChoiceGone(
            error.summary, hint=f"lifeboat abort {run} -e {env}, then lifeboat plan-recovery -e {env}"
        ) from error
    manifest = choosing.whole(store, entry)
    for remark in choosing.remarks(entry, manifest):
        c.tell.warn(remark)
    return choosing.copy_of(store, entry, manifest)


def _require(c: Recovering, manifest: Manifest, place: restore_target.Place) -> None:
    """Raise Refused where the instance cannot take the dump; nothing was changed in it."""
    offer = Offer(
        server=place.server,
        role=place.role,
        may_create=place.may_create,
        extensions=place.extensions,
        roles=place.roles,
    )
    against = restores.refusals(manifest, Wish(to=manifest.database, holds=None), offer)
    if against:
        raise Refused(
            f"dump {manifest.id} does not go into {next_generation.named(c)}:\n"
            + "\n".join(f"  {reason}" for reason in against),
            hint=f"lifeboat abort {c.journal.run} -e {c.site.project.env}, then take another copy",
        )


def _require_same(c: Recovering, manifest: Manifest, done: Restored) -> None:
    """Raise IntegrityFailure with all that is not as the manifest says."""
    findings = done.compared.findings
    if findings:
        env = c.site.project.env
        raise IntegrityFailure(
            f"{manifest.id} is restored, but not what its manifest says:\n"
            + "\n".join(f"  {finding}" for finding in findings),
            hint=f"lifeboat abort {c.journal.run} -e {env}, then lifeboat plan-recovery -e {env} lists other copies",
        )


def _tellers(c: Recovering, show: Callable[[str], None]) -> Tellers:
    def tell(done: int, total: int, seconds: float) -> None:
        share = 100 * done // total if total else 100
        show(f"{share} % of {total / 1e6:,.0f} MB in {seconds:.0f} s")

    return Tellers(say=show, tell=tell, warn=c.tell.warn)


def _note(c: Recovering, turn: Turn, manifest: Manifest, done: Restored) -> None:
    rows = sum(content.rows for content in done.contents.tables)
    turn.note(
        f"{len(done.contents.tables):,} tables with {rows:,} rows, each as the manifest says",
        filled=c.fact("identifier"),
        filled_from=manifests.digest(manifest),
        left_out=[f"{left.item}: {left.why}" for left in done.left_out],
    )
    for remark in done.compared.remarks:
        c.tell.warn(remark)
    c.remarks.append("a dump holds no roles, no grants and no settings of the server: all belongs to the master user")


@contextmanager
def _ending_with(turn: Turn, end: Callable[[], None]) -> Iterator[None]:
    """End what runs as soon as the turn would not wait any more: interrupted, too late, or somebody else's now."""
    over, stopped = threading.Event(), list[LifeboatError]()

    def watch() -> None:
        while not over.wait(_WATCHED_SECONDS):
            try:
                turn.sleep(0)
            except LifeboatError as error:
                stopped.append(error)
                end()
                return

    watcher = threading.Thread(target=watch, name="turn", daemon=True)
    watcher.start()
    try:
        yield
    except LifeboatError as error:
        if stopped:
            raise stopped[0] from error
        raise
    finally:
        over.set()
        watcher.join()


FILL: Step[Recovering] = Step(
    name="fill", title="Restore the dump into it", check=dump_is_restored, do=restore_dump, limit=_LIMIT
)
