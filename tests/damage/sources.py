"""The small database that the damaged dumps are made of."""

from __future__ import annotations

from lifeboat.database_model import TableName

from tests.damage.corpus import Sources
from tests.restores.servers import RdsServer, compressed, pg_dump, session, stock_dump

_SQL = """
CREATE TABLE public.few (id int PRIMARY KEY, body text NOT NULL);
CREATE TABLE public.rows (id bigserial PRIMARY KEY, body text, more jsonb);
CREATE INDEX ON public.rows (body);
CREATE TABLE public.refers (id int REFERENCES public.few);
CREATE FUNCTION public.doubled(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE VIEW public.shown AS SELECT id, public.doubled(id::int) FROM public.rows;
INSERT INTO public.few SELECT n, 'row-' || lpad((n * 7919 % 1000000)::text, 6, '0') FROM generate_series(1, 300) AS n;
INSERT INTO public.rows (body, more)
SELECT 'row-' || lpad((n * 104729 % 1000000)::text, 6, '0'), jsonb_build_object('n', n, 'text', md5(n::text))
FROM generate_series(1, 3000) AS n;
INSERT INTO public.refers SELECT n FROM generate_series(1, 100) AS n;
SELECT lo_from_bytea(0, decode(repeat(md5('x'), 500), 'hex'));
"""
_LATER = """
COMMENT ON TABLE public.few IS 'few';  -- else both have the same schema archive when they are made in one second
INSERT INTO public.few VALUES (1001, 'row-123456');
INSERT INTO public.rows (body) SELECT 'row-654321' FROM generate_series(1, 20);
"""
_CHANGE = """
UPDATE public.few SET body = 'row-999999' WHERE id = 7;
UPDATE public.rows SET body = 'row-999999' WHERE id = 7;
"""
_FEWER = """
DELETE FROM public.few WHERE id = 250;
DELETE FROM public.rows WHERE id = 250;
"""
_ROWS = TableName(schema="public", name="rows")


def sources(rds: RdsServer) -> Sources:
    """Make the databases on a server, and dump them."""
    source, other = rds.new_database("damaged"), rds.new_database("damaged_other")
    with session(other) as connection:
        connection.execute(_SQL.replace("7919", "7877").replace("104729", "104723").encode())
    with session(source) as connection:
        connection.execute(_SQL.encode())
        older = stock_dump(source, _ROWS)
        connection.execute(_LATER.encode())
        sound = stock_dump(source, _ROWS)
        plain = compressed(pg_dump(source))
        connection.execute(_CHANGE.encode())
        changed = stock_dump(source, _ROWS)
        connection.execute(_FEWER.encode())
        fewer = stock_dump(source, _ROWS)
    return Sources(sound=sound, older=older, other=stock_dump(other, _ROWS), changed=changed, fewer=fewer, plain=plain)
