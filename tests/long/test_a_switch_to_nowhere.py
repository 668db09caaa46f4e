"""The public name switched to where nobody answers, and put back by the next apply."""

from __future__ import annotations

import json

from tests.commands.test_dns import NAME, lookup
from tests.rehearsal import Rehearsal, passed


def test_a_switch_to_nowhere_is_made_only_when_asked_for_and_the_next_apply_ends_it(stack: Rehearsal) -> None:
    before = lookup(stack)

    done = passed(stack.lifeboat("dns", "switch", "--to", "127.9.9.9", "--until-apply", "--unanswered", "--yes"), 11)
    moved = lookup(stack)
    applied = passed(stack.lifeboat("apply", "-o", "json"))

    document = json.loads(applied.stdout)
    assert f"{NAME} at 127.9.9.9 is not well: no connection" in done.stderr
    assert "lifeboat dns revert -e local puts the record back" in done.stderr
    assert moved == ["127.9.9.9"]
    assert "stack: 1 to change" in applied.stderr
    assert lookup(stack) == before
    assert document["unproven"] == []
    assert document["public_name"]["name"] == NAME
    assert document["public_name"]["addresses"] == [document["application"]["address"]]
    assert [h["instance_id"] for h in document["public_name"]["healths"]] == [document["application"]["instance_id"]]
