"""The verbs of `lifeboat app`."""

from __future__ import annotations

from typing import Annotated

import typer

from lifeboat import views
from lifeboat.cli_options import Env, Out, Output, Within, duration, site_of
from lifeboat.commands import app as app_command
from lifeboat.errors import DONE
from lifeboat.stack.application import RESTART, ROLLBACK, Done, redeployment

application = typer.Typer(
    help="The application on its living instance, over SSM: roll back, restart, redeploy.", no_args_is_help=True
)


def add_to(app: typer.Typer) -> None:
    """Make this a group of commands of the program."""
    app.add_typer(application, name="app")


@application.command("rollback")
def app_rollback(env: Env = "local", output: Out = Output.TABLE, within: Within = "5m") -> int:
    """Run the image that ran before the present one; ends with 3 when the host knows of none.

    It is taken from the host's own disk where it is there, so the registry may be down.

    Example: lifeboat app rollback -e production
    """
    return _shown(app_command.run(site_of(env), views.Teller(), ROLLBACK, duration(within)), output)


@application.command("restart")
def app_restart(env: Env = "local", output: Out = Output.TABLE, within: Within = "5m") -> int:
    """Restart the application's container and wait until it is well.

    Example: lifeboat app restart --within 2m -e production
    """
    return _shown(app_command.run(site_of(env), views.Teller(), RESTART, duration(within)), output)


@application.command("redeploy")
def app_redeploy(
    env: Env = "local",
    output: Out = Output.TABLE,
    image: Annotated[
        str | None,
        typer.Option("--image", help="A tag of the image that runs, such as 2, or another one: registry/app:2."),
    ] = None,
    within: Within = "5m",
) -> int:
    """Fetch an image and run it in place of the old one; without --image, the one that runs once more.

    The next instance starts with the image of the tfvars: change instance.app_image there as well.

    Example: lifeboat app redeploy --image 1.4.2 -e production
    """
    return _shown(app_command.run(site_of(env), views.Teller(), redeployment(image), duration(within)), output)


def _shown(done: Done, output: Output) -> int:
    if output is Output.JSON:
        views.document(
            {
                "instance": done.instance,
                "image": done.image,
                "why": done.why,
                "before": done.before.running,
                "url": done.url,
                "health": views.health_document(done.health),
                "seconds": round(done.seconds, 1),
            }
        )
    else:
        answers = done.health.image or "the application, which does not say its image,"
        before = "" if done.before.running in (None, done.image) else f"; before, {done.before.running} ran"
        views.lines([f"{answers} answers at {done.url} on {done.instance}, after {done.seconds:.0f} s{before}"])
    return DONE
