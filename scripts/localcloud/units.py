"""The services of a host besides Docker: unit files of /etc/systemd/system, as far as starting a program goes."""

from __future__ import annotations

import configparser
import logging
import shlex
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud.containers import EngineError

if TYPE_CHECKING:
    from localcloud.hosts import Host

LOG = logging.getLogger("localcloud.units")
FOLDER = "etc/systemd/system"
RESTARTS = ("no", "always", "on-failure")
DEFAULT_WAIT = 0.1  # systemd's RestartSec


@dataclass
class _Unit:
    process: subprocess.Popen[bytes]
    wake: threading.Event = field(default_factory=threading.Event)  # set when it is to end


class Units:
    """What systemd runs on one host."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lock = threading.RLock()
        self._running: dict[str, _Unit] = {}

    def boot(self) -> None:
        """Start what is enabled; call it inside the gate."""
        for link in sorted((self._host.root / FOLDER / "multi-user.target.wants").glob("*.service")):
            if link.stem != "docker":
                try:
                    self._start(link.stem)
                except (EngineError, OSError):
                    LOG.exception("unit %s of %s does not start", link.stem, self._host.instance_id)

    def do(self, verb: str, asked: dict[str, Any]) -> dict[str, Any]:
        """Do one request of systemctl: start, stop, restart or status of a unit; EngineError when systemd would refuse."""
        name = str(asked["unit"])
        with self._host.cloud.gate.working(), self._lock:
            self._read(name)
            if verb in ("stop", "restart"):
                self._stop(name)
            if verb in ("start", "restart"):
                self._start(name)
            unit = self._running.get(name)
            return {"active": unit is not None and unit.process.poll() is None}

    def _read(self, name: str) -> configparser.SectionProxy:
        path = self._host.root / FOLDER / f"{name}.service"
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        if "/" in name or not parser.read(path) or not parser.has_option("Service", "ExecStart"):
            raise EngineError(f"Unit {name}.service not found.", 404)
        return parser["Service"]

    def _start(self, name: str) -> None:
        with self._lock:
            unit = self._running.get(name)
            if unit is not None and unit.process.poll() is None:
                return
            self._run(name)

    def _run(self, name: str) -> None:
        service = self._read(name)
        argv = shlex.split(service["ExecStart"])
        program = self._host.root / argv[0].lstrip("/")
        log: Path = self._host.root / "var/log" / f"{name}.log"  # systemd's journal
        unit = _Unit(process=self._host.start([str(program), *argv[1:]], log=log))
        self._running[name] = unit
        threading.Thread(target=self._supervise, args=(name, unit), name=f"unit {name}", daemon=True).start()

    def _stop(self, name: str) -> None:
        unit = self._running.pop(name, None)
        if unit is not None:
            unit.wake.set()
            self._host.cloud.processes.stop(unit.process, seconds=5)

    def _supervise(self, name: str, unit: _Unit) -> None:
        """Start a service again when it ended and its unit says so."""
        status = unit.process.wait()
        if self._host.ended.is_set():
            return
        service = self._read(name)
        policy = service.get("Restart", "no")
        if policy not in RESTARTS:
            LOG.warning("unit %s: the local cloud knows Restart=%s, not %s", name, "|".join(RESTARTS), policy)
        wait = float(service.get("RestartSec", str(DEFAULT_WAIT)).removesuffix("s"))
        if (policy != "always" and (policy != "on-failure" or status == 0)) or unit.wake.wait(wait):
            return
        with self._host.cloud.gate.working(), self._lock:
            if self._running.get(name) is unit and not self._host.ended.is_set():
                self._run(name)
