"""The verbs of `lifeboat dns`."""

from __future__ import annotations

from typing import Annotated

import typer

from lifeboat import views
from lifeboat.cli_options import Env, Out, Output, Yes, asking, site_of
from lifeboat.commands import dns as dns_command
from lifeboat.errors import DONE, IntegrityFailure

dns = typer.Typer(help="The public name of the application.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Make this a group of commands of the program."""
    app.add_typer(dns, name="dns")


HostedZone = Annotated[
    str | None, typer.Option("--zone", help="Id of the hosted zone, where several have the name.", metavar="ID")
]
UntilApply = Annotated[
    bool, typer.Option("--until-apply", help="Go on although Terraform keeps the record and would change it back.")
]
Unanswered = Annotated[
    bool, typer.Option("--unanswered", help="Go on although the application is not well at that address.")
]
Preview = Annotated[bool, typer.Option("--preview", help="Show what would be changed; change nothing.")]


@dns.command("show")
def dns_show(env: Env = "local", output: Out = Output.TABLE, zone: HostedZone = None) -> int:
    """Show the record, what Terraform keeps, what DNS answers, and which instance answers there.

    Ends with 11 where these do not agree. Example: lifeboat dns show -e production
    """
    shown = dns_command.show(site_of(env), zone=zone)
    if output is Output.JSON:
        views.document(dns_command.shown_document(shown))
    else:
        views.pairs(dns_command.shown_rows(shown))
        views.findings(shown.findings)
    return IntegrityFailure.exit_status if shown.findings else DONE


@dns.command("switch")
def dns_switch(
    *,
    to: Annotated[str, typer.Option("--to", help="IPv4 address that the name shall lead to.", metavar="ADDRESS")],
    env: Env = "local",
    output: Out = Output.TABLE,
    zone: HostedZone = None,
    until_apply: UntilApply = False,
    unanswered: Unanswered = False,
    preview: Preview = False,
    yes: Yes = False,
) -> int:
    """Lead the public name to another address; the record is saved first, and revert puts it back.

    Example: lifeboat dns switch --to 203.0.113.7 --preview -e production
    """
    here = site_of(env)
    if preview:
        return _moved(dns_command.preview(dns_command.switch_decided(here, to=to, zone=zone)), output, env)
    orders = _orders(until_apply=until_apply, unanswered=unanswered, yes=yes)
    return _moved(dns_command.switch(here, to=to, zone=zone, orders=orders), output, env)


@dns.command("revert")
def dns_revert(
    *,
    env: Env = "local",
    output: Out = Output.TABLE,
    zone: HostedZone = None,
    until_apply: UntilApply = False,
    unanswered: Unanswered = False,
    preview: Preview = False,
    yes: Yes = False,
) -> int:
    """Put back what the last switch replaced, provided the record is what that switch made it.

    Example: lifeboat dns revert --preview -e production
    """
    here = site_of(env)
    if preview:
        return _moved(dns_command.preview(dns_command.revert_decided(here, zone=zone)), output, env)
    orders = _orders(until_apply=until_apply, unanswered=unanswered, yes=yes)
    return _moved(dns_command.revert(here, zone=zone, orders=orders), output, env)


def _orders(*, until_apply: bool, unanswered: bool, yes: bool) -> dns_command.Orders:
    asked = {dns_command.Allowed.UNTIL_APPLY: until_apply, dns_command.Allowed.UNANSWERED: unanswered}
    allowed = frozenset(option for option, given in asked.items() if given)
    return dns_command.Orders(allowed=allowed, agree=asking(yes=yes), tell=views.Teller().say)


def _moved(done: dns_command.Done, output: Output, env: str) -> int:
    if output is Output.JSON:
        views.document(dns_command.done_document(done))
    else:
        views.lines(dns_command.done_lines(done))
    if done.findings:
        raise IntegrityFailure(
            "the application does not answer through its public name:\n"
            + "\n".join(f"  {finding}" for finding in done.findings),
            hint=f"lifeboat dns show -e {env}; lifeboat dns revert -e {env} puts the record back",
        )
    return DONE
