"""The database's generations: their names, the recovery file, and what a new one must be like."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.decisions import generations
from lifeboat.decisions.generations import Known
from lifeboat.errors import IntegrityFailure


@pytest.mark.parametrize(
    ("names", "following"),
    [
        ([], "g1"),
        (["app-g1"], "g2"),
        (["app-g1", "app-g12", "app-g3"], "g13"),
        (["app-g1", "app-g2-final"], "g3"),  # the name of a final snapshot would be taken
        (["app-g1", "other-g7", "app-g0", "app-gx", "xapp-g9"], "g2"),
    ],
)
def test_the_next_generation_is_one_that_never_left_a_trace(names: list[str], following: str) -> None:
    assert generations.following("app", names) == following


def test_a_restored_generation_stands_beside_the_others_and_what_the_file_says_of_the_instance_stays() -> None:
    before = json.dumps({"ami_id": "ami-1", "database_generations": {"g2": {"restored": True}}})
    present = generations.options(before, ["g2", "g1"])

    options = generations.with_restored(present, "g3")
    written = json.loads(generations.file(before, options, "g3"))

    assert list(present) == ["g1", "g2"]
    assert written == {
        "ami_id": "ami-1",
        "active_generation": "g3",
        "database_generations": {"g1": {}, "g2": {"restored": True}, "g3": {"restored": True, "dr_copy": False}},
    }
    assert generations.active_in(json.dumps(written)) == "g3"
    assert generations.with_copy(options, "g3")["g3"] == {"restored": True}
    assert generations.variables(options, "g3")["active_generation"] == "g3"


def test_a_generation_whose_instance_is_lost_is_not_made_anew_empty() -> None:
    assert list(generations.with_restored({"g1": {}, "g2": {}}, "g3", lost=["g1"])) == ["g2", "g3"]


def test_one_that_retires_loses_its_protection_and_then_its_name() -> None:
    present: dict[str, dict[str, Any]] = {"g1": {}, "g2": {"restored": True}}

    assert generations.retiring(present, "g1") == {"g1": {"retiring": True}, "g2": {"restored": True}}
    assert generations.without(present, "g1") == {"g2": {"restored": True}}


@pytest.mark.parametrize("text", ['{"database_generations": []}', '{"database_generations": {"g1": 1}}', "[]", "{"])
def test_a_file_that_we_did_not_write_is_refused(text: str) -> None:
    with pytest.raises(IntegrityFailure):
        generations.options(text, ["g1"])


RECORDED = {
    "instance_class": "db.t4g.small",
    "db_subnet_group_name": "app-database",
    "parameter_group_name": "app-postgres15",
    "option_group_name": "default:postgres-15",
    "vpc_security_group_ids": ["sg-1"],
    "port": 5432,
    "multi_az": False,
    "publicly_accessible": False,
    "storage_type": "gp3",
    "iops": 3000,
    "storage_throughput": 125,
    "max_allocated_storage": 0,
    "auto_minor_version_upgrade": True,
    "copy_tags_to_snapshot": True,
    "iam_database_authentication_enabled": False,
    "enabled_cloudwatch_logs_exports": ["postgresql"],
    "ca_cert_identifier": "rds-ca-rsa2048-g1",
    "network_type": "IPV4",
    "backup_window": "03:00-04:00",
    "maintenance_window": "sun:00:30-sun:01:30",
    "backup_retention_period": 14,
    "engine": "postgres",
    "engine_version": "15",
    "engine_version_actual": "15.18",
    "db_name": "app",
    "username": "app_admin",
    "allocated_storage": 20,
    "storage_encrypted": True,
    "kms_key_id": "arn:storage",
    "tags_all": {"application": "app"},
    "master_user_secret": [{"kms_key_id": "arn:key"}],
}


def test_a_new_generation_gets_the_settings_that_terraform_knows_of_the_serving_one() -> None:
    found = generations.settings(RECORDED)

    assert found.asked == {
        "DBInstanceClass": "db.t4g.small",
        "DBSubnetGroupName": "app-database",
        "DBParameterGroupName": "app-postgres15",
        "VpcSecurityGroupIds": ["sg-1"],
        "Port": 5432,
        "MultiAZ": False,
        "PubliclyAccessible": False,
        "StorageType": "gp3",
        "AutoMinorVersionUpgrade": True,
        "CopyTagsToSnapshot": True,
        "EnableIAMDatabaseAuthentication": False,
        "EnableCloudwatchLogsExports": ["postgresql"],
        "CACertificateIdentifier": "rds-ca-rsa2048-g1",
        "NetworkType": "IPV4",
        "PreferredBackupWindow": "03:00-04:00",
    }
    assert found.modified == {"PreferredMaintenanceWindow": "sun:00:30-sun:01:30"}
    assert found.created == {
        "Engine": "postgres",
        "EngineVersion": "15.18",
        "DBName": "app",
        "MasterUsername": "app_admin",
        "AllocatedStorage": 20,
        "StorageEncrypted": True,
        "KmsKeyId": "arn:storage",
    }
    assert generations.major(found) == 15
    assert (found.tags, found.password_key, found.retention) == ({"application": "app"}, "arn:key", 14)


GIB = 1024**3


@pytest.mark.parametrize(
    ("limit", "live", "raw", "allocated"),
    [
        (0, 0, 0, 20),
        (0, 20 * GIB, 10 * GIB, 20),
        # By hand, which a plan shows in any case.
        (0, 50 * GIB, 0, 50),
        (0, 0, 100 * GIB, 20),
        (200, 20 * GIB, 0, 20),
        (200, 90 * GIB, 10 * GIB, 90),
        (200, 20 * GIB, 100 * GIB, 150),
        (200, 20 * GIB, 10 * GIB + 1, 20),
        (200, 20 * GIB, 14 * GIB + 1, 22),
        # RDS takes no limit that is not a tenth above; from there on it grows by itself.
        (200, 200 * GIB, 0, 181),
        (21, 20 * GIB, 0, 20),
    ],
)
def test_an_empty_instance_has_room_for_what_comes_into_it(limit: int, live: int, raw: int, allocated: int) -> None:
    known = generations.settings({**RECORDED, "max_allocated_storage": limit})

    found = generations.with_room(known, live=live, raw=raw)

    assert found == replace(known, created={**known.created, "AllocatedStorage": allocated})


@given(st.integers(20, 1000), st.integers(0, 2000), st.integers(0, 2000), st.integers(0, 3000))
def test_never_less_than_terraform_knows_and_never_so_much_that_rds_could_not_grow_it(
    known: int, live: int, raw: int, limit: int
) -> None:
    settings = generations.settings({**RECORDED, "allocated_storage": known, "max_allocated_storage": limit})

    found = generations.with_room(settings, live=live * GIB, raw=raw * GIB).created["AllocatedStorage"]

    assert isinstance(found, int)
    assert found >= known
    assert found == known or limit == 0 or found * 11 <= limit * 10
    assert found >= min(live, limit * 10 // 11 if limit else live)


def test_what_rds_refuses_to_be_told_is_told_only_where_it_was_chosen() -> None:
    chosen = {
        **RECORDED,
        "iops": 12000,
        "storage_throughput": 500,
        "option_group_name": "own",
        "max_allocated_storage": 100,
    }

    found = generations.settings(chosen)

    assert {
        key: found.asked[key] for key in ("Iops", "StorageThroughput", "OptionGroupName", "MaxAllocatedStorage")
    } == {
        "Iops": 12000,
        "StorageThroughput": 500,
        "OptionGroupName": "own",
        "MaxAllocatedStorage": 100,
    }
    assert found.modified["MaxAllocatedStorage"] == 100


RESTORED = {"restored": True}


@pytest.mark.parametrize(
    ("before", "now", "known", "left"),
    [
        # As it was: no file, or one that says of the instance alone.
        (None, {"g1": {}, "g2": RESTORED}, Known(recorded=["g1"], active="g1"), None),
        # What was retired since it was written is not named again.
        (
            {"database_generations": {"g1": {}, "g2": RESTORED}, "active_generation": "g2"},
            {"g2": RESTORED, "g3": RESTORED},
            Known(recorded=["g2"], active="g2"),
            {"database_generations": {"g2": RESTORED}, "active_generation": "g2"},
        ),
        # What was lost stands as it stood before the recovery left it out.
        (
            {"database_generations": {"g2": RESTORED}, "active_generation": "g2"},
            {"g3": RESTORED},
            Known(recorded=["g2"], active="g2"),
            {"database_generations": {"g2": RESTORED}, "active_generation": "g2"},
        ),
        (None, {"g3": RESTORED}, Known(recorded=["g1"], active="g1"), None),
    ],
)
def test_given_up_the_file_names_what_there_is_and_no_more(
    before: dict[str, Any] | None, now: dict[str, Any], known: Known, left: dict[str, Any] | None
) -> None:
    text = json.dumps({"ami_id": "ami-1", "active_generation": "g3", "database_generations": now})

    found = generations.given_up(text, None if before is None else json.dumps(before), known)
    alone = generations.given_up(json.dumps({"database_generations": now}), json.dumps(before or {}), known)

    assert json.loads(found or "") == {"ami_id": "ami-1", **(left or {})}
    assert (None if alone is None else json.loads(alone)) == left


def test_what_was_adopted_elsewhere_is_named_as_restored_and_its_copy_only_once_it_was_begun() -> None:
    text = json.dumps({"database_generations": {"g2": {}}})

    planned = {"g1": {"restored": True}, "g2": {}}
    present = generations.options(text, ["g1", "g2"], planned=planned)

    assert generations.with_adopted(present, "g2", copied=["g1"]) == {
        "g1": {"restored": True},
        "g2": {"restored": True, "dr_copy": False},
    }
    assert generations.with_adopted(present, "g2", copied=["g1", "g2"])["g2"] == {"restored": True}


@pytest.mark.parametrize(
    ("said", "active", "same"),
    [
        ({"g1": {}, "g2": RESTORED}, "g2", True),
        ({"g1": {}, "g2": {}}, "g2", False),
        ({"g1": {}, "g2": RESTORED}, "g1", False),
        ({"g0": {}, "g1": {}, "g2": RESTORED}, "g2", False),
        ({}, "g2", False),
    ],
)
def test_a_file_says_what_is_wanted_or_it_is_written_anew(said: dict[str, Any], active: str, same: bool) -> None:
    text = json.dumps({"database_generations": said, "active_generation": active})

    assert generations.says(text, {"g1": {}, "g2": RESTORED}, "g2") is same
    assert not generations.says(None, {"g1": {}, "g2": RESTORED}, "g2")
