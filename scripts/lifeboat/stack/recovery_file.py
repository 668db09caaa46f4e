"""The recovery file `<env>.recovery.tfvars.json` of this checkout: read whole, and replaced whole or not at all."""

from __future__ import annotations

from lifeboat.clients import private_files
from lifeboat.site import Site


def text(site: Site) -> str | None:
    """Return what it says; None where there is none."""
    path = site.project.recovery_file
    return path.read_text() if path.exists() else None


def write(site: Site, wanted: str | None) -> None:
    """Put this in its place at once, None: no file. Whoever is cut off here leaves the old one or the new one."""
    path = site.project.recovery_file
    if wanted is None:
        path.unlink(missing_ok=True)
        return
    private_files.write(path, wanted.encode())
    path.chmod(0o644)  # it is committed
