"""Whether a restored database that no state knows may go."""

from __future__ import annotations

from typing import Any

import pytest
from lifeboat.decisions.giving_up import Unrecorded, stays, why_not

LEADS = "the application's secret leads to app-g2, which Terraform's state does not know"
OFF = "app-g2 does not bear the mark of this recovery any more, and Terraform's state does not know it"
WRITTEN = "app-g2 stays, for the application's secret leads to it: what was written to it is nowhere else"
STRANGE = "app-g2 stays, for it does not bear the mark of this recovery"


@pytest.mark.parametrize(
    ("changed", "why", "kept"),
    [
        ({}, None, None),
        ({"adopting": True}, None, None),
        ({"address": None, "seen": False}, None, None),
        ({"leads_to": "10.0.0.2"}, LEADS, WRITTEN),
        ({"leads_to": "10.0.0.2", "marked": False}, LEADS, WRITTEN),
        ({"marked": False}, OFF, STRANGE),
        ({"marked": False, "seen": False, "adopting": True}, OFF, STRANGE),
        ({"marked": False, "seen": False}, None, STRANGE),  # somebody else's: no reason to go on
        # Nothing can go on with it, so it is given up; what was written to it is kept.
        ({"broken": True, "leads_to": "10.0.0.2"}, None, WRITTEN),
        ({"broken": True, "marked": False}, None, STRANGE),
        ({"broken": True}, None, None),
    ],
)
def test_what_an_adoption_that_was_cut_off_may_have_led_to_neither_goes_nor_is_given_up(
    changed: dict[str, Any], why: str | None, kept: str | None
) -> None:
    known: dict[str, Any] = {
        "identifier": "app-g2",
        "address": "10.0.0.2",
        "marked": True,
        "seen": True,
        "adopting": False,
        "broken": False,
        "leads_to": "10.0.0.1",
    }

    found = Unrecorded(**{**known, **changed})

    assert (why_not(found), stays(found)) == (why, kept)
