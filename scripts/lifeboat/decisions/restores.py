"""Whether a dump may be restored where the operator wants it: every reason against it at once."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, count

from lifeboat.database_model import DumpEntry, DumpId, Manifest, Server
from lifeboat.decisions import dump_dates, dump_floors

_NEWEST = 5
# Of the server itself: dumps are restored beside them, never into them.
_RESERVED = frozenset({"postgres", "template0", "template1", "rdsadmin"})
_MARK = "lifeboat restore, not finished: "
_LONGEST_NAME = 63  # bytes; PostgreSQL would cut the rest off without a word


@dataclass(frozen=True, kw_only=True)
class LeftOver:
    """What the mark on a database says: a restore of this dump has made it and did not end well, if none works on it now."""

    dump: str
    under_way: bool


@dataclass(frozen=True, kw_only=True)
class Wish:
    """Where to: the database's name, what is in it (None: there is none of that name), and whose all will be.

    `left` is what an earlier restore left there; None where the database is not one that a restore has made.
    """

    to: str
    holds: Sequence[str] | None
    encoding: str | None = None
    owner: str | None = None
    left: LeftOver | None = None

    @property
    def ours(self) -> bool:
        """Whether the database is made by this restore, or was by one that was cut off: what is in it is nobody's."""
        return self.holds is None or self.left is not None


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What the server and the role there have to offer."""

    server: Server
    role: str
    may_create: bool
    extensions: Collection[str]
    roles: Collection[str]


def mark(dump: str) -> str:
    """Return what is written on a database while a dump is restored into it."""
    return f"{_MARK}{dump}"


def left_over(mark: str | None, *, restorers: int) -> LeftOver | None:
    """Return what the mark on a database says, and how many sessions of restores are in it; None where it is not ours."""
    if mark is None or not mark.startswith(_MARK):
        return None
    return LeftOver(dump=mark.removeprefix(_MARK), under_way=restorers > 0)


def name_problem(name: str) -> str | None:
    """Return why a database may not have this name; None where it may."""
    if not name or "\0" in name or not name.isprintable():
        return "it needs a name of printable characters"
    if len(name.encode()) > _LONGEST_NAME:
        return f"the name has more than {_LONGEST_NAME} bytes"
    return f"{name} belongs to the server itself" if name in _RESERVED else None


def named(entries: Iterable[DumpEntry], wanted: DumpId) -> DumpEntry | None:
    """Return the dump of an id; None where there is none."""
    return next((entry for entry in entries if entry.id == wanted), None)


def newest_first(entries: Iterable[DumpEntry], now: datetime) -> list[DumpEntry]:
    """Return those that may be the newest, as far as a listing tells: complete and not dated ahead; newest first."""
    fitting = [entry for entry in entries if entry.complete and dump_dates.ahead(entry, now) is None]
    return sorted(fitting, key=lambda entry: (entry.begun_at, entry.id), reverse=True)


def beheaded(entries: Iterable[DumpEntry]) -> list[DumpEntry]:
    """Return the dumps whose manifest was deleted though their database has no newer one that is whole, the oldest first.

    No rule of retention takes the newest: somebody did.
    """
    known = sorted(entries, key=lambda entry: (entry.begun_at, entry.id))
    whole = {entry.database: (entry.begun_at, entry.id) for entry in known if entry.complete}
    lost = (entry for entry in known if entry.deleted is not None)
    return [e for e in lost if e.database not in whole or (e.begun_at, e.id) > whole[e.database]]


def newest(entries: Iterable[DumpEntry]) -> list[DumpEntry]:
    """Return the newest five, newest first."""
    return sorted(entries, key=lambda entry: (entry.begun_at, entry.id), reverse=True)[:_NEWEST]


def doubts(entry: DumpEntry, manifest: Manifest, now: datetime) -> list[str]:
    """Return why a dump should not be restored without a second thought: its flags, and what a listing shows of it."""
    return [*flagged(manifest), *listed_doubts(entry, now)]


def flagged(manifest: Manifest) -> list[str]:
    """Return what was suspicious about a dump when it was taken, and that nobody has accepted."""
    return [f"flagged when it was taken: {flag}" for flag in dump_floors.suspicious(manifest)]


def listed_doubts(entry: DumpEntry, now: datetime) -> list[str]:
    """Return what speaks against a dump as it is listed: a verification that failed last, and a date that cannot be."""
    ahead = dump_dates.ahead(entry, now)
    return [*failed_proof(entry), *failed_elsewhere(entry), *([] if ahead is None else [ahead])]


def failed_proof(entry: DumpEntry) -> list[str]:
    """Return which verification a dump failed; nothing where a later one, at least as deep, found nothing wrong."""
    failure = entry.failure
    return (
        [] if failure is None else [f"its verification of {failure.at:%Y-%m-%d %H:%M}Z at level {failure.level} failed"]
    )


def failed_elsewhere(entry: DumpEntry) -> list[str]:
    """Return which verification the other region's copy failed that may be wrong in this one too: its bytes are the same."""
    failed = entry.failed_elsewhere
    if failed is None:
        return []
    return [
        f"the copy in {failed.region} failed a verification (level {failed.level}), and this one passed none as deep"
    ]


def of_database(name: str) -> str:
    """Return the option of a command that is about dumps of a database, quoted for a shell: a name may have any sign in it."""
    return shlex.quote(f"--database={name}")


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """A dump in the bucket of a region."""

    entry: DumpEntry
    region: str


_SHOWN_COMMANDS = 3


def after_failures(failed: Sequence[DumpEntry], others: Sequence[Elsewhere]) -> str:
    """Return what to type after dumps have failed a verification: what looks at the other region's copies, what makes new ones.

    A copy that was damaged where it lies is whole in the other region; one that was never good is not.
    """
    looks = [look_at(one) for one in others]
    more = [f"and {len(looks) - _SHOWN_COMMANDS} more"] if len(looks) > _SHOWN_COMMANDS else []
    named = sorted({entry.database for entry in failed})
    dump = f"a new one: lifeboat dump {' '.join(map(of_database, named))}"
    if not looks:
        return f"lifeboat backups shows the others; {dump}"
    return f"the copy in the other region may be whole: {', '.join([*looks[:_SHOWN_COMMANDS], *more])}; {dump}"


def free_name(wanted: str, taken: Collection[str]) -> str:
    """Return a name that no database has: the one that is wanted, else with the first number that makes it one."""
    names = chain([wanted], (f"{wanted}_{number}" for number in count(2)))
    return next(name for name in names if name not in taken)


def look_at(one: Elsewhere) -> str:
    """Return the command that reads every byte of a dump in a region."""
    return f"lifeboat verify {one.entry.id} {of_database(one.entry.database)} --region {one.region}"


def in_other_databases(entries: Iterable[DumpEntry], wanted: DumpId) -> str | None:
    """Return in words of which database the dump of an id is, and the option that names it; None where there is none."""
    names = sorted({entry.database for entry in entries if entry.id == wanted})
    if not names:
        return None
    return f"{wanted} is of the database {' and of '.join(names)}: {' or '.join(map(of_database, names))}"


def part(manifest: Manifest) -> str | None:
    """Return which part of its database a dump holds; None where it holds all of it."""
    selection = manifest.selection
    if selection.whole:
        return None
    kind, patterns = ("schemas", selection.schemas) if selection.schemas else ("tables", selection.tables)
    return f"only the {kind} {', '.join(patterns)} of {manifest.database}"


def unfit_for_recovery(manifest: Manifest, database: str, major: int) -> list[str]:
    """Return why a dump cannot be all of a new instance of this major version; nothing where it can."""
    found = []
    if manifest.database != database:
        found.append(f"it is of the database {manifest.database}, and the application uses {database}")
    if not manifest.selection.whole:
        found.append("it holds a part of the database only: what was not chosen for it would be lost")
    if manifest.server.major > major:
        found.append(f"it is of PostgreSQL {manifest.server.version}, newer than the instance's {major}")
    return found


def refusals(manifest: Manifest, wish: Wish, offer: Offer) -> list[str]:
    """Return every reason against a restore; nothing where it may begin."""
    found = []
    if wish.holds is not None and wish.to == manifest.database:
        found.append(f"{wish.to} is the database that the dump was taken of: a copy is restored beside it")
    elif wish.left is not None and wish.left.under_way:
        found.append(f"another lifeboat restore brings {wish.left.dump} back into {wish.to} right now")
    elif wish.holds:
        left = "" if wish.left is None else f", left by a restore of {wish.left.dump} that did not come to a good end"
        found.append(f"the database {wish.to} is not empty: it holds {', '.join(wish.holds)}{left}")
    if wish.encoding is not None and wish.encoding != manifest.server.encoding:
        found.append(f"the database {wish.to} is encoded in {wish.encoding}, the dump in {manifest.server.encoding}")
    if wish.holds is None and not offer.may_create:
        found.append(f"the role {offer.role} may not create databases")
    if manifest.server.major > offer.server.major:
        found.append(
            f"the dump is of PostgreSQL {manifest.server.version}, newer than the server's {offer.server.version}"
        )
    lacking = sorted({e.name for e in manifest.contents.extensions} - set(offer.extensions))
    if lacking and manifest.selection.whole:
        found.append(f"the server does not offer the extensions {', '.join(lacking)}")
    if wish.owner is not None and wish.owner not in offer.roles:
        found.append(f"{offer.role} is no member of the role {wish.owner}, or there is no such role")
    return found
