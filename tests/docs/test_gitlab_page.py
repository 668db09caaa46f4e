"""docs/gitlab.md names what there is: every setting of an entry, every command, every status."""

from __future__ import annotations

import re

import pytest
from lifeboat.errors import EXIT_STATUSES
from lifeboat.gitlab_config import GitLabSettings, VariableMapping

from tests import command_line
from tests.rehearsal import ROOT, passed

PAGE = (ROOT / "docs" / "gitlab.md").read_text()
COMMANDS = re.findall(r"^lifeboat gitlab (\w+)(.*?)(?:  +#.*)?$", PAGE, flags=re.MULTILINE)


def test_every_setting_is_named() -> None:
    named = set(re.findall(r"`\[?\[?(\w+)", PAGE)) | set(re.findall(r"(\w+) = ", PAGE))

    assert set(VariableMapping.model_fields) - named - {"key"} == set()
    assert set(GitLabSettings.model_fields) - named - {"url", "project", "variables"} == set()


@pytest.mark.parametrize(("verb", "arguments"), COMMANDS)
def test_every_option_of_a_shown_command_exists(verb: str, arguments: str) -> None:
    shown = passed(command_line.run(ROOT, "gitlab", verb, "--help"))

    options = re.findall(r"(?<!\S)--?[a-z-]+", arguments)
    assert "-e" in options
    assert [option for option in options if option not in shown.stdout] == []
    assert "Example: lifeboat gitlab " + verb in shown.stdout


def test_every_status_of_the_table_is_one_of_ours() -> None:
    statuses = {int(number) for number in re.findall(r"^\| (\d+) \|", PAGE, flags=re.MULTILINE)}

    assert statuses == {0, 1, 2, 3, 4, 5, 6, 7, 8}
    assert statuses <= set(EXIT_STATUSES)
