"""Terraforms that are stopped: all are asked at once, whichever of them takes longest."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from lifeboat.clients import terraform
from lifeboat.clients.terraform import Running

from tests.localcloud.machines import until

# It ends when it was asked to, and the other one was asked as well.
_PROGRAM = """
import pathlib, signal, sys, time
own, other = map(pathlib.Path, sys.argv[1:])
signal.signal(signal.SIGINT, lambda *_: own.with_suffix(".asked").touch())
own.touch()
while not (own.with_suffix(".asked").exists() and other.with_suffix(".asked").exists()):
    time.sleep(0.05)
"""


def _running(own: Path, other: Path) -> Running:
    argv = [sys.executable, "-c", _PROGRAM, str(own), str(other)]
    process = subprocess.Popen(argv, start_new_session=True)
    return Running(what=own.name, process=process, events=own, deadline=time.monotonic() + 60)


def test_terraforms_are_stopped_together(tmp_path: Path) -> None:
    one, other = tmp_path / "state", tmp_path / "stack"
    both = [_running(one, other), _running(other, one)]
    until(lambda: one.exists() and other.exists(), 60)

    terraform.stop(both)

    # Asked one after the other, the first would have been killed.
    assert [each.process.returncode for each in both] == [0, 0]
    assert all(each.cut_off for each in both)
