"""What a database tells of its data, asked of a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from lifeboat.clients.database_answers import DatabaseAnswers
from lifeboat.errors import Unreachable
from lifeboat.model import Secret

from tests.conftest import RunningCloud, free_port

PASSWORD = "not-4-anybody"


@pytest.fixture(scope="module")
def url(cloud: RunningCloud) -> Iterator[str]:
    """The address of a database that keeps the times of commits."""
    rds = cloud.client("rds")
    rds.create_db_parameter_group(
        DBParameterGroupName="times", DBParameterGroupFamily="postgres15", Description="times of commits"
    )
    rds.modify_db_parameter_group(
        DBParameterGroupName="times",
        Parameters=[
            {"ParameterName": "track_commit_timestamp", "ParameterValue": "1", "ApplyMethod": "pending-reboot"}
        ],
    )
    made = rds.create_db_instance(
        DBInstanceIdentifier="asked",
        Engine="postgres",
        DBInstanceClass="db.t4g.small",
        AllocatedStorage=20,
        DBName="app",
        MasterUsername="app_admin",
        MasterUserPassword=PASSWORD,
        DBParameterGroupName="times",
    )["DBInstance"]
    found = rds.describe_db_instances(DBInstanceIdentifier=made["DBInstanceIdentifier"])["DBInstances"][0]
    place = f"{found['Endpoint']['Address']}:{found['Endpoint']['Port']}"
    yield f"postgresql://app_admin:{PASSWORD}@{place}/app?sslmode=require"
    rds.delete_db_instance(DBInstanceIdentifier="asked", SkipFinalSnapshot=True)


def test_it_tells_its_tables_those_with_rows_and_its_last_commit_before_a_moment(url: str) -> None:
    asked = DatabaseAnswers(Secret(url))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute('CREATE TABLE "Zettel" (id int) PARTITION BY RANGE (id)')
        connection.execute('CREATE TABLE zettel_1 PARTITION OF "Zettel" FOR VALUES FROM (0) TO (10)')
        connection.execute("CREATE TABLE empty (id int)")
        connection.execute('INSERT INTO "Zettel" VALUES (1)')
        committed = connection.execute("SELECT timestamp FROM pg_last_committed_xact()").fetchone()
        moment = connection.execute("SELECT clock_timestamp()").fetchone()
        connection.execute("INSERT INTO empty VALUES (1)")
        connection.execute("DELETE FROM empty")
    assert committed is not None
    assert moment is not None

    found = asked.proof(before=moment[0])

    assert asked.ready() is None
    assert (found.tables, found.with_rows) == (2, 1)
    assert found.until == committed[0]
    assert "last commit of anybody" in found.known_by


def test_a_heartbeat_counts_for_more_than_a_commit(url: str) -> None:
    beat = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE lifeboat_heartbeat (beat_at timestamptz PRIMARY KEY)")
        connection.execute("INSERT INTO lifeboat_heartbeat VALUES (%s)", (beat,))

    found = DatabaseAnswers(Secret(url)).proof(before=datetime.now(UTC))

    assert (found.until, found.known_by) == (beat, "the heartbeat's last row")


def test_one_that_does_not_answer_says_why_and_never_the_password(url: str) -> None:
    wrong = DatabaseAnswers(Secret(url.replace(PASSWORD, "another-secret")))
    nobody = DatabaseAnswers(Secret(f"postgresql://app_admin:{PASSWORD}@127.0.0.1:{free_port()}/app"))

    assert "password authentication failed" in str(wrong.ready())
    assert "another-secret" not in str(wrong.ready())
    assert "Connection refused" in str(nobody.ready())
    with pytest.raises(Unreachable):
        nobody.proof(before=datetime.now(UTC))
