"""The rules inside `apply` and `recover`: what a plan would bring about is refused, unless somebody accepts it by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from tests.commands.test_recover import broke, instances, runs
from tests.rehearsal import Rehearsal, passed

_BACKUPS = "delete_automated_backups is true"
_UNPROTECTED = "no backup selection and no lifecycle policy takes copies of it"


@contextmanager
def edited(stack: Rehearsal, name: str, pattern: str, replacement: str) -> Iterator[None]:
    """Edit a file of the checkout, and put it back afterwards."""
    before = (stack.root / name).read_text()
    stack.edit(name, pattern, replacement)
    yield
    (stack.root / name).write_text(before)


def test_an_apply_is_refused_what_it_would_bring_about_until_somebody_accepts_it(stack: Rehearsal) -> None:
    with edited(
        stack, "modules/database/main.tf", r"delete_automated_backups = false", "delete_automated_backups = true"
    ):
        refused = passed(stack.lifeboat("apply", "--yes"), 3)
        planned = passed(stack.lifeboat("plan"))

        begun = runs(stack)
        other = passed(stack.lifeboat("apply", "--yes", "--accept-risk", "LB_RDS_1=another one"), 3)
        assert runs(stack) == begun

        done = passed(
            stack.lifeboat("apply", "--yes", "--accept-risk", "lb_rds_3=we leave RDS on Friday", "-o", "json")
        )
        again = passed(stack.lifeboat("apply", "--yes"))  # what stands by now is no news

    for said in (refused, planned, other):
        assert f'LB_RDS_3 (high) module.database.aws_db_instance.this["g1"]: {_BACKUPS}' in said.stderr
    assert "lifeboat apply -e local --accept-risk LB_RDS_3='why it is accepted'" in refused.stderr
    assert "an apply would refuse this" in planned.stderr
    assert "--accept-risk LB_RDS_1='another one' --accept-risk LB_RDS_3=" in other.stderr
    line = f'LB_RDS_3 module.database.aws_db_instance.this["g1"]: {_BACKUPS}; accepted: we leave RDS on Friday'
    assert json.loads(done.stdout)["accepted_risks"] == [line]
    run = next(one for one in runs(stack) if one["run"].endswith("-apply"))
    events = json.loads(passed(stack.ask("logs", run["run"], "-o", "json")).stdout)
    assert [event["kind"] for event in events] == ["begun", "note", "ended"]
    assert events[1]["data"]["accepted_risks"] == [
        {
            "rule": "LB_RDS_3",
            "address": 'module.database.aws_db_instance.this["g1"]',
            "found": _BACKUPS,
            "reason": "we leave RDS on Friday",
        }
    ]
    assert "no changes" in again.stdout


def test_a_recovery_is_refused_what_it_would_bring_about_until_somebody_accepts_it(stack: Rehearsal) -> None:
    broke(stack)
    before = instances(stack)
    with edited(
        stack,
        "modules/app-instance/main.tf",
        r'tags = merge\(local._protect, \{ (Name = "\$\{var.name\}-app"), .*$',
        r"tags = { \1 }",
    ):
        preview = passed(stack.lifeboat("recover", "--preview"), 3)
        refused = passed(stack.lifeboat("recover"), 3)
        assert instances(stack) == before

        done = stack.lifeboat("recover", "--accept-risk", "LB_COV_1=copies by hand until Monday")

    assert f"LB_COV_1 (high) module.app_instance.aws_instance.this: {_UNPROTECTED}" in refused.stderr
    assert f"LB_COV_1 (high) module.app_instance.aws_instance.this: {_UNPROTECTED}".replace(" ", "") in "".join(
        preview.stdout.split()
    )
    assert "lifeboat recover -e local" in refused.stderr
    assert "--accept-risk LB_COV_1='why it is accepted'" in refused.stderr
    passed(done)
    assert "accepted risk: LB_COV_1 module.app_instance.aws_instance.this" in " ".join(done.stdout.split())
    events = json.loads(passed(stack.ask("logs", runs(stack)[0]["run"], "-o", "json")).stdout)
    assert events[0]["data"]["request"]["accept_risk"] == {"LB_COV_1": "copies by hand until Monday"}
    noted = [one for event in events for one in event["data"].get("accepted_risks", [])]
    assert {(one["rule"], one["reason"]) for one in noted} == {("LB_COV_1", "copies by hand until Monday")}
