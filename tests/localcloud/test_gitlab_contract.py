"""How GitLab's API behaves, asked of the local GitLab, and of a real project when LIFEBOAT_GITLAB_* name one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import gitlab
import pytest

from tests.localcloud.gitlab_places import PLACES, REAL, Place, filtered, http, refused

_NUMBERS = itertools.count(1)


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Return the project under test, cleaned afterwards."""
    if request.param == "local":
        found = request.getfixturevalue("local").place()
    else:
        found = Place(url=REAL["url"], token=REAL["token"], project_path=REAL["project"])
    yield found
    found.clean()


@pytest.fixture
def key() -> str:
    """Return a key that no other test uses."""
    return f"LIFEBOAT_TEST_{next(_NUMBERS)}"


def path(place: Place, key: str, scope: str | None = None) -> str:
    return f"{place.at}/variables/{key}" + ("" if scope is None else filtered(scope))


# -- reading and listing -----------------------------------------------------------------------------------------------


def test_a_variable_is_shown_with_exactly_nine_attributes(place: Place, key: str) -> None:
    place.create(key, "some-value-1")

    said = place.ask("GET", path(place, key))

    assert said.status == 200
    assert said.body == {
        "variable_type": "env_var",
        "key": key,
        "value": "some-value-1",
        "hidden": False,
        "protected": False,
        "masked": False,
        "raw": False,
        "environment_scope": "*",
        "description": None,
    }


def test_a_list_gives_twenty_unless_asked_and_a_hundred_at_most(place: Place) -> None:
    keys = [f"LIFEBOAT_TEST_PAGE_{number}" for number in range(101)]
    for name in keys:
        place.create(name)

    default = place.ask("GET", f"{place.at}/variables")
    large = place.ask("GET", f"{place.at}/variables?per_page=500")

    assert (len(default.body), default.headers["X-Per-Page"], default.headers["X-Next-Page"]) == (20, "20", "2")
    assert (len(large.body), large.headers["X-Per-Page"]) == (100, "100")
    assert int(default.headers["X-Total"]) >= 101
    assert 'rel="next"' in default.headers["Link"]
    assert set(keys) <= {variable.key for variable in place.project.variables.list(get_all=True)}


def test_the_last_page_has_no_next_one(place: Place, key: str) -> None:
    place.create(key)

    said = place.ask("GET", f"{place.at}/variables?per_page=100&page=1000")

    assert said.body == []
    assert (said.headers["X-Next-Page"], 'rel="next"' in said.headers["Link"]) == ("", False)


def test_the_filter_is_no_parameter_of_a_list(place: Place, key: str) -> None:
    place.create(key, scope="staging")

    said = place.ask("GET", f"{place.at}/variables?per_page=100&filter[environment_scope]=production")

    assert key in [variable["key"] for variable in said.body]


def test_an_absent_variable_is_not_found(place: Place, key: str) -> None:
    answers = [place.ask(method, path(place, key)) for method in ("GET", "PUT", "DELETE")]

    assert [a.status for a in answers] == [404, 404, 404]
    assert [a.body for a in answers] == [{"message": "404 Variable Not Found"}] * 3


# -- scopes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_key_of_several_scopes_without_filter_is_a_conflict(place: Place, key: str, method: str) -> None:
    place.create(key, scope="staging")
    place.create(key, scope="production")

    said = place.ask(method, path(place, key))

    assert said.status == 409
    assert said.body == {
        "message": "There are multiple variables with provided parameters. Please use 'filter[environment_scope]'"
    }


def test_the_filter_names_one_of_several(place: Place, key: str) -> None:
    place.create(key, "value-of-staging", scope="staging")
    place.create(key, "value-of-production", scope="production")

    found = place.variable(key, "production")

    assert (found.value, found.environment_scope) == ("value-of-production", "production")


def test_the_filter_is_compared_letter_by_letter(place: Place, key: str) -> None:
    place.create(key, scope="review/*")

    assert place.ask("GET", path(place, key, "review/1")).status == 404
    assert place.ask("GET", path(place, key, "*")).status == 404
    assert place.ask("GET", path(place, key, "review/*")).status == 200


def test_an_empty_filter_is_no_filter(place: Place, key: str) -> None:
    place.create(key, scope="staging")
    one = place.ask("GET", path(place, key, ""))
    place.create(key, scope="production")

    two = place.ask("GET", path(place, key, ""))

    assert (one.status, two.status) == (200, 409)


def test_a_filter_that_names_no_scope_of_the_key_is_not_found(place: Place, key: str) -> None:
    place.create(key, scope="staging")

    said = place.ask("PUT", path(place, key, "production"), value="other-value")

    assert (said.status, said.body) == (404, {"message": "404 Variable Not Found"})


def test_a_put_without_filter_moves_the_only_variable_of_the_key(place: Place, key: str) -> None:
    place.create(key, "value-of-staging", scope="staging")

    said = place.ask("PUT", path(place, key), value="value-of-production", environment_scope="production")

    assert (said.status, said.body["environment_scope"]) == (200, "production")
    assert place.ask("GET", path(place, key, "staging")).status == 404


def test_a_move_onto_a_scope_that_is_taken_is_refused(place: Place, key: str) -> None:
    place.create(key, scope="staging")
    place.create(key, scope="production")

    said = place.ask("PUT", path(place, key, "staging"), environment_scope="production")

    assert (said.status, said.body) == (400, {"message": {"key": [f"({key}) has already been taken"]}})


def test_the_client_saves_and_deletes_without_filter_unless_told(place: Place, key: str) -> None:
    place.create(key, scope="staging")
    place.create(key, scope="production")
    variable = place.variable(key, "staging")
    variable.value = "other-value"

    saved, deleted = refused(variable.save), refused(variable.delete)
    variable.save(filter={"environment_scope": "staging"})

    assert (saved.response_code, deleted.response_code) == (409, 409)
    assert place.variable(key, "staging").value == "other-value"
    assert place.variable(key, "production").value == "some-value-1"


def test_a_scope_has_its_own_letters(place: Place, key: str) -> None:
    said = place.ask("POST", f"{place.at}/variables", key=key, value="v", environment_scope="a#b")

    assert said.status == 400
    assert said.body["message"]["environment_scope"] == [
        "can contain only letters, digits, '-', '_', '/', '$', '{', '}', '.', '*' and spaces"
    ]


# -- creating ----------------------------------------------------------------------------------------------------------


def test_a_variable_is_created_with_the_apis_defaults(place: Place, key: str) -> None:
    place.made.append((key, "*"))

    said = place.ask("POST", f"{place.at}/variables", key=key, value="some-value-1")

    assert said.status == 201
    kept = {name: said.body[name] for name in ("masked", "raw", "protected", "hidden", "environment_scope")}
    assert kept == {"masked": False, "raw": False, "protected": False, "hidden": False, "environment_scope": "*"}


def test_the_same_key_in_the_same_scope_is_taken(place: Place, key: str) -> None:
    place.create(key, scope="staging")

    said = place.ask("POST", f"{place.at}/variables", key=key, value="v", environment_scope="staging")

    assert (said.status, said.body) == (400, {"message": {"key": [f"({key}) has already been taken"]}})


def test_what_is_missing_is_said_by_grape_as_error(place: Place) -> None:
    said = place.ask("POST", f"{place.at}/variables", masked=False)

    assert (said.status, said.body) == (400, {"error": "key is missing, value is missing"})


def test_a_type_that_does_not_exist_is_said_by_grape_as_error(place: Place, key: str) -> None:
    said = place.ask("POST", f"{place.at}/variables", key=key, value="v", variable_type="secret")

    assert (said.status, said.body) == (400, {"error": "variable_type does not have a valid value"})


def test_a_flag_that_is_none_is_invalid(place: Place, key: str) -> None:
    said = place.ask("POST", f"{place.at}/variables", key=key, value="v", masked="perhaps")

    assert (said.status, said.body) == (400, {"error": "masked is invalid"})


@pytest.mark.parametrize("bad", ["WITH-DASH", "with space", "ümlaut", "a.b"])
def test_a_key_has_letters_digits_and_underscores(place: Place, bad: str) -> None:
    said = place.ask("POST", f"{place.at}/variables", key=bad, value="v")

    assert (said.status, said.body) == (400, {"message": {"key": ["can contain only letters, digits and '_'."]}})


def test_a_key_is_at_most_255_long(place: Place) -> None:
    said = place.ask("POST", f"{place.at}/variables", key="K" * 256, value="v")

    assert (said.status, said.body) == (400, {"message": {"key": ["is too long (maximum is 255 characters)"]}})


def test_blanks_around_a_key_are_dropped(place: Place, key: str) -> None:
    place.made.append((key, "*"))

    said = place.ask("POST", f"{place.at}/variables", key=f"  {key} ", value="v")

    assert (said.status, said.body["key"]) == (201, key)


def test_a_description_is_at_most_255_long(place: Place, key: str) -> None:
    said = place.ask("POST", f"{place.at}/variables", key=key, value="v", description="d" * 256)

    assert said.status == 400
    assert said.body == {"message": {"description": ["is too long (maximum is 255 characters)"]}}


# -- masking and hiding ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["10.0.0.7", "abcdefgh", "user@host:p+a/s=s~1-2.3_4"])
def test_a_value_of_the_narrow_letters_can_be_masked(place: Place, key: str, value: str) -> None:
    made = place.create(key, value, masked=True)

    assert (made.masked, made.value) == (True, value)


@pytest.mark.parametrize(
    "value", ["short", "10.0.0.", "with space", "two\nlines-long", "pa$$word1", "", "ünicode-value"]
)
def test_a_value_outside_of_the_narrow_letters_cannot_be_masked(place: Place, key: str, value: str) -> None:
    said = place.ask("POST", f"{place.at}/variables", key=key, value=value, masked=True)

    assert (said.status, said.body) == (400, {"message": {"value": ["is invalid"]}})


def test_raw_lets_any_letters_but_blanks_be_masked(place: Place, key: str) -> None:
    url = "postgres://u:p%40ss@h/db?x=1&y=$z"

    narrow = place.ask("POST", f"{place.at}/variables", key=key, value=url, masked=True)
    made = place.create(key, url, masked=True, raw=True)

    assert narrow.status == 400
    assert (made.value, made.masked, made.raw) == (url, True, True)


@pytest.mark.parametrize(
    "value", ["seven77", "with space here", "tab\tseparated", "line\nbreak-long", "ends-in-newline\n"]
)
def test_raw_masks_no_blanks_and_nothing_short(place: Place, key: str, value: str) -> None:
    said = place.ask("POST", f"{place.at}/variables", key=key, value=value, masked=True, raw=True)

    assert (said.status, said.body) == (400, {"message": {"value": ["is invalid"]}})


def test_a_put_judges_the_value_by_what_the_variable_will_be(place: Place, key: str) -> None:
    place.create(key, "pa$$word-1", masked=True, raw=True)

    said = place.ask("PUT", path(place, key), raw=False)

    assert (said.status, said.body) == (400, {"message": {"value": ["is invalid"]}})


def test_a_hidden_value_is_null_wherever_it_is_shown(place: Place, key: str) -> None:
    made = place.create(key, "hidden-value-1", masked_and_hidden=True)

    changed = place.ask("PUT", path(place, key), value="hidden-value-2")
    got = place.ask("GET", path(place, key)).body
    listed = [v for v in place.ask("GET", f"{place.at}/variables?per_page=100").body if v["key"] == key]

    assert (made.value, made.hidden, made.masked) == (None, True, True)
    for shown in (changed.body, got, *listed):
        assert (shown["value"], shown["hidden"], shown["masked"]) == (None, True, True)


def test_a_hidden_variable_stays_masked(place: Place, key: str) -> None:
    place.create(key, "hidden-value-1", masked_and_hidden=True)

    said = place.ask("PUT", path(place, key), masked=False)

    assert said.status == 400
    assert said.body == {
        "message": {"base": ["The visibility setting cannot be changed for masked and hidden variables."]}
    }


def test_only_a_new_variable_can_be_hidden(place: Place, key: str) -> None:
    place.create(key, "visible-value-1")

    said = place.ask("PUT", path(place, key), value="visible-value-2", masked_and_hidden=True)

    assert (said.status, said.body["hidden"], said.body["value"]) == (200, False, "visible-value-2")


def test_hiding_asks_for_a_value_that_can_be_masked(place: Place, key: str) -> None:
    said = place.ask("POST", f"{place.at}/variables", key=key, value="short", masked_and_hidden=True)

    assert (said.status, said.body) == (400, {"message": {"value": ["is invalid"]}})


# -- changing and deleting ---------------------------------------------------------------------------------------------


def test_a_put_leaves_what_it_does_not_say(place: Place, key: str) -> None:
    place.create(key, "some-value-1", protected=True, masked=True, raw=True, description="what it is for")

    said = place.ask("PUT", path(place, key), value="some-value-2")

    assert said.status == 200
    kept = {name: said.body[name] for name in ("value", "protected", "masked", "raw", "description")}
    assert kept == {
        "value": "some-value-2",
        "protected": True,
        "masked": True,
        "raw": True,
        "description": "what it is for",
    }


def test_a_put_renames_nothing(place: Place, key: str) -> None:
    place.create(key)

    said = place.ask("PUT", path(place, key), key=f"{key}_OTHER", value="some-value-2")

    assert (said.status, said.body["key"], said.body["value"]) == (200, key, "some-value-2")


def test_a_refused_put_changes_nothing(place: Place, key: str) -> None:
    place.create(key, "some-value-1")

    said = place.ask("PUT", path(place, key), value="short", masked=True, protected=True)

    assert said.status == 400
    shown = place.ask("GET", path(place, key)).body
    assert (shown["value"], shown["masked"], shown["protected"]) == ("some-value-1", False, False)


def test_a_delete_answers_with_nothing(place: Place, key: str) -> None:
    place.create(key)

    said = place.ask("DELETE", path(place, key))

    assert (said.status, said.text) == (204, "")
    assert place.ask("GET", path(place, key)).status == 404


def test_a_form_is_understood_as_well_as_json(place: Place, key: str) -> None:
    place.made.append((key, "*"))
    form = f"key={key}&value=a%2Bb%3Dc%26d&protected=true".encode()

    said = http(
        f"{place.url}/api/v4{place.at}/variables",
        "POST",
        headers={"PRIVATE-TOKEN": place.token, "Content-Type": "application/x-www-form-urlencoded"},
        body=form,
    )

    assert (said.status, said.body["value"], said.body["protected"]) == (201, "a+b=c&d", True)


@pytest.mark.parametrize(
    "value",
    ["", "a\nb\n", "ü€😀", "'\"`$x\\", " x ", "x" * 9999],
    ids=["empty", "lines", "unicode", "quotes", "blanks", "long"],
)
def test_any_text_comes_back_as_it_was(place: Place, key: str, value: str) -> None:
    place.create(key, value, raw=True)

    assert place.project.variables.get(key).value == value


# -- who asks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "more"), [("GET", ""), ("POST", ""), ("GET", "/X"), ("PUT", "/X"), ("DELETE", "/X")]
)
@pytest.mark.parametrize("token", ["", "glpat-wrong"])
def test_without_a_good_token_all_is_unauthorized(place: Place, method: str, more: str, token: str) -> None:
    said = place.ask(method, f"{place.at}/variables{more}", token=token)

    assert (said.status, said.body) == (401, {"message": "401 Unauthorized"})


def test_a_bearer_token_is_a_token(place: Place) -> None:
    said = http(f"{place.url}/api/v4{place.at}", headers={"Authorization": f"Bearer {place.token}"})

    assert (said.status, said.body["path_with_namespace"]) == (200, place.project_path)


def test_a_token_tells_of_itself(place: Place) -> None:
    said = place.ask("GET", "/personal_access_tokens/self")

    assert said.status == 200
    assert "api" in said.body["scopes"]
    assert (said.body["active"], said.body["revoked"], "token" in said.body) == (True, False, False)
    assert len(said.body["expires_at"]) == len("2026-01-31")


# -- the project -------------------------------------------------------------------------------------------------------


def test_a_project_is_found_by_number_and_by_path(place: Place) -> None:
    by_path = place.project

    by_number = place.api.projects.get(by_path.id)

    assert (by_number.path_with_namespace, by_number.default_branch) == (place.project_path, by_path.default_branch)


def test_a_project_that_does_not_exist_is_not_found(place: Place) -> None:
    said = place.ask("GET", "/projects/nobody%2Fnothing/variables")

    assert (said.status, said.body) == (404, {"message": "404 Project Not Found"})


def test_the_version_is_told(place: Place) -> None:
    version, _ = place.api.version()

    assert int(version.split(".")[0]) >= 15


def test_an_endpoint_that_does_not_exist_is_not_found(place: Place) -> None:
    said = place.ask("GET", f"{place.at}/no_such_thing_at_all")

    assert (said.status, said.body) == (404, {"error": "404 Not Found"})


def test_a_method_that_an_endpoint_lacks_is_not_allowed(place: Place) -> None:
    said = place.ask("PATCH", f"{place.at}/variables")

    assert (said.status, said.body) == (405, {"error": "405 Not Allowed"})


def test_a_body_that_is_no_json_is_a_bad_request(place: Place) -> None:
    said = http(
        f"{place.url}/api/v4{place.at}/variables", "POST", headers={"PRIVATE-TOKEN": place.token}, body=b"{not json"
    )

    assert said.status == 400


def test_an_absent_job_or_pipeline_is_not_found(place: Place) -> None:
    answers = [place.ask("GET", f"{place.at}/{kind}/999999999") for kind in ("jobs", "pipelines")]

    assert [(a.status, a.body) for a in answers] == [(404, {"message": "404 Not found"})] * 2


def test_a_pipeline_needs_a_ref(place: Place) -> None:
    said = place.ask("POST", f"{place.at}/pipeline", variables=[])

    assert (said.status, said.body) == (400, {"error": "ref is missing"})


def test_a_pipeline_of_a_ref_that_does_not_exist_is_refused(place: Place) -> None:
    said = place.ask("POST", f"{place.at}/pipeline", ref="no-such-branch-here")

    assert (said.status, said.body) == (400, {"message": {"base": ["Reference not found"]}})


# -- lint --------------------------------------------------------------------------------------------------------------


def linted(place: Place, content: str) -> dict[str, Any]:
    said = place.ask("POST", f"{place.at}/ci/lint", content=content, include_jobs=True)
    assert said.status == 200
    found: dict[str, Any] = said.body
    return found


def test_a_good_configuration_is_valid(place: Place) -> None:
    found = linted(place, "build:\n  script: echo hello\ndeploy:\n  stage: deploy\n  script: [a, b]\n  when: manual\n")

    assert (found["valid"], found["errors"]) == (True, [])
    assert [(j["name"], j["stage"], j["when"]) for j in found["jobs"]] == [
        ("build", "test", "on_success"),
        ("deploy", "deploy", "manual"),
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("build:\n  script: echo\n  nonsense: 1\n", "jobs:build config contains unknown keys: nonsense"),
        ("build:\n  stage: nowhere\n  script: echo\n", "build job: chosen stage nowhere does not exist"),
        ("build:\n  script: echo\n  needs: [other]\n", "build job: undefined need: other"),
        ("build:\n  script: echo\n  when: manuel\n", "jobs:build when should be one of: "),
        (".hidden:\n  script: echo\n", "jobs config should contain at least one visible job"),
        ("build:\n  stage: test\n", "jobs:build config should implement the script:, run:, or trigger: keyword"),
    ],
)
def test_a_bad_configuration_is_told_why(place: Place, content: str, reason: str) -> None:
    found = linted(place, content)

    assert not found["valid"]
    assert reason in found["errors"][0]


def test_lint_needs_content(place: Place) -> None:
    said = place.ask("POST", f"{place.at}/ci/lint", dry_run=True)

    assert (said.status, said.body) == (400, {"error": "content is missing"})


# -- the client --------------------------------------------------------------------------------------------------------


def test_the_clients_list_stops_after_twenty_unless_told(place: Place) -> None:
    for number in range(21):
        place.create(f"LIFEBOAT_TEST_MANY_{number}")

    with pytest.warns(UserWarning, match="20 items"):
        some = place.project.variables.list()

    assert len(some) == 20
    assert len(place.project.variables.list(iterator=True)) >= 21


def test_the_client_raises_what_the_server_says(place: Place, key: str) -> None:
    error = refused(lambda: place.project.variables.create({"key": key, "value": "short", "masked": True}))

    assert isinstance(error, gitlab.GitlabCreateError)
    assert (error.response_code, error.error_message) == (400, {"value": ["is invalid"]})
