"""Plans with what each rule says of them: a good one, a bad one, and the nearest ones on both sides of every threshold."""

from __future__ import annotations

from tests.policies.cases import (
    alarms,
    backup_plans,
    databases,
    deletion,
    dump_making,
    exposure,
    images,
    keys,
    lifecycle_policies,
    notifications,
    plan_changes,
    protection,
    stores,
    vaults,
)
from tests.policies.cases.case import RuleCase

CASES: tuple[RuleCase, ...] = (
    *databases.CASES,
    *deletion.CASES,
    *protection.CASES,
    *backup_plans.CASES,
    *lifecycle_policies.CASES,
    *vaults.CASES,
    *stores.CASES,
    *dump_making.CASES,
    *alarms.CASES,
    *notifications.CASES,
    *keys.CASES,
    *exposure.CASES,
    *images.CASES,
    *plan_changes.CASES,
)
