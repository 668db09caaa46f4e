"""`lifeboat gitlab plan` and `sync` on a local GitLab: what is written, what is refused, and what a second run does."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from lifeboat.clients.gitlab_api import Patience
from lifeboat.clients.journal import Journal
from lifeboat.clients.waiting import WallClock
from lifeboat.decisions.variable_exports import Reach
from lifeboat.errors import (
    ApprovalMissing,
    Failed,
    GitLabUnreachable,
    IntegrityFailure,
    LifeboatError,
    Locked,
    Refused,
    RoleMissing,
    StoppedPartWay,
    Unreachable,
    WrongConfiguration,
)
from lifeboat.gitlab_model import Doing
from lifeboat.model import RecoveryRequest, RunId, Scope
from lifeboat.pipeline import copies, deploy, sync
from lifeboat.pipeline.sync import Prune, Way
from lifeboat.pipeline.writes import OnFailure
from lifeboat.runbooks import deployment
from lifeboat.runbooks.recovering import Recovering

from tests import step_runs
from tests.gitlab_sites import PASSWORD, VARIABLES, GitLabSite
from tests.plain_sites import Told

URL = "postgresql://app:Canary%2F%2B%22pass%26word@10.0.0.9:5432/app?sslmode=require"


def synced(lab: GitLabSite, way: Way | None = None) -> list[str]:
    """Sync and return what was written, in words."""
    done = sync.sync(lab.site(), lab.patience, lambda _: None, way or Way())
    return sync.lines(done.writes)


def plan_lines(lab: GitLabSite, prune: Prune = Prune.LEAVE) -> list[str]:
    return sync.lines(sync.preview(lab.site(), lab.patience, prune).changes)


def refused(kind: type[LifeboatError], call: Callable[[], Any]) -> LifeboatError:
    with pytest.raises(kind) as caught:
        call()
    assert caught.value.exit_status == kind.exit_status
    return caught.value


# -- what is written ---------------------------------------------------------------------------------------------------


def test_the_first_sync_writes_all_with_the_pointer_last_and_the_second_writes_nothing(lab: GitLabSite) -> None:
    with lab.traced() as first:
        written = synced(lab)
    with lab.traced() as second:
        again = synced(lab)

    assert written == [
        f"+ DATABASE_URL (x) (masked, {len(URL)} characters)",
        "+ APP_URL (x) (shown in logs, 20 characters)",
        "+ DB_PORT (x) (shown in logs, 4 characters)  -- not masked: it has fewer than 8 characters",
        "+ EC2_INSTANCE_IP (x) (shown in logs, 8 characters) [pointer, written last]",
    ]
    assert first == ["ListVariables", *["GetVariable", "CreateVariable"] * 4, "ListVariables"]
    assert (again, second) == ([], ["ListVariables"])
    found = lab.variables()
    assert {key: v["value"] for (key, _), v in found.items()} == {
        "DATABASE_URL": URL,
        "APP_URL": "http://10.0.0.7:8080",
        "DB_PORT": "5432",
        "EC2_INSTANCE_IP": "10.0.0.7",
    }
    assert [v["masked"] for v in found.values()] == [True, False, False, False]
    assert all(v["raw"] for v in found.values())
    assert found["APP_URL", "x"]["description"] == "Where the application answers managed-by: lifeboat/x"


def test_a_second_sync_asks_once_for_each_hundred_variables_and_writes_nothing(lab: GitLabSite) -> None:
    synced(lab)
    project = lab.place.project
    for number in range(200):
        project.variables.create({"key": f"OTHER_{number}", "value": "some-value"})

    with lab.traced() as names:
        written = synced(lab)

    assert (written, names) == ([], ["ListVariables"] * 3)


def test_a_new_address_is_one_write_of_one_attribute(lab: GitLabSite) -> None:
    synced(lab)
    before = lab.variables()
    lab.output(lambda r: r["app"].update(address="10.0.0.8"))

    with lab.traced() as names:
        written = synced(lab)

    assert written == ["~ EC2_INSTANCE_IP (x) (value) [pointer, written last]"]
    assert names == ["ListVariables", "GetVariable", "UpdateVariable", "ListVariables"]
    assert lab.variables() == before | {
        ("EC2_INSTANCE_IP", "x"): before["EC2_INSTANCE_IP", "x"] | {"value": "10.0.0.8"}
    }


def test_what_was_set_by_hand_and_is_not_stated_stays(lab: GitLabSite) -> None:
    synced(lab)
    lab.place.project.variables.update(
        "EC2_INSTANCE_IP",
        {"protected": True, "description": "Mine managed-by: lifeboat/x"},
        filter={"environment_scope": "x"},
    )
    lab.output(lambda r: r["app"].update(address="10.0.0.8"))

    synced(lab)

    found = lab.variables()["EC2_INSTANCE_IP", "x"]
    assert (found["value"], found["protected"], found["description"]) == (
        "10.0.0.8",
        True,
        "Mine managed-by: lifeboat/x",
    )


def test_a_variable_of_another_scope_is_not_moved(lab: GitLabSite) -> None:
    lab.place.create("EC2_INSTANCE_IP", "192.0.2.1", scope="staging")
    lab.place.create("APP_URL", "https://everywhere", scope="*")

    plan = sync.preview(lab.site(), lab.patience)
    synced(lab)

    assert plan.warnings == (
        "APP_URL (x): also in scope *; jobs of x get this one",
        "EC2_INSTANCE_IP (x): also in scope staging; jobs of x get this one",
    )
    assert (lab.value("EC2_INSTANCE_IP", "staging"), lab.value("EC2_INSTANCE_IP")) == ("192.0.2.1", "10.0.0.7")
    assert lab.value("APP_URL", "*") == "https://everywhere"


def test_a_mapping_may_name_files_secrets_scopes_and_types(lab: GitLabSite) -> None:
    (lab.root / "key").write_text("-----BEGIN KEY-----\nline two\n")
    (lab.root / "word").write_text("a-plain-word\n")
    secrets = lab.cloud.client("secretsmanager")
    secrets.create_secret(Name="whole", SecretString="whole-secret-text")
    lab.output(lambda r: r.update(extra={"arn": "app-x/password", "names": ["a", "b"], "big": True}))
    lab.write("""
[[gitlab.variables]]
key = "SSH_KEY"
file = "key"
type = "file"
[[gitlab.variables]]
key = "WORD"
file = "word"
protected = true
[[gitlab.variables]]
key = "WHOLE"
secret = "whole"
scope = "x/*"
raw = false
[[gitlab.variables]]
key = "PASSWORD"
secret = "output:extra.arn"
secret_key = "password"
[[gitlab.variables]]
key = "NAMES"
output = "extra.names"
masked = "never"
[[gitlab.variables]]
key = "BIG"
output = "extra.big"
masked = "never"
""")

    synced(lab)

    found = lab.variables()
    assert {
        name: (v["value"], v["variable_type"], v["masked"], v["protected"], v["raw"]) for name, v in found.items()
    } == {
        ("SSH_KEY", "x"): ("-----BEGIN KEY-----\nline two\n", "file", False, False, True),
        ("WORD", "x"): ("a-plain-word", "env_var", True, True, True),
        ("WHOLE", "x/*"): ("whole-secret-text", "env_var", True, False, False),
        ("PASSWORD", "x"): (PASSWORD, "env_var", True, False, True),
        ("NAMES", "x"): ('["a","b"]', "env_var", False, False, True),
        ("BIG", "x"): ("true", "env_var", False, False, True),
    }


# -- hidden ------------------------------------------------------------------------------------------------------------

HIDDEN = '[[gitlab.variables]]\nkey = "TOKEN"\nsecret = "app-x/password"\nhidden = true\n'


def test_a_hidden_variable_is_made_hidden_and_written_again_each_time(lab: GitLabSite) -> None:
    secret = lab.cloud.client("secretsmanager")
    secret.put_secret_value(SecretId="app-x/password", SecretString='{"username":"app","password":"x"}')
    lab.write(HIDDEN)

    first = synced(lab)
    plan = sync.preview(lab.site(), lab.patience)
    with lab.traced() as names:
        second = synced(lab)

    secret.put_secret_value(
        SecretId="app-x/password", SecretString=json.dumps({"username": "app", "password": PASSWORD})
    )
    assert first == ["+ TOKEN (x) (hidden, 33 characters)"]
    assert second == ["? TOKEN (x) (hidden, cannot be compared: value written again)"]
    assert names == ["ListVariables", "GetVariable", "UpdateVariable", "ListVariables"]
    assert (len(plan.writes), plan.differs) == (1, False)
    found = lab.variables()["TOKEN", "x"]
    assert (found["hidden"], found["masked"], found["value"]) == (True, True, None)


def test_an_older_gitlab_that_would_show_what_shall_be_hidden_keeps_nothing(lab: GitLabSite) -> None:
    lab.write('[[gitlab.variables]]\nkey = "IP"\noutput = "app.address"\nhidden = true\n')
    now = lab.local.turn()["settings"]["version"]
    lab.local.turn(settings={"version": "17.3.0-ee"})

    try:
        problem = refused(IntegrityFailure, lambda: synced(lab))
    finally:
        lab.local.turn(settings={"version": now})

    assert problem.summary.startswith(
        "GitLab made IP (x) otherwise than asked (it has another hidden); it was deleted again"
    )
    assert lab.variables() == {}


# -- prune -------------------------------------------------------------------------------------------------------------


def test_nothing_is_pruned_unless_asked_and_then_only_what_bears_the_marker(lab: GitLabSite) -> None:
    synced(lab)
    lab.place.create("BY_HAND", "some-value", scope="x")
    lab.place.create("OTHERS", "some-value", scope="x", description="managed-by: lifeboat/y")
    lab.write(VARIABLES.replace('key = "APP_URL"', 'key = "APPLICATION_URL"'))

    without = synced(lab)
    left = lab.variables()
    pruned = synced(lab, Way(prune=Prune.DELETE))

    assert [line.split(" (")[0] for line in without] == ["+ APPLICATION_URL"]
    assert ("APP_URL", "x") in left
    assert pruned == ["- APP_URL (x)  -- nothing asks for it any more"]
    assert {key for key, _ in lab.variables()} == {key for key, _ in left} - {"APP_URL"}


def test_a_prune_without_any_wish_is_refused(lab: GitLabSite) -> None:
    synced(lab)
    lab.write("")

    problem = refused(Refused, lambda: synced(lab, Way(prune=Prune.DELETE)))

    assert (
        problem.summary == "environments/x.toml asks for no variable, so a prune would delete all that lifeboat keeps"
    )
    assert len(lab.variables()) == 4


# -- refused before anything is written --------------------------------------------------------------------------------


def test_every_missing_or_unmaskable_value_is_told_at_once_and_nothing_is_written(lab: GitLabSite) -> None:
    secret = lab.cloud.client("secretsmanager")
    secret.create_secret(Name="blank", SecretString="two words of a secret")
    (lab.root / "empty").write_text("")
    lab.write("""
[[gitlab.variables]]
key = "ABSENT"
output = "app.addres"
[[gitlab.variables]]
key = "NULL"
output = "app.dns_name"
[[gitlab.variables]]
key = "UNMASKABLE"
secret = "blank"
[[gitlab.variables]]
key = "EMPTY"
file = "empty"
[[gitlab.variables]]
key = "NO_FILE"
file = "nowhere"
[[gitlab.variables]]
key = "SHORT"
output = "database.port"
masked = "require"
[[gitlab.variables]]
key = "GOOD"
output = "app.address"
""")

    with lab.traced() as names:
        problem = refused(WrongConfiguration, lambda: synced(lab))

    assert problem.summary.splitlines() == [
        "GitLab's variables of x cannot be written; nothing was:",
        "  ABSENT (x): the stack's output recovery has no app.addres",
        "  NULL (x): the stack's output recovery.app.dns_name is null",
        f"  NO_FILE (x): cannot read {lab.root}/nowhere: No such file or directory",
        "  UNMASKABLE (x): cannot be masked: it contains white space (blanks or line breaks); secret blank is secret."
        ' Write masked = "never" to have it shown in job logs',
        "  EMPTY (x): its value is empty",
        "  SHORT (x): cannot be masked: it has fewer than 8 characters; its entry says masked ="
        ' "require". Write masked = "never" to have it shown in job logs',
    ]
    assert names == ["ListVariables"]
    assert lab.variables() == {}


def test_an_output_that_terraform_calls_sensitive_must_be_maskable(lab: GitLabSite) -> None:
    body = lab.cloud.client("s3").get_object(Bucket=lab.site().stack_store().bucket, Key="stack.tfstate")["Body"]
    state = json.loads(body.read())
    state["outputs"]["recovery"]["sensitive"] = True
    lab.put_state(json.dumps(state).encode())

    problem = refused(WrongConfiguration, lambda: synced(lab))

    assert (
        "DB_PORT (x): cannot be masked: it has fewer than 8 characters; output database.port is secret"
        in problem.summary
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            b'{"version":4,"serial":1,"lineage":"l","outputs":{},"resources":[]}',
            "is not what this lifeboat understands",
        ),
        (b"not JSON", "is not what this lifeboat understands"),
    ],
)
def test_a_state_without_the_output_is_refused_before_gitlab_is_asked(lab: GitLabSite, body: bytes, words: str) -> None:
    lab.put_state(body)

    with lab.traced() as names:
        problem = refused(IntegrityFailure, lambda: synced(lab))

    assert words in problem.summary
    assert names == []


def test_no_state_at_all_is_refused_with_the_command_that_makes_one(lab: GitLabSite) -> None:
    lab.cloud.client("s3").delete_object(Bucket=lab.site().stack_store().bucket, Key="stack.tfstate")

    problem = refused(IntegrityFailure, lambda: synced(lab))

    assert problem.hint == "lifeboat apply -e x"


@pytest.mark.parametrize(
    ("who", "kind", "words"),
    [
        ("developer", RoleMissing, "the token may not; it takes the role Maintainer in demo/app"),
        ("outsider", WrongConfiguration, "the token's user sees no project demo/app on"),
    ],
)
def test_a_token_of_the_wrong_role_is_named_with_the_one_it_takes(
    lab: GitLabSite, who: str, kind: type[LifeboatError], words: str
) -> None:
    lab.write(settings=lab.token(who))

    problem = refused(kind, lambda: synced(lab))

    assert words in problem.summary
    assert problem.exit_status == 2
    assert lab.variables() == {}


def test_a_token_that_may_only_read_plans_and_is_refused_at_the_first_write(lab: GitLabSite) -> None:
    project = lab.local.project("owner")
    made = project.access_tokens.create(
        {
            "name": "reads",
            "scopes": ["read_api"],
            "access_level": 40,
            "expires_at": str(date.today() + timedelta(days=9)),
        }
    )
    lab.write(settings='token_env = "READS"')

    plan = sync.preview(lab.site(READS=made.token), lab.patience)
    problem = refused(RoleMissing, lambda: sync.run(lab.site(READS=made.token), plan, lab.patience))

    assert len(plan.writes) == 4
    assert problem.summary.startswith("cannot create the variable DATABASE_URL (x): the token lacks the scope api")
    assert lab.variables() == {}


def test_without_agreement_nothing_is_written(lab: GitLabSite) -> None:
    asked: list[str] = []

    def disagree(lines: Any) -> None:
        asked.extend(lines)
        raise ApprovalMissing("not agreed to")

    refused(ApprovalMissing, lambda: sync.sync(lab.site(), lab.patience, disagree, Way()))

    assert len(asked) == 4
    assert lab.variables() == {}


# -- others at the same time -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("meddle", "words"),
    [
        (
            lambda v: v.update("EC2_INSTANCE_IP", {"value": "192.0.2.9"}, filter={"environment_scope": "x"}),
            "it has another value",
        ),
        (lambda v: v.delete("EC2_INSTANCE_IP", filter={"environment_scope": "x"}), "it is not there"),
        (
            lambda v: v.update("EC2_INSTANCE_IP", {"protected": True}, filter={"environment_scope": "x"}),
            "it has another protected",
        ),
    ],
)
def test_what_somebody_else_changed_since_the_plan_is_not_overwritten(
    lab: GitLabSite, meddle: Callable[[Any], None], words: str
) -> None:
    synced(lab)
    lab.output(lambda r: r["app"].update(address="10.0.0.8", url="http://10.0.0.8:8080"))
    before = lab.variables()
    site = lab.site()
    plan = sync.preview(site, lab.patience)
    meddle(lab.place.project.variables)
    theirs = lab.variables()

    problem = refused(Refused, lambda: sync.run(site, plan, lab.patience))

    assert problem.summary.startswith(
        f"EC2_INSTANCE_IP (x) was changed by somebody else since the plan was made: {words}"
    )
    assert problem.summary.endswith("GitLab is as it was: what was written before is put back")
    assert lab.variables() == theirs
    assert lab.value("APP_URL") == before["APP_URL", "x"]["value"]


def test_what_somebody_else_made_since_the_plan_is_not_overwritten(lab: GitLabSite) -> None:
    site = lab.site()
    plan = sync.preview(site, lab.patience)
    lab.place.create("EC2_INSTANCE_IP", "192.0.2.9", scope="x")

    refused(Refused, lambda: sync.run(site, plan, lab.patience))

    assert {key: v["value"] for (key, _), v in lab.variables().items()} == {"EC2_INSTANCE_IP": "192.0.2.9"}


def test_of_two_syncs_on_one_machine_one_is_told_who_holds_the_environment(lab: GitLabSite) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def agree(_: Any) -> None:
        begun.set()
        go_on.wait(20)

    first = threading.Thread(target=lambda: sync.sync(lab.site(), lab.patience, agree, Way()))
    first.start()
    begun.wait(20)

    problem = refused(Locked, lambda: synced(lab))
    go_on.set()
    first.join()

    assert "gitlab sync" in problem.summary
    assert len(lab.variables()) == 4


def test_whoever_holds_the_environment_from_elsewhere_is_named_and_nothing_is_written(lab: GitLabSite) -> None:
    lab.place.create("KEY", "some-value", scope="x")
    copies.export(lab.site(), lab.patience)
    before, task = lab.variables(), deploy.deploy_task(lab.site(), deploy.Wanted())

    with lab.site().lease(RunId("20250301T000000Z-recover-1a2b3c")).held():
        problems = [
            refused(Locked, lambda: synced(lab)),
            refused(Locked, lambda: copies.restore(lab.site(), lab.patience, lambda _: None, ("latest", Reach.OWN))),
            refused(Locked, lambda: deploy.run(lab.site(), task, lab.patience)),
        ]

    assert all("run 20250301T000000Z-recover-1a2b3c" in problem.summary for problem in problems)
    assert lab.variables() == before


def test_an_output_that_changes_while_gitlab_is_asked_is_what_is_written(lab: GitLabSite) -> None:
    lab.fail("ListVariables", status=503, times=1)

    def changed(_: float) -> None:
        lab.output(lambda recovery: recovery["app"].update(address="10.0.0.8"))

    sync.sync(lab.site(), Patience(tell=lab.told.append, sleep=changed), lambda _: None, Way())

    assert lab.value("EC2_INSTANCE_IP") == "10.0.0.8"


# -- failures ----------------------------------------------------------------------------------------------------------


def test_a_failure_puts_back_what_was_written_before_it(lab: GitLabSite) -> None:
    synced(lab)
    before = lab.variables()
    lab.output(lambda r: r["app"].update(address="10.0.0.8", url="http://10.0.0.8:8080"))
    lab.fail("UpdateVariable", first=2, times=3, status=502)

    problem = refused(Unreachable, lambda: synced(lab))

    assert problem.summary == (
        "cannot change the variable EC2_INSTANCE_IP (x): GitLab answers 502\n"
        "  GitLab is as it was: what was written before is put back\n"
        "  the last request, for EC2_INSTANCE_IP (x), may still be carried out: look again later"
    )
    assert lab.variables() == before


def test_what_somebody_else_changed_meanwhile_is_not_put_back_over_them(lab: GitLabSite) -> None:
    synced(lab)
    lab.output(lambda r: r["app"].update(address="10.0.0.8", url="http://10.0.0.8:8080"))
    lab.fail("UpdateVariable", first=3, times=9, status=502)

    def meddle(text: str) -> None:
        if text.endswith("update APP_URL (x)"):  # the second update, which the third must not take back
            lab.place.project.variables.update("APP_URL", {"value": "theirs"}, filter={"environment_scope": "x"})

    patience = Patience(tell=meddle, sleep=lab.slept.append)
    problem = refused(GitLabUnreachable, lambda: sync.sync(lab.site(), patience, lambda _: None, Way()))

    assert problem.exit_status == 8
    assert problem.summary.splitlines()[-1] == "  NOT put back: APP_URL (x): somebody else has changed it since"
    assert (lab.value("APP_URL"), lab.value("EC2_INSTANCE_IP")) == ("theirs", "10.0.0.7")


def test_with_no_undo_what_was_written_stays_and_is_named(lab: GitLabSite) -> None:
    lab.fail("CreateVariable", first=3, times=9, status=502)

    problem = refused(StoppedPartWay, lambda: synced(lab, Way(on_failure=OnFailure.LEAVE)))
    lab.cloud.control("faults", clear=True)
    left = set(lab.variables())
    again = synced(lab)

    assert (
        problem.summary.splitlines()[-1] == "  written before, and left so: DATABASE_URL (x), APP_URL (x), DB_PORT (x)"
    )
    assert left == {("DATABASE_URL", "x"), ("APP_URL", "x")}
    assert [line.split(" (")[0] for line in again] == ["+ DB_PORT", "+ EC2_INSTANCE_IP"]


def test_a_gitlab_that_limits_requests_is_waited_for_and_told(lab: GitLabSite) -> None:
    lab.fail("CreateVariable", first=2, times=2, status=429)

    synced(lab)

    assert len(lab.variables()) == 4
    assert lab.slept == [1.0, 1.0]
    assert "GitLab answers 429; trying again in 1.0 s (1 of 3)" in lab.told


def test_a_value_that_nobody_can_put_back_is_named(lab: GitLabSite) -> None:
    lab.place.create("EC2_INSTANCE_IP", "hidden-before", scope="x", masked_and_hidden=True)
    lab.place.create("LAST", "old-value", scope="x")
    lab.write(
        '[[gitlab.variables]]\nkey = "EC2_INSTANCE_IP"\noutput = "app.address"\n'
        '[[gitlab.variables]]\nkey = "LAST"\noutput = "app.url"\nmasked = "never"\npointer = true\n'
    )
    lab.fail("UpdateVariable", first=2, times=3, status=503)

    problem = refused(GitLabUnreachable, lambda: synced(lab))

    assert problem.summary.splitlines() == [
        "cannot change the variable LAST (x): GitLab answers 503",
        "  NOT put back: EC2_INSTANCE_IP (x): GitLab hides its old value from everybody, so nobody can put it back",
    ]
    assert problem.hint == "lifeboat gitlab sync -e x: it writes what is missing"
    assert lab.value("LAST") == "old-value"


def test_a_journal_that_can_no_longer_be_written_stops_the_sync_and_all_is_put_back(lab: GitLabSite) -> None:
    path = lab.root / ".lifeboat" / "x" / "gitlab-sync.jsonl"

    def spoil(text: str) -> None:
        if text.endswith("create APP_URL (x)"):
            path.rename(path.with_suffix(".kept"))
            path.mkdir()

    patience = Patience(tell=spoil, sleep=lab.slept.append)
    problem = refused(Failed, lambda: sync.sync(lab.site(), patience, lambda _: None, Way()))
    path.rmdir()

    assert problem.summary.splitlines() == [
        f"cannot write {path}: Is a directory",
        "  GitLab is as it was: what was written before is put back",
    ]
    assert lab.variables() == {}


# -- the journal -------------------------------------------------------------------------------------------------------


def test_the_journal_has_keys_and_attributes_and_no_value(lab: GitLabSite) -> None:
    synced(lab)
    path = lab.root / ".lifeboat" / "x" / "gitlab-sync.jsonl"

    text = path.read_text()

    events = [json.loads(line) for line in text.splitlines() if line]
    assert [e["event"] for e in events] == ["begin", *["writing"] * 4, "end"]
    assert [e["key"] for e in events[1:-1]] == ["DATABASE_URL", "APP_URL", "DB_PORT", "EC2_INSTANCE_IP"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert all(value not in text for value in ("10.0.0.7", "Canary", "5432"))


def test_a_sync_that_was_cut_off_is_told_at_the_next_one(lab: GitLabSite) -> None:
    synced(lab)
    path: Path = lab.root / ".lifeboat" / "x" / "gitlab-sync.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:3]) + '\n{"event": "wri')  # killed while it wrote a line

    warned = sync.preview(lab.site(), lab.patience).warnings
    lab.output(lambda r: r["app"].update(address="10.0.0.8"))
    synced(lab)
    after = sync.preview(lab.site(), lab.patience).warnings

    assert len(warned) == 1
    assert warned[0].endswith("was cut off; it may have written DATABASE_URL (x)")
    assert after == ()


def test_a_plan_shows_what_would_be_done_and_does_nothing(lab: GitLabSite) -> None:
    synced(lab)
    lab.place.project.variables.delete("DB_PORT", filter={"environment_scope": "x"})
    lab.output(lambda r: r["app"].update(address="10.0.0.8"))

    with lab.traced() as names:
        shown = plan_lines(lab)

    assert shown == [
        "= DATABASE_URL (x)",
        "= APP_URL (x)",
        "+ DB_PORT (x) (shown in logs, 4 characters)  -- not masked: it has fewer than 8 characters",
        "~ EC2_INSTANCE_IP (x) (value) [pointer, written last]",
    ]
    assert names == ["ListVariables"]
    plan = sync.preview(lab.site(), lab.patience)
    assert [c.doing for c in plan.writes] == [Doing.CREATE, Doing.UPDATE]


def test_the_password_that_went_with_a_database_is_no_obstacle_to_its_recovery(lab: GitLabSite) -> None:
    lab.output(lambda found: found["database"].update(password_secret_arn="app-x/gone"))
    site, now = lab.site(), WallClock().now
    preview = Journal(run=RunId("preview"), path=Path(), bucket=site.journals(), now=now)
    of_database = RecoveryRequest(scope=Scope.DATABASE)
    c = Recovering(site=site, tell=Told(), journal=preview, request=of_database, now=now, agree=step_runs.nobody)

    gap = deployment.variables_match(c)

    assert gap is not None
    assert gap.text.startswith("what they have to be is known once the database is restored; until then: ")
    with pytest.raises(Unreachable, match="app-x/gone"):
        deployment.variables_match(replace(c, request=RecoveryRequest()))
