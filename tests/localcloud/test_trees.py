"""Copies of folders that share what is never written again, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from localcloud.trees import copy_but_link, copy_tree, link_tree


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """A folder with a database that is written to, a base backup and WAL."""
    for name in ("state", "db-1/data/base/1", "db-1/wal/0001", "db-1/wal/.0002.part", "snap-1/base/PG_VERSION"):
        path = tmp_path / "live" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "live" / "snap-1" / "base" / "link").symlink_to("PG_VERSION")
    (tmp_path / "live" / "db-1" / "data").chmod(0o700)
    (tmp_path / "live" / "snap-1").chmod(0o750)
    os.utime(tmp_path / "live" / "db-1" / "data" / "base" / "1", (1, 1))
    return tmp_path / "live"


def described(folder: Path) -> dict[str, tuple[int, int, int, int]]:
    """Return mode, owner, group and time of everything in a folder (a directory's own time is that of its last entry: none)."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        written = 0 if path.is_dir() else status.st_mtime_ns
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_uid, status.st_gid, written)
    return found


def shared(one: Path, other: Path) -> set[str]:
    names = (str(path.relative_to(one)) for path in one.rglob("*") if path.is_file() and not path.is_symlink())
    return {name for name in names if (one / name).samefile(other / name)}


def test_only_what_the_patterns_match_is_shared(live: Path, tmp_path: Path) -> None:
    copy_but_link(live, tmp_path / "save", ["*/base", "*/wal/[!.]*"])

    assert described(tmp_path / "save") == described(live)
    assert shared(live, tmp_path / "save") == {"db-1/wal/0001", "snap-1/base/PG_VERSION"}
    assert (tmp_path / "save" / "snap-1" / "base" / "link").readlink() == Path("PG_VERSION")


def test_what_is_written_or_deleted_afterwards_does_not_reach_the_copy(live: Path, tmp_path: Path) -> None:
    copy_but_link(live, tmp_path / "save", ["*/base", "*/wal/[!.]*"])
    for name in ("state", "db-1/data/base/1", "db-1/wal/.0002.part"):
        (live / name).write_text("changed")
    (live / "snap-1" / "base" / "PG_VERSION").unlink()

    texts = {name: (tmp_path / "save" / name).read_text() for name in described(live) if (live / name).is_file()}

    assert all(text == name for name, text in texts.items())
    assert (tmp_path / "save" / "snap-1" / "base" / "PG_VERSION").read_text() == "snap-1/base/PG_VERSION"


def test_a_pattern_that_matches_nothing_copies_all(live: Path, tmp_path: Path) -> None:
    copy_but_link(live, tmp_path / "save", ["nothing/*"])

    assert (described(tmp_path / "save"), shared(live, tmp_path / "save")) == (described(live), set())


def test_a_tree_is_copied_or_linked_whole(live: Path, tmp_path: Path) -> None:
    copy_tree(live, tmp_path / "copy")
    link_tree(live, tmp_path / "links")

    assert described(tmp_path / "copy") == described(tmp_path / "links") == described(live)
    assert shared(live, tmp_path / "copy") == set()
    assert len(shared(live, tmp_path / "links")) == 5
