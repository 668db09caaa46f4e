"""Where the `lifeboat` command begins."""

from __future__ import annotations

import gc
import sys

from lifeboat import streams
from lifeboat.errors import INTERRUPTED


def main() -> None:
    """Run the command line; ends the process with its exit status.

    None of what a start loads is ever garbage. Python looks for some all the same, at the start and once more at the
    end: a third of what a short command costs.
    """
    gc.disable()
    streams.open_standard()
    try:
        from lifeboat import cli  # noqa: PLC0415  (what is loaded here is what is meant)
    except KeyboardInterrupt:  # before anything was begun: there is nothing to be said of it
        sys.exit(INTERRUPTED)

    gc.freeze()
    gc.enable()
    try:
        cli.main()
    finally:
        gc.freeze()
