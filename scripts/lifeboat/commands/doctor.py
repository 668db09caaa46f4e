"""`lifeboat doctor`: each prerequisite with what was found, what is wanted, and the command that mends it."""

from __future__ import annotations

import shutil
import sys

from lifeboat.clients import programs
from lifeboat.clients.run_files import NEEDED_BYTES
from lifeboat.errors import LifeboatError
from lifeboat.model import Prerequisite
from lifeboat.site import Site
from lifeboat.stack import preflight


def run(site: Site) -> list[Prerequisite]:
    """Look at everything that lifeboat needs here; changes nothing."""
    return [
        _python(),
        *preflight.prerequisites(site),
        _program("psql", "psql", "--version", fix="apt-get install postgresql-client"),
        _program("git", "git", "--version", fix="apt-get install git"),
        _space(site),
        *authorities(site),
        *_cloud(site),
        *_account(site),
    ]


def _python() -> Prerequisite:
    found = ".".join(str(n) for n in sys.version_info[:3])
    good = sys.version_info >= (3, 11)
    return Prerequisite(
        name="python", found=found, wanted=">= 3.11", good=good, fix="install Python 3.11, then make setup"
    )


def _program(name: str, *argv: str, fix: str) -> Prerequisite:
    found = programs.version(*argv)
    return Prerequisite(name=name, found=found.words, wanted="any", good=found.numbers is not None, fix=fix)


def _space(site: Site) -> Prerequisite:
    folder = next(p for p in (site.project.work, *site.project.work.parents) if p.exists())
    free = shutil.disk_usage(folder).free
    return Prerequisite(
        name="disk space",
        found=f"{free / 1e9:.1f} GB free",
        wanted=f">= {NEEDED_BYTES / 1e9:.1f} GB on the disk of {site.project.work}",
        good=free >= NEEDED_BYTES,
        fix="free some space: old saves lie in .lifeboat/local/cloud/saves",
    )


def authorities(site: Site) -> list[Prerequisite]:
    """Return whether who gets the database's password is checked; of a local cloud its own file comes with it."""
    if site.local_cloud() is not None:
        return []
    env, region = site.project.env, site.project.environment.application.region
    named = site.project.environment.database.ca_file
    there = named is not None and (site.project.root / named).is_file()
    missing = "nobody checks that what answers is the database" if named is None else f"there is no file {named}"
    return [
        Prerequisite(
            name="database's authorities",
            found=str(named) if there else missing,
            wanted=f"a file that [database] ca_file of environments/{env}.toml names",
            good=there,
            fix=f"curl -o environments/{region}-bundle.pem https://truststore.pki.rds.amazonaws.com/{region}/{region}-bundle.pem",
        )
    ]


def _cloud(site: Site) -> list[Prerequisite]:
    cloud = site.local_cloud()
    if cloud is None:
        return []
    wanted = f"port {cloud.port} free, or this environment's own local cloud"
    try:
        health = cloud.health()
    except LifeboatError as error:
        return [Prerequisite(name="local cloud", found=error.summary, wanted=wanted, good=False, fix=error.hint)]
    found = "not running (apply starts it)" if health is None else f"running on {cloud.url}, process {health['pid']}"
    return [Prerequisite(name="local cloud", found=found, wanted=wanted, good=True)]


def _account(site: Site) -> list[Prerequisite]:
    account = site.project.environment.application.account_id
    cloud = site.local_cloud()
    if cloud is not None:
        return []
    try:
        preflight.require_account(site)
    except LifeboatError as error:
        return [
            Prerequisite(
                name="AWS account",
                found=error.summary,
                wanted=account,
                good=False,
                fix=error.hint or "aws sts get-caller-identity",
            )
        ]
    return [Prerequisite(name="AWS account", found=account, wanted=account, good=True)]
