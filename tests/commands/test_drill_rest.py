"""What takes the network of drills away waits for a drill that runs, and for what one left, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lifeboat.errors import CleanUpIncomplete, Locked
from lifeboat.model import Action, Address, Change, Plan, RunId
from lifeboat.site import Site
from lifeboat.stack import drill_rest

from tests.conftest import RunningCloud
from tests.plain_sites import PlainSite, plain_site

DRILL = RunId("20260301T000000Z-drill-full-aaaaaa")


@pytest.fixture
def plain(cloud: RunningCloud, tmp_path: Path) -> PlainSite:
    return plain_site(cloud, tmp_path)


def plan(action: Action, address: str) -> Plan:
    kind = address.split(".")[-2]
    return Plan(changes=(Change(address=Address(address), resource_type=kind, action=action),))


NETWORK = plan(Action.REPLACE, "module.drill_network[0].aws_vpc.this")


def waits_for_a_drill(site: Site, ask: Callable[[], None], *, waits: bool) -> None:
    """Ask while a drill is at work, and fail unless that is refused, or goes on where it has nothing to wait for."""
    with site.drill_lease(DRILL).held():
        if not waits:
            ask()
            return
        with pytest.raises(Locked) as refused:
            ask()

    assert refused.value.summary.startswith(f"the drill {DRILL} of ")
    assert refused.value.hint == f"lifeboat logs {DRILL} shows what it does; apply when it has ended"


@pytest.mark.parametrize(
    ("planned", "waits"),
    [
        (NETWORK, True),
        (plan(Action.DELETE, "module.drill_network[0].aws_db_subnet_group.this"), True),
        (plan(Action.UPDATE, "module.drill_network[0].aws_vpc.this"), False),
        (plan(Action.DELETE, "module.drill_network[0].aws_vpc_security_group_ingress_rule.this"), False),
        (plan(Action.DELETE, "module.network.aws_subnet.this"), False),
        (Plan(changes=()), False),
    ],
)
def test_an_apply_waits_for_a_drill_where_it_takes_the_network_away(
    plain: PlainSite, planned: Plan, waits: bool
) -> None:
    site = plain.site()

    waits_for_a_drill(site, lambda: drill_rest.require_for(site, planned), waits=waits)


def test_an_apply_waits_for_what_a_drill_left(plain: PlainSite) -> None:
    name = f"{plain.application}-drill-aaaaaa"
    tags = {"lifeboat:drill": DRILL, "lifeboat:drill-of": plain.application}
    plain.cloud.client("sqs").create_queue(QueueName=name, tags=tags)

    with pytest.raises(CleanUpIncomplete) as refused:
        drill_rest.require_for(plain.site(), NETWORK)

    assert f"sqs:queue {name} in eu-west-1" in refused.value.summary
    assert "lifeboat sweep shows and removes it; then apply again" in str(refused.value.hint)


def saved(*actions: str, address: str = "module.drill_network[0].aws_vpc.this") -> dict[str, Any]:
    """Return a saved plan of one change, as `terraform show -json` prints it."""
    kind = address.split(".")[-2]
    change = {"address": address, "mode": "managed", "type": kind, "change": {"actions": list(actions)}}
    return {"format_version": "1.2", "resource_changes": [change]}


@pytest.mark.parametrize(
    ("document", "waits"),
    [
        (saved("delete"), True),
        (saved("delete", "create"), True),
        (saved("create", "delete"), True),
        (saved("update"), False),
        (saved("no-op"), False),
        (saved("delete", address="module.network.aws_subnet.this"), False),
        ({"format_version": "1.2"}, False),
    ],
)
def test_a_saved_plan_waits_for_a_drill_that_began_since(
    plain: PlainSite, document: dict[str, Any], waits: bool
) -> None:
    site = plain.site()
    drill_rest.require_for_saved(site, document)

    waits_for_a_drill(site, lambda: drill_rest.require_for_saved(site, document), waits=waits)
