"""Which pg_restore is taken: this machine's of a major version, or the one that PG_BIN names, and no other then."""

from __future__ import annotations

from pathlib import Path

import pytest
from lifeboat.clients import restore_programs
from lifeboat.errors import WrongConfiguration

from tests.dump_sites import real_programs

MAJOR = int(real_programs().parent.name)


def programs(folder: Path, says: str) -> Path:
    """Make a folder whose pg_restore says a version."""
    folder.mkdir()
    (folder / "pg_restore").write_text(f"#!/bin/sh\necho 'pg_restore (PostgreSQL) {says}'\n")
    (folder / "pg_restore").chmod(0o755)
    return folder


def test_without_pg_bin_it_is_this_machines() -> None:
    assert restore_programs.folder(MAJOR, {}) == real_programs()
    assert restore_programs.require_named({}) is None


def test_what_pg_bin_names_is_taken_where_it_is_of_that_version(tmp_path: Path) -> None:
    named = programs(tmp_path / "bin", f"{MAJOR}.9")

    assert restore_programs.folder(MAJOR, {"PG_BIN": str(named)}) == named


def test_a_pg_bin_of_another_version_is_named_and_nothing_else_taken_in_silence(tmp_path: Path) -> None:
    named = programs(tmp_path / "bin", f"{MAJOR + 2}.1")

    with pytest.raises(WrongConfiguration) as wrong:
        restore_programs.folder(MAJOR, {"PG_BIN": str(named)})

    assert wrong.value.summary == (
        f"PG_BIN names {named}, whose pg_restore is of version {MAJOR + 2}: of a dump of PostgreSQL {MAJOR} no other version"
        " than that will do"
    )
    assert wrong.value.hint == f"name the folder of PostgreSQL {MAJOR}'s programs in PG_BIN, or unset it"


@pytest.mark.parametrize(
    ("what", "why"), [("nothing", "there is no such file"), ("something else", "does not say its version: hello")]
)
def test_a_pg_bin_without_a_pg_restore_that_works_is_one_clear_error(tmp_path: Path, what: str, why: str) -> None:
    folder = tmp_path / "bin"
    if what != "nothing":
        programs(folder, "x")
        (folder / "pg_restore").write_text("#!/bin/sh\necho hello\n")

    with pytest.raises(WrongConfiguration) as wrong:
        restore_programs.require_named({"PG_BIN": str(folder)})

    assert wrong.value.summary.startswith(f"PG_BIN names {folder}, where no pg_restore is that works: ")
    assert wrong.value.summary.endswith(why)
