"""dnf and yum: docker can be installed, what the machine has counts as installed, anything else is not to be found."""

from __future__ import annotations

import shutil
import sys

from localcloud.hostbin.host import ROOT

INSTALLED_AS = {"awscli": "aws", "awscli-2": "aws", "postgresql15": "psql", "python3": "python3"}
PRESENT = {"amazon-ssm-agent", "ca-certificates"}


def main(arguments: list[str]) -> int:
    """Do `install`, `update` and `list installed`; anything else is refused."""
    yes = bool({"-y", "--assumeyes"} & set(arguments))
    unknown = [
        word for word in arguments if word.startswith("-") and word not in ("-y", "--assumeyes", "-q", "--quiet")
    ]
    words = [word for word in arguments if not word.startswith("-")]
    if unknown:
        return _fail(f"the local cloud's dnf does not know {unknown[0]}")
    if words[:1] in (["update"], ["upgrade"], ["makecache"]):
        print("Nothing to do.\nComplete!")
        return 0
    if words[:1] != ["install"] or len(words) < 2:
        return _fail("the local cloud's dnf knows: dnf install -y PACKAGE..., dnf update")
    missing = [name for name in words[1:] if name != "docker" and not _present(name)]
    if missing:
        print(f"No match for argument: {', '.join(missing)}", file=sys.stderr)
        return _fail(f"Error: Unable to find a match: {' '.join(missing)}")
    if "docker" in words[1:] and not (ROOT / "usr/bin/docker").exists():
        if not yes:
            print("Is this ok [y/N]: ", end="")
            return _fail("Operation aborted.")
        _install_docker()
        print("Installed:\n  docker\nComplete!")
        return 0
    print("Nothing to do.\nComplete!")
    return 0


def _present(name: str) -> bool:
    return name in PRESENT or shutil.which(INSTALLED_AS.get(name, name)) is not None


def _install_docker() -> None:
    unit = ROOT / "usr/lib/systemd/system/docker.service"
    unit.parent.mkdir(parents=True, exist_ok=True)
    unit.write_text("[Unit]\nDescription=Docker (played by the local cloud)\n[Install]\nWantedBy=multi-user.target\n")
    program = ROOT / "usr/bin/docker"
    program.write_text(
        '#!/bin/sh\nPYTHONPATH="$LOCALCLOUD_SCRIPTS" exec "$LOCALCLOUD_PYTHON" -m localcloud.hostbin.docker "$@"\n'
    )
    program.chmod(0o755)


def _fail(text: str) -> int:
    print(text, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
