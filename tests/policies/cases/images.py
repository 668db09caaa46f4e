"""Cases of the rules on the recovery image."""

from __future__ import annotations

from typing import Any

from tests.policies.cases.case import absent, bad, clean
from tests.policies.plans import PlanFile, known

_OLD, _NEW = "ami-0a1b2c3d4e5f60718", "ami-0f1e2d3c4b5a69788"


def _instance(image: str, given: str | None, **values: Any) -> PlanFile:
    found = PlanFile().add("aws_instance.app", {"ami": known(image, "var.ami_id"), **values})
    found.variables |= {} if given is None else {"ami_id": given}
    return found


def _disk(**values: Any) -> list[dict[str, Any]]:
    return [{"device_name": "/dev/sdb", **values}]


CASES = (
    clean("LB_REC_1", "a validation", _instance(_NEW, _NEW).check("var", "var.ami_id", "pass")),
    clean("LB_REC_1", "a validation of a module", _instance(_NEW, _NEW).check("var", "module.app.var.ami_id", "pass")),
    bad("LB_REC_1", "none", _instance(_NEW, _NEW), "nothing checks what it is given"),
    bad(
        "LB_REC_1",
        "of another variable",
        _instance(_NEW, _NEW).check("var", "var.name", "pass"),
        "nothing checks what it is given",
    ),
    absent("LB_REC_1", "no variable", _instance(_NEW, None)),
    clean("LB_REC_2", "the image that is given", _instance(_NEW, _NEW)),
    bad(
        "LB_REC_2",
        "another image",
        _instance(_OLD, _NEW),
        "var.ami_id names another image, and the instance stays on its old one: ignore_changes hides ami",
    ),
    clean(
        "LB_REC_2",
        "a data volume that stays",
        _instance(_NEW, _NEW, ebs_block_device=_disk(delete_on_termination=False)),
    ),
    bad(
        "LB_REC_2",
        "a data volume that goes",
        _instance(_NEW, _NEW, ebs_block_device=_disk()),
        "a data volume goes with the instance when it is replaced",
    ),
    absent("LB_REC_2", "of a launch template", PlanFile().add("aws_instance.app", {})),
)
