"""Whether PostgreSQL's client programs fit a server: its own major version, and without known holes."""

from __future__ import annotations

from collections.abc import Sequence

from lifeboat.database_model import ClientPrograms, Server
from lifeboat.model import Choice, Judged

# What each is closed by, by major version; older majors got no such release, newer ones never had it. The first two: the dump
# of a hostile server ran commands where it was restored. The last: a hostile server overwrote the memory of who dumped it.
_CLOSED = (
    ("CVE-2025-8714", {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}),
    ("CVE-2025-8715", {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}),
    ("CVE-2026-6477", {14: 23, 15: 18, 16: 14, 17: 10, 18: 4}),
)


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
    return Choice(
        chosen=chosen,
        why=f"{chosen.version_text} in {chosen.folder}",
        rejected=rejected,
        remarks=tuple(holes("pg_dump", chosen.version)),
    )


def holes(program: str, version: Sequence[int]) -> list[str]:
    """Return in a line the known holes of a client program, and what closes them; nothing where it has none."""
    major, minor = version[0], version[1] if len(version) > 1 else 0
    found = {name: since.get(major) for name, since in _CLOSED if major <= max(since)}
    still = {name: closed for name, closed in found.items() if closed is None or minor < closed}
    if not still:
        return []
    minors = [closed for closed in still.values() if closed is not None]
    closes = f"{major}.{max(minors)} closes" if len(minors) == len(still) else f"no release of {major} closes all of"
    text = ".".join(map(str, version))
    return [
        f"{program} {text} has known holes ({', '.join(still)}); {closes} them: update PostgreSQL's client programs"
    ]


def _how(programs: ClientPrograms, server: Server) -> str:
    return "older" if programs.version[0] < server.major else "newer"
