"""`lifeboat policy coverage`: what the rules cover, by themselves or on a plan of an environment."""

from __future__ import annotations

from lifeboat.clients import run_files
from lifeboat.commands import scan as scan_command
from lifeboat.decisions.policy import judging, reading, standards
from lifeboat.decisions.policy.rule import Standing
from lifeboat.decisions.policy.standards import Covered
from lifeboat.errors import WrongConfiguration
from lifeboat.model import Teller
from lifeboat.site import Site
from lifeboat.stack import options, planning, preflight
from lifeboat.state_model import StateRoot


def coverage(plan: str | None) -> Covered:
    """Return what the rules cover; with the plan of a file, how each of them ended on it."""
    if plan is None:
        return standards.covered()
    return standards.covered(judging.scanned(reading.read(scan_command.plan_text(plan))))


def coverage_of(site: Site, tell: Teller) -> Covered:
    """Return what the rules cover of an environment's files, planned against an empty state: no account is asked."""
    preflight.require(site, tell)
    options.require(site)
    with run_files.plan_folder(site.project.work) as folder:
        (saved,) = planning.of_files_alone(site, tell, folder, [StateRoot.STACK])
        document = saved.terraform.planned(saved.file)
    return standards.covered(judging.scanned(reading.from_document(document), standing=Standing.TO_BUILD))


def require_one(plan: str | None, env: str | None, either: str) -> None:
    """Raise WrongConfiguration where both a plan and an environment are named; `either` says how to name one of them."""
    if plan is not None and env is not None:
        raise WrongConfiguration(
            "--plan is a plan already, and --env makes one: only one of them can be judged", hint=either
        )
