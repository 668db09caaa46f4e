"""S3 replication: what arrives in the other bucket, what does not, and why."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from tests.conftest import RunningCloud

POWERS = ["s3:GetObjectVersionForReplication", "s3:ReplicateObject", "kms:Decrypt", "kms:Encrypt"]


@dataclass(frozen=True)
class Pair:
    """Two buckets in two regions and the role that S3 copies with."""

    cloud: RunningCloud
    source: str
    replica: str
    role: str

    @property
    def here(self) -> Any:
        return self.cloud.client("s3")

    @property
    def there(self) -> Any:
        return self.cloud.client("s3", "eu-central-1")

    def replicate(self, **changed: Any) -> None:
        destination = {"Bucket": f"arn:aws:s3:::{self.replica}", **changed.pop("Destination", {})}
        rule = {
            "ID": "all", "Priority": 1, "Status": "Enabled", "Filter": {"Prefix": ""},
            "DeleteMarkerReplication": {"Status": "Disabled"}, "Destination": destination, **changed,
        }  # fmt: skip
        self.here.put_bucket_replication(
            Bucket=self.source, ReplicationConfiguration={"Role": self.role, "Rules": [rule]}
        )

    def status(self, key: str) -> str | None:
        found: str | None = self.here.head_object(Bucket=self.source, Key=key).get("ReplicationStatus")
        return found

    def settled(self, key: str) -> str | None:
        until(lambda: self.status(key) != "PENDING")
        return self.status(key)

    def copies(self) -> list[str]:
        return [found["Key"] for found in self.there.list_objects_v2(Bucket=self.replica).get("Contents", [])]


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "still not so after 20 s"
        time.sleep(0.05)


def role(cloud: RunningCloud, name: str, *, service: str = "s3.amazonaws.com", actions: list[str] | None = None) -> str:
    iam = cloud.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    allow = {"Effect": "Allow", "Action": POWERS if actions is None else actions, "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_role_policy(RoleName=name, PolicyName="copy", PolicyDocument=policy)
    return str(arn)


@pytest.fixture
def pair(cloud: RunningCloud) -> Pair:
    end = uuid4().hex[:8]
    found = Pair(cloud, f"source-{end}", f"replica-{end}", role(cloud, f"copier-{end}"))
    for s3, name, region in ((found.here, found.source, "eu-west-1"), (found.there, found.replica, "eu-central-1")):
        where = {"LocationConstraint": region}
        s3.create_bucket(Bucket=name, CreateBucketConfiguration=where, ObjectLockEnabledForBucket=True)
    return found


def test_an_object_arrives_with_everything_that_makes_it_up(pair: Pair) -> None:
    pair.replicate()
    lock = {
        "ObjectLockMode": "GOVERNANCE",
        "ObjectLockRetainUntilDate": (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0),
    }

    version = pair.here.put_object(
        Bucket=pair.source, Key="dumps/a", Body=b"x", Metadata={"made-by": "test"}, Tagging="a=b", **lock
    )["VersionId"]

    assert pair.settled("dumps/a") == "COMPLETED"
    copied = pair.there.get_object(Bucket=pair.replica, Key="dumps/a")
    assert copied["Body"].read() == b"x"
    assert copied["Metadata"] == {"made-by": "test"}
    assert {name: copied[name] for name in lock} == lock
    assert (copied["VersionId"], copied["ReplicationStatus"]) == (version, "REPLICA")
    tags = pair.there.get_object_tagging(Bucket=pair.replica, Key="dumps/a")["TagSet"]
    assert tags == [{"Key": "a", "Value": "b"}]


def test_each_version_is_copied_in_its_order(pair: Pair) -> None:
    pair.replicate()

    made = [pair.here.put_object(Bucket=pair.source, Key="a", Body=b"%d" % n)["VersionId"] for n in range(5)]

    assert pair.settled("a") == "COMPLETED"
    found = pair.there.list_object_versions(Bucket=pair.replica)["Versions"]
    assert [version["VersionId"] for version in found] == list(reversed(made))


def test_only_what_is_put_after_the_rule_and_under_its_prefix_is_copied(pair: Pair) -> None:
    pair.here.put_object(Bucket=pair.source, Key="dumps/before", Body=b"x")
    pair.replicate(Filter={"Prefix": "dumps/"})

    for key in ("dumps/after", "other"):
        pair.here.put_object(Bucket=pair.source, Key=key, Body=b"x")

    assert pair.settled("dumps/after") == "COMPLETED"
    assert [pair.status(key) for key in ("dumps/before", "other")] == [None, None]
    assert pair.copies() == ["dumps/after"]


@pytest.mark.parametrize(("status", "left"), [("Disabled", ["a"]), ("Enabled", [])])
def test_delete_markers_are_copied_only_where_the_rule_says_so(pair: Pair, status: str, left: list[str]) -> None:
    pair.replicate(DeleteMarkerReplication={"Status": status})
    pair.here.put_object(Bucket=pair.source, Key="a", Body=b"x")
    pair.settled("a")

    pair.here.delete_object(Bucket=pair.source, Key="a")
    pair.here.put_object(Bucket=pair.source, Key="z", Body=b"x")  # copied after the marker would be
    pair.settled("z")

    assert [key for key in pair.copies() if key != "z"] == left


def test_deleting_a_version_leaves_its_copy(pair: Pair) -> None:
    pair.replicate(DeleteMarkerReplication={"Status": "Enabled"})
    version = pair.here.put_object(Bucket=pair.source, Key="a", Body=b"x")["VersionId"]
    pair.settled("a")

    pair.here.delete_object(Bucket=pair.source, Key="a", VersionId=version)
    pair.here.put_object(Bucket=pair.source, Key="z", Body=b"x")
    pair.settled("z")

    assert pair.copies() == ["a", "z"]


def test_sealed_objects_are_copied_under_the_key_of_the_other_region_if_the_rule_says_so(pair: Pair) -> None:
    here, there = (
        pair.cloud.client("kms", region).create_key()["KeyMetadata"]["Arn"] for region in ("eu-west-1", "eu-central-1")
    )
    sealed = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": here}
    pair.replicate()
    pair.here.put_object(Bucket=pair.source, Key="unasked", Body=b"x", **sealed)
    pair.replicate(
        SourceSelectionCriteria={"SseKmsEncryptedObjects": {"Status": "Enabled"}},
        Destination={"EncryptionConfiguration": {"ReplicaKmsKeyID": there}},
    )

    pair.here.put_object(Bucket=pair.source, Key="asked", Body=b"x", **sealed)

    assert pair.settled("asked") == "COMPLETED"
    assert pair.there.head_object(Bucket=pair.replica, Key="asked")["SSEKMSKeyId"] == there
    assert pair.copies() == ["asked"]
    pair.cloud.client("kms", "eu-central-1").disable_key(KeyId=there)
    pair.here.put_object(Bucket=pair.source, Key="late", Body=b"x", **sealed)
    assert pair.settled("late") == "FAILED"


@pytest.mark.parametrize(
    "wrong", [{"service": "ec2.amazonaws.com"}, {"actions": ["s3:GetObject", "s3:ReplicateDelete"]}]
)
def test_a_role_that_may_not_copy_leaves_the_object_failed_and_counted(pair: Pair, wrong: dict[str, Any]) -> None:
    powerless = role(pair.cloud, f"powerless-{uuid4().hex[:8]}", **wrong)
    measured = {"Metrics": {"Status": "Enabled"}}
    Pair(pair.cloud, pair.source, pair.replica, powerless).replicate(Destination=measured)

    pair.here.put_object(Bucket=pair.source, Key="a", Body=b"x")

    assert pair.settled("a") == "FAILED"
    assert pair.copies() == []
    until(lambda: counted(pair))


def counted(pair: Pair) -> bool:
    asked = {"Namespace": "AWS/S3", "MetricName": "OperationsFailedReplication"}
    metrics = pair.cloud.client("cloudwatch").list_metrics(**asked)["Metrics"]
    return {"Name": "SourceBucket", "Value": pair.source} in [d for m in metrics for d in m["Dimensions"]]


def test_a_rule_to_a_bucket_that_keeps_no_versions_is_refused(pair: Pair) -> None:
    name = f"unversioned-{uuid4().hex[:8]}"
    pair.there.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})

    with pytest.raises(ClientError, match="must have versioning enabled"):
        pair.replicate(Destination={"Bucket": f"arn:aws:s3:::{name}"})
    with pytest.raises(ClientError, match="must exist"):
        pair.replicate(Destination={"Bucket": "arn:aws:s3:::nowhere-at-all"})

    with pytest.raises(ClientError, match="ReplicationConfigurationNotFoundError"):
        pair.here.get_bucket_replication(Bucket=pair.source)
