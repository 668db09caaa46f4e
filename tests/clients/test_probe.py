"""Is the application well, at an address and through its name; against real servers on loopback, good and odd ones."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from lifeboat.clients import probe
from lifeboat.errors import NamesUnreachable, NoSuchName
from lifeboat.model import Door, Health, PublicAnswer, Resolved

from tests.loopback_servers import http, saying

WELL = json.dumps({"status": "ok", "instance_id": "i-0123", "image": "app:1"})


@contextmanager
def application(
    answer: Callable[[BaseHTTPRequestHandler], tuple[int, str]], *, address: str = "127.0.0.1", port: int = 0
) -> Iterator[ThreadingHTTPServer]:
    """Run an HTTP server that answers each GET as told."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

        def do_GET(self) -> None:
            status, body = answer(self)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if status in (301, 302):
                self.send_header("Location", body)
            self.end_headers()
            self.wfile.write(body.encode())

    server = ThreadingHTTPServer((address, port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def door(port: int, **more: Any) -> Door:
    return Door(**{"scheme": "http", "port": port, "path": "/healthz", "name": "app.example.test", **more})


def asked(address: str, at: Door, *, seconds: float = 0) -> Health:
    return probe.health(address, at, seconds=seconds)


# -- at an address -----------------------------------------------------------------------------------------------------


def test_health_tells_status_instance_and_image() -> None:
    with application(lambda _: (200, WELL)) as server:
        found = asked("127.0.0.1", door(server.server_port))

    assert found == Health(address="127.0.0.1", status=200, says=WELL, instance_id="i-0123", image="app:1")


def test_the_name_is_the_host_that_is_asked_for_and_the_path_is_the_doors() -> None:
    seen: list[tuple[str, str]] = []

    def answer(request: BaseHTTPRequestHandler) -> tuple[int, str]:
        seen.append((request.path, request.headers["Host"]))
        return 200, WELL

    with application(answer) as server:
        asked("127.0.0.1", door(server.server_port, path="/well?deep=1"))
        asked("127.0.0.1", door(server.server_port, name=None))

    assert seen == [
        ("/well?deep=1", f"app.example.test:{server.server_port}"),
        ("/healthz", f"127.0.0.1:{server.server_port}"),
    ]


@pytest.mark.parametrize(
    ("body", "instance"),
    [
        ("ok", None),
        ("[]", None),
        ('{"instance_id": null}', None),
        ('{"instance_id": 7}', None),
        ("{", None),
        (WELL, "i-0123"),
    ],
)
def test_what_the_answer_does_not_say_is_unknown(body: str, instance: str | None) -> None:
    with application(lambda _: (200, body)) as server:
        found = asked("127.0.0.1", door(server.server_port))

    assert (found.status, found.instance_id) == (200, instance)


@pytest.mark.parametrize("status", [503, 404, 302, 204])
def test_an_answer_other_than_200_is_told_and_never_followed(status: int) -> None:
    elsewhere: list[str] = []

    def other(request: BaseHTTPRequestHandler) -> tuple[int, str]:
        elsewhere.append(request.path)
        return 200, WELL

    with (
        application(other) as second,
        application(lambda _: (status, f"http://127.0.0.1:{second.server_port}/")) as server,
    ):
        found = asked("127.0.0.1", door(server.server_port))

    assert found.status == status
    assert elsewhere == []


def test_nobody_there_is_no_answer() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        found = asked("127.0.0.1", door(reserved.getsockname()[1]))

    assert found.status is None
    assert found.says.startswith("no connection: ")


@pytest.mark.parametrize(
    "answer", [b"", b"not http\r\n\r\n", http(WELL.encode())[:60], b"HTTP/1.1 200 OK\r\nContent-Length: x"]
)
def test_what_is_no_whole_answer_is_none(answer: bytes) -> None:
    with saying(answer) as port:
        found = asked("127.0.0.1", door(port))

    assert found.status is None
    assert found.says.startswith("no answer: ")


def test_an_answer_that_comes_drop_by_drop_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                for _ in range(100):
                    try:
                        connection.sendall(b"X-Slow: 1\r\n")
                    except OSError:
                        return
                    time.sleep(0.1)

        threading.Thread(target=drip, daemon=True).start()
        started = time.monotonic()
        found = probe.health("127.0.0.1", door(server.getsockname()[1]), seconds=1.0)

    assert found.status is None
    assert time.monotonic() - started < 2.5


def test_who_is_asked_once_has_time_to_answer() -> None:
    def slow(_: BaseHTTPRequestHandler) -> tuple[int, str]:
        time.sleep(0.8)
        return 200, WELL

    with application(slow) as server:
        at_address = probe.health("127.0.0.1", door(server.server_port), seconds=0)
        through_name = probe.through_name(
            lambda _: resolved("127.0.0.1"), door(server.server_port), seconds=0, good=lambda _: False
        )

    assert at_address.status == 200
    assert [health.status for health in through_name.healths] == [200]


def test_it_is_asked_again_until_it_is_well_and_no_longer() -> None:
    answers = iter([(503, "starting"), (503, "starting"), (200, WELL), (500, "asked once too often")])
    slept: list[float] = []

    with application(lambda _: next(answers)) as server:
        found = probe.health("127.0.0.1", door(server.server_port), seconds=30, sleep=slept.append)

    assert found.instance_id == "i-0123"
    assert slept == [0.5, 0.5]


def test_what_is_good_is_the_callers_to_say() -> None:
    answers = iter([(200, WELL), (200, WELL.replace("i-0123", "i-4567"))])

    with application(lambda _: next(answers)) as server:
        found = probe.health(
            "127.0.0.1",
            door(server.server_port),
            seconds=30,
            good=lambda health: health.instance_id == "i-4567",
            sleep=lambda _: None,
        )

    assert found.instance_id == "i-4567"


def test_the_callers_proxy_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    with application(lambda _: (200, WELL)) as server:
        found = asked("127.0.0.1", door(server.server_port))
        answer = probe.answer(f"http://127.0.0.1:{server.server_port}/", seconds=0)

    assert found.status == 200
    assert answer is not None


# -- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a certificate for app.example.test that this process trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app.example.test")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("app.example.test"), x509.IPAddress(ip_address("127.0.0.9"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + signed.public_bytes(pem)
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


@contextmanager
def secure(certificate: Path) -> Iterator[tuple[int, list[str | None]]]:
    """Run an application over TLS; gives its port, and the names that were asked for."""
    asked_for: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _socket, name, _context: asked_for.append(name)
    with application(lambda _: (200, WELL)) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        yield server.server_port, asked_for


def test_tls_asks_for_the_name_and_checks_the_certificate_against_it(certificate: Path) -> None:
    with secure(certificate) as (port, asked_for):
        right = asked("127.0.0.1", door(port, scheme="https"))
        wrong = asked("127.0.0.1", door(port, scheme="https", name="other.example.test"))

    assert right.instance_id == "i-0123"
    assert wrong.status is None
    assert "certificate verify failed" in wrong.says
    assert asked_for == ["app.example.test", "other.example.test"]


def test_tls_that_never_shakes_hands_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        started = time.monotonic()
        found = probe.health("127.0.0.1", door(server.getsockname()[1], scheme="https"), seconds=0.5)

    assert found.status is None
    assert time.monotonic() - started < 2


# -- through the name --------------------------------------------------------------------------------------------------


def resolved(*addresses: str) -> Resolved:
    return Resolved(name="app.example.test", addresses=addresses, ttl=timedelta(seconds=60), server="127.0.0.53:53")


def test_each_address_of_the_name_is_asked() -> None:
    with application(lambda _: (200, WELL)) as server:
        port = server.server_port
        found = probe.through_name(
            lambda _: resolved("127.0.0.1", "127.0.0.200"), door(port), seconds=0, good=lambda _: True
        )

    assert found.resolved == resolved("127.0.0.1", "127.0.0.200")
    assert [(health.address, health.status) for health in found.healths] == [("127.0.0.1", 200), ("127.0.0.200", None)]


@pytest.mark.parametrize("error", [NoSuchName("app.example.test does not exist"), NamesUnreachable("nobody answers")])
def test_a_name_that_leads_nowhere_says_why(error: Exception) -> None:
    def resolve(_: str) -> Resolved:
        raise error

    found = probe.through_name(resolve, door(1), seconds=0, good=lambda _: False)

    assert found == PublicAnswer(name="app.example.test", resolved=None, healths=(), problem=str(error))


def test_the_name_is_resolved_anew_until_it_leads_where_it_should() -> None:
    said = iter([NoSuchName("not yet"), resolved("127.0.0.200"), resolved("127.0.0.1"), AssertionError("too often")])

    def resolve(name: str) -> Resolved:
        assert name == "app.example.test"
        one = next(said)
        if isinstance(one, Exception):
            raise one
        return one

    with application(lambda _: (200, WELL)) as server:
        found = probe.through_name(
            resolve,
            door(server.server_port),
            seconds=30,
            good=lambda answer: any(health.status == 200 for health in answer.healths),
            sleep=lambda _: None,
        )

    assert found.resolved == resolved("127.0.0.1")


def test_a_name_that_never_leads_there_ends_with_the_last_answer_in_time() -> None:
    started = time.monotonic()

    found = probe.through_name(lambda _: resolved("127.0.0.200"), door(1), seconds=1.2, good=lambda _: False)

    assert found.resolved == resolved("127.0.0.200")
    assert 0.4 < time.monotonic() - started < 3
