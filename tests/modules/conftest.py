"""A Terraform that reads no personal settings and finds the provider without the network where it can."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.modules.terraform_runs import Terraform

# Where Terraform itself looks for an unpacked mirror, and where packages put one.
USUAL_PLACES = (
    *((Path.home() / ".terraform.d").glob("plugins")),
    *((Path.home() / ".local/share/terraform").glob("plugins")),
    *Path("/usr/local/share").glob("terraform/plugins"),
    *Path("/usr/share").glob("terraform/plugins"),
    *Path("/opt").glob("*"),
)


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    """Terraform with its own settings file; what it downloads is shared by the session and gone after it."""
    with terraform_in(tmp_path_factory.mktemp("terraform")) as found:
        yield found


@contextmanager
def terraform_in(folder: Path) -> Iterator[Terraform]:
    """Give a Terraform that keeps everything in a folder, which is gone afterwards."""
    program = shutil.which("terraform")
    assert program, "install Terraform 1.11 or newer and put it on PATH"
    folder.mkdir(exist_ok=True)
    settings = folder / "terraform.rc"
    settings.write_text(_settings(_mirror(), folder / "cache"), encoding="utf-8")

    yield Terraform(program=program, settings=settings, folder=folder)

    shutil.rmtree(folder, ignore_errors=True)


def _mirror() -> Path | None:
    named = os.environ.get("TF_PLUGIN_MIRROR")
    if named:
        return Path(named)
    for place in USUAL_PLACES:
        if (place / "registry.terraform.io/hashicorp/aws").is_dir():
            return place
    return None


def _settings(mirror: Path | None, cache: Path) -> str:
    if mirror is None:
        cache.mkdir()
        return f'plugin_cache_dir = "{cache}"\nprovider_installation {{\n  direct {{}}\n}}\n'
    return f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n'
