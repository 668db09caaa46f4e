"""The dump that an operator names, or the newest one, ready to be read by the versions that its manifest names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime

from lifeboat.clients.dump_store import DumpStore
from lifeboat.database_model import DumpEntry, DumpFile, DumpId, Manifest, StoredFile
from lifeboat.decisions import dump_dates, restores, stored_files
from lifeboat.decisions.recovery_points import humane
from lifeboat.decisions.stored_files import Listed
from lifeboat.dumps.restoring import Copy
from lifeboat.errors import IntegrityFailure, NothingFits, Refused, Unreachable


def chosen(store: DumpStore, database: str, wanted: DumpId | None) -> DumpEntry:
    """Return the dump of an id, or the newest one of all of a database: a part is taken only where it is named.

    Raises NothingFits with the newest five where there is none of that id, and with the database that has it, Refused where
    it never became a dump, IntegrityFailure where its manifest was deleted.
    """
    entries = store.entries(database)
    now = datetime.now(UTC)
    found = newest_whole(store, entries, now) if wanted is None else restores.named(entries, wanted)
    if found is None:
        # Of the newest ones each was looked into, and they are parts.
        parts = set() if wanted else {entry.id for entry in restores.newest_first(entries, now)}
        there = [
            f"{said(entry, now)}{', of a part' if entry.id in parts else ''}" for entry in restores.newest(entries)
        ]
        kind = "dump of all" if parts else "complete dump"
        none = f"there is no dump {wanted} of {database}" if wanted else f"there is no {kind} of {database}"
        listed = ["; the newest are:", *(f"  {line}" for line in there)] if there else ["; there are none at all"]
        hint = "name a part by its id, or make one of all: lifeboat dump" if parts else "lifeboat backups"
        elsewhere = None if wanted is None else restores.in_other_databases(store.entries(), wanted)
        raise NothingFits(
            f"{none} in s3://{store.bucket}/{store.prefix}" + "\n".join(listed),
            hint=hint if elsewhere is None else f"{elsewhere} makes the same command look there",
        )
    if found.deleted is not None:
        other = store.place.other
        raise IntegrityFailure(
            f"{found.id}: {found.why_incomplete}",
            hint="lifeboat backups shows those that are whole"
            if other is None
            else f"its copy may be whole: the same command with --region {other.region}",
        )
    if not found.complete:
        raise Refused(
            f"{found.id} never became a dump: it has no manifest, so it was cut off while it was taken",
            hint="lifeboat backups shows those that are complete",
        )
    return found


def newest_whole(store: DumpStore, entries: Iterable[DumpEntry], now: datetime) -> DumpEntry | None:
    """Return the newest dump of all of a database; None where there is none. A listing does not tell a part from it.

    One whose manifest cannot be read may be that one, so it is returned: whoever reads it next says why it cannot be read.
    """
    for entry in restores.newest_first(entries, now):
        try:
            if store.manifest(entry).selection.whole:
                return entry
        except (IntegrityFailure, Unreachable):
            return entry
    return None


def said(entry: DumpEntry, now: datetime) -> str:
    """Return a dump in one line, with why it is never taken for the newest."""
    state = (dump_dates.ahead(entry, now) or "complete") if entry.complete else "never finished"
    return f"{entry.id}  of {entry.begun_at.astimezone(UTC):%Y-%m-%d %H:%M}Z, {humane(entry.size)}, {state}"


def whole(store: DumpStore, entry: DumpEntry) -> Manifest:
    """Return the manifest of a dump in which nothing is missing or of another size; raises IntegrityFailure.

    Whether files that lie here as other versions are what was stored shows when they are read (`remarks`).
    """
    manifest = store.manifest(entry)
    damaged = compared(store, entry, manifest).findings
    if damaged:
        raise IntegrityFailure(
            f"dump {entry.id} is not what was stored:\n" + "\n".join(f"  {finding}" for finding in damaged),
            hint="lifeboat backups shows the others; lifeboat verify --all --level 1 says which of them are whole",
        )
    return manifest


def remarks(entry: DumpEntry, manifest: Manifest) -> list[str]:
    """Return what is to be said of a dump before it is read."""
    return stored_files.remarks(stored_files.compared(entry, manifest))


def require_undoubted(entry: DumpEntry, manifest: Manifest, in_spite: str) -> None:
    """Raise Refused with every doubt about a dump: flags, a verification that it failed, a date that cannot be.

    `in_spite` is what takes it although they are known.
    """
    doubts = restores.doubts(entry, manifest, datetime.now(UTC))
    if doubts:
        raise Refused(
            f"dump {entry.id} is in doubt:\n" + "\n".join(f"  {doubt}" for doubt in doubts),
            hint=f"lifeboat backups shows the others; {in_spite} takes this one in spite of it",
        )


def compared(store: DumpStore, entry: DumpEntry, manifest: Manifest) -> Listed:
    """Return what in a dump's folder is not as its manifest says, and what the listing cannot tell.

    Looks at the folder once more before it says so: a long listing is read page by page, and of a dump that was completed
    between two of them the first one lacks the files.
    """
    found = stored_files.compared(entry, manifest)
    return stored_files.compared(store.again(entry), manifest) if found.findings else found


def copy_of(store: DumpStore, entry: DumpEntry, manifest: Manifest) -> Copy:
    """Return a dump to read: each file by the version and the size that the manifest names, whatever was written since.

    A file that lies here as another version is read by that one: of a bucket that was restored no other is left. Each is
    checked against the manifest's digests as it is read.
    """
    other = set(stored_files.compared(entry, manifest).untold)
    files = {
        file.name: entry.files[file.name]
        if file.name in other
        else StoredFile(
            name=file.name, size=file.size, etag=file.etag, version_id=file.version_id, stored_at=manifest.ended_at
        )
        for file in manifest.files
    }
    as_written = replace(entry, files=files)

    def opened(file: DumpFile) -> AbstractContextManager[Iterator[bytes]]:
        return store.opened(as_written, file.name)

    return Copy(manifest=manifest, opened=opened)
