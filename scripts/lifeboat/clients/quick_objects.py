"""Thousands of small objects of S3, read and created at a third of what each request costs through boto3.

boto3 works some milliseconds for each request, whatever its answer: ten thousand manifests are a minute of that alone.
What is asked here gets a whole answer or None, and None says nothing: it is asked for through boto3 then, which knows
the caller's proxies, tries again, and says what went wrong (docs/decisions/small-objects.md).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, NotFoundError, PermissionDeniedError
from obstore.store import S3Store

if TYPE_CHECKING:
    import botocore.session
    from obstore import GetOptions

_Answer = TypeVar("_Answer")
_LARGEST = 8 * 1024**2  # bytes: what is larger takes long whoever reads it, and boto3 waits for each part of it anew
_REFUSALS = 5  # one after the other, for which there must be one cause
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
# obstore reads AWS_… for itself, before what it is told: an endpoint of S3's own, an encryption, that nothing is signed.
# Of these it and boto3 think alike, or it does not know them.
_UNDERSTOOD = {
    "AWS_ACCESS_KEY_ID",
    "AWS_CA_BUNDLE",
    "AWS_CLI_AUTO_PROMPT",
    "AWS_CONFIG_FILE",
    "AWS_DEFAULT_OUTPUT",
    "AWS_DEFAULT_REGION",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_ENDPOINT_URL",
    "AWS_EXECUTION_ENV",
    "AWS_MAX_ATTEMPTS",
    "AWS_PAGER",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_RETRY_MODE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_SDK_LOAD_CONFIG",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_STS_REGIONAL_ENDPOINTS",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
}


@dataclass(frozen=True, kw_only=True)
class Found:
    """An object's content, or the part of it that was asked for, its ETag, and what S3 keeps of it beside: metadata, type."""

    body: bytes
    etag: str | None
    metadata: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A version of an object as a listing showed it: its size in bytes, and its ETag, where that is known."""

    key: str
    version_id: str
    size: int
    etag: str | None = None


@dataclass(frozen=True, kw_only=True)
class Door:
    """Where S3 is asked, with whose credentials (`keys`, or those of a session), and how long it may take to answer."""

    url: str
    region: str
    session: botocore.session.Session
    keys: tuple[str, str] | None = field(default=None, repr=False)
    connect_seconds: int = 5
    read_seconds: int = 30


class _Signer(NamedTuple):
    access_key_id: str
    secret_access_key: str
    session_token: str | None


class _Process:
    """Whether this process was forked from one that asked: the threads that do obstore's work stayed behind in that."""

    forked = False

    @classmethod
    def note(cls) -> None:
        """Note that it was."""
        cls.forked = True


os.register_at_fork(after_in_child=_Process.note)


def may_be_asked(door: Door, env: Mapping[str, str]) -> bool:
    """Return whether S3 is reached without what boto3 alone sees to: a proxy, certificates of one's own, odd variables.

    `env` are the variables of this process, for those are what obstore reads.
    """
    there = {name for name, value in env.items() if value}
    if not {name.lower() for name in there}.isdisjoint(_PROXIES):
        return False
    own = door.session.get_config_variable("ca_bundle") or "REQUESTS_CA_BUNDLE" in there
    if own and door.url.startswith("https://"):
        return False
    return {name for name in there if name.startswith("AWS_")} <= _UNDERSTOOD


class QuickObjects:
    """The objects of one bucket, for threads that ask for many of them.

    Gives None to the main thread, which Ctrl-C could not interrupt here, and to all after an answer that was none, or was one
    refusal after the other: boto3 has more patience, and finds out why.
    """

    def __init__(self, *, bucket: str, door: Door) -> None:
        self._bucket = bucket
        self._door = door
        self._making = threading.Lock()
        self._store: S3Store | None = None
        self._signer: _Signer | None = None
        self._given_up = False
        self._refusals = 0

    def read(self, listed: Listed, *, only: int | None = None) -> Found | None:
        """Return a version of an object, or its first `only` bytes; None where what comes is not what was listed."""
        wanted = listed.size if only is None else min(only, listed.size)

        def ask(store: S3Store) -> Found | None:
            options: GetOptions = {"version": listed.version_id}
            if only is not None:
                options["range"] = (0, wanted)
            answer = obstore.get(store, listed.key, options=options)
            body, etag = bytes(answer.bytes()), answer.meta["e_tag"]
            if len(body) != wanted or (listed.etag and (etag or "").strip('"') != listed.etag.strip('"')):
                return None
            given = {str(name): str(value) for name, value in answer.attributes.items()}
            return Found(body=body, etag=etag, metadata=given)

        return self._answer(listed.key, wanted, ask)

    def created(self, key: str, body: bytes) -> bool:
        """Write an object of JSON unless there is one; return whether S3 says that it did. False says nothing."""

        def ask(store: S3Store) -> bool:
            obstore.put(store, key, body, mode="create", attributes={"Content-Type": "application/json"})
            return True

        return self._answer(key, len(body), ask) is True

    def _answer(self, key: str, size: int, ask: Callable[[S3Store], _Answer]) -> _Answer | None:
        # obstore takes the slash off the ends of a key, and would write another one; two in a row it refuses.
        if not 0 < size <= _LARGEST or key != key.strip("/") or "//" in key:
            return None
        if self._given_up or _Process.forked or threading.current_thread() is threading.main_thread():
            return None
        try:
            found = ask(self._made())
        except (AlreadyExistsError, NotFoundError, FileNotFoundError, PermissionDeniedError):
            self._refusals += 1  # which S3 says of one object
            self._given_up = self._refusals >= _REFUSALS
            return None
        except Exception:  # noqa: BLE001 (whatever it is, boto3 says it better)
            self._given_up = True
            return None
        self._refusals = 0
        return found

    def _made(self) -> S3Store:
        """Return the way to S3, made anew where the session's credentials are others by now; raises as obstore does."""
        door = self._door
        if door.keys is None:
            credentials = door.session.get_credentials()
            if credentials is None:
                raise ValueError("nobody is signed in")
            frozen = credentials.get_frozen_credentials()
            signer = _Signer(str(frozen.access_key), str(frozen.secret_key), frozen.token)
        else:
            signer = _Signer(*door.keys, None)
        if signer.session_token is None and os.environ.get("AWS_SESSION_TOKEN"):
            raise ValueError("the shell's token would be sent with these keys")
        with self._making:
            if self._store is None or self._signer != signer:
                self._store, self._signer = self._opened(signer), signer
            return self._store

    def _opened(self, signer: _Signer) -> S3Store:
        door = self._door
        token: dict[str, Any] = {} if signer.session_token is None else {"session_token": signer.session_token}
        return S3Store(
            self._bucket,
            endpoint=door.url,
            region=door.region,
            access_key_id=signer.access_key_id,
            secret_access_key=signer.secret_access_key,
            # Every name of a bucket is one in a path; one with dots has no certificate as a host.
            virtual_hosted_style_request=False,
            checksum_algorithm="SHA256",  # without one a bucket with a lock takes nothing
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=door.read_seconds)},
            client_options={
                "allow_http": door.url.startswith("http://"),
                "connect_timeout": timedelta(seconds=door.connect_seconds),
                "timeout": timedelta(seconds=door.read_seconds),
            },
            **token,
        )
