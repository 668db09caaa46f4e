"""What a recovery's plan may touch: the path of what it brings back, and what the operator names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lifeboat.decisions import plans
from lifeboat.model import LOSING, Action, Change, Plan

# Of the module that makes the instance: what must be made anew with it, or moves to it.
_MODULE = "module.app_instance."
_PATH = {"aws_instance", "aws_eip", "aws_eip_association", "aws_route53_record"}
# What clients find the application by: it may be led to the instance, and never goes.
_FOUND_BY = {"aws_eip": "the address", "aws_route53_record": "the public name"}
# What names all generations at once: who may read their passwords. There is one of each, whichever generations there are.
_READERS = {
    "module.app_instance.aws_iam_role_policy.secrets",
    "module.dump_job[0].aws_iam_role_policy.task",
}
# What leads the application to the serving generation: made anew with each change, and nothing is lost with the old one.
_LEADS = "module.app_secrets.aws_secretsmanager_secret_version.database"
# What each generation has of its own, which its address says: what watches and copies it.
_OWN = {
    "aws_cloudwatch_metric_alarm",
    "aws_backup_selection",
    "aws_backup_restore_testing_selection",
}


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The changes of a plan that a recovery must not make: those that nothing allows, and those that may be named."""

    lost: list[tuple[Change, str]]
    off: list[tuple[Change, str]]

    @property
    def refused(self) -> list[tuple[Change, str]]:
        """Both."""
        return [*self.lost, *self.off]


def judged(plan: Plan, *, allowed: Iterable[str] = ()) -> Judgement:
    """Return what a recovery must not do of a plan, each change once."""
    lost = list(plans.judged(plan).refused)
    known = [change for change, _ in lost]
    return Judgement(lost=lost, off=[one for one in off_the_path(plan, allowed=allowed) if one[0] not in known])


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """The generation that is adopted, those whose instances are lost, and the addresses that the operator named."""

    generation: str
    lost: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()


def judged_for_database(plan: Plan, adoption: Adoption) -> Judgement:
    """Return what a recovery of the database must not do of a plan, each change once.

    It adopts exactly the new generation's instance and lets follow what follows a generation; it destroys nothing but what
    followed one whose instance is lost.
    """
    lost = list(plans.judged(plan).refused)
    known = [change for change, _ in lost]
    patterns = _patterns(adoption.allowed)
    off = [
        (change, why)
        for change in plan.changes
        if change not in known
        and not any(pattern.fullmatch(change.address) for pattern in patterns)
        and (why := _why_not_for_database(change, adoption)) is not None
    ]
    return Judgement(lost=lost, off=off)


def judged_for_both(plan: Plan, adoption: Adoption) -> Judgement:
    """Return what a recovery of both must not do: what is neither on the database's path nor on the instance's."""
    database = judged_for_database(plan, adoption)
    off_instance = [change for change, _ in off_the_path(plan, allowed=adoption.allowed)]
    return Judgement(lost=database.lost, off=[one for one in database.off if one[0] in off_instance])


def names_generation(address: str, generation: str) -> bool:
    """Return whether an address is of something that follows this generation: g1 is named by "database_g1", not by "g12"."""
    return re.search(rf"(?<![a-z0-9]){generation}(?![0-9])", address) is not None


def follows(change: Change, generation: str) -> bool:
    """Return whether a change is of what follows this generation: of its own, or of what names it among all others."""
    if change.address in _READERS:
        return change.action not in LOSING
    return change.resource_type in _OWN and names_generation(change.address, generation)


def _why_not_for_database(change: Change, adoption: Adoption) -> str | None:
    generation = adoption.generation
    if change.resource_type == "aws_db_instance":
        if change.address != f'module.database.aws_db_instance.this["{generation}"]':
            return f"only {generation} is adopted: something else was edited, or drifted, since the last apply"
        if change.action not in (Action.IMPORT, Action.UPDATE):
            return "Terraform would make an empty database instead of adopting the restored one"
        return None
    if change.resource_type == "aws_db_instance_automated_backups_replication":
        whole = f'module.database.aws_db_instance_automated_backups_replication.dr["{generation}"]'
        return None if change.address == whole else "it copies another generation's backups"
    if change.address == _LEADS and change.action is not Action.DELETE:
        return None
    if any(follows(change, lost) for lost in adoption.lost):
        return None
    if change.action in LOSING and (change.resource_type in _OWN or change.address in (*_READERS, _LEADS)):
        return "a recovery of the database destroys nothing"
    if follows(change, generation):
        return None
    return "it has nothing to do with the database: something was edited, or drifted, since the last apply"


def _patterns(allowed: Iterable[str]) -> list[re.Pattern[str]]:
    # Not a glob of Python's: the brackets of an address are no character class.
    return [re.compile(".*".join(re.escape(part) for part in pattern.split("*"))) for pattern in allowed]


def off_the_path(plan: Plan, *, allowed: Iterable[str] = ()) -> list[tuple[Change, str]]:
    """Return the changes that a recovery of the instance must not make, each with the reason.

    `allowed` are addresses that the operator named, `*` for any part of one: a recovery at night is no time for
    whatever else somebody has edited since the last apply.
    """
    patterns = _patterns(allowed)
    found: list[tuple[Change, str]] = []
    for change in plan.changes:
        if _on_the_path(change) or any(pattern.fullmatch(change.address) for pattern in patterns):
            continue
        found.append((change, _why(change)))
    return found


def _on_the_path(change: Change) -> bool:
    goes = change.resource_type in _FOUND_BY and change.action in LOSING
    return change.address.startswith(_MODULE) and change.resource_type in _PATH and not goes


def _why(change: Change) -> str:
    if change.address.startswith(_MODULE) and change.resource_type in _FOUND_BY:
        return f"clients find the application by it: {_FOUND_BY[change.resource_type]} must stay"
    if change.action in LOSING:
        return "a recovery of the instance destroys nothing else"
    return "it has nothing to do with the instance: something was edited, or drifted, since the last apply"
