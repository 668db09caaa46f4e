"""Root 1's state, a file on each machine that goes to and from the bucket: of two with one serial the bucket's counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lifeboat.clients import private_files
from lifeboat.clients.run_files import Run
from lifeboat.decisions.known_states import Purpose
from lifeboat.errors import IntegrityFailure, Unreachable
from lifeboat.model import RunId
from lifeboat.stack import known_states
from lifeboat.stack.applying import Applying, take_root_state
from lifeboat.state_model import StateRoot

from tests.conftest import RunningCloud
from tests.gitlab_sites import DR_REGION
from tests.plain_sites import PlainSite, Told, plain_site


def state(serial: int, name: str, lineage: str = "ours") -> bytes:
    resource = {"mode": "managed", "type": "aws_s3_bucket", "name": name, "instances": [{"attributes": {"id": name}}]}
    document = {"version": 4, "serial": serial, "lineage": lineage, "outputs": {}, "resources": [resource]}
    return json.dumps(document).encode()


@pytest.fixture
def plain(cloud: RunningCloud, tmp_path: Path) -> PlainSite:
    made = plain_site(cloud, tmp_path)
    (tmp_path / "terraform" / "state").mkdir(parents=True)
    made.site().project.work.mkdir(parents=True, exist_ok=True)
    return made


def put(plain: PlainSite, body: bytes) -> None:
    plain.site().root_store().write(body)


def keep(plain: PlainSite, body: bytes) -> None:
    private_files.write(plain.site().root_state_file, body)


@pytest.mark.parametrize(
    ("here", "there", "wins", "aside"),
    [
        (
            state(5, "mine"),
            state(5, "theirs"),
            "theirs",
            True,
        ),  # killed before it was given, and written elsewhere since
        (state(5, "same"), state(5, "same"), "same", False),
        (state(6, "mine"), state(5, "theirs"), "mine", False),  # killed before it was given, and nobody worked since
        (state(4, "mine"), state(5, "theirs"), "theirs", True),
        (state(9, "mine", "other"), state(5, "theirs"), "theirs", True),
    ],
    ids=["same serial", "same", "newer here", "older here", "another lineage"],
)
def test_the_working_copy_counts_only_where_it_goes_on_from_what_the_bucket_has(
    plain: PlainSite, here: bytes, there: bytes, wins: str, aside: bool
) -> None:
    keep(plain, here)
    put(plain, there)
    site = plain.site()

    kept = take_root_state(site, site.root_store())

    assert json.loads(site.root_state_file.read_bytes())["resources"][0]["name"] == wins
    assert (kept is not None) == aside
    assert kept is None or kept.read_bytes() == here


@pytest.mark.parametrize(
    ("there", "given"),
    [(state(5, "before"), True), (state(7, "elsewhere"), False)],
    ids=["nobody did", "somebody did"],
)
def test_what_somebody_else_wrote_meanwhile_is_not_written_over(plain: PlainSite, there: bytes, given: bool) -> None:
    keep(plain, state(6, "mine"))
    put(plain, there)
    site = plain.site()
    work = Applying(site, Told(), Run(run=RunId("r"), folder=site.project.work, lock_descriptor=-1))

    if given:
        work.give_root_state(site.root_store())
    else:
        with pytest.raises(IntegrityFailure, match=r"somebody else wrote root 1's state .serial 7. meanwhile"):
            work.give_root_state(site.root_store())

    assert site.root_store().body() == (state(6, "mine") if given else there)


def test_a_damaged_memory_of_root_1_names_the_restore_that_writes_it_anew(plain: PlainSite) -> None:
    put(plain, state(5, "theirs"))
    replica = plain.site().project.environment.state.replica_bucket
    s3 = plain.cloud.client("s3", DR_REGION)
    s3.create_bucket(Bucket=replica, CreateBucketConfiguration={"LocationConstraint": DR_REGION})
    s3.put_object(Bucket=replica, Key="known-states/x/state.json", Body=b"{")

    with pytest.raises(Unreachable, match="state.json is damaged") as told:
        known_states.require(plain.site(), Purpose.APPLY, [StateRoot.BACKEND])

    assert told.value.hint.endswith("lifeboat state restore --latest-good --root state -e x")
