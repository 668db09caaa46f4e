"""Fingerprints of a database's schema: SQL that gives the same text for the same definitions before and after a restore.

Compared are schemas, tables, columns, types, sequences, partitions and inheritance, constraints, indexes, functions,
triggers, views and rules, and row security. Not compared are owners, rights, comments, and what only superusers make.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lifeboat.decisions.fingerprints import summed

# PostgreSQL does not write an expression again as it reads it: x IN ('a', 'b') over varchar becomes, read and written once
# more, an array with its casts elsewhere. So casts, parentheses and white space do not count in what it writes itself.
_NAME = '("([^"]|"")+"|[a-z_][a-z0-9_$]*)'
_CAST = (
    rf"::{_NAME}(\.{_NAME})?( varying| precision)?(\([0-9, ]+\))?( with time zone| without time zone)?(\[\])*"  # a type
)
_PLAIN = re.compile(r"plain\(((?:[^()]|\([^()]*\))*)\)")
_OWN = re.compile(r"own\(((?:[^()]|\([^()]*\))*)\)")
_CLASSES = "pg_class AS o JOIN pg_namespace AS n ON n.oid = o.relnamespace"

# `own(owner)`: o, in the schema n, is neither the system's, nor an extension's, nor AWS's. What is made of another thing
# together with it, a partition's part of a constraint say, bears names that no dump keeps, and is left out.
_ROWS: Mapping[str, str] = {
    "schemas": """
        SELECT ROW(n.nspname) FROM pg_namespace AS n JOIN pg_namespace AS o ON o.oid = n.oid
        WHERE n.nspname <> 'public' AND own(o.nspowner)""",
    "tables": """
        SELECT ROW(n.nspname, o.relname, o.relkind, o.relpersistence, o.relreplident, plain(pg_get_partkeydef(o.oid)),
                   (SELECT array_agg(option ORDER BY option) FROM unnest(o.reloptions) AS option))
        FROM classes WHERE o.relkind IN ('r', 'p', 'f') AND own(o.relowner)""",
    "columns": """
        SELECT ROW(n.nspname, o.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
                   a.attgenerated, plain(pg_get_expr(e.adbin, e.adrelid)),
                   (SELECT collname FROM pg_collation AS c WHERE c.oid = a.attcollation))
        FROM classes JOIN pg_attribute AS a ON a.attrelid = o.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_attrdef AS e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
        WHERE o.relkind IN ('r', 'p', 'f', 'v', 'm', 'c') AND own(o.relowner)
          AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_type'::regclass AND d.objid = o.reltype
                          AND d.deptype = 'e')""",
    "types": """
        SELECT ROW(n.nspname, o.typname, o.typtype, format_type(o.typbasetype, o.typtypmod), o.typnotnull,
                   plain(o.typdefault),
                   (SELECT array_agg(enumlabel ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = o.oid),
                   (SELECT format_type(rngsubtype, NULL) FROM pg_range WHERE rngtypid = o.oid))
        FROM pg_type AS o JOIN pg_namespace AS n ON n.oid = o.typnamespace
        WHERE o.typtype IN ('e', 'd', 'r') AND own(o.typowner)""",
    "sequences": """
        SELECT ROW(n.nspname, o.relname, format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmax, s.seqmin,
                   s.seqcache, s.seqcycle)
        FROM classes JOIN pg_sequence AS s ON s.seqrelid = o.oid WHERE own(o.relowner)""",
    "partitions and children": """
        SELECT ROW(i.inhparent::regclass, i.inhrelid::regclass, plain(pg_get_expr(o.relpartbound, o.oid)))
        FROM classes JOIN pg_inherits AS i ON i.inhrelid = o.oid WHERE o.relkind IN ('r', 'p', 'f') AND own(o.relowner)""",
    "constraints": """
        SELECT ROW(n.nspname, o.conname, o.conrelid::regclass, o.contypid::regtype, o.contype, o.convalidated,
                   plain(pg_get_constraintdef(o.oid)))
        FROM pg_constraint AS o JOIN pg_namespace AS n ON n.oid = o.connamespace
        LEFT JOIN pg_class AS t ON t.oid = o.conrelid LEFT JOIN pg_type AS y ON y.oid = o.contypid
        WHERE o.conparentid = 0 AND o.conislocal AND own(coalesce(t.relowner, y.typowner))
          AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.deptype = 'e' AND (
                (d.classid = 'pg_class'::regclass AND d.objid = o.conrelid)
             OR (d.classid = 'pg_type'::regclass AND d.objid = o.contypid)))""",
    "indexes": """
        SELECT ROW(plain(pg_get_indexdef(i.indexrelid)), i.indisunique, i.indisprimary, i.indisexclusion, i.indisreplident)
        FROM classes JOIN pg_index AS i ON i.indrelid = o.oid WHERE i.indisvalid AND own(o.relowner)""",
    "functions": """
        SELECT ROW(n.nspname, o.proname, o.prokind, pg_get_function_identity_arguments(o.oid),
                   pg_get_function_result(o.oid), o.prosrc, a.aggtransfn::regproc, a.aggfinalfn::regproc, a.agginitval,
                   CASE WHEN o.prokind <> 'a' THEN plain(pg_get_functiondef(o.oid)) END)
        FROM pg_proc AS o JOIN pg_namespace AS n ON n.oid = o.pronamespace LEFT JOIN pg_aggregate AS a ON a.aggfnoid = o.oid
        WHERE own(o.proowner) AND NOT EXISTS (  -- the constructors of ranges, which are the server's own
            SELECT FROM pg_depend AS d WHERE d.classid = o.tableoid AND d.objid = o.oid AND d.deptype = 'i')""",
    "triggers": """
        SELECT ROW(plain(pg_get_triggerdef(t.oid)), t.tgenabled)
        FROM classes JOIN pg_trigger AS t ON t.tgrelid = o.oid
        WHERE NOT t.tgisinternal AND coalesce(to_jsonb(t) ->> 'tgparentid', '0') = '0' AND own(o.relowner)""",
    "views and rules": """
        SELECT ROW(n.nspname, o.relname, o.relkind, r.rulename, r.ev_enabled, plain(pg_get_ruledef(r.oid)),
                   (SELECT array_agg(option ORDER BY option) FROM unnest(o.reloptions) AS option))
        FROM classes JOIN pg_rewrite AS r ON r.ev_class = o.oid WHERE own(o.relowner)""",
    "rules of row security": """
        SELECT ROW(n.nspname, o.relname, o.relrowsecurity, o.relforcerowsecurity, p.polname, p.polcmd, p.polpermissive,
                   (SELECT array_agg(rolname ORDER BY rolname) FROM pg_roles WHERE pg_roles.oid = ANY (p.polroles)),
                   plain(pg_get_expr(p.polqual, p.polrelid)), plain(pg_get_expr(p.polwithcheck, p.polrelid)))
        FROM classes LEFT JOIN pg_policy AS p ON p.polrelid = o.oid
        WHERE (o.relrowsecurity OR o.relforcerowsecurity OR p.oid IS NOT NULL) AND own(o.relowner)""",
}


def queries() -> dict[str, str]:
    """Return for each kind of thing the query of one row: their count and the fingerprint of their definitions.

    To be asked under fingerprints.SETTINGS.
    """
    return {kind: _counted(rows) for kind, rows in _ROWS.items()}


def _counted(rows: str) -> str:
    found = _OWN.sub(lambda part: _own(part[1]), _PLAIN.sub(lambda part: _plain(part[1]), rows))
    source = f"({found.replace('FROM classes', f'FROM {_CLASSES}')}) AS found (one)"
    return f"SELECT count(*), {summed('content')} FROM (SELECT one::text AS content FROM {source} OFFSET 0) AS rendered"  # noqa: S608  (nothing in it comes from outside)


def _plain(expression: str) -> str:
    return rf"regexp_replace(regexp_replace({expression}, '{_CAST}', '', 'g'), '[()\s]+', '', 'g')"


def _own(owner: str) -> str:
    extension = "SELECT FROM pg_depend AS d WHERE d.classid = o.tableoid AND d.objid = o.oid AND d.deptype = 'e'"
    system = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
    # What AWS's own role has on RDS is of the service, and no copy brings it.
    return f"{system} AND pg_get_userbyid({owner}) <> 'rdsadmin' AND NOT EXISTS ({extension})"
