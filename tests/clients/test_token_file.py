"""Where the token comes from, and that nothing shows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lifeboat.clients import token_file
from lifeboat.errors import WrongConfiguration

TOKEN = "glpat-canary-token-0123"


def written(tmp_path: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path = tmp_path / "token"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def refused(path: Path, entry: str | None = None) -> WrongConfiguration:
    with pytest.raises(WrongConfiguration) as caught:
        token_file.read(path, entry)
    assert TOKEN not in f"{caught.value.summary}{caught.value.hint}"
    return caught.value


def test_a_file_holds_the_token_alone_or_as_an_entry(tmp_path: Path) -> None:
    plain = token_file.read(written(tmp_path, f" {TOKEN}\n"), None)
    entry = token_file.read(written(tmp_path, json.dumps({"tokens": {"maintainer": TOKEN}})), "tokens.maintainer")

    assert plain.reveal() == entry.reveal() == TOKEN
    assert repr(plain) == str(plain) == f"{plain}" == "(hidden)"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_may_read_is_refused_with_the_command_that_mends_it(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path, TOKEN, mode)

    problem = refused(path)

    assert problem.summary == f"others may read the token file {path}"
    assert problem.hint == f"chmod 600 {path}"


@pytest.mark.parametrize(
    ("text", "entry", "words"),
    [
        ("", None, "there is no token in"),
        ("\n \n", None, "there is no token in"),
        (f"{TOKEN} {TOKEN}", None, "is no token"),
        (f"{TOKEN}\nX-Other: header", None, "is no token"),
        (b"\xff\xfe", None, "is not text"),
        ("ümlaut-token", None, "is no token"),
        (TOKEN, "tokens.maintainer", "there is no tokens.maintainer in"),
        ('{"tokens": {}}', "tokens.maintainer", "there is no tokens.maintainer in"),
        ('{"tokens": [1]}', "tokens.maintainer", "there is no tokens.maintainer in"),
    ],
)
def test_what_is_no_token_is_refused(tmp_path: Path, text: str | bytes, entry: str | None, words: str) -> None:
    assert words in refused(written(tmp_path, text), entry).summary


def test_a_file_that_is_not_there_says_how_to_get_one(tmp_path: Path) -> None:
    problem = refused(tmp_path / "nowhere")

    assert problem.summary == f"there is no token file {tmp_path / 'nowhere'}"
    assert "lifeboat local up" in problem.hint


def test_an_empty_environment_variable_is_named() -> None:
    with pytest.raises(WrongConfiguration, match="there is no token in the environment variable GITLAB_TOKEN"):
        token_file.checked("", "the environment variable GITLAB_TOKEN")
