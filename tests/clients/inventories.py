"""What is looked for in the tests of the inventory: the stack of this application in this environment."""

from __future__ import annotations

from lifeboat.clients.inventory import Inventory

from tests.conftest import RunningCloud


def inventory_of(cloud: RunningCloud) -> Inventory:
    return Inventory(
        client=cloud.client,
        region="eu-west-1",
        dr_region="eu-central-1",
        application="app-local",
        environment="local",
    )
