"""The verbs of `lifeboat alarms`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from lifeboat import views, views_alarms
from lifeboat.alarm_model import AlarmReport
from lifeboat.cli_options import Env, Out, Output, Within, Yes, asking, duration, site_of
from lifeboat.commands import alarms as alarms_command
from lifeboat.commands.alarms import Asked
from lifeboat.errors import DONE, CleanUpIncomplete, Failed, Unreachable

alarms = typer.Typer(
    help="What rings when a copy fails or grows old: list it, and prove that it is heard.", no_args_is_help=True
)


def add_to(app: typer.Typer) -> None:
    """Make this a group of commands of the program."""
    app.add_typer(alarms, name="alarms")


@alarms.command("list")
def alarms_list(env: Env = "local", output: Out = Output.TABLE) -> int:
    """List alarms, event rules and what AWS tells by itself, in both regions: state, who is told, or why nobody would hear it.

    What was built and is gone is listed as well, and what was changed by hand is told with what was built.

    Example: lifeboat alarms list -e production
    """
    rows = alarms_command.listed(site_of(env))
    if output is Output.JSON:
        views.document(views_alarms.rows_document(rows))
    elif rows:
        views_alarms.rows(rows)
    else:
        views.lines([f"nothing rings for {env}, and nothing that rings was built"])
    return DONE


@alarms.command("test")
def alarms_test(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Alarms and rules, such as dumps-stale; all without one."),
    ] = None,
    env: Env = "local",
    output: Out = Output.TABLE,
    within: Within = "2m",
    yes: Yes = False,
) -> int:
    """Ring every alarm and rule, listen to the topics, and report which messages arrived: N of N.

    Alarms are set to ALARM and back, rules get a made-up event of source lifeboat.test. Whoever listens gets the messages
    too, each marked as a TEST, so it is asked first; in a rehearsal only at a terminal. A queue listens meanwhile and is
    taken away again; what a killed test left, lifeboat sweep takes away. What only AWS can ring is checked instead: switched
    on, topic, policy. What is not as Terraform built it, such as a threshold that somebody raised, is told and not rung.

    Ends with 1 where a message did not arrive, or a topic has no listener who confirmed; with 8 where something could not be
    rung: a call was refused, or it does more than tell a topic, as an alarm does that reboots a machine; with 12 where
    something of the test stays.

    Example: lifeboat alarms test dumps-stale kms-key-disabled -e production
    """
    here = site_of(env)
    rehearsal = here.local_cloud() is not None and not sys.stdin.isatty()
    asked = Asked(names=tuple(names or ()), within=duration(within))
    done = alarms_command.test(here, views.Teller(), asking(yes=yes or rehearsal), asked)
    if output is Output.JSON:
        views.document(views_alarms.tested_document(done))
    else:
        views_alarms.tested(done)
    _end(done, env)
    return DONE


def _end(done: AlarmReport, env: str) -> None:
    """Raise what a test comes to that did not go well, the gravest first."""
    lost = [one for one in done.rung if not one.good]
    wrong = [one for one in done.checked if not one.good]
    deaf = [why for _, why in done.topics if why]
    lines = [f"{one.ringer.words}: {one.why}" for one in (*lost, *wrong)] + deaf
    heard = "" if not deaf else ", and not all where somebody listens"
    headline = f"{done.arrived} of {len(done.rung)} messages arrived{heard}"
    summary = "\n".join([headline, *(f"  {line}" for line in lines)])
    left = "\n".join(done.left)
    if not done.rung and not done.checked:
        raise Failed("nothing rings, so nothing was tested", hint="lifeboat apply")
    if any(not one.unsure for one in lost) or wrong or deaf:
        pages = [one.page for one in (*(one for one in lost if not one.unsure), *wrong) if one.page]
        listen = (
            f"name who should listen in alarms.subscribers, then lifeboat apply -e {env}; or confirm the mail of AWS"
        )
        other = listen if deaf and not (lost or wrong) else f"lifeboat alarms list -e {env} names the page of each"
        shown = f"less {pages[0]}" if pages else other
        more = ", and the page of each other, which lifeboat alarms list names" if len(set(pages)) > 1 else ""
        raise Failed(summary + (f"\n{left}" if left else ""), hint=f"{shown}{more}")
    if lost and left:
        raise CleanUpIncomplete(
            f"{summary}\n{left}", hint="lifeboat sweep; the reason of each says what kept it from being tested"
        )
    if lost:
        raise Unreachable(summary, hint="the reason of each says what keeps it from being tested; a permission, mostly")
    if left:
        raise CleanUpIncomplete(left, hint="lifeboat sweep")
