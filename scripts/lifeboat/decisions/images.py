"""Machine images: which one to recover from and why not the others, how new ones are named, which may go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lifeboat.decisions.durations import said
from lifeboat.model import (
    BakeSource,
    Choice,
    EncryptionKey,
    Image,
    ImageId,
    ImageOrder,
    ImageRow,
    ImageUse,
    InstanceId,
    Judged,
    Owner,
    Pruning,
    Snapshot,
    SnapshotId,
    Tag,
    WantedImage,
    WantedSnapshot,
)

MANAGED_BY = "lifeboat"
# A snapshot appears in listings a little before its image may; within this time nothing is taken for left behind.
_SETTLING = timedelta(hours=1)
# Tags that are true of the original only.
_NOT_COPIED = (Tag.PROVEN_AT, Tag.COPIED_FROM, "dlm:managed")


# -- which one to recover from -----------------------------------------------------------------------------------------


def choose(images: Iterable[Image], wanted: WantedImage) -> Choice[Image]:
    """Return the image to recover from, with the reason, and for each other one why it is not that.

    Without an id it is the usable image with the newest content. An image that is asked for by its id is that one or
    none: another one in its place would be a recovery that nobody ordered.
    """
    newest_first = sorted(images, key=_newness, reverse=True)
    reasons = [(image, unusable(image, wanted)) for image in newest_first]
    usable = [image for image, why_not in reasons if why_not is None and wanted.image in (None, image.id)]
    if not usable:
        rejected = tuple(Judged(what=image, why=why or _not_asked_for(wanted)) for image, why in reasons)
        return Choice(chosen=None, why=_why_none(rejected, wanted), rejected=rejected)
    chosen = usable[0]
    passed_over = _not_asked_for(wanted) if wanted.image else f"its content is not newer than that of {chosen.id}"
    return Choice(
        chosen=chosen,
        why="it was asked for" if wanted.image else f"the newest of {len(usable)} usable in {wanted.region}",
        rejected=tuple(Judged(what=image, why=why or passed_over) for image, why in reasons if image is not chosen),
        remarks=_remarks(chosen, wanted),
    )


def unusable(image: Image, wanted: WantedImage) -> str | None:
    """Return every reason why a recovery cannot start from an image; None when it can."""
    found: list[str] = []
    if image.region != wanted.region:
        found.append(f"it is in {image.region}, not in {wanted.region}")
    if image.state != "available":
        found.append(f"it is {image.state}" + (f" ({image.state_reason})" if image.state_reason else ""))
    if image.id not in wanted.accepted:
        found += _foreign(image.owner_id, image.tags, wanted.owner)
    if wanted.architecture is not None and image.architecture != wanted.architecture:
        found.append(f"it is for {image.architecture}, and the instance is {wanted.architecture}")
    if image.root_device_type != "ebs":
        found.append(f"its root device is {image.root_device_type}, not ebs")
    found += _unreadable([snapshot.key for snapshot in image.snapshots])
    if image.owner_id == wanted.owner.account_id and image.state == "available":
        there = {snapshot.id for snapshot in image.snapshots}
        found += [f"its snapshot {lost} does not exist" for lost in image.snapshot_ids if lost not in there]
    age = wanted.now - image.taken_at
    if wanted.max_age is not None and age > wanted.max_age:
        found.append(f"its content is {said(age)} old, more than {said(wanted.max_age)}")
    # Deprecated means out of every listing, yet launched by its id as before (EC2 user guide, "Deprecate an AMI").
    if wanted.image is None and _deprecated(image, wanted.now):
        found.append(f"it is deprecated since {image.deprecated_at:%Y-%m-%d}")
    return "; ".join(found) or None


def choose_snapshot(snapshots: Iterable[Snapshot], wanted: WantedSnapshot) -> Choice[Snapshot]:
    """Return the snapshot to make an image of, with the reason, and for each other one why it is not that."""
    newest_first = sorted(snapshots, key=lambda s: (s.started_at, s.id), reverse=True)
    reasons = [(snapshot, _unusable_snapshot(snapshot, wanted)) for snapshot in newest_first]
    usable = [s for s, why_not in reasons if why_not is None and wanted.snapshot in (None, s.id)]
    asked = f"{wanted.snapshot} was asked for"
    if not usable:
        rejected = tuple(Judged(what=s, why=why or asked) for s, why in reasons)
        named = [j for j in rejected if j.what.id == wanted.snapshot]
        if named:
            why = f"{wanted.snapshot} cannot be used: {named[0].why}"
        elif wanted.snapshot is not None:
            why = f"there is no snapshot {wanted.snapshot} in {wanted.region}"
        else:
            why = f"none of {len(rejected)} snapshots in {wanted.region} can be used"
        return Choice(chosen=None, why=why, rejected=rejected)
    chosen = usable[0]
    passed_over = asked if wanted.snapshot else f"it is not newer than {chosen.id}"
    return Choice(
        chosen=chosen,
        why="it was asked for" if wanted.snapshot else f"the newest of {len(usable)} usable in {wanted.region}",
        rejected=tuple(Judged(what=s, why=why or passed_over) for s, why in reasons if s is not chosen),
    )


def _unusable_snapshot(snapshot: Snapshot, wanted: WantedSnapshot) -> str | None:
    found: list[str] = []
    if snapshot.region != wanted.region:
        found.append(f"it is in {snapshot.region}, not in {wanted.region}")
    if snapshot.state != "completed":
        found.append(f"it is {snapshot.state}")
    found += _foreign(snapshot.owner_id, snapshot.tags, wanted.owner)
    found += _unreadable([snapshot.key])
    return "; ".join(found) or None


def _foreign(owner_id: str, tags: Mapping[str, str], owner: Owner) -> list[str]:
    if owner_id != owner.account_id:
        return [f"it is not ours: it belongs to account {owner_id}"]
    expected = {Tag.APPLICATION: owner.application, Tag.ENVIRONMENT: owner.environment}
    wrong = [f"{tag} is {tags.get(tag, 'missing')}" for tag, value in expected.items() if tags.get(tag) != value]
    return [f"it is not ours: its tag {' and its tag '.join(wrong)}"] if wrong else []


def _unreadable(keys: Iterable[EncryptionKey | None]) -> list[str]:
    locked = {key.arn: key.state for key in keys if key is not None and key.state != "Enabled"}
    return [f"its key {arn} is {_spaced(state)}" for arn, state in sorted(locked.items())]


def _spaced(state: str) -> str:
    """Return a key's state in words: PendingDeletion becomes "pending deletion"; what is words already stays."""
    if " " in state:
        return state
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in state).strip()


def _newness(image: Image) -> tuple[datetime, datetime, ImageId]:
    return image.taken_at, image.made_at, image.id


def _deprecated(image: Image, now: datetime) -> bool:
    return image.deprecated_at is not None and image.deprecated_at <= now


def _not_asked_for(wanted: WantedImage) -> str:
    return f"{wanted.image} was asked for"


def _why_none(rejected: Sequence[Judged[Image]], wanted: WantedImage) -> str:
    if wanted.image is None:
        if not rejected:
            return f"there is no image of {wanted.owner.application} ({wanted.owner.environment}) in {wanted.region}"
        return f"none of {len(rejected)} images can be used in {wanted.region}"
    named = [judged for judged in rejected if judged.what.id == wanted.image]
    if not named:
        return f"there is no image {wanted.image} in {wanted.region}"
    here = next((judged for judged in named if judged.what.region == wanted.region), named[0])
    return f"{wanted.image} cannot be used: {here.why}"


def _remarks(image: Image, wanted: WantedImage) -> tuple[str, ...]:
    found = []
    if image.proven_at is None:
        found.append(f"no recovery or drill has proven yet that {image.id} boots")
    if image.id in wanted.accepted and _foreign(image.owner_id, image.tags, wanted.owner):
        found.append(
            f"{image.id} is not ours and was accepted: {_foreign(image.owner_id, image.tags, wanted.owner)[0]}"
        )
    if _deprecated(image, wanted.now):
        found.append(f"{image.id} is deprecated since {image.deprecated_at:%Y-%m-%d}")
    return tuple(found)


# -- the list ----------------------------------------------------------------------------------------------------------


def source(image: Image) -> str:
    """Return where an image comes from, in the words of the list."""
    maker = "AWS Backup" if Tag.AWS_BACKUP in image.tags else ""
    if Tag.DLM_POLICY in image.tags:
        maker = f"DLM {image.tags.get(Tag.DLM_SCHEDULE, '')}".strip()
    if image.copied_from is not None:
        return f"{maker}, copied" if maker else "copied"
    if maker:
        return maker
    if Tag.SOURCE_SNAPSHOT in image.tags:
        return "from-snapshot"
    return "baked" if Tag.SOURCE_INSTANCE in image.tags else "made elsewhere"


def rows(images: Iterable[Image], wanted: WantedImage) -> list[ImageRow]:
    """Return one row for each image, newest first; a copy stands in the row of what it was copied from, if that exists."""
    images = sorted(images, key=_newness, reverse=True)
    originals = {image.id: _original(image, images).id for image in images}

    def judged(image: Image) -> Judged[Image]:
        return Judged(what=image, why=unusable(image, replace(wanted, region=image.region, image=None)) or "")

    return [
        ImageRow(
            image=image,
            source=source(image),
            age=wanted.now - image.taken_at,
            why_not=judged(image).why or None,
            copies=tuple(judged(c) for c in images if c is not image and originals[c.id] == image.id),
        )
        for image in images
        if originals[image.id] == image.id
    ]


def _original(image: Image, images: Sequence[Image]) -> Image:
    """Return the image at the beginning of a chain of copies; of a circle, which only wrong tags make, itself."""
    chain = [image]
    while True:
        before = next((i for i in images if i.id == chain[-1].copied_from), None)
        if before is None:
            return chain[-1]
        if before in chain:
            return before
        chain.append(before)


# -- making one --------------------------------------------------------------------------------------------------------


def under_way(images: Iterable[Image], instance: InstanceId) -> Image | None:
    """Return the image of an instance that is still being made; a bake that was cut off goes on with it."""
    pending = [i for i in images if i.state == "pending" and i.tags.get(Tag.SOURCE_INSTANCE) == instance]
    return max(pending, key=_newness, default=None)


def baking(bake: BakeSource) -> ImageOrder:
    """Return the order for an image of a running instance."""
    facts = {
        Tag.SOURCE_INSTANCE: str(bake.instance),
        Tag.IMAGE_TAG: bake.image_tag,
        Tag.GIT_SHA: bake.git_sha,
        Tag.STATE_SERIAL: None if bake.state_serial is None else str(bake.state_serial),
        Tag.TAKEN_AT: _stamp(bake.now),
    }
    return _order(
        f"{bake.owner.application}-{bake.owner.environment}-{bake.now:%Y%m%dT%H%M%SZ}",
        bake.region,
        f"Baked by lifeboat from {bake.instance}",
        {**_our_tags(bake.owner), **{tag: value for tag, value in facts.items() if value is not None}},
    )


def copy_in(images: Iterable[Image], original: Image, region: str) -> Image | None:
    """Return the newest copy of an image that is in a region, or on its way there."""
    copies = [i for i in images if i.region == region and i.copied_from == original.id]
    return max((i for i in copies if not i.never_available), key=_newness, default=None)


def copying(original: Image, owner: Owner, region: str) -> ImageOrder:
    """Return the order for a copy: the same name and tags, but for those that are true of the original only."""
    kept = {k: v for k, v in original.tags.items() if not k.startswith("aws:") and k not in _NOT_COPIED}
    return _order(
        original.name,
        region,
        f"Copied by lifeboat from {original.id} in {original.region}",
        {**kept, **_our_tags(owner), Tag.COPIED_FROM: original.id, Tag.TAKEN_AT: _stamp(original.taken_at)},
    )


def registering(snapshot: Snapshot, owner: Owner) -> ImageOrder:
    """Return the order for an image of a snapshot; its name is the snapshot's, so it is made once."""
    order = _order(
        f"{owner.application}-{owner.environment}-{snapshot.id}",
        snapshot.region,
        f"Registered by lifeboat from {snapshot.id}",
        {**_our_tags(owner), Tag.SOURCE_SNAPSHOT: snapshot.id, Tag.TAKEN_AT: _stamp(snapshot.started_at)},
    )
    return replace(order, snapshot_tags={})  # the snapshot was there before, and stays when the image goes


def _order(name: str, region: str, description: str, tags: Mapping[str, str]) -> ImageOrder:
    text = {str(key): value for key, value in tags.items()}
    return ImageOrder(
        name=name,
        region=region,
        description=description,
        tags=text,
        snapshot_tags={**text, str(Tag.IMAGE_NAME): name},
    )


def _our_tags(owner: Owner) -> dict[str, str]:
    return {
        Tag.APPLICATION: owner.application,
        Tag.ENVIRONMENT: owner.environment,
        Tag.MANAGED_BY: MANAGED_BY,
    }


def _stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


# -- which may go ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """How many usable images of each region stay, at least one."""

    newest: int
    now: datetime
    owner: Owner


def prunable(
    images: Iterable[Image], snapshots: Iterable[Snapshot], uses: Iterable[ImageUse], keeping: Keeping
) -> Pruning:
    """Return which images and snapshots of ours may go. `snapshots` must have been listed before `images`.

    What is in use stays; of each region, the newest usable ones stay and the newest proven one. An image that cannot be
    used does not count among the newest, so failed ones never push the last good one out.
    """
    images = sorted(images, key=_newness, reverse=True)
    used: dict[ImageId, str] = {}
    for use in uses:
        used.setdefault(use.image, f"used by {use.by}")
    fixed = {_place(image): used.get(image.id) or _not_for_us(image, keeping.owner) for image in images}
    ours = [image for image in images if fixed[_place(image)] is None]
    newest, proven = _newest(ours, keeping), _newest_proven(ours)
    kept: list[Judged[Image]] = []
    removed: list[Judged[Image]] = []
    for image in images:
        why = fixed[_place(image)]
        goes = None if why else _useless(image)
        if why is None and goes is None:
            if _place(image) in newest:
                why = f"one of the newest {max(keeping.newest, 1)} in {image.region}"
            elif _place(image) in proven:
                why = f"the newest in {image.region} that is proven to boot"
            elif (passing := _passing(image)) is not None:
                why = passing
            else:
                newer = len([place for place in newest if place[0] == image.region])
                goes = f"{newer} newer in {image.region} can be used"
        if goes is None:
            kept.append(Judged(what=image, why=str(why)))
        else:
            removed.append(Judged(what=image, why=goes))
    doomed = _snapshots_to_go(snapshots, [judged.what for judged in kept], removed, keeping)
    return Pruning(kept=tuple(kept), removed=tuple(removed), snapshots=tuple(doomed))


def _place(image: Image) -> tuple[str, ImageId]:
    return image.region, image.id


def _newest(images: Sequence[Image], keeping: Keeping) -> set[tuple[str, ImageId]]:
    """Return the newest usable images in each region."""
    found: set[tuple[str, ImageId]] = set()
    for region in {image.region for image in images}:
        wanted = WantedImage(owner=keeping.owner, region=region, now=keeping.now)
        usable = [i for i in images if unusable(replace(i, deprecated_at=None), wanted) is None]
        found |= {_place(image) for image in usable[: max(keeping.newest, 1)]}
    return found


def _newest_proven(images: Sequence[Image]) -> set[tuple[str, ImageId]]:
    """Return the newest image in each region from which a host has booted."""
    found: dict[str, Image] = {}
    for image in images:
        if image.proven_at is not None and _useless(image) is None:
            found.setdefault(image.region, image)
    return {_place(image) for image in found.values()}


def _not_for_us(image: Image, owner: Owner) -> str | None:
    """Return why an image is not lifeboat's to delete: somebody else's, or one that something else keeps and expires."""
    foreign = _foreign(image.owner_id, image.tags, owner)
    if foreign:
        return foreign[0]
    if Tag.DLM_POLICY in image.tags:
        return f"DLM keeps and expires it (policy {image.tags[Tag.DLM_POLICY]})"
    if Tag.AWS_BACKUP in image.tags:
        return "AWS Backup keeps and expires it"
    ours = (Tag.SOURCE_INSTANCE, Tag.SOURCE_SNAPSHOT, Tag.COPIED_FROM)
    if not any(tag in image.tags for tag in ours):
        return "lifeboat did not make it"
    return None


def _useless(image: Image) -> str | None:
    if image.never_available:
        return f"it never became available: {image.state}" + (f" ({image.state_reason})" if image.state_reason else "")
    return None


def _passing(image: Image) -> str | None:
    """Return what keeps an image from being used and may pass: a bake under way, a disabled image, a disabled key."""
    found = [f"it is {image.state}"] if image.state != "available" else []
    found += _unreadable([snapshot.key for snapshot in image.snapshots])
    return f"{'; '.join(found)}, which may change" if found else None


def _snapshots_to_go(
    snapshots: Iterable[Snapshot], kept: Sequence[Image], removed: Sequence[Judged[Image]], keeping: Keeping
) -> list[Judged[Snapshot]]:
    """Return the snapshots that were made for an image that goes, or for one that is gone; never what a kept one needs."""
    needed: set[SnapshotId] = {snapshot for image in kept for snapshot in image.snapshot_ids}
    standing = {(image.region, image.name) for image in kept}
    going = {(judged.what.region, judged.what.name): judged.what.id for judged in removed}
    found: list[Judged[Snapshot]] = []
    for snapshot in snapshots:
        made_for = (snapshot.region, snapshot.tags.get(Tag.IMAGE_NAME, ""))
        if not made_for[1] or snapshot.id in needed or made_for in standing:
            continue
        if _foreign(snapshot.owner_id, snapshot.tags, keeping.owner):
            continue
        if made_for in going:
            found.append(Judged(what=snapshot, why=f"made for {going[made_for]}"))
        elif keeping.now - snapshot.started_at > _SETTLING:
            found.append(Judged(what=snapshot, why=f"left behind: its image {made_for[1]} is gone"))
    return found
