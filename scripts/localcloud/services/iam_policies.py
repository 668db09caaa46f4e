"""AWS's own managed policies, kept once: moto parses and keeps its list of some 1,400 again for each of six partitions."""

from __future__ import annotations

import json
from copy import copy
from functools import cache
from typing import Any

from moto.iam import models

from localcloud.cloud import Cloud

_PARTITION = "aws"


@cache
def _published(account: str, region: str) -> list[Any]:
    policy = models.AWSManagedPolicy.from_data
    published = json.loads(models.aws_managed_policies_data)
    return [policy(name, account, region, data) for name, data in published.items()]


def _own_policies(backend: Any) -> list[Any]:
    # The state is written after every change: what no request can reach there must not be part of it.
    if backend.partition != _PARTITION:
        return []
    # Copies, since each counts what it is attached to.
    return [copy(policy) for policy in _published(backend.account_id, backend.region_name)]


def install(cloud: Cloud) -> None:
    """Give only the partition that this cloud has the policies, out of a list that is made once."""
    del cloud
    models.IAMBackend._init_aws_policies = _own_policies
