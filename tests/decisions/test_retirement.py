"""Which generation may go, and what plans around the database may touch."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from lifeboat.database_model import PointKind, RecoveryPoint, RecoveryPointId, RestoredInstance
from lifeboat.decisions import recovery_plan, retirement
from lifeboat.decisions.recovery_plan import Adoption
from lifeboat.model import Action, Address, Change, Plan

ROOT = Path(__file__).parents[2]
STACK = ROOT / "terraform/stack/main.tf"


def change(action: Action, address: str) -> Change:
    kind = next(part for part in address.replace("[", ".").split(".") if part.startswith("aws_"))
    return Change(address=Address(address), resource_type=kind, action=action, reason="")


def instance(**changed: Any) -> RestoredInstance:
    known: dict[str, Any] = {
        "identifier": "app-g2",
        "status": "available",
        "address": "10.0.0.1",
        "port": 5432,
        "tags": {},
        "password_secret_arn": "arn",
        "secret_status": "active",
        "retention": 7,
        "size": 1,
        "protected": True,
    }
    return RestoredInstance(**{**known, **changed})


@pytest.mark.parametrize(
    ("generation", "serving", "why"),
    [
        ("g1", instance(), None),
        ("g1", instance(status="backing-up"), None),
        ("g2", instance(), "g2 is the generation that serves the application"),
        ("g10", instance(), "g10 is newer than g2, which serves: no newer generation was proven in its place"),
        ("g1", None, "g2, which serves, does not exist: g1 may be all that there is"),
        ("g1", instance(status="storage-full"), "g2, which serves, is storage-full: g1 may be all that there is"),
        ("g1", instance(retention=0), "g2, which serves, has no backups yet: g1 may be all that there is"),
    ],
)
def test_a_generation_goes_only_where_a_newer_one_serves_and_is_backed_up(
    generation: str, serving: RestoredInstance | None, why: str | None
) -> None:
    assert retirement.forbidden(generation, "g2", serving) == why


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ("available", None),
        ("backing-up", None),
        ("stopped", None),
        ("failed", "app-g1 is failed: RDS takes no snapshot of it, and may lift no protection from it"),
        (
            "incompatible-restore",
            "app-g1 is incompatible-restore: RDS takes no snapshot of it, and may lift no protection from it",
        ),
    ],
)
def test_one_that_is_broken_cannot_be_given_up_with_a_snapshot(status: str, why: str | None) -> None:
    assert retirement.broken("app-g1", status) == why


def test_one_that_somebody_stopped_is_started_first() -> None:
    assert retirement.stopped("app-g1", "available") is None
    assert retirement.stopped("app-g1", "stopped") == (
        "app-g1 is stopped: RDS lifts no protection from it until it is started"
    )


MADE = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
EARLIER = MADE - timedelta(days=90)


def snapshot(minutes: int = 0, **changed: Any) -> RecoveryPoint:
    known: dict[str, Any] = {
        "id": RecoveryPointId("app-g1-final"),
        "kind": PointKind.MANUAL_SNAPSHOT,
        "database": "app-g1",
        "region": "eu-west-1",
        "taken_at": MADE + timedelta(minutes=minutes),
        "status": "available",
        "size": 1,
        "source": "app-g1",
        "key": None,
        "instance_made_at": MADE,
    }
    return RecoveryPoint(**{**known, **changed})


@pytest.mark.parametrize(
    ("copies", "there"),
    [
        ([snapshot(database="app-g2")], True),
        ([snapshot(database="app-g2", instance_made_at=None)], True),
        (
            [
                snapshot(database="app-g2", status="without a window yet"),
                snapshot(database="app-g2", status="creating"),
            ],
            False,
        ),
        # Of an earlier environment, in which it was called the same.
        ([snapshot(database="app-g2", instance_made_at=MADE - timedelta(days=90))], False),
        ([snapshot(database="app-g1")], False),
        ([], False),
    ],
)
def test_what_serves_has_a_backup_once_one_can_be_restored(copies: list[RecoveryPoint], there: bool) -> None:
    why = retirement.without_copy("app-g2", copies, made_at=MADE)

    assert why == (None if there else "there is no backup yet of app-g2, which serves")


@pytest.mark.parametrize(
    ("first", "final", "other"),
    [
        (None, None, None),
        (snapshot(), None, None),
        (snapshot(), snapshot(5), snapshot(5)),
        (None, snapshot(instance_made_at=EARLIER), snapshot(instance_made_at=EARLIER)),
        (snapshot(instance_made_at=EARLIER), None, snapshot(instance_made_at=EARLIER)),
    ],
)
def test_a_snapshot_that_has_the_name_already_is_in_the_way(
    first: RecoveryPoint | None, final: RecoveryPoint | None, other: RecoveryPoint | None
) -> None:
    assert retirement.in_the_way(first, final, made_at=MADE) == other


@pytest.mark.parametrize(
    ("final", "first", "made_at", "holds"),
    [
        (snapshot(5), snapshot(), MADE, True),
        (snapshot(), snapshot(), None, True),
        (snapshot(5, status="creating"), snapshot(), MADE, False),
        (snapshot(-5), snapshot(), MADE, False),
        # What RDS took of an earlier instance of this name holds nothing of the one that somebody deleted without one.
        (snapshot(5, instance_made_at=EARLIER), snapshot(), MADE, False),
        (snapshot(instance_made_at=EARLIER), None, MADE, False),
        (snapshot(), None, MADE, True),
        (snapshot(), None, None, False),
    ],
)
def test_the_snapshot_from_before_goes_only_where_the_final_one_is_of_the_same_instance_and_later(
    final: RecoveryPoint, first: RecoveryPoint | None, made_at: datetime | None, holds: bool
) -> None:
    assert retirement.holds_all(final, first, made_at=made_at) is holds


def test_the_snapshot_that_rds_takes_is_called_as_the_module_says() -> None:
    module = (ROOT / "modules/database/main.tf").read_text()

    assert 'final_snapshot_identifier = "${var.name}-${each.key}-final"' in module
    assert retirement.final_name("app-g1") == "app-g1-final"


OWN = [
    change(Action.DELETE, 'module.database.aws_db_instance.this["g1"]'),
    change(Action.DELETE, 'module.database.aws_db_instance_automated_backups_replication.dr["g1"]'),
    change(Action.DELETE, 'module.backup_plan.aws_backup_selection.arns["g1"]'),
    change(Action.DELETE, 'module.backup_alarms.aws_cloudwatch_metric_alarm.this["database-storage-low-g1"]'),
    change(Action.DELETE, 'module.backup_plan.aws_backup_restore_testing_selection.this["database_g1"]'),
    change(Action.UPDATE, "module.app_instance.aws_iam_role_policy.secrets"),
    change(Action.UPDATE, "module.dump_job[0].aws_iam_role_policy.task"),
]
STRANGERS = [
    change(Action.UPDATE, 'module.recovery_roles.aws_iam_role_policy.own["drill"]'),
    change(Action.CREATE, "module.dump_job[0].aws_iam_role_policy.start"),
    change(Action.UPDATE, 'module.backup_alarms.aws_cloudwatch_metric_alarm.this["dumps-missing"]'),
    change(Action.UPDATE, "module.backup_alarms.aws_db_event_subscription.databases"),
    change(Action.CREATE, "module.backup_plan.aws_backup_selection.tags[0]"),
    change(Action.CREATE, "module.other.aws_secretsmanager_secret_version.database"),
]
OTHER = [
    *STRANGERS,
    change(Action.REPLACE, "module.app_secrets.aws_secretsmanager_secret_version.database"),
    change(Action.DELETE, 'module.database.aws_db_instance.this["g2"]'),
    change(Action.REPLACE, 'module.database.aws_db_instance.this["g1"]'),
    change(Action.DELETE, 'module.backup_plan.aws_backup_selection.arns["g12"]'),
    change(Action.UPDATE, 'module.database.aws_db_instance.this["g2"]'),
    change(Action.DELETE, "module.dump_bucket.aws_s3_bucket.dumps"),
]


def test_a_plan_that_retires_one_generation_touches_no_other() -> None:
    refused = retirement.refused(Plan(changes=(*OWN, *OTHER)), "g1")

    assert [found for found, _ in refused] == OTHER


ADOPTION = [
    change(Action.IMPORT, 'module.database.aws_db_instance.this["g2"]'),
    change(Action.UPDATE, 'module.database.aws_db_instance.this["g2"]'),
    change(Action.CREATE, 'module.database.aws_db_instance_automated_backups_replication.dr["g2"]'),
    change(Action.REPLACE, "module.app_secrets.aws_secretsmanager_secret_version.database"),
    change(Action.UPDATE, "module.app_instance.aws_iam_role_policy.secrets"),
    change(Action.UPDATE, "module.dump_job[0].aws_iam_role_policy.task"),
    change(Action.CREATE, 'module.backup_plan.aws_backup_selection.arns["g2"]'),
    change(Action.CREATE, 'module.backup_alarms.aws_cloudwatch_metric_alarm.this["database-storage-low-g2"]'),
    change(Action.CREATE, 'module.backup_plan.aws_backup_restore_testing_selection.this["database_g2"]'),
]


@pytest.mark.parametrize(
    ("action", "address", "why"),
    [
        (
            Action.CREATE,
            'module.database.aws_db_instance.this["g2"]',
            "Terraform would make an empty database instead of adopting the restored one",
        ),
        (
            Action.UPDATE,
            'module.database.aws_db_instance.this["g1"]',
            "only g2 is adopted: something else was edited, or drifted, since the last apply",
        ),
        (Action.DELETE, 'module.database.aws_db_instance.this["g1"]', "it is the database"),
        (
            Action.DELETE,
            'module.database.aws_db_instance_automated_backups_replication.dr["g1"]',
            "it is the database's copy in the other region",
        ),
        (
            Action.DELETE,
            'module.backup_plan.aws_backup_selection.arns["g1"]',
            "a recovery of the database destroys nothing",
        ),
        (
            Action.REPLACE,
            "module.app_instance.aws_instance.this",
            "it has nothing to do with the database: something was edited, or drifted, since the last apply",
        ),
    ],
)
def test_an_adoption_touches_nothing_outside_the_databases_path(action: Action, address: str, why: str) -> None:
    other = change(action, address)

    found = recovery_plan.judged_for_database(Plan(changes=(*ADOPTION, other)), Adoption(generation="g2"))

    assert [(one, said) for one, said in found.refused] == [(other, why)]


@pytest.mark.parametrize("stranger", STRANGERS, ids=lambda change: change.address)
def test_a_change_of_a_type_that_follows_a_generation_is_refused_where_it_follows_none(stranger: Change) -> None:
    found = recovery_plan.judged_for_database(Plan(changes=(*ADOPTION, stranger)), Adoption(generation="g2"))

    assert [(one, why) for one, why in found.off] == [
        (stranger, "it has nothing to do with the database: something was edited, or drifted, since the last apply")
    ]


def test_the_secret_that_leads_the_application_never_goes() -> None:
    gone = change(Action.DELETE, "module.app_secrets.aws_secretsmanager_secret_version.database")

    found = recovery_plan.judged_for_database(Plan(changes=(gone,)), Adoption(generation="g2"))

    assert [one for one, _ in found.refused] == [gone]


@pytest.mark.parametrize("one", [*ADOPTION, *OWN], ids=lambda change: change.address)
def test_what_follows_a_generation_is_where_the_stack_has_it(one: Change) -> None:
    _, module, kind, name = re.sub(r"\[[^]]*\]", "", one.address).split(".")
    source = re.search(rf'module "{module}" {{\s*source = "\.\./\.\./(\S+)"', STACK.read_text())

    assert source is not None
    files = (ROOT / source[1]).glob("*.tf")
    assert any(f'resource "{kind}" "{name}"' in path.read_text() for path in files)


def test_what_was_named_is_allowed_and_what_is_lost_is_not() -> None:
    instance_, database = "module.app_instance.aws_instance.this", 'module.database.aws_db_instance.this["g1"]'
    plan = Plan(changes=(change(Action.REPLACE, instance_), change(Action.DELETE, database)))

    found = recovery_plan.judged_for_database(plan, Adoption(generation="g2", allowed=("module.*",)))

    assert [one.address for one, _ in found.refused] == [database]


def test_with_both_what_is_on_either_path_is_allowed() -> None:
    plan = Plan(
        changes=(
            *ADOPTION,
            change(Action.REPLACE, "module.app_instance.aws_instance.this"),
            change(Action.UPDATE, "module.network.aws_vpc.this"),
        )
    )

    found = recovery_plan.judged_for_both(plan, Adoption(generation="g2"))

    assert [one.address for one, _ in found.refused] == ["module.network.aws_vpc.this"]


def test_what_followed_a_lost_generation_goes_with_it_and_of_no_other() -> None:
    gone = change(Action.DELETE, 'module.backup_plan.aws_backup_selection.arns["g1"]')
    other = change(Action.DELETE, 'module.backup_plan.aws_backup_selection.arns["g12"]')

    found = recovery_plan.judged_for_database(Plan(changes=(gone, other)), Adoption(generation="g13", lost=("g1",)))

    assert [one for one, _ in found.refused] == [other]


@pytest.mark.parametrize(
    ("generation", "known", "hint"),
    [
        ("g2", ["g1", "g2"], "an older one: lifeboat retire g1 --preview -e x"),
        ("g3", ["g1", "g2", "g3"], "an older one: lifeboat retire g1 --preview -e x"),
        # It has to stay for another reason than that it serves.
        ("g1", ["g1", "g2"], "no other one may go either: lifeboat plan-recovery -e x lists the copies of each"),
        ("g2", ["g2"], "no other one may go either: lifeboat plan-recovery -e x lists the copies of each"),
    ],
)
def test_where_a_generation_must_stay_there_is_something_to_type(generation: str, known: list[str], hint: str) -> None:
    assert retirement.instead(generation, known, "g2", "x") == hint
