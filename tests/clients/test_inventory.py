"""Things that exist are found again, told from others, and adopted by a real Terraform instead of made twice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber
from lifeboat.clients.inventory import Inventory
from lifeboat.decisions.adoption import HOW, How
from lifeboat.errors import IntegrityFailure, Refused, Unreachable
from lifeboat.model import Address, Wanted

from tests.clients.inventories import inventory_of
from tests.conftest import RunningCloud

ROOT = Path(__file__).parents[2]
OURS = {"application": "app-local", "environment": "local", "managed-by": "lifeboat"}
THEIRS = {**OURS, "application": "payroll"}
BASE_IMAGE = "ami-0f000000000000001"  # the local cloud brings it


def wanted(resource_type: str, values: Mapping[str, Any], **more: Any) -> Wanted:
    return Wanted(
        address=Address(f"{resource_type}.this"), resource_type=resource_type, values=values, **{"begun": True, **more}
    )


def pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tag_on(resource: str, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"ResourceType": resource, "Tags": pairs(tags)}]


def test_what_does_not_exist_has_no_id(cloud: RunningCloud) -> None:
    inventory = inventory_of(cloud)
    nothing = {"tags_all": {**OURS, "Name": "nothing"}, "name": "nothing", "bucket": "nothing-here", "type": "A"}
    nothing |= {"identifier": "nothing", "description": "nothing", "comment": "nothing", "url": "https://nothing"}
    adopted = [resource_type for resource_type, how in HOW.items() if how is not How.REWRITTEN]

    found = {resource_type: inventory.import_id(wanted(resource_type, nothing)) for resource_type in adopted}

    assert found == dict.fromkeys(adopted)


def test_a_terminated_instance_is_not_the_instance(cloud: RunningCloud) -> None:
    ec2, tags = cloud.client("ec2"), {**OURS, "Name": "terminated-test"}

    def launched() -> str:
        answer = ec2.run_instances(
            ImageId=BASE_IMAGE,
            InstanceType="t3.small",
            MinCount=1,
            MaxCount=1,
            TagSpecifications=tag_on("instance", tags),
        )
        return str(answer["Instances"][0]["InstanceId"])

    first, second = launched(), launched()
    instance = wanted("aws_instance", {"tags_all": tags})

    with pytest.raises(IntegrityFailure) as several:
        inventory_of(cloud).import_id(instance)
    ec2.terminate_instances(InstanceIds=[first])

    assert several.value.summary == (
        f"2 things in eu-west-1 could be aws_instance.this: {', '.join(sorted([first, second]))}"
    )
    assert inventory_of(cloud).import_id(instance) == second
    assert inventory_of(cloud).import_id(wanted("aws_instance", {"tags_all": tags}, instead_of=second)) is None


def test_the_reported_id_decides_between_two_that_fit(cloud: RunningCloud) -> None:
    ec2, tags = cloud.client("ec2"), {**OURS, "Name": "two-addresses"}
    first, second = (
        ec2.allocate_address(Domain="vpc", TagSpecifications=tag_on("elastic-ip", tags))["AllocationId"] for _ in "ab"
    )

    found = inventory_of(cloud).import_id(wanted("aws_eip", {"tags_all": tags}, known_id=second))

    assert found == second != first


def test_a_bucket_without_tags_is_ours_only_if_the_interrupted_apply_began_it(cloud: RunningCloud) -> None:
    name = "app-local-untagged"
    cloud.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    begun = inventory_of(cloud).import_id(wanted("aws_s3_bucket", {"bucket": name}))
    with pytest.raises(IntegrityFailure) as never_begun:
        inventory_of(cloud).import_id(wanted("aws_s3_bucket", {"bucket": name}, begun=False))

    assert begun == name
    assert never_begun.value.summary == (
        f"aws_s3_bucket.this would be {name}, which exists and belongs to nobody we know (it has no tags)"
    )


def test_a_role_of_another_application_is_never_adopted(cloud: RunningCloud) -> None:
    cloud.client("iam").create_role(RoleName="app-local-taken", AssumeRolePolicyDocument="{}", Tags=pairs(THEIRS))

    with pytest.raises(IntegrityFailure) as refused:
        inventory_of(cloud).import_id(wanted("aws_iam_role", {"name": "app-local-taken"}))

    assert refused.value.summary == (
        "aws_iam_role.this would be app-local-taken, which exists and belongs to application payroll, environment local"
    )


def test_a_key_that_waits_for_its_deletion_is_not_the_key(cloud: RunningCloud) -> None:
    kms = cloud.client("kms", "eu-central-1")
    tags = [{"TagKey": key, "TagValue": value} for key, value in OURS.items()]
    keys = [kms.create_key(Description="two keys", Tags=tags)["KeyMetadata"]["KeyId"] for _ in "ab"]
    kms.schedule_key_deletion(KeyId=keys[0], PendingWindowInDays=7)

    found = inventory_of(cloud).import_id(
        wanted("aws_kms_key", {"description": "two keys", "tags_all": OURS}, alias="dr")
    )

    assert found == keys[1]


def test_what_cannot_be_tagged_is_adopted_only_if_it_was_begun(cloud: RunningCloud) -> None:
    kms = cloud.client("kms")
    kms.create_alias(AliasName="alias/untaggable", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])

    def look(*, begun: bool) -> str | None:
        return inventory_of(cloud).import_id(wanted("aws_kms_alias", {"name": "alias/untaggable"}, begun=begun))

    assert look(begun=True) == "alias/untaggable"
    assert look(begun=False) is None


def test_a_parent_that_does_not_exist_has_no_children(cloud: RunningCloud) -> None:
    table = wanted("aws_route_table", {"tags_all": {**OURS, "Name": "no-such-table"}})

    route = wanted("aws_route", {"destination_cidr_block": "0.0.0.0/0"}, parents={"route_table_id": table})

    assert inventory_of(cloud).import_id(route) is None


@pytest.mark.parametrize(("code", "status"), [("AccessDenied", 403), ("Throttling", 400), ("InternalFailure", 500)])
def test_not_being_allowed_to_look_is_never_taken_for_absence(cloud: RunningCloud, code: str, status: int) -> None:
    cloud.control("faults", add={"service": "iam", "operation": "GetRole", "code": code, "status": status})

    with pytest.raises(Unreachable) as unreachable:
        inventory_of(cloud).import_id(wanted("aws_iam_role", {"name": "unseen"}))

    assert unreachable.value.summary == (
        f"cannot look for aws_iam_role.this in eu-west-1: {code}: fault asked for by the rehearsal"
    )


def test_logs_and_queues_are_found_by_their_whole_name_and_only_if_ours(cloud: RunningCloud) -> None:
    logs, sqs = cloud.client("logs"), cloud.client("sqs")
    for name, tags in (("/job", OURS), ("/job-of-another", OURS), ("/theirs", THEIRS)):
        logs.create_log_group(logGroupName=name, tags=tags)
    url = sqs.create_queue(QueueName="not-run", tags=OURS)["QueueUrl"]
    inventory = inventory_of(cloud)

    assert inventory.import_id(wanted("aws_cloudwatch_log_group", {"name": "/job", "tags_all": OURS})) == "/job"
    assert inventory.import_id(wanted("aws_sqs_queue", {"name": "not-run", "tags_all": OURS})) == url
    with pytest.raises(IntegrityFailure, match="belongs to application payroll"):
        inventory_of(cloud).import_id(wanted("aws_cloudwatch_log_group", {"name": "/theirs", "tags_all": OURS}))


def test_a_type_that_cannot_be_looked_for_is_refused(cloud: RunningCloud) -> None:
    with pytest.raises(Refused, match="does not know how to look for aws_lambda_function"):
        inventory_of(cloud).import_id(wanted("aws_lambda_function", {}))


def test_what_aws_still_works_on_says_so(cloud: RunningCloud) -> None:
    dynamodb = cloud.client("dynamodb")
    dynamodb.create_table(
        TableName="settled",
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        Tags=pairs(OURS),
    )

    assert inventory_of(cloud).status(wanted("aws_dynamodb_table", {"name": "settled"})) is None
    assert inventory_of(cloud).status(wanted("aws_dynamodb_table", {"name": "never-made"})) is None


@pytest.mark.parametrize(
    ("aws_says", "status", "import_id"),
    [
        ("creating", "creating", "app-local-g1"),
        ("backing-up", "backing-up", "app-local-g1"),
        ("available", None, "app-local-g1"),
        ("deleting", None, None),
    ],
)
def test_a_database_is_waited_for_until_rds_is_done_with_it(
    cloud: RunningCloud, aws_says: str, status: str | None, import_id: str | None
) -> None:
    rds = cloud.client("rds")
    described = {
        "DBInstanceIdentifier": "app-local-g1",
        "DbiResourceId": "db-ABC",
        "DBInstanceStatus": aws_says,
        "TagList": pairs(OURS),
    }
    inventory = Inventory(
        client=lambda _service, _region: rds,
        region="eu-west-1",
        dr_region="eu-central-1",
        application="app-local",
        environment="local",
    )

    # Real RDS takes minutes over what the local cloud does within one call.
    with Stubber(rds) as stubbed:
        stubbed.add_response("describe_db_instances", {"DBInstances": [described]})
        found = inventory.status(wanted("aws_db_instance", {"identifier": "app-local-g1"}))

    assert found == status
    assert inventory.import_id(wanted("aws_db_instance", {"identifier": "app-local-g1"})) == import_id


def test_a_security_group_that_was_cut_off_is_closed_as_the_provider_would_have(cloud: RunningCloud) -> None:
    ec2, tags = cloud.client("ec2"), {**OURS, "Name": "cut-off"}
    group = ec2.create_security_group(
        GroupName="cut-off", Description="cut off", TagSpecifications=tag_on("security-group", tags)
    )["GroupId"]
    cut_off = wanted("aws_security_group", {"name": "cut-off", "tags_all": tags})

    def open_rules() -> int:
        rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])
        return len(rules["SecurityGroupRules"])

    finished = inventory_of(cloud).finish(wanted("aws_security_group", cut_off.values, known_id=group))
    untouched = open_rules()
    done = inventory_of(cloud).finish(cut_off)

    assert (finished, untouched) == (None, 1)
    assert done == f"took back the right of {group} to call out everywhere"
    assert open_rules() == 0
    assert inventory_of(cloud).finish(cut_off) is None
