"""PostgreSQL clusters: backups that hold, recovery to a time, servers that never share a folder."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from localcloud.cloud import Cloud
from localcloud.postgres import Cluster, ProgramsMissing, ServerFailed, Servers, programs_in

from tests.conftest import free_port, own_network


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    # Not below pytest's folder: PostgreSQL's account must be able to pass.
    directory = Path(tempfile.mkdtemp(prefix="lifeboat-"))
    directory.chmod(0o755)
    (directory / "logs").mkdir()
    made = Cloud(directory=directory, endpoint="http://127.0.0.1:1", network=own_network(free_port()))
    yield made
    made.processes.stop_all()
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def servers(cloud: Cloud) -> Iterator[Servers]:
    made = Servers(cloud)
    yield made
    made.stop_all()


def new_cluster(cloud: Cloud, name: str, **settings: str) -> Cluster:
    folder = cloud.folder("databases", name)
    cloud.user.own(folder)
    return Cluster(name=name, folder=folder, address=cloud.new_address("database"), port=5432, settings=settings)


@pytest.fixture(scope="module")
def source(cloud: Cloud, servers: Servers) -> Cluster:
    """A running cluster with one table."""
    made = new_cluster(cloud, "source")
    servers.make(made)
    servers.start(made)
    with servers.connection(made) as connection:
        connection.execute("CREATE TABLE rows (number int)")
        connection.execute("INSERT INTO rows VALUES (1)")
    return made


def backed_up(cloud: Cloud, servers: Servers, source: Cluster, name: str) -> Path:
    target = cloud.folder("backups", name) / "base"
    cloud.user.own(target.parent)
    servers.base_backup(source, target)
    return target


def count(servers: Servers, cluster: Cluster) -> int:
    with servers.connection(cluster) as connection:
        row = connection.execute("SELECT count(*) FROM rows").fetchone()
    assert row is not None
    return int(row[0])


def test_recovery_holds_every_commit_up_to_the_time_and_none_after(
    cloud: Cloud, servers: Servers, source: Cluster
) -> None:
    base = backed_up(cloud, servers, source, "first")
    with servers.connection(source) as connection:
        connection.execute("INSERT INTO rows VALUES (2)")
        between = servers.archived_until(source)
        time.sleep(0.05)
        connection.execute("INSERT INTO rows VALUES (3)")
    until = servers.archived_until(source)
    part, whole, later = (new_cluster(cloud, name) for name in ("part", "whole", "later"))

    servers.recover(part, base=base, wal=source.wal, until=between)
    servers.recover(whole, base=base, wal=source.wal, until=None)
    # Nothing was committed after `until`: PostgreSQL alone would give up, since it never sees the target pass.
    servers.recover(later, base=base, wal=source.wal, until=until + timedelta(milliseconds=1))

    assert [count(servers, cluster) for cluster in (part, whole, later)] == [2, 3, 3]
    with servers.connection(part) as connection:
        connection.execute("DELETE FROM rows")
    assert [count(servers, cluster) for cluster in (part, whole, source)] == [0, 3, 3]
    for cluster in (part, whole, later):
        servers.remove(cluster)
        assert not cluster.data.exists()


def test_a_base_backup_that_lost_a_file_does_not_start(cloud: Cloud, servers: Servers, source: Cluster) -> None:
    base = backed_up(cloud, servers, source, "damaged")
    (base / "global" / "pg_control").unlink()
    cluster = new_cluster(cloud, "damaged")
    servers.copy(base, cluster)

    with pytest.raises(ServerFailed, match="pg_control"):
        servers.start(cluster)
    assert not servers.is_running(cluster)


def test_a_missing_wal_segment_ends_recovery_with_an_error(cloud: Cloud, servers: Servers, source: Cluster) -> None:
    base = backed_up(cloud, servers, source, "gap")
    with servers.connection(source) as connection:
        connection.execute("CREATE TABLE more AS SELECT 1")
    servers.archived_until(source)
    gap = cloud.folder("backups", "gap-wal")
    for name in ("backup_label", "tablespace_map"):
        (base / name).unlink(missing_ok=True)
    shutil.rmtree(base / "pg_wal")

    with pytest.raises(ServerFailed):
        servers.recover(new_cluster(cloud, "gap"), base=base, wal=gap, until=None)


def test_pruning_keeps_the_wal_that_the_oldest_backup_needs(cloud: Cloud, servers: Servers, source: Cluster) -> None:
    old = backed_up(cloud, servers, source, "old")
    with servers.connection(source) as connection:
        for number in range(3):
            connection.execute("INSERT INTO rows VALUES (%s)", (number + 10,))
            servers.archived_until(source)
    new = backed_up(cloud, servers, source, "new")
    servers.archived_until(source)

    servers.prune_archive(source.wal, old)
    kept = sorted(path.name for path in source.wal.iterdir())
    servers.prune_archive(source.wal, new)
    left = sorted(path.name for path in source.wal.iterdir())
    cluster = new_cluster(cloud, "pruned")
    servers.recover(cluster, base=new, wal=source.wal, until=None)

    assert 0 < len(left) < len(kept)
    assert count(servers, cluster) == count(servers, source)


def test_a_server_that_outlived_its_cloud_is_ended_before_another_uses_its_folder(
    cloud: Cloud, servers: Servers
) -> None:
    cluster = new_cluster(cloud, "orphan")
    servers.make(cluster)
    servers.start(cluster)
    before = int((cluster.data / "postmaster.pid").read_text().splitlines()[0])
    with servers.connection(cluster):
        successor = Servers(cloud)
        successor.start(cluster)

        assert int((cluster.data / "postmaster.pid").read_text().splitlines()[0]) != before
        assert not servers.is_running(cluster)
    successor.stop(cluster)


def test_what_the_server_would_not_start_with_is_known_before(servers: Servers) -> None:
    assert servers.check_setting("work_mem", "8MB") is None
    assert "invalid value" in str(servers.check_setting("work_mem", "much"))
    assert "outside the valid range" in str(servers.check_setting("max_connections", "9999999"))
    assert "unrecognized" in str(servers.check_setting("no_such_thing", "1"))


def test_a_folder_that_postgresql_may_not_pass_is_named(cloud: Cloud, servers: Servers) -> None:
    closed = cloud.folder("closed")
    closed.chmod(0o700)
    cluster = Cluster(name="closed", folder=closed / "in", address="127.0.0.1", port=5432, settings={})

    if cloud.user.name is None:  # we are not root, PostgreSQL runs as ourselves and may pass
        servers.make(cluster)
        return
    with pytest.raises(ServerFailed, match=f"may not pass {closed}: .*chmod o\\+x"):
        servers.make(cluster)


def test_missing_programs_are_named_with_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(ProgramsMissing, match="initdb, postgres, pg_basebackup.*apt-get install postgresql-15"):
        programs_in([tmp_path])


def test_passwords_and_their_verifiers_are_not_in_the_log(cloud: Cloud, servers: Servers) -> None:
    cluster = new_cluster(cloud, "secretive", log_statement="all", log_min_duration_statement="0")
    servers.make(cluster)
    servers.start(cluster)
    servers.create_master(cluster, user="owner", password="Canary-Pass+3", database="app")
    servers.set_password(cluster, user="owner", password="Canary-Pass+4")
    with pytest.raises(psycopg.errors.UndefinedObject):
        servers.set_password(cluster, user="nobody", password="Canary-Pass+5")

    log = (cloud.logs / "postgres-secretive.log").read_text()
    assert "CREATE DATABASE" not in log  # everything the administrator does while a password is near
    assert "Canary" not in log
    assert "SCRAM-SHA-256$" not in log
