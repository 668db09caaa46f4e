"""Lifecycle rules by the day: what a rule expires is hidden, and stays as a version; everything else is as before."""

from __future__ import annotations

from typing import Any

from tests.conftest import RunningCloud


def rule(name: str, days: int, **tags: str) -> dict[str, Any]:
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    only = {"And": {"Prefix": "dumps/", "Tags": pairs}} if pairs else {"Prefix": "logs/"}
    return {"ID": name, "Status": "Enabled", "Filter": only, "Expiration": {"Days": days}}


def test_objects_expire_by_their_tag_and_prefix_and_their_versions_stay(cloud: RunningCloud) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="expiring", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket="expiring", VersioningConfiguration={"Status": "Enabled"})
    rules = [rule("gone", 1, keep="expire"), rule("daily", 2, keep="daily"), rule("logs", 1)]
    off = {**rule("off", 1, keep="held"), "Status": "Disabled"}
    s3.put_bucket_lifecycle_configuration(Bucket="expiring", LifecycleConfiguration={"Rules": [*rules, off]})
    for key, tagging in (
        ("dumps/a", "keep=expire&more=x"),
        ("dumps/b", "keep=daily"),
        ("dumps/c", "keep=held"),
        ("dumps/d", ""),
        ("logs/e", ""),
        ("other/f", "keep=expire"),
    ):
        s3.put_object(Bucket="expiring", Key=key, Body=b"x", Tagging=tagging)

    first = cloud.control("tick", schedule="daily")["fired"]
    after_one = [found["Key"] for found in s3.list_objects_v2(Bucket="expiring")["Contents"]]
    cloud.control("tick", schedule="daily")
    after_two = [found["Key"] for found in s3.list_objects_v2(Bucket="expiring")["Contents"]]

    assert [line for line in first if line.startswith("s3: ")] == [
        "s3: expired s3://expiring/dumps/a (gone)",
        "s3: expired s3://expiring/logs/e (logs)",
    ]
    assert after_one == ["dumps/b", "dumps/c", "dumps/d", "other/f"]
    assert after_two == ["dumps/c", "dumps/d", "other/f"]
    versions = s3.list_object_versions(Bucket="expiring", Prefix="dumps/a")
    assert [found["IsLatest"] for found in versions["Versions"]] == [False]
    assert s3.get_object(Bucket="expiring", Key="dumps/a", VersionId=versions["Versions"][0]["VersionId"])[
        "Body"
    ].read()
