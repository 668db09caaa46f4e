"""What an environment can be planned against: what stands, or, where it was never applied, its files alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lifeboat.decisions.known_states import Purpose
from lifeboat.site import Site
from lifeboat.stack import known_states, preflight
from lifeboat.state_model import StateRoot

_REAL_KEY = re.compile(r"^(AKIA|ASIA)[A-Z2-7]{16}$")


@dataclass(frozen=True, kw_only=True)
class NeverApplied:
    """Why an environment is taken for one that was never applied, in words for whoever reads what came of it."""

    why: str


def dummy_credentials(env: Mapping[str, str]) -> bool:
    """Return whether the credentials in the environment cannot be real (AWS's documented examples, placeholders)."""
    key = env.get("AWS_ACCESS_KEY_ID", "")
    return bool(key) and (not _REAL_KEY.match(key) or key.endswith("EXAMPLE"))


def never_applied(site: Site) -> NeverApplied | None:
    """Return why the environment is taken for one that was never applied; None where it was, or may have been.

    Whatever speaks for an apply counts: what this machine remembers, what a recovery wrote, what AWS has. Raises Unreachable
    where there are credentials and AWS cannot be asked, Refused where a state is gone that was there.
    """
    here = known_states.of_this_machine
    remembered = any(here(site, root) is not None for root in StateRoot)
    if remembered or site.root_state_file.exists() or site.project.recovery_file.exists():
        return None
    cloud = site.local_cloud()
    if cloud is not None:
        return _on_a_local_cloud(site)
    on_aws = site.project.environment.endpoint is None  # elsewhere the environment's file has the credentials
    if on_aws and (dummy_credentials(site.caller_env) or not site.signed_in()):
        return NeverApplied(
            why="there are no credentials to ask AWS with, and nothing on this machine remembers an apply of it"
        )
    preflight.require_account(site)
    return _without_a_bucket(site)


def _on_a_local_cloud(site: Site) -> NeverApplied | None:
    cloud = site.local_cloud()
    if cloud is None or cloud.health() is not None:
        return _without_a_bucket(site)
    if cloud.directory.exists():
        return None  # it is only stopped
    return NeverApplied(why="its local cloud was never started")


def _without_a_bucket(site: Site) -> NeverApplied | None:
    if site.root_store().bucket_exists():
        return None
    known_states.require(site, Purpose.PLAN, known_states.BOTH)
    return NeverApplied(why=f"there is no state bucket {site.project.environment.state.bucket}")
