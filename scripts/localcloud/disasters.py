"""Disasters on demand, for `lifeboat local break`: what they are, and what each does to the cloud."""

from __future__ import annotations

from collections.abc import Callable

from localcloud import machine_images
from localcloud.cloud import Cloud
from localcloud.operations import Refused
from localcloud.services import backup_testing, hosts, rds_disasters
from localcloud.services import rds_records as records


class NothingToBreak(Exception):
    """There is nothing of the kind; the text says what was looked for."""


def _instances(cloud: Cloud) -> list[str]:
    """The machine under each running instance dies: EC2 still shows it running, its status checks fail."""
    done = []
    for region in machine_images.REGIONS:
        for instance in cloud.moto("ec2", region).all_instances():
            if instance.state == "running":
                hosts.break_machine(cloud, instance)
                done.append(f"the machine of {instance.id} in {region} died; EC2 shows it running, its checks fail")
    return done


def _instances_gone(cloud: Cloud) -> list[str]:
    """Each running instance is terminated, as by a hand that meant another one."""
    done = []
    for region in machine_images.REGIONS:
        for instance in cloud.moto("ec2", region).all_instances():
            if instance.state == "running":
                cloud.client("ec2", region).terminate_instances(InstanceIds=[instance.id])
                done.append(f"{instance.id} in {region} is terminated")
    return done


def _databases(cloud: Cloud) -> list[str]:
    """The storage of each database instance is lost: RDS shows it failed. What restore tests made is nobody's database."""
    done = []
    for region in records.regions(cloud):
        for name, record in records.instances(cloud, region).items():
            if name.startswith(backup_testing.PREFIX):
                continue
            try:
                rds_disasters.break_resource(cloud, region, record["shape"]["DBInstanceArn"], "failed")
            except Refused as error:
                raise NothingToBreak(str(error)) from error
            done.append(f"{name} in {region} lost its storage; RDS shows it failed")
    return done


def _states(cloud: Cloud) -> list[str]:
    """Terraform's state of the stack is deleted: S3 puts a delete marker over its versions."""
    done = []
    s3 = cloud.client("s3", "us-east-1")
    for bucket in s3.list_buckets()["Buckets"]:
        for entry in s3.list_objects_v2(Bucket=bucket["Name"], Prefix="stack.tfstate").get("Contents", []):
            if entry["Key"] == "stack.tfstate" and "-tfstate-" in bucket["Name"]:
                s3.delete_object(Bucket=bucket["Name"], Key=entry["Key"])
                done.append(f"s3://{bucket['Name']}/{entry['Key']} is deleted")
    return done


DISASTERS: dict[str, Callable[[Cloud], list[str]]] = {
    "instance": _instances,
    "instance-gone": _instances_gone,
    "database": _databases,
    "state": _states,
}


def strike(cloud: Cloud, what: str) -> list[str]:
    """Let one disaster happen and return what it did, in words; raises NothingToBreak when it finds nothing."""
    done = DISASTERS[what](cloud)
    if not done:
        raise NothingToBreak(f"there is nothing that {what!r} could happen to")
    cloud.changed()
    return done
