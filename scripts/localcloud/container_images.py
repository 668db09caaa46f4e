"""The local image registry: container images as directories, built from Dockerfiles of a few instructions."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from localcloud.cloud import Cloud

SAMPLE_APP = Path(__file__).parent / "sample_app"
SAMPLE_TAGS = ("1", "2")
_REFERENCE = re.compile(r"(?P<repository>[a-z0-9][a-z0-9._:/-]*?)(?::(?P<tag>[\w][\w.-]{0,127}))?")
_SECONDS = re.compile(r"(\d+)s")


class NoSuchImage(Exception):
    """The registry has no such image; the text is what docker says."""


class BadDockerfile(Exception):
    """A Dockerfile asks for what the local registry cannot build; the text names the line."""


@dataclass(frozen=True, kw_only=True)
class Health:
    """The HEALTHCHECK of an image; seconds."""

    command: list[str]
    interval: float = 30
    timeout: float = 30
    start_period: float = 0
    retries: int = 3


@dataclass(frozen=True, kw_only=True)
class ContainerImage:
    """What an image is, apart from its files."""

    repository: str
    tag: str
    digest: str
    command: list[str]
    workdir: str
    env: dict[str, str]
    ports: list[int]
    health: Health | None = None

    @property
    def reference(self) -> str:
        return f"{self.repository}:{self.tag}"


@dataclass
class _Build:
    arguments: dict[str, str]
    env: dict[str, str] = field(default_factory=dict)
    ports: list[int] = field(default_factory=list)
    copies: dict[str, str] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)
    workdir: str = "/"
    health: Health | None = None


def split_reference(reference: str) -> tuple[str, str]:
    """Return repository and tag of an image reference; ValueError with docker's words when it is none."""
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        raise ValueError("invalid reference format")
    return found["repository"].removeprefix("docker.io/").removeprefix("library/"), found["tag"] or "latest"


def folder_of(images: Path, repository: str, tag: str) -> Path:
    """Return the folder of one image below a store of images."""
    return images / repository.replace("/", "__").replace(":", "++") / tag


def read(folder: Path) -> ContainerImage:
    """Return the image in a folder; FileNotFoundError when there is none."""
    document: dict[str, Any] = json.loads((folder / "image.json").read_text())
    health = document.pop("health")
    return ContainerImage(**document, health=Health(**health) if health else None)


def registry(cloud: Cloud) -> Path:
    """Return the registry's folder."""
    return cloud.folder("registry")


def publish(cloud: Cloud, repository: str, tag: str, source: Path) -> ContainerImage:
    """Build the Dockerfile of a folder and put the image into the registry; build argument VERSION is the tag."""
    build = _built(source, {"VERSION": tag})
    target = folder_of(registry(cloud), repository, tag)
    fresh = target.with_name(f".{tag}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    (fresh / "files").mkdir(parents=True)
    inside = fresh / "files" / build.workdir.lstrip("/")
    inside.mkdir(parents=True, exist_ok=True)
    for name, folder in build.copies.items():
        (inside / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(source / name, inside / folder / name)
    image = ContainerImage(
        repository=repository,
        tag=tag,
        digest=_digest(build, source),
        command=build.command,
        workdir=build.workdir,
        env=build.env,
        ports=build.ports,
        health=build.health,
    )
    (fresh / "image.json").write_text(json.dumps(asdict(image), indent=1))
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
    return image


def pull(cloud: Cloud, images: Path, reference: str) -> ContainerImage:
    """Copy an image from the registry into a host's store; NoSuchImage with docker's words."""
    repository, tag = split_reference(reference)
    source = folder_of(registry(cloud), repository, tag)
    if not source.parent.is_dir():
        raise NoSuchImage(
            f"pull access denied for {repository}, repository does not exist or may require 'docker login': "
            "denied: requested access to the resource is denied"
        )
    if not source.is_dir():
        raise NoSuchImage(f"manifest for {repository}:{tag} not found: manifest unknown: manifest unknown")
    target = folder_of(images, repository, tag)
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(target)], check=True)
    return read(target)


def seed(cloud: Cloud) -> None:
    """Put the sample application into the registry, as it is in this working copy."""
    for tag in SAMPLE_TAGS:
        publish(cloud, "app", tag, SAMPLE_APP)


def _digest(build: _Build, source: Path) -> str:
    seen = hashlib.sha256(json.dumps(asdict(build), sort_keys=True).encode())
    for name in build.copies:
        seen.update((source / name).read_bytes())
    return f"sha256:{seen.hexdigest()}"


def _built(source: Path, given: dict[str, str]) -> _Build:
    """Read a Dockerfile; RUN is left out, since every container here has this program's own Python packages."""
    build = _Build(arguments={})
    text = re.sub(r"\\\n\s*", "", (source / "Dockerfile").read_text())
    for line in (line.strip() for line in text.splitlines()):
        if not line or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        rest = rest.strip()
        match word.upper():
            case "FROM" | "RUN" | "USER" | "LABEL":
                pass
            case "ARG":
                name, _, default = rest.partition("=")
                build.arguments[name] = given.get(name, default)
            case "ENV":
                for pair in shlex.split(rest):
                    name, _, value = pair.partition("=")
                    build.env[name] = Template(value).safe_substitute(build.arguments | build.env)
            case "WORKDIR":
                build.workdir = rest
            case "COPY":
                *names, target = rest.split()
                build.copies |= dict.fromkeys(names, target)
            case "EXPOSE":
                build.ports.append(int(rest))
            case "HEALTHCHECK":
                build.health = _health(rest)
            case "CMD":
                build.command = json.loads(rest)
            case _:
                raise BadDockerfile(f"{source / 'Dockerfile'}: the local registry cannot build: {line}")
    if not build.command:
        raise BadDockerfile(f"{source / 'Dockerfile'}: there is no CMD")
    return build


def _health(rest: str) -> Health:
    options, _, command = rest.partition("CMD ")
    given = dict(word.removeprefix("--").split("=", 1) for word in options.split())

    def seconds(name: str, default: float) -> float:
        found = _SECONDS.fullmatch(given.get(name, ""))
        return float(found.group(1)) if found else default

    return Health(
        command=json.loads(command),
        interval=seconds("interval", 30),
        timeout=seconds("timeout", 30),
        start_period=seconds("start-period", 0),
        retries=int(given.get("retries", "3")),
    )
