"""`lifeboat gitlab doctor` on a local GitLab: what it finds, and what it says when somebody may not look."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from lifeboat.errors import Unreachable, WrongConfiguration
from lifeboat.pipeline import doctor

from tests.commands.test_gitlab_deploy import CI
from tests.conftest import free_port
from tests.gitlab_sites import VARIABLES, GitLabSite


@pytest.fixture
def lab(lab: GitLabSite) -> Iterator[GitLabSite]:
    """A site whose project has the two jobs."""
    lab.local.write(CI)
    yield lab
    lab.local.turn(runner="online")


def rows(lab: GitLabSite, **env: str) -> dict[str, tuple[bool, str]]:
    return {row.name: (row.good, row.found) for row in doctor.run(lab.site(**env), lab.patience)}


def test_a_project_that_is_ready_has_nothing_to_mend(lab: GitLabSite) -> None:
    found = rows(lab)

    assert [name for name, (good, _) in found.items() if not good] == []
    assert found["role"] == (True, "Maintainer")
    assert found["branch main"] == (True, "protected")
    assert found["environment x"] == (True, "not protected: every Developer may deploy")
    assert found["runners"] == (True, "local cloud (local-cloud)")
    assert found[".gitlab-ci.yml"] == (True, "sound, 2 jobs")
    assert "the group's are not for this token to see" in found["shadowing"][1]
    assert found["outdated deployments"] == (True, "older deployments are prevented")
    assert found["pipeline variables"] == (True, "may be set by: maintainer")


def test_what_is_wrong_is_found(lab: GitLabSite) -> None:
    lab.local.write("deploy_application: {script: [echo x], when: manual}")
    lab.local.turn(runner="offline")
    lab.write(VARIABLES.replace('key = "DB_PORT"', 'key = "DB_PORT"\nscope = "elsewhere"'))

    found = rows(lab)

    assert {name: words for name, (good, words) in found.items() if not good} == {
        "runners": "none of 1 is online",
        "scopes": "not seen by jobs of x: DB_PORT (elsewhere)",
        ".gitlab-ci.yml": "no job rollback_application",
    }


def test_a_pipeline_file_that_is_wrong_or_missing_is_told_in_gitlabs_words(lab: GitLabSite) -> None:
    lab.local.write("deploy_application: {script: [echo x], when: manuel}")
    wrong = rows(lab)[".gitlab-ci.yml"]
    (lab.local.repository / ".gitlab-ci.yml").unlink()

    missing = rows(lab)[".gitlab-ci.yml"]

    assert (wrong[0], "manuel" in wrong[1] or "when" in wrong[1]) == (False, True)
    assert missing == (False, "there is no .gitlab-ci.yml on main")


def test_a_token_that_ends_soon_is_found_before_it_does(lab: GitLabSite) -> None:
    ends = date.today() + timedelta(days=9)
    made = lab.local.project("owner").access_tokens.create(
        {"name": "short", "scopes": ["api"], "access_level": 40, "expires_at": str(ends)}
    )
    lab.write(settings='token_env = "SHORT"')

    found = rows(lab, SHORT=made.token)

    assert found["token"] == (False, f"short: scopes api, until {ends}")


def test_a_role_that_is_too_low_ends_the_look(lab: GitLabSite) -> None:
    lab.write(settings=lab.token("developer"))

    found = rows(lab)

    assert list(found) == ["GitLab", "token", "role"]
    assert found["role"] == (False, "Developer")


def test_a_protected_environment_says_who_and_how_many(lab: GitLabSite) -> None:
    owner = lab.local.project("owner")
    owner.protected_environments.create(
        {"name": "x", "deploy_access_levels": [{"access_level": 40}], "required_approval_count": 2}
    )

    found = rows(lab)
    owner.protected_environments.delete("x")

    assert found["environment x"] == (True, "protected: Maintainers may deploy, after 2 approvals")


def test_variables_of_the_group_are_seen_by_an_owner(lab: GitLabSite) -> None:
    group = lab.local.project("owner").manager.gitlab.groups.get("demo")
    group.variables.create({"key": "APP_URL", "value": "https://of.the.group"})
    lab.write(settings=lab.token("owner"))

    found = rows(lab)
    group.variables.delete("APP_URL", filter={"environment_scope": "*"})

    assert "APP_URL in the group (the project's wins)" in found["shadowing"][1]


def test_a_gitlab_that_is_not_there_is_one_clear_error(lab: GitLabSite) -> None:
    text = (lab.root / "environments" / "x.toml").read_text()
    (lab.root / "environments" / "x.toml").write_text(
        text.replace(lab.local.document["url"], f"http://127.0.0.1:{free_port()}")
    )

    with pytest.raises(Unreachable, match="does not answer"):
        doctor.run(lab.site(), lab.patience)


def test_an_environment_without_gitlab_says_what_to_write(lab: GitLabSite) -> None:
    path = lab.root / "environments" / "x.toml"
    path.write_text(path.read_text().partition("[gitlab]")[0])

    with pytest.raises(WrongConfiguration) as caught:
        doctor.run(lab.site(), lab.patience)

    assert caught.value.summary == "environment x has no [gitlab]"
