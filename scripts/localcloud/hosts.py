"""The hosts behind EC2 instances: each a root directory, a loopback address and real programs.

A host has no kernel of its own, so its scripts find its files under $HOST_ROOT and its ports on $HOST_ADDRESS;
on a real host both are unset, and scripts write "${HOST_ROOT:-}/etc/app" and "${HOST_ADDRESS:-localhost}".
"""

from __future__ import annotations

import base64
import gzip
import logging
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from localcloud.cloud import Cloud
from localcloud.forwarders import Forwarders
from localcloud.processes import OsUser
from localcloud.trees import copy_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localcloud.containers import Engine
    from localcloud.metadata import HostServer
    from localcloud.units import Units

LOG = logging.getLogger("localcloud.hosts")
SERVER_PORT = 1338
VOLATILE = ("run", "tmp")  # in memory on Amazon Linux, so empty after each boot
HOSTBIN = Path(__file__).parent / "hostbin"
MARK = "LOCALCLOUD_HOST"
# The machine's own programs that act on the machine: a host's scripts must never reach them by name.
NOT_FOR_HOSTS = frozenset(
    """
    apt apt-get aptitude aws chroot cloud-init containerd ctr dnf docker dockerd dpkg gitlab-runner halt
    init initctl insmod iptables killall lifeboat modprobe mount nerdctl pkill podman poweroff reboot
    rpm runc service shutdown snap ssh su sudo systemctl systemd-run telinit terraform umount yum
    """.split()  # noqa: SIM905 - forty quoted names read worse
)
# Programs of a host's own disk; nothing in them depends on where this working copy is, since images keep them.
_OURS = 'PYTHONPATH="$LOCALCLOUD_SCRIPTS" exec "$LOCALCLOUD_PYTHON" -m localcloud.hostbin.'
PROGRAMS = {
    # Version 2 of the AWS command line, which Amazon Linux has, takes the region from the metadata; version 1 does not.
    "aws": 'AWS_DEFAULT_REGION="${AWS_DEFAULT_REGION:-$LOCALCLOUD_REGION}" exec "$LOCALCLOUD_PYTHON" -m awscli',
    "cloud-init": f"{_OURS}cloud_init",
    "dnf": f"{_OURS}dnf",
    "systemctl": f"{_OURS}systemctl",
    "yum": f"{_OURS}dnf",
}
OS_RELEASE = """NAME="Amazon Linux"
VERSION="2023"
ID="amzn"
ID_LIKE="fedora"
VERSION_ID="2023"
PRETTY_NAME="Amazon Linux 2023 (played by the local cloud)"
"""


class NotBootable(Exception):
    """The image's snapshot holds no files of a root volume."""


class Host:
    """One running host."""

    def __init__(self, hosts: Hosts, *, instance_id: str, region: str, address: str) -> None:
        self.cloud = hosts.cloud
        self.hosts = hosts
        self.instance_id = instance_id
        self.region = region
        self.address = address
        self.folder = hosts.cloud.folder("hosts", instance_id)
        self.root = self.folder / "root"
        self.ended = threading.Event()
        self.engine: Engine
        self.units: Units
        self.server: HostServer

    @property
    def instance(self) -> Any:
        """Return moto's record of the instance."""
        return self.cloud.moto("ec2", self.region).get_instance(self.instance_id)

    @property
    def mark(self) -> str:
        """Return what every program of this host carries in its environment."""
        return f"{self.cloud.directory}:{self.instance_id}"

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of the host's programs: no credentials, those come from the instance's role."""
        return {
            "PATH": ":".join(
                [f"{self.root}/usr/local/bin", f"{self.root}/usr/bin", str(self.hosts.tools), f"{self.root}/usr/sbin"]
            ),
            "HOME": f"{self.root}/root",
            "TMPDIR": str(self.root / "tmp"),
            "USER": "root",
            "LANG": "C.UTF-8",
            "HOST_ROOT": str(self.root),
            "HOST_ADDRESS": self.address,
            **self.reachable(""),
            "LOCALCLOUD_PYTHON": sys.executable,
            "LOCALCLOUD_SCRIPTS": str(HOSTBIN.parents[1]),
            "LOCALCLOUD_REGION": self.region,
            "PYTHONDONTWRITEBYTECODE": "1",
            MARK: self.mark,
            **(more or {}),
        }

    def reachable(self, way: str) -> dict[str, str]:
        """Return how programs reach AWS and the instance's metadata (`way` /container: over one more hop)."""
        return {
            "AWS_ENDPOINT_URL": self.cloud.endpoint,
            # A save of the whole cloud holds answers back for longer than the SDK's own patience of one second.
            "AWS_METADATA_SERVICE_TIMEOUT": "20",
            "AWS_METADATA_SERVICE_NUM_ATTEMPTS": "2",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://{self.address}:{SERVER_PORT}{way}",
        }

    def start(
        self, argv: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program on the host."""
        environment = self.environment() if env is None else env
        return self.cloud.processes.start(argv, user=self.hosts.user, env=environment, cwd=cwd or self.root, log=log)

    def write(self, path: Path, text: str, *, mode: int = 0o644) -> None:
        """Write a file of the host in one step, owned by its programs' account; call it inside the gate."""
        fresh = self.cloud.folder("writing") / f"{self.instance_id}-{threading.get_ident()}"
        fresh.write_text(text)
        fresh.chmod(mode)
        self.hosts.user.own(fresh)
        self.make(path.parent)
        fresh.replace(path)

    def make(self, folder: Path) -> Path:
        """Make a folder of the host, and those above, owned by its programs' account."""
        for part in (*reversed(folder.parents), folder):
            if part.is_relative_to(self.root) and not part.exists():
                part.mkdir(mode=0o755)
                self.hosts.user.own(part)
        return folder

    def programs(self) -> list[psutil.Process]:
        """Return every program of this host, those that left their session included."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.environ().get(MARK) == self.mark:
                    found.append(process)
        return found

    @contextmanager
    def still(self) -> Iterator[None]:
        """Hold the host's programs for a moment, so that a copy of its files is what a power cut would leave."""
        held = self.programs()
        for process in held:
            with suppress(psutil.Error):
                process.suspend()
        try:
            yield
        finally:
            for process in held:
                with suppress(psutil.Error):
                    process.resume()

    def end(self) -> None:
        """Shut the host down: containers gently, then everything else that it runs."""
        self.ended.set()
        self.engine.stop()
        self.server.close()
        left = self.programs()
        for process in left:
            with suppress(psutil.Error):
                process.terminate()
        for process in psutil.wait_procs(left, timeout=3)[1]:
            with suppress(psutil.Error):
                process.kill()


class Hosts:
    """All hosts of one cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.user = _account(cloud)
        self.forwarders = Forwarders()
        self.tools = cloud.directory / "tools"
        self._lock = threading.RLock()
        self._running: dict[str, Host] = {}
        self._watchers: list[Callable[[], None]] = []
        self._turns: dict[str, threading.Lock] = {}

    def running(self, instance_id: str) -> Host | None:
        """Return the host of an instance when it runs."""
        return self._running.get(instance_id)

    def root_of(self, instance_id: str) -> Path:
        """Return the root directory of an instance's host, running or not."""
        return self.cloud.live / "hosts" / instance_id / "root"

    def on_change(self, watcher: Callable[[], None]) -> None:
        """Call `watcher` whenever a host starts or ends, or publishes other ports."""
        self._watchers.append(watcher)

    def changed(self) -> None:
        """Tell the watchers."""
        for watcher in self._watchers:
            watcher()

    # -- life ------------------------------------------------------------------------------------------------------

    @contextmanager
    def turn(self, instance_id: str) -> Iterator[None]:
        """Change the power of one host, inside the gate and one order after the other."""
        with self._lock:
            lock = self._turns.setdefault(instance_id, threading.Lock())
        with self.cloud.gate.working(), lock:
            yield

    def power_on(self, instance_id: str, region: str, *, address: str, files: Path | None) -> Host:
        """Start a host; a new one gets a copy of its image's `files` first. Call it inside the gate."""
        from localcloud.containers import Engine
        from localcloud.metadata import HostServer
        from localcloud.units import Units

        host = Host(self, instance_id=instance_id, region=region, address=address)
        if not host.root.is_dir():
            if files is None or not (files / "usr" / "bin").is_dir():
                raise NotBootable(f"the image of {instance_id} holds no root file system")
            copy_tree(files, host.root)
        for volatile in VOLATILE:
            shutil.rmtree(host.root / volatile, ignore_errors=True)
            host.make(host.root / volatile)
        host.engine = Engine(host)
        host.units = Units(host)
        host.server = HostServer(host)
        with self._lock:
            self._running[instance_id] = host
        host.engine.boot()
        host.units.boot()
        self.changed()
        return host

    def power_off(self, instance_id: str) -> None:
        """End a host's programs; its files stay."""
        with self._lock:
            host = self._running.pop(instance_id, None)
        if host is not None:
            host.end()
            self.changed()

    def power_off_all(self) -> None:
        """End every host."""
        for instance_id in list(self._running):
            self.power_off(instance_id)
        self.forwarders.close_all()

    # -- first boot --------------------------------------------------------------------------------------------------

    def run_user_data(self, host: Host, user_data: str | None) -> None:
        """Do what cloud-init does at boot: run the instance's user data once in its life.

        Other than cloud-init it notes the run at its end, so a boot cut off by a stop of the cloud is done again.
        """
        state = host.root / "var/lib/cloud/instances" / host.instance_id
        semaphore = state / "sem" / "config_scripts_user"
        log = host.root / "var/log/cloud-init-output.log"
        if semaphore.exists():
            return
        script = decoded_user_data(user_data)
        text = script.decode(errors="surrogateescape")
        failed = ""
        if script.startswith(b"#!"):
            part = state / "scripts" / "part-001"
            with self.cloud.gate.working():
                host.write(part, text, mode=0o700)
                host.make(log.parent)
                process = host.start([str(part)], log=log)
            status = process.wait()
            if status != 0:
                failed = f"Failed to run module scripts-user: part-001 ended with status {status}"
        elif script:
            failed = "the local cloud runs user data that starts with #! only"
        if host.ended.is_set():
            return
        with self.cloud.gate.working():
            before = log.read_text(errors="replace") if log.exists() else ""
            if failed:
                host.write(log, f"{before}cloud-init: WARNING: {failed}\n")
            host.write(semaphore, f"{os.getpid()}: done\n")
            host.write(state / "boot-finished", failed or "done")


def of(cloud: Cloud) -> Hosts:
    """Return the hosts of a cloud, always the same object."""
    with _LOCK:
        if cloud not in _HOSTS:
            _HOSTS[cloud] = Hosts(cloud)
        return _HOSTS[cloud]


_HOSTS: dict[Cloud, Hosts] = {}
_LOCK = threading.Lock()


def decoded_user_data(user_data: str | None) -> bytes:
    """Return user data as the instance sees it."""
    raw = base64.b64decode(str(user_data)) if user_data else b""
    return gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw


def make_tools(folder: Path) -> None:
    """Link the machine's programs that hosts may use into one folder; `sh` is bash, as on Amazon Linux."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for source in (Path("/usr/bin"), Path("/bin")):
        for program in source.iterdir():
            link = folder / program.name
            if program.name not in NOT_FOR_HOSTS and not link.is_symlink():
                link.symlink_to(program)
    (folder / "sh").unlink(missing_ok=True)
    (folder / "sh").symlink_to(folder / "bash")


def make_base_root(folder: Path, user: OsUser) -> None:
    """Make the root directory of the base image: Amazon Linux as far as scripts can see, without Docker."""
    for name in ("etc/systemd/system", "home/ec2-user", "opt", "root", "run", "srv", "tmp", "usr/bin", "usr/local/bin"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name in ("usr/sbin", "var/lib/cloud/instances", "var/log"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "etc/os-release").write_text(OS_RELEASE)
    for name, command in PROGRAMS.items():
        program = folder / "usr/bin" / name
        program.write_text(f'#!/bin/sh\n{command} "$@"\n')
        program.chmod(0o755)
    for path in (folder, *folder.rglob("*")):
        user.own(path)


def _account(cloud: Cloud) -> OsUser:
    """Return the account of host programs: unprivileged when we are root, unless it cannot reach what they need."""
    needed = [Path(sys.executable), Path(sys.executable).resolve(), HOSTBIN, cloud.live]
    folders = {folder for path in needed for folder in path.parents}
    if cloud.user.name is None or all(folder.stat().st_mode & 0o001 for folder in folders):
        return cloud.user
    LOG.warning("host programs run as root: account %s cannot reach %s", cloud.user.name, needed)
    return OsUser(name=None, uid=os.getuid(), gid=os.getgid())
