"""How many of each kind of resource exist, and how many the two states know: after a repair they agree."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from tests.rehearsal import Rehearsal


def recorded(rehearsal: Rehearsal) -> Counter[str]:
    """Return how many of each kind the two states know."""
    state = (
        rehearsal.client("s3")
        .get_object(Bucket=rehearsal.exported()["STATE_BUCKET"], Key=rehearsal.exported()["STATE_KEY"])["Body"]
        .read()
    )
    documents = [
        json.loads(state),
        json.loads(Path(rehearsal.root / ".lifeboat/local/state-root.tfstate").read_bytes()),
    ]
    counts: Counter[str] = Counter()
    for document in documents:
        for resource in document["resources"]:
            if resource["mode"] == "managed" and resource["type"] in KINDS:
                counts[resource["type"]] += len(resource["instances"])
    return counts


def existing(rehearsal: Rehearsal) -> Counter[str]:
    """Return how many of each kind exist in both regions."""
    counts: Counter[str] = Counter()
    for kind, (service, operation, key, both, wanted) in KINDS.items():
        for region in ("eu-west-1", "eu-central-1") if both else ("eu-west-1",):
            client = rehearsal.client(service, region)
            arguments = {"Filters": [{"Name": "isDefault", "Values": ["false"]}]} if kind == "aws_vpc" else {}
            if kind == "aws_subnet":
                arguments = {"Filters": [{"Name": "default-for-az", "Values": ["false"]}]}
            if kind == "aws_instance":
                arguments = {"Filters": [{"Name": "instance-state-name", "Values": ["pending", "running", "stopped"]}]}
            found = _everything(client, operation, key, arguments)
            counts[kind] += sum(1 for entry in found if wanted(client, entry))
    return +counts


def _everything(client: Any, operation: str, key: str, arguments: dict[str, Any]) -> list[Any]:
    if client.can_paginate(operation):
        pages = client.get_paginator(operation).paginate(**arguments)
        found = [entry for page in pages for entry in page.get(key, [])]
    else:
        found = getattr(client, operation)(**arguments)[key]
    return [instance for entry in found for instance in entry["Instances"]] if key == "Reservations" else found


def _any(_client: Any, _entry: Any) -> bool:
    return True


def _own_key(client: Any, entry: Any) -> bool:
    """Count only keys that Terraform tagged: moto keeps the default keys of services in the same list."""
    enabled = client.describe_key(KeyId=entry["KeyId"])["KeyMetadata"]["KeyState"] == "Enabled"
    tags = {tag["TagKey"]: tag["TagValue"] for tag in client.list_resource_tags(KeyId=entry["KeyId"])["Tags"]}
    return enabled and tags.get("managed-by") == "lifeboat"


def _stays(_client: Any, entry: Any) -> bool:
    """Count only groups that Terraform made: a service makes one of its own and says of none how long it is kept."""
    return "retentionInDays" in entry


# service, operation, key of the answer, whether both regions are looked at, which entries count
KINDS: dict[str, tuple[str, str, str, bool, Any]] = {
    "aws_instance": ("ec2", "describe_instances", "Reservations", True, _any),
    "aws_db_instance": ("rds", "describe_db_instances", "DBInstances", True, _any),
    "aws_s3_bucket": ("s3", "list_buckets", "Buckets", False, _any),
    "aws_dynamodb_table": ("dynamodb", "list_tables", "TableNames", True, _any),
    "aws_kms_key": ("kms", "list_keys", "Keys", True, _own_key),
    "aws_vpc": ("ec2", "describe_vpcs", "Vpcs", True, _any),
    "aws_subnet": ("ec2", "describe_subnets", "Subnets", True, _any),
    "aws_internet_gateway": ("ec2", "describe_internet_gateways", "InternetGateways", False, _any),
    "aws_eip": ("ec2", "describe_addresses", "Addresses", True, _any),
    "aws_route53_zone": ("route53", "list_hosted_zones", "HostedZones", False, _any),
    "aws_dlm_lifecycle_policy": ("dlm", "get_lifecycle_policies", "Policies", True, _any),
    "aws_backup_vault": ("backup", "list_backup_vaults", "BackupVaultList", True, _any),
    "aws_backup_plan": ("backup", "list_backup_plans", "BackupPlansList", True, _any),
    "aws_secretsmanager_secret": (
        "secretsmanager",
        "list_secrets",
        "SecretList",
        False,
        lambda _client, entry: "OwningService" not in entry,
    ),
    "aws_cloudwatch_event_rule": ("events", "list_rules", "Rules", True, _any),
    "aws_sns_topic": ("sns", "list_topics", "Topics", True, _any),
    "aws_ecs_cluster": ("ecs", "list_clusters", "clusterArns", True, _any),
    "aws_cloudwatch_log_group": ("logs", "describe_log_groups", "logGroups", True, _stays),
    "aws_scheduler_schedule": ("scheduler", "list_schedules", "Schedules", True, _any),
    "aws_sqs_queue": ("sqs", "list_queues", "QueueUrls", True, _any),
}
