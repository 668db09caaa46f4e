"""Recoveries of the database that die while or after Terraform adopts it, and checkouts that know less than others."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import open_folder
from tests.database_recoveries import (
    RECOVERY_FILE,
    databases,
    drop,
    next_second,
    runs,
    texts,
    told,
    wait_for_window,
    write,
    written,
)
from tests.rehearsal import Rehearsal, another, passed


@pytest.fixture
def other(stack: Rehearsal) -> Iterator[Rehearsal]:
    """Another checkout of the same environment, without a recovery file."""
    with open_folder() as folder:
        yield another(folder / "other", stack)


def killed(stack: Rehearsal, **at: Any) -> subprocess.Popen[str]:
    """Recover the database from a dropped table, and kill all of it at a call."""
    write(stack, "written before")
    moment = next_second()
    drop(stack)
    wait_for_window(stack, moment)
    process = stack.start("lifeboat", "recover", "--scope", "database", "--to", written(moment))
    stack.control("faults", add={**at, "status": 503, "kill": process.pid, "who": "everything"})
    process.communicate(timeout=600)
    return process


def test_an_adoption_that_dies_once_it_has_led_the_application_is_ended_and_not_given_up(stack: Rehearsal) -> None:
    killed(stack, service="secretsmanager", operation="PutSecretValue", when="after")
    file = (stack.root / RECOVERY_FILE).read_text()

    refused = passed(stack.lifeboat("abort"), 3)
    after = sorted(databases(stack))
    resumed = passed(stack.lifeboat("resume"))

    run = runs(stack)[0]
    assert "the application's secret leads to app-local-g2, which Terraform's state does not know" in refused.stderr
    assert f"lifeboat resume {run['run']} -e local, which ends the adoption" in refused.stderr
    assert after == ["app-local-g1", "app-local-g2"]
    assert json.loads(file)["active_generation"] == "g2"
    assert run["state"] == "ended", resumed.stdout
    assert told(stack)["database_generation"] == databases(stack)["app-local-g2"]["Endpoint"]["Address"]
    assert texts(stack)[3:] == ["written before"]
    assert "no changes" in passed(stack.run("make", "plan")).stdout


def test_once_it_is_adopted_it_goes_on_elsewhere_and_an_apply_that_knows_less_makes_no_empty_database(
    stack: Rehearsal, other: Rehearsal
) -> None:
    killed(stack, service="ssm", operation="SendCommand", when="before")

    passed(other.lifeboat("resume"))
    ended, named = runs(other)[0]["state"], json.loads((other.root / RECOVERY_FILE).read_text())
    planned = passed(other.lifeboat("plan"))
    passed(other.lifeboat("retire", "g1", "--yes"))
    stale = passed(stack.lifeboat("apply", "--yes"), 3)
    fetched = passed(stack.lifeboat("recovery-file"))
    as_elsewhere = (stack.root / RECOVERY_FILE).read_text() == (other.root / RECOVERY_FILE).read_text()
    mended = passed(stack.lifeboat("plan"))
    (stack.root / RECOVERY_FILE).unlink()
    without = passed(stack.lifeboat("apply", "--yes"), 3)

    assert (ended, named["active_generation"]) == ("ended", "g2")
    assert named["database_generations"] == {"g1": {}, "g2": {"restored": True}}
    assert "no changes" in planned.stdout
    # The file is from before its backups were copied to the other region, and names what is retired since.
    assert 'create module.database.aws_db_instance.this["g1"]: it would be an empty database' in stale.stderr
    assert "says: g1, g2 (serves, backups not copied to the other region)" in stale.stderr
    assert "Terraform's state knows: g2 (serves)" in stale.stderr
    assert "lifeboat recovery-file -e local writes" in stale.stderr
    assert "terraform state rm" not in stale.stderr
    assert "is written as the state says; commit it: git add " in fetched.stdout
    assert as_elsewhere
    assert "no changes" in mended.stdout
    assert "would lose what must not be lost" in without.stderr
    assert "lifeboat recovery-file -e local writes" in without.stderr
    assert sorted(databases(stack)) == ["app-local-g2"]
    assert texts(stack)[3:] == ["written before"]
