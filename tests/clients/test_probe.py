"""What the application answers at its health page, whatever that is."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from lifeboat.clients.probe import health
from lifeboat.model import Health

from tests.conftest import free_port
from tests.loopback_servers import saying


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """Serve one answer to every request, and give its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/healthz"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (
            200,
            b'{"status": "ok",\n "image": "app:2", "instance_id": "i-1"}',
            Health(
                status=200,
                text='{"status": "ok", "image": "app:2", "instance_id": "i-1"}',
                image="app:2",
                instance="i-1",
            ),
        ),
        (503, b'{"image": "app:2"}', Health(status=503, text='{"image": "app:2"}', image="app:2")),
        (200, b"ok", Health(status=200, text="ok")),
        (200, b"", Health(status=200, text="")),
        (200, b'["app:2"]', Health(status=200, text='["app:2"]')),
        (200, b'{"image": 2, "instance_id": null}', Health(status=200, text='{"image": 2, "instance_id": null}')),
        (200, b"\xff" * 300, Health(status=200, text="�" * 120)),
    ],
)
def test_a_health_page_is_read_as_far_as_it_can_be(status: int, body: bytes, expected: Health) -> None:
    with answering(status, body) as url:
        assert health(url) == expected


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.6\r\n", b""], ids=["no HTTP", "nothing"])
def test_what_does_not_speak_http_is_nobody(answer: bytes) -> None:
    with saying(answer) as port:
        found = health(f"http://127.0.0.1:{port}/healthz")

    assert found.status is None
    assert found.text


def test_where_nobody_listens_nobody_answers() -> None:
    found = health(f"http://127.0.0.1:{free_port()}/healthz")

    assert found.status is None
    assert "refused" in found.text
