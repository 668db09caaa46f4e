"""docs/evidence.schema.json, written from the nouns of evidence."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from lifeboat.decisions import evidence_chain


def page() -> str:
    """Return the JSON Schema of what is stored, as text."""
    return json.dumps(evidence_chain.schema(), indent=2, ensure_ascii=False) + "\n"


def main(path: Path) -> None:
    """Write the schema."""
    path.write_text(page())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
