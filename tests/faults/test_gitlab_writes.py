"""A fault at each request of a sync: afterwards GitLab has what was wanted, or what it had, or the error names the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lifeboat.clients.sync_journal import SyncJournal
from lifeboat.decisions import variable_changes
from lifeboat.errors import GitLabUnreachable, LifeboatError
from lifeboat.gitlab_model import SyncPlan, Target, Variable, VariableName
from lifeboat.model import Secret
from lifeboat.pipeline.writes import Scribe, write

from tests.gitlab_sites import GitLabSite, gitlab_site
from tests.localcloud.gitlab_places import local_gitlab

MARKED = "managed-by: lifeboat/x"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong from one request on, and for how many."""

    name: str
    rule: dict[str, Any]


FOR_GOOD = 10_000
FAULTS = [
    Fault(name="once unavailable", rule={"when": "before", "status": 503, "times": 1}),
    Fault(name="unavailable a while", rule={"when": "before", "status": 502, "times": 6}),
    Fault(name="unavailable for good", rule={"when": "before", "status": 500, "times": FOR_GOOD}),
    Fault(name="answer lost", rule={"when": "after", "status": 502, "times": 1}),
    Fault(name="answers lost a while", rule={"when": "after", "status": 504, "times": 5}),
    Fault(name="answers lost for good", rule={"when": "after", "status": 502, "times": FOR_GOOD}),
    Fault(name="connection cut", rule={"when": "cut", "status": 200, "times": 1}),
    Fault(name="throttled", rule={"when": "before", "status": 429, "times": 2}),
    Fault(name="throttled for good", rule={"when": "before", "status": 429, "times": FOR_GOOD}),
    Fault(name="token expired", rule={"when": "before", "status": 401, "times": FOR_GOOD}),
    Fault(name="role taken away once", rule={"when": "before", "status": 403, "times": 1}),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitLabSite]:
    with local_gitlab() as local:
        yield gitlab_site(local, tmp_path_factory.mktemp("project"))


def variable(key: str, value: str | None, **more: Any) -> Variable:
    secret = None if value is None else Secret(value)
    return Variable(name=VariableName(key=key, scope="x"), value=secret, **more)


def begin(lab: GitLabSite, before: list[Variable]) -> list[Variable]:
    """Make the project have these variables, hidden ones with a value of their own; return them as a client sees them."""
    lab.clean()
    client = lab.site().gitlab(lab.patience)
    for one in before:
        client.create(one if one.value is not None else variable_with(one, "hidden-before"))
    return client.variables()


def variable_with(one: Variable, value: str) -> Variable:
    return Variable(name=one.name, value=Secret(value), hidden=True, masked=True, description=one.description)


def planned(lab: GitLabSite, targets: list[Target]) -> SyncPlan:
    current = lab.site().gitlab(lab.patience).variables()
    return variable_changes.pruned(variable_changes.planned(targets, current, "x"), current, "x")


def written(lab: GitLabSite, plan: SyncPlan) -> LifeboatError | None:
    """Write a plan; return how it failed."""
    try:
        write(
            plan,
            Scribe(
                client=lab.site().gitlab(lab.patience),
                journal=SyncJournal(lab.site().project.work),
                tell=lab.told.append,
            ),
        )
    except LifeboatError as problem:
        return problem
    return None


def check(
    lab: GitLabSite, before: list[Variable], targets: list[Target], fault: tuple[Fault, int]
) -> LifeboatError | None:
    """Write with a fault from one request on and assert the law; return how it failed."""
    had = {v.name: v for v in begin(lab, before)}
    plan = planned(lab, targets)
    expected = {**had, **{c.name: c.after for c in plan.changes}}
    rule, first = fault
    lab.fail(first=first, **rule.rule)

    problem = written(lab, plan)

    lab.cloud.control("faults", clear=True)
    have = {v.name: v for v in lab.site().gitlab(lab.patience).variables()}
    names = set(had) | set(have) | set(expected)
    if problem is None:
        assert [str(n) for n in names if not variable_changes.same(have.get(n), expected.get(n))] == []
        return None
    named = set(re.findall(r"NOT put back: (\S+ \(x\))", problem.summary))
    differing = {str(n) for n in names if not variable_changes.same(have.get(n), had.get(n))}
    assert differing <= named, problem.summary
    assert named <= {str(c.name) for c in plan.writes}
    if not named:
        assert variable_changes.planned(targets, have.values(), "x").changes == tuple(
            c for c in variable_changes.planned(targets, had.values(), "x").changes
        )
    assert "secret-value" not in f"{problem.summary}{problem.hint}{lab.told}"
    return problem


# -- every request, one after the other --------------------------------------------------------------------------------

BEFORE = [
    variable("KEPT", "secret-value-kept"),
    variable("CHANGED", "secret-value-old", masked=True, description="By hand"),
    variable("PRUNED", "secret-value-pruned", raw=True, description=MARKED),
    variable("POINTER", "secret-value-pointer"),
]
TARGETS = [
    Target(name=VariableName(key="KEPT", scope="x"), value=Secret("secret-value-kept")),
    Target(
        name=VariableName(key="CHANGED", scope="x"),
        value=Secret("secret-value-new"),
        attributes={"raw": True, "masked": True},
    ),
    Target(name=VariableName(key="MADE", scope="x"), value=Secret("secret-value-made"), attributes={"masked": True}),
    Target(name=VariableName(key="POINTER", scope="x"), value=Secret("secret-value-next"), pointer=True),
]
REQUESTS = 9  # read and write of four variables, then the list that verifies


def test_the_writes_of_the_enumeration_are_all_there_are(lab: GitLabSite) -> None:
    begin(lab, BEFORE)
    plan = planned(lab, TARGETS)

    with lab.traced() as names:
        problem = written(lab, plan)

    assert problem is None
    assert names == [
        *("GetVariable", "UpdateVariable", "GetVariable", "CreateVariable"),
        *("GetVariable", "DeleteVariable", "GetVariable", "UpdateVariable", "ListVariables"),
    ]
    assert len(names) == REQUESTS


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_at_any_request_leaves_nothing_in_between(lab: GitLabSite, fault: Fault) -> None:
    ends = [check(lab, BEFORE, TARGETS, (fault, first)) for first in range(1, REQUESTS + 1)]

    survived = [first for first, problem in enumerate(ends, 1) if problem is None]
    if fault.rule["times"] == 1 and fault.rule["status"] != 403:
        assert survived == list(range(1, REQUESTS + 1))  # one hiccup stops no recovery
    if fault.rule["times"] == FOR_GOOD and fault.rule["when"] == "before":
        assert survived == []


def test_when_gitlab_stays_away_what_was_written_is_named(lab: GitLabSite) -> None:
    gone = next(fault for fault in FAULTS if fault.name == "unavailable for good")

    problem = check(lab, BEFORE, TARGETS, (gone, 5))

    assert problem is not None
    assert re.findall(r"NOT put back: (\S+)", problem.summary) == ["MADE", "CHANGED"]


def test_an_outage_in_the_midst_of_a_sync_is_told_as_one_so_that_a_recovery_goes_around_it(lab: GitLabSite) -> None:
    gone = next(fault for fault in FAULTS if fault.name == "unavailable for good")

    problem = check(lab, BEFORE, TARGETS, (gone, 3))  # the second variable, after the first was written

    assert type(problem) is GitLabUnreachable
    assert re.findall(r"NOT put back: (\S+)", problem.summary) == ["CHANGED"]
    assert problem.hint == "run the same command again: it writes what is missing"


# -- any state, any target, any request --------------------------------------------------------------------------------

KEYS = ["ALPHA", "BRAVO", "CHARLIE", "DELTA"]
VALUES = st.sampled_from(["secret-value-1", "secret-value-2", "secret-value-3"])


@st.composite
def variables(draw: st.DrawFn) -> list[Variable]:
    made = []
    for key in draw(st.lists(st.sampled_from(KEYS), unique=True)):
        hidden = draw(st.sampled_from([False, False, False, True]))
        made.append(
            variable(
                key,
                None if hidden else draw(VALUES),
                hidden=hidden,
                masked=hidden or draw(st.booleans()),
                raw=draw(st.booleans()),
                protected=draw(st.booleans()),
                description=draw(st.sampled_from(["", "By hand", MARKED])),
            )
        )
    return made


@st.composite
def targets(draw: st.DrawFn, before: list[Variable]) -> list[Target]:
    hidden = {v.name.key for v in before if v.hidden}
    existing = {v.name.key for v in before}
    return [
        Target(
            name=VariableName(key=key, scope="x"),
            value=Secret(draw(VALUES)),
            attributes={
                "raw": True,
                "masked": True,
                **draw(st.sampled_from([{}, {"description": "Said"}, {"protected": True}])),
            },
            hidden=key in hidden or (key not in existing and draw(st.booleans())),
            pointer=draw(st.booleans()),
        )
        for key in draw(st.lists(st.sampled_from(KEYS), unique=True, min_size=1))
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), before=variables(), fault=st.sampled_from(FAULTS), first=st.integers(1, 12))
def test_from_any_state_to_any_other_a_fault_leaves_nothing_in_between(
    lab: GitLabSite, data: st.DataObject, before: list[Variable], fault: Fault, first: int
) -> None:
    check(lab, before, data.draw(targets(before)), (fault, first))
