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
CHECKOUT = Path(__file__).parents[2]
_NOT_COPIED = (".terraform", "__pycache__")
SAMPLE_TAGS = ("1", "2")
# This project's own image, which the dump job runs; its Dockerfile is at the top of the checkout.
OWN_REPOSITORY, OWN_TAG = "lifeboat", "1"
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
    entrypoint: list[str] = field(default_factory=list)

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
    entrypoint: list[str] = field(default_factory=list)
    workdir: str = "/"
    health: Health | None = None
    found: dict[str, Path] = field(default_factory=dict)  # where what is copied lies


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


def publish(cloud: Cloud, repository: str, tag: str, source: Path, *others: Path) -> ContainerImage:
    """Build the Dockerfile of a folder and put the image into the registry; build argument VERSION is the tag.

    The Dockerfile and what it copies are looked for in the folder, then in the others.
    """
    folders = (source, *others)
    build = _built(_found("Dockerfile", folders), {"VERSION": tag})
    build.found = {name: _found(name, folders) for name in build.copies}
    target = folder_of(registry(cloud), repository, tag)
    fresh = target.with_name(f".{tag}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    (fresh / "files").mkdir(parents=True)
    inside = fresh / "files" / build.workdir.lstrip("/")
    inside.mkdir(parents=True, exist_ok=True)
    for name, target_folder in build.copies.items():
        _copy(build.found[name], inside / target_folder)
    image = ContainerImage(
        repository=repository,
        tag=tag,
        digest=_digest(build),
        command=build.command,
        workdir=build.workdir,
        env=build.env,
        ports=build.ports,
        health=build.health,
        entrypoint=build.entrypoint,
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


def publish_own(cloud: Cloud) -> ContainerImage:
    """Put the image of lifeboat into the registry: its code, and the environments of the checkout that is served."""
    return publish(cloud, OWN_REPOSITORY, OWN_TAG, cloud.checkout, CHECKOUT)


def _found(name: str, folders: tuple[Path, ...]) -> Path:
    for folder in folders:
        if (folder / name).exists():
            return folder / name
    raise BadDockerfile(f"{name} is not in {folders[0]}")


def _copy(source: Path, target: Path) -> None:
    """Copy as COPY does: a file into a folder, of a folder what is in it."""
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*_NOT_COPIED))
        return
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target / source.name)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(found for found in path.rglob("*") if found.is_file() and not set(_NOT_COPIED) & set(found.parts))


def _digest(build: _Build) -> str:
    described = {name: value for name, value in vars(build).items() if name not in ("found", "health")}
    health = asdict(build.health) if build.health else None
    seen = hashlib.sha256(json.dumps({**described, "health": health}, sort_keys=True).encode())
    for name in build.copies:
        for path in _files(build.found[name]):
            seen.update(path.read_bytes())
    return f"sha256:{seen.hexdigest()}"


def _built(dockerfile: Path, given: dict[str, str]) -> _Build:
    """Read a Dockerfile; RUN is left out, since every container here has this program's own Python packages."""
    build = _Build(arguments={})
    text = re.sub(r"\\\n\s*", "", dockerfile.read_text())
    for line in (line.strip() for line in text.splitlines()):
        if not line or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        rest = rest.strip()
        match word.upper():
            case "FROM" if build.copies:  # a further stage begins with nothing of the one before
                build = _Build(arguments=build.arguments)
            case "FROM" | "RUN" | "USER" | "LABEL" | "VOLUME":
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
                words = [word for word in rest.split() if not word.startswith("--")]
                if len(words) < len(rest.split()) and "--from=" in rest:
                    continue  # what an earlier stage installed is what this machine has
                *names, target = words
                build.copies |= dict.fromkeys(names, target)
            case "EXPOSE":
                build.ports.append(int(rest))
            case "HEALTHCHECK":
                build.health = _health(rest)
            case "ENTRYPOINT":
                build.entrypoint = json.loads(rest)
            case "CMD":
                build.command = json.loads(rest)
            case _:
                raise BadDockerfile(f"{dockerfile}: the local registry cannot build: {line}")
    if not build.command and not build.entrypoint:
        raise BadDockerfile(f"{dockerfile}: there is no CMD and no ENTRYPOINT")
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
