"""Every rule, in the order of the reports; the one list that the scan, its documentation and other scanners take."""

from __future__ import annotations

from lifeboat.decisions.policy import (
    alarms,
    backup_plans,
    databases,
    exposure,
    images,
    keys,
    lifecycle_policies,
    plan_changes,
    protection,
    stores,
    vaults,
)
from lifeboat.decisions.policy.rule import AnyRule

RULES: tuple[AnyRule, ...] = (
    *databases.RULES,
    *protection.RULES,
    *backup_plans.RULES,
    *lifecycle_policies.RULES,
    *vaults.RULES,
    *stores.RULES,
    *alarms.RULES,
    *keys.RULES,
    *exposure.RULES,
    *images.RULES,
    *plan_changes.RULES,
)
BY_ID: dict[str, AnyRule] = {rule.id: rule for rule in RULES}
