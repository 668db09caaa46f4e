"""What a rebuild of the state finds, asks, writes and refuses of real resources."""

from __future__ import annotations

import json

import pytest

from tests.commands.test_state_rebuild import CHANGING
from tests.conftest import RunningCloud
from tests.gitlab_sites import REGION
from tests.rebuilt_states import ROOT_KEY, RebuiltSite, ids, rebuilt_site
from tests.restored_states import KEY


@pytest.fixture(scope="module")
def built(cloud: RunningCloud, tmp_path_factory: pytest.TempPathFactory) -> RebuiltSite:
    return rebuilt_site(cloud, tmp_path_factory.mktemp("built"))


def test_a_stack_of_which_no_version_is_left_is_known_again_and_a_plan_is_empty(built: RebuiltSite) -> None:
    built.forget()

    # Whatever would change anything is refused, and the first such call is noted.
    built.cloud.control(
        "faults", add={"service": "*", "operation": CHANGING, "times": 100, "code": "AccessDenied", "status": 403}
    )
    shown = built.rebuild("--preview")
    asked = built.rebuild(status=7)
    (changing,) = built.cloud.control("faults")["faults"]
    built.cloud.control("faults", clear=True)
    ended = built.rebuild("--yes")

    assert changing["hit"] == ""
    assert "nothing was changed" in shown.stdout
    assert "found: 8" in shown.stderr
    assert "write serial 1 on top of" in asked.stderr
    assert "stack: no changes" in ended.stdout
    assert ids(built.top()) == ids(built.body)
    outputs = json.loads(built.top())["outputs"]
    assert outputs == json.loads(built.body)["outputs"]
    assert built.secrets_left() == []


def test_root_1_is_made_anew_with_its_working_copy(built: RebuiltSite) -> None:
    built.forget(ROOT_KEY)

    ended = built.rebuild("--root", "state", "--yes")

    assert ids(built.top(ROOT_KEY)) == {"aws_s3_bucket.state": built.plain.bucket}
    assert built.site.root_state_file.read_bytes() == built.top(ROOT_KEY)
    assert "state backend: no changes" in ended.stdout


def test_a_wrong_id_is_neither_imported_nor_written(built: RebuiltSite) -> None:
    built.forget()
    s3, name = built.cloud.client("s3"), f"{built.plain.application}-other"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})

    # Another name cannot be given to a bucket: Terraform would replace it, and the one that it knows would be deleted.
    wrong = built.rebuild("--import", f"aws_s3_bucket.data={name}", "--accept", "1", "--yes", status=3)
    tags = [{"Key": "application", "Value": built.plain.application}, {"Key": "environment", "Value": "other"}]
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})
    theirs = built.rebuild("--import", f"aws_s3_bucket.data={name}", "--accept", "1", "--yes", status=3)
    s3.delete_bucket(Bucket=name)

    assert "an apply of the state that was made would lose what is protected" in wrong.stderr
    assert "replace aws_s3_bucket.data: it holds the state or the dumps" in wrong.stderr
    assert f"aws_s3_bucket.data: {name} belongs to environment other" in theirs.stderr
    assert "Versions" not in s3.list_object_versions(Bucket=built.plain.bucket, Prefix=KEY)


# The last of these: its bucket stays gone.
def test_what_holds_data_and_is_gone_is_agreed_to_by_number_and_several_are_chosen_from(built: RebuiltSite) -> None:
    built.forget()
    s3, ec2 = built.cloud.client("s3"), built.cloud.client("ec2")
    name = built.plain.application
    s3.delete_bucket(Bucket=f"{name}-data")
    tags = {"application": name, "environment": "x", "Name": f"{name}-app"}
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    second = ec2.allocate_address(Domain="vpc", TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": pairs}])[
        "AllocationId"
    ]
    first = ids(built.body)["aws_eip.app"]
    addresses = {one["AllocationId"]: one["PublicIp"] for one in ec2.describe_addresses()["Addresses"]}

    refused = built.rebuild("--yes", status=3)
    chosen = built.rebuild("--import", f'aws_eip.app["a=b"]={first}', "--accept", "1", "--yes", status=3)
    agreed = built.rebuild("--import", f'aws_eip.app["a=b"]={first}', "--accept", "2", "--yes", status=20)

    said = " ".join(refused.stderr.split())
    both = [f"{one} ({addresses[one]}, associated with nothing)" for one in sorted([first, second])]
    assert f'aws_eip.app["a=b"]: 2 things could be it: {", ".join(both)}' in said
    assert "aws_s3_bucket.data: not found; it holds data, and an apply makes an empty one" in said
    assert """--import 'aws_eip.app["a=b"]=ID', with the id that you know to be it""" in said
    assert "2 things could be it" not in chosen.stderr
    assert f"aws_eip {second} in eu-west-1" in chosen.stderr
    assert "--accept 2 agrees to them" in " ".join(chosen.stderr.split())
    assert f"aws_eip {second} in eu-west-1" in agreed.stderr
    assert "stack: 2 to add" in agreed.stdout
    left = {address: id_ for address, id_ in ids(built.body).items() if not address.startswith("aws_s3_bucket")}
    assert ids(built.top()) == left
