"""What the programs on PATH say of themselves, and in which words it is told that one does not."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest
from lifeboat.clients import programs, terraform
from lifeboat.model import FoundVersion


@pytest.fixture
def shim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program `terraform` that is the only one on PATH, still to be written."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    path = tmp_path / "terraform"
    path.touch(mode=0o755)
    return path


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("#!/bin/sh\necho 'tfenv: no version is set' >&2; exit 1", "{} ended with status 1: tfenv: no version is set"),
        ("#!/bin/sh\nprintf '\\n\\033[31mred\\033[0m\\nmore'; exit 3", "{} ended with status 3: red"),
        ("#!/bin/sh\nexit 1", "{} ended with status 1: it said nothing"),
        ("#!/bin/sh\necho hello", "{} does not say its version: hello"),
        ("#!/bin/nowhere", "{} cannot be run: No such file or directory"),
        ("", "{} cannot be run: Exec format error"),
    ],
)
def test_a_terraform_that_does_not_say_its_version_is_named_with_what_it_said(
    shim: Path, script: str, words: str
) -> None:
    shim.write_text(script)

    assert terraform.version() == FoundVersion(words=words.format(shim))


def test_a_terraform_that_hangs_is_ended_with_what_it_started(shim: Path) -> None:
    shim.write_text("#!/bin/sh\nsleep 98.7\n")

    found = terraform.version(seconds=0.5)

    assert found == FoundVersion(words=f"{shim} did not answer within 0.5 s")
    deadline = time.monotonic() + 5
    while any(process.info["cmdline"] == ["sleep", "98.7"] for process in psutil.process_iter(["cmdline"])):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_no_terraform_is_called_that(shim: Path) -> None:
    shim.unlink()

    assert terraform.version() == FoundVersion(words="not on PATH")


def test_a_shim_is_told_which_version_the_caller_wants_and_no_secret(
    shim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFENV_TERRAFORM_VERSION", "1.12.3")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "1.0.0")
    shim.write_text('#!/bin/sh\necho "{\\"terraform_version\\": \\"$AWS_SECRET_ACCESS_KEY$TFENV_TERRAFORM_VERSION\\"}"')

    assert terraform.version() == FoundVersion(numbers=(1, 12, 3), words="1.12.3")


def test_the_first_number_with_dots_is_the_version(shim: Path) -> None:
    shim.write_text("#!/bin/sh\necho 'terraform (of somebody) 15.3.2 (Debian 15.3-1)'")

    assert programs.version("terraform") == FoundVersion(numbers=(15, 3, 2), words="15.3.2")
    assert programs.version("no-such-program") == FoundVersion(words="not on PATH")
