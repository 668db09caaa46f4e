"""A site on a local GitLab for the tests of one file, with no variables in it at the start of each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gitlab_sites import GitLabSite, gitlab_site
from tests.localcloud.gitlab_places import local_gitlab


@pytest.fixture(scope="module")
def running_gitlab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitLabSite]:
    with local_gitlab() as local:
        yield gitlab_site(local, tmp_path_factory.mktemp("project"))


@pytest.fixture
def lab(running_gitlab: GitLabSite) -> Iterator[GitLabSite]:
    """A site on a local GitLab, as it is described in tests/gitlab_sites.py, with an empty project."""
    running_gitlab.clean()
    running_gitlab.write()
    running_gitlab.output()
    for journal in Path(running_gitlab.root).glob(".lifeboat/x/gitlab-sync.jsonl"):
        journal.unlink()
    yield running_gitlab
    running_gitlab.cloud.control("faults", clear=True)
