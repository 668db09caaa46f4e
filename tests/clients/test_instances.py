"""How many more instances the account allows: what counts against the quota, and which types it is about."""

from __future__ import annotations

import pytest
from lifeboat.clients.instances import Instances
from lifeboat.model import Owner, Room

from tests.conftest import RunningCloud
from tests.localcloud.machines import Machines

OWNER = Owner(account_id="123456789012", application="app-test", environment="test")


@pytest.fixture
def instances(cloud: RunningCloud) -> Instances:
    return Instances(ec2=cloud.client("ec2"), quotas=cloud.client("service-quotas"), owner=OWNER)


@pytest.fixture(scope="module", autouse=True)
def running(cloud: RunningCloud) -> None:
    """One instance on demand, one of Spot, and one of an accelerated family."""
    machines = Machines(cloud)
    machines.launch()
    machines.launch(InstanceMarketOptions={"MarketType": "spot"})
    machines.launch(InstanceType="inf1.xlarge")


def test_neither_spot_nor_an_accelerated_instance_counts_against_the_standard_ones(instances: Instances) -> None:
    assert instances.room("t3.small") == Room(needed=2, used=2, limit=64)


@pytest.mark.parametrize("kind", ["im4gn.large", "is4gen.large", "m7i-flex.large", "z1d.large", "i3en.large"])
def test_a_standard_family_is_known_whatever_follows_its_letter(instances: Instances, kind: str) -> None:
    room = instances.room(kind)

    assert room is not None
    assert (room.used, room.needed) == (2, 2)


@pytest.mark.parametrize(
    "kind",
    [
        *("inf2.xlarge", "trn1.2xlarge", "dl1.24xlarge", "hpc7g.4xlarge", "mac2.metal", "g5.xlarge", "p3.2xlarge"),
        *("vt1.3xlarge", "x2idn.16xlarge", "u-6tb1.metal", "f1.2xlarge"),
    ],
)
def test_a_family_with_a_quota_of_its_own_is_not_judged_by_this_one(instances: Instances, kind: str) -> None:
    assert instances.room(kind) is None
