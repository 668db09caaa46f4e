"""The roles of a cluster, as pg_dumpall writes them."""

from __future__ import annotations

from lifeboat.decisions import role_names

WRITTEN = """\
--
-- Roles
--
CREATE ROLE app_reader;
ALTER ROLE app_reader WITH NOSUPERUSER INHERIT NOLOGIN;
CREATE ROLE "Größe ""x""; DROP";
CREATE ROLE app_reader;
CREATE ROLE pg_of_the_server;
COMMENT ON ROLE app_reader IS 'CREATE ROLE in_a_comment;';
CREATE ROLE two words;
GRANT app_reader TO "Größe ""x""; DROP";
"""


def test_each_role_is_named_once_and_none_of_the_servers_own() -> None:
    assert role_names.named(WRITTEN) == ["app_reader", 'Größe "x"; DROP']


def test_where_no_role_is_made_there_is_none() -> None:
    assert role_names.named("--\n-- nothing\n--\n") == []
