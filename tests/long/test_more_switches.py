"""A switch to another instance and back, one that was killed, a name changed since, and one that leads somewhere else."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import time

import pytest

from tests.commands.test_dns import NAME, RECORD, lookup, saved_in_bucket, shown
from tests.localcloud.machines import asked, until
from tests.rehearsal import Rehearsal, passed


@pytest.fixture(autouse=True)
def nothing_saved_here(saved: Rehearsal) -> None:
    """Forget what an earlier test left on this machine; loading a save forgets what it left in the cloud."""
    shutil.rmtree(saved.root / ".lifeboat/local/dns", ignore_errors=True)


@pytest.fixture
def other(stack: Rehearsal) -> dict[str, str]:
    """Return a second instance that runs the application: its id and address."""
    ec2 = stack.client("ec2")
    first = ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])
    model = first["Reservations"][0]["Instances"][0]
    data = ec2.describe_instance_attribute(InstanceId=model["InstanceId"], Attribute="userData")["UserData"]["Value"]
    made = ec2.run_instances(
        ImageId=model["ImageId"],
        InstanceType=model["InstanceType"],
        MinCount=1,
        MaxCount=1,
        SubnetId=model["SubnetId"],
        SecurityGroupIds=[group["GroupId"] for group in model["SecurityGroups"]],
        IamInstanceProfile={"Arn": model["IamInstanceProfile"]["Arn"]},
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
        UserData=base64.b64decode(data).decode(),
    )["Instances"][0]
    until(lambda: asked(f"http://{made['PrivateIpAddress']}:8080/healthz")[0] == 200, 90)
    return {"id": made["InstanceId"], "address": made["PrivateIpAddress"]}


def zone_of(stack: Rehearsal) -> str:
    zones = stack.client("route53").list_hosted_zones()["HostedZones"]
    return next(str(zone["Id"]) for zone in zones if zone["Name"] == "lifeboat.test.")


def write(stack: Rehearsal, *values: str, ttl: int = 60) -> None:
    """Change the record behind lifeboat's back."""
    record = {"Name": NAME, "Type": "A", "TTL": ttl, "ResourceRecords": [{"Value": value} for value in values]}
    batch = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]}
    stack.client("route53").change_resource_record_sets(HostedZoneId=zone_of(stack), ChangeBatch=batch)


def fault(stack: Rehearsal, operation: str) -> list[str]:
    """Return what makes curl delay an operation by five seconds."""
    rule = {"service": "route53", "operation": operation, "delay_seconds": 5, "status": 0}
    return ["-d", json.dumps({"add": rule}), f"http://127.0.0.1:{stack.port}/_localcloud/faults"]


def test_what_somebody_changed_since_is_not_reverted(stack: Rehearsal) -> None:
    switch = ("dns", "switch", "--to", "127.9.9.9", "--until-apply", "--unanswered", "--yes")
    passed(stack.lifeboat(*switch), 11)
    write(stack, "127.8.8.8")

    done = passed(stack.lifeboat("dns", "revert", "--yes"), 3)

    assert "is A 127.8.8.8 (TTL 60 s), but the switch of" in done.stderr
    assert "somebody changed it since" in done.stderr
    assert shown(stack)["records"][0]["values"] == ["127.8.8.8"]


@pytest.mark.parametrize("operation", ["ChangeResourceRecordSets", "GetChange"])
def test_a_switch_that_was_killed_goes_on(stack: Rehearsal, operation: str) -> None:
    passed(stack.run("curl", "-sf", "-H", "X-Localcloud: 1", *fault(stack, operation)))
    switch = ("dns", "switch", "--to", "127.9.9.9", "--until-apply", "--unanswered", "--yes")
    first = stack.start("lifeboat", *switch)
    until(lambda: len(saved_in_bucket(stack)) == 1)
    time.sleep(1.5)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    before = json.loads((stack.root / ".lifeboat/local/dns/switches.jsonl").read_text())["before"]["values"]

    again = stack.lifeboat(*switch)
    there = shown(stack)["records"][0]["values"]
    back = stack.lifeboat("dns", "revert", "--yes", "--unanswered")

    passed(again, 11)  # it leads to where nobody answers, as it was asked to
    assert there == ["127.9.9.9"]
    passed(back)
    assert lookup(stack) == before


def test_a_name_that_leads_somewhere_else_is_found_by_apply(stack: Rehearsal) -> None:
    route53 = stack.client("route53")
    route53.create_hosted_zone(Name=NAME, CallerReference="a zone that hides the record")

    done = passed(stack.lifeboat("apply"), 11)

    assert "everything is applied, but the application does not answer through its public name" in done.stderr
    assert f"{NAME} has no address" in done.stderr
    assert "lifeboat dns show -e local" in done.stderr
    assert "no changes" in done.stdout
    assert [f"{NAME} has no address" in finding for finding in shown(stack)["findings"]].count(True) >= 1


def test_a_switch_to_another_instance_is_proven_by_it_and_reverted_from_anywhere(
    stack: Rehearsal, other: dict[str, str]
) -> None:
    before = lookup(stack)

    done = passed(stack.lifeboat("dns", "switch", "--to", other["address"], "--until-apply", "--yes", "-o", "json"))
    moved = json.loads(done.stdout)
    after = lookup(stack)
    told = shown(stack)
    planned = stack.lifeboat("plan", "--detailed-exitcode")
    local = (stack.root / ".lifeboat/local/dns/switches.jsonl").read_text().splitlines()
    in_bucket = saved_in_bucket(stack)

    assert after == [other["address"]]
    assert [health["instance_id"] for health in moved["public"]["healths"]] == [other["id"]]
    assert (moved["changed"], moved["before"]["values"], moved["findings"]) == (True, before, [])
    assert told["last_switch"]["before"]["values"] == before
    assert any("the next apply puts it back" in finding for finding in told["findings"])
    assert any(f"it should lead to {before[0]}" in finding for finding in told["findings"])
    assert RECORD in passed(planned, 20).stdout
    assert len(local) == len(in_bucket) == 1

    shutil.rmtree(stack.root / ".lifeboat/local/dns")  # the laptop is lost
    back = json.loads(passed(stack.lifeboat("dns", "revert", "--yes", "-o", "json")).stdout)
    returned = lookup(stack)
    again = json.loads(passed(stack.ask("dns", "revert", "--yes", "-o", "json")).stdout)

    assert back["changed"]
    assert returned == before
    assert (again["needed"], again["changed"]) == (False, False)
    assert lookup(stack) == before
    assert len(saved_in_bucket(stack)) == 2
    passed(stack.lifeboat("plan", "--detailed-exitcode"))
