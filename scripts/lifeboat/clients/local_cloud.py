"""The program that plays AWS for a local environment: started as a process, spoken to over its control port."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from lifeboat.errors import (
    CleanUpIncomplete,
    Failed,
    IntegrityFailure,
    LifeboatError,
    NothingFits,
    Refused,
    Unreachable,
    WrongConfiguration,
)

_PASSED_ON = {"PATH", "HOME", "USER", "LOGNAME", "LANG", "TMPDIR", "TZ", "VIRTUAL_ENV", "PG_BIN"}
START_SECONDS = 60
STOP_SECONDS = 60
CONTROL_SECONDS = 300
_HEALTH_BYTES = 65536  # ours is below 1 KiB; another program's answer may have no end
# The caller's http_proxy is for the world outside; what is asked on loopback must not go there.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))

_REFUSALS: dict[str, type[LifeboatError]] = {
    "usage": WrongConfiguration,
    "missing": NothingFits,
    "exists": Refused,
    "damaged": IntegrityFailure,
}
# By the kind of refusal and what was asked for.
_HINTS = {
    ("exists", "save"): "choose another name, or add --replace",
    ("damaged", "load"): "lifeboat local saves lists the others",
    ("missing", "load"): "lifeboat local saves",
    ("usage", "load"): "lifeboat local saves",
    ("usage", "save"): "lifeboat local save before-the-drill, or another such name",
    ("usage", "tick"): "lifeboat local tick daily",
    ("usage", "break"): "lifeboat local break instance",
    ("missing", "break"): "lifeboat apply",
}


class LocalCloud:
    """One local cloud by its endpoint, folder and command."""

    def __init__(self, *, url: str, directory: Path, command: list[str], network: str) -> None:
        self.url = url
        self.directory = directory
        self._command = command
        self._network = network

    @property
    def port(self) -> int:
        """Return the port of its endpoint."""
        return urlsplit(self.url).port or 80

    def health(self) -> dict[str, Any] | None:
        """Return what it says of itself; None when nothing answers. Raises when the port is somebody else's."""
        try:
            with _DIRECT.open(f"{self.url}/_localcloud/health", timeout=5) as answer:
                document = json.loads(answer.read(_HEALTH_BYTES))
        except (urllib.error.HTTPError, http.client.HTTPException, ValueError) as error:
            raise self._taken("another program") from error
        except OSError:
            if self._listening():
                raise self._taken("another program") from None
            return None
        if not isinstance(document, dict) or document.get("program") != "localcloud":
            raise self._taken("another program")
        if Path(document["directory"]) != self.directory.resolve():
            raise self._taken(f"the local cloud of {document['directory']} (process {document['pid']})")
        return dict(document)

    def up(self) -> str:
        """Start it unless it runs; return "reused", or what it found in its folder when it started."""
        if self._ready():
            return "reused"
        self.directory.mkdir(parents=True, exist_ok=True)
        _let_others_pass(self.directory)
        log = self.directory / "out"
        argv = [sys.executable if word == "{python}" else word for word in self._command]
        argv += ["--directory", str(self.directory), "--port", str(self.port), "--network", self._network]
        with log.open("wb") as output:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=_environment(),
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            text = log.read_text(errors="replace")
            if "; listening on" in text:
                return text.split("localcloud: ", 1)[-1].split("; listening", 1)[0]
            if process.poll() is not None:
                raise Failed(
                    f"the local cloud ended at once with status {process.returncode}: {text.strip()[-500:]}",
                    hint=f"see {self.directory / 'logs' / 'localcloud.log'}",
                )
            time.sleep(0.05)
        process.terminate()
        raise Failed(f"the local cloud did not answer on {self.url} within {START_SECONDS} s", hint=f"see {log}")

    def _ready(self) -> bool:
        """Return whether it runs and has its state, waiting for one that is starting or ending."""
        deadline = time.monotonic() + START_SECONDS
        while (health := self.health()) is not None:
            if health.get("ready", True):
                return True
            if time.monotonic() > deadline:
                raise Failed(
                    f"the local cloud (process {health['pid']}) has been loading its state for {START_SECONDS} s",
                    hint=f"see {self.directory / 'logs' / 'localcloud.log'}",
                )
            time.sleep(0.1)
        return False

    def down(self) -> bool:
        """Stop it, its databases and hosts; returns whether it ran."""
        health = self.health()
        if health is None:
            return False
        self.ask("stop")
        deadline = time.monotonic() + STOP_SECONDS
        while _alive(health["pid"]):
            if time.monotonic() > deadline:
                os.kill(health["pid"], signal.SIGKILL)
                raise CleanUpIncomplete(f"the local cloud (process {health['pid']}) did not stop and was killed")
            time.sleep(0.1)
        return True

    def forget(self) -> None:
        """Delete its folder: databases, hosts, saves, everything."""
        shutil.rmtree(self.directory, ignore_errors=True)
        if self.directory.exists():
            raise CleanUpIncomplete(f"could not delete all of {self.directory}", hint=f"rm -r {self.directory}")

    def ask(self, verb: str, **asked: Any) -> dict[str, Any]:
        """Send one control request and return its answer; what it refuses raises the error of that kind, in its words."""
        request = urllib.request.Request(  # noqa: S310  (loopback)
            f"{self.url}/_localcloud/{verb}", json.dumps(asked).encode(), {"X-Localcloud": "1"}
        )
        try:
            with _DIRECT.open(request, timeout=CONTROL_SECONDS) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            kind, words = _refusal(error)
            raise _REFUSALS.get(kind, Failed)(
                f"the local cloud refused {verb}: {words}", hint=_HINTS.get((kind, verb), "")
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"no local cloud answers on {self.url}", hint="lifeboat local up") from error

    def _listening(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(2)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _taken(self, by: str) -> WrongConfiguration:
        return WrongConfiguration(
            f"port {self.port} on 127.0.0.1, which the local cloud needs, is taken by {by}",
            hint="stop that program, or choose another port in [endpoint] url and [dns] resolver of environments/local.toml",
        )


def _refusal(error: urllib.error.HTTPError) -> tuple[str, str]:
    """Return the kind of a refusal and its words; where it could not say so in JSON, the status."""
    try:
        document = json.loads(error.read())
        return str(document.get("kind", "")), str(document["error"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError):
        return "", str(error)


def _environment() -> dict[str, str]:
    # Only what a program needs to start: a shell that evaluated `lifeboat local env` has passwords in its environment,
    # and a server would carry them for as long as it runs.
    env = {key: value for key, value in os.environ.items() if key in _PASSED_ON or key.startswith(("LC_", "PYTHON"))}
    if env.get("PG_BIN"):
        env["PATH"] = f"{env['PG_BIN']}{os.pathsep}{env.get('PATH', '')}"
    return env


def _let_others_pass(directory: Path) -> None:
    """Make sure that the account PostgreSQL runs as can reach its folders (it refuses to run as root)."""
    if os.geteuid() != 0:
        return
    for folder in (directory, *directory.parents):
        if folder.stat().st_mode & 0o001:
            continue
        if folder == directory or ".lifeboat" in folder.parts:
            folder.chmod(folder.stat().st_mode | 0o011)
            continue
        raise WrongConfiguration(
            f"PostgreSQL does not run as root, and other accounts may not pass through {folder}",
            hint=f"chmod o+x {folder}, or move the checkout, or run as another user",
        )


def _alive(pid: int) -> bool:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # when we started it ourselves, it must not stay a zombie
    return psutil.pid_exists(pid)
