"""Whether a dump can be of the time that its id says: what it calls itself is not what S3 saw."""

from __future__ import annotations

from datetime import datetime, timedelta

from lifeboat.database_model import MANIFEST_FILE, DumpEntry

# A clock that is off by so much is no reason for doubt.
CLOCKS_DIFFER = timedelta(hours=1)


def ahead(entry: DumpEntry, now: datetime) -> str | None:
    """Return how a dump is dated later than it can be; None where it is not.

    Such a one would be the newest until its date has come. One that S3 stored long after its date is another matter: so are
    all of a bucket that was restored.
    """
    if entry.begun_at > now + CLOCKS_DIFFER:
        return f"it is dated in the future ({entry.begun_at:%Y-%m-%d %H:%M}Z)"
    manifest = entry.files.get(MANIFEST_FILE)
    if manifest is not None and manifest.stored_at < entry.begun_at - CLOCKS_DIFFER:
        return stored(entry, manifest.stored_at)
    return None


def stored(entry: DumpEntry, at: datetime) -> str:
    """Return in words that S3 stored a dump at another time than it says."""
    return f"it says it was begun {entry.begun_at:%Y-%m-%d %H:%M}Z, and S3 stored it {at:%Y-%m-%d %H:%M}Z"
