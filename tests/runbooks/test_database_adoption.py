"""What a recovery writes of the generations into the recovery file, in whichever checkout it is gone on with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lifeboat.clients.waiting import WallClock
from lifeboat.errors import Refused, WrongConfiguration
from lifeboat.model import EventKind, RecoveryRequest, RunId, Scope
from lifeboat.runbooks import recover_database
from lifeboat.runbooks.database_adoption import ADOPTING
from lifeboat.runbooks.recovering import Recovering

from tests import step_runs
from tests.conftest import RunningCloud
from tests.gitlab_sites import RECOVERY
from tests.plain_sites import PlainSite, Told, plain_site
from tests.restored_sites import RECORDED
from tests.runbooks.conftest import Quick

RUN = "20260301T030000Z-recover-aaaaaa"
FILE = next(step for step in ADOPTING if step.name == "database-file")
PLANNED = {"g1": {"restored": True}, "g2": {"restored": True, "dr_copy": False}}


@pytest.fixture
def plain(quick: Quick, tmp_path: Path) -> PlainSite:
    return plain_site(quick, tmp_path)


def resource(kind: str, *generations: str) -> dict[str, Any]:
    instances = [{"index_key": one, "attributes": {}} for one in generations]
    return {"type": kind, "mode": "managed", "module": "module.database", "instances": instances}


def adopted(plain: PlainSite, *copied: str) -> Recovering:
    """Return a recovery, in a checkout without a recovery file, whose g2 Terraform has adopted."""
    database = {**RECOVERY["database"], "active_generation": "g2", "generations": ["g1", "g2"]}
    recovery = {**RECOVERY, "application": plain.application, "database": database}
    state = {
        "version": 4,
        "serial": 9,
        "lineage": "l",
        "outputs": {"recovery": {"value": recovery, "type": "dynamic"}},
        "resources": [
            resource("aws_db_instance", "g1", "g2"),
            resource("aws_db_instance_automated_backups_replication", *copied),
        ],
    }
    plain.put("stack.tfstate", json.dumps(state).encode())
    plain.run(
        RUN,
        (EventKind.NOTE, "copy", {"generation": "g2", "identifier": f"{plain.application}-g2"}),
        (EventKind.NOTE, "adoption", {"generations": PLANNED, "lost_generations": []}),
        (EventKind.INTENT, "adopt", {}),
        (EventKind.RESULT, "adopt", {}),
    )
    site = plain.site()
    journal = site.journal(RunId(RUN))
    journal.open()
    return Recovering(
        site=site,
        tell=Told(),
        journal=journal,
        request=RecoveryRequest(scope=Scope.DATABASE),
        now=WallClock().now,
        agree=step_runs.nobody,
    )


@pytest.mark.parametrize(
    ("copied", "g2"),
    [(("g1",), {"restored": True, "dr_copy": False}), (("g1", "g2"), {"restored": True})],
    ids=["before its backups are copied", "after"],
)
def test_gone_on_with_elsewhere_once_it_was_adopted_the_file_is_written_as_it_was_planned(
    plain: PlainSite, copied: tuple[str, ...], g2: dict[str, Any]
) -> None:
    c = adopted(plain, *copied)

    ended = [*step_runs.carried_out(c, [FILE]), *step_runs.carried_out(c, [FILE])]

    written = json.loads((plain.root / "environments" / "x.recovery.tfvars.json").read_text())
    assert ended == ["done", "holds"]
    assert written == {
        "active_generation": "g2",
        "database_generations": {"g1": {"restored": True}, "g2": g2},
    }


def test_a_file_that_names_it_without_a_word_that_it_was_restored_is_written_anew(plain: PlainSite) -> None:
    path = plain.root / "environments" / "x.recovery.tfvars.json"
    path.write_text(json.dumps({"active_generation": "g2", "database_generations": {"g1": {}, "g2": {}}}))
    c = adopted(plain)

    assert step_runs.carried_out(c, [FILE]) == ["done"]
    assert json.loads(path.read_text())["database_generations"] == {
        "g1": {},
        "g2": {"restored": True, "dr_copy": False},
    }


def test_without_the_authorities_that_are_named_nothing_is_begun(plain: PlainSite) -> None:
    settings = plain.root / "environments" / "x.toml"
    settings.write_text(settings.read_text() + '[database]\nca_file = "environments/nowhere.pem"\n')
    c = adopted(plain)

    with pytest.raises(WrongConfiguration, match="nobody could check whom the password goes to"):
        recover_database.require_readable(c)


def test_that_nobody_checks_who_gets_the_password_is_told(plain: PlainSite) -> None:
    c = adopted(plain)
    told = Told()

    recover_database.require_readable(replace(c, tell=told))

    assert told.lines == [
        "nobody checks that what is restored is the database before it gets its password: [database] ca_file names its"
        " authorities"
    ]


@pytest.mark.parametrize(
    ("state", "words", "mend"),
    [
        ("Disabled", "disabled", "aws kms enable-key --key-id {key} --region eu-west-1"),
        (
            "PendingDeletion",
            "to be deleted",
            "aws kms cancel-key-deletion --key-id {key} --region eu-west-1, then aws kms enable-key --key-id {key} --region"
            " eu-west-1",
        ),
    ],
)
def test_under_a_key_that_cannot_be_used_nothing_is_begun(plain: PlainSite, state: str, words: str, mend: str) -> None:
    kms = plain.cloud.client("kms")
    made = kms.create_key()["KeyMetadata"]
    key, c = made["Arn"], encrypted(plain, made["Arn"])
    recover_database.require_keys(c)
    if state == "Disabled":
        kms.disable_key(KeyId=made["KeyId"])
    else:
        kms.schedule_key_deletion(KeyId=made["KeyId"], PendingWindowInDays=7)

    with pytest.raises(Refused) as refused:
        recover_database.require_keys(c)

    assert refused.value.summary == f"the key {key}, under which a database is restored, is {words}"
    assert refused.value.hint == mend.format(key=key)
    assert c.remarks == []


def test_a_key_that_nobody_may_look_at_is_for_rds_to_judge(cloud: RunningCloud, tmp_path: Path) -> None:
    plain = plain_site(cloud, tmp_path)
    c = encrypted(plain, key := plain.cloud.client("kms").create_key()["KeyMetadata"]["Arn"])
    denied = {"service": "kms", "operation": "DescribeKey", "status": 400, "code": "AccessDeniedException"}
    cloud.control("faults", add=denied)

    recover_database.require_keys(c)

    cloud.control("faults", clear=True)
    (remark,) = c.remarks
    assert remark.startswith(
        f"nobody knows whether the key {key} can be used: cannot look at the key {key} in eu-west-1: "
    )


def encrypted(plain: PlainSite, key: str) -> Recovering:
    """Return a recovery whose serving generation is encrypted under a key."""
    c = adopted(plain)
    state = json.loads(c.site.stack_store().body() or b"")
    (databases, _) = state["resources"]
    databases["instances"][1]["attributes"] = {**RECORDED, "kms_key_id": key, "master_user_secret_kms_key_id": key}
    plain.put("stack.tfstate", json.dumps(state).encode())
    return c
