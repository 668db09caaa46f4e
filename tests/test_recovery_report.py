"""What a recovery's report says of the database: how much was lost, what is missing, and whether that meets the objective."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lifeboat import cli_recover, views_recovery
from lifeboat.cli_options import Output
from lifeboat.errors import IntegrityFailure
from lifeboat.model import DatabaseReport, LeftOpen, RecoveryReport, RunId, Scope, Timing, WorksOn
from lifeboat.runbooks import database_adoption

AT = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
DATABASE = DatabaseReport(
    generation="g2",
    identifier="app-g2",
    copy="ab-1",
    why="it was asked for",
    to=AT,
    until=AT - timedelta(minutes=1),
    known_by="the heartbeat's last row",
    rpo=timedelta(hours=2),
    objective=timedelta(hours=24),
    tables=3,
    with_rows=2,
    before="app-g1",
    retire="lifeboat retire g1 -e x",
    before_until=AT + timedelta(hours=2),
    before_known_by="the heartbeat's last row",
    left_out=("EVENT TRIGGER audit: only a superuser may create it",),
    missing=("public.notes holds no row, and app-g1 has rows of it",),
    compared_with=("app-g1",),
)
TIMING = Timing(
    failed_at=AT,
    answered_at=AT + timedelta(hours=1),
    took=timedelta(hours=1),
    objective=timedelta(hours=4),
    met=True,
    parts=(),
)
REPORT = RecoveryReport(
    run=RunId("20260301T030000Z-recover-1f9a3c"),
    timing=TIMING,
    left_open=(),
    remarks=(),
    facts={"why": "the operator said so", "image": None},
    address="10.0.0.1",
    url="http://10.0.0.1",
    public_name=None,
    to_commit="",
    scope=Scope.DATABASE,
    database=DATABASE,
)


@pytest.mark.parametrize(
    ("lost", "in_time", "met"),
    [
        (timedelta(hours=24), True, True),
        (timedelta(hours=24, seconds=1), True, False),
        # Nobody knows: that is no tick.
        (None, True, False),
        (timedelta(0), False, False),
    ],
)
def test_an_objective_of_which_nobody_knows_whether_it_was_met_was_missed(
    lost: timedelta | None, in_time: bool, met: bool
) -> None:
    found = replace(REPORT, timing=replace(TIMING, met=in_time), database=replace(DATABASE, rpo=lost))

    assert found.met is met
    assert replace(found, database=None).met is in_time


def test_the_report_tells_what_was_left_behind_and_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    views_recovery.report(REPORT, {})
    document = views_recovery.report_document(REPORT)["database"]

    printed = " ".join(capsys.readouterr().out.split())
    assert "RPO 2:00:00 of 24:00:00: data until 2026-03-01 02:59:00Z, by the heartbeat's last row" in printed
    assert "left out: EVENT TRIGGER audit: only a superuser may create it" in printed
    assert "missing: public.notes holds no row, and app-g1 has rows of it" in printed
    assert (
        "left behind: app-g1 was written to until 2026-03-01 05:00:00Z: what is newer in it is not in app-g2; known by"
        " the heartbeat's last row" in printed
    )
    assert (document["rpo_seconds"], document["met"]) == (7200.0, True)
    assert document["before_until"] == "2026-03-01T05:00:00+00:00"
    assert document["left_out"] == ["EVENT TRIGGER audit: only a superuser may create it"]
    assert document["missing"] == ["public.notes holds no row, and app-g1 has rows of it"]


@pytest.mark.parametrize(
    ("counted", "words"),
    [
        ("start", "RTO 1:00:00 of 4:00:00, counted from the start of the recovery at 2026-03-01 03:00:00Z (why)"),
        (
            "last-seen",
            "RTO 1:00:00 of 4:00:00, counted from the last good answer that lifeboat saw, at 2026-03-01 03:00",
        ),
    ],
)
def test_a_time_that_is_not_counted_from_the_failure_says_so_and_how_it_would_be(
    counted: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    views_recovery.report(replace(REPORT, facts={"why": "why", "image": None, "counted_from": counted}), {})
    printed = " ".join(capsys.readouterr().out.split())
    views_recovery.report(REPORT, {})
    declared = " ".join(capsys.readouterr().out.split())

    assert words in printed
    assert "users may have seen errors before that; --failed-at TIME" in printed
    assert "RTO 1:00:00 of 4:00:00: declared failed at 2026-03-01 03:00:00Z (the operator said so)" in declared
    assert "not counted" not in declared


def test_the_table_of_the_heartbeat_is_counted_with_the_others_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    beats = replace(REPORT, database=replace(DATABASE, tables=2, with_rows=2, heartbeats=1))

    for found in (REPORT, beats):
        views_recovery.report(found, {})

    printed = " ".join(capsys.readouterr().out.split())
    assert "app-g2 (3 tables, 2 with rows)" in printed
    assert "app-g2 (3 tables, the heartbeat's among them; of the other 2, 2 with rows)" in printed


def test_the_report_tells_with_what_the_tables_could_not_be_compared(capsys: pytest.CaptureFixture[str]) -> None:
    unknown = ("dump 1: KMS.DisabledException",)
    half = replace(REPORT, database=replace(DATABASE, not_compared=unknown))
    nothing = replace(REPORT, database=replace(DATABASE, compared_with=(), missing=()))

    for found in (half, nothing):
        views_recovery.report(found, {})

    printed = " ".join(capsys.readouterr().out.split())
    assert "unknown: not compared with dump 1: KMS.DisabledException" in printed
    assert "compared: with nothing: nobody knows whether tables of app-g2 lack rows" in printed
    document = views_recovery.report_document(half)["database"]
    assert (document["compared_with"], document["not_compared"]) == (["app-g1"], list(unknown))


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"missing": ("public.notes holds no row, and app-g1 has rows of it",)}, "public.notes holds no row"),
        ({"probe_findings": ("probe orders: 0; at least 1 was expected",)}, "probe orders: 0"),
        (
            {"works_on": WorksOn.BOTH, "works_on_why": "app-g1 has new ones of app (worker)"},
            "something of the application is still connected to app-g1: app-g1 has new ones of app (worker)",
        ),
    ],
    ids=["rows missing", "probe failed", "on both"],
)
def test_what_somebody_agreed_to_is_no_success_all_the_same(changed: dict[str, Any], line: str) -> None:
    sound = replace(DATABASE, missing=(), works_on=WorksOn.NEW)

    with pytest.raises(IntegrityFailure) as told:
        cli_recover.shown(replace(REPORT, database=replace(sound, **changed)), Output.JSON)

    assert told.value.summary.startswith("the application is back, but not all of app-g2 is as it was:\n  ")
    assert line in told.value.summary
    assert told.value.exit_status == 11
    assert cli_recover.shown(replace(REPORT, database=sound), Output.JSON) == 0
    assert cli_recover.shown(replace(REPORT, database=replace(sound, rpo=None)), Output.JSON) == 10


def test_a_file_that_a_step_which_is_open_writes_again_is_committed_twice(capsys: pytest.CaptureFixture[str]) -> None:
    found = replace(REPORT, to_commit="git add environments/x.recovery.tfvars.json")
    open_ = LeftOpen(name=database_adoption.COPIES.name, title=database_adoption.COPIES.title, why="RDS is busy")

    views_recovery.report(found, {})
    alone = capsys.readouterr().out
    views_recovery.report(replace(found, left_open=(open_,)), {})

    again = "lifeboat resume writes that file once more: commit it again then"
    assert again not in " ".join(alone.split())
    assert again in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("works_on", "words"),
    [
        (WorksOn.NEW, "works on the new database"),
        (WorksOn.NEW_AT_LEAST, "works on the new database; nobody knows whether on the old one too"),
        (WorksOn.BOTH, "works on both databases"),
        (WorksOn.UNKNOWN, "works on nobody knows which database"),
    ],
)
def test_the_report_tells_on_which_database_the_application_works_and_how_that_is_known(
    works_on: WorksOn, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = replace(REPORT, database=replace(DATABASE, works_on=works_on, works_on_why="app-g2 has sessions of app"))

    views_recovery.report(found, {})
    document = views_recovery.report_document(found)["database"]

    assert f"application: {words}: app-g2 has sessions of app" in " ".join(capsys.readouterr().out.split())
    assert (document["works_on"], document["works_on_why"]) == (works_on.value, "app-g2 has sessions of app")


def test_the_report_tells_which_risks_were_accepted_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    line = "LB_COV_1 aws_instance.this: nothing takes copies of it; accepted: by hand until Monday"
    found = replace(REPORT, accepted=(line,))

    views_recovery.report(found, {})

    assert f"accepted risk: {line}" in " ".join(capsys.readouterr().out.split())
    assert views_recovery.report_document(found)["accepted_risks"] == [line]
