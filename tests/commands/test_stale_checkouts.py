"""What an apply from a checkout whose recovery file is not the newest one may not do, and what it is told to do instead."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from lifeboat.errors import Refused
from lifeboat.model import Action, Address, Change, EventKind, Plan
from lifeboat.stack import allowed

from tests.conftest import RunningCloud
from tests.gitlab_sites import RECOVERY
from tests.plain_sites import PlainSite, plain_site

RUN, LATER = "20260301T030000Z-recover-aaaaaa", "20260302T030000Z-recover-bbbbbb"


def database(generation: str) -> Address:
    return Address(f'module.database.aws_db_instance.this["{generation}"]')


def change(action: Action, address: Address) -> Change:
    kind = next(part for part in address.replace("[", ".").split(".") if part.startswith("aws_"))
    return Change(address=address, resource_type=kind, action=action)


@pytest.fixture
def plain(cloud: RunningCloud, tmp_path: Path) -> PlainSite:
    return plain_site(cloud, tmp_path)


def records(plain: PlainSite, *generations: str) -> None:
    """Let Terraform's state know these generations."""
    resource = {
        "type": "aws_db_instance",
        "mode": "managed",
        "module": "module.database",
        "instances": [{"index_key": generation, "attributes": {}} for generation in generations],
    }
    outputs = {"recovery": {"value": RECOVERY, "type": "dynamic"}}
    state = {"version": 4, "serial": 2, "lineage": "l", "outputs": outputs, "resources": [resource]}
    plain.put("stack.tfstate", json.dumps(state).encode())


def names(plain: PlainSite, generations: Sequence[str], active: str) -> None:
    """Let the recovery file of the checkout name these generations."""
    text = {"active_generation": active, "database_generations": {one: {} for one in generations}}
    (plain.root / "environments" / "x.recovery.tfvars.json").write_text(json.dumps(text))


@pytest.mark.parametrize("recorded", [("g2",), ("g1", "g2")])
def test_a_retired_generation_is_not_made_anew_and_empty_by_a_checkout_that_still_names_it(
    plain: PlainSite, recorded: tuple[str, ...]
) -> None:
    records(plain, *recorded)
    plan = Plan(changes=(change(Action.CREATE, database("g9")),))

    with pytest.raises(Refused) as refused:
        allowed.require(plain.site(), plan, allowed.STACK)

    assert refused.value.summary == (
        f"this plan would make an empty database, g9: Terraform's state knows {', '.join(recorded)}, and a generation"
        " beside these comes of a recovery only"
    )
    assert refused.value.hint == (
        "commit environments/x.recovery.tfvars.json and fetch it here: it says which databases there are, and which of them"
        " serves"
    )


def test_the_first_database_of_all_is_made_empty(plain: PlainSite) -> None:
    assert allowed.require(plain.site(), Plan(changes=(change(Action.CREATE, database("g1")),)), allowed.STACK) == []


def test_what_a_restored_generation_is_adopted_with_is_no_empty_database(plain: PlainSite) -> None:
    records(plain, "g1")
    changes = (change(Action.IMPORT, database("g2")), change(Action.UPDATE, database("g2")))

    assert allowed.require(plain.site(), Plan(changes=changes), allowed.STACK) == []


def test_who_would_delete_a_generation_for_want_of_the_recovery_file_is_told_where_it_is(plain: PlainSite) -> None:
    records(plain, "g1", "g2")
    plain.run(
        RUN, (EventKind.NOTE, "copy", {"generation": "g2"}), (EventKind.INTENT, "database-file", {"generation": "g2"})
    )
    given_up = (EventKind.RESULT, "abort", {"taken_out": "laptop"})
    plain.run(LATER, (EventKind.INTENT, "database-file", {"generation": "g3"}), given_up, (EventKind.ENDED, "", {}))
    copy = Address('module.database.aws_db_instance_automated_backups_replication.dr["g2"]')
    plan = Plan(changes=(change(Action.DELETE, database("g2")), change(Action.DELETE, copy)))

    with pytest.raises(Refused) as refused:
        allowed.require(plain.site(), plan, allowed.STACK)

    assert refused.value.hint == (
        f"commit environments/x.recovery.tfvars.json in the checkout on laptop, in which the recovery {RUN} was made, and"
        " fetch it here: it says which databases there are, and which of them serves; to take g2 away on purpose:"
        " lifeboat retire g2 -e x"
    )


@pytest.mark.parametrize("action", [Action.DELETE, Action.REPLACE])
def test_who_names_the_generation_and_would_lose_it_all_the_same_is_told_to_look_at_the_configuration(
    plain: PlainSite, action: Action
) -> None:
    records(plain, "g1", "g2")
    names(plain, ["g1", "g2"], "g2")

    with pytest.raises(Refused) as refused:
        allowed.require(plain.site(), Plan(changes=(change(action, database("g2")),)), allowed.STACK)

    assert str(refused.value.hint).startswith("change the configuration so that it stays")


@pytest.mark.parametrize(
    ("gone", "scope"),
    [([database("g1")], "database"), ([database("g1"), Address("module.app_instance.aws_instance.this")], "full")],
)
def test_a_database_that_is_gone_is_brought_back_by_a_recovery(
    plain: PlainSite, gone: list[Address], scope: str
) -> None:
    records(plain, "g1")
    plan = Plan(changes=tuple(change(Action.CREATE, address) for address in gone), gone=tuple(gone))

    with pytest.raises(Refused) as refused:
        allowed.require(plain.site(), plan, allowed.STACK)

    assert refused.value.hint == (
        "lifeboat plan-recovery -e x shows what it can come back from, and lifeboat recover --scope"
        f" {scope} -e x brings it back"
    )
