"""S3 replication that copies: new objects of a bucket appear in its destination, with everything that makes them up."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from moto.s3.models import FakeDeleteMarker

from localcloud.cloud import Cloud
from localcloud.operations import Answer, Call, Refused
from localcloud.services import backup_access, s3_documents, s3_encryption
from localcloud.services import s3_objects as objects
from localcloud.services.s3_requests import passed

LOG = logging.getLogger("localcloud.s3")
PENDING, COMPLETED, FAILED, REPLICA = "PENDING", "COMPLETED", "FAILED", "REPLICA"
_WAITING: queue.SimpleQueue[tuple[str, str, str]] = queue.SimpleQueue()  # bucket, key, version


class _Impossible(Exception):
    """Why an object cannot be copied."""


def install(cloud: Cloud) -> None:
    """Copy what waits, one object after the other so that versions keep their order; go on after a restart."""

    def work() -> None:
        while not cloud.stopping.is_set():
            try:
                bucket, key, version = _WAITING.get(timeout=1)
            except queue.Empty:
                continue
            with cloud.gate.working():
                try:
                    _replicate(cloud, bucket, key, version)
                except Exception:
                    LOG.exception("replication of %s/%s (%s)", bucket, key, version)
            cloud.changed()

    def start(cloud: Cloud) -> None:
        for bucket in cloud.moto("s3", "aws").buckets.values():
            for _, versions in bucket.keys.lists():
                for found in versions:
                    if getattr(found, "replication_status", None) == PENDING:
                        _WAITING.put((bucket.name, found.name, found.version_id))

    cloud.on_start(start)
    cloud.background(work, name="s3-replication")


# -- what is to be copied ----------------------------------------------------------------------------------------------


@passed("PutObject", "CopyObject", "CompleteMultipartUpload")
def replicate_the_new(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Let a new object be copied if a rule of its bucket covers it."""
    answer = proceed()
    if answer.status == 200:
        _submit(call.cloud, call.params["Bucket"], call.params["Key"], answer.header("x-amz-version-id"))
    return answer


@passed("DeleteObject", "DeleteObjects")
def replicate_the_marker(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Let a new delete marker be copied if a rule of its bucket says so; deletions of versions never are."""
    answer = proceed()
    if answer.status < 300:
        entries = call.params["Delete"]["Objects"] if call.operation == "DeleteObjects" else [call.params]
        for entry in entries:
            if not entry.get("VersionId"):
                _submit(call.cloud, call.params["Bucket"], entry["Key"], None)
    return answer


def _submit(cloud: Cloud, bucket: str, key: str, version: str | None) -> None:
    found = objects.version(cloud, bucket, key, version)
    if found is None or getattr(found, "replication_status", None) is not None:
        return
    if _rule(cloud, bucket, found) is not None:
        found.replication_status = PENDING
        _WAITING.put((bucket, key, found.version_id))


def _rule(cloud: Cloud, bucket: str, found: Any) -> ElementTree.Element | None:
    """Return the rule of highest priority that covers a version; None when it is not to be copied."""
    document = s3_documents.document(cloud, bucket, "replication")
    rules = [] if document is None else document.findall("Rule")
    rules.sort(key=lambda rule: -int(rule.findtext("Priority") or 0))
    for rule in rules:
        if rule.findtext("Status") == "Enabled" and _covers(cloud, rule, found):
            return rule
    return None


def _covers(cloud: Cloud, rule: ElementTree.Element, found: Any) -> bool:
    prefixes = [rule.findtext(path) for path in ("Prefix", "Filter/Prefix", "Filter/And/Prefix")]
    if not found.name.startswith(next((prefix for prefix in prefixes if prefix), "")):
        return False
    tags = [*rule.findall("Filter/Tag"), *rule.findall("Filter/And/Tag")]
    if objects.is_marker(found):
        # Rules of the first schema (without Filter) always copied markers.
        status = rule.findtext("DeleteMarkerReplication/Status")
        return not tags and (status == "Enabled" or (status is None and rule.find("Filter") is None))
    have = cloud.moto("s3", "aws").tagger.get_tag_dict_for_resource(found.arn)
    if any(have.get(tag.findtext("Key")) != tag.findtext("Value") for tag in tags):
        return False
    sealed = (found.encryption or "").startswith("aws:kms")
    return not sealed or rule.findtext("SourceSelectionCriteria/SseKmsEncryptedObjects/Status") == "Enabled"


# -- the copy ----------------------------------------------------------------------------------------------------------


def _replicate(cloud: Cloud, bucket_name: str, key: str, version_id: str) -> None:
    source = cloud.moto("s3", "aws").buckets.get(bucket_name)
    found = objects.version(cloud, bucket_name, key, version_id) if source is not None else None
    if found is None or getattr(found, "replication_status", None) != PENDING:
        return
    rule = _rule(cloud, bucket_name, found)
    if rule is None:
        found.replication_status = FAILED
        return
    target_name = (rule.findtext("Destination/Bucket") or "").rsplit(":", 1)[-1]
    try:
        target = cloud.moto("s3", "aws").buckets.get(target_name)
        if target is None or target.versioning_status != "Enabled":
            raise _Impossible(f"the bucket {target_name} does not exist or keeps no versions")
        _may(cloud, s3_documents.document(cloud, bucket_name, "replication"), rule)
        if objects.is_marker(found):
            _copy_marker(target, found)
        else:
            _copy_object(cloud, source, target, found, rule)
    except (_Impossible, Refused) as error:
        LOG.warning("replication of %s/%s (%s) failed: %s", bucket_name, key, version_id, error)
        found.replication_status = FAILED
        _measure(cloud, source, target_name, rule)
        return
    found.replication_status = COMPLETED


def _may(cloud: Cloud, document: ElementTree.Element | None, rule: ElementTree.Element) -> None:
    role = "" if document is None else document.findtext("Role") or ""
    if not backup_access.assumable(cloud, role, "s3.amazonaws.com"):
        raise _Impossible(f"S3 may not assume {role}")
    needed = ["s3:GetObjectVersionForReplication", "s3:ReplicateObject"]
    if rule.findtext("SourceSelectionCriteria/SseKmsEncryptedObjects/Status") == "Enabled":
        needed += ["kms:Decrypt", "kms:Encrypt"]
    missing = [action for action in needed if not backup_access.role_allows(cloud, role, action)]
    if missing:
        raise _Impossible(f"{role} may not {', '.join(missing)}")


def _copy_marker(target: Any, found: Any) -> None:
    if target.keys.getlist(found.name):
        marker = FakeDeleteMarker(key=target.keys[found.name])
        marker._version_id = found.version_id
        marker.replication_status = REPLICA
        target.keys[found.name] = marker


def _copy_object(cloud: Cloud, source: Any, target: Any, found: Any, rule: ElementTree.Element) -> None:
    backend = cloud.moto("s3", "aws")
    encryption, key = found.encryption, None
    if (encryption or "").startswith("aws:kms"):
        s3_encryption.require_key(cloud, source.region_name, found.kms_key_id)
        key = rule.findtext("Destination/EncryptionConfiguration/ReplicaKmsKeyID")
        s3_encryption.require_key(cloud, target.region_name, key)
    lock = {"lock_mode": found.lock_mode, "lock_until": found.lock_until, "lock_legal_status": found.lock_legal_status}
    if not target.object_lock_enabled:
        if found.lock_mode or found.lock_legal_status:
            raise _Impossible(f"{target.name} has no object lock, which the object needs")
    elif not found.lock_mode and target.has_default_lock:
        lock |= {"lock_mode": target.default_lock_mode, "lock_until": target.default_retention()}
    copied = backend.put_object(
        target.name,
        found.name,
        found.value,
        storage=rule.findtext("Destination/StorageClass") or found.storage_class,
        etag=found.etag.strip('"'),
        multipart=found.multipart,
        encryption=encryption,
        kms_key_id=key,
        bucket_key_enabled=found.bucket_key_enabled,
        **lock,
    )
    copied._version_id = found.version_id
    copied.last_modified = found.last_modified
    copied.set_metadata(dict(found.metadata))
    for name in ("checksum_algorithm", "checksum_value", "checksum_type", "checksum_parts"):
        setattr(copied, name, getattr(found, name))
    copied.replication_status = REPLICA
    tags = backend.tagger.get_tag_dict_for_resource(found.arn)
    if tags:
        backend.put_object_tagging(copied, tags)


def _measure(cloud: Cloud, source: Any, target_name: str, rule: ElementTree.Element) -> None:
    """Count a failure where the rule has metrics, as S3 does."""
    if rule.findtext("Destination/Metrics/Status") != "Enabled":
        return
    dimensions = {"SourceBucket": source.name, "DestinationBucket": target_name, "RuleId": rule.findtext("ID") or ""}
    cloud.client("cloudwatch", source.region_name).put_metric_data(
        Namespace="AWS/S3",
        MetricData=[
            {
                "MetricName": "OperationsFailedReplication",
                "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
                "Value": 1,
                "Unit": "Count",
            }
        ],
    )


@passed("HeadObject", "GetObject")
def show_the_status(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Say of an object whether its copy has arrived, or that it is one."""
    answer = proceed()
    if answer.status in (200, 206):
        shown = objects.version(call.cloud, call.params["Bucket"], call.params["Key"], call.params.get("VersionId"))
        status = getattr(shown, "replication_status", None)
        if status is not None:
            answer.headers.append(("x-amz-replication-status", status))
    return answer
