"""`lifeboat state unlock`: who holds the lock is shown, and it goes only when they are gone and somebody agrees."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from lifeboat.clients import machines, run_files
from lifeboat.commands import state_doctor
from lifeboat.commands.state_doctor import Orders
from lifeboat.decisions.state_unlocking import Sure
from lifeboat.errors import LifeboatError, Locked, NothingFits, Unreachable
from lifeboat.model import RunId
from lifeboat.state_model import RESTORING, LockMode, LockPlace, StateRoot

from tests.conftest import RunningCloud
from tests.gitlab_sites import REGION, GitLabSite, forget_pipelines
from tests.plain_sites import PlainSite, Told
from tests.sick_states import LOCK, SickSite, cut_off, sick_site

MODES: tuple[LockMode, ...] = ("dynamodb", "lockfile", "both")
BOTH = {LockPlace.TABLE, LockPlace.FILE}


@pytest.fixture(scope="module")
def sites(cloud: RunningCloud, tmp_path_factory: pytest.TempPathFactory) -> dict[LockMode, SickSite]:
    return {mode: sick_site(cloud, tmp_path_factory.mktemp(mode), mode) for mode in MODES}


@pytest.fixture
def make(sites: dict[LockMode, SickSite]) -> Callable[[LockMode], SickSite]:
    """Return how to get the site of a lock mode, sound."""

    def reset(mode: LockMode) -> SickSite:
        sites[mode].reset()
        return sites[mode]

    return reset


def ago(**age: float) -> str:
    return f"{datetime.now(UTC) - timedelta(**age):%Y-%m-%dT%H:%M:%S}Z"


def info(pid: int, began: float) -> str:
    """Return what a lock of lifeboat's says of its process on this machine."""
    return json.dumps({"lifeboat": {"machine": machines.machine(), "pid": pid, "began": began}})


def dead() -> str:
    """Return the same of a process that has just ended."""
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    began = psutil.Process(child.pid).create_time()
    child.communicate()
    return info(child.pid, began)


class Asked:
    """Somebody who agrees, and remembers to what."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, lines: Sequence[str]) -> None:
        self.lines += lines


def orders(*sure: Sure, asked: Asked | None = None) -> Orders:
    return Orders(agree=asked or Asked(), tell=Told(), sure=frozenset(sure))


def refused(kind: type[LifeboatError], sick: SickSite, lock_id: str, *sure: Sure) -> LifeboatError:
    """Try to unlock, and return why not; nothing was asked, and every lock and digest is what it was."""
    asked = Asked()
    before = sick.site.state_locks(StateRoot.STACK).locks(), None if sick.mode == "lockfile" else sick.digest()

    with pytest.raises(LifeboatError) as caught:
        state_doctor.unlock(sick.site, orders(*sure, asked=asked), StateRoot.STACK, lock_id)

    after = sick.site.state_locks(StateRoot.STACK).locks(), None if sick.mode == "lockfile" else sick.digest()
    assert type(caught.value) is kind, f"{caught.value!r}"
    assert (after, asked.lines) == (before, [])
    return caught.value


@pytest.mark.parametrize("mode", MODES)
def test_the_lock_of_a_process_that_is_gone_is_removed_and_nothing_else(
    make: Callable[[LockMode], SickSite], mode: LockMode
) -> None:
    sick, asked = make(mode), Asked()
    digest = None if mode == "lockfile" else sick.digest()
    lock_id = sick.lock(Info=dead(), Operation=RESTORING, Created=ago(seconds=5))

    done = state_doctor.unlock(sick.site, orders(asked=asked), StateRoot.STACK, lock_id)

    assert set(done.places) == BOTH if mode == "both" else len(done.places) == 1
    assert len(asked.lines) == len(done.places)
    assert f"({RESTORING}, lock {lock_id})" in asked.lines[0]
    assert "of this machine is gone" in asked.lines[0]
    assert sick.site.state_locks(StateRoot.STACK).locks() == []
    assert (None if mode == "lockfile" else sick.digest()) == digest


def test_of_two_locks_only_the_named_one_goes(make: Callable[[LockMode], SickSite]) -> None:
    sick = make("both")
    sick.lock("dynamodb", ID="lock-of-the-table")
    sick.lock("lockfile", ID="lock-of-the-file")

    done = state_doctor.unlock(sick.site, orders(), StateRoot.STACK, "lock-of-the-file")

    left = sick.site.state_locks(StateRoot.STACK).locks()
    assert done.places == (LockPlace.FILE,)
    assert [lock.lock_id for lock in left] == ["lock-of-the-table"]


def test_the_lock_of_a_process_that_works_here_stays_whatever_is_claimed(make: Callable[[LockMode], SickSite]) -> None:
    sick = make("both")

    with sick.site.state_locks(StateRoot.STACK).taken(RESTORING) as lock_id:
        why = refused(Locked, sick, lock_id, Sure.HOLDER_IS_DEAD, Sure.WITHOUT_GITLAB)

    assert why.exit_status == 5
    assert "stays: its holder lives: its process" in why.summary


def test_a_young_lock_of_another_machine_is_waited_for_unless_somebody_answers_for_it(
    make: Callable[[LockMode], SickSite],
) -> None:
    sick = make("dynamodb")
    # An apply may take two hours, of which ten minutes say nothing.
    young = sick.lock(Created=ago(minutes=90), Who="eva@laptop-of-eva")

    why = refused(Locked, sick, young)
    done = state_doctor.unlock(sick.site, orders(Sure.HOLDER_IS_DEAD), StateRoot.STACK, young)

    assert "it is of another machine (laptop-of-eva)), and it was taken" in why.summary
    assert why.hint.startswith("wait ")
    assert why.hint.endswith(f"lifeboat state unlock {young} --holder-is-dead")
    assert done.places == (LockPlace.TABLE,)


@pytest.mark.parametrize(("recorded", "goes"), [("", False), ("of a container", False), ("of this machine", True)])
def test_a_terraform_of_a_machine_of_this_name_is_gone_only_where_a_run_of_this_very_machine_started_it(
    make: Callable[[LockMode], SickSite], recorded: str, goes: bool
) -> None:
    sick = make("both")
    who = f"{run_files.user_name()}@{socket.gethostname()}"
    lock_id = sick.lock(Who=who, Created=ago(seconds=30))
    machine = {"of a container": "name id boot pid:[2]", "of this machine": machines.machine()}.get(recorded, "")
    folder = cut_off(sick.site.project.work, machine, datetime.now(UTC) - timedelta(seconds=31))

    if goes:
        done = state_doctor.unlock(sick.site, orders(), StateRoot.STACK, lock_id)
        assert set(done.places) == BOTH
    else:
        why = refused(Locked, sick, lock_id)
        assert "another machine or a container may be called so too" in why.summary
    shutil.rmtree(folder)


def test_a_lock_whose_age_nobody_knows_is_never_old_enough(make: Callable[[LockMode], SickSite]) -> None:
    sick = make("lockfile")
    lock_id = sick.lock(Created="yesterday")

    why = refused(Locked, sick, lock_id)

    assert "nor how old it is" in why.summary


def test_while_a_run_of_another_checkout_has_the_lease_no_lock_goes(
    make: Callable[[LockMode], SickSite], tmp_path: Path
) -> None:
    sick = make("both")
    lock_id = sick.lock()
    other: PlainSite = sick.plain.elsewhere(tmp_path)

    with other.site().lease(RunId("20260301T030000Z-recover-aaaaaa"), print).held():
        why = refused(Locked, sick, lock_id)

    assert "run 20260301T030000Z-recover-aaaaaa" in why.summary


@pytest.mark.parametrize("mode", ["lockfile", "both"])
def test_a_lock_file_goes_where_the_lock_table_is_gone_too(
    make: Callable[[LockMode], SickSite], mode: LockMode
) -> None:
    sick, told = make(mode), Told()
    lock_id = sick.lock("lockfile", Created=ago(minutes=4))
    sick.site.client("dynamodb", REGION).delete_table(TableName=sick.plain.table)

    why = refused(Locked, replace(sick, mode="lockfile"), lock_id)
    done = state_doctor.unlock(
        sick.site, Orders(agree=Asked(), tell=told, sure=frozenset({Sure.HOLDER_IS_DEAD})), StateRoot.STACK, lock_id
    )

    assert why.hint.endswith(f"lifeboat state unlock {lock_id} --holder-is-dead")
    assert done.places == (LockPlace.FILE,)
    assert sick.site.state_locks(StateRoot.STACK).locks() == []
    assert [line for line in told.lines if "is gone, so nobody elsewhere can be kept out meanwhile" in line]


@pytest.mark.parametrize("lock_id", ["another", "", LOCK["ID"][:8]])
def test_an_id_that_no_lock_has_is_told_with_the_locks_that_there_are(
    make: Callable[[LockMode], SickSite], lock_id: str
) -> None:
    sick = make("dynamodb")
    sick.lock()

    why = refused(NothingFits, sick, lock_id)

    assert f"no lock of s3://{sick.bucket}/stack.tfstate has the id {lock_id!r}: the lock table" in why.summary
    assert "by eva@laptop-of-eva" in why.summary


def test_what_terraform_did_not_write_is_nobody_s_and_the_doctor_knows_how_it_goes(
    make: Callable[[LockMode], SickSite],
) -> None:
    sick = make("dynamodb")
    item = {"LockID": {"S": f"{sick.bucket}/stack.tfstate"}, "Info": {"S": "garbage not json"}}
    sick.site.client("dynamodb", REGION).put_item(TableName=sick.plain.table, Item=item)

    shown = " ".join(sick.run("state", "unlock").stdout.split())
    refused = sick.run("state", "unlock", "garbage", "--holder-is-dead", "--yes", status=6)

    assert "another machine" not in shown
    assert shown.endswith("next: lifeboat state doctor -e x")
    assert refused.stderr.splitlines()[-1] == "  next: lifeboat state doctor -e x"


@pytest.mark.parametrize(("service", "operation"), [("dynamodb", "GetItem"), ("s3", "GetObject")])
def test_locks_that_may_not_be_looked_at_are_not_absent(
    make: Callable[[LockMode], SickSite], service: str, operation: str
) -> None:
    sick = make("both")
    rule = {"service": service, "operation": operation, "code": "AccessDenied", "status": 403}
    sick.cloud.control("faults", add=rule)

    with pytest.raises(Unreachable, match="AccessDenied"):
        state_doctor.locks(sick.site, StateRoot.STACK)
    sick.cloud.control("faults", clear=True)


def test_the_command_shows_the_locks_and_asks_before_it_removes_one(make: Callable[[LockMode], SickSite]) -> None:
    sick = make("both")
    nothing = sick.run("state", "unlock")
    lock_id = sick.lock()

    shown = sick.run("state", "unlock")
    document = json.loads(sick.run("state", "unlock", "-o", "json").stdout)
    unasked = sick.run("state", "unlock", lock_id, status=7)
    removed = sick.run("state", "unlock", lock_id, "--yes")
    again = sick.run("state", "unlock", lock_id, "--yes", status=6)

    assert nothing.stdout == f"nothing locks s3://{sick.bucket}/stack.tfstate\n"
    assert all(part in shown.stdout for part in ("eva@laptop-of-eva", "OperationTypeApply", lock_id, "unknown:"))
    assert [(one["place"], one["id"], one["holder"]) for one in document["locks"]] == [
        ("lock table", lock_id, "unknown"),
        ("lock file", lock_id, "unknown"),
    ]
    assert all(one["age_seconds"] > 0 for one in document["locks"])
    assert f"lock {lock_id}" in unasked.stdout + unasked.stderr
    assert removed.stdout == f"removed the lock {lock_id}: lock file and lock table\n"
    assert "nothing locks it" in again.stderr


# -- with jobs of GitLab's -------------------------------------------------------------------------------------------

WORKING = "plan: {script: ['sleep 600']}"


def locked_by(lab: GitLabSite, created: datetime) -> tuple[SickSite, str]:
    """Let a runner hold the lock since then; a sick site that stands for the lab's."""
    site = lab.site()
    plain = PlainSite(cloud=lab.cloud, root=lab.root, application="app-x")
    sick = SickSite(plain=plain, mode="both", site=site, address="")
    sick.put_digest("0" * 32)
    return sick, sick.lock(Who="root@runner-1-project-2-concurrent-0", Created=f"{created:%Y-%m-%dT%H:%M:%S}Z")


def test_while_a_job_runs_that_began_before_the_lock_was_taken_it_stays_and_the_job_is_named(lab: GitLabSite) -> None:
    forget_pipelines(lab)
    pipeline = lab.local.pushed(WORKING)
    lab.local.reached(pipeline, "plan", "running")
    job = lab.local.job(pipeline, "plan")
    sick, lock_id = locked_by(lab, datetime.now(UTC) + timedelta(seconds=1))

    why = refused(Locked, sick, lock_id, Sure.HOLDER_IS_DEAD)
    unasked = state_doctor.unlock(sick.site, orders(Sure.HOLDER_IS_DEAD, Sure.WITHOUT_GITLAB), StateRoot.STACK, lock_id)
    forget_pipelines(lab)

    assert f"plan (job {job.id}, pipeline {pipeline.id}, {job.web_url})" in why.summary
    assert why.hint.endswith(f"lifeboat state unlock {lock_id} --without-gitlab")
    assert set(unasked.places) == BOTH


def test_a_job_that_began_after_the_lock_was_taken_does_not_hold_it(lab: GitLabSite) -> None:
    forget_pipelines(lab)
    pipeline = lab.local.pushed(WORKING)
    lab.local.reached(pipeline, "plan", "running")
    sick, lock_id = locked_by(lab, datetime.now(UTC) - timedelta(hours=3))

    done = state_doctor.unlock(sick.site, orders(), StateRoot.STACK, lock_id)
    forget_pipelines(lab)

    assert set(done.places) == BOTH


def test_a_gitlab_that_cannot_be_asked_is_exit_status_8_and_no_answer(lab: GitLabSite) -> None:
    sick, lock_id = locked_by(lab, datetime.now(UTC) - timedelta(hours=3))
    lab.fail("ListJobs", status=403)

    why = refused(Unreachable, sick, lock_id)
    lab.cloud.control("faults", clear=True)
    done = state_doctor.unlock(sick.site, orders(Sure.WITHOUT_GITLAB), StateRoot.STACK, lock_id)

    assert why.exit_status == 8
    assert why.hint.endswith(f"lifeboat state unlock {lock_id} --without-gitlab")
    assert set(done.places) == BOTH
