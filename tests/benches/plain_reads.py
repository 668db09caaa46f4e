"""Every version of one object read with boto3 and thrown away, 16 at a time: the floor of what lists them by what they say."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import boto3

AT_ONCE = 16


def main() -> None:
    """Read all versions of s3://BUCKET/KEY at an address."""
    url, bucket, key = sys.argv[1:]
    s3 = boto3.client("s3", endpoint_url=url, region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key)
    versions = [version["VersionId"] for page in pages for version in page["Versions"]]

    def read(version: str) -> int:
        return len(s3.get_object(Bucket=bucket, Key=key, VersionId=version)["Body"].read())

    with ThreadPoolExecutor(AT_ONCE) as pool:
        print(f"{len(versions)} versions, {sum(pool.map(read, versions)) / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
