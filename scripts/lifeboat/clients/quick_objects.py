"""Thousands of small objects of S3, read and created at a third of what each request costs through boto3.

boto3 works some milliseconds for each request, whatever its answer: ten thousand manifests are a minute of that alone.
What is asked here gets a whole answer or None, and None says nothing: it is asked for through boto3 then, which knows
the caller's proxies, tries again, and says what went wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import obstore
from botocore.exceptions import BotoCoreError
from obstore.auth.boto3 import Boto3CredentialProvider
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError, PermissionDeniedError
from obstore.store import S3Store

if TYPE_CHECKING:
    import botocore.session
    from obstore import GetOptions

_Answer = TypeVar("_Answer")
# botocore renews credentials that expire before long: what it gives out holds longer than that.
_CREDENTIALS_FOR = timedelta(minutes=5)
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


@dataclass(frozen=True, kw_only=True)
class Found:
    """An object's content, or the part of it that was asked for, its ETag and the metadata that its writer gave it."""

    body: bytes
    etag: str | None
    metadata: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Door:
    """Where S3 is asked, with whose credentials (`keys`, or those of a session), and how long it may take to answer."""

    url: str
    region: str
    session: botocore.session.Session
    keys: tuple[str, str] | None = None
    connect_seconds: int = 5
    read_seconds: int = 30


def may_be_asked(env: Mapping[str, str], session: botocore.session.Session) -> bool:
    """Return whether S3 is reached without a proxy and without certificates of the caller's own, which boto3 sees to."""
    named = {name.lower() for name, value in env.items() if value}
    return named.isdisjoint(_PROXIES) and not session.get_config_variable("ca_bundle")


class QuickObjects:
    """The objects of one bucket. After an answer that was none it gives None to all: boto3 has more patience."""

    def __init__(self, *, bucket: str, door: Door) -> None:
        self._bucket = bucket
        self._door = door
        self._making = Lock()
        self._store: S3Store | None = None
        self._given_up = False

    def read(self, key: str, version_id: str, *, size: int, only: int | None = None) -> Found | None:
        """Return a version of an object that is `size` bytes long, or its first `only` bytes; None where that failed."""
        wanted = size if only is None else min(only, size)

        def ask(store: S3Store) -> Found | None:
            options: GetOptions = {"version": version_id}
            if only is not None:
                options["range"] = (0, wanted)
            answer = obstore.get(store, key, options=options)
            body, etag = bytes(answer.bytes()), answer.meta["e_tag"]
            given = {str(name): str(value) for name, value in answer.attributes.items()}
            return Found(body=body, etag=etag, metadata=given) if len(body) == wanted else None

        return self._answer(ask)

    def created(self, key: str, body: bytes) -> bool:
        """Write an object of JSON unless there is one; return whether S3 says that it did. False says nothing."""

        def ask(store: S3Store) -> bool:
            obstore.put(store, key, body, mode="create", attributes={"Content-Type": "application/json"})
            return True

        return self._answer(ask) is True

    def _answer(self, ask: Callable[[S3Store], _Answer]) -> _Answer | None:
        if self._given_up:
            return None
        try:
            return ask(self._made())
        except (AlreadyExistsError, NotFoundError, FileNotFoundError, PermissionDeniedError):
            return None  # which S3 says of one object
        except (BaseError, BotoCoreError, OSError, ValueError):
            self._given_up = True
            return None

    def _made(self) -> S3Store:
        with self._making:
            if self._store is None:
                door = self._door
                signed: dict[str, Any] = (
                    {"credential_provider": Boto3CredentialProvider(door.session, ttl=_CREDENTIALS_FOR)}
                    if door.keys is None
                    else {"access_key_id": door.keys[0], "secret_access_key": door.keys[1]}
                )
                self._store = S3Store(
                    self._bucket,
                    endpoint=door.url,
                    region=door.region,
                    # Every name of a bucket is one in a path; one with dots has no certificate as a host.
                    virtual_hosted_style_request=False,
                    checksum_algorithm="SHA256",  # without one a bucket with a lock takes nothing
                    retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=door.read_seconds)},
                    client_options={
                        "allow_http": door.url.startswith("http://"),
                        "connect_timeout": timedelta(seconds=door.connect_seconds),
                        "timeout": timedelta(seconds=door.read_seconds),
                    },
                    **signed,
                )
            return self._store
