"""The content of an answer of S3 that should be a state, read only where it may be one by its size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lifeboat.errors import TooLarge
from lifeboat.state_model import too_large


def read(answer: Mapping[str, Any], url: str) -> bytes:
    """Return the content that an answer of GetObject has; raises TooLarge, with nothing read, where no state is as large."""
    if why := too_large(int(answer["ContentLength"])):
        answer["Body"].close()
        raise TooLarge(f"{url} is {why}", hint="lifeboat state doctor")
    return bytes(answer["Body"].read())
