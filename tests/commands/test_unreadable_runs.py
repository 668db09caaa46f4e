"""One journal that cannot be read is named, with the command that sets it aside; it hides no other run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from lifeboat.commands import recover
from lifeboat.errors import IntegrityFailure, NothingFits, Refused
from lifeboat.model import EventKind, RunId
from lifeboat.stack import open_recoveries

from tests.conftest import RunningCloud
from tests.plain_sites import PlainSite, Told, plain_site

WELL, OPEN = "20260301T030000Z-recover-aaaaaa", "20260302T030000Z-recover-bbbbbb"
INTENT = (EventKind.INTENT, "instance", {})


@pytest.fixture
def plain(cloud: RunningCloud, tmp_path: Path) -> PlainSite:
    """A site with a recovery that ended and an open one."""
    made = plain_site(cloud, tmp_path)
    made.run(WELL, INTENT, (EventKind.ENDED, "", {}))
    made.run(OPEN, INTENT)
    return made


def of_another_version(plain: PlainSite) -> None:
    key = f"runs/{OPEN}/000002.json"
    body = plain.cloud.client("s3").get_object(Bucket=plain.bucket, Key=key)["Body"].read()
    plain.put(key, body.replace(b'"intent"', b'"paused"'))


def without_its_first_line(plain: PlainSite) -> None:
    plain.delete(f"runs/{OPEN}/000001.json")


BOTH = pytest.mark.parametrize(
    ("damage", "why"),
    [
        (of_another_version, f"runs/{OPEN}/000002.json: 'paused' is not a valid EventKind"),
        (without_its_first_line, "lacks lines"),
    ],
)


@BOTH
def test_runs_shows_it_among_the_others_and_says_why(
    plain: PlainSite, damage: Callable[[PlainSite], None], why: str
) -> None:
    damage(plain)

    rows = recover.runs(plain.site(), 10)

    assert [(row.run, row.state.name) for row in rows] == [(OPEN, "UNREADABLE"), (WELL, "ENDED")]
    assert why in rows[0].text
    assert f"{rows[0].began:%Y-%m-%dT%H:%M:%SZ}" == "2026-03-02T03:00:00Z"


@BOTH
def test_a_recovery_is_refused_with_its_name_and_what_sets_it_aside(
    plain: PlainSite, damage: Callable[[PlainSite], None], why: str
) -> None:
    damage(plain)

    with pytest.raises(IntegrityFailure) as refused:
        open_recoveries.runs(plain.site())

    assert OPEN in refused.value.summary
    assert why in refused.value.summary
    assert f"lifeboat abort {OPEN} --unreadable sets it aside" in refused.value.hint


@BOTH
def test_set_aside_it_stands_in_nobodys_way(plain: PlainSite, damage: Callable[[PlainSite], None], why: str) -> None:
    damage(plain)

    told = recover.set_aside(plain.site(), Told(), RunId(OPEN))

    assert told[0].startswith(f"{OPEN} is set aside")
    assert why in told[0]
    assert f"Values={plain.application} " in told[1]
    assert open_recoveries.runs(plain.site()) == []
    assert [row.state.name for row in recover.runs(plain.site(), 10)] == ["UNREADABLE", "ENDED"]


def test_what_can_be_read_is_not_set_aside(plain: PlainSite) -> None:
    with pytest.raises(Refused, match=f"the journal of {OPEN} can be read"):
        recover.set_aside(plain.site(), Told(), RunId(OPEN))
    with pytest.raises(NothingFits, match="there is no run 20260303T030000Z-recover-cccccc"):
        recover.set_aside(plain.site(), Told(), RunId("20260303T030000Z-recover-cccccc"))

    assert open_recoveries.runs(plain.site()) == [OPEN]
