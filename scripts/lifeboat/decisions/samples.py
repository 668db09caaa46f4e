"""Which copies a verification looks at in this week, when it does not look at all of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

_WRITTEN = re.compile(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})")
_MONDAY = 4  # 1970-01-01 was a Thursday: the fourth day after it began the first whole ISO week
_DAY = 86_400
_Id = TypeVar("_Id", bound=str)


@dataclass(frozen=True, kw_only=True)
class Share:
    """`part` of `whole`: so many of the groups that all copies are divided into are looked at in a week."""

    part: int
    whole: int


def parsed(text: str) -> Share | None:
    """Return the share that a text such as 1/7 names; None when it names none."""
    found = _WRITTEN.fullmatch(text)
    if found is None or int(found[1]) > int(found[2]):
        return None
    return Share(part=int(found[1]), whole=int(found[2]))


def chosen(ids: Sequence[_Id], share: Share, now: datetime) -> list[_Id]:
    """Return the copies of this week's share, in their order.

    A copy's group follows from its id alone and the groups take turns by the ISO week, so the choice is the same on
    every machine, new copies move no old one to another group, and `whole` weeks in a row look at each of them.
    """
    week = (int(now.timestamp()) // _DAY - _MONDAY) // 7
    turn = {(week * share.part + n) % share.whole for n in range(share.part)}
    return [dump for dump in ids if _group(dump, share.whole) in turn]


def _group(dump: str, groups: int) -> int:
    return int.from_bytes(hashlib.sha256(dump.encode()).digest()[:8], "big") % groups
