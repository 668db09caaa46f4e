"""The journal of a run: durable in two places, never rewritten, and readable from another machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from lifeboat.clients.journal import Journal, JournalBucket, document
from lifeboat.errors import IntegrityFailure, Locked, NothingFits, Unreachable
from lifeboat.model import EventKind, RunId

from tests.conftest import RunningCloud

RUN = RunId("20260301T030000Z-recover-ab12")


@pytest.fixture
def bucket(cloud: RunningCloud) -> str:
    name = f"journal-{uuid4().hex[:8]}"
    cloud.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return name


@pytest.fixture
def journals(cloud: RunningCloud, bucket: str) -> JournalBucket:
    return JournalBucket(s3=cloud.client("s3"), bucket=bucket)


def ticking() -> Callable[[], datetime]:
    """Return a clock that shows a second more each time."""
    seconds = iter(range(10_000))
    return lambda: datetime(2026, 3, 1, 3, 0, tzinfo=UTC) + timedelta(seconds=next(seconds))


def journal(journals: JournalBucket, folder: Path) -> Journal:
    return Journal(run=RUN, path=folder / "journal.jsonl", bucket=journals, now=ticking())


def test_a_line_is_in_both_places_when_write_returns(
    cloud: RunningCloud, bucket: str, journals: JournalBucket, tmp_path: Path
) -> None:
    written = journal(journals, tmp_path).write(EventKind.INTENT, step="s", text="do it", image="ami-1")

    there = cloud.client("s3").get_object(Bucket=bucket, Key=f"runs/{RUN}/000001.json")["Body"].read()
    here = (tmp_path / "journal.jsonl").read_text()
    assert json.loads(there) == json.loads(here) == document(written)
    assert (tmp_path / "journal.jsonl").stat().st_mode & 0o777 == 0o600


def test_another_machine_reads_it_all_and_goes_on(journals: JournalBucket, tmp_path: Path) -> None:
    first = journal(journals, tmp_path / "a")
    for text in ("one", "two"):
        first.write(EventKind.NOTE, text=text)

    second = journal(journals, tmp_path / "b")
    second.open()
    second.write(EventKind.NOTE, text="three")

    assert [event.text for event in second.events] == ["one", "two", "three"]
    assert journals.events(RUN) == list(second.events)
    assert (tmp_path / "b" / "journal.jsonl").read_text().count("\n") == 3


def test_who_was_taken_over_cannot_write_one_more_line(journals: JournalBucket, tmp_path: Path) -> None:
    first, second = journal(journals, tmp_path / "a"), journal(journals, tmp_path / "b")
    first.write(EventKind.BEGUN)
    second.open()
    second.write(EventKind.BEGUN, text="the second")

    with pytest.raises(Locked, match=f"somebody else goes on with the run {RUN}"):
        first.write(EventKind.INTENT, text="too late")

    assert [event.text for event in journals.events(RUN)] == ["", "the second"]


def test_a_line_of_which_the_answer_was_lost_is_written_once(
    cloud: RunningCloud, journals: JournalBucket, tmp_path: Path
) -> None:
    cloud.control("faults", add={"service": "s3", "operation": "PutObject", "when": "after", "status": 500})
    patient = JournalBucket(s3=_retrying(cloud), bucket=journals._name)

    journal(patient, tmp_path).write(EventKind.NOTE, text="once")
    cloud.control("faults", clear=True)

    assert [event.text for event in journals.events(RUN)] == ["once"]


def _retrying(cloud: RunningCloud) -> object:
    """Return a client that tries twice with a new invocation each time, so that no answer is remembered for it."""
    client = cloud.client("s3")
    original = client.put_object

    class Twice:
        def __getattr__(self, name: str) -> object:
            return getattr(client, name)

        def put_object(self, **asked: object) -> object:
            try:
                return original(**asked)
            except client.exceptions.ClientError:
                return original(**asked)

    return Twice()


def test_a_line_that_only_this_machine_has_is_given_to_the_bucket(journals: JournalBucket, tmp_path: Path) -> None:
    first = journal(journals, tmp_path)
    first.write(EventKind.BEGUN)
    # Killed between the file and the bucket.
    line = {**document(first.events[0]), "seq": 2, "kind": "intent", "text": "was about to"}
    with (tmp_path / "journal.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")

    again = journal(journals, tmp_path)
    again.open()

    assert [event.text for event in journals.events(RUN)] == ["", "was about to"]
    assert again.events == tuple(journals.events(RUN))


def test_where_both_disagree_the_bucket_counts_and_the_file_is_kept(journals: JournalBucket, tmp_path: Path) -> None:
    first, elsewhere = journal(journals, tmp_path / "a"), journal(journals, tmp_path / "b")
    first.write(EventKind.BEGUN)
    elsewhere.open()
    elsewhere.write(EventKind.NOTE, text="theirs")
    with pytest.raises(Locked):
        first.write(EventKind.NOTE, text="ours")

    again = journal(journals, tmp_path / "a")
    again.open()

    assert [event.text for event in again.events] == ["", "theirs"]
    assert len(list((tmp_path / "a").glob("journal.jsonl.forked-*"))) == 1


def test_a_line_that_a_kill_cut_off_is_not_read(journals: JournalBucket, tmp_path: Path) -> None:
    journal(journals, tmp_path).write(EventKind.BEGUN)
    with (tmp_path / "journal.jsonl").open("a") as file:
        file.write('{"seq": 2, "kin')

    again = journal(journals, tmp_path)
    again.open()

    assert [event.kind for event in again.events] == [EventKind.BEGUN]


def test_a_run_that_nobody_knows_is_not_begun_by_opening_it(journals: JournalBucket, tmp_path: Path) -> None:
    with pytest.raises(NothingFits, match=f"there is no run {RUN}"):
        journal(journals, tmp_path).open()

    assert journals.runs() == []


@pytest.mark.parametrize("damage", ["missing", "garbled"])
def test_a_journal_with_a_missing_or_damaged_line_is_not_trusted(
    cloud: RunningCloud, bucket: str, journals: JournalBucket, tmp_path: Path, damage: str
) -> None:
    first = journal(journals, tmp_path)
    for text in ("one", "two", "three"):
        first.write(EventKind.NOTE, text=text)
    key = {"Bucket": bucket, "Key": f"runs/{RUN}/000002.json"}
    if damage == "missing":
        cloud.client("s3").delete_object(**key)
    else:
        cloud.client("s3").put_object(**key, Body=b'{"seq": 2}')

    with pytest.raises(IntegrityFailure, match="lacks lines" if damage == "missing" else "is damaged"):
        journals.events(RUN)


def test_runs_are_listed_oldest_first_to_the_last_page(
    cloud: RunningCloud, bucket: str, journals: JournalBucket
) -> None:
    s3 = cloud.client("s3")
    for number in range(1005):
        s3.put_object(Bucket=bucket, Key=f"runs/20260301T03{number:04}Z-recover/000001.json", Body=b"{}")

    found = journals.runs()

    assert (len(found), found[0][:15], found[-1][:15]) == (1005, "20260301T030000", "20260301T031004")


def test_a_run_that_ended_is_told_from_one_that_did_not_without_reading_its_lines(
    cloud: RunningCloud, bucket: str, journals: JournalBucket, tmp_path: Path
) -> None:
    cloud.client("s3").put_object(Bucket=bucket, Key="runs/dns/20260301T030000Z.json", Body=b"{}")
    first = journal(journals, tmp_path)
    first.write(EventKind.BEGUN)
    before = journals.unended()

    first.end("done")

    assert (before, journals.unended(), journals.runs()) == ([RUN], [], [RUN])
    assert [event.kind for event in journals.events(RUN)] == [EventKind.BEGUN, EventKind.ENDED]


def test_a_run_that_owes_evidence_after_its_last_line_is_found_until_it_is_marked(
    journals: JournalBucket, tmp_path: Path
) -> None:
    first = journal(journals, tmp_path)
    first.write(EventKind.ENDED)
    before = journals.unended()

    first.mark_ended()

    assert (before, journals.unended()) == ([RUN], [])


@pytest.mark.parametrize("when", ["before", "after"])
def test_while_the_bucket_is_away_nothing_counts_and_afterwards_the_same_machine_goes_on(
    cloud: RunningCloud, journals: JournalBucket, tmp_path: Path, when: str
) -> None:
    first = journal(journals, tmp_path)
    first.write(EventKind.BEGUN)
    # With "after", the line gets there and nobody ever hears of it.
    rule = {"service": "s3", "operation": "PutObject", "when": when, "times": 1000, "status": 503}
    cloud.control("faults", add=rule)
    for text in ("the result", "that it stopped"):
        with pytest.raises(Unreachable):
            first.write(EventKind.RESULT, text=text)
    cloud.control("faults", clear=True)

    resumed = journal(journals, tmp_path)
    resumed.open()
    resumed.write(EventKind.BEGUN, text="again")

    got_there = [] if when == "before" else ["the result", "that it stopped"]
    assert [event.text for event in resumed.events] == ["", *got_there, "again"]
    assert journals.events(RUN) == list(resumed.events)


def test_a_line_whose_answer_was_lost_counts_for_the_process_that_wrote_it(
    cloud: RunningCloud, journals: JournalBucket, tmp_path: Path
) -> None:
    first = journal(journals, tmp_path)
    cloud.control("faults", add={"service": "s3", "operation": "PutObject", "when": "after", "status": 503})
    with pytest.raises(Unreachable):
        first.write(EventKind.INTENT, text="launch")

    first.write(EventKind.RESULT, text="launched")

    assert [event.text for event in first.events] == ["launch", "launched"]
    assert journals.events(RUN) == list(first.events)
    assert (tmp_path / "journal.jsonl").read_text().count("\n") == 2


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupt_while_a_line_is_written_costs_neither_that_one_nor_those_after_it(
    cloud: RunningCloud, bucket: str, tmp_path: Path, when: str
) -> None:
    journals = JournalBucket(s3=_Interrupted(cloud.client("s3"), when), bucket=bucket)
    first = journal(journals, tmp_path)
    first.write(EventKind.BEGUN)
    with pytest.raises(KeyboardInterrupt):
        first.write(EventKind.STOPPED, text="interrupted")

    first.write(EventKind.RESULT, text="removed")

    assert [event.text for event in first.events] == ["", "interrupted", "removed"]
    assert journals.events(RUN) == list(first.events)
    lines = (tmp_path / "journal.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [document(event) for event in first.events]


class _Interrupted:
    """S3 to a process that is interrupted while its second object is written: before that is sent, or once it is there."""

    def __init__(self, s3: Any, when: str) -> None:
        self._s3 = s3
        self._when = when
        self._written = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)

    def put_object(self, **asked: Any) -> Any:
        self._written += 1
        if self._written != 2:
            return self._s3.put_object(**asked)
        if self._when == "after":
            self._s3.put_object(**asked)
        raise KeyboardInterrupt


def test_without_a_bucket_there_is_no_run_and_the_command_that_makes_it_is_named(cloud: RunningCloud) -> None:
    nowhere = JournalBucket(s3=cloud.client("s3"), bucket="nobody-made-this")

    for ask in (nowhere.runs, nowhere.unended):
        with pytest.raises(NothingFits, match="no run was ever written down") as told:
            ask()
        assert told.value.hint == "lifeboat apply makes it"
