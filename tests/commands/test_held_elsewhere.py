"""What changes images or the public name keeps out of the way of a recovery, on whatever machine that runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from lifeboat.commands import ami, dns
from lifeboat.errors import IntegrityFailure, Locked
from lifeboat.model import EventKind, Pruning, RunId
from lifeboat.site import Site

from tests.conftest import RunningCloud
from tests.localcloud.machines import until
from tests.plain_sites import PlainSite, Told, plain_site

RECOVERY = RunId("20260301T030000Z-recover-aaaaaa")
OURS = {"environment": "x", "managed-by": "lifeboat", "lifeboat:source-snapshot": "snap-1"}


@pytest.fixture
def plain(cloud: RunningCloud, tmp_path: Path) -> PlainSite:
    return plain_site(cloud, tmp_path)


def agreed(_lines: Sequence[str]) -> None:
    """Agree to everything."""


ORDERS = dns.Orders(allowed=frozenset(dns.Allowed), agree=agreed, tell=lambda _: None)


@pytest.mark.parametrize(
    "change",
    [
        lambda site: ami.prune(site, Told(), lambda _: None, agreed, 1),
        lambda site: dns.switch(site, to="127.9.9.9", zone=None, orders=ORDERS),
        lambda site: dns.revert(site, zone=None, orders=ORDERS),
    ],
    ids=["ami prune", "dns switch", "dns revert"],
)
def test_while_a_recovery_of_another_checkout_holds_the_environment_nothing_is_changed(
    plain: PlainSite, tmp_path_factory: pytest.TempPathFactory, change: Callable[[Site], Any]
) -> None:
    other = plain.elsewhere(tmp_path_factory.mktemp("other"))
    with other.site().lease(RECOVERY, print).held(), pytest.raises(Locked) as refused:
        change(plain.site())

    assert refused.value.exit_status == 5
    assert f"run {RECOVERY}" in refused.value.summary


def registered(plain: PlainSite, *names: str) -> list[str]:
    """Make images of ours of one snapshot that is not ours, and return their ids; the last is the newest."""
    ec2 = plain.cloud.client("ec2")
    volume = ec2.create_volume(AvailabilityZone="eu-west-1a", Size=1)["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    until(lambda: ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"] == "completed")
    tags = [{"Key": key, "Value": value} for key, value in {**OURS, "application": plain.application}.items()]
    made = []
    for number, name in enumerate(names):
        taken_at = {"Key": "lifeboat:taken-at", "Value": f"2026-02-0{number + 1}T00:00:00Z"}
        found = ec2.register_image(
            Name=f"{plain.application}-{name}",
            Architecture="x86_64",
            RootDeviceName="/dev/xvda",
            BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}],
            TagSpecifications=[{"ResourceType": "image", "Tags": [*tags, taken_at]}],
        )
        made.append(found["ImageId"])
    until(lambda: {i["State"] for i in ec2.describe_images(ImageIds=made)["Images"]} == {"available"})
    return made


def pruned(plain: PlainSite) -> Pruning:
    return ami.prune(plain.site(), Told(), lambda _: None, agreed, 1)


@pytest.mark.parametrize("changed", [(EventKind.INTENT, "instance", {}), (EventKind.STOPPED, "image", {})])
def test_an_image_that_a_recovery_chose_stays_until_that_has_ended(
    plain: PlainSite, changed: tuple[EventKind, str, dict[str, Any]]
) -> None:
    chosen, spare, newest = registered(plain, "chosen", "spare", "newest")
    noted = (EventKind.NOTE, "image", {"image": chosen})
    plain.run(RECOVERY, noted, changed)

    while_open = pruned(plain)
    plain.run(RECOVERY, noted, changed, (EventKind.ENDED, "", {}))
    afterwards = pruned(plain)

    assert {judged.what.id: judged.why for judged in while_open.kept} == {
        chosen: f"used by the recovery {RECOVERY}, which has not ended",
        newest: "one of the newest 1 in eu-west-1",
    }
    assert [judged.what.id for judged in while_open.removed] == [spare]
    assert [judged.what.id for judged in afterwards.removed] == [chosen]


def test_nothing_is_pruned_while_nobody_can_tell_what_a_recovery_chose(plain: PlainSite) -> None:
    plain.run(RECOVERY, (EventKind.NOTE, "image", {}))
    plain.put(f"runs/{RECOVERY}/000002.json", b"{}")

    with pytest.raises(IntegrityFailure, match=f"the journal of {RECOVERY} in {plain.bucket} is damaged"):
        pruned(plain)
