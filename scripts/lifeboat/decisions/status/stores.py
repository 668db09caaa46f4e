"""The checks of what keeps the copies: keys, vault locks, what is selected for them, buckets, schedules."""

from __future__ import annotations

from lifeboat.decisions.status import built
from lifeboat.decisions.status.check import Bad, Case, Check, Good, Outcome, regions, seen
from lifeboat.status_model import Asset, BucketSeen, Stack, Weight

# S3's words for the copy of an object that surely came to nothing, or was never asked for.
_NOT_COPIED = {"FAILED": "S3 could not copy it", "": "S3 was not asked to copy it"}


def _key_subjects(stack: Stack) -> tuple[str, ...]:
    return tuple(sorted(built.keys(stack))) or ("",)


def _key(case: Case) -> Outcome:
    if not case.subject:
        return Bad(found="the stack has no key", wanted="a key of its own for every store", command="lifeboat plan")
    arn = str(built.keys(case.stack)[case.subject].attributes.get("arn", ""))
    found = seen(case.facts.keys, arn)
    region = arn.split(":")[3] if arn.count(":") > 4 else case.limits.region
    if found is None or found.state != "Enabled":
        state = "missing" if found is None else found.state
        mend = {
            "PendingDeletion": f"aws kms cancel-key-deletion --key-id {arn} --region {region}, then enable-key",
            "Disabled": f"aws kms enable-key --key-id {arn} --region {region}",
        }.get(state, f"aws kms describe-key --key-id {arn} --region {region}")
        return Bad(found=f"the key is {state} ({arn})", wanted="Enabled", command=mend)
    return Good(says="enabled")


def _locked(case: Case) -> Outcome:
    vaults, region = case.stack.recovery.vaults, case.subject
    name = vaults.primary if region == case.stack.recovery.region else vaults.dr
    found = seen(case.facts.locks, region)
    if found is None:
        return Bad(found=f"there is no vault {name}", wanted="a locked vault", command="lifeboat apply")
    if not found.locked:
        return Bad(
            found=f"the vault {name} is not locked",
            wanted="a lock, without which its recovery points can be deleted",
            command="lifeboat apply, which locks it again; then look for who took the lock away (vault-tampering)",
        )
    built_days = _lock_days(case.stack, name)
    if built_days is not None and (found.min_days or 0) < built_days:
        return Bad(
            found=f"the lock of {name} keeps recovery points {found.min_days or 0} days",
            wanted=f"{built_days} days, as the stack was built",
            command="lifeboat apply",
        )
    return Good(says=f"locked, at least {found.min_days or 0} days")


def _lock_days(stack: Stack, vault: str) -> int | None:
    for one in stack.of_kind("aws_backup_vault_lock_configuration"):
        if one.attributes.get("backup_vault_name") == vault:
            days = one.attributes.get("min_retention_days")
            return None if days is None else int(days)
    return None


def _plans(stack: Stack) -> tuple[str, ...]:
    return tuple(stack.recovery.backup_plan_ids) or ("",)


def _selected(case: Case) -> Outcome:
    if not case.subject:
        return Bad(found="the stack has no backup plan", wanted="one that takes the database", command="lifeboat plan")
    found = seen(case.facts.selections, case.subject)
    if found is None:
        return Bad(found=f"there is no backup plan {case.subject}", wanted="it was built", command="lifeboat apply")
    recovery = case.stack.recovery
    database = f"arn:aws:rds:{recovery.region}:{recovery.account_id}:db:{recovery.database.identifier}"
    if not any(one.takes(database, {}) for one in found):
        named = sorted({arn.rpartition(":")[2] for one in found for arn in one.resources if arn != "*"})
        return Bad(
            found=f"no selection takes the serving database {recovery.database.identifier}"
            + (f"; those that there are take {', '.join(named)}" if named else "; there is none that takes any"),
            wanted="a selection of it",
            command="lifeboat apply",
        )
    if built.regions_of(case.stack, Asset.VOLUME.value, built.BACKUP):
        tags = case.facts.machine_tags.value
        machine = f"arn:aws:ec2:{recovery.region}:{recovery.account_id}:instance/{recovery.app.instance_id}"
        if not any(one.takes(machine, tags or {}) for one in found):
            return Bad(
                found=f"no selection takes the application's instance {recovery.app.instance_id}",
                wanted="a selection whose tags it has",
                command="lifeboat apply, which tags it again",
            )
    return Good(says=f"{len(found)} selections")


def _dump_buckets(stack: Stack) -> tuple[str, ...]:
    return stack.recovery.dumps.bucket, stack.recovery.dumps.replica_bucket


def _versioned(case: Case) -> Outcome:
    found = _bucket(case)
    if isinstance(found, Bad):
        return found
    if found.versioning != "Enabled":
        return Bad(
            found=f"versioning of {case.subject} is {found.versioning.lower()}",
            wanted="enabled: else what is overwritten or deleted is gone",
            command=f"aws s3api put-bucket-versioning --bucket {case.subject} --versioning-configuration Status=Enabled",
        )
    return Good(says="enabled")


def _bucket(case: Case) -> BucketSeen | Bad:
    found = seen(case.facts.buckets, case.subject)
    if found is None:
        return Bad(found=f"there is no bucket {case.subject}", wanted="it was built", command="lifeboat apply")
    return found


def _lock_subjects(stack: Stack) -> tuple[str, ...]:
    return tuple(str(one.attributes["bucket"]) for one in stack.of_kind("aws_s3_bucket_object_lock_configuration"))


def _object_lock(case: Case) -> Outcome:
    found = _bucket(case)
    if isinstance(found, Bad):
        return found
    wanted = _built_lock(case.stack, case.subject)
    if (found.lock_days or 0) < max(1, wanted):
        return Bad(
            found=f"new objects of {case.subject} are locked {found.lock_days or 0} days",
            wanted=f"{wanted} days, as the stack was built",
            command="lifeboat apply",
        )
    return Good(says=f"locked {found.lock_days} days")


def _built_lock(stack: Stack, bucket: str) -> int:
    for one in stack.of_kind("aws_s3_bucket_object_lock_configuration"):
        if one.attributes["bucket"] == bucket:
            for rule in one.attributes.get("rule") or []:
                for kept in rule.get("default_retention") or []:
                    return int(kept.get("days") or 0) or int(kept.get("years") or 0) * 365
    return 0


def _copied_subjects(stack: Stack) -> tuple[str, ...]:
    recovery = stack.recovery
    state = f"{recovery.application}-tfstate-{recovery.account_id}-{recovery.region}"
    return recovery.dumps.bucket, state


def _replicated(case: Case) -> Outcome:
    found = _bucket(case)
    if isinstance(found, Bad):
        return found
    target, home = case.stack.recovery.dr_region, case.stack.recovery.region
    to = f"arn:aws:s3:::{case.subject.removesuffix(home)}{target}"
    rules = [rule for rule in found.rules if rule.enabled and rule.destination == to]
    if not rules:
        return Bad(
            found=f"no rule that is enabled copies {case.subject} to {target}",
            wanted=f"a copy of each object in {to.rpartition(':')[2]}",
            command="lifeboat apply",
        )
    if found.newest_key and found.copied in _NOT_COPIED:
        return Bad(
            found=f"{_NOT_COPIED[found.copied]}: s3://{case.subject}/{found.newest_key}",
            wanted="every object copied to the other region",
            command=f"docs/runbooks/alarm-replication-failed.md; lifeboat backups --region {home} shows what has no copy",
        )
    return Good(says=found.copied.lower() or "rule enabled")


def _schedules(stack: Stack) -> tuple[str, ...]:
    return built.named(stack, "aws_scheduler_schedule")


def _scheduled(case: Case) -> Outcome:
    found = seen(case.facts.schedules, case.subject)
    if found is None:
        return Bad(found=f"there is no schedule {case.subject}", wanted="it was built", command="lifeboat apply")
    if found.state != "ENABLED":
        return Bad(
            found=f"the schedule {case.subject} is {found.state}: the job no longer runs",
            wanted=f"ENABLED, {found.expression}",
            command="lifeboat apply",
        )
    if not found.target:
        return Bad(found=f"the schedule {case.subject} calls nobody", wanted="a target", command="lifeboat apply")
    (resource,) = (
        one for one in case.stack.of_kind("aws_scheduler_schedule") if one.attributes["name"] == case.subject
    )
    unlike = built.unlike(resource, found.settings, f"the schedule {case.subject}")
    return unlike or Good(says=found.expression)


CHECKS = (
    Check(
        id="vault.lock",
        asset=Asset.VAULTS,
        weight=Weight.PROTECTION,
        title="Both vaults are locked, for as long as the stack says",
        why="Without the lock whoever has the permission can delete every recovery point.",
        act="`lifeboat apply` locks it again. Somebody took the lock away: treat it as an attack until you know better.",
        asks=("backup:DescribeBackupVault",),
        subjects=regions,
        judge=_locked,
    ),
    Check(
        id="vault.selection",
        asset=Asset.VAULTS,
        weight=Weight.PROTECTION,
        title="The backup plan takes the serving database and the application's instance",
        why="A selection that matches nothing makes no backup and no error.",
        act="`lifeboat apply`; after a recovery of the database, the new generation must be selected.",
        asks=(
            "backup:GetBackupPlan",
            "backup:ListBackupSelections",
            "backup:GetBackupSelection",
            "ec2:DescribeInstances",
        ),
        subjects=_plans,
        judge=_selected,
    ),
    Check(
        id="dumps.schedule",
        asset=Asset.DUMPS,
        weight=Weight.PROTECTION,
        title="Every schedule of the stack is enabled, runs when it was built to, and calls somebody",
        why="A job that is not started fails at nothing.",
        act="`lifeboat apply` sets it again.",
        asks=("scheduler:GetSchedule",),
        subjects=_schedules,
        judge=_scheduled,
    ),
    Check(
        id="dumps.versioning",
        asset=Asset.DUMPS,
        weight=Weight.PROTECTION,
        title="Both buckets of dumps keep what is overwritten or deleted",
        why="Suspended, one wrong `aws s3 rm` is for ever.",
        act="Enable it again; what was deleted meanwhile is in the other region.",
        asks=("s3:GetBucketVersioning",),
        subjects=_dump_buckets,
        judge=_versioned,
    ),
    Check(
        id="dumps.lock",
        asset=Asset.DUMPS,
        weight=Weight.PROTECTION,
        title="New dumps are locked for as long as the stack says",
        why="What is not locked can be deleted by whoever steals the right keys.",
        act="`lifeboat apply` sets it again; what was written meanwhile is not locked.",
        asks=("s3:GetBucketObjectLockConfiguration",),
        subjects=_lock_subjects,
        judge=_object_lock,
    ),
    Check(
        id="copies.replication",
        asset=Asset.DUMPS,
        weight=Weight.PROTECTION,
        title="Dumps and the state are copied to the other region",
        why="What S3 no longer copies is lost with the region.",
        act="docs/runbooks/alarm-replication-failed.md",
        asks=("s3:GetReplicationConfiguration", "s3:GetObject"),
        subjects=_copied_subjects,
        judge=_replicated,
    ),
    Check(
        id="keys.enabled",
        asset=Asset.KEYS,
        weight=Weight.PROTECTION,
        title="Every key of the stack is enabled",
        why="With its key disabled a copy cannot be read, with its key deleted it never will be.",
        act="Enable it, or cancel its deletion, at once.",
        asks=("kms:DescribeKey",),
        subjects=_key_subjects,
        judge=_key,
    ),
)
