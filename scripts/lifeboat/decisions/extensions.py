"""Which extensions a scratch server may have for the restore of a copy that is not trusted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# Not trusted in their control file, yet without a function that an ordinary role could reach a file, a program or a
# network with (PostgreSQL manual, appendix F; PostGIS without its raster, whose drivers read files).
_HARMLESS = frozenset(
    {
        "amcheck",
        "autoinc",
        "bloom",
        "dict_xsyn",
        "earthdistance",
        "insert_username",
        "intagg",
        "moddatetime",
        "pageinspect",
        "pg_buffercache",
        "pg_freespacemap",
        "pg_prewarm",
        "pg_stat_statements",
        "pg_visibility",
        "pg_walinspect",
        "pgrowlocks",
        "pgstattuple",
        "postgis",
        "postgis_topology",
        "refint",
        "sslinfo",
        "vector",
        "xml2",
    }
)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is done about the extensions of a copy.

    `beforehand`: a superuser creates them before anything of the archive is there. `missing`: the server does not offer
    them. `denied`: they reach out of the server.
    """

    beforehand: tuple[str, ...]
    missing: tuple[str, ...]
    denied: tuple[str, ...]


def wanted(names: Iterable[str], offered: Mapping[str, bool]) -> Wanted:
    """Sort extensions by what is done about them; `offered` says of each whether a database's owner may create it."""
    needed = sorted(set(names) - {"plpgsql"})
    return Wanted(
        beforehand=tuple(n for n in needed if n in offered and not offered[n] and n in _HARMLESS),
        missing=tuple(n for n in needed if n not in offered),
        denied=tuple(n for n in needed if n in offered and not offered[n] and n not in _HARMLESS),
    )
