"""The container on a host: what to run there and why, the scripts that do it, and whether it is well afterwards."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from lifeboat.model import ContainerImage, Deployed, Health, HostScript, HostStanding, InstanceId

# An image reference as Docker writes it (distribution's reference grammar); nothing in it means anything to a shell.
_PART = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_REFERENCE = re.compile(
    rf"(?:[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]{{1,5}})?/)?{_PART}(?:/{_PART})*(?::{_TAG})?(?:@sha256:[0-9a-f]{{64}})?"
)
_LONGEST_REFERENCE = 255


def reference(text: str) -> ContainerImage | None:
    """Return an image reference such as registry.example.com/app:1; None when the text is none."""
    fits = len(text) <= _LONGEST_REFERENCE and _REFERENCE.fullmatch(text) is not None
    return ContainerImage(text) if fits else None


def named(text: str, deployed: Deployed) -> ContainerImage | None:
    """Return the image that an operator names: a reference, or only the tag of what runs; None when it is neither."""
    now = deployed.running or deployed.configured
    if now is not None and re.fullmatch(_TAG, text):
        return reference(f"{_repository(now)}:{text}")
    return reference(text) if ":" in text or "/" in text else None


def _repository(image: ContainerImage) -> str:
    name = image.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"


# -- what to run -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """The image to run, or None: then `why` says what forbids it."""

    image: ContainerImage | None
    why: str


def redeployment(deployed: Deployed, image: ContainerImage | None) -> Deployment:
    """Return what a redeployment runs: the image that is named, else once more the one that runs."""
    if image is not None:
        return Deployment(image=image, why="it was named")
    if deployed.running is not None:
        return Deployment(image=deployed.running, why="it is what runs")
    if deployed.configured is not None:
        return Deployment(image=deployed.configured, why="nothing runs, and the host's settings name it")
    return Deployment(image=None, why="nothing runs there, and the host's settings name no image")


def rollback(deployed: Deployed) -> Deployment:
    """Return the image that ran before the one that runs now."""
    if deployed.previous is None:
        return Deployment(image=None, why="no other image ran there before")
    if deployed.previous == deployed.running:
        return Deployment(image=None, why=f"the image that ran before is the one that runs: {deployed.previous}")
    return Deployment(image=deployed.previous, why=f"it ran before {deployed.running or 'the container was removed'}")


def restart(deployed: Deployed) -> Deployment:
    """Return the image whose container is started again."""
    if deployed.running is None:
        return Deployment(image=None, why="there is no container of the application")
    return Deployment(image=deployed.running, why="it is what runs")


# -- the scripts -------------------------------------------------------------------------------------------------------
# POSIX shell. HOST_ROOT and HOST_ADDRESS are empty on a real host; the local cloud's hosts share a machine. What Docker's
# format needs is put together from halves, since SSM takes two opening braces for a parameter of its own.
# scripts/ci/host/deploy.sh keeps the image before in the same file, by the same rule: one that is not well when it is
# replaced is nothing to go back to, unless it is all there is.

LOOK = "app-look"
_FACTS = """
open='{''{' close='}''}'
root="${HOST_ROOT:-}"
settings="$root/etc/app/app.env"
previous="$root/var/lib/app/previous"
running=$(docker inspect --format "${open}.Config.Image${close}" app 2>/dev/null) || running=
"""

_LOOK = """
configured=
if [ -f "$settings" ]; then configured=$(sed -n 's/^APP_IMAGE=//p' "$settings"); fi
before=
if [ -f "$previous" ]; then before=$(cat "$previous"); fi
echo "running=$running"
echo "configured=$configured"
echo "previous=$before"
"""

_FROM_REGISTRY = """
case "$1" in
  *.dkr.ecr.*.amazonaws.com/*)
    AWS_DEFAULT_REGION=$(sed -n 's/^AWS_REGION=//p' "$settings")
    export AWS_DEFAULT_REGION
    password=$(aws ecr get-login-password)
    printf '%s' "$password" | docker login --username AWS --password-stdin "${1%%/*}"
    ;;
esac
docker pull "$1"
"""

# Asked by `inspect`, which takes an image by digest or without a tag as `run` does; a list of names has neither.
_FROM_DISK = f"""
if ! docker image inspect "$1" >/dev/null 2>&1; then
{_FROM_REGISTRY}
fi
"""

_REPLACE = """
port=$(sed -n 's/^PORT=//p' "$settings")
if [ -z "$port" ]; then echo "$settings names no PORT" >&2; exit 1; fi
sed "s|^APP_IMAGE=.*|APP_IMAGE=$1|" "$settings" >"$settings.new"
well() { curl --silent --fail --max-time 5 --output /dev/null "http://${HOST_ADDRESS:-localhost}:$port${2:-/healthz}"; }
if [ -n "$running" ] && [ "$running" != "$1" ] && { well "$@" || [ ! -s "$previous" ]; }; then
  mkdir -p "${previous%/*}"
  printf '%s\\n' "$running" >"$previous.new"
  mv "$previous.new" "$previous"
fi
mv "$settings.new" "$settings"
docker rm --force app >/dev/null 2>&1 || true
docker run --detach --name app --restart always --publish "$port:$port" --env-file "$settings" "$1"
"""


def looking(token: str) -> HostScript:
    """Return the script that tells what is deployed; it changes nothing."""
    return HostScript(name=LOOK, text=_FACTS + _LOOK, token=token)


def redeploying(image: ContainerImage, token: str) -> HostScript:
    """Return the script that fetches an image and runs it in place of what runs, whose name it keeps."""
    return HostScript(
        name="app-redeploy", text=f"set -eu{_FACTS}{_FROM_REGISTRY}{_REPLACE}", arguments=(image,), token=token
    )


def redeploying_from_disk(image: ContainerImage, token: str) -> HostScript:
    """Return the same script for a host that has the image: a registry that is down keeps nobody from running it."""
    return HostScript(
        name="app-redeploy", text=f"set -eu{_FACTS}{_FROM_DISK}{_REPLACE}", arguments=(image,), token=token
    )


def rolling_back(image: ContainerImage, token: str) -> HostScript:
    """Return the script that runs an image from the host's own disk where it is there: the registry may be down too."""
    return HostScript(
        name="app-rollback", text=f"set -eu{_FACTS}{_FROM_DISK}{_REPLACE}", arguments=(image,), token=token
    )


def judging(script: HostScript, health_path: str) -> HostScript:
    """Return a script that replaces the container, told at which path the old one says whether it is well."""
    return replace(script, arguments=(*script.arguments, health_path))


def restarting(token: str) -> HostScript:
    """Return the script that restarts the application's container."""
    return HostScript(name="app-restart", text="docker restart app", token=token)


def deployed(printed: str) -> Deployed:
    """Return what the script of `looking` printed; what is not an image reference counts as nothing."""
    lines = dict(line.partition("=")[::2] for line in printed.splitlines())
    return Deployed(
        running=reference(lines.get("running", "")),
        configured=reference(lines.get("configured", "")),
        previous=reference(lines.get("previous", "")),
    )


# -- before and after --------------------------------------------------------------------------------------------------


def unreachable(standing: HostStanding) -> str | None:
    """Return why nothing can be done on an instance; None when it runs and its agent answers."""
    if standing.state == "missing":
        return f"there is no instance {standing.instance}"
    if standing.state != "running":
        return f"{standing.instance} is {standing.state}"
    if standing.agent != "online":
        return f"{standing.instance} runs, but its SSM agent is {standing.agent}"
    return None


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Who has to answer; None: anybody. An application that does not say who it is is taken at its status."""

    image: ContainerImage | None = None
    instance: InstanceId | None = None


def unwell(health: Health, expected: Expected) -> str | None:
    """Return why an answer is not the one waited for; None when it is."""
    if health.status is None:
        return f"nobody answers: {health.says}"
    if health.status != 200:
        return f"HTTP {health.status}: {health.says}"
    if None not in (expected.image, health.image) and health.image != expected.image:
        return f"{health.image} answers, not {expected.image}"
    if None not in (expected.instance, health.instance_id) and health.instance_id != expected.instance:
        return f"{health.instance_id} answers, not {expected.instance}"
    return None
