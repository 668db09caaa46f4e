"""Download the pinned Terraform into a folder, only when its SHA-256 is the published one and it is not there yet."""

from __future__ import annotations

import hashlib
import http.client
import io
import os
import platform
import sys
import urllib.request
import zipfile
from collections.abc import Mapping
from pathlib import Path

VERSION = "1.11.4"
# From HashiCorp's SHA256SUMS of that version.
SHA256 = {
    "linux_amd64": "1ce994251c00281d6845f0f268637ba50c0005657eb3cf096b92f753b42ef4dc",
    "linux_arm64": "a43d1d0da9b9bab214a8305a39db0e40869572594ccf50c416a7756499143633",
    "darwin_amd64": "a56d5002b9f7647291faccc3dd1a70350e60fb61e4c45037629508b8fdc2575b",
    "darwin_arm64": "867e0808fa971217043e25b7a792b10720c79b1546f8a68479b74f138be73e18",
}
MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64", "amd64": "amd64"}
SECONDS = 300
NOTE = ".terraform.installed"  # beside the program: its version and SHA-256, so that it need not be run to be known


def main(folder: Path, source: str, sums: Mapping[str, str] = SHA256) -> int:
    """Put terraform into `folder`, or leave it when it is there.

    Returns 0, 1 when it cannot be written, 2 for a machine without a build, 8 for no download, 11 for a wrong sum.
    """
    target = f"{platform.system().lower()}_{MACHINES.get(platform.machine().lower(), platform.machine())}"
    if target not in sums:
        print(f"error: no pinned Terraform {VERSION} for {target}; it has: {', '.join(sums)}", file=sys.stderr)
        return 2
    if installed(folder):
        print(f"Terraform {VERSION} is already in {folder / 'terraform'}", file=sys.stderr)
        return 0
    url = f"{source}/terraform/{VERSION}/terraform_{VERSION}_{target}.zip"
    print(f"downloading {url}", file=sys.stderr)
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            archive = answer.read()
    except (OSError, http.client.HTTPException, ValueError) as error:
        print(f"error: cannot download {url}: {error}", file=sys.stderr)
        return 8
    found = hashlib.sha256(archive).hexdigest()
    if found != sums[target]:
        print(f"error: {url} has SHA-256 {found}, not {sums[target]}; nothing was installed", file=sys.stderr)
        return 11
    try:
        install(folder, zipfile.ZipFile(io.BytesIO(archive)).read("terraform"))
    except OSError as error:
        print(f"error: cannot write {folder / 'terraform'}: {error}", file=sys.stderr)
        return 1
    print(f"Terraform {VERSION} is in {folder / 'terraform'}", file=sys.stderr)
    return 0


def installed(folder: Path) -> bool:
    """Return whether the program in `folder` is, byte for byte, what was installed there as this version."""
    try:
        with (folder / "terraform").open("rb") as program:
            found = hashlib.file_digest(program, "sha256").hexdigest()
        return (folder / NOTE).read_text() == f"{VERSION} {found}\n" and os.access(folder / "terraform", os.X_OK)
    except (OSError, ValueError):
        return False


def install(folder: Path, program: bytes) -> None:
    """Write the program, whole or not at all, and note what it is."""
    fresh = folder / ".terraform.new"
    try:
        fresh.write_bytes(program)
        fresh.chmod(0o755)
        fresh.replace(folder / "terraform")
    finally:
        fresh.unlink(missing_ok=True)
    (folder / NOTE).write_text(f"{VERSION} {hashlib.sha256(program).hexdigest()}\n")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), os.environ.get("TERRAFORM_SOURCE", "https://releases.hashicorp.com")))
