"""What exists in AWS already: the things that an interrupted apply made, found again by name, tag and attribute."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from lifeboat.clients import sdk
from lifeboat.errors import IntegrityFailure, Refused
from lifeboat.model import Address, Candidate, Wanted

# AWS adds tags to these only after it has made them, so one that was cut off in between has none.
_OWNER_TAGS = ("application", "environment")


@dataclass(frozen=True, kw_only=True)
class Found:
    """One thing that exists: the id that its parts are asked by, the id that Terraform imports it by, its tags.

    `tags` is None for what AWS cannot tag. `status` is given while it cannot be worked with yet.
    """

    id: str
    import_id: str
    tags: Mapping[str, str] | None = None
    status: str | None = None


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look for one wanted resource: its AWS client, its planned values, and the ids of what it belongs to."""

    client: Callable[[str], Any]
    region: str
    wanted: Wanted
    parent: Callable[[Wanted], str | None]

    def value(self, attribute: str) -> Any:
        """Return a planned value; None when it was not known then."""
        return self.wanted.values.get(attribute)

    def id_of(self, attribute: str) -> str | None:
        """Return the id that an attribute holds, planned or of the resource it is taken from; None when none exists."""
        planned = self.value(attribute)
        if planned is not None:
            return str(planned)
        parent = self.wanted.parents.get(attribute)
        return None if parent is None else self.parent(parent)

    @property
    def tags(self) -> dict[str, str]:
        """Return the planned tags, the provider's default tags included."""
        return {str(k): str(v) for k, v in (self.value("tags_all") or self.value("tags") or {}).items()}

    @property
    def tag_filters(self) -> list[dict[str, Any]]:
        """Return the planned tags as EC2 filters."""
        return [{"Name": f"tag:{key}", "Values": [value]} for key, value in self.tags.items()]


Finder = Callable[[Look], Iterable[Found]]


class Inventory:
    """What exists of one application and environment, in its two regions.

    `finders` is how each type of resource is looked for; of what several things could be, `chosen` names the one by either
    of its ids.
    """

    def __init__(
        self,
        *,
        client: Callable[[str, str], Any],
        region: str,
        dr_region: str,
        application: str,
        environment: str,
        finders: Mapping[str, Finder] | None = None,
        chosen: Mapping[Address, str] | None = None,
    ) -> None:
        self._client = client
        self._regions = {"": region, "dr": dr_region}
        self._owner = {"application": application, "environment": environment}
        self._clients: dict[tuple[str, str], Any] = {}
        self._found: dict[Address, Found | None] = {}
        self._finders = FINDERS if finders is None else finders
        self._chosen_by_hand = chosen or {}

    def import_id(self, wanted: Wanted) -> str | None:
        """Return the id by which Terraform imports the wanted resource; None when it surely does not exist.

        Raises IntegrityFailure when several fit or when what has its name is not ours, Unreachable when AWS did not
        answer or refused to, Refused for a type that cannot be looked for.
        """
        found = self._one(wanted)
        return None if found is None else found.import_id

    def status(self, wanted: Wanted) -> str | None:
        """Return what AWS is still doing with it ("creating"); None once it can be worked with, or does not exist.

        Terraform must not plan before: what is not finished has no address yet and refuses changes.
        """
        self._found.pop(wanted.address, None)
        found = self._one(wanted)
        return None if found is None else found.status

    def candidates(self, wanted: Wanted) -> tuple[Candidate, ...]:
        """Return everything that could be the wanted resource, whosever it is; nothing when it surely does not exist.

        Raises IntegrityFailure where what it belongs to is not one thing, Unreachable and Refused as `import_id` does.
        """
        by_hand = wanted.address in self._chosen_by_hand
        return tuple(self._candidate(one) for one in ([self._by_hand(wanted)] if by_hand else self._all(wanted)))

    def _candidate(self, found: Found) -> Candidate:
        tags = found.tags or {}
        owner = {key: tags[key] for key in _OWNER_TAGS if key in tags}
        return Candidate(
            import_id=found.import_id,
            tagged=found.tags is not None,
            ours=owner == self._owner,
            owner=owner,
            status=found.status,
        )

    def finish(self, wanted: Wanted) -> str | None:
        """Do what a cut-off creation left undone and no plan would show; return what was done, None for nothing.

        AWS lets a new security group call out everywhere, which the provider takes back in its next call. Only what
        was not reported as created is touched.
        """
        if wanted.resource_type != "aws_security_group" or not wanted.begun or wanted.known_id is not None:
            return None
        group, region = self.import_id(wanted), self._regions[wanted.alias]
        if group is None:
            return None
        ec2 = self._connected("ec2", region)
        with sdk.translated(f"close {wanted.address} ({group}) in {region}"):
            rules = sdk.items(
                ec2, "describe_security_group_rules", "SecurityGroupRules", Filters=filtered_by("group-id", group)
            )
            # A rule of Terraform's own bears tags.
            open_ones = [r["SecurityGroupRuleId"] for r in rules if r["IsEgress"] and _is_open(r) and not r.get("Tags")]
            if not open_ones:
                return None
            ec2.revoke_security_group_egress(GroupId=group, SecurityGroupRuleIds=open_ones)
        return f"took back the right of {group} to call out everywhere"

    def _one(self, wanted: Wanted) -> Found | None:
        if wanted.address not in self._found:
            self._found[wanted.address] = self._looked_for(wanted)
        return self._found[wanted.address]

    def _looked_for(self, wanted: Wanted) -> Found | None:
        if wanted.address in self._chosen_by_hand:
            return self._by_hand(wanted)
        found = self._all(wanted)
        return self._chosen(wanted, [f for f in found if self._ours(wanted, f, alone=len(found) == 1)])

    def _by_hand(self, wanted: Wanted) -> Found:
        """Return what a person chose; what nobody finds by name or tag is taken by the id that was said."""
        said = self._chosen_by_hand[wanted.address]
        found = self._all(wanted) if wanted.resource_type in self._finders else []
        return next((f for f in found if said in (f.id, f.import_id)), Found(id=said, import_id=said))

    def _all(self, wanted: Wanted) -> list[Found]:
        finder = self._finders.get(wanted.resource_type)
        if finder is None or wanted.alias not in self._regions:
            what = wanted.resource_type if finder is None else f"resources of the provider aws.{wanted.alias}"
            raise Refused(
                f"lifeboat does not know how to look for {what} ({wanted.address})",
                hint=f"terraform import {wanted.address} by hand, or delete it, then apply again",
            )
        region = self._regions[wanted.alias]
        look = Look(
            client=lambda service: self._connected(service, region),
            region=region,
            wanted=wanted,
            parent=self._id,
        )
        with sdk.translated(f"look for {wanted.address} in {region}"):
            return [f for f in finder(look) if f.id != wanted.instead_of]

    def _chosen(self, wanted: Wanted, found: list[Found]) -> Found | None:
        reported = [f for f in found if f.id == wanted.known_id]
        candidates = reported or found
        if len(candidates) > 1:
            names = ", ".join(sorted(f.import_id for f in candidates))
            raise IntegrityFailure(
                f"{len(candidates)} things in {self._regions[wanted.alias]} could be {wanted.address}: {names}",
                hint="find out which one is in use and delete or retag the others, then apply again",
            )
        return candidates[0] if candidates else None

    def _ours(self, wanted: Wanted, found: Found, *, alone: bool) -> bool:
        """Return whether it may be adopted: it bears our tags, or none yet and the interrupted apply began it."""
        if found.tags is None:
            return wanted.begun
        tags = {key: found.tags[key] for key in _OWNER_TAGS if key in found.tags}
        if tags == self._owner or (not tags and wanted.begun):
            return True
        if alone:
            owner = ", ".join(f"{key} {value}" for key, value in tags.items()) or "nobody we know (it has no tags)"
            raise IntegrityFailure(
                f"{wanted.address} would be {found.import_id}, which exists and belongs to {owner}",
                hint="give this application or environment another name, or delete what is in its way",
            )
        return False

    def _id(self, parent: Wanted) -> str | None:
        found = self._one(parent)
        return None if found is None else found.id

    def _connected(self, service: str, region: str) -> Any:
        if (service, region) not in self._clients:
            self._clients[service, region] = self._client(service, region)
        return self._clients[service, region]


def answer_of(absent: str, ask: Callable[..., dict[str, Any]], **names: Any) -> dict[str, Any] | None:
    """Return an answer; None when it is AWS's own "there is no such thing" (codes in words), and for nothing else."""
    return sdk.unless_absent(absent.split(), lambda: ask(**names))


def _covers(tags: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(tags.get(key) == value for key, value in wanted.items())


def _agrees(look: Look, attributes: Mapping[str, Any]) -> bool:
    """Return whether what exists has the planned value of every attribute that was known at the plan."""
    return all(look.value(name) in (None, value) for name, value in attributes.items())


# -- network -------------------------------------------------------------------------------------------------------


def _by_tags(operation: str, key: str, id_key: str) -> Finder:
    def find(look: Look) -> Iterator[Found]:
        for item in sdk.items(look.client("ec2"), operation, key, Filters=look.tag_filters):
            tags = sdk.tags(item.get("Tags", []))
            if _covers(tags, look.tags):  # the filters take * and ? in a value for wildcards
                yield Found(id=item[id_key], import_id=item[id_key], tags=tags)

    return find


def _subnets(look: Look) -> Iterator[Found]:
    for subnet in sdk.items(look.client("ec2"), "describe_subnets", "Subnets", Filters=look.tag_filters):
        same = {"cidr_block": subnet["CidrBlock"], "availability_zone": subnet["AvailabilityZone"]}
        if _agrees(look, {**same, "vpc_id": subnet["VpcId"]}):
            yield Found(id=subnet["SubnetId"], import_id=subnet["SubnetId"], tags=sdk.tags(subnet["Tags"]))


def _routes(look: Look) -> Iterator[Found]:
    table = look.id_of("route_table_id")
    if table is None:
        return
    destination = look.value("destination_cidr_block") or look.value("destination_ipv6_cidr_block")
    filters = filtered_by("route-table-id", table)
    for found in sdk.items(look.client("ec2"), "describe_route_tables", "RouteTables", Filters=filters):
        for route in found["Routes"]:
            if destination in (route.get("DestinationCidrBlock"), route.get("DestinationIpv6CidrBlock")):
                yield Found(id=f"{table}_{destination}", import_id=f"{table}_{destination}")


def _route_table_associations(look: Look) -> Iterator[Found]:
    subnet, table = look.id_of("subnet_id"), look.id_of("route_table_id")
    if subnet is None or table is None:
        return
    filters = filtered_by("association.subnet-id", subnet)
    for found in sdk.items(look.client("ec2"), "describe_route_tables", "RouteTables", Filters=filters):
        for association in found["Associations"]:
            if association.get("SubnetId") == subnet:
                # Imported with the table that it has now: Terraform then moves it to the planned one in place.
                import_id = f"{subnet}/{found['RouteTableId']}"
                yield Found(id=association["RouteTableAssociationId"], import_id=import_id)


def _security_groups(look: Look) -> Iterator[Found]:
    filters = filtered_by("group-name", look.value("name"))
    for group in sdk.items(look.client("ec2"), "describe_security_groups", "SecurityGroups", Filters=filters):
        tags = sdk.tags(group.get("Tags", []))
        if _covers(tags, look.tags) and _agrees(look, {"name": group["GroupName"], "vpc_id": group.get("VpcId")}):
            yield Found(id=group["GroupId"], import_id=group["GroupId"], tags=tags)


def _security_group_rules(*, egress: bool) -> Finder:
    def find(look: Look) -> Iterator[Found]:
        group = look.id_of("security_group_id")
        if group is None:
            return
        filters = filtered_by("group-id", group)
        for rule in sdk.items(
            look.client("ec2"), "describe_security_group_rules", "SecurityGroupRules", Filters=filters
        ):
            same = {
                "cidr_ipv4": rule.get("CidrIpv4"),
                "cidr_ipv6": rule.get("CidrIpv6"),
                "prefix_list_id": rule.get("PrefixListId"),
                "referenced_security_group_id": rule.get("ReferencedGroupInfo", {}).get("GroupId"),
                "ip_protocol": rule["IpProtocol"],
                "from_port": rule.get("FromPort"),
                "to_port": rule.get("ToPort"),
            }
            # The provider tags a rule only after it made it; until then its description tells it from its likes.
            tags = sdk.tags(rule.get("Tags", []))
            named = _covers(tags, look.tags) if tags else _agrees(look, {"description": rule.get("Description")})
            if rule["IsEgress"] == egress and named and _agrees(look, same):
                yield Found(id=rule["SecurityGroupRuleId"], import_id=rule["SecurityGroupRuleId"])

    return find


def _is_open(rule: Mapping[str, Any]) -> bool:
    return rule["IpProtocol"] == "-1" and (rule.get("CidrIpv4") == "0.0.0.0/0" or rule.get("CidrIpv6") == "::/0")


def _addresses(look: Look) -> Iterator[Found]:
    for address in look.client("ec2").describe_addresses(Filters=look.tag_filters)["Addresses"]:
        tags = sdk.tags(address.get("Tags", []))
        if _covers(tags, look.tags):
            yield Found(id=address["AllocationId"], import_id=address["AllocationId"], tags=tags)


def _zones(look: Look) -> Iterator[Found]:
    client = look.client("route53")
    for zone in sdk.items(client, "list_hosted_zones", "HostedZones"):
        config = zone.get("Config", {})
        if zone["Name"].rstrip(".") != str(look.value("name")).rstrip("."):
            continue
        if config.get("PrivateZone", False) or not _agrees(look, {"comment": config.get("Comment", "")}):
            continue
        zone_id = zone["Id"].removeprefix("/hostedzone/")
        answer = client.list_tags_for_resource(ResourceType="hostedzone", ResourceId=zone_id)
        yield Found(id=zone_id, import_id=zone_id, tags=sdk.tags(answer["ResourceTagSet"]["Tags"]))


def _records(look: Look) -> Iterator[Found]:
    zone, name, kind = look.id_of("zone_id"), str(look.value("name")), str(look.value("type"))
    if zone is None:
        return
    records = sdk.items(
        look.client("route53"),
        "list_resource_record_sets",
        "ResourceRecordSets",
        HostedZoneId=zone,
        StartRecordName=name,
        StartRecordType=kind,
        PaginationConfig={"PageSize": 1, "MaxItems": 1},
    )
    for record in records:
        if record["Name"].rstrip(".") == name.rstrip(".") and record["Type"] == kind:
            yield Found(id=f"{zone}_{name}_{kind}", import_id=f"{zone}_{name}_{kind}")


def filtered_by(name: str, value: Any) -> list[dict[str, Any]]:
    """Return one filter as EC2 takes it."""
    return [{"Name": name, "Values": [str(value)]}]


# -- the application -----------------------------------------------------------------------------------------------


def _instances(look: Look) -> Iterator[Found]:
    alive = {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}
    filters = [*look.tag_filters, alive]
    for reservation in sdk.items(look.client("ec2"), "describe_instances", "Reservations", Filters=filters):
        for instance in reservation["Instances"]:
            tags, state = sdk.tags(instance["Tags"]), instance["State"]["Name"]
            if _covers(tags, look.tags):
                yield Found(
                    id=instance["InstanceId"],
                    import_id=instance["InstanceId"],
                    tags=tags,
                    status=state if state in ("pending", "stopping") else None,
                )


def _secrets(look: Look) -> Iterator[Found]:
    client = look.client("secretsmanager")
    secret = answer_of("ResourceNotFoundException", client.describe_secret, SecretId=look.value("name"))
    # One that waits for its deletion cannot be adopted; creating it again fails with AWS's own explanation.
    if secret is not None and "DeletedDate" not in secret:
        yield Found(id=secret["ARN"], import_id=secret["ARN"], tags=sdk.tags(secret.get("Tags", [])))


# -- the database --------------------------------------------------------------------------------------------------

_DB_READY = ("available", "storage-optimization", "stopped")


def _databases(look: Look) -> Iterator[Found]:
    name = look.value("identifier")
    client = look.client("rds")
    answer = answer_of("DBInstanceNotFound", client.describe_db_instances, DBInstanceIdentifier=name)
    for database in (answer or {}).get("DBInstances", []):
        status = database["DBInstanceStatus"]
        if status != "deleting":
            yield Found(
                id=database["DbiResourceId"],
                import_id=name,  # the id in the state is another one: DbiResourceId
                tags=sdk.tags(database.get("TagList", [])),
                status=None if status in _DB_READY else status,
            )


def _replicated_backups(look: Look) -> Iterator[Found]:
    source = look.value("source_db_instance_arn")
    parent = look.wanted.parents.get("source_db_instance_arn")
    if source is None and parent is None:
        return
    name = parent.values["identifier"] if parent is not None else str(source).rpartition(":")[2]
    # Those of an instance that is gone keep its name; the resource id tells this instance's from them.
    database = None if parent is None else look.parent(parent)
    backups = sdk.items(look.client("rds"), "describe_db_instance_automated_backups", "DBInstanceAutomatedBackups")
    for backup in backups:
        status = backup.get("Status", "")
        same = backup["DBInstanceArn"] == source if database is None else backup["DbiResourceId"] == database
        if backup["DBInstanceIdentifier"] == name and same and status not in ("retained", "deleting"):
            arn = backup["DBInstanceAutomatedBackupsArn"]
            yield Found(id=arn, import_id=arn, status=status if status in ("pending", "creating") else None)


def _rds_named(operation: str, argument: str, key: str, arn_key: str, absent: str) -> Finder:
    def find(look: Look) -> Iterator[Found]:
        client, name = look.client("rds"), look.value("name")
        for item in (answer_of(absent, getattr(client, operation), **{argument: name}) or {}).get(key, []):
            status = item.get("Status")
            yield Found(
                id=name,
                import_id=name,
                tags=sdk.tags(client.list_tags_for_resource(ResourceName=item[arn_key])["TagList"]),
                status=status if status in ("creating", "modifying") else None,
            )

    return find


# -- buckets, tables, keys, roles ----------------------------------------------------------------------------------


def _buckets(look: Look) -> Iterator[Found]:
    client, name = look.client("s3"), look.value("bucket")
    answer = answer_of("404", client.head_bucket, Bucket=name)
    if answer is None:
        return
    region = answer.get("BucketRegion", look.region)
    if region != look.region:
        raise IntegrityFailure(
            f"the bucket {name} ({look.wanted.address}) exists in {region}, not in {look.region}",
            hint="set region and dr_region to those that this environment was made in",
        )
    tags = answer_of("NoSuchTagSet", client.get_bucket_tagging, Bucket=name) or {"TagSet": []}
    yield Found(id=name, import_id=name, tags=sdk.tags(tags["TagSet"]))


def _of_bucket(operation: str, key: str, absent: str = "") -> Finder:
    """Return the finder for one of a bucket's settings: there when AWS answers with something under `key`."""

    def find(look: Look) -> Iterator[Found]:
        bucket = look.id_of("bucket")
        if bucket is None:
            return
        answer: Any = answer_of(f"NoSuchBucket {absent}", getattr(look.client("s3"), operation), Bucket=bucket)
        for part in key.split("."):
            answer = (answer or {}).get(part)
        if answer:
            yield Found(id=bucket, import_id=bucket)

    return find


def _tables(look: Look) -> Iterator[Found]:
    client, name = look.client("dynamodb"), look.value("name")
    answer = answer_of("ResourceNotFoundException", client.describe_table, TableName=name)
    if answer is not None and answer["Table"]["TableStatus"] != "DELETING":
        status = answer["Table"]["TableStatus"]
        tags = sdk.items(client, "list_tags_of_resource", "Tags", ResourceArn=answer["Table"]["TableArn"])
        yield Found(id=name, import_id=name, tags=sdk.tags(tags), status=None if status == "ACTIVE" else status.lower())


def _keys(look: Look) -> Iterator[Found]:
    client = look.client("kms")
    for key in sdk.items(client, "list_keys", "Keys"):
        data = client.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
        if data["KeyManager"] != "CUSTOMER" or data["KeyState"] in ("PendingDeletion", "PendingReplicaDeletion"):
            continue
        if not _agrees(look, {"description": data["Description"]}):
            continue
        pairs = sdk.items(client, "list_resource_tags", "Tags", KeyId=key["KeyId"])
        tags = {pair["TagKey"]: pair["TagValue"] for pair in pairs}
        if _covers(tags, look.tags):
            yield Found(id=key["KeyId"], import_id=key["KeyId"], tags=tags)


def _aliases(look: Look) -> Iterator[Found]:
    name = look.value("name")
    if any(alias["AliasName"] == name for alias in sdk.items(look.client("kms"), "list_aliases", "Aliases")):
        yield Found(id=name, import_id=name)


def _roles(look: Look) -> Iterator[Found]:
    answer = answer_of("NoSuchEntity", look.client("iam").get_role, RoleName=look.value("name"))
    if answer is not None:
        yield Found(id=look.value("name"), import_id=look.value("name"), tags=sdk.tags(answer["Role"].get("Tags", [])))


def _policies(look: Look) -> Iterator[Found]:
    client, name = look.client("iam"), look.value("name")
    for policy in sdk.items(client, "list_policies", "Policies", Scope="Local"):
        if policy["PolicyName"] == name:
            tags = sdk.tags(client.list_policy_tags(PolicyArn=policy["Arn"])["Tags"])
            yield Found(id=policy["Arn"], import_id=policy["Arn"], tags=tags)


def _instance_profiles(look: Look) -> Iterator[Found]:
    name = look.value("name")
    answer = answer_of("NoSuchEntity", look.client("iam").get_instance_profile, InstanceProfileName=name)
    if answer is not None:
        yield Found(id=name, import_id=name, tags=sdk.tags(answer["InstanceProfile"].get("Tags", [])))


def _identity_providers(look: Look) -> Iterator[Found]:
    client = look.client("iam")
    url = urlsplit(str(look.value("url")))
    suffix = f":oidc-provider/{url.netloc or url.path}{url.path if url.netloc else ''}".rstrip("/")
    for provider in client.list_open_id_connect_providers()["OpenIDConnectProviderList"]:
        if provider["Arn"].endswith(suffix):
            answer = client.get_open_id_connect_provider(OpenIDConnectProviderArn=provider["Arn"])
            yield Found(id=provider["Arn"], import_id=provider["Arn"], tags=sdk.tags(answer.get("Tags", [])))


# -- backups -------------------------------------------------------------------------------------------------------


def _vaults(look: Look) -> Iterator[Found]:
    # Listed, not described: AWS answers 403 and not 404 when one describes a vault that does not exist.
    client, name = look.client("backup"), look.value("name")
    for vault in sdk.items(client, "list_backup_vaults", "BackupVaultList"):
        if vault["BackupVaultName"] == name:
            yield Found(id=name, import_id=name, tags=_backup_tags(client, vault["BackupVaultArn"]))


def _vault_locks(look: Look) -> Iterator[Found]:
    # Terraform cannot read back how long a compliance lock stays open and would replace it: that one is put again.
    if look.value("changeable_for_days") is not None:
        return
    name = look.id_of("backup_vault_name")
    for vault in sdk.items(look.client("backup"), "list_backup_vaults", "BackupVaultList"):
        if name is not None and vault["BackupVaultName"] == name and vault.get("Locked"):
            yield Found(id=name, import_id=name)


def _of_vault(operation: str) -> Finder:
    def find(look: Look) -> Iterator[Found]:
        client, name = look.client("backup"), look.id_of("backup_vault_name")
        vaults = sdk.items(client, "list_backup_vaults", "BackupVaultList")
        if name is None or all(vault["BackupVaultName"] != name for vault in vaults):
            return
        if answer_of("ResourceNotFoundException", getattr(client, operation), BackupVaultName=name) is not None:
            yield Found(id=name, import_id=name)

    return find


def _plans(look: Look) -> Iterator[Found]:
    client = look.client("backup")
    for plan in sdk.items(client, "list_backup_plans", "BackupPlansList"):
        if plan["BackupPlanName"] == look.value("name") and "DeletionDate" not in plan:
            tags = _backup_tags(client, plan["BackupPlanArn"])
            yield Found(id=plan["BackupPlanId"], import_id=plan["BackupPlanId"], tags=tags)


def _selections(look: Look) -> Iterator[Found]:
    plan = look.id_of("plan_id")
    if plan is None:
        return
    for selection in sdk.items(
        look.client("backup"), "list_backup_selections", "BackupSelectionsList", BackupPlanId=plan
    ):
        if selection["SelectionName"] == look.value("name"):
            yield Found(id=selection["SelectionId"], import_id=f"{plan}|{selection['SelectionId']}")


def _restore_testing_plans(look: Look) -> Iterator[Found]:
    client, name = look.client("backup"), look.value("name")
    answer = answer_of("ResourceNotFoundException", client.get_restore_testing_plan, RestoreTestingPlanName=name)
    if answer is not None:
        arn = answer["RestoreTestingPlan"]["RestoreTestingPlanArn"]
        yield Found(id=name, import_id=name, tags=_backup_tags(client, arn))


def _restore_testing_selections(look: Look) -> Iterator[Found]:
    plan, name = look.id_of("restore_testing_plan_name"), look.value("name")
    if plan is None:
        return
    names = {"RestoreTestingPlanName": plan, "RestoreTestingSelectionName": name}
    if answer_of("ResourceNotFoundException", look.client("backup").get_restore_testing_selection, **names) is not None:
        yield Found(id=f"{name}:{plan}", import_id=f"{name}:{plan}")


def _backup_tags(client: Any, arn: str) -> dict[str, str]:
    return dict(client.list_tags(ResourceArn=arn)["Tags"])  # AWS allows 50 tags, and a page holds 1,000


def _lifecycle_policies(look: Look) -> Iterator[Found]:
    for policy in look.client("dlm").get_lifecycle_policies()["Policies"]:
        tags = policy.get("Tags", {})
        if policy.get("Description") == look.value("description") and _covers(tags, look.tags):
            yield Found(id=policy["PolicyId"], import_id=policy["PolicyId"], tags=tags)


# -- alarms --------------------------------------------------------------------------------------------------------


def _topics(look: Look) -> Iterator[Found]:
    client = look.client("sns")
    for topic in sdk.items(client, "list_topics", "Topics"):
        arn = topic["TopicArn"]
        if arn.rpartition(":")[2] == look.value("name"):
            yield Found(id=arn, import_id=arn, tags=sdk.tags(client.list_tags_for_resource(ResourceArn=arn)["Tags"]))


# -- the dump job --------------------------------------------------------------------------------------------------


def _log_groups(look: Look) -> Iterator[Found]:
    client, name = look.client("logs"), look.value("name")
    for group in sdk.items(client, "describe_log_groups", "logGroups", logGroupNamePrefix=name):
        if group["logGroupName"] == name:
            answer = client.list_tags_for_resource(resourceArn=group["arn"].removesuffix(":*"))
            yield Found(id=name, import_id=name, tags=answer.get("tags", {}))


def _schedules(look: Look) -> Iterator[Found]:
    # A schedule bears no tags; its group may.
    name, group = look.value("name"), look.value("group_name") or "default"
    ask = look.client("scheduler").get_schedule
    if answer_of("ResourceNotFoundException", ask, Name=name, GroupName=group) is not None:
        yield Found(id=f"{group}/{name}", import_id=f"{group}/{name}")


def _queues(look: Look) -> Iterator[Found]:
    client = look.client("sqs")
    absent = "AWS.SimpleQueueService.NonExistentQueue QueueDoesNotExist"
    answer = answer_of(absent, client.get_queue_url, QueueName=look.value("name"))
    if answer is not None:
        url = answer["QueueUrl"]
        yield Found(id=url, import_id=url, tags=client.list_queue_tags(QueueUrl=url).get("Tags", {}))


# What decisions/adoption.py adopts, and how it is found; a test compares the two.
FINDERS: Mapping[str, Finder] = {
    "aws_vpc": _by_tags("describe_vpcs", "Vpcs", "VpcId"),
    "aws_internet_gateway": _by_tags("describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    "aws_route_table": _by_tags("describe_route_tables", "RouteTables", "RouteTableId"),
    "aws_subnet": _subnets,
    "aws_route": _routes,
    "aws_route_table_association": _route_table_associations,
    "aws_security_group": _security_groups,
    "aws_vpc_security_group_egress_rule": _security_group_rules(egress=True),
    "aws_vpc_security_group_ingress_rule": _security_group_rules(egress=False),
    "aws_vpc_endpoint": _by_tags("describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
    "aws_eip": _addresses,
    "aws_route53_zone": _zones,
    "aws_route53_record": _records,
    "aws_instance": _instances,
    "aws_secretsmanager_secret": _secrets,
    "aws_db_instance": _databases,
    "aws_db_instance_automated_backups_replication": _replicated_backups,
    "aws_db_parameter_group": _rds_named(
        "describe_db_parameter_groups",
        "DBParameterGroupName",
        "DBParameterGroups",
        "DBParameterGroupArn",
        "DBParameterGroupNotFound",
    ),
    "aws_db_subnet_group": _rds_named(
        "describe_db_subnet_groups",
        "DBSubnetGroupName",
        "DBSubnetGroups",
        "DBSubnetGroupArn",
        "DBSubnetGroupNotFoundFault",
    ),
    "aws_db_event_subscription": _rds_named(
        "describe_event_subscriptions",
        "SubscriptionName",
        "EventSubscriptionsList",
        "EventSubscriptionArn",
        "SubscriptionNotFound",
    ),
    "aws_s3_bucket": _buckets,
    "aws_s3_bucket_lifecycle_configuration": _of_bucket(
        "get_bucket_lifecycle_configuration", "Rules", "NoSuchLifecycleConfiguration"
    ),
    # A bucket made for Object Lock answers from the start, without a rule.
    "aws_s3_bucket_object_lock_configuration": _of_bucket(
        "get_object_lock_configuration", "ObjectLockConfiguration.Rule", "ObjectLockConfigurationNotFoundError"
    ),
    "aws_s3_bucket_ownership_controls": _of_bucket(
        "get_bucket_ownership_controls", "OwnershipControls", "OwnershipControlsNotFoundError"
    ),
    "aws_s3_bucket_policy": _of_bucket("get_bucket_policy", "Policy", "NoSuchBucketPolicy"),
    "aws_s3_bucket_public_access_block": _of_bucket(
        "get_public_access_block", "PublicAccessBlockConfiguration", "NoSuchPublicAccessBlockConfiguration"
    ),
    "aws_s3_bucket_replication_configuration": _of_bucket(
        "get_bucket_replication", "ReplicationConfiguration.Rules", "ReplicationConfigurationNotFoundError"
    ),
    "aws_s3_bucket_server_side_encryption_configuration": _of_bucket(
        "get_bucket_encryption", "ServerSideEncryptionConfiguration", "ServerSideEncryptionConfigurationNotFoundError"
    ),
    "aws_s3_bucket_versioning": _of_bucket("get_bucket_versioning", "Status"),
    "aws_dynamodb_table": _tables,
    "aws_kms_key": _keys,
    "aws_kms_alias": _aliases,
    "aws_iam_role": _roles,
    "aws_iam_policy": _policies,
    "aws_iam_instance_profile": _instance_profiles,
    "aws_iam_openid_connect_provider": _identity_providers,
    "aws_backup_vault": _vaults,
    "aws_backup_vault_lock_configuration": _vault_locks,
    "aws_backup_vault_notifications": _of_vault("get_backup_vault_notifications"),
    "aws_backup_vault_policy": _of_vault("get_backup_vault_access_policy"),
    "aws_backup_plan": _plans,
    "aws_backup_selection": _selections,
    "aws_backup_restore_testing_plan": _restore_testing_plans,
    "aws_backup_restore_testing_selection": _restore_testing_selections,
    "aws_dlm_lifecycle_policy": _lifecycle_policies,
    "aws_sns_topic": _topics,
    "aws_cloudwatch_log_group": _log_groups,
    "aws_scheduler_schedule": _schedules,
    "aws_sqs_queue": _queues,
}
