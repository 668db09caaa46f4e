"""`lifeboat ami …` on an applied stack: images that say what they hold, boot, are found, copied, and pruned with care."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.localcloud.machines import until
from tests.rehearsal import Rehearsal, passed

HERE, DR = "eu-west-1", "eu-central-1"
BASE_IMAGE = "ami-0f000000000000001"
# Each is a word of `lifeboat ami` with the arguments that its `--help` gives as an example.
VERBS = ("bake", "list", "latest", "copy", "from-snapshot", "prune")


def state(stack: Rehearsal) -> dict[str, Any]:
    """Return the stack's state."""
    env = stack.exported()
    body = stack.client("s3").get_object(Bucket=env["STATE_BUCKET"], Key=env["STATE_KEY"])["Body"].read()
    document: dict[str, Any] = json.loads(body)
    return document


def recovery(stack: Rehearsal) -> dict[str, Any]:
    """Return the stack's output, read from its state."""
    found: dict[str, Any] = state(stack)["outputs"]["recovery"]["value"]
    return found


def bake(stack: Rehearsal) -> str:
    """Bake an image without a reboot and return its id."""
    done = passed(stack.ask("ami", "bake", "--no-reboot"))
    time.sleep(1)  # two bakes of one second would have one name
    return done.stdout.strip()


def listed(stack: Rehearsal) -> list[dict[str, Any]]:
    document: list[dict[str, Any]] = json.loads(passed(stack.ask("ami", "list", "-o", "json")).stdout)
    return document


def image(stack: Rehearsal, image_id: str, region: str = HERE) -> dict[str, Any]:
    found: dict[str, Any] = stack.client("ec2", region).describe_images(ImageIds=[image_id])["Images"][0]
    return found


def tags_of(thing: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in thing["Tags"]}


def healthy(url: str, stack: Rehearsal) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(passed(stack.run("curl", "-sf", f"{url}/healthz")).stdout)
    return document


@pytest.fixture
def bare(saved: Rehearsal) -> Iterator[Rehearsal]:
    """The applied stack for a test that makes images and changes nothing else; afterwards there are none again."""
    before = {path: path.read_text() for path in (saved.root / "environments").iterdir()}
    yield saved
    for path in (saved.root / "environments").iterdir():
        if path in before:
            path.write_text(before[path])
        else:
            path.unlink()
    for region in (HERE, DR):
        ec2 = saved.client("ec2", region)
        for template in ec2.describe_launch_templates()["LaunchTemplates"]:
            ec2.delete_launch_template(LaunchTemplateId=template["LaunchTemplateId"])
        for found in ec2.describe_images(Owners=["self"], IncludeDisabled=True)["Images"]:
            ec2.deregister_image(ImageId=found["ImageId"])
        for snapshot in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]:
            ec2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])


@contextmanager
def fault(stack: Rehearsal, **rule: Any) -> Iterator[None]:
    """Let calls of the local cloud fail as a rule says."""
    faults = ("curl", "-sf", "-H", "X-Localcloud: 1", f"http://127.0.0.1:{stack.port}/_localcloud/faults", "-d")
    passed(stack.run(*faults, json.dumps({"add": rule})))
    yield
    passed(stack.run(*faults, json.dumps({"clear": True})))


# -- baking, listing, choosing -----------------------------------------------------------------------------------------


def test_a_baked_image_says_what_it_holds_and_is_the_latest(bare: Rehearsal) -> None:
    known = recovery(bare)
    serial = state(bare)["serial"]
    none = bare.lifeboat("ami", "latest")
    bare.run("git", "init", "--quiet")
    bare.run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--allow-empty", "-m", "one")
    commit = bare.run("git", "rev-parse", "HEAD").stdout.strip()

    done = passed(bare.lifeboat("ami", "bake"))
    made = done.stdout.strip()
    latest = passed(bare.lifeboat("ami", "latest"))
    shutil.rmtree(bare.root / ".git")

    passed(none, 6)
    assert "there is no image of app-local (local) in eu-west-1" in none.stderr
    assert "lifeboat ami from-snapshot latest" in none.stderr
    described = image(bare, made)
    tags = tags_of(described)
    assert {name: value for name, value in tags.items() if name != "lifeboat:taken-at"} == {
        "application": "app-local",
        "environment": "local",
        "managed-by": "lifeboat",
        "lifeboat:source-instance": known["app"]["instance_id"],
        "lifeboat:image-tag": "app:1",
        "lifeboat:git-sha": commit,
        "lifeboat:state-serial": str(serial),
    }
    snapshot = described["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    found = bare.client("ec2").describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]
    assert tags_of(found) == {**tags, "lifeboat:image-name": described["Name"]}
    assert latest.stdout.strip() == made
    assert "no recovery or drill has proven yet that" in latest.stderr
    assert healthy(known["app"]["url"], bare)["instance_id"] == known["app"]["instance_id"]


def test_the_list_tells_images_of_every_kind_and_where_they_are(stack: Rehearsal) -> None:
    baked = bake(stack)
    passed(stack.lifeboat("local", "tick", "monthly"))
    copy = passed(stack.ask("ami", "copy", baked)).stdout.strip()
    registered = passed(stack.ask("ami", "from-snapshot")).stdout.strip()
    stack.client("ec2").create_tags(
        Resources=[baked], Tags=[{"Key": "lifeboat:proven-at", "Value": "2026-01-02T03:04:05Z"}]
    )
    stack.client("ec2").disable_image(ImageId=registered)

    table = passed(stack.ask("ami", "list")).stdout
    rows = {row["id"]: row for row in listed(stack)}

    assert {row["source"] for row in rows.values()} == {"baked", "DLM monthly", "AWS Backup", "from-snapshot"}
    assert rows[baked]["proven_at"] == "2026-01-02T03:04:05+00:00"
    assert [(c["id"], c["region"], c["why_not"]) for c in rows[baked]["copies"]] == [(copy, DR, None)]
    assert [c["region"] for row in rows.values() if row["source"].startswith("DLM") for c in row["copies"]] == [DR]
    assert rows[registered]["why_not"] == "it is disabled"
    for word in (baked, copy, "DLM monthly", "app:1", "no: it is disabled"):
        assert word in table


def test_a_region_that_does_not_answer_is_named_and_the_other_is_shown(bare: Rehearsal) -> None:
    made = bake(bare)

    with fault(bare, service="ec2", operation="DescribeImages", first=2, code="AuthFailure", status=403):
        done = bare.ask("ami", "list", "-o", "json")

    passed(done, 8)
    assert [row["id"] for row in json.loads(done.stdout)] == [made]
    assert "cannot list the images in eu-central-1: AuthFailure" in done.stderr


# -- copying -----------------------------------------------------------------------------------------------------------


def test_a_copy_boots_in_the_other_region_under_the_key_there_and_is_made_once(bare: Rehearsal) -> None:
    key = recovery(bare)["image_copies_key_arn"]
    made = bake(bare)

    first = passed(bare.ask("ami", "copy"))
    again = passed(bare.ask("ami", "copy", made))

    copy = first.stdout.strip()
    assert again.stdout.strip() == copy
    assert f"{copy} in eu-central-1 is a copy of {made} already" in again.stderr
    described = image(bare, copy, DR)
    ebs = described["BlockDeviceMappings"][0]["Ebs"]
    ec2 = bare.client("ec2", DR)
    assert ec2.describe_snapshots(SnapshotIds=[ebs["SnapshotId"]])["Snapshots"][0]["KmsKeyId"] == key
    assert tags_of(described) == {**tags_of(image(bare, made)), "lifeboat:copied-from": made}
    instance = ec2.run_instances(ImageId=copy, InstanceType="t3.small", MinCount=1, MaxCount=1)["Instances"][0]
    root = bare.root / ".lifeboat/local/cloud/live/hosts" / instance["InstanceId"] / "root"
    until((root / "etc/app/app.env").exists)
    ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])


def test_a_copy_whose_key_is_disabled_is_told_and_one_of_it_refused(bare: Rehearsal) -> None:
    made = bake(bare)
    copy = passed(bare.ask("ami", "copy", made)).stdout.strip()
    key = recovery(bare)["image_copies_key_arn"]
    bare.client("kms", DR).disable_key(KeyId=key)

    rows = listed(bare)
    back = bare.ask("ami", "copy", copy)
    bare.client("kms", DR).enable_key(KeyId=key)

    assert rows[0]["copies"][0]["why_not"] == f"its key {key} is disabled"
    passed(back, 6)
    assert f"{copy} cannot be used: its key {key} is disabled" in back.stderr


# -- pruning -----------------------------------------------------------------------------------------------------------


def test_pruning_asks_and_where_it_is_cut_short_says_what_is_left(bare: Rehearsal) -> None:
    ec2 = bare.client("ec2")
    spare, newest = bake(bare), bake(bare)
    snapshot = image(bare, spare)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]

    asked = bare.ask("ami", "prune", "--keep", "1")
    still_there = image(bare, spare)["State"]
    with fault(bare, service="ec2", operation="DeleteSnapshot", code="UnauthorizedOperation", status=403):
        cut = bare.ask("ami", "prune", "--keep", "1", "--yes")

    assert f"deregister {spare} in eu-west-1" in passed(asked, 7).stderr
    assert still_there == "available"
    passed(cut, 12)
    assert f"cannot delete {snapshot} in eu-west-1: UnauthorizedOperation" in cut.stderr
    assert "only the role app-local-break-glass may delete copies" in cut.stderr
    assert [row["id"] for row in listed(bare)] == [newest]
    assert ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]


# -- what is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("copy", "ami-0123456789abcdef0"), 6, "there is no image ami-0123456789abcdef0 in eu-west-1"),
        (
            ("copy", BASE_IMAGE),
            6,
            f"{BASE_IMAGE} cannot be used: it is not ours: it belongs to account 137112412989",
        ),
        (("copy", "app-production"), 2, "'app-production' is not latest or an image id: ami-…"),
        (("latest", "--max-age", "soon"), 2, "'soon' is no length of time; write 45s, 90m, 4h or 7d"),
        (
            ("from-snapshot", "snap-0123456789abcdef0"),
            6,
            "there is no snapshot snap-0123456789abcdef0 in eu-west-1",
        ),
        (("from-snapshot", "vol-1"), 2, "'vol-1' is not latest or a snapshot id: snap-…"),
        (("from-snapshot", "--region", "us-east-1"), 2, "us-east-1 is neither of the regions of local"),
        (
            ("from-snapshot", "--machine", "sparc:/dev/sda"),
            2,
            "'sparc:/dev/sda' is not an architecture and a root device",
        ),
        (("prune", "--keep", "0"), 2, "Invalid value for '--keep'"),
    ],
)
def test_wrong_input_is_refused_with_its_reason_before_anything_changes(
    saved: Rehearsal, arguments: tuple[str, ...], status: int, words: str
) -> None:
    done = passed(saved.ask("ami", *arguments), status)

    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert listed(saved) == []


def test_an_image_that_is_too_old_or_of_another_machine_is_not_the_latest(bare: Rehearsal) -> None:
    made = bake(bare)
    disk = image(bare, made)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    ours = [{"Key": "application", "Value": "app-local"}, {"Key": "environment", "Value": "local"}]
    other = bare.client("ec2").register_image(
        Name="for-arm",
        Architecture="arm64",
        RootDeviceName="/dev/xvda",
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": disk}}],
        TagSpecifications=[{"ResourceType": "image", "Tags": ours}],
    )["ImageId"]
    time.sleep(1)

    latest = json.loads(passed(bare.ask("ami", "latest", "-o", "json")).stdout)
    too_old = bare.ask("ami", "latest", "--max-age", "1s")

    assert latest["chosen"]["id"] == made
    assert latest["rejected"] == [
        {
            "id": other,
            "region": HERE,
            "name": "for-arm",
            "why": "it is for arm64, and the instance is x86_64",
        }
    ]
    passed(too_old, 6)
    assert "none of 2 images can be used in eu-west-1" in too_old.stderr
    assert "old, more than 1s" in too_old.stderr


def test_every_verb_teaches_by_an_example(saved: Rehearsal) -> None:
    for verb in VERBS:
        assert "Example: " in passed(saved.ask("ami", verb, "--help")).stdout
