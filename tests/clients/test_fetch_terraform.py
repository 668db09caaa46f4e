"""Terraform is installed only when it is the published one, and downloaded only when it is not there."""

from __future__ import annotations

import hashlib
import http.server
import io
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import fetch_terraform
import pytest

from tests.conftest import free_port
from tests.rehearsal import ROOT

PROGRAM = b"#!/bin/sh\necho played\n"


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("terraform", PROGRAM)
    return buffer.getvalue()


class Releases(http.server.ThreadingHTTPServer):
    """A place of releases on loopback, which has one archive for every path and knows who asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.archive = archive()
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def sums(self) -> dict[str, str]:
        return dict.fromkeys(fetch_terraform.SHA256, hashlib.sha256(self.archive).hexdigest())


class _Answer(http.server.BaseHTTPRequestHandler):
    server: Releases

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.archive)))
        self.end_headers()
        self.wfile.write(self.server.archive)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def releases(monkeypatch: pytest.MonkeyPatch) -> Iterator[Releases]:
    monkeypatch.setenv("no_proxy", "*")
    with Releases() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def fetch(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "fetch_terraform.py"), str(folder)],
        env={**os.environ, "TERRAFORM_SOURCE": source, "no_proxy": "*"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_archive_with_another_sum_is_refused_and_nothing_is_installed(releases: Releases, tmp_path: Path) -> None:
    done = fetch(tmp_path, releases.url)

    wrong = hashlib.sha256(releases.archive).hexdigest()
    assert done.returncode == 11, done.stderr
    assert f"has SHA-256 {wrong}, not " in done.stderr
    assert "nothing was installed" in done.stderr
    assert len(releases.asked) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source", ["http://127.0.0.1:{port}", "http://nowhere.invalid", "no address"])
def test_a_source_that_does_not_answer_is_unreachable(source: str, tmp_path: Path) -> None:
    done = fetch(tmp_path, source.format(port=free_port()))

    assert done.returncode == 8, done.stderr
    assert "error: cannot download " in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_installed_already_is_not_downloaded_again(
    releases: Releases, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = fetch_terraform.main(tmp_path, releases.url, releases.sums)
    capsys.readouterr()

    second = fetch_terraform.main(tmp_path, releases.url, releases.sums)

    program = tmp_path / "terraform"
    assert (first, second, len(releases.asked)) == (0, 0, 1)
    assert capsys.readouterr().err == f"Terraform {fetch_terraform.VERSION} is already in {program}\n"
    assert (program.read_bytes(), program.stat().st_mode & 0o777) == (PROGRAM, 0o755)


@pytest.mark.parametrize("damage", ["another program", "another version", "not executable", "no note"])
def test_what_is_not_as_it_was_installed_is_replaced(releases: Releases, tmp_path: Path, damage: str) -> None:
    fetch_terraform.main(tmp_path, releases.url, releases.sums)
    program, note = tmp_path / "terraform", tmp_path / fetch_terraform.NOTE
    whole = note.read_text()
    match damage:
        case "another program":
            program.write_bytes(b"broken")
        case "another version":
            note.write_text(whole.replace(fetch_terraform.VERSION, "0.1.0"))
        case "not executable":
            program.chmod(0o644)
        case "no note":
            note.unlink()

    again = fetch_terraform.main(tmp_path, releases.url, releases.sums)

    assert (again, len(releases.asked)) == (0, 2)
    assert (program.read_bytes(), note.read_text()) == (PROGRAM, whole)
    assert os.access(program, os.X_OK)


def test_a_folder_that_cannot_be_written_to_is_one_line_of_error(
    releases: Releases, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = fetch_terraform.main(tmp_path / "absent", releases.url, releases.sums)

    assert status == 1
    assert f"error: cannot write {tmp_path / 'absent' / 'terraform'}: " in capsys.readouterr().err
