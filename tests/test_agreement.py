"""Somebody on a terminal who does not agree is told that and no more: what was done until then is another's to say."""

from __future__ import annotations

import os
import subprocess
import sys

_ASKS = """
from lifeboat.cli_options import asking
from lifeboat.errors import ApprovalMissing
try:
    asking(yes=False)(["let app-g2 serve, although public.notes holds no row"])
except ApprovalMissing as error:
    print(f"{error.summary}|{error.hint}")
"""


def test_who_does_not_agree_is_not_told_that_nothing_was_changed() -> None:
    terminal, theirs = os.openpty()
    os.write(terminal, b"no\n")

    asked = subprocess.run(
        [sys.executable, "-c", _ASKS], stdin=theirs, capture_output=True, text=True, check=True, timeout=60
    )

    os.close(terminal)
    os.close(theirs)
    assert "let app-g2 serve, although public.notes holds no row" in asked.stdout
    assert asked.stdout.splitlines()[-1].endswith("not agreed to|agree to it once it is right")
