"""The database's password is nowhere but in its secret and in the process that connects."""

from __future__ import annotations

import base64
import html
import json
import threading
import urllib.parse
import zipfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.rehearsal import Rehearsal, passed


def encodings(secret: str) -> dict[str, bytes]:
    """Return a secret in the ways in which programs write one down."""
    raw = secret.encode()
    return {
        "plain": raw,
        "json": json.dumps(secret)[1:-1].encode(),
        "percent": urllib.parse.quote(secret, safe="").encode(),
        "html": html.escape(secret).encode(),
        "hex": raw.hex().encode(),
        "utf-16": secret.encode("utf-16-le"),
        "base64": base64.b64encode(raw).rstrip(b"="),
        # base64 of a longer text depends on where in it the secret begins; its middle is the same in two more ways.
        "base64 after one byte": base64.b64encode(b"\0" + raw)[2:-4],
        "base64 after two bytes": base64.b64encode(b"\0\0" + raw)[3:-4],
    }


def found(secret: str, text: bytes) -> list[str]:
    """Return the encodings in which a secret is in a text."""
    return [name for name, form in encodings(secret).items() if form in text]


@pytest.fixture(scope="module")
def password(saved: Rehearsal) -> str:
    database = saved.client("rds").describe_db_instances()["DBInstances"][0]
    secret = saved.client("secretsmanager").get_secret_value(SecretId=database["MasterUserSecret"]["SecretArn"])
    return str(json.loads(secret["SecretString"])["password"])


@pytest.mark.parametrize("name", sorted(encodings("x")))
def test_the_search_finds_a_secret_in_every_encoding(name: str) -> None:
    secret = 'Canary/+"pass&word'

    assert name in found(secret, b"head " + encodings(secret)[name] + b" tail")


def test_the_password_is_in_no_state_plan_or_output(saved: Rehearsal, password: str) -> None:
    env = saved.exported()
    state = saved.client("s3").get_object(Bucket=env["STATE_BUCKET"], Key=env["STATE_KEY"])["Body"].read()
    plain = {key: value for key, value in env.items() if key != "DATABASE_URL"}
    planned = passed(
        saved.run("terraform", "-chdir=terraform/stack", "plan", f"-out={saved.root}/canary.plan", **plain)
    )
    shown = passed(
        saved.run("terraform", "-chdir=terraform/stack", "show", "-json", f"{saved.root}/canary.plan", **plain)
    )
    outputs = passed(saved.run("terraform", "-chdir=terraform/stack", "output", "-json", **plain))

    for text in (state, planned.stdout.encode(), shown.stdout.encode(), outputs.stdout.encode()):
        assert len(text) > 100
        assert found(password, text) == []


def test_the_password_is_in_no_log_and_no_file_of_a_run(saved: Rehearsal, password: str) -> None:
    looked_at = 0
    for path in _files(saved.root / ".lifeboat"):
        looked_at += 1
        for name, content in _contents(path):
            assert found(password, content) == [], f"{path} {name}"

    assert looked_at > 20


def test_the_password_is_in_nobodys_command_line_or_environment(saved: Rehearsal, password: str) -> None:
    seen: list[str] = []
    looked_at: set[int] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            for process in psutil.process_iter():
                try:
                    line = "\0".join(process.cmdline())
                    environment = "\0".join(f"{k}={v}" for k, v in process.environ().items())
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue
                looked_at.add(process.pid)
                if found(password, (line + environment).encode()):
                    seen.append(line)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        passed(saved.lifeboat("apply"))
        passed(saved.lifeboat("local", "tick", "daily"))
        watched_to_the_end = watcher.is_alive()
    finally:
        stop.set()
        watcher.join()

    assert watched_to_the_end
    assert len(looked_at) > 10
    assert seen == []


def _contents(path: Path) -> list[tuple[str, bytes]]:
    """Return what is in a file; a saved plan is an archive, whose members are compressed."""
    if not zipfile.is_zipfile(path):
        return [("", path.read_bytes())]
    with zipfile.ZipFile(path) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def _files(folder: Path) -> Iterator[Path]:
    """Yield what lifeboat and the local cloud's programs write; the cloud's own data is AWS's side of the fence."""
    for path in folder.rglob("*"):
        inside = path.relative_to(folder).parts
        data = "live" in inside and not path.name.endswith((".log", ".env"))
        if path.is_file() and not path.is_symlink() and not data and "saves" not in inside:
            yield path
