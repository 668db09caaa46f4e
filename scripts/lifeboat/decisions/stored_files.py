"""Whether what lies in a dump's folder is what its manifest says, as far as a listing shows it."""

from __future__ import annotations

from lifeboat.database_model import DumpEntry, Manifest

_MANIFEST = "manifest.json"


def findings(entry: DumpEntry, manifest: Manifest) -> list[str]:
    """Return what is missing, other than written, or not of the dump; nothing where all is as it was stored."""
    found = []
    told = {file.name: file for file in manifest.files}
    if len(told) != len(manifest.files):
        found.append("the manifest names a file twice")
    if "schema.dump.zst" not in told:
        found.append("the manifest names no schema.dump.zst")
    if not any(name.startswith("data-") for name in told):
        found.append("the manifest names no data")
    for name, file in sorted(told.items()):
        stored = entry.files.get(name)
        if stored is None:
            found.append(f"{name} is missing")
            continue
        differs = [
            f"{what} {is_now}, {was} in the manifest"
            for what, is_now, was in (
                ("size", stored.size, file.size),
                ("ETag", stored.etag, file.etag),
                ("version", stored.version_id, file.version_id),
            )
            if is_now != was
        ]
        if differs:
            found.append(f"{name} is not what was stored: {'; '.join(differs)}")
    strays = sorted(set(entry.files) - set(told) - {_MANIFEST})
    return [*found, *(f"{name} is not of the dump" for name in strays)]
