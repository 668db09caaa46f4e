"""What a host can ask without credentials: its instance metadata (IMDSv2), its Docker daemon and its services."""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from localcloud.containers import EngineError
from localcloud.hosts import SERVER_PORT, decoded_user_data

if TYPE_CHECKING:
    from localcloud.hosts import Host

LOG = logging.getLogger("localcloud.hosts")
TOKEN_SECONDS = range(1, 21601)
RENEW_BEFORE = timedelta(minutes=15)


class Said(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class HostServer:
    """The HTTP server on a host's own address."""

    def __init__(self, host: Host) -> None:
        self._metadata = Metadata(host)
        self._engine = host.engine
        self._units = host.units
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                return

            def do_GET(self) -> None:
                self._answer()

            do_PUT = do_POST = do_GET

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                try:
                    content = outer.answer(self.command, self.path, headers, body)
                    status = 200
                except Said as said:
                    status, content = said.status, said.text.encode()
                except EngineError as error:
                    status, content = error.status, json.dumps({"message": str(error)}).encode()
                except Exception as error:
                    LOG.exception("%s %s failed on %s", self.command, self.path, host.instance_id)
                    status, content = 500, json.dumps({"message": f"local cloud: {error}"}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self._server = ThreadingHTTPServer((host.address, SERVER_PORT), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name=f"server of {host.instance_id}", daemon=True
        ).start()

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
        """Return the body of an answer; Said or EngineError for anything but 200."""
        for prefix, do in (("/docker/", self._engine.do), ("/units/", self._units.do)):
            if path.startswith(prefix):
                # A browser page on this machine may send requests here too, but cannot set this header unasked.
                if headers.get("x-localcloud") != "1":
                    raise Said(400, '{"message": "send the header X-Localcloud: 1"}')
                return json.dumps(do(path.removeprefix(prefix), json.loads(body or b"{}"))).encode()
        hops = 2 if path.startswith("/container/") else 1
        return self._metadata.answer(method, path.removeprefix("/container"), headers, hops=hops).encode()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


class Metadata:
    """The instance metadata service of one host."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._tokens: dict[str, float] = {}
        self._credentials: dict[str, Any] | None = None
        self._lock = threading.Lock()

    def answer(self, method: str, path: str, headers: dict[str, str], *, hops: int) -> str:
        """Return what the service says; Said for its refusals."""
        options = self._host.instance.metadata_options
        if options.http_endpoint != "enabled":
            raise Said(403, "Forbidden")
        if path == "/latest/api/token":
            if method != "PUT":
                raise Said(405, "Method Not Allowed")
            if hops > options.http_put_response_hop_limit:
                raise Said(403, "the answer does not reach a container: http_put_response_hop_limit is too low")
            return self._new_token(headers.get("x-aws-ec2-metadata-token-ttl-seconds", ""))
        token = headers.get("x-aws-ec2-metadata-token")
        if token is None and options.http_tokens == "required":
            raise Said(401, "Unauthorized")
        if token is not None and self._tokens.get(token, 0) < time.monotonic():
            raise Said(401, "Unauthorized")
        return self._value(path.removeprefix("/latest/").rstrip("/"))

    def _new_token(self, seconds: str) -> str:
        if not seconds.isdigit() or int(seconds) not in TOKEN_SECONDS:
            raise Said(400, "Bad Request")
        token = secrets.token_urlsafe(40)
        self._tokens[token] = time.monotonic() + int(seconds)
        return token

    def _value(self, path: str) -> str:
        instance = self._host.instance
        role = self._role()
        simple = {
            "meta-data/ami-id": instance.image_id,
            "meta-data/instance-id": instance.id,
            "meta-data/instance-type": instance.instance_type,
            "meta-data/local-ipv4": self._host.address,
            "meta-data/local-hostname": instance.private_dns_name,
            "meta-data/hostname": instance.private_dns_name,
            "meta-data/public-ipv4": instance.public_ip,
            "meta-data/placement/region": self._host.region,
            "meta-data/placement/availability-zone": instance.availability_zone,
            "meta-data/iam/security-credentials": role,
        }
        if path == "user-data":
            data = decoded_user_data(instance.user_data).decode(errors="replace")
            if data:
                return data
        elif path == "dynamic/instance-identity/document":
            return json.dumps(
                {
                    "accountId": self._host.cloud.account_id,
                    "availabilityZone": instance.availability_zone,
                    "imageId": instance.image_id,
                    "instanceId": instance.id,
                    "instanceType": instance.instance_type,
                    "privateIp": self._host.address,
                    "region": self._host.region,
                    "version": "2017-09-30",
                }
            )
        elif role is not None and path == f"meta-data/iam/security-credentials/{role}":
            return json.dumps(self._role_credentials(role))
        elif simple.get(path):
            return str(simple[path])
        elif path == "meta-data":
            return "\n".join(sorted(name.removeprefix("meta-data/") for name, value in simple.items() if value))
        raise Said(404, "Not Found")

    def _role(self) -> str | None:
        ec2 = self._host.cloud.moto("ec2", self._host.region)
        found = ec2.iam_instance_profile_associations.get(self._host.instance_id)
        if found is None or not found.iam_instance_profile.roles:
            return None
        return str(found.iam_instance_profile.roles[0].name)

    def _role_credentials(self, role: str) -> dict[str, Any]:
        cloud = self._host.cloud
        with self._lock:
            now = datetime.now(UTC)
            kept = self._credentials
            if kept and kept["role"] == role and kept["until"] - RENEW_BEFORE > now:
                return dict(kept["document"])
            with cloud.gate.working():
                given = cloud.client("sts", self._host.region).assume_role(
                    RoleArn=f"arn:aws:iam::{cloud.account_id}:role/{role}", RoleSessionName=self._host.instance_id
                )["Credentials"]
            until = now + timedelta(hours=1)
            document = {
                "Code": "Success",
                "Type": "AWS-HMAC",
                "LastUpdated": f"{now:%Y-%m-%dT%H:%M:%SZ}",
                "AccessKeyId": given["AccessKeyId"],
                "SecretAccessKey": given["SecretAccessKey"],
                "Token": given["SessionToken"],
                "Expiration": f"{until:%Y-%m-%dT%H:%M:%SZ}",
            }
            self._credentials = {"role": role, "until": until, "document": document}
            return document
