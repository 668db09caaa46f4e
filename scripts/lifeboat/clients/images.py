"""EC2's machine images and the snapshots that they are made of, with the keys that read them, in both regions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from lifeboat.clients import sdk
from lifeboat.clients.sdk import translated
from lifeboat.clients.waiting import Patience, until
from lifeboat.errors import Failed, Refused, StoppedPartWay
from lifeboat.model import (
    EncryptionKey,
    Image,
    ImageId,
    ImageOrder,
    ImageUse,
    InstanceId,
    Machine,
    Owner,
    Snapshot,
    SnapshotId,
    Tag,
    moment,
)

_NO_IMAGE = ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable")
_DENIED = ("AccessDeniedException", "AccessDenied")
_NO_SNAPSHOT = ("InvalidSnapshot.NotFound",)
_FILTER_VALUES = 200  # a filter takes at most so many (EC2 API reference)
_APPEARING_SECONDS = 60.0  # for which a new image may be missing from answers: EC2 is eventually consistent


class Images:
    """The images and snapshots of one application and environment."""

    def __init__(self, *, client: Callable[[str, str], Any], owner: Owner) -> None:
        self._client = client
        self._owner = owner
        self._clients: dict[tuple[str, str], Any] = {}

    # -- what there is -----------------------------------------------------------------------------------------------

    def ours(self, region: str) -> list[Image]:
        """Return our images in a region: of this account, with our tags; disabled and deprecated ones too."""
        with translated(f"list the images in {region}"):
            found = sdk.items(
                self._ec2(region),
                "describe_images",
                "Images",
                Owners=["self"],
                Filters=self._our_filters(),
                IncludeDeprecated=True,
                IncludeDisabled=True,
            )
            return self._images(list(found), region)

    def image(self, image: ImageId, region: str) -> Image | None:
        """Return one image, whoever owns it; None when the region has none of this id that we may see."""
        with translated(f"look at {image} in {region}"):
            answer = sdk.unless_absent(
                _NO_IMAGE,
                lambda: self._ec2(region).describe_images(
                    ImageIds=[image], IncludeDeprecated=True, IncludeDisabled=True
                ),
            )
            found = self._images(answer["Images"] if answer else [], region)
        return found[0] if found else None

    def snapshots(self, region: str) -> list[Snapshot]:
        """Return our snapshots in a region, whoever made them."""
        with translated(f"list the snapshots in {region}"):
            found = sdk.items(
                self._ec2(region), "describe_snapshots", "Snapshots", OwnerIds=["self"], Filters=self._our_filters()
            )
            return self._snapshots(list(found), region)

    def snapshot(self, snapshot: SnapshotId, region: str) -> Snapshot | None:
        """Return one snapshot, whoever owns it; None when the region has none of this id that we may see."""
        with translated(f"look at {snapshot} in {region}"):
            answer = sdk.unless_absent(
                _NO_SNAPSHOT, lambda: self._ec2(region).describe_snapshots(SnapshotIds=[snapshot])
            )
            found = self._snapshots(answer["Snapshots"] if answer else [], region)
        return found[0] if found else None

    def uses(self, region: str) -> list[ImageUse]:
        """Return what would miss an image in a region: instances that are not terminated, versions of launch templates."""
        ec2 = self._ec2(region)
        with translated(f"look for what uses images in {region}"):
            reservations = sdk.items(ec2, "describe_instances", "Reservations")
            instances = [i for reservation in reservations for i in reservation["Instances"]]
            found = [
                ImageUse(image=ImageId(i["ImageId"]), by=f"instance {i['InstanceId']} in {region}")
                for i in instances
                if i["State"]["Name"] not in ("shutting-down", "terminated") and "ImageId" in i
            ]
            for template in list(sdk.items(ec2, "describe_launch_templates", "LaunchTemplates")):
                name = template["LaunchTemplateId"]
                versions = sdk.items(
                    ec2, "describe_launch_template_versions", "LaunchTemplateVersions", LaunchTemplateId=name
                )
                found += [
                    ImageUse(
                        image=ImageId(version["LaunchTemplateData"]["ImageId"]),
                        by=f"launch template {template['LaunchTemplateName']}, version {version['VersionNumber']}",
                    )
                    for version in versions
                    if "ImageId" in version["LaunchTemplateData"]
                ]
        return found

    def machine_of(self, snapshot: Snapshot) -> Machine | None:
        """Return the machine whose root volume a snapshot is of; None when the volume or its instance is gone."""
        ec2 = self._ec2(snapshot.region)
        with translated(f"look for the machine of {snapshot.id} in {snapshot.region}"):
            answer = sdk.unless_absent(
                ("InvalidVolume.NotFound", "InvalidParameterValue"),  # a copy's volume is no volume: vol-ffffffff
                lambda: ec2.describe_volumes(VolumeIds=[snapshot.volume_id]),
            )
            for volume in answer["Volumes"] if answer else []:
                for attached in volume.get("Attachments", []):
                    found = sdk.unless_absent(
                        ("InvalidInstanceID.NotFound",),
                        lambda attached=attached: ec2.describe_instances(  # type: ignore[misc]
                            InstanceIds=[attached["InstanceId"]]
                        ),
                    )
                    for reservation in found["Reservations"] if found else []:
                        return machine(reservation["Instances"][0])
        return None

    # -- making ------------------------------------------------------------------------------------------------------

    def bake(self, order: ImageOrder, instance: InstanceId) -> ImageId:
        """Make an image of an instance, which is rebooted for it: so its file systems are whole."""
        return self._bake(order, instance, {"NoReboot": False})

    def bake_running(self, order: ImageOrder, instance: InstanceId) -> ImageId:
        """Make an image of an instance that goes on running: what is on its disks is what a power cut would leave."""
        return self._bake(order, instance, {"NoReboot": True})

    def _bake(self, order: ImageOrder, instance: InstanceId, how: Mapping[str, Any]) -> ImageId:
        return self._made(
            order,
            f"bake an image of {instance} in {order.region}",
            lambda ec2: ec2.create_image(
                InstanceId=instance,
                Name=order.name,
                Description=order.description,
                TagSpecifications=_specifications(order),
                **how,
            ),
        )

    def copy(self, original: Image, order: ImageOrder, *, key: str | None, token: str) -> ImageId:
        """Copy an image into the order's region, encrypted with a key there (ARN or alias; None: EBS's default).

        `token` belongs to one order: sent again after a lost answer, it copies nothing a second time.
        """
        return self._made(
            order,
            f"copy {original.id} from {original.region} to {order.region}",
            lambda ec2: ec2.copy_image(
                SourceImageId=original.id,
                SourceRegion=original.region,
                Name=order.name,
                Description=order.description,
                Encrypted=True,
                ClientToken=token,
                TagSpecifications=_specifications(order),
                **({} if key is None else {"KmsKeyId": key}),
            ),
        )

    def register(self, snapshot: Snapshot, order: ImageOrder, machine: Machine) -> ImageId:
        """Make an image whose root volume is a snapshot."""
        disk = {"SnapshotId": snapshot.id, "VolumeType": "gp3", "DeleteOnTermination": True}
        boot = {} if machine.boot_mode is None else {"BootMode": machine.boot_mode}
        return self._made(
            order,
            f"make an image of {snapshot.id} in {order.region}",
            lambda ec2: ec2.register_image(
                Name=order.name,
                Description=order.description,
                Architecture=machine.architecture,
                RootDeviceName=machine.root_device_name,
                BlockDeviceMappings=[{"DeviceName": machine.root_device_name, "Ebs": disk}],
                VirtualizationType="hvm",
                EnaSupport=True,  # else no machine of the last ten years boots from it
                ImdsSupport="v2.0",
                TagSpecifications=_specifications(order),
                **boot,
            ),
        )

    def _made(self, order: ImageOrder, what: str, make: Callable[[Any], Mapping[str, Any]]) -> ImageId:
        """Order an image, or find the one that an order of the same name made whose answer was lost."""
        ec2 = self._ec2(order.region)
        with translated(what):
            try:
                return ImageId(make(ec2)["ImageId"])
            except ClientError as error:
                # A name is taken once in a region, so EC2 itself keeps a repeated order from being done twice.
                lost = sdk.code(error) == "InvalidAMIName.Duplicate" or _answer_lost(error)
                named = self._named(order) if lost else None
                if named is None:
                    raise
                found = named
            except sdk.NO_ANSWER:
                named = self._named(order)
                if named is None:
                    raise
                found = named
        if not order.tags.items() <= found.tags.items():
            raise Refused(
                f"the name {order.name} is taken in {order.region} by {found.id}, which is not the image ordered",
                hint=f"aws ec2 describe-images --region {order.region} --image-ids {found.id}",
            )
        return found.id

    def _named(self, order: ImageOrder) -> Image | None:
        filters = [{"Name": "name", "Values": [order.name]}]
        answer = self._ec2(order.region).describe_images(Owners=["self"], Filters=filters, IncludeDisabled=True)
        found = self._images([i for i in answer["Images"] if i["Name"] == order.name], order.region)
        return found[0] if found else None

    def available(self, image: ImageId, region: str, patience: Patience) -> Image:
        """Wait until an image is available, and return it; raises Failed with EC2's reason when it never will be."""
        began, state = patience.clock(), "not listed"

        def ask() -> tuple[Image | None, str]:
            nonlocal state
            found = self.image(image, region)
            if found is None:
                if state != "not listed" or patience.clock() - began > _APPEARING_SECONDS:
                    raise Failed(f"there is no image {image} in {region} any more", hint="lifeboat ami list")
                return None, f"{image} in {region}: not listed yet"
            state = found.state
            if found.never_available:
                raise Failed(
                    f"{image} in {region} is {state}: {found.state_reason or 'EC2 gives no reason'}",
                    hint="mend the reason and order it again; lifeboat ami prune removes what is left of it",
                )
            done = [snapshot.progress for snapshot in found.snapshots]
            progress = f"{image} in {region}: {state}" + (f", snapshots {min(done)} %" if done else "")
            return (found if state == "available" else None), progress

        found = until(patience, ask)
        if found is None:
            raise StoppedPartWay(
                f"{image} in {region} is still {state} after {patience.seconds:.0f} s; EC2 goes on making it",
                hint="the same command waits for it again; lifeboat ami list shows it",
            )
        return found

    # -- marking and deleting ------------------------------------------------------------------------------------------

    def mark_proven(self, image: Image, at: datetime) -> None:
        """Write down on an image that a host booted from it and its application answered, at this UTC time."""
        with translated(f"mark {image.id} in {image.region} as proven"):
            self._ec2(image.region).create_tags(
                Resources=[image.id], Tags=sdk.pairs({Tag.PROVEN_AT.value: f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"})
            )

    def deregister(self, image: Image) -> None:
        """Deregister an image; its snapshots stay. One that is gone already is as good."""
        with self._deleting(f"deregister {image.id} in {image.region}"):
            sdk.unless_absent(_NO_IMAGE, lambda: self._ec2(image.region).deregister_image(ImageId=image.id))

    def delete_snapshot(self, snapshot: Snapshot) -> None:
        """Delete a snapshot. One that is gone already is as good; EC2 refuses one that an image still needs."""
        with self._deleting(f"delete {snapshot.id} in {snapshot.region}"):
            sdk.unless_absent(_NO_SNAPSHOT, lambda: self._ec2(snapshot.region).delete_snapshot(SnapshotId=snapshot.id))

    def _deleting(self, what: str) -> AbstractContextManager[None]:
        # The stack's own roles keep everybody but break-glass from deleting copies (modules/recovery-roles).
        role = f"{self._owner.application}-break-glass"
        return translated(what, hint=f"where permissions refuse it: only the role {role} may delete copies")

    # -- translation -----------------------------------------------------------------------------------------------------

    def _ec2(self, region: str) -> Any:
        return self._connected("ec2", region)

    def _connected(self, service: str, region: str) -> Any:
        if (service, region) not in self._clients:
            self._clients[service, region] = self._client(service, region)
        return self._clients[service, region]

    def _our_filters(self) -> list[dict[str, Any]]:
        tags = {Tag.APPLICATION: self._owner.application, Tag.ENVIRONMENT: self._owner.environment}
        return [{"Name": f"tag:{tag}", "Values": [value]} for tag, value in tags.items()]

    def _images(self, found: Sequence[Mapping[str, Any]], region: str) -> list[Image]:
        ids = [snapshot for image in found for snapshot in _snapshot_ids(image)]
        listed: list[Mapping[str, Any]] = []
        for part in _parts(list(dict.fromkeys(ids)), _FILTER_VALUES):
            filters = [{"Name": "snapshot-id", "Values": part}]
            # By filter, not by id: one that we may not see, such as Amazon's own, must not hide the others.
            listed += sdk.items(self._ec2(region), "describe_snapshots", "Snapshots", Filters=filters)
        snapshots = {snapshot.id: snapshot for snapshot in self._snapshots(listed, region)}
        return [_image(image, region, snapshots) for image in found]

    def _snapshots(self, found: Sequence[Mapping[str, Any]], region: str) -> list[Snapshot]:
        arns = {str(snapshot["KmsKeyId"]) for snapshot in found if snapshot.get("KmsKeyId")}
        keys = {arn: EncryptionKey(arn=arn, state=self._key_state(arn, region)) for arn in sorted(arns)}
        return [_snapshot(snapshot, region, keys) for snapshot in found]

    def _key_state(self, arn: str, region: str) -> str:
        kms = self._connected("kms", region)
        try:
            answer = sdk.unless_absent(("NotFoundException",), lambda: kms.describe_key(KeyId=arn))
        except ClientError as error:
            if sdk.code(error) not in _DENIED:
                raise
            # Said of the one image: the others are not to be hidden by it, nor it to be taken for one that can be used.
            return f"not to be seen ({sdk.code(error)})"
        return "missing" if answer is None else str(answer["KeyMetadata"]["KeyState"])


def machine(instance: Mapping[str, Any]) -> Machine:
    """Return the machine that an answer of DescribeInstances tells of."""
    return Machine(
        architecture=instance["Architecture"],
        root_device_name=instance["RootDeviceName"],
        boot_mode=instance.get("BootMode"),
    )


def _image(image: Mapping[str, Any], region: str, snapshots: Mapping[SnapshotId, Snapshot]) -> Image:
    tags, ids = sdk.tags(image.get("Tags", [])), _snapshot_ids(image)
    # Only a copy has a source image and no source instance (EC2 API reference, Image).
    copied = image.get("SourceImageId") if "SourceInstanceId" not in image else None
    copied = tags.get(Tag.COPIED_FROM, copied)
    reason = image.get("StateReason", {})
    return Image(
        id=ImageId(image["ImageId"]),
        region=region,
        name=image.get("Name", ""),
        owner_id=image["OwnerId"],
        state=image["State"],
        state_reason=": ".join(part for part in (reason.get("Code"), reason.get("Message")) if part),
        architecture=image["Architecture"],
        root_device_type=image["RootDeviceType"],
        root_device_name=image.get("RootDeviceName", ""),
        boot_mode=image.get("BootMode"),
        made_at=_time(image["CreationDate"]),
        deprecated_at=moment(image.get("DeprecationTime")),
        copied_from=None if copied is None else ImageId(copied),
        tags=tags,
        snapshot_ids=ids,
        snapshots=tuple(snapshots[name] for name in ids if name in snapshots),
    )


def _snapshot(snapshot: Mapping[str, Any], region: str, keys: Mapping[str, EncryptionKey]) -> Snapshot:
    progress = re.match(r"\d+", snapshot.get("Progress", ""))
    return Snapshot(
        id=SnapshotId(snapshot["SnapshotId"]),
        region=region,
        owner_id=snapshot["OwnerId"],
        state=snapshot["State"],
        progress=int(progress.group()) if progress else 0,
        started_at=_time(snapshot["StartTime"]),
        volume_id=snapshot.get("VolumeId", ""),
        size_gb=snapshot["VolumeSize"],
        tags=sdk.tags(snapshot.get("Tags", [])),
        key=keys.get(str(snapshot.get("KmsKeyId", ""))),
    )


def _snapshot_ids(image: Mapping[str, Any]) -> tuple[SnapshotId, ...]:
    mapped = [mapping.get("Ebs", {}).get("SnapshotId") for mapping in image.get("BlockDeviceMappings", [])]
    return tuple(SnapshotId(name) for name in mapped if name)


def _time(written: str | datetime) -> datetime:
    found = datetime.fromisoformat(written) if isinstance(written, str) else written
    return found.astimezone(UTC)


def _parts(values: Sequence[str], size: int) -> Iterator[list[str]]:
    for begin in range(0, len(values), size):
        yield list(values[begin : begin + size])


def _specifications(order: ImageOrder) -> list[dict[str, Any]]:
    kinds: Iterable[tuple[str, Mapping[str, str]]] = (("image", order.tags), ("snapshot", order.snapshot_tags))
    return [{"ResourceType": kind, "Tags": sdk.pairs(tags)} for kind, tags in kinds if tags]


def _answer_lost(error: ClientError) -> bool:
    """Return whether a server failed after it may have done what was ordered."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) >= 500
