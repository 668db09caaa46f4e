"""Times in the answers of AWS are what botocore's own parser makes of them, in whatever way a service writes them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from botocore.utils import parse_timestamp
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.clients.sdk import moment
from lifeboat.config import load
from lifeboat.site import Site

from tests.gitlab_sites import ACCOUNT, REGION
from tests.listing_server import listing_server
from tests.long.test_many_copies import NAME, checkout, copies

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
    [
        1772334000,
        1772334000.25,
        "1772334000",
        "2026-03-01T03:00:00+02:00",
        "20260301T030000Z",
        "2026-03-01T03:00Z",
        "01 Jan 70 00:00:00 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Thu, 01 Jan 2026 00:01:00 PM GMT",
        "Thu, 1 Jan 2026 00:01:00 GMT",
    ],
)
def test_written_otherwise(value: object) -> None:
    assert moment(value) == parse_timestamp(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "someday GMT",
        "2026-13-01T03:00:00Z",
        "2026-W01-1T03:00:00Z",
        "Thu, 99 Jan 2026 00:01:00 GMT",
        "Thu, 01 Jan 2026 00.01.00 GMT",
        "Thu, 01 Jan 2026 00:01:00 +0200 GMT",
    ],
)
def test_what_is_no_time_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="nvalid timestamp"):
        moment(value)


def test_every_client_of_an_environment_reads_them_so(tmp_path: Path) -> None:
    with listing_server(replace(copies(), dumps=1, snapshots=1, points=1)) as url:
        s3 = Site(load(checkout(tmp_path, url), "x"), {}).client("s3", REGION)
        (page,) = s3.get_paginator("list_object_versions").paginate(
            Bucket=f"{NAME}-dumps-{ACCOUNT}-{REGION}", Prefix="dumps/"
        )

    assert page["Versions"]
    assert {version["LastModified"].tzinfo for version in page["Versions"]} == {UTC}  # botocore's own is dateutil's
