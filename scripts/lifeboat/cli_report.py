"""The verb `lifeboat report`."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lifeboat import views, views_evidence
from lifeboat.cli_options import Env, matching, site_of
from lifeboat.commands import report as report_command
from lifeboat.decisions.evidence_overview import Overview
from lifeboat.errors import DONE, WrongConfiguration
from lifeboat.evidence_formats import junit, markdown, page
from lifeboat.evidence_model import Finding
from lifeboat.site import Site

VERIFY = "verify"
_RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}[0-9A-Za-z.-]{1,60}")


class Form(StrEnum):
    """How a report is printed."""

    TABLE = "table"
    JSON = "json"
    JUNIT = "junit"
    MARKDOWN = "markdown"
    HTML = "html"


def add_to(app: typer.Typer) -> None:
    """Make the verb a command of the program."""
    app.command()(report)


def report(
    which: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN|latest|verify",
            help="A run, as lifeboat runs shows it; latest, also without a name; or verify: check the chain.",
        ),
    ] = None,
    *,
    env: Env = "local",
    output: Annotated[Form, typer.Option("--output", "-o", help="How to print it.")] = Form.TABLE,
    every: Annotated[bool, typer.Option("--all", help="All runs: times against targets, age of proof.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it into a file instead of printing it.")
    ] = None,
) -> int:
    """Show what a run proved: times against objectives, the copy and why, each step, the data, what was made and is gone.

    Evidence is written when a recovery or drill ends, each bundle linked to the one before by its SHA-256, into the bucket
    of dumps, whose objects nobody may take away; what each digest is, the state bucket of the other region knows too. JSON is
    what is stored, byte for byte. verify reads all of it: 11 names the bundle that was changed or is missing, 8 says what
    nobody could look at.

    Example: lifeboat report latest -o html --out report.html -e production
    """
    here = site_of(env)
    if which == VERIFY:
        return _verify(here, output, every=every, out=out)
    if every:
        if which is not None:
            raise WrongConfiguration("--all is of all runs, and one is named", hint=f"lifeboat report {which} -e {env}")
        return _all(here, output, out)
    one = report_command.LATEST if which is None else which
    if one != report_command.LATEST:
        matching(one, _RUN_ID, "a run, latest or verify; lifeboat runs lists the runs")
    return _run(here, one, output, out)


def _verify(here: Site, output: Form, *, every: bool, out: Path | None) -> int:
    if every or out is not None or output not in (Form.TABLE, Form.JSON):
        raise WrongConfiguration(
            "verify looks at everything, and prints a table or JSON",
            hint=f"lifeboat report verify -e {here.project.env}; lifeboat report --all -o html --out FILE makes a page of it",
        )
    done = report_command.verify(here)
    if output is Form.JSON:
        views.document({"bundles": done.bundles, "findings": views_evidence.findings_document(done.findings)})
    elif not done.findings:
        views_evidence.verified(done.bundles, done.findings)
    return _status(here, done.findings)


def _all(here: Site, output: Form, out: Path | None) -> int:
    found = report_command.of_all(here)
    if output is Form.TABLE:
        _require_printed(out)
        views_evidence.overview(found)
    else:
        _give(_text_of_all(found, output), out)
    return _status(here, found.findings)


def _run(here: Site, which: str, output: Form, out: Path | None) -> int:
    found = report_command.of_run(here, which)
    if found.remark:
        views.Teller().warn(found.remark)
    if output is Form.TABLE:
        _require_printed(out)
        views_evidence.run(found.report)
    elif output is Form.JSON:
        _give(found.body.decode(), out)
    else:
        form = {Form.JUNIT: junit.of_run, Form.MARKDOWN: markdown.of_run, Form.HTML: page.of_run}[output]
        _give(form(found.report), out)
    return _status(here, found.report.findings)


def _text_of_all(found: Overview, output: Form) -> str:
    if output is Form.JSON:
        return views_evidence.overview_text(found)
    return {Form.JUNIT: junit.of_all, Form.MARKDOWN: markdown.of_all, Form.HTML: page.of_all}[output](found)


def _require_printed(out: Path | None) -> None:
    if out is not None:
        raise WrongConfiguration(
            "a table is printed, and not written into a file", hint="-o html --out FILE, or markdown"
        )


def _give(text: str, out: Path | None) -> None:
    if out is None:
        views_evidence.text(text)
    else:
        report_command.write(out, text)
        views.Teller().say(f"written: {out}")


def _status(here: Site, findings: tuple[Finding, ...]) -> int:
    """Return 0 where the evidence is as it was written; raises what says that it is not, or that nobody could look."""
    report_command.require_whole(here, findings)
    return DONE
