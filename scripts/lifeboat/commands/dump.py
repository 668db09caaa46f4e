"""`lifeboat dump`: databases dumped one after the other, each on its own: what fails in one stops no other."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from uuid import uuid4

from lifeboat.clients import dump_programs, dump_server, programs, run_files, state_store
from lifeboat.clients.dump_store import DumpStore
from lifeboat.clients.dump_uploads import Uploads
from lifeboat.clients.postgres import Postgres
from lifeboat.database_model import ClientPrograms, DumpOutcome, Manifest, Selection, dump_id
from lifeboat.decisions import client_versions, dump_floors, selections
from lifeboat.decisions.dump_floors import Floors
from lifeboat.dumps import dumping
from lifeboat.dumps.dumping import Order, Origin, Tools
from lifeboat.errors import (
    DONE,
    CleanUpIncomplete,
    Failed,
    IntegrityFailure,
    Interrupted,
    LifeboatError,
    Refused,
    Unreachable,
    WrongConfiguration,
)
from lifeboat.model import Teller
from lifeboat.site import Site
from lifeboat.stack import application, outputs

# Of several databases the status of the first in this order counts; what failed is worse than what is suspicious.
_WORST = (1, 8, 5, 3, 2, 7, 6, 4, 11, 12)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be dumped: databases (none: those of the environment's file) and the part of each.

    `accepting`: take a dump that is much smaller than those before as the new measure.
    """

    databases: tuple[str, ...]
    selection: Selection
    jobs: int | None
    accepting: bool


@dataclass(frozen=True, kw_only=True)
class _Run:
    """What all databases of one call have in common."""

    site: Site
    tell: Teller
    wanted: Wanted
    postgres: Postgres
    programs: ClientPrograms
    store: DumpStore
    uploads: Uploads
    origin: Origin
    refused: Mapping[str, LifeboatError]


def run(site: Site, tell: Teller, wanted: Wanted) -> list[DumpOutcome]:
    """Dump databases, one after the other, and return what came of each.

    Raises before anything is begun where what is asked for is wrong, WrongConfiguration, or all of it refused. A database
    of the environment's file that is gone, or whose rows are hidden from the role, fails alone.
    """
    recovery = outputs.recovery(site.stack_store())
    found = site.project.environment.dumps
    databases = list(dict.fromkeys(wanted.databases or (recovery.database.name, *found.databases)))
    postgres = site.postgres(recovery)
    refused = _refused(site, postgres, databases, wanted)
    chosen = _programs(site, tell, postgres)
    with closing(site.dump_uploads(recovery)) as uploads:
        run = _Run(
            site=site,
            tell=tell,
            wanted=wanted,
            postgres=postgres,
            programs=chosen,
            store=site.dump_store(recovery),
            uploads=uploads,
            origin=_origin(site, tell),
            refused=refused,
        )
        _sweep(run)
        return [_one(run, database) for database in databases]


def status(outcomes: Sequence[DumpOutcome]) -> int:
    """Return the worst exit status of several outcomes."""
    found = {DONE if outcome.problem is None else outcome.problem.exit_status for outcome in outcomes}
    return next((status for status in _WORST if status in found), max(found, default=DONE))


# -- before anything is begun ------------------------------------------------------------------------------------------


def _refused(site: Site, postgres: Postgres, databases: Sequence[str], wanted: Wanted) -> dict[str, LifeboatError]:
    """Return which databases cannot be dumped, and why; raises that where it is the only one.

    Raises WrongConfiguration where a name or a pattern that was typed does not fit.
    """
    problem = selections.problem(wanted.selection)
    if problem is not None:
        raise WrongConfiguration(problem, hint="lifeboat dump --help")
    with postgres.connection(application="lifeboat dump") as connection:
        known = dump_server.databases(connection)
    unknown = [name for name in databases if name not in known]
    if set(unknown) & set(wanted.databases):
        raise _unknown(unknown, postgres, known)
    found: dict[str, LifeboatError] = {name: _unknown([name], postgres, known) for name in unknown}
    for database in (name for name in databases if name in known):
        try:
            with postgres.of(database).connection(application="lifeboat dump") as connection:
                dumping.chosen(_order(site, wanted, database), dump_server.relations(connection))
        except (Refused, Unreachable) as error:
            found[database] = error
    if len(databases) == 1 and found:
        raise found[databases[0]]
    return found


def _unknown(names: Sequence[str], postgres: Postgres, known: Sequence[str]) -> WrongConfiguration:
    return WrongConfiguration(
        f"there is no database {', '.join(names)} on {postgres.address.host} that may be connected to",
        hint=f"there are: {', '.join(known)}",
    )


def _programs(site: Site, tell: Teller, postgres: Postgres) -> ClientPrograms:
    """Return the programs to dump with, and warn of what is wrong with them; raises WrongConfiguration where none fit."""
    with postgres.connection(application="lifeboat dump") as connection:
        server = dump_server.server(connection)
    env = site.caller_env
    choice = client_versions.choose(dump_programs.found(env.get("PG_BIN"), env.get("PATH", "")), server)
    if choice.chosen is None:
        reasons = [f"{judged.what.folder}: {judged.why}" for judged in choice.rejected]
        raise WrongConfiguration(
            "\n".join([choice.why, *reasons]),
            hint=f"install PostgreSQL's client programs of version {server.major}"
            f" (Debian: apt-get install postgresql-client-{server.major}), or name their folder in PG_BIN",
        )
    for remark in choice.remarks:
        tell.warn(remark)
    if postgres.address.unchecked is not None:
        tell.warn(postgres.address.unchecked)
    return choice.chosen


def _order(site: Site, wanted: Wanted, database: str, origin: Origin | None = None) -> Order:
    now = datetime.now(UTC)
    return Order(
        id=dump_id(now, uuid4().hex[:6]),
        begun_at=now,
        database=database,
        selection=wanted.selection,
        jobs=wanted.jobs,
        cores=os.cpu_count() or 1,
        lock_seconds=site.project.environment.dumps.lock_seconds,
        origin=origin or Origin(lifeboat_version="", git_sha=None, image_tag=None, state_serial=None),
    )


def _origin(site: Site, tell: Teller) -> Origin:
    running, why = application.running_image(site)
    if running is None:
        tell.say(f"nobody tells which image of the application runs, so the manifest names none: {why}")
    body = site.stack_store().body()
    return Origin(
        lifeboat_version=metadata.version("lifeboat"),
        # The job's image says which code is in it; there is no git in it to ask.
        git_sha=site.caller_env.get("LIFEBOAT_GIT_SHA") or programs.git_sha(site.project.root),
        image_tag=running,
        state_serial=None if body is None else state_store.serial_and_lineage(body)[0],
    )


def _sweep(run: _Run) -> None:
    """Abort what dumps left that were cut off longer ago than one takes; that they stay keeps no dump from being made."""
    try:
        left = run.uploads.left(run.store.prefix, datetime.now(UTC))
        for upload in left:
            run.uploads.abort(upload)
            run.tell.say(f"aborted what a dump that was cut off left: s3://{run.uploads.bucket}/{upload.key}")
    except Unreachable as error:
        run.tell.warn(error.summary)


# -- one database ------------------------------------------------------------------------------------------------------


def _one(run: _Run, database: str) -> DumpOutcome:
    """Dump one database between its hooks; the second one runs whatever happens, and hears what came of it."""
    order = _order(run.site, run.wanted, database, run.origin)
    manifest: Manifest | None = None
    problem: LifeboatError | None = Interrupted(f"the dump of {database} was interrupted")
    try:
        if database in run.refused:
            raise run.refused[database]
        _hook(run, order, "before", {})
        manifest = _dumped(run, order)
        problem = _suspicion(manifest)
    except LifeboatError as error:
        problem = error
    finally:
        ended = DONE if problem is None else problem.exit_status
        told = {"LIFEBOAT_OUTCOME": "failed" if manifest is None else "dumped", "LIFEBOAT_EXIT_STATUS": str(ended)}
        after = _after(run, order, told)
    return DumpOutcome(
        database=database,
        id=order.id,
        manifest=manifest,
        problem=problem or after,
        took=datetime.now(UTC) - order.begun_at,
    )


def _dumped(run: _Run, order: Order) -> Manifest:
    tools = Tools(postgres=run.postgres.of(order.database), programs=run.programs, store=run.store, uploads=run.uploads)
    before, unmeasured = _measure(run, order.database)
    settings = run.site.project.environment.dumps
    floors = Floors(bytes_percent=settings.shrink_percent, tables_percent=settings.tables_shrink_percent)

    def flagged(manifest: Manifest) -> tuple[str, ...]:
        if run.wanted.accepting:
            return (f"{dump_floors.ACCEPTED} by {run_files.user_name()}",)
        return dump_floors.flags(manifest, before, floors) if before else unmeasured

    manifest = dumping.dump(tools, order, run.tell, flagged)
    run.tell.say(
        f"{order.database}: {order.id} is in s3://{run.store.bucket}/{run.store.folder(order.database, order.id)}"
    )
    return manifest


def _measure(run: _Run, database: str) -> tuple[list[Manifest], tuple[str, ...]]:
    """Return the dumps that the next one is measured by, read before it is begun, and its flags where there are none.

    That those before cannot be read, since their key is gone say, is no reason to make none any more.
    """
    found: list[Manifest] = []
    measure: list[Manifest] = []
    unread = 0
    for entry in reversed(run.store.entries(database)):
        if not entry.complete:
            continue
        try:
            found.append(run.store.manifest(entry))
        except (IntegrityFailure, Unreachable) as error:
            run.tell.warn(error.summary)
            unread += 1
        measure = dump_floors.measure(found, run.wanted.selection)
        if dump_floors.NEWEST in (len(measure), unread) or (measure and measure[-1].flags):
            break
    return measure, dump_floors.unmeasured(found, run.wanted.selection, unread)


def _suspicion(manifest: Manifest) -> LifeboatError | None:
    found = dump_floors.suspicious(manifest)
    if not found:
        return None
    return IntegrityFailure(
        f"{manifest.id} of {manifest.database} is kept and flagged: {'; '.join(found)}",
        hint="look into the database; where it is meant to be so: lifeboat dump --accept-smaller",
    )


# -- hooks -------------------------------------------------------------------------------------------------------------


def _hook(run: _Run, order: Order, which: str, more: dict[str, str]) -> None:
    hooks = run.site.project.environment.dumps.hooks
    argv = hooks.before if which == "before" else hooks.after
    if not argv:
        return
    told = {
        "LIFEBOAT_ENVIRONMENT": run.site.project.env,
        "LIFEBOAT_DATABASE": order.database,
        "LIFEBOAT_DUMP_ID": order.id,
        **more,
    }
    answer = programs.answer(*argv, seconds=float(hooks.seconds), more=told)
    if answer.problem:
        raise Failed(f"the hook {which} the dump of {order.database}: {answer.problem}")


def _after(run: _Run, order: Order, told: dict[str, str]) -> LifeboatError | None:
    try:
        _hook(run, order, "after", told)
    except Failed as error:
        run.tell.warn(error.summary)
        return CleanUpIncomplete(f"the dump is there, but {error.summary}")
    return None
