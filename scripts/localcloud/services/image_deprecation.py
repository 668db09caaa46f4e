"""When images become deprecated: kept with the image, so that DescribeImages tells it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from localcloud.operations import Call, Refused, operation


@operation("ec2", "EnableImageDeprecation")
def _enable(call: Call, *, ImageId: str, DeprecateAt: datetime, **_others: Any) -> dict[str, Any]:
    image = _own(call, ImageId)
    moment = DeprecateAt if DeprecateAt.tzinfo else DeprecateAt.replace(tzinfo=UTC)
    if moment <= call.cloud.now():
        raise Refused("InvalidParameterValue", f"DeprecateAt {moment:%Y-%m-%dT%H:%M:%SZ} must be in the future")
    # DescribeImages reads the attribute; AWS rounds to the minute.
    image.deprecation_time = f"{moment:%Y-%m-%dT%H:%M}:00.000Z"
    return {"Return": True}


@operation("ec2", "DisableImageDeprecation")
def _disable(call: Call, *, ImageId: str, **_others: Any) -> dict[str, Any]:
    _own(call, ImageId).deprecation_time = None
    return {"Return": True}


def _own(call: Call, image_id: str) -> Any:
    image = call.cloud.moto("ec2", call.region).amis.get(image_id)
    if image is None:
        raise Refused("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    if image.owner_id != call.account_id:
        raise Refused("AuthFailure", f"Not authorized for image:{image_id}")
    return image
