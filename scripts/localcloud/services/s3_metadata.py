"""Metadata of S3 objects in lower case, as S3 hands it back; the web server writes every header capitalised."""

from __future__ import annotations

import re

from waitress.channel import HTTPChannel
from waitress.task import WSGITask

from localcloud.cloud import Cloud

_METADATA = re.compile(rb"(?m)^X-Amz-Meta-[^:\r\n]*")


class _Task(WSGITask):  # type: ignore[misc]
    """One answer of the web server."""

    def build_response_header(self) -> bytes:
        """Return the head of the answer."""
        head: bytes = super().build_response_header()
        return _METADATA.sub(lambda found: found.group().lower(), head)


def install(cloud: Cloud) -> None:
    """Let the web server write with that class."""
    del cloud
    HTTPChannel.task_class = _Task
