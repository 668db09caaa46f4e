"""The folder of a scan's reports: emptied before the scan, so that what lies in it is never of an earlier one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from lifeboat.clients import private_files
from lifeboat.errors import WrongConfiguration


def remove(folder: Path, names: Iterable[str]) -> None:
    """Remove the reports of an earlier scan: one that fails before its end must not leave a green one behind.

    Raises WrongConfiguration where the folder can be none.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise WrongConfiguration(
            f"no reports can be written to {folder}: {error.strerror}", hint="name another folder: --report-dir DIR"
        ) from None


def write(folder: Path, texts: Mapping[str, str]) -> None:
    """Write the reports, each whole or not at all. Raises WrongConfiguration where one cannot be written."""
    try:
        for name, text in texts.items():
            private_files.write(folder / name, text.encode())
    except OSError as error:
        remove(folder, texts)
        raise WrongConfiguration(
            f"the reports cannot be written to {folder}: {error.strerror}", hint="name another folder: --report-dir DIR"
        ) from None
