"""AWS's managed policies: all there, each counting what it is attached to, and kept once."""

from __future__ import annotations

import json

from tests.conftest import RunningCloud

BACKUP = "arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForBackup"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "backup.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)


def test_all_of_them_are_there_with_their_documents(cloud: RunningCloud) -> None:
    iam = cloud.client("iam")

    pages = iam.get_paginator("list_policies").paginate(Scope="AWS")
    found = {policy["Arn"]: policy for page in pages for policy in page["Policies"]}
    version = iam.get_policy_version(PolicyArn=BACKUP, VersionId=found[BACKUP]["DefaultVersionId"])

    assert len(found) > 1000
    assert version["PolicyVersion"]["Document"]["Statement"]


def test_what_one_is_attached_to_is_counted_and_saved_with_it(cloud: RunningCloud) -> None:
    iam = cloud.client("iam")
    cloud.control("save", name="before")
    iam.create_role(RoleName="backup", AssumeRolePolicyDocument=TRUST)
    iam.attach_role_policy(RoleName="backup", PolicyArn=BACKUP)
    cloud.control("save", name="attached")

    counts = []
    for name in ("before", "attached", "before"):
        cloud.control("load", name=name)
        counts.append(iam.get_policy(PolicyArn=BACKUP)["Policy"]["AttachmentCount"])

    assert counts == [0, 1, 0]


def test_a_save_holds_them_once(cloud: RunningCloud) -> None:
    cloud.control("save", name="small")

    size = (cloud.directory / "saves" / "small" / "cloud.state").stat().st_size

    assert 1_000_000 < size < 8_000_000
