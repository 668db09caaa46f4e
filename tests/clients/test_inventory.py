"""Things that exist are found again, told from others, and adopted by a real Terraform instead of made twice."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber
from lifeboat.clients import provider_mirror
from lifeboat.clients.inventory import Inventory
from lifeboat.clients.terraform import recorded_progress
from lifeboat.decisions.adoption import HOW, How, document, planned_creates, unrecorded
from lifeboat.errors import IntegrityFailure, Refused, Unreachable
from lifeboat.model import Address, Adoption, PlannedCreate, Progress, Wanted

from tests.conftest import RunningCloud

ROOT = Path(__file__).parents[2]
OURS = {"application": "app-local", "environment": "local", "managed-by": "lifeboat"}
THEIRS = {**OURS, "application": "payroll"}
BASE_IMAGE = "ami-0f000000000000001"  # the local cloud brings it
APPLY_SECONDS = 600
VARIABLES = {
    "name": "app-local",
    "environment": "local",
    "account_id": "123456789012",
    "region": "eu-west-1",
    "dr_region": "eu-central-1",
    "s3_use_path_style": "true",
    "provider_max_retries": "2",
}


def inventory_of(cloud: RunningCloud) -> Inventory:
    return Inventory(
        client=cloud.client,
        region="eu-west-1",
        dr_region="eu-central-1",
        application="app-local",
        environment="local",
    )


def wanted(resource_type: str, values: Mapping[str, Any], **more: Any) -> Wanted:
    return Wanted(
        address=Address(f"{resource_type}.this"), resource_type=resource_type, values=values, **{"begun": True, **more}
    )


def pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tag_on(resource: str, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"ResourceType": resource, "Tags": pairs(tags)}]


# -- one thing at a time -------------------------------------------------------------------------------------------


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


def test_a_type_that_cannot_be_looked_for_is_refused(cloud: RunningCloud) -> None:
    with pytest.raises(Refused, match="does not know how to look for aws_sqs_queue"):
        inventory_of(cloud).import_id(wanted("aws_sqs_queue", {}))


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


# -- both roots, with a real Terraform -----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class AppliedRoot:
    """A root that was applied once: its folder, its saved plan and its events, and how to run Terraform in it."""

    folder: Path
    env: Mapping[str, str]
    process: subprocess.Popen[bytes]

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            ["terraform", *arguments],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=APPLY_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def plan(self, name: str) -> dict[str, Any]:
        self.run("plan", f"-out={name}", *(f"-var={key}={value}" for key, value in VARIABLES.items()))
        document: dict[str, Any] = json.loads(self.run("show", "-json", name))
        return document

    @cached_property
    def creates(self) -> list[PlannedCreate]:
        return planned_creates(json.loads(self.run("show", "-json", "first.plan")))

    @cached_property
    def events(self) -> list[Progress]:
        return recorded_progress(self.folder / "events.jsonl")


def begin(cloud: RunningCloud, folder: Path, root: str) -> AppliedRoot:
    """Copy a root, plan it and start to apply the saved plan."""
    copy = folder / "terraform" / root
    shutil.copytree(ROOT / "terraform" / root, copy, ignore=shutil.ignore_patterns(".terraform", "*.tfstate*"))
    (copy / "own_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
    if root == "stack":
        shutil.copy(ROOT / "environments" / "local.tfvars", copy / "terraform.tfvars")
    own = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "TF_"))}
    mirror = provider_mirror.configuration(folder, own)
    env = {
        **own,
        **({} if mirror is None else {"TF_CLI_CONFIG_FILE": str(mirror)}),
        "TF_DATA_DIR": str(folder / f"{root}-data"),
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        "CHECKPOINT_DISABLE": "1",
        "AWS_ENDPOINT_URL": cloud.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    planner = AppliedRoot(folder=copy, env=env, process=subprocess.Popen(["true"]))
    planner.run("init")
    planner.plan("first.plan")
    with (copy / "events.jsonl").open("wb") as events:
        process = subprocess.Popen(
            ["terraform", "apply", "-json", "-parallelism=20", "first.plan"], cwd=copy, env=env, stdout=events
        )
    return AppliedRoot(folder=copy, env=env, process=process)


@pytest.fixture(scope="module")
def roots(cloud: RunningCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], AppliedRoot]]:
    """Both roots, applied side by side: most of an apply is the provider's own waiting."""
    folder = tmp_path_factory.mktemp("roots")
    (folder / "modules").symlink_to(ROOT / "modules")
    begun = {root: begin(cloud, folder, root) for root in ("stack", "state")}

    def applied(root: str) -> AppliedRoot:
        it = begun[root]
        status = it.process.wait(APPLY_SECONDS)
        errors = [line for line in (it.folder / "events.jsonl").read_text().splitlines() if '"level":"error"' in line]
        assert status == 0, f"terraform/{root} could not be applied:\n" + "\n".join(errors)
        return it

    yield applied
    for it in begun.values():
        it.process.kill()
        it.process.wait(60)


def found_again(cloud: RunningCloud, root: AppliedRoot, progress: list[Progress] | None) -> dict[Address, str | None]:
    """Return the import id of everything that the root's first plan created, as if the state knew none of it."""
    inventory = inventory_of(cloud)
    lost = unrecorded(root.creates, progress, set())
    assert [w.address for w in lost if inventory.status(w) is not None] == []
    return {w.address: inventory.import_id(w) for w in lost}


@pytest.mark.parametrize("root", ["state", "stack"])
def test_everything_that_was_made_is_found_again_with_and_without_reported_ids(
    cloud: RunningCloud, roots: Callable[[str], AppliedRoot], root: str
) -> None:
    applied = roots(root)

    with_ids = found_again(cloud, applied, applied.events)
    without_ids = found_again(cloud, applied, None)

    assert [address for address, import_id in with_ids.items() if import_id is None] == []
    assert without_ids == with_ids
    rewritten = [c for c in applied.creates if HOW[c.resource_type] is How.REWRITTEN]
    assert len(with_ids) + len(rewritten) == len(applied.creates)


@pytest.mark.parametrize("root", ["state", "stack"])
def test_after_the_state_is_lost_nothing_is_made_twice_and_one_apply_settles_it(
    cloud: RunningCloud, roots: Callable[[str], AppliedRoot], root: str
) -> None:
    applied = roots(root)
    adoptions = [
        Adoption(address=address, import_id=str(import_id))
        for address, import_id in found_again(cloud, applied, None).items()
    ]
    (applied.folder / "terraform.tfstate").unlink()
    (applied.folder / "lifeboat_adopt.tf.json").write_text(json.dumps(document(adoptions)))

    plan = applied.plan("adopt.plan")
    (applied.folder / "lifeboat_adopt.tf.json").unlink()
    applied.run("apply", "adopt.plan")
    again = applied.plan("again.plan")

    assert {t for t in types_by_action(plan, "create") if HOW[t] is not How.REWRITTEN} == set()
    assert types_by_action(plan, "delete") == set()
    assert sum("importing" in c["change"] for c in plan["resource_changes"]) == len(adoptions)
    changed = [c for c in again["resource_changes"] if c["change"]["actions"] not in (["no-op"], ["read"])]
    assert [(c["address"], c["change"]["actions"]) for c in changed] == []


def types_by_action(plan: Mapping[str, Any], action: str) -> set[str]:
    return {c["type"] for c in plan["resource_changes"] if action in c["change"]["actions"] and c["mode"] == "managed"}
