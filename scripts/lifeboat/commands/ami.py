"""`lifeboat ami …`: machine images baked, listed, chosen, copied to the other region, made of snapshots, and pruned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from uuid import uuid4

from lifeboat import config
from lifeboat.clients import programs, state_store
from lifeboat.clients.images import Images
from lifeboat.clients.waiting import Patience
from lifeboat.decisions import deployments
from lifeboat.decisions import images as decisions
from lifeboat.decisions.deployments import Expected
from lifeboat.decisions.images import Keeping
from lifeboat.errors import (
    CleanUpIncomplete,
    IntegrityFailure,
    LifeboatError,
    Locked,
    NothingFits,
    StoppedPartWay,
    Unreachable,
    WrongConfiguration,
)
from lifeboat.model import (
    Agree,
    BakeSource,
    ContainerImage,
    Health,
    HostStanding,
    Image,
    ImageId,
    ImageRow,
    InstanceId,
    Machine,
    Pruning,
    Recovery,
    Snapshot,
    SnapshotId,
    WantedImage,
    WantedSnapshot,
)
from lifeboat.runner import Fence
from lifeboat.site import Site
from lifeboat.stack import application, holding, machine_images, outputs, recovered
from lifeboat.views import Teller

LOOK_SECONDS = 60.0
BACK_SECONDS = 300.0  # for the application to answer again after the reboot of a bake


class Guest(StrEnum):
    """What becomes of the instance while an image of it is taken."""

    REBOOTED = "rebooted"
    RUNNING = "running"


# -- listing -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Listed:
    """Our images, and why a region could not be asked for its own."""

    rows: list[ImageRow]
    unknown: list[str]
    now: datetime


def listed(site: Site) -> Listed:
    """Return our images of both regions; a region that does not answer is named, and the other one is shown."""
    images, unknown = site.images(), []
    found: list[Image] = []
    for region in machine_images.regions(site):
        try:
            found += images.ours(region)
        except Unreachable as error:
            unknown.append(error.summary)
    if len(unknown) == len(machine_images.regions(site)):
        raise Unreachable("\n".join(unknown))
    # Where the stack cannot be asked what its machine is, an image of another architecture is not told from the others.
    want = WantedImage(owner=site.owner(), region=machine_images.regions(site)[0], now=datetime.now(UTC))
    with suppress(Unreachable, IntegrityFailure):
        want = machine_images.wanted(site)
    return Listed(rows=decisions.rows(found, want), unknown=unknown, now=want.now)


# -- baking ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Baked:
    """The image, and what the application answered after a reboot for it (None: there was none)."""

    image: Image
    health: Health | None


def bake(site: Site, tell: Teller, agree: Agree, guest: Guest, within: timedelta) -> Baked:
    """Make an image of the running instance and wait until it is available; one already under way is waited for."""
    recovery = outputs.recovery(site.stack_store())
    instance, images = InstanceId(recovery.app.instance_id), site.images()
    standing = site.hosts(recovery.region).standing(instance)
    if standing.state not in ("running", "stopped"):
        raise Unreachable(
            f"{deployments.unreachable(standing)}, so no image can be taken of it",
            hint=f"lifeboat ami from-snapshot latest -e {site.project.env}",
        )
    going = decisions.under_way(images.ours(recovery.region), instance)
    rebooted = guest is Guest.REBOOTED and standing.state == "running" and going is None
    if going is not None:
        tell.say(f"{going.id} is being made of {instance} since {going.made_at:%H:%M:%S}Z; waiting for it")
        made = going.id
    else:
        if rebooted:
            agree(
                [
                    f"reboot {instance} for a consistent image; the application is away meanwhile (--no-reboot leaves it running)"
                ]
            )
        order = decisions.baking(_bake_source(site, recovery, standing))
        make = images.bake if guest is Guest.REBOOTED else images.bake_running
        made = make(order, instance)
        tell.say(f"baking {made} ({order.name}) of {instance}")
    image = _available(images, tell, (made, recovery.region), within)
    health = None
    if rebooted:
        tell.say(f"{image.id} is available; waiting for the application to answer again after the reboot")
        expected = Expected(instance=instance)
        health = application.wait_healthy(site, tell, expected, timedelta(seconds=BACK_SECONDS))
    return Baked(image=image, health=health)


def _bake_source(site: Site, recovery: Recovery, standing: HostStanding) -> BakeSource:
    body = site.stack_store().body()
    return BakeSource(
        owner=site.owner(),
        region=recovery.region,
        instance=standing.instance,
        now=datetime.now(UTC),
        image_tag=_image_tag(site, recovery, standing),
        git_sha=programs.git_sha(site.project.root),
        state_serial=None if body is None else state_store.serial_and_lineage(body)[0],
    )


def _image_tag(site: Site, recovery: Recovery, standing: HostStanding) -> ContainerImage | None:
    """Return the container image that runs on the host; the one that the tfvars name where the host cannot be asked."""
    if deployments.unreachable(standing) is None:
        patience = Patience(seconds=LOOK_SECONDS, tell=lambda _: None)
        with suppress(LifeboatError):  # an image with the wish of the tfvars in this tag is better than none
            printed = site.hosts(recovery.region).run(standing.instance, deployments.looking(str(uuid4())), patience)
            return deployments.deployed(printed).running
    return config.app_image_named(site.project)


def _available(images: Images, tell: Teller, place: tuple[ImageId, str], within: timedelta) -> Image:
    with tell.waiting() as show:
        return images.available(*place, Patience(seconds=within.total_seconds(), tell=show))


# -- copying -----------------------------------------------------------------------------------------------------------


def copy(site: Site, tell: Teller, which: ImageId | None, within: timedelta) -> Image:
    """Copy an image (None: the newest) to the other region, encrypted with the key there; made once, however often asked.

    An image of the DR region is copied to the primary one: that is the way back after a failover.
    """
    images, (primary, dr) = site.images(), machine_images.regions(site)
    home = primary
    if which is not None and images.image(which, primary) is None and images.image(which, dr) is not None:
        home = dr
    want = WantedImage(owner=site.owner(), region=home, now=datetime.now(UTC), image=which)
    original = machine_images.require(site, want, machine_images.chosen(site, want))
    target = dr if home == primary else primary
    there = decisions.copy_in(images.ours(target), original, target)
    if there is not None:
        tell.say(f"{there.id} in {target} is a copy of {original.id} already")
        made = there.id
    else:
        order = decisions.copying(original, site.owner(), target)
        made = images.copy(original, order, key=_copies_key(site, target), token=str(uuid4()))
        tell.say(f"copying {original.id} ({original.name}) to {target} as {made}")
    return _available(images, tell, (made, target), within)


def _copies_key(site: Site, region: str) -> str | None:
    """Return the key of copies in a region: the stack's in the DR region, EBS's own (None) in the primary one."""
    application = site.project.environment.application
    if region != application.dr_region:
        return None
    store = site.stack_store()
    known = outputs.recovery(store).image_copies_key_arn if store.bucket_exists() and store.body() else None
    # By its name (modules/ebs-lifecycle) where the state is lost, or older than the output.
    return known or f"alias/{application.name}-ebs-copies"


# -- from a snapshot ---------------------------------------------------------------------------------------------------


def from_snapshot(site: Site, tell: Teller, want: WantedSnapshot, told: Machine | None) -> Image:
    """Make an image of a snapshot of the root volume, for its machine; a second call returns the same image."""
    images = site.images()
    found = images.snapshots(want.region)
    if want.snapshot is not None and want.snapshot not in {snapshot.id for snapshot in found}:
        found += machine_images.anywhere(site, want.region, partial(images.snapshot, want.snapshot))
    choice = decisions.choose_snapshot(found, want)
    if choice.chosen is None:
        reasons = [] if want.snapshot else machine_images.reasons(choice.rejected)
        raise NothingFits("\n".join([choice.why, *reasons]), hint="lifeboat ami from-snapshot --help")
    snapshot = choice.chosen
    machine = told or _machine_of(site, images, snapshot)
    order = decisions.registering(snapshot, site.owner())
    made = images.register(snapshot, order, machine)
    tell.say(
        f"{made} ({order.name}) is made of {snapshot.id}, taken {snapshot.started_at:%Y-%m-%d %H:%M}Z: {choice.why}"
    )
    return _available(images, tell, (made, snapshot.region), timedelta(minutes=10))


def _machine_of(site: Site, images: Images, snapshot: Snapshot) -> Machine:
    """Return the machine of a snapshot: of its volume's instance, else of the newest image of ours, else the stack's."""
    machine = (
        images.machine_of(snapshot) or _machine_of_others(images, machine_images.regions(site)) or _stacks_machine(site)
    )
    if machine is None:
        raise WrongConfiguration(
            f"nothing that still exists says what machine {snapshot.id} is of",
            hint=f"lifeboat ami from-snapshot {snapshot.id} --machine x86_64:/dev/xvda",
        )
    return machine


def _machine_of_others(images: Images, regions: Sequence[str]) -> Machine | None:
    found: list[Image] = []
    for region in regions:
        with suppress(Unreachable):
            found += images.ours(region)
    newest = max(found, key=lambda image: image.made_at, default=None)
    return None if newest is None else newest.machine


def _stacks_machine(site: Site) -> Machine | None:
    with suppress(Unreachable, IntegrityFailure):
        return machine_images.machine(site, outputs.recovery(site.stack_store()))
    return None


# -- pruning -----------------------------------------------------------------------------------------------------------


def prune(site: Site, tell: Teller, show: Callable[[Pruning], None], agree: Agree, keep: int) -> Pruning:
    """Deregister the images of ours that nothing needs and delete their own snapshots, once somebody agrees to the list."""
    images = site.images()
    # Held against a recovery or an apply, here or elsewhere, which may choose an image while this decides that nobody
    # needs it.
    with holding.alone(site, tell.say, "ami prune") as held:
        snapshots = [s for region in machine_images.regions(site) for s in images.snapshots(region)]
        found = [i for region in machine_images.regions(site) for i in images.ours(region)]
        uses = [
            *config.images_named(site.project.root),
            *recovered.images_chosen(site),
            *(u for r in machine_images.regions(site) for u in images.uses(r)),
        ]
        keeping = Keeping(newest=keep, now=datetime.now(UTC), owner=site.owner())
        pruning = decisions.prunable(found, snapshots, uses, keeping)
        show(pruning)
        if not pruning.removed and not pruning.snapshots:
            return pruning
        agree(
            [
                *(f"deregister {j.what.id} in {j.what.region} ({j.what.name})" for j in pruning.removed),
                *(f"delete {j.what.id} in {j.what.region}" for j in pruning.snapshots),
            ]
        )
        _remove(images, pruning, held)
    return pruning


def _remove(images: Images, pruning: Pruning, fence: Fence) -> None:
    """Deregister first: EC2 refuses to delete a snapshot that an image needs. What does not go is told at the end."""
    orders: list[Callable[[], None]] = [lambda i=j.what: images.deregister(i) for j in pruning.removed]  # type: ignore[misc]
    orders += [lambda s=j.what: images.delete_snapshot(s) for j in pruning.snapshots]  # type: ignore[misc]
    problems: list[Unreachable] = []
    for number, order in enumerate(orders):
        try:
            fence.require()
        except Locked as lost:
            raise StoppedPartWay(
                f"{number} of {len(orders)} removals were ordered, and the others not: {lost.summary}",
                hint="the same command shows what is left",
            ) from None
        try:
            order()
        except Unreachable as error:
            problems.append(error)
    if len(problems) == len(orders):
        raise problems[0]
    if problems:
        raise CleanUpIncomplete("\n".join(problem.summary for problem in problems), hint=problems[0].hint)


def snapshot_wanted(site: Site, snapshot: SnapshotId | None, region: str | None) -> WantedSnapshot:
    """Return which snapshot is wanted; the region is the primary one unless the other is named."""
    regions = machine_images.regions(site)
    if region is not None and region not in regions:
        raise WrongConfiguration(
            f"{region} is neither of the regions of {site.project.env}", hint=f"--region {' or '.join(regions)}"
        )
    return WantedSnapshot(owner=site.owner(), region=region or regions[0], snapshot=snapshot)
