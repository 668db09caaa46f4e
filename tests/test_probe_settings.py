"""What [[dumps.probes]] may say, and what is said of mistakes in it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from lifeboat.database_model import Probe
from lifeboat.probe_config import ProbeSettings
from lifeboat.settings import mistakes
from pydantic import ValidationError

SQL = {"name": "orders of the last day", "sql": "SELECT count(*) FROM orders"}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"expect": 300}, {"expect": "300"}),
        ({"expect": True}, {"expect": "t"}),
        ({"expect": "EUR"}, {"expect": "EUR"}),
        ({"expect": 100, "tolerance_percent": 2.5}, {"expect": "100", "tolerance_percent": Decimal("2.5")}),
        ({"minimum": 0.1}, {"minimum": Decimal("0.1")}),
        ({"minimum": 1, "maximum": 2}, {"minimum": Decimal(1), "maximum": Decimal(2)}),
    ],
)
def test_a_probe_is_read_exactly(written: dict[str, object], meant: dict[str, object]) -> None:
    assert ProbeSettings.model_validate({**SQL, **written}).noun == Probe(**SQL, **meant)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({}, "write expect, or minimum, maximum or both"),
        ({"expect": 1, "minimum": 1}, "write expect, or minimum, maximum or both"),
        ({"minimum": 3, "maximum": 2}, "minimum is more than maximum"),
        ({"minimum": 3, "tolerance_percent": 2}, "tolerance_percent goes with expect"),
        ({"expect": "EUR", "tolerance_percent": 2}, "with tolerance_percent, expect must be a number"),
        ({"minimum": "3"}, "write a number, without quotes"),
        ({"minimum": float("nan")}, "write a number, without quotes"),
        ({"expect": 1, "name": " "}, "write a name of at most 80 characters"),
        ({"expect": 1, "sequel": "x"}, "is no setting that is known here"),
    ],
)
def test_a_mistake_is_said(written: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError) as raised:
        ProbeSettings.model_validate({**SQL, **written})

    assert said in mistakes(raised.value)[0]
