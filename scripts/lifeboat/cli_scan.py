"""The verbs `lifeboat scan` and `lifeboat policy`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from lifeboat import views, views_scan
from lifeboat.cli_options import Env, Out, Output, site_of
from lifeboat.commands import policy as policy_command
from lifeboat.commands import scan as scan_command
from lifeboat.decisions.policy.formats.document import document
from lifeboat.decisions.policy.registry import RULES, named
from lifeboat.decisions.policy.rule import Standing
from lifeboat.errors import DONE, Failed, ScanNotValid

policy = typer.Typer(help="The rules that a scan judges a plan by: list, explain, coverage.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Make the verbs commands of the program."""
    app.command()(scan)
    app.add_typer(policy, name="policy")


def scan(
    context: typer.Context,
    *,
    env: Env = "local",
    plan: Annotated[
        str | None,
        typer.Option(
            "--plan",
            metavar="FILE",
            help="Judge this plan instead, as terraform show -json prints it; - reads it. By our own rules, without waivers.",
        ),
    ] = None,
    native: Annotated[bool, typer.Option("--native", help="By lifeboat's own rules alone, without checkov.")] = False,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline",
            help="Plan against an empty state, without an account (implied where it was never applied, which is said).",
        ),
    ] = False,
    first_apply: Annotated[
        bool,
        typer.Option(
            "--first-apply",
            help="The environment is only to be built: what its first apply will tell is listed, and fails nothing.",
        ),
    ] = False,
    report_dir: Annotated[
        Path | None,
        typer.Option("--report-dir", metavar="DIR", help="Where the reports go; .lifeboat/scan/ENV unless said."),
    ] = None,
    output: Out = Output.TABLE,
) -> int:
    """Judge an environment by the rules of disaster recovery: what is wrong, what it should be, and why.

    Plans the state backend and the stack, asks lifeboat's own rules and checkov, and writes reports: JSON, JUnit, SARIF,
    GitLab Code Quality and Markdown. environments/ENV.waivers.toml says what is accepted, by whom, why and until when.

    Ends with 1 on a finding of high severity, and with 2 when the scan is not valid: no plan, an empty one, a rule that
    could not be judged, a check that crashed, a waiver that is over. Nothing is green by accident.

    Example: terraform show -json stack.plan | lifeboat scan --plan -
    """
    standing = Standing.TO_BUILD if first_apply else Standing.BUILT
    if plan is None:
        depth = scan_command.Depth.NATIVE if native else scan_command.Depth.WHOLE
        ground = scan_command.Ground.FILES if offline else scan_command.Ground.STANDING
        request = scan_command.Request(depth=depth, ground=ground, standing=standing, reports=report_dir)
        done = scan_command.of_environment(site_of(env), views.Teller(), request)
    else:
        if offline:
            raise typer.BadParameter("--offline is about a plan that is to be made; --plan names one that is there")
        # ENV in the environment is for every command; who types -e beside --plan expects this environment's waivers.
        source = context.get_parameter_source("env")
        if source is not None and source.name == "COMMANDLINE":
            policy_command.require_one(plan, env, f"lifeboat scan --plan {plan}, or lifeboat scan -e {env}")
        done = scan_command.of_file(plan, standing)
        if report_dir is not None:
            scan_command.write(done, report_dir)
    with _no_finding():
        if output is Output.JSON:
            views.document(document(done))
        else:
            views_scan.scan(done)
        sys.stdout.flush()
    return scan_command.status(done)


@contextmanager
def _no_finding() -> Iterator[None]:
    """Let an output that cannot be written end with 2: with 1, as elsewhere, it would say that the scan found something."""
    try:
        yield
    except Failed as error:
        raise ScanNotValid(error.summary, hint=error.hint) from error


@policy.command("list")
def policy_list(output: Out = Output.TABLE) -> int:
    """List the rules: id, severity, what each asks for, and of which resources."""
    if output is Output.JSON:
        views.document([views_scan.rule_document(rule) for rule in RULES])
    else:
        views_scan.rules(RULES)
    return DONE


@policy.command("explain")
def policy_explain(
    rule: Annotated[str, typer.Argument(help="The id of a rule: LB_RDS_1.")], output: Out = Output.TABLE
) -> int:
    """Explain one rule: why it matters, what to change, and the controls of other standards that it answers to.

    Example: lifeboat policy explain LB_RDS_2
    """
    found = named(rule)
    if output is Output.JSON:
        views.document(views_scan.rule_document(found))
    else:
        views_scan.rule(found)
    return DONE


@policy.command("coverage")
def policy_coverage(
    *,
    env: Annotated[
        str | None, typer.Option("--env", "-e", help="Judge the files of this environment, without asking its account.")
    ] = None,
    plan: Annotated[
        str | None,
        typer.Option("--plan", metavar="FILE", help="Judge a plan, as terraform show -json prints it; - reads it."),
    ] = None,
    output: Out = Output.TABLE,
) -> int:
    """Show the controls that the rules answer to, the checks of checkov that they replace, and which ended how on a plan.

    Example: lifeboat policy coverage -e production
    """
    policy_command.require_one(
        plan, env, "lifeboat policy coverage --plan plan.json, or lifeboat policy coverage -e production"
    )
    found = policy_command.coverage(plan) if env is None else policy_command.coverage_of(site_of(env), views.Teller())
    if output is Output.JSON:
        views.document(views_scan.coverage_document(found))
    else:
        views_scan.coverage(found)
    return DONE
