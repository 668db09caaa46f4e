"""What must be there before anything is changed: programs, provider, space, the right account."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

from lifeboat.clients import programs, provider_mirror, terraform
from lifeboat.clients.sdk import translated
from lifeboat.errors import WrongConfiguration
from lifeboat.model import FoundVersion, Prerequisite, Teller
from lifeboat.site import Site

_TERRAFORM_FIX = (
    "make setup TERRAFORM_DOWNLOAD=1 (pinned version, checksum verified), or install it from"
    " developer.hashicorp.com/terraform/install"
)
_SHIM_FIX = "terraform version must print a version: mend what it says (tfenv use, asdf set terraform)"


def terraform_program(_: Site) -> Prerequisite:
    """Is Terraform there, and new enough?"""
    found, wanted = terraform.version(), ".".join(str(n) for n in terraform.MINIMUM)
    is_there = shutil.which("terraform") is not None
    return Prerequisite(
        name="terraform",
        found=found.words,
        wanted=f">= {wanted}",
        good=found.numbers is not None and found.numbers >= terraform.MINIMUM,
        fix=f"{_SHIM_FIX}; {_TERRAFORM_FIX}" if found.numbers is None and is_there else _TERRAFORM_FIX,
    )


def provider(_: Site) -> Prerequisite:
    """Can the provider be taken from a mirror?"""
    wanted = "a mirror with hashicorp/aws, or the registry"
    try:
        mirror = provider_mirror.found(os.environ)
    except WrongConfiguration as error:
        return Prerequisite(name="aws provider", found=error.summary, wanted=wanted, good=False, fix=error.hint)
    return Prerequisite(
        name="aws provider", found=f"mirror {mirror}" if mirror else "registry", wanted=wanted, good=True
    )


def temporary_folder(site: Site) -> Prerequisite:
    """Is there a place for temporary files? Terraform speaks to its provider over a socket that lies in it."""
    named = site.caller_env.get("TMPDIR")
    folder = Path(named or "/tmp")  # noqa: S108  (where Go, and so Terraform, looks too)
    if not folder.is_absolute():
        wrong = "is no absolute path"
    elif not folder.exists():
        wrong = "does not exist"
    elif not folder.is_dir():
        wrong = "is no folder"
    else:
        wrong = "" if os.access(folder, os.W_OK | os.X_OK) else "cannot be written"
    text, quoted = f"TMPDIR={named}" if named else str(folder), shlex.quote(str(folder))
    makeable = wrong == "does not exist"
    if named:
        fix = "unset TMPDIR" + (
            f", or: mkdir -p {quoted}" if makeable else ", or let it name a folder that you can write"
        )
    else:
        fix = f"mkdir -m 1777 {quoted}" if makeable else "export TMPDIR=FOLDER, one that you can write"
    return Prerequisite(
        name="temporary folder",
        found=f"{text} {wrong}".strip(),
        wanted="a folder that can be written",
        good=not wrong,
        fix=fix if wrong else "",
    )


def postgres(site: Site) -> Prerequisite | None:
    """Are the PostgreSQL server programs there? Only a local cloud needs them."""
    if site.project.environment.local_cloud is None:
        return None
    folder = programs.postgres_folder(site.caller_env.get("PG_BIN"))
    nothing = FoundVersion(words="no initdb, postgres and pg_basebackup")
    found = nothing if folder is None else programs.version(str(folder / "postgres"), "--version")
    return Prerequisite(
        name="postgresql server",
        found=found.words,
        wanted="15 or newer",
        good=found.numbers is not None and found.numbers >= (15,),
        fix="apt-get install postgresql-15 (or your system's package of the PostgreSQL server)",
    )


def loopback(site: Site) -> Prerequisite | None:
    """Does this system own the whole loopback network? Only a local cloud needs it."""
    if site.project.environment.local_cloud is None:
        return None
    return Prerequisite(
        name="operating system",
        found=platform.system(),
        wanted="Linux (the local cloud gives each database and host an address of 127.0.0.0/8)",
        good=platform.system() == "Linux",
        fix="use a Linux machine, container or virtual machine",
    )


CHECKS: tuple[Callable[[Site], Prerequisite | None], ...] = (
    terraform_program,
    provider,
    temporary_folder,
    postgres,
    loopback,
)


def prerequisites(site: Site) -> list[Prerequisite]:
    """Return every prerequisite of this environment with what was found."""
    rows = [check(site) for check in CHECKS]
    return [row for row in rows if row is not None]


def require(site: Site, tell: Teller) -> None:
    """Raise WrongConfiguration naming everything that is missing and how to get it; tell what of the shell is left out."""
    for line in _logs_left_out(site):
        tell.warn(line)
    bad = [row for row in prerequisites(site) if not row.good]
    if bad:
        raise WrongConfiguration(
            "\n".join(f"{row.name}: {row.found}; wanted: {row.wanted}" for row in bad),
            hint="\n        ".join(row.fix for row in bad),
        )


def _logs_left_out(site: Site) -> list[str]:
    """Return what becomes of the log that the caller asks Terraform for: it holds secrets until it is redacted."""
    others = sorted(name for name in site.caller_env if name.startswith("TF_LOG_"))
    lines = []
    if site.caller_env.get("TF_LOG"):
        lines.append(
            f"TF_LOG: what Terraform logs of an apply is in {site.project.work}/runs/*/*.jsonl, with its secrets until the"
            " apply ends"
        )
    if others:
        lines.append(f"not passed on to Terraform, whose log would hold secrets: {', '.join(others)}")
    return lines


def require_account(site: Site) -> None:
    """Raise unless the credentials belong to the account that the environment names."""
    application = site.project.environment.application
    hint = f"check the credentials; environments/{site.project.env}.toml names account {application.account_id}"
    with translated("ask AWS who we are", hint=hint):
        identity = site.client("sts", application.region).get_caller_identity()
    if identity["Account"] != application.account_id:
        raise WrongConfiguration(
            f"the credentials belong to account {identity['Account']}, but environment {site.project.env} is account"
            f" {application.account_id}",
            hint=hint,
        )
