"""Who may do what in the local GitLab: roles, tokens, groups, limits, and the editions that lack things."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta

import pytest

from tests.localcloud.gitlab_places import LocalGitLab, filtered, http, refused

TOMORROW = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()


# -- the tokens file ---------------------------------------------------------------------------------------------------


def test_the_tokens_are_in_a_file_for_the_operator_alone(local: LocalGitLab) -> None:
    path = local.cloud.directory / "gitlab-tokens.json"

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert set(local.document) == {"url", "project", "project_id", "group", "tokens"}
    assert (local.document["project"], local.document["group"]) == ("demo/app", "demo")
    assert {"owner", "maintainer", "developer", "reporter", "administrator"} <= set(local.document["tokens"])


def test_no_token_is_in_the_arguments_or_the_trace(local: LocalGitLab) -> None:
    local.place().ask("GET", "/user")

    tokens = list(local.document["tokens"].values())
    seen = " ".join(local.cloud.process.args)  # type: ignore[arg-type]
    seen += "".join(p.read_text(errors="replace") for p in (local.cloud.directory / "logs").iterdir())

    assert '"operation": "GetCurrentUser"' in seen
    assert [token for token in tokens if token in seen] == []


# -- roles -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "status", "text"),
    [
        ("owner", 200, None),
        ("maintainer", 200, None),
        ("developer", 403, "403 Forbidden"),
        ("reporter", 403, "403 Forbidden"),
        ("guest", 403, "403 Forbidden"),
        ("outsider", 404, "404 Project Not Found"),
    ],
)
def test_variables_of_a_project_are_for_maintainers(
    local: LocalGitLab, who: str, status: int, text: str | None
) -> None:
    place = local.place(who)

    answers = [
        place.ask("GET", f"{place.at}/variables"),
        *(place.ask(method, f"{place.at}/variables/ABSENT") for method in ("GET", "PUT", "DELETE")),
        place.ask("POST", f"{place.at}/variables"),
    ]

    if text is None:
        assert [a.status for a in answers] == [200, 404, 404, 404, 400]
    else:
        assert {a.status for a in answers} == {status}
        assert [a.body for a in answers] == [{"message": text}] * 5


@pytest.mark.parametrize(
    ("who", "status"), [("owner", 200), ("maintainer", 403), ("developer", 403), ("outsider", 404)]
)
def test_variables_of_a_group_are_for_owners(local: LocalGitLab, who: str, status: int) -> None:
    said = local.place(who).ask("GET", "/groups/demo/variables")

    assert said.status == status


def test_a_project_tells_the_callers_role(local: LocalGitLab) -> None:
    seen = {who: local.project(who).permissions["group_access"] for who in ("owner", "maintainer", "developer")}

    assert {who: access["access_level"] for who, access in seen.items()} == {
        "owner": 50,
        "maintainer": 40,
        "developer": 30,
    }


def test_members_can_be_listed_with_their_roles(local: LocalGitLab) -> None:
    project = local.project()
    me = local.place().ask("GET", "/user").body

    assert {m.username: m.access_level for m in project.members_all.list(get_all=True)}["reporter"] == 20
    assert project.members_all.get(me["id"]).access_level == 40


# -- group variables ---------------------------------------------------------------------------------------------------


def test_a_group_variable_has_the_rules_of_a_projects(local: LocalGitLab) -> None:
    place = local.place("owner")

    made = place.ask("POST", "/groups/demo/variables", key="GROUP_A", value="v1", environment_scope="staging")
    again = place.ask("POST", "/groups/demo/variables", key="GROUP_A", value="v1", environment_scope="staging")
    other = place.ask("POST", "/groups/demo/variables", key="GROUP_A", value="v2", environment_scope="production")
    which = place.ask("GET", "/groups/demo/variables/GROUP_A")
    named = place.ask("GET", f"/groups/demo/variables/GROUP_A{filtered('production')}")
    gone = place.ask("DELETE", f"/groups/demo/variables/GROUP_A{filtered('staging')}")
    absent = place.ask("GET", "/groups/demo/variables/ABSENT")
    place.ask("DELETE", "/groups/demo/variables/GROUP_A")

    assert (made.status, made.body["environment_scope"], other.status) == (201, "staging", 201)
    assert (again.status, again.body) == (400, {"message": {"key": ["(GROUP_A) has already been taken"]}})
    assert (which.status, named.body["value"], gone.status) == (409, "v2", 204)
    assert (absent.status, absent.body) == (404, {"message": "404 GroupVariable Not Found"})


def test_the_free_edition_drops_the_scopes_of_groups_in_silence(settings: LocalGitLab) -> None:
    settings.turn(settings={"edition": "free"})
    place = settings.place("owner")

    made = place.ask("POST", "/groups/demo/variables", key="GROUP_B", value="v1", environment_scope="staging")
    place.ask("DELETE", "/groups/demo/variables/GROUP_B")

    assert (made.status, made.body["environment_scope"]) == (201, "*")


def test_the_free_edition_has_no_protected_environments(settings: LocalGitLab) -> None:
    settings.turn(settings={"edition": "free"})
    place = settings.place()

    said = place.ask("GET", f"{place.at}/protected_environments")

    assert (said.status, said.body) == (404, {"error": "404 Not Found"})


def test_an_old_gitlab_creates_visible_what_should_be_hidden(settings: LocalGitLab) -> None:
    settings.turn(settings={"version": "17.3.7-ee"})
    place = settings.place()

    made = place.create("OLD", "hidden-value-1", masked_and_hidden=True)
    place.clean()

    assert (made.hidden, made.masked, made.value) == (False, False, "hidden-value-1")
    assert place.api.version()[0] == "17.3.7-ee"


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_project_has_so_many_variables(settings: LocalGitLab) -> None:
    settings.turn(settings={"project_ci_variables": 1, "group_ci_variables": 0})
    place, owner = settings.place(), settings.place("owner")
    place.create("FIRST")

    second = place.ask("POST", f"{place.at}/variables", key="SECOND", value="v")
    changed = place.ask("PUT", f"{place.at}/variables/FIRST", value="other")
    of_group = owner.ask("POST", "/groups/demo/variables", key="FIRST", value="v")
    place.clean()

    assert second.status == 400
    assert second.body == {"message": {"base": ["Maximum number of project ci variables (1) exceeded"]}}
    assert changed.status == 200
    assert of_group.body == {"message": {"base": ["Maximum number of group ci variables (0) exceeded"]}}


def test_who_asks_too_often_is_told_in_plain_text_when_to_come_back(settings: LocalGitLab) -> None:
    administrator = settings.project("administrator").manager.gitlab
    limits = administrator.settings.get()
    limits.throttle_authenticated_api_enabled = True
    limits.throttle_authenticated_api_requests_per_period = 3
    limits.throttle_authenticated_api_period_in_seconds = 600
    limits.save()
    place = settings.place("reporter")

    answers = [place.ask("GET", "/user") for _ in range(4)]
    somebody_else = settings.place("guest").ask("GET", "/user")

    assert [a.status for a in answers] == [200, 200, 200, 429]
    assert answers[-1].text == "Retry later\n"
    assert answers[-1].headers["Content-Type"].startswith("text/plain")
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 600
    assert answers[-1].headers["RateLimit-Remaining"] == "0"
    assert somebody_else.status == 200


def test_the_client_waits_as_long_as_it_is_told(settings: LocalGitLab) -> None:
    settings.turn(
        settings={
            "throttle_authenticated_api_enabled": True,
            "throttle_authenticated_api_requests_per_period": 1,
            "throttle_authenticated_api_period_in_seconds": 1,
        }
    )
    api = settings.place("developer").api

    names = [api.http_get("/user")["username"] for _ in range(3)]

    assert names == ["developer"] * 3


def test_limits_are_for_administrators(local: LocalGitLab) -> None:
    said = local.place("owner").ask("PUT", "/application/settings", throttle_authenticated_api_enabled=True)

    assert (said.status, said.body) == (403, {"message": "403 Forbidden"})


# -- tokens ------------------------------------------------------------------------------------------------------------


def bot(local: LocalGitLab, scopes: list[str], role: int = 40) -> str:
    """Return a new token of the project."""
    made = local.project("owner").access_tokens.create(
        {"name": "sync", "scopes": scopes, "access_level": role, "expires_at": TOMORROW}
    )
    return str(made.token)


def test_a_project_token_has_the_role_it_was_given(local: LocalGitLab) -> None:
    place = local.place()
    token = bot(local, ["api"], 40)

    me = place.ask("GET", "/personal_access_tokens/self", token=token).body
    project = place.ask("GET", place.at, token=token).body

    assert (me["scopes"], me["expires_at"], me["active"]) == (["api"], TOMORROW, True)
    assert project["permissions"]["project_access"]["access_level"] == 40
    assert place.ask("GET", f"{place.at}/variables", token=token).status == 200
    # A member of the project alone has no part in the group, whatever its role.
    assert place.ask("GET", "/groups/demo/variables", token=bot(local, ["api"], 50)).status == 403


def test_a_token_for_reading_changes_nothing(local: LocalGitLab) -> None:
    place = local.place()
    token = bot(local, ["read_api"])

    said = place.ask("POST", f"{place.at}/variables", token=token, key="X", value="v")

    assert place.ask("GET", f"{place.at}/variables", token=token).status == 200
    assert said.status == 403
    assert (said.body["error"], said.body["scope"]) == ("insufficient_scope", "api")


def test_a_token_of_another_scope_reads_nothing(local: LocalGitLab) -> None:
    place = local.place()

    said = place.ask("GET", f"{place.at}/variables", token=bot(local, ["read_repository"]))

    assert (said.status, said.body["error"]) == (403, "insufficient_scope")


def test_a_revoked_token_says_so(local: LocalGitLab) -> None:
    place = local.place()
    token = bot(local, ["api"])
    gone = place.ask("DELETE", "/personal_access_tokens/self", token=token)

    said = place.ask("GET", "/user", token=token)

    assert (gone.status, said.status, said.body["error"]) == (204, 401, "invalid_token")
    assert said.body["error_description"].startswith("Token was revoked.")


def test_an_expired_token_says_so(local: LocalGitLab) -> None:
    local.turn(expire="second-maintainer")

    said = local.place("second-maintainer").ask("GET", "/user")

    assert (said.status, said.body["error"]) == (401, "invalid_token")
    assert said.body["error_description"].startswith("Token is expired.")


def test_nobody_gives_out_more_than_they_have(local: LocalGitLab) -> None:
    place = local.place()

    too_high = place.ask(
        "POST", f"{place.at}/access_tokens", name="n", scopes=["api"], access_level=50, expires_at=TOMORROW
    )
    past = place.ask("POST", f"{place.at}/access_tokens", name="n", scopes=["api"], expires_at="2020-01-01")

    assert (too_high.status, past.status) == (403, 400)


def test_a_job_token_reads_no_variables(local: LocalGitLab) -> None:
    place = local.place()

    said = http(f"{place.url}/api/v4{place.at}/variables", headers={"JOB-TOKEN": "glcbt-anything"})

    assert (said.status, said.body) == (401, {"message": "401 Unauthorized"})


# -- the project -------------------------------------------------------------------------------------------------------


def test_settings_of_a_project_are_for_maintainers(local: LocalGitLab) -> None:
    place = local.place("developer")

    said = place.ask("PUT", place.at, ci_forward_deployment_enabled=False)

    assert (said.status, said.body) == (403, {"message": "403 Forbidden"})


def test_only_an_owner_makes_the_override_role_stricter_than_maintainer_or_takes_that_back(local: LocalGitLab) -> None:
    maintainer, owner = local.place(), local.place("owner")
    setting = "ci_pipeline_variables_minimum_override_role"

    refusal = maintainer.ask("PUT", maintainer.at, **{setting: "no_one_allowed"})
    done = owner.ask("PUT", owner.at, **{setting: "no_one_allowed"})
    back = maintainer.ask("PUT", maintainer.at, **{setting: "maintainer"})
    wrong = owner.ask("PUT", owner.at, **{setting: "everybody"})
    owner.ask("PUT", owner.at, **{setting: "maintainer"})

    assert (refusal.status, back.status) == (403, 403)
    assert (done.status, done.body[setting]) == (200, "no_one_allowed")
    assert (wrong.status, wrong.body) == (400, {"error": f"{setting} does not have a valid value"})


def test_a_private_project_is_not_there_for_strangers(local: LocalGitLab) -> None:
    place = local.place("outsider")

    answers = [place.ask("GET", place.at), place.ask("GET", place.at, token="")]

    assert [(a.status, a.body) for a in answers] == [(404, {"message": "404 Project Not Found"})] * 2


def test_branches_and_their_protection_are_told(local: LocalGitLab) -> None:
    project = local.project()

    found = {branch.name: branch.protected for branch in project.branches.list(get_all=True)}
    rule = project.protectedbranches.get("main")

    assert found == {"main": True, "hot-fix": False}
    assert [level["access_level"] for level in rule.push_access_levels] == [40]
    assert refused(lambda: project.protectedbranches.get("hot-fix")).response_code == 404


def test_knobs_that_do_not_exist_are_refused_by_name(local: LocalGitLab) -> None:
    with pytest.raises(AssertionError, match="no such knob: rnner"):
        local.turn(rnner="offline")
    with pytest.raises(AssertionError, match="no such setting: editon"):
        local.turn(settings={"editon": "free"})
    with pytest.raises(AssertionError, match="edition is 'gold'; write one of: premium, free"):
        local.turn(settings={"edition": "gold"})
    with pytest.raises(AssertionError, match="project_ci_variables must be a int"):
        local.turn(settings={"project_ci_variables": "many"})


# -- nothing answers 500 -----------------------------------------------------------------------------------------------

ODD = [
    ("GET", "/projects/1/jobs/abc", None, 400),
    ("GET", "/projects/1/pipelines/1/jobs?scope[]=nonsense", None, 404),
    ("GET", "/projects/1/jobs?scope=nonsense", None, 400),
    ("GET", "/projects/1/variables?per_page=0", None, 400),
    ("GET", "/projects/1/variables?per_page=abc", None, 400),
    ("GET", "/projects/1/variables/KEY?filter=flat", None, 400),
    ("GET", "/projects/1/variables/KEY?filter[environment_scope][deeper]=x", None, 404),
    ("POST", "/projects/1/variables", ["a", "list"], 400),
    ("POST", "/projects/1/variables", {"key": {"a": 1}, "value": []}, 400),
    ("POST", "/projects/1/variables", {"key": None, "value": None}, 400),
    ("POST", "/projects/1/pipeline", {"ref": "main", "variables": "abc"}, 400),
    ("POST", "/projects/1/pipeline", {"ref": "main", "variables": [1]}, 400),
    ("POST", "/projects/1/pipeline", {"ref": "main", "inputs": [1]}, 400),
    ("POST", "/projects/1/jobs/1/play", {"job_variables_attributes": [{}]}, 400),
    ("POST", "/projects/1/protected_environments", {"name": "x", "deploy_access_levels": [{"access_level": 7}]}, 422),
    ("POST", "/projects/1/protected_environments", {"name": "x", "deploy_access_levels": [1]}, 400),
    ("POST", "/projects/1/protected_environments", {"name": "x", "deploy_access_levels": [{"user_id": 99}]}, 422),
    ("POST", "/projects/1/access_tokens", {"name": "n", "scopes": ["sudo"], "expires_at": "soon"}, 400),
    ("POST", "/projects/1/ci/lint", {"content": "a: [unclosed"}, 200),
    ("POST", "/projects/1/ci/lint", {"content": "- a list"}, 200),
    ("POST", "/projects/1/ci/lint", {"content": ""}, 200),
    ("GET", "/projects/%ff%fe/variables", None, 404),
    ("GET", "//", None, 404),
    ("DELETE", "/version", None, 405),
    ("PUT", "/runners/7", {"paused": True}, 404),
    ("PUT", "/runners/1", {"tag_list": [], "run_untagged": False}, 400),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), ODD)
def test_an_odd_request_is_refused_and_never_breaks_the_server(
    local: LocalGitLab, method: str, path: str, body: object, status: int
) -> None:
    place = local.place("owner")

    said = http(f"{place.url}/api/v4{path}", method, headers={"PRIVATE-TOKEN": place.token}, body=body)

    assert said.status == status, said.text
    assert "LocalCloudFault" not in said.text
