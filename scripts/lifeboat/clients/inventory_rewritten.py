"""What an apply may write again and a lost state must know all the same: roles' policies, alarms, rules, associations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lifeboat.clients import sdk
from lifeboat.clients.inventory import FINDERS, Finder, Found, Look, answer_of, filtered_by

# -- network -------------------------------------------------------------------------------------------------------


def _default_security_groups(look: Look) -> Iterator[Found]:
    network = look.id_of("vpc_id")
    if network is None:
        return
    filters = [*filtered_by("vpc-id", network), *filtered_by("group-name", "default")]
    for group in sdk.items(look.client("ec2"), "describe_security_groups", "SecurityGroups", Filters=filters):
        yield Found(id=group["GroupId"], import_id=group["GroupId"], tags=sdk.tags(group.get("Tags", [])))


def _address_associations(look: Look) -> Iterator[Found]:
    address, instance = look.id_of("allocation_id"), look.id_of("instance_id")
    if address is None or instance is None:
        return
    ask = look.client("ec2").describe_addresses
    for found in (answer_of("InvalidAllocationID.NotFound", ask, AllocationIds=[address]) or {}).get("Addresses", []):
        # With another instance it is not this association, and an apply moves the address in one step.
        if found.get("InstanceId") == instance and "AssociationId" in found:
            yield Found(id=found["AssociationId"], import_id=found["AssociationId"])


# -- roles and secrets ---------------------------------------------------------------------------------------------


def _role_policies(look: Look) -> Iterator[Found]:
    role, name = look.id_of("role"), look.value("name")
    if role is None:
        return
    ask = look.client("iam").get_role_policy
    if answer_of("NoSuchEntity", ask, RoleName=role, PolicyName=name) is not None:
        yield Found(id=f"{role}:{name}", import_id=f"{role}:{name}")


def _attached_policies(look: Look) -> Iterator[Found]:
    role, policy = look.id_of("role"), look.id_of("policy_arn")
    if role is None or policy is None:
        return
    client = look.client("iam")
    if answer_of("NoSuchEntity", client.get_role, RoleName=role) is None:
        return
    for attached in sdk.items(client, "list_attached_role_policies", "AttachedPolicies", RoleName=role):
        if attached["PolicyArn"] == policy:
            yield Found(id=f"{role}/{policy}", import_id=f"{role}/{policy}")


def _secret_versions(look: Look) -> Iterator[Found]:
    secret = look.id_of("secret_id")
    if secret is None:
        return
    answer = answer_of("ResourceNotFoundException", look.client("secretsmanager").describe_secret, SecretId=secret)
    for version, stages in (answer or {}).get("VersionIdsToStages", {}).items():
        if "AWSCURRENT" in stages:
            yield Found(id=f"{secret}|{version}", import_id=f"{secret}|{version}")


# -- backups -------------------------------------------------------------------------------------------------------


def _vault_locks(look: Look) -> Iterator[Found]:
    # One in compliance mode too: once its time to change it is over, AWS refuses to have it put again.
    name = look.id_of("backup_vault_name")
    for vault in sdk.items(look.client("backup"), "list_backup_vaults", "BackupVaultList"):
        if name is not None and vault["BackupVaultName"] == name and vault.get("Locked"):
            yield Found(id=name, import_id=name)


# -- the dump job --------------------------------------------------------------------------------------------------


def _clusters(look: Look) -> Iterator[Found]:
    name = look.value("name")
    for cluster in look.client("ecs").describe_clusters(clusters=[name], include=["TAGS"])["clusters"]:
        if cluster["clusterName"] == name and cluster["status"] == "ACTIVE":
            yield Found(id=cluster["clusterArn"], import_id=name, tags=_small_tags(cluster.get("tags", [])))


def _task_definitions(look: Look) -> Iterator[Found]:
    client, family = look.client("ecs"), look.value("family")
    listed = sdk.items(client, "list_task_definitions", "taskDefinitionArns", familyPrefix=family, status="ACTIVE")
    # The newest revision, which the schedule runs; the prefix is that of other families too.
    revisions = {int(arn.rpartition(":")[2]): arn for arn in listed if arn.rpartition("/")[2].startswith(f"{family}:")}
    if revisions:
        newest = revisions[max(revisions)]
        answer = client.describe_task_definition(taskDefinition=newest, include=["TAGS"])
        yield Found(id=newest, import_id=newest, tags=_small_tags(answer.get("tags", [])))


def _small_tags(pairs: list[dict[str, str]]) -> dict[str, str]:
    return {pair["key"]: pair["value"] for pair in pairs}  # ECS writes them small


# -- alarms --------------------------------------------------------------------------------------------------------


def _rules(look: Look) -> Iterator[Found]:
    client, name = look.client("events"), look.value("name")
    answer = answer_of("ResourceNotFoundException", client.describe_rule, Name=name)
    if answer is not None:
        tags = sdk.tags(client.list_tags_for_resource(ResourceARN=answer["Arn"])["Tags"])
        yield Found(id=name, import_id=name, tags=tags)


def _targets(look: Look) -> Iterator[Found]:
    client, rule, target = look.client("events"), look.id_of("rule"), look.value("target_id")
    if rule is None or answer_of("ResourceNotFoundException", client.describe_rule, Name=rule) is None:
        return
    for found in sdk.items(client, "list_targets_by_rule", "Targets", Rule=rule):
        if found["Id"] == target:
            yield Found(id=f"{rule}/{target}", import_id=f"{rule}/{target}")


def _dashboards(look: Look) -> Iterator[Found]:
    name = look.value("dashboard_name")
    answer = answer_of(
        "ResourceNotFound DashboardNotFoundError", look.client("cloudwatch").get_dashboard, DashboardName=name
    )
    if answer is not None:  # it bears no tags: whether it is ours the plan tells
        yield Found(id=name, import_id=name)


def _metric_alarms(look: Look) -> Iterator[Found]:
    client, name = look.client("cloudwatch"), look.value("alarm_name")
    for alarm in sdk.items(client, "describe_alarms", "MetricAlarms", AlarmNames=[name]):
        tags = sdk.tags(client.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"])
        yield Found(id=name, import_id=name, tags=tags)


def _topic_policies(look: Look) -> Iterator[Found]:
    topic = look.id_of("arn")
    # Every topic has one; whether it is ours the plan tells.
    if topic is not None and answer_of("NotFound", look.client("sns").get_topic_attributes, TopicArn=topic) is not None:
        yield Found(id=topic, import_id=topic)


def _subscriptions(look: Look) -> Iterator[Found]:
    topic = look.id_of("topic_arn")
    client = look.client("sns")
    if topic is None or answer_of("NotFound", client.get_topic_attributes, TopicArn=topic) is None:
        return
    wanted = (look.value("protocol"), look.id_of("endpoint"))
    for found in sdk.items(client, "list_subscriptions_by_topic", "Subscriptions", TopicArn=topic):
        arn = found["SubscriptionArn"]
        # One that nobody confirmed yet has no name to import it by ("PendingConfirmation").
        if (found["Protocol"], found["Endpoint"]) == wanted and arn.startswith("arn:"):
            yield Found(id=arn, import_id=arn)


# What decisions/adoption.py has written again, and how it is found; a test compares the two.
REWRITTEN: Mapping[str, Finder] = {
    "aws_default_security_group": _default_security_groups,
    "aws_eip_association": _address_associations,
    "aws_iam_role_policy": _role_policies,
    "aws_iam_role_policy_attachment": _attached_policies,
    "aws_secretsmanager_secret_version": _secret_versions,
    "aws_ecs_cluster": _clusters,
    "aws_ecs_task_definition": _task_definitions,
    "aws_cloudwatch_dashboard": _dashboards,
    "aws_cloudwatch_event_rule": _rules,
    "aws_cloudwatch_event_target": _targets,
    "aws_cloudwatch_metric_alarm": _metric_alarms,
    "aws_sns_topic_policy": _topic_policies,
    "aws_sns_topic_subscription": _subscriptions,
}
EVERYTHING: Mapping[str, Finder] = {**FINDERS, **REWRITTEN, "aws_backup_vault_lock_configuration": _vault_locks}
