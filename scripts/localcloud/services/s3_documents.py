"""Bucket documents handed back exactly as they were put: lifecycle, replication, notification, lock, tiering.

moto renders them anew and loses fields, over which the provider never comes to rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from localcloud.cloud import Cloud
from localcloud.operations import Answer, Call, Refused, operation
from localcloud.services import s3_objects as objects
from localcloud.services.s3_requests import passed

STORE = "s3-documents"
SIZE_HEADER = "x-amz-transition-default-minimum-object-size"
DEFAULT_SIZE = "all_storage_classes_128K"
XML = [("Content-Type", "application/xml")]
# Days below which S3 refuses a transition to a class.
LEAST_DAYS = {"STANDARD_IA": 30, "ONEZONE_IA": 30}


def document(cloud: Cloud, bucket: str, kind: str) -> ElementTree.Element | None:
    """Return what was put as `kind` (lifecycle, replication, notification), without namespaces, or None."""
    kept = cloud.store(STORE).get((bucket, kind))
    return None if kept is None else _tree(kept["body"])


def _tree(body: bytes) -> ElementTree.Element:
    try:
        root = ElementTree.fromstring(re.sub(rb'\sxmlns="[^"]*"', b"", body))  # noqa: S314 (of our own user)
    except ElementTree.ParseError as error:
        raise _malformed() from error
    return root


def _malformed() -> Refused:
    text = "The XML you provided was not well-formed or did not validate against our published schema"
    return Refused("MalformedXML", text)


def _keep(call: Call, kind: str, **more: str) -> None:
    call.cloud.store(STORE)[(call.params["Bucket"], kind)] = {"body": call.body, **more}


def _kept(call: Call, kind: str) -> dict[str, Any] | None:
    objects.bucket(call.cloud, call.params["Bucket"])
    return call.cloud.store(STORE).get((call.params["Bucket"], kind))


@passed("DeleteBucket")
def forget_documents(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Forget the documents of a bucket that is gone."""
    answer = proceed()
    if answer.status < 300:
        store = call.cloud.store(STORE)
        for found in [entry for entry in store if entry[0] == call.params["Bucket"]]:
            del store[found]
    return answer


# -- lifecycle ---------------------------------------------------------------------------------------------------------


@passed("PutBucketLifecycleConfiguration", "PutBucketLifecycle")
def put_lifecycle(call: Call, _proceed: Callable[[], Answer]) -> Answer:
    """Keep a lifecycle document that S3 would take."""
    objects.bucket(call.cloud, call.params["Bucket"])
    rules = _tree(call.body).findall("Rule")
    if not rules:
        raise _malformed()
    names = [rule.findtext("ID") for rule in rules if rule.findtext("ID")]
    if len(names) != len(set(names)):
        raise Refused("InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule")
    for rule in rules:
        _check_lifecycle_rule(rule)
    size = call.headers.get(SIZE_HEADER) or DEFAULT_SIZE
    if size not in (DEFAULT_SIZE, "varies_by_storage_class"):
        raise Refused("InvalidRequest", "Invalid value for transition default minimum object size")
    _keep(call, "lifecycle", size=size)
    return Answer(200, [(SIZE_HEADER, size)], b"")


def _check_lifecycle_rule(rule: ElementTree.Element) -> None:
    actions = ("Expiration", "Transition", "NoncurrentVersionExpiration", "NoncurrentVersionTransition")
    if rule.findtext("Status") not in ("Enabled", "Disabled"):
        raise _malformed()
    if (rule.find("Filter") is None) == (rule.find("Prefix") is None):
        raise _malformed()
    if not any(rule.find(action) is not None for action in (*actions, "AbortIncompleteMultipartUpload")):
        raise Refused("InvalidRequest", "At least one action needs to be specified in a rule")
    expiration = rule.find("Expiration")
    if expiration is not None and len(expiration) != 1:
        raise _malformed()
    for path, wording in (
        ("Expiration/Days", "'Days' for Expiration action"),
        ("NoncurrentVersionExpiration/NoncurrentDays", "'NoncurrentDays' for NoncurrentVersionExpiration action"),
        (
            "AbortIncompleteMultipartUpload/DaysAfterInitiation",
            "'DaysAfterInitiation' for AbortIncompleteMultipartUpload",
        ),
    ):
        days = rule.findtext(path)
        if days is not None and int(days) <= 0:
            raise Refused("InvalidArgument", f"{wording} must be a positive integer")
    for kind, member, expires in (
        ("Transition", "Days", "Expiration/Days"),
        ("NoncurrentVersionTransition", "NoncurrentDays", "NoncurrentVersionExpiration/NoncurrentDays"),
    ):
        for transition in rule.findall(kind):
            _check_transition(rule, kind, transition, member, rule.findtext(expires))
    filtered = rule.find("Filter")
    tagged = filtered is not None and (filtered.find("Tag") is not None or filtered.find("And/Tag") is not None)
    marker = rule.find("Expiration/ExpiredObjectDeleteMarker") is not None
    if tagged and (marker or rule.find("AbortIncompleteMultipartUpload") is not None):
        action = "ExpiredObjectDeleteMarker" if marker else "AbortIncompleteMultipartUpload"
        raise Refused("InvalidRequest", f"{action} cannot be specified with Tags.")


def _check_transition(
    rule: ElementTree.Element, kind: str, transition: ElementTree.Element, member: str, expires: str | None
) -> None:
    days, storage = transition.findtext(member), transition.findtext("StorageClass") or ""
    if days is None:
        return
    if int(days) < LEAST_DAYS.get(storage, 0):
        text = f"'{member}' in {kind} action must be greater than or equal to {LEAST_DAYS[storage]} for storageClass '{storage}'"
        raise Refused("InvalidArgument", text)
    if expires is not None and int(days) >= int(expires):
        name = rule.findtext("ID") or ""
        raise Refused(
            "InvalidArgument",
            f"'{member}' in the Expiration action for rule '{name}' must be greater than '{member}' in the {kind} action",
        )


@passed("GetBucketLifecycleConfiguration", "GetBucketLifecycle")
def get_lifecycle(call: Call, _proceed: Callable[[], Answer]) -> Answer:
    """Hand back the lifecycle document."""
    kept = _kept(call, "lifecycle")
    if kept is None:
        raise Refused("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist", 404)
    return Answer(200, [*XML, (SIZE_HEADER, kept["size"])], kept["body"])


@passed("DeleteBucketLifecycle", "DeleteBucketReplication")
def delete_document(call: Call, _proceed: Callable[[], Answer]) -> Answer:
    """Forget a lifecycle or replication document."""
    kind = call.operation.removeprefix("DeleteBucket").lower()
    objects.bucket(call.cloud, call.params["Bucket"])
    call.cloud.store(STORE).pop((call.params["Bucket"], kind), None)
    return Answer(204, [], b"")


# -- replication -------------------------------------------------------------------------------------------------------


@passed("PutBucketReplication")
def put_replication(call: Call, _proceed: Callable[[], Answer]) -> Answer:
    """Keep a replication document that S3 would take."""
    source = objects.bucket(call.cloud, call.params["Bucket"])
    if source.versioning_status != "Enabled":
        raise Refused(
            "InvalidRequest", "Versioning must be 'Enabled' on the bucket to apply a replication configuration"
        )
    root = _tree(call.body)
    rules = root.findall("Rule")
    if not rules or not root.findtext("Role"):
        raise _malformed()
    priorities = [rule.findtext("Priority") for rule in rules]
    if len(rules) > 1 and len(priorities) != len(set(priorities)):
        raise Refused("InvalidRequest", "Found duplicate priorities in the replication configuration")
    for rule in rules:
        _check_replication_rule(call.cloud, rule)
    _keep(call, "replication")
    return Answer(200, [], b"")


def _check_replication_rule(cloud: Cloud, rule: ElementTree.Element) -> None:
    arn = rule.findtext("Destination/Bucket") or ""
    destination = cloud.moto("s3", "aws").buckets.get(arn.rsplit(":", 1)[-1])
    if destination is None:
        raise Refused("InvalidRequest", "Destination bucket must exist.")
    if destination.versioning_status != "Enabled":
        raise Refused("InvalidRequest", "Destination bucket must have versioning enabled.")
    if rule.find("Filter") is not None and rule.find("DeleteMarkerReplication") is None:
        text = "DeleteMarkerReplication must be specified for this version of Cross Region Replication configuration schema."
        raise Refused("InvalidRequest", text)
    sealed = rule.findtext("SourceSelectionCriteria/SseKmsEncryptedObjects/Status") == "Enabled"
    if sealed and not rule.findtext("Destination/EncryptionConfiguration/ReplicaKmsKeyID"):
        raise Refused("InvalidRequest", "ReplicaKmsKeyID must be specified if SseKmsEncryptedObjects tag is present.")
    if rule.find("Destination/ReplicationTime") is not None and rule.find("Destination/Metrics") is None:
        raise Refused("InvalidRequest", "Metrics must be specified when ReplicationTime is.")


@passed("GetBucketReplication")
def get_replication(call: Call, _proceed: Callable[[], Answer]) -> Answer:
    """Hand back the replication document."""
    kept = _kept(call, "replication")
    if kept is None:
        raise Refused("ReplicationConfigurationNotFoundError", "The replication configuration was not found", 404)
    return Answer(200, XML, kept["body"])


# -- notification ------------------------------------------------------------------------------------------------------


@passed("PutBucketNotificationConfiguration", "PutBucketNotification")
def put_notification(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Keep a notification document beside moto, which delivers by it."""
    root = _tree(call.body)
    for arn in (found.text or "" for found in root.iter("Topic")):
        topics = call.cloud.moto("sns", arn.split(":")[3]).topics if arn.count(":") == 5 else {}
        if arn not in topics:
            raise Refused("InvalidArgument", "Unable to validate the following destination configurations")
    answer = proceed()
    if answer.status < 300:
        _keep(call, "notification")
    return answer


@passed("GetBucketNotificationConfiguration", "GetBucketNotification")
def get_notification(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Hand back the notification document."""
    kept = _kept(call, "notification")
    return proceed() if kept is None else Answer(200, XML, kept["body"])


# -- object lock -------------------------------------------------------------------------------------------------------


@passed("PutObjectLockConfiguration")
def put_object_lock(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Keep an object lock document beside moto, which locks by it."""
    answer = proceed()
    if answer.status < 300:
        _keep(call, "object-lock")
    return answer


@passed("GetObjectLockConfiguration")
def get_object_lock(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Hand back the object lock document."""
    kept = _kept(call, "object-lock")
    return proceed() if kept is None else Answer(200, XML, kept["body"])


# -- intelligent tiering -----------------------------------------------------------------------------------------------


def _tiering(call: Call) -> dict[str, dict[str, Any]]:
    objects.bucket(call.cloud, call.params["Bucket"])
    kept: dict[str, dict[str, Any]] = call.cloud.store(STORE).setdefault((call.params["Bucket"], "tiering"), {})
    return kept


@operation("s3", "PutBucketIntelligentTieringConfiguration")
def put_tiering(call: Call, **asked: Any) -> dict[str, Any]:
    """Keep one tiering configuration."""
    wanted = asked["IntelligentTieringConfiguration"]
    if wanted["Id"] != asked["Id"] or not wanted.get("Tierings"):
        raise _malformed()
    least = {"ARCHIVE_ACCESS": 90, "DEEP_ARCHIVE_ACCESS": 180}
    for tier in wanted["Tierings"]:
        if not least[tier["AccessTier"]] <= tier["Days"] <= 730:
            raise Refused(
                "InvalidArgument", f"Days of {tier['AccessTier']} must be {least[tier['AccessTier']]} to 730."
            )
    _tiering(call)[asked["Id"]] = wanted
    return {}


@operation("s3", "GetBucketIntelligentTieringConfiguration")
def get_tiering(call: Call, **asked: Any) -> dict[str, Any]:
    """Hand back one tiering configuration."""
    found = _tiering(call).get(asked["Id"])
    if found is None:
        raise Refused("NoSuchConfiguration", "The specified configuration does not exist.", 404)
    return {"IntelligentTieringConfiguration": found}


@operation("s3", "ListBucketIntelligentTieringConfigurations")
def list_tiering(call: Call, **_asked: Any) -> dict[str, Any]:
    """List the tiering configurations."""
    return {"IsTruncated": False, "IntelligentTieringConfigurationList": list(_tiering(call).values())}


@operation("s3", "DeleteBucketIntelligentTieringConfiguration")
def delete_tiering(call: Call, **asked: Any) -> dict[str, Any]:
    """Forget one tiering configuration."""
    if _tiering(call).pop(asked["Id"], None) is None:
        raise Refused("NoSuchConfiguration", "The specified configuration does not exist.", 404)
    return {}
