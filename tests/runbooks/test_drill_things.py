"""What a drill makes is written down before it is made, taken away last first, and found again by whoever sweeps."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from lifeboat.clients.journal import Journal
from lifeboat.clients.waiting import WallClock
from lifeboat.commands import sweep
from lifeboat.decisions import drill_ledger
from lifeboat.decisions.drill_guard import Deed
from lifeboat.drill_model import Drill, DrillScope, Thing, ThingKind
from lifeboat.errors import ApprovalMissing, CleanUpIncomplete, Locked, Refused, Unreachable
from lifeboat.model import EventKind, RunId, Secret
from lifeboat.runbooks import drill_tables
from lifeboat.runner import Turn
from lifeboat.site import Site
from lifeboat.stack import drill_effects, drill_rest, drill_turns, leaks
from lifeboat.stack.drill_effects import Guard, Removing

from tests import step_runs
from tests.gitlab_sites import DUMP_BUCKET, REGION
from tests.plain_sites import PlainSite, Told, plain_site
from tests.runbooks.conftest import Quick

RUN = "20260301T030000Z-drill-database-aaaaaa"
OTHER = "20260301T040000Z-drill-full-bbbbbb"
EXPIRES = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)


@pytest.fixture
def plain(quick: Quick, tmp_path: Path) -> Iterator[PlainSite]:
    """Yield a site whose dump bucket takes the evidence of a run that a sweep ended."""
    s3 = quick.client("s3")
    where = {"LocationConstraint": REGION}
    s3.create_bucket(Bucket=DUMP_BUCKET, CreateBucketConfiguration=where, ObjectLockEnabledForBucket=True)
    yield plain_site(quick, tmp_path)
    for version in s3.list_object_versions(Bucket=DUMP_BUCKET).get("Versions", []):
        s3.delete_object(
            Bucket=DUMP_BUCKET, Key=version["Key"], VersionId=version["VersionId"], BypassGovernanceRetention=True
        )
    s3.delete_bucket(Bucket=DUMP_BUCKET)


def drill_of(plain: PlainSite, run: str = RUN) -> Drill:
    return Drill(run=RunId(run), scope=DrillScope.FULL, application=plain.application, expires=EXPIRES)


def begun(site: Site, run: str = RUN) -> Journal:
    journal: Journal = site.journal(RunId(run))
    journal.write(EventKind.BEGUN, text="drill", user="eva", host="laptop", machine="laptop")
    return journal


def turn(site: Site, drill: Drill, journal: Journal, step: str = "restore") -> Turn:
    guard = Guard(drill=drill, things=site.drill_things(), journal=journal, region=REGION)
    return Turn(
        step,
        limit=timedelta(minutes=1),
        journal=journal,
        clock=WallClock(),
        fence=step_runs.Held(),
        guard=guard,
    )


def database(quick: Quick, name: str, tags: dict[str, str]) -> None:
    quick.client("rds").create_db_instance(
        DBInstanceIdentifier=name,
        DBInstanceClass="db.t4g.micro",
        Engine="postgres",
        AllocatedStorage=20,
        MasterUsername="app_admin",
        MasterUserPassword="a-password",
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )


def names(quick: Quick) -> set[str]:
    return {one["DBInstanceIdentifier"] for one in quick.client("rds").describe_db_instances()["DBInstances"]}


def make_secret(site: Site, drill: Drill, journal: Journal) -> Thing:
    thing = drill.thing(ThingKind.SECRET, REGION, suffix="/database")
    with turn(site, drill, journal, "secret").effect("make it", **drill_effects.about(Deed.MAKE, thing)):
        site.drill_things().make_secret(thing, {"host": "h"}, drill.tags, None)
    return thing


def removing(site: Site, journal: Journal) -> Removing:
    return Removing(
        things=site.drill_things(), clock=WallClock(), tell=Told(), noted=drill_effects.noting(journal), seconds=5
    )


def nobody(lines: Sequence[str]) -> None:
    raise ApprovalMissing("\n".join(lines))


def everybody(_lines: Sequence[str]) -> None:
    pass


# -- the steps ---------------------------------------------------------------------------------------------------------


def test_the_step_that_fails_for_a_probe_says_that_it_judges_probes() -> None:
    assert drill_tables.titles(DrillScope.DATABASE)["comparison"].endswith("judge the probes' answers")


# -- the ledger and the guard ------------------------------------------------------------------------------------------


def test_what_is_about_to_be_made_stands_in_the_ledger_before_the_order(plain: PlainSite) -> None:
    site, drill = plain.site(), drill_of(plain)
    journal = begun(site)

    thing = make_secret(site, drill, journal)

    lines = [(event.kind, event.data.get("made")) for event in journal.events[1:]]
    assert lines == [
        (EventKind.NOTE, {"type": "secretsmanager:secret", "id": thing.id, "region": REGION}),
        (EventKind.INTENT, None),
        (EventKind.RESULT, None),
    ]
    standing = site.drill_things().standing(thing)
    assert standing is not None
    assert dict(standing.tags) == drill.tags


def test_production_is_not_touched_and_nothing_is_written_down_as_done(quick: Quick, plain: PlainSite) -> None:
    site, drill = plain.site(), drill_of(plain)
    journal = begun(site)
    database(quick, f"{plain.application}-g1", {"application": plain.application})

    with (
        pytest.raises(Refused, match="is not called as what the drill"),
        turn(site, drill, journal).effect("restore over it", identifier=f"{plain.application}-g1"),
    ):
        raise AssertionError("it was let pass")

    assert [event.kind for event in journal.events] == [EventKind.BEGUN]


def test_what_bears_the_drills_name_without_its_mark_is_not_touched(quick: Quick, plain: PlainSite) -> None:
    site, drill = plain.site(), drill_of(plain)
    journal = begun(site)
    database(quick, drill.name, {"application": plain.application})

    with (
        pytest.raises(Refused, match="bears no mark of a drill"),
        turn(site, drill, journal, "password").effect("change it", identifier=drill.name),
    ):
        raise AssertionError("it was let pass")

    assert drill_ledger.made(journal.events) == ()


# -- unwinding ---------------------------------------------------------------------------------------------------------


def test_all_goes_again_last_made_first_and_is_seen_to_be_gone(quick: Quick, plain: PlainSite) -> None:
    site, drill = plain.site(), drill_of(plain)
    journal = begun(site)
    with turn(site, drill, journal).effect("restore", identifier=drill.name):
        database(quick, drill.name, drill.tags)
    secret = make_secret(site, drill, journal)

    kept = drill_effects.unwind(drill, journal, removing(site, journal))

    gone = [drill_ledger.thing(event, "gone") for event in journal.events if "gone" in event.data]
    assert kept == ()
    assert gone == [secret, drill.thing(ThingKind.DATABASE, REGION)]
    assert drill_ledger.left(journal.events) == ()
    assert drill.name not in names(quick)


def test_what_lost_its_mark_stays_and_is_named_and_the_rest_goes(quick: Quick, plain: PlainSite) -> None:
    site, drill = plain.site(), drill_of(plain)
    journal = begun(site)
    with turn(site, drill, journal).effect("restore", identifier=drill.name):
        database(quick, drill.name, drill.tags)
    secret = make_secret(site, drill, journal)
    quick.client("secretsmanager").untag_resource(SecretId=secret.id, TagKeys=["lifeboat:drill"])

    kept = drill_effects.unwind(drill, journal, removing(site, journal))

    assert [(one.thing, one.why) for one in kept] == [
        (secret, "it bears no mark of a drill: somebody else made it, or took the mark off")
    ]
    assert drill_ledger.left(journal.events) == (secret,)
    assert drill.name not in names(quick)


@dataclass
class SeenLater(step_runs.Hurried):
    """A clock on which nobody waits, and on which something happens after some seconds."""

    after: float = 30.0
    then: Callable[[], None] = lambda: None
    happened: bool = False

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.slept >= self.after and not self.happened:
            self.happened = True
            self.then()


def test_what_was_ordered_just_now_and_is_seen_only_later_goes_too(quick: Quick, plain: PlainSite) -> None:
    site, drill = plain.site(), drill_of(plain)
    journal = begun(site)
    with suppress(Unreachable), turn(site, drill, journal).effect("restore", identifier=drill.name):
        raise Unreachable("RDS does not answer, and has taken the order")
    clock = SeenLater(then=lambda: database(quick, drill.name, drill.tags))

    kept = drill_effects.unwind(drill, journal, replace(removing(site, journal), clock=clock, seconds=120))

    assert (kept, clock.happened) == ((), True)
    assert drill.name not in names(quick)
    assert drill_ledger.left(journal.events) == ()


def test_what_was_ordered_long_ago_is_not_waited_for(plain: PlainSite) -> None:
    site, drill = plain.site(), drill_of(plain)
    journal, thing, clock = begun(site), drill.thing(ThingKind.DATABASE, REGION), step_runs.Hurried()
    how = replace(removing(site, journal), clock=clock)

    why = drill_effects.removed(thing, plain.application, how, datetime.now(UTC) - timedelta(minutes=6))

    assert (why, clock.slept) == (None, 0.0)


def test_what_was_ordered_just_now_is_gone_when_nobody_sees_it_for_a_minute(plain: PlainSite) -> None:
    site, drill = plain.site(), drill_of(plain)
    journal, clock = begun(site), step_runs.Hurried()
    with turn(site, drill, journal).effect("restore", identifier=drill.name):
        pass

    kept = drill_effects.unwind(drill, journal, replace(removing(site, journal), clock=clock))

    assert (kept, clock.slept) == ((), 60.0)


# -- leaks -------------------------------------------------------------------------------------------------------------


def test_what_a_killed_drill_left_is_found_by_ledger_and_by_mark(quick: Quick, plain: PlainSite) -> None:
    site, drill = plain.site(), drill_of(plain)
    journal = begun(site)
    with turn(site, drill, journal).effect("restore", identifier=drill.name):
        database(quick, drill.name, drill.tags)
    other = drill_of(plain, OTHER)  # its journal is gone
    database(quick, other.name, other.tags)

    found = leaks.leaks(site)

    assert [(leak.thing.id, leak.run, leak.found_by, leak.expires, leak.why_not) for leak in found] == [
        (drill.name, RUN, "ledger and tag", EXPIRES, None),
        (other.name, OTHER, "tag", EXPIRES, None),
    ]


def test_what_was_never_made_or_is_another_applications_is_no_leak(quick: Quick, plain: PlainSite) -> None:
    site, drill = plain.site(), drill_of(plain)
    journal = begun(site)
    thing = drill.thing(ThingKind.SECRET, REGION, suffix="/database")
    journal.write(EventKind.NOTE, step="secret", made=drill_ledger.entry(thing))  # and killed
    stranger = Drill(run=RunId(OTHER), scope=DrillScope.FULL, application=f"{plain.application}-2", expires=EXPIRES)
    database(quick, stranger.name, stranger.tags)

    assert leaks.leaks(site) == ()


def test_of_the_drill_that_runs_nothing_is_a_leak(quick: Quick, plain: PlainSite) -> None:
    site, drill = plain.site(), drill_of(plain)
    journal = begun(site)
    with (
        site.drill_lease(drill.run).held(),
        turn(site, drill, journal).effect("restore", identifier=drill.name),
    ):
        database(quick, drill.name, drill.tags)

        assert leaks.leaks(site) == ()
        assert drill_turns.running(site) is not None

    assert [leak.thing.id for leak in leaks.leaks(site)] == [drill.name]


def test_a_network_that_something_stands_in_does_not_go_and_each_thing_says_who_removes_it(
    quick: Quick, plain: PlainSite
) -> None:
    site, drill = plain.site(), drill_of(plain)
    journal = begun(site)
    drill_rest.require(site, "destroy")
    with turn(site, drill, journal).effect("restore", identifier=drill.name):
        database(quick, drill.name, {"application": plain.application})  # another one's, made in between

    with pytest.raises(CleanUpIncomplete) as stranger:
        drill_rest.require(site, "destroy")
    make_secret(site, drill, journal)
    with pytest.raises(CleanUpIncomplete) as both:
        drill_rest.require(site, "apply")
    with site.drill_lease(drill.run).held(), pytest.raises(Locked, match="in the network that would be destroyed"):
        drill_rest.require(site, "apply")

    by_hand = "what it does not remove is somebody's: ask whose it is, and delete it by hand"
    assert f"  rds:db {drill.name} in {REGION}: it bears no mark of a drill" in stranger.value.summary
    assert stranger.value.hint == f"{by_hand}; then destroy again. Nothing was destroyed"
    assert both.value.hint == (
        f"lifeboat sweep shows and removes it; {by_hand}; then apply again. Nothing was destroyed"
    )


# -- sweeping ----------------------------------------------------------------------------------------------------------


def swept(site: Site, agree: Any = everybody) -> sweep.Swept:
    return sweep.run(site, Told(), agree)


def test_a_sweep_removes_what_it_has_shown_and_ends_the_run(quick: Quick, plain: PlainSite) -> None:
    site, drill = plain.site(), drill_of(plain)
    journal = begun(site)
    with turn(site, drill, journal).effect("restore", identifier=drill.name):
        database(quick, drill.name, drill.tags)

    with pytest.raises(ApprovalMissing) as asked:
        swept(site, nobody)
    there = names(quick)
    done = swept(site)

    assert asked.value.summary == (
        f"remove rds:db {drill.name} in {REGION} (available): left by {RUN}, expires 2026-03-02 03:00Z, found by ledger"
        " and tag"
    )
    assert drill.name in there
    assert drill.name not in names(quick)
    assert (done.gone, done.closed, done.told) == ((drill.thing(ThingKind.DATABASE, REGION),), (RUN,), (RUN,))
    assert site.journals().events(RunId(RUN))[-1].kind is EventKind.ENDED
    assert swept(site) == sweep.Swept(found=(), gone=(), closed=())


def test_a_sweep_looks_for_what_was_ordered_just_now_until_it_is_seen(quick: Quick, plain: PlainSite) -> None:
    site, drill = plain.site(), drill_of(plain)
    journal = begun(site)
    with suppress(Unreachable), turn(site, drill, journal).effect("restore", identifier=drill.name):
        raise Unreachable("killed, and RDS has taken the order")
    later = threading.Timer(2.0, lambda: database(quick, drill.name, drill.tags))
    later.start()

    done = swept(site)

    later.join()
    assert done.gone == (drill.thing(ThingKind.DATABASE, REGION),)
    assert drill.name not in names(quick)


def test_a_sweep_leaves_what_lacks_the_mark_and_says_so(quick: Quick, plain: PlainSite) -> None:
    site, drill = plain.site(), drill_of(plain)
    journal = begun(site)
    with turn(site, drill, journal).effect("restore", identifier=drill.name):
        database(quick, drill.name, {"application": plain.application})  # another one's, made in between

    with pytest.raises(CleanUpIncomplete) as incomplete:
        swept(site)

    assert incomplete.value.exit_status == 12
    assert f"rds:db {drill.name} in {REGION}: it bears no mark of a drill" in incomplete.value.summary
    assert drill.name in names(quick)
    assert RunId(RUN) in site.journals().unended()


def test_a_sweep_waits_for_no_drill_that_runs(plain: PlainSite) -> None:
    site = plain.site()

    with site.drill_lease(RunId(RUN)).held(), pytest.raises(Locked, match=RUN):
        swept(site)


# -- whose turn it is --------------------------------------------------------------------------------------------------


def test_a_second_drill_is_locked_out_and_a_recovery_is_not(plain: PlainSite) -> None:
    site = plain.site()

    with site.drill_lease(RunId(RUN)).held():
        with pytest.raises(Locked), site.drill_lease(RunId(OTHER)).held():
            pass
        with site.lease(RunId("20260301T050000Z-recover-cccccc")).held() as held:
            held.require()


def test_a_drill_gives_way_to_a_recovery_and_to_no_apply(plain: PlainSite) -> None:
    site = plain.site()

    with site.drill_lease(RunId(RUN)).held() as held:
        fence = drill_turns.DrillTurn(site, held)
        fence.require()
        with site.lease(RunId("20260301T050000Z-apply")).held():
            fence.require()
        with (
            site.lease(RunId("20260301T050000Z-recover-cccccc")).held(),
            pytest.raises(Locked, match="20260301T050000Z-recover-cccccc .* goes first"),
        ):
            fence.require()
        fence.require()


def test_no_drill_begins_while_somebody_holds_the_environment_or_a_recovery_is_open(plain: PlainSite) -> None:
    site = plain.site()
    drill_turns.require_nobody(site)

    with site.lease(RunId("20260301T050000Z-apply")).held(), pytest.raises(Locked, match="the run .*-apply"):
        drill_turns.require_nobody(site)
    plain.run("20260301T050000Z-recover-cccccc", (EventKind.INTENT, "instance", {}))
    with pytest.raises(Refused, match="was cut off and is not finished: nobody drills what is being recovered"):
        drill_turns.require_nobody(site)


def test_a_copy_of_the_state_is_found_by_its_ledger_and_removed(plain: PlainSite) -> None:
    site, drill = plain.site(), drill_of(plain)
    journal = begun(site)
    thing = Thing(kind="s3:object", id=f"s3://{plain.bucket}/runs/{RUN}/drill.tfstate", region=REGION)
    with turn(site, drill, journal, "copy-state").effect("copy", **drill_effects.about(Deed.MAKE, thing)):
        site.drill_things().make_copy(thing, Secret(json.dumps({"serial": 1})), drill.tags)

    found = leaks.leaks(site)
    done = swept(site)

    assert [(leak.thing, leak.found_by, leak.why_not) for leak in found] == [(thing, "ledger", None)]
    assert done.gone == (thing,)
    assert site.drill_things().standing(thing) is None
    assert site.stack_store().body() is not None
