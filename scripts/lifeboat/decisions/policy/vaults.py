"""Rules on backup vaults and restore tests: what cannot be deleted, who is told of failures, and what is proven."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from lifeboat.decisions.policy import controls, schedules, statements
from lifeboat.decisions.policy.coverage import BACKUP_TYPES, coverage, stateful
from lifeboat.decisions.policy.joins import attached
from lifeboat.decisions.policy.lengths import words
from lifeboat.decisions.policy.planned import Undecided
from lifeboat.decisions.policy.rule import Case, Fault, PlanCase, PlanRule, Rule, RuleId, Severity
from lifeboat.model import Address

_TYPES = ("aws_backup_vault",)
_GUARDED = ("backup:DeleteRecoveryPoint", "backup:UpdateRecoveryPointLifecycle")
# What tells of a failed job: BACKUP_JOB_COMPLETED and RESTORE_JOB_COMPLETED are sent at every end, good or bad.
_EVENTS = (
    ("a failed backup", ("BACKUP_JOB_FAILED", "BACKUP_JOB_COMPLETED")),
    ("a failed copy", ("COPY_JOB_FAILED",)),
    ("a failed restore", ("RESTORE_JOB_FAILED", "RESTORE_JOB_COMPLETED")),
)
_NEWEST = timedelta(days=7)  # how old what a restore test picks may be, unless the RPO is longer


def _lock(case: Case) -> Iterable[Fault]:
    locks = attached(case.plan, case.resource, "aws_backup_vault_lock_configuration", "backup_vault_name")
    if not locks:
        yield Fault(found="the vault has no lock", wanted="a vault lock with min_retention_days")
    elif not any((lock.body.number("min_retention_days") or 0) >= 1 for lock in locks):
        yield Fault(
            found="the vault's lock has no min_retention_days, so it keeps nothing",
            wanted="min_retention_days of 1 or more",
        )


def _guard(case: Case) -> Iterable[Fault]:
    policies = attached(case.plan, case.resource, "aws_backup_vault_policy", "backup_vault_name")
    texts = [text for policy in policies if (text := policy.body.text("policy")) is not None]
    open_ = [action for action in _GUARDED if not any(statements.denies(text, action) for text in texts)]
    if open_:
        yield Fault(
            found=f"nothing denies {' and '.join(open_)}" if texts else "the vault has no policy",
            wanted=f"a policy that denies {' and '.join(_GUARDED)} to everybody but the break-glass role",
        )


def _told(case: Case) -> Iterable[Fault]:
    found = attached(case.plan, case.resource, "aws_backup_vault_notifications", "backup_vault_name")
    events = {event for one in found for event in one.body.texts("backup_vault_events")}
    missing = [what for what, names in _EVENTS if events.isdisjoint(names)]
    if not found:
        yield Fault(found="the vault notifies nobody", wanted="notifications of failed jobs to a topic")
    elif missing:
        yield Fault(
            found=f"nobody is told of {' or '.join(missing)}", wanted="events of all three kinds of failed jobs"
        )


# -- restore tests -----------------------------------------------------------------------------------------------------


def _backed_up(case: PlanCase) -> Sequence[Address]:
    found = []
    for resource in stateful(case.plan):
        has = coverage(case.plan, resource)
        if has.selections:
            found.append(resource.address)
    return found


def _proven(case: PlanCase) -> Iterable[Fault]:
    tested: set[str] = set()
    doubt: Undecided | None = None
    for selection in case.plan.of("aws_backup_restore_testing_selection"):
        try:
            tested.add((selection.body.text("protected_resource_type") or "").lower())
        except Undecided as cannot:
            doubt = cannot
    first: dict[str, Address] = {}
    for resource in stateful(case.plan):
        if coverage(case.plan, resource).selections:
            first.setdefault(BACKUP_TYPES[resource.type], resource.address)
    untested = {kind: address for kind, address in first.items() if kind.lower() not in tested}
    if untested and doubt is not None:
        raise doubt
    for kind, address in untested.items():
        yield Fault(
            address=address,
            found=f"{kind} is backed up, and no restore of it is ever tested",
            wanted=f'a restore testing selection with protected_resource_type = "{kind}"',
        )


def _tested_often(case: Case) -> Iterable[Fault]:
    schedule = case.resource.body.text("schedule_expression")
    if schedule is None:
        raise Undecided(f"{case.resource.address}: it has no schedule")
    gap = schedules.longest_gap(schedule)
    if gap > case.parameters.drill:
        yield Fault(
            found=f"restores are tested with up to {words(gap)} between them"
            if gap != schedules.NEVER
            else "restores are tested until the schedule ends",
            wanted=f"a test at least every {words(case.parameters.drill)}",
        )
    selection = case.resource.body.block("recovery_point_selection")
    days = None if selection is None else selection.number("selection_window_days")
    newest = max(_NEWEST, case.parameters.rpo)
    if days is None or timedelta(days=days) > newest:
        yield Fault(
            found=f"the test takes recovery points of up to {30 if days is None else days:g} days of age",
            wanted=f"selection_window_days of at most {newest.days}: an old recovery point proves nothing of the newest",
        )


RULES = (
    Rule(
        id=RuleId("LB_VAULT_1"),
        severity=Severity.HIGH,
        title="Every vault has a lock",
        why="Without a lock, whoever gets into the account deletes the backups first.",
        change="Add an aws_backup_vault_lock_configuration with min_retention_days for the vault.",
        types=_TYPES,
        judge=_lock,
        controls=(
            *controls.well_architected("REL09-BP02"),
            *controls.nist("CP-9(d)"),
            *controls.audit_manager("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK"),
            *controls.soc2("A1.2", "CC6.1"),
            *controls.iso("A.8.13"),
        ),
    ),
    Rule(
        id=RuleId("LB_VAULT_2"),
        severity=Severity.MEDIUM,
        title="The vault's policy denies the deletion of recovery points",
        why="A lock in governance mode can be lifted by IAM; the policy of the vault still says no.",
        change="Add an aws_backup_vault_policy that denies both actions to all principals but break-glass.",
        types=_TYPES,
        judge=_guard,
        controls=(
            *controls.well_architected("REL09-BP02"),
            *controls.nist("CP-9(d)"),
            *controls.config("BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED"),
            *controls.audit_manager("BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED"),
            *controls.soc2("CC6.1"),
            *controls.iso("A.8.13"),
        ),
    ),
    Rule(
        id=RuleId("LB_VAULT_3"),
        severity=Severity.MEDIUM,
        title="Failed jobs of a vault are told",
        why="A backup that fails every night is found on the day of the restore when nobody is told.",
        change="Add an aws_backup_vault_notifications with the events of failed backups, copies and restores.",
        types=_TYPES,
        judge=_told,
        controls=(
            *controls.well_architected("REL06-BP03"),
            *controls.nist("SI-4(5)"),
            *controls.soc2("CC7.2"),
            *controls.iso("A.8.16"),
        ),
    ),
    PlanRule(
        id=RuleId("LB_TEST_1"),
        severity=Severity.MEDIUM,
        title="Restores are tested for every type that is backed up",
        why="A backup that was never restored is a hope.",
        change="Add an aws_backup_restore_testing_selection for the type.",
        types=(*BACKUP_TYPES, "aws_backup_selection", "aws_backup_restore_testing_selection"),
        present=_backed_up,
        judge=_proven,
        controls=(
            *controls.well_architected("REL09-BP04", "REL13-BP03"),
            *controls.nist("CP-9(1)", "CP-4", "CP-10"),
            *controls.soc2("A1.3"),
            *controls.iso("A.5.30", "A.8.13"),
        ),
    ),
    Rule(
        id=RuleId("LB_TEST_2"),
        severity=Severity.LOW,
        title="Restore tests come round, and take what is new",
        why="What was proven a year ago says little of the copy that a recovery would take tonight.",
        change="Set schedule_expression and selection_window_days of the restore testing plan.",
        types=("aws_backup_restore_testing_plan",),
        judge=_tested_often,
        controls=(*controls.well_architected("REL13-BP03"), *controls.nist("CP-4"), *controls.soc2("A1.3")),
    ),
)
