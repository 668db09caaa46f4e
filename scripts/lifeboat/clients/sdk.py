"""What every client of AWS shares: errors in our words, answers to the last page, tags as mappings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import urlsplit

import urllib3.exceptions
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, NoCredentialsError
from botocore.parsers import ResponseParserError
from botocore.utils import parse_timestamp

from lifeboat.errors import Unreachable

# Cut or garbled answers come out of boto3 as the last three, which are no BotoCoreError.
NO_ANSWER = (BotoCoreError, Boto3Error, ResponseParserError, urllib3.exceptions.HTTPError, OSError)
_SIGN_IN = "sign in to AWS (set AWS_PROFILE, or aws sso login), then run the same command again"
_KEY = re.compile(r"arn:[\w-]+:kms:(?P<region>[\w-]+):\d+:key/[\w-]+")
_Found = TypeVar("_Found")
_MAKING = Lock()
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z")
_OF_HTTP = re.compile(  # RFC 9110, 5.6.7, "IMF-fixdate"
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4}"
    r" [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
)


@contextmanager
def translated(what: str, *, hint: str = "") -> Iterator[None]:
    """Turn SDK errors into ours: "I may not look" never becomes "it is not there"."""
    try:
        yield
    except ClientError as error:
        answer = error.response["Error"]
        said = str(answer.get("Message", ""))
        raise Unreachable(f"cannot {what}: {code(error)}: {said}", hint=_of_a_key(code(error), said) or hint) from error
    except EndpointConnectionError as error:
        # Nothing but a local cloud is reached at a loopback address, and credentials are not what it lacks.
        local = (urlsplit(error.kwargs["endpoint_url"]).hostname or "").startswith("127.")
        up = "lifeboat local up, or lifeboat apply where nothing was applied yet; then the same command again"
        raise Unreachable(f"cannot {what}: {error}", hint=up if local else hint) from error
    except NoCredentialsError as error:
        raise Unreachable(f"cannot {what}: {error}", hint="; ".join(filter(None, [_SIGN_IN, hint]))) from error
    except NO_ANSWER as error:
        raise Unreachable(f"cannot {what}: {error}", hint=hint) from error


def moment(value: Any) -> datetime:
    """Return the time that an answer of AWS names, as botocore's own parser does: that takes half the time of a long listing.

    The two ways in which nearly all are written are read here, every other one there. Raises ValueError where it is none.
    """
    if isinstance(value, str):
        with suppress(ValueError):
            if _ISO.fullmatch(value):
                return datetime.fromisoformat(value)
            if _OF_HTTP.fullmatch(value):
                return parsedate_to_datetime(value)
    return parse_timestamp(value)


def _of_a_key(code: str, message: str) -> str:
    """Return what to type where a service was refused a key, which its message names (S3: KMS.DisabledException)."""
    named = _KEY.search(message)
    if named is None or not code.startswith("KMS"):
        return ""
    about = f"--key-id {named[0]} --region {named['region']}"
    return f"aws kms describe-key {about} says what became of the key; aws kms enable-key {about} where it is disabled"


def code(error: ClientError) -> str:
    """Return AWS's code of an error; "?" when it has none."""
    return str(error.response["Error"].get("Code", "?"))


def unless_absent(absent: Iterable[str], ask: Callable[[], _Found]) -> _Found | None:
    """Return what `ask` returns; None for AWS's own "there is no such thing" (these codes), and for nothing else."""
    try:
        return ask()
    except ClientError as error:
        if code(error) in absent:
            return None
        raise


def paginator(client: Any, operation: str) -> Any:
    """Return what pages through an operation's answers.

    The first of a session looks through the folders of all services; threads that begin together would each do so.
    """
    with _MAKING:
        return client.get_paginator(operation)


def items(client: Any, operation: str, key: str, **asked: Any) -> Iterator[Any]:
    """Yield the items of every page."""
    for page in paginator(client, operation).paginate(**asked):
        yield from page.get(key, [])


_LISTED = {"list_object_versions": "the versions of ", "list_multipart_uploads": "the uploads to "}


def s3_pages(s3: Any, operation: str, *, bucket: str, prefix: str, **asked: Any) -> Iterator[Any]:
    """Yield every page of what S3 lists below a prefix; raises Unreachable where the listing is cut off.

    botocore takes an empty answer for a page without entries, and a page that does not say where the next one begins for the
    last.
    """
    what, more = f"{_LISTED.get(operation, '')}s3://{bucket}/{prefix}", False
    for page in paginator(s3, operation).paginate(Bucket=bucket, Prefix=prefix, **asked):
        if "IsTruncated" not in page:
            raise Unreachable(f"cannot list {what}: the answer is cut off")
        more = page["IsTruncated"]
        yield page
    if more:
        raise Unreachable(f"cannot list {what}: there are more, and S3 does not say where")


def s3_items(s3: Any, operation: str, key: str, *, bucket: str, prefix: str, **asked: Any) -> Iterator[Any]:
    """Yield the items of every such page; raises as `s3_pages` does."""
    for page in s3_pages(s3, operation, bucket=bucket, prefix=prefix, **asked):
        yield from page.get(key, [])


def tags(pairs: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return AWS's pairs of Key and Value as a mapping."""
    return {pair["Key"]: pair["Value"] for pair in pairs}


def pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return a mapping as AWS's pairs of Key and Value."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
