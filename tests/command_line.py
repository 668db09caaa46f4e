"""`lifeboat …` in this process, since starting one takes longer than all that most commands do."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from contextvars import copy_context
from pathlib import Path

from lifeboat import cli


def run(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `lifeboat …` in a folder without a terminal, with these environment variables alone (None: with this process's).

    For what asks, is refused or works through boto3. What ends by a signal, or by how a stream or a program that it starts
    behaves, takes a process of its own.
    """
    argv, out, err = ["lifeboat", *arguments], io.StringIO(), io.StringIO()
    status: object = None
    with _started(argv, folder, os.environ.copy() if env is None else env), redirect_stdout(out), redirect_stderr(err):
        try:
            copy_context().run(cli.main)  # whom it speaks for is forgotten with it
        except SystemExit as end:
            status = end.code
    assert isinstance(status, int), f"{argv} ended with {status!r}"
    return subprocess.CompletedProcess(argv, status, out.getvalue(), err.getvalue())


@contextmanager
def _started(argv: Sequence[str], folder: Path, env: Mapping[str, str]) -> Iterator[None]:
    """Let this process look like one that was just started, and put everything back that a command may change."""
    handlers = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    before = (sys.argv, sys.stdin, Path.cwd(), os.environ.copy())
    sys.argv, sys.stdin = list(argv), io.StringIO()
    try:
        os.chdir(folder)
        _environment(env)
        yield
    finally:
        sys.argv, sys.stdin, back, variables = before
        os.chdir(back)
        _environment(variables)
        for number, handler in handlers:
            signal.signal(number, handler)


def _environment(variables: Mapping[str, str]) -> None:
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)
