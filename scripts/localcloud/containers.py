"""The Docker daemon of a host: containers are real processes, on a loopback address of their own."""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud import container_images
from localcloud.container_images import ContainerImage, NoSuchImage
from localcloud.forwarders import Place

if TYPE_CHECKING:
    from localcloud.hosts import Host

LOG = logging.getLogger("localcloud.containers")
POLICIES = ("no", "on-failure", "always", "unless-stopped")
# Docker's own: a restart waits 100 ms, then twice as long each time up to a minute; 10 s of life reset it.
FIRST_WAIT, LONGEST_WAIT, HEALTHY_SECONDS = 0.1, 60.0, 10.0
STOP_SECONDS = 10
NOT_EXECUTABLE = 422  # the docker command ends with 127 then


class EngineError(Exception):
    """The daemon refuses; the text is docker's, `status` the HTTP status of its API."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


class Container:
    """One container: its record (what is on disk) and what runs of it."""

    def __init__(self, record: dict[str, Any], folder: Path) -> None:
        self.record = record
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        self.address = ""
        self.health = ""
        self.published: list[Place] = []
        self.wake = threading.Event()

    @property
    def log(self) -> Path:
        return self.folder / f"{self.record['id']}-json.log"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Engine:
    """The daemon of one host; it exists on every host and answers once docker is installed and started."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lock = threading.RLock()
        self._started = False
        self._containers: dict[str, Container] = {}

    @property
    def _data(self) -> Path:
        return self._host.root / "var/lib/docker"

    @property
    def installed(self) -> bool:
        """Return whether the docker package is on the host's disk."""
        return (self._host.root / "usr/bin/docker").exists()

    @property
    def enabled(self) -> bool:
        """Return whether the daemon starts at boot."""
        return (self._host.root / "etc/systemd/system/multi-user.target.wants/docker.service").exists()

    # -- life ------------------------------------------------------------------------------------------------------

    def boot(self) -> None:
        """Start the daemon when it is enabled; call it inside the gate."""
        if self.installed and self.enabled:
            self.start()

    def start(self) -> None:
        """Start the daemon and the containers whose restart policy says so."""
        with self._lock:
            if self._started:
                return
            self._started = True
            for path in sorted((self._data / "containers").glob("*/config.json")):
                container = Container(json.loads(path.read_text()), path.parent)
                self._containers[container.record["id"]] = container
            for container in self._containers.values():
                policy = container.record["restart"]["name"]
                by_hand = container.record["stopped_by_hand"]
                if policy == "always" or (policy == "unless-stopped" and not by_hand):
                    try:
                        self._start(container)
                    except (EngineError, OSError):
                        LOG.exception("container %s of %s does not start", container.record["name"], self._host)

    def stop(self) -> None:
        """Stop the daemon and its containers; they come back with it as their policies say."""
        with self._lock:
            self._started = False
            containers, self._containers = list(self._containers.values()), {}
            for container in containers:
                self._halt(container, STOP_SECONDS)

    def published(self) -> list[int]:
        """Return the host ports that running containers publish."""
        with self._lock:
            places = [place for c in self._containers.values() if c.running for place in c.published]
        return sorted({port for _, port in places})

    # -- requests ----------------------------------------------------------------------------------------------------

    def do(self, verb: str, asked: dict[str, Any]) -> dict[str, Any]:
        """Do one request of the docker command or systemctl; EngineError when docker would refuse."""
        if verb == "daemon":
            return self._daemon(str(asked.get("action")))
        if not self.installed or not self._started:
            raise EngineError("the daemon is not running", 503)
        quick: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "pull": self._pull,
            "images": self._images,
            "create": self._create,
            "start": self._start_asked,
            "stop": self._stop_asked,
            "remove": self._remove,
            "list": self._list,
            "inspect": self._inspect,
            "inspect-image": self._inspect_image,
            "logs": self._logs,
        }
        if verb in quick:
            with self._host.cloud.gate.working():
                return quick[verb](asked)
        if verb == "exec":
            return self._exec(asked)
        if verb == "wait":
            return self._wait(asked)
        raise EngineError(f"page not found: {verb}", 404)

    def _daemon(self, action: str) -> dict[str, Any]:
        with self._host.cloud.gate.working():
            if not self.installed:
                raise EngineError("Unit docker.service could not be found.", 404)
            if action in ("stop", "restart"):
                self.stop()
            if action in ("start", "restart"):
                self.start()
        self._host.hosts.changed()
        return {"active": self._started, "enabled": self.enabled}

    def _pull(self, asked: dict[str, Any]) -> dict[str, Any]:
        try:
            image = container_images.pull(self._host.cloud, self._images_folder(), str(asked["image"]))
        except NoSuchImage as error:
            raise EngineError(str(error), 404) from error
        except ValueError as error:
            raise EngineError(str(error)) from error
        return {"reference": image.reference, "digest": image.digest}

    def _images(self, _asked: dict[str, Any]) -> dict[str, Any]:
        found = [container_images.read(path.parent) for path in sorted(self._images_folder().glob("*/*/image.json"))]
        return {"images": [{"repository": i.repository, "tag": i.tag, "digest": i.digest} for i in found]}

    def _inspect_image(self, asked: dict[str, Any]) -> dict[str, Any]:
        image = self._image(str(asked["image"]))
        return {"Id": image.digest, "RepoTags": [f"{image.repository}:{image.tag}"]}

    def _create(self, asked: dict[str, Any]) -> dict[str, Any]:
        image = self._image(str(asked["image"]))
        number = secrets.token_hex(32)
        name = str(asked.get("name") or f"unnamed_{number[:6]}")
        restart = dict(asked["restart"])
        if restart["name"] not in POLICIES:
            raise EngineError(f"invalid restart policy: unknown policy '{restart['name']}'; use one of {POLICIES}")
        with self._lock:
            for other in self._containers.values():
                if other.record["name"] == name:
                    raise EngineError(
                        f'Conflict. The container name "/{name}" is already in use by container '
                        f'"{other.record["id"]}". You have to remove (or rename) that container to be able to reuse '
                        "that name.",
                        409,
                    )
            folder = self._host.make(self._data / "containers" / number)
            source = container_images.folder_of(self._images_folder(), image.repository, image.tag)
            shutil.copytree(source / "files", folder / "fs", symlinks=True)
            for path in (folder / "fs", *(folder / "fs").rglob("*")):
                self._host.hosts.user.own(path)
            for volume in asked["volumes"]:
                self._mount(folder / "fs", volume)
            record = {
                "id": number,
                "name": name,
                "image": image.reference,
                "digest": image.digest,
                "command": [*image.entrypoint, *(asked["command"] or image.command)],
                "env": {**image.env, **dict(asked["env"])},
                "ports": list(asked["ports"]),
                "volumes": list(asked["volumes"]),
                "restart": restart,
                "workdir": image.workdir,
                "health": vars(image.health) if image.health else None,
                "created": _now(),
                "started": "",
                "finished": "",
                "exit_code": 0,
                "error": "",
                "restarts": 0,
                "stopped_by_hand": False,
            }
            container = Container(record, folder)
            self._containers[number] = container
            self._save(container)
        return {"id": number}

    def _start_asked(self, asked: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            container = self._find(asked)
            if not container.running:
                container.record["stopped_by_hand"] = False
                container.record["restarts"] = 0
                self._start(container)
        self._host.hosts.changed()
        return {"id": container.record["id"]}

    def _stop_asked(self, asked: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            container = self._find(asked)
            container.record["stopped_by_hand"] = True
            self._halt(container, float(asked.get("seconds", STOP_SECONDS)))
            self._save(container)
        self._host.hosts.changed()
        return {"id": container.record["id"]}

    def _remove(self, asked: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            container = self._find(asked)
            if container.running and not asked.get("force"):
                raise EngineError(
                    f'cannot remove container "{container.record["name"]}": container is running: '
                    "stop the container before removing or force remove",
                    409,
                )
            del self._containers[container.record["id"]]
            self._halt(container, 0.1)
            shutil.rmtree(container.folder)
        self._host.hosts.changed()
        return {"id": container.record["id"]}

    def _list(self, asked: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            found = [c for c in self._containers.values() if c.running or asked.get("all")]
            return {"containers": [self._described(c) for c in found]}

    def _inspect(self, asked: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            return self._described(self._find(asked))

    def _logs(self, asked: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            container = self._find(asked)
        return {"text": container.log.read_text(errors="replace") if container.log.exists() else ""}

    def _wait(self, asked: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            process = self._find(asked).process
        if process is not None:
            process.wait()
        with self._lock:
            container = self._find(asked)
            return {"exit_code": container.process.returncode if container.process else container.record["exit_code"]}

    def _exec(self, asked: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            container = self._find(asked)
            if not container.running:
                raise EngineError(f"container {container.record['id']} is not running", 409)
        log = self._host.cloud.logs / f"exec-{secrets.token_hex(8)}"
        try:
            process = self._run(container, list(asked["command"]), log=log, more=dict(asked.get("env", {})))
            status = process.wait()
            return {"text": log.read_text(errors="replace"), "exit_code": status if status >= 0 else 128 - status}
        except FileNotFoundError as error:
            program = asked["command"][0]
            raise EngineError(
                f'OCI runtime exec failed: exec failed: unable to start container process: exec: "{program}": '
                "executable file not found in $PATH: unknown",
                NOT_EXECUTABLE,
            ) from error
        finally:
            log.unlink(missing_ok=True)

    # -- one container -------------------------------------------------------------------------------------------------

    def _start(self, container: Container) -> None:
        """Start a container and publish its ports; EngineError when docker would fail to."""
        record = container.record
        container.address = self._host.cloud.new_address("host")
        container.health = "starting" if record["health"] else ""
        container.wake = threading.Event()
        self._publish(container)
        record.update(started=_now(), finished="", exit_code=0, error="")
        try:
            container.process = self._run(container, record["command"], log=container.log, more={})
        except (FileNotFoundError, PermissionError) as error:
            self._unpublish(container)
            record.update(exit_code=127, error=str(error), finished=_now())
            self._save(container)
            raise EngineError(
                "failed to create task for container: failed to create shim task: OCI runtime create failed: runc "
                f'create failed: unable to start container process: exec: "{record["command"][0]}": executable file '
                "not found in $PATH: unknown",
                NOT_EXECUTABLE,
            ) from error
        self._save(container)
        process = container.process
        threading.Thread(
            target=self._supervise, args=(container, process), name=f"container {record['name']}", daemon=True
        ).start()
        if record["health"]:
            threading.Thread(
                target=self._watch_health, args=(container, process), name=f"health {record['name']}", daemon=True
            ).start()

    def _run(
        self, container: Container, command: list[str], *, log: Path, more: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        record, fs = container.record, container.folder / "fs"
        host = self._host
        python = Path(host.environment()["LOCALCLOUD_PYTHON"]).parent
        environment = {
            "PATH": f"{python}:{host.hosts.tools}",
            "HOME": str(fs),
            "HOSTNAME": record["id"][:12],
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "LISTEN_ADDRESS": container.address,
            "HOST_ROOT": str(fs),
            **host.reachable("/container"),
            **record["env"],
            **more,
            "LOCALCLOUD_HOST": host.mark,
        }
        program = shutil.which(command[0], path=environment["PATH"])
        if program is None:
            raise FileNotFoundError(command[0])
        workdir = fs / record["workdir"].lstrip("/")
        return host.start([program, *command[1:]], log=log, env=environment, cwd=workdir)

    def _publish(self, container: Container) -> None:
        forwarders = self._host.hosts.forwarders
        container.published = []
        for port in container.record["ports"]:
            listen, inside = (self._host.address, int(port["host"])), (container.address, int(port["container"]))
            try:
                forwarders.open(listen, lambda inside=inside: inside)  # type: ignore[misc]
            except OSError as error:
                self._unpublish(container)
                reason = "permission denied" if isinstance(error, PermissionError) else "port is already allocated"
                raise EngineError(
                    f"driver failed programming external connectivity on endpoint {container.record['name']}: "
                    f"Bind for 0.0.0.0:{listen[1]} failed: {reason}",
                    500,
                ) from error
            container.published.append(listen)

    def _unpublish(self, container: Container) -> None:
        for place in container.published:
            self._host.hosts.forwarders.close(place)
        container.published = []

    def _halt(self, container: Container, seconds: float) -> None:
        """Stop a container's process, without a restart."""
        container.wake.set()
        process, container.process = container.process, None
        self._unpublish(container)
        if process is None or process.poll() is not None:
            return
        self._host.cloud.processes.stop(process, seconds=seconds)
        status = process.returncode
        container.record.update(exit_code=status if status >= 0 else 128 - status, finished=_now())

    def _supervise(self, container: Container, process: subprocess.Popen[bytes]) -> None:
        """Wait for the end of a container and start it again when its policy says so."""
        began = time.monotonic()
        status = process.wait()
        status = status if status >= 0 else 128 - status
        wait = 0.0
        with self._host.cloud.gate.working(), self._lock:
            if container.process is not process:
                return
            record = container.record
            self._unpublish(container)
            record.update(exit_code=status, finished=_now())
            if time.monotonic() - began > HEALTHY_SECONDS:
                record["restarts"] = 0
            policy = record["restart"]
            allowed = policy["name"] in ("always", "unless-stopped") or (
                policy["name"] == "on-failure"
                and status != 0
                and (not policy["retries"] or record["restarts"] < policy["retries"])
            )
            if allowed:
                wait = min(FIRST_WAIT * 2 ** min(record["restarts"], 10), LONGEST_WAIT)
                record["restarts"] += 1
            self._save(container)
            wake = container.wake
        self._host.hosts.changed()
        if not allowed or wake.wait(wait):
            return
        with self._host.cloud.gate.working(), self._lock:
            if container.process is process and self._started:
                try:
                    self._start(container)
                except EngineError as error:
                    container.record["error"] = str(error)
                    self._save(container)
        self._host.hosts.changed()

    def _watch_health(self, container: Container, process: subprocess.Popen[bytes]) -> None:
        """Run the image's health check for as long as one process of the container lives."""
        health = container.record["health"]
        began, failures = time.monotonic(), 0
        wake = container.wake
        while not wake.wait(
            min(float(health["interval"]), 1.0) if container.health == "starting" else health["interval"]
        ):
            if process.poll() is not None or container.process is not process:
                return
            if self._passes(container, health):
                container.health, failures = "healthy", 0
            elif container.health != "starting" or time.monotonic() - began > float(health["start_period"]):
                failures += 1
                if failures >= int(health["retries"]):
                    container.health = "unhealthy"

    def _passes(self, container: Container, health: dict[str, Any]) -> bool:
        check: subprocess.Popen[bytes] | None = None
        try:
            check = self._run(container, list(health["command"]), log=Path(os.devnull), more={})
            return check.wait(float(health["timeout"])) == 0
        except subprocess.TimeoutExpired:
            assert check is not None
            self._host.cloud.processes.stop(check, seconds=0.1)
            return False
        except OSError:
            return False

    # -- details -------------------------------------------------------------------------------------------------------

    def _images_folder(self) -> Path:
        return self._host.make(self._data / "images")

    def _image(self, reference: str) -> ContainerImage:
        try:
            repository, tag = container_images.split_reference(reference)
            return container_images.read(container_images.folder_of(self._images_folder(), repository, tag))
        except ValueError as error:
            raise EngineError(str(error)) from error
        except FileNotFoundError as error:
            raise EngineError(f"No such image: {reference}", 404) from error

    def _mount(self, fs: Path, volume: str) -> None:
        source, _, rest = volume.partition(":")
        inside = rest.partition(":")[0]
        if not source.startswith("/") or not inside.startswith("/"):
            raise EngineError(f"invalid volume specification: '{volume}': write /path/on/host:/path/in/container")
        root = str(self._host.root)
        outside = Path(source if source.startswith(f"{root}/") else root + source)
        if not outside.exists():
            self._host.make(outside)
        link = fs / inside.lstrip("/")
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_dir() and not link.is_symlink():
            shutil.rmtree(link)
        with suppress(FileNotFoundError):
            link.unlink()
        link.symlink_to(outside)

    def _find(self, asked: dict[str, Any]) -> Container:
        wanted = str(asked["container"])
        found = [c for c in self._containers.values() if c.record["name"] == wanted.lstrip("/")]
        found = found or [c for c in self._containers.values() if c.record["id"].startswith(wanted)]
        if len(found) != 1:
            raise EngineError(f"No such container: {wanted}", 404)
        return found[0]

    def _save(self, container: Container) -> None:
        self._host.write(container.folder / "config.json", json.dumps(container.record, indent=1), mode=0o600)

    def _described(self, container: Container) -> dict[str, Any]:
        """Return what `docker inspect` shows."""
        record = container.record
        running = container.running
        waits = container.process is not None and not running and not container.wake.is_set()
        restarting = waits and record["restart"]["name"] != "no" and record["restarts"] > 0
        never = not record["started"]
        state: dict[str, Any] = {
            "Status": "running" if running else "restarting" if restarting else "created" if never else "exited",
            "Running": running,
            "Restarting": restarting,
            "ExitCode": record["exit_code"],
            "Error": record["error"],
            "StartedAt": record["started"],
            "FinishedAt": record["finished"],
        }
        if record["health"]:
            state["Health"] = {"Status": container.health if running else "unhealthy"}
        bindings = {f"{p['container']}/tcp": [{"HostIp": "", "HostPort": str(p["host"])}] for p in record["ports"]}
        return {
            "Id": record["id"],
            "Created": record["created"],
            "Name": f"/{record['name']}",
            "Image": record["digest"],
            "State": state,
            "RestartCount": record["restarts"],
            "Config": {
                "Image": record["image"],
                "Cmd": record["command"],
                "Env": [f"{name}={value}" for name, value in record["env"].items()],
                "WorkingDir": record["workdir"],
            },
            "HostConfig": {
                "RestartPolicy": {"Name": record["restart"]["name"], "MaximumRetryCount": record["restart"]["retries"]},
                "PortBindings": bindings,
                "Binds": record["volumes"],
            },
            "NetworkSettings": {
                "IPAddress": container.address if running else "",
                "Ports": bindings if running else {},
            },
        }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
