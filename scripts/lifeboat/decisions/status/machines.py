"""The checks of what the instance is recovered from: snapshots of its volume, its recovery points, its images."""

from __future__ import annotations

from datetime import datetime

from lifeboat.decisions.durations import said
from lifeboat.decisions.images import unusable
from lifeboat.decisions.recovery_points import UNSEEN_KEY
from lifeboat.decisions.status import built, copies
from lifeboat.decisions.status.check import Bad, Case, Check, Good, Outcome, late, old, once, seen
from lifeboat.errors import NotSeen
from lifeboat.model import Image, WantedImage
from lifeboat.status_model import Asset, Stack, Weight


def _volume_regions(stack: Stack) -> tuple[str, ...]:
    return built.regions_of(stack, Asset.VOLUME.value, built.SNAPSHOT)


def _vault_regions(stack: Stack) -> tuple[str, ...]:
    return built.regions_of(stack, Asset.VOLUME.value, built.BACKUP)


def _both(stack: Stack) -> tuple[str, ...]:
    return stack.recovery.region, stack.recovery.dr_region


def _age(case: Case, kind: copies.Kind, newest: datetime | None, command: str) -> Outcome:
    limit = late(case, built.every(case.stack, kind.asset.value, kind.word, case.subject))
    wanted = f"one at most {said(limit)} old"
    if newest is None:
        return Bad(found=f"no {kind.kind.value} in {case.subject}", wanted=wanted, command=command)
    if case.now - newest > limit:
        return Bad(found=f"the newest in {case.subject} is {old(case, newest)} old", wanted=wanted, command=command)
    return Good(says=f"{old(case, newest)} old")


def _snapshots(case: Case) -> Outcome:
    found = copies.complete(seen(case.facts.volumes, case.subject) or (), case.stack)
    newest = found[0].started_at if found else None
    return _age(
        case, copies.VOLUMES, newest, "lifeboat ami bake; aws dlm get-lifecycle-policies says what became of DLM"
    )


def _in_vault(case: Case) -> Outcome:
    points = seen(case.facts.vaults, case.subject) or ()
    found = copies.sound(copies.of_machine(points, case.stack), case.now)
    newest = found[0].taken_at if found else None
    return _age(case, copies.MACHINES_IN_VAULT, newest, "aws backup list-backup-jobs --by-resource-type EC2")


def _covered(case: Case) -> Outcome:
    if _volume_regions(case.stack) or _vault_regions(case.stack):
        return Good(says="snapshots are planned")
    return Bad(
        found="nothing copies the instance's volume",
        wanted="snapshots by DLM, or recovery points by AWS Backup",
        command="lifeboat policy explain LB_DLM_1",
    )


def _images(case: Case, region: str) -> list[Image]:
    """Return the images that a recovery would launch from, newest first.

    Raises NotSeen where a newer one has a key that nobody may look at: a recovery may be able to use that.
    """
    there = seen(case.facts.images, region) or ()
    found = copies.usable(there, _launched(case, region))
    newer = [image for image in there if not found or image.taken_at > found[0].taken_at]
    for image in newer:
        if any(one.key is not None and one.key.state.startswith(UNSEEN_KEY) for one in image.snapshots):
            raise NotSeen(
                f"whether {image.id} can be used nobody knows: its key is {UNSEEN_KEY}", call="kms:DescribeKey"
            )
    return found


def _launched(case: Case, region: str) -> WantedImage:
    return copies.launched(case.facts.architecture.value, case.limits, case.now, region)


def _why_none(case: Case) -> str:
    """Return why a recovery could not use the newest of the images that there are; empty where there is none."""
    newest = max(seen(case.facts.images, case.subject) or (), key=lambda image: image.taken_at, default=None)
    if newest is None:
        return ""
    return f" that a machine can be launched from: {newest.id}: {unusable(newest, _launched(case, case.subject))}"


def _image_age(case: Case) -> Outcome:
    images = _images(case, case.subject)
    often = built.every(case.stack, Asset.IMAGE.value, built.IMAGE, case.subject)
    limit = case.limits.image if often is None else often + case.limits.late
    wanted = f"one at most {said(limit)} old that a machine can be launched from"
    command = "lifeboat ami bake" if case.subject == case.stack.recovery.region else "lifeboat ami copy latest"
    if not images:
        return Bad(found=f"no image in {case.subject}{_why_none(case)}", wanted=wanted, command=command)
    if case.now - images[0].taken_at > limit:
        age = old(case, images[0].taken_at)
        return Bad(found=f"the newest in {case.subject}, {images[0].id}, is {age} old", wanted=wanted, command=command)
    return Good(says=f"{images[0].id}, {old(case, images[0].taken_at)} old")


def _image_proof(case: Case) -> Outcome:
    region, limit = case.stack.recovery.region, case.limits.image_proof
    images = _images(case, region)
    proofs = [(image.proven_at, str(image.id)) for image in images if image.proven_at is not None]
    newest = max(proofs, default=None)
    if newest is None or case.now - newest[0] > limit:
        return Bad(
            found=f"none of {len(images)} images to launch from was ever seen to boot"
            if newest is None
            else f"the last one that was seen to boot was so {old(case, newest[0])} ago",
            wanted=f"one from which a host came up and answered within {said(limit)}",
            command="lifeboat drill instance",
        )
    return Good(says=f"{newest[1]} booted {old(case, newest[0])} ago")


def _policy(case: Case) -> Outcome:
    if not case.subject:
        return Bad(
            found="the stack has no lifecycle policy",
            wanted="one for snapshots, one for images",
            command="lifeboat plan",
        )
    found = seen(case.facts.policies, case.subject)
    if found is None:
        return Bad(
            found=f"there is no lifecycle policy {case.subject}", wanted="it was built", command="lifeboat apply"
        )
    if found.state != "ENABLED":
        return Bad(
            found=f"{case.subject} is {found.state}{f': {found.message}' if found.message else ''}",
            wanted="ENABLED",
            command=f"aws dlm update-lifecycle-policy --policy-id {case.subject} --state ENABLED, or lifeboat apply",
        )
    return Good(says="enabled")


def _policies(stack: Stack) -> tuple[str, ...]:
    return tuple(stack.recovery.dlm_policy_ids) or ("",)


def _policy_selects(case: Case) -> Outcome:
    found, tags = seen(case.facts.policies, case.subject), case.facts.machine_tags.value
    if found is None:
        return Good(says="nothing to judge: lifecycle.enabled tells that it is gone")
    if tags is None:
        return Bad(
            found=f"the application's instance {case.stack.recovery.app.instance_id} is gone",
            wanted="an instance that the policy copies",
            command="lifeboat recover --preview",
        )
    if not any(tags.get(key) == value for key, value in found.target_tags.items()):
        chosen = ", ".join(f"{key}={value}" for key, value in sorted(found.target_tags.items())) or "no tag"
        return Bad(
            found=f"{case.subject} selects {chosen}, which the application's instance does not have",
            wanted="a tag of the instance",
            command="lifeboat apply, which tags it again",
        )
    return Good(says="selects the instance")


CHECKS = (
    Check(
        id="volume.covered",
        asset=Asset.VOLUME,
        weight=Weight.PROTECTION,
        title="Something is planned to copy the instance's volume",
        why="What was written to it since the newest image would be lost.",
        act="Set `backup.snapshots` in the tfvars, then `lifeboat apply`.",
        asks=("s3:GetObject",),
        subjects=once,
        judge=_covered,
    ),
    Check(
        id="volume.snapshot",
        asset=Asset.VOLUME,
        weight=Weight.OBJECTIVE,
        title="The newest snapshot of the volume in each region that it is copied to is young enough",
        why="Snapshots stop without a word where DLM's role loses a permission, or the copy's key is disabled.",
        act="`aws dlm get-lifecycle-policies` shows the state; the events of EC2 say why a snapshot failed.",
        asks=("ec2:DescribeSnapshots",),
        subjects=_volume_regions,
        judge=_snapshots,
    ),
    Check(
        id="volume.vault",
        asset=Asset.VOLUME,
        weight=Weight.OBJECTIVE,
        title="The newest recovery point of the instance in each locked vault is young enough",
        why="It is the copy of the volume that nobody can delete.",
        act="`aws backup list-backup-jobs --by-resource-type EC2` says why there is no newer one.",
        asks=("backup:ListRecoveryPointsByBackupVault",),
        subjects=_vault_regions,
        judge=_in_vault,
    ),
    Check(
        id="image.age",
        asset=Asset.IMAGE,
        weight=Weight.OBJECTIVE,
        title="In each region there is an image that a recovery would launch from and that is young enough",
        why="The older the image, the more must be patched and fetched on the night of the recovery.",
        act="`lifeboat ami bake` makes one, `lifeboat ami copy` brings it into the other region.",
        asks=("ec2:DescribeImages", "ec2:DescribeSnapshots", "ec2:DescribeInstances", "kms:DescribeKey"),
        subjects=_both,
        judge=_image_age,
    ),
    Check(
        id="image.proof",
        asset=Asset.IMAGE,
        weight=Weight.OBJECTIVE,
        title="An image was seen to boot and to answer, not long ago",
        why="An image that never booted may not: a kernel, a disk name and a boot script are all that it takes.",
        act="`lifeboat drill instance` launches one beside production and asks it.",
        asks=("ec2:DescribeImages", "ec2:DescribeSnapshots", "ec2:DescribeInstances", "kms:DescribeKey"),
        subjects=once,
        judge=_image_proof,
    ),
    Check(
        id="lifecycle.enabled",
        asset=Asset.VOLUME,
        weight=Weight.PROTECTION,
        title="Every lifecycle policy of the stack is there and enabled",
        why="A policy that is disabled, or in ERROR, copies nothing and rings nowhere.",
        act="Enable it; `StatusMessage` says what an ERROR is about.",
        asks=("dlm:GetLifecyclePolicy",),
        subjects=_policies,
        judge=_policy,
    ),
    Check(
        id="lifecycle.selects",
        asset=Asset.VOLUME,
        weight=Weight.PROTECTION,
        title="Every lifecycle policy selects the application's instance by its tags",
        why="A tag that somebody renamed ends the copies, and the policy stays green.",
        act="`lifeboat apply` tags the instance again.",
        asks=("dlm:GetLifecyclePolicy", "ec2:DescribeInstances"),
        subjects=lambda stack: tuple(stack.recovery.dlm_policy_ids),
        judge=_policy_selects,
    ),
)
