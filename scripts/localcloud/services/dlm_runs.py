"""What lifecycle policies do when a tick makes them due: snapshots, images, copies, deprecation and expiry."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Any

from botocore.exceptions import ClientError

from localcloud import cron
from localcloud.cloud import Cloud
from localcloud.schedules import on_tick
from localcloud.services.backup_access import assumable, role_allows
from localcloud.services.backup_events import announce
from localcloud.services.backup_shifts import awaited, shift
from localcloud.services.dlm import IMAGES, policies, set_state, span_days

LOG = logging.getLogger("localcloud.dlm")
POLICY_TAG = "aws:dlm:lifecycle-policy-id"
SCHEDULE_TAG = "aws:dlm:lifecycle-schedule-name"


class PolicyFailed(Exception):
    """A policy cannot run; the text becomes its status message."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One schedule of one policy, now."""

    cloud: Cloud
    region: str
    policy: dict[str, Any]
    schedule: dict[str, Any]
    now: datetime

    @property
    def details(self) -> dict[str, Any]:
        return dict(self.policy["PolicyDetails"])

    @property
    def policy_id(self) -> str:
        return str(self.policy["PolicyId"])

    @property
    def name(self) -> str:
        return str(self.schedule["Name"])

    @property
    def description(self) -> str:
        return f"Created for policy: {self.policy_id} schedule: {self.name}"

    def ec2(self, region: str | None = None) -> Any:
        """Return a client of EC2 in a region, by default the policy's own."""
        return self.cloud.client("ec2", region or self.region)

    def require(self, *actions: str) -> None:
        """Raise PolicyFailed when the execution role does not allow an action."""
        role = self.policy["ExecutionRoleArn"]
        for action in actions:
            if not role_allows(self.cloud, role, action):
                raise PolicyFailed(f"The role {role} is not authorized to perform {action}.")


@on_tick
def run_due(cloud: Cloud, schedule: str, now: datetime) -> list[str]:
    """Run every policy that has a schedule due in this tick; return one line for each thing made or deleted."""
    lines: list[str] = []
    with shift(cloud):
        regions = sorted(region for name, region in list(cloud.remembered.stores) if name == "dlm")
        for region in regions:
            for policy in list(policies(cloud, region).values()):
                lines += _run_policy(cloud, region, policy, schedule, now)
    return lines


def _run_policy(cloud: Cloud, region: str, policy: dict[str, Any], tick: str, now: datetime) -> list[str]:
    # A policy in ERROR is tried again at each due time, and recovers by itself.
    if policy["State"] == "DISABLED":
        return []
    due = [s for s in policy["PolicyDetails"]["Schedules"] if _due_in(s["CreateRule"], now) == tick]
    lines: list[str] = []
    for schedule in due:
        run = Run(cloud=cloud, region=region, policy=policy, schedule=schedule, now=now)
        try:
            if not assumable(cloud, policy["ExecutionRoleArn"], "dlm.amazonaws.com"):
                raise PolicyFailed(f"The role {policy['ExecutionRoleArn']} cannot be assumed by DLM.")
            made = list(_images(run) if run.details["PolicyType"] == IMAGES else _snapshots(run))
            lines += [f"DLM {run.policy_id} ({run.name}): {line}" for line in made]
        except (PolicyFailed, ClientError, TimeoutError) as error:
            LOG.warning("policy %s failed: %s", run.policy_id, error)
            set_state(policy, "ERROR", str(error), now)
            if policy["PolicyDetails"]["PolicyType"] != IMAGES:  # image policies emit no events in AWS
                detail = {"state": "ERROR", "cause": str(error), "policy_id": policy["PolicyArn"]}
                announce(
                    cloud,
                    region,
                    source="aws.dlm",
                    detail_type="DLM Policy State Change",
                    detail=detail,
                    resources=[policy["PolicyArn"]],
                )
            return [*lines, f"DLM {run.policy_id} ({run.name}): ERROR {error}"]
    if due and policy["State"] == "ERROR":
        set_state(policy, "ENABLED", "ENABLED", now)
    return lines


def _due_in(rule: dict[str, Any], now: datetime) -> str | None:
    if "Interval" in rule:  # hours, 24 at most
        return "daily"
    return cron.due_in(rule["CronExpression"], now.date())


# -- snapshots ---------------------------------------------------------------------------------------------------------


def _snapshots(run: Run) -> Iterator[str]:
    run.require("ec2:CreateSnapshot" if _targets_volumes(run) else "ec2:CreateSnapshots", "ec2:CreateTags")
    ec2 = run.ec2()
    for volume, instance_id in _volumes(run):
        snapshot_id = ec2.create_snapshot(
            VolumeId=volume["VolumeId"],
            Description=run.description,
            TagSpecifications=_tags(run, "snapshot", volume.get("Tags", []), instance_id),
        )["SnapshotId"]
        _remember(run, run.region, snapshot_id, volume["VolumeId"])
        yield f"snapshot {snapshot_id} of {volume['VolumeId']}"
        awaited(run.cloud, partial(_completed, ec2, snapshot_id), f"snapshot {snapshot_id}")
        shared = [a for rule in run.schedule.get("ShareRules") or [] for a in rule["TargetAccounts"]]
        if shared:
            run.require("ec2:ModifySnapshotAttribute")
            ec2.modify_snapshot_attribute(
                SnapshotId=snapshot_id, Attribute="createVolumePermission", OperationType="add", UserIds=shared
            )
        for rule in run.schedule.get("CrossRegionCopyRules") or []:
            run.require("ec2:CopySnapshot")
            target = rule.get("Target") or rule["TargetRegion"]
            tags = volume.get("Tags", []) if rule.get("CopyTags") else []
            copy_id = run.ec2(target).copy_snapshot(
                SourceRegion=run.region,
                SourceSnapshotId=snapshot_id,
                Description=f"[Copied {snapshot_id} from {run.region}] {run.description}",
                TagSpecifications=_tags(run, "snapshot", tags, instance_id),
                **_encryption(rule),
            )["SnapshotId"]
            _remember(run, target, copy_id, volume["VolumeId"])
            yield f"snapshot {copy_id} in {target}, a copy of {snapshot_id}"
    yield from _expire_snapshots(run)


def _targets_volumes(run: Run) -> bool:
    return bool(run.details["ResourceTypes"] == ["VOLUME"])


def _volumes(run: Run) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each volume to take, with its instance's id or nothing."""
    if _targets_volumes(run):
        pages = run.ec2().get_paginator("describe_volumes")
        for volume in _tagged(run, pages, lambda page: page["Volumes"], "VolumeId"):
            yield volume, ""
        return
    parameters = run.details.get("Parameters") or {}
    excluded = {(tag["Key"], tag["Value"]) for tag in parameters.get("ExcludeDataVolumeTags") or []}
    for instance in _instances(run):
        for device in instance.get("BlockDeviceMappings", []):
            is_root = device["DeviceName"] == instance.get("RootDeviceName")
            volume = run.ec2().describe_volumes(VolumeIds=[device["Ebs"]["VolumeId"]])["Volumes"][0]
            tags = {(tag["Key"], tag["Value"]) for tag in volume.get("Tags", [])}
            if (is_root and parameters.get("ExcludeBootVolume")) or (not is_root and tags & excluded):
                continue
            yield volume, instance["InstanceId"]


def _instances(run: Run) -> list[dict[str, Any]]:
    pages = run.ec2().get_paginator("describe_instances")
    found = _tagged(run, pages, lambda page: [i for r in page["Reservations"] for i in r["Instances"]], "InstanceId")
    return [instance for instance in found if instance["State"]["Name"] in ("running", "stopped")]


def _tagged(run: Run, pages: Any, items: Any, key: str) -> list[dict[str, Any]]:
    """Return what carries any one of the target tags, each once."""
    found: dict[str, dict[str, Any]] = {}
    for tag in run.details["TargetTags"]:
        for page in pages.paginate(Filters=[{"Name": f"tag:{tag['Key']}", "Values": [tag["Value"]]}]):
            found.update({item[key]: item for item in items(page)})
    return list(found.values())


def _expire_snapshots(run: Run) -> Iterator[str]:
    run.require("ec2:DeleteSnapshot")
    for region, rule in _retained(run):
        ec2 = run.ec2(region)
        pages = ec2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=_mine(run))
        snapshots = [(snapshot, snapshot["StartTime"]) for page in pages for snapshot in page["Snapshots"]]
        for snapshot in _beyond(run, region, rule, snapshots):
            ec2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])
            yield f"deleted snapshot {snapshot['SnapshotId']} in {region}, past its retention"


# -- images ------------------------------------------------------------------------------------------------------------


def _images(run: Run) -> Iterator[str]:
    run.require("ec2:CreateImage", "ec2:CreateTags")
    ec2 = run.ec2()
    no_reboot = (run.details.get("Parameters") or {}).get("NoReboot", True)
    for instance in _instances(run):
        instance_id = instance["InstanceId"]
        name = f"{run.policy_id}_{instance_id}_{run.now:%Y-%m-%dT%H.%M.%S.%f}"
        tags = _tags(run, "image", instance.get("Tags", []), instance_id)
        image_id = ec2.create_image(
            InstanceId=instance_id,
            Name=name,
            Description=run.description,
            NoReboot=no_reboot,
            TagSpecifications=tags,
        )["ImageId"]
        image = awaited(run.cloud, partial(_available, ec2, image_id), f"image {image_id}")
        snapshots = _snapshots_of(image)
        if snapshots:
            ec2.create_tags(Resources=snapshots, Tags=tags[0]["Tags"])
        _remember(run, run.region, image_id, instance_id)
        yield f"image {image_id} of {instance_id}"
        _deprecate(run, run.region, image_id, run.schedule.get("DeprecateRule"))
        for rule in run.schedule.get("CrossRegionCopyRules") or []:
            run.require("ec2:CopyImage")
            target = rule.get("Target") or rule["TargetRegion"]
            kept = instance.get("Tags", []) if rule.get("CopyTags") else []
            copy_id = run.ec2(target).copy_image(
                SourceRegion=run.region,
                SourceImageId=image_id,
                Name=name,
                Description=f"[Copied {image_id} from {run.region}] {run.description}",
                **_encryption(rule),
            )["ImageId"]
            run.ec2(target).create_tags(Resources=[copy_id], Tags=_tags(run, "image", kept, instance_id)[0]["Tags"])
            _remember(run, target, copy_id, instance_id)
            yield f"image {copy_id} in {target}, a copy of {image_id}"
            _deprecate(run, target, copy_id, rule.get("DeprecateRule"))
    yield from _expire_images(run)


def _deprecate(run: Run, region: str, image_id: str, rule: dict[str, Any] | None) -> None:
    if rule and "Interval" in rule:
        run.require("ec2:EnableImageDeprecation")
        moment = run.now + timedelta(days=span_days(rule))
        run.ec2(region).enable_image_deprecation(ImageId=image_id, DeprecateAt=moment)


def _expire_images(run: Run) -> Iterator[str]:
    run.require("ec2:DeregisterImage", "ec2:DeleteSnapshot")
    for region, rule in _retained(run):
        ec2 = run.ec2(region)
        images = ec2.describe_images(Owners=["self"], Filters=_mine(run))["Images"]
        dated = [(image, datetime.fromisoformat(image["CreationDate"])) for image in images]
        expired = _beyond(run, region, rule, dated)
        for image in expired:
            ec2.deregister_image(ImageId=image["ImageId"])
            yield f"deregistered image {image['ImageId']} in {region}, past its retention"
            for snapshot_id in _snapshots_of(image):
                ec2.delete_snapshot(SnapshotId=snapshot_id)
        deprecate = run.schedule.get("DeprecateRule") or {}
        if region == run.region and "Count" in deprecate:
            kept = [(image, at) for image, at in dated if image not in expired]
            for image in _beyond(run, region, {"Count": deprecate["Count"]}, kept):
                run.require("ec2:EnableImageDeprecation")
                moment = run.now + timedelta(minutes=1)
                ec2.enable_image_deprecation(ImageId=image["ImageId"], DeprecateAt=moment)


def _completed(ec2: Any, snapshot_id: str) -> bool | None:
    state = ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0]["State"]
    if state == "error":
        raise PolicyFailed(f"The snapshot {snapshot_id} failed.")
    return True if state == "completed" else None


def _available(ec2: Any, image_id: str) -> dict[str, Any] | None:
    image: dict[str, Any] = ec2.describe_images(ImageIds=[image_id])["Images"][0]
    if image["State"] == "failed":
        raise PolicyFailed(f"The image {image_id} failed.")
    return image if image["State"] == "available" else None


def _snapshots_of(image: dict[str, Any]) -> list[str]:
    mapped = [mapping.get("Ebs", {}).get("SnapshotId") for mapping in image.get("BlockDeviceMappings", [])]
    return [snapshot_id for snapshot_id in mapped if snapshot_id]


# -- both --------------------------------------------------------------------------------------------------------------


def _encryption(rule: dict[str, Any]) -> dict[str, Any]:
    if not rule.get("Encrypted"):
        return {}
    return {"Encrypted": True, **({"KmsKeyId": rule["CmkArn"]} if rule.get("CmkArn") else {})}


def _tags(run: Run, kind: str, source_tags: list[dict[str, str]], instance_id: str) -> list[dict[str, Any]]:
    """Return the tag specification of something made: the policy's marks, tags to add, and the source's tags."""
    copied = source_tags if run.schedule.get("CopyTags") else []
    tags = {tag["Key"]: tag["Value"] for tag in copied if not tag["Key"].startswith("aws:")}
    tags.update({tag["Key"]: tag["Value"] for tag in run.schedule.get("TagsToAdd") or []})
    variables = {"$(instance-id)": instance_id, "$(timestamp)": f"{run.now:%Y-%m-%dT%H:%M:%SZ}"}
    for tag in run.schedule.get("VariableTags") or []:
        tags[tag["Key"]] = variables.get(tag["Value"], tag["Value"])
    tags.update({POLICY_TAG: run.policy_id, SCHEDULE_TAG: run.name, "dlm:managed": "true"})
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]


def _mine(run: Run) -> list[dict[str, Any]]:
    """Return the filters that find what this schedule made: renaming a schedule orphans them, as in AWS."""
    return [
        {"Name": f"tag:{POLICY_TAG}", "Values": [run.policy_id]},
        {"Name": f"tag:{SCHEDULE_TAG}", "Values": [run.name]},
    ]


def _retained(run: Run) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each region with the rule by which things are kept there; copies without one follow the source's."""
    yield run.region, run.schedule["RetainRule"]
    for rule in run.schedule.get("CrossRegionCopyRules") or []:
        yield rule.get("Target") or rule["TargetRegion"], rule.get("RetainRule") or run.schedule["RetainRule"]


def _remember(run: Run, region: str, made_id: str, source_id: str) -> None:
    """Note which volume or instance something goes back to; the APIs of copies and images do not tell."""
    run.cloud.store("dlm_made", region)[made_id] = (source_id, run.cloud.now())


def _beyond(
    run: Run, region: str, rule: dict[str, Any], dated: Iterable[tuple[dict[str, Any], datetime]]
) -> list[dict[str, Any]]:
    """Return what a retention rule no longer keeps: by age, or all but the newest of each source."""
    if "Interval" in rule:
        oldest = run.now - timedelta(days=span_days(rule))
        return [item for item, at in dated if at < oldest]
    made = run.cloud.store("dlm_made", region)

    def origin(pair: tuple[dict[str, Any], datetime]) -> tuple[str, datetime]:
        # What the API says about times is in whole seconds: too coarse to order two runs by.
        source, at = made.get(pair[0].get("SnapshotId") or pair[0].get("ImageId"), ("", pair[1]))
        return str(source), at

    groups = groupby(sorted(dated, key=origin, reverse=True), key=lambda pair: origin(pair)[0])
    return [item for _, group in groups for item, _ in list(group)[rule["Count"] :]]
