"""What an apply from a checkout whose recovery file is not the newest one may not do, and what it is told to do instead."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from lifeboat.commands import recovery_file
from lifeboat.errors import Refused
from lifeboat.model import Action, Address, Change, EventKind, Plan
from lifeboat.stack import allowed, repair

from tests.conftest import RunningCloud
from tests.gitlab_sites import RECOVERY
from tests.plain_sites import PlainSite, Told, plain_site

RUN, LATER = "20260301T030000Z-recover-aaaaaa", "20260302T030000Z-recover-bbbbbb"


def database(generation: str) -> Address:
    return Address(f'module.database.aws_db_instance.this["{generation}"]')


def copy_of(generation: str) -> Address:
    return Address(f'module.database.aws_db_instance_automated_backups_replication.dr["{generation}"]')


def change(action: Action, address: Address) -> Change:
    kind = next(part for part in address.replace("[", ".").split(".") if part.startswith("aws_"))
    return Change(address=address, resource_type=kind, action=action)


@pytest.fixture
def plain(cloud: RunningCloud, tmp_path: Path) -> PlainSite:
    return plain_site(cloud, tmp_path)


def records(plain: PlainSite, *generations: str) -> None:
    """Let Terraform's state know these generations, of which the last one serves, with the copies of their backups."""
    resources = [
        {
            "type": kind,
            "mode": "managed",
            "name": "this",
            "module": "module.database",
            "instances": [
                {"index_key": generation, "attributes": {"deletion_protection": True}} for generation in generations
            ],
        }
        for kind in ("aws_db_instance", "aws_db_instance_automated_backups_replication")
    ]
    document = json.loads(json.dumps(RECOVERY))
    document["database"]["active_generation"] = generations[-1]
    outputs = {"recovery": {"value": document, "type": "dynamic"}}
    state = {"version": 4, "serial": 2, "lineage": "l", "outputs": outputs, "resources": resources}
    plain.put("stack.tfstate", json.dumps(state).encode())


def file(plain: PlainSite) -> Path:
    return plain.root / "environments" / "x.recovery.tfvars.json"


def names(plain: PlainSite, generations: Mapping[str, Mapping[str, bool]], active: str) -> None:
    """Let the recovery file of the checkout say this of the generations."""
    file(plain).write_text(json.dumps({"active_generation": active, "database_generations": generations}))


@pytest.mark.parametrize("recorded", [("g2",), ("g1", "g2")])
def test_a_retired_generation_is_not_made_anew_and_empty_by_a_checkout_that_still_names_it(
    plain: PlainSite, recorded: tuple[str, ...]
) -> None:
    records(plain, *recorded)
    names(plain, {"g9": {}, **{one: {"restored": True} for one in recorded}}, "g9")
    plan = Plan(changes=(change(Action.CREATE, database("g9")),))

    with pytest.raises(Refused) as refused:
        allowed.require(plain.site(), plan, allowed.STACK)

    knows = ", ".join([*recorded[:-1], f"{recorded[-1]} (serves)"])
    said = ", ".join([*recorded, "g9 (serves)"])
    assert refused.value.summary == (
        "this plan would make an empty database, g9: a generation beside those of Terraform's state comes of a recovery only"
        f"\nenvironments/x.recovery.tfvars.json says: {said}; Terraform's state knows: {knows}"
    )
    assert refused.value.hint == (
        "lifeboat recovery-file -e x writes environments/x.recovery.tfvars.json as Terraform's state says; or fetch the one"
        " that was committed"
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
    plan = Plan(changes=(change(Action.DELETE, database("g2")), change(Action.DELETE, copy_of("g2"))))

    with pytest.raises(Refused) as refused:
        allowed.require(plain.site(), plan, allowed.STACK)

    assert refused.value.summary.endswith(
        "\nthere is no environments/x.recovery.tfvars.json here, which means: g1 (serves); Terraform's state knows: g1, g2"
        " (serves)"
    )
    assert refused.value.hint == (
        "lifeboat recovery-file -e x writes environments/x.recovery.tfvars.json as Terraform's state says; or fetch the one"
        f" that was committed in the checkout on laptop, in which the recovery {RUN} was made; to take g2 away on purpose:"
        " lifeboat retire g2 -e x"
    )


def test_who_would_end_the_copy_of_the_backups_by_an_older_file_is_told_what_the_state_says(plain: PlainSite) -> None:
    records(plain, "g2")
    names(plain, {"g1": {}, "g2": {"restored": True, "dr_copy": False}}, "g2")
    changes = (change(Action.DELETE, copy_of("g2")), change(Action.CREATE, database("g1")))

    with pytest.raises(Refused) as refused:
        allowed.require(plain.site(), Plan(changes=changes), allowed.STACK)

    assert refused.value.summary == (
        "this plan of the stack would lose what must not be lost:\n"
        f"  delete {copy_of('g2')}: it is the database's copy in the other region\n"
        f"  create {database('g1')}: it would be an empty database\n"
        "environments/x.recovery.tfvars.json says: g1, g2 (serves, backups not copied to the other region); Terraform's state"
        " knows: g2 (serves)"
    )
    assert "terraform state rm" not in refused.value.hint
    assert refused.value.hint.startswith("lifeboat recovery-file -e x writes environments/x.recovery.tfvars.json")


def test_the_recovery_file_of_an_older_checkout_is_written_as_the_state_says(plain: PlainSite) -> None:
    records(plain, "g2")
    names(plain, {"g1": {}, "g2": {"restored": True, "dr_copy": False}}, "g2")
    before = file(plain).read_text()

    previewed = recovery_file.preview(plain.site())
    untouched = file(plain).read_text()
    done = recovery_file.run(plain.site(), Told())
    again = recovery_file.run(plain.site(), Told())

    assert untouched == before
    assert previewed.wanted == file(plain).read_text()
    assert json.loads(file(plain).read_text()) == {
        "active_generation": "g2",
        "database_generations": {"g2": {"restored": True}},
    }
    assert (previewed.written, done.written, again.written) == (False, True, False)
    assert (done.said, done.told) == ("g1, g2 (serves, backups not copied to the other region)", "g2 (serves)")
    assert done.to_commit.startswith("git add environments/x.recovery.tfvars.json && git commit -m ")


def test_a_checkout_without_a_file_gets_one_that_names_the_image_that_a_recovery_launched(plain: PlainSite) -> None:
    records(plain, "g1", "g2")
    launched = (EventKind.NOTE, "image", {"image": "ami-1"}), (EventKind.INTENT, "instance", {})
    plain.run(RUN, *launched, (EventKind.ENDED, "", {}))

    recovery_file.run(plain.site(), Told())

    assert json.loads(file(plain).read_text()) == {
        "active_generation": "g2",
        "ami_id": "ami-1",
        "database_generations": {"g1": {}, "g2": {"restored": True}},
    }


def test_a_state_that_is_older_than_what_is_remembered_of_it_has_no_word(plain: PlainSite) -> None:
    records(plain, "g1")
    newer = json.dumps({"version": 4, "serial": 3, "lineage": "l", "outputs": {}, "resources": []}).encode()
    plain.site().project.work.mkdir(parents=True)
    repair.remember_state(plain.site(), newer)

    with pytest.raises(Refused) as refused:
        recovery_file.run(plain.site(), Told())

    assert "and this machine remembers serial 3 of lineage l" in refused.value.summary
    assert not file(plain).exists()


def test_while_a_recovery_is_open_the_state_has_not_the_last_word(plain: PlainSite) -> None:
    records(plain, "g1", "g2")
    plain.run(RUN, (EventKind.INTENT, "database-file", {"generation": "g2"}))

    with pytest.raises(Refused) as refused:
        recovery_file.run(plain.site(), Told())

    assert not file(plain).exists()
    assert f"lifeboat resume {RUN} goes on with it" in refused.value.hint


@pytest.mark.parametrize("action", [Action.DELETE, Action.REPLACE])
def test_who_names_the_generation_and_would_lose_it_all_the_same_is_told_to_look_at_the_configuration(
    plain: PlainSite, action: Action
) -> None:
    records(plain, "g1", "g2")
    names(plain, {"g1": {}, "g2": {}}, "g2")

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
