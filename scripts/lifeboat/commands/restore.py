"""`lifeboat restore`: a dump into a new or an empty database on the environment's own server, beside the one that serves."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from lifeboat.clients import dump_server, restore_programs, restore_target
from lifeboat.clients.postgres import Postgres
from lifeboat.clients.restore_programs import RestorePrograms
from lifeboat.clients.restore_target import Place
from lifeboat.database_model import DumpEntry, DumpId, Manifest
from lifeboat.decisions import archives, restores
from lifeboat.decisions.archives import Chosen, Rights
from lifeboat.decisions.recovery_points import humane
from lifeboat.decisions.restores import Offer, Wish
from lifeboat.dumps import choosing, places, points, restoring
from lifeboat.dumps.places import Places
from lifeboat.dumps.restoring import Copy, Restored, Target, Tellers
from lifeboat.errors import IntegrityFailure, LifeboatError, Refused
from lifeboat.model import Agree, Recovery
from lifeboat.site import Site
from lifeboat.stack import outputs

_MAINTENANCE = "postgres"  # the database that one is connected to while others are made


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What to restore (None: the newest dump) of which database (None: the stack's own), and where to.

    `region` is where the copy lies that is read, None where dumps are written to.
    """

    wanted: DumpId | None
    database: str | None
    to: str
    jobs: int
    owner: str | None
    grants: bool
    accept_flagged: bool
    region: str | None = None


@dataclass(frozen=True, kw_only=True)
class Done:
    """The dump, the database that it is in now, and what came of it; `to_remove` is empty where the database is not ours."""

    entry: DumpEntry
    manifest: Manifest
    postgres: Postgres
    restored: Restored
    to_remove: str


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """A dump that nothing speaks against, the server that it goes to, and what both have to do with each other."""

    site: Site
    recovery: Recovery
    entry: DumpEntry
    manifest: Manifest
    copy: Copy
    server: Postgres
    place: Place
    wish: Wish

    @property
    def rights(self) -> Rights:
        """What the role there may restore."""
        return Rights(superuser=self.place.superuser)

    @property
    def to_remove(self) -> str:
        """The command that removes the database that is made; empty where it was there before, and is somebody's."""
        return _to_remove(self.site, self.recovery, self.wish.to) if self.wish.ours else ""


def run(site: Site, tellers: Tellers, agree: Agree, asked: Asked) -> Done:
    """Restore a dump and compare it with its manifest. Everything that speaks against it is said before anything is changed.

    Raises IntegrityFailure where the dump is damaged, or where what came back is not what the manifest says.
    """
    found = _prepared(site, asked)
    unchecked = found.server.address.unchecked
    for remark in [*([] if unchecked is None else [unchecked]), *choosing.remarks(found.entry, found.manifest)]:
        tellers.warn(remark)
    folder = restore_programs.folder(found.place.server.major, site.caller_env)
    with RestorePrograms(folder) as programs:
        for hole in restoring.holes(programs):
            tellers.warn(hole)
        agree(_preview(found, archives.choose(restoring.schema_items(found.copy, programs), found.rights)))
        if found.wish.holds is None:
            with found.server.of(_MAINTENANCE).connection(application="lifeboat restore") as connection:
                restore_target.create(connection, asked.to, found.manifest.server, asked.owner)
            tellers.say(f"made the database {asked.to}")
        _mark(found, restores.mark(found.entry.id))
        target = Target(
            postgres=found.server.of(asked.to),
            rights=found.rights,
            jobs=asked.jobs,
            owner=asked.owner,
            grants=asked.grants,
        )
        with _told_what_is_left(target, tellers, found.to_remove):
            done = restoring.restore(found.copy, target, programs, tellers)
    if not done.compared.findings:
        _mark(found, None)
    for remark in done.compared.remarks:
        tellers.warn(remark)
    return Done(
        entry=found.entry,
        manifest=found.manifest,
        postgres=target.postgres,
        restored=done,
        to_remove=found.to_remove,
    )


def _mark(found: _Prepared, text: str | None) -> None:
    """Say on a database that is ours that a restore works on it, or no longer; on somebody's own nothing is written."""
    if found.wish.ours:
        with found.server.of(_MAINTENANCE).connection(application="lifeboat restore") as connection:
            restore_target.mark(connection, found.wish.to, text)


def _prepared(site: Site, asked: Asked) -> _Prepared:
    """Return the dump and where it goes; raises what speaks against it, and nothing is changed."""
    problem = restores.name_problem(asked.to)
    if problem is not None:
        raise Refused(f"--to {asked.to!r}: {problem}", hint="name a database that does not exist yet")
    recovery = outputs.recovery(site.stack_store())
    where = places.of(site)
    store = points.store_in(site, where, where.require(asked.region))
    entry = choosing.chosen(store, asked.database or recovery.database.name, asked.wanted)
    try:
        manifest = choosing.whole(store, entry)
        if not asked.accept_flagged:
            choosing.require_undoubted(entry, manifest, _in_spite(site, entry, asked))
    except (IntegrityFailure, Refused) as error:
        error.hint = "; ".join(filter(None, [*_other_copy(site, where, entry, asked), error.hint]))
        raise
    server = site.postgres(recovery)
    place, wish = _looked_at(server, asked)
    _require(manifest, wish, place, _to_remove(site, recovery, asked.to))
    return _Prepared(
        site=site,
        recovery=recovery,
        entry=entry,
        manifest=manifest,
        copy=choosing.copy_of(store, entry, manifest),
        server=server,
        place=place,
        wish=wish,
    )


def _other_copy(site: Site, where: Places, entry: DumpEntry, asked: Asked) -> list[str]:
    """Return what restores the copy of a dump in the other region, where one is seen there."""
    region = where.other(asked.region)
    try:
        there = restores.named(points.store_in(site, where, region).entries(entry.database), entry.id)
    except LifeboatError:
        return []  # what is wrong with this one is told in any case
    if there is None or not there.complete:
        return []
    again = f"lifeboat restore {entry.id} {restores.of_database(entry.database)} --to {shlex.quote(asked.to)}"
    return [f"the copy in {region} may be whole: {again} --region {region} -e {site.project.env}"]


def _in_spite(site: Site, entry: DumpEntry, asked: Asked) -> str:
    """Return the command that restores a dump although there are doubts about it."""
    of = "" if asked.database is None else f"--database {shlex.quote(asked.database)} "
    of += "" if asked.region is None else f"--region {asked.region} "
    return f"lifeboat restore {entry.id} {of}--to {shlex.quote(asked.to)} --accept-flagged -e {site.project.env}"


def _looked_at(server: Postgres, asked: Asked) -> tuple[Place, Wish]:
    """Return what the server offers, and what is where the dump is to go."""
    with server.of(_MAINTENANCE).connection(application="lifeboat restore") as connection:
        place = restore_target.place(connection, dump_server.server(connection))
        left = restores.left_over(
            restore_target.marked(connection, asked.to), restorers=restore_target.restorers(connection, asked.to)
        )
    if asked.to not in place.databases:
        return place, Wish(to=asked.to, holds=None, owner=asked.owner)
    with server.of(asked.to).connection(application="lifeboat restore") as connection:
        holds, encoding = restore_target.holds(connection), restore_target.encoding(connection)
    return place, Wish(to=asked.to, holds=holds, encoding=encoding, owner=asked.owner, left=left)


def _require(manifest: Manifest, wish: Wish, place: Place, to_remove: str) -> None:
    offer = Offer(
        server=place.server,
        role=place.role,
        may_create=place.may_create,
        extensions=place.extensions,
        roles=place.roles,
    )
    against = restores.refusals(manifest, wish, offer)
    if against:
        left = wish.holds and wish.left is not None and not wish.left.under_way
        free = restores.free_name(f"{manifest.database}_restored", place.databases)
        other = f"name a database that does not exist yet: --to {shlex.quote(free)}"
        mend = other if wish.holds is not None else "mend that, and run the same command again"
        raise Refused(
            f"dump {manifest.id} is not restored to {wish.to}:\n" + "\n".join(f"  {reason}" for reason in against),
            hint=f"to remove what is left there: {to_remove}\n  or {other}" if left else mend,
        )


def _preview(found: _Prepared, chosen: Chosen) -> Sequence[str]:
    manifest, wish, address = found.manifest, found.wish, found.server.address
    made = "create" if wish.holds is None else "fill the empty"
    rows = sum(content.rows for content in manifest.contents.tables)
    part = restores.part(manifest)
    return [
        f"{made} database {wish.to} at {address.host}:{address.port}, beside {manifest.database}",
        f"restore {manifest.id} of {manifest.snapshot_at:%Y-%m-%d %H:%M:%S}Z into it: {len(manifest.contents.tables):,} tables,"
        f" {rows:,} rows, {humane(manifest.size)} compressed",
        *([] if part is None else [f"it holds a part: {part}"]),
        *(f"leave out {left.item}: {left.why}" for left in chosen.left_out),
    ]


@contextmanager
def _told_what_is_left(target: Target, tellers: Tellers, to_remove: str) -> Iterator[None]:
    """Say, whatever ends a restore, what is left and how to remove it."""
    name = target.postgres.address.database
    if to_remove:
        left, mend = f"the database {name} is left, not whole", f"to remove it: {to_remove}"
    else:
        left = f"the database {name}, which was there before and empty, holds a part of the dump now"
        to_remove = mend = "lifeboat did not make it: empty it yourself, or name another database with --to"
    try:
        yield
    except LifeboatError as error:
        error.summary = f"{error.summary}\n{left}"
        error.hint = f"{error.hint}\n  {to_remove}" if error.hint else to_remove
        raise
    except KeyboardInterrupt:
        with suppress(OSError):
            tellers.warn(f"interrupted: {left}; {mend}")
        raise


def _to_remove(site: Site, recovery: Recovery, name: str) -> str:
    quoted = name.replace('"', '""')
    drop = shlex.quote(f'DROP DATABASE "{quoted}" WITH (FORCE)')
    if site.local_cloud() is not None:
        # Without the address psql would take whatever server it finds, on this machine perhaps.
        return site.shell(f'psql "${{DATABASE_URL:?}}" -c {drop}')
    database = recovery.database
    return f"psql -h {database.address} -p {database.port} -U {database.username} -d {_MAINTENANCE} -c {drop}"


def require_same(done: Done) -> None:
    """Raise IntegrityFailure with all that is not as the manifest says."""
    findings = done.restored.compared.findings
    if findings:
        name = done.postgres.address.database
        raise IntegrityFailure(
            f"{name} is restored, but not what the dump's manifest says:\n" + "\n".join(f"  {f}" for f in findings),
            hint=f"do not use it. {done.to_remove or 'lifeboat did not make it: empty it'}",
        )
