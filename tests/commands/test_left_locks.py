"""The lock that a run left which was cut off goes with the next run, once no Terraform works on the state, in any folder."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from lifeboat.clients import machines, run_files
from lifeboat.errors import Locked
from lifeboat.stack import repair
from lifeboat.state_model import RESTORING, LockMode, StateRoot

from tests.conftest import RunningCloud
from tests.plain_sites import Told
from tests.sick_states import STACK, SickSite, cut_off, sick_site
from tests.terraform_programs import Start, starting

OURS = f"{run_files.user_name()}@{socket.gethostname()}"


@pytest.fixture(params=["dynamodb", "lockfile", "both"])
def sick(cloud: RunningCloud, tmp_path: Path, request: pytest.FixtureRequest) -> SickSite:
    mode: LockMode = request.param
    (tmp_path / "site").mkdir()
    made = sick_site(cloud, tmp_path / "site", mode)
    made.reset()
    return made


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with starting(tmp_path / "bin") as start:
        yield start


def now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}Z"


def repaired(sick: SickSite) -> list[str]:
    """Make good what is amiss, as an apply does before it plans, and return what it tells."""
    told, work = Told(), sick.site.project.work
    with run_files.held(work, "apply", patience=timedelta(0), tell=told.say) as run:
        repair.run(sick.site, told, run)
    return told.lines


def held(sick: SickSite) -> set[str]:
    return {lock.lock_id for lock in sick.site.state_locks(StateRoot.STACK).locks()}


def test_the_lock_that_a_run_left_which_was_cut_off_goes(sick: SickSite) -> None:
    cut_off(sick.site.project.work, machines.machine(), datetime.now(UTC))
    lock_id = sick.lock(Who=OURS, Created=now())

    told = repaired(sick)

    assert held(sick) == set()
    assert f"removed the lock {lock_id}, which a run that was cut off left" in told


def test_the_lock_of_a_terraform_that_works_in_another_folder_stays(
    sick: SickSite, start: Start, tmp_path: Path
) -> None:
    settings = {"bucket": sick.bucket, "key": STACK}
    pid = start(tmp_path / "by-hand", {"backend": {"type": "s3", "config": settings}}, "apply")
    cut_off(sick.site.project.work, machines.machine(), datetime.now(UTC))
    lock_id = sick.lock(Who=OURS, Created=now())

    with pytest.raises(Locked, match=f"process {pid} in {tmp_path / 'by-hand'}") as locked:
        repaired(sick)

    assert held(sick) == {lock_id}
    assert locked.value.hint == f"wait for it; if that process is surely dead: lifeboat state unlock {lock_id} -e x"


@pytest.mark.parametrize(
    ("machine", "who"),
    [("name id boot pid:[2]", OURS), ("", OURS), (machines.machine(), "eva@laptop-of-eva")],
    ids=["a run of a container of this name", "a run that did not say of which machine", "somebody else"],
)
def test_a_lock_that_no_run_of_this_very_machine_took_stays(sick: SickSite, machine: str, who: str) -> None:
    cut_off(sick.site.project.work, machine, datetime.now(UTC))
    lock_id = sick.lock(Who=who, Created=now())

    with pytest.raises(Locked, match=f"the state is locked by {who} for"):
        repaired(sick)

    assert held(sick) == {lock_id}


def test_what_terraform_did_not_write_leads_to_the_doctor(sick: SickSite) -> None:
    cut_off(sick.site.project.work, machines.machine(), datetime.now(UTC))
    sick.lock(ID="")

    with pytest.raises(Locked, match="by something in its .* that Terraform did not write") as locked:
        repaired(sick)

    assert locked.value.hint == "lifeboat state doctor -e x"
    assert held(sick) == {""}


def test_the_lock_of_a_first_apply_that_was_killed_goes_and_that_of_a_restore_leads_to_its_way_out(
    sick: SickSite,
) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    began = psutil.Process(child.pid).create_time()
    child.communicate()
    info = json.dumps({"lifeboat": {"machine": machines.machine(), "pid": child.pid, "began": began}})
    lock_id = sick.lock(Who=OURS, Created=now(), Operation=RESTORING, Info=info)

    with pytest.raises(Locked, match="of this machine is gone") as locked:
        repaired(sick)
    kept = held(sick)
    sick.lock(Who=OURS, Created=now(), Operation=repair.BEGINNING, Info=info)
    repaired(sick)

    assert locked.value.hint == f"lifeboat state unlock {lock_id} -e x, then the same command again"
    assert (kept, held(sick)) == ({lock_id}, set())
