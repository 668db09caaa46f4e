"""What looking for what drills left calls is what its check says that it needs: the role that publishes is given that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lifeboat.decisions.status.running import LOOKS_FOR_LEAKS
from lifeboat.drill_model import Thing, ThingKind
from lifeboat.model import EventKind, RunId
from lifeboat.stack import status_evidence

from tests import permissions
from tests.conftest import RunningCloud
from tests.gitlab_sites import REGION
from tests.plain_sites import PlainSite, plain_site

RUN = RunId("20260301T000000Z-drill-full-aaaaaa")


@pytest.fixture
def plain(cloud: RunningCloud, tmp_path: Path) -> PlainSite:
    return plain_site(cloud, tmp_path)


def left(plain: PlainSite) -> list[Thing]:
    """Leave of every kind what a killed drill named in its ledger, and a queue, a secret and a copy of the state of it."""
    name = f"{plain.application}-drill-aaaaaa"
    tags = {"lifeboat:drill": RUN, "lifeboat:drill-of": plain.application, "lifeboat:run": RUN}
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    copy = f"runs/{RUN}/drill.tfstate"
    plain.cloud.client("sqs").create_queue(QueueName=name, tags=tags)
    plain.cloud.client("secretsmanager").create_secret(Name=name, SecretString="{}", Tags=pairs)
    marks = "&".join(f"{key}={value}" for key, value in tags.items())
    plain.cloud.client("s3").put_object(Bucket=plain.bucket, Key=copy, Body=b"{}", Tagging=marks)
    ids = {ThingKind.STATE_COPY: f"s3://{plain.bucket}/{copy}", ThingKind.VOLUME: "vol-0123456789abcdef0"}
    things = [Thing(kind=kind.value, id=ids.get(kind, name), region=REGION) for kind in ThingKind]
    journal = plain.site().journal(RUN)
    journal.write(EventKind.BEGUN, text="drill of full")
    for thing in things:
        made = {"type": thing.kind, "id": thing.id, "region": thing.region}
        journal.write(EventKind.NOTE, step="make", text=f"makes {thing.words}", made=made)
    return [one for one in things if one.kind in (ThingKind.QUEUE, ThingKind.SECRET, ThingKind.STATE_COPY)]


def test_the_check_names_every_call_that_looking_for_leaks_takes(plain: PlainSite) -> None:
    there = left(plain)
    trace = plain.cloud.directory / "logs" / "trace.jsonl"
    before = len(trace.read_text().splitlines())

    found = status_evidence.left_behind(plain.site())

    called = permissions.actions([json.loads(line) for line in trace.read_text().splitlines()[before:]])
    assert sorted((one.kind, one.id) for one in found) == sorted((one.kind, one.id) for one in there)
    assert {call.split()[0] for call in called} == set(LOOKS_FOR_LEAKS)
