"""The machine images that a recovery of this environment could start from, looked at and chosen from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from lifeboat.decisions import images as decisions
from lifeboat.errors import NothingFits, Unreachable
from lifeboat.model import Choice, Image, ImageId, InstanceId, Judged, Machine, Recovery, WantedImage
from lifeboat.site import Site
from lifeboat.stack import outputs

_SHOWN_REASONS = 10


def wanted(site: Site, *, image: ImageId | None = None, max_age: timedelta | None = None) -> WantedImage:
    """Return what a recovery of this environment wants: an image of ours, in its region, for its kind of machine."""
    found = None
    store = site.stack_store()
    if store.bucket_exists() and store.body() is not None:
        found = machine(site, outputs.recovery(store))
    return WantedImage(
        owner=site.owner(),
        region=site.project.environment.application.region,
        now=datetime.now(UTC),
        image=image,
        architecture=None if found is None else found.architecture,
        max_age=max_age,
    )


def chosen(site: Site, want: WantedImage) -> Choice[Image]:
    """Look at our images, and at the one that is asked for wherever it is, and choose; changes nothing."""
    images = site.images()
    found = images.ours(want.region)
    if want.image is not None and want.image not in {image.id for image in found}:
        for region in regions(site):
            here = region == want.region
            try:
                named = images.image(want.image, region)
            except Unreachable:
                if here:
                    raise
                continue  # only where else it might be stays unknown
            if named is not None:
                found.append(named)
    return decisions.choose(found, want)


def require(site: Site, want: WantedImage, choice: Choice[Image]) -> Image:
    """Return the image that was chosen; raises NothingFits with the reason, against each image where none was named."""
    if choice.chosen is None:
        env = site.project.env
        bake = f"lifeboat ami bake -e {env}, or, without a living instance: lifeboat ami from-snapshot latest -e {env}"
        raise NothingFits(
            "\n".join([choice.why, *([] if want.image else _reasons(choice.rejected))]),
            hint=f"lifeboat ami list -e {env}" if want.image else bake,
        )
    return choice.chosen


def latest(site: Site, max_age: timedelta | None) -> tuple[Image, Choice[Image]]:
    """Return the newest image that a recovery can start from, and the whole choice; raises NothingFits without one."""
    want = wanted(site, max_age=max_age)
    choice = chosen(site, want)
    return require(site, want, choice), choice


def _reasons(rejected: Sequence[Judged[Image]]) -> list[str]:
    lines = [f"  {judged.what.id} ({judged.what.region}): {judged.why}" for judged in rejected[:_SHOWN_REASONS]]
    more = len(rejected) - len(lines)
    return [*lines, f"  and {more} older ones"] if more else lines


def regions(site: Site) -> tuple[str, str]:
    """Return the primary region and the DR region."""
    application = site.project.environment.application
    return application.region, application.dr_region


def machine(site: Site, recovery: Recovery) -> Machine | None:
    """Return the machine that the stack's instance is, or that its image is for; None when both are gone."""
    standing = site.hosts(recovery.region).standing(InstanceId(recovery.app.instance_id))
    if standing.machine is not None:
        return standing.machine
    image = site.images().image(ImageId(recovery.app.ami_id), recovery.region)
    return None if image is None else image.machine
