"""Applies that are killed as a machine kills them, while AWS, the local cloud here, lives on."""

from __future__ import annotations

import signal
import subprocess
import time
from contextlib import suppress

import psutil

# All of it; Terraform alone, as a machine short of memory does; lifeboat alone, whose Terraform works on.
VICTIMS = ("everything", "terraform", "lifeboat")


def kill(apply: subprocess.Popen[str], victim: str = "everything") -> None:
    """Kill an apply or the part of it that is named, and wait until what is killed is gone."""
    head = psutil.Process(apply.pid)
    victims = [p for p in [head, *head.children(recursive=True)] if _is_victim(p, victim)]
    for process in victims:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    apply.wait()
    time.sleep(0.5)


def _is_victim(process: psutil.Process, victim: str) -> bool:
    """Spare the local cloud (AWS survives our crashes), and Terraform where only lifeboat is to be killed."""
    with suppress(psutil.NoSuchProcess):
        words = [" ".join(p.cmdline()) for p in [process, *process.parents()]]
        if any("-m localcloud" in line for line in words):
            return False
        terraforms = any(line.startswith("terraform ") for line in words)
        return victim == "everything" or terraforms == (victim == "terraform")
    return False
