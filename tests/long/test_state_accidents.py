"""Terraform's state lost, damaged, foreign, stale or locked on an applied stack, in each lock mode, and got back.

LIFEBOAT_ACCIDENT_REPORT names a file that gets a line for each; `python -m tests.accidents.report FILE` prints them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.accidents import naive, stages, trying
from tests.accidents.happenings import ACCIDENTS, MODES
from tests.accidents.stages import Stage
from tests.rehearsal import Rehearsal, passed

CASES = [
    pytest.param(mode, name, id=f"{mode}-{name.replace(' ', '-').replace(',', '')}")
    for mode in MODES
    for name, accident in ACCIDENTS.items()
    if mode in accident.modes
]


@pytest.fixture(scope="module")
def stage(
    request: pytest.FixtureRequest, saved: Rehearsal, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    with stages.staged(saved, request.param, tmp_path_factory.mktemp("stage")) as made:
        yield made


@pytest.mark.parametrize(("stage", "name"), CASES, indirect=["stage"])
def test_the_doctor_names_each_accident_and_what_it_says_to_type_brings_the_state_back(stage: Stage, name: str) -> None:
    accident, mode = ACCIDENTS[name], stage.scene.mode

    outcome = trying.tried(stage.scene, name, accident, stage.reset)

    trying.report(outcome)
    said = {one.check: one.found for one in outcome.findings}
    assert {check: words for check, words in accident.finds_in(mode).items() if words not in said.get(check, "")} == {}
    assert outcome.wrong == ()
    assert outcome.naive.ends is accident.naive_in.get(mode, accident.naive)


@pytest.mark.parametrize("stage", ["both"], indirect=True)
def test_while_the_bucket_does_not_answer_the_replica_gives_the_state_that_terraform_agrees_with(
    stage: Stage, tmp_path: Path
) -> None:
    stage.reset()
    scene = stage.scene
    newest = scene.top()
    scene.cut_off_from_the_bucket()

    looked = scene.rehearsal.lifeboat("state", "doctor")
    listed = scene.rehearsal.lifeboat("state", "list", "--replica")
    refused = scene.rehearsal.lifeboat("state", "restore", "--latest-good", "--yes")
    command = re.search(r"only you can read: (lifeboat .*?--to-file \S+);", " ".join(refused.stderr.split()))
    assert command is not None, refused.stderr
    pulled = scene.rehearsal.run("bash", "-c", command.group(1), HOME=str(tmp_path))

    assert looked.returncode == 8, looked.stdout + looked.stderr
    passed(listed)
    passed(refused, 8)
    passed(pulled)
    file = tmp_path / "stack.tfstate"
    assert file.read_bytes() == newest
    assert naive.plan_of_a_file(scene, file, tmp_path).says == "no changes"
    scene.faults()
    passed(scene.rehearsal.lifeboat("state", "doctor"))
