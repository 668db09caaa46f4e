"""EC2 instances that are real: RunInstances makes a host, the others start, stop, reboot and remove it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from typing import Any

from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.models.instances import Instance, InstanceBackend, InstanceState

from localcloud import hosts, machine_images
from localcloud.cloud import Cloud
from localcloud.operations import Answer, Call, Refused, around
from localcloud.services import networks

LOG = logging.getLogger("localcloud.hosts")
STATES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
# From which states an order is accepted (EC2 user guide, "Amazon EC2 instance state changes").
ACCEPTED = {
    "StartInstances": ("stopped", "pending", "running"),
    "StopInstances": ("pending", "running", "stopping", "stopped"),
    "RebootInstances": ("pending", "running"),
}


@around("ec2", "RunInstances")
def check_launch(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse images that do not exist or cannot be launched, root volumes smaller than their snapshot, and mixed networks."""
    networks.check_launch(call)
    image_id = call.params.get("ImageId")
    image = call.cloud.moto("ec2", call.region).amis.get(image_id)
    if image_id is not None:
        if not isinstance(image, machine_images.Image):
            raise Refused("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
        if image.state != "available":
            raise Refused("InvalidAMIID.Unavailable", f"The image ID '{image_id}' is not available")
        _check_machine(image, str(call.params.get("InstanceType", "m1.small")))
        smallest = image.root_mapping.get("VolumeSize", 0)
        for mapping in call.params.get("BlockDeviceMappings", []):
            size = mapping.get("Ebs", {}).get("VolumeSize")
            if mapping["DeviceName"] == image.root_device_name and size is not None and size < smallest:
                raise Refused(
                    "InvalidBlockDeviceMapping",
                    f"Volume of size {size}GB is smaller than snapshot '{image.root_mapping.get('SnapshotId')}', "
                    f"expect size >= {smallest}GB",
                )
    return proceed()


def _check_machine(image: machine_images.Image, instance_type: str) -> None:
    """Refuse an image that machines of a type cannot boot."""
    machine = INSTANCE_TYPES.get(instance_type)
    if machine is None:
        return
    able = machine["ProcessorInfo"]["SupportedArchitectures"]
    if image.architecture not in able:
        raise Refused(
            "InvalidParameterValue",
            f"The architecture '{','.join(able)}' of the specified instance type does not match the architecture "
            f"'{image.architecture}' of the specified AMI. Specify an instance type and an AMI that have matching "
            "architectures, and try again.",
        )
    if machine["NetworkInfo"]["EnaSupport"] == "required" and not image.ena_support:
        raise Refused(
            "InvalidParameterCombination",
            f"Enhanced networking with the Elastic Network Adapter (ENA) is required for the '{instance_type}' instance "
            "type. Ensure that you are using an AMI that is enabled for ENA.",
        )


@around("ec2", *ACCEPTED)
def check_state(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse orders to instances that are not in a state to take them."""
    backend = call.cloud.moto("ec2", call.region)
    for instance_id in call.params.get("InstanceIds", []):
        instance = backend.get_instance_by_id(instance_id)
        if instance is not None and instance.state not in ACCEPTED[call.operation]:
            order = call.operation.removesuffix("Instances").lower()
            raise Refused(
                "IncorrectInstanceState",
                f"The instance '{instance_id}' is not in a state from which it can be {order}"
                f"{'ped' if order == 'stop' else 'ed'}.",
            )
    return proceed()


BROKEN = "hosts.broken"  # instances whose machine is dead: until they are stopped and started, on another machine


def break_machine(cloud: Cloud, instance: Any) -> None:
    """Let the machine under an instance die; EC2 does not change the instance's state for that."""
    cloud.store(BROKEN)[instance.id] = True
    hosts.of(cloud).power_off(instance.id)


class Lifecycle:
    """What happens to hosts when moto's records of instances change."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.hosts = hosts.of(cloud)

    def address_of(self, instance: Any) -> str:
        """Return the loopback address of an instance's host."""
        addresses = self.cloud.store("hosts.addresses")
        if instance.id not in addresses:
            addresses[instance.id] = self.cloud.new_address("host")
        return str(addresses[instance.id])

    def launch(self, instance: Any) -> None:
        """Boot an instance in the background: pending, then running, then its user data."""
        set_state(instance, "pending")

        def boot() -> None:
            with self.hosts.turn(instance.id):
                if instance.state != "pending":
                    return
                self.power_on(instance)
            host = self.hosts.running(instance.id)
            if host is not None:
                self.hosts.run_user_data(host, instance.user_data)

        self.cloud.background(boot, name=f"boot {instance.id}")

    def power_on(self, instance: Any) -> None:
        """Start the host; without a root file system the instance runs too, but never passes its status checks."""
        if instance.id in self.cloud.store(BROKEN):
            return
        image = self.cloud.moto("ec2", instance.region_name).amis.get(instance.image_id)
        files = machine_images.image_files(self.cloud, image)
        try:
            address = self.address_of(instance)
            self.hosts.power_on(instance.id, instance.region_name, address=address, files=files)
        except hosts.NotBootable:
            LOG.exception("%s does not boot", instance.id)
        if instance.state == "pending":
            set_state(instance, "running")

    def stop(self, instance: Any) -> None:
        """Shut a host down in the background: stopping, then stopped; the next start is on another machine."""
        set_state(instance, "stopping")
        self.cloud.store(BROKEN).pop(instance.id, None)

        def work() -> None:
            with self.hosts.turn(instance.id):
                self.hosts.power_off(instance.id)
                if instance.state == "stopping":
                    set_state(instance, "stopped")

        self.cloud.background(work, name=f"stop {instance.id}")

    def reboot(self, instance: Any) -> None:
        """Restart a host in the background; AWS shows it running all the while."""

        def work() -> None:
            with self.hosts.turn(instance.id):
                self.hosts.power_off(instance.id)
                if instance.state == "running":
                    self.power_on(instance)

        self.cloud.background(work, name=f"reboot {instance.id}")

    def terminate(self, instance: Any, *, kept_volume: str | None) -> None:
        """End a host in the background: shutting-down, then terminated; its files go unless the volume is kept."""
        set_state(instance, "shutting-down")
        backend = instance.ec2_backend
        for address in backend.addresses:
            if address.instance is instance or (address.eni and address.eni.instance is instance):
                backend.disassociate_address(address=address.public_ip)

        def work() -> None:
            with self.hosts.turn(instance.id):
                self.hosts.power_off(instance.id)
                folder = self.hosts.root_of(instance.id).parent
                if kept_volume and (folder / "root").is_dir():
                    (folder / "root").rename(self.cloud.folder("volumes") / kept_volume)
                shutil.rmtree(folder, ignore_errors=True)
                set_state(instance, "terminated")

        self.cloud.background(work, name=f"terminate {instance.id}")

    def start_all(self, cloud: Cloud) -> None:
        """Bring every instance to where it was going when the cloud stopped."""
        for region in machine_images.REGIONS:
            for instance in cloud.moto("ec2", region).all_instances():
                if instance.state == "running":
                    self.power_on(instance)
                    host = self.hosts.running(instance.id)
                    if host is not None:
                        self.resume_boot(host, instance.user_data)
                elif instance.state == "pending":
                    self.launch(instance)
                elif instance.state == "stopping":
                    set_state(instance, "stopped")
                elif instance.state == "shutting-down":
                    shutil.rmtree(self.hosts.root_of(instance.id).parent, ignore_errors=True)
                    set_state(instance, "terminated")

    def resume_boot(self, host: hosts.Host, user_data: str | None) -> None:
        """Run the user data when the cloud was stopped before it had ended."""
        self.cloud.background(
            lambda: self.hosts.run_user_data(host, user_data), name=f"user data of {host.instance_id}"
        )


def set_state(instance: Any, name: str) -> None:
    """Put an instance into a state."""
    instance._state = InstanceState(name, STATES[name])


def root_volume(instance: Any) -> tuple[str, bool] | None:
    """Return the id of an instance's root volume and whether it goes with the instance."""
    found = instance.block_device_mapping.get(instance.root_device_name)
    return (found.volume_id, bool(found.delete_on_termination)) if found else None


def complete_volumes(instance: Any) -> None:
    """Give a new instance the volumes of its image that the launch did not mention, and what snapshots pass on."""
    backend = instance.ec2_backend
    image = backend.amis.get(instance.image_id)
    if not isinstance(image, machine_images.Image):
        return
    for mapping in image.mappings:
        ebs, device = mapping["Ebs"], mapping["DeviceName"]
        if device not in instance.block_device_mapping:
            instance.add_block_device(
                ebs["VolumeSize"], device, None, ebs.get("Encrypted", False), ebs["DeleteOnTermination"], None,
                volume_type=ebs.get("VolumeType"),
            )  # fmt: skip
        volume = backend.get_volume(instance.block_device_mapping[device].volume_id)
        volume.snapshot_id = ebs.get("SnapshotId")
        if ebs.get("Encrypted") and not volume.encrypted:
            volume.encrypted = True
            volume.kms_key_id = volume.kms_key_id or backend._create_default_encryption_key()


def install(cloud: Cloud) -> None:
    """Connect moto's instances with hosts."""
    lifecycle = Lifecycle(cloud)
    run, prepare_nics = InstanceBackend.run_instances, Instance.prep_nics
    start, stop, terminate, reboot = Instance.start, Instance.stop, Instance.terminate, Instance.reboot

    def run_instances(self: Any, *arguments: Any, **named: Any) -> Any:
        token = named.get("client_token")
        for reservation in self.reservations.values():
            if any(i.client_token == token and token not in (None, "", "ABCDE") for i in reservation.instances):
                return reservation
        reservation = run(self, *arguments, **named)
        for instance in reservation.instances:
            complete_volumes(instance)
            lifecycle.launch(instance)
        return reservation

    def prep_nics(self: Any, nic_spec: Any, private_ip: str | None = None, **named: Any) -> None:
        prepare_nics(self, nic_spec, private_ip=private_ip, **named)
        nic = self.nics[0]
        wanted = private_ip or next((n.get("PrivateIpAddress") for n in nic_spec if n.get("DeviceIndex") == 0), None)
        if wanted is None or wanted in self._private_ips:
            nic.private_ip_address = lifecycle.address_of(self)
            for address in nic.private_ip_addresses:
                if address.get("Primary"):
                    address["PrivateIpAddress"] = nic.private_ip_address

    def started(self: Any) -> InstanceState:
        previous = start(self)
        if previous.name == "stopped":
            lifecycle.launch(self)
        else:
            self._state = previous
        return previous

    def stopped(self: Any) -> InstanceState:
        previous = stop(self)
        if previous.name in ("running", "pending"):
            lifecycle.stop(self)
        else:
            self._state = previous
        return previous

    def rebooted(self: Any) -> None:
        reboot(self)
        lifecycle.reboot(self)

    def terminated(self: Any) -> InstanceState:
        if self.state in ("terminated", "shutting-down"):
            return InstanceState(self.state, self.state_code)
        volume = root_volume(self)
        previous = terminate(self)
        lifecycle.terminate(self, kept_volume=None if volume is None or volume[1] else volume[0])
        return previous

    def checks(self: Any) -> dict[str, Any]:
        if self.state != "running":
            return {"Status": "not-applicable"}
        passed = lifecycle.hosts.running(self.id) is not None
        detail = {"Name": "reachability", "Status": "passed" if passed else "failed"}
        return {"Details": [detail], "Status": "ok" if passed else "impaired"}

    InstanceBackend.run_instances = run_instances
    Instance.prep_nics = prep_nics
    Instance.setup_defaults = lambda _self: None
    Instance.start, Instance.stop, Instance.terminate, Instance.reboot = started, stopped, terminated, rebooted
    Instance.instance_status = property(checks)
    cloud.on_start(lifecycle.start_all)
    cloud.on_end(lambda _cloud: lifecycle.hosts.power_off_all())
