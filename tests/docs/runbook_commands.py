"""The commands that a runbook shows, run on what it is about."""

from __future__ import annotations

from lifeboat.runbooks.pages import Scenario

from tests.docs import test_readme as readme
from tests.rehearsal import Rehearsal, passed

# What each page is about, as the local cloud breaks it.
BROKEN = {
    "instance-lost.md": ["instance"],
    "database-lost.md": ["database"],
    "everything-lost.md": ["instance", "database"],
}
PREVIEWS = ("lifeboat plan-recovery", "lifeboat recover --preview", "lifeboat recover --scope full --preview")


def work(scenario: Scenario, stack: Rehearsal) -> None:
    """Break what a page is about, and see that its commands, the first of which changes nothing, bring it back."""
    # What the README shows as well is run with it.
    shown = [command for command in scenario.commands if command not in readme.commands()]
    for what in BROKEN[scenario.file]:
        passed(stack.lifeboat("local", "break", what))

    passed(stack.run("bash", "-c", "\n".join(["set -e", *shown])))

    assert scenario.commands[0] in PREVIEWS
    assert scenario.commands[1].startswith("make recover")
