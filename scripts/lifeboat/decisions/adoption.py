"""What an interrupted apply may have made without recording it, and how Terraform takes it over."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from lifeboat.errors import Refused
from lifeboat.model import Address, Adoption, PlannedCreate, Progress, Wanted


class How(StrEnum):
    """What happens to a resource that exists, or may exist, and that the state does not know."""

    REWRITTEN = "created again, which writes the same thing to the same place"
    NAMED = "adopted: there can be one of that name or place, and creating it again would fail"
    SEARCHED = "adopted: found by tags and attributes, and creating it again would make a second one"


# Every resource type of modules/ and terraform/ (a test compares). REWRITTEN only where AWS replaces what is there.
HOW: Mapping[str, How] = {
    # network
    "aws_vpc": How.SEARCHED,
    "aws_default_security_group": How.REWRITTEN,  # Terraform takes over the one that every VPC has
    "aws_internet_gateway": How.SEARCHED,
    "aws_subnet": How.SEARCHED,
    "aws_route_table": How.SEARCHED,
    "aws_route": How.SEARCHED,
    "aws_route_table_association": How.SEARCHED,
    "aws_security_group": How.SEARCHED,
    "aws_vpc_security_group_egress_rule": How.SEARCHED,
    "aws_vpc_security_group_ingress_rule": How.SEARCHED,
    "aws_vpc_endpoint": How.SEARCHED,
    "aws_eip": How.SEARCHED,
    # AWS takes the same association twice; adopted, the provider would replace it and so take the address away.
    "aws_eip_association": How.REWRITTEN,
    "aws_route53_zone": How.SEARCHED,
    "aws_route53_record": How.NAMED,
    # the application
    "aws_instance": How.SEARCHED,
    "aws_secretsmanager_secret": How.NAMED,
    "aws_secretsmanager_secret_version": How.REWRITTEN,  # a newer version with the same text
    # the database
    "aws_db_instance": How.NAMED,
    "aws_db_instance_automated_backups_replication": How.SEARCHED,
    "aws_db_parameter_group": How.NAMED,
    "aws_db_subnet_group": How.NAMED,
    "aws_db_event_subscription": How.NAMED,
    # buckets and tables; a bucket's settings are guarded by its policy, which refuses to have them written again
    "aws_s3_bucket": How.NAMED,
    "aws_s3_bucket_lifecycle_configuration": How.NAMED,
    "aws_s3_bucket_object_lock_configuration": How.NAMED,
    "aws_s3_bucket_ownership_controls": How.NAMED,
    "aws_s3_bucket_policy": How.NAMED,
    "aws_s3_bucket_public_access_block": How.NAMED,
    "aws_s3_bucket_replication_configuration": How.NAMED,
    "aws_s3_bucket_server_side_encryption_configuration": How.NAMED,
    "aws_s3_bucket_versioning": How.NAMED,
    "aws_dynamodb_table": How.NAMED,
    # keys and roles
    "aws_kms_key": How.SEARCHED,
    "aws_kms_alias": How.NAMED,
    "aws_iam_role": How.NAMED,
    "aws_iam_policy": How.NAMED,
    "aws_iam_role_policy": How.REWRITTEN,
    "aws_iam_role_policy_attachment": How.REWRITTEN,
    "aws_iam_instance_profile": How.NAMED,
    "aws_iam_openid_connect_provider": How.NAMED,
    # backups; a vault's policy guards its lock and itself
    "aws_backup_vault": How.NAMED,
    "aws_backup_vault_lock_configuration": How.NAMED,
    "aws_backup_vault_notifications": How.NAMED,
    "aws_backup_vault_policy": How.NAMED,
    "aws_backup_plan": How.SEARCHED,
    "aws_backup_selection": How.SEARCHED,
    "aws_backup_restore_testing_plan": How.NAMED,
    "aws_backup_restore_testing_selection": How.NAMED,
    "aws_dlm_lifecycle_policy": How.SEARCHED,
    # the dump job
    "aws_cloudwatch_log_group": How.NAMED,
    "aws_ecs_cluster": How.REWRITTEN,  # CreateCluster returns the cluster of that name
    "aws_ecs_task_definition": How.REWRITTEN,  # the next revision with the same text; the schedule is told which
    "aws_scheduler_schedule": How.NAMED,
    "aws_sqs_queue": How.NAMED,
    # alarms
    "aws_cloudwatch_dashboard": How.REWRITTEN,
    "aws_cloudwatch_event_rule": How.REWRITTEN,
    "aws_cloudwatch_event_target": How.REWRITTEN,  # with a target_id of its own; a test sees to that
    "aws_cloudwatch_metric_alarm": How.REWRITTEN,
    "aws_sns_topic": How.NAMED,  # were it only made again, what is told to it would be replaced
    "aws_sns_topic_policy": How.REWRITTEN,
    "aws_sns_topic_subscription": How.REWRITTEN,  # Subscribe returns the subscription of that endpoint
}

_LAST = re.compile(r'\.([a-z0-9_]+)\.([A-Za-z0-9_-]+)(\[(?:"(?:[^"\\]|\\.)*"|\d+)\])?$')


def planned_creates(plan: Mapping[str, Any]) -> list[PlannedCreate]:
    """Return the managed resources that a saved plan (`terraform show -json`) creates or replaces."""
    configured = dict(_configured(plan["configuration"]["root_module"], ""))
    creates = [
        change
        for change in plan.get("resource_changes", [])
        if change["mode"] == "managed" and "create" in change["change"]["actions"] and not change.get("deposed")
    ]
    addresses: dict[str, list[str]] = {}
    for change in creates:
        addresses.setdefault(_without_keys(change["address"]), []).append(change["address"])
    return [_planned(change, configured, addresses) for change in creates]


def unrecorded(
    planned: Iterable[PlannedCreate], progress: Iterable[Progress] | None, recorded: Collection[Address]
) -> list[Wanted]:
    """Return what must be looked for: planned to be created, not in the state, and not merely written again.

    `progress` is None when nothing is known of the run that made things, so that any may have been begun. Raises
    Refused, naming all of them, when types were begun for which HOW does not say what to do.
    """
    missing = [w for w in _wanted(planned, progress) if w.address not in recorded]
    unknown = [w for w in missing if w.resource_type not in HOW and w.begun]
    if unknown:
        names = "\n".join(f"  {w.address}" + (f" (id {w.known_id})" if w.known_id else "") for w in unknown)
        raise Refused(
            "an interrupted apply began to create what lifeboat does not know how to find again:\n" + names,
            hint="terraform import it by hand, or delete it; and add its type to HOW in decisions/adoption.py",
        )
    return [w for w in missing if HOW.get(w.resource_type) in (How.NAMED, How.SEARCHED)]


def everything(planned: Iterable[PlannedCreate]) -> list[Wanted]:
    """Return all that is planned to be created as what may exist already: of whoever made it nothing is known."""
    return list(_wanted(planned, None))


def half_replaced(
    planned: Iterable[PlannedCreate], progress: Iterable[Progress], recorded: Mapping[Address, str]
) -> list[Wanted]:
    """Return the replacements that were begun and whose place in the state the old object (its id) still holds.

    Such a new object cannot be imported, since its address is taken; left alone it becomes a second one.
    """
    return [
        w
        for w in _wanted(planned, progress)
        if w.begun
        and w.instead_of is not None
        and recorded.get(w.address) == w.instead_of
        and HOW.get(w.resource_type) is not How.REWRITTEN
    ]


def _wanted(planned: Iterable[PlannedCreate], progress: Iterable[Progress] | None) -> list[Wanted]:
    planned = list(planned)
    creations = [p for p in progress or () if p.action == "create"]
    begun = {c.address for c in planned} if progress is None else {p.address for p in creations}
    known = {p.address: p.id_value for p in creations if p.kind == "done" and p.id_value}
    creates = {create.address: create for create in planned}

    def wanted(create: PlannedCreate) -> Wanted:
        return Wanted(
            address=create.address,
            resource_type=create.resource_type,
            values=create.values,
            known_id=known.get(create.address),
            begun=create.address in begun,
            alias=create.alias,
            parents={attribute: wanted(creates[parent]) for attribute, parent in create.takes.items()},
            instead_of=create.instead_of,
        )

    return [wanted(create) for create in planned]


def document(adoptions: Iterable[Adoption]) -> dict[str, Any]:
    """Return the content of a .tf.json file that makes the next plan adopt these."""
    blocks = [{"to": str(a.address), "id": a.import_id} for a in sorted(adoptions, key=lambda a: a.address)]
    return {"//": "Written by lifeboat after an interrupted apply and removed after the next one.", "import": blocks}


# -- the plan's JSON ----------------------------------------------------------------------------------------------


def _configured(module: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each resource of the configuration by its address without any key."""
    for resource in module.get("resources", []):
        if resource["mode"] == "managed":
            yield f"{path}{resource['type']}.{resource['name']}", resource
    for name, call in module.get("module_calls", {}).items():
        yield from _configured(call["module"], f"{path}module.{name}.")


def _planned(
    change: Mapping[str, Any], configured: Mapping[str, Mapping[str, Any]], addresses: Mapping[str, list[str]]
) -> PlannedCreate:
    resource = configured[_without_keys(change["address"])]
    after = change["change"]["after"] or {}
    before = change["change"]["before"] or {}
    unknown = [name for name, value in change["change"]["after_unknown"].items() if value is True]
    takes: dict[str, Address] = {}
    for attribute in unknown:
        parent = _parent(change, resource, attribute, addresses)
        if parent is not None:
            takes[attribute] = Address(parent)
    return PlannedCreate(
        address=Address(change["address"]),
        resource_type=change["type"],
        values=after,
        alias=str(resource["provider_config_key"]).rpartition(":")[2].partition(".")[2],
        takes=takes,
        instead_of=before.get("id"),
    )


def _parent(
    change: Mapping[str, Any], resource: Mapping[str, Any], attribute: str, addresses: Mapping[str, list[str]]
) -> str | None:
    """Return the one created resource of the same module that an attribute refers to; None when it is not just one."""
    expression = resource.get("expressions", {}).get(attribute)
    references = expression.get("references", []) if isinstance(expression, Mapping) else []
    if any(reference.startswith("each.value") for reference in references):
        references = [*references, *resource.get("for_each_expression", {}).get("references", [])]
    module = change["address"].removesuffix(_resource_part(change["address"]))
    key = _key(change["address"])
    found: set[str] = set()
    for reference in references:
        instances = [
            a for a in addresses.get(_without_keys(module + _resource_of(reference)), []) if a.startswith(module)
        ]
        same_key = [a for a in instances if _key(a) == key]
        found.update(same_key if same_key and len(instances) > 1 else instances)
    return found.pop() if len(found) == 1 else None


def _resource_of(reference: str) -> str:
    return ".".join(reference.split(".")[:2]).split("[")[0]


def _resource_part(address: str) -> str:
    match = _LAST.search("." + address)
    return match.group(0)[1:] if match else address


def _key(address: str) -> str:
    match = _LAST.search("." + address)
    return match.group(3) or "" if match else ""


def _without_keys(address: str) -> str:
    return re.sub(r'\[(?:"(?:[^"\\]|\\.)*"|\d+)\]', "", address)
