"""After a recovery the databases are asked on which of them the application works: real sessions of two PostgreSQL servers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
import pytest
from lifeboat.errors import StoppedPartWay
from lifeboat.model import EventKind, WorksOn
from lifeboat.runbooks import database_sessions, recover_database
from lifeboat.runbooks.recovering import Recovering

from tests import step_runs
from tests.conftest import free_port
from tests.dump_sites import PASSWORD, DumpSite
from tests.plain_sites import Told
from tests.restored_sites import recovering


@dataclass
class Agreeing:
    """Somebody who agrees to everything and remembers to what."""

    lines: list[str] = field(default_factory=list)

    def __call__(self, lines: Sequence[str]) -> None:
        self.lines += lines


@dataclass(frozen=True, kw_only=True)
class Two:
    """The site's database, which serves by now, and the one from before."""

    site: DumpSite
    old: dict[str, Any]
    password: str

    def connected(self, which: str) -> psycopg.Connection[Any]:
        """Connect to one of them as the application does."""
        new = self.site.database["database"]
        host, port = (
            (new["address"], new["port"])
            if which == "new"
            else (self.old["Endpoint"]["Address"], self.old["Endpoint"]["Port"])
        )
        return psycopg.connect(
            host=host,
            port=port,
            dbname="app",
            user="app_admin",
            password=PASSWORD if which == "new" else self.password,
            sslmode="require",
            application_name="shop",
        )

    def recovering(self) -> Recovering:
        """Return a recovery whose application was just started anew and answers nothing."""
        c = self.ordered()
        self.started(c)
        return c

    def started(self, c: Recovering) -> None:
        """Write down that its application was started anew, and waited for until it was well."""
        c.journal.write(EventKind.NOTE, step="restart", restarted_for=self.site.plain.application)

    def ordered(self) -> Recovering:
        """Return a recovery that has just ordered its application to be started anew."""
        app = {**self.site.database["app"], "address": "127.0.0.1", "url": f"http://127.0.0.1:{free_port()}"}
        c = recovering(replace(self.site, database={**self.site.database, "app": app}), "any")
        new = self.site.plain.application
        decided = {"identifier": new, "old_identifier": self.old["DBInstanceIdentifier"], "generation": "g1"}
        c.journal.write(EventKind.NOTE, step="copy", copy="any", why_copy="it was asked for", **decided)
        proof = {"tables": 1, "with_rows": 1, "data_until": None, "known_by": "nothing", "rpo_seconds": None}
        c.journal.write(EventKind.NOTE, step="proof", **proof)
        c.journal.write(EventKind.INTENT, step="restart", text="restart")
        return c


@pytest.fixture(scope="module")
def two(made: DumpSite) -> Iterator[Two]:
    rds, name = made.cloud.client("rds"), f"{made.plain.application}-before"
    rds.create_db_instance(
        DBInstanceIdentifier=name,
        DBInstanceClass="db.t4g.micro",
        Engine="postgres",
        AllocatedStorage=20,
        MasterUsername="app_admin",
        ManageMasterUserPassword=True,
        DBName="app",
        BackupRetentionPeriod=0,
    )
    rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier=name, WaiterConfig={"Delay": 1})
    (old,) = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
    secret = made.cloud.client("secretsmanager").get_secret_value(SecretId=old["MasterUserSecret"]["SecretArn"])
    yield Two(site=made, old=old, password=json.loads(secret["SecretString"])["password"])
    rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)


def asked(c: Recovering) -> list[str]:
    return step_runs.carried_out(c, [database_sessions.ASKED], step_runs.Hurried())


def test_an_application_that_works_on_the_new_database_ends_it(two: Two) -> None:
    c = two.recovering()

    with two.connected("new"):
        ended = asked(c)

    found = recover_database.report(c)
    assert ended == ["done"]
    assert found is not None
    assert found.works_on is WorksOn.NEW
    assert f"{two.site.plain.application} has sessions of app_admin (shop) from 127." in found.works_on_why
    assert asked(c) == ["holds"]


def test_an_application_that_still_works_on_the_old_database_stops_it(two: Two) -> None:
    c = two.recovering()

    with two.connected("old"), pytest.raises(StoppedPartWay) as stopped:
        asked(c)

    old = two.old["DBInstanceIdentifier"]
    assert f"the application answers from {old}: " in stopped.value.summary
    assert f"{old} has some that began since it was started anew: app_admin (shop)" in stopped.value.summary
    assert "lifeboat app restart -e x" in stopped.value.hint
    with two.connected("new"):
        assert asked(c) == ["done"]


def test_one_that_connected_to_the_old_database_while_it_was_started_stops_it_too(two: Two) -> None:
    c = two.ordered()

    with two.connected("old"):
        two.started(c)
        with pytest.raises(StoppedPartWay, match="the application answers from "):
            asked(c)


def test_one_that_works_on_both_waits_for_agreement(two: Two) -> None:
    c, agreeing = two.recovering(), Agreeing()

    with ExitStack() as connected:
        for which in ("old", "new"):
            connected.enter_context(two.connected(which))
        with pytest.raises(StoppedPartWay, match="is still connected to the old database"):
            asked(c)
        ended = asked(replace(c, agree=agreeing))

    assert ended == ["done"]
    assert len(agreeing.lines) == 1
    assert c.fact("works_on") == WorksOn.BOTH


def test_where_nobody_was_connected_since_it_is_said_that_nobody_knows(two: Two) -> None:
    with two.connected("old"):
        c = two.recovering()
        ended = asked(c)

    found = recover_database.report(c)
    assert ended == ["done"]
    assert found is not None
    assert found.works_on is WorksOn.UNKNOWN
    assert found.works_on_why == (
        f"{two.site.plain.application} has no session of an application, and {two.old['DBInstanceIdentifier']} has no"
        " session of an application that began since"
    )
    assert isinstance(c.tell, Told)
    assert f"nobody knows on which database the application works: {found.works_on_why}" in c.tell.lines
