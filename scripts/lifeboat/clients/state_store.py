"""Terraform's state in S3 and its lock and digest in DynamoDB, read and mended without Terraform."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from lifeboat.clients import sdk, state_bodies
from lifeboat.clients.sdk import translated, unless_absent
from lifeboat.errors import Failed, IntegrityFailure, TooLarge, Unreachable
from lifeboat.model import (
    Address,
    DeleteMarker,
    ManagedRecord,
    NameRecord,
    StateMark,
    StateVersion,
    ZoneId,
    state_address,
)
from lifeboat.state_model import CopyRule

_ABSENT = {"NoSuchKey", "NoSuchBucket", "404", "ResourceNotFoundException", "NotFound", "NoSuchVersion"}
_ABSENT |= {
    "NoSuchBucketPolicy",
    "ReplicationConfigurationNotFoundError",
    "ServerSideEncryptionConfigurationNotFoundError",
}
_EMPTY = "(attribute_exists(LockID) AND attribute_not_exists(Digest))"
_Found = TypeVar("_Found")


def _unless_absent(what: str, ask: Callable[[], _Found]) -> _Found | None:
    """Return what `ask` returns; None only when the service says that it is not there."""
    with translated(what):
        return unless_absent(_ABSENT, ask)


class StateStore:
    """One state object: `bucket/key`, its lock item and digest item in `table`, its lock file in the bucket."""

    def __init__(self, *, s3: Any, dynamodb: Any, bucket: str, key: str, table: str, keeps_digest: bool) -> None:
        self._s3 = s3
        self._dynamodb = dynamodb
        self.bucket = bucket
        self.key = key
        self.table = table
        # Terraform writes a digest only where it locks by the table.
        self.keeps_digest = keeps_digest

    # -- the state ------------------------------------------------------------------------------------------------

    def bucket_exists(self) -> bool:
        """Return whether the bucket is there and ours to read."""
        found = _unless_absent(
            f"look for the state bucket {self.bucket}", lambda: self._s3.head_bucket(Bucket=self.bucket)
        )
        return found is not None

    def usable(self) -> bool:
        """Return whether Terraform can keep a state here: a versioned bucket and an active lock table."""
        if not self.bucket_exists():
            return False
        what = f"look at the state backend {self.bucket}, {self.table}"
        with translated(what):
            versioned = self._s3.get_bucket_versioning(Bucket=self.bucket).get("Status") == "Enabled"
        table = _unless_absent(what, lambda: self._dynamodb.describe_table(TableName=self.table)["Table"])
        return bool(versioned and table is not None and table["TableStatus"] == "ACTIVE")

    def table_answers(self) -> bool:
        """Return whether the lock table can be read and written, so that an item in it keeps others out."""
        return self.table_status() in ("ACTIVE", "UPDATING")

    def table_status(self) -> str | None:
        """Return DynamoDB's word for how the lock table is ("ACTIVE"); None where there is none."""
        return _unless_absent(
            f"look for the lock table {self.table}",
            lambda: str(self._dynamodb.describe_table(TableName=self.table)["Table"]["TableStatus"]),
        )

    def table_exists(self) -> bool:
        """Return whether the lock table is there, and not on its way out."""
        return self.table_status() not in (None, "DELETING")

    def versioning(self) -> str:
        """Return S3's word for whether the bucket keeps what is overwritten: "Enabled", "Suspended", "" for never."""
        with translated(f"look at the versioning of {self.bucket}"):
            return str(self._s3.get_bucket_versioning(Bucket=self.bucket).get("Status", ""))

    def copy_rules(self) -> tuple[CopyRule, ...]:
        """Return the rules by which S3 copies what is written to the bucket; none where there are none, or no bucket."""
        answer = _unless_absent(
            f"look at the replication of {self.bucket}", lambda: self._s3.get_bucket_replication(Bucket=self.bucket)
        )
        return () if answer is None else tuple(map(_copy_rule, answer["ReplicationConfiguration"].get("Rules", [])))

    def policy(self) -> str | None:
        """Return the bucket's policy, as JSON; None where there is none, or no bucket."""
        answer = _unless_absent(
            f"look at the policy of {self.bucket}", lambda: self._s3.get_bucket_policy(Bucket=self.bucket)
        )
        return None if answer is None else str(answer["Policy"])

    def encryption_key(self) -> str | None:
        """Return the key that the bucket encrypts with where a request names none; None where it names none either."""
        answer = _unless_absent(
            f"look at the encryption of {self.bucket}", lambda: self._s3.get_bucket_encryption(Bucket=self.bucket)
        )
        rules = [] if answer is None else answer["ServerSideEncryptionConfiguration"]["Rules"]
        keys = (rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID") for rule in rules)
        return next((str(key) for key in keys if key), None)

    def body(self) -> bytes | None:
        """Return the state as it is now; None when there is no object (or no bucket).

        Raises TooLarge where what stands there is larger than any state.
        """
        return self._object(f"read the state s3://{self.bucket}/{self.key}", self.key)

    def _object(self, what: str, key: str) -> bytes | None:
        return _unless_absent(
            what,
            lambda: state_bodies.read(self._s3.get_object(Bucket=self.bucket, Key=key), f"s3://{self.bucket}/{key}"),
        )

    def _item(self, what: str, lock_id: str) -> dict[str, Any] | None:
        key = {"LockID": {"S": lock_id}}
        # botocore takes an answer that is cut off for an empty one, hence as "there is no item". A whole one has the
        # capacity that was asked for.
        answer = _unless_absent(
            what,
            lambda: self._dynamodb.get_item(
                TableName=self.table, Key=key, ConsistentRead=True, ReturnConsumedCapacity="TOTAL"
            ),
        )
        if answer is None:
            return None
        if "ConsumedCapacity" not in answer:
            raise Unreachable(f"cannot {what}: the answer is cut off")
        item: dict[str, Any] | None = answer.get("Item")
        return item

    def write(self, body: bytes) -> None:
        """Write the state (root 1's, which has no lock of its own: callers hold the environment's)."""
        with translated(f"write the state s3://{self.bucket}/{self.key}"):
            self._s3.put_object(Bucket=self.bucket, Key=self.key, Body=body, ContentType="application/json")

    def versions(self, newest: int = 5) -> list[StateVersion]:
        """Return the newest versions of the state, newest first."""
        with translated(f"list versions of s3://{self.bucket}/{self.key}"):
            return [self._version(v) for v in self._entries("Versions")[:newest]]

    def delete_markers(self) -> list[DeleteMarker]:
        """Return what hides the state that was deleted, newest first; nothing while there is a state."""
        with translated(f"list versions of s3://{self.bucket}/{self.key}"):
            return [
                DeleteMarker(version_id=marker["VersionId"], written_at=marker["LastModified"])
                for marker in self._entries("DeleteMarkers")
                if marker["IsLatest"]
            ]

    def _entries(self, kind: str) -> list[dict[str, Any]]:
        listed = sdk.s3_items(self._s3, "list_object_versions", kind, bucket=self.bucket, prefix=self.key)
        # The prefix is also that of the lock file.
        found = [entry for entry in listed if entry["Key"] == self.key]
        return sorted(found, key=lambda entry: (entry["IsLatest"], entry["LastModified"]), reverse=True)

    def _version(self, version: dict[str, Any]) -> StateVersion:
        answer = self._s3.get_object(Bucket=self.bucket, Key=self.key, VersionId=version["VersionId"])
        try:
            body = state_bodies.read(answer, f"version {version['VersionId']} of s3://{self.bucket}/{self.key}")
        except TooLarge:
            body = b""  # no state, and of no digest
        serial, lineage = serial_and_lineage(body)
        return StateVersion(
            version_id=version["VersionId"],
            md5=md5(body),
            serial=serial,
            lineage=lineage,
            written_at=version["LastModified"],
        )

    # -- the digest -----------------------------------------------------------------------------------------------

    def digest(self) -> str | None:
        """Return the digest that Terraform will hold the state against; None when there is none, "" when it is empty."""
        item = self._item(f"read the state digest in {self.table}", f"{self.bucket}/{self.key}-md5")
        return None if item is None else str(item.get("Digest", {}).get("S", ""))

    def write_digest(self, digest: str, *, instead_of: str | None) -> None:
        """Replace the digest, provided it still is what was looked at (None: that there was none; "": an empty one)."""
        item = {"LockID": {"S": f"{self.bucket}/{self.key}-md5"}, "Digest": {"S": digest}}
        with translated(f"write the state digest in {self.table}"):
            if instead_of is None:
                self._dynamodb.put_item(
                    TableName=self.table, Item=item, ConditionExpression="attribute_not_exists(LockID)"
                )
            else:
                self._dynamodb.put_item(
                    TableName=self.table,
                    Item=item,
                    ConditionExpression="Digest = :seen" if instead_of else f"{_EMPTY} OR Digest = :seen",
                    ExpressionAttributeValues={":seen": {"S": instead_of}},
                )

    def checked(self) -> bytes:
        """Return the state; raises IntegrityFailure where it and its digest disagree: every Terraform command would fail."""
        body, digest = self.body(), self.digest()
        if body is None or digest is None:
            missing = "state object" if body is None else "digest"
            raise IntegrityFailure(f"after the apply there is no {missing} for s3://{self.bucket}/{self.key}")
        if md5(body) != digest:
            raise IntegrityFailure(
                f"the state s3://{self.bucket}/{self.key} has MD5 {md5(body)} and its digest says {digest}",
                hint="lifeboat state doctor",
            )
        return body


def _copy_rule(rule: dict[str, Any]) -> CopyRule:
    chosen = rule.get("Filter", {})
    both = chosen.get("And", {})
    criteria = rule.get("SourceSelectionCriteria", {})
    return CopyRule(
        enabled=rule["Status"] == "Enabled",
        destination=str(rule["Destination"]["Bucket"]).rpartition(":")[2],
        prefix=str(rule.get("Prefix") or chosen.get("Prefix") or both.get("Prefix") or ""),
        by_tags=bool(chosen.get("Tag") or both.get("Tags")),
        encrypted=criteria.get("SseKmsEncryptedObjects", {}).get("Status") == "Enabled",
    )


def recorded(body: bytes | None) -> dict[Address, str]:
    """Return the addresses of all managed resources in a state, with their ids.

    What a replacement still has to destroy is not among them: its address is that of its successor.
    """
    if body is None:
        return {}
    return {
        state_address(resource, instance): str(instance.get("attributes", {}).get("id", ""))
        for resource in _document(body).get("resources", [])
        if resource["mode"] == "managed"
        for instance in resource["instances"]
        if "deposed" not in instance
    }


def database_identifiers(body: bytes | None) -> list[str]:
    """Return the names of the database instances in a state: their ids there are others."""
    if body is None:
        return []
    return [
        str(instance["attributes"]["identifier"])
        for resource in _document(body).get("resources", [])
        if (resource["mode"], resource["type"]) == ("managed", "aws_db_instance")
        for instance in resource["instances"]
        if "deposed" not in instance and instance.get("attributes")
    ]


def name_records(body: bytes | None) -> list[ManagedRecord]:
    """Return the simple DNS record sets that Terraform keeps, as its state says they are."""
    if body is None:
        return []
    resources = [r for r in _document(body).get("resources", []) if r["type"] == "aws_route53_record"]
    return [
        ManagedRecord(
            address=state_address(resource, instance),
            record=NameRecord(
                zone=ZoneId(values["zone_id"]),
                name=str(values["fqdn"]).rstrip(".").lower(),
                kind=values["type"],
                ttl=timedelta(seconds=values["ttl"]),
                values=tuple(sorted(values["records"])),
            ),
        )
        for resource in resources
        if resource["mode"] == "managed"
        for instance in resource["instances"]
        if (values := instance["attributes"]).get("records") and not values.get("set_identifier")
    ]


def serial_and_lineage(body: bytes) -> tuple[int | None, str | None]:
    """Return a state's serial and lineage; (None, None) when it is not a state."""
    try:
        document = _document(body)
    except Failed:
        return None, None
    serial, lineage = document.get("serial"), document.get("lineage")
    if (
        not isinstance(serial, int)
        or isinstance(serial, bool)
        or serial < 0
        or not isinstance(lineage, str)
        or not lineage
    ):
        return None, None
    return serial, lineage


def _document(body: bytes) -> dict[str, Any]:
    """Return a state as JSON; raises Failed where it is none. Terraform takes UTF-8 alone, with no byte order mark before it."""
    try:
        document = json.loads(body.decode())
    except (ValueError, RecursionError):
        # No error is chained: json's own carries the whole text, with all that is sensitive in it.
        raise Failed("the state is not JSON", hint="lifeboat state doctor") from None
    if not isinstance(document, dict):
        raise Failed("the state is JSON, but no object", hint="lifeboat state doctor")
    return document


def mark(body: bytes) -> StateMark | None:
    """Return which state it is; None when it is not a state."""
    serial, lineage = serial_and_lineage(body)
    return None if serial is None or lineage is None else StateMark(serial=serial, lineage=lineage, md5=md5(body))


def md5(body: bytes) -> str:
    """Return what Terraform writes into the table as the digest of a state."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()
