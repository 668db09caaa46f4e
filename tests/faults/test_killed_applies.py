"""An apply that is killed at any moment is repaired by the next one, and nothing exists twice.

LIFEBOAT_KILLS says how many kill points to try (one unless told), LIFEBOAT_KILL_SEED from which
seed they are drawn.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import open_folder
from tests.rehearsal import Rehearsal, checkout, passed

KILLS = int(os.environ.get("LIFEBOAT_KILLS", "1"))
SEED = os.environ.get("LIFEBOAT_KILL_SEED", "lifeboat")
# A first apply takes 125 s on a quiet machine, of which the first 10 change nothing yet and the last 10 may not either.
EARLIEST_SECONDS, LATEST_SECONDS = 10, 115
# All of it; Terraform alone, as a machine short of memory does; lifeboat alone, whose Terraform works on.
VICTIMS = ("everything", "terraform", "lifeboat")
_RANDOM = random.Random(SEED)  # noqa: S311  (kill points, not keys)
POINTS = [
    (round(_RANDOM.uniform(EARLIEST_SECONDS, LATEST_SECONDS), 1), VICTIMS[number % len(VICTIMS)])
    for number in range(KILLS)
]


@pytest.mark.parametrize(("seconds", "victim"), POINTS, ids=[f"{s}s-{v}" for s, v in POINTS])
def test_a_killed_apply_is_repaired_by_the_next_one(seconds: float, victim: str) -> None:
    with open_folder() as folder:
        rehearsal = checkout(folder / "checkout")
        try:
            killed = _kill_after(rehearsal, seconds, victim)

            repaired = rehearsal.run("make", "apply")

            print(f"killed {victim} after {seconds} s: {killed}\n{repaired.stderr}")
            passed(repaired)
            passed(rehearsal.lifeboat("plan", "--detailed-exitcode"))
            assert _existing(rehearsal) == _recorded(rehearsal)
        finally:
            rehearsal.lifeboat("local", "down")


def _kill_after(rehearsal: Rehearsal, seconds: float, victim: str) -> str:
    """Kill an apply and return what it had done by then."""
    apply = rehearsal.start("make", "apply")
    with suppress(Exception):
        apply.wait(seconds)
    head = psutil.Process(apply.pid)
    victims = [p for p in [head, *head.children(recursive=True)] if _is_victim(p, victim)]
    for process in victims:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    apply.wait()
    time.sleep(0.5)
    events = list((rehearsal.root / ".lifeboat" / "local" / "runs").glob("*/*-apply.jsonl"))
    done = {path.name: path.read_text().count('"apply_complete"') for path in events}
    return f"{done or 'nothing begun'}"


def _is_victim(process: psutil.Process, victim: str) -> bool:
    """Spare the local cloud (AWS survives our crashes), and Terraform where only lifeboat is to be killed."""
    with suppress(psutil.NoSuchProcess):
        words = [" ".join(p.cmdline()) for p in [process, *process.parents()]]
        if any("-m localcloud" in line for line in words):
            return False
        terraforms = any(line.startswith("terraform ") for line in words)
        return victim == "everything" or terraforms == (victim == "terraform")
    return False


def _recorded(rehearsal: Rehearsal) -> Counter[str]:
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


def _existing(rehearsal: Rehearsal) -> Counter[str]:
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
}
