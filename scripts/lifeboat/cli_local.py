"""The verbs of `lifeboat local`."""

from __future__ import annotations

from typing import Annotated

import typer

from lifeboat import views
from lifeboat.cli_options import Env, Out, Output, Yes, asking, site_of
from lifeboat.commands import local as local_command
from lifeboat.errors import DONE

local = typer.Typer(help="The local cloud of a rehearsal environment.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Make this a group of commands of the program."""
    app.add_typer(local, name="local")


@local.command("up")
def local_up(env: Env = "local") -> int:
    """Start the local cloud; it goes on from where it was stopped."""
    views.lines([local_command.up(site_of(env), views.Teller())])
    return DONE


@local.command("down")
def local_down(env: Env = "local") -> int:
    """Stop the local cloud, its databases and its hosts; nothing is forgotten."""
    views.lines([local_command.down(site_of(env))])
    return DONE


@local.command("reset")
def local_reset(env: Env = "local", yes: Yes = False) -> int:
    """Stop the local cloud and delete its whole state, saves included."""
    here = site_of(env)
    asking(yes=yes)([f"delete {local_command.cloud_of(here).directory} with every database, image and save in it"])
    views.lines([local_command.reset(here)])
    return DONE


@local.command("env")
def local_env(env: Env = "local", output: Out = Output.TABLE) -> int:
    """Print export lines for aws, psql, curl and terraform: eval "$(lifeboat local env)"."""
    here = site_of(env)
    variables = local_command.environment(here, views.Teller())
    if output is Output.JSON:
        views.document(variables)
    else:
        views.lines(local_command.exports(here, variables))
    return DONE


@local.command("save")
def local_save(
    name: Annotated[str, typer.Argument(help="Name of the save.")],
    env: Env = "local",
    replace: Annotated[bool, typer.Option("--replace", help="Give up an older save of that name.")] = False,
) -> int:
    """Keep a copy of the whole local cloud, databases and hosts included."""
    views.document(local_command.ask(site_of(env), "save", name=name, replace=replace))
    return DONE


@local.command("saves")
def local_saves(env: Env = "local", output: Out = Output.TABLE) -> int:
    """List the saves, by name."""
    found = local_command.saves(site_of(env))
    if output is Output.JSON:
        views.document(found)
    else:
        views.lines(found or ["there are no saves"])
    return DONE


@local.command("load")
def local_load(name: Annotated[str, typer.Argument(help="Name of the save.")], env: Env = "local") -> int:
    """Go back to a save. What happened since is gone; save it first if it matters.

    Example: lifeboat local load applied
    """
    views.document(local_command.ask(site_of(env), "load", name=name))
    return DONE


@local.command("tick")
def local_tick(
    schedule: Annotated[str, typer.Argument(help="daily or monthly")], env: Env = "local", output: Out = Output.TABLE
) -> int:
    """Fire every schedule that is due daily, or monthly: DLM, AWS Backup, RDS, EventBridge Scheduler."""
    done = local_command.ask(site_of(env), "tick", schedule=schedule)
    if output is Output.JSON:
        views.document(done)
    else:
        views.lines(done["fired"] or [f"nothing is scheduled {schedule}"])
    return DONE


@local.command("break")
def local_break(
    what: Annotated[str, typer.Argument(help="instance, instance-gone, database or state")], env: Env = "local"
) -> int:
    """Let a disaster happen to the local cloud, for a rehearsal; then see whether you come back: lifeboat recover.

    Example: lifeboat local break instance
    """
    views.lines(local_command.ask(site_of(env), "break", what=what)["done"])
    return DONE


@local.command("logs")
def local_logs(
    env: Env = "local",
    lines: Annotated[int, typer.Option("--lines", "-n", help="Newest lines of each log.", min=1)] = 20,
) -> int:
    """Print the newest lines of the local cloud's logs and of everything that runs on it."""
    views.lines(local_command.logs(site_of(env), newest=lines))
    return DONE
