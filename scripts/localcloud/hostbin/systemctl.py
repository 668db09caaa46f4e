"""systemctl for docker and for services whose unit files a host's scripts write."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from localcloud.hostbin.host import ROOT, Refused, ask

OWN = "etc/systemd/system"
WANTS = ROOT / OWN / "multi-user.target.wants"


def main(arguments: list[str]) -> int:
    """Do one systemctl command; the exit statuses are systemd's (systemctl(1))."""
    words = [word for word in arguments if not word.startswith("-")]
    options = {word for word in arguments if word.startswith("-")}
    unknown = options - {"--now", "--quiet", "-q", "--no-block", "--no-pager"}
    if unknown:
        return _fail(f"the local cloud's systemctl does not know {sorted(unknown)[0]}", 1)
    if words[:1] == ["daemon-reload"]:
        return 0
    if len(words) != 2:
        return _fail("the local cloud's systemctl wants one verb and one unit", 1)
    verb, unit = words[0], words[1].removesuffix(".service")
    file = _file(unit)
    if not (ROOT / file).exists():
        if verb == "is-active":
            print("inactive")
            return 3
        if verb in ("enable", "disable"):
            return _fail(f"Failed to {verb} unit: Unit file {unit}.service does not exist.", 1)
        return _fail(f"Failed to {verb} {unit}.service: Unit {unit}.service not found.", 5)
    if verb in ("enable", "disable"):
        return _enable(unit, file, options) if verb == "enable" else _disable(unit, options)
    if verb in ("start", "stop", "restart", "reload"):
        _ask(unit, verb)
        return 0
    if verb in ("is-active", "status"):
        active = _ask(unit, "status")["active"]
        if not options & {"--quiet", "-q"}:
            print(("active" if active else "inactive") if verb == "is-active" else f"{unit}.service: running={active}")
        return 0 if active else 3
    if verb == "is-enabled":
        enabled = _link(unit).is_symlink()
        print("enabled" if enabled else "disabled")
        return 0 if enabled else 1
    return _fail(f"Unknown command verb '{verb}'.", 1)


def _file(unit: str) -> Path:
    """Return where a unit's file is below the root directory: docker's package brings its own."""
    return Path("usr/lib/systemd/system/docker.service" if unit == "docker" else f"{OWN}/{unit}.service")


def _link(unit: str) -> Path:
    return WANTS / f"{unit}.service"


def _ask(unit: str, action: str) -> dict[str, Any]:
    if unit == "docker":
        return ask("daemon", action=action)
    return ask(action, of="units", unit=unit)


def _enable(unit: str, file: Path, options: set[str]) -> int:
    link = _link(unit)
    if not link.is_symlink():
        link.parent.mkdir(parents=True, exist_ok=True)
        # Relative: the root directory is copied into images and from there to other hosts.
        link.symlink_to(Path("../../../..") / file)
        print(f"Created symlink /{link.relative_to(ROOT)} -> /{file}.", file=sys.stderr)
    if "--now" in options:
        _ask(unit, "start")
    return 0


def _disable(unit: str, options: set[str]) -> int:
    _link(unit).unlink(missing_ok=True)
    if "--now" in options:
        _ask(unit, "stop")
    return 0


def _fail(text: str, status: int) -> int:
    print(text, file=sys.stderr)
    return status


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (Refused, OSError) as error:
        sys.exit(_fail(f"Failed: {error}", 1))
