"""The version of moto that the local cloud reaches into."""

from __future__ import annotations

import moto

READ = "5.2.5"


def test_moto_is_the_version_whose_insides_the_local_cloud_uses() -> None:
    assert moto.__version__ == READ, (
        f"moto is {moto.__version__}, the local cloud was written against {READ}. Before READ is changed here, compare "
        "in both versions: moto.core.routing, moto.core.parse, moto.core.serialize and moto.moto_server.werkzeug_app "
        "(scripts/localcloud/front.py), BackendDict and what the backends hold (saved_state.py: old saves are refused), "
        "and every function that an `install` in scripts/localcloud/services replaces or imports from moto; then run "
        "tests/localcloud and tests/commands."
    )
