"""How DLM, AWS Backup and schedules tell what happened: events on the default bus."""

from __future__ import annotations

from typing import Any

from localcloud.cloud import Cloud


def announce(
    cloud: Cloud, region: str, *, source: str, detail_type: str, detail: dict[str, Any], resources: list[str]
) -> None:
    """Put an event of an AWS service on the region's default bus."""
    import importlib.util

    if importlib.util.find_spec("localcloud.services.events") is None:
        return
    from localcloud.services import events

    events.emit(cloud, region, source, detail_type, detail, resources)
