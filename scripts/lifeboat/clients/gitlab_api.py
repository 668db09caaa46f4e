"""The way to GitLab: python-gitlab with limits on time, no redirects, bounded retries that are told, errors in our words."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import gitlab
import requests
import urllib3.exceptions
from gitlab.exceptions import GitlabError

from lifeboat.clients.redaction import redacted
from lifeboat.errors import (
    GitLabRefused,
    GitLabUnreachable,
    LifeboatError,
    NothingFits,
    RoleMissing,
    WrongConfiguration,
)
from lifeboat.gitlab_model import Role
from lifeboat.model import Secret

CONNECT_SECONDS = 5
ATTEMPTS = 4
_LATE_SECONDS = 3
PER_PAGE = 100  # GitLab's maximum; it gives 20 unless asked
# A log comes whole each time; GitLab keeps 100 MB of one unless it is told otherwise.
_LARGEST_ANSWER = 128 << 20
_WHOLE_ANSWER_READS = 6  # the limit of a whole answer, in limits of one read
_BUSY = (429, 500, 502, 503, 504, 520, 521, 522, 523, 524)
_SHOWN = 300
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+")
_EXPIRED = "Token is expired"
_REVOKED = "Token was revoked"


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long one request may be repeated, in seconds, how to wait, and whom to tell that we do.

    After `until` (time.monotonic) nothing is repeated or waited for any more, and what is still asked, to put things
    back, gets a few seconds for each answer.
    """

    tell: Callable[[str], None]
    sleep: Callable[[float], None] = time.sleep
    seconds: float = 60.0
    until: float = math.inf


@dataclass(frozen=True, kw_only=True)
class Order:
    """One question or order: in words, the path below the project (below the API after a "/"), and the role it takes."""

    what: str
    path: str
    role: Role = Role.REPORTER


_Read = TypeVar("_Read")
Reader = Callable[[dict[str, Any]], _Read]  # makes a noun of a record; KeyError, TypeError, ValueError: it is none


class _Session(requests.Session):
    """A session that talks to one GitLab alone, and repeats what may be repeated."""

    def __init__(self, base: str, seconds: float, patience: Patience) -> None:
        super().__init__()
        self._base = base
        self._seconds = seconds
        self._patience = patience
        self.max_redirects = 0
        if urlsplit(base).scheme == "http":
            self.trust_env = False  # loopback: the caller's proxy cannot reach it

    def request(self, method: str, url: str, **options: Any) -> requests.Response:  # type: ignore[override]
        """Send one request within its limits. What changes something is repeated only where GitLab did not begin it."""
        # requests takes the token's header along to another host, and a link to the next page may name one.
        if not url.startswith(f"{self._base}/"):
            raise WrongConfiguration(
                f"GitLab at {self._base} refers to {_place(url)}; the token was not sent there",
                hint="write the address that GitLab has itself in [gitlab] url",
            )
        deadline = min(time.monotonic() + self._patience.seconds, self._patience.until)
        if time.monotonic() > self._patience.until:
            options["timeout"] = (_LATE_SECONDS, _LATE_SECONDS)
        for attempt in range(1, ATTEMPTS + 1):
            wait = 0.25 * 2**attempt
            try:
                answer = self._whole(super().request(method, url, **{**options, "stream": True}))
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                # A failed handshake does not mend itself; an order may have been carried out although nobody says so.
                lasting = isinstance(error, requests.exceptions.SSLError)
                if method.upper() != "GET" or lasting or attempt == ATTEMPTS or time.monotonic() + wait > deadline:
                    raise
                said = "does not answer"
            else:
                again = answer.status_code == 429 or (method.upper() == "GET" and answer.status_code in _BUSY)
                if not again:
                    return answer
                wait = _asked_to_wait(answer, wait)
                said = f"answers {answer.status_code}"
                if attempt == ATTEMPTS or time.monotonic() + wait > deadline:
                    if answer.status_code != 429:
                        return answer
                    raise GitLabUnreachable(
                        f"GitLab limits how often it may be asked (429) and wants {wait:.0f} s more",
                        hint="wait, then run the same command again",
                    )
            self._patience.tell(f"GitLab {said}; trying again in {wait:.1f} s ({attempt} of {ATTEMPTS - 1})")
            self._patience.sleep(wait)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _whole(self, answer: requests.Response) -> requests.Response:
        """Read an answer to its end, which a limit on each read alone would let take for ever."""
        deadline = time.monotonic() + self._seconds * _WHOLE_ANSWER_READS
        read = bytearray()
        try:
            # iter_content would wait until a whole chunk is there.
            while chunk := answer.raw.read1(1 << 16, decode_content=True):
                read += chunk
                if len(read) > _LARGEST_ANSWER or time.monotonic() > deadline:
                    raise requests.exceptions.ReadTimeout("the answer takes too long, or is too large")
        except urllib3.exceptions.HTTPError as error:
            answer.close()
            raise requests.exceptions.ChunkedEncodingError("the answer is cut off") from error
        except requests.exceptions.ReadTimeout:
            answer.close()
            raise
        answer.raw.release_conn()
        answer._content = bytes(read)  # what .content returns, and would read itself
        return answer


def _asked_to_wait(answer: requests.Response, otherwise: float) -> float:
    """Return the seconds that Retry-After asks for, which may be a number or a time."""
    text = answer.headers.get("Retry-After", "")
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return otherwise


def _place(url: str) -> str:
    """Return scheme and host of an address; the rest may hold anything."""
    parts = urlsplit(url)
    return _shown(f"{parts.scheme}://{parts.hostname or '?'}")


def plain(text: object) -> str:
    """Return a text of GitLab's as a terminal may show it: without what moves a cursor or sets a colour."""
    return _CONTROL.sub(" ", str(text))


def _shown(text: str) -> str:
    return redacted(plain(text))[:_SHOWN]


class GitLabApi:
    """One GitLab and one project in it, seen with one token."""

    def __init__(self, *, url: str, project: str, token: Secret, limits: tuple[float, Patience]) -> None:
        seconds, patience = limits
        self.url = url
        self.project = project
        self._at = f"/projects/{quote(project, safe='')}"
        limit: Any = (CONNECT_SECONDS, seconds)  # python-gitlab passes it on to requests, which takes both
        self._gitlab = gitlab.Gitlab(
            url,
            private_token=token.reveal(),
            timeout=limit,
            keep_base_url=True,
            session=_Session(url, seconds, patience),
        )

    # -- asking --------------------------------------------------------------------------------------------------------

    def one(self, order: Order, read: Reader[_Read], **query: Any) -> _Read | None:
        """Return one record; None when it is not there."""
        with self._translated(order):
            try:
                found = self._gitlab.http_get(self._path(order), query_data=query)
            except GitlabError as error:
                if _absent(error):
                    return None
                raise
            return read(_record(found))

    def every(self, order: Order, read: Reader[_Read], **query: Any) -> list[_Read]:
        """Return all records of a list, however many pages it has; a list that is not there is an error."""
        with self._translated(order):
            query = {"per_page": PER_PAGE, **query}
            pages = self._gitlab.http_list(self._path(order), query_data=query, iterator=True)
            found = [read(_record(record)) for record in pages]
            total = getattr(pages, "total", None)
            if total is not None and total != len(found):
                raise GitLabUnreachable(
                    f"cannot {order.what}: the list changed while it was read ({len(found)} of {total})",
                    hint="run the same command again",
                )
            return found

    def newest(self, order: Order, read: Reader[_Read], **query: Any) -> list[_Read]:
        """Return the first page of a list."""
        with self._translated(order):
            query = {"per_page": PER_PAGE, **query}
            found = self._gitlab.http_list(self._path(order), query_data=query, get_all=False)
            return [read(_record(record)) for record in found]

    def text(self, order: Order) -> bytes:
        """Return what is no record; nothing when it is not there."""
        with self._translated(order):
            try:
                found = self._gitlab.http_get(self._path(order), raw=True)
            except GitlabError as error:
                if _absent(error):
                    return b""
                raise
            if not isinstance(found, requests.Response):
                raise TypeError
            return found.content

    def clock(self) -> datetime:
        """Return what time it is for GitLab, to the second: its own times are to be compared with that."""
        order = Order(what="ask GitLab what time it is", path="/version")
        with self._translated(order):
            said = self._gitlab.http_request("get", order.path).headers.get("Date", "")
            return parsedate_to_datetime(said).astimezone(UTC)

    # -- ordering ------------------------------------------------------------------------------------------------------

    def post(self, order: Order, read: Reader[_Read], body: dict[str, Any]) -> _Read:
        """Make something and return what was made."""
        with self._translated(order):
            return read(_record(self._gitlab.http_post(self._path(order), post_data=body)))

    def put(self, order: Order, read: Reader[_Read], body: dict[str, Any], **query: Any) -> _Read:
        """Change something and return it."""
        with self._translated(order):
            return read(_record(self._gitlab.http_put(self._path(order), query_data=query, post_data=body)))

    def delete(self, order: Order, **query: Any) -> None:
        """Delete something."""
        with self._translated(order):
            self._gitlab.http_delete(self._path(order), query_data=query)

    def _path(self, order: Order) -> str:
        return order.path if order.path.startswith("/") else f"{self._at}/{order.path}".rstrip("/")

    # -- errors --------------------------------------------------------------------------------------------------------

    @contextmanager
    def _translated(self, order: Order) -> Iterator[None]:
        """Turn every way to fail into an error of ours, without the exception that may hold what was sent."""
        try:
            yield
        except LifeboatError:
            raise
        except GitlabError as error:
            raise self._refusal(order, error) from None
        except requests.TooManyRedirects as error:
            target = "" if error.response is None else error.response.headers.get("Location", "")
            raise WrongConfiguration(
                f"GitLab at {self.url} sends us on to {_place(target)}; the token was not sent there",
                hint="write the address and the path of the project that GitLab has itself in [gitlab]",
            ) from None
        except requests.exceptions.SSLError as error:
            raise GitLabUnreachable(
                f"cannot {order.what}: no trusted connection to {self.url}: {_shown(str(error))}",
                hint="name the certificates to trust in REQUESTS_CA_BUNDLE; never switch the check off",
            ) from None
        except requests.RequestException as error:
            raise GitLabUnreachable(
                f"cannot {order.what}: {self.url} does not answer ({type(error).__name__})",
                hint="lifeboat gitlab doctor; without GitLab, deploy over SSM: lifeboat app redeploy",
            ) from None
        except (KeyError, TypeError, ValueError, AttributeError):
            raise self._garbled(order) from None

    def _garbled(self, order: Order) -> GitLabUnreachable:
        return GitLabUnreachable(
            f"cannot {order.what}: {self.url} answers with something that is not GitLab's API",
            hint="is [gitlab] url GitLab's own address? lifeboat gitlab doctor",
        )

    def _refusal(self, order: Order, error: GitlabError) -> LifeboatError:
        status, body = error.response_code, _body(error)
        if status is None or isinstance(error, gitlab.exceptions.GitlabParsingError):
            return self._garbled(order)
        if status == 401:
            return self._unknown_token(order, body)
        if status == 403 and "insufficient_scope" in body:
            return RoleMissing(
                f"cannot {order.what}: the token lacks the scope api",
                hint="make one with the scope api and the role Maintainer, then lifeboat gitlab doctor",
            )
        if status == 403:
            return RoleMissing(
                f"cannot {order.what}: the token may not; it takes the role {order.role.name.title()} in {self.project}",
                hint="lifeboat gitlab doctor shows what the token may do",
            )
        if status == 404 and "Project Not Found" in body:
            return WrongConfiguration(
                f"cannot {order.what}: the token's user sees no project {self.project} on {self.url}",
                hint="check [gitlab] project, and that the token's user is a member of it",
            )
        if status == 404 and not _absent(error):
            return self._garbled(order)
        if status == 404:
            return NothingFits(f"cannot {order.what}: it is not there")
        if status in _BUSY:
            return GitLabUnreachable(f"cannot {order.what}: GitLab answers {status}", hint="run the same command again")
        words = _shown(str(error.error_message))
        return GitLabRefused(f"cannot {order.what}: GitLab answers {status}: {words}", status=status, body=body)

    def _unknown_token(self, order: Order, body: str) -> WrongConfiguration:
        why = (
            "it has expired"
            if _EXPIRED in body
            else "it was revoked"
            if _REVOKED in body
            else "GitLab does not know it"
        )
        return WrongConfiguration(
            f"cannot {order.what}: the token is not valid: {why}",
            hint="make a project access token (role Maintainer, scope api) and put it where [gitlab] says",
        )


def _body(error: GitlabError) -> str:
    raw = error.response_body
    return raw.decode(errors="replace") if isinstance(raw, bytes) else str(raw or "")


def _absent(error: GitlabError) -> bool:
    """Return whether GitLab itself says that it has no such thing: a load balancer before it answers 404 as well."""
    return error.response_code == 404 and _not_found(_body(error)) and "Project Not Found" not in _body(error)


def _not_found(body: str) -> bool:
    # lib/api/helpers.rb, not_found!: {"message": "404 … Not Found"}; Grape: {"error": "404 Not Found"}
    try:
        said = json.loads(body)
    except ValueError:
        return False
    words = (said.get("message") or said.get("error")) if isinstance(said, dict) else None
    return isinstance(words, str) and words.startswith("404")


def _record(found: object) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise TypeError
    return found
