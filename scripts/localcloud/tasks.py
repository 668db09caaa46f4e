"""Fargate tasks that run: a container of an image in the local registry as a process, with its role, secrets and log."""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from localcloud import container_images, hosts
from localcloud.cloud import Cloud
from localcloud.container_images import ContainerImage
from localcloud.services import backup_access
from localcloud.trees import copy_tree

LOG = logging.getLogger("localcloud.tasks")
STOP_SECONDS = 30  # ECS's default between the two signals of a stop
LINES_AT_ONCE = 5000  # PutLogEvents takes 10,000 events or 1 MiB
LINE_CHARACTERS = 200_000


class NotStarted(Exception):
    """ECS could not start the container; the text is its stoppedReason."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one task runs: its container's definition, the task's own, and what the caller of RunTask changed of both."""

    task_arn: str
    region: str
    container: Mapping[str, Any]
    definition: Mapping[str, Any]
    overrides: Mapping[str, Any]

    @property
    def number(self) -> str:
        """Return the task's id."""
        return self.task_arn.rpartition("/")[2]

    @property
    def task_role(self) -> str | None:
        """Return the role that the container works with."""
        return self.overrides.get("taskRoleArn") or self.definition.get("taskRoleArn")

    @property
    def start_role(self) -> str | None:
        """Return the role that ECS starts the container with."""
        return self.overrides.get("executionRoleArn") or self.definition.get("executionRoleArn")

    @property
    def override(self) -> Mapping[str, Any]:
        """Return what is changed of the container."""
        changed = self.overrides.get("containerOverrides") or []
        return next((one for one in changed if one.get("name") == self.container["name"]), {})

    @property
    def stop_seconds(self) -> float:
        """Return how long the container may take to end."""
        return float(self.container.get("stopTimeout") or STOP_SECONDS)

    @property
    def log_options(self) -> Mapping[str, str] | None:
        """Return where the output goes; None where nobody wants it."""
        asked: Mapping[str, Any] = self.container.get("logConfiguration") or {}
        return asked.get("options") if asked.get("logDriver") == "awslogs" else None

    @property
    def log_stream(self) -> str:
        """Return the name of the stream, as the awslogs driver on Fargate builds it."""
        options = self.log_options or {}
        return f"{options.get('awslogs-stream-prefix', 'task')}/{self.container['name']}/{self.number}"


class Tasks:
    """The containers of one cloud's tasks."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self._lock = threading.Lock()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._roles: dict[str, Job] = {}  # by the token with which the container asks for credentials
        self._credentials: dict[str, dict[str, Any]] = {}

    # -- life ----------------------------------------------------------------------------------------------------------

    def start(self, job: Job) -> subprocess.Popen[bytes]:
        """Do what ECS does before a container runs, then run it; NotStarted with ECS's words. Call it inside the gate."""
        image = self._image(str(job.container["image"]))
        environment = self._secrets(job)
        self._check_log(job)
        folder = self.cloud.folder("tasks", job.number)
        root, inside = folder / "root", self._container(job, image, folder)
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._roles[token] = job
        variables = {**inside, **environment, **self._reachable(job, token)}
        command = [
            *(job.container.get("entryPoint") or image.entrypoint),
            *(job.override.get("command") or job.container.get("command") or image.command),
        ]
        program = shutil.which(command[0], path=variables["PATH"]) if command else None
        if program is None:
            raise NotStarted(
                "CannotStartContainerError: ResourceInitializationError: failed to create new container runtime task: "
                f'OCI runtime create failed: exec: "{" ".join(command[:1])}": executable file not found in $PATH: unknown'
            )
        process = self.cloud.processes.start(
            [program, *command[1:]],
            user=hosts.of(self.cloud).user,
            env=variables,
            cwd=root / image.workdir.lstrip("/"),
            log=folder / "log",
        )
        with self._lock:
            self._running[job.task_arn] = process
        return process

    def ended(self, job: Job) -> None:
        """Keep the output of a container that ended, and nothing else of it; call it inside the gate."""
        with self._lock:
            self._running.pop(job.task_arn, None)
            self._roles = {token: other for token, other in self._roles.items() if other is not job}
        folder = self.cloud.live / "tasks" / job.number
        try:
            self._write_log(job, folder / "log")
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def stop(self, job: Job) -> None:
        """End a container as ECS does: a signal, and after stopTimeout seconds another one that cannot be ignored."""
        with self._lock:
            process = self._running.get(job.task_arn)
        if process is not None:
            self.cloud.processes.stop(process, with_signal=signal.SIGTERM, seconds=job.stop_seconds)

    def kill_all(self) -> None:
        """End every container at once, as a power cut does."""
        with self._lock:
            running, self._running, self._roles = list(self._running.values()), {}, {}
        for process in running:
            self.cloud.processes.stop(process, with_signal=signal.SIGKILL, seconds=2)

    # -- what ECS does before ------------------------------------------------------------------------------------------

    def _image(self, reference: str) -> ContainerImage:
        try:
            repository, tag = container_images.split_reference(reference)
            return container_images.read(container_images.folder_of(self._registry, repository, tag))
        except (ValueError, FileNotFoundError) as error:
            raise NotStarted(
                "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref "
                f"{reference}: {reference}: not found"
            ) from error

    @property
    def _registry(self) -> Path:
        return container_images.registry(self.cloud)

    def _secrets(self, job: Job) -> dict[str, str]:
        """Return the secrets that the container gets as variables; the role that starts it must be allowed to read them."""
        return {one["name"]: self._secret(job, one["valueFrom"]) for one in job.container.get("secrets") or []}

    def _secret(self, job: Job, named: str) -> str:
        from botocore.exceptions import ClientError

        failed = (
            "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: "
            "unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret "
            f"{named} from secrets manager: "
        )
        parts = named.split(":")
        arn, key = ":".join(parts[:7]), parts[7] if len(parts) > 7 else ""
        if not backup_access.role_allows(self.cloud, str(job.start_role), "secretsmanager:GetSecretValue"):
            raise NotStarted(
                f"{failed}AccessDeniedException: User: {job.start_role} is not authorized to perform: "
                "secretsmanager:GetSecretValue"
            )
        try:
            text = self.cloud.client("secretsmanager", job.region).get_secret_value(SecretId=arn)["SecretString"]
            return str(_member(text, key)) if key else str(text)
        except ClientError as error:
            raise NotStarted(f"{failed}{error.response['Error']['Code']}") from error
        except (KeyError, ValueError) as error:
            raise NotStarted(f"{failed}retrieved secret did not contain json key {key}") from error

    def _check_log(self, job: Job) -> None:
        if job.log_options is None:
            return
        from botocore.exceptions import ClientError

        failed = (
            "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: "
            "failed to create Cloudwatch log stream: "
        )
        if not backup_access.role_allows(self.cloud, str(job.start_role), "logs:CreateLogStream"):
            raise NotStarted(
                f"{failed}AccessDeniedException: {job.start_role} is not authorized to perform: logs:CreateLogStream"
            )
        try:
            self._logs(job).create_log_stream(
                logGroupName=job.log_options["awslogs-group"], logStreamName=job.log_stream
            )
        except ClientError as error:
            answer = error.response["Error"]
            raise NotStarted(f"{failed}{answer['Code']}: {answer['Message']}") from error

    # -- the container -------------------------------------------------------------------------------------------------

    def _container(self, job: Job, image: ContainerImage, folder: Path) -> dict[str, str]:
        """Make the container's files; return its variables, paths of its volumes as they are on this machine.

        A task has no kernel of its own: what the image calls /lifeboat/.lifeboat is a folder below the task's root.
        """
        root, user = folder / "root", hosts.of(self.cloud).user
        source = container_images.folder_of(self._registry, image.repository, image.tag) / "files"
        copy_tree(source, root)
        self._bring_authority(root / image.workdir.lstrip("/"))
        read_only = bool(job.container.get("readonlyRootFilesystem"))
        for path in (root, *root.rglob("*")):
            if read_only:
                path.chmod(path.stat().st_mode & 0o7555)
            else:
                user.own(path)
        mounted: list[str] = []
        for mount in job.container.get("mountPoints") or []:
            place = root / str(mount["containerPath"]).lstrip("/")
            _make_below(root, place)
            # What the image has at the place of a volume is in it at first, as on Fargate where the image declares it.
            for path in (place, *place.rglob("*")):
                writable = 0 if mount.get("readOnly") else 0o200
                path.chmod((0o500 if path.is_dir() else 0o400) | writable)
                user.own(path)
            mounted.append(str(mount["containerPath"]))
        given = {
            **image.env,
            **_pairs(job.container.get("environment") or []),
            **_pairs(job.override.get("environment") or []),
        }
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
            "HOME": str(root),
            "LANG": "C.UTF-8",
            "HOSTNAME": f"ip-{job.number[:12]}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOST_ROOT": str(root),
            **{name: _here(value, root, mounted) for name, value in given.items()},
        }

    def _bring_authority(self, workdir: Path) -> None:
        """Put what the databases' certificates are signed by where the served checkout's environments look for it.

        On AWS it is a public file beside the environments in the image; here each cloud has one of its own, made with the
        first database.
        """
        authority = self.cloud.live / "databases" / "rds-ca.pem"
        if authority.is_file() and authority.is_relative_to(self.cloud.checkout):
            place = workdir / authority.relative_to(self.cloud.checkout)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(authority, place)

    def _reachable(self, job: Job, token: str) -> dict[str, str]:
        """Return how the container reaches AWS and the credentials of its role, which change while it runs."""
        found = {
            "AWS_REGION": job.region,
            "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE",
            "AWS_ENDPOINT_URL": self.cloud.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        if job.task_role:
            # On Fargate a path below a link-local address; only an URL can be another loopback place.
            found["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{self.cloud.endpoint}/_localcloud/task-credentials"
            found["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = token
        return found

    def credentials(self, token: str) -> dict[str, Any] | None:
        """Return the credentials of the task that a token belongs to; None for a token of nobody."""
        with self._lock:
            job = self._roles.get(token)
        if job is None or job.task_role is None:
            return None
        with self._lock:
            kept = self._credentials.get(token)
        if kept is None:
            given = self.cloud.client("sts", job.region).assume_role(RoleArn=job.task_role, RoleSessionName=job.number)[
                "Credentials"
            ]
            kept = {
                "RoleArn": job.task_role,
                "AccessKeyId": given["AccessKeyId"],
                "SecretAccessKey": given["SecretAccessKey"],
                "Token": given["SessionToken"],
            }
            with self._lock:
                self._credentials[token] = kept
        return {**kept, "Expiration": f"{datetime.now(UTC) + timedelta(hours=6):%Y-%m-%dT%H:%M:%SZ}"}

    # -- the log -------------------------------------------------------------------------------------------------------

    def _logs(self, job: Job) -> Any:
        return self.cloud.client("logs", (job.log_options or {}).get("awslogs-region", job.region))

    def _write_log(self, job: Job, path: Path) -> None:
        if job.log_options is None or not path.is_file():
            return
        lines = path.read_text(errors="replace").splitlines()
        client, now = self._logs(job), int(datetime.now(UTC).timestamp() * 1000)
        for begin in range(0, len(lines), LINES_AT_ONCE):
            events = [
                {"timestamp": now, "message": line[:LINE_CHARACTERS] or " "}
                for line in lines[begin : begin + LINES_AT_ONCE]
            ]
            client.put_log_events(
                logGroupName=job.log_options["awslogs-group"], logStreamName=job.log_stream, logEvents=events
            )


def _member(text: str, key: str) -> Any:
    return json.loads(text)[key]


def _pairs(given: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in given}


def _here(value: str, root: Path, mounted: list[str]) -> str:
    inside = any(value == place or value.startswith(f"{place}/") for place in mounted)
    return f"{root}{value}" if inside else value


def _make_below(root: Path, place: Path) -> None:
    """Make a folder of a container whose root may be read-only already."""
    for part in (*reversed(place.parents), place):
        if part.is_relative_to(root) and not part.exists():
            above = part.parent.stat().st_mode
            part.parent.chmod(above | 0o200)
            part.mkdir(mode=0o755)
            part.parent.chmod(above)


def of(cloud: Cloud) -> Tasks:
    """Return the tasks of a cloud, always the same object."""
    with _LOCK:
        if cloud not in _TASKS:
            _TASKS[cloud] = Tasks(cloud)
        return _TASKS[cloud]


_TASKS: dict[Cloud, Tasks] = {}
_LOCK = threading.Lock()
