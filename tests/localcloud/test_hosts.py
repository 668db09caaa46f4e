"""Instances that are real: states, user data, metadata and credentials, and what AWS refuses."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest
from botocore.exceptions import ClientError

from tests.conftest import RunningCloud, start_cloud, stop_cloud
from tests.localcloud.machines import BASE_IMAGE, Machines, asked, until

COUNTING = """#!/bin/bash
echo run >>"${HOST_ROOT:-}/var/count"
echo "hello from $(. "${HOST_ROOT:-}/etc/os-release"; echo "$ID")"
"""


@pytest.fixture(scope="module")
def machines(cloud: RunningCloud) -> Machines:
    return Machines(cloud)


def programs_of(instance: str) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("LOCALCLOUD_HOST", "").endswith(instance):
                found.append(" ".join(process.cmdline()))
        except (psutil.Error, OSError):
            continue
    return found


@pytest.mark.parametrize("region", ["eu-west-1", "eu-central-1"])
def test_the_base_image_is_amazons_and_the_same_in_both_regions(cloud: RunningCloud, region: str) -> None:
    ec2 = cloud.client("ec2", region)

    image = ec2.describe_images(Owners=["amazon"], Filters=[{"Name": "name", "Values": ["al2023-ami-*"]}])["Images"][0]

    assert image["ImageId"] == BASE_IMAGE
    assert (image["Architecture"], image["RootDeviceType"], image["RootDeviceName"]) == ("x86_64", "ebs", "/dev/xvda")
    assert image["State"] == "available"
    assert ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []


def test_an_instance_goes_from_pending_to_running_and_does_its_user_data_once(machines: Machines) -> None:
    launched = machines.ec2.run_instances(ImageId=BASE_IMAGE, MinCount=1, MaxCount=1, UserData=COUNTING)["Instances"][0]
    instance = launched["InstanceId"]
    root = machines.root(instance)
    machines.until((root / f"var/lib/cloud/instances/{instance}/boot-finished").exists)
    machines.ec2.reboot_instances(InstanceIds=[instance])
    machines.ec2.stop_instances(InstanceIds=[instance])
    machines.until(lambda: machines.state(instance) == "stopped")
    machines.ec2.start_instances(InstanceIds=[instance])
    machines.until(lambda: machines.state(instance) == "running")

    assert launched["State"]["Name"] == "pending"
    assert launched["PrivateIpAddress"].startswith("127.")
    assert (root / "var/count").read_text() == "run\n"
    assert (root / "var/log/cloud-init-output.log").read_text() == "hello from amzn\n"


def test_user_data_that_fails_is_reported_as_cloud_init_does(machines: Machines) -> None:
    instance = machines.launch("#!/bin/bash\necho before\nexit 7\n")

    said = (machines.root(instance) / "var/log/cloud-init-output.log").read_text()
    status = machines.shell(instance, "cloud-init status")

    assert said.startswith("before\n")
    assert "Failed to run module scripts-user: part-001 ended with status 7" in said
    assert (status.code, status.out.splitlines()[0]) == (1, "status: error")


def test_user_data_that_is_no_script_is_not_passed_over_in_silence(machines: Machines) -> None:
    instance = machines.launch("#cloud-config\nruncmd: [touch /tmp/x]\n")

    said = (machines.root(instance) / "var/log/cloud-init-output.log").read_text()

    assert "the local cloud runs user data that starts with #! only" in said


def test_status_checks_pass_while_the_host_runs(machines: Machines) -> None:
    instance = machines.launch()

    status = machines.ec2.describe_instance_status(InstanceIds=[instance])["InstanceStatuses"][0]

    assert (status["InstanceStatus"]["Status"], status["SystemStatus"]["Status"]) == ("ok", "ok")


def test_termination_ends_every_program_and_removes_the_files(machines: Machines) -> None:
    instance = machines.launch("#!/bin/bash\nsetsid nohup sleep 600 >/dev/null 2>&1 &\n")
    running = programs_of(instance)

    machines.ec2.terminate_instances(InstanceIds=[instance])
    state = machines.state(instance)
    machines.until(lambda: machines.state(instance) == "terminated")

    assert running == ["sleep 600"]
    assert state in ("shutting-down", "terminated")
    assert programs_of(instance) == []
    assert not machines.root(instance).exists()


def test_a_stopped_host_has_no_programs_and_keeps_its_files(machines: Machines) -> None:
    instance = machines.launch('#!/bin/bash\ndate >"${HOST_ROOT:-}/opt/kept"\nsleep 600 &\n')

    machines.ec2.stop_instances(InstanceIds=[instance])
    machines.until(lambda: machines.state(instance) == "stopped")

    assert programs_of(instance) == []
    assert (machines.root(instance) / "opt/kept").exists()
    assert machines.ec2.describe_instance_status(InstanceIds=[instance])["InstanceStatuses"] == []


@pytest.mark.parametrize("order", ["start_instances", "stop_instances", "reboot_instances"])
def test_a_terminated_instance_takes_no_orders(machines: Machines, order: str) -> None:
    instance = machines.launch()
    machines.ec2.terminate_instances(InstanceIds=[instance])
    machines.until(lambda: machines.state(instance) == "terminated")

    with pytest.raises(ClientError, match=f"IncorrectInstanceState.*{instance}"):
        getattr(machines.ec2, order)(InstanceIds=[instance])


def test_a_launch_of_an_unknown_image_is_refused(machines: Machines) -> None:
    with pytest.raises(ClientError, match="InvalidAMIID.NotFound"):
        machines.ec2.run_instances(ImageId="ami-0123456789abcdef0", MinCount=1, MaxCount=1)


def test_a_root_volume_smaller_than_the_image_is_refused(machines: Machines) -> None:
    small = [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 4}}]

    with pytest.raises(ClientError, match="Volume of size 4GB is smaller than snapshot .* expect size >= 8GB"):
        machines.ec2.run_instances(ImageId=BASE_IMAGE, MinCount=1, MaxCount=1, BlockDeviceMappings=small)


def test_a_launch_sent_twice_with_one_token_makes_one_instance(machines: Machines) -> None:
    order = {"ImageId": BASE_IMAGE, "MinCount": 1, "MaxCount": 1, "ClientToken": "once-and-only-once"}

    first, again = (machines.ec2.run_instances(**order)["Instances"][0]["InstanceId"] for _ in range(2))

    assert first == again


def metadata(machines: Machines, instance: str) -> str:
    return f"http://{machines.described(instance)['PrivateIpAddress']}:1338/latest"


def token(service: str, way: str = "") -> dict[str, str]:
    url = service.replace("/latest", f"{way}/latest/api/token")
    status, text = asked(url, method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    assert status == 200, text
    return {"X-aws-ec2-metadata-token": text}


def test_metadata_wants_a_token_and_then_says_who_the_instance_is(machines: Machines) -> None:
    instance = machines.launch()
    service = metadata(machines, instance)

    refused = asked(f"{service}/meta-data/instance-id")
    invented = asked(f"{service}/meta-data/instance-id", headers={"X-aws-ec2-metadata-token": "invented"})
    known = asked(f"{service}/meta-data/instance-id", headers=token(service))
    document = json.loads(asked(f"{service}/dynamic/instance-identity/document", headers=token(service))[1])

    assert (refused[0], invented[0]) == (401, 401)
    assert known == (200, instance)
    assert (document["region"], document["imageId"]) == ("eu-west-1", BASE_IMAGE)


@pytest.mark.parametrize("seconds", ["", "0", "21601", "soon"])
def test_a_token_for_an_impossible_time_is_refused(machines: Machines, seconds: str) -> None:
    service = metadata(machines, machines.launch())

    status, _ = asked(f"{service}/api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": seconds})

    assert status == 400


def test_a_hop_limit_of_one_keeps_containers_from_the_metadata(machines: Machines) -> None:
    far = metadata(machines, machines.launch(MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 1}))

    with pytest.raises(AssertionError, match="http_put_response_hop_limit is too low"):
        token(far, "/container")


def test_programs_of_a_host_act_as_the_instances_role(machines: Machines) -> None:
    instance = machines.launch()

    who = machines.shell(instance, "aws sts get-caller-identity --query Arn --output text")

    assert (who.err, who.code) == ("", 0)
    assert who.out == f"arn:aws:sts::123456789012:assumed-role/host/{instance}\n"


def test_a_host_without_a_role_has_no_credentials(machines: Machines) -> None:
    script = '#!/bin/bash\naws sts get-caller-identity >"${HOST_ROOT:-}/opt/who" 2>&1\ntrue\n'
    instance = machines.ec2.run_instances(ImageId=BASE_IMAGE, MinCount=1, MaxCount=1, UserData=script)["Instances"][0]
    root = machines.root(instance["InstanceId"])
    machines.until((root / f"var/lib/cloud/instances/{instance['InstanceId']}/boot-finished").exists)

    assert "Unable to locate credentials" in (root / "opt/who").read_text()


def test_scripts_cannot_reach_the_machines_own_service_manager_or_docker(machines: Machines) -> None:
    instance = machines.launch()

    found = machines.shell(
        instance, "for p in docker podman sudo reboot systemctl apt-get; do command -v $p; done; true"
    )

    assert found.out == f"{machines.root(instance)}/usr/bin/systemctl\n"


def test_what_dnf_and_systemctl_do_not_have_is_refused(machines: Machines) -> None:
    instance = machines.launch()

    package = machines.shell(instance, "dnf install -y no-such-package")
    unit = machines.shell(instance, "systemctl enable --now docker")
    unasked = machines.shell(instance, "dnf install docker")

    assert (package.code, "Unable to find a match: no-such-package" in package.err) == (1, True)
    assert (unit.code, "Unit file docker.service does not exist" in unit.err) == (1, True)
    assert (unasked.code, "Operation aborted." in unasked.err) == (1, True)


def test_nothing_of_a_host_outlives_the_cloud_and_all_of_it_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    cloud = start_cloud(open_folder(tmp_path_factory.mktemp("restart")))
    machines = Machines(cloud)
    instance = machines.launch('#!/bin/bash\necho kept >"${HOST_ROOT:-}/opt/kept"\nsetsid sleep 600 &\n')
    stop_cloud(cloud)
    left = programs_of(instance)

    cloud = start_cloud(cloud.directory, cloud.port)
    again = Machines(cloud)
    until(lambda: again.state(instance) == "running")
    kept = again.shell(instance, 'cat "$HOST_ROOT/opt/kept"')
    stop_cloud(cloud)

    assert left == []
    assert kept.out == "kept\n"


def test_loading_a_save_brings_back_a_terminated_host_with_its_files(machines: Machines, cloud: RunningCloud) -> None:
    instance = machines.launch('#!/bin/bash\necho kept >"${HOST_ROOT:-}/opt/kept"\n')
    cloud.control("save", name="with-host")
    machines.ec2.terminate_instances(InstanceIds=[instance])
    machines.until(lambda: machines.state(instance) == "terminated")

    cloud.control("load", name="with-host")

    assert machines.state(instance) == "running"
    assert machines.shell(instance, 'cat "$HOST_ROOT/opt/kept"').out == "kept\n"


def test_the_docker_daemon_answers_no_web_page(machines: Machines) -> None:
    address = machines.described(machines.launch())["PrivateIpAddress"]

    status, text = asked(f"http://{address}:1338/docker/list", method="POST")

    assert (status, "X-Localcloud" in text) == (400, True)


def open_folder(folder: Path) -> Path:
    """Let the unprivileged account of PostgreSQL and hosts pass through."""
    for part in (folder, *folder.parents[:3]):
        if part.stat().st_mode & 0o005 != 0o005:
            part.chmod(part.stat().st_mode | 0o755)
    return folder


def test_an_unreachable_host_answers_nothing(machines: Machines) -> None:
    instance = machines.launch()
    service = metadata(machines, instance)
    machines.ec2.stop_instances(InstanceIds=[instance])
    machines.until(lambda: machines.state(instance) == "stopped")

    assert asked(f"{service}/meta-data/instance-id")[0] == 0
