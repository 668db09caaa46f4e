"""`lifeboat status --watch`: looked at anew each time, shown in between, and ended by the operator alone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from lifeboat import config
from lifeboat.commands import status
from lifeboat.site import Site
from lifeboat.status_model import Status

from tests.listing_server import listing_server
from tests.long.test_many_copies import checkout
from tests.status.test_pages import FEW


def test_it_looks_again_when_the_time_is_over_and_counts_down_until_then(tmp_path: Path) -> None:
    shown: list[tuple[Status, str]] = []
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 5:
            raise KeyboardInterrupt

    with listing_server(FEW) as url:
        site = Site(config.load(checkout(tmp_path, url), "x"), {})
        with pytest.raises(KeyboardInterrupt):
            status.watch(site, lambda found, below: shown.append((found, below)), timedelta(seconds=3), sleep)

    assert [below for _, below in shown] == [
        *(f"looked at again in {left} s; Ctrl-C ends it" for left in (3, 2, 1)),
        "looking ...",
        *(f"looked at again in {left} s; Ctrl-C ends it" for left in (3, 2)),
    ]
    first, second = shown[0][0], shown[-1][0]
    assert second.now > first.now
    assert slept == [1.0] * 5
