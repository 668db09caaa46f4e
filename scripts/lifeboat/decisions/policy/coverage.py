"""Which policy or selection takes copies of a resource: by reference, ARN, tags, and conditions, as AWS reads them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from lifeboat.decisions.policy import arns
from lifeboat.decisions.policy.joins import apart, attached, pointed_at, together
from lifeboat.decisions.policy.planned import Awaited, Block, Origin, Planned, Resource, Undecided

# What AWS Backup calls the types that it copies.
BACKUP_TYPES = {
    "aws_db_instance": "RDS",
    "aws_rds_cluster": "Aurora",
    "aws_docdb_cluster": "DocumentDB",
    "aws_neptune_cluster": "Neptune",
    "aws_ebs_volume": "EBS",
    "aws_instance": "EC2",
    "aws_efs_file_system": "EFS",
    "aws_fsx_lustre_file_system": "FSx",
    "aws_fsx_ontap_volume": "FSx",
    "aws_fsx_openzfs_file_system": "FSx",
    "aws_fsx_windows_file_system": "FSx",
    "aws_dynamodb_table": "DynamoDB",
    "aws_s3_bucket": "S3",
}
_ALWAYS_ASKED = ("aws_rds_cluster", "aws_docdb_cluster", "aws_neptune_cluster")
_DATA_TAG = "lifeboat:data"


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """What takes copies of one resource, and why more may do so that nobody can name yet."""

    selections: tuple[Resource, ...] = ()
    policies: tuple[Resource, ...] = ()
    doubt: Undecided | None = None

    @property
    def any(self) -> bool:
        """Whether something surely takes copies."""
        return bool(self.selections or self.policies)


def coverage(plan: Planned, resource: Resource) -> Coverage:
    """Return what takes copies of a resource; a volume has part in the copies of the instance that it is attached to."""
    key = ("coverage", resource.address)
    if key not in plan.worked_out:
        own = _own(plan, resource, resource)
        holders = [_own(plan, instance, resource) for instance in _instances_of(plan, resource)]
        plan.worked_out[key] = Coverage(
            selections=tuple({one.address: one for c in (own, *holders) for one in c.selections}.values()),
            policies=tuple({one.address: one for c in (own, *holders) for one in c.policies}.values()),
            doubt=next((c.doubt for c in (own, *holders) if c.doubt), None),
        )
    found: Coverage = plan.worked_out[key]
    return found


def stateful(plan: Planned) -> list[Resource]:
    """Return every resource that a policy or selection could take copies of."""
    return plan.of(*BACKUP_TYPES)


def is_replica(body: Block) -> bool:
    """Return whether a database is made of another one, and anew of it when it is lost."""
    return body.written("replicate_source_db") or body.written("replication_source_identifier")


def without_data(resource: Resource) -> bool:
    """Return whether a resource says of itself that it holds nothing to be copied, by its tag lifeboat:data = false."""
    return resource.tags().get(_DATA_TAG) == "false"


def with_data(resource: Resource) -> bool:
    """Return whether a resource says of itself that it holds data, by its tag lifeboat:data = true."""
    return resource.tags().get(_DATA_TAG) == "true"


def plans_of(plan: Planned, selection: Resource) -> list[Resource]:
    """Return the backup plan that a selection belongs to, where it is in this plan."""
    return pointed_at(plan, selection.body, "plan_id", "aws_backup_plan")


def selections_of(plan: Planned, backup_plan: Resource) -> list[Resource]:
    """Return the selections of a backup plan."""
    key = ("selections",)
    if key not in plan.worked_out:
        found: dict[str, list[Resource]] = {}
        for selection in plan.of("aws_backup_selection"):
            for one in plans_of(plan, selection):
                found.setdefault(one.address, []).append(selection)
        plan.worked_out[key] = found
    known: list[Resource] = plan.worked_out[key].get(backup_plan.address, [])
    return known


def covered_by(plan: Planned, policy: Resource) -> list[Resource]:
    """Return the resources of this plan that a backup plan, a selection or a lifecycle policy takes copies of."""
    mine = {policy.address, *(one.address for one in selections_of(plan, policy))}
    key = ("covered",)
    if key not in plan.worked_out:
        found: dict[str, list[Resource]] = {}
        for resource in stateful(plan):
            has = coverage(plan, resource)
            for one in (*has.selections, *has.policies):
                found.setdefault(one.address, []).append(resource)
        plan.worked_out[key] = found
    return list(
        {one.address: one for address in sorted(mine) for one in plan.worked_out[key].get(address, ())}.values()
    )


# -- one resource ------------------------------------------------------------------------------------------------------


def _own(plan: Planned, resource: Resource, disk: Resource) -> Coverage:
    """Return what takes copies of a resource, or of a disk by way of the instance that it belongs to."""
    selections: list[Resource] = []
    policies: list[Resource] = []
    doubts: list[Undecided] = []
    for found, candidates, takes in (
        (selections, plan.of("aws_backup_selection"), _selects),
        (policies, plan.of("aws_dlm_lifecycle_policy"), _targets),
    ):
        for one in candidates:
            if apart(one, resource):
                continue
            try:
                if takes(plan, one, resource) and not _leaves_out(one, disk):
                    _require_region(one, resource)
                    found.append(one)
            except Undecided as cannot:
                doubts.append(cannot)
    return Coverage(selections=tuple(selections), policies=tuple(policies), doubt=doubts[0] if doubts else None)


def _require_region(policy: Resource, resource: Resource) -> None:
    """Raise Undecided where a policy may be in another region than what it is about: it does nothing there."""
    if not together(policy, resource) and not policy.body.origin("resources").holds(resource):
        raise policy.doubt_of_region(
            f"{policy.address}: whether it is in the region of {resource.address} is not in the plan"
        )


def _instances_of(plan: Planned, resource: Resource) -> list[Resource]:
    if resource.type != "aws_ebs_volume":
        return []
    attachments = attached(plan, resource, "aws_volume_attachment", "volume_id")
    return [one for link in attachments for one in pointed_at(plan, link.body, "instance_id", "aws_instance")]


@dataclass(frozen=True, kw_only=True)
class _Selection:
    """What a selection of AWS Backup says, read once for all resources: of many each is asked about each of the others."""

    excluded: tuple[str | None, ...]
    named: tuple[str | None, ...]  # None for each that is known only after the apply
    origin: Origin
    tags: tuple[Block, ...]
    conditions: tuple[Block, ...]


def _read(plan: Planned, selection: Resource) -> _Selection:
    """Return what a selection says. Raises Undecided."""
    key = ("selection", selection.address)
    if key not in plan.worked_out:
        body = selection.body
        plan.worked_out[key] = _Selection(
            excluded=tuple(body.texts("not_resources")),
            named=(None,) if body.awaited("resources") else tuple(body.texts("resources")),
            origin=body.origin("resources"),
            tags=tuple(body.blocks("selection_tag")),
            conditions=tuple(body.blocks("condition")),
        )
    found: _Selection = plan.worked_out[key]
    return found


def _selects(plan: Planned, selection: Resource, resource: Resource) -> bool:
    """Return whether a selection of AWS Backup takes a resource.

    ARNs: any of them. selection_tag: any of them. condition: all of them. Where more than one kind is given, all kinds must
    agree; that is what AWS documents for conditions, and the careful reading for tags. Where none is, AWS Backup takes all that
    the account has opted in (API reference, BackupSelection).
    """
    says = _read(plan, selection)
    if any(pattern is not None and arns.matches(pattern, resource) for pattern in says.excluded):
        return False
    if _named(plan, selection, resource) is False:
        return False
    if not _opted_in(plan, selection, resource):
        return False
    tagged = not says.tags or _has_any(resource, [(one.text("key"), one.text("value")) for one in says.tags])
    return tagged and all(_meets(resource, one) for one in says.conditions)


def _opted_in(plan: Planned, selection: Resource, resource: Resource) -> bool:
    """Return whether AWS Backup takes a type in its region at all.

    What is switched off there is taken only where a selection names the type or the resource, and of three types not even
    then (developer guide, "Service opt-in"). Nothing is switched off where the plan says nothing.
    """
    for settings in plan.of("aws_backup_region_settings"):
        if apart(settings, resource):
            continue
        off = settings.body.mapping("resource_type_opt_in_preference").get(BACKUP_TYPES[resource.type], "true")
        if off is None:
            raise Awaited(f"{settings.address}: which types are switched on is known only after the apply")
        if off.lower() == "false" and (resource.type in _ALWAYS_ASKED or not _by_type(plan, selection, resource)):
            _require_region(settings, resource)
            return False
    return True


def _by_type(plan: Planned, selection: Resource, resource: Resource) -> bool:
    """Return whether a selection names a resource or its type, and not just whatever bears a tag."""
    says = _read(plan, selection)
    patterns = [one for one in says.named if one is not None and arns.matches(one, resource)]
    return says.origin.holds(resource) or any(one.split(":")[2:3] not in ([], ["*"]) for one in patterns)


def _named(plan: Planned, selection: Resource, resource: Resource) -> bool | None:
    """Return whether a selection names a resource by ARN or reference; None where it names nothing at all."""
    says = _read(plan, selection)
    if not says.named:
        return None
    if any(pattern is not None and arns.matches(pattern, resource) for pattern in says.named):
        return True
    if None not in says.named:
        return False
    if says.origin.holds(resource):
        return True
    if says.origin.lost:
        raise Awaited(f"{selection.address}: which resources it names is known only after the apply")
    return False


def _meets(resource: Resource, condition: Block) -> bool:
    for name, wanted, like in (
        ("string_equals", True, False),
        ("string_like", True, True),
        ("string_not_equals", False, False),
        ("string_not_like", False, True),
    ):
        for one in condition.blocks(name):
            key = (one.text("key") or "").removeprefix("aws:ResourceTag/")
            if _has(resource, key, one.text("value"), like=like) is not wanted:
                return False
    return True


def _targets(plan: Planned, policy: Resource, resource: Resource) -> bool:
    """Return whether a policy of DLM takes a resource: one with any of its tags (DLM user guide, "Target resource tags")."""
    kind = {"aws_ebs_volume": "VOLUME", "aws_instance": "INSTANCE"}.get(resource.type)
    if kind is None:
        return False
    default = policy.body.text("default_policy")
    details = policy.body.block("policy_details")
    if default is not None:
        return default in (kind, "VOLUME")  # of an instance it takes the volumes
    if details is None or details.text("policy_type") == "EVENT_BASED_POLICY":
        return False
    types = details.texts("resource_types") or [details.text("resource_type")]
    targets = details.mapping("target_tags")
    if kind in types:
        return _has_any(resource, targets.items())
    if kind == "INSTANCE" and "VOLUME" in types:
        return any(_tags_of_root_volume(resource).get(key, "\0") == value for key, value in targets.items())
    return False


def _excluded(details: Block | None, resource: Resource) -> bool:
    """Return whether a default policy leaves a volume or an instance out."""
    exclusions = None if details is None else details.block("exclusions")
    if exclusions is None:
        return False
    if resource.type == "aws_instance" and exclusions.flag("exclude_boot_volumes"):
        return True
    types = exclusions.texts("exclude_volume_types") if resource.type == "aws_ebs_volume" else []
    own = resource.body.known("type")
    if own is not None and own in types:
        return True
    if types and (own is None or None in types):
        raise Awaited(f"{resource.address}: whether it is of a type that is left out is known only after the apply")
    return _has_any(resource, exclusions.mapping("exclude_tags").items())


def _leaves_out(policy: Resource, disk: Resource) -> bool:
    """Return whether a lifecycle policy on an instance leaves out a volume that is attached to it, or its root volume."""
    details = policy.body.block("policy_details") if policy.type == "aws_dlm_lifecycle_policy" else None
    if details is None:
        return False
    if policy.body.text("default_policy") is not None:
        return _excluded(details, disk)
    parameters = details.block("parameters")
    if parameters is None:
        return False
    if disk.type == "aws_instance":
        return bool(parameters.flag("exclude_boot_volume"))
    return _has_any(disk, parameters.mapping("exclude_data_volume_tags").items())


def _tags_of_root_volume(instance: Resource) -> dict[str, str | None]:
    root = instance.body.block("root_block_device")
    return {**instance.body.mapping("volume_tags"), **(root.mapping("tags") if root is not None else {})}


def _has(resource: Resource, key: str | None, value: str | None, *, like: bool) -> bool:
    """Return whether a resource has a tag. Raises Undecided where its tags or those of its provider are not known."""
    tags = resource.tags()
    if key not in tags:
        if not resource.all_tags_known:
            raise Undecided(f"{resource.address}: the tags of its provider are not in the plan")
        return False
    found = tags[key]
    if found is None or value is None:
        raise Awaited(f"{resource.address}: its tag {key} is known only after the apply")
    return fnmatchcase(found, value) if like else found == value


def _has_any(resource: Resource, tags: Iterable[tuple[str | None, str | None]]) -> bool:
    """Return whether a resource has one of these tags; what cannot be told counts only where it has none of the others."""
    doubt: Undecided | None = None
    for key, value in tags:
        try:
            if _has(resource, key, value, like=False):
                return True
        except Undecided as cannot:
            doubt = cannot
    if doubt is not None:
        raise doubt
    return False
