"""What the doctor names, typed until it finds nothing, brings a small state back that plain Terraform would make again."""

from __future__ import annotations

from pathlib import Path

import pytest
from lifeboat.clients import known_state, state_store
from lifeboat.stack import known_states
from lifeboat.state_model import StateRoot

from tests.accidents import trying
from tests.accidents.happenings import ACCIDENTS
from tests.accidents.scene import Scene
from tests.conftest import RunningCloud
from tests.gitlab_sites import DR_REGION
from tests.rehearsal import Rehearsal
from tests.restored_states import CANARY, ROOT_KEY, Applied, StateSite, applied, md5, state_site


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Applied:
    return applied(tmp_path_factory.mktemp("applied"))


@pytest.mark.parametrize("name", ["old version copied over the key", "object of another lineage"])
def test_what_the_doctor_names_brings_the_state_back(
    cloud: RunningCloud, tmp_path: Path, made: Applied, name: str
) -> None:
    site = _site(cloud, tmp_path / "project", made)
    scene = Scene(rehearsal=Rehearsal(root=site.plain.root, port=cloud.port), env="x", change=_nothing, counted=dict)
    scene.site.state_terraform().init(None)
    scene.site.stack_terraform().init(scene.site.backend())
    bodies = list(scene.versions().values())

    def reset() -> None:
        site._empty("")
        for body in reversed(bodies):
            site.put(body)
        site.put(made.root, ROOT_KEY)
        site.put_digest(md5(made.newest))

    outcome = trying.tried(scene, name, ACCIDENTS[name], reset)

    said = {one.check: one.found for one in outcome.findings}
    assert all(words in said[check] for check, words in ACCIDENTS[name].finds.items())
    assert outcome.wrong == ()
    assert outcome.naive.ends is ACCIDENTS[name].naive
    assert CANARY not in str(outcome)


def _nothing() -> None:
    """Change nothing: no accident of these needs an apply."""


def _site(cloud: RunningCloud, folder: Path, made: Applied) -> StateSite:
    """Return a site in the mode that has every lock, with copies of both states, known here and in the other region."""
    folder.mkdir()
    site = state_site(cloud, folder, made, "both")
    site.replicate()
    cloud.client("s3", DR_REGION).put_object(Bucket=site.replica, Key=ROOT_KEY, Body=made.root)
    here, mark = site.plain.site(), state_store.mark(made.newest)
    assert mark is not None
    here.project.work.mkdir(parents=True)
    here.root_state_file.write_bytes(made.root)
    known_state.remember(here.project.work, mark)
    for root, body in ((StateRoot.STACK, made.newest), (StateRoot.BACKEND, made.root)):
        assert known_states.keep(here, root, body, "20260301T030000Z-apply-1a2b3c") is None
    return site
