"""Whether PostgreSQL's client programs fit a server: its own major version, and without known holes."""

from __future__ import annotations

from collections.abc import Sequence

from lifeboat.database_model import ClientPrograms, Server
from lifeboat.model import Choice, Judged

# CVE-2025-8714: before these, the dump of a hostile server ran commands where it was restored.
_SAFE_SINCE = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}


def choose(found: Sequence[ClientPrograms], server: Server) -> Choice[ClientPrograms]:
    """Return the first programs of the server's own major version; neither older nor newer ones fit.

    pg_dump refuses a newer server. The archive of a newer pg_dump is read by no pg_restore of the server's major, which is
    the one that every restore here takes: a newer one sends settings that the server does not know (SET
    transaction_timeout, from 17 on).
    """
    rejected = tuple(
        Judged(
            what=programs, why=f"{programs.version_text} is {_how(programs, server)} than the server's {server.version}"
        )
        for programs in found
        if programs.version[0] != server.major
    )
    chosen = next((programs for programs in found if programs.version[0] == server.major), None)
    if chosen is None:
        return Choice(chosen=None, why=f"no PostgreSQL client of version {server.major}", rejected=rejected)
    minor = chosen.version[1] if len(chosen.version) > 1 else 0
    safe = _SAFE_SINCE.get(server.major, 0)
    hole = (
        f"pg_dump {chosen.version_text} has the hole CVE-2025-8714, which {server.major}.{safe} closes: update PostgreSQL's"
        " client programs"
    )
    return Choice(
        chosen=chosen,
        why=f"{chosen.version_text} in {chosen.folder}",
        rejected=rejected,
        remarks=(hole,) if minor < safe else (),
    )


def _how(programs: ClientPrograms, server: Server) -> str:
    return "older" if programs.version[0] < server.major else "newer"
