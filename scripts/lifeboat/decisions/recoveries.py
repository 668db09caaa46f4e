"""What a recovery decides before it acts: when the failure was, what the recovery file says, which instances are left over."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from lifeboat.errors import IntegrityFailure, WrongConfiguration
from lifeboat.model import ImageId, Instance, InstanceId

# An older good answer says when somebody looked last, not when the application failed.
RECENT = timedelta(minutes=15)
_AMI = "ami_id"


def failure(
    asked: datetime | None, *, now: datetime, answers: bool, last_good: datetime | None
) -> tuple[datetime, str]:
    """Return when the application failed, and why that is taken for it; the clock of the recovery starts there.

    Raises WrongConfiguration for a time in the future: nothing that is measured from it would be true.
    """
    if asked is not None:
        if asked > now:
            raise WrongConfiguration(
                f"--failed-at {asked:%Y-%m-%dT%H:%M:%SZ} is in the future (it is {now:%Y-%m-%dT%H:%M:%SZ})",
                hint="write when it failed, such as --failed-at 2026-03-01T03:12:00Z",
            )
        return asked, "the operator said so"
    if answers:
        return now, "the application still answers, so its time away begins with the recovery"
    if last_good is not None and now - RECENT <= last_good <= now:
        return last_good, f"it answered for the last time that lifeboat saw at {last_good:%H:%M:%S}Z"
    return now, "nobody said when it failed, and lifeboat did not see it well in the last 15 minutes"


def recovery_file(text: str | None, image: ImageId, configured: ImageId | None) -> str | None:
    """Return what the recovery file must hold so that every later apply keeps this image; None when no file is needed.

    What an earlier recovery chose beside the image stays. Raises IntegrityFailure when the file is not what we write.
    """
    document: dict[str, Any] = {}
    if text is not None:
        try:
            document = json.loads(text)
        except ValueError as error:
            raise IntegrityFailure(
                f"the recovery file is not JSON: {error}", hint="look at it; git log shows what it was"
            ) from None
        if not isinstance(document, Mapping):
            raise IntegrityFailure("the recovery file is no JSON object", hint="look at it; git log shows what it was")
    # Where the committed files name the image already, a second place that names it could only disagree later.
    wanted = {key: value for key, value in document.items() if key != _AMI}
    if image != configured:
        wanted[_AMI] = image
    return json.dumps(wanted, indent=2, sort_keys=True) + "\n" if wanted else None


def without_image(text: str | None) -> str | None:
    """Return what is left of a recovery file when the image is taken out; None when nothing is."""
    document = json.loads(text or "{}")
    left = {key: value for key, value in document.items() if key != _AMI}
    return json.dumps(left, indent=2, sort_keys=True) + "\n" if left else None


def image_in(text: str | None) -> ImageId | None:
    """Return the image that a recovery file names; None when it names none, or there is no file."""
    try:
        document = json.loads(text or "{}")
    except ValueError:
        return None
    found = document.get(_AMI) if isinstance(document, dict) else None
    return ImageId(found) if isinstance(found, str) else None


def left_over(
    alive: Iterable[Instance], *, recorded: Collection[InstanceId], image: ImageId, since: datetime
) -> list[Instance]:
    """Return the instances that an attempt at this recovery launched and that Terraform's state does not know.

    While a recovery holds the environment nobody else launches there; `since` is when its first attempt began.
    """
    return [
        instance
        for instance in alive
        if instance.id not in recorded and instance.image == image and instance.launched_at >= since
    ]
