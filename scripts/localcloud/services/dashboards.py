"""CloudWatch dashboards: what AWS refuses as a body is refused, with its own list of what is wrong where."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from localcloud.operations import Answer, Call, Refused, around

MOST_WIDGETS, WIDTH, TALLEST, MOST_ALARMS = 500, 24, 1000, 100
# What the properties of each type of widget must have ("Dashboard body structure and syntax", CloudWatch API reference).
_NEEDED = {
    "metric": ("region",),
    "text": ("markdown",),
    "alarm": ("alarms",),
    "log": ("region", "query"),
    "explorer": ("metrics", "aggregateBy", "labels"),
}


@around("cloudwatch", "PutDashboard")
def put_dashboard(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Refuse a body that CloudWatch would not take; moto takes all JSON."""
    try:
        body = json.loads(call.params["DashboardBody"])
    except ValueError:
        raise _invalid(["The field DashboardBody must be a valid JSON object"]) from None
    problems = list(_problems(body))
    if problems:
        raise _invalid(problems)
    return proceed()


def _invalid(problems: list[str]) -> Refused:
    text = f"The dashboard body is invalid, there are {len(problems)} validation errors: [ {' , '.join(problems)} ]"
    return Refused("InvalidParameterInput", text)


def _problems(body: Any) -> Iterator[str]:
    if not isinstance(body, dict) or not isinstance(body.get("widgets"), list):
        yield json.dumps({"dataPath": "", "message": "Should have required property 'widgets'"})
        return
    if len(body["widgets"]) > MOST_WIDGETS:
        yield f"A dashboard has {MOST_WIDGETS} widgets at most"
    for number, widget in enumerate(body["widgets"]):
        for problem in _of_widget(widget):
            yield json.dumps({"dataPath": f"/widgets/{number}", "message": problem})


def _of_widget(widget: Any) -> Iterator[str]:
    if not isinstance(widget, dict) or widget.get("type") not in _NEEDED:
        yield f"The type of a widget must be one of {', '.join(sorted(_NEEDED))}"
        return
    width, height = widget.get("width", 6), widget.get("height", 6)
    x, y = widget.get("x"), widget.get("y")
    if not (_whole(width, 1, WIDTH) and _whole(height, 1, TALLEST)):
        yield f"width must be 1 to {WIDTH} and height 1 to {TALLEST}"
    elif (x is None) != (y is None):
        yield "x and y are given both or not at all"
    elif x is not None and not (_whole(x, 0, WIDTH - 1) and _whole(y, 0, 10**6) and x + width <= WIDTH):
        yield f"a widget must lie within the {WIDTH} columns"
    properties = widget.get("properties")
    if not isinstance(properties, dict):
        yield "Should have required property 'properties'"
        return
    for name in _NEEDED[widget["type"]]:
        if name not in properties:
            yield f"Should have required property 'properties/{name}'"
    yield from _of_properties(widget["type"], properties)


def _of_properties(kind: str, properties: dict[str, Any]) -> Iterator[str]:
    if kind == "metric":
        if "metrics" not in properties and "annotations" not in properties:
            yield "Should have required property 'properties/metrics' or 'properties/annotations'"
        for metric in properties.get("metrics", []):
            if not isinstance(metric, list) or not metric:
                yield "Each of 'properties/metrics' should be an array"
            elif not isinstance(metric[0], dict):
                words = metric[:-1] if isinstance(metric[-1], dict) else metric
                if len(words) < 2 or len(words) % 2:
                    yield "A metric is a namespace, a name, and pairs of dimension names and values"
    if kind == "alarm" and len(properties.get("alarms", [])) > MOST_ALARMS:
        yield f"An alarm widget has {MOST_ALARMS} alarms at most"


def _whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
