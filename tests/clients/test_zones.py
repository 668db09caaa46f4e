"""Route 53's zones and records, and the change of one: provable, never twice, never over somebody else's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.clients.zones import Zones, plain
from lifeboat.errors import (
    LifeboatError,
    NothingFits,
    Refused,
    StoppedPartWay,
    Unreachable,
    WrongConfiguration,
)
from lifeboat.model import NameRecord, Zone, ZoneId
from localcloud.services.route53_rules import written
from localcloud.zone_answers import name_of

from tests.conftest import RunningCloud
from tests.localcloud import zones
from tests.localcloud.zones import alias, record

CHANGE = {"service": "route53", "operation": "ChangeResourceRecordSets"}


@pytest.fixture(scope="module")
def there(cloud: RunningCloud) -> zones.Names:
    return zones.Names(cloud)


@pytest.fixture(scope="module")
def ours(cloud: RunningCloud) -> Zones:
    return Zones(cloud.client("route53"))


@pytest.fixture(scope="module")
def zone(there: zones.Names) -> ZoneId:
    zone = there.zone("app.test")
    there.create(
        zone,
        record("app.test", "TXT", '"apex"'),
        record("one.app.test", "A", "10.0.0.2", "10.0.0.1", ttl=30),
        record("one.app.test", "AAAA", "2001:db8::1"),
        record("one.one.app.test", "A", "10.0.0.9"),
        record("*.app.test", "A", "10.0.0.3"),
        record("set.app.test", "A", "10.0.0.4", SetIdentifier="a", Weight=1),
        record("set.app.test", "A", "10.0.0.5", SetIdentifier="b", Weight=1),
        alias("alias.app.test", "A", zone, "one.app.test"),
    )
    return ZoneId(zone)


@pytest.fixture
def faults(cloud: RunningCloud) -> Iterator[Any]:
    def add(**rule: Any) -> None:
        cloud.control("faults", add=rule)

    yield add
    cloud.control("faults", clear=True)


def of(zone: ZoneId, name: str, *values: str, seconds: int = 60) -> NameRecord:
    return NameRecord(zone=zone, name=name, kind="A", ttl=timedelta(seconds=seconds), values=values)


def a_record(ours: Zones, zone: ZoneId, name: str) -> NameRecord | None:
    return next((r for r in ours.records(zone, name) if r.kind == "A"), None)


def trace(cloud: RunningCloud, operation: str) -> int:
    text = (cloud.directory / "logs" / "trace.jsonl").read_text()
    return text.count(f'"operation": "{operation}"')


# -- zones -------------------------------------------------------------------------------------------------------------


def test_the_zone_of_a_name_is_the_longest_that_holds_it(there: zones.Names, ours: Zones, zone: ZoneId) -> None:
    below = there.zone("below.app.test")
    there.zone("inner.below.app.test", HostedZoneConfig={"PrivateZone": True})

    assert ours.zone_of("One.app.test.").zone == zone
    assert ours.zone_of("x.inner.below.app.test").zone == below
    assert ours.zone_of("below.app.test").zone == below
    assert ours.zone_of("notbelow.app.test") == Zone(
        zone=zone,
        name="app.test",
        servers=(
            *("ns-2048.awsdns-64.com", "ns-2049.awsdns-65.net"),
            *("ns-2050.awsdns-66.org", "ns-2051.awsdns-67.co.uk"),
        ),
        absence_ttl=timedelta(seconds=900),
    )


@pytest.mark.usefixtures("zone")
def test_a_name_that_no_zone_holds_is_said_so(ours: Zones) -> None:
    with pytest.raises(NothingFits, match="^no public hosted zone of this account holds myapp.test$"):
        ours.zone_of("myapp.test")


def test_two_zones_of_one_name_are_never_guessed_between(there: zones.Names, ours: Zones) -> None:
    both = sorted(there.zone("twice.test") for _ in range(2))

    with pytest.raises(WrongConfiguration) as unclear:
        ours.zone_of("app.twice.test")

    assert unclear.value.summary == f"2 hosted zones could hold app.twice.test: {', '.join(both)}"
    assert unclear.value.hint == f"name the one that the domain is delegated to: --zone {both[0]}"


def test_many_zones_are_read_to_the_end(there: zones.Names, ours: Zones) -> None:
    made = {f"z{number}.many.test": there.zone(f"z{number}.many.test") for number in range(120)}

    found = {name: ours.zone_of(f"app.{name}").zone for name in ("z0.many.test", "z119.many.test")}

    assert found == {name: made[name] for name in found}


# -- records -----------------------------------------------------------------------------------------------------------


def test_the_records_of_a_name_are_its_own_alone(ours: Zones, zone: ZoneId) -> None:
    assert ours.records(zone, "ONE.app.test") == [
        of(zone, "one.app.test", "10.0.0.1", "10.0.0.2", seconds=30),
        replace(of(zone, "one.app.test", "2001:db8::1"), kind="AAAA"),
    ]
    assert ours.records(zone, "*.app.test") == [of(zone, "*.app.test", "10.0.0.3")]
    assert ours.records(zone, "none.app.test") == []
    assert [r.kind for r in ours.records(zone, "app.test")] == ["NS", "SOA", "TXT"]


def test_records_that_are_more_than_values_say_what_they_are(ours: Zones, zone: ZoneId) -> None:
    assert [r.special for r in ours.records(zone, "alias.app.test")] == ["an alias of one.app.test"]
    assert [r.special for r in ours.records(zone, "set.app.test")] == [
        "one of several that share the answers (a)",
        "one of several that share the answers (b)",
    ]


@pytest.mark.parametrize(("code", "status"), [("AccessDenied", 403), ("NoSuchHostedZone", 404), ("Throttling", 400)])
def test_not_being_told_is_never_taken_for_nothing(
    ours: Zones, zone: ZoneId, faults: Any, code: str, status: int
) -> None:
    faults(service="route53", operation="ListResourceRecordSets", code=code, status=status)

    with pytest.raises(Unreachable, match=f"cannot list the records of none.app.test .*{code}"):
        ours.records(zone, "none.app.test")


@given(st.lists(st.text("abcXYZ019-_*!é ", min_size=1, max_size=8), min_size=1, max_size=4))
def test_names_are_read_as_they_were_meant(labels: list[str]) -> None:
    text = ".".join(label.encode("latin-1").decode("latin-1") for label in labels).replace("é", "\\351")

    assert plain(written(name_of(text))) == plain(text)


# -- changes -----------------------------------------------------------------------------------------------------------


def test_a_record_is_made_changed_and_deleted_and_seen_each_time_it_returns(
    there: zones.Names, ours: Zones, zone: ZoneId
) -> None:
    first, second = of(zone, "life.app.test", "10.1.0.1"), of(zone, "life.app.test", "10.1.0.2", seconds=20)

    ours.replace(None, first, seconds=20)
    made = there.values("life.app.test")
    ours.replace(first, second, seconds=20)
    changed = there.values("life.app.test")
    ours.replace(second, None, seconds=20)
    there.in_sync(there.change(ZoneId(zone), ("UPSERT", record("wait.app.test", "A", "10.0.0.1"))))

    assert made == ["life.app.test. 60 IN A 10.1.0.1"]
    assert changed == ["life.app.test. 20 IN A 10.1.0.2"]
    assert a_record(ours, zone, "life.app.test") is None
    assert there.values("life.app.test") == ["life.app.test. 60 IN A 10.0.0.3"]  # the wildcard's again


def test_what_somebody_else_changed_is_left_alone(there: zones.Names, ours: Zones, zone: ZoneId) -> None:
    there.change(zone, ("CREATE", record("theirs.app.test", "A", "10.2.0.2")))
    seen, wanted = of(zone, "theirs.app.test", "10.2.0.1"), of(zone, "theirs.app.test", "10.2.0.3")

    with pytest.raises(Refused) as refusal:
        ours.replace(seen, wanted, seconds=20)
    with pytest.raises(Refused, match="it is A 10.2.0.2 .TTL 60 s., not no record"):
        ours.replace(None, wanted, seconds=20)

    assert refusal.value.summary == (
        "theirs.app.test was changed meanwhile: it is A 10.2.0.2 (TTL 60 s), not A 10.2.0.1 (TTL 60 s)"
    )
    assert a_record(ours, zone, "theirs.app.test") == of(zone, "theirs.app.test", "10.2.0.2")


def test_of_two_who_change_the_same_record_one_wins_and_the_other_is_told(
    there: zones.Names, ours: Zones, zone: ZoneId
) -> None:
    there.create(zone, record("race.app.test", "A", "10.3.0.0"))
    seen = of(zone, "race.app.test", "10.3.0.0")

    def attempt(number: int) -> LifeboatError | None:
        try:
            ours.replace(seen, of(zone, "race.app.test", f"10.3.0.{number}"), seconds=20)
        except LifeboatError as error:
            return error
        return None

    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(attempt, range(1, 5)))

    winners = [number for number, error in enumerate(ended, 1) if error is None]
    assert len(winners) == 1
    assert all(isinstance(error, Refused) for error in ended if error is not None)
    assert a_record(ours, zone, "race.app.test") == of(zone, "race.app.test", f"10.3.0.{winners[0]}")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("refusal", [("InternalFailure", 500), ("Throttling", 400), ("ServiceUnavailable", 503)])
@pytest.mark.usefixtures("zone")
def test_an_answer_that_got_lost_is_neither_a_failure_nor_a_second_change(
    there: zones.Names, ours: Zones, faults: Any, when: str, refusal: tuple[str, int]
) -> None:
    code, status = refusal
    name = f"{when}-{code.lower()}.app.test"
    zone = ours.zone_of(name).zone
    there.change(zone, ("CREATE", record(name, "A", "10.4.0.1")))
    faults(**CHANGE, when=when, code=code, status=status)

    ours.replace(of(zone, name, "10.4.0.1"), of(zone, name, "10.4.0.2"), seconds=20)

    assert a_record(ours, zone, name) == of(zone, name, "10.4.0.2")
    assert there.values(name) == [f"{name}. 60 IN A 10.4.0.2"]


def test_a_deletion_whose_answer_got_lost_is_done(there: zones.Names, ours: Zones, zone: ZoneId, faults: Any) -> None:
    there.change(zone, ("CREATE", record("lost-delete.app.test", "A", "10.4.0.1")))
    faults(**CHANGE, when="after")

    ours.replace(of(zone, "lost-delete.app.test", "10.4.0.1"), None, seconds=20)

    assert a_record(ours, zone, "lost-delete.app.test") is None


def test_somebody_elses_change_after_a_lost_answer_stands(
    there: zones.Names, ours: Zones, zone: ZoneId, faults: Any
) -> None:
    there.change(zone, ("CREATE", record("overtaken.app.test", "A", "10.4.0.1")))
    faults(**CHANGE, when="before")

    def sleep(_: float) -> None:
        there.change(zone, ("UPSERT", record("overtaken.app.test", "A", "10.4.0.9")))

    with pytest.raises(Refused, match="it is A 10.4.0.9"):
        ours.replace(
            of(zone, "overtaken.app.test", "10.4.0.1"),
            of(zone, "overtaken.app.test", "10.4.0.2"),
            seconds=20,
            sleep=sleep,
        )

    assert a_record(ours, zone, "overtaken.app.test") == of(zone, "overtaken.app.test", "10.4.0.9")


def test_what_is_not_allowed_is_asked_once(cloud: RunningCloud, ours: Zones, zone: ZoneId, faults: Any) -> None:
    faults(**CHANGE, code="AccessDenied", status=403, times=9)
    before = trace(cloud, "ChangeResourceRecordSets")

    with pytest.raises(Unreachable, match="cannot change denied.app.test: AccessDenied"):
        ours.replace(None, of(zone, "denied.app.test", "10.5.0.1"), seconds=20)

    assert trace(cloud, "ChangeResourceRecordSets") == before + 1
    assert a_record(ours, zone, "denied.app.test") is None


def test_a_change_that_never_gets_through_says_so(ours: Zones, zone: ZoneId, faults: Any) -> None:
    faults(**CHANGE, code="ServiceUnavailable", status=503, times=99)
    slept: list[float] = []

    with pytest.raises(LifeboatError, match="cannot change never.app.test: ServiceUnavailable"):
        ours.replace(None, of(zone, "never.app.test", "10.5.0.1"), seconds=20, sleep=slept.append)

    assert len(slept) == 2


def test_what_cannot_be_read_after_a_lost_answer_is_left_open(ours: Zones, zone: ZoneId, faults: Any) -> None:
    faults(**CHANGE, when="after")
    faults(service="route53", operation="ListResourceRecordSets", first=2, times=99, code="AccessDenied", status=403)

    with pytest.raises(Unreachable) as unclear:
        ours.replace(None, of(zone, "open.app.test", "10.5.0.1"), seconds=20, sleep=lambda _: None)

    assert "cannot change open.app.test: InternalFailure" in unclear.value.summary
    assert "and then: cannot list the records of open.app.test" in unclear.value.summary
    assert unclear.value.hint == "lifeboat dns show"


@pytest.mark.parametrize(("refused", "status"), [(["AccessDenied"], "unknown .*AccessDenied"), ([], "PENDING")])
def test_a_change_that_is_not_everywhere_in_time_stops_part_way(
    ours: Zones, zone: ZoneId, faults: Any, refused: list[str], status: str
) -> None:
    name = f"late-{len(refused)}.app.test"
    for code in refused:
        faults(service="route53", operation="GetChange", times=999, code=code, status=403)
    started = time.monotonic()

    with pytest.raises(StoppedPartWay, match=f"after 0 s not known to be on every name server: .* is {status}"):
        ours.replace(None, of(zone, name, "10.5.0.1"), seconds=0, sleep=lambda _: None)

    assert time.monotonic() - started < 2
    assert a_record(ours, zone, name) == of(zone, name, "10.5.0.1")


def test_an_unknown_state_of_a_change_is_waited_through(
    there: zones.Names, ours: Zones, zone: ZoneId, faults: Any
) -> None:
    faults(service="route53", operation="GetChange", times=2, code="InternalFailure", status=500)

    ours.replace(None, of(zone, "through.app.test", "10.5.0.1"), seconds=20)

    assert there.values("through.app.test") == ["through.app.test. 60 IN A 10.5.0.1"]


def test_a_set_that_shares_the_answers_is_never_replaced(ours: Zones, zone: ZoneId) -> None:
    with pytest.raises(Refused, match="it is A one of several that share the answers"):
        ours.replace(None, of(zone, "set.app.test", "10.5.0.1"), seconds=20)
