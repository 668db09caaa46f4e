"""What a recovery writes of the generations into the recovery file, in whichever checkout it is gone on with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lifeboat.clients.waiting import WallClock
from lifeboat.errors import WrongConfiguration
from lifeboat.model import EventKind, RecoveryRequest, RunId, Scope
from lifeboat.runbooks import recover_database
from lifeboat.runbooks.database_adoption import ADOPTING
from lifeboat.runbooks.recovering import Recovering

from tests import step_runs
from tests.gitlab_sites import RECOVERY
from tests.plain_sites import PlainSite, Told, plain_site
from tests.runbooks.conftest import Quick

RUN = "20260301T030000Z-recover-aaaaaa"
FILE = next(step for step in ADOPTING if step.name == "database-file")
PLANNED = {"g1": {"restored": True}, "g2": {"restored": True, "dr_copy": False}}


@pytest.fixture
def plain(quick: Quick, tmp_path: Path) -> PlainSite:
    return plain_site(quick, tmp_path)


def resource(kind: str, *generations: str) -> dict[str, Any]:
    instances = [{"index_key": one, "attributes": {}} for one in generations]
    return {"type": kind, "mode": "managed", "module": "module.database", "instances": instances}


def adopted(plain: PlainSite, *copied: str) -> Recovering:
    """Return a recovery, in a checkout without a recovery file, whose g2 Terraform has adopted."""
    database = {**RECOVERY["database"], "active_generation": "g2", "generations": ["g1", "g2"]}
    recovery = {**RECOVERY, "application": plain.application, "database": database}
    state = {
        "version": 4,
        "serial": 9,
        "lineage": "l",
        "outputs": {"recovery": {"value": recovery, "type": "dynamic"}},
        "resources": [
            resource("aws_db_instance", "g1", "g2"),
            resource("aws_db_instance_automated_backups_replication", *copied),
        ],
    }
    plain.put("stack.tfstate", json.dumps(state).encode())
    plain.run(
        RUN,
        (EventKind.NOTE, "copy", {"generation": "g2", "identifier": f"{plain.application}-g2"}),
        (EventKind.NOTE, "adoption", {"generations": PLANNED, "lost_generations": []}),
        (EventKind.INTENT, "adopt", {}),
        (EventKind.RESULT, "adopt", {}),
    )
    site = plain.site()
    journal = site.journal(RunId(RUN))
    journal.open()
    return Recovering(
        site=site,
        tell=Told(),
        journal=journal,
        request=RecoveryRequest(scope=Scope.DATABASE),
        now=WallClock().now,
        agree=step_runs.nobody,
    )


@pytest.mark.parametrize(
    ("copied", "g2"),
    [(("g1",), {"restored": True, "dr_copy": False}), (("g1", "g2"), {"restored": True})],
    ids=["before its backups are copied", "after"],
)
def test_gone_on_with_elsewhere_once_it_was_adopted_the_file_is_written_as_it_was_planned(
    plain: PlainSite, copied: tuple[str, ...], g2: dict[str, Any]
) -> None:
    c = adopted(plain, *copied)

    ended = [*step_runs.carried_out(c, [FILE]), *step_runs.carried_out(c, [FILE])]

    written = json.loads((plain.root / "environments" / "x.recovery.tfvars.json").read_text())
    assert ended == ["done", "holds"]
    assert written == {
        "active_generation": "g2",
        "database_generations": {"g1": {"restored": True}, "g2": g2},
    }


def test_a_file_that_names_it_without_a_word_that_it_was_restored_is_written_anew(plain: PlainSite) -> None:
    path = plain.root / "environments" / "x.recovery.tfvars.json"
    path.write_text(json.dumps({"active_generation": "g2", "database_generations": {"g1": {}, "g2": {}}}))
    c = adopted(plain)

    assert step_runs.carried_out(c, [FILE]) == ["done"]
    assert json.loads(path.read_text())["database_generations"] == {
        "g1": {},
        "g2": {"restored": True, "dr_copy": False},
    }


def test_without_the_authorities_that_are_named_nothing_is_begun(plain: PlainSite) -> None:
    settings = plain.root / "environments" / "x.toml"
    settings.write_text(settings.read_text() + '[database]\nca_file = "environments/nowhere.pem"\n')
    c = adopted(plain)

    with pytest.raises(WrongConfiguration, match="nobody could check whom the password goes to"):
        recover_database.require_readable(c)
