"""Every rule, in the order of the reports; the one list that the scan, its documentation and other scanners take."""

from __future__ import annotations

import difflib

from lifeboat.decisions.policy import (
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
from lifeboat.decisions.policy.rule import AnyRule
from lifeboat.errors import WrongConfiguration

RULES: tuple[AnyRule, ...] = (
    *databases.RULES,
    *deletion.RULES,
    *protection.RULES,
    *backup_plans.RULES,
    *lifecycle_policies.RULES,
    *vaults.RULES,
    *stores.RULES,
    *dump_making.RULES,
    *alarms.RULES,
    *notifications.RULES,
    *keys.RULES,
    *exposure.RULES,
    *images.RULES,
    *plan_changes.RULES,
)
BY_ID: dict[str, AnyRule] = {rule.id: rule for rule in RULES}


def named(name: str) -> AnyRule:
    """Return the rule of an id, in whatever case it was typed. Raises WrongConfiguration where there is none."""
    found = BY_ID.get(name.upper())
    if found is None:
        raise WrongConfiguration(f"there is no rule {name}", hint=_near(name.upper()))
    return found


def _near(name: str) -> str:
    """Return what to ask instead; of a family that there is, another number is no nearer than the next."""
    if name.startswith("CKV"):
        return (
            "it is a check of checkov's own: terraform/policies/builtin.toml says why it is asked, and lifeboat policy"
            " coverage which rule replaces it"
        )
    families = {one.rpartition("_")[0] for one in BY_ID}
    near = difflib.get_close_matches(name, BY_ID, n=1, cutoff=0.85)
    if not near or name.rpartition("_")[0] in families:
        return "lifeboat policy list shows every rule"
    return f"lifeboat policy explain {near[0]}"
