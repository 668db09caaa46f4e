"""Whoever else is on the local cloud's port is told from it, and no proxy of the caller stands between."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lifeboat.clients import probe
from lifeboat.clients.local_cloud import LocalCloud
from lifeboat.errors import Failed, IntegrityFailure, NothingFits, Refused, Unreachable, WrongConfiguration

from tests.conftest import free_port
from tests.loopback_servers import http, saying


def cloud_on(port: int, directory: Path) -> LocalCloud:
    return LocalCloud(url=f"http://127.0.0.1:{port}", directory=directory, command=["false"], network="127.99")


OTHERS = {
    "an SSH server": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a mail server": b"220 mail ESMTP\r\n",
    "bytes that are no text": b"\x00\xff\x15\x03" * 20,
    "nothing at all": b"",
    "a list": http(b"[1, 2]"),
    "null": http(b"null"),
    "text that is not JSON": http(b"<html>hello</html>"),
    "JSON of another program": http(b'{"program": "other"}'),
    "404": http(b"{}", "404 Not Found"),
    "half an answer": http(b'{"program": "localcloud"}')[:-5],
    "an endless header": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
}


@pytest.mark.parametrize("answer", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("ask", [LocalCloud.health, LocalCloud.up, LocalCloud.down])
def test_another_program_on_the_port_is_named_as_that(
    answer: bytes, ask: Callable[[LocalCloud], Any], tmp_path: Path
) -> None:
    with saying(answer) as port, pytest.raises(WrongConfiguration) as caught:
        ask(cloud_on(port, tmp_path))

    assert caught.value.exit_status == 2
    assert caught.value.summary == (
        f"port {port} on 127.0.0.1, which the local cloud needs, is taken by another program"
    )


def test_the_local_cloud_of_another_folder_is_named_with_its_process(tmp_path: Path) -> None:
    body = json.dumps({"program": "localcloud", "directory": "/elsewhere", "pid": 7}).encode()

    with saying(http(body)) as port, pytest.raises(WrongConfiguration, match=r"the local cloud of /elsewhere \(proc"):
        cloud_on(port, tmp_path).health()


def test_a_port_on_which_nobody_listens_is_free(tmp_path: Path) -> None:
    assert cloud_on(free_port(), tmp_path).health() is None


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (http(b'{"error": "no", "kind": "usage"}', "400 Bad Request"), WrongConfiguration, "refused load: no"),
        (http(b'{"error": "no", "kind": "missing"}', "400 Bad Request"), NothingFits, "refused load: no"),
        (http(b'{"error": "no", "kind": "exists"}', "400 Bad Request"), Refused, "refused load: no"),
        (http(b'{"error": "no", "kind": "damaged"}', "400 Bad Request"), IntegrityFailure, "refused load: no"),
        (http(b'{"error": "no"}', "400 Bad Request"), Failed, "refused load: no"),
        (http(b"<html>", "500 Oh"), Failed, "refused load: HTTP Error 500: Oh"),
        (http(b"[]", "500 Oh"), Failed, "refused load: HTTP Error 500: Oh"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", Unreachable, "no local cloud answers"),
    ],
)
def test_a_request_that_fails_says_why(answer: bytes, kind: type[Exception], words: str, tmp_path: Path) -> None:
    with saying(answer) as port, pytest.raises(kind, match=words):
        cloud_on(port, tmp_path).ask("load")


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A proxy in the caller's environment, which answers everything itself."""
    with saying(http(b"from the proxy")) as port:
        for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        yield port


@pytest.mark.usefixtures("proxy")
def test_the_local_cloud_is_asked_without_the_callers_proxy(tmp_path: Path) -> None:
    body = json.dumps({"program": "localcloud", "directory": str(tmp_path), "pid": 1}).encode()

    with saying(http(body)) as port:
        health = cloud_on(port, tmp_path).health()
        done = cloud_on(port, tmp_path).ask("save")

    assert health == done == json.loads(body)


@pytest.mark.usefixtures("proxy")
def test_an_application_on_loopback_is_asked_directly_and_any_other_through_the_proxy() -> None:
    with saying(http(b"from the application")) as port:
        near = [probe.answer(f"http://{host}:{port}/", seconds=0) for host in ("127.0.0.1", "127.77.0.9", "localhost")]
    far = probe.answer("http://app.invalid/", seconds=0)

    assert near[0] == near[2] == "HTTP 200: from the application"
    assert near[1] is None  # nobody listens there, and the proxy was not asked
    assert far == "HTTP 200: from the proxy"


def test_an_application_that_does_not_speak_http_does_not_answer() -> None:
    with saying(b"SSH-2.0-OpenSSH_9.6\r\n") as port:
        assert probe.answer(f"http://127.0.0.1:{port}/", seconds=0) is None
