"""The WSGI application in front of moto: routes, remembers answers, traces, injects faults, never answers 500."""

from __future__ import annotations

import io
import json
import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote
from uuid import uuid4
from xml.sax.saxutils import escape

from botocore.exceptions import UnknownServiceError
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.serialize import SerializationContext, get_serializer_class
from moto.core.utils import get_service_model
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.exceptions import HTTPException

from localcloud import resources
from localcloud.cloud import ACCOUNT_ID, Cloud
from localcloud.control import Control
from localcloud.faults import Faults
from localcloud.gitlab import door
from localcloud.gitlab.requests import PREFIX as GITLAB
from localcloud.gitlab.server import GitLab
from localcloud.operations import AROUND, HANDLERS, Answer, Call, Refused

LOG = logging.getLogger("localcloud.front")
INTERNAL_KEY = "localcloud"  # the access key of the cloud's own clients, which may pass while a request waits for them
REMEMBERED_ANSWERS = 4000

_BY_TOKEN = b"Action=AssumeRoleWithWebIdentity"  # no key signs it: it brings a token
# SigV4 scopes whose name is not botocore's name of the service.
SERVICE_OF_SCOPE = {
    "elasticloadbalancing": "elbv2",
    "monitoring": "cloudwatch",
    "states": "stepfunctions",
    "tagging": "resourcegroupstaggingapi",
    "eventbridge": "events",
    "servicequotas": "service-quotas",
}
READING = re.compile(r"^(Describe|List|Get|Head|Search|Lookup|BatchGet|Query|Scan|Simulate|Validate|Test|Select)")
# AWS's own answer when the real service is not built here would be a lie, so the code names us.
NOT_BUILT = "LocalCloudNotImplemented"
_FIRST_ASKED = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Whom a request is signed for."""

    access_key: str
    service: str
    region: str


class Replies:
    """Answers by SDK invocation id: a call sent again after its answer got lost must not be executed twice.

    About one call in 2,000-4,000 is sent again by the Go SDK after a 200. Only successes are kept: a throttled or
    failed call that is sent again is meant to be executed again.
    """

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._running: set[str] = set()

    def once(self, invocation: str | None, execute: Callable[[], Answer]) -> Answer:
        """Return the answer kept for this invocation, or that of executing it now."""
        if not invocation:
            return execute()
        with self._lock:
            self._lock.wait_for(lambda: invocation not in self._running)
            if invocation in self._answers:
                return self._answers[invocation]
            self._running.add(invocation)
        try:
            answer = execute()
        finally:
            with self._lock:
                self._running.discard(invocation)
                self._lock.notify_all()
        if answer.status < 300:
            with self._lock:
                self._answers[invocation] = answer
                while len(self._answers) > REMEMBERED_ANSWERS:
                    self._answers.popitem(last=False)
        return answer


def _agent(user_agent: str) -> str:
    """Return what sent a request: Terraform and its provider name themselves late, after the SDK."""
    return "terraform" if "Terraform/" in user_agent else user_agent.split("/", 1)[0].lower()


class Trace:
    """One JSON line for each request: what was asked, of what and by whom, without bodies (they may hold secrets)."""

    def __init__(self, cloud: Cloud) -> None:
        self._path = cloud.logs / "trace.jsonl"
        self._lock = threading.Lock()

    def write(self, record: dict[str, object]) -> None:
        """Append one record."""
        line = json.dumps(record) + "\n"
        with self._lock, self._path.open("a") as file:
            file.write(line)


class Front:
    """The application that the web server calls."""

    def __init__(self, cloud: Cloud, control: Control, gitlab: GitLab) -> None:
        self.cloud = cloud
        self.control = control
        self.gitlab = gitlab
        self.faults = Faults()
        control.faults = self.faults
        self.replies = Replies()
        self.trace = Trace(cloud)
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._one_step: dict[str, threading.Lock] = {}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = str(environ.get("PATH_INFO", "/"))
        if path.startswith("/_localcloud/"):
            answer = self.control.answer(environ)
        elif path == GITLAB or path.startswith(f"{GITLAB}/"):
            answer = self._gitlab(environ)
        else:
            answer = self._aws(environ)
        headers = [(k, v) for k, v in answer.headers if k.lower() not in ("content-length", "connection")]
        if answer.cut:
            headers.append(("Content-Length", str(len(answer.body) + 1)))
            start_response(f"{200 if answer.status == 204 else answer.status} -", headers)  # 204 has no body to cut
            return [answer.body[: len(answer.body) // 2]]
        if environ.get("REQUEST_METHOD") == "HEAD":
            length = answer.header("content-length")
            if length is not None:
                headers.append(("Content-Length", length))
            start_response(f"{answer.status} -", headers)
            return []
        if answer.status != 204:
            headers.append(("Content-Length", str(len(answer.body))))
        start_response(f"{answer.status} -", headers)
        return [answer.body]

    # -- one request to GitLab -----------------------------------------------------------------------------------

    def _gitlab(self, environ: dict[str, Any]) -> Answer:
        started = time.monotonic()
        call = Call(
            cloud=self.cloud,
            service="gitlab",
            operation="",
            region="global",
            account_id=ACCOUNT_ID,
            method=str(environ["REQUEST_METHOD"]),
            path=str(environ.get("REQUEST_URI", environ["PATH_INFO"])).split("?", 1)[0],
            query=str(environ.get("QUERY_STRING", "")),
            headers=_headers(environ),
            body=environ["wsgi.input"].read(),
            environ=environ,
        )
        answer = door.answer(self.gitlab, self.faults, call)
        self._traced(call, answer, started)
        return answer

    # -- one AWS request -----------------------------------------------------------------------------------------

    def _aws(self, environ: dict[str, Any]) -> Answer:
        body = environ["wsgi.input"].read()
        environ["wsgi.input"] = io.BytesIO(body)
        if "REQUEST_URI" in environ:
            environ["RAW_URI"] = environ["REQUEST_URI"]
        headers = _headers(environ)
        scope = _scope(environ, headers, body)
        service = SERVICE_OF_SCOPE.get(scope.service, scope.service)
        started = time.monotonic()
        try:
            operation, uri_params = _match(service, environ)
        except (HTTPException, NotImplementedError, UnknownServiceError):
            operation, uri_params = "", {}
        call = Call(
            cloud=self.cloud,
            service=service,
            operation=operation,
            region=scope.region,
            account_id=ACCOUNT_ID,
            method=str(environ["REQUEST_METHOD"]),
            path=str(environ.get("RAW_URI", environ["PATH_INFO"])).split("?", 1)[0],
            query=str(environ.get("QUERY_STRING", "")),
            headers=headers,
            body=body,
            environ=environ,
        )

        def execute() -> Answer:
            if scope.access_key == INTERNAL_KEY:
                return self._execute(call, uri_params)
            with self.cloud.gate.working():
                return self._execute(call, uri_params)

        # A read may be executed again, and as many objects as answers are remembered would fill the memory.
        kept = (service, operation) != ("s3", "GetObject")
        answer = self.replies.once(headers.get("amz-sdk-invocation-id") if kept else None, execute)
        if answer.status < 400 and not READING.match(operation):
            self.cloud.changed()
        self._traced(call, answer, started)
        return answer

    def _traced(self, call: Call, answer: Answer, started: float) -> None:
        self.trace.write(
            {
                "at": time.time(),
                "service": call.service,
                "operation": call.operation or f"{call.method} {call.path}",
                "region": call.region,
                "resource": resources.named(call),
                "status": answer.status,
                "ms": round((time.monotonic() - started) * 1000, 1),
                "attempt": call.headers.get("amz-sdk-request", ""),
                "invocation": call.headers.get("amz-sdk-invocation-id", ""),
                "agent": _agent(call.headers.get("user-agent", "")),
            }
        )

    def _execute(self, call: Call, uri_params: dict[str, Any]) -> Answer:
        try:
            if not call.operation:
                raise _not_built(call)
            self.faults.before(call)
            answer = self._through_watches(call, uri_params)
            self.faults.after(call)
            answer.cut = self.faults.cuts(call)
        except Refused as refusal:
            return refused(call, refusal)
        except Exception as error:
            LOG.exception("%s:%s failed inside the local cloud", call.service, call.operation)
            fault = Refused(
                "LocalCloudFault",
                f"{call.service}:{call.operation} failed inside the local cloud: {type(error).__name__}: {error}",
            )
            return refused(call, fault)
        return answer

    def _through_watches(self, call: Call, uri_params: dict[str, Any]) -> Answer:
        watches = AROUND.get((call.service, call.operation), []) + AROUND.get((call.service, "*"), [])
        handler = HANDLERS.get((call.service, call.operation))
        if handler is not None or watches:
            call.params = _parsed(call, uri_params)

        def innermost() -> Answer:
            if handler is None:
                return self._from_moto(call)
            return answered(call, handler(call, **call.params) or {})

        proceed: Callable[[], Answer] = innermost
        for watch in reversed(watches):
            proceed = _nest(watch, call, proceed)
        return proceed()

    def _from_moto(self, call: Call) -> Answer:
        call.environ["wsgi.input"] = io.BytesIO(call.body)
        seen: dict[str, Any] = {}

        def start_response(status: str, headers: list[tuple[str, str]], _error: object = None) -> None:
            seen["status"] = int(status.split(" ", 1)[0])
            seen["headers"] = headers

        # A conditional write is one step on AWS; moto looks and writes in two, between which another thread may write,
        # and a list that another thread adds to while it is read ends in an error.
        one_step = self._one_step.setdefault(call.service, threading.Lock())
        try:
            with one_step:
                body = b"".join(self._moto(call.environ, start_response))
        except (NotImplementedError, ModuleNotFoundError, KeyError) as error:
            if isinstance(error, KeyError) and error.args != (call.service,):
                raise
            raise _not_built(call) from error
        answer = Answer(seen["status"], seen["headers"], body)
        html = (answer.header("content-type") or "").startswith("text/html") and body.lstrip()[:1] == b"<"
        if answer.status == 501 or (answer.status in (404, 405) and html and body.lstrip()[:9].lower() == b"<!doctype"):
            raise _not_built(call)
        if answer.status >= 500:
            LOG.error("moto answered %s to %s:%s: %r", answer.status, call.service, call.operation, body[:500])
            raise Refused(
                "LocalCloudFault", f"{call.service}:{call.operation}: moto failed with status {answer.status}"
            )
        return answer


def _nest(watch: Callable[[Call, Callable[[], Answer]], Answer], call: Call, proceed: Callable[[], Answer]) -> Any:
    return lambda: watch(call, proceed)


def _not_built(call: Call) -> Refused:
    name = f"{call.service}:{call.operation}" if call.operation else f"{call.service} {call.method} {call.path}"
    return Refused(NOT_BUILT, f"The local cloud does not implement {name} (region {call.region}).")


# -- reading requests ------------------------------------------------------------------------------------------------


def _headers(environ: dict[str, Any]) -> dict[str, str]:
    headers = {k[5:].replace("_", "-").lower(): str(v) for k, v in environ.items() if k.startswith("HTTP_")}
    for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(key):
            headers[key.replace("_", "-").lower()] = str(environ[key])
    return headers


def _scope(environ: dict[str, Any], headers: dict[str, str], body: bytes) -> Scope:
    """Read whom the request is signed for; an unsigned one is taken for S3, as moto does, or for STS."""
    match = re.search(r"Credential=([^,\s]+)", headers.get("authorization", ""))
    credential = match.group(1) if match else ""
    if not credential:
        credential = parse_qs(str(environ.get("QUERY_STRING", ""))).get("X-Amz-Credential", [""])[0]
    parts = unquote(credential).split("/")
    if not credential and _BY_TOKEN in body:
        return Scope(access_key="", service="sts", region="us-east-1")
    if len(parts) < 5:
        return Scope(access_key="", service="s3", region="us-east-1")
    return Scope(access_key="/".join(parts[:-4]), region=parts[-3], service=parts[-2].lower())


def _match(service: str, environ: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    request = Request(environ.copy())
    request.environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].getvalue())
    # moto makes the list of a service's operations when it is first asked. Two that ask at the same moment get operations
    # that are half made, and one of them ends in an error.
    with _FIRST_ASKED:
        operation, uri_params = get_service_router(service).match(request)
    return str(operation.name), dict(uri_params)


def _parsed(call: Call, uri_params: dict[str, Any]) -> dict[str, Any]:
    request = Request(call.environ.copy())
    request.environ["wsgi.input"] = io.BytesIO(call.body)
    model = get_service_model(call.service)
    operation = model.operation_model(call.operation)
    protocol = determine_request_protocol(model, request.content_type)
    parser = PROTOCOL_PARSERS[protocol](operation)
    values = request.values
    return dict(
        parser.parse(
            {
                "body": call.body,
                "headers": request.headers,
                "method": request.method,
                "url_params": uri_params,
                "url_path": request.path,
                "values": values,
            }
        )
    )


def _protocol(call: Call) -> str:
    model = get_service_model(call.service)
    return str(determine_request_protocol(model, call.headers.get("content-type")))


# -- writing answers -------------------------------------------------------------------------------------------------


def answered(call: Call, result: dict[str, Any]) -> Answer:
    """Return `result` (in API shape) as the HTTP answer of the call's operation."""
    operation = get_service_model(call.service).operation_model(call.operation)
    serializer = get_serializer_class(call.service, _protocol(call))(
        operation_model=operation, context=SerializationContext(request_id=str(uuid4()))
    )
    response = serializer.serialize(result)
    body = response["body"]
    return Answer(
        int(response["status_code"]),
        [(k, str(v)) for k, v in response["headers"].items()] + [("x-amzn-RequestId", str(uuid4()))],
        body.encode() if isinstance(body, str) else body,
    )


def refused(call: Call, refusal: Refused) -> Answer:
    """Return a refusal as the service's protocol writes errors."""
    request_id = str(uuid4())
    try:
        protocol = _protocol(call)
    except (UnknownServiceError, NotImplementedError):
        protocol = "rest-xml"
    code, text = escape(refusal.code), escape(refusal.text)
    headers = [("x-amzn-RequestId", request_id)]
    if protocol in ("json", "rest-json", "smithy-rpc-v2-cbor"):
        document = {"__type": refusal.code, "message": refusal.text, "Message": refusal.text, "Code": refusal.code}
        body = json.dumps(document)
        headers += [("Content-Type", "application/x-amz-json-1.1"), ("X-Amzn-ErrorType", refusal.code)]
    elif protocol == "ec2":
        body = (
            f"<Response><Errors><Error><Code>{code}</Code><Message>{text}</Message></Error></Errors>"
            f"<RequestID>{request_id}</RequestID></Response>"
        )
        headers.append(("Content-Type", "text/xml"))
    elif call.service == "s3":
        body = f"<Error><Code>{code}</Code><Message>{text}</Message><RequestId>{request_id}</RequestId></Error>"
        headers.append(("Content-Type", "application/xml"))
    else:
        body = (
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{text}</Message></Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        headers.append(("Content-Type", "text/xml"))
    return Answer(refusal.status, headers, body.encode())
