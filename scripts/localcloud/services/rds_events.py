"""RDS events: remembered, sent to EventBridge, and delivered to the topics of event subscriptions."""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from localcloud.cloud import Cloud
from localcloud.operations import Answer, Call, Refused, around, operation
from localcloud.services import rds_records as records

LOG = logging.getLogger("localcloud.rds")
KEPT_EVENTS = 2000
DETAIL_TYPES = {"db-instance": "RDS DB Instance Event", "db-snapshot": "RDS DB Snapshot Event"}
CATEGORIES = {
    "db-instance": [
        "availability", "backtrack", "backup", "configuration change", "creation", "deletion", "failover", "failure",
        "low storage", "maintenance", "notification", "read replica", "recovery", "restoration", "security",
        "security patching",
    ],
    "db-snapshot": ["creation", "deletion", "notification", "restoration"],
    "db-parameter-group": ["configuration change"],
    "db-security-group": ["configuration change", "failure"],
}  # fmt: skip

# What happened: source type, category, event number, message (AWS: "Amazon RDS event categories and event messages").
HAPPENINGS = {
    "created": ("db-instance", "creation", 5, "DB instance created"),
    "deleted": ("db-instance", "deletion", 3, "DB instance deleted"),
    "backing up": ("db-instance", "backup", 1, "Backing up DB instance"),
    "backed up": ("db-instance", "backup", 2, "Finished DB instance backup"),
    "shut down": ("db-instance", "availability", 4, "DB instance shutdown"),
    "restarted": ("db-instance", "availability", 6, "DB instance restarted"),
    "stopped": ("db-instance", "notification", 87, "DB instance stopped"),
    "started": ("db-instance", "notification", 88, "DB instance started"),
    "modified": ("db-instance", "configuration change", 12, "Applying modification to database instance class"),
    "password reset": ("db-instance", "configuration change", 16, "Reset master credentials"),
    "restored": ("db-instance", "restoration", 19, "Restored from DB instance {} to {}"),
    "restored from snapshot": ("db-instance", "restoration", 43, "Restored from snapshot {}"),
    "failed": ("db-instance", "failure", 31, "The DB instance has failed. RDS recommends that you begin a "
               "point-in-time-restore for the DB instance."),
    "storage full": ("db-instance", "low storage", 7, "The allocated storage for the DB instance has been consumed. "
                     "Allocate additional storage to resolve."),
    "incompatible restore": ("db-instance", "failure", 31, "The DB instance could not be restored."),
    "key lost": ("db-instance", "failure", 31, "The KMS key of the DB instance is inaccessible."),
    "manual snapshot created": ("db-snapshot", "creation", 42, "Manual snapshot created"),
    "automated snapshot created": ("db-snapshot", "creation", 91, "Automated snapshot created"),
    "snapshot deleted": ("db-snapshot", "deletion", 41, "Deleted user snapshot"),
}  # fmt: skip


def happened(cloud: Cloud, region: str, what: str, identifier: str, *words: str) -> None:
    """Remember an event of an instance or snapshot and send it where AWS would."""
    source_type, category, number, message = HAPPENINGS[what]
    kind = "db" if source_type == "db-instance" else "snapshot"
    event = {
        "SourceIdentifier": identifier,
        "SourceType": source_type,
        "Message": message.format(*words),
        "EventCategories": [category],
        "Date": cloud.now(),
        "SourceArn": records.arn(cloud, region, kind, identifier),
    }
    known = cloud.store("rds", region).setdefault("events", [])
    known.append(event)
    del known[:-KEPT_EVENTS]
    _to_event_bus(cloud, region, event, number)
    _to_subscribers(cloud, region, event, number)


def _to_event_bus(cloud: Cloud, region: str, event: dict[str, Any], number: int) -> None:
    # That service is another file's; RDS works without it.
    if importlib.util.find_spec("localcloud.services.events") is None:
        return
    send = getattr(importlib.import_module("localcloud.services.events"), "emit", None)
    if send is not None:
        detail = {
            "EventCategories": event["EventCategories"],
            "SourceType": event["SourceType"].replace("db-", "").upper().replace("INSTANCE", "DB_INSTANCE"),
            "SourceArn": event["SourceArn"],
            "Date": f"{event['Date']:%Y-%m-%dT%H:%M:%S.000Z}",
            "Message": event["Message"],
            "SourceIdentifier": event["SourceIdentifier"],
            "EventID": f"RDS-EVENT-{number:04d}",
        }
        send(cloud, region, "aws.rds", DETAIL_TYPES[event["SourceType"]], detail, [event["SourceArn"]])


def _to_subscribers(cloud: Cloud, region: str, event: dict[str, Any], number: int) -> None:
    for subscription in list(cloud.moto("rds", region).event_subscriptions.values()):
        wanted = (
            subscription.enabled
            and subscription.source_type in (None, "", event["SourceType"])
            and (
                not subscription.event_categories or set(subscription.event_categories) & set(event["EventCategories"])
            )
            and (not subscription.source_ids or event["SourceIdentifier"] in subscription.source_ids)
        )
        if not wanted:
            continue
        message = {
            "Event Source": event["SourceType"],
            "Event Time": f"{event['Date']:%Y-%m-%d %H:%M:%S.000}",
            "Identifier Link": f"https://console.aws.amazon.com/rds/home?region={region}#dbinstance:"
            f"id={event['SourceIdentifier']}",
            "Source ID": event["SourceIdentifier"],
            "Source ARN": event["SourceArn"],
            "Event ID": f"http://docs.amazonwebservices.com/AmazonRDS/latest/UserGuide/USER_Events.html"
            f"#RDS-EVENT-{number:04d}",
            "Event Message": event["Message"],
        }
        try:
            cloud.moto("sns", region).publish(
                json.dumps(message), arn=subscription.sns_topic_arn, subject="RDS Notification Message"
            )
        except Exception:
            LOG.exception("the event subscription %s could not be delivered", subscription.subscription_name)


@operation("rds", "DescribeEvents")
def _describe_events(call: Call, **asked: Any) -> dict[str, Any]:
    now = call.cloud.now()
    begin = asked.get("StartTime") or now - timedelta(minutes=asked.get("Duration") or 60)
    end = asked.get("EndTime") or now
    if asked.get("SourceIdentifier") and not asked.get("SourceType"):
        raise Refused("InvalidParameterCombination", "The SourceType parameter must be given when SourceIdentifier is.")
    found = [
        event | {"_order": f"{event['Date']:%Y%m%d%H%M%S%f}-{number:06d}"}
        for number, event in enumerate(call.cloud.store("rds", call.region).get("events", []))
        if _aware(begin) <= event["Date"] <= _aware(end)
        and asked.get("SourceIdentifier") in (None, event["SourceIdentifier"])
        and asked.get("SourceType") in (None, event["SourceType"])
        and (not asked.get("EventCategories") or set(asked["EventCategories"]) & set(event["EventCategories"]))
    ]
    shown, marker = records.page(
        found, limit=asked.get("MaxRecords"), marker=asked.get("Marker"), name=lambda event: event["_order"]
    )
    return records.without_nones(
        {"Events": [{k: v for k, v in event.items() if k != "_order"} for event in shown], "Marker": marker}
    )


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@operation("rds", "DescribeEventCategories")
def _describe_event_categories(_call: Call, **asked: Any) -> dict[str, Any]:
    return {
        "EventCategoriesMapList": [
            {"SourceType": source, "EventCategories": categories}
            for source, categories in CATEGORIES.items()
            if asked.get("SourceType") in (None, source)
        ]
    }


def _subscription(call: Call, name: str) -> Any:
    found = call.cloud.moto("rds", call.region).event_subscriptions.get(name)
    if found is None:
        raise Refused("SubscriptionNotFound", f"Subscription {name} not found.", 404)
    return found


def _check_subscription(call: Call, asked: dict[str, Any], source_type: str | None) -> None:
    if source_type is not None and source_type not in CATEGORIES:
        raise Refused("SourceNotFound", f"Source type {source_type} is not valid.", 404)
    unknown = set(asked.get("EventCategories") or []) - set(CATEGORIES.get(source_type or "", []))
    if source_type and unknown:
        raise Refused("SubscriptionCategoryNotFound", f"Category {sorted(unknown)[0]} does not exist.", 404)
    topic = asked.get("SnsTopicArn")
    if topic is not None and topic not in call.cloud.moto("sns", call.region).topics:
        raise Refused("SNSTopicArnNotFound", f"SNS topic {topic} does not exist.", 404)


@around("rds", "CreateEventSubscription")
def _create_event_subscription(call: Call, proceed: Any) -> Answer:
    _check_subscription(call, call.params, call.params.get("SourceType"))
    answer: Answer = proceed()
    if answer.status == 200 and call.params.get("Enabled") is None:
        _subscription(call, call.params["SubscriptionName"]).enabled = True
    return answer


@operation("rds", "ModifyEventSubscription")
def _modify_event_subscription(call: Call, **asked: Any) -> dict[str, Any]:
    found = _subscription(call, asked["SubscriptionName"])
    _check_subscription(call, asked, asked.get("SourceType") or found.source_type)
    for member, attribute in (
        ("SnsTopicArn", "sns_topic_arn"),
        ("SourceType", "source_type"),
        ("EventCategories", "event_categories"),
        ("Enabled", "enabled"),
    ):
        if asked.get(member) is not None:
            setattr(found, attribute, asked[member])
    return {"EventSubscription": _shown(call, found)}


@operation("rds", "AddSourceIdentifierToSubscription", "RemoveSourceIdentifierFromSubscription")
def _change_sources(call: Call, **asked: Any) -> dict[str, Any]:
    found = _subscription(call, asked["SubscriptionName"])
    kept = [name for name in found.source_ids if name != asked["SourceIdentifier"]]
    if call.operation.startswith("Add"):
        kept.append(asked["SourceIdentifier"])
    found.source_ids = kept
    return {"EventSubscription": _shown(call, found)}


def _shown(call: Call, found: Any) -> dict[str, Any]:
    return records.without_nones(
        {
            "CustomerAwsId": call.account_id,
            "CustSubscriptionId": found.subscription_name,
            "SnsTopicArn": found.sns_topic_arn,
            "Status": found.status,
            "SubscriptionCreationTime": str(found.created_at),
            "SourceType": found.source_type,
            "SourceIdsList": list(found.source_ids),
            "EventCategoriesList": list(found.event_categories),
            "Enabled": found.enabled,
            "EventSubscriptionArn": found.arn,
        }
    )
