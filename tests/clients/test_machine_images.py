"""Machine images and snapshots of a real local cloud: looked at, made once whatever becomes of the answer, deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from lifeboat.clients.images import Images
from lifeboat.clients.waiting import Patience
from lifeboat.decisions import images as decisions
from lifeboat.errors import Failed, Refused, StoppedPartWay, Unreachable
from lifeboat.model import BakeSource, Image, ImageId, ImageOrder, InstanceId, Machine, Owner, SnapshotId

from tests.conftest import RunningCloud, free_port
from tests.localcloud.machines import BASE_IMAGE, Machines, until

HERE, DR = "eu-west-1", "eu-central-1"
OWNER = Owner(account_id="123456789012", application="app-test", environment="test")
OURS = {"application": "app-test", "environment": "test", "managed-by": "lifeboat"}
MARKED = '#!/bin/bash\necho written by the first >"${HOST_ROOT:-}/opt/mark"\n'
PATIENCE = Patience(seconds=60, tell=lambda _: None)
_ORDERED: Iterator[int] = iter(range(1, 10_000))


def specified(kind: str, tags: dict[str, str]) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]


@pytest.fixture(scope="module")
def machines(cloud: RunningCloud) -> Machines:
    return Machines(cloud)


@pytest.fixture(scope="module")
def host(machines: Machines) -> str:
    """Return an instance with an encrypted root volume and a file of its own."""
    sealed = [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 20, "VolumeType": "gp3", "Encrypted": True}}]
    return machines.launch(MARKED, BlockDeviceMappings=sealed, TagSpecifications=specified("volume", OURS))


@pytest.fixture(scope="module")
def images(cloud: RunningCloud) -> Images:
    return Images(client=cloud.client, owner=OWNER)


@pytest.fixture
def faults(cloud: RunningCloud) -> Iterator[Callable[..., None]]:
    """Give a function that adds a fault; all are dropped afterwards."""
    yield lambda **rule: cloud.control("faults", add=rule) and None
    cloud.control("faults", clear=True)


def bake_order(host: str) -> ImageOrder:
    """Return an order of which no other test has the name."""
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(_ORDERED))
    return decisions.baking(BakeSource(owner=OWNER, region=HERE, instance=InstanceId(host), now=now, state_serial=7))


def baked(images: Images, host: str) -> Image:
    made = images.bake_running(bake_order(host), InstanceId(host))
    return images.available(made, HERE, PATIENCE)


def named(cloud: RunningCloud, name: str, region: str = HERE) -> list[str]:
    found = cloud.client("ec2", region).describe_images(Filters=[{"Name": "name", "Values": [name]}])["Images"]
    return [image["ImageId"] for image in found]


# -- looking ---------------------------------------------------------------------------------------------------------


def test_an_image_is_read_with_its_snapshot_and_the_state_of_its_key(images: Images, host: str) -> None:
    order = bake_order(host)

    made = images.bake_running(order, InstanceId(host))
    found = images.available(made, HERE, PATIENCE)

    assert (found.id, found.name, found.region, found.owner_id, found.state) == (
        made, order.name, HERE, "123456789012", "available",
    )  # fmt: skip
    assert (found.architecture, found.root_device_type, found.root_device_name) == ("x86_64", "ebs", "/dev/xvda")
    assert found.tags == order.tags
    assert found.copied_from is None
    assert len(found.snapshots) == 1
    snapshot = found.snapshots[0]
    assert (snapshot.id,) == found.snapshot_ids
    assert (snapshot.state, snapshot.progress, snapshot.size_gb) == ("completed", 100, 20)
    assert snapshot.tags == order.snapshot_tags
    assert snapshot.key is not None
    assert snapshot.key.state == "Enabled"
    assert datetime.now(UTC) - found.made_at < timedelta(minutes=5)


def test_only_images_with_our_tags_are_ours_and_those_out_of_listings_are_too(
    cloud: RunningCloud, images: Images, host: str
) -> None:
    ec2 = cloud.client("ec2")
    disabled, deprecated = baked(images, host), baked(images, host)
    theirs = decisions.baking(
        BakeSource(
            owner=replace(OWNER, application="payroll"), region=HERE, instance=InstanceId(host), now=datetime.now(UTC)
        )
    )
    foreign = images.bake_running(theirs, InstanceId(host))
    ec2.disable_image(ImageId=disabled.id)
    ec2.enable_image_deprecation(ImageId=deprecated.id, DeprecateAt=datetime.now(UTC) + timedelta(days=1))

    found = {image.id: image for image in images.ours(HERE)}

    assert found[disabled.id].state == "disabled"
    assert found[deprecated.id].deprecated_at is not None
    assert foreign not in found
    assert ImageId(BASE_IMAGE) not in found


def test_an_image_of_others_is_seen_without_its_snapshots(images: Images) -> None:
    found = images.image(ImageId(BASE_IMAGE), HERE)

    assert found is not None
    assert (found.owner_id, found.tags, found.snapshots) == ("137112412989", {}, ())


def test_what_is_not_there_is_none(cloud: RunningCloud, images: Images, host: str) -> None:
    gone = baked(images, host)
    cloud.client("ec2").deregister_image(ImageId=gone.id)

    assert images.image(gone.id, HERE) is None
    assert images.image(ImageId("ami-0123456789abcdef0"), HERE) is None
    assert images.snapshot(SnapshotId("snap-0123456789abcdef0"), HERE) is None


def test_a_key_that_is_disabled_or_doomed_is_told(cloud: RunningCloud, images: Images, host: str) -> None:
    kms = cloud.client("kms", DR)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    original = baked(images, host)
    order = decisions.copying(original, OWNER, DR)
    copy = images.available(images.copy(original, order, key=key, token="states"), DR, PATIENCE)

    kms.disable_key(KeyId=key)
    disabled = images.image(copy.id, DR)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    doomed = images.snapshot(copy.snapshot_ids[0], DR)

    assert disabled is not None
    assert doomed is not None
    assert [s.key.state for s in (*copy.snapshots, *disabled.snapshots, doomed) if s.key] == [
        "Enabled",
        "Disabled",
        "PendingDeletion",
    ]


def test_a_key_that_may_not_be_seen_hides_no_other_image_and_does_not_pass_for_a_good_one(
    cloud: RunningCloud, images: Images, faults: Callable[..., None], host: str
) -> None:
    kms = cloud.client("kms", DR)
    original = baked(images, host)
    keys = [kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2)]
    copies = [
        images.copy(original, replace(decisions.copying(original, OWNER, DR), name=f"seen-{n}"), key=key, token=f"s{n}")
        for n, key in enumerate(keys)
    ]
    for copy in copies:
        images.available(copy, DR, PATIENCE)
    # Keys are looked at in the order of their ARNs.
    looked_at = sorted({s.key.arn for image in images.ours(DR) for s in image.snapshots if s.key})
    denied = {"service": "kms", "operation": "DescribeKey", "code": "AccessDeniedException", "status": 400}
    faults(**denied, first=1 + looked_at.index(keys[0]))

    found = {image.id: [s.key.state for s in image.snapshots if s.key] for image in images.ours(DR)}

    assert [found[copy] for copy in copies] == [["not to be seen (AccessDeniedException)"], ["Enabled"]]


def test_keys_that_do_not_answer_are_not_taken_for_keys_that_may_not_be_seen(
    images: Images, faults: Callable[..., None], host: str
) -> None:
    baked(images, host)
    faults(service="kms", operation="DescribeKey", code="KMSInternalException", status=500, times=100)

    with pytest.raises(Unreachable, match="cannot list the images in eu-west-1: KMSInternalException"):
        images.ours(HERE)


def test_what_uses_an_image_is_named(cloud: RunningCloud, machines: Machines, images: Images, host: str) -> None:
    ec2, image = cloud.client("ec2"), baked(images, host)
    template = ec2.create_launch_template(LaunchTemplateName="spare", LaunchTemplateData={"ImageId": image.id})
    ec2.create_launch_template_version(
        LaunchTemplateId=template["LaunchTemplate"]["LaunchTemplateId"], LaunchTemplateData={"ImageId": BASE_IMAGE}
    )
    second = machines.launch(image=image.id)

    running = [use.by for use in images.uses(HERE) if use.image == image.id]
    ec2.terminate_instances(InstanceIds=[second])
    ended = [use.by for use in images.uses(HERE) if use.image == image.id]

    assert running == [f"instance {second} in eu-west-1", "launch template spare, version 1"]
    assert ended == ["launch template spare, version 1"]


def test_the_machine_of_a_snapshot_is_known_as_long_as_its_instance_is(
    cloud: RunningCloud, machines: Machines, images: Images
) -> None:
    instance = machines.launch()
    snapshot = images.snapshot(SnapshotId(machines.snapshot(instance)), HERE)
    assert snapshot is not None

    known = images.machine_of(snapshot)
    machines.ec2.terminate_instances(InstanceIds=[instance])
    machines.until(lambda: machines.state(instance) == "terminated")
    volumes = [v["VolumeId"] for v in cloud.client("ec2").describe_volumes()["Volumes"]]
    gone = images.machine_of(snapshot)

    assert known is not None
    assert (known.architecture, known.root_device_name) == ("x86_64", "/dev/xvda")
    assert (snapshot.volume_id in volumes, gone) == (False, None)


@pytest.mark.parametrize(
    "ask",
    [
        lambda images: images.ours(HERE),
        lambda images: images.image(ImageId(BASE_IMAGE), HERE),
        lambda images: images.snapshots(HERE),
        lambda images: images.uses(HERE),
    ],
)
def test_a_region_that_does_not_answer_is_unreachable_not_empty(ask: Callable[[Images], object]) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    credentials = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}

    def client(service: str, region: str) -> Any:
        once = Config(retries={"total_max_attempts": 1})
        return boto3.client(service, region_name=region, endpoint_url=nowhere, config=once, **credentials)

    with pytest.raises(Unreachable, match="^cannot l.* in eu-west-1: Could not connect"):
        ask(Images(client=client, owner=OWNER))


# -- baking ----------------------------------------------------------------------------------------------------------


def test_progress_is_told_until_the_image_is_there(images: Images, host: str) -> None:
    told: list[str] = []
    made = images.bake_running(bake_order(host), InstanceId(host))

    images.available(made, HERE, Patience(seconds=60, tell=told.append))

    assert told
    assert told[0] == f"{made} in eu-west-1: pending, snapshots 0 %"


def test_a_bake_reboots_the_instance_unless_it_may_not(machines: Machines, images: Images, host: str) -> None:
    def sleeper_lives() -> bool:
        return machines.shell(host, 'kill -0 "$(cat "$HOST_ROOT/opt/sleeper")"').code == 0

    machines.shell(host, 'sleep 300 & echo $! >"$HOST_ROOT/opt/sleeper"')
    baked(images, host)
    lives = sleeper_lives()
    images.available(images.bake(bake_order(host), InstanceId(host)), HERE, PATIENCE)

    assert (lives, sleeper_lives()) == (True, False)


def test_a_bake_that_fails_tells_ec2s_reason(cloud: RunningCloud, machines: Machines, images: Images) -> None:
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    sealed = [{"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": True, "KmsKeyId": key, "VolumeSize": 8}}]
    instance = machines.launch(BlockDeviceMappings=sealed)
    cloud.client("kms").disable_key(KeyId=key)
    made = images.bake_running(bake_order(instance), InstanceId(instance))

    with pytest.raises(Failed) as failure:
        images.available(made, HERE, PATIENCE)

    assert failure.value.summary == (
        f"{made} in eu-west-1 is failed: Client.InvalidKMSKey.InvalidState: The KMS key {key} is in state Disabled"
    )


def test_an_image_that_is_not_there_in_time_is_not_waited_for_any_longer(images: Images, host: str) -> None:
    made = images.bake_running(bake_order(host), InstanceId(host))

    with pytest.raises(StoppedPartWay, match=f"^{made} in eu-west-1 is still pending after 0 s") as stop:
        images.available(made, HERE, Patience(seconds=0, tell=lambda _: None))

    assert stop.value.exit_status == 4


def test_an_image_that_goes_while_it_is_waited_for_is_a_failure(cloud: RunningCloud, images: Images, host: str) -> None:
    made = images.bake_running(bake_order(host), InstanceId(host))

    def deregister(_seconds: float) -> None:
        if images.image(made, HERE) is not None:
            cloud.client("ec2").deregister_image(ImageId=made)

    with pytest.raises(Failed, match=f"there is no image {made} in eu-west-1 any more"):
        images.available(made, HERE, Patience(seconds=60, tell=lambda _: None, sleep=deregister))


def test_an_instance_that_is_not_there_cannot_be_baked(images: Images) -> None:
    with pytest.raises(Unreachable, match="cannot bake an image of i-0123456789abcdef0.*InvalidInstanceID.NotFound"):
        images.bake_running(bake_order("i-0123456789abcdef0"), InstanceId("i-0123456789abcdef0"))


def test_a_bake_whose_answer_is_lost_is_found_and_not_made_twice(
    cloud: RunningCloud, images: Images, faults: Callable[..., None], host: str
) -> None:
    order = bake_order(host)
    faults(service="ec2", operation="CreateImage", when="after")

    made = images.bake_running(order, InstanceId(host))

    assert named(cloud, order.name) == [made]


def test_a_bake_that_the_sdk_repeats_after_a_lost_answer_is_made_once(
    cloud: RunningCloud, faults: Callable[..., None], host: str
) -> None:
    def stubborn(service: str, region: str) -> Any:
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=cloud.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"mode": "standard", "total_max_attempts": 5}),
        )

    order = bake_order(host)
    faults(service="ec2", operation="CreateImage", when="after")

    made = Images(client=stubborn, owner=OWNER).bake_running(order, InstanceId(host))

    assert named(cloud, order.name) == [made]


def test_a_bake_whose_answer_never_comes_is_found(cloud: RunningCloud, faults: Callable[..., None], host: str) -> None:
    impatient = Images(client=lambda service, region: cloud.client(service, region, read_timeout=5), owner=OWNER)
    order = bake_order(host)
    faults(service="ec2", operation="CreateImage", when="after", status=200, delay_seconds=6)

    made = impatient.bake_running(order, InstanceId(host))

    assert named(cloud, order.name) == [made]


def test_an_order_that_did_not_reach_ec2_is_an_error(
    cloud: RunningCloud, images: Images, faults: Callable[..., None], host: str
) -> None:
    order = bake_order(host)
    faults(service="ec2", operation="CreateImage", when="before")

    with pytest.raises(Unreachable, match="cannot bake an image of .*InternalFailure"):
        images.bake_running(order, InstanceId(host))

    assert named(cloud, order.name) == []


def test_a_name_that_another_image_has_is_refused(images: Images, host: str) -> None:
    order = bake_order(host)
    first = images.bake_running(order, InstanceId(host))

    with pytest.raises(Refused, match=f"the name {order.name} is taken in eu-west-1 by {first}"):
        images.bake_running(
            replace(order, tags={**order.tags, "lifeboat:source-instance": "i-other"}), InstanceId(host)
        )


# -- copying -----------------------------------------------------------------------------------------------------------


def test_a_copy_is_encrypted_with_the_key_there_keeps_its_tags_and_boots(
    cloud: RunningCloud, images: Images, host: str
) -> None:
    key = cloud.client("kms", DR).create_key()["KeyMetadata"]["Arn"]
    cloud.client("kms", DR).create_alias(AliasName="alias/app-test-ebs-copies", TargetKeyId=key)
    original = baked(images, host)
    images.mark_proven(original, datetime.now(UTC))
    proven = images.image(original.id, HERE)
    assert proven is not None
    order = decisions.copying(proven, OWNER, DR)

    made = images.copy(proven, order, key="alias/app-test-ebs-copies", token="boots")
    copy = images.available(made, DR, PATIENCE)
    other = Machines(cloud, DR)
    instance = other.launch(image=copy.id)

    assert (copy.name, copy.copied_from, copy.proven_at) == (original.name, original.id, None)
    assert copy.tags == {
        **original.tags,
        "lifeboat:copied-from": original.id,
        "lifeboat:taken-at": f"{original.taken_at:%Y-%m-%dT%H:%M:%SZ}",
    }
    assert [(s.key.arn, s.tags) for s in copy.snapshots if s.key] == [(key, order.snapshot_tags)]
    assert other.shell(instance, 'cat "$HOST_ROOT/opt/mark"').out == "written by the first\n"


def test_a_copy_is_made_once_with_one_token_or_one_name(
    cloud: RunningCloud, images: Images, faults: Callable[..., None], host: str
) -> None:
    original = baked(images, host)
    order = decisions.copying(original, OWNER, DR)
    faults(service="ec2", operation="CopyImage", when="after")

    first = images.copy(original, order, key=None, token="once-1")
    same_token = images.copy(original, order, key=None, token="once-1")
    same_name = images.copy(original, order, key=None, token="once-2")

    assert first == same_token == same_name
    assert named(cloud, order.name, DR) == [first]


def test_a_copy_under_a_key_that_cannot_be_used_is_refused(cloud: RunningCloud, images: Images, host: str) -> None:
    key = cloud.client("kms", DR).create_key()["KeyMetadata"]["Arn"]
    cloud.client("kms", DR).disable_key(KeyId=key)
    original = baked(images, host)
    order = decisions.copying(original, OWNER, DR)

    with pytest.raises(Unreachable, match=f"cannot copy {original.id} from eu-west-1 to eu-central-1: .*InvalidState"):
        images.copy(original, order, key=key, token="locked")

    assert named(cloud, order.name, DR) == []


# -- from a snapshot ---------------------------------------------------------------------------------------------------


def test_a_snapshot_alone_becomes_an_image_that_boots_once_however_often_it_is_asked_for(
    cloud: RunningCloud, machines: Machines, images: Images
) -> None:
    instance = machines.launch(MARKED, TagSpecifications=specified("volume", OURS))
    volume = machines.described(instance)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    taken = machines.ec2.create_snapshot(VolumeId=volume, TagSpecifications=specified("snapshot", OURS))["SnapshotId"]
    machines.completed(taken)
    machines.ec2.terminate_instances(InstanceIds=[instance])
    snapshot = next(found for found in images.snapshots(HERE) if found.id == taken)
    order = decisions.registering(snapshot, OWNER)
    machine = Machine(architecture="x86_64", root_device_name="/dev/xvda")

    first = images.register(snapshot, order, machine)
    made = images.available(first, HERE, PATIENCE)
    images.mark_proven(made, datetime.now(UTC))
    again = images.register(snapshot, order, machine)
    second = machines.launch(image=made.id)

    assert again == first
    assert named(cloud, order.name) == [first]
    assert abs(made.taken_at - snapshot.started_at) < timedelta(seconds=1)
    assert machines.shell(second, 'cat "$HOST_ROOT/opt/mark"').out == "written by the first\n"


# -- marking and deleting ------------------------------------------------------------------------------------------------


def test_an_image_keeps_the_last_time_it_was_proven(images: Images, host: str) -> None:
    image = baked(images, host)
    first, later = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, 4, 5, 6, tzinfo=UTC)

    images.mark_proven(image, first)
    images.mark_proven(image, later)

    found = images.image(image.id, HERE)
    assert found is not None
    assert (image.proven_at, found.proven_at) == (None, later)
    assert found.tags["lifeboat:proven-at"] == "2026-02-01T04:05:06Z"


def test_an_image_that_is_gone_cannot_be_marked(images: Images, host: str) -> None:
    image = baked(images, host)
    images.deregister(image)

    with pytest.raises(Unreachable, match=f"cannot mark {image.id} in eu-west-1 as proven: InvalidAMIID.NotFound"):
        images.mark_proven(image, datetime.now(UTC))


def test_deleting_what_is_gone_already_is_as_good(images: Images, host: str) -> None:
    image = baked(images, host)

    for _ in range(2):
        images.deregister(image)
        images.delete_snapshot(image.snapshots[0])

    assert images.image(image.id, HERE) is None
    assert images.snapshot(image.snapshot_ids[0], HERE) is None


def test_a_snapshot_that_an_image_needs_is_not_deleted(images: Images, host: str) -> None:
    image = baked(images, host)

    with pytest.raises(Unreachable, match=f"cannot delete {image.snapshot_ids[0]} in eu-west-1: InvalidSnapshot.InUse"):
        images.delete_snapshot(image.snapshots[0])

    assert images.snapshot(image.snapshot_ids[0], HERE) is not None


def test_a_deletion_that_is_denied_names_the_role_that_may(
    images: Images, faults: Callable[..., None], host: str
) -> None:
    image = baked(images, host)
    faults(service="ec2", operation="DeregisterImage", code="UnauthorizedOperation", status=403)

    with pytest.raises(Unreachable, match="UnauthorizedOperation") as denial:
        images.deregister(image)

    assert denial.value.hint == "where permissions refuse it: only the role app-test-break-glass may delete copies"
    assert images.image(image.id, HERE) is not None


def test_more_snapshots_than_one_question_may_name_are_read(cloud: RunningCloud) -> None:
    ec2 = cloud.client("ec2")
    volume = ec2.create_volume(AvailabilityZone="eu-west-1a", Size=1)["VolumeId"]
    taken = [ec2.create_snapshot(VolumeId=volume)["SnapshotId"] for _ in range(205)]
    until(lambda: all(s["State"] == "completed" for s in ec2.describe_snapshots(SnapshotIds=taken)["Snapshots"]))
    disks = [{"DeviceName": f"/dev/sd{number}", "Ebs": {"SnapshotId": name}} for number, name in enumerate(taken)]
    image = ec2.register_image(Name="many-disks", RootDeviceName="/dev/sd0", BlockDeviceMappings=disks)["ImageId"]

    found = Images(client=cloud.client, owner=OWNER).image(image, HERE)

    assert found is not None
    assert [snapshot.id for snapshot in found.snapshots] == taken
