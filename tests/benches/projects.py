"""The folder of a project that `make bench` types commands in."""

from __future__ import annotations

from pathlib import Path

from tests.gitlab_sites import settings_of


def project(folder: Path, url: str) -> None:
    """Make a project folder of an application at a URL."""
    for name in ("environments", "terraform"):
        (folder / name).mkdir()
    (folder / "environments" / "x.tfvars").write_text("")
    (folder / "environments" / "x.toml").write_text(settings_of(url))
