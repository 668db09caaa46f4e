"""Standard input, output and error as the commands may take them for granted: there, and never a reason to stop."""

from __future__ import annotations

import io
import os
import select
import sys
from typing import Any, TextIO

from lifeboat.errors import Failed

_INPUT, _OUTPUT, _ERROR = 0, 1, 2


def open_standard() -> None:
    """Give the process its three streams, whatever it was started with.

    One that was closed (`>&-`) leads nowhere. A reader that goes away (`| head -1`) ends nothing: the command goes on to
    its own exit status. A result that cannot be written raises Failed; of progress, what cannot be is left out.
    """
    # The first files that are opened would get the numbers of the streams that are closed, and with them what is
    # printed by the programs that we start.
    while (free := os.open(os.devnull, os.O_RDWR)) <= _ERROR:
        os.set_inheritable(free, True)
    os.close(free)
    if sys.stdin is None:
        sys.stdin = open(_INPUT, closefd=False)  # noqa: SIM115
    sys.stdout = _text(_Result(_OUTPUT, "w", closefd=False), sys.stdout)
    sys.stderr = _text(_Progress(_ERROR, "w", closefd=False), sys.stderr)


class _Result(io.FileIO):
    """Says once that it cannot be written; what comes after that is dropped, up to Python's own flush at the end."""

    _refused = False

    def write(self, data: Any, /) -> int:
        try:
            if self._refused:
                return len(data)
            # The file may be set not to block, by whoever shares it: it then takes nothing while its reader is behind.
            while (written := super().write(data)) is None:
                select.select([], [self], [])
            return written
        except BrokenPipeError:
            return len(data)
        except OSError as error:
            self._refused = True
            raise Failed(
                f"cannot write the output to stdout: {error.strerror}",
                hint="make room where it goes (df -h shows where), or send it elsewhere",
            ) from error


class _Progress(io.FileIO):
    def write(self, data: Any, /) -> int:
        try:
            written = super().write(data)
        except OSError:
            written = None
        return len(data) if written is None else written


def _text(raw: io.FileIO, before: TextIO | None) -> io.TextIOWrapper:
    """Return a stream of text over `raw`, encoded as the one before it; one that was unbuffered waits for whole lines."""
    if not isinstance(before, io.TextIOWrapper):
        return io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8")
    before.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=before.encoding,
        errors=before.errors,
        line_buffering=before.line_buffering or before.write_through,
    )
