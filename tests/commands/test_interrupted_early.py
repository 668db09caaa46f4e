"""What is said of a command that is interrupted before it has done anything: nothing that is not so, and no id of nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import pytest
from lifeboat import views
from lifeboat.clients.run_files import Run
from lifeboat.commands import recover
from lifeboat.commands.recover import Orders
from lifeboat.errors import Interrupted
from lifeboat.model import RecoveryRequest, RunId
from lifeboat.site import Site
from lifeboat.stack.applying import Applying

from tests.conftest import RunningCloud
from tests.plain_sites import PlainSite, Told, plain_site


@pytest.fixture
def plain(cloud: RunningCloud, tmp_path: Path) -> PlainSite:
    return plain_site(cloud, tmp_path)


class CtrlC(Told):
    """Whose reader types Ctrl-C at the first thing that is told."""

    def warn(self, text: str) -> NoReturn:
        raise KeyboardInterrupt


def unwatched(*_: Any) -> NoReturn:
    raise AssertionError("no step begins")


def test_a_recovery_that_has_no_journal_yet_names_no_run_and_claims_nothing_of_terraform(plain: PlainSite) -> None:
    site = Site(plain.site().project, {"TF_LOG": "debug"})  # which is warned of first of all

    with pytest.raises(Interrupted) as stopped:
        recover.run(site, Orders(tell=CtrlC(), watch=unwatched, agree=unwatched), RecoveryRequest())

    assert (stopped.value.summary, stopped.value.hint) == (
        "interrupted before anything began",
        "run the same command again",
    )
    assert stopped.value.exit_status == 130
    assert site.journals().runs() == []


def test_where_no_terraform_ran_nothing_is_said_of_its_state_nor_of_waiting_for_it(
    plain: PlainSite, capsys: pytest.CaptureFixture[str]
) -> None:
    site = plain.site()
    work = Applying(site, views.Teller(), Run(run=RunId("r"), folder=site.project.work, lock_descriptor=-1))

    with pytest.raises(Interrupted) as stopped, work.whole("lifeboat apply -e x"):
        raise KeyboardInterrupt

    assert stopped.value.summary == "stopped on request; no Terraform had been started"
    assert stopped.value.hint == "lifeboat apply -e x goes on from there"
    assert capsys.readouterr().err == ""
