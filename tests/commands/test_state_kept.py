"""Whatever accidents and commands follow each other, every version that was ever written can still be read."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lifeboat import config
from lifeboat.commands import state_doctor
from lifeboat.decisions.known_states import Purpose
from lifeboat.decisions.state_unlocking import Sure
from lifeboat.errors import LifeboatError
from lifeboat.site import Site
from lifeboat.stack import known_states, repair, state_restoring, state_writing
from lifeboat.stack.state_restoring import Request
from lifeboat.state_model import LatestGood, LockMode, OneVersion, StateRoot, VersionId, WantedVersion

from tests.gitlab_sites import DR_REGION
from tests.plain_sites import Told
from tests.restored_states import KEY, MODES, ROOT_KEY, StateSite, made, md5, new_site

__all__ = ["made", "new_site"]
STACK = StateRoot.STACK


def agreed(_: Sequence[str]) -> None:
    """Agree to everything that is asked."""


def here(site: StateSite) -> Site:
    return Site(config.load(site.plain.root, "x"), dict(os.environ))


# -- accidents -----------------------------------------------------------------------------------------------------------


def copied_over(site: StateSite) -> None:
    site.put(site.applied.bodies[0])


def deleted(site: StateSite) -> None:
    site.plain.delete(KEY)


def cut_off(site: StateSite) -> None:
    site.put(site.applied.newest[:200])


def digest_of_nothing(site: StateSite) -> None:
    site.put_digest("0" * 32)


def lock_left(site: StateSite) -> None:
    site.lock(
        {"ID": "11-22", "Who": "eva@laptop", "Operation": "OperationTypeApply", "Created": "2026-03-01T03:00:00Z"}
    )


def versioning_suspended(site: StateSite) -> None:
    s3 = site.cloud.client("s3")
    s3.delete_bucket_replication(Bucket=site.bucket)  # with it S3 suspends no versioning
    s3.put_bucket_versioning(Bucket=site.bucket, VersioningConfiguration={"Status": "Suspended"})


# -- commands ------------------------------------------------------------------------------------------------------------


def latest_good(site: StateSite) -> None:
    _restored(site, LatestGood())


def oldest_version(site: StateSite) -> None:
    _restored(site, OneVersion(version_id=VersionId(list(site.versions())[-1])))


def _restored(site: StateSite, wanted: WantedVersion) -> None:
    lifeboat = here(site)
    whose = known_states.whose(lifeboat, STACK)
    request = Request(root=STACK, wanted=wanted, whose=whose, accept=99, again="lifeboat state restore")
    preview = state_restoring.look(lifeboat, Told(), request)
    state_restoring.require_accepted(preview)
    state_writing.carry_out(lifeboat, Told(), preview.writing)


def unlocked(site: StateSite) -> None:
    orders = state_doctor.Orders(agree=agreed, tell=Told(), sure=frozenset(Sure))
    state_doctor.unlock(here(site), orders, STACK, "11-22")


def begun_anew(site: StateSite) -> None:
    known_states.require(here(site), Purpose.FIRST_APPLY, known_states.STACK)
    repair.begin_anew(here(site), Told(), agreed)()


def written_down(site: StateSite) -> None:
    known_states.keep(here(site), STACK, here(site).stack_store().body() or b"", "r")


ACCIDENTS = (copied_over, deleted, cut_off, digest_of_nothing, lock_left, versioning_suspended)
COMMANDS = (latest_good, oldest_version, unlocked, begun_anew, written_down)
STEPS = st.tuples(st.sampled_from(ACCIDENTS), st.sampled_from(COMMANDS))


def every_version(site: StateSite) -> dict[tuple[str, str], str]:
    """Return the MD5 of each version of both states, and of what is remembered of them in the other region."""
    found = {(key, version): md5(body) for key in (KEY, ROOT_KEY) for version, body in site.versions(key).items()}
    s3 = site.cloud.client("s3", DR_REGION)
    for one in s3.list_object_versions(Bucket=site.replica).get("Versions", []):
        body = s3.get_object(Bucket=site.replica, Key=one["Key"], VersionId=one["VersionId"])["Body"].read()
        found[(one["Key"], one["VersionId"])] = md5(body)
    return found


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mode=st.sampled_from(MODES), steps=st.lists(STEPS, min_size=1, max_size=3))
def test_after_any_accidents_no_command_takes_a_version_away(
    new_site: Callable[[LockMode], StateSite],
    mode: LockMode,
    steps: list[tuple[Callable[[StateSite], None], Callable[[StateSite], None]]],
) -> None:
    site = new_site(mode)

    for accident, command in steps:
        accident(site)
        before = every_version(site)
        with suppress(LifeboatError):  # what is refused has changed nothing
            command(site)
        now = every_version(site)
        assert {version: now.get(version) for version in before} == before


def test_in_a_bucket_whose_versioning_is_suspended_no_command_takes_the_last_body_of_a_serial(
    new_site: Callable[[LockMode], StateSite],
) -> None:
    site = new_site("lockfile")
    versioning_suspended(site)
    copied_over(site)  # the version "null", which the next write would be in the place of

    before = every_version(site)
    for command in COMMANDS:
        with suppress(LifeboatError):
            command(site)

    now = every_version(site)
    assert {version: now.get(version) for version in before} == before
