"""Machine images and EBS snapshots with files: the snapshot of a root volume is a copy of its host's root directory."""

from __future__ import annotations

import re
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moto.ec2.models.amis import Ami
from moto.ec2.models.elastic_block_store import Snapshot, Volume
from moto.ec2.models.instances import StateReason
from moto.ec2.utils import random_ami_id, random_snapshot_id

from localcloud import hosts
from localcloud.cloud import Cloud
from localcloud.operations import Refused
from localcloud.services import kms
from localcloud.trees import copy_tree

BASE_IMAGE = "ami-0f000000000000001"
BASE_SNAPSHOT = "snap-0f000000000000001"
BASE_NAME = "al2023-ami-2023.6.20250107.0-kernel-6.1-x86_64"
BASE_SIZE_GB = 8
AMAZON = "137112412989"
REGIONS = ("eu-west-1", "eu-central-1")
ROOT_DEVICE = "/dev/xvda"
ARCHITECTURES = ("i386", "x86_64", "arm64", "x86_64_mac", "arm64_mac")
LONGEST_TOKEN = 64
SETTLE_SECONDS = 0.9  # for how long a new snapshot or image is pending
_NAME = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}")


class Image(Ami):  # type: ignore[misc]
    """An image that knows its volumes, and what it comes from."""

    source_image_id: str | None = None
    source_image_region: str | None = None
    state_reason: StateReason | None = None
    ena_support: bool = True

    def __init__(
        self,
        backend: Any,
        *,
        name: str,
        description: str,
        mappings: list[dict[str, Any]],
        image_id: str | None = None,
        **more: Any,
    ) -> None:
        self.mappings = mappings
        super().__init__(
            backend,
            image_id or random_ami_id(),
            name=name,
            description=description,
            root_device_type="ebs",
            hypervisor="xen",
            boot_mode="uefi-preferred",
            **more,
        )
        # moto makes a snapshot of 15 GB that no volume is behind.
        backend.snapshots.pop(self.ebs_snapshot.id)
        self.imds_support = "v2.0"
        self.virtualization_type: str = self.virtualization_type or "hvm"
        self.architecture: str = self.architecture or "x86_64"
        self.image_location = f"{self.owner_alias or self.owner_id}/{name}"

    @property
    def block_device_mappings(self) -> list[dict[str, Any]]:
        """Return the volumes as DescribeImages shows them."""
        return self.mappings

    @property
    def root_mapping(self) -> dict[str, Any]:
        """Return the `Ebs` part of the root volume."""
        found: dict[str, Any] = next((m["Ebs"] for m in self.mappings if m["DeviceName"] == self.root_device_name), {})
        return found

    def get_filter_value(self, filter_name: str, method_name: str | None = None) -> Any:
        """Return what a filter of DescribeImages compares with."""
        if filter_name == "block-device-mapping.snapshot-id":
            return [mapping["Ebs"].get("SnapshotId") for mapping in self.mappings]
        return super().get_filter_value(filter_name, method_name)


# -- files -----------------------------------------------------------------------------------------------------------


def snapshot_folder(cloud: Cloud, snapshot_id: str) -> Path:
    """Return where the files of a snapshot are; missing when its volume was none of a host's root."""
    return cloud.folder("snapshots") / snapshot_id


def volume_folder(cloud: Cloud, volume: Volume) -> Path | None:
    """Return the files of a volume: a host's root directory, or those kept for a detached volume."""
    attachment = volume.attachment
    if attachment is not None and attachment.device == attachment.instance.root_device_name:
        root = hosts.of(cloud).root_of(attachment.instance.id)
        return root if root.is_dir() else None
    kept = cloud.live / "volumes" / volume.id
    return kept if kept.is_dir() else None


def copy_volume(cloud: Cloud, volume: Volume, target: Path) -> None:
    """Copy a volume's files as they are this moment; a running host is held still meanwhile."""
    source = volume_folder(cloud, volume)
    if source is None:
        return
    host = hosts.of(cloud).running(volume.attachment.instance.id) if volume.attachment else None
    if host is None:
        copy_tree(source, target)
        return
    with host.still():
        copy_tree(source, target)


def image_files(cloud: Cloud, image: Ami | None) -> Path | None:
    """Return the root directory that a host of an image starts with."""
    if not isinstance(image, Image):
        return None
    snapshot_id = image.root_mapping.get("SnapshotId")
    return snapshot_folder(cloud, snapshot_id) if snapshot_id else None


def settle(cloud: Cloud, thing: Any, attribute: str, done: str) -> None:
    """Let a new snapshot or image be pending for a moment, as in AWS, and then complete."""
    setattr(thing, attribute, "pending")

    def complete() -> None:
        cloud.stopping.wait(SETTLE_SECONDS)
        with cloud.gate.working():
            if getattr(thing, attribute) == "pending":
                setattr(thing, attribute, done)

    cloud.background(complete, name=f"settle {thing.id}")


# -- the base image ----------------------------------------------------------------------------------------------------


def seed(cloud: Cloud) -> None:
    """Offer the base image in every region used, and finish what a stop of the cloud left pending."""
    folder = snapshot_folder(cloud, BASE_SNAPSHOT)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    hosts.make_base_root(folder, hosts.of(cloud).user)
    for region in REGIONS:
        backend = cloud.moto("ec2", region)
        for snapshot in backend.snapshots.values():
            if snapshot.status == "pending":
                snapshot.status = "completed"
        for image in backend.amis.values():
            if image.state == "pending":
                # Without a snapshot the stop came before there was anything to boot from.
                image.state = "available" if getattr(image, "root_mapping", True) else "failed"
        if BASE_IMAGE in backend.amis:
            continue
        ebs = {
            "SnapshotId": BASE_SNAPSHOT,
            "VolumeSize": BASE_SIZE_GB,
            "DeleteOnTermination": True,
            "VolumeType": "gp3",
            "Encrypted": False,
            "Iops": 3000,
            "Throughput": 125,
        }
        backend.amis[BASE_IMAGE] = Image(
            backend,
            image_id=BASE_IMAGE,
            name=BASE_NAME,
            description="Amazon Linux 2023 (played by the local cloud)",
            mappings=[{"DeviceName": ROOT_DEVICE, "Ebs": ebs}],
            owner_id=AMAZON,
            owner_alias="amazon",
            public=True,
            root_device_name=ROOT_DEVICE,
            creation_date=datetime(2025, 1, 7, tzinfo=UTC).replace(tzinfo=None),
        )


# -- making images -----------------------------------------------------------------------------------------------------

_NAMING, _COPYING = threading.Lock(), threading.Lock()


def check_name(backend: Any, name: str) -> None:
    """Refuse a name that AWS would refuse."""
    if not _NAME.fullmatch(name):
        raise Refused(
            "InvalidAMIName.Malformed",
            "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, "
            "'(', ')', '.', '-', '/' and '_'",
        )
    for image in backend.amis.values():
        if image.name == name and image.owner_id == backend.account_id:
            raise Refused("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {image.id}")


def create_image(cloud: Cloud, region: str, asked: dict[str, Any]) -> str:
    """Make an image of an instance and its volumes; return its id."""
    backend = cloud.moto("ec2", region)
    instance = backend.get_instance_by_id(asked["InstanceId"])
    if instance is None:
        raise Refused("InvalidInstanceID.NotFound", f"The instance ID '{asked['InstanceId']}' does not exist")
    if instance.state not in ("running", "stopped"):
        raise Refused("IncorrectState", f"The instance '{instance.id}' is '{instance.state}', not running or stopped.")
    tags = tags_of(asked, "image"), tags_of(asked, "snapshot")
    overrides = {m["DeviceName"]: m for m in asked.get("BlockDeviceMappings", [])}
    with _NAMING:
        check_name(backend, asked["Name"])
        image = Image(
            backend,
            name=asked["Name"],
            description=asked.get("Description", ""),
            mappings=[],
            instance=instance,
            root_device_name=instance.root_device_name,
            tags=tags[0],
        )
        image.source_image_id, image.source_image_region = instance.image_id, region
        image.state = "pending"
        backend.amis[image.id] = image
    locked = _locked_by(cloud, region, instance)
    if locked is not None:
        # The request itself is accepted: that the blocks cannot be read is found out when they are.
        settle(cloud, image, "state", "failed")
        text = f"The KMS key {locked.arn} is in state {locked.key_state}"
        image.state_reason = StateReason(text, "Client.InvalidKMSKey.InvalidState")
        return str(image.id)

    def take() -> None:
        for device, block in instance.get_block_device_mapping:
            override = overrides.get(device, {})
            if "NoDevice" in override:
                continue
            volume = backend.get_volume(block.volume_id)
            text = f"Created by CreateImage({instance.id}) for {image.id}"
            snapshot = backend.create_snapshot(volume.id, text, from_ami=image.id)
            snapshot.add_tags(tags[1])
            ebs = {
                "SnapshotId": snapshot.id,
                "VolumeSize": override.get("Ebs", {}).get("VolumeSize", volume.size),
                "DeleteOnTermination": override.get("Ebs", {}).get("DeleteOnTermination", block.delete_on_termination),
                "VolumeType": override.get("Ebs", {}).get("VolumeType", volume.volume_type),
                "Encrypted": volume.encrypted,
                "Iops": volume.iops,
                "Throughput": volume.throughput,
            }
            image.mappings.append({"DeviceName": device, "Ebs": {k: v for k, v in ebs.items() if v is not None}})

    host = hosts.of(cloud).running(instance.id)
    if asked.get("NoReboot") or host is None:
        take()
        settle(cloud, image, "state", "available")
        return str(image.id)

    def reboot_around() -> None:
        # AWS shuts the guest down before the snapshots, so that its file systems are whole.
        everything = hosts.of(cloud)
        with everything.turn(instance.id):
            everything.power_off(instance.id)
            try:
                take()
                image.state = "available"
            except Exception:
                image.state, image.state_reason = "failed", StateReason("Internal error", "Server.InternalError")
                raise
            finally:
                if instance.state == "running":
                    everything.power_on(instance.id, region, address=host.address, files=None)

    cloud.background(reboot_around, name=f"image {image.id}")
    return str(image.id)


def _locked_by(cloud: Cloud, region: str, instance: Any) -> Any:
    """Return the key for want of which an instance's volumes cannot be read; None when all can be."""
    backend = cloud.moto("ec2", region)
    for _, block in instance.get_block_device_mapping:
        volume = backend.get_volume(block.volume_id)
        key = kms.find(cloud, region, volume.kms_key_id) if volume.encrypted and volume.kms_key_id else None
        if key is not None and kms.why_unusable(key) is not None:
            return key
    return None


def copy_image(cloud: Cloud, region: str, asked: dict[str, Any]) -> str:
    """Copy an image with its snapshots from another region or this one; return the copy's id.

    A request sent again with its ClientToken gets the copy that the first one made.
    """
    with _COPYING:
        token = asked.get("ClientToken")
        if not token:
            return _copied_image(cloud, region, asked)
        if len(token) > LONGEST_TOKEN:
            raise Refused("InvalidParameterValue", f"ClientToken has more than {LONGEST_TOKEN} characters")
        tokens, order = cloud.store("ec2-copy-tokens", region), {k: v for k, v in asked.items() if k != "ClientToken"}
        if token not in tokens:
            tokens[token] = (_copied_image(cloud, region, asked), order)
        made, before = tokens[token]
        if before != order:
            raise Refused("IdempotentParameterMismatch", f"The client token {token} was used with other parameters")
        return str(made)


def _copied_image(cloud: Cloud, region: str, asked: dict[str, Any]) -> str:
    source_backend = cloud.moto("ec2", asked["SourceRegion"])
    source = source_backend.amis.get(asked["SourceImageId"])
    if not isinstance(source, Image):
        raise Refused("InvalidAMIID.NotFound", f"The image id '[{asked['SourceImageId']}]' does not exist")
    if source.state != "available":
        raise Refused("InvalidRequest", f"The image {source.id} is in state {source.state}, not available")
    if not asked.get("Name"):
        raise Refused("MissingParameter", "The request must contain the parameter Name")
    backend = cloud.moto("ec2", region)
    key = key_for(cloud, region, asked)
    with _NAMING:
        check_name(backend, asked["Name"])
        image = Image(
            backend,
            name=asked["Name"],
            description=str(asked.get("Description", source.description or "")),
            mappings=[],
            source_ami=source,
            root_device_name=source.root_device_name,
            tags=tags_of(asked, "image"),
        )
        image.source_image_id, image.source_image_region = source.id, asked["SourceRegion"]
        image.ena_support, image.boot_mode = source.ena_support, source.boot_mode
        image.state = "pending"
        backend.amis[image.id] = image
    copied_tags = {t["key"]: t["value"] for t in source.get_tags()} if asked.get("CopyImageTags") else {}
    image.add_tags(copied_tags)
    for mapping in source.mappings:
        ebs = dict(mapping["Ebs"])
        text = (
            f"Copied for DestinationAmi {image.id} from SourceAmi {source.id} for SourceSnapshot {ebs['SnapshotId']}."
        )
        snapshot = copied_snapshot(
            cloud, region, source_region=asked["SourceRegion"], mapping=ebs, description=text, key=key
        )
        snapshot.from_ami = image.id
        snapshot.add_tags(tags_of(asked, "snapshot"))
        ebs.update(SnapshotId=snapshot.id, Encrypted=snapshot.encrypted)
        image.mappings.append({"DeviceName": mapping["DeviceName"], "Ebs": ebs})
    settle(cloud, image, "state", "available")
    return str(image.id)


def register_image(cloud: Cloud, region: str, asked: dict[str, Any]) -> str:
    """Make an image of snapshots; return its id."""
    backend = cloud.moto("ec2", region)
    root_device = asked.get("RootDeviceName")
    architecture = asked.get("Architecture", "i386")
    if architecture not in ARCHITECTURES:
        raise Refused("InvalidParameterValue", f"Value ({architecture}) for parameter architecture is invalid.")
    mappings = [m for m in asked.get("BlockDeviceMappings", []) if "Ebs" in m]
    if not root_device or not any(m["DeviceName"] == root_device for m in mappings):
        raise Refused(
            "InvalidBlockDeviceMapping", f"The device '{root_device}' is not listed in the block device mapping."
        )
    for mapping in mappings:
        ebs = mapping["Ebs"]
        snapshot_id = ebs.get("SnapshotId")
        if mapping["DeviceName"] == root_device and not snapshot_id:
            raise Refused("InvalidBlockDeviceMapping", "The root device must name a snapshot")
        if not snapshot_id:
            continue
        snapshot = backend.snapshots.get(snapshot_id)
        if snapshot is None:
            raise Refused("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")
        if snapshot.status != "completed":
            raise Refused("IncorrectState", f"Snapshot {snapshot_id} is in state {snapshot.status}, not completed")
        size = ebs.get("VolumeSize", snapshot.volume_size)
        if size < snapshot.volume_size:
            raise Refused(
                "InvalidBlockDeviceMapping",
                f"Volume of size {size}GB is smaller than snapshot '{snapshot_id}', expect size "
                f">= {snapshot.volume_size}GB",
            )
        ebs["VolumeSize"] = size
        ebs["Encrypted"] = bool(snapshot.encrypted)
        ebs.setdefault("DeleteOnTermination", True)
        ebs.setdefault("VolumeType", "gp2")
    with _NAMING:
        check_name(backend, asked["Name"])
        image = Image(
            backend,
            name=asked["Name"],
            description=asked.get("Description", ""),
            mappings=mappings,
            architecture=architecture,
            virtualization_type=asked.get("VirtualizationType", "hvm"),
            root_device_name=root_device,
            tags=tags_of(asked, "image"),
        )
        image.ena_support = bool(asked.get("EnaSupport", False))
        image.boot_mode = asked.get("BootMode") or image.boot_mode
        backend.amis[image.id] = image
    for mapping in mappings:
        snapshot = backend.snapshots.get(mapping["Ebs"].get("SnapshotId"))
        if snapshot is not None and snapshot.from_ami not in backend.amis:
            snapshot.from_ami = image.id
    return str(image.id)


# -- copying snapshots -------------------------------------------------------------------------------------------------


def copied_snapshot(
    cloud: Cloud, region: str, *, source_region: str, mapping: dict[str, Any], description: str, key: str | None
) -> Snapshot:
    """Copy a snapshot and its files into a region; with a key, or of an encrypted one, the copy is encrypted."""
    backend, source_backend = cloud.moto("ec2", region), cloud.moto("ec2", source_region)
    source_id = mapping["SnapshotId"]
    source = source_backend.snapshots.get(source_id)
    if source is not None:
        volume, encrypted = source.volume, bool(source.encrypted)
    else:
        # Amazon's own snapshot behind the base image is in nobody's list.
        volume = backend.create_volume(size=mapping["VolumeSize"], zone_name=f"{region}a", volume_type="gp3")
        backend.volumes.pop(volume.id)
        encrypted = False
    if encrypted and key is None:
        key = key_for(cloud, region, {"Encrypted": True})
    snapshot = Snapshot(
        backend, random_snapshot_id(), volume=volume, description=description, encrypted=encrypted, kms_key_id=key
    )
    files = snapshot_folder(cloud, source_id)
    if files.is_dir():
        copy_tree(files, snapshot_folder(cloud, snapshot.id))
    backend.snapshots[snapshot.id] = snapshot
    settle(cloud, snapshot, "status", "completed")
    return snapshot


def key_for(cloud: Cloud, region: str, asked: dict[str, Any]) -> str | None:
    """Return the ARN of the key that a copy is encrypted with, None for no change; Refused when it is unusable."""
    wanted = asked.get("KmsKeyId")
    if not wanted:
        return str(cloud.moto("ec2", region)._create_default_encryption_key()) if asked.get("Encrypted") else None
    if "Encrypted" in asked and not asked["Encrypted"]:
        raise Refused(
            "InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set."
        )
    if wanted.startswith("arn:") and f":{region}:" not in wanted:
        raise Refused("InvalidParameterValue", f"The KMS key {wanted} is not in region {region}; name a key there")
    try:
        key = cloud.moto("kms", region).describe_key(wanted)
    except Exception as error:
        raise Refused("InvalidKmsKey.NotFound", f"The KMS key {wanted} does not exist in {region}") from error
    if key.key_state != "Enabled":
        raise Refused("InvalidKmsKey.InvalidState", f"The KMS key {wanted} is in state {key.key_state}")
    return str(key.arn)


def tags_of(asked: dict[str, Any], kind: str) -> dict[str, str]:
    """Return the tags that a request gives to one kind of resource."""
    return {
        tag["Key"]: tag["Value"]
        for specification in asked.get("TagSpecifications", [])
        if specification["ResourceType"] == kind
        for tag in specification.get("Tags", [])
    }
