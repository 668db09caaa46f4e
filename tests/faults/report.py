"""`make test-faults` in a table: what happened to a recovery at each call, and how many ended right."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table


def main(path: Path) -> int:
    """Print the outcomes that the file holds; returns 1 when there are none."""
    outcomes = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    rows: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for outcome in outcomes:
        rows[outcome["by"], outcome["point"]["happens"]].append(outcome)
    table = Table(title=f"{len(outcomes)} recoveries, one thing happening to each")
    for heading in ("what recovers", "what happens at one call", "ended right", "needed to be gone on with", "median"):
        table.add_column(heading)
    for (by, happens), found in sorted(rows.items()):
        right = sum(not outcome["wrong"] for outcome in found)
        again = sum(outcome["resumed"] is not None for outcome in found)
        seconds = median(outcome["seconds"] for outcome in found)
        table.add_row(by, happens, f"{right} of {len(found)}", str(again), f"{seconds:.0f} s")
    console = Console(width=None if sys.stdout.isatty() else 120, emoji=False)
    console.print(table)
    for outcome in outcomes:
        if outcome["wrong"] and outcome["by"].startswith("lifeboat"):
            console.print(f"{outcome['point']} {outcome['hit']}: {'; '.join(outcome['wrong'])}", markup=False)
    return 0 if outcomes else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
