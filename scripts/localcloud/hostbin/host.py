"""What the host's programs share: its root directory and its way to the local cloud's side of the host."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(os.environ["HOST_ROOT"])


class Refused(Exception):
    """The daemon refused; the text is its message, `status` the HTTP status."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


def ask(verb: str, *, of: str = "docker", **asked: Any) -> dict[str, Any]:
    """Ask the host's Docker daemon, or its `units`; Refused when it says no, OSError when nobody answers."""
    address = os.environ["HOST_ADDRESS"]
    request = urllib.request.Request(
        f"http://{address}:1338/{of}/{verb}", json.dumps(asked).encode(), {"X-Localcloud": "1"}
    )
    try:
        with urllib.request.urlopen(request) as answer:
            document: dict[str, Any] = json.load(answer)
            return document
    except urllib.error.HTTPError as error:
        raise Refused(str(json.load(error)["message"]), error.code) from error
