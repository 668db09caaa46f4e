"""What a recovery's plan may touch."""

from __future__ import annotations

import pytest
from lifeboat.decisions.recovery_plan import judged, off_the_path
from lifeboat.model import Action, Address, Change, Plan

INSTANCE = "module.app_instance.aws_instance.this"


def change(address: str, action: Action = Action.CREATE) -> Change:
    return Change(address=Address(address), resource_type=address.split(".")[2], action=action)


EIP, NAME = "module.app_instance.aws_eip.this", "module.app_instance.aws_route53_record.app[0]"


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("address", [INSTANCE, "module.app_instance.aws_eip_association.this"])
def test_the_path_of_the_instance_may_change_in_any_way(address: str, action: Action) -> None:
    assert off_the_path(Plan(changes=(change(address, action),))) == []


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize(("address", "what"), [(EIP, "the address"), (NAME, "the public name")])
def test_what_the_application_is_found_by_may_be_led_to_it_and_never_goes(
    address: str, what: str, action: Action
) -> None:
    found = off_the_path(Plan(changes=(change(address, action),)))

    goes = action in (Action.DELETE, Action.REPLACE)
    assert [why for _, why in found] == ([f"clients find the application by it: {what} must stay"] if goes else [])


def test_what_nothing_allows_is_told_once_and_not_offered_to_be_named() -> None:
    database, bucket = (
        change('module.database.aws_db_instance.this["g1"]', Action.REPLACE),
        change("module.x.aws_sns_topic.y"),
    )

    found = judged(Plan(changes=(database, bucket)), allowed=["module.database.*"])
    allowed = judged(Plan(changes=(database, bucket)), allowed=["*"])

    assert [[c for c, _ in part] for part in (found.lost, found.off)] == [[database], [bucket]]
    assert [c for c, _ in found.refused] == [database, bucket]
    assert [c for c, _ in allowed.refused] == [database]


@pytest.mark.parametrize(
    ("address", "action", "why"),
    [
        ('module.database.aws_db_instance.this["g1"]', Action.REPLACE, "destroys nothing else"),
        ('module.database.aws_db_instance.this["g1"]', Action.UPDATE, "was edited, or drifted"),
        ("module.app_instance.aws_iam_role.this", Action.UPDATE, "was edited, or drifted"),
        ("module.other.aws_instance.this", Action.DELETE, "destroys nothing else"),
        ("module.dump_bucket.aws_s3_bucket.dumps", Action.DELETE, "destroys nothing else"),
    ],
)
def test_anything_else_may_not_with_the_reason(address: str, action: Action, why: str) -> None:
    other = change(address, action)

    found = off_the_path(Plan(changes=(change(INSTANCE, Action.REPLACE), other)))

    assert [(c, why in reason) for c, reason in found] == [(other, True)]


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        ('module.database.aws_db_instance.this["g1"]', True),
        ("module.database.*", True),
        ("*", True),
        ("module.database", False),
        ("module.dump_bucket.*", False),
        ('module.database.aws_db_instance.this["g2"]', False),
        ("", False),
    ],
)
def test_what_the_operator_names_is_allowed_and_nothing_else(pattern: str, allowed: bool) -> None:
    plan = Plan(changes=(change('module.database.aws_db_instance.this["g1"]', Action.UPDATE),))

    assert (off_the_path(plan, allowed=[pattern]) == []) is allowed
