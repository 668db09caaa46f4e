"""The token that GitLab is asked with: a file that only its owner may read, or what the caller's environment holds."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path

from lifeboat.errors import WrongConfiguration
from lifeboat.model import Secret

_LARGEST = 1 << 16
_TOKEN = re.compile(r"[!-~]+")
_HINT = "a project access token with the role Maintainer and the scope api is what it takes"


def read(path: Path, entry: str | None) -> Secret:
    """Return the token in a file: all of it, or the entry (`tokens.maintainer`) of one that is JSON."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC), "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_LARGEST).decode()
    except FileNotFoundError:
        raise WrongConfiguration(
            f"there is no token file {path}", hint=f"lifeboat local up makes that of a local cloud; elsewhere: {_HINT}"
        ) from None
    except UnicodeDecodeError:
        raise WrongConfiguration(f"the token file {path} is not text", hint=_HINT) from None
    if stat.S_IMODE(mode) & 0o077:
        raise WrongConfiguration(f"others may read the token file {path}", hint=f"chmod 600 {path}")
    where = f"the token file {path}"
    return checked(text if entry is None else _entry(text, entry, where), where)


def checked(text: str, where: str) -> Secret:
    """Return a token; raises WrongConfiguration, which shows nothing of it, for what no header can carry."""
    token = text.strip()
    if not token:
        raise WrongConfiguration(f"there is no token in {where}", hint=_HINT)
    if not _TOKEN.fullmatch(token):
        raise WrongConfiguration(f"what is in {where} is no token: it has blanks or other characters in it", hint=_HINT)
    return Secret(token)


def _entry(text: str, entry: str, where: str) -> str:
    try:
        found = json.loads(text)
        for part in entry.split("."):
            found = found[part]
    except (ValueError, KeyError, TypeError):
        raise WrongConfiguration(f"there is no {entry} in {where}", hint="check [gitlab] token_entry") from None
    return str(found)
