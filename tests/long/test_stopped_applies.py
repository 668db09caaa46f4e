"""An apply that is stopped, politely or not, is gone on with by the next one."""

from __future__ import annotations

import signal
import time
from contextlib import suppress

import psutil

from tests.rehearsal import Rehearsal, passed


def test_stopped_once_it_saves_and_stopped_twice_it_kills_and_the_next_apply_goes_on(stack: Rehearsal) -> None:
    stack.edit("environments/local.tfvars", r"retention_days\s*=\s*\d+", "retention_days = 21")
    # Started by a script in the background, a program ignores Ctrl-C unless it asks for it.
    first = stack.start("bash", "-c", "trap '' INT; exec lifeboat apply")
    _until_terraform_applies(first.pid)
    first.send_signal(signal.SIGINT)
    stopped, _ = first.communicate(timeout=200)
    second = stack.start("lifeboat", "apply")
    _until_terraform_applies(second.pid)
    for child in psutil.Process(second.pid).children(recursive=True):
        child.suspend()  # so that it cannot stop when it is asked to
    second.send_signal(signal.SIGINT)
    time.sleep(2)
    second.send_signal(signal.SIGINT)
    killed, _ = second.communicate(timeout=60)

    again = stack.lifeboat("apply")

    assert first.returncode == 130, stopped
    assert "stopped on request; Terraform has saved its state" in stopped
    assert second.returncode == 130, killed
    assert "killed on request" in killed
    passed(again)
    assert stack.client("rds").describe_db_instances()["DBInstances"][0]["BackupRetentionPeriod"] == 21


def _until_terraform_applies(pid: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for child in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # a zombie is one to psutil
                if child.cmdline()[:2] == ["terraform", "apply"]:
                    time.sleep(3)
                    return
        time.sleep(0.1)
    raise AssertionError("no terraform apply was started")
