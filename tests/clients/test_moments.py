"""Times in the answers of AWS are what botocore's own parser makes of them, in whatever way a service writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from botocore.utils import parse_timestamp
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.clients.sdk import moment

MOMENTS = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2199, 1, 1), timezones=st.just(UTC))


@given(MOMENTS, st.sampled_from(["seconds", "milliseconds", "microseconds"]))
def test_of_xml_and_json(at: datetime, exact: str) -> None:
    text = at.isoformat(timespec=exact).replace("+00:00", "Z")

    assert moment(text) == parse_timestamp(text)
    assert moment(text).utcoffset() == timedelta(0)


@given(MOMENTS)
def test_of_headers(at: datetime) -> None:
    text = format_datetime(at, usegmt=True)

    assert moment(text) == parse_timestamp(text) == at.replace(microsecond=0)
    assert moment(text).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "value",
    [1772334000, 1772334000.25, "1772334000", "2026-03-01T03:00:00+02:00", "20260301T030000Z", "2026-03-01T03:00Z"],
)
def test_written_otherwise(value: object) -> None:
    assert moment(value) == parse_timestamp(value)


@pytest.mark.parametrize("value", ["", "soon", "2026-13-01T03:00:00Z", "Thu, 99 Jan 2026 00:01:00 GMT", "someday GMT"])
def test_what_is_no_time_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="nvalid timestamp"):
        moment(value)
