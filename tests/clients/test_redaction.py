"""Nothing secret passes the redactor."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable

import pytest
from lifeboat.clients.redaction import redacted

CANARY = "k3y-Canary!Value"
# Everything that ends a value somewhere, between pieces that are looked for one by one.
PIECES = ("k3yHead", "k3yComma", "k3ySingle", "k3yBrace", "k3yDouble", "k3yBackslash", "k3yBlank", "k3yTail")
# With a backslash last, a single quote closes for a shell and not for Python: then more is hidden than had to be.
IN_SINGLE_QUOTES = "k3yHead,k3yComma'k3ySingle}k3yBrace\"k3yDouble\\k3yBackslash k3yBlank '\"\\, }k3yTail"
HARD = IN_SINGLE_QUOTES + "\\"
NAMES = [
    *("password", "db_password", "MasterUserPassword", "PGPASSWORD", "passwd"),
    *("aws_secret_access_key", "SecretAccessKey", "secret_key", "api_key", "apiKey"),
    *("SecretString", "secret_string_wo", "SessionToken", "aws_session_token", "token", "PRIVATE-TOKEN", "X-Amz-Token"),
]


@pytest.mark.parametrize(
    "text",
    [
        f"password = {CANARY}",
        f'master_password: "{CANARY}"',
        f"PGPASSWORD={CANARY}",
        json.dumps({"password": CANARY}),
        json.dumps(json.dumps({"db_password": CANARY})),
        f"postgresql://app:{CANARY}@127.0.0.1:5432/app",
        f"redis://:{CANARY}@127.0.0.1:6379",
        f"aws_secret_access_key={CANARY}",
        f"private_token: {CANARY}",
        f"<SessionToken>{CANARY}</SessionToken>",
        f'~ password = "{CANARY}" -> "{CANARY}"',
        f'~ password = null -> "{CANARY}"',
        f'~ password = (sensitive value) -> "{CANARY}"',
    ],
)
def test_a_secret_is_hidden_however_it_is_written(text: str) -> None:
    clean = redacted(text)

    assert CANARY not in clean
    assert "(hidden)" in clean


def nested(name: str, depth: int) -> str:
    text = json.dumps({"before": 1, name: HARD, "after": "kept"})
    for _ in range(depth):
        text = json.dumps({"message": text, "after": "kept"})
    return text


WAYS = {
    "JSON": lambda name: nested(name, 0),
    "JSON in JSON": lambda name: nested(name, 1),
    "JSON in JSON in JSON": lambda name: nested(name, 2),
    "JSON on many lines": lambda name: json.dumps({name: HARD, "after": "kept"}, indent=2),
    "JSON amid words": lambda name: f"refused: {nested(name, 0)} kept",
    "JSON in JSON amid words": lambda name: f"refused: {nested(name, 1)} kept",
    "JSON in JSON in JSON amid words": lambda name: f"refused: {nested(name, 2)} kept",
    "words in JSON": lambda name: json.dumps({"message": f"{name} = {json.dumps(HARD)} kept"}),
    "a list in JSON": lambda name: json.dumps({name: [HARD, {"value": HARD}], "after": "kept"}),
    "HCL": lambda name: f"  {name} = {json.dumps(HARD)} # kept",
    "HCL of a map": lambda name: f'{{ "{name}" = {json.dumps(HARD)}, x = "kept" }}',
    "Python": lambda name: f"{ {name: HARD, 'after': 'kept'} }",
    "a shell": lambda name: f"export {name}={shlex.quote(IN_SINGLE_QUOTES)} OTHER=kept",
    "a shell with backslashes": lambda name: f"{name}='" + IN_SINGLE_QUOTES.replace("'", "'\\''") + "' OTHER=kept",
    "YAML in single quotes": lambda name: f"{name}: '" + IN_SINGLE_QUOTES.replace("'", "''") + "' # kept",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_no_piece_of_a_quoted_secret_is_left_and_what_stands_around_it_is(way: Callable[[str], str], name: str) -> None:
    text = way(name)
    assert all(piece in text for piece in PIECES)

    clean = redacted(text)

    assert [piece for piece in PIECES if piece in clean] == []
    assert "(hidden)" in clean
    assert "kept" in clean
    assert redacted(clean) == clean


def test_an_unquoted_secret_ends_at_a_blank_and_nowhere_before() -> None:
    assert redacted("password=abc,def'g}h\"i\\j kept") == "password=(hidden) kept"


def test_a_secret_that_is_cut_off_is_hidden_to_its_end() -> None:
    assert redacted('{"a": "kept", "password": "abc, d\\"ef') == '{"a": "kept", "password": "(hidden)'


def test_lines_of_json_stay_json_and_those_without_a_secret_stay_as_they_are() -> None:
    lines = [
        '{"type": "version",  "n": 1}',
        json.dumps({"message": f"password={CANARY}", "token": None, "n": 2}),
        json.dumps({"password": {"sensitive": True, "value": CANARY, "type": "string"}}),
        "Terraform says something",
    ]

    clean = redacted("\n".join(lines)).split("\n")

    assert (clean[0], clean[3]) == (lines[0], lines[3])
    assert json.loads(clean[1]) == {"message": "password=(hidden)", "token": None, "n": 2}
    assert json.loads(clean[2]) == {"password": {"sensitive": True, "value": "(hidden)", "type": "(hidden)"}}


@pytest.mark.parametrize(
    "text",
    [
        'module.database.aws_db_instance.this["g1"]: Still creating... [10s elapsed]',
        "password_secret_arn = null",
        "manage_master_user_password = true",
        "https://127.0.0.1:8080/path@x",
        "password = (known after apply)",
        "password = (sensitive value)",
        'password = ""',
        "ExpiredToken: The security token included in the request is expired",
        "InvalidToken: The provided token is malformed",
        'http_tokens = "required"',
        '{"next_token": null, "password": ""}',
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert redacted(text) == text


def test_gitlab_tokens_and_private_keys_are_hidden() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----"

    assert redacted(f"a glpat-abcdefghijklmnop b {key} c") == "a (hidden) b (hidden) c"
