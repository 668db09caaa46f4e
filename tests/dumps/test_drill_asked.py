"""What a drill is asked for is looked at before it writes anything: the copy, an image, and whether probes can be read."""

from __future__ import annotations

import json

import pytest
from lifeboat.drill_model import DrillRequest, DrillScope
from lifeboat.errors import NothingFits, WrongConfiguration
from lifeboat.runbooks import drill_asked

from tests.dump_sites import DumpSite
from tests.gitlab_sites import DR_REGION, REGION
from tests.restored_sites import RECORDED

DATABASE = DrillRequest(scope=DrillScope.DATABASE)


def probes(*questions: str) -> str:
    return "".join(
        f"\n[[dumps.probes]]\nname = \"q{number}\"\nsql = '{sql}'\nexpect = 1\n" for number, sql in enumerate(questions)
    )


def asked(site: DumpSite, request: DrillRequest) -> None:
    drill_asked.require(site.site(), site.recovery(), request)


def test_a_probe_that_nobody_can_read_is_a_mistake_in_the_file_and_none_of_the_copy(site: DumpSite) -> None:
    site.settings(probes("selec 1", "SELECT count(*) FROM parts WHERE"))

    with pytest.raises(WrongConfiguration) as raised:
        asked(site, DATABASE)

    assert raised.value.exit_status == 2
    assert raised.value.summary == (
        "PostgreSQL cannot read what environments/x.toml asks of a restored copy:\n"
        '  probe q0: syntax error at or near "selec"\n'
        "  probe q1: syntax error at end of input"
    )
    assert "environments/x.toml" in raised.value.hint


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM parts",
        "SELECT count(*) FROM lost",  # a table that is gone is for the restored copy to tell
        "SELECT gone FROM parts",
        "SELECT * FROM parts UNION SELECT 1",  # a column that is gone, and the code of a syntax error
        "SHOW server_version",
        "SELECT 1; SELECT 2",
        "DROP TABLE parts",
    ],
)
def test_what_depends_on_the_data_is_left_to_the_restored_copy(site: DumpSite, sql: str) -> None:
    site.settings(probes(sql))

    asked(site, DATABASE)

    assert site.run("SELECT count(*) FROM parts") == [(200,)]


def test_a_database_that_does_not_answer_keeps_nobody_from_drilling(site: DumpSite) -> None:
    site.settings(probes("selec 1"))
    database = site.recovery().database.model_copy(update={"port": 1})

    drill_asked.require(site.site(), site.recovery().model_copy(update={"database": database}), DATABASE)


def test_a_copy_that_is_not_there_is_told_before_anything_is_written(site: DumpSite) -> None:
    resource = {
        "type": "aws_db_instance",
        "mode": "managed",
        "module": "module.database",
        "instances": [{"index_key": "g1", "attributes": {**RECORDED, "identifier": site.plain.application}}],
    }
    recovery = {**site.database, "vaults": {"primary": "vault", "dr": "vault"}}
    outputs = {"recovery": {"value": recovery, "type": "dynamic"}}
    state = {"version": 4, "serial": 8, "lineage": "l", "outputs": outputs, "resources": [resource]}
    site.plain.put("stack.tfstate", json.dumps(state).encode())

    client = site.cloud.client
    where = {"LocationConstraint": DR_REGION}
    client("s3", DR_REGION).create_bucket(Bucket=f"{site.bucket}-copy", CreateBucketConfiguration=where)
    encrypted = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    client("s3").put_bucket_encryption(Bucket=site.bucket, ServerSideEncryptionConfiguration=encrypted)
    for region in (REGION, DR_REGION):
        client("backup", region).create_backup_vault(BackupVaultName="vault")

    with pytest.raises(NothingFits, match="there is no copy nonsense"):
        asked(site, DrillRequest(scope=DrillScope.DATABASE, copy="nonsense"))


@pytest.mark.parametrize("scope", [DrillScope.INSTANCE, DrillScope.FULL])
def test_without_any_image_no_instance_is_drilled(site: DumpSite, scope: DrillScope) -> None:
    with pytest.raises(NothingFits, match="no image"):
        asked(site, DrillRequest(scope=scope))
