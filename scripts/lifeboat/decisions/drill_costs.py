"""What a drill is expected to cost, from a small table of list prices: an estimate, and never a bill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from lifeboat.drill_model import DrillScope, Estimate, Price
from lifeboat.errors import Refused

# On-demand, Linux or PostgreSQL in one zone, USD an hour, eu-west-1. Other regions are up to a third dearer (sa-east-1 more).
SOURCE = "AWS's public price lists of eu-west-1, on demand, as of 2025-06"
_DATABASES: Mapping[str, float] = {
    "db.t3.micro": 0.020,
    "db.t3.small": 0.039,
    "db.t3.medium": 0.078,
    "db.t4g.micro": 0.017,
    "db.t4g.small": 0.034,
    "db.t4g.medium": 0.069,
    "db.t4g.large": 0.138,
    "db.m6g.large": 0.175,
    "db.m6g.xlarge": 0.350,
    "db.m7g.large": 0.186,
    "db.m7g.xlarge": 0.372,
    "db.r6g.large": 0.250,
    "db.r6g.xlarge": 0.500,
}
_INSTANCES: Mapping[str, float] = {
    "t3.micro": 0.0114,
    "t3.small": 0.0228,
    "t3.medium": 0.0456,
    "t3.large": 0.0912,
    "t4g.micro": 0.0092,
    "t4g.small": 0.0184,
    "t4g.medium": 0.0368,
    "m6i.large": 0.107,
    "m6i.xlarge": 0.214,
    "m7g.large": 0.0911,
}
_GIB_MONTH = {"database": 0.127, "instance": 0.088}  # gp3
_HOURS_OF_A_MONTH = 730
_SECRET_HOUR = 0.40 / _HOURS_OF_A_MONTH
_LEAST_USD = 0.01


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What a drill would make: the class of the database and of the instance, and their storage in GiB."""

    database: str
    database_gib: int
    instance: str
    instance_gib: int


def estimate(scope: DrillScope, sizes: Sizes, lasts: timedelta) -> Estimate:
    """Return what a drill costs that makes things of these sizes for so long. The network is there whether it is used or not."""
    prices: list[Price] = []
    if scope in (DrillScope.DATABASE, DrillScope.FULL):
        prices.append(Price(what=f"database {sizes.database}", usd_an_hour=_DATABASES.get(sizes.database)))
        prices.append(_storage("database", sizes.database_gib))
    if scope in (DrillScope.INSTANCE, DrillScope.FULL):
        prices.append(Price(what=f"instance {sizes.instance}", usd_an_hour=_INSTANCES.get(sizes.instance)))
        prices.append(_storage("instance", sizes.instance_gib))
    if scope is DrillScope.FULL:
        prices.append(Price(what="secret", usd_an_hour=_SECRET_HOUR))
    return Estimate(prices=tuple(prices), lasts=lasts, source=SOURCE)


def _storage(of: str, gib: int) -> Price:
    return Price(what=f"{gib} GiB of storage of the {of}", usd_an_hour=_GIB_MONTH[of] * gib / _HOURS_OF_A_MONTH)


def words(found: Estimate) -> str:
    """Return an estimate in words."""
    hours = found.lasts.total_seconds() / 3600
    lasts = f"{hours:.1f} h" if hours >= 1 else f"{max(1, round(hours * 60))} min"
    usd = f"about {found.usd:.2f} USD" if found.usd >= _LEAST_USD else f"less than {_LEAST_USD} USD"
    unknown = f", and what nobody here knows the price of: {', '.join(found.unknown)}" if found.unknown else ""
    return f"{usd} for {lasts}{unknown} ({found.source})"


def require_within(found: Estimate, cap: float | None, again: str) -> None:
    """Raise Refused where an estimate is above what may be spent, or holds what nobody knows the price of."""
    if cap is not None and found.unknown:
        raise Refused(
            f"nobody here knows the price of {', '.join(found.unknown)}, so nobody can say that the drill costs less than"
            f" {_given(cap)} USD, which --max-cost allows",
            hint=f"{again}, which asks whether it may be made",
        )
    if cap is not None and found.usd > cap:
        raise Refused(
            f"the drill is expected to cost {words(found)}, and --max-cost allows {_given(cap)} USD",
            hint=f"{again} --max-cost {found.usd + 0.005:.2f}",
        )


def _given(usd: float) -> str:
    """Return a sum with all the digits that it was given with, and cents in any case."""
    return max(f"{usd:.2f}", f"{Decimal(repr(usd)):f}", key=len)


def to_agree(found: Estimate) -> list[str]:
    """Return what somebody has to agree to before money is spent: what nobody here knows the price of."""
    return [f"make what no price is known of here: {what}" for what in found.unknown]
