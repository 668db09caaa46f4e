"""A status as people and programs read it: the table on wide and narrow terminals, JSON, Prometheus, Nagios, metrics."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from lifeboat.decisions.status import formats, metrics, trends
from lifeboat.model import EncryptionKey
from lifeboat.status_model import Facts, Measure, Seen, Status
from lifeboat.views_status import rendered, screen
from rich.console import Console

from tests import command_line
from tests.gitlab_sites import DR_REGION
from tests.rehearsal import ROOT
from tests.status.healthy import (
    APP,
    DAY,
    DUMP,
    HOUR,
    KEY,
    LIMITS,
    NOW,
    both,
    drill,
    healthy,
    judged,
    unseen,
)

BROKEN = replace(
    healthy(),
    keys={KEY: Seen(found=EncryptionKey(arn=KEY, state="Disabled"))},
    dumps=both((DUMP,), ()),
    table_recovery=unseen("dynamodb:DescribeContinuousBackups", "AccessDenied: not you"),
)


def shown(found: Status, width: int, *, terminal: bool) -> str:
    """Return what is printed on a terminal of that width, without its colours; or what goes into a file."""
    out = Console(width=width, force_terminal=terminal, color_system=None, record=True, highlight=False, emoji=False)
    with out.capture() as caught:
        for part in rendered(found, out):
            out.print(part)
    return re.sub(r"\x1b\[[0-9;]*m", "", caught.get())


def numbers(facts: Facts) -> dict[tuple[str, str], float]:
    found = metrics.measures(judged(facts), facts, LIMITS)
    return {(one.name, one.dimensions.get("Kind", "")): one.value for one in found}


@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    text = shown(judged(BROKEN), width, terminal=True)

    assert max(len(line) for line in text.splitlines()) <= width


@pytest.mark.parametrize("width", [60, 160])
def test_what_is_red_is_told_with_what_should_be_why_and_what_to_type(width: int) -> None:
    text = " ".join(shown(judged(BROKEN), width, terminal=True).split())

    assert "2 red, 1 unknown" in text
    assert "keys.enabled database.this.eu-west-1" in text
    assert f"is: the key is Disabled ({KEY})" in text
    assert "should be: Enabled" in text
    assert "With its key disabled a copy cannot be read" in text
    assert "next: aws kms enable-key --key-id" in text
    assert "AccessDenied: not you" in text
    assert "dynamodb:DescribeContinuousBackups must be allowed" in text


def test_a_healthy_environment_is_told_in_one_word_and_counted() -> None:
    text = shown(judged(healthy()), 160, terminal=True)

    assert "all green" in text
    assert "✘" not in text
    found = judged(healthy())
    assert f"{found.expected} of {found.expected} checks executed" in text


def test_what_could_not_look_is_counted_as_not_executed() -> None:
    found = judged(BROKEN)

    assert f"{found.expected - 1} of {found.expected} checks executed; 1 could not look" in shown(
        found, 160, terminal=False
    )


def test_the_row_of_a_copy_tells_its_age_against_the_limit_its_size_and_its_proof() -> None:
    text = shown(judged(healthy()), 200, terminal=True)

    row = next(line for line in text.splitlines() if "dump" in line and "eu-west-1" in line)
    assert re.search(r"11-29 09:00Z.*3h of 26h.*1000 B.*level 3, 2h ago", row)


def test_without_a_terminal_there_are_no_signs_that_a_log_cannot_show() -> None:
    text = shown(judged(BROKEN), 140, terminal=False)

    assert "✘" not in text
    assert "━" not in text
    assert "RED keys.enabled" in text


def test_a_place_that_could_not_be_looked_at_has_a_row_of_its_own() -> None:
    facts = replace(healthy(), images={**healthy().images, DR_REGION: unseen("ec2:DescribeImages")})

    text = shown(judged(facts), 160, terminal=True)

    row = next(line for line in text.splitlines() if "machine image" in line and DR_REGION in line)
    assert "unknown" in row


def test_findings_that_say_the_same_are_told_once() -> None:
    facts = replace(healthy(), drills=unseen("s3:GetObject", "no bucket"))

    text = shown(judged(facts), 160, terminal=True)

    assert len(re.findall("drills.age database, instance, full, state", text)) == 1
    assert "drills.age instance" not in text


# -- programs ----------------------------------------------------------------------------------------------------------


def test_the_document_tells_every_verdict_and_what_the_gate_would_end_with() -> None:
    document = json.loads(json.dumps(formats.document(judged(BROKEN))))

    assert document["gate"] == 8
    assert document["checks"]["expected"] == len(document["verdicts"])
    assert document["checks"]["executed"] == document["checks"]["expected"] - 1
    red = [one for one in document["verdicts"] if one["colour"] == "red"]
    assert [one["check"] for one in red] == ["dumps.age", "keys.enabled"]
    assert red[1] == {
        "check": "keys.enabled",
        "subject": "database.this.eu-west-1",
        "asset": "keys",
        "weight": "protection",
        "colour": "red",
        "is": f"the key is Disabled ({KEY})",
        "should_be": "Enabled",
        "why": "With its key disabled a copy cannot be read, with its key deleted it never will be.",
        "next": f"aws kms enable-key --key-id {KEY} --region eu-west-1",
    }
    dump = next(one for one in document["copies"] if one["kind"] == "dump" and one["region"] == "eu-west-1")
    assert (dump["age_seconds"], dump["limit_seconds"], dump["verified_level"]) == (3 * 3600, 26 * 3600, 3)


def test_prometheus_gets_a_sample_for_what_is_known_and_none_for_what_is_not() -> None:
    found = judged(BROKEN)

    text = formats.prometheus(found, metrics.measures(found, BROKEN, LIMITS))

    labels = f'environment="x",application="{APP}"'
    lines = text.splitlines()
    assert f'lifeboat_backup_age_seconds{{{labels},kind="database"}} 540' in lines
    assert not any('kind="dumps"' in line and "backup_age" in line for line in lines)
    assert f'lifeboat_status_check_ok{{{labels},check="keys.enabled",subject="database.this.eu-west-1"}} 0' in lines
    assert f'lifeboat_status_check_ok{{{labels},check="state.table-recovery",subject=""}} 0' in lines
    assert f'lifeboat_status_checks{{{labels},colour="unknown"}} 1' in lines
    assert f"lifeboat_status_gate{{{labels}}} 8" in lines
    sample = re.compile(r'[a-z_]+\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\} [-0-9.e+]+')
    assert all(line.startswith("# ") or sample.fullmatch(line) for line in lines)


def test_labels_are_escaped() -> None:
    found = replace(judged(healthy()), application='a"b\\c')

    assert 'application="a\\"b\\\\c"' in formats.prometheus(found, ())


@pytest.mark.parametrize(
    ("facts", "begins"),
    [
        (
            healthy(),
            f"LIFEBOAT OK - x: {judged(healthy()).expected}/{judged(healthy()).expected} checks, 0 red, 0 unknown: ",
        ),
        (BROKEN, "LIFEBOAT UNKNOWN - x: "),
        (replace(BROKEN, table_recovery=Seen(found="ENABLED")), "LIFEBOAT CRITICAL - x: "),
        (replace(healthy(), dumps=both((DUMP,), ())), "LIFEBOAT WARNING - x: "),
    ],
)
def test_nagios_gets_one_line(facts: Facts, begins: str) -> None:
    found = judged(facts)

    line = formats.nagios(found, metrics.measures(found, facts, LIMITS))

    assert line.startswith(begins)
    assert "\n" not in line
    assert line.count("|") == 1
    assert "database=540s" in line.partition("|")[2]


def test_nagios_is_told_in_one_line_that_nothing_could_be_looked_at() -> None:
    ended = command_line.run(ROOT, "status", "-o", "nagios", "-e", "nope")

    assert ended.returncode == 3
    assert re.fullmatch(r"LIFEBOAT UNKNOWN: [^\n|]*nope[^\n|]*\n", ended.stdout)
    assert "nope" in ended.stderr


def test_how_often_to_look_is_refused_where_it_is_looked_at_once() -> None:
    ended = command_line.run(ROOT, "status", "--every", "5m", "-e", "nope")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "--every says how often --watch looks" in ended.stderr


def test_what_cannot_be_looked_at_ends_a_gate_as_any_command() -> None:
    ended = command_line.run(ROOT, "status", "-o", "nagios", "--gate", "-e", "nope")

    assert (ended.returncode, ended.stdout) == (2, "")


# -- metrics -----------------------------------------------------------------------------------------------------------


def test_the_metrics_of_a_healthy_environment() -> None:
    found = numbers(healthy())

    assert found[("BackupAgeSeconds", "database")] == 9 * 60
    assert found[("BackupAgeSeconds", "vault")] == 9 * 3600
    assert found[("BackupAgeSeconds", "dumps")] == 3 * 3600
    assert found[("BackupAgeSeconds", "instance-volume")] == 6 * 3600
    assert found[("BackupAgeSeconds", "image")] == 10 * 86400
    assert found[("BackupAgeSeconds", "state")] == 0
    assert found[("RestoreProofAgeSeconds", "dumps")] == 2 * 3600
    assert found[("RestoreProofAgeSeconds", "database")] == 86400
    assert found[("RestoreProofAgeSeconds", "state")] == 86400
    assert found[("RestoreProofAgeSeconds", "image")] == 86400
    assert found[("MeasuredRtoSeconds", "full")] == 180
    assert found[("DrillAgeSeconds", "database")] == 86400
    assert found[("BackupBytes", "dumps")] == 1000
    assert (found[("LeakedResources", "")], found[("StatusChecksRed", "")], found[("StatusChecksUnknown", "")]) == (
        0,
        0,
        0,
    )


def test_what_nobody_saw_has_no_age() -> None:
    facts = replace(
        healthy(),
        windows={**healthy().windows, DR_REGION: unseen("rds:DescribeDBInstanceAutomatedBackups")},
        state={},
        leaks=unseen("sqs:ListQueues"),
        drills=unseen("s3:GetObject"),
    )

    found = numbers(facts)

    for absent in (
        ("BackupAgeSeconds", "database"),
        ("BackupAgeSeconds", "state"),
        ("LeakedResources", ""),
        ("DrillAgeSeconds", "full"),
        ("MeasuredRtoSeconds", "full"),
    ):
        assert absent not in found
    assert found[("StatusChecksUnknown", "")] > 0


def test_a_kind_of_which_there_is_no_copy_has_no_age() -> None:
    assert ("BackupAgeSeconds", "dumps") not in numbers(replace(healthy(), dumps=both((DUMP,), ())))


def test_a_failed_drill_makes_no_drill_young() -> None:
    drills = (drill("full", 5 * DAY), drill("full", HOUR, passed=False, rto=6 * HOUR), drill("state"))

    found = numbers(replace(healthy(), drills=Seen(found=drills)))

    assert found[("DrillAgeSeconds", "full")] == timedelta(days=5).total_seconds()
    assert found[("MeasuredRtoSeconds", "full")] == timedelta(minutes=3).total_seconds()  # of the one that went well


def test_a_drill_that_was_cut_off_is_shown_with_the_times_of_the_last_that_went_well() -> None:
    cut_off = drill("full", HOUR, passed=False, cut_off=True, rto=None, rpo=None, run="20261128T140000Z-drill-cut")
    found = judged(replace(healthy(), drills=Seen(found=(drill("full", 5 * DAY), drill("state"), cut_off))))

    row = next(one for one in formats.document(found)["drills"] if one["scope"] == "full")
    line = next(line for line in shown(found, 200, terminal=False).splitlines() if line.split()[:1] == ["full"])

    assert (row["run"], row["passed"], row["cut_off"]) == ("20261128T140000Z-drill-cut", False, True)
    assert (row["went_well"], row["rto_seconds"]) == (drill("full").run, 180)
    assert line.split(maxsplit=3)[1:3] == ["60m", "ago"]
    assert "cut off" in line
    assert "3m of 4h, 5d ago" in line


def test_all_dimensions_are_those_that_the_alarms_watch() -> None:
    found: tuple[Measure, ...] = metrics.measures(judged(healthy()), healthy(), LIMITS)

    assert {one.dimensions["Name"] for one in found} == {APP}
    assert {one.name for one in found if "Kind" not in one.dimensions} == {
        "LeakedResources",
        "StatusChecksRed",
        "StatusChecksUnknown",
    }
    assert {one.unit for one in found} == {"Seconds", "Bytes", "Count"}
    assert len({(one.name, tuple(sorted(one.dimensions.items()))) for one in found}) == len(found)


def test_a_trend_has_one_sign_for_each_size() -> None:
    assert trends.line((1, 4, 8)) == "▂▅█"
    assert trends.line((0, 5)) == " █"
    assert trends.line((0, 0)) == "  "
    assert trends.line(()) == ""


def test_times_are_told_with_their_zone() -> None:
    document = formats.document(judged(healthy()))

    assert document["at"] == NOW.isoformat()


@pytest.mark.parametrize(("width", "height"), [(160, 50), (160, 40), (80, 24), (60, 16)])
def test_what_is_watched_fits_onto_one_screen_and_tells_what_is_red(width: int, height: int) -> None:
    facts = replace(BROKEN, state={}, alarms=unseen("cloudwatch:DescribeAlarms"))
    out = Console(width=width, height=height, force_terminal=True, color_system=None, highlight=False, emoji=False)

    with out.capture() as caught:
        for part in screen(judged(facts), out, "looked at again in 30 s"):
            out.print(part)
    lines = caught.get().splitlines()

    assert len(lines) <= height
    assert max(len(line) for line in lines) <= width
    assert "looked at again in 30 s" in lines[-1]
    assert any("dumps.age" in line for line in lines)
    assert any(re.search(r"and \d+ more: lifeboat status", line) for line in lines)
