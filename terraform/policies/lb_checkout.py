"""Where the package `lifeboat` is for a Python that does not have it installed: beside these files, in scripts/."""

from __future__ import annotations

import sys
from pathlib import Path

SCRIPTS = str(Path(__file__).resolve().parents[2] / "scripts")
# First: the rules are those of this checkout, whatever else is installed. Of what they need, all is in the standard library
# but pydantic, which checkov itself needs.
if sys.path[:1] != [SCRIPTS]:
    sys.path.insert(0, SCRIPTS)
