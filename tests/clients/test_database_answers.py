"""What a database tells of its data, asked of a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from lifeboat.clients.database_answers import DatabaseAnswers
from lifeboat.clients.postgres import Postgres, ServerAddress
from lifeboat.errors import IntegrityFailure, Unreachable
from lifeboat.model import Secret

from tests.conftest import RunningCloud, free_port
from tests.restores.servers import session

PASSWORD = "not-4-anybody"


@pytest.fixture(scope="module")
def database(cloud: RunningCloud) -> Iterator[Postgres]:
    """A database that keeps the times of commits."""
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
    rds.create_db_instance(
        DBInstanceIdentifier="asked",
        Engine="postgres",
        DBInstanceClass="db.t4g.small",
        AllocatedStorage=20,
        DBName="app",
        MasterUsername="app_admin",
        MasterUserPassword=PASSWORD,
        DBParameterGroupName="times",
    )
    rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier="asked", WaiterConfig={"Delay": 1})
    endpoint = rds.describe_db_instances(DBInstanceIdentifier="asked")["DBInstances"][0]["Endpoint"]
    address = ServerAddress(
        host=endpoint["Address"],
        port=endpoint["Port"],
        database="app",
        user="app_admin",
        sign_in="password",
        ca_file=None,
        region="eu-west-1",
    )
    yield Postgres(address=address, password=lambda: Secret(PASSWORD))
    rds.delete_db_instance(DBInstanceIdentifier="asked", SkipFinalSnapshot=True)


def test_it_tells_its_tables_those_with_rows_and_its_last_commit_before_a_moment(database: Postgres) -> None:
    asked = DatabaseAnswers(database)
    with session(database) as connection:
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


@pytest.mark.parametrize(
    ("ago", "stopped"), [(timedelta(minutes=1), False), (timedelta(minutes=20), True)], ids=["it beats", "it stopped"]
)
def test_a_heartbeat_counts_for_more_than_a_commit_until_it_has_stopped(
    database: Postgres, ago: timedelta, stopped: bool
) -> None:
    beat = datetime.now(UTC).replace(microsecond=0) - ago
    with session(database) as connection:
        connection.execute("CREATE TABLE lifeboat_heartbeat (beat_at timestamptz PRIMARY KEY)")
        connection.execute("INSERT INTO lifeboat_heartbeat VALUES (%s)", (beat,))
        committed = connection.execute("SELECT timestamp FROM pg_last_committed_xact()").fetchone()

    found = DatabaseAnswers(database).proof(before=datetime.now(UTC))

    with session(database) as connection:
        connection.execute("DROP TABLE lifeboat_heartbeat")
    assert committed is not None
    assert found.heartbeats == 1
    if stopped:
        assert found.until == committed[0]
        assert found.known_by.endswith(f"its heartbeat stopped at {beat:%Y-%m-%d %H:%M:%S}Z")
    else:
        assert (found.until, found.known_by) == (beat, "the heartbeat's last row")


def test_one_that_does_not_answer_says_why_and_never_the_password(database: Postgres) -> None:
    wrong = DatabaseAnswers(Postgres(address=database.address, password=lambda: Secret("another-secret")))
    elsewhere = replace(database.address, host="127.0.0.1", port=free_port())
    nobody = DatabaseAnswers(Postgres(address=elsewhere, password=lambda: Secret(PASSWORD)))

    assert "password authentication failed" in str(wrong.ready())
    assert "another-secret" not in str(wrong.ready())
    assert "Connection refused" in str(nobody.ready())
    with pytest.raises(Unreachable):
        nobody.proof(before=datetime.now(UTC))


def test_a_table_that_cannot_be_read_is_a_question_of_the_data_and_not_of_the_way_there(database: Postgres) -> None:
    with session(database) as connection:
        connection.execute("CREATE TABLE closed (n int)")
        connection.execute("REVOKE ALL ON closed FROM app_admin")

    with pytest.raises(IntegrityFailure, match="does not tell what it holds: permission denied for table"):
        DatabaseAnswers(database).proof(before=datetime.now(UTC))

    with session(database) as connection:
        connection.execute("DROP TABLE closed")


def test_it_tells_who_else_is_connected_and_since_when_by_our_own_clock(database: Postgres) -> None:
    before = datetime.now(UTC)
    with database.connection(application="shop") as mine, database.of("postgres").connection(application="elsewhere"):
        mine.execute("SELECT 1")
        found = DatabaseAnswers(database).sessions()

    (shop,) = [one for one in found if one.program == "shop"]
    assert [one.program for one in found if one.program in ("elsewhere", "lifeboat recover")] == []
    assert shop.user == "app_admin"
    assert shop.address is not None
    assert shop.since is not None
    assert timedelta(0) <= shop.since - before + timedelta(seconds=1)
    assert shop.since <= datetime.now(UTC)
