"""Suspended versioning as S3 has it: old versions stay, only the null version gives way. moto drops them all."""

from __future__ import annotations

from typing import Any

from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, S3Backend

from localcloud.cloud import Cloud

NULL = "null"


def install(cloud: Cloud) -> None:
    """Keep versions in a bucket whose versioning is suspended."""
    del cloud
    put, mark = S3Backend.put_object, S3Backend._set_delete_marker

    def is_versioned(self: Any) -> bool:
        return self.versioning_status is not None

    def put_object(self: Any, bucket_name: str, key_name: str, *arguments: Any, **named: Any) -> FakeKey:
        made = put(self, bucket_name, key_name, *arguments, **named)
        _become_null(self.get_bucket(bucket_name), made)
        return made

    def set_delete_marker(self: Any, bucket_name: str, key_name: str) -> FakeDeleteMarker:
        made = mark(self, bucket_name, key_name)
        _become_null(self.get_bucket(bucket_name), made)
        return made

    FakeBucket.is_versioned = property(is_versioned)
    S3Backend.put_object = put_object
    S3Backend._set_delete_marker = set_delete_marker


def _become_null(bucket: Any, made: Any) -> None:
    """Let a new version be the null one, in place of the one that was, while versioning is suspended."""
    if bucket.versioning_status != "Suspended":
        return
    made._version_id = NULL
    name = made.name
    bucket.keys.setlist(name, [v for v in bucket.keys.getlist(name) if v is made or v.version_id != NULL])
