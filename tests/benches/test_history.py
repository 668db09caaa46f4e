"""The history that `make bench` lists is one: each version reads back as what the listing says, and the newest has the digest."""

from __future__ import annotations

import json
from pathlib import Path

from tests import command_line
from tests.benches import history
from tests.benches.projects import project
from tests.rehearsal import CLEAN

KEYS = {**CLEAN, "AWS_EC2_METADATA_DISABLED": "true"}


def test_every_version_is_listed_with_its_own_serial_and_the_digest_is_the_newest_s(tmp_path: Path) -> None:
    with history.running(1001, 2) as served:
        project(tmp_path, served.url)

        first, again = [
            command_line.run(tmp_path, "state", "list", "-e", "x", "-o", "json", env=KEYS) for _ in range(2)
        ]

    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    for told in (first, again):
        found = json.loads(told.stdout)["versions"]
        assert [one["serial"] for one in found] == list(range(1001, 0, -1))
        assert [one["serial"] for one in found if one["is_digest"]] == [1001]
