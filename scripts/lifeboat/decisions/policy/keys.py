"""Rules on the keys that copies are encrypted with: of our own, in the region of the copy, and not gone before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from lifeboat.decisions.policy import arns, buckets, controls
from lifeboat.decisions.policy.lengths import words
from lifeboat.decisions.policy.planned import Awaited, Block, Planned, Reference, Resource, Undecided
from lifeboat.decisions.policy.rule import Case, Fault, Rule, RuleId, Severity
from lifeboat.model import Address

KEYS = ("aws_kms_key", "aws_kms_replica_key", "aws_kms_external_key", "aws_kms_replica_external_key")
# The resources that are copies or hold them, and which of their values names the key.
HOLDERS = {
    "aws_backup_vault": "kms_key_arn",
    "aws_db_snapshot_copy": "kms_key_id",
    "aws_rds_cluster_snapshot_copy": "kms_key_id",
    "aws_ebs_snapshot_copy": "kms_key_id",
    "aws_ami_copy": "kms_key_id",
    "aws_db_instance_automated_backups_replication": "kms_key_id",
}
_SOURCES = {
    "aws_db_instance": "kms_key_id",
    "aws_rds_cluster": "kms_key_id",
    "aws_ebs_volume": "kms_key_id",
    "aws_efs_file_system": "kms_key_id",
}
_DESTINATIONS = (*HOLDERS, "aws_dlm_lifecycle_policy", "aws_s3_bucket")


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Something that copies go to: the block that names the key, the name of that value, and the region."""

    block: Block
    name: str
    region: str | None


def customer_key(plan: Planned, block: Block, name: str) -> tuple[bool, str | None]:
    """Return whether a value names a key of our own, and its region where that is known. Raises Undecided.

    AWS's own keys go by alias (alias/aws/rds): their policy cannot be changed, and no other account can use a copy.
    """
    if not block.written(name):
        return False, None
    text, origin = block.known(name), block.origin(name)
    if any(one.is_data for one in origin.references) and not (text and "alias/aws/" in text):
        # A data source may as well look up AWS's own key, whose ARN is like any other.
        raise Undecided(f"{block.where}: whether {name} of a data source is a key of your own is not in the plan")
    if text is not None:
        return "alias/aws/" not in text, arns.region_of(text)
    keys = plan.come_from(block, name, *KEYS)
    if keys:
        regions = {key.region for key in keys}
        return True, regions.pop() if len(regions) == 1 else None
    if origin.lost:
        raise Awaited(f"{block.where}: which key {name} is, is known only after the apply")
    return True, None  # an alias, or a key that a module outside of this plan's keys gives


def _is_destination(case: Case) -> bool:
    if case.resource.type == "aws_s3_bucket":
        return buckets.holds_dumps(case)
    return case.resource.type != "aws_dlm_lifecycle_policy" or bool(list(_places(case)))


def _places(case: Case) -> Iterator[_Place]:
    resource = case.resource
    if resource.type == "aws_s3_bucket":
        for rule in buckets.encryption(case.plan, resource):
            yield _Place(block=rule, name="kms_master_key_id", region=resource.region)
    elif resource.type == "aws_dlm_lifecycle_policy":
        yield from _copies_of(resource)
    else:
        yield _Place(block=resource.body, name=HOLDERS[resource.type], region=resource.region)


def _copies_of(policy: Resource) -> Iterator[_Place]:
    details = policy.body.block("policy_details")
    for schedule in [] if details is None else details.blocks("schedule"):
        for copy in schedule.blocks("cross_region_copy_rule"):
            target = copy.known("target") or copy.known("target_region")
            yield _Place(block=copy, name="cmk_arn", region=arns.region_of(target or "") or target)


def _is_hidden(place: _Place) -> bool:
    """Return whether a dynamic block hides which key it is: something that this apply makes, the plan does not say what."""
    return place.block.expressions is None and place.block.unknown.get(place.name) is True


def _own_key(case: Case) -> Iterable[Fault]:
    places = list(_places(case))
    if not places:
        yield Fault(found="nothing says how it is encrypted", wanted="encryption with a key of your own")
    for place in places:
        own, region = _key_of(case.plan, place)
        if not own:
            yield Fault(found=f"{place.block.where} names no key of your own", wanted="a customer managed key")
        elif region is not None and place.region is not None and region != place.region:
            yield Fault(
                found=f"the key of {place.block.where} is in {region}, and the copy in {place.region}",
                wanted=f"a key in {place.region}: the copy cannot be read when {region} is gone",
            )
        else:
            _require_regions(case, place)


def _require_regions(case: Case, place: _Place) -> None:
    """Raise Undecided where nothing tells that a copy and its key are in one region."""
    for key in case.plan.come_from(place.block, place.name, *KEYS):
        by_provider = place.region == case.resource.region and key.provider == case.resource.provider
        if None in (key.region, place.region) and not by_provider:
            raise key.doubt_of_region(
                f"{place.block.where}: whether {key.address} is in the region of the copy is not in the plan"
            )


def _key_of(plan: Planned, place: _Place) -> tuple[bool, str | None]:
    """Return whether a place has a key of our own, and the key's region. Raises Undecided.

    Of a key behind a dynamic block nothing tells that it is one of those in its region.
    """
    if not _is_hidden(place):
        return customer_key(plan, place.block, place.name)
    raise Awaited(f"{place.block.where}: which key {place.name} is, is known only after the apply")


# -- the keys themselves -----------------------------------------------------------------------------------------------


def _keys_of_copies(plan: Planned) -> frozenset[Address]:
    """Return the keys that copies, and what is copied, are encrypted with, by address."""
    key = ("keys of copies",)
    if key not in plan.worked_out:
        named: set[Reference] = set()
        found: set[Address] = set()
        for kind, name in (*HOLDERS.items(), *_SOURCES.items()):
            for resource in plan.of(kind):
                named |= resource.body.origin(name).references
        for one in plan.of("aws_s3_bucket_server_side_encryption_configuration"):
            named |= one.body.origin("rule").references
        for policy in plan.of("aws_dlm_lifecycle_policy"):
            named |= policy.body.origin("policy_details").references
            hidden = {place.region for place in _copies_of(policy) if _is_hidden(place)}
            found |= {resource.address for resource in plan.of(*KEYS) if resource.region in hidden}
        names = {one.body.known(name) for kind, name in (*HOLDERS.items(), *_SOURCES.items()) for one in plan.of(kind)}
        found |= {one.address for one in plan.of(*KEYS) if one.body.known("arn") in (names - {None})}
        found |= {one.address for one in plan.named(named, *KEYS)}
        plan.worked_out[key] = frozenset(found)
    known: frozenset[Address] = plan.worked_out[key]
    return known


def _of_copies(case: Case) -> bool:
    return case.resource.address in _keys_of_copies(case.plan)


def _lasting(case: Case) -> Iterable[Fault]:
    body = case.resource.body
    days = body.number("deletion_window_in_days")
    if days is not None and timedelta(days=days) < case.parameters.key_window:
        yield Fault(
            found=f"a deletion of the key can be taken back for {days:g} days", wanted=words(case.parameters.key_window)
        )
    rotates = case.resource.type == "aws_kms_key" and body.text("key_usage") in (None, "ENCRYPT_DECRYPT")
    if rotates and not body.flag("enable_key_rotation"):
        yield Fault(found="the key is not rotated", wanted="enable_key_rotation = true", severity=Severity.MEDIUM)
    if body.flag("is_enabled") is False or body.flag("enabled") is False:
        yield Fault(found="the key is disabled", wanted="an enabled key: what it encrypted cannot be read")


RULES = (
    Rule(
        id=RuleId("LB_ENC_1"),
        severity=Severity.MEDIUM,
        title="Copies are encrypted with a key of your own in the region of the copy",
        why="A copy whose key is in the lost region, or belongs to AWS and one account, cannot be restored where it is needed.",
        change="Name a customer managed key of the region that the copy is in.",
        types=_DESTINATIONS,
        among=_is_destination,
        judge=_own_key,
        controls=(
            *controls.well_architected("REL09-BP02"),
            *controls.nist("CP-9(8)", "SC-28"),
            *controls.fsbp("Backup.1", "RDS.4"),
            *controls.config("BACKUP_RECOVERY_POINT_ENCRYPTED"),
            *controls.audit_manager("BACKUP_RECOVERY_POINT_ENCRYPTED"),
            *controls.soc2("CC6.1"),
            *controls.iso("A.8.24", sourced=True),
        ),
    ),
    Rule(
        id=RuleId("LB_ENC_2"),
        severity=Severity.HIGH,
        title="The keys of copies outlive a mistake",
        why="A key that is gone takes every copy with it that it encrypted, whatever lock is on the copy.",
        change="Set deletion_window_in_days = 30 and enable_key_rotation = true, and leave the key enabled.",
        types=KEYS,
        among=_of_copies,
        judge=_lasting,
        controls=(
            *controls.nist("SC-12", "CP-9(8)"),
            *controls.fsbp("KMS.4"),
            *controls.soc2("CC6.1"),
            *controls.iso("A.8.24"),
        ),
    ),
)
