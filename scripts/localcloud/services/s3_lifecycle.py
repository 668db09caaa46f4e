"""S3's daily look at lifecycle rules: objects that a rule expires get a delete marker; what was there stays as a version.

Only expiry in days of current objects is played, by prefix and tags, which is what decides whether a dump is still found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from xml.etree.ElementTree import Element

from localcloud.cloud import Cloud
from localcloud.schedules import on_tick
from localcloud.services import s3_documents
from localcloud.services import s3_objects as objects

STORE = "s3-lifecycle"


@dataclass(frozen=True, kw_only=True)
class Expiry:
    """A rule: the objects that it is for, and after how many days it expires them."""

    name: str
    prefix: str
    tags: dict[str, str]
    days: int


@on_tick
def _daily(cloud: Cloud, schedule: str, now: datetime) -> list[str]:
    if schedule != "daily":
        return []
    lines = []
    for bucket, kind in list(cloud.store(s3_documents.STORE)):
        document = s3_documents.document(cloud, bucket, kind) if kind == "lifecycle" else None
        rules = [] if document is None else list(_expiries(document))
        if rules:
            lines += [f"s3: {line}" for line in _expire(cloud, bucket, rules, now)]
    return lines


def _expiries(document: Element) -> Iterator[Expiry]:
    for rule in document.findall("Rule"):
        days = rule.findtext("Expiration/Days")
        if rule.findtext("Status") != "Enabled" or days is None:
            continue
        prefixes = [rule.findtext(path) for path in ("Prefix", "Filter/Prefix", "Filter/And/Prefix")]
        tags = [*rule.findall("Filter/Tag"), *rule.findall("Filter/And/Tag")]
        yield Expiry(
            name=rule.findtext("ID") or "",
            prefix=next((prefix for prefix in prefixes if prefix), ""),
            tags={tag.findtext("Key") or "": tag.findtext("Value") or "" for tag in tags},
            days=int(days),
        )


def _expire(cloud: Cloud, bucket: str, rules: list[Expiry], now: datetime) -> Iterator[str]:
    s3 = cloud.client("s3", objects.bucket(cloud, bucket).region_name)
    ticks: dict[tuple[str, str, str], int] = cloud.store(STORE)
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for found in page.get("Versions", []):
            if not found["IsLatest"] or not any(found["Key"].startswith(rule.prefix) for rule in rules):
                continue
            # A tick stands for a day, whatever the clock says.
            name = (bucket, found["Key"], found["VersionId"])
            ticks[name] = ticks.get(name, 0) + 1
            age = max((now - found["LastModified"]) // timedelta(days=1), ticks[name])
            rule = _due(s3, bucket, found["Key"], [rule for rule in rules if age >= rule.days])
            if rule is not None:
                s3.delete_object(Bucket=bucket, Key=found["Key"])
                ticks.pop(name)
                yield f"expired s3://{bucket}/{found['Key']} ({rule.name})"


def _due(s3: Any, bucket: str, key: str, rules: list[Expiry]) -> Expiry | None:
    """Return the first rule that is for an object; its tags are looked at only where a rule asks for tags."""
    matching = [rule for rule in rules if key.startswith(rule.prefix)]
    tags: dict[str, str] = {}
    if any(rule.tags for rule in matching):
        found = s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
        tags = {tag["Key"]: tag["Value"] for tag in found}
    return next((rule for rule in matching if rule.tags.items() <= tags.items()), None)
