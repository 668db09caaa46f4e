"""The verbs of `lifeboat ami`."""

from __future__ import annotations

import re
import sys
from typing import Annotated

import typer

from lifeboat import views
from lifeboat.cli_options import Env, Out, Output, Within, Yes, asking, duration, image_id, matching, site_of
from lifeboat.commands import ami as ami_command
from lifeboat.errors import DONE, Unreachable
from lifeboat.model import Machine, SnapshotId
from lifeboat.stack import machine_images

ami = typer.Typer(
    help="Machine images to recover the instance from: bake, list, choose, copy, register, prune.", no_args_is_help=True
)


def add_to(app: typer.Typer) -> None:
    """Make this a group of commands of the program."""
    app.add_typer(ami, name="ami")


_SNAPSHOT_ID = re.compile(r"snap-(?:[0-9a-f]{8}|[0-9a-f]{17})")


def _snapshot(text: str) -> SnapshotId | None:
    """Return the snapshot that is named; None for the newest one."""
    return None if text == "latest" else SnapshotId(matching(text, _SNAPSHOT_ID, "latest or a snapshot id: snap-…"))


def _machine(text: str | None) -> Machine | None:
    """Return the machine that is named as architecture and root device; None when none is named."""
    if text is None:
        return None
    wanted = "an architecture and a root device: x86_64:/dev/xvda"
    architecture, _, device = matching(text, re.compile(r"(x86_64|arm64):/dev/[a-z0-9]{2,12}"), wanted).partition(":")
    return Machine(architecture=architecture, root_device_name=device)


@ami.command("bake")
def ami_bake(
    env: Env = "local",
    output: Out = Output.TABLE,
    no_reboot: Annotated[
        bool,
        typer.Option(
            "--no-reboot", help="Leave the instance running: its disks are then as after a power cut, mostly sound."
        ),
    ] = False,
    within: Within = "1h",
    yes: Yes = False,
) -> int:
    """Make an image of the running instance and wait until it is available. Prints its id.

    The image says which container image ran, which commit and which state serial it belongs to. The instance is
    rebooted for it, which is asked first. A bake that was cut off is waited for, not made twice.

    Example: lifeboat ami bake --no-reboot -e production
    """
    here = site_of(env)
    guest = ami_command.Guest.RUNNING if no_reboot else ami_command.Guest.REBOOTED
    rehearsal = here.local_cloud() is not None and not sys.stdin.isatty()
    done = ami_command.bake(here, views.Teller(), asking(yes=yes or rehearsal), guest, duration(within))
    if output is Output.JSON:
        health = None if done.health is None else views.health_document(done.health)
        views.document({"image": views.image_document(done.image), "health": health})
    else:
        views.lines([done.image.id])
    return DONE


@ami.command("list")
def ami_list(env: Env = "local", output: Out = Output.TABLE) -> int:
    """List the images of both regions: age, where from, where copied, what they run, when last proven, usable or why not.

    Example: lifeboat ami list -e production -o json
    """
    found = ami_command.listed(site_of(env))
    if output is Output.JSON:
        views.document(views.images_document(found.rows))
    elif found.rows:
        views.images(found.rows, found.now)
    else:
        views.lines([f"there are no images of {env}; lifeboat ami bake -e {env} makes one"])
    if found.unknown:
        raise Unreachable("\n".join(found.unknown), hint="what is shown is of the other region only")
    return DONE


@ami.command("latest")
def ami_latest(
    env: Env = "local",
    output: Out = Output.TABLE,
    max_age: Annotated[
        str | None,
        typer.Option("--max-age", metavar="TIME", help="Refuse images whose content is older: 24h, 30d."),
    ] = None,
) -> int:
    """Print the id of the image that a recovery would start from; ends with 6, and every reason, when there is none.

    Example: make recover ENV=production AMI=$(lifeboat ami latest --max-age 31d -e production)
    """
    image, choice = machine_images.latest(site_of(env), None if max_age is None else duration(max_age))
    if output is Output.JSON:
        views.document(views.choice_document(choice))
        return DONE
    tell = views.Teller()
    tell.say(f"{image.name}: {choice.why}")
    for remark in choice.remarks:
        tell.warn(remark)
    views.lines([image.id])
    return DONE


@ami.command("copy")
def ami_copy(
    image: Annotated[str, typer.Argument(help="An image id, or latest.")] = "latest",
    env: Env = "local",
    output: Out = Output.TABLE,
    within: Within = "2h",
) -> int:
    """Copy an image to the DR region under the key of that region, tags included. Prints the copy's id.

    Asked again, it returns the copy that exists. An image of the DR region is copied back to the primary one.

    Example: lifeboat ami copy latest -e production
    """
    made = ami_command.copy(site_of(env), views.Teller(), image_id(image), duration(within))
    if output is Output.JSON:
        views.document(views.image_document(made))
    else:
        views.lines([made.id])
    return DONE


@ami.command("from-snapshot")
def ami_from_snapshot(
    snapshot: Annotated[str, typer.Argument(help="A snapshot id of the root volume, or latest.")] = "latest",
    env: Env = "local",
    output: Out = Output.TABLE,
    region: Annotated[
        str | None, typer.Option("--region", help="Region of the snapshot; the primary one by default.")
    ] = None,
    machine: Annotated[
        str | None,
        typer.Option("--machine", metavar="ARCH:DEVICE", help="x86_64:/dev/xvda, where nothing tells it any more."),
    ] = None,
) -> int:
    """Make an image of an EBS snapshot of the root volume, such as DLM takes each day. Prints its id.

    So a snapshot alone is enough to recover the instance. Architecture and root device are taken from the volume's
    instance, from other images, or from the stack; name them with --machine where all of that is gone.

    Example: lifeboat ami from-snapshot latest --region eu-central-1 -e production
    """
    here = site_of(env)
    want = ami_command.snapshot_wanted(here, _snapshot(snapshot), region)
    made = ami_command.from_snapshot(here, views.Teller(), want, _machine(machine))
    if output is Output.JSON:
        views.document(views.image_document(made))
    else:
        views.lines([made.id])
    return DONE


@ami.command("prune")
def ami_prune(
    env: Env = "local",
    output: Out = Output.TABLE,
    keep: Annotated[int, typer.Option("--keep", help="Newest usable images to keep in each region.", min=1)] = 3,
    yes: Yes = False,
) -> int:
    """Show which images of ours nothing needs, ask, then deregister them and delete the snapshots made for them.

    What stays, whatever is said: images that an instance, a launch template, a tfvars file or a recovery file uses, or a
    recovery that has not ended, the newest ones, the newest proven to boot, DLM's, and everything that lifeboat did not
    make.

    Example: lifeboat ami prune --keep 5 -e production
    """
    table = output is Output.TABLE
    done = ami_command.prune(
        site_of(env), views.Teller(), views.pruning if table else lambda _: None, asking(yes=yes), keep
    )
    if table:
        views.lines([f"{len(done.removed)} images and {len(done.snapshots)} snapshots removed"])
    else:
        views.document(views.pruning_document(done))
    return DONE
