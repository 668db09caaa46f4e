"""What drills make, in both regions: made with its tags, found again by name or by tag, and removed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from botocore.exceptions import ClientError

from lifeboat.clients import sdk
from lifeboat.clients.sdk import translated
from lifeboat.drill_model import DrillTag, Standing, Thing, ThingKind
from lifeboat.errors import Failed
from lifeboat.model import ImageId, InstanceId, Secret

_NO_DATABASE = ("DBInstanceNotFound", "DBInstanceNotFoundFault")
_BUSY = ("InvalidDBInstanceState", "InvalidDBInstanceStateFault")
_NO_SECRET = ("ResourceNotFoundException",)
_NO_INSTANCE = ("InvalidInstanceID.NotFound",)
_NO_VOLUME = ("InvalidVolume.NotFound",)
_NO_OBJECT = ("404", "NoSuchKey", "NoSuchBucket", "NotFound")
_NO_QUEUE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
_QUEUES_AT_ONCE = 1000  # the most that SQS lists
_STATES = ["pending", "running", "stopping", "stopped", "shutting-down"]
_TAGGED = [{"Name": "tag-key", "Values": [DrillTag.DRILL.value]}]


class DrillThings:
    """Everything of the kinds that drills make; what it removes, its caller has looked at."""

    def __init__(self, *, client: Callable[[str, str], Any]) -> None:
        self._client = client

    # -- looking ---------------------------------------------------------------------------------------------------------

    def standing(self, thing: Thing) -> Standing | None:
        """Return how a thing is that is known by its name; None where there is none.

        Raises Failed where its kind is one that this version does not know.
        """
        look = _FOUND.get(thing.kind)
        if look is None:
            raise Failed(
                f"this lifeboat does not know what a {thing.kind} is, which the ledger names: {thing.id}",
                hint="look at it and remove it yourself, or use the newest lifeboat",
            )
        with translated(f"look at {thing.words}"):
            return look(self, thing)

    def tagged(self, region: str) -> Iterator[Standing]:
        """Yield everything in a region that bears a drill's mark, whoever's, to the last page."""
        with translated(f"list what bears the mark {DrillTag.DRILL.value} in {region}"):
            for listed in _LISTED:
                yield from listed(self, region)

    def remove(self, thing: Thing) -> None:
        """Order a thing to be removed; one that is gone, or going, is as good. Whether it is gone tells `standing`."""
        with translated(f"remove {thing.words}"):
            _REMOVED[thing.kind](self, thing)

    # -- making ----------------------------------------------------------------------------------------------------------

    def make_secret(self, thing: Thing, entries: Mapping[str, Any], tags: Mapping[str, str], key: str | None) -> None:
        """Make a secret that holds these entries as JSON; one of that name is the same one."""
        under = {} if key is None else {"KmsKeyId": key}
        with translated(f"make {thing.words}"):
            sdk.unless_absent(
                ("ResourceExistsException",),
                lambda: self._client("secretsmanager", thing.region).create_secret(
                    Name=thing.id, SecretString=json.dumps(entries), Tags=sdk.pairs(tags), **under
                ),
            )

    def make_copy(self, thing: Thing, body: Secret, tags: Mapping[str, str]) -> None:
        """Make an S3 object; it is encrypted as its bucket says."""
        bucket, key = _place(thing)
        tagging = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in tags.items())
        with translated(f"make {thing.words}"):
            self._client("s3", thing.region).put_object(
                Bucket=bucket, Key=key, Body=body.reveal().encode(), ContentType="application/json", Tagging=tagging
            )

    def launch(self, thing: Thing, order: Mapping[str, Any], tags: Mapping[str, str]) -> InstanceId:
        """Launch an instance, and its volumes, marked from the first moment; ordered again, it is the same one."""
        marks = sdk.pairs({**tags, "Name": thing.id})
        with translated(f"launch {thing.words}"):
            answer = self._client("ec2", thing.region).run_instances(
                MinCount=1,
                MaxCount=1,
                ClientToken=uuid5(NAMESPACE_URL, f"lifeboat:{tags[DrillTag.DRILL.value]}/{thing.id}").hex,
                TagSpecifications=[{"ResourceType": kind, "Tags": marks} for kind in ("instance", "volume")],
                **order,
            )
        return InstanceId(answer["Instances"][0]["InstanceId"])

    def instance_id(self, thing: Thing) -> InstanceId | None:
        """Return the id that EC2 gave a drill's instance; None where there is none."""
        with translated(f"look at {thing.words}"):
            found = next(self._instances_named(thing), None)
        return None if found is None else InstanceId(found["InstanceId"])

    def private_address(self, thing: Thing) -> str | None:
        """Return the address of a drill's instance in its network; None where there is none."""
        with translated(f"look at {thing.words}"):
            found = next(self._instances_named(thing), None)
        return None if found is None else found.get("PrivateIpAddress")

    def root_of(self, image: ImageId, region: str) -> dict[str, Any] | None:
        """Return the mapping of an image's root volume that encrypts it and lets it go with its instance."""
        with translated(f"look at {image} in {region}"):
            found = self._client("ec2", region).describe_images(ImageIds=[image], IncludeDeprecated=True)["Images"]
        if not found:
            return None
        device = found[0]["RootDeviceName"]
        sizes = [
            mapping["Ebs"]["VolumeSize"]
            for mapping in found[0].get("BlockDeviceMappings", [])
            if mapping.get("DeviceName") == device and "VolumeSize" in mapping.get("Ebs", {})
        ]
        size = {"VolumeSize": sizes[0]} if sizes else {}
        # A volume of an encrypted snapshot is encrypted under the same key by itself.
        return {
            "DeviceName": device,
            "Ebs": {"DeleteOnTermination": True, "Encrypted": True, "VolumeType": "gp3", **size},
        }

    # -- databases -------------------------------------------------------------------------------------------------------

    def _database(self, thing: Thing) -> Standing | None:
        answer = sdk.unless_absent(
            _NO_DATABASE,
            lambda: self._client("rds", thing.region).describe_db_instances(DBInstanceIdentifier=thing.id),
        )
        return None if answer is None else _of_database(answer["DBInstances"][0], thing.region)

    def _databases(self, region: str) -> Iterator[Standing]:
        for found in sdk.items(self._client("rds", region), "describe_db_instances", "DBInstances"):
            if DrillTag.DRILL in sdk.tags(found.get("TagList", [])):
                yield _of_database(found, region)

    def _remove_database(self, thing: Thing) -> None:
        rds = self._client("rds", thing.region)
        try:
            rds.delete_db_instance(DBInstanceIdentifier=thing.id, SkipFinalSnapshot=True, DeleteAutomatedBackups=True)
        except ClientError as error:
            # In some states RDS takes no order: who waits for it to be gone orders it again.
            if sdk.code(error) not in (*_NO_DATABASE, *_BUSY):
                raise

    # -- instances and their volumes ---------------------------------------------------------------------------------------

    def _instance(self, thing: Thing) -> Standing | None:
        found = next(self._instances_named(thing), None)
        return None if found is None else _of_instance(found, thing.region)

    def _instances_named(self, thing: Thing) -> Iterator[Mapping[str, Any]]:
        filters = [{"Name": "tag:Name", "Values": [thing.id]}, {"Name": "instance-state-name", "Values": _STATES}]
        if thing.id.startswith("i-"):
            filters[0] = {"Name": "instance-id", "Values": [thing.id]}
        yield from self._instances_by(filters, thing.region)

    def _instances_by(self, filters: list[dict[str, Any]], region: str) -> Iterator[Mapping[str, Any]]:
        ec2 = self._client("ec2", region)
        for reservation in sdk.items(ec2, "describe_instances", "Reservations", Filters=filters):
            yield from reservation["Instances"]

    def _instances(self, region: str) -> Iterator[Standing]:
        filters = [*_TAGGED, {"Name": "instance-state-name", "Values": _STATES}]
        for found in self._instances_by(filters, region):
            yield _of_instance(found, region)

    def _remove_instance(self, thing: Thing) -> None:
        ec2 = self._client("ec2", thing.region)
        ids = [found["InstanceId"] for found in self._instances_named(thing) if DrillTag.DRILL in _tags(found)]
        if ids:
            sdk.unless_absent(_NO_INSTANCE, lambda: ec2.terminate_instances(InstanceIds=ids))

    def _volume(self, thing: Thing) -> Standing | None:
        ec2 = self._client("ec2", thing.region)
        answer = sdk.unless_absent(_NO_VOLUME, lambda: ec2.describe_volumes(VolumeIds=[thing.id]))
        return _of_volume(answer["Volumes"][0], thing.region) if answer and answer["Volumes"] else None

    def _volumes(self, region: str) -> Iterator[Standing]:
        for found in sdk.items(self._client("ec2", region), "describe_volumes", "Volumes", Filters=_TAGGED):
            if not found.get("Attachments"):  # what is attached goes with its instance
                yield _of_volume(found, region)

    def _remove_volume(self, thing: Thing) -> None:
        ec2 = self._client("ec2", thing.region)
        sdk.unless_absent(_NO_VOLUME, lambda: ec2.delete_volume(VolumeId=thing.id))

    # -- secrets ---------------------------------------------------------------------------------------------------------

    def _secret(self, thing: Thing) -> Standing | None:
        client = self._client("secretsmanager", thing.region)
        found = sdk.unless_absent(_NO_SECRET, lambda: client.describe_secret(SecretId=thing.id))
        return None if found is None else _of_secret(found, thing.region)

    def _secrets(self, region: str) -> Iterator[Standing]:
        filters = [{"Key": "tag-key", "Values": [DrillTag.DRILL.value]}]
        client = self._client("secretsmanager", region)
        for found in sdk.items(client, "list_secrets", "SecretList", Filters=filters, IncludePlannedDeletion=False):
            if DrillTag.DRILL in _tags(found):  # the filter takes what begins so
                yield _of_secret(found, region)

    def _remove_secret(self, thing: Thing) -> None:
        client = self._client("secretsmanager", thing.region)
        sdk.unless_absent(_NO_SECRET, lambda: client.delete_secret(SecretId=thing.id, ForceDeleteWithoutRecovery=True))

    # -- copies of the state ---------------------------------------------------------------------------------------------

    def _copy(self, thing: Thing) -> Standing | None:
        s3, (bucket, key) = self._client("s3", thing.region), _place(thing)
        found = sdk.unless_absent(_NO_OBJECT, lambda: s3.head_object(Bucket=bucket, Key=key))
        if found is None:
            return None
        tagging = s3.get_object_tagging(Bucket=bucket, Key=key)
        return Standing(thing=thing, tags=sdk.tags(tagging["TagSet"]), about=f"{found['ContentLength']:,} bytes")

    def _remove_copy(self, thing: Thing) -> None:
        # A marker over it: nobody but break-glass removes versions there, and the bucket's own rule ends them.
        bucket, key = _place(thing)
        self._client("s3", thing.region).delete_object(Bucket=bucket, Key=key)

    # -- queues ----------------------------------------------------------------------------------------------------------

    def _queue(self, thing: Thing) -> Standing | None:
        sqs = self._client("sqs", thing.region)
        answer = sdk.unless_absent(_NO_QUEUE, lambda: sqs.get_queue_url(QueueName=thing.id))
        if answer is None:
            return None
        tags = sdk.unless_absent(_NO_QUEUE, lambda: sqs.list_queue_tags(QueueUrl=answer["QueueUrl"]))
        return None if tags is None else Standing(thing=thing, tags=tags.get("Tags", {}))

    def _queues(self, region: str) -> Iterator[Standing]:
        sqs = self._client("sqs", region)
        # SQS says where the next page begins only to who says how long one may be.
        paged = {"PaginationConfig": {"PageSize": _QUEUES_AT_ONCE}}
        for url in list(sdk.items(sqs, "list_queues", "QueueUrls", **paged)):
            asked = sdk.unless_absent(_NO_QUEUE, lambda url=url: sqs.list_queue_tags(QueueUrl=url))  # type: ignore[misc]
            tags = {} if asked is None else asked.get("Tags", {})
            if DrillTag.DRILL in tags:
                thing = Thing(kind=ThingKind.QUEUE.value, id=url.rpartition("/")[2], region=region)
                yield Standing(thing=thing, tags=tags)

    def _remove_queue(self, thing: Thing) -> None:
        """Remove a queue after what is delivered to it: a topic would go on to try."""
        sqs, sns = self._client("sqs", thing.region), self._client("sns", thing.region)
        answer = sdk.unless_absent(_NO_QUEUE, lambda: sqs.get_queue_url(QueueName=thing.id))
        if answer is None:
            return
        url = answer["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        for found in list(sdk.items(sns, "list_subscriptions", "Subscriptions")):
            if found["Endpoint"] == arn and found["SubscriptionArn"].startswith("arn:"):
                sns.unsubscribe(SubscriptionArn=found["SubscriptionArn"])
        sdk.unless_absent(_NO_QUEUE, lambda: sqs.delete_queue(QueueUrl=url))


_FOUND: dict[str, Callable[[DrillThings, Thing], Standing | None]] = {
    ThingKind.DATABASE.value: DrillThings._database,
    ThingKind.INSTANCE.value: DrillThings._instance,
    ThingKind.VOLUME.value: DrillThings._volume,
    ThingKind.SECRET.value: DrillThings._secret,
    ThingKind.STATE_COPY.value: DrillThings._copy,
    ThingKind.QUEUE.value: DrillThings._queue,
}
_REMOVED: dict[str, Callable[[DrillThings, Thing], None]] = {
    ThingKind.DATABASE.value: DrillThings._remove_database,
    ThingKind.INSTANCE.value: DrillThings._remove_instance,
    ThingKind.VOLUME.value: DrillThings._remove_volume,
    ThingKind.SECRET.value: DrillThings._remove_secret,
    ThingKind.STATE_COPY.value: DrillThings._remove_copy,
    ThingKind.QUEUE.value: DrillThings._remove_queue,
}
# Not the copies of the state: no listing shows tags of objects, and their keys stand below the run's own.
_LISTED: tuple[Callable[[DrillThings, str], Iterator[Standing]], ...] = (
    DrillThings._databases,
    DrillThings._instances,
    DrillThings._volumes,
    DrillThings._secrets,
    DrillThings._queues,
)


def _tags(found: Mapping[str, Any]) -> dict[str, str]:
    return sdk.tags(found.get("Tags", []))


def _of_database(found: Mapping[str, Any], region: str) -> Standing:
    status = str(found["DBInstanceStatus"])
    thing = Thing(kind=ThingKind.DATABASE.value, id=found["DBInstanceIdentifier"], region=region)
    return Standing(thing=thing, tags=sdk.tags(found.get("TagList", [])), about=status, going=status == "deleting")


def _of_instance(found: Mapping[str, Any], region: str) -> Standing:
    tags, state = _tags(found), str(found["State"]["Name"])
    thing = Thing(kind=ThingKind.INSTANCE.value, id=tags.get("Name") or found["InstanceId"], region=region)
    return Standing(thing=thing, tags=tags, about=f"{found['InstanceId']}, {state}", going=state == "shutting-down")


def _of_volume(found: Mapping[str, Any], region: str) -> Standing:
    thing = Thing(kind=ThingKind.VOLUME.value, id=found["VolumeId"], region=region)
    return Standing(thing=thing, tags=_tags(found), about=str(found["State"]), going=found["State"] == "deleting")


def _of_secret(found: Mapping[str, Any], region: str) -> Standing:
    thing = Thing(kind=ThingKind.SECRET.value, id=found["Name"], region=region)
    return Standing(thing=thing, tags=_tags(found), going="DeletedDate" in found)


def _place(thing: Thing) -> tuple[str, str]:
    bucket, _, key = thing.id.removeprefix("s3://").partition("/")
    return bucket, key


def _quoted(text: str) -> str:
    return quote(text, safe="")
