"""Print what of requirements-dev.lock the program itself needs, with its hashes: what the image installs.

Run it beside pyproject.toml and requirements-dev.lock, with the names of what else is wanted; it needs nothing but
Python. What needs what is read from the lock's own "via" comments.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==", re.MULTILINE)
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")


def normal(name: str) -> str:
    """Return a package's name as the lock writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def runtime(lock: str, wanted: list[str]) -> str:
    """Return the part of a lock that these requirements and all that they need are pinned in."""
    begins = [found.start() for found in _PINNED.finditer(lock)]
    blocks = [lock[begin:end] for begin, end in zip(begins, [*begins[1:], len(lock)], strict=True)]
    pinned = {normal(block.split("==", 1)[0]): block for block in blocks}
    needed_by: dict[str, set[str]] = {}
    for name, block in pinned.items():
        comments = "\n".join(re.findall(r"^ *# *(?:via\b)? *(\S.*)?$", block, re.MULTILINE))
        needed_by[name] = {normal(one) for one in _words(comments)}
    kept = {normal(_name(requirement)) for requirement in wanted}
    missing = sorted(kept - set(pinned))
    if missing:
        raise SystemExit(f"the lock does not pin {', '.join(missing)}: make it again")
    while found := {name for name, by in needed_by.items() if name not in kept and by & kept}:
        kept |= found
    return "".join(pinned[name] for name in sorted(kept))


def _words(comments: str) -> list[str]:
    return [match.group() for line in comments.splitlines() if (match := _NAME.match(line.strip()))]


def _name(requirement: str) -> str:
    found = _NAME.match(requirement)
    if found is None:
        raise SystemExit(f"{requirement!r} names no package")
    return found.group()


if __name__ == "__main__":
    here = Path.cwd()
    project = tomllib.loads((here / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    sys.stdout.write(
        runtime((here / "requirements-dev.lock").read_text(encoding="utf-8"), [*project["dependencies"], *sys.argv[1:]])
    )
