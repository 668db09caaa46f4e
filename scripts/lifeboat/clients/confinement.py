"""How a program is started that reads what may be hostile: another account, no network, and limits from the kernel."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lifeboat.clients.programs import bare_environment
from lifeboat.errors import WrongConfiguration

_ACCOUNTS = ("nobody", "postgres")  # the first one owns nothing anywhere
_PROBE_SECONDS = 10


@dataclass(frozen=True, kw_only=True)
class Account:
    """An account of the operating system."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one process may use at most: bytes of memory, bytes of one file, seconds of CPU (None: as it likes)."""

    memory: int
    file_size: int
    cpu_seconds: int | None = None


@cache
def account() -> Account:
    """Return an unprivileged account where we are root, else our own."""
    if os.geteuid() != 0:
        own = pwd.getpwuid(os.geteuid())
        return Account(name=own.pw_name, uid=own.pw_uid, gid=own.pw_gid)
    for name in _ACCOUNTS:
        with suppress(KeyError):
            found = pwd.getpwnam(name)
            return Account(name=name, uid=found.pw_uid, gid=found.pw_gid)
    raise WrongConfiguration(
        f"neither of the accounts {' and '.join(_ACCOUNTS)} exists, and PostgreSQL does not run as root",
        hint="useradd --system postgres",
    )


@cache
def no_network() -> tuple[str, ...]:
    """Return the words that start a program in a network of its own, with nothing in it; none where we may not."""
    ways = [("unshare", "--net"), ("unshare", "--user", "--map-current-user", "--net")]
    for way in ways[:1] if os.geteuid() == 0 else ways[1:]:
        if shutil.which(way[0]) and _works((*way, "true")):
            return way
    return ()


@cache
def ended_with_us() -> tuple[str, ...]:
    """Return the words that start a program which is ended (SIGTERM) if we are killed; none where no setpriv does that.

    The kernel counts the thread that starts it for us (prctl(2), PR_SET_PDEATHSIG): that one has to outlive the program.
    """
    way = ("setpriv", "--pdeathsig", "TERM", "--")
    return way if shutil.which(way[0]) and _works((*way, "true")) else ()


def _works(argv: Sequence[str]) -> bool:
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_SECONDS,
            check=False,
            env=bare_environment(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def confined(argv: Sequence[str], limits: Limits) -> list[str]:
    """Return the words that start `argv` as that account, without network, and ended with us (SIGINT) if we are killed.

    Each of the programs before it becomes the next one, so the process that is started is `argv` itself.
    """
    for program in ("setpriv", "prlimit"):
        if shutil.which(program) is None:
            raise WrongConfiguration(f"{program} is not on PATH", hint="apt-get install util-linux")
    who = account()
    other = [f"--reuid={who.uid}", f"--regid={who.gid}", "--clear-groups"] if os.geteuid() == 0 else []
    cpu = [] if limits.cpu_seconds is None else [f"--cpu={limits.cpu_seconds}"]
    return [
        *no_network(),
        *("setpriv", *other, "--no-new-privs", "--pdeathsig", "INT", "--"),
        *("prlimit", f"--as={limits.memory}", f"--fsize={limits.file_size}", "--core=0", *cpu, "--"),
        *argv,
    ]


def give(path: Path) -> None:
    """Make a file or folder that account's own."""
    if os.geteuid() == 0:
        os.chown(path, account().uid, account().gid)
