"""What RDS refuses before it does anything: names, windows, retention, sizes, versions, classes, passwords."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from localcloud.operations import Refused
from localcloud.postgres import programs

ENGINE = "postgres"
LICENSE = "postgresql-license"
SIZES = ("micro", "small", "medium", "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge")
CLASSES = {
    "t3": SIZES[:6],
    "t4g": SIZES[:6],
    **dict.fromkeys(("m5", "r5"), (*SIZES[3:], "24xlarge")),
    **dict.fromkeys(("m6g", "m6i", "m7g", "r6g", "r6i", "r7g"), SIZES[3:]),
}
STORAGE = {"gp2": (20, 65536), "gp3": (20, 65536), "io1": (100, 65536), "io2": (100, 65536), "standard": (10, 3072)}
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEK = 7 * 24 * 60
DAY = 24 * 60
PI_DAYS = {7, 731} | {31 * months for months in range(1, 24)}


def version() -> str:
    """Return the one engine version on offer: that of the PostgreSQL programs of this machine."""
    return programs().version


def major() -> str:
    """Return its major version."""
    return version().split(".", maxsplit=1)[0]


def family() -> str:
    """Return its parameter-group family."""
    return f"{ENGINE}{major()}"


def classes() -> list[str]:
    """Return the instance classes on offer."""
    return [f"db.{name}.{size}" for name, sizes in CLASSES.items() for size in sizes]


def _wrong(text: str) -> Refused:
    return Refused("InvalidParameterValue", text)


def _clash(text: str) -> Refused:
    return Refused("InvalidParameterCombination", text)


def instance_name(name: str) -> str:
    """Return an instance identifier in lower case, or refuse it."""
    if not re.fullmatch(r"[A-Za-z](?:-?[A-Za-z0-9])*", name) or len(name) > 63:
        raise _wrong(
            f"The parameter DBInstanceIdentifier is not a valid identifier: {name}. Identifiers must begin with a "
            "letter; must contain only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain "
            "two consecutive hyphens."
        )
    return name.lower()


def snapshot_name(name: str, parameter: str) -> str:
    """Return a manual snapshot's identifier in lower case, or refuse it."""
    if not re.fullmatch(r"[A-Za-z](?:-?[A-Za-z0-9])*", name) or len(name) > 255:
        raise _wrong(
            f"The parameter {parameter} is not a valid identifier. Identifiers must begin with a letter; must contain "
            "only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive "
            "hyphens."
        )
    return name.lower()


def engine(params: dict[str, Any]) -> str:
    """Return the full engine version that a request asks for, or refuse engine, version or class."""
    if params.get("Engine", ENGINE) != ENGINE:
        raise Refused(
            "LocalCloudNotImplemented",
            f"The local cloud runs only the engine {ENGINE}, not {params.get('Engine')}.",
        )
    asked = params.get("EngineVersion") or version()
    if asked not in (version(), major()):
        raise _clash(f"Cannot find version {asked} for {ENGINE}")
    instance_class(params.get("DBInstanceClass"))
    return version()


def instance_class(asked: str | None) -> None:
    """Refuse a class that does not exist for PostgreSQL."""
    if asked is not None and asked not in classes():
        if not asked.startswith("db."):
            raise _wrong(f"Invalid DB Instance class: {asked}")
        raise _clash(
            "RDS does not support creating a DB instance with the following combination: "
            f"DBInstanceClass={asked}, Engine={ENGINE}, EngineVersion={version()}, LicenseModel={LICENSE}. "
            "For supported combinations of instance class and database engine version, see the documentation."
        )


def storage(kind: str, gigabytes: int) -> None:
    """Refuse a storage type or size that RDS does not have."""
    if kind not in STORAGE:
        raise _wrong(f"Invalid storage type: {kind}")
    least, most = STORAGE[kind]
    if not least <= gigabytes <= most:
        raise _wrong(f"Invalid storage size for engine name {ENGINE} and storage type {kind}: {gigabytes}")


def retention(days: int) -> int:
    """Return the days automated backups are kept, or refuse more than 35."""
    if not 0 <= days <= 35:
        raise _wrong(f"Invalid backup retention period: {days}. Must be between 0 and 35.")
    return days


def password(value: str) -> None:
    """Refuse a master password as RDS does for PostgreSQL."""
    if not 8 <= len(value) <= 128:
        raise _wrong(
            "The parameter MasterUserPassword is not a valid password because it is "
            + ("shorter than 8 characters." if len(value) < 8 else "longer than 128 characters.")
        )
    if re.search(r'[^ -~]|[/"@ ]', value):
        raise _wrong(
            "The parameter MasterUserPassword is not a valid password. "
            "Only printable ASCII characters besides '/', '@', '\"', ' ' may be used."
        )


def master_name(value: str | None) -> str:
    """Return the master user's name, or refuse what PostgreSQL reserves."""
    if not value:
        raise _wrong("The parameter MasterUsername must be provided and must not be blank.")
    if value.startswith("pg_") or value in ("rdsadmin", "admin", "rds_superuser"):
        raise _wrong(f"MasterUsername {value} cannot be used as it is a reserved word used by the engine")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", value):
        raise _wrong(
            "The parameter MasterUsername must begin with a letter or underscore and contain only alphanumeric "
            "characters."
        )
    return value


def database_name(value: str | None) -> str | None:
    """Return the first database's name, or refuse it."""
    if value is not None and (not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", value) or value == "rdsadmin"):
        raise _wrong(f"DBName {value} must begin with a letter or underscore and contain only alphanumeric characters.")
    return value


def insights(days: int) -> None:
    """Refuse a Performance Insights retention that does not exist."""
    if days not in PI_DAYS:
        raise _wrong(f"Invalid Performance Insights retention period. Valid values are: {sorted(PI_DAYS)}")


def _clock(text: str) -> int | None:
    match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", text)
    return int(match.group(1)) * 60 + int(match.group(2)) if match else None


def _backup_minutes(window: str) -> tuple[int, int]:
    begin, _, end = window.partition("-")
    first, last = _clock(begin), _clock(end)
    if first is None or last is None:
        raise _wrong(
            f"Invalid backup window format: {window}. Should be specified as a range hh24:mi-hh24:mi (24H Clock UTC). "
            "Example: 04:00-04:30"
        )
    length = (last - first) % DAY
    if length < 30:
        raise _wrong("The backup window must be at least 30 minutes.")
    return first, length


def _maintenance_minutes(window: str) -> tuple[int, int]:
    begin, _, end = window.partition("-")
    edges = []
    for edge in (begin, end):
        day, _, clock = edge.partition(":")
        minutes = _clock(clock)
        if day not in DAYS or minutes is None:
            raise _wrong(
                f"Invalid maintenance window format: {window}. Should be specified as a range "
                "ddd:hh24:mi-ddd:hh24:mi (24H Clock UTC). Example: Sun:23:45-Mon:00:15"
            )
        edges.append(DAYS.index(day) * DAY + minutes)
    length = (edges[1] - edges[0]) % WEEK
    if length < 30:
        raise _wrong("The maintenance window must be at least 30 minutes.")
    if length >= DAY:
        raise _wrong("Maintenance window must be less than 24 hours.")
    return edges[0], length


def windows(backup: str | None, maintenance: str | None) -> tuple[str, str]:
    """Return both windows, a missing one chosen so that they do not overlap; refuse malformed or overlapping ones."""
    if maintenance is not None:
        maintenance = maintenance.lower()
    if backup is None:
        begin = _maintenance_minutes(maintenance)[0] if maintenance else 5 * 60
        backup = _span(begin - 120, 30)
    first, length = _backup_minutes(backup)
    if maintenance is None:
        begin = first + length + 120
        maintenance = f"sun:{_span(begin, 30)}" if begin % DAY <= DAY - 30 else "sun:" + _span(first - 120, 30)
        maintenance = maintenance.replace("-", "-sun:")
    start, lasting = _maintenance_minutes(maintenance)
    for day in range(-1, 8):
        again = first + day * DAY
        if again < start + lasting and start < again + length:
            raise _wrong("The backup window and maintenance window must not overlap.")
    return backup, maintenance


def _span(begin: int, minutes: int) -> str:
    def clock(value: int) -> str:
        moment = timedelta(minutes=value % DAY)
        return f"{moment.seconds // 3600:02d}:{moment.seconds // 60 % 60:02d}"

    return f"{clock(begin)}-{clock(begin + minutes)}"
