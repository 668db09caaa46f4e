"""What an unqualified name means in lifeboat's own sessions: PostgreSQL's, and what the role means only where that is asked."""

from __future__ import annotations

from decimal import Decimal

from lifeboat.clients import dump_server
from lifeboat.clients.postgres import Postgres
from lifeboat.database_model import Probe, TableName
from lifeboat.dumps.verifying import ask

from tests.restores.servers import RdsServer

# What answers instead of PostgreSQL's own where the database's path has this schema first.
_SHADOWS = """
CREATE SCHEMA side;
CREATE TABLE side.t (n int);
CREATE TABLE public.t (n int);
CREATE TABLE public.u (n int);
CREATE FUNCTION side.current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT 'shadow' $$;
CREATE FUNCTION side.pg_table_is_visible(oid) RETURNS boolean LANGUAGE sql AS $$ SELECT false $$;
CREATE FUNCTION side.set_config(text, text, boolean) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadow'; END $$;
ALTER DATABASE paths SET search_path = side, public, pg_catalog;
"""


def shadowed(rds: RdsServer) -> Postgres:
    source = rds.new_database("paths")
    with source.connection(application="test") as connection:
        connection.execute(_SHADOWS.encode())
    return source


def test_what_a_database_has_of_the_same_name_is_not_asked(rds: RdsServer) -> None:
    with shadowed(rds).connection(application="test") as connection:
        server = dump_server.server(connection)
        dump_server.pin(connection, {"DateStyle": "ISO"})
        stated = connection.execute("SELECT current_setting('statement_timeout'), current_setting('search_path')")

        assert server.version.startswith(f"{server.major}.")
        assert stated.fetchone() == ("0", "pg_catalog")


def test_a_table_is_visible_by_the_path_of_who_dumps(rds: RdsServer) -> None:
    with shadowed(rds).connection(application="test") as connection:
        found = {relation.name: relation.visible for relation in dump_server.relations(connection)}
        after = connection.execute("SHOW search_path").fetchone()

    assert found == {
        TableName(schema="side", name="t"): True,
        TableName(schema="public", name="t"): False,
        TableName(schema="public", name="u"): True,
    }
    assert after == ("pg_catalog",)


def test_a_probe_names_tables_as_its_role_does(rds: RdsServer) -> None:
    source = shadowed(rds)
    with source.connection(application="test") as connection:
        connection.execute("INSERT INTO side.t VALUES (1), (2)")

    assert ask(source, [Probe(name="rows", sql="SELECT count(*) FROM t", minimum=Decimal(2))]) == []
