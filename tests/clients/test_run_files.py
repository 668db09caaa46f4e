"""The lock on an environment and the runs that it remembers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from lifeboat.clients import run_files
from lifeboat.errors import Locked, Refused
from lifeboat.model import RunId

NOW = timedelta(0)
HOLD = """
import sys, time
from datetime import timedelta
from pathlib import Path
from lifeboat.clients import run_files
with run_files.held(Path(sys.argv[1]), "apply", patience=timedelta(0), tell=print) as run:
    print("held", flush=True)
    time.sleep(60)
"""


def holding(work: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(work)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_holder_is_told_who_the_first_is_and_since_when(tmp_path: Path) -> None:
    first = holding(tmp_path)

    with (
        pytest.raises(Locked) as refusal,
        run_files.held(tmp_path, "apply", patience=timedelta(minutes=5), tell=print),
    ):
        pass
    first.kill()
    first.wait()

    assert f"(process {first.pid}) has held this environment for" in refusal.value.summary
    assert refusal.value.exit_status == 5


def test_a_second_holder_is_told_the_id_that_the_journal_of_the_first_is_called_by(tmp_path: Path) -> None:
    known = "20261129T160748Z-recover-c1091a"
    with (
        run_files.held(tmp_path, "recover", patience=NOW, tell=print) as first,
        pytest.raises(Locked) as before,
        run_files.held(tmp_path, "abort", patience=NOW, tell=print),
    ):
        pass
    with run_files.held(tmp_path, "recover", patience=NOW, tell=print) as second:
        second.known_as(RunId(known))
        with pytest.raises(Locked) as after, run_files.held(tmp_path, "abort", patience=NOW, tell=print):
            pass
    with run_files.held(tmp_path, "recover", patience=NOW, tell=print) as third:
        told = [one.told for one in run_files.unfinished(tmp_path, but=third.run)]

    assert before.value.summary.endswith(" s: recover")
    assert after.value.summary.endswith(f" s: recover, run {known}")
    assert f"lifeboat logs {known}" in after.value.hint
    began = datetime.strptime(first.run[:15], "%Y%m%dT%H%M%S")
    assert told == [f"recover of {began:%Y-%m-%d %H:%M:%S}Z", known]


def test_the_lock_of_a_killed_holder_is_free_and_its_run_is_unfinished(tmp_path: Path) -> None:
    first = holding(tmp_path)
    first.kill()
    first.wait()

    with run_files.held(tmp_path, "apply", patience=NOW, tell=print) as mine:
        left = run_files.unfinished(tmp_path, but=mine.run)

    assert [entry.folder.parent.name for entry in left] == ["runs"]
    assert left[0].user


def test_a_dead_holder_whose_child_still_works_is_waited_for(tmp_path: Path) -> None:
    child = (
        "import subprocess; sleeper = subprocess.Popen(['sleep', '2'], pass_fds=[run.lock_descriptor]);"
        "run.note_terraform(sleeper.pid)"
    )
    work = HOLD.replace("time.sleep(60)", child)
    process = subprocess.Popen([sys.executable, "-c", work + "\n    import os; os._exit(9)", str(tmp_path)])
    process.wait()
    told: list[str] = []

    with run_files.held(tmp_path, "apply", patience=timedelta(seconds=30), tell=told.append):
        pass

    assert told == ["apply was killed; waiting for its Terraform to finish"]


def test_a_run_that_was_marked_is_not_repaired_again(tmp_path: Path) -> None:
    with run_files.held(tmp_path, "apply", patience=NOW, tell=print) as first:
        run_files.mark_ended(first.folder, "done")
    with run_files.held(tmp_path, "apply", patience=NOW, tell=print) as second:
        left = run_files.unfinished(tmp_path, but=second.run)

    assert left == []


def test_a_full_disk_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"MB free and 1000000000000 MB are needed"):
        run_files.require_space(tmp_path / "not-yet", needed=10**18)

    assert list(tmp_path.iterdir()) == []


def test_the_providers_of_a_dead_terraform_do_not_keep_the_lock(tmp_path: Path) -> None:
    provider = tmp_path / "terraform" / "terraform-provider-aws_v5"
    provider.parent.mkdir()
    provider.symlink_to("/bin/sleep")
    child = f"import subprocess; subprocess.Popen([{str(provider)!r}, '60'], pass_fds=[run.lock_descriptor])"
    work = HOLD.replace("time.sleep(60)", child)
    subprocess.run([sys.executable, "-c", work + "\n    import os; os._exit(9)", str(tmp_path)], check=False)

    with run_files.held(tmp_path, "apply", patience=timedelta(seconds=30), tell=print) as mine:
        left = run_files.unfinished(tmp_path, but=mine.run)

    assert len(left) == 1


def test_what_killed_plans_left_is_removed_and_what_others_plan_with_stays(tmp_path: Path) -> None:
    work = tmp_path / "local"
    work.mkdir()
    ended = subprocess.Popen(["true"])
    ended.wait()
    here = socket.gethostname()
    younger = work / f"plan-{os.getpid()}-{here}-x"  # whose process is gone, and its number ours by now
    forgotten = work / f"plan-{os.getppid()}-container-x"
    left = [work / f"plan-{ended.pid}-{here}-x", younger, forgotten]
    for folder in left:
        folder.mkdir()
        (folder / "stack.plan").touch()
    for folder in (younger, forgotten):
        os.utime(folder, (1, 1))
    theirs = {work / f"plan-{os.getppid()}-{here}-x", work / f"plan-{ended.pid}-container-x"}
    for folder in theirs:
        folder.mkdir()

    with run_files.plan_folder(work) as ours:
        (ours / "stack.plan").touch()
        during = set(work.iterdir())

    assert during == {ours, *theirs}
    assert set(work.iterdir()) == theirs


def test_what_a_killed_plan_of_another_environment_left_is_removed_too(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = tmp_path / "production" / f"plan-{ended.pid}-{socket.gethostname()}-x"
    left.mkdir(parents=True)

    with run_files.held(tmp_path / "local", "apply", patience=timedelta(0), tell=print):
        pass

    assert not left.exists()
