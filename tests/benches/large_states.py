"""Resources as a state of many has them, with passwords among their attributes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.state_sites import resource


def resources(count: int, serial: int) -> Sequence[dict[str, Any]]:
    """Return resources as a state has them, a tenth of which each serial changes."""
    return [_resource(number, serial if number % 10 == 0 else 0) for number in range(count)]


def _resource(number: int, serial: int) -> dict[str, Any]:
    secret = f"password-{number}-{serial}"
    attributes = {
        "id": f"i-{number:017x}",
        "arn": f"arn:aws:ec2:eu-west-1:123456789012:instance/i-{number:017x}",
        "ami": f"ami-{serial:017x}",
        "availability_zone": "eu-west-1a",
        "password": secret,
        "tags": {"application": "app", "environment": "x", "managed-by": "lifeboat", "serial": str(serial)},
        "ebs_block_device": [{"device_name": f"/dev/sd{one}", "volume_size": 20, "encrypted": True} for one in "fgh"],
        "metadata_options": [{"http_tokens": "required", "http_endpoint": "enabled"}],
        **{f"setting_{one}": f"value {one} of {number}" for one in range(10)},
        **{f"empty_{one}": None for one in range(10)},
    }
    instance = {
        "index_key": f"k{number}",
        "schema_version": 1,
        "attributes": attributes,
        "sensitive_attributes": [[{"type": "get_attr", "value": "password"}]],
        "private": "eyJzY2hlbWFfdmVyc2lvbiI6IjEifQ==",
        "dependencies": ["module.network.aws_subnet.this", "module.network.aws_vpc.this"],
    }
    return resource("aws_instance", f"r{number}", instance, module=f"module.m{number % 20}")
