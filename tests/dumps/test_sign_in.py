"""Signing in to the stack's database: whom it is checked to be, and where the password goes."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest
from lifeboat.clients.postgres import Postgres
from lifeboat.errors import Failed, LifeboatError, RoleMissing, Unreachable, WrongConfiguration
from lifeboat.model import Recovery, Secret
from lifeboat.stack import status_facts

from tests.conftest import free_port
from tests.dump_sites import PASSWORD, WAIT_SECONDS, DumpSite, real_programs


def postgres(site: DumpSite) -> Postgres:
    return site.site().postgres(site.recovery())


def authorities(site: DumpSite) -> Path:
    (found,) = site.cloud.directory.rglob("rds-ca.pem")
    return found


def strangers(folder: Path) -> Path:
    """Make the certificate of authorities that have signed nothing here."""
    other = folder / "other.pem"
    other.write_text(
        subprocess.check_output(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "1",
                "-subj",
                "/CN=other",
                "-keyout",
                "/dev/null",
            ],
            text=True,
            stderr=subprocess.DEVNULL,
        )
    )
    return other


def test_a_server_is_checked_by_the_authorities_that_are_named(site: DumpSite, tmp_path: Path) -> None:
    site.settings(f'[database]\nca_file = "{authorities(site)}"\n')

    with postgres(site).connection(application="test") as connection:
        used = connection.execute("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
    assert used == (True, "TLSv1.3")
    with postgres(site).program_env() as env:
        assert env["PGSSLMODE"] == "verify-full"
        done = subprocess.run([real_programs() / "psql", "-Atc", "SELECT 1"], env=env, capture_output=True, check=True)
    assert done.stdout == b"1\n"

    site.settings(f'[database]\nca_file = "{strangers(tmp_path)}"\n')
    with pytest.raises(LifeboatError, match="certificate verify failed"), postgres(site).connection(application="test"):
        pass


def test_a_restored_database_is_given_its_password_only_once_its_certificate_is_checked(
    site: DumpSite, tmp_path: Path
) -> None:
    site.settings(f'[database]\nca_file = "{authorities(site)}"\n')
    known = site.site().database_answers(site.recovery()).ready()
    site.settings(f'[database]\nca_file = "{strangers(tmp_path)}"\n')
    stranger = site.site().database_answers(site.recovery()).ready()

    assert known is None
    assert "certificate verify failed" in str(stranger)


def test_programs_get_the_password_in_a_file_that_goes_with_them(site: DumpSite) -> None:
    with postgres(site).program_env() as env:
        path = Path(env["PGPASSFILE"])
        modes = (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777)
        text = path.read_text()
    assert modes == (0o600, 0o700)
    assert text == "*:*:*:*:" + PASSWORD.replace("\\", "\\\\").replace(":", "\\:") + "\n"
    assert not path.parent.exists()
    assert PASSWORD not in str(env)


def test_a_program_that_signs_in_later_finds_the_password_of_then(site: DumpSite) -> None:
    passwords = ["first"]
    site.run("DROP ROLE IF EXISTS visitor", "CREATE ROLE visitor LOGIN PASSWORD 'first'")
    visitor = replace(postgres(site).address, user="visitor")
    asking = Postgres(address=visitor, password=lambda: Secret(passwords[-1]), renewed=0.05)
    with asking.program_env() as env:
        path = Path(env["PGPASSFILE"])
        site.run("ALTER ROLE visitor PASSWORD 'second'")
        passwords.append("second")
        deadline = time.monotonic() + WAIT_SECONDS
        while "second" not in path.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        mode = path.stat().st_mode & 0o777
        done = subprocess.run([real_programs() / "psql", "-Atc", "SELECT 1"], env=env, capture_output=True, check=False)
    site.run("DROP ROLE visitor")

    assert (done.stdout, done.stderr) == (b"1\n", b"")
    assert mode == 0o600
    assert not path.parent.exists()


def test_a_password_that_cannot_be_asked_for_again_stays_as_it_was(site: DumpSite) -> None:
    asked = Event()
    answers = iter([Secret("known")])

    def password() -> Secret:
        found = next(answers, None)
        if found is None:
            asked.set()
            raise Unreachable("no answer")
        return found

    with Postgres(address=postgres(site).address, password=password, renewed=0.01).program_env() as env:
        assert asked.wait(WAIT_SECONDS)
        text = Path(env["PGPASSFILE"]).read_text()

    assert text == "*:*:*:*:known\n"


def test_a_password_that_no_file_can_hold_is_refused(site: DumpSite) -> None:
    broken = Postgres(address=postgres(site).address, password=lambda: Secret("a\nb"))

    with pytest.raises(WrongConfiguration, match="has a line break in it"), broken.program_env():
        pass


def test_time_outs_of_the_role_do_not_count(site: DumpSite) -> None:
    site.run("ALTER ROLE app_admin SET statement_timeout = '1s'")
    try:
        with postgres(site).connection(application="test") as connection:
            found = [
                connection.execute(f"SHOW {name}").fetchone()
                for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
            ]
    finally:
        site.run("ALTER ROLE app_admin RESET statement_timeout")

    assert found == [("0",)] * 3


def test_what_the_server_refuses_is_told_in_our_words(site: DumpSite) -> None:
    with pytest.raises(RoleMissing, match="permission denied"), postgres(site).connection(application="test") as one:
        one.execute("SELECT * FROM pg_authid")
    with pytest.raises(Failed, match="division by zero"), postgres(site).connection(application="test") as one:
        one.execute("SELECT 1/0")
    nobody = Postgres(address=replace(postgres(site).address, port=1), password=lambda: Secret("x"))
    with pytest.raises(LifeboatError) as error, nobody.connection(application="test"):
        pass
    assert error.value.exit_status == 8


def test_iam_gives_a_token_for_the_role_and_the_server(site: DumpSite) -> None:
    site.settings('[database]\nsign_in = "iam"\n')

    with postgres(site).program_env() as env:
        text = Path(env["PGPASSFILE"]).read_text()

    address = postgres(site).address
    assert text.startswith(f"*:*:*:*:{address.host}\\:{address.port}/?Action=connect&DBUser=app_admin&")
    assert "X-Amz-Expires=900" in text


def test_another_database_of_the_server_is_reached_likewise(site: DumpSite) -> None:
    with postgres(site).of("second").connection(application="test") as connection:
        assert connection.execute("SELECT current_database(), n FROM public.one").fetchone() == ("second", 1)


def test_a_status_tells_a_database_that_its_secret_does_not_open_from_one_that_does_not_answer(site: DumpSite) -> None:
    now, recovery = datetime.now(UTC), site.recovery()
    text = json.dumps({"username": "app_admin", "password": "Canary-wrong"})
    secret = site.cloud.client("secretsmanager").create_secret(Name="another", SecretString=text)["ARN"]

    def having(**other: object) -> Recovery:
        return recovery.model_copy(update={"database": recovery.database.model_copy(update=other)})

    opened = status_facts.beat(site.site(), recovery, now)
    shut = status_facts.beat(site.site(), having(password_secret_arn=secret), now)

    assert (opened.refused, shut.refused, shut.at) == (False, True, None)
    assert 'password authentication failed for user "app_admin"' in shut.known_by
    assert "Canary" not in shut.known_by
    with pytest.raises(Unreachable, match="cannot use"):
        status_facts.beat(site.site(), having(port=free_port()), now)
