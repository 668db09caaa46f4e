"""`lifeboat dns show|switch|revert` on an applied stack: the name really moves, is proven, and comes back."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dns.resolver
import pytest

from tests.database_recoveries import wait_until_it_answers
from tests.rehearsal import Rehearsal, passed

RECORD = "module.app_instance.aws_route53_record.app[0]"
NAME = "app.lifeboat.test"


@pytest.fixture(autouse=True)
def nothing_saved_here(saved: Rehearsal) -> None:
    """Forget what an earlier test left on this machine; loading a save forgets what it left in the cloud."""
    shutil.rmtree(saved.root / ".lifeboat/local/dns", ignore_errors=True)


def shown(stack: Rehearsal) -> Any:
    asked = stack.ask("dns", "show", "-o", "json")
    found = json.loads(asked.stdout)
    passed(asked, 11 if found["findings"] else 0)
    return found


def settings(stack: Rehearsal) -> Any:
    return tomllib.loads((stack.root / "environments/local.toml").read_text())


def lookup(stack: Rehearsal, name: str = NAME) -> list[str]:
    """Ask the cloud's name server as any client does."""
    address, _, port = str(settings(stack)["dns"]["resolver"]).rpartition(":")
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [address], int(port)
    return sorted(rdata.to_text() for rdata in resolver.resolve(name, "A", lifetime=5))


def saved_in_bucket(stack: Rehearsal) -> list[str]:
    bucket = settings(stack)["state"]["bucket"]
    found = stack.client("s3").list_objects_v2(Bucket=bucket, Prefix="runs/dns/")
    return [entry["Key"] for entry in found.get("Contents", [])]


# -- looking -----------------------------------------------------------------------------------------------------------


def test_an_applied_name_leads_to_the_instance_and_everybody_agrees(saved: Rehearsal) -> None:
    wait_until_it_answers(saved)
    found = shown(saved)
    table = passed(saved.lifeboat("dns", "show")).stdout

    address = found["terraform"]["record"]["values"]
    assert found["findings"] == []
    assert found["name"] == NAME
    assert found["terraform"]["address"] == RECORD
    assert found["records"] == [found["terraform"]["record"]]
    assert found["public"]["addresses"] == address == lookup(saved)
    assert [health["instance_id"] for health in found["public"]["healths"]] == [found["instance_id"]]
    assert found["last_switch"] is None
    for fact in (NAME, address[0], RECORD, found["instance_id"], "ns-2048.awsdns-64.com"):
        assert fact in table


def test_the_shell_is_told_the_url_by_name_and_the_name_server(saved: Rehearsal) -> None:
    env = saved.exported()

    assert env["NAME_SERVER"] == settings(saved)["dns"]["resolver"]
    assert env["APP_NAME_URL"] == f"http://{NAME}:8080"
    assert lookup(saved) == [env["APP_URL"].removeprefix("http://").removesuffix(":8080")]


# -- refused, nothing changed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["::1", "app.example.org", "0.0.0.0", "224.0.0.1", "10.0.0.256", ""])  # noqa: S104
def test_what_is_no_address_of_a_host_is_a_wrong_input(saved: Rehearsal, to: str) -> None:
    done = passed(saved.ask("dns", "switch", "--to", to, "--yes"), 2)

    assert f"--to {to} is no" in done.stderr


def test_a_switch_that_terraform_would_undo_is_refused_and_saves_nothing(saved: Rehearsal) -> None:
    before = lookup(saved)

    done = passed(saved.ask("dns", "switch", "--to", "127.9.9.9", "--yes"), 3)

    assert f"Terraform keeps this record ({RECORD}) as A {before[0]} (TTL 60 s)" in done.stderr
    assert "the application is not well at 127.9.9.9" in done.stderr
    assert "add --until-apply --unanswered" in done.stderr
    assert lookup(saved) == before
    assert saved_in_bucket(saved) == []
    assert not (saved.root / ".lifeboat/local/dns").exists()


def test_a_switch_that_nobody_agrees_to_shows_what_it_would_do(saved: Rehearsal) -> None:
    before = lookup(saved)

    done = passed(saved.ask("dns", "switch", "--to", "127.9.9.9", "--until-apply", "--unanswered"), 7)

    assert f"from A {before[0]} (TTL 60 s)" in done.stderr
    assert "to   A 127.9.9.9 (TTL 60 s)" in done.stderr
    assert "clients keep the old answer for up to 60 s" in done.stderr
    assert lookup(saved) == before


def test_a_preview_shows_everything_and_changes_nothing(saved: Rehearsal) -> None:
    before = lookup(saved)

    done = passed(saved.ask("dns", "switch", "--to", "127.9.9.9", "--preview", "-o", "json"))

    document = json.loads(done.stdout)
    assert (document["needed"], document["changed"], document["lag_seconds"]) == (True, False, 60)
    assert (document["before"]["values"], document["after"]["values"]) == (before, ["127.9.9.9"])
    assert [need["option"] for need in document["needs"]] == ["--until-apply", "--unanswered"]
    assert lookup(saved) == before
    assert saved_in_bucket(saved) == []


def test_a_switch_to_where_the_name_leads_already_changes_nothing(saved: Rehearsal) -> None:
    done = passed(saved.ask("dns", "switch", "--to", lookup(saved)[0]))

    assert f"{NAME} is already A {lookup(saved)[0]} (TTL 60 s)" in done.stdout
    assert f"{NAME} answers: {lookup(saved)[0]}: HTTP 200 from i-" in done.stdout
    assert saved_in_bucket(saved) == []


def test_without_a_switch_there_is_nothing_to_revert(saved: Rehearsal) -> None:
    done = passed(saved.ask("dns", "revert", "--yes"), 6)

    assert f"no switch of {NAME} is saved" in done.stderr


@contextmanager
def held(stack: Rehearsal) -> Iterator[None]:
    descriptor = os.open(stack.root / ".lifeboat/local/lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    # Who holds it is read from here: it must be a process that lives.
    holder = stack.root / ".lifeboat/local/holder.json"
    before = json.loads(holder.read_text())
    holder.write_text(json.dumps({**before, "pid": os.getpid(), "since": "2099-01-01T00:00:00+00:00"}))
    yield
    holder.write_text(json.dumps(before))
    os.close(descriptor)


def test_while_somebody_else_changes_the_environment_the_name_stays(saved: Rehearsal) -> None:
    with held(saved):
        passed(saved.lifeboat("dns", "switch", "--to", "127.9.9.9", "--yes"), 5)
        passed(saved.lifeboat("dns", "revert", "--yes"), 5)

    assert saved_in_bucket(saved) == []


def test_an_application_that_is_not_well_through_its_name_is_found(stack: Rehearsal) -> None:
    stack.edit("environments/local.toml", r"^disposable.*$", 'disposable = true\nhealth_path = "/no-such-page"')

    findings = shown(stack)["findings"]

    assert f"{NAME} at {lookup(stack)[0]} is not well: HTTP 404" in "\n".join(findings)
