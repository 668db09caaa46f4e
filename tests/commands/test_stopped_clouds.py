"""A local cloud that is stopped keeps its state: what is in it, nobody saw."""

from __future__ import annotations

from pathlib import Path

import pytest
from lifeboat import config
from lifeboat.commands import drill, sweep
from lifeboat.drill_model import DrillRequest, DrillScope
from lifeboat.errors import CleanUpIncomplete, NothingFits, Unreachable
from lifeboat.site import Site

from tests import step_runs
from tests.conftest import free_port
from tests.gitlab_sites import settings_of
from tests.plain_sites import Told


def stopped(folder: Path) -> Site:
    """Return the site of an environment whose local cloud does not run."""
    port = free_port()
    (folder / "environments").mkdir()
    (folder / "environments" / "x.tfvars").write_text("")
    (folder / "environments" / "x.toml").write_text(f"""{settings_of(f"http://127.0.0.1:{port}")}
[dns]
resolver = "127.77.192.53:{port}"
[local_cloud]
command = ["false"]
directory = "cloud"
""")
    return Site(config.load(folder, "x"), {})


def test_a_sweep_that_cannot_look_into_a_stopped_local_cloud_says_so(tmp_path: Path) -> None:
    site = stopped(tmp_path)
    cloud = site.local_cloud()
    assert cloud is not None
    cloud.directory.mkdir(parents=True)

    with pytest.raises(CleanUpIncomplete) as raised:
        sweep.run(site, Told(), step_runs.nobody)

    assert raised.value.exit_status == 12
    assert raised.value.summary == (
        "nobody can tell what drills left: the local cloud of x does not run, and its state is kept"
    )
    assert raised.value.hint == "lifeboat local up -e x, then lifeboat sweep -e x"


def test_a_sweep_without_any_state_of_a_local_cloud_has_nothing_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(NothingFits, match="has no state, so there is nothing to sweep"):
        sweep.run(stopped(tmp_path), Told(), step_runs.nobody)


def test_a_drill_begins_with_an_apply_where_there_never_was_one_and_else_with_the_cloud_that_is_stopped(
    tmp_path: Path,
) -> None:
    site, orders = (
        stopped(tmp_path),
        drill.Orders(tell=Told(), watch=lambda *_: step_runs.Seen(), agree=step_runs.nobody),
    )
    cloud = site.local_cloud()
    assert cloud is not None

    with pytest.raises(NothingFits) as never:
        drill.run(site, orders, DrillRequest(scope=DrillScope.STATE))
    cloud.directory.mkdir(parents=True)
    with pytest.raises(Unreachable) as stands_still:
        drill.run(site, orders, DrillRequest(scope=DrillScope.STATE))

    assert never.value.summary == "the local cloud of x does not run and has no state, so there is nothing to drill"
    assert never.value.hint == "lifeboat apply -e x"
    assert stands_still.value.hint.startswith("lifeboat local up")
