"""Where requests to this GitLab come in: inside the cloud's gate, past the faults that a rehearsal asked for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from localcloud.gitlab.requests import answer as json_answer
from localcloud.operations import Answer, Call, Refused

if TYPE_CHECKING:
    from localcloud.faults import Faults
    from localcloud.gitlab.routes import Route
    from localcloud.gitlab.server import GitLab

LOG = logging.getLogger("localcloud.gitlab")
NAMES = {401: "401 Unauthorized", 403: "403 Forbidden", 404: "404 Not Found", 500: "500 Internal Server Error"}


def answer(gitlab: GitLab, faults: Faults, call: Call) -> Answer:
    """Answer one request, never with a 500 of our own; sets the call's operation, by which faults find it."""
    found = gitlab.named(call)
    if isinstance(found, Answer):
        return found
    call.operation = found.name
    with gitlab.cloud.gate.working():
        done = _executed(gitlab, faults, call, found)
    if done.status < 400 and call.method not in ("GET", "HEAD"):
        gitlab.cloud.changed()
    return done


def _executed(gitlab: GitLab, faults: Faults, call: Call, route: Route) -> Answer:
    try:
        faults.before(call)
        done = gitlab.answer(call, route)
        faults.after(call)
        done.cut = faults.cuts(call)
    except Refused as refusal:
        return _faulty(refusal)
    except Exception as error:
        LOG.exception("%s failed inside the local cloud", call.operation)
        return json_answer({"message": f"LocalCloudFault: {call.operation}: {type(error).__name__}: {error}"}, 422)
    return done


def _faulty(refusal: Refused) -> Answer:
    """Return how GitLab, its throttle, or the proxy before it fails."""
    status = refusal.status
    if status == 429:
        return Answer(429, [("Content-Type", "text/plain"), ("Retry-After", "1")], b"Retry later\n")
    if status in (502, 503, 504):
        page = f"<html><body><h1>{status}</h1><p>{refusal.text}</p></body></html>".encode()
        return Answer(status, [("Content-Type", "text/html")], page)
    return json_answer({"message": NAMES.get(status, f"{status} {refusal.text}")}, status)
