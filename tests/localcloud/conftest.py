"""The local GitLab of one file's tests, and knobs that are as before after a test has turned them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.localcloud.gitlab_places import LocalGitLab, local_gitlab


@pytest.fixture(scope="module")
def local() -> Iterator[LocalGitLab]:
    """A local GitLab in a cloud of its own, with a maintainer who sees an unprotected branch as well."""
    with local_gitlab() as running:
        running.project().branches.create({"branch": "hot-fix", "ref": "main"})
        yield running


@pytest.fixture
def settings(local: LocalGitLab) -> Iterator[LocalGitLab]:
    """The local GitLab for a test that turns knobs, which are as before afterwards."""
    before = local.turn()["settings"]
    yield local
    local.turn(settings=before, runner="online")
