"""Buckets and object versions as moto keeps them, found by what a request names."""

from __future__ import annotations

from typing import Any

from moto.s3.models import FakeDeleteMarker

from localcloud.cloud import Cloud
from localcloud.operations import Refused


def bucket(cloud: Cloud, name: str) -> Any:
    """Return moto's bucket; raises NoSuchBucket."""
    found = cloud.moto("s3", "aws").buckets.get(name)
    if found is None:
        raise Refused("NoSuchBucket", "The specified bucket does not exist", 404)
    return found


def version(cloud: Cloud, bucket_name: str, key: str, version_id: str | None = None) -> Any:
    """Return one version of an object, the newest when none is named; None when there is no such version.

    A delete marker counts as a version; `is_marker` tells it apart.
    """
    versions = bucket(cloud, bucket_name).keys.getlist(key, [])
    if version_id:
        return next((found for found in versions if found.version_id == version_id), None)
    return versions[-1] if versions else None


def existing(cloud: Cloud, bucket_name: str, key: str, version_id: str | None = None) -> Any:
    """Return one version of an object; raises NoSuchKey, NoSuchVersion or MethodNotAllowed (a delete marker)."""
    found = version(cloud, bucket_name, key, version_id)
    if found is None and version_id:
        raise Refused("NoSuchVersion", "The specified version does not exist.", 404)
    if found is None or (is_marker(found) and not version_id):
        raise Refused("NoSuchKey", "The specified key does not exist.", 404)
    if is_marker(found):
        raise Refused("MethodNotAllowed", "The specified method is not allowed against this resource.", 405)
    return found


def is_marker(found: Any) -> bool:
    """Return whether a version is a delete marker."""
    return isinstance(found, FakeDeleteMarker)
