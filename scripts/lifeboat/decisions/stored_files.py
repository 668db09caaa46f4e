"""Whether what lies in a dump's folder is what its manifest says, as far as a listing shows it."""

from __future__ import annotations

from dataclasses import dataclass

from lifeboat.database_model import MANIFEST_FILE, SCHEMA_FILE, DumpEntry, Manifest


@dataclass(frozen=True, kw_only=True)
class Listed:
    """What a listing shows to be wrong, and of which files it cannot tell whether they are what was stored.

    Those have the name and the size that they should have, and are other versions: written over, or brought back by AWS
    Backup, which gives new ones to all. The manifest's digest of their bytes says which it is.
    """

    findings: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()


def compared(entry: DumpEntry, manifest: Manifest) -> Listed:
    """Return what is missing, other than written, or not of the dump, and what a listing cannot tell.

    Of a version that is the manifest's the ETag counts for nothing: nobody chooses a version's id, a copy of S3's keeps it
    (S3 user guide, "Replicating objects"), and encrypted with another key it has another ETag.
    """
    found, untold = [], []
    told = {file.name: file for file in manifest.files}
    if len(told) != len(manifest.files):
        found.append("the manifest names a file twice")
    if SCHEMA_FILE not in told:
        found.append(f"the manifest names no {SCHEMA_FILE}")
    if not any(name.startswith("data-") for name in told):
        found.append("the manifest names no data")
    for name, file in sorted(told.items()):
        stored = entry.files.get(name)
        if stored is None:
            found.append(f"{name} is missing")
        elif stored.size != file.size:
            found.append(f"{name} is not what was stored: size {stored.size}, {file.size} in the manifest")
        elif stored.version_id != file.version_id:
            untold.append(name)
    strays = sorted(set(entry.files) - set(told) - {MANIFEST_FILE})
    found += [f"{name} is not of the dump" for name in strays]
    return Listed(findings=tuple(found), untold=tuple(untold))


def remarks(listed: Listed) -> list[str]:
    """Return what is to be said of files that a listing cannot tell."""
    if not listed.untold:
        return []
    names = ", ".join(listed.untold)
    return [f"other versions than the manifest's lie here, of the same size, which their SHA-256 has to tell: {names}"]
