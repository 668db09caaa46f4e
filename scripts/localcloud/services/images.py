"""EC2 images, snapshots and volumes that carry real files (ec2:CreateImage, CopyImage, CreateSnapshot …)."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from functools import cache
from typing import Any

from moto.ec2.models.elastic_block_store import EBSBackend, Snapshot

from localcloud import container_images, hosts, machine_images
from localcloud.cloud import Cloud
from localcloud.operations import Answer, Call, Refused, around, operation
from localcloud.trees import copy_tree

_VOLUME = re.compile(rb"<volumeId>(vol-[0-9a-f]+)</volumeId>")


@operation("ec2", "CreateImage")
def create_image(call: Call, **asked: Any) -> dict[str, Any]:
    """Copy a host's root directory and record the snapshots."""
    return {"ImageId": machine_images.create_image(call.cloud, call.region, asked)}


@operation("ec2", "CopyImage")
def copy_image(call: Call, **asked: Any) -> dict[str, Any]:
    """Copy an image and its files, to another region or under another key."""
    return {"ImageId": machine_images.copy_image(call.cloud, call.region, asked)}


@operation("ec2", "RegisterImage")
def register_image(call: Call, **asked: Any) -> dict[str, Any]:
    """Make an image of snapshots; it boots when its root snapshot is of a host's root volume."""
    return {"ImageId": machine_images.register_image(call.cloud, call.region, asked)}


@operation("ec2", "CopySnapshot")
def copy_snapshot(call: Call, **asked: Any) -> dict[str, Any]:
    """Copy a snapshot and its files."""
    source = call.cloud.moto("ec2", asked["SourceRegion"]).snapshots.get(asked["SourceSnapshotId"])
    if source is None:
        raise Refused("InvalidSnapshot.NotFound", f"The snapshot '{asked['SourceSnapshotId']}' does not exist.")
    if source.status != "completed":
        raise Refused("IncorrectState", f"Snapshot {source.id} is in state {source.status}, not completed")
    snapshot = machine_images.copied_snapshot(
        call.cloud,
        call.region,
        source_region=asked["SourceRegion"],
        mapping={"SnapshotId": source.id, "VolumeSize": source.volume_size},
        description=asked.get("Description", ""),
        key=machine_images.key_for(call.cloud, call.region, asked),
    )
    snapshot.add_tags(machine_images.tags_of(asked, "snapshot"))
    return {"SnapshotId": snapshot.id, "Tags": [{"Key": t["key"], "Value": t["value"]} for t in snapshot.get_tags()]}


@around("ec2", "DeregisterImage")
def refuse_to_deregister_what_is_not_ours(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse to deregister Amazon's image."""
    if call.params["ImageId"] == machine_images.BASE_IMAGE:
        raise Refused("AuthFailure", f"Not authorized for image:{machine_images.BASE_IMAGE}", 403)
    return proceed()


@around("ec2", "EnableImage", "DisableImage")
def refuse_to_disable_what_is_not_ours(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse to disable Amazon's image."""
    if call.params["ImageId"] == machine_images.BASE_IMAGE:
        raise Refused("AuthFailure", f"Not authorized for image:{machine_images.BASE_IMAGE}", 403)
    return proceed()


@around("ec2", "DeleteSnapshot")
def keep_what_an_image_needs(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse to delete a snapshot as long as any image is made of it; moto knows only of the first."""
    snapshot_id = call.params["SnapshotId"]
    for image in list(call.cloud.moto("ec2", call.region).amis.values()):
        if any(mapping["Ebs"].get("SnapshotId") == snapshot_id for mapping in getattr(image, "mappings", [])):
            raise Refused("InvalidSnapshot.InUse", f"The snapshot {snapshot_id} is currently in use by {image.id}")
    return proceed()


@around("ec2", "CreateVolume")
def fill_volume(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Give a volume made of a snapshot that snapshot's files, so that a snapshot of it has them again."""
    answer = proceed()
    files = machine_images.snapshot_folder(call.cloud, call.params.get("SnapshotId", "none"))
    found = _VOLUME.search(answer.body)
    if answer.status == 200 and found and files.is_dir():
        copy_tree(files, call.cloud.folder("volumes") / found.group(1).decode())
    return answer


def install(cloud: Cloud) -> None:
    """Make moto's snapshots carry files, and offer the base image and the sample application."""
    create, delete, delete_volume = EBSBackend.create_snapshot, EBSBackend.delete_snapshot, EBSBackend.delete_volume

    def create_snapshot(self: Any, volume_id: str, *arguments: Any, **named: Any) -> Snapshot:
        snapshot = create(self, volume_id, *arguments, **named)
        snapshot.kms_key_id = snapshot.volume.kms_key_id
        machine_images.copy_volume(cloud, snapshot.volume, machine_images.snapshot_folder(cloud, snapshot.id))
        machine_images.settle(cloud, snapshot, "status", "completed")
        return snapshot

    def delete_snapshot(self: Any, snapshot_id: str) -> Snapshot:
        snapshot = delete(self, snapshot_id)
        shutil.rmtree(machine_images.snapshot_folder(cloud, snapshot_id), ignore_errors=True)
        return snapshot

    def remove_volume(self: Any, volume_id: str) -> Any:
        volume = delete_volume(self, volume_id)
        shutil.rmtree(cloud.folder("volumes") / volume_id, ignore_errors=True)
        return volume

    EBSBackend.create_snapshot = create_snapshot
    EBSBackend.delete_snapshot = delete_snapshot
    EBSBackend.delete_volume = remove_volume
    Snapshot.progress = property(lambda self: "100%" if self.status == "completed" else "0%")

    make_tools = cache(hosts.make_tools)  # once: the machine's programs stay

    def start(cloud: Cloud) -> None:
        make_tools(hosts.of(cloud).tools)
        machine_images.seed(cloud)
        container_images.seed(cloud)

    cloud.on_start(start)
