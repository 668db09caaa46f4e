"""Root 1's state, a file on each machine: it counts where it was made from what stands in the bucket."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lifeboat.clients import private_files, root_base
from lifeboat.clients.run_files import Run
from lifeboat.decisions.known_states import Purpose
from lifeboat.errors import IntegrityFailure, Refused, Unreachable
from lifeboat.model import RunId
from lifeboat.stack import known_states
from lifeboat.stack.applying import Applying, take_root_state
from lifeboat.state_model import StateRoot

from tests.conftest import RunningCloud
from tests.gitlab_sites import DR_REGION
from tests.plain_sites import PlainSite, Told, plain_site
from tests.sick_states import md5


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


def keep(plain: PlainSite, body: bytes, base: bytes | None = None) -> None:
    """Let this machine have a working copy, made from `base`; None where it is not written down from what."""
    copy = plain.site().root_state_file
    private_files.write(copy, body)
    if base is not None:
        root_base.remember(copy, md5(base))


def remember(plain: PlainSite, body: bytes) -> None:
    """Let the other region remember a state of root 1."""
    replica = plain.site().project.environment.state.replica_bucket
    where = {"LocationConstraint": DR_REGION}
    plain.cloud.client("s3", DR_REGION).create_bucket(Bucket=replica, CreateBucketConfiguration=where)
    assert known_states.keep(plain.site(), StateRoot.BACKEND, body, "r") is None


BEFORE = state(4, "before")


@pytest.mark.parametrize(
    ("here", "base", "there", "wins"),
    [
        # Killed before it was given, and written elsewhere since.
        (state(5, "mine"), BEFORE, state(5, "theirs"), "theirs"),
        (state(9, "mine"), BEFORE, state(5, "theirs"), "theirs"),
        (state(9, "mine"), None, state(5, "theirs"), "theirs"),
        (state(5, "same"), BEFORE, state(5, "same"), "same"),
        # Killed before it was given, and nobody worked since.
        (state(6, "mine"), state(5, "theirs"), state(5, "theirs"), "mine"),
        (state(4, "mine"), state(4, "mine"), state(5, "theirs"), "theirs"),
        (state(9, "mine", "other"), state(5, "theirs"), state(5, "theirs"), "theirs"),
    ],
    ids=["same serial", "newer and of another", "newer of who knows", "same", "newer", "older here", "another lineage"],
)
def test_the_working_copy_counts_only_where_it_goes_on_from_what_the_bucket_has(
    plain: PlainSite, here: bytes, base: bytes | None, there: bytes, wins: str
) -> None:
    keep(plain, here, base)
    put(plain, there)
    site = plain.site()

    kept = take_root_state(site, site.root_store())

    assert json.loads(site.root_state_file.read_bytes())["resources"][0]["name"] == wins
    assert (kept is not None) == (wins == "theirs")
    assert kept is None or kept.read_bytes() == here
    assert root_base.read(site.root_state_file) == md5(there)


@pytest.mark.parametrize("remembered", [True, False], ids=["by the other region", "by this machine alone"])
def test_where_somebody_put_an_older_state_into_the_bucket_the_working_copy_that_stood_there_comes_back_when_agreed(
    plain: PlainSite, remembered: bool
) -> None:
    keep(plain, state(6, "mine"), state(5, "older") if remembered else state(6, "mine"))
    put(plain, state(4, "put back"))
    if remembered:
        remember(plain, state(6, "mine"))
    site = plain.site()

    passed = known_states.require(site, Purpose.APPLY, [StateRoot.BACKEND])
    kept = take_root_state(site, site.root_store())

    assert [mark.serial for _, mark in passed.tops] == [6]
    assert passed.to_agree == (
        "put root 1's state back as this machine has it, serial 6:"
        f" s3://{plain.bucket}/state.tfstate has an older one, serial 4",
    )
    assert (kept, json.loads(site.root_state_file.read_bytes())["serial"]) == (None, 6)


@pytest.mark.parametrize("serial", [5, 9, 12])
def test_a_working_copy_that_was_made_from_another_state_is_no_memory_that_the_one_in_the_bucket_is_held_against(
    plain: PlainSite, serial: int
) -> None:
    keep(plain, state(9, "mine"), BEFORE)
    put(plain, state(serial, "theirs"))
    site = plain.site()

    passed = known_states.require(site, Purpose.APPLY, [StateRoot.BACKEND])

    assert ([mark.serial for _, mark in passed.tops], passed.to_agree) == ([serial], ())
    assert known_states.remembered(site, StateRoot.BACKEND).here is None


def test_a_copy_of_before_the_cloud_was_loaded_is_not_held_against_what_was_loaded(plain: PlainSite) -> None:
    keep(plain, state(9, "mine"), state(9, "mine"))
    put(plain, state(5, "as it was saved"))
    root_base.forget(plain.site().root_state_file)

    passed = known_states.require(plain.site(), Purpose.APPLY, [StateRoot.BACKEND])

    assert ([mark.serial for _, mark in passed.tops], passed.to_agree) == ([5], ())


@pytest.mark.parametrize(("base", "goes_on"), [(state(5, "theirs"), True), (BEFORE, False)])
def test_a_working_copy_does_not_take_the_place_of_a_newer_state_that_was_deleted(
    plain: PlainSite, base: bytes, goes_on: bool
) -> None:
    s3 = plain.cloud.client("s3")
    s3.put_bucket_versioning(Bucket=plain.bucket, VersioningConfiguration={"Status": "Enabled"})
    put(plain, BEFORE)
    put(plain, state(5, "theirs"))
    s3.delete_object(Bucket=plain.bucket, Key="state.tfstate")
    keep(plain, state(6, "mine"), base)
    remember(plain, BEFORE)

    if goes_on:
        passed = known_states.require(plain.site(), Purpose.APPLY, [StateRoot.BACKEND])
        assert len(passed.put_back) == 1
    else:
        with pytest.raises(
            Refused, match="of serial 5, is not what this machine's working copy .serial 6. was made"
        ) as told:
            known_states.require(plain.site(), Purpose.APPLY, [StateRoot.BACKEND])
        assert told.value.hint == "lifeboat state restore --latest-good --root state -e x"


@pytest.mark.parametrize(
    ("there", "given"),
    [(state(5, "before"), True), (state(5, "elsewhere"), False), (state(7, "elsewhere"), False)],
    ids=["nobody did", "somebody did", "somebody did more"],
)
def test_what_somebody_else_wrote_meanwhile_is_not_written_over(plain: PlainSite, there: bytes, given: bool) -> None:
    keep(plain, state(6, "mine"), state(5, "before"))
    put(plain, there)
    site = plain.site()
    work = Applying(site, Told(), Run(run=RunId("r"), folder=site.project.work, lock_descriptor=-1))

    if given:
        work.give_root_state(site.root_store())
    else:
        with pytest.raises(IntegrityFailure, match=r"somebody else wrote root 1's state .serial [57]. meanwhile"):
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
