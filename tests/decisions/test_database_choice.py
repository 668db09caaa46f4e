"""Which copy of the database is restored, what it costs, and why the others lose."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.database_model import (
    LATEST_DUMP,
    PointKind,
    Proof,
    RecoveryPoint,
    RecoveryPointId,
    RestoreRate,
    Served,
    Unseen,
    Verdict,
    WantedCopy,
)
from lifeboat.decisions.database_choice import (
    Choosing,
    candidate,
    choose,
    hidden,
    is_from_after,
    lost,
    nothing,
    predicted,
    require,
    require_reached,
    require_time,
)
from lifeboat.errors import NothingFits, WrongConfiguration

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KEY = "arn:aws:kms:eu-west-1:123456789012:key/database"
UNKNOWN = RestoreRate()


def ago(**length: float) -> datetime:
    return NOW - timedelta(**length)


def window(**changed: Any) -> RecoveryPoint:
    known: dict[str, Any] = {
        "id": RecoveryPointId("ab-2"),
        "kind": PointKind.POINT_IN_TIME,
        "database": "app-g2",
        "region": "eu-west-1",
        "taken_at": ago(minutes=5),
        "earliest": ago(days=2),
        "status": "available",
        "size": 20 * 1024**3,
        "source": "app-g2",
        "key": KEY,
    }
    return RecoveryPoint(**{**known, **changed})


def snapshot(**changed: Any) -> RecoveryPoint:
    known = {"id": "rds:app-g2-daily", "kind": PointKind.AUTOMATED_SNAPSHOT, "taken_at": ago(hours=9), "earliest": None}
    return window(**{**known, **changed})


def served(switched: datetime) -> tuple[Served, ...]:
    """Return that the second generation took over from the first within ten minutes."""
    since = switched + timedelta(minutes=10)
    return (
        Served(instance="app-g1", since=datetime.min.replace(tzinfo=UTC), until=switched),
        Served(instance="app-g2", since=since),
    )


def wanted(**changed: Any) -> WantedCopy:
    known: dict[str, Any] = {
        "serving": "app-g2",
        "served": served(ago(days=2)),
        "database": "app",
        "region": "eu-west-1",
        "key": KEY,
        "failed_at": NOW,
    }
    return WantedCopy(**{**known, **changed})


def dump(**changed: Any) -> RecoveryPoint:
    known = {
        "id": RecoveryPointId("20260301T100000Z-3f9a1c"),
        "kind": PointKind.DUMP,
        "database": "app",
        "taken_at": ago(hours=2),
        "earliest": None,
        "size": 33 * 10**7,
        "source": "s3://dumps/x/app/20260301T100000Z-3f9a1c/",
        "key": "arn:aws:kms:eu-west-1:123456789012:key/dumps",
    }
    return window(**{**known, **changed})


DUMP = RecoveryPointId("20260301T100000Z-3f9a1c")
OLDER = window(id="ab-1", source="app-g1", database="app-g1", taken_at=ago(minutes=1), earliest=ago(days=9))


@pytest.mark.parametrize(
    ("points", "asked", "chosen", "why"),
    [
        ([window(), snapshot()], wanted(), "ab-2", "of all copies of RDS it loses least: 5m"),
        ([window(taken_at=NOW)], wanted(), "ab-2", "nothing is lost with it"),
        # The older generation's window is newer, and holds nothing of what the application wrote since.
        ([window(), OLDER], wanted(), "ab-2", "of all copies of RDS it loses least: 5m"),
        ([window(), OLDER], wanted(to=ago(days=1)), "ab-2", "its window holds 2026-02-28T12:00:00Z"),
        ([window(), OLDER], wanted(to=ago(days=3)), "ab-1", "its window holds 2026-02-26T12:00:00Z"),
        (
            [window(earliest=ago(hours=1)), OLDER],
            wanted(to=ago(days=1)),
            None,
            "no window that reaches 2026-02-28T12:00:00Z can be taken: ab-1: it is of app-g1, and app-g2 served at"
            " 2026-02-28T12:00:00Z; --from takes it",
        ),
        ([window(earliest=ago(hours=1))], wanted(to=ago(days=1)), None, "is outside every window"),
        ([window(), OLDER], wanted(to=ago(days=1), named="ab-1"), "ab-1", "it was asked for"),
        (
            [window(taken_at=NOW)],
            wanted(failed_at=ago(hours=2)),
            "ab-2",
            "nothing is lost with it, and it holds what was done in the 2h after the failure",
        ),
        ([window(), snapshot()], wanted(named="rds:app-g2-daily"), "rds:app-g2-daily", "it was asked for"),
        ([window(), OLDER], wanted(named="ab-1"), "ab-1", "it was asked for"),
        ([window(status="a copy of eu-west-1's backups"), snapshot()], wanted(), "rds:app-g2-daily", "loses least: 9h"),
        ([snapshot()], wanted(to=ago(hours=8)), None, "is outside every window: there is none"),
        ([], wanted(), None, "there is no copy of app-g2"),
        ([snapshot(status="creating")], wanted(), None, "no copy of app-g2 can be restored"),
        ([snapshot(key=None)], wanted(named="rds:app-g2-daily"), None, "it is encrypted with no key"),
    ],
)
def test_the_copy_with_the_least_loss_is_taken_and_nothing_where_none_fits(
    points: list[RecoveryPoint], asked: WantedCopy, chosen: str | None, why: str
) -> None:
    found = choose(points, asked, UNKNOWN)

    assert (None if found.choice.chosen is None else found.choice.chosen.point.id) == chosen
    assert why in found.choice.why


@pytest.mark.parametrize(
    ("point", "asked", "why"),
    [
        (snapshot(status="creating"), wanted(), "its status is creating"),
        (
            window(kind=PointKind.BACKUP_POINT, id=RecoveryPointId("continuous:db-1")),
            wanted(),
            "only AWS Backup restores it: aws backup start-restore-job",
        ),
        (
            snapshot(id="awsbackup:job-1", kind=PointKind.BACKUP_POINT, doubts=("its last restore test failed",)),
            wanted(),
            "its last restore test failed; --from with --accept-flagged takes it",
        ),
        (
            window(region="eu-central-1"),
            wanted(),
            "it lies in eu-central-1, and the application runs in eu-west-1",
        ),
        (
            window(key="arn:other"),
            wanted(),
            "it is encrypted with arn:other: Terraform could not adopt what is restored from it",
        ),
        (OLDER, wanted(), "it is of app-g1, which does not serve any more; --to or --from takes it"),
        (
            OLDER,
            wanted(to=ago(hours=1)),
            "it is of app-g1, and app-g2 served at 2026-03-01T11:00:00Z; --from takes it",
        ),
        (
            OLDER,
            wanted(to=ago(days=2)),
            "nobody knows whether app-g1 served at 2026-02-27T12:00:00Z; --from takes it",
        ),
        (
            window(earliest=ago(days=3)),
            wanted(to=ago(days=2, hours=1)),
            "it is of app-g2, and app-g1 served at 2026-02-27T11:00:00Z; --from takes it",
        ),
        (
            window(),
            wanted(to=ago(hours=1), served=()),
            "nobody knows whether app-g2 served at 2026-03-01T11:00:00Z; --from takes it",
        ),
        (window(), wanted(to=ago(minutes=4)), "its window ends at 2026-03-01T11:55:00Z"),
        (
            window(earliest=ago(days=1)),
            wanted(to=ago(days=1, hours=1)),
            "its window begins at 2026-02-28T12:00:00Z",
        ),
        (
            snapshot(),
            wanted(to=ago(hours=9)),
            "it holds one moment only, and another one was asked for; --from takes it",
        ),
        (
            snapshot(),
            wanted(to=ago(hours=10), named="rds:app-g2-daily"),
            "it was taken after 2026-03-01T02:00:00Z",
        ),
    ],
)
def test_a_copy_that_does_not_fit_is_told_why(point: RecoveryPoint, asked: WantedCopy, why: str) -> None:
    found = choose([point], asked, UNKNOWN)

    assert found.choice.chosen is None
    assert found.others == ((point, why),)


@pytest.mark.parametrize(
    ("points", "asked", "chosen", "why"),
    [
        # Roles and settings come with a copy of RDS only: it counts for more than an hour of data, and the plan says so.
        ([snapshot(), dump()], wanted(), "rds:app-g2-daily", "of all copies of RDS it loses least: 9h"),
        (
            [snapshot(key=None), dump()],
            wanted(),
            DUMP,
            "RDS has no copy that fits, and of all dumps it loses least: 2h",
        ),
        ([snapshot(), dump()], wanted(named=DUMP), DUMP, "it was asked for"),
        ([snapshot(), dump()], wanted(named=LATEST_DUMP), DUMP, "it is the newest dump that nothing speaks against"),
        (
            [dump(doubts=("its verification failed",)), dump(id="20260301T080000Z-000000", taken_at=ago(hours=4))],
            wanted(named=LATEST_DUMP),
            "20260301T080000Z-000000",
            "it is the newest dump that nothing speaks against; newer ones were passed over: 20260301T100000Z-3f9a1c (its"
            " verification failed; --from with --accept-flagged takes it)",
        ),
        (
            [dump(), dump(id="20260301T080000Z-000000", taken_at=ago(hours=4), doubts=("its verification failed",))],
            wanted(),
            DUMP,
            "RDS has no copy that fits, and of all dumps it loses least: 2h",
        ),
        (
            [
                dump(id="20260301T080000Z-000000", taken_at=ago(hours=4)),
                dump(id="20260301T090000Z-000000", taken_at=ago(hours=3), doubts=("it is smaller",)),
                dump(status="incomplete"),
            ],
            wanted(),
            "20260301T080000Z-000000",
            "RDS has no copy that fits, and of all dumps it loses least: 4h; newer ones were passed over:"
            " 20260301T100000Z-3f9a1c (its status is incomplete), 20260301T090000Z-000000 (it is smaller; --from with"
            " --accept-flagged takes it)",
        ),
        # What it holds is known by its date alone, and that is after what was declared.
        (
            [dump()],
            wanted(failed_at=ago(hours=4)),
            DUMP,
            "RDS has no copy that fits, and of all dumps it loses least: nothing by its date, and what was done in the 2h"
            " after the failure is in it",
        ),
        ([dump(doubts=("its verification failed",))], wanted(named=DUMP, accepted=True), DUMP, "it was asked for"),
        # It does not say which generation it is of.
        ([dump()], wanted(served=served(ago(hours=1)), named=DUMP), DUMP, "it was asked for"),
        ([dump()], wanted(served=(), named=DUMP), DUMP, "it was asked for"),
        # Between an attempt that was given up and now it served as it did before.
        (
            [dump()],
            wanted(
                served=(
                    Served(instance="app-g2", since=ago(hours=9), until=ago(hours=1)),
                    Served(instance="app-g2", since=ago(minutes=50)),
                ),
                named=LATEST_DUMP,
            ),
            DUMP,
            "it is the newest dump that nothing speaks against",
        ),
        # Of whichever generation served at the moment that is asked for.
        (
            [dump()],
            wanted(served=served(ago(hours=1)), to=ago(hours=1, minutes=30), named=LATEST_DUMP),
            DUMP,
            "it is the newest dump that nothing speaks against",
        ),
        ([dump(taken_at=ago(hours=3))], wanted(to=ago(hours=2), named=DUMP), DUMP, "it was asked for"),
        ([dump(doubts=("its verification failed",))], wanted(), None, "no copy of app-g2 can be restored"),
        (
            [dump(doubts=("its verification failed",))],
            wanted(named=LATEST_DUMP),
            None,
            "the newest dump cannot be restored: its verification failed; --from with --accept-flagged takes it",
        ),
        # A newer one of another database is no reason.
        (
            [dump(doubts=("its verification failed",)), dump(database="other", taken_at=ago(hours=1))],
            wanted(named=LATEST_DUMP),
            None,
            "the newest dump cannot be restored: its verification failed; --from with --accept-flagged takes it",
        ),
        (
            [dump(database="other")],
            wanted(named=LATEST_DUMP),
            None,
            "the newest dump cannot be restored: it is of the database other, and the application uses app",
        ),
    ],
)
def test_a_dump_is_taken_where_it_is_named_or_rds_has_nothing_left(
    points: list[RecoveryPoint], asked: WantedCopy, chosen: str | None, why: str
) -> None:
    found = choose(points, asked, UNKNOWN)

    assert (None if found.choice.chosen is None else found.choice.chosen.point.id) == chosen
    assert why in found.choice.why


@pytest.mark.parametrize(
    ("point", "asked", "why"),
    [
        (dump(status="incomplete"), wanted(), "its status is incomplete"),
        (dump(database="other"), wanted(), "it is of the database other, and the application uses app"),
        (
            dump(doubts=("its verification failed",)),
            wanted(named=DUMP),
            "its verification failed; --from with --accept-flagged takes it",
        ),
        (dump(), wanted(to=ago(hours=1)), "it holds one moment only, and another one was asked for; --from takes it"),
        (dump(), wanted(to=ago(hours=3), named=DUMP), "it was taken after 2026-03-01T09:00:00Z"),
        (
            dump(),
            wanted(served=served(ago(hours=1))),
            "it was taken before app-g2 served, since 2026-03-01T11:10:00Z; --from with its id takes it",
        ),
        # Of the first generation: the second one was there, and did not serve yet.
        (
            dump(taken_at=ago(minutes=55)),
            wanted(served=served(ago(hours=1))),
            "it was taken before app-g2 served, since 2026-03-01T11:10:00Z; --from with its id takes it",
        ),
        (
            dump(),
            wanted(served=served(ago(hours=1))[:1]),
            "nobody knows since when app-g2 serves, and so of which generation it is; --from with its id takes it",
        ),
        (
            dump(),
            wanted(served=served(ago(hours=1)), to=ago(minutes=55), named=LATEST_DUMP),
            "nobody knows which one served at 2026-03-01T11:05:00Z, and so of which generation it is; --from with its id"
            " takes it",
        ),
        (window(), wanted(named=LATEST_DUMP), "the newest dump was asked for"),
    ],
)
def test_a_dump_that_does_not_fit_is_told_why(point: RecoveryPoint, asked: WantedCopy, why: str) -> None:
    other = dump(id="20260228T100000Z-ffffff", status="incomplete", taken_at=ago(days=1))

    found = choose([point, other], asked, UNKNOWN)

    assert found.choice.chosen is None
    assert (point, why) in found.others


def test_the_dump_of_both_regions_is_read_from_the_nearer_one() -> None:
    near, far = dump(), dump(region="eu-central-1")

    found = choose([far, near], wanted(named=DUMP), UNKNOWN)

    assert found.choice.chosen is not None
    assert (found.choice.chosen.point, found.others) == (near, ((far, "the same dump in eu-west-1 is taken"),))


def test_a_newer_dump_is_told_with_what_it_would_save() -> None:
    found = choose([snapshot(), dump()], wanted(), UNKNOWN)

    assert found.others == (
        (dump(), "7h less would be lost with it, and no dump holds roles and settings; --from takes it"),
    )


def test_of_many_newer_dumps_that_were_passed_over_a_few_are_named_and_the_rest_counted() -> None:
    names = [f"20260301T1{n}0000Z-000000" for n in range(5)]
    newer = [
        dump(id=name, taken_at=ago(hours=1, minutes=-n), doubts=("it failed",), region=region)
        for n, name in enumerate(names)
        for region in ("eu-west-1", "eu-central-1")
    ]

    found = choose([dump(), *newer], wanted(named=LATEST_DUMP), UNKNOWN)

    assert [name for name in names if name in found.choice.why] == names[2:]
    assert found.choice.why.endswith(", 2 more")


@pytest.mark.parametrize(
    ("point", "failed_at", "loss", "words"),
    [
        (dump(), NOW, timedelta(hours=2), "2h"),
        (dump(), ago(hours=2), timedelta(0), "nothing"),
        (
            dump(),
            ago(hours=5),
            timedelta(0),
            "nothing by its date, and what was done in the 3h after the failure is in it",
        ),
        (snapshot(), ago(hours=12), timedelta(0), "nothing, and what was done in the 3h after the failure is in it"),
    ],
)
def test_of_a_copy_from_after_the_failure_it_is_told_what_is_in_it(
    point: RecoveryPoint, failed_at: datetime, loss: timedelta, words: str
) -> None:
    found = candidate(point, wanted(failed_at=failed_at), UNKNOWN)

    assert found.loss == loss
    assert found.to == failed_at - found.loss + found.after
    assert lost(found) == words


SINCE = "app-g1 has not served since 2026-03-01T11:30:00Z: what was written to the generation that took over, app-g2 last, is"


@pytest.mark.parametrize(
    ("point", "asked", "loss", "words"),
    [
        # Its instance is there, and RDS keeps its window: the application has written to the other one for half an hour.
        (OLDER, wanted(served=served(ago(minutes=30))), timedelta(minutes=30), f"{SINCE} not in it"),
        (
            OLDER,
            wanted(served=served(ago(minutes=30)), failed_at=ago(minutes=40)),
            timedelta(0),
            f"{SINCE} not in it",
        ),
        (OLDER, wanted(served=served(ago(minutes=30)), to=ago(hours=2)), timedelta(hours=2), ""),
        (
            OLDER,
            wanted(served=()),
            None,
            "app-g1 does not serve, and nobody knows whether and until when it had served by 2026-03-01T11:59:00Z",
        ),
        (window(), wanted(served=()), timedelta(minutes=5), ""),
        (snapshot(), wanted(served=served(ago(minutes=30))), timedelta(hours=9), ""),
        (dump(), wanted(served=()), timedelta(hours=2), ""),
        (
            snapshot(kind=PointKind.BACKUP_POINT, database="dumps", source="arn:aws:s3:::dumps"),
            wanted(served=()),
            timedelta(hours=9),
            "",
        ),
    ],
)
def test_of_a_generation_that_serves_no_more_what_was_written_since_is_lost_too(
    point: RecoveryPoint, asked: WantedCopy, loss: timedelta | None, words: str
) -> None:
    found = candidate(point, asked, UNKNOWN)

    assert (found.loss, found.warning) == (loss, words)
    assert (lost(found) == "unknown") is (loss is None)


def test_a_copy_of_which_nobody_knows_the_loss_comes_after_every_other_one() -> None:
    older = replace(OLDER, id=RecoveryPointId("ab-2"))

    found = choose([older, window()], wanted(served=(), named="ab-2"), UNKNOWN)

    assert found.choice.chosen is not None
    assert found.choice.chosen.point == window()
    assert [why for _, why in found.others] == ["nobody knows how much is lost with it; ab-2 loses 5m"]


@pytest.mark.parametrize(
    ("points", "declared", "changed", "refused"),
    [
        ([window()], ago(hours=1), {}, False),
        ([window()], ago(days=3), {}, True),
        ([window(), dump(taken_at=ago(days=1))], ago(days=3), {}, True),
        # A copy from before it is there: which one is taken, and what is in it, is another question.
        ([window(), snapshot(taken_at=ago(days=4))], ago(days=3), {}, False),
        ([window()], ago(days=3), {"named": "ab-2"}, False),
        ([window()], ago(days=3), {"to": ago(hours=1)}, False),
        ([window()], None, {}, False),
        ([], ago(days=3), {}, False),
    ],
)
def test_a_failure_from_before_every_copy_is_told(
    points: list[RecoveryPoint], declared: datetime | None, changed: dict[str, Any], *, refused: bool
) -> None:
    asked = wanted(**changed)

    if not refused:
        require_reached(points, asked, declared)
        return
    with pytest.raises(NothingFits, match="no copy is from before the failure at 2026-02-26T12:00:00Z: the oldest"):
        require_reached(points, asked, declared)


def test_where_a_restore_was_cut_off_it_is_told_why_nothing_was_measured() -> None:
    assert predicted(window(), RestoreRate(cut_off="it was cut off")) == (None, "it was cut off")


def test_the_latest_moment_of_a_window_is_named_as_a_whole_second() -> None:
    found = candidate(window(taken_at=NOW - timedelta(seconds=0.4)), wanted(), UNKNOWN)

    assert found.to == NOW - timedelta(seconds=1)
    assert found.loss == timedelta(seconds=1)


def unseen(call: str, region: str = "eu-west-1") -> Unseen:
    return Unseen(what="copies", region=region, call=call, why="AccessDenied")


WINDOWS = unseen("rds:DescribeDBInstanceAutomatedBackups")
DUMPS = unseen("s3:ListBucketVersions", "eu-central-1")
KEYS = unseen("s3:GetEncryptionConfiguration")
ELSEWHERE = unseen("rds:DescribeDBSnapshots", "eu-central-1")


@pytest.mark.parametrize(
    ("points", "asked", "hides"),
    [
        # A window may be there that loses less; a dump would not be taken before what RDS has.
        ([snapshot()], wanted(), (WINDOWS,)),
        ([dump()], wanted(), (WINDOWS, DUMPS)),
        ([], wanted(), (WINDOWS, DUMPS)),
        ([dump()], wanted(named=LATEST_DUMP), (DUMPS,)),
        ([snapshot(), dump()], wanted(named=DUMP), ()),
        ([window()], wanted(to=ago(days=1)), ()),
        ([window()], wanted(to=ago(days=9)), (WINDOWS, DUMPS)),
        ([], wanted(named="rds:other"), (WINDOWS,)),
        ([], wanted(named=DUMP), (DUMPS,)),
    ],
)
def test_what_nobody_could_look_at_and_might_be_taken_instead_is_told(
    points: list[RecoveryPoint], asked: WantedCopy, hides: tuple[Unseen, ...]
) -> None:
    none = Choosing(choice=nothing("nothing was seen"), others=())
    found = choose(points, asked, UNKNOWN) if points else none

    assert hidden([WINDOWS, DUMPS, KEYS, ELSEWHERE], found, asked) == hides


def test_a_time_outside_the_window_is_refused_with_the_window_and_the_nearest_moment() -> None:
    points, asked = [window(), OLDER], wanted(to=ago(days=30))
    found = choose(points, asked, UNKNOWN)

    with pytest.raises(NothingFits) as refused:
        require(found, points, asked, env="production")

    assert refused.value.exit_status == 6
    assert refused.value.summary == (
        "2026-01-30T12:00:00Z is outside every window: app-g1 can be restored to any second from 2026-02-20T12:00:00Z to"
        " 2026-03-01T11:59:00Z; app-g2 can be restored to any second from 2026-02-27T12:00:00Z to 2026-03-01T11:55:00Z"
    )
    assert refused.value.hint.startswith(
        "lifeboat recover --scope database --to 2026-02-20T12:00:00Z -e production (later than was asked: what was done"
        " until then is in it), or"
    )


def test_a_copy_that_there_is_none_of_is_refused() -> None:
    with pytest.raises(NothingFits, match="there is no copy rds:other"):
        choose([window()], wanted(named="rds:other"), UNKNOWN)


def test_a_moment_that_is_to_come_is_refused_before_anything_is_asked() -> None:
    require_time(None, now=NOW)
    require_time(NOW, now=NOW)

    with pytest.raises(WrongConfiguration, match="--to 2026-03-01T12:00:01Z is in the future"):
        require_time(NOW + timedelta(seconds=1), now=NOW)


def test_of_two_that_lose_the_same_the_proven_one_is_taken() -> None:
    proof = Proof(level=3, at=NOW, verdict=Verdict.PASSED)
    plain, proven = snapshot(id="a"), snapshot(id="b", proven=proof)

    found = choose([plain, proven], wanted(), UNKNOWN).choice

    assert found.chosen is not None
    assert (found.chosen.point, [(one.what.point, one.why) for one in found.rejected]) == (
        proven,
        [(plain, "b loses no more")],
    )


@pytest.mark.parametrize(
    ("rate", "takes", "why"),
    [
        (RestoreRate(), None, "no restore of this environment was measured yet"),
        (
            RestoreRate(whole=timedelta(minutes=9)),
            timedelta(minutes=9),
            "the median of this environment's own restores",
        ),
        (
            RestoreRate(whole=timedelta(minutes=9), bytes_per_second=20 * 1024**3 / 60),
            timedelta(minutes=1),
            "its storage over 358 MB/s, measured in restores of this environment",
        ),
    ],
)
def test_how_long_it_takes_is_told_with_how_that_is_known(rate: RestoreRate, takes: timedelta | None, why: str) -> None:
    assert predicted(window(), rate) == (takes, why)


@pytest.mark.parametrize(
    ("rate", "seconds", "why"),
    [
        (
            RestoreRate(),
            18.7,
            "its stored bytes over 18 MB/s, measured with 1 GB on two cores; the making of the instance comes on top",
        ),
        (
            RestoreRate(whole=timedelta(minutes=9), bytes_per_second=1e9, of_dumps=3.3e6),
            100,
            "its stored bytes over 3 MB/s, measured in restores of dumps of this environment, the making of the instance"
            " included",
        ),
    ],
)
def test_of_a_dump_the_stored_bytes_count(rate: RestoreRate, seconds: float, why: str) -> None:
    assert predicted(dump(), rate) == (timedelta(seconds=seconds), why)


POINTS = st.builds(
    window,
    id=st.integers(0, 50).map(lambda n: RecoveryPointId(f"ab-{n}")),
    kind=st.sampled_from(PointKind),
    region=st.sampled_from(["eu-west-1", "eu-central-1"]),
    taken_at=st.integers(0, 10_000).map(lambda minutes: ago(minutes=minutes)),
    earliest=st.integers(10_001, 20_000).map(lambda minutes: ago(minutes=minutes)),
    status=st.sampled_from(["available", "creating", "completed"]),
    database=st.sampled_from(["app-g1", "app-g2", "app-g3", "app"]),
    key=st.sampled_from([KEY, None]),
)
MOMENTS = st.none() | st.integers(0, 30_000).map(lambda minutes: ago(minutes=minutes))


# The first generation, until the second is switched to, and the third, which serves: each switch takes some minutes.
SWITCHES = st.tuples(st.integers(3000, 20_000), st.integers(0, 2900), st.integers(0, 60))


def thirds(switches: tuple[int, int, int]) -> tuple[Served, ...]:
    second, third, takes = (timedelta(minutes=minutes) for minutes in switches)
    return (
        Served(instance="app-g1", since=datetime.min.replace(tzinfo=UTC), until=NOW - second),
        Served(instance="app-g2", since=NOW - second + takes, until=NOW - third),
        Served(instance="app-g3", since=NOW - third + takes),
    )


@given(points=st.lists(POINTS, unique_by=lambda point: point.id), to=MOMENTS, switches=SWITCHES)
def test_every_copy_is_taken_or_told_why_not_and_what_is_taken_is_of_the_generation_that_served_then(
    points: list[RecoveryPoint], to: datetime | None, switches: tuple[int, int, int]
) -> None:
    known = thirds(switches)
    found = choose(points, wanted(to=to, serving="app-g3", served=known), UNKNOWN)

    best = found.choice.chosen
    told = [point.id for point, why in found.others if why]
    assert sorted([*told, *([] if best is None else [best.point.id])]) == sorted(point.id for point in points)
    if best is None:
        return
    assert best.point.status in ("available", "completed")
    if best.point.kind is PointKind.DUMP:
        assert (to, best.point.database) == (None, "app")
        assert best.point.taken_at >= known[2].since
        return
    assert (best.point.region, best.point.key) == ("eu-west-1", KEY)
    if to is None:
        assert best.point.database == "app-g3"
    else:
        assert best.to == to
        assert best.point.earliest is not None
        assert best.point.earliest <= to <= best.point.taken_at
        (then,) = [one for one in known if one.since <= to and (one.until is None or to < one.until)]
        assert then.instance == best.point.database


WINDOWS_ONLY = st.lists(POINTS.filter(lambda p: p.kind is PointKind.POINT_IN_TIME), unique_by=lambda point: point.id)


@given(points=WINDOWS_ONLY, to=MOMENTS.filter(lambda to: to is not None), switches=SWITCHES)
def test_the_moment_that_a_refusal_proposes_is_taken_and_no_later_one_where_there_is_an_earlier_one(
    points: list[RecoveryPoint], to: datetime, switches: tuple[int, int, int]
) -> None:
    asked = wanted(to=to, serving="app-g3", served=thirds(switches))
    found = choose(points, asked, UNKNOWN)
    if found.choice.chosen is not None:
        return

    with pytest.raises(NothingFits) as refused:
        require(found, points, asked, env="x")

    proposed = re.search(r"--to (\S+) -e x", refused.value.hint)
    before = [
        minute
        for minute in range(0, 30_000, 60)
        if ago(minutes=minute) <= to
        and choose(points, replace(asked, to=ago(minutes=minute)), UNKNOWN).choice.chosen is not None
    ]
    if proposed is None:
        assert before == []
        return
    moment = datetime.fromisoformat(proposed[1])
    assert choose(points, replace(asked, to=moment), UNKNOWN).choice.chosen is not None
    assert all(ago(minutes=minute) <= moment <= to for minute in before)


@pytest.mark.parametrize(
    ("asked", "declared", "after"),
    [
        (wanted(), ago(hours=2), True),
        (wanted(), ago(minutes=1), False),
        # Nobody said when it failed: what lifeboat saw last is no word of the data.
        (wanted(), None, False),
        (wanted(to=ago(hours=1)), ago(hours=2), False),
        (wanted(named="ab-2"), ago(hours=2), False),
    ],
)
def test_a_copy_from_after_the_declared_failure_is_one_that_whoever_asks_must_know_of(
    asked: WantedCopy, declared: datetime | None, after: bool
) -> None:
    assert is_from_after(ago(minutes=5), asked, declared) is after
