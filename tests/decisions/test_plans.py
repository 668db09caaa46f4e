"""What a plan may do."""

from __future__ import annotations

import pytest
from lifeboat.decisions.plans import HOLDS_DATA, PROTECTED, RESTORED_FIRST, headline, judged, lost_by_name
from lifeboat.model import Action, Address, Change, Plan


def change(resource_type: str, action: Action, reason: str = "") -> Change:
    return Change(address=Address(f"{resource_type}.x"), resource_type=resource_type, action=action, reason=reason)


@pytest.mark.parametrize("resource_type", sorted(PROTECTED))
@pytest.mark.parametrize("action", [Action.DELETE, Action.REPLACE])
def test_losing_a_protected_resource_is_refused_with_its_reason(resource_type: str, action: Action) -> None:
    lost = change(resource_type, action)

    judgement = judged(Plan(changes=(lost,)))

    assert judgement.refused == ((lost, PROTECTED[resource_type]),)
    assert judgement.to_agree == ()


@pytest.mark.parametrize("resource_type", sorted(HOLDS_DATA))
def test_losing_what_holds_data_needs_somebody_to_agree(resource_type: str) -> None:
    lost = change(resource_type, Action.REPLACE)

    judgement = judged(Plan(changes=(lost,)))

    assert judgement.refused == ()
    assert judgement.to_agree == ((lost, HOLDS_DATA[resource_type]),)


@pytest.mark.parametrize("action", [Action.CREATE, Action.UPDATE, Action.IMPORT, Action.FORGET])
def test_what_loses_nothing_needs_nobody(action: Action) -> None:
    judgement = judged(Plan(changes=(change("aws_db_instance", action),)))

    assert judgement.refused == judgement.to_agree == ()


def test_the_headline_counts_each_action_once() -> None:
    plan = Plan(
        changes=(
            change("a", Action.CREATE),
            change("b", Action.CREATE),
            change("c", Action.REPLACE),
            change("d", Action.IMPORT),
        )
    )

    assert headline(plan) == "1 to import, 2 to add, 1 to replace"


def test_the_headline_of_an_empty_plan_and_of_outputs_alone() -> None:
    assert headline(Plan(changes=())) == "no changes"
    assert headline(Plan(changes=(), outputs_change=True)) == "only outputs change"


def test_deletes_replacements_and_what_is_gone_are_told_by_name_with_the_reason() -> None:
    changes = (change("a", Action.CREATE), change("b", Action.DELETE), change("c", Action.REPLACE, "tainted"))

    told = lost_by_name(Plan(changes=changes, gone=(Address("a.x"),)))

    assert told == ["gone from AWS: a.x", "delete b.x", "replace c.x (tainted)"]


def test_a_database_that_is_gone_is_not_made_anew() -> None:
    made = change("aws_db_instance", Action.CREATE)

    judgement = judged(Plan(changes=(made,), gone=(made.address,)))

    assert judgement.refused == ((made, RESTORED_FIRST["aws_db_instance"]),)
    assert judgement.to_agree == ()


@pytest.mark.parametrize("resource_type", sorted((set(PROTECTED) | set(HOLDS_DATA)) - set(RESTORED_FIRST)))
def test_what_else_is_gone_is_made_anew_when_somebody_agrees(resource_type: str) -> None:
    made = change(resource_type, Action.CREATE)

    gone = judged(Plan(changes=(made,), gone=(made.address,)))
    new = judged(Plan(changes=(made,)))

    assert [c for c, _ in gone.to_agree] == [made]
    assert (new.refused, new.to_agree, gone.refused) == ((), (), ())
