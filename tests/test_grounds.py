"""Whether an environment was ever applied: whatever speaks for it counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from lifeboat import config
from lifeboat.errors import Unreachable
from lifeboat.site import Site
from lifeboat.stack import grounds
from lifeboat.stack.grounds import NeverApplied

from tests.conftest import RunningCloud, free_port
from tests.plain_sites import PlainSite, plain_site


def of_another_name(made: PlainSite, *more: tuple[str, str]) -> Site:
    """Return the site of an application of which nothing is there."""
    path = made.root / "environments" / "x.toml"
    text = path.read_text().replace(made.application, "app-nowhere")
    for old, new in more:
        text = text.replace(old, new)
    path.write_text(text)
    return Site(config.load(made.root, "x"), {})


def test_a_state_bucket_speaks_for_an_apply(cloud: RunningCloud, tmp_path: Path) -> None:
    assert grounds.never_applied(plain_site(cloud, tmp_path).site()) is None


def test_without_a_state_bucket_nothing_was_applied(cloud: RunningCloud, tmp_path: Path) -> None:
    site = of_another_name(plain_site(cloud, tmp_path))

    assert grounds.never_applied(site) == NeverApplied(
        why=f"there is no state bucket {site.project.environment.state.bucket}"
    )


def test_what_a_first_apply_left_that_was_cut_off_speaks_for_an_apply(cloud: RunningCloud, tmp_path: Path) -> None:
    site = of_another_name(plain_site(cloud, tmp_path))
    site.root_state_file.parent.mkdir(parents=True)
    site.root_state_file.write_text("half of a state")

    assert grounds.never_applied(site) is None


def test_who_cannot_be_asked_did_not_say_no(cloud: RunningCloud, tmp_path: Path) -> None:
    site = of_another_name(plain_site(cloud, tmp_path), (cloud.endpoint, f"http://127.0.0.1:{free_port()}"))

    with pytest.raises(Unreachable, match="cannot ask AWS who we are"):
        grounds.never_applied(site)


@pytest.mark.parametrize(
    ("key", "dummy"),
    [("AKIAIOSFODNN7EXAMPLE", True), ("dummy", True), ("", False), ("AKIA2345672345672345", False)],
)
def test_keys_that_cannot_be_real_are_known(key: str, dummy: bool) -> None:
    assert grounds.dummy_credentials({"AWS_ACCESS_KEY_ID": key}) is dummy
