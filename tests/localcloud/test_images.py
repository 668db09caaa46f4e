"""Images and snapshots that carry files: what is in them boots, wherever they are copied; what AWS refuses."""

from __future__ import annotations

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import RunningCloud
from tests.localcloud.machines import BASE_IMAGE, Machines

# What every machine of today wants of an image, and RegisterImage does not take for granted.
NITRO: dict[str, Any] = {"Architecture": "x86_64", "EnaSupport": True}
MARKED = '#!/bin/bash\necho written by the first >"${HOST_ROOT:-}/opt/mark"\n'


@pytest.fixture(scope="module")
def machines(cloud: RunningCloud) -> Machines:
    return Machines(cloud)


@pytest.fixture(scope="module")
def marked(machines: Machines) -> str:
    """Return an instance with a file of its own."""
    encrypted = [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 20, "VolumeType": "gp3", "Encrypted": True}}]
    return machines.launch(MARKED, BlockDeviceMappings=encrypted)


@pytest.fixture(scope="module")
def image(machines: Machines, marked: str) -> str:
    """Return an image of that instance."""
    return machines.image(marked, "recovery-1", NoReboot=True)


def mark_of(machines: Machines, instance: str) -> str:
    return machines.shell(instance, 'cat "$HOST_ROOT/opt/mark"').out


def test_an_image_holds_the_files_of_its_moment(machines: Machines, marked: str, image: str) -> None:
    machines.shell(marked, 'echo changed later >"$HOST_ROOT/opt/mark"')

    second = machines.launch(image=image)

    assert mark_of(machines, second) == "written by the first\n"
    assert mark_of(machines, marked) == "changed later\n"


def test_an_image_is_pending_first_and_names_its_snapshot(machines: Machines, marked: str) -> None:
    made = machines.ec2.create_image(InstanceId=marked, Name="pending-first", NoReboot=True)["ImageId"]
    at_once = machines.image_state(made)
    machines.until(lambda: machines.image_state(made) == "available")
    described = machines.ec2.describe_images(ImageIds=[made])["Images"][0]
    ebs = described["BlockDeviceMappings"][0]["Ebs"]
    snapshot = machines.ec2.describe_snapshots(SnapshotIds=[ebs["SnapshotId"]])["Snapshots"][0]

    assert at_once == "pending"
    assert (ebs["VolumeSize"], ebs["Encrypted"], ebs["VolumeType"]) == (20, True, "gp3")
    assert snapshot["Description"] == f"Created by CreateImage({marked}) for {made}"
    assert described["RootDeviceName"] == "/dev/xvda"


def test_a_reboot_for_an_image_restarts_the_host(machines: Machines, marked: str) -> None:
    machines.shell(marked, 'sleep 300 & echo $! >"$HOST_ROOT/opt/sleeper"')

    machines.image(marked, "with-reboot")
    alive = machines.shell(marked, 'kill -0 "$(cat "$HOST_ROOT/opt/sleeper")"')

    assert alive.code != 0
    assert machines.state(marked) == "running"


def test_a_copy_in_the_other_region_boots_with_the_same_files(
    cloud: RunningCloud, machines: Machines, image: str
) -> None:
    other = Machines(cloud, "eu-central-1")
    key = cloud.client("kms", "eu-central-1").create_key()["KeyMetadata"]["Arn"]

    copy = other.ec2.copy_image(
        SourceImageId=image, SourceRegion="eu-west-1", Name="recovery-1", Encrypted=True, KmsKeyId=key
    )["ImageId"]
    other.until(lambda: other.image_state(copy) == "available")
    instance = other.launch(image=copy)
    ebs = other.ec2.describe_images(ImageIds=[copy])["Images"][0]["BlockDeviceMappings"][0]["Ebs"]
    snapshot = other.ec2.describe_snapshots(SnapshotIds=[ebs["SnapshotId"]])["Snapshots"][0]
    volume = other.described(instance)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]

    assert mark_of(other, instance) == "written by the first\n"
    assert (snapshot["Encrypted"], snapshot["KmsKeyId"]) == (True, key)
    assert other.ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Encrypted"] is True


def test_an_image_registered_from_a_copied_snapshot_boots_with_the_files(
    cloud: RunningCloud, machines: Machines, marked: str
) -> None:
    machines.shell(marked, 'echo in the snapshot >"$HOST_ROOT/opt/mark"')
    other = Machines(cloud, "eu-central-1")
    snapshot = machines.snapshot(marked)
    machines.shell(marked, 'echo after it >"$HOST_ROOT/opt/mark"')
    copy = other.ec2.copy_snapshot(SourceSnapshotId=snapshot, SourceRegion="eu-west-1")["SnapshotId"]
    other.completed(copy)

    registered = other.ec2.register_image(
        Name="from-a-snapshot",
        RootDeviceName="/dev/xvda",
        **NITRO,
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": copy}}],
    )["ImageId"]
    instance = other.launch(image=registered)

    assert mark_of(other, instance) == "in the snapshot\n"


def test_files_stay_with_the_snapshot_when_the_image_is_deregistered(machines: Machines, marked: str) -> None:
    made = machines.image(marked, "given-up", NoReboot=True)
    snapshot = machines.ec2.describe_images(ImageIds=[made])["Images"][0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]

    with pytest.raises(ClientError, match="InvalidSnapshot.InUse"):
        machines.ec2.delete_snapshot(SnapshotId=snapshot)
    machines.ec2.deregister_image(ImageId=made)
    with pytest.raises(ClientError, match="InvalidAMIID"):
        machines.launch(image=made)
    again = machines.ec2.register_image(
        Name="registered-again",
        RootDeviceName="/dev/xvda",
        **NITRO,
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}],
    )["ImageId"]

    assert machines.state(machines.launch(image=again)) == "running"


def test_a_deleted_snapshot_takes_its_files_along(machines: Machines, marked: str) -> None:
    snapshot = machines.snapshot(marked)
    folder = machines.cloud.directory / "live/snapshots" / snapshot
    there = folder.is_dir()

    machines.ec2.delete_snapshot(SnapshotId=snapshot)

    assert (there, folder.exists()) == (True, False)


def test_a_volume_made_of_a_snapshot_gives_snapshots_with_the_same_files(machines: Machines, marked: str) -> None:
    machines.shell(marked, 'echo through a volume >"$HOST_ROOT/opt/mark"')
    volume = machines.ec2.create_volume(SnapshotId=machines.snapshot(marked), AvailabilityZone="eu-west-1a")["VolumeId"]

    second = machines.ec2.create_snapshot(VolumeId=volume)["SnapshotId"]

    mark = machines.cloud.directory / "live/snapshots" / second / "opt/mark"
    assert mark.read_text() == "through a volume\n"


def test_a_host_whose_snapshot_holds_no_root_runs_but_never_passes_its_checks(machines: Machines) -> None:
    volume = machines.ec2.create_volume(Size=8, AvailabilityZone="eu-west-1a")["VolumeId"]
    empty = machines.ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    machines.completed(empty)
    image = machines.ec2.register_image(
        Name="boots-from-nothing",
        RootDeviceName="/dev/xvda",
        **NITRO,
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": empty}}],
    )["ImageId"]

    instance = machines.launch(image=image)
    status = machines.ec2.describe_instance_status(InstanceIds=[instance])["InstanceStatuses"][0]

    assert status["InstanceStatus"]["Status"] == "impaired"
    with pytest.raises(ClientError, match="InvalidInstanceId"):
        machines.shell(instance, "true")


def test_an_image_name_is_taken_once(machines: Machines, marked: str, image: str) -> None:
    with pytest.raises(ClientError, match=f"InvalidAMIName.Duplicate.*recovery-1 is already in use by AMI {image}"):
        machines.ec2.create_image(InstanceId=marked, Name="recovery-1")


@pytest.mark.parametrize("name", ["a!b", "with*star", "x" * 129])
def test_a_malformed_image_name_is_refused(machines: Machines, marked: str, name: str) -> None:
    with pytest.raises(ClientError, match="InvalidAMIName.Malformed"):
        machines.ec2.create_image(InstanceId=marked, Name=name)


def test_an_image_of_a_terminated_instance_is_refused(machines: Machines) -> None:
    instance = machines.launch()
    machines.ec2.terminate_instances(InstanceIds=[instance])

    with pytest.raises(ClientError, match="IncorrectState"):
        machines.ec2.create_image(InstanceId=instance, Name="too-late")


def test_amazons_image_cannot_be_deregistered(machines: Machines) -> None:
    with pytest.raises(ClientError, match="AuthFailure"):
        machines.ec2.deregister_image(ImageId=BASE_IMAGE)


def test_an_image_of_what_does_not_exist_is_refused(machines: Machines) -> None:
    missing = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": "snap-0123456789abcdef0"}}]

    with pytest.raises(ClientError, match="InvalidInstanceID.NotFound"):
        machines.ec2.create_image(InstanceId="i-0123456789abcdef0", Name="of-nothing")
    with pytest.raises(ClientError, match="InvalidAMIID.NotFound"):
        machines.ec2.copy_image(SourceImageId="ami-0123456789abcdef0", SourceRegion="eu-west-1", Name="of-nothing")
    with pytest.raises(ClientError, match="InvalidSnapshot.NotFound"):
        machines.ec2.register_image(Name="of-nothing", RootDeviceName="/dev/xvda", BlockDeviceMappings=missing)
    with pytest.raises(ClientError, match="InvalidSnapshot.NotFound"):
        machines.ec2.copy_snapshot(SourceSnapshotId="snap-0123456789abcdef0", SourceRegion="eu-west-1")


def test_an_image_is_known_in_its_own_region_only(cloud: RunningCloud, image: str) -> None:
    other = cloud.client("ec2", "eu-central-1")

    with pytest.raises(ClientError, match="InvalidAMIID.NotFound"):
        other.run_instances(ImageId=image, MinCount=1, MaxCount=1)
    with pytest.raises(ClientError, match="InvalidAMIID.NotFound"):
        other.copy_image(SourceImageId=image, SourceRegion="eu-central-1", Name="not-from-here")


def test_a_copy_under_a_key_that_cannot_be_used_is_refused(cloud: RunningCloud, machines: Machines, image: str) -> None:
    kms = cloud.client("kms", "eu-central-1")
    ec2 = cloud.client("ec2", "eu-central-1")
    doomed = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.schedule_key_deletion(KeyId=doomed, PendingWindowInDays=7)
    here = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    order = {"SourceImageId": image, "SourceRegion": "eu-west-1", "Name": "never-made", "Encrypted": True}

    with pytest.raises(ClientError, match="PendingDeletion"):
        ec2.copy_image(**order, KmsKeyId=doomed)
    with pytest.raises(ClientError, match="is not in region eu-central-1"):
        ec2.copy_image(**order, KmsKeyId=here)
    assert ec2.describe_images(Filters=[{"Name": "name", "Values": ["never-made"]}])["Images"] == []


def test_a_copy_asked_for_again_with_its_token_is_made_once(cloud: RunningCloud, image: str) -> None:
    ec2 = cloud.client("ec2", "eu-central-1")
    order = {"SourceImageId": image, "SourceRegion": "eu-west-1", "Name": "copied-once", "ClientToken": "token-1"}

    first, again = ec2.copy_image(**order)["ImageId"], ec2.copy_image(**order)["ImageId"]
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        ec2.copy_image(**{**order, "Name": "another"})
    with pytest.raises(ClientError, match=f"InvalidAMIName.Duplicate.*already in use by AMI {first}"):
        ec2.copy_image(**{**order, "ClientToken": "token-2"})

    named = ec2.describe_images(Filters=[{"Name": "name", "Values": ["copied-once"]}])["Images"]
    assert first == again
    assert [found["ImageId"] for found in named] == [first]


def test_an_image_says_what_it_comes_from(cloud: RunningCloud, machines: Machines, marked: str, image: str) -> None:
    other = Machines(cloud, "eu-central-1")
    copy = other.ec2.copy_image(SourceImageId=image, SourceRegion="eu-west-1", Name="descends")["ImageId"]

    baked = machines.ec2.describe_images(ImageIds=[image])["Images"][0]
    copied = other.ec2.describe_images(ImageIds=[copy])["Images"][0]

    assert (baked["SourceInstanceId"], baked["SourceImageId"], baked["SourceImageRegion"]) == (
        marked, BASE_IMAGE, "eu-west-1",
    )  # fmt: skip
    assert (copied["SourceImageId"], copied["SourceImageRegion"]) == (image, "eu-west-1")
    assert "SourceInstanceId" not in copied


def test_an_image_of_volumes_whose_key_is_disabled_fails_and_says_why(cloud: RunningCloud, machines: Machines) -> None:
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    sealed = [{"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": True, "KmsKeyId": key, "VolumeSize": 8}}]
    instance = machines.launch(BlockDeviceMappings=sealed)
    cloud.client("kms").disable_key(KeyId=key)

    made = machines.ec2.create_image(InstanceId=instance, Name="unreadable", NoReboot=True)["ImageId"]
    machines.until(lambda: machines.image_state(made) == "failed")

    reason = machines.ec2.describe_images(ImageIds=[made])["Images"][0]["StateReason"]
    assert reason == {
        "Code": "Client.InvalidKMSKey.InvalidState",
        "Message": f"The KMS key {key} is in state Disabled",
    }
    with pytest.raises(ClientError, match="InvalidAMIID.Unavailable"):
        machines.launch(image=made)


def test_a_disabled_image_is_neither_listed_nor_launched_nor_copied_until_it_is_enabled(
    cloud: RunningCloud, machines: Machines, marked: str
) -> None:
    made = machines.image(marked, "put-aside", NoReboot=True)
    ask = {"Owners": ["self"], "Filters": [{"Name": "name", "Values": ["put-aside"]}]}

    machines.ec2.disable_image(ImageId=made)
    hidden = machines.ec2.describe_images(**ask)["Images"]
    shown = machines.ec2.describe_images(**ask, IncludeDisabled=True)["Images"]
    with pytest.raises(ClientError, match="InvalidAMIID.Unavailable"):
        machines.launch(image=made)
    with pytest.raises(ClientError, match="is in state disabled"):
        cloud.client("ec2", "eu-central-1").copy_image(SourceImageId=made, SourceRegion="eu-west-1", Name="put-aside")
    machines.ec2.enable_image(ImageId=made)

    assert (hidden, [found["State"] for found in shown]) == ([], ["disabled"])
    assert [found["ImageId"] for found in machines.ec2.describe_images(**ask)["Images"]] == [made]
    with pytest.raises(ClientError, match="AuthFailure"):
        machines.ec2.disable_image(ImageId=BASE_IMAGE)


def test_a_snapshot_is_in_use_until_the_last_image_of_it_is_gone(machines: Machines, marked: str) -> None:
    snapshot = machines.snapshot(marked)
    disk = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}]
    first, second = (
        machines.ec2.register_image(
            Name=f"shares-a-snapshot-{name}", RootDeviceName="/dev/xvda", BlockDeviceMappings=disk, **NITRO
        )["ImageId"]
        for name in "ab"
    )

    for image in (first, second):
        with pytest.raises(ClientError, match="InvalidSnapshot.InUse"):
            machines.ec2.delete_snapshot(SnapshotId=snapshot)
        machines.ec2.deregister_image(ImageId=image)

    machines.ec2.delete_snapshot(SnapshotId=snapshot)


@pytest.mark.parametrize(
    ("made_for", "refusal"),
    [
        ({"Architecture": "arm64", "EnaSupport": True}, "InvalidParameterValue.*architecture 'x86_64'.*'arm64'"),
        ({"Architecture": "x86_64"}, r"InvalidParameterCombination.*\(ENA\) is required for the 't3.small'"),
        ({}, "InvalidParameterValue.*does not match the architecture 'i386'"),
    ],
)
def test_an_image_that_the_machine_cannot_boot_is_refused(
    machines: Machines, marked: str, made_for: dict[str, Any], refusal: str
) -> None:
    disk = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": machines.snapshot(marked)}}]
    image = machines.ec2.register_image(
        Name=f"unfit-{time.time_ns()}", RootDeviceName="/dev/xvda", BlockDeviceMappings=disk, **made_for
    )["ImageId"]

    with pytest.raises(ClientError, match=refusal):
        machines.launch(image=image)


def test_an_image_for_no_known_machine_is_refused(machines: Machines, marked: str) -> None:
    disk = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": machines.snapshot(marked)}}]

    with pytest.raises(ClientError, match="InvalidParameterValue.*sparc.*is invalid"):
        machines.ec2.register_image(
            Name="for-nobody", RootDeviceName="/dev/xvda", BlockDeviceMappings=disk, Architecture="sparc"
        )


@pytest.mark.parametrize(
    ("kind", "tag", "refusal"),
    [
        ("image", ("aws:dlm:lifecycle-policy-id", "x"), "reserved for internal use"),
        ("image", ("long", "v" * 257), "maximum length of 256"),
        ("image", ("k" * 129, "x"), "maximum length of 128"),
        ("instance", ("name", "x"), "not a valid taggable resource type"),
    ],
)
def test_tags_that_aws_does_not_take_are_refused(
    machines: Machines, marked: str, kind: str, tag: tuple[str, str], refusal: str
) -> None:
    tags = [{"ResourceType": kind, "Tags": [{"Key": tag[0], "Value": tag[1]}]}]

    with pytest.raises(ClientError, match=f"InvalidParameterValue.*{refusal}"):
        machines.ec2.create_image(InstanceId=marked, Name="never-tagged", TagSpecifications=tags)
    assert machines.ec2.describe_images(Filters=[{"Name": "name", "Values": ["never-tagged"]}])["Images"] == []


def test_what_is_gone_cannot_be_tagged(machines: Machines, marked: str) -> None:
    made = machines.image(marked, "soon-gone", NoReboot=True)
    machines.ec2.deregister_image(ImageId=made)

    with pytest.raises(ClientError, match="InvalidAMIID.NotFound"):
        machines.ec2.create_tags(Resources=[made], Tags=[{"Key": "a", "Value": "b"}])
    with pytest.raises(ClientError, match="InvalidSnapshot.NotFound"):
        machines.ec2.create_tags(Resources=["snap-0123456789abcdef0"], Tags=[{"Key": "a", "Value": "b"}])


def test_images_survive_a_load(cloud: RunningCloud, machines: Machines, marked: str) -> None:
    made = machines.image(marked, f"saved-{time.time_ns()}", NoReboot=True)
    cloud.control("save", name="with-image")
    machines.ec2.deregister_image(ImageId=made)

    cloud.control("load", name="with-image")

    assert machines.image_state(made) == "available"
    assert machines.state(machines.launch(image=made)) == "running"
