"""An instance that is gone, recovered from nothing but a snapshot of its volume."""

from __future__ import annotations

import json

from tests.commands.test_ami import DR, healthy, image, recovery, tags_of
from tests.rehearsal import Rehearsal, passed


def test_a_dlm_snapshot_alone_is_enough_to_recover_an_instance_that_is_gone(stack: Rehearsal) -> None:
    known = recovery(stack)
    before = healthy(known["app"]["url"], stack)
    passed(stack.lifeboat("local", "tick", "daily"))
    stack.client("ec2").terminate_instances(InstanceIds=[known["app"]["instance_id"]])

    too_late = stack.lifeboat("ami", "bake")
    made = passed(stack.lifeboat("ami", "from-snapshot")).stdout.strip()
    elsewhere = passed(
        stack.lifeboat("ami", "from-snapshot", "--region", DR, "--machine", "x86_64:/dev/xvda", "-o", "json")
    )
    (stack.root / "environments/local.recovery.tfvars.json").write_text(json.dumps({"ami_id": made}))
    passed(stack.lifeboat("apply", "--yes"))
    after = healthy(known["app"]["url"], stack)

    passed(too_late, 8)
    assert f"{known['app']['instance_id']} is " in too_late.stderr
    assert "so no image can be taken of it" in too_late.stderr
    assert "next: lifeboat ami from-snapshot latest -e local" in too_late.stderr
    assert tags_of(image(stack, made))["lifeboat:source-snapshot"].startswith("snap-")
    assert after["instance_id"] != before["instance_id"] == known["app"]["instance_id"]
    assert (after["status"], after["database_generation"]) == ("ok", before["database_generation"])
    assert recovery(stack)["app"]["ami_id"] == made
    there = json.loads(elsewhere.stdout)
    assert (there["region"], there["state"], there["architecture"]) == (DR, "available", "x86_64")
