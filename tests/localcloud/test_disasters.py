"""Disasters on demand: what AWS would show of them, and what heals them."""

from __future__ import annotations

import pytest

from tests.conftest import RunningCloud, open_folder, start_cloud, stop_cloud
from tests.localcloud.machines import Machines, until


@pytest.fixture(scope="module")
def machines(cloud: RunningCloud) -> Machines:
    return Machines(cloud)


def state(machines: Machines, host: str) -> str:
    return str(machines.described(host)["State"]["Name"])


def checks(machines: Machines, host: str) -> str:
    found = machines.cloud.client("ec2").describe_instance_status(InstanceIds=[host])["InstanceStatuses"]
    return str(found[0]["InstanceStatus"]["Status"]) if found else "none"


def test_nothing_to_break_and_an_unknown_disaster_are_said_so(cloud: RunningCloud) -> None:
    with pytest.raises(AssertionError, match="there is nothing that 'database' could happen to"):
        cloud.control("break", what="database")
    with pytest.raises(AssertionError, match="write one of: instance, instance-gone, database, state"):
        cloud.control("break", what="everything")


def test_a_dead_machine_is_shown_running_and_fails_its_checks_until_it_is_stopped_and_started(
    cloud: RunningCloud, machines: Machines
) -> None:
    host = machines.launch("#!/bin/sh\n")
    ec2 = cloud.client("ec2")
    healthy = checks(machines, host)

    done = cloud.control("break", what="instance")["done"]
    broken = (state(machines, host), checks(machines, host))
    ec2.reboot_instances(InstanceIds=[host])
    rebooted = checks(machines, host)
    ec2.stop_instances(InstanceIds=[host])
    until(lambda: state(machines, host) == "stopped")
    ec2.start_instances(InstanceIds=[host])
    until(lambda: checks(machines, host) == "ok")

    assert done == [f"the machine of {host} in eu-west-1 died; EC2 shows it running, its checks fail"]
    assert (healthy, broken, rebooted) == ("ok", ("running", "impaired"), "impaired")


def test_an_instance_that_is_gone_is_terminated(cloud: RunningCloud, machines: Machines) -> None:
    host = machines.launch("#!/bin/sh\n")

    cloud.control("break", what="instance-gone")

    until(lambda: state(machines, host) == "terminated")


def test_a_dead_machine_stays_dead_over_a_restart_of_the_cloud() -> None:
    with open_folder() as folder:
        first = start_cloud(folder / "cloud")
        host = Machines(first).launch("#!/bin/sh\n")
        first.control("break", what="instance")
        stop_cloud(first)

        second = start_cloud(folder / "cloud", first.port)
        found = (state(Machines(second), host), checks(Machines(second), host))
        stop_cloud(second)

    assert found == ("running", "impaired")
