"""On which database the application works: what its sessions say, and what nobody knows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from lifeboat.database_model import ClientSession
from lifeboat.decisions.database_sessions import Clients, Finding, judged
from lifeboat.model import WorksOn

STARTED = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


def session(*, user: str = "app", program: str = "shop", minutes: float | None = 1) -> ClientSession:
    since = None if minutes is None else STARTED + timedelta(minutes=minutes)
    return ClientSession(user=user, address="10.0.0.7", program=program, since=since)


def judge(new: list[ClientSession] | None, old: list[ClientSession] | None, why: str = "it is gone") -> Finding:
    return judged(
        Clients(identifier="app-g2", sessions=new, why="no route"),
        Clients(identifier="app-g1", sessions=old, why=why, gone=why == "it is gone"),
        user="app",
        started=STARTED,
    )


@pytest.mark.parametrize(
    ("new", "old", "works_on", "why"),
    [
        ([session()], [], WorksOn.NEW, "app-g2 has sessions of app (shop) from 10.0.0.7"),
        ([session(), session()], None, WorksOn.NEW, "app-g2 has sessions of app (shop) from 10.0.0.7"),
        # What a host that is gone has left is none of the application that was started anew.
        ([session()], [session(minutes=-1)], WorksOn.NEW, "app-g2 has sessions of app (shop) from 10.0.0.7"),
        ([session()], [session(minutes=None)], WorksOn.NEW, "app-g2 has sessions of app (shop) from 10.0.0.7"),
        (
            [session()],
            [session(user="watcher", program="")],
            WorksOn.NEW,
            "app-g2 has sessions of app (shop) from 10.0.0.7, and app-g1 has new ones of watcher from 10.0.0.7",
        ),
        (
            [session()],
            [session(program="worker")],
            WorksOn.BOTH,
            "app-g2 has sessions of app (shop) from 10.0.0.7, and app-g1 has new ones of app (worker) from 10.0.0.7",
        ),
        # What watches databases is wherever it was told to be.
        (
            [session(), session(user="watcher", program="")],
            [session(user="watcher", program="")],
            WorksOn.NEW,
            "app-g2 has sessions of app (shop) from 10.0.0.7, watcher from 10.0.0.7, and app-g1 has new ones of watcher from"
            " 10.0.0.7",
        ),
        (
            [session(user="watcher", program="")],
            [],
            WorksOn.UNKNOWN,
            "app-g2 has sessions of watcher from 10.0.0.7, none of app",
        ),
        (
            [session(user="watcher", program="")],
            [session()],
            WorksOn.OLD,
            "app-g2 has sessions of watcher from 10.0.0.7, none of app, and app-g1 has new ones of app (shop) from 10.0.0.7",
        ),
        (
            [],
            [session(user="watcher", program="")],
            WorksOn.UNKNOWN,
            "app-g2 has no session of an application, and app-g1 has some that began since it was started anew: watcher from"
            " 10.0.0.7",
        ),
        (
            [],
            [session(), session(minutes=2)],
            WorksOn.OLD,
            "app-g2 has no session of an application, and app-g1 has some that began since it was started anew: app (shop)"
            " from 10.0.0.7",
        ),
        # The heartbeat's, an operator's, a dump's and our own are not the application's.
        (
            [session(program=name) for name in ("psql", "pg_dump", "lifeboat recover")],
            [session(program="psql")],
            WorksOn.UNKNOWN,
            "app-g2 has no session of an application, and app-g1 has no session of an application that began since",
        ),
        (
            [],
            None,
            WorksOn.UNKNOWN,
            "app-g2 has no session of an application, and app-g1 could not be asked (it is gone)",
        ),
        (
            None,
            [session()],
            WorksOn.UNKNOWN,
            "app-g2 could not be asked (no route), and app-g1 has some that began since it was started anew: app (shop)"
            " from 10.0.0.7",
        ),
        (
            None,
            [session(minutes=-1)],
            WorksOn.UNKNOWN,
            "app-g2 could not be asked (no route), and app-g1 has no session of an application that began since",
        ),
    ],
)
def test_its_sessions_tell_where_the_application_works_and_none_tell_nothing(
    new: list[ClientSession] | None, old: list[ClientSession] | None, works_on: WorksOn, why: str
) -> None:
    assert judge(new, old) == Finding(works_on=works_on, why=why)


def test_where_the_old_one_is_there_and_could_not_be_asked_nobody_says_that_the_new_one_is_the_only_one() -> None:
    assert judge([session()], None, why="connection timed out") == Finding(
        works_on=WorksOn.NEW_AT_LEAST,
        why="app-g2 has sessions of app (shop) from 10.0.0.7, and app-g1 could not be asked (connection timed out)",
    )
    assert judge([session(user="watcher")], None, why="connection timed out").works_on is WorksOn.UNKNOWN


def test_of_many_clients_a_few_are_named() -> None:
    found = judge([session(program=f"shop{number}") for number in range(5)], [])

    assert found.why == (
        "app-g2 has sessions of app (shop0) from 10.0.0.7, app (shop1) from 10.0.0.7, app (shop2) from 10.0.0.7, 2 more"
    )
