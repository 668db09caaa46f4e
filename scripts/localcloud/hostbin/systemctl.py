"""systemctl for the one service that hosts know: docker."""

from __future__ import annotations

import sys

from localcloud.hostbin.host import ROOT, Refused, ask

WANTS = ROOT / "etc/systemd/system/multi-user.target.wants/docker.service"
UNIT = "/usr/lib/systemd/system/docker.service"


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
    if unit != "docker" or not (ROOT / UNIT.lstrip("/")).exists():
        if verb == "is-active":
            print("inactive")
            return 3
        if verb == "enable":
            return _fail(f"Failed to enable unit: Unit file {unit}.service does not exist.", 1)
        return _fail(f"Failed to {verb} {unit}.service: Unit {unit}.service not found.", 5)
    if verb in ("enable", "disable"):
        return _enable(options) if verb == "enable" else _disable(options)
    if verb in ("start", "stop", "restart", "reload"):
        ask("daemon", action=verb)
        return 0
    if verb in ("is-active", "status"):
        active = ask("daemon", action="status")["active"]
        if not options & {"--quiet", "-q"}:
            print(("active" if active else "inactive") if verb == "is-active" else f"docker.service: running={active}")
        return 0 if active else 3
    if verb == "is-enabled":
        print("enabled" if WANTS.exists() else "disabled")
        return 0 if WANTS.exists() else 1
    return _fail(f"Unknown command verb '{verb}'.", 1)


def _enable(options: set[str]) -> int:
    if not WANTS.exists():
        WANTS.parent.mkdir(parents=True, exist_ok=True)
        # Relative: the root directory is copied into images and from there to other hosts.
        WANTS.symlink_to("../../../../" + UNIT.lstrip("/"))
        print(f"Created symlink {WANTS.relative_to(ROOT)} -> {UNIT}.", file=sys.stderr)
    if "--now" in options:
        ask("daemon", action="start")
    return 0


def _disable(options: set[str]) -> int:
    WANTS.unlink(missing_ok=True)
    if "--now" in options:
        ask("daemon", action="stop")
    return 0


def _fail(text: str, status: int) -> int:
    print(text, file=sys.stderr)
    return status


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (Refused, OSError) as error:
        sys.exit(_fail(f"Failed: {error}", 1))
