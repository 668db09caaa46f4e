"""What AWS refuses of tags on EC2's things: names that are its own, values too long, tags of what does not exist."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from localcloud.operations import Answer, Call, Refused, around

# Restrictions: EC2 user guide, "Tag your Amazon EC2 resources".
LONGEST_KEY, LONGEST_VALUE = 128, 256
# What a TagSpecification may name: API reference of each operation.
TAGGABLE = {
    "CreateImage": ("image", "snapshot"),
    "CopyImage": ("image", "snapshot"),
    "RegisterImage": ("image", "snapshot"),
    "CreateSnapshot": ("snapshot",),
    "CopySnapshot": ("snapshot",),
}
_BY_THE_CLOUD = re.compile(r"Credential=localcloud/")


@around("ec2", "CreateTags", *TAGGABLE)
def check_tags(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse tags that AWS refuses; the cloud's own services (DLM, AWS Backup) may write names with aws: in front."""
    tags = list(call.params.get("Tags", []))
    for specification in call.params.get("TagSpecifications", []):
        kind = specification.get("ResourceType")
        if kind not in TAGGABLE[call.operation]:
            raise Refused(
                "InvalidParameterValue", f"'{kind}' is not a valid taggable resource type for this operation."
            )
        tags += specification.get("Tags", [])
    for tag in tags:
        _check(tag, reserved=not _BY_THE_CLOUD.search(call.headers.get("authorization", "")))
    if call.operation == "CreateTags":
        _check_existence(call, call.params.get("Resources", []))
    return proceed()


def _check(tag: dict[str, Any], *, reserved: bool) -> None:
    key, value = str(tag.get("Key", "")), str(tag.get("Value", ""))
    if reserved and key.lower().startswith("aws:"):
        raise Refused("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
    if not 1 <= len(key) <= LONGEST_KEY:
        raise Refused("InvalidParameterValue", f"Tag key exceeds the maximum length of {LONGEST_KEY} characters")
    if len(value) > LONGEST_VALUE:
        raise Refused("InvalidParameterValue", f"Tag value exceeds the maximum length of {LONGEST_VALUE} characters")


def _check_existence(call: Call, resources: list[str]) -> None:
    backend = call.cloud.moto("ec2", call.region)
    for name in resources:
        if name.startswith("ami-") and name not in backend.amis:
            raise Refused("InvalidAMIID.NotFound", f"The image id '[{name}]' does not exist")
        if name.startswith("snap-") and name not in backend.snapshots:
            raise Refused("InvalidSnapshot.NotFound", f"The snapshot '{name}' does not exist.")
