"""What the stack says must be there: how often each asset is copied, to which regions, and what Terraform built."""

from __future__ import annotations

from datetime import timedelta

from lifeboat.decisions import hand_changes
from lifeboat.decisions.hand_changes import Settings
from lifeboat.decisions.status.check import Bad, Unknown
from lifeboat.status_model import Resource, Stack

# Words of the modules' `protection` outputs that tell the kinds of copies of one asset apart.
WINDOW, BACKUP, IMAGE, SNAPSHOT = "automated backups", "AWS Backup", "images", "snapshots"


def every(stack: Stack, asset: str, word: str, region: str) -> timedelta | None:
    """Return how often an asset is copied in a way, and into a region; None where the stack does not say that it is."""
    found = [
        timedelta(hours=one.every_hours)
        for one in stack.recovery.protection
        if one.asset == asset and word in one.mechanism and region in one.regions and one.every_hours is not None
    ]
    return min(found, default=None)


def regions_of(stack: Stack, asset: str, word: str) -> tuple[str, ...]:
    """Return the regions that an asset is copied to in a way; empty where the stack does not copy it so."""
    both = (stack.recovery.region, stack.recovery.dr_region)
    return tuple(
        region
        for region in both
        if any(
            one.asset == asset and word in one.mechanism and region in one.regions for one in stack.recovery.protection
        )
    )


def named(stack: Stack, kind: str, attribute: str = "name") -> tuple[str, ...]:
    """Return the names of the resources of a kind."""
    return tuple(str(one.attributes[attribute]) for one in stack.of_kind(kind))


def keys(stack: Stack) -> dict[str, Resource]:
    """Return the KMS keys that the stack built, by a label that a person knows them by."""
    return {f"{one.label}.{one.region}" if one.region else one.label: one for one in stack.of_kind("aws_kms_key")}


def snapshot_policies(stack: Stack) -> set[str]:
    """Return the ids of the lifecycle policies that take snapshots, and not images."""
    return {
        str(one.attributes["id"])
        for one in stack.of_kind("aws_dlm_lifecycle_policy")
        if all(details.get("policy_type") != "IMAGE_MANAGEMENT" for details in one.attributes["policy_details"])
    }


def unlike(resource: Resource, now: Settings, what: str) -> Bad | Unknown | None:
    """Return what to say of a thing whose settings are not those that were built, or cannot be told; None where they are."""
    found = hand_changes.compared(resource.kind, now, resource.attributes)
    if found.changes:
        return Bad(
            found=f"{what} is not as it was built: {found.now}",
            wanted=found.built,
            command="lifeboat apply, which sets it again",
        )
    if found.untold:
        return Unknown(
            found=f"whether {what} is as it was built, nobody knows: {found.now}",
            wanted=found.built,
            command="lifeboat plan, which reads all of it",
        )
    return None
