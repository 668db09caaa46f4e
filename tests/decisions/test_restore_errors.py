"""What an error of pg_restore means, and that no row of the database is in the message."""

from __future__ import annotations

import pytest
from lifeboat.decisions.restore_errors import Explained, explained, fault_here

_ENTRY = "pg_restore: from TOC entry 2; 3079 16385 EXTENSION aws_s3 \n"


_QUERY = "pg_restore: error: could not execute query: ERROR:  "


@pytest.mark.parametrize(
    ("printed", "hint", "damaged"),
    [
        ("pg_restore: error: unsupported version (1.16) in file header", "the archive is of format 1.16, newer", False),
        (
            _ENTRY
            + 'pg_restore: error: could not execute query: ERROR:  permission denied to create extension "aws_s3"',
            'let a role that may do so create it first in the empty database: CREATE EXTENSION "aws_s3"',
            False,
        ),
        (
            _QUERY + 'role "crew" does not exist',
            'create it first (CREATE ROLE "crew")',
            False,
        ),
        ("pg_restore: error: could not read from input file: end of file", "the archive is damaged", True),
        ("pg_restore: error: did not find magic string in file header", "the archive is damaged", True),
        (
            "pg_restore: error: found unexpected block ID (3) when reading data -- expected 7",
            "the archive is damaged",
            True,
        ),
        (
            'pg_restore: error: COPY failed for table "t": ERROR:  could not extend file "base/1/2": No space left on device',
            "the server's disk is full",
            False,
        ),
        (
            _QUERY + "canceling statement due to lock timeout",
            "lock timeout: lift it",
            False,
        ),
        (_QUERY + "something new", "", False),
    ],
)
def test_a_known_error_says_what_to_do(printed: str, hint: str, damaged: bool) -> None:
    found = explained(printed)

    assert found.hint.startswith(hint)
    assert bool(found.hint) == bool(hint)
    assert found.damaged is damaged


def test_rows_and_statements_are_left_out_and_so_is_what_moves_a_terminal() -> None:
    printed = (
        'pg_restore: error: COPY failed for table "t": ERROR:  duplicate key value violates unique constraint "t_pkey"\n'
        "DETAIL:  Key (mail)=(someone@example.org) already exists.\n"
        "CONTEXT:  COPY t, line 3\n"
        "Command was: INSERT INTO t VALUES ('secret');\n"
        "pg_restore: error: \x1b[31mred\n"
    )

    assert explained(printed) == Explained(
        summary='COPY failed for table "t": ERROR:  duplicate key value violates unique constraint "t_pkey"\n [31mred'
    )


def test_plain_sql_is_not_answered_with_advice_to_run_it() -> None:
    found = explained("pg_restore: error: input file appears to be a text format dump. Please use psql.")

    assert found == Explained(summary="it is plain SQL, no archive; lifeboat restores none", damaged=True)


def test_silence_is_said() -> None:
    assert explained("\n") == Explained(summary="it said nothing")


@pytest.mark.parametrize(
    ("status", "printed", "fault"),
    [
        (-9, "", "it was ended by signal 9"),
        (126, "prlimit: failed to execute /opt/closed/pg_restore: Permission denied\n", "prlimit: failed to execute"),
        (1, "setpriv: setresuid failed: Operation not permitted", "setpriv: setresuid failed"),
        (127, "", "it could not be started"),
        (1, _QUERY + "could not extend file: No space left on device", "pg_restore: error: "),
        (1, "pg_restore: error: server closed the connection unexpectedly", "pg_restore: error: server closed"),
        (1, _QUERY + "must be superuser to COPY", None),
        (1, "pg_restore: error: could not read from input file: end of file", None),
        (1, "pg_restore: error: out of memory", None),
        (1, "Command was: SELECT 1;" + " " * 60_000, None),
    ],
)
def test_a_fault_of_this_machine_is_told_from_one_of_the_archive(status: int, printed: str, fault: str | None) -> None:
    found = fault_here(status, printed)

    assert (found is None) == (fault is None)
    assert found is None or found.startswith(fault or "")
