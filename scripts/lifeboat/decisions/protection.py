"""The protection table: for each asset by what it is protected, and the RPO that follows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from lifeboat.model import AssetRow, Protection, Way

ASSETS = ("database", "instance volume", "image", "dumps", "state", "secrets", "code")


def table(protections: Iterable[Protection], *, rpo: timedelta) -> list[AssetRow]:
    """Return one row for each asset; one that nothing is known to copy has no RPO and does not meet the objective.

    The RPO of an asset is the interval of its most frequent copy. An image is not data: its own interval does not
    count against the objective as long as the instance's volume meets it.
    """
    # An image without a protected volume beside it would lose what was written since it was made.
    by_asset: dict[str, list[Protection]] = {asset: [] for asset in ASSETS}
    for protection in protections:
        by_asset.setdefault(protection.asset, []).append(protection)
    volume = _row("instance volume", by_asset["instance volume"], rpo, volume_meets=False)
    return [_row(asset, ways, rpo, volume_meets=volume.meets) for asset, ways in by_asset.items()]


def _row(asset: str, ways: list[Protection], objective: timedelta, *, volume_meets: bool) -> AssetRow:
    timed = [timedelta(hours=way.every_hours) for way in ways if way.every_hours is not None]
    achieved = min(timed, default=None)
    note = ""
    if not ways:
        note = "nothing known protects it"
    elif achieved is None:
        note = "stored safely, but nothing makes copies on a schedule yet"
    meets = achieved is not None and (achieved <= objective or (asset == "image" and volume_meets))
    return AssetRow(
        asset=asset,
        ways=tuple(
            Way(
                mechanism=way.mechanism,
                every=_every(way.every_hours),
                kept=_kept(way.kept_days),
                regions=tuple(way.regions),
            )
            for way in ways
        ),
        rpo=achieved,
        meets=meets,
        note=note,
    )


def span(length: timedelta) -> str:
    """Return a length of time as an operator says it: 5m, 24h, 31d."""
    minutes = round(length.total_seconds() / 60)
    if minutes == 0:
        return "0 (each change)"
    if minutes < 120:
        return f"{minutes}m"
    hours = minutes / 60
    return f"{hours:.0f}h" if hours <= 72 else f"{hours / 24:.0f}d"


def _every(hours: float | None) -> str:
    return "no schedule" if hours is None else span(timedelta(hours=hours))


def _kept(days: float | None) -> str:
    return "until deleted" if days is None else f"{days:.0f}d"
