"""What is there of drills in an applied stack, and what of it is not of drills and must stay as it is."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from typing import Any

from lifeboat import config
from lifeboat.clients.gitlab_api import Patience
from lifeboat.site import Site

from tests.database_recoveries import wait_until_it_answers
from tests.rehearsal import Rehearsal

BUCKET = "app-local-tfstate-123456789012-eu-west-1"


def left(stack: Rehearsal) -> list[str]:
    """Return everything that bears a drill's mark or name."""
    tagged = [{"Name": "tag-key", "Values": ["lifeboat:drill"]}]
    alive = {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped", "shutting-down"]}
    ec2, s3 = stack.client("ec2"), stack.client("s3")
    databases = [one["DBInstanceIdentifier"] for one in stack.client("rds").describe_db_instances()["DBInstances"]]
    reservations = ec2.describe_instances(Filters=[*tagged, alive])["Reservations"]
    secrets = [one["Name"] for one in stack.client("secretsmanager").list_secrets(MaxResults=100)["SecretList"]]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="runs/")
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    return [
        *(name for name in databases if "-drill-" in name),
        *(one["InstanceId"] for reservation in reservations for one in reservation["Instances"]),
        *(one["VolumeId"] for one in ec2.describe_volumes(Filters=tagged)["Volumes"]),
        *(name for name in secrets if "-drill-" in name),
        *(key for key in keys if key.endswith("drill.tfstate")),
    ]


def production(stack: Rehearsal) -> dict[str, Any]:
    """Return what a drill must leave as it is: databases, instances, secrets, names, the state, and every row."""
    rds, ec2, secrets = stack.client("rds"), stack.client("ec2"), stack.client("secretsmanager")
    databases = rds.describe_db_instances()["DBInstances"]
    for one in databases:
        one.pop("LatestRestorableTime", None)  # which moves on by itself
    reservations = ec2.describe_instances()["Reservations"]
    running = [i for r in reservations for i in r["Instances"] if i["State"]["Name"] != "terminated"]
    named = sorted(one["Name"] for one in secrets.list_secrets(MaxResults=100)["SecretList"])
    route53 = stack.client("route53")
    zones = [zone["Id"] for zone in route53.list_hosted_zones()["HostedZones"]]
    state = stack.client("s3").get_object(Bucket=BUCKET, Key="stack.tfstate")["Body"].read()
    wait_until_it_answers(stack)
    with urllib.request.urlopen(f"{stack.exported()['APP_URL']}", timeout=10) as answer:
        rows = json.load(answer)
    return {
        "databases": databases,
        "instances": [(i["InstanceId"], i["State"], i.get("SecurityGroups"), i.get("Tags")) for i in running],
        "secrets": {name: _digest(secrets.get_secret_value(SecretId=name)["SecretString"]) for name in named},
        "variables": site(stack).gitlab(Patience(tell=lambda _: None)).variables(),
        "records": [route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"] for zone in zones],
        "groups": ec2.describe_security_groups()["SecurityGroups"],
        "state": _digest(state.decode()),
        "rows": _digest(json.dumps(rows, sort_keys=True)),
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def site(stack: Rehearsal) -> Site:
    return Site(config.load(stack.root, "local"), stack.env())
