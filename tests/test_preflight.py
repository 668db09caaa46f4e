"""What must be there before anything is changed: what is found, and how it is mended."""

from __future__ import annotations

from pathlib import Path

import pytest
from lifeboat import config
from lifeboat.model import Prerequisite
from lifeboat.site import Site
from lifeboat.stack import preflight

from tests.rehearsal import ROOT

DEFAULT = "/tmp"  # noqa: S108  (Go's, and so Terraform's)


def temporary_folder(**env: str) -> Prerequisite:
    return preflight.temporary_folder(Site(config.load(ROOT, "local"), env))


def test_a_folder_that_can_be_written_is_a_place_for_temporary_files(tmp_path: Path) -> None:
    wanted = "a folder that can be written"

    assert temporary_folder(TMPDIR=str(tmp_path)) == Prerequisite(
        name="temporary folder", found=f"TMPDIR={tmp_path}", wanted=wanted, good=True
    )
    for unset in ({}, {"TMPDIR": ""}):
        assert (temporary_folder(**unset).found, temporary_folder(**unset).good) == (DEFAULT, True)


@pytest.mark.parametrize(
    ("place", "wrong", "fix"),
    [
        ("{}/none", "does not exist", "unset TMPDIR, or: mkdir -p {}/none"),
        ("{}/file", "is no folder", "unset TMPDIR, or let it name a folder that you can write"),
        ("tmp", "is no absolute path", "unset TMPDIR, or let it name a folder that you can write"),
        # Not even root may write there.
        ("/proc/self", "cannot be written", "unset TMPDIR, or let it name a folder that you can write"),
    ],
)
def test_what_is_wrong_with_it_is_said(tmp_path: Path, place: str, wrong: str, fix: str) -> None:
    (tmp_path / "file").touch()
    place = place.format(tmp_path)

    found = temporary_folder(TMPDIR=place)

    assert (found.found, found.good, found.fix) == (f"TMPDIR={place} {wrong}", False, fix.format(tmp_path))
