"""The docker command of a host: docker's own words, options and exit statuses, as far as it goes.

What real docker has and this one lacks is refused with status 125 and said by name, never passed over.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcloud.hostbin.host import ROOT, Refused, ask

USAGE = 125
NOT_EXECUTABLE = 422  # the daemon's status for a program that is not there
_PORT = re.compile(r"(?:(?P<address>[\d.]*):)?(?P<host>\d+):(?P<container>\d+)(?:/tcp)?")
_FIELD = re.compile(r"\{\{\s*(?P<json>json\s+)?(?P<path>(?:\.\w+)+|\.)\s*\}\}")


class Usage(Exception):
    """The command line is wrong, or asks for what this docker lacks."""


@dataclass(frozen=True)
class Options:
    """Which options a command takes: name to what it is called, alone (flags) or with a value."""

    flags: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)


@dataclass
class Line:
    """A command line, taken apart."""

    flags: set[str] = field(default_factory=set)
    values: dict[str, list[str]] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)

    def last(self, name: str, default: str = "") -> str:
        """Return the last value given for an option."""
        return self.values.get(name, [default])[-1]


def taken_apart(command: str, arguments: list[str], options: Options) -> Line:
    """Read options up to the first word that is none; Usage with docker's words for unknown ones."""
    line = Line()
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            line.words = rest
            break
        if not word.startswith("-") or word == "-":
            if command in ("run", "exec"):
                line.words = [word, *rest]
                break
            line.words.append(word)
            continue
        name, given, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if name in options.values:
            if not given:
                if not rest:
                    raise Usage(f"flag needs an argument: {name}")
                value = rest.pop(0)
            line.values.setdefault(options.values[name], []).append(value)
        elif name in options.flags:
            if value not in ("false", "0"):
                line.flags.add(options.flags[name])
        elif not word.startswith("--") and len(word) > 2 and all(f"-{c}" in options.flags for c in word[1:]):
            line.flags |= {options.flags[f"-{c}"] for c in word[1:]}
        elif not word.startswith("--") and word[:2] in options.values:
            line.values.setdefault(options.values[word[:2]], []).append(word[2:].removeprefix("="))
        else:
            raise Usage(f"unknown flag: {name} (the local cloud's docker has: {_known(options)})")
    return line


def _known(options: Options) -> str:
    return " ".join(sorted([*options.flags, *options.values])) or "none"


RUN = Options(
    flags={"-d": "detach", "--detach": "detach", "--rm": "rm", "--init": "init", "-q": "quiet", "--quiet": "quiet"},
    values={
        "--name": "name",
        "--restart": "restart",
        "-p": "publish",
        "--publish": "publish",
        "-e": "env",
        "--env": "env",
        "--env-file": "env-file",
        "-v": "volume",
        "--volume": "volume",
        "--pull": "pull",
        "--log-driver": "log-driver",
        "--log-opt": "log-opt",
    },
)


def run(line: Line) -> int:
    """docker run."""
    if not line.words:
        raise Usage("'docker run' requires at least 1 argument")
    image, command = line.words[0], line.words[1:]
    if line.last("pull", "missing") not in ("missing", "always", "never"):
        raise Usage(f"invalid pull option: '{line.last('pull')}': must be one of always, missing or never")
    if "rm" in line.flags and line.last("restart", "no") != "no":
        raise Usage("conflicting options: cannot specify both --restart and --rm")
    asked = {
        "image": image,
        "command": command,
        "name": line.last("name"),
        "restart": _restart(line.last("restart", "no")),
        "ports": [_port(text) for text in line.values.get("publish", [])],
        "volumes": line.values.get("volume", []),
        "env": _environment(line),
    }
    try:
        if line.last("pull") == "always":
            ask("pull", image=image)
        number = _created(asked, image, may_pull=line.last("pull") != "never")
        ask("start", container=number)
    except Refused as error:
        if error.status == 503:
            raise
        print(f"docker: Error response from daemon: {error}.", file=sys.stderr)
        print("\nRun 'docker run --help' for more information", file=sys.stderr)
        return 127 if error.status == NOT_EXECUTABLE else USAGE
    if "detach" in line.flags:
        print(number)
        return 0
    status = int(ask("wait", container=number)["exit_code"])
    sys.stdout.write(ask("logs", container=number)["text"])
    if "rm" in line.flags:
        ask("remove", container=number, force=True)
    return status if status >= 0 else 128 - status


def _created(asked: dict[str, Any], image: str, *, may_pull: bool) -> str:
    try:
        return str(ask("create", **asked)["id"])
    except Refused as error:
        if error.status != 404 or not may_pull:
            raise
    print(f"Unable to find image '{image}' locally", file=sys.stderr)
    _say_pulled(ask("pull", image=image), sys.stderr)
    return str(ask("create", **asked)["id"])


def _restart(text: str) -> dict[str, Any]:
    name, _, retries = text.partition(":")
    if retries and (name != "on-failure" or not retries.isdigit()):
        raise Usage(f"invalid restart policy: {text}")
    return {"name": name or "no", "retries": int(retries or 0)}


def _port(text: str) -> dict[str, int]:
    found = _PORT.fullmatch(text)
    if found is None:
        raise Usage(f"invalid publish: {text} (the local cloud's docker knows HOST:CONTAINER, TCP only)")
    return {"host": int(found["host"]), "container": int(found["container"])}


def _environment(line: Line) -> dict[str, str]:
    pairs: list[str] = []
    for name in line.values.get("env-file", []):
        try:
            lines = Path(name).read_text().splitlines()
        except OSError as error:
            raise Usage(f"open {name}: {(error.strerror or '').lower()}") from error
        pairs += [text for text in lines if text.strip() and not text.startswith("#")]
    pairs += line.values.get("env", [])
    found = {}
    for pair in pairs:
        name, given, value = pair.partition("=")
        if given:
            found[name] = value
        elif name in os.environ:
            found[name] = os.environ[name]
    return found


def pull(line: Line) -> int:
    """docker pull."""
    _say_pulled(ask("pull", image=_one(line, "pull")), sys.stdout)
    return 0


def _say_pulled(answer: dict[str, Any], out: Any) -> None:
    print(f"Digest: {answer['digest']}\nStatus: Downloaded newer image for {answer['reference']}", file=out)


def images(line: Line) -> int:
    """docker images."""
    found = ask("images")["images"]
    if line.last("format"):
        for image in found:
            shown = {"Repository": image["repository"], "Tag": image["tag"], "ID": image["digest"][7:19]}
            print(_formatted(line.last("format"), shown))
    elif "quiet" in line.flags:
        print("".join(f"{image['digest'][7:19]}\n" for image in found), end="")
    else:
        print(f"{'REPOSITORY':<40}{'TAG':<12}IMAGE ID")
        for image in found:
            print(f"{image['repository']:<40}{image['tag']:<12}{image['digest'][7:19]}")
    return 0


def ps(line: Line) -> int:
    """docker ps."""
    found = ask("list", all="all" in line.flags)["containers"]
    for text in line.values.get("filter", []):
        name, _, value = text.partition("=")
        if name == "name":
            found = [c for c in found if re.search(value, c["Name"].lstrip("/"))]
        elif name == "status":
            found = [c for c in found if c["State"]["Status"] == value]
        else:
            raise Usage(f"invalid filter '{name}' (the local cloud's docker knows name and status)")
    rows = [
        {
            "ID": c["Id"][:12],
            "Image": c["Config"]["Image"],
            "Names": c["Name"].lstrip("/"),
            "State": c["State"]["Status"],
            "Status": _status(c["State"]),
            "Ports": ", ".join(
                f"0.0.0.0:{bound[0]['HostPort']}->{port}" for port, bound in c["NetworkSettings"]["Ports"].items()
            ),
        }
        for c in found
    ]
    if line.last("format"):
        print("".join(_formatted(line.last("format"), row) + "\n" for row in rows), end="")
    elif "quiet" in line.flags:
        print("".join(f"{row['ID']}\n" for row in rows), end="")
    else:
        print(f"{'CONTAINER ID':<15}{'IMAGE':<25}{'STATUS':<30}{'PORTS':<30}NAMES")
        for row in rows:
            print(f"{row['ID']:<15}{row['Image']:<25}{row['Status']:<30}{row['Ports']:<30}{row['Names']}")
    return 0


def _status(state: dict[str, Any]) -> str:
    if state["Status"] == "running":
        health = f" ({state['Health']['Status']})" if "Health" in state else ""
        return f"Up since {state['StartedAt']}{health.replace('(starting)', '(health: starting)')}"
    if state["Status"] == "exited":
        return f"Exited ({state['ExitCode']})"
    return str(state["Status"]).capitalize()


def inspect(line: Line) -> int:
    """docker inspect."""
    return _inspected(line, "object", lambda name: ask("inspect", container=name))


def inspect_image(line: Line) -> int:
    """docker image inspect."""
    return _inspected(line, "image", lambda name: ask("inspect-image", image=name))


def _inspected(line: Line, kind: str, look: Callable[[str], dict[str, Any]]) -> int:
    found, status = [], 0
    for name in line.words or [_one(line, "inspect")]:
        try:
            found.append(look(name))
        except Refused as error:
            if error.status != 404:
                raise
            print(f"Error: No such {kind}: {name}", file=sys.stderr)
            status = 1
    if line.last("format"):
        print("".join(_formatted(line.last("format"), one) + "\n" for one in found), end="")
    else:
        print(json.dumps(found, indent=4))
    return status


def _formatted(template: str, document: dict[str, Any]) -> str:
    def value(match: re.Match[str]) -> str:
        found: Any = document
        for name in match["path"].strip(".").split("."):
            if not name:
                continue
            if not isinstance(found, dict) or name not in found:
                raise Usage(f"template parsing error: no field {match['path']}")
            found = found[name]
        if match["json"]:
            return json.dumps(found)
        return str(found).lower() if isinstance(found, bool) else str(found)

    filled = _FIELD.sub(value, template)
    if "{{" in filled.replace("{}", ""):
        raise Usage(
            f"template parsing error: the local cloud's docker knows {{{{.A.B}}}} and {{{{json .A}}}}: {template}"
        )
    return filled


def logs(line: Line) -> int:
    """docker logs."""
    name = _one(line, "logs")
    text = ask("logs", container=name)["text"]
    lines = text.splitlines(keepends=True)
    if line.last("tail", "all") != "all":
        count = int(line.last("tail"))
        lines = lines[-count:] if count else []
    sys.stdout.write("".join(lines))
    shown = len(text)
    while "follow" in line.flags and ask("inspect", container=name)["State"]["Running"]:
        sys.stdout.flush()
        time.sleep(0.5)
        text = ask("logs", container=name)["text"]
        sys.stdout.write(text[shown:])
        shown = len(text)
    return 0


def each(verb: str, **more: Any) -> Callable[[Line], int]:
    """Return the command that does one thing to each container named."""

    def command(line: Line) -> int:
        status = 0
        for name in line.words or [_one(line, verb)]:
            asked = {"container": name, **more}
            if verb == "remove":
                asked["force"] = "force" in line.flags
            if verb == "stop" and line.last("time"):
                asked["seconds"] = float(line.last("time"))
            try:
                ask(verb, **asked)
                print(name)
            except Refused as error:
                if error.status == 503:
                    raise
                if not (verb == "remove" and "force" in line.flags and error.status == 404):
                    status = 1
                print(f"Error response from daemon: {error}", file=sys.stderr)
        return status

    return command


def restart(line: Line) -> int:
    """docker restart."""
    for name in line.words or [_one(line, "restart")]:
        ask("stop", container=name)
        ask("start", container=name)
        print(name)
    return 0


def execute(line: Line) -> int:
    """docker exec."""
    if len(line.words) < 2:
        raise Usage("'docker exec' requires at least 2 arguments")
    try:
        answer = ask("exec", container=line.words[0], command=line.words[1:], env=_environment(line))
    except Refused as error:
        if error.status != NOT_EXECUTABLE:
            raise
        print(error, file=sys.stderr)
        return 127
    sys.stdout.write(answer["text"])
    return int(answer["exit_code"])


def wait(line: Line) -> int:
    """docker wait."""
    print(ask("wait", container=_one(line, "wait"))["exit_code"])
    return 0


def login(line: Line) -> int:
    """docker login: notes the registry; the local registry asks for no password and keeps none."""
    if "password-stdin" not in line.flags and not line.last("password"):
        print("Error: Cannot perform an interactive login from a non TTY device", file=sys.stderr)
        return 1
    if line.last("password"):
        print("WARNING! Using --password via the CLI is insecure. Use --password-stdin.", file=sys.stderr)
    password = line.last("password") or sys.stdin.read().strip()
    if not line.last("username"):
        print("Must provide --username with --password-stdin", file=sys.stderr)
        return 1
    if not password:
        print("Error: password is empty", file=sys.stderr)
        return 1
    registry = line.words[0] if line.words else "https://index.docker.io/v1/"
    config = ROOT / "root/.docker/config.json"
    config.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(config.read_text()) if config.exists() else {"auths": {}}
    known["auths"][registry] = {}
    config.write_text(json.dumps(known, indent=1))
    print("Login Succeeded")
    return 0


def logout(line: Line) -> int:
    """docker logout."""
    print(f"Removing login credentials for {line.words[0] if line.words else 'https://index.docker.io/v1/'}")
    return 0


def version(line: Line) -> int:
    """docker version and docker info: whether the daemon answers."""
    ask("list")
    print("Server: Docker (played by the local cloud)" if not line.last("format") else "25.0.0")
    return 0


def _one(line: Line, command: str) -> str:
    if len(line.words) != 1:
        raise Usage(f"'docker {command}' requires 1 argument")
    return line.words[0]


QUIET = {"-q": "quiet", "--quiet": "quiet"}
FORMAT = {"--format": "format", "-f": "format"}
COMMANDS: dict[str, tuple[Options, Callable[[Line], int]]] = {
    "run": (RUN, run),
    "pull": (Options(flags=QUIET), pull),
    "images": (Options(flags=QUIET, values={"--format": "format"}), images),
    "ps": (
        Options(
            flags={**QUIET, "-a": "all", "--all": "all", "--no-trunc": "no-trunc"},
            values={"--format": "format", "-f": "filter", "--filter": "filter"},
        ),
        ps,
    ),
    "inspect": (Options(values=FORMAT), inspect),
    "image inspect": (Options(values=FORMAT), inspect_image),
    "logs": (Options(flags={"-f": "follow", "--follow": "follow"}, values={"-n": "tail", "--tail": "tail"}), logs),
    "stop": (Options(values={"-t": "time", "--time": "time"}), each("stop")),
    "kill": (Options(), each("stop", seconds=0.1)),
    "start": (Options(), each("start")),
    "restart": (Options(values={"-t": "time", "--time": "time"}), restart),
    "rm": (Options(flags={"-f": "force", "--force": "force", "-v": "volumes"}), each("remove")),
    "exec": (
        Options(flags={"-i": "i", "-t": "t", "--interactive": "i", "--tty": "t"}, values={"-e": "env", "--env": "env"}),
        execute,
    ),
    "wait": (Options(), wait),
    "login": (
        Options(
            flags={"--password-stdin": "password-stdin"},
            values={"-u": "username", "--username": "username", "-p": "password", "--password": "password"},
        ),
        login,
    ),
    "logout": (Options(), logout),
    "version": (Options(values=FORMAT), version),
    "info": (Options(values=FORMAT), version),
}


def main(arguments: list[str]) -> int:
    """Do one docker command."""
    if arguments[:1] in (["--version"], ["-v"]):
        print("Docker version 25.0.0 (played by the local cloud)")
        return 0
    command = arguments[0] if arguments else "help"
    if command == "container" and len(arguments) > 1:
        return main(["ps" if arguments[1] == "ls" else arguments[1], *arguments[2:]])
    if arguments[:2] == ["image", "inspect"]:
        command, arguments = "image inspect", arguments[1:]
    if command not in COMMANDS:
        print(f"docker: '{command}' is not a docker command that the local cloud has.", file=sys.stderr)
        print(f"It has: {' '.join(COMMANDS)}", file=sys.stderr)
        return USAGE if command.startswith("-") else 1
    options, function = COMMANDS[command]
    try:
        return function(taken_apart(command, arguments[1:], options))
    except Usage as error:
        print(f"docker: {error}\nSee 'docker {command} --help'.", file=sys.stderr)
        return USAGE
    except Refused as error:
        if error.status == 503:
            print(
                "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
                file=sys.stderr,
            )
        else:
            print(f"Error response from daemon: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
