"""`lifeboat gitlab doctor`: everything that a sync or a deploy would stumble over, with what mends it."""

from __future__ import annotations

from datetime import UTC, datetime

from lifeboat.clients.gitlab_api import Patience
from lifeboat.decisions import gitlab_checks
from lifeboat.model import Prerequisite
from lifeboat.pipeline import values
from lifeboat.site import Site


def run(site: Site, patience: Patience) -> list[Prerequisite]:
    """Look at GitLab, the token and the project; changes nothing. Raises where GitLab cannot be asked at all.

    Without the role Maintainer the rest is not for the token to see, so the rows end with the role.
    """
    settings, environment = site.gitlab_settings, site.gitlab_environment
    client = site.gitlab(patience)
    wishes = values.wishes(site)
    names = [wish.name for wish in wishes]
    version, token, project = client.version(), client.token(), client.project()
    rows = [
        gitlab_checks.version(version),
        gitlab_checks.token(token, datetime.now(UTC).date()),
        gitlab_checks.role(project),
    ]
    if not rows[-1].good:
        return rows
    ref, group = settings.default_branch, project.group
    group_keys = client.group_keys(group) if group is not None else []
    return [
        *rows,
        gitlab_checks.branch(ref, client.is_protected(ref), wishes),
        gitlab_checks.environment(environment, client.guard(environment)),
        gitlab_checks.scopes(names, environment),
        gitlab_checks.shadowing(names, group_keys, client.schedules()),
        gitlab_checks.override(project),
        gitlab_checks.outdated(project),
        gitlab_checks.runners(client.runners()),
        gitlab_checks.pipeline(client.lint(ref), (settings.deploy_job, settings.rollback_job)),
    ]
