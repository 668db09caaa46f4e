"""A plan that is wrong on purpose: rules that find nothing in it find nothing anywhere, and the scan is not valid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lifeboat.decisions.policy import judging, reading
from lifeboat.decisions.policy.registry import RULES
from lifeboat.decisions.policy.rule import AnyRule

# A rule on a resource and a rule on the plan: a database that keeps its backups for a day, and a vault that is deleted.
MUST_FAIL = ("LB_RDS_1", "LB_TF_2")
_DATABASE = {"address": "aws_db_instance.canary", "mode": "managed", "type": "aws_db_instance", "name": "canary"}
_VAULT = {"address": "aws_backup_vault.canary", "mode": "managed", "type": "aws_backup_vault", "name": "canary"}
_VALUES = {"identifier": "canary", "backup_retention_period": 1}
BAD: dict[str, Any] = {
    "format_version": "1.2",
    "terraform_version": "1.11.4",
    "planned_values": {"root_module": {"resources": [{**_DATABASE, "values": _VALUES}]}},
    "resource_changes": [
        {**_DATABASE, "change": {"actions": ["create"], "before": None, "after": _VALUES, "after_unknown": {}}},
        {**_VAULT, "change": {"actions": ["delete"], "before": {"name": "canary"}, "after": None}},
    ],
    "configuration": {
        "root_module": {
            "resources": [
                {**_DATABASE, "expressions": {name: {"constant_value": value} for name, value in _VALUES.items()}}
            ]
        }
    },
}


def silent(rules: Sequence[AnyRule] = RULES) -> Iterator[str]:
    """Yield which rules found nothing in a plan where they must."""
    found = {one.rule for one in judging.scanned(reading.from_document(BAD), rules).findings}
    for rule in MUST_FAIL:
        if rule not in found:
            yield f"{rule} finds nothing in a plan that is wrong on purpose, so the rules do not look"
