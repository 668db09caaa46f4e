"""Where the resources of a Terraform root are written: file and line of each block, in the root and its own modules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# As `terraform fmt` writes them: at the beginning of a line. What it does not know is only shown without a line.
_RESOURCE = re.compile(r'^resource\s+"([^"]+)"\s+"([^"]+)"')
_CHECK = re.compile(r'^check\s+"([^"]+)"')
_MODULE = re.compile(r'^module\s+"([^"]+)"')
_SOURCE = re.compile(r'^\s+source\s*=\s*"(\.\.?/[^"]*)"')


@dataclass(frozen=True, kw_only=True)
class WrittenBlock:
    """One block: its address without keys of instances, the file, relative to the repository, and the line, from 1."""

    address: str
    file: str
    line: int


def written(root: Path, repository: Path) -> tuple[WrittenBlock, ...]:
    """Return the blocks of a root and of the modules that it calls by a path; none of what cannot be read."""
    return tuple(_written(root.resolve(), repository.resolve(), "", ()))


def _written(folder: Path, repository: Path, prefix: str, above: tuple[Path, ...]) -> Iterator[WrittenBlock]:
    if folder in above:
        return  # a module that calls itself, which Terraform refuses
    for path in sorted(folder.glob("*.tf")):
        name, module = _relative(path, repository), ""
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        for number, line in enumerate(lines, start=1):
            if found := _RESOURCE.match(line):
                yield WrittenBlock(address=f"{prefix}{found[1]}.{found[2]}", file=name, line=number)
            elif found := _CHECK.match(line):
                yield WrittenBlock(address=f"{prefix}check.{found[1]}", file=name, line=number)
            elif found := _MODULE.match(line):
                module = found[1]
            elif module and (found := _SOURCE.match(line)):
                inner = f"{prefix}module.{module}."
                yield from _written((folder / found[1]).resolve(), repository, inner, (*above, folder))
                module = ""


def _relative(path: Path, repository: Path) -> str:
    return str(path.relative_to(repository)) if path.is_relative_to(repository) else str(path)
