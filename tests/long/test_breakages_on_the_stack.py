"""The table of accidents on the applied stack: each is red with its reason, and on the whole stack nothing is, time and again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.database_recoveries import beat
from tests.gitlab_sites import ACCOUNT, REGION
from tests.rehearsal import Rehearsal, passed
from tests.status.breakages import BREAKAGES, Breakage, Where
from tests.status.scene import Names, Place

NAME = "app-local"
LOOKS = 20
# What makes a stack that was just applied whole: copies of each kind, proofs of them, and the metrics that alarms wait for.
WHOLE = (
    ("local", "tick", "daily"),
    ("local", "tick", "monthly"),
    ("verify", "latest", "--level", "3"),
    ("drill", "full", "--yes"),
    ("drill", "state", "--yes"),
    ("plan",),
    ("status", "--publish"),
    ("local", "tick", "daily"),
)


def place_of(rehearsal: Rehearsal) -> Place:
    """Return how the things of the stack are called, as Terraform's state says."""
    body = (
        rehearsal.client("s3")
        .get_object(Bucket=f"{NAME}-tfstate-{ACCOUNT}-{REGION}", Key="stack.tfstate")["Body"]
        .read()
    )
    state = json.loads(body)
    recovery = state["outputs"]["recovery"]["value"]

    def attribute(kind: str, name: str, of: str, key: str | None = None) -> str:
        for resource in state["resources"]:
            if (resource["type"], resource["name"]) == (kind, name):
                for one in resource["instances"]:
                    if key is None or one.get("index_key") == key:
                        return str(one["attributes"][of])
        raise AssertionError(f"the state has no {kind}.{name} {key or ''}")

    names = Names(
        application=recovery["application"],
        instance=recovery["app"]["instance_id"],
        database=recovery["database"]["identifier"],
        dumps=recovery["dumps"]["bucket"],
        copies=recovery["dumps"]["replica_bucket"],
        state=f"{NAME}-tfstate-{ACCOUNT}-{REGION}",
        table=f"{NAME}-tflock",
        key=attribute("aws_kms_key", "dumps", "arn"),
        vault=recovery["vaults"]["primary"],
        plan=recovery["backup_plan_ids"][0],
        policy=attribute("aws_dlm_lifecycle_policy", "this", "id", "snapshots"),
        schedule=attribute("aws_scheduler_schedule", "this", "name"),
        events=attribute("aws_db_event_subscription", "databases", "name"),
        rule=f"{NAME}-vault-tampering",
        topic=recovery["topic_arn"],
        alarm=f"{NAME}-dumps-stale",
    )
    return Place(
        names=names,
        client=rehearsal.client,
        faults=rehearsal.control,
        status=lambda: json.loads(passed(rehearsal.ask("status", "-o", "json")).stdout),
        more={"state": body},
    )


@pytest.fixture(scope="module")
def whole(saved: Rehearsal) -> Rehearsal:
    """The applied stack with a copy and a proof of each kind, saved as `whole`."""
    beat(saved)  # the host's first is a minute away from the start, and a drill without a canary is not met
    for command in WHOLE:
        passed(saved.lifeboat(*command))
    passed(saved.lifeboat("local", "save", "whole"))
    return saved


@pytest.fixture
def place(whole: Rehearsal) -> Iterator[Place]:
    """The whole stack, for an accident; afterwards the save is loaded again."""
    yield place_of(whole)
    whole.control("faults", clear=True)
    whole.load("whole")


def by_break_glass(place: Place) -> Place:
    """Return the same for whom nothing of the stack is guarded from."""

    def client(service: str, region: str = REGION) -> Any:
        role = f"arn:aws:iam::{ACCOUNT}:role/{NAME}-break-glass"
        keys = place.client("sts").assume_role(RoleArn=role, RoleSessionName="accident")["Credentials"]
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=place.client(service).meta.endpoint_url,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
            config=Config(s3={"addressing_style": "path"}),
        )

    return replace(place, client=client)


def amiss(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (f"{one['check']} {one['subject']}".rstrip(), one["colour"], one["is"])
        for one in document["verdicts"]
        if one["colour"] != "green"
    ]


def test_nothing_is_red_on_the_whole_stack_however_often_one_looks(whole: Rehearsal) -> None:
    place = place_of(whole)

    found = [(amiss(document), document["gate"]) for document in (place.status() for _ in range(LOOKS))]

    assert found == [([], 0)] * LOOKS


@pytest.mark.parametrize(
    "breakage", [one for one in BREAKAGES if one.where is not Where.WITHOUT_LOCK], ids=lambda one: one.what
)
def test_an_accident_is_told_by_its_check_with_its_reason(place: Place, breakage: Breakage) -> None:
    if breakage.guarded:
        with pytest.raises(ClientError, match="with an explicit deny in a resource-based policy"):
            breakage.happen(place)
        breakage.happen(by_break_glass(place))
    else:
        breakage.happen(place)

    document = place.status()

    found = [one for one in document["verdicts"] if one["check"] == breakage.check and one["colour"] == breakage.colour]
    assert any(breakage.words in one["is"] for one in found), amiss(document)
    assert document["gate"] != 0
