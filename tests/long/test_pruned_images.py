"""Images of the applied stack that are pruned, each kept for a reason of its own."""

from __future__ import annotations

import json

from tests.commands.test_ami import bake, image
from tests.rehearsal import Rehearsal, passed


def test_pruning_shows_asks_and_removes_only_what_nothing_needs(stack: Rehearsal) -> None:
    ec2 = stack.client("ec2")
    proven, in_template, in_file, in_recovery, spare, newest = (bake(stack) for _ in range(6))
    ec2.create_tags(Resources=[proven], Tags=[{"Key": "lifeboat:proven-at", "Value": "2026-01-02T03:04:05Z"}])
    ec2.create_launch_template(LaunchTemplateName="spare", LaunchTemplateData={"ImageId": in_template})
    (stack.root / "environments/staging.tfvars").open("a").write(f"\n# before: {in_file}\n")
    (stack.root / "environments/local.recovery.tfvars.json").write_text(json.dumps({"ami_id": in_recovery}))
    snapshots = {name: image(stack, name)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"] for name in (spare, newest)}

    asked = stack.lifeboat("ami", "prune", "--keep", "1")
    still_there = image(stack, spare)["State"]
    done = passed(stack.lifeboat("ami", "prune", "--keep", "1", "--yes", "-o", "json"))
    again = passed(stack.lifeboat("ami", "prune", "--keep", "1", "--yes"))

    passed(asked, 7)
    assert f"deregister {spare} in eu-west-1" in asked.stderr
    assert "goes" in asked.stdout
    assert still_there == "available"
    document = json.loads(done.stdout)
    assert {row["id"]: row["why"] for row in document["kept"]} == {
        proven: "the newest in eu-west-1 that is proven to boot",
        in_template: "used by launch template spare, version 1",
        in_file: "used by environments/staging.tfvars",
        in_recovery: "used by environments/local.recovery.tfvars.json",
        newest: "one of the newest 1 in eu-west-1",
    }
    assert [row["id"] for row in document["removed"]] == [spare]
    assert [row["id"] for row in document["snapshots"]] == [snapshots[spare]]
    left = {s["SnapshotId"] for s in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
    assert left & set(snapshots.values()) == {snapshots[newest]}
    assert "0 images and 0 snapshots removed" in again.stdout
