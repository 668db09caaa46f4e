"""Whether PostgreSQL's client programs fit a server: its own major version, and without known holes."""

from __future__ import annotations

from collections.abc import Sequence

from lifeboat.database_model import ClientPrograms, Server
from lifeboat.model import Choice, Judged

# CVE-2025-8714: before these, the dump of a hostile server ran commands where it was restored.
_SAFE_SINCE = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}


def choose(found: Sequence[ClientPrograms], server: Server) -> Choice[ClientPrograms]:
    """Return the first programs of the server's own major version, else the oldest newer ones; older ones never fit.

    pg_dump refuses a newer server. A newer pg_dump works; its archives are read by a pg_restore as new as itself, and
    from 17 on not by servers before 17 (SET transaction_timeout).
    """
    rejected = tuple(
        Judged(what=programs, why=f"{programs.version_text} is older than the server's {server.version}")
        for programs in found
        if programs.version[0] < server.major
    )
    same = [programs for programs in found if programs.version[0] == server.major]
    newer = sorted((p for p in found if p.version[0] > server.major), key=lambda programs: programs.version)
    chosen = next(iter([*same, *newer]), None)
    if chosen is None:
        return Choice(chosen=None, why=f"no PostgreSQL client of version {server.major} or newer", rejected=rejected)
    remarks = []
    if chosen.version[0] > server.major:
        remarks.append(
            f"pg_dump is {chosen.version_text}, newer than the server's {server.version}: a restore needs a client as new,"
            f" and a server of {chosen.version[0]} is sure to take it; install the client of {server.major} for both"
        )
    minor = chosen.version[1] if len(chosen.version) > 1 else 0
    if minor < _SAFE_SINCE.get(chosen.version[0], 0):
        remarks.append(
            f"pg_dump {chosen.version_text} has the hole CVE-2025-8714, which"
            f" {chosen.version[0]}.{_SAFE_SINCE[chosen.version[0]]} closes: update PostgreSQL's client programs"
        )
    return Choice(
        chosen=chosen, why=f"{chosen.version_text} in {chosen.folder}", rejected=rejected, remarks=tuple(remarks)
    )
