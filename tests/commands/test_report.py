"""From a run's journal to its evidence to a report: in each form, verified, and with what nobody could look at."""

from __future__ import annotations

import json
import subprocess
from collections import UserDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from lifeboat.clients.journal import Journal
from lifeboat.clients.waiting import WallClock
from lifeboat.commands import recover, report, sweep
from lifeboat.decisions import evidence, evidence_chain
from lifeboat.decisions.timings import Answering
from lifeboat.errors import CleanUpIncomplete, Failed, Interrupted, LifeboatError, Locked, StoppedPartWay
from lifeboat.evidence_model import Kind
from lifeboat.model import Event, EventKind, Gap, RunId
from lifeboat.runner import Runner, Step, Turn
from lifeboat.site import Site
from lifeboat.stack import evidence_keeping
from lifeboat.stack.evidence_keeping import About

from tests import command_line
from tests.conftest import RunningCloud
from tests.evidence_runs import COPY, PROOF
from tests.gitlab_sites import DR_REGION, RECOVERY
from tests.plain_sites import ELSEWHERE, PlainSite, Told, plain_site
from tests.step_runs import Held, Seen

HOSTILE = "<script>alert(1)</script>"


@dataclass
class World:
    """What the steps of a run find and change."""

    restored: bool = False
    answers: bool = False
    breaks: LifeboatError | None = None


def restored(world: World) -> Gap | None:
    return None if world.restored else Gap(text="there is no app-g2")


def restore(world: World, turn: Turn) -> None:
    turn.note("chosen", **{**COPY, "other_copies": {HOSTILE: f"flagged {HOSTILE}"}})
    with turn.effect("restore app-g2", identifier="app-g2"):
        if world.breaks is not None:
            raise world.breaks
        world.restored = True
    turn.note("4 tables", **PROOF)


def answering(world: World) -> Gap | None:
    return None if world.answers else Gap(text="it does not answer")


def wait(world: World, _: Turn) -> None:
    world.answers = True


STEPS: tuple[Step[World], ...] = (
    Step(name="restore", title="Restore the database", check=restored, do=restore),
    Step(name="answers", title="Wait for the answer", check=answering, do=wait),
)
ABOUT = About(
    kind=Kind.RECOVER,
    scope="database",
    answering=Answering(step="answers", confirmed_by="sessions"),
    titles={step.name: step.title for step in STEPS},
)


def interrupted_after(done: Callable[[], object]) -> None:
    """Press Ctrl-C when this is done."""
    done()
    raise KeyboardInterrupt


class Interrupting(UserDict[str, str]):
    """Titles of steps; somebody presses Ctrl-C when they are asked for one."""

    def __getitem__(self, key: str) -> str:
        raise KeyboardInterrupt


@dataclass(frozen=True, kw_only=True)
class Looking(Told):
    """Who is told of progress, and looks each time who holds the environment."""

    site: Site
    held: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        super().say(text)
        found = self.site.lease(RunId("look")).holding()
        self.held.append("" if found is None else found.run.split("-")[1])


@dataclass(frozen=True, kw_only=True)
class Lab:
    """An environment with a bucket for evidence, one in the other region, and a number for each run."""

    plain: PlainSite
    told: Told

    @property
    def dumps(self) -> str:
        return f"{self.plain.application}-dumps"

    @property
    def other_region(self) -> str:
        return self.plain.site().project.environment.state.replica_bucket

    def recover(self, number: int, world: World | None = None) -> str:
        """Carry out a run of two steps, and return its name; what stops it is raised."""
        site, run = self.plain.site(), RunId(f"20260301T03000{number}Z-recover-00000{number}")
        journal = site.journal(run)
        journal.write(EventKind.BEGUN, text="attempt 1", **ELSEWHERE, request={})
        failed_at = (journal.events[0].at - timedelta(minutes=2)).isoformat()
        journal.write(EventKind.NOTE, step="failure", text="failed", failed_at=failed_at, why="the operator said so")
        journal.write(EventKind.DONE, step="failure")
        with evidence_keeping.kept(site, self.told, journal, ABOUT):
            self._carry_out(journal, world or World())
        return run

    def _carry_out(self, journal: Journal, world: World) -> None:
        Runner(journal=journal, clock=WallClock(), fence=Held(), watcher=Seen()).run(STEPS, world)
        journal.write(EventKind.ENDED, text="done")

    def report(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return command_line.run(self.plain.root, "report", *arguments, "-e", "x")

    def write_over(self, number: int, body: bytes) -> None:
        store = evidence_keeping.store(self.plain.site())
        self.plain.cloud.client("s3").put_object(Bucket=self.dumps, Key=store.place.key(number), Body=body)

    def body(self, number: int) -> bytes:
        return evidence_keeping.store(self.plain.site()).body(number)

    def refuse(self, operation: str, path: str) -> None:
        rule = {
            "service": "s3",
            "operation": operation,
            "path": path,
            "code": "AccessDenied",
            "status": 403,
            "times": 1000,
        }
        self.plain.cloud.control("faults", add=rule)


@pytest.fixture
def lab(cloud: RunningCloud, tmp_path: Path) -> Iterator[Lab]:
    plain = plain_site(cloud, tmp_path)
    (tmp_path / "terraform").mkdir()
    made = Lab(plain=plain, told=Told())
    recovery = {**RECOVERY, "dumps": {**RECOVERY["dumps"], "bucket": made.dumps}}
    outputs = {"recovery": {"value": recovery, "type": "dynamic"}}
    state = {"version": 4, "serial": 1, "lineage": "l", "outputs": outputs, "resources": []}
    plain.put("stack.tfstate", json.dumps(state).encode())
    cloud.client("s3").create_bucket(
        Bucket=made.dumps,
        CreateBucketConfiguration={"LocationConstraint": cloud.client("s3").meta.region_name},
        ObjectLockEnabledForBucket=True,
    )
    cloud.client("s3", DR_REGION).create_bucket(
        Bucket=made.other_region, CreateBucketConfiguration={"LocationConstraint": DR_REGION}
    )
    yield made
    cloud.control("faults", clear=True)


# -- from the journal to the report ------------------------------------------------------------------------------------


def test_a_run_writes_its_evidence_when_it_ends_and_the_report_tells_what_it_proved(lab: Lab) -> None:
    run = lab.recover(1)

    done = lab.report()

    printed = " ".join(done.stdout.split())
    assert done.returncode == 0
    assert f"{lab.plain.application}: recovery of the database objectives met" in printed
    for said in (
        run,
        "RTO 2 min",
        "RPO 1 h 1 min of",
        "database: app-2026-03-01-02-00 (automated snapshot): it loses least of what fits",
        "Restore the database",
        f"flagged {HOSTILE}",
        "SOC 2 A1.3",
        f"by: {ELSEWHERE['user']}@{ELSEWHERE['host']}",
        f"bundle: 1, sha256 {evidence_chain.digest(lab.body(1))}",
    ):
        assert said in printed
    assert lab.told.lines == [
        f"evidence: bundle 1, sha256 {evidence_chain.digest(lab.body(1))}; lifeboat report {run} shows it"
    ]


def test_json_is_what_is_stored_byte_for_byte(lab: Lab) -> None:
    run = lab.recover(1)
    lab.recover(2)

    done = lab.report(run, "-o", "json")

    assert (done.returncode, done.stdout.encode()) == (0, lab.body(1))
    assert json.loads(done.stdout)["bundle"]["versions"].keys() == {"lifeboat", "python", "boto3", "terraform"}


def test_a_run_that_stops_writes_evidence_of_that_and_stops_as_it_would(lab: Lab) -> None:
    with pytest.raises(StoppedPartWay, match="Restore the database: RDS is away"):
        lab.recover(1, World(breaks=Failed("RDS is away")))

    bundle = json.loads(lab.report("-o", "json").stdout)["bundle"]
    assert (bundle["outcome"], bundle["exit_status"], bundle["why"]) == (
        "stopped",
        4,
        "Restore the database: RDS is away",
    )
    assert [(step["name"], step["outcome"]) for step in bundle["steps"]] == [
        ("failure", "done"),
        ("restore", "stopped"),
    ]
    assert bundle["rto"]["met"] is False


def test_an_interrupted_run_writes_evidence_too(lab: Lab) -> None:
    site, run = lab.plain.site(), RunId("20260301T030001Z-recover-000001")
    journal = site.journal(run)
    journal.write(EventKind.BEGUN, text="attempt 1", **ELSEWHERE, request={})

    with pytest.raises(KeyboardInterrupt), evidence_keeping.kept(site, lab.told, journal, ABOUT):
        raise KeyboardInterrupt

    assert json.loads(lab.report("-o", "json").stdout)["bundle"]["outcome"] == "interrupted"


def test_an_interrupt_after_the_last_line_was_written_does_not_make_a_recovery_an_interrupted_one(lab: Lab) -> None:
    site, run = lab.plain.site(), RunId("20260301T030001Z-recover-000001")
    journal = site.journal(run)
    journal.write(EventKind.BEGUN, text="attempt 1", **ELSEWHERE, request={})

    with pytest.raises(KeyboardInterrupt), evidence_keeping.kept(site, lab.told, journal, ABOUT):
        interrupted_after(lambda: journal.write(EventKind.ENDED, text="done"))

    bundle = json.loads(lab.body(1))["bundle"]
    assert (bundle["outcome"], bundle["exit_status"], bundle["why"]) == ("met", 0, "")
    assert site.journals().unended() == []


def test_an_interrupt_while_the_last_line_was_on_its_way_is_set_right_by_the_next_sweep(lab: Lab) -> None:
    site, run = lab.plain.site(), RunId("20260301T030001Z-recover-000001")
    journal = site.journal(run)
    began = journal.write(EventKind.BEGUN, text="attempt 1", **ELSEWHERE, request={})
    last = Event(seq=2, at=began.at, kind=EventKind.ENDED, step="", text="done", data={})
    with pytest.raises(KeyboardInterrupt), evidence_keeping.kept(site, lab.told, journal, ABOUT):
        interrupted_after(lambda: site.journals().put(run, last))  # it gets there, and no answer comes back

    first = sweep.run(site, lab.told, lambda _: None)
    second = sweep.run(site, lab.told, lambda _: None)

    bundles = [json.loads(lab.body(number))["bundle"] for number in (1, 2)]
    assert [one["outcome"] for one in bundles] == ["interrupted", "met"]
    assert (first.told, second.told, site.journals().unended()) == ((run,), (), [])


def test_a_recovery_that_is_given_up_says_so_in_its_evidence(lab: Lab) -> None:
    run = lab.plain.run("20260301T040000Z-recover-00000a", (EventKind.INTENT, "instance", {}))

    recover.abort(lab.plain.site(), lab.told, run)

    document = json.loads(lab.report(run, "-o", "json").stdout)
    bundle = document["bundle"]
    assert (document["number"], bundle["outcome"], bundle["exit_status"]) == (1, "given-up", 0)
    assert (bundle["scope"], bundle["changed"], len(bundle["who"])) == ("instance", True, 1)
    assert lab.report("verify").returncode == 0


def test_who_lost_the_run_to_somebody_else_leaves_the_evidence_to_them(lab: Lab) -> None:
    site = lab.plain.site()
    journal = site.journal(RunId("20260301T030001Z-recover-000001"))
    journal.write(EventKind.BEGUN, text="attempt 1", **ELSEWHERE, request={})

    with pytest.raises(Locked), evidence_keeping.kept(site, lab.told, journal, ABOUT):
        raise Locked("theirs")

    assert (lab.told.lines, lab.report().returncode) == ([], 6)


def test_evidence_that_cannot_be_written_is_warned_of_and_changes_nothing_else(lab: Lab) -> None:
    lab.refuse("PutObject", f"/{lab.dumps}/.*")

    run = lab.recover(1)

    lab.plain.cloud.control("faults", clear=True)
    [warning] = lab.told.lines
    assert warning.startswith(
        f"the evidence of {run} is not written: cannot write the evidence s3://{lab.dumps}/evidence/"
    )
    none, latest, every = lab.report(run), lab.report(), lab.report("--all")
    assert (none.returncode, latest.returncode, every.returncode) == (6, 6, 0)
    assert f"the run {run} has no evidence" in " ".join(none.stderr.split())
    assert f"without evidence: {run}: it has ended, and was cut off or refused" in " ".join(every.stdout.split())


def test_what_a_recovery_that_ended_owes_the_next_sweep_writes_once(lab: Lab) -> None:
    lab.refuse("PutObject", f"/{lab.dumps}/.*")
    run = lab.recover(1)
    lab.plain.cloud.control("faults", clear=True)
    site = lab.plain.site()
    with site.lease(run).held():  # it is at it still
        meanwhile = sweep.run(site, lab.told, lambda _: None)
    with site.lease(RunId("20260301T050000Z-abort")).held():
        beside = sweep.run(site, lab.told, lambda _: None)
    looking = Looking(site=site)

    first = sweep.run(site, looking, lambda _: None)
    second = sweep.run(site, lab.told, lambda _: None)

    bundle = json.loads(lab.report(run, "-o", "json").stdout)["bundle"]
    assert (meanwhile.told, beside.told, first.told, second.told) == ((), (), (run,), ())
    assert [(line.partition(",")[0], held) for line, held in zip(looking.lines, looking.held, strict=True)] == [
        ("evidence: bundle 1", "sweep")
    ]
    assert site.lease(RunId("look")).holding() is None
    assert (bundle["kind"], bundle["outcome"], bundle["exit_status"]) == ("recover", "met", 0)
    assert (report.verify(site).bundles, lab.report("verify").returncode) == (1, 0)


def test_a_recovery_that_stopped_and_was_cut_off_at_its_end_later_has_evidence_of_both(lab: Lab) -> None:
    with pytest.raises(StoppedPartWay):
        lab.recover(1, World(breaks=Failed("RDS is away")))
    site, run = lab.plain.site(), RunId("20260301T030001Z-recover-000001")
    journal = site.journal(run)
    journal.open()
    journal.write(EventKind.BEGUN, text="attempt 2", **ELSEWHERE, request={"scope": "database"})
    journal.write(EventKind.DONE, step="answers")
    journal.write(EventKind.ENDED, text="done")
    before, shown = lab.report("--all"), lab.report(run)

    first = sweep.run(site, lab.told, lambda _: None)
    second = sweep.run(site, lab.told, lambda _: None)

    assert f"this is of an earlier attempt of {run}" in " ".join(shown.stderr.split())
    assert lab.report(run).stderr == ""
    bundles = [json.loads(lab.body(number))["bundle"] for number in (1, 2)]
    assert f"without evidence: {run}: only an attempt that stopped has some; it has ended since" in " ".join(
        before.stdout.split()
    )
    assert (first.told, second.told, report.of_all(site).without) == ((run,), (), ())
    assert [(one["outcome"], one["exit_status"], one["events"][-1]["kind"]) for one in bundles] == [
        ("stopped", 4, "stopped"),
        ("met", 0, "ended"),
    ]
    assert (report.verify(site).bundles, site.journals().unended()) == (2, [])


def test_a_recovery_whose_end_is_told_and_that_is_not_marked_is_only_marked(lab: Lab) -> None:
    run = lab.recover(1)
    site = lab.plain.site()
    lab.plain.delete(f"runs/{run}/ended")

    swept = sweep.run(site, lab.told, lambda _: None)

    assert (swept.told, report.verify(site).bundles, site.journals().unended()) == ((), 1, [])


def test_a_recovery_at_whose_journal_a_sweep_may_not_look_is_not_taken_for_one_that_owes_nothing(lab: Lab) -> None:
    lab.refuse("PutObject", f"/{lab.dumps}/.*")
    hidden, seen = lab.recover(1), lab.recover(2)
    lab.plain.cloud.control("faults", clear=True)
    lab.refuse("GetObject", f"/{lab.plain.bucket}/runs/{hidden}/.*")

    with pytest.raises(CleanUpIncomplete) as raised:
        sweep.run(lab.plain.site(), lab.told, lambda _: None)

    first, second = raised.value.summary.splitlines()
    assert raised.value.exit_status == 12
    assert first == "nobody can tell of every run whether it has ended, and owes its evidence:"
    assert second.startswith(f"  {hidden}: cannot read the journal of {hidden} in {lab.plain.bucket}: AccessDenied: ")
    assert raised.value.hint == "lifeboat sweep once more, when what it says is mended"
    assert lab.plain.site().journals().unended() == [hidden]
    assert json.loads(lab.body(1))["bundle"]["run"] == seen


@pytest.mark.parametrize("operation", ["ListObjectVersions", "PutObject"])
def test_a_sweep_that_may_not_look_at_the_evidence_or_write_it_does_not_end_well(lab: Lab, operation: str) -> None:
    lab.refuse("PutObject", f"/{lab.dumps}/.*")
    run = lab.recover(1)
    lab.plain.cloud.control("faults", clear=True)
    lab.refuse(operation, f"/{lab.dumps}.*")

    with pytest.raises(CleanUpIncomplete, match=f"  {run}: cannot .*AccessDenied") as raised:
        sweep.run(lab.plain.site(), lab.told, lambda _: None)
    lab.plain.cloud.control("faults", clear=True)

    assert raised.value.exit_status == 12
    assert sweep.run(lab.plain.site(), lab.told, lambda _: None).told == (run,)


def test_a_recovery_that_was_given_up_and_cut_off_there_says_so_in_what_the_sweep_writes(lab: Lab) -> None:
    run = lab.plain.run("20260301T040000Z-recover-00000a", (EventKind.INTENT, "instance", {}))
    journal = lab.plain.site().journal(run)
    journal.open()
    journal.write(EventKind.ENDED, text=evidence.ABORTED)

    swept = sweep.run(lab.plain.site(), lab.told, lambda _: None)

    bundle = json.loads(lab.report(run, "-o", "json").stdout)["bundle"]
    assert (swept.told, bundle["outcome"], bundle["scope"]) == ((run,), "given-up", "instance")


def test_journals_that_nobody_understands_keep_no_other_run_from_its_evidence(lab: Lab) -> None:
    done = (EventKind.ENDED, "", {})
    odd = {
        lab.plain.run("20260301T040000Z-recover-00000a", done, request=None): "AttributeError: ",
        lab.plain.run("20260301T040001Z-recover-00000b", done, request={"scope": ["full"]}): "TypeError: ",
        lab.plain.run(
            "20260301T040002Z-recover-00000c", done, request={"scope": "moon"}
        ): "it is of a newer lifeboat; ",
        lab.plain.run(
            "20260301T040003Z-recover-00000d", (EventKind.ENDED, "", {"failed": True, "exit_status": "many"})
        ): "ValueError: ",
    }
    sound = lab.plain.run("20260301T040004Z-recover-00000e", done)

    swept = sweep.run(lab.plain.site(), lab.told, lambda _: None)

    warnings = [line for line in lab.told.lines if "is not written" in line]
    assert (swept.told, lab.plain.site().journals().unended()) == ((sound,), list(odd))
    assert [
        line.startswith(f"the evidence of {run} is not written: {why}")
        for line, (run, why) in zip(warnings, odd.items(), strict=True)
    ] == [True] * len(odd)


def test_an_interrupt_while_evidence_is_written_says_what_writes_it(lab: Lab) -> None:
    site, run = lab.plain.site(), RunId("20260301T030001Z-recover-000001")
    journal = site.journal(run)
    journal.write(EventKind.BEGUN, text="attempt 1", **ELSEWHERE, request={})
    journal.write(EventKind.NOTE, step="restore", text="restored")
    journal.write(EventKind.ENDED, text="done")

    with pytest.raises(Interrupted) as raised:
        evidence_keeping.append(site, lab.told, journal, replace(ABOUT, titles=Interrupting(ABOUT.titles)))

    assert (raised.value.exit_status, raised.value.hint) == (130, "lifeboat sweep writes it where it is missing")


def test_a_journal_that_is_not_understood_is_warned_of_and_the_run_ends_as_it_would(lab: Lab) -> None:
    site, run = lab.plain.site(), RunId("20260301T030001Z-recover-000001")
    journal = site.journal(run)
    journal.write(EventKind.BEGUN, text="attempt 1", **ELSEWHERE, request={})
    journal.write(EventKind.NOTE, step="failure", failed_at="yesterday")

    with evidence_keeping.kept(site, lab.told, journal, ABOUT):
        journal.write(EventKind.ENDED, text="done")

    assert lab.told.lines == [
        f"the evidence of {run} is not written: ValueError: Invalid isoformat string: 'yesterday'; its journal stays"
        f" (lifeboat logs {run}); lifeboat sweep writes it, once that is mended"
    ]


# -- all runs ----------------------------------------------------------------------------------------------------------


def test_all_runs_are_shown_with_the_age_of_proof_of_every_kind_of_copy_and_runs_without_evidence(lab: Lab) -> None:
    first, second = lab.recover(1), lab.recover(2)
    lab.plain.run("20260301T040000Z-recover-00000a", (EventKind.INTENT, "instance", {}))
    lab.plain.run("20260301T050000Z-app-restart-00000b")

    table, document = lab.report("--all"), json.loads(lab.report("--all", "-o", "json").stdout)

    assert table.returncode == 0
    assert [(one["number"], one["run"], one["outcome"]) for one in document["bundles"]] == [
        (2, second, "met"),
        (1, first, "met"),
    ]
    proven = {f"{one['asset']}: {one['source']}": one["run"] for one in document["proofs"]}
    assert proven == {
        "database: dump": None,
        "database: automated snapshot": second,
        "database: manual snapshot": None,
        "database: AWS Backup point": None,
        "database: point-in-time window": None,
        "instance: image": None,
        "state: state version": None,
    }
    assert document["without_evidence"] == [{"run": "20260301T040000Z-recover-00000a", "why": "it has not ended"}]
    [series] = document["rto_over_time"]
    assert [(series["kind"], series["scope"], len(series["points"]))] == [("recover", "database", 2)]


# -- verified ----------------------------------------------------------------------------------------------------------


def test_a_chain_that_is_whole_is_told_as_that(lab: Lab) -> None:
    lab.recover(1)
    lab.recover(2)

    table, document = lab.report("verify"), lab.report("verify", "-o", "json")

    assert (table.returncode, json.loads(document.stdout)) == (0, {"bundles": 2, "findings": []})
    assert table.stdout == "2 bundles: each has the digest that the next one names and the other region knows\n"


def test_one_changed_byte_is_found_by_verify_and_by_each_report(lab: Lab) -> None:
    runs = [lab.recover(1), lab.recover(2), lab.recover(3)]
    body = lab.body(2)
    lab.write_over(2, body.replace(b'"outcome": "met"', b'"outcome": "wet"'))

    verified, document, unread_in_all = lab.report("verify"), lab.report("verify", "-o", "json"), lab.report("--all")
    of_others, unread = [lab.report(runs[0]).returncode, lab.report(runs[2]).returncode], lab.report(runs[1])
    lab.write_over(
        2, body.replace(b"RDS", b"rds") if b"RDS" in body else body.replace(b"it loses least", b"it loses nothing")
    )
    of_it, every, page = lab.report(runs[1]), lab.report("--all"), lab.report(runs[1], "-o", "html")

    assert (verified.returncode, document.returncode, of_others) == (11, 11, [0, 0])
    assert [(one["number"], one["wrong"]) for one in json.loads(document.stdout)["findings"]] == [(2, "changed")]
    why = "bundle 2 cannot be read: it is no evidence as this lifeboat writes it: bundle.outcome: input should be 'met'"
    assert why in " ".join(verified.stderr.split())
    assert (unread_in_all.returncode, why in " ".join(unread_in_all.stdout.split())) == (11, True)
    assert [run for run in (runs[0], runs[2]) if run not in unread_in_all.stdout] == []  # the others are still told
    assert (unread.returncode, f"the evidence of {runs[1]} cannot be read" in " ".join(unread.stderr.split())) == (
        11,
        True,
    )
    assert (of_it.returncode, every.returncode, page.returncode) == (11, 11, 11)
    assert "bundle 2 (run 20260301T030002Z-recover-000002) was changed" in " ".join(of_it.stdout.split())
    assert "This evidence is not as it was written" in page.stdout


def test_a_bundle_that_is_gone_and_an_end_that_is_cut_off_are_found(lab: Lab) -> None:
    for number in (1, 2, 3):
        lab.recover(number)
    store, s3 = evidence_keeping.store(lab.plain.site()), lab.plain.cloud.client("s3")

    s3.delete_object(Bucket=lab.dumps, Key=store.place.key(2))
    gone = lab.report("verify")
    s3.delete_object(Bucket=lab.dumps, Key=store.place.key(3))
    cut_off = lab.report("verify", "-o", "json")

    assert (gone.returncode, cut_off.returncode) == (11, 11)
    said = " ".join(gone.stderr.split())
    assert "bundle 2 (run 20260301T030002Z-recover-000002) is gone" in said
    assert f"aws s3api list-object-versions --bucket {lab.dumps} --prefix {store.place.prefix} shows" in said
    findings = json.loads(cut_off.stdout)["findings"]
    assert [(one["number"], one["wrong"]) for one in findings] == [(2, "cut-off"), (3, "cut-off")]


def test_an_older_bundle_is_not_shown_for_the_latest_where_the_newest_was_taken_away(lab: Lab) -> None:
    first, second = lab.recover(1), lab.recover(2)
    store = evidence_keeping.store(lab.plain.site())
    lab.plain.cloud.client("s3").delete_object(Bucket=lab.dumps, Key=store.place.key(2))

    latest, of_it, of_the_other = lab.report("latest"), lab.report(second), lab.report(first)

    words = f"bundle 2 (run {second}), which is, or may be, newer evidence, is gone"
    assert (latest.returncode, of_it.returncode, of_the_other.returncode) == (11, 11, 0)
    assert words in " ".join(latest.stdout.split())
    assert f"the evidence of {second} cannot be read: {words}" in " ".join(of_it.stderr.split())


def test_evidence_that_was_taken_away_with_its_digests_is_missed(lab: Lab) -> None:
    there = lab.plain.cloud.client("s3", DR_REGION)
    there.put_bucket_versioning(Bucket=lab.other_region, VersioningConfiguration={"Status": "Enabled"})
    run = lab.recover(1)
    place, s3 = evidence_keeping.store(lab.plain.site()).place, lab.plain.cloud.client("s3")

    s3.delete_object(Bucket=place.bucket, Key=place.key(1))
    there.delete_object(Bucket=place.head_bucket, Key=place.head_key(1))
    verified, every = lab.report("verify"), lab.report("--all")

    assert (verified.returncode, every.returncode) == (11, 11)
    assert "bundle 1 is gone, and none follows it: the end is cut off" in " ".join(verified.stderr.split())
    assert f"without evidence: {run}: none was written, it is of an older lifeboat, or it was taken away" in " ".join(
        every.stdout.split()
    )


def test_what_nobody_could_look_at_is_not_called_whole(lab: Lab) -> None:
    lab.recover(1)
    lab.refuse("ListObject.*", f"/{lab.other_region}.*")
    blind = lab.report("verify")
    lab.plain.cloud.control("faults", clear=True)
    lab.refuse("GetObject", f"/{lab.dumps}/evidence/.*")
    unread = lab.report("verify")

    assert (blind.returncode, unread.returncode) == (8, 8)
    assert f"cannot list the versions in s3://{lab.other_region}/" in " ".join(blind.stderr.split())
    assert f"cannot read the evidence s3://{lab.dumps}/" in " ".join(unread.stderr.split())


def test_evidence_that_the_other_region_does_not_know_of_yet_is_told_by_the_next_run(lab: Lab) -> None:
    lab.refuse("PutObject", f"/{lab.other_region}/.*")
    lab.recover(1)
    before = lab.report("verify").returncode
    lab.plain.cloud.control("faults", clear=True)

    lab.recover(2)

    assert (before, lab.report("verify").returncode) == (8, 0)
    assert "the other region does not know of it yet: cannot write s3://" in lab.told.lines[0]


# -- wrong inputs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("../x",), 2, "a run, latest or verify"),
        (("",), 2, "a run, latest or verify"),
        (("20260301T030001Z-recover-000001", "--all"), 2, "--all is of all runs, and one is named"),
        (("latest", "--all"), 2, "--all is of all runs, and one is named"),
        (("verify", "-o", "html"), 2, "verify looks at everything"),
        (("verify", "--all"), 2, "verify looks at everything"),
        (("--out", "x.html"), 2, "a table is printed"),
        (("20260301T030009Z-recover-000009",), 6, "there is no run 20260301T030009Z-recover-000009"),
        (("latest", "-o", "html", "--out", "no/such/folder/x.html"), 2, "cannot be written to no/such/folder/x.html"),
    ],
)
def test_wrong_inputs_get_one_clear_error(lab: Lab, arguments: tuple[str, ...], status: int, says: str) -> None:
    lab.recover(1)

    done = lab.report(*arguments)

    assert (done.returncode, says in " ".join(done.stderr.split())) == (status, True), done.stderr


# -- other forms -------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a browser would fetch, run or show of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.mark.parametrize("which", ["latest", "--all"])
def test_the_page_asks_nobody_for_anything_and_runs_nothing(lab: Lab, which: str) -> None:
    lab.recover(1)
    file = lab.plain.root / "report.html"

    done = lab.report(which, "-o", "html", "--out", str(file))

    text = file.read_text()
    page = Page(text)
    assert done.returncode == 0
    assert not {"script", "link", "img", "iframe", "object", "embed", "video", "audio", "form", "base"} & set(page.tags)
    fetching = {"src", "href", "srcset", "action", "data", "poster", "xlink:href", "background", "ping"}
    assert not fetching & {name for name, _ in page.attributes}
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not any(word in text for word in ("http://", "https://", "url(", "@import", "//fonts", "javascript:"))
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes
    assert "svg" in page.tags


def test_a_name_that_is_markup_is_shown_and_not_obeyed(lab: Lab) -> None:
    lab.recover(1)

    html, markdown = lab.report("-o", "html").stdout, lab.report("-o", "markdown").stdout

    assert HOSTILE not in html
    assert "script" not in Page(html).tags
    assert f"flagged {HOSTILE}" in Page(html).text
    assert "<script>" not in markdown
    assert r"\<script\>alert\(1\)\</script\>" in markdown


def test_junit_tells_what_failed_and_what_passed(lab: Lab) -> None:
    lab.recover(1)
    with pytest.raises(StoppedPartWay):
        lab.recover(2, World(breaks=Failed("RDS is away")))

    good, bad, every = (
        ElementTree.fromstring(lab.report(*which, "-o", "junit").stdout)  # noqa: S314
        for which in (("20260301T030001Z-recover-000001",), (), ("--all",))
    )

    assert (good.get("failures"), good.get("errors")) == ("0", "0")
    failed = [one.get("name") for one in bad.iter("testcase") if one.find("failure") is not None]
    assert failed == ["20260301T030002Z-recover-000002", "recovery time (RTO)", "Restore the database"]
    assert every.get("failures") == "1"
