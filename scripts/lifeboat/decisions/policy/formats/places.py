"""Where a finding is shown whose place in the files is not known: a merge request shows nothing without one."""

from __future__ import annotations

from lifeboat.decisions.policy.reported import STACK, Place, Reported


def place(one: Reported) -> Place:
    """Return the place of a finding: of a whole plan, the file that its root begins with."""
    return one.place or Place(file=f"terraform/{one.root or STACK}/main.tf", line=1)


def sentence(one: Reported) -> str:
    """Return what a finding says, in one line."""
    wanted = f"; wanted: {one.wanted}" if one.wanted else ""
    accepted = f" ({one.waived.words})" if one.waived else ""
    return f"{one.where}: {one.found}{wanted}{accepted}"
