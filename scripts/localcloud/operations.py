"""The table of AWS operations that the local cloud answers itself, or watches on their way to moto."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localcloud.cloud import Cloud


class Refused(Exception):
    """AWS would say no: `code` and `text` are AWS's own, `status` is the HTTP status (4xx)."""

    def __init__(self, code: str, text: str, status: int = 400) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text
        self.status = status


@dataclass
class Answer:
    """One HTTP answer as it goes back to the SDK; a cut one breaks off before its end."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    cut: bool = False

    def header(self, name: str) -> str | None:
        """Return the first value of a header, whatever its case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)


@dataclass
class Call:
    """One AWS request: who it is for, what it asks, and the raw HTTP around it.

    `params` are in API shape (the botocore model's member names); `result` parses nothing, it is set by
    `answered()` only.
    """

    cloud: Cloud
    service: str
    operation: str
    region: str
    account_id: str
    method: str
    path: str
    query: str
    headers: dict[str, str]  # lower-case names
    body: bytes
    environ: dict[str, Any]
    params: dict[str, Any] = field(default_factory=dict)


Handler = Callable[..., dict[str, Any] | None]
Around = Callable[[Call, Callable[[], Answer]], Answer]

HANDLERS: dict[tuple[str, str], Handler] = {}
AROUND: dict[tuple[str, str], list[Around]] = {}


def operation(service: str, *names: str) -> Callable[[Handler], Handler]:
    """Register `handler(call, **params) -> result`, both in API shape, for operations that moto lacks or gets wrong."""

    def register(handler: Handler) -> Handler:
        for name in names:
            if (service, name) in HANDLERS:
                raise ValueError(f"{service}:{name} has two handlers")
            HANDLERS[(service, name)] = handler
        return handler

    return register


def around(service: str, *names: str) -> Callable[[Around], Around]:
    """Register `watch(call, proceed) -> Answer`: it may refuse before, change the answer after, or both.

    Watches of one operation nest in the order of registration, the first one outermost.
    """

    def register(watch: Around) -> Around:
        for name in names:
            AROUND.setdefault((service, name), []).append(watch)
        return watch

    return register
