"""EC2 operations that moto lacks or cuts short: monitoring, account defaults of EBS, rule descriptions, pages, keys."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode
from xml.etree import ElementTree

from moto.ec2.models.elastic_block_store import EBSBackend
from moto.ec2.models.instances import StateReason
from moto.ec2.models.security_groups import SecurityGroupRule

from localcloud.cloud import Cloud
from localcloud.operations import Answer, Call, Refused, around, operation
from localcloud.services import kms

_NAMESPACE = re.compile(rb'\sxmlns="[^"]*"')
# Operation → what it lists, and the least and most MaxResults.
PAGED = {
    "DescribeSnapshots": ("snapshot", 5, 1000),
    "DescribeVolumes": ("volume", 5, 500),
    "DescribeImages": ("image", 1, 1000),
}
BLOCKS = {
    "SnapshotBlockPublicAccess": ("block-all-sharing", "block-new-sharing"),
    "ImageBlockPublicAccess": ("block-new-sharing",),
}
UNBLOCKED = "unblocked"


def _settings(call: Call) -> dict[str, Any]:
    return call.cloud.store("ec2-settings", call.region)


# -- monitoring --------------------------------------------------------------------------------------------------------


@operation("ec2", "MonitorInstances", "UnmonitorInstances")
def monitor(call: Call, **asked: Any) -> dict[str, Any]:
    """Switch detailed monitoring of instances on or off."""
    backend = call.cloud.moto("ec2", call.region)
    known = {instance.id: instance for instance in backend.all_instances()}
    unknown = [name for name in asked["InstanceIds"] if name not in known]
    if unknown:
        raise Refused("InvalidInstanceID.NotFound", f"The instance ID '{unknown[0]}' does not exist")
    state = "enabled" if call.operation == "MonitorInstances" else "disabled"
    for name in asked["InstanceIds"]:
        known[name].monitoring_state = state
    return {
        "InstanceMonitorings": [{"InstanceId": name, "Monitoring": {"State": state}} for name in asked["InstanceIds"]]
    }


# -- defaults of the account in a region -------------------------------------------------------------------------------


@operation("ec2", "GetEbsDefaultKmsKeyId", "ModifyEbsDefaultKmsKeyId", "ResetEbsDefaultKmsKeyId")
def default_key(call: Call, **asked: Any) -> dict[str, Any]:
    """Return, set or reset the key that new encrypted volumes of the region take."""
    if call.operation == "ModifyEbsDefaultKmsKeyId":
        _settings(call)["key"] = _usable_key(call, asked["KmsKeyId"])
    if call.operation == "ResetEbsDefaultKmsKeyId":
        _settings(call).pop("key", None)
    if not call.operation.startswith("Get"):
        call.cloud.moto("ec2", call.region).default_kms_key_id = None  # asked for again when needed
    return {"KmsKeyId": _settings(call).get("key", "alias/aws/ebs")}


def _usable_key(call: Call, named: str) -> str:
    key = kms.find(call.cloud, call.region, named)
    if key is None:
        raise Refused("InvalidKmsKey.NotFound", f"The KMS key {named} does not exist in {call.region}")
    if kms.why_unusable(key) is not None:
        raise Refused("InvalidKmsKey.InvalidState", f"The KMS key {named} is in state {key.key_state}")
    return str(key.arn)


@operation(
    "ec2", *(f"{verb}{what}" for what in BLOCKS for verb in ("Enable", "Disable")), "GetSnapshotBlockPublicAccessState",
    "GetImageBlockPublicAccessState",
)  # fmt: skip
def block_public_access(call: Call, **asked: Any) -> dict[str, Any]:
    """Return or set whether snapshots or images of the region can be shared with everybody."""
    what = next(name for name in BLOCKS if name in call.operation)
    member = "State" if what.startswith("Snapshot") else "ImageBlockPublicAccessState"
    if call.operation.startswith("Enable"):
        wanted = asked.get(member)
        if wanted not in BLOCKS[what]:
            raise Refused("InvalidParameterValue", f"Invalid value '{wanted}' for {member}")
        _settings(call)[what] = wanted
    if call.operation.startswith("Disable"):
        _settings(call)[what] = UNBLOCKED
    state = _settings(call).get(what, UNBLOCKED if what.startswith("Snapshot") else "block-new-sharing")
    return {member: state}


@around("ec2", "ModifySnapshotAttribute", "ModifyImageAttribute")
def obey_the_block(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse to share with everybody what the region's setting keeps in."""
    what = "SnapshotBlockPublicAccess" if "Snapshot" in call.operation else "ImageBlockPublicAccess"
    permissions = call.params.get("CreateVolumePermission") or call.params.get("LaunchPermission") or {}
    groups = [entry.get("Group") for entry in permissions.get("Add", [])]
    if call.params.get("OperationType") == "add":
        groups += [*call.params.get("GroupNames", []), *call.params.get("UserGroups", [])]
    default = UNBLOCKED if what.startswith("Snapshot") else "block-new-sharing"
    if "all" in groups and _settings(call).get(what, default) != UNBLOCKED:
        raise Refused(
            "OperationNotPermitted",
            "You can't publicly share this because block public access is enabled in this Region.",
        )
    return proceed()


# -- keys --------------------------------------------------------------------------------------------------------------


@around("ec2", "CreateVolume", "CreateSnapshot", "CreateSnapshots", "CopySnapshot", "CopyImage")
def need_the_key(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse to read or write encrypted blocks when their key cannot be used."""
    backend = call.cloud.moto("ec2", call.region)
    keys: list[tuple[str, str | None]] = [(call.region, call.params.get("KmsKeyId"))]
    region = call.params.get("SourceRegion", call.region)
    source = call.cloud.moto("ec2", region)
    for snapshot_id in (call.params.get("SnapshotId"), call.params.get("SourceSnapshotId")):
        keys.append((region, _key_of(source.snapshots.get(snapshot_id))))
    image = source.amis.get(call.params.get("SourceImageId"))
    for mapping in getattr(image, "mappings", []):
        keys.append((region, _key_of(source.snapshots.get(mapping.get("Ebs", {}).get("SnapshotId")))))
    volumes = [backend.volumes.get(call.params.get("VolumeId"))]
    instance = call.params.get("InstanceSpecification", {}).get("InstanceId")
    if instance is not None:
        volumes += [found for found in backend.volumes.values() if _attached_to(found) == instance]
    keys += [(call.region, _key_of(volume)) for volume in volumes]
    for place, named in keys:
        key = kms.find(call.cloud, place, named) if named else None
        if key is not None and kms.why_unusable(key) is not None:
            raise Refused("InvalidKmsKey.InvalidState", f"The KMS key {key.arn} is in state {key.key_state}")
    return proceed()


@around("ec2", "CreateVolume")
def seal_as_the_snapshot_is(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Let a volume of an encrypted snapshot be encrypted with the same key when the request names none."""
    snapshot = call.cloud.moto("ec2", call.region).snapshots.get(call.params.get("SnapshotId"))
    key = _key_of(snapshot)
    if key is not None and not call.params.get("KmsKeyId"):
        form = {name: value for name, value in parse_qsl(call.body.decode()) if name != "Encrypted"}
        call.body = urlencode({**form, "Encrypted": "true", "KmsKeyId": key}).encode()
        call.environ["CONTENT_LENGTH"] = str(len(call.body))
    return proceed()


@around("ec2", "RunInstances")
def fail_without_the_key(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """End an instance at once whose image needs a key that cannot be used; the request itself succeeds, as in AWS."""
    answer = proceed()
    backend = call.cloud.moto("ec2", call.region)
    image = backend.amis.get(call.params.get("ImageId"))
    snapshots = [
        backend.snapshots.get(entry.get("Ebs", {}).get("SnapshotId")) for entry in getattr(image, "mappings", [])
    ]
    wanted = [entry.get("Ebs", {}).get("KmsKeyId") for entry in call.params.get("BlockDeviceMappings", [])]
    named = [name for name in [*(_key_of(snapshot) for snapshot in snapshots), *wanted] if name]
    keys = [key for key in (kms.find(call.cloud, call.region, name) for name in named) if key is not None]
    if answer.status == 200 and any(kms.why_unusable(key) is not None for key in keys):
        started = [found.decode() for found in re.findall(rb"<instanceId>(i-[0-9a-f]+)</instanceId>", answer.body)]
        backend.terminate_instances(started)
        for instance in backend.get_multi_instances_by_id(started):
            instance.state_reason = StateReason(
                "Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state",
                "Client.InvalidKMSKey.InvalidState",
            )
    return answer


def _key_of(blocks: Any) -> str | None:
    return getattr(blocks, "kms_key_id", None) if blocks is not None and blocks.encrypted else None


def _attached_to(volume: Any) -> str | None:
    return volume.attachment.instance.id if volume.attachment else None


# -- listings ----------------------------------------------------------------------------------------------------------


@around("ec2", *PAGED)
def in_pages(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Cut a listing into pages when the client asks for them."""
    kind, least, most = PAGED[call.operation]
    ids = f"{kind.capitalize()}Ids"
    size, token = call.params.get("MaxResults"), call.params.get("NextToken")
    if size is not None and call.params.get(ids):
        text = f"The parameter {ids} cannot be used with the parameter maxResults"
        raise Refused("InvalidParameterCombination", text)
    if size is not None and size < least:
        text = (
            f"Value ( {size} ) for parameter maxResults is invalid. Expecting a value greater than or equal to {least}."
        )
        raise Refused("InvalidParameterValue", text)
    if token is not None and not re.fullmatch(r"after-[\w-]+", token):
        raise Refused("InvalidParameterValue", f"The token '{token}' is invalid")
    answer = proceed()
    if answer.status != 200 or (size is None and token is None):
        return answer
    root = _document(answer)
    listing = root.find("imagesSet" if kind == "image" else f"{kind}Set")
    if listing is None:
        return answer

    def name(entry: ElementTree.Element) -> str:
        return entry.findtext(f"{kind}Id") or ""

    rest = [entry for entry in sorted(listing, key=name) if token is None or name(entry) > token.removeprefix("after-")]
    shown = rest[: min(size or most, most)]
    listing[:] = shown
    if len(shown) < len(rest):
        ElementTree.SubElement(root, "nextToken").text = f"after-{name(shown[-1])}"
    answer.body = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return answer


@around("ec2", "DescribeImages")
def without_disabled_images(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Leave disabled images out unless they are asked for (API reference, IncludeDisabled)."""
    answer = proceed()
    disabled = {
        image.id for image in list(call.cloud.moto("ec2", call.region).amis.values()) if image.state == "disabled"
    }
    if answer.status != 200 or not disabled or call.params.get("IncludeDisabled"):
        return answer
    root = _document(answer)
    listing = root.find("imagesSet")
    for entry in list(listing) if listing is not None else []:
        if listing is not None and entry.findtext("imageId") in disabled:
            listing.remove(entry)
    answer.body = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return answer


def _document(answer: Answer) -> ElementTree.Element:
    return ElementTree.fromstring(_NAMESPACE.sub(b"", answer.body))  # noqa: S314 (moto wrote it)


# -- moto's own records ------------------------------------------------------------------------------------------------


def install(cloud: Cloud) -> None:
    """Keep the description of a rule whose other side is a group; let the region's default key be used."""
    amazons = EBSBackend._create_default_encryption_key

    def description(self: Any) -> str | None:
        found: str | None = self.ip_range.get("Description") or self.source_group.get("Description")
        return found

    def default_key_of(self: Any) -> str:
        chosen = cloud.store("ec2-settings", self.region_name).get("key")
        self.default_kms_key_id = chosen or amazons(self)
        return str(self.default_kms_key_id)

    SecurityGroupRule.description = property(description)
    EBSBackend._create_default_encryption_key = default_key_of
