"""Whether the record of the public name must move, what forbids it, and what proves that it arrived."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.decisions.names import DEFAULT_TTL, Move, differences, moved, put_back, undone_by_apply
from lifeboat.model import (
    Address,
    Health,
    ManagedRecord,
    NameRecord,
    PublicAnswer,
    Resolved,
    Switch,
    Zone,
    ZoneId,
)

NAME = "app.example.test"
ZONE = Zone(zone=ZoneId("Z1"), name="example.test", servers=("ns1",), absence_ttl=timedelta(minutes=15))
OLD = NameRecord(zone=ZoneId("Z1"), name=NAME, kind="A", ttl=timedelta(seconds=60), values=("192.0.2.1",))
NEW = replace(OLD, values=("192.0.2.2",))
MANAGED = ManagedRecord(address=Address("module.app_instance.aws_route53_record.app[0]"), record=OLD)
AT = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
SAVED = Switch(at=AT, who="ops@laptop", why="switch", before=OLD, after=NEW)


def move(*records: NameRecord, to: str = "192.0.2.2", managed: ManagedRecord | None = None) -> Move:
    return moved(records, ZONE, name=NAME, to=to, managed=managed)


# -- moving ------------------------------------------------------------------------------------------------------------


def test_a_record_that_leads_elsewhere_moves_and_keeps_its_ttl() -> None:
    assert move(OLD) == Move(
        before=OLD,
        after=NEW,
        reasons=(
            "app.example.test is A 192.0.2.1 (TTL 60 s), and must lead to 192.0.2.2",
            "clients keep the old answer for up to 60 s",
        ),
        lag=timedelta(seconds=60),
    )
    assert move(OLD).needed


def test_a_record_that_leads_there_stays() -> None:
    there = move(NEW)

    assert there == Move(
        before=NEW,
        after=NEW,
        reasons=("app.example.test is already A 192.0.2.2 (TTL 60 s)",),
        lag=timedelta(0),
    )
    assert not there.needed


def test_a_record_that_leads_there_and_elsewhere_moves() -> None:
    both = replace(OLD, values=("192.0.2.1", "192.0.2.2"))

    found = move(both)

    assert found.after == NEW
    assert "it leads to 192.0.2.2 already, but to other addresses as well" in found.reasons


SHORT = replace(MANAGED, record=replace(OLD, ttl=timedelta(seconds=30)))


@pytest.mark.parametrize(("managed", "ttl"), [(None, DEFAULT_TTL), (SHORT, timedelta(seconds=30))])
def test_a_missing_record_is_made_and_its_absence_outlasts_it(managed: ManagedRecord | None, ttl: timedelta) -> None:
    found = move(managed=managed)

    assert found == Move(
        before=None,
        after=replace(NEW, ttl=ttl),
        reasons=(
            "app.example.test has no A record, and must lead to 192.0.2.2",
            "clients that asked meanwhile remember that for up to 15 min",
        ),
        lag=timedelta(minutes=15),
    )


def test_a_long_ttl_is_named() -> None:
    found = move(replace(OLD, ttl=timedelta(hours=1)))

    assert found.lag == timedelta(hours=1)
    assert found.reasons[-1] == "a TTL of 60 min is long for a name that may have to move: see var.dns.ttl"


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (
            replace(OLD, values=(), special="an alias of lb.example.test"),
            "the A record of app.example.test is an alias of lb.example.test, which only its owner can change",
        ),
        (
            replace(OLD, special="one of several that share the answers (a)"),
            "the A record of app.example.test is one of several that share the answers (a), which only its owner can"
            " change",
        ),
        (
            replace(OLD, kind="CNAME", values=("lb.example.test",)),
            "app.example.test is a CNAME of lb.example.test: change that name, or delete the CNAME first",
        ),
    ],
)
def test_a_record_that_is_more_than_an_address_is_not_ours_to_move(record: NameRecord, why: str) -> None:
    assert move(record).forbidden == (why,)


def test_an_ipv6_address_that_stays_is_named() -> None:
    found = move(OLD, replace(OLD, kind="AAAA", values=("2001:db8::1",)))

    assert found.forbidden == ()
    assert found.reasons[-1] == (
        "app.example.test also has AAAA 2001:db8::1, which stays: clients with IPv6 go on to go there"
    )


@pytest.mark.parametrize("kind", ["TXT", "MX", "CAA"])
def test_other_kinds_of_records_do_not_matter(kind: str) -> None:
    assert move(OLD, replace(OLD, kind=kind, values=("x",))) == move(OLD)


# -- the two truths ----------------------------------------------------------------------------------------------------


def test_a_move_that_terraform_would_undo_says_so() -> None:
    assert undone_by_apply(move(OLD), MANAGED) == (
        "Terraform keeps this record (module.app_instance.aws_route53_record.app[0]) as A 192.0.2.1 (TTL 60 s), so the"
        " next apply would change A 192.0.2.2 (TTL 60 s) back"
    )


def test_a_move_to_what_terraform_keeps_is_no_conflict() -> None:
    assert undone_by_apply(move(NEW, to="192.0.2.1"), MANAGED) is None
    assert undone_by_apply(move(OLD), None) is None
    assert undone_by_apply(put_back([NEW], ZONE, name=NAME, saved=SAVED), MANAGED) is None


# -- putting back ------------------------------------------------------------------------------------------------------


def test_what_was_saved_is_put_back() -> None:
    assert put_back([NEW], ZONE, name=NAME, saved=SAVED) == Move(
        before=NEW,
        after=OLD,
        reasons=("before the switch of 2026-03-01 03:00:00Z by ops@laptop it was A 192.0.2.1 (TTL 60 s)",),
        lag=timedelta(seconds=60),
    )


def test_what_is_back_already_stays() -> None:
    found = put_back([OLD], ZONE, name=NAME, saved=SAVED)

    assert not found.needed
    assert found.reasons == (
        "app.example.test is A 192.0.2.1 (TTL 60 s), as it was before the switch of 2026-03-01 03:00:00Z",
    )


def test_a_record_that_somebody_changed_since_is_not_put_back() -> None:
    theirs = replace(OLD, values=("192.0.2.9",))

    found = put_back([theirs], ZONE, name=NAME, saved=SAVED)

    assert found.forbidden == (
        "app.example.test is A 192.0.2.9 (TTL 60 s), but the switch of 2026-03-01 03:00:00Z made it A 192.0.2.2 (TTL 60"
        " s): somebody changed it since",
    )


def test_a_record_that_was_made_by_the_switch_is_deleted_again() -> None:
    found = put_back([NEW], ZONE, name=NAME, saved=replace(SAVED, before=None))

    assert (found.before, found.after, found.needed, found.forbidden) == (NEW, None, True, ())


# -- proof -------------------------------------------------------------------------------------------------------------

WELL = Health(address="192.0.2.2", status=200, says="{}", instance_id="i-2", image="app:1")
FOUND = PublicAnswer(
    name=NAME,
    resolved=Resolved(name=NAME, addresses=("192.0.2.2",), ttl=timedelta(seconds=60), server="ns1:53"),
    healths=(WELL,),
)


def test_the_right_answer_from_the_right_instance_is_proof() -> None:
    assert differences(FOUND, addresses=("192.0.2.2",), instance_id="i-2") == ()
    assert differences(FOUND, addresses=("192.0.2.2",)) == ()


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (
            PublicAnswer(name=NAME, resolved=None, healths=(), problem="app.example.test does not exist"),
            "app.example.test does not exist",
        ),
        (
            replace(FOUND, resolved=Resolved(name=NAME, addresses=("192.0.2.1",), ttl=timedelta(0), server="ns1:53")),
            "app.example.test leads to 192.0.2.1, says ns1:53; it should lead to 192.0.2.2",
        ),
        (
            replace(
                FOUND, resolved=Resolved(name=NAME, addresses=("192.0.2.1", "192.0.2.2"), ttl=timedelta(0), server="n")
            ),
            "app.example.test leads to 192.0.2.1, 192.0.2.2, says n; it should lead to 192.0.2.2",
        ),
        (
            replace(FOUND, healths=(replace(WELL, status=503, says="waiting"),)),
            "app.example.test at 192.0.2.2 is not well: HTTP 503: waiting",
        ),
        (
            replace(FOUND, healths=(replace(WELL, status=None, says="no connection: refused"),)),
            "app.example.test at 192.0.2.2 is not well: no connection: refused",
        ),
        (
            replace(FOUND, healths=(replace(WELL, instance_id="i-1"),)),
            "the answer of app.example.test at 192.0.2.2 comes from i-1, not from i-2",
        ),
        (
            replace(FOUND, healths=(replace(WELL, instance_id=None),)),
            "the answer of app.example.test at 192.0.2.2 does not say that it comes from i-2",
        ),
    ],
)
def test_anything_else_is_not(found: PublicAnswer, why: str) -> None:
    assert differences(found, addresses=("192.0.2.2",), instance_id="i-2") == (why,)


# -- laws --------------------------------------------------------------------------------------------------------------

ADDRESSES = st.integers(1, 6).map(lambda number: f"192.0.2.{number}")
RECORDS = st.builds(
    lambda values, ttl: replace(OLD, values=tuple(sorted(values)), ttl=timedelta(seconds=ttl)),
    st.sets(ADDRESSES, min_size=1, max_size=3),
    st.integers(1, 86400),
)
THERE = st.lists(RECORDS, max_size=1)


@given(THERE, ADDRESSES)
def test_after_a_move_none_is_needed_and_the_name_leads_there_alone(there: list[NameRecord], to: str) -> None:
    found = move(*there, to=to)

    assert found.after is not None
    assert found.after.values == (to,)
    assert found.before == (there[0] if there else None)
    assert not move(found.after, to=to).needed
    assert found.reasons


@given(THERE, ADDRESSES)
def test_clients_see_a_move_as_late_as_the_old_answer_allows(there: list[NameRecord], to: str) -> None:
    found = move(*there, to=to)

    assert found.lag == ((there[0].ttl if there else ZONE.absence_ttl) if found.needed else timedelta(0))


@given(THERE, ADDRESSES)
def test_putting_back_undoes_a_move_and_then_nothing(there: list[NameRecord], to: str) -> None:
    made = move(*there, to=to)
    saved = replace(SAVED, before=made.before, after=made.after)
    after = [] if made.after is None else [made.after]

    back = put_back(after, ZONE, name=NAME, saved=saved)

    assert back.after == made.before or not made.needed
    assert back.forbidden == ()
    assert not put_back(there, ZONE, name=NAME, saved=saved).needed


@given(THERE, ADDRESSES, RECORDS)
def test_terraform_undoes_exactly_what_is_not_as_it_keeps_it(
    there: list[NameRecord], to: str, kept: NameRecord
) -> None:
    found = move(*there, to=to)

    assert (undone_by_apply(found, replace(MANAGED, record=kept)) is None) == (found.after == kept)


@given(
    st.sets(ADDRESSES, min_size=1, max_size=3),
    st.sets(ADDRESSES, min_size=1, max_size=3),
    st.sampled_from([200, 500, None]),
    st.sampled_from(["i-1", "i-2", None]),
)
def test_there_is_proof_only_when_everything_agrees(
    leads_to: set[str], wanted: set[str], status: int | None, instance: str | None
) -> None:
    answers = PublicAnswer(
        name=NAME,
        resolved=Resolved(name=NAME, addresses=tuple(leads_to), ttl=timedelta(0), server="n"),
        healths=tuple(Health(address=a, status=status, says="", instance_id=instance) for a in sorted(leads_to)),
    )

    proven = differences(answers, addresses=tuple(wanted), instance_id="i-2") == ()

    assert proven == (leads_to == wanted and status == 200 and instance == "i-2")
