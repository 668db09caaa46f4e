"""Which machine this is, told so that no other one is taken for it, and whether a process of it still runs."""

from __future__ import annotations

import socket
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import psutil


def machine() -> str:
    """Return what no other machine or container has: process numbers mean the same only where this is the same."""
    parts = [socket.gethostname()]
    for path in (Path("/etc/machine-id"), Path("/proc/sys/kernel/random/boot_id")):
        with suppress(OSError):
            parts += path.read_text().split()
    with suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def booted_since(then: str, at: datetime) -> bool:
    """Return whether this machine called itself `then` at an instant and was booted anew since: what ran then is dead.

    Another machine of the same name, as virtual ones often have, is told by its id (machine-id(5)).
    """
    before, now = then.split(), machine().split()
    parts = 4  # its name, its id, its boot, its process numbers; without all of them there is no telling
    if len(before) != parts or len(now) != parts or before[:2] != now[:2] or before[2] == now[2]:
        return False
    return at.timestamp() < psutil.boot_time()


def is_gone(pid: int, began: float) -> bool:
    """Return whether a process of this machine, which began then (seconds since 1970), does not run any more."""
    try:
        process = psutil.Process(pid)
        # A process that began at another time got the number of one that is gone.
        return bool(process.status() == psutil.STATUS_ZOMBIE or abs(process.create_time() - began) > 1)
    except psutil.NoSuchProcess:
        return True
