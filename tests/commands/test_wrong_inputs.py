"""Bad input gets one clear error and its exit status, before anything has changed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from lifeboat import config, views
from lifeboat.model import RunId
from lifeboat.site import Site
from lifeboat.stack import rehearsal

from tests.conftest import open_folder
from tests.rehearsal import Rehearsal, checkout, passed


@pytest.fixture(scope="module")
def fresh_checkout() -> Iterator[Rehearsal]:
    with open_folder() as folder:
        yield checkout(folder / "checkout")


@pytest.fixture
def fresh(fresh_checkout: Rehearsal) -> Iterator[Rehearsal]:
    """A checkout on which nothing was ever applied, and on which nothing must be afterwards."""
    shutil.copytree(fresh_checkout.root / "environments", fresh_checkout.root / "kept")
    yield fresh_checkout
    shutil.rmtree(fresh_checkout.root / "environments")
    (fresh_checkout.root / "kept").rename(fresh_checkout.root / "environments")
    states = list(fresh_checkout.root.glob(".lifeboat/local/*.tfstate*"))
    if (fresh_checkout.root / ".lifeboat" / "local" / "cloud").exists():
        fresh_checkout.lifeboat("local", "reset", "--yes")
    assert states == []


def refused(done: subprocess.CompletedProcess[str], status: int, *lines: str) -> None:
    """Assert the exit status, the words, one error only, and no traceback."""
    passed(done, status)
    for line in lines:
        assert line in done.stderr, done.stderr
    assert done.stderr.count("error:") == 1, done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_environment(fresh: Rehearsal) -> None:
    refused(
        fresh.ask("apply", "-e", "nowhere"),
        2,
        "there is no environment 'nowhere'; environments/ has: local, production, staging\n",
    )
    refused(fresh.ask("local", "saves", "-e", "prodution"), 2, "next: lifeboat local saves -e production\n")


def test_make_offers_no_name_that_cannot_be(fresh: Rehearsal) -> None:
    for name in ("my env", "Größe", "1st", "-x", "a.b", "a_b", "local env"):
        (fresh.root / "environments" / f"{name}.toml").write_text("")

    done = passed(fresh.run("make", "plan", "ENV=my"), 2)

    assert "ENV must be one of: local production staging.  Stop." in done.stderr


@pytest.mark.parametrize(
    "env",
    [
        "$(shell touch executed)",
        "local; touch executed",
        "`touch executed`",
        "$$(touch executed)",
        "'; touch executed; '",
        '"; touch executed; "',
        "loca%",
        "local staging",
        "",
        "../local",
        "nowhere",
    ],
)
@pytest.mark.parametrize("target", ["plan", "destroy"])
def test_make_refuses_an_env_that_is_not_one_and_executes_nothing(fresh: Rehearsal, env: str, target: str) -> None:
    by_argument = fresh.run("make", target, f"ENV={env}")
    by_environment = fresh.run("make", target, ENV=env) if env else by_argument

    for done in (by_argument, by_environment):
        passed(done, 2)
        assert "ENV must be one of: local production staging" in done.stderr
    assert not list(fresh.root.glob("**/executed"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("SCOPE=everything", "SCOPE must be instance, database or full"),
        ("SCOPE=database full", "SCOPE must be instance, database or full"),
        ("SCOPE=$(shell touch executed)", "SCOPE must be instance, database or full"),
        ("SCOPE=", "SCOPE must be instance, database or full"),
        ("TO=yesterday", "TO must be latest or a time in UTC: 2026-03-01T03:11:00Z"),
        ("TO=2026-03-01T03:11:00", "TO must be latest or a time in UTC: 2026-03-01T03:11:00Z"),
        ("TO=2026-03-01T03:11:00Z;touch executed", "TO must be latest or a time in UTC: 2026-03-01T03:11:00Z"),
        ("TO=`touch executed`", "TO must be latest or a time in UTC: 2026-03-01T03:11:00Z"),
        ("TO=$(shell touch executed)", "TO must be latest or a time in UTC: 2026-03-01T03:11:00Z"),
    ],
)
def test_make_refuses_what_is_to_be_brought_back_when_it_is_nothing_and_executes_nothing(
    fresh: Rehearsal, given: str, words: str
) -> None:
    done = passed(fresh.run("make", "recover", given), 2)

    assert words in done.stderr
    assert not list(fresh.root.glob("**/executed"))


def test_every_mistake_in_the_toml_at_once(fresh: Rehearsal) -> None:
    fresh.edit("environments/local.toml", r"^account_id.*$", 'account_id = "12"')
    fresh.edit("environments/local.toml", r"^dr_region.*$", 'dr_region = "Frankfurt"')
    fresh.edit("environments/local.toml", r"^lock_table", "lock_tabel")

    refused(
        fresh.ask("apply"),
        2,
        "4 mistakes",
        "application.account_id",
        "application.dr_region",
        "state.lock_table",
        "state.lock_tabel",
    )


def test_a_retention_that_cannot_meet_the_rpo(fresh: Rehearsal) -> None:
    fresh.edit("environments/local.tfvars", r"retention_days\s*=\s*\d+", "retention_days = 3")

    refused(fresh.lifeboat("apply"), 2, "retention_days", "next: edit environments/local.tfvars, then run")


def test_an_input_that_no_variable_takes(fresh: Rehearsal) -> None:
    fresh.edit("environments/local.tfvars", r"\Z", "\nretention_day = 21\n")

    refused(fresh.lifeboat("plan", "--offline"), 2, "retention_day")


def test_inputs_that_terraform_cannot_read(fresh: Rehearsal) -> None:
    fresh.edit("environments/staging.tfvars", r"\Z", "\nfoo = {\n")
    line = len((fresh.root / "environments" / "staging.tfvars").read_text().splitlines()) + 1

    done = fresh.lifeboat("plan", "-e", "staging", "--offline", TF_LOG="error", TF_LOG_PATH=str(fresh.root / "log"))

    assert not (fresh.root / "log").exists()
    refused(
        done,
        2,
        "TF_LOG: what Terraform logs of an apply is in ",
        "not passed on to Terraform, whose log would hold secrets: TF_LOG_PATH\n",
        f"  environments/staging.tfvars:{line}: Missing expression: Expected the start of an expression",
        "next: edit environments/staging.tfvars, then run the same command again\n",
    )


def test_windows_that_overlap(fresh: Rehearsal) -> None:
    fresh.edit("environments/local.tfvars", r"backup_window\s*=.*", 'backup_window = "03:00-04:00"')
    fresh.edit("environments/local.tfvars", r"maintenance_window\s*=.*", 'maintenance_window = "sun:03:30-sun:04:30"')

    refused(fresh.lifeboat("plan", "--offline"), 2, "window")


def test_no_terraform(fresh: Rehearsal, tmp_path: Path) -> None:
    for name in ("lifeboat", "python"):
        (tmp_path / name).symlink_to(Path(fresh.root / ".venv" / "bin" / name).absolute())

    done = fresh.lifeboat("apply", PATH=str(tmp_path))

    refused(done, 2, "terraform: not on PATH; wanted: >= 1.11.0", "make setup TERRAFORM_DOWNLOAD=1")


def test_a_terraform_that_is_there_and_fails(fresh: Rehearsal, tmp_path: Path) -> None:
    shim = tmp_path / "terraform"
    shim.write_text("#!/bin/sh\necho 'tfenv: no version is set' >&2\nexit 1\n")
    shim.chmod(0o755)
    path = f"{tmp_path}:{fresh.env()['PATH']}"

    planned = fresh.lifeboat("plan", PATH=path)
    rows = json.loads(passed(fresh.lifeboat("doctor", "-o", "json", PATH=path), 2).stdout)

    words = f"{shim} ended with status 1: tfenv: no version is set"
    refused(planned, 2, f"terraform: {words}; wanted: >= 1.11.0", "next: terraform version must print a version")
    assert [row["found"] for row in rows if not row["good"]] == [words]


def test_no_place_for_temporary_files(fresh: Rehearsal, tmp_path: Path) -> None:
    missing = tmp_path / "not there"

    planned = fresh.lifeboat("plan", TMPDIR=str(missing))
    rows = json.loads(passed(fresh.lifeboat("doctor", "-o", "json", TMPDIR=str(missing)), 2).stdout)

    refused(
        planned,
        2,
        f"error: temporary folder: TMPDIR={missing} does not exist; wanted: a folder that can be written\n"
        f"  next: unset TMPDIR, or: mkdir -p '{missing}'\n",
    )
    assert [row["name"] for row in rows if row["fix"]] == ["temporary folder"]


def test_no_provider(fresh: Rehearsal) -> None:
    done = fresh.ask("apply", TF_PLUGIN_MIRROR=str(fresh.root))

    refused(done, 2, "there is no registry.terraform.io/hashicorp/aws in it", "unset TF_PLUGIN_MIRROR")


def test_a_port_that_is_taken(fresh: Rehearsal) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", fresh.port))
        taken.listen()

        done = fresh.lifeboat("apply")

    refused(done, 2, f"port {fresh.port} on 127.0.0.1, which the local cloud needs, is taken", "[endpoint] url")


def test_no_postgresql(fresh: Rehearsal, tmp_path: Path) -> None:
    done = fresh.lifeboat("apply", PG_BIN=str(tmp_path))

    refused(done, 2, "postgresql server: no initdb, postgres and pg_basebackup", "apt-get install postgresql")


def test_a_full_disk(fresh: Rehearsal) -> None:
    script = "mkdir -p .lifeboat && mount -t tmpfs -o size=64m none .lifeboat && exec lifeboat apply"

    done = fresh.run("unshare", "--mount", "--map-root-user", "sh", "-c", script)

    refused(done, 3, "MB free and 1074 MB are needed", "free some space")


def test_an_order_that_does_not_exist(fresh: Rehearsal) -> None:
    done = fresh.ask("aply")

    passed(done, 2)
    assert "No such command 'aply'" in done.stderr


def test_saves_that_do_not_exist_and_names_that_cannot_be(fresh: Rehearsal) -> None:
    refused(fresh.ask("local", "load", "x"), 8, "no local cloud answers on", "lifeboat local up")
    passed(fresh.lifeboat("local", "up"))
    refused(fresh.ask("local", "load", "x"), 6, "there is no save named x\n", "next: lifeboat local saves\n")
    assert passed(fresh.ask("local", "saves")).stdout == "there are no saves\n"
    refused(fresh.ask("local", "save", "../x"), 2, "cannot name a save", "next: lifeboat local save before-the-")
    refused(fresh.ask("local", "tick", "weekly"), 2, "no schedule named", "next: lifeboat local tick daily\n")
    refused(fresh.ask("local", "break", "foo"), 2, "no disaster named", "next: lifeboat local break instance\n")


def test_an_environment_without_a_local_cloud(fresh: Rehearsal) -> None:
    refused(fresh.ask("local", "saves", "-e", "staging"), 2, "has no [local_cloud]", "next: lifeboat local up -e local")


def test_only_the_logs_of_what_runs_are_printed(fresh: Rehearsal) -> None:
    cloud = fresh.root / ".lifeboat" / "local" / "cloud"
    for name in ("logs/localcloud.log", "live/hosts/i-1/root/var/log/app.log", "live/snapshots/snap-1/var/log/app.log"):
        (cloud / name).parent.mkdir(parents=True)
        (cloud / name).write_text("one\ntwo\nthree\n")

    done = passed(fresh.ask("local", "logs", "-n", "2"))

    assert done.stdout.splitlines() == [
        *("==> live/hosts/i-1/root/var/log/app.log <==", "two", "three"),
        *("==> logs/localcloud.log <==", "two", "three"),
    ]


def test_a_local_cloud_whose_state_is_damaged_is_said_to_be_empty(fresh: Rehearsal) -> None:
    passed(fresh.lifeboat("local", "up"))
    passed(fresh.lifeboat("local", "save", "before"))
    passed(fresh.lifeboat("local", "down"))
    state = fresh.root / ".lifeboat" / "local" / "cloud" / "live" / "cloud.state"
    state.write_bytes(state.read_bytes()[:100])

    started = fresh.lifeboat("local", "up")
    again = fresh.lifeboat("local", "up")

    refused(
        started,
        11,
        "error: the local cloud runs, but it is EMPTY: the state that it was stopped with is damaged (",
        "next: lifeboat local saves -e local lists what lifeboat local load NAME -e local goes back to;",
    )
    passed(again)
    assert passed(fresh.lifeboat("local", "saves")).stdout == "before\n"
    passed(fresh.lifeboat("local", "load", "before"))


def test_an_apply_goes_on_from_a_damaged_state_with_a_warning(
    fresh: Rehearsal, capsys: pytest.CaptureFixture[str]
) -> None:
    state = fresh.root / ".lifeboat" / "local" / "cloud" / "live" / "cloud.state"
    state.parent.mkdir(parents=True)
    state.write_bytes(b"damaged")
    site = Site(config.load(fresh.root, "local"), fresh.env())

    rehearsal.start(site, views.Teller(), but=RunId("this"))

    cloud = site.local_cloud()
    assert cloud is not None
    cloud.down()  # a child of this process: who else ends it waits for us to take note
    told = capsys.readouterr().err
    assert "the local cloud runs, but it is EMPTY" in told
    assert "lifeboat local saves -e local lists what" in told


def test_production_is_not_destroyed(fresh: Rehearsal) -> None:
    refused(fresh.ask("destroy", "-e", "production", "--yes"), 3, "production is not disposable")


def test_an_account_that_is_not_there_is_planned_offline_and_says_so(fresh: Rehearsal) -> None:
    dummy = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "dummy"}

    done = passed(fresh.lifeboat("plan", "-e", "production", **dummy))

    assert "OFFLINE: production is planned against an empty state" in done.stderr
    assert "to add" in done.stdout


def test_without_any_credentials_aws_is_unreachable_not_empty(fresh: Rehearsal) -> None:
    done = fresh.ask("plan", "-e", "staging", AWS_EC2_METADATA_DISABLED="true", HOME=str(fresh.root))

    refused(done, 8, "cannot ask AWS who we are")


def test_the_help_teaches_and_lists_the_exit_statuses(fresh: Rehearsal) -> None:
    done = passed(fresh.lifeboat("--help"))

    for word in ("apply", "plan", "destroy", "doctor", "local", "20: changes pending", "5: locked by somebody else"):
        assert word in done.stdout


def test_what_to_type_next_is_for_the_environment_that_was_asked_for(fresh: Rehearsal) -> None:
    for suffix in ("toml", "tfvars"):
        shutil.copy(fresh.root / "environments" / f"local.{suffix}", fresh.root / "environments" / f"second.{suffix}")

    second = fresh.ask("local", "load", "anything", "-e", "second")
    default = fresh.ask("local", "load", "anything")
    # In this shell a command without a name is for the other one.
    named = fresh.ask("local", "load", "anything", "-e", "local", ENV="second")

    assert "next: lifeboat local up -e second" in passed(second, 8).stderr
    assert "next: lifeboat local up\n" in passed(default, 8).stderr
    assert "next: lifeboat local up -e local" in passed(named, 8).stderr


def test_two_environments_that_describe_one_application_are_told_before_either_is_made(fresh: Rehearsal) -> None:
    for suffix in ("toml", "tfvars"):
        shutil.copy(fresh.root / "environments" / f"local.{suffix}", fresh.root / "environments" / f"second.{suffix}")

    done = fresh.lifeboat("apply")

    refused(done, 2, "environments/local.toml and environments/second.toml describe one application in one account")
    assert "give one of them a name of its own" in done.stderr


def test_a_local_cloud_that_is_not_up_is_named_not_the_credentials(fresh: Rehearsal) -> None:
    for command in (["recover", "--preview"], ["resume"], ["ami", "latest"], ["app", "restart"]):
        done = fresh.ask(*command)
        refused(
            done, 8, "Could not connect", "next: lifeboat local up, or lifeboat apply where nothing was applied yet;"
        )


def test_what_takes_something_away_starts_no_empty_local_cloud(fresh: Rehearsal) -> None:
    retired = fresh.ask("retire", "g1", "--yes")
    expired = fresh.ask("retention", "apply", "--yes")

    refused(retired, 8, "the local cloud of local does not run, so there is nothing to retire", "lifeboat local up")
    refused(expired, 8, "Could not connect", "lifeboat local up")
    assert not (fresh.root / ".lifeboat" / "local" / "cloud").exists()
