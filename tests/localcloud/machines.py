"""What the tests of hosts share: launching an instance with a role, running shell on it, waiting for it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.conftest import RunningCloud

BASE_IMAGE = "ami-0f000000000000001"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}
READS_SECRETS = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}],
}
WITH_DOCKER = "#!/bin/bash\nset -eu\ndnf install -y docker\nsystemctl enable --now docker\n"


@dataclass(frozen=True)
class Ended:
    """How a command on a host ended."""

    status: str
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Machines:
    """The instances of one cloud in one region."""

    cloud: RunningCloud
    region: str = "eu-west-1"

    @cached_property
    def ec2(self) -> Any:
        return self.cloud.client("ec2", self.region)

    @cached_property
    def ssm(self) -> Any:
        return self.cloud.client("ssm", self.region)

    def role(self, name: str = "host") -> str:
        """Return the name of an instance profile whose role may speak to SSM, made when missing."""
        iam = self.cloud.client("iam")
        if name not in [p["InstanceProfileName"] for p in iam.list_instance_profiles()["InstanceProfiles"]]:
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
            iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore")
            iam.put_role_policy(RoleName=name, PolicyName="secrets", PolicyDocument=json.dumps(READS_SECRETS))
            iam.create_instance_profile(InstanceProfileName=name)
            iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
        return name

    def launch(self, user_data: str = "", *, image: str = BASE_IMAGE, **more: Any) -> str:
        """Launch an instance, wait until it runs and has done its user data, and return its id."""
        asked = {
            "ImageId": image,
            "InstanceType": "t3.small",
            "MinCount": 1,
            "MaxCount": 1,
            "UserData": user_data,
            "IamInstanceProfile": {"Name": self.role()},
            "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
            **more,
        }
        instance = str(self.ec2.run_instances(**asked)["Instances"][0]["InstanceId"])
        self.until(lambda: self.state(instance) == "running")
        if user_data:
            self.until((self.root(instance) / f"var/lib/cloud/instances/{instance}/boot-finished").exists)
        return instance

    def root(self, instance: str) -> Path:
        """Return the root directory of a host."""
        return self.cloud.directory / "live/hosts" / instance / "root"

    def described(self, instance: str) -> dict[str, Any]:
        """Return what DescribeInstances says of one instance."""
        found: dict[str, Any] = self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        return found

    def state(self, instance: str) -> str:
        """Return an instance's state."""
        return str(self.described(instance)["State"]["Name"])

    def shell(self, instance: str, *commands: str, **parameters: str) -> Ended:
        """Run shell on a host through SSM and return how it ended."""
        asked = {"commands": list(commands), **{name: [value] for name, value in parameters.items()}}
        number = self.ssm.send_command(InstanceIds=[instance], DocumentName="AWS-RunShellScript", Parameters=asked)
        return self.ended(number["Command"]["CommandId"], instance)

    def ended(self, number: str, instance: str) -> Ended:
        """Wait for the end of a command."""
        self.until(lambda: self._invocation(number, instance)["Status"] not in ("Pending", "InProgress", "Cancelling"))
        found = self._invocation(number, instance)
        return Ended(
            found["Status"], found["ResponseCode"], found["StandardOutputContent"], found["StandardErrorContent"]
        )

    def _invocation(self, number: str, instance: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ssm.get_command_invocation(CommandId=number, InstanceId=instance)
        return found

    def image(self, instance: str, name: str, **more: Any) -> str:
        """Make an image of an instance and wait until it is available."""
        image = str(self.ec2.create_image(InstanceId=instance, Name=name, **more)["ImageId"])
        self.until(lambda: self.image_state(image) == "available")
        return image

    def image_state(self, image: str) -> str:
        """Return an image's state."""
        return str(self.ec2.describe_images(ImageIds=[image])["Images"][0]["State"])

    def snapshot(self, instance: str) -> str:
        """Make a snapshot of an instance's root volume and wait until it is completed."""
        volume = self.described(instance)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
        snapshot = str(self.ec2.create_snapshot(VolumeId=volume)["SnapshotId"])
        self.completed(snapshot)
        return snapshot

    def completed(self, snapshot: str) -> None:
        """Wait until a snapshot is completed."""
        self.until(lambda: self.ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"] == "completed")

    def until(self, holds: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until something holds; AssertionError after `seconds`."""
        until(holds, seconds)


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something holds; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"still not so after {seconds} s"
        time.sleep(0.1)


def until_there(file: Path) -> str:
    """Return what a script waits with until a test makes a file, having seen by then what it wants to see."""
    return f"while ! test -e {file}; do sleep 0.1; done"


def asked(url: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> tuple[int, str]:
    """Return status and body of an HTTP answer; status 0 when nobody answers."""
    request = urllib.request.Request(url, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)
