"""Nothing secret passes the redactor."""

from __future__ import annotations

import json

import pytest
from lifeboat.clients.redaction import redacted

CANARY = "k3y-Canary!Value"


@pytest.mark.parametrize(
    "text",
    [
        f"password = {CANARY}",
        f'master_password: "{CANARY}"',
        f"PGPASSWORD={CANARY}",
        json.dumps({"password": CANARY}),
        json.dumps(json.dumps({"db_password": CANARY})),
        f"postgresql://app:{CANARY}@127.0.0.1:5432/app",
        f"aws_secret_access_key={CANARY}",
        f"private_token: {CANARY}",
    ],
)
def test_a_secret_is_hidden_however_it_is_written(text: str) -> None:
    clean = redacted(text)

    assert CANARY not in clean
    assert "(hidden)" in clean


@pytest.mark.parametrize(
    "text",
    [
        'module.database.aws_db_instance.this["g1"]: Still creating... [10s elapsed]',
        "password_secret_arn = null",
        "manage_master_user_password = true",
        "https://127.0.0.1:8080/path@x",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert redacted(text) == text


def test_gitlab_tokens_and_private_keys_are_hidden() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----"

    assert redacted(f"a glpat-abcdefghijklmnop b {key} c") == "a (hidden) b (hidden) c"
