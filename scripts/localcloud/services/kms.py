"""KMS keys whose state matters: a disabled or doomed key serves nobody; rotation periods; replicas of their own."""

from __future__ import annotations

import struct
from collections.abc import Callable
from copy import copy
from datetime import timedelta
from typing import Any
from uuid import UUID

from moto.kms import utils
from moto.kms.models import KmsBackend

from localcloud.cloud import Cloud
from localcloud.operations import Answer, Call, Refused, around, operation

# Which operations a key refuses in a state: AWS KMS Developer Guide, "Key states of AWS KMS keys".
_USES = (
    "Encrypt", "Decrypt", "ReEncrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateMac", "VerifyMac",
    "Sign", "Verify", "GetPublicKey", "CreateGrant", "EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand",
    "ReplicateKey",
)  # fmt: skip
_CHANGES = ("CreateAlias", "UpdateAlias", "DisableKey", "EnableKey", "ScheduleKeyDeletion", "UpdateKeyDescription",
            "TagResource", "UntagResource")  # fmt: skip
DOOMED = ("PendingDeletion", "PendingReplicaDeletion")
DEFAULT_ROTATION_DAYS = 365


def find(cloud: Cloud, region: str, named: str) -> Any:
    """Return moto's key by id, ARN, alias or alias ARN; None when the region has none such."""
    parts = named.split(":")
    if len(parts) == 6 and parts[3] != region:
        return None
    backend = cloud.moto("kms", region)
    key_id = backend.any_id_to_key_id(named) if not named.startswith("alias/") or _known(backend, named) else None
    return backend.keys.get(key_id)


def _known(backend: Any, alias: str) -> bool:
    return backend.get_key_id_from_alias(alias) is not None


def region_of(named: str, otherwise: str) -> str:
    """Return the region that a key's ARN names."""
    parts = named.split(":")
    return parts[3] if len(parts) == 6 else otherwise


def why_unusable(key: Any) -> tuple[str, str] | None:
    """Return KMS's error code and text for using a key, or None when it is enabled."""
    if key.key_state in DOOMED:
        return "KMSInvalidStateException", f"{key.arn} is pending deletion."
    if key.key_state == "Disabled":
        return "DisabledException", f"{key.arn} is disabled."
    return None


def _named(call: Call) -> list[str]:
    names = [call.params[member] for member in ("KeyId", "TargetKeyId", "DestinationKeyId") if member in call.params]
    if call.operation in ("Decrypt", "ReEncrypt"):
        try:
            names.append(utils._deserialize_ciphertext_blob(call.params["CiphertextBlob"]).key_id)
        except (struct.error, ValueError) as error:
            raise Refused("InvalidCiphertextException", "The ciphertext is not one of AWS KMS.") from error
    return names


@around("kms", *_USES, *_CHANGES)
def refuse_by_state(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse what a key does not do in the state it is in."""
    for named in _named(call):
        key = find(call.cloud, call.region, named)
        reason = why_unusable(key) if key is not None else None
        if reason is not None and (call.operation in _USES or key.key_state in DOOMED):
            raise Refused(*reason)
    return proceed()


def _key(call: Call, named: str) -> Any:
    key = find(call.cloud, call.region, named)
    if key is None:
        arn = named if named.startswith("arn:") else f"arn:aws:kms:{call.region}:{call.account_id}:key/{named}"
        raise Refused("NotFoundException", f"Key '{arn}' does not exist")
    return key


def install(cloud: Cloud) -> None:
    """Let the operations on a key's state take its ARN, and multi-Region keys open what they sealed.

    moto looks only for ids there, and cuts the ids of multi-Region keys, 40 characters, to the 36 of other ids.
    """
    del cloud
    for name in ("enable_key", "disable_key", "cancel_key_deletion", "schedule_key_deletion"):
        setattr(KmsBackend, name, _taking_arns(getattr(KmsBackend, name)))
    serialize, deserialize = utils._serialize_ciphertext_blob, utils._deserialize_ciphertext_blob

    def sealed(ciphertext: Any) -> Any:
        found = ciphertext.key_id
        fitting = f"mrk-{UUID(found[4:]).hex}" if found.startswith("mrk-") else found
        return serialize(ciphertext._replace(key_id=fitting))

    def opened(ciphertext_blob: bytes) -> Any:
        ciphertext = deserialize(ciphertext_blob)
        found = ciphertext.key_id
        return ciphertext._replace(key_id=f"mrk-{UUID(found[4:])}" if found.startswith("mrk-") else found)

    utils._serialize_ciphertext_blob, utils._deserialize_ciphertext_blob = sealed, opened


def _taking_arns(original: Callable[..., Any]) -> Callable[..., Any]:
    def taking_arns(self: Any, key_id: str, *more: Any, **named: Any) -> Any:
        return original(self, key_id.rsplit("/", 1)[-1], *more, **named)

    return taking_arns


# -- rotation ----------------------------------------------------------------------------------------------------------


@operation("kms", "EnableKeyRotation")
def enable_rotation(call: Call, **asked: Any) -> dict[str, Any]:
    """Rotate a key every so many days; without a number the period stays, or becomes 365."""
    key = _key(call, asked["KeyId"])
    if key.key_spec != "SYMMETRIC_DEFAULT":
        raise Refused("UnsupportedOperationException", f"{key.arn} key spec is {key.key_spec} which does not rotate.")
    days = asked.get("RotationPeriodInDays") or getattr(key, "rotation_days", None) or DEFAULT_ROTATION_DAYS
    if not 90 <= days <= 2560:
        raise Refused(
            "ValidationException",
            f"1 validation error detected: Value '{days}' at 'rotationPeriodInDays' failed to satisfy constraint: "
            "Member must have value between 90 and 2560",
        )
    key.key_rotation_status, key.rotation_days, key.rotating_since = True, days, call.cloud.now()
    return {}


@operation("kms", "GetKeyRotationStatus")
def rotation_status(call: Call, **asked: Any) -> dict[str, Any]:
    """Return whether, how often and when next a key rotates."""
    key = _key(call, asked["KeyId"])
    if key.key_state in DOOMED or not key.key_rotation_status:
        return {"KeyId": key.id, "KeyRotationEnabled": False}
    days = getattr(key, "rotation_days", DEFAULT_ROTATION_DAYS)
    since = getattr(key, "rotating_since", call.cloud.now())
    return {
        "KeyId": key.id,
        "KeyRotationEnabled": True,
        "RotationPeriodInDays": days,
        "NextRotationDate": since + timedelta(days=days),
    }


# -- deletion ----------------------------------------------------------------------------------------------------------


@around("kms", "ScheduleKeyDeletion")
def schedule_deletion(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse a wrong waiting time; a primary key waits for its replicas to go."""
    days = call.params.get("PendingWindowInDays", 30)
    if not 7 <= days <= 30:
        raise Refused(
            "ValidationException",
            f"1 validation error detected: Value '{days}' at 'pendingWindowInDays' failed to satisfy constraint: "
            "Member must have value between 7 and 30",
        )
    answer = proceed()
    key = _key(call, call.params["KeyId"])
    replicas = key.multi_region_configuration["ReplicaKeys"] if key.multi_region else []
    primary = key.multi_region and key.multi_region_configuration["MultiRegionKeyType"] == "PRIMARY"
    left = [found for found in replicas if _state(call.cloud, found) not in (*DOOMED, None)]
    if answer.status == 200 and primary and left:
        key.key_state = "PendingReplicaDeletion"
    return answer


def _state(cloud: Cloud, replica: dict[str, str]) -> str | None:
    key = cloud.moto("kms", replica["Region"]).keys.get(replica["Arn"].rsplit("/", 1)[-1])
    return None if key is None else str(key.key_state)


@around("kms", "CancelKeyDeletion")
def cancel_deletion(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse to save a key that nobody wants to delete."""
    key = _key(call, call.params["KeyId"])
    if key.key_state not in DOOMED:
        raise Refused("KMSInvalidStateException", f"{key.arn} is not pending deletion.")
    return proceed()


# -- replicas ----------------------------------------------------------------------------------------------------------


@operation("kms", "ReplicateKey")
def replicate(call: Call, **asked: Any) -> dict[str, Any]:
    """Make a replica with the same material and a state, policy and aliases of its own."""
    primary, region = _key(call, asked["KeyId"]), asked["ReplicaRegion"]
    shared = primary.multi_region_configuration if primary.multi_region else None
    if shared is None or shared["MultiRegionKeyType"] != "PRIMARY":
        raise Refused("UnsupportedOperationException", f"{primary.arn} is not a multi-Region primary key.")
    target = call.cloud.moto("kms", region)
    if primary.id in target.keys or region == call.region:
        raise Refused("AlreadyExistsException", f"Replica key {primary.id} already exists in {region}.")
    replica = copy(primary)
    replica.region, replica.arn = region, primary.arn.replace(f":{call.region}:", f":{region}:")
    replica.description = asked.get("Description", "")
    replica.aliases, replica.grants, replica.rotations = {}, {}, []
    replica.key_state, replica.enabled, replica.deletion_date = "Enabled", True, None
    replica.policy = asked.get("Policy") or replica.generate_default_policy()
    listed = [*shared["ReplicaKeys"], {"Arn": replica.arn, "Region": region}]
    target.keys[replica.id] = replica
    if asked.get("Tags"):
        target.tagger.tag_resource(replica.id, asked["Tags"])
    _share(call.cloud, primary, listed)
    return {
        "ReplicaKeyMetadata": replica.to_dict()["KeyMetadata"],
        "ReplicaPolicy": replica.policy,
        "ReplicaTags": asked.get("Tags", []),
    }


def _share(cloud: Cloud, primary: Any, replicas: list[dict[str, str]]) -> None:
    """Tell a primary and its replicas of each other; moto would make them one object, and the primary a replica."""
    itself = {"Arn": primary.arn, "Region": primary.region}
    for region in [primary.region, *(replica["Region"] for replica in replicas)]:
        key = cloud.moto("kms", region).keys[primary.id]
        key.multi_region_configuration = {
            "MultiRegionKeyType": "PRIMARY" if region == primary.region else "REPLICA",
            "PrimaryKey": dict(itself),
            "ReplicaKeys": [dict(replica) for replica in replicas],
        }
