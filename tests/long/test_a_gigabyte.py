"""A table of a gigabyte, with what lies around it, dumped and restored by the command line: equal to the row, memory flat."""

from __future__ import annotations

import json

from tests.benches import dumps, measuring
from tests.benches.database import DATABASE

MEMORY_BYTES = 200e6
SMALL, LARGE = 0.05, 2.9  # by the bench's measure: the events are somewhat more than a third of it


def test_a_table_of_a_gigabyte_comes_back_whole_and_takes_no_more_memory_than_one_of_a_fiftieth() -> None:
    peaks: dict[float, list[int]] = {}

    for gigabytes in (SMALL, LARGE):
        with dumps.prepared(gigabytes) as place:
            place.sink.keep_bodies()
            dumped = measuring.measured(place.lifeboat("dump", "dump", "--jobs", "2"), place.meters)
            command = place.lifeboat(
                "restore", "restore", "latest", "--to", "restored", "--yes", "-o", "json", "--jobs", "2"
            )
            restored = measuring.measured(command, place.meters)
            with place.server.admin(DATABASE) as connection:
                events, held = connection.execute(
                    "SELECT count(*), pg_table_size('audit.events') FROM audit.events"
                ).fetchone() or (0, 0)
        told = json.loads(restored.said[restored.said.index("{") :])
        print(f"{gigabytes} GB: {dumped.memory / 1e6:.0f} MB to dump, {restored.memory / 1e6:.0f} MB to restore")
        peaks[gigabytes] = [dumped.memory, restored.memory]
        # The command compared each table's rows and fingerprint with the manifest, whose own are the source's.
        assert (told["findings"], told["tables"], told["large_objects"]) == ([], 48, 50)
        assert events == gigabytes * 1_000_000
        assert held >= (1e9 if gigabytes == LARGE else 1e7)
        # The file with the password, the schema: nothing that grows with the rows.
        assert (dumped.disk < 1000, restored.disk < 1_000_000) == (True, True)

    assert max(peaks[LARGE]) < MEMORY_BYTES
