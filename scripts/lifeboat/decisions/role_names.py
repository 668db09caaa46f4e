"""Which roles a cluster had, by what pg_dumpall wrote of it: a copy's policies may name them."""

from __future__ import annotations

import re

_CREATED = re.compile(r'^CREATE ROLE (?:"(?P<quoted>(?:[^"\n]|"")+)"|(?P<plain>[a-z_][a-z0-9_$]*));$', re.MULTILINE)
_RESERVED = "pg_"  # names that begin so are the server's own, and nobody may make them


def named(written: str) -> list[str]:
    """Return the names of the roles that `pg_dumpall --globals-only` makes, in its order, but those of the server itself."""
    found = ((match["quoted"] or "").replace('""', '"') or match["plain"] for match in _CREATED.finditer(written))
    return [name for name in dict.fromkeys(found) if not name.startswith(_RESERVED)]
