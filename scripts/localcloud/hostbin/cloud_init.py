"""cloud-init status [--wait]: whether the instance's user data ran, and how it ended."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request

from localcloud.hostbin.host import ROOT


def main(arguments: list[str]) -> int:
    """Print the status; 0 when done, 1 when it failed, 2 when it still runs."""
    if arguments not in (["status"], ["status", "--wait"]):
        print("the local cloud's cloud-init knows: cloud-init status [--wait]", file=sys.stderr)
        return 64
    finished = ROOT / "var/lib/cloud/instances" / _instance_id() / "boot-finished"
    while arguments[-1] == "--wait" and not finished.exists():
        time.sleep(0.5)
    if not finished.exists():
        print("status: running")
        return 2
    said = finished.read_text()
    print("status: done" if said == "done" else f"status: error\n{said}")
    return 0 if said == "done" else 1


def _instance_id() -> str:
    service = os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"]
    asked = urllib.request.Request(
        f"{service}/latest/api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    )
    with urllib.request.urlopen(asked) as answer:
        token = answer.read().decode()
    asked = urllib.request.Request(
        f"{service}/latest/dynamic/instance-identity/document", headers={"X-aws-ec2-metadata-token": token}
    )
    with urllib.request.urlopen(asked) as answer:
        return str(json.load(answer)["instanceId"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
