"""Settings that Terraform has just set are as they were built, in every form that its provider writes them in."""

from __future__ import annotations

from typing import Any

from lifeboat.clients.alarm_routes import AlarmRoutes
from lifeboat.clients.alarm_settings import AlarmSettings
from lifeboat.clients.protection_settings import ProtectionSettings
from lifeboat.decisions.hand_changes import compared
from pytest_terraform import terraform

from tests.conftest import RunningCloud
from tests.gitlab_sites import REGION


@terraform("watched", scope="session")
def test_what_nobody_has_changed_is_as_it_was_built(watched: Any, root_cloud: RunningCloud) -> None:
    routes = AlarmRoutes(client=root_cloud.client, application="watched")
    status, schedules = AlarmSettings(root_cloud.client, "watched"), ProtectionSettings(root_cloud.client)
    rung = {one.ringer.name: one.settings for one in (*routes.alarms(REGION), *routes.rules(REGION))}
    seen = {one.name: one.settings for one in (*status.alarms(REGION).values(), *status.rules(REGION).values())}
    for name in ("watched-least", "watched-whole"):
        schedule = schedules.schedule(name, REGION)
        assert schedule is not None
        seen[f"schedule {name}"] = schedule.settings

    found = {
        (by, name): compared(kind, now[name], attributes).words
        for kind, attributes in built(watched)
        for by, now in (("alarms", rung), ("status", seen))
        if (name := called(kind, attributes)) in now
    }

    of_both = ("watched-plain", "watched-least", "watched-calculated", "watched-of-events")
    assert found == {
        **{(by, name): "" for by in ("alarms", "status") for name in of_both},
        ("alarms", "watched-of-alarms"): "",
        ("status", "watched-of-time"): "",
        ("status", "schedule watched-least"): "",
        ("status", "schedule watched-whole"): "",
    }


def built(watched: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return what Terraform's state has of what is watched: the type and the attributes of each."""
    return [
        (kind, attributes)
        for kind, named in watched.resources.items()
        if kind.startswith(("aws_cloudwatch_", "aws_scheduler_"))
        for attributes in named.values()
    ]


def called(kind: str, attributes: dict[str, Any]) -> str:
    name = str(attributes.get("alarm_name") or attributes["name"])
    return f"schedule {name}" if kind == "aws_scheduler_schedule" else name
