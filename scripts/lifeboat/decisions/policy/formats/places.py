"""Where a finding is shown whose place in the files is not known: a merge request shows nothing without one."""

from __future__ import annotations

from lifeboat.decisions.policy.report import Report
from lifeboat.decisions.policy.reported import STACK, Place, Reported


def place(one: Reported, report: Report) -> Place:
    """Return the place of a finding: where none is known, the file that its root begins with, or the plan's own file."""
    return one.place or _first(one.root, report)


def start(report: Report) -> Place:
    """Return the place of what is said of the whole scan."""
    return _first(STACK if report.looked[-1].root else "", report)


def _first(root: str, report: Report) -> Place:
    # A plan that was given as a file may be of any repository, of which this one's files are none.
    return Place(file=f"terraform/{root}/main.tf" if root else report.subject.name, line=1)


def sentence(one: Reported) -> str:
    """Return what a finding says, in one line."""
    wanted = f"; wanted: {one.wanted}" if one.wanted else ""
    accepted = f" ({one.waived.words})" if one.waived else ""
    return f"{one.where}: {one.found}{wanted}{accepted}"
