"""A state that was lost or damaged stands on top again, Terraform reads it, and nothing of its history is gone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lifeboat.state_model import LockMode

from tests.conftest import RunningCloud
from tests.restored_states import KEY, Applied, StateSite, applied, md5, serial, state_site

MODES: tuple[LockMode, ...] = ("both", "dynamodb", "lockfile")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Applied:
    return applied(tmp_path_factory.mktemp("applied"))


@pytest.fixture
def new_site(cloud: RunningCloud, tmp_path: Path, made: Applied) -> Iterator[Callable[[LockMode], StateSite]]:
    def new(mode: LockMode) -> StateSite:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return state_site(cloud, folder, made, mode)

    yield new
    cloud.control("faults", clear=True)


# -- accidents ---------------------------------------------------------------------------------------------------------


def copied_over(site: StateSite) -> None:
    site.put(site.applied.bodies[0])


def deleted(site: StateSite) -> None:
    site.plain.delete(KEY)


def deleted_with_its_digest(site: StateSite) -> None:
    site.plain.delete(KEY)
    site.delete_digest()


def digest_wrong(site: StateSite) -> None:
    site.put_digest("0" * 32)


def cut_off(site: StateSite) -> None:
    body = site.applied.newest[: len(site.applied.newest) // 2]
    site.put(body)
    if site.keeps_digest:
        site.put_digest(md5(body))


def of_another_lineage(site: StateSite) -> None:
    body = json.dumps({**json.loads(site.applied.newest), "lineage": "another", "serial": 40}, indent=2).encode()
    site.put(body)
    if site.keeps_digest:
        site.put_digest(md5(body))


def lower_serial(site: StateSite) -> None:
    body = site.applied.bodies[1]
    site.put(body)
    if site.keeps_digest:
        site.put_digest(md5(body))


ACCIDENTS = (copied_over, deleted, deleted_with_its_digest, digest_wrong, cut_off, of_another_lineage, lower_serial)
NEED_A_DIGEST = (deleted_with_its_digest, digest_wrong)
CASES = [(a, mode) for a in ACCIDENTS for mode in MODES if mode != "lockfile" or a not in NEED_A_DIGEST]


@pytest.mark.parametrize(("accident", "mode"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_after_any_accident_the_latest_good_state_is_on_top_and_a_plan_is_empty(
    new_site: Callable[[LockMode], StateSite], accident: Callable[[StateSite], None], mode: LockMode
) -> None:
    site = new_site(mode)
    accident(site)
    before = site.versions()

    ended = site.restore("--latest-good", "--yes")

    site.require_restored(before, site.applied.newest)
    assert "stack: no changes" in ended.stdout
    assert site.restore("--latest-good", "--yes").stdout.startswith(
        f"serial {serial(site.top())} stands on top of s3://{site.bucket}/{KEY} already; nothing was written"
    )
