"""A verification that is ended by Ctrl-C or with its terminal removes its server, as it does when it is asked to stop."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from lifeboat.database_model import Manifest

from tests.restores.conftest import everything_database, place, rds, temporary
from tests.restores.dump_sites import DumpSite
from tests.restores.test_interrupted import endless, require_nothing_left_after

__all__ = ["endless", "everything_database", "place", "rds", "temporary"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_verification_that_is_ended_removes_its_server(
    place: DumpSite, endless: Manifest, number: signal.Signals, temporary: Path
) -> None:
    require_nothing_left_after(number, place, endless, temporary)
