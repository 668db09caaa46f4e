"""A PostgreSQL with RDS's settings and a shop's data: JSON events, orders, long documents, sessions, forty small tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from localcloud.postgres import programs

from tests.restores.servers import RdsServer, rds_server, session

DATABASE = "shop"
_SQL = Path(__file__).parent / "shop.sql"
# As RDS has them: synced to the disk, WAL in segments of 64 MB. What comes by itself at some moment is off.
SETTINGS = {
    "fsync": "on",
    "shared_buffers": "512MB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "4GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "archive_mode": "off",
    "autovacuum": "off",
}
_WAL_SEGMENT_MB = 64

# Rows that one GB of plain dump takes of each table, so that the events are four tenths of it.
_PER_GB = {
    "users": 90_000,
    "events": 1_000_000,
    "orders": 1_500_000,
    "lines": 1_500_000,
    "documents": 12_000,
    "sessions": 900_000,
}


@contextmanager
def filled(gigabytes: float, folder: Path) -> Iterator[RdsServer]:
    """Run a server, its files below a folder, whose database `shop` is of about so many GB (10^9 bytes) as a plain dump."""
    with rds_server(SETTINGS, below=folder, segment_megabytes=_WAL_SEGMENT_MB) as server:
        with session(server.new_database(DATABASE)) as connection:
            sizes = {name: int(rows * gigabytes) // 2 * 2 for name, rows in _PER_GB.items()}
            connection.execute(_SQL.read_text().format(**sizes).encode())
        with server.admin(DATABASE) as connection:
            connection.execute("VACUUM (FREEZE)")
            connection.execute("CHECKPOINT")
        yield server


def program(name: str) -> str:
    """Return the path of one of the server's own programs."""
    return str(programs().folder / name)


def server_seconds(server: RdsServer) -> float:
    """Return the CPU seconds of a server: of those of its processes that live, and of all that have ended."""
    pid = int((server.cluster.data / "postmaster.pid").read_text().split()[0])
    postmaster = psutil.Process(pid)
    of = postmaster.cpu_times()
    total = of.user + of.system + of.children_user + of.children_system
    for child in postmaster.children():
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return float(total)
