"""What each way of looking finds in the damaged dumps, as a table: python -m tests.damage.report [PART]."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import zstandard
from lifeboat.decisions import stored_files
from lifeboat.dumps.restoring import Tellers
from lifeboat.dumps.verifying import Depth, read_whole, restored_on_scratch

from tests.damage import corpus
from tests.damage.corpus import Case
from tests.damage.sources import sources
from tests.restores.servers import BIN, RdsServer, rds_server

_QUIET = Tellers(say=lambda _: None, tell=lambda *_: None)
_DEPTH = Depth(level=3, within=timedelta(minutes=5))
_COLUMNS = ("level 1", "level 2", "level 3", "pg_restore --list", "psql <")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Which ways of looking found a case bad; None: not looked at in that way."""

    case: Case
    found: dict[str, bool | None]


def by_listing(case: Case) -> list[str]:
    """Return what level 1 finds."""
    return list(stored_files.compared(case.entry, case.dump.manifest).findings)


def by_reading(case: Case) -> list[str]:
    """Return what reading every byte finds by itself; a file that is not there cannot be read."""
    try:
        return read_whole(case.dump.copy(), _DEPTH, _QUIET)
    except KeyError as error:
        return [f"{error} is missing"]


def by_restoring(case: Case) -> list[str]:
    """Return what a restore finds by itself."""
    try:
        return restored_on_scratch(case.dump.copy(), _DEPTH, _QUIET)[0]
    except KeyError as error:
        return [f"{error} is missing"]


def by_table_of_contents(case: Case) -> bool:
    """Return whether `zstd -dc FILE | pg_restore --list` ends with an error for any archive, as a nightly check has it."""
    return any(_listing_fails(body) for name, body in case.dump.files.items() if name.endswith(".dump.zst"))


def _listing_fails(body: bytes) -> bool:
    reader = zstandard.ZstdDecompressor().decompressobj()
    raw = b""
    with suppress(zstandard.ZstdError):
        for at in range(0, len(body), 4096):
            raw += reader.decompress(body[at : at + 4096])
    with tempfile.NamedTemporaryFile() as file:
        file.write(raw)
        file.flush()
        return (
            subprocess.run([BIN / "pg_restore", "--list", file.name], capture_output=True, check=False).returncode != 0
        )


def by_psql(case: Case, rds: RdsServer) -> bool | None:
    """Return whether `zstd -dc dump.sql.zst | psql` ends with an error, the same damage done to a plain dump."""
    if case.plain is None:
        return None
    target = rds.new_database("damaged_psql")
    with tempfile.NamedTemporaryFile() as file, target.program_env() as env:
        file.write(case.plain)
        file.flush()
        done = subprocess.run(
            ["/bin/sh", "-c", f"zstd -dcq < {file.name} | {BIN}/psql -q"],
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    return done.returncode != 0


def judged(case: Case, rds: RdsServer) -> Judged:
    """Look at a case in all five ways."""
    found: dict[str, bool | None] = {
        "level 1": bool(by_listing(case)),
        "level 2": bool(by_reading(case)),
        "level 3": bool(by_restoring(case)),
        "pg_restore --list": by_table_of_contents(case),
        "psql <": by_psql(case, rds),
    }
    return Judged(case=case, found=found)


def table(found: Iterable[Judged]) -> str:
    """Return how many cases of each kind each way found, of those that it looked at."""
    kinds: dict[str, list[Judged]] = defaultdict(list)
    for one in found:
        kinds[one.case.kind].append(one)
    kinds["all"] = [one for several in list(kinds.values()) for one in several]
    lines = [f"| {'kind':<28} | cases | " + " | ".join(_COLUMNS) + " |", "|---" * (len(_COLUMNS) + 2) + "|"]
    for kind, several in kinds.items():
        cells = []
        for column in _COLUMNS:
            looked = [one.found[column] for one in several if one.found[column] is not None]
            cells.append(f"{sum(bool(f) for f in looked)} of {len(looked)}" if looked else "-")
        lines.append(f"| {kind:<28} | {len(several)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    """Look at every case, or at each n-th of them, print what each way finds by itself, and end with 1 where all missed one."""
    every = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    with rds_server() as rds:
        found = []
        for number, case in enumerate(corpus.cases(sources(rds))):
            if number % every == 0:
                found.append(judged(case, rds))
                if len(found) % 25 == 0:
                    print(f"{len(found)} looked at", file=sys.stderr, flush=True)
    print(table(found))
    # `lifeboat verify --level 3` looks at the listing first, so what either finds it finds.
    missed = [one for one in found if not one.found["level 1"] and not one.found["level 3"]]
    for one in missed:
        print(f"levels 1 and 3 missed: {one.case.kind}: {one.case.name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
