"""What a GitLab project must be like, as rows with what was found and what mends it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from lifeboat.decisions import gitlab_checks
from lifeboat.gitlab_model import (
    Guard,
    Lint,
    ProjectFacts,
    Role,
    RunnerFacts,
    Schedule,
    TokenFacts,
    VariableName,
    Wish,
)

TODAY = date(2025, 3, 1)


def wish(key: str = "KEY", scope: str = "production", **more: Any) -> Wish:
    return Wish(name=VariableName(key=key, scope=scope), source="output a", **more)


def project(**more: Any) -> ProjectFacts:
    return ProjectFacts(
        **{
            "path": "demo/app",
            "web_url": "https://g/demo/app",
            "group": "demo",
            "default_branch": "main",
            "role": Role.MAINTAINER,
            "override_role": "maintainer",
            "forward_deployment": True,
            "rollback_allowed": True,
            **more,
        }
    )


@pytest.mark.parametrize(
    ("found", "good"),
    [("19.5.0-ee", True), ("17.11.0", True), ("17.10.9-ee", False), ("9.0", False), ("unknown", False)],
)
def test_a_gitlab_must_take_inputs(found: str, good: bool) -> None:
    row = gitlab_checks.version(found)

    assert (row.good, row.found) == (good, found)
    assert row.wanted.startswith("17.11 or newer")


@pytest.mark.parametrize(
    ("scopes", "expires", "good"),
    [
        (("api",), date(2025, 9, 1), True),
        (("api", "read_repository"), None, True),
        (("api",), date(2025, 3, 31), True),
        (("api",), date(2025, 3, 30), False),
        (("api",), date(2025, 2, 1), False),
        (("read_api",), date(2025, 9, 1), False),
    ],
)
def test_a_token_must_write_and_last(scopes: tuple[str, ...], expires: date | None, good: bool) -> None:
    row = gitlab_checks.token(TokenFacts(name="recovery", scopes=scopes, expires_on=expires), TODAY)

    assert row.good is good
    assert row.found.startswith(f"recovery: scopes {', '.join(scopes)}, ")


def test_what_gitlab_does_not_say_is_unknown_and_not_bad() -> None:
    rows = [
        gitlab_checks.token(None, TODAY),
        gitlab_checks.role(project(role=None)),
        gitlab_checks.override(project(override_role=None)),
        gitlab_checks.outdated(project(forward_deployment=None)),
    ]

    assert all(row.good for row in rows)
    assert [row.found for row in rows] == [
        "GitLab does not say",
        "GitLab does not say",
        "may be set by: GitLab does not say",
        "GitLab does not say",
    ]


@pytest.mark.parametrize(("role", "good"), [(Role.OWNER, True), (Role.MAINTAINER, True), (Role.DEVELOPER, False)])
def test_variables_take_a_maintainer(role: Role, good: bool) -> None:
    row = gitlab_checks.role(project(role=role))

    assert (row.good, row.found) == (good, role.name.title())


@pytest.mark.parametrize(
    ("protected", "stated", "good", "found"),
    [
        (True, True, True, "protected"),
        (False, True, False, "not protected"),
        (False, None, True, "not protected"),
        (None, None, False, "there is no such branch"),
    ],
)
def test_protected_variables_take_a_protected_branch(
    protected: bool | None, stated: bool | None, good: bool, found: str
) -> None:
    row = gitlab_checks.branch("main", protected, [wish(protected=stated)])

    assert (row.good, row.found) == (good, found)


@pytest.mark.parametrize(
    ("guard", "found"),
    [
        (None, "not protected: every Developer may deploy"),
        (
            Guard(environment="production", deployers=("Maintainers", "Ada"), approvals=2),
            "protected: Maintainers, Ada may deploy, after 2 approvals",
        ),
        (Guard(environment="production", deployers=(), approvals=0), "protected: nobody may deploy"),
    ],
)
def test_who_may_deploy_is_told(guard: Guard | None, found: str) -> None:
    assert gitlab_checks.environment("production", guard).found == found


@pytest.mark.parametrize(
    ("forward", "rollback", "found"),
    [
        (True, True, "older deployments are prevented"),
        (True, False, "older deployments are prevented, and ended ones cannot be retried"),
        (False, False, "older ones may overwrite newer"),
    ],
)
def test_what_becomes_of_outdated_deployments_is_told(forward: bool, rollback: bool, found: str) -> None:
    assert gitlab_checks.outdated(project(forward_deployment=forward, rollback_allowed=rollback)).found == found


def runner(*tags: str, online: bool = True, paused: bool = False) -> RunnerFacts:
    return RunnerFacts(description="one", online=online, paused=paused, tags=tags, run_untagged=True)


@pytest.mark.parametrize(
    ("runners", "good", "found"),
    [
        ([runner("aws")], True, "one (aws)"),
        ([runner(), runner(online=False)], True, "one (no tags)"),
        ([runner(online=False), runner(paused=True)], False, "none of 2 is online"),
        ([], False, "none of 0 is online"),
        ([replace(runner(), tags=None)], True, "one (tags unknown)"),
        (None, False, "unknown: this token may not see them"),
    ],
)
def test_a_runner_must_be_online(runners: list[RunnerFacts] | None, good: bool, found: str) -> None:
    row = gitlab_checks.runners(runners)

    assert (row.good, row.found) == (good, found)


def schedule(*keys: str, active: bool = True) -> Schedule:
    return Schedule(description="nightly", ref="main", active=active, keys=keys)


@pytest.mark.parametrize(
    ("group", "schedules", "good", "found"),
    [
        ([], [], True, "nothing"),
        ([VariableName(key="OTHER", scope="*")], [schedule("OTHER")], True, "nothing"),
        ([VariableName(key="KEY", scope="*")], [], True, "KEY in the group (the project's wins)"),
        ([], [schedule("KEY")], False, "KEY in the schedule nightly"),
        ([], [schedule("KEY", active=False)], True, "nothing"),
        (None, None, True, "the group's are not for this token to see; schedules are not for this token to see"),
    ],
)
def test_what_shadows_a_variable_is_named(
    group: list[VariableName] | None, schedules: list[Schedule] | None, good: bool, found: str
) -> None:
    row = gitlab_checks.shadowing([wish().name], group, schedules)

    assert (row.good, row.found) == (good, found)


@pytest.mark.parametrize(
    ("lint", "good", "found"),
    [
        (Lint(errors=(), warnings=(), jobs={"deploy": "x", "back": None}), True, "sound, 2 jobs"),
        (Lint(errors=(), warnings=(), jobs={"deploy": "x"}), False, "no job back"),
        (Lint(errors=("jobs:deploy is wrong",), warnings=()), False, "jobs:deploy is wrong"),
    ],
)
def test_the_pipeline_must_be_sound_and_have_both_jobs(lint: Lint, good: bool, found: str) -> None:
    row = gitlab_checks.pipeline(lint, ("deploy", "back"))

    assert (row.good, row.found) == (good, found)


def test_a_scope_that_the_environments_jobs_do_not_see_is_named() -> None:
    names = [wish("A").name, wish("B", "staging").name, wish("C", "prod*").name, wish("D", "*").name]

    row = gitlab_checks.scopes(names, "production")

    assert (row.good, row.found) == (False, "not seen by jobs of production: B (staging)")
    assert gitlab_checks.scopes(names[:1], "production").good


def test_everything_that_is_wrong_says_how_to_mend_it() -> None:
    rows = [
        gitlab_checks.version("1.0"),
        gitlab_checks.token(TokenFacts(name="t", scopes=(), expires_on=TODAY), TODAY),
        gitlab_checks.role(project(role=Role.GUEST)),
        gitlab_checks.branch("main", False, [wish(protected=True)]),
        gitlab_checks.runners([]),
        gitlab_checks.runners(None),
        gitlab_checks.shadowing([wish().name], [], [schedule("KEY")]),
        gitlab_checks.pipeline(Lint(errors=("x",), warnings=()), ("deploy",)),
        gitlab_checks.scopes([wish(scope="y").name], "production"),
    ]

    assert [row.name for row in rows if row.good or not row.fix] == []
