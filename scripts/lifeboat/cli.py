"""The command line: parse, run one command, map errors to exit statuses."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from lifeboat import config, views
from lifeboat.commands import ami as ami_command
from lifeboat.commands import app as app_command
from lifeboat.commands import apply as apply_command
from lifeboat.commands import destroy as destroy_command
from lifeboat.commands import dns as dns_command
from lifeboat.commands import doctor as doctor_command
from lifeboat.commands import local as local_command
from lifeboat.commands import plan as plan_command
from lifeboat.decisions import durations
from lifeboat.errors import (
    DONE,
    INTERRUPTED,
    OBJECTIVE_MISSED,
    PENDING_CHANGES,
    ApprovalMissing,
    Failed,
    IntegrityFailure,
    LifeboatError,
    Unreachable,
    WrongConfiguration,
)
from lifeboat.model import ImageId, Machine, SnapshotId
from lifeboat.site import Site, site
from lifeboat.stack import application as stack_application
from lifeboat.stack import machine_images

app = typer.Typer(
    name="lifeboat",
    help="Disaster recovery for an application on AWS: each copy proven by restoring it, each recovery timed.",
    epilog="Exit statuses:\n\n" + views.exit_statuses(),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
_IMAGE_ID = re.compile(r"ami-(?:[0-9a-f]{8}|[0-9a-f]{17})")
_SNAPSHOT_ID = re.compile(r"snap-(?:[0-9a-f]{8}|[0-9a-f]{17})")
# What Typer raises for a wrong option or argument; it exports only this subclass of it.
_USAGE_MISTAKE: Any = typer.BadParameter.__base__

local = typer.Typer(help="The local cloud of a rehearsal environment.", no_args_is_help=True)
app.add_typer(local, name="local")
dns = typer.Typer(help="The public name of the application.", no_args_is_help=True)
app.add_typer(dns, name="dns")

ami = typer.Typer(
    help="Machine images to recover the instance from: bake, list, choose, copy, register, prune.", no_args_is_help=True
)
app.add_typer(ami, name="ami")

application = typer.Typer(
    help="The application on its living instance, over SSM: roll back, restart, redeploy.", no_args_is_help=True
)
app.add_typer(application, name="app")


class Output(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"


Env = Annotated[
    str, typer.Option("--env", "-e", help="Environment: the name of a file in environments/.", envvar="ENV")
]
Out = Annotated[Output, typer.Option("--output", "-o", help="How to print the result.")]


def _duration(text: str) -> timedelta:
    found = durations.parsed(text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no length of time; write 45s, 90m, 4h or 7d")
    return found


def _image(text: str) -> ImageId | None:
    """Return the image that is named; None for the newest one."""
    return None if text == "latest" else ImageId(_matching(text, _IMAGE_ID, "latest or an image id: ami-…"))


def _snapshot(text: str) -> SnapshotId | None:
    """Return the snapshot that is named; None for the newest one."""
    return None if text == "latest" else SnapshotId(_matching(text, _SNAPSHOT_ID, "latest or a snapshot id: snap-…"))


def _machine(text: str | None) -> Machine | None:
    """Return the machine that is named as architecture and root device; None when none is named."""
    if text is None:
        return None
    wanted = "an architecture and a root device: x86_64:/dev/xvda"
    architecture, _, device = _matching(text, re.compile(r"(x86_64|arm64):/dev/[a-z0-9]{2,12}"), wanted).partition(":")
    return Machine(architecture=architecture, root_device_name=device)


def _matching(text: str, pattern: re.Pattern[str], wanted: str) -> str:
    if not pattern.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is not {wanted}")
    return text


Within = Annotated[str, typer.Option("--within", metavar="TIME", help="When to give up waiting: 45s, 90m, 4h.")]
Yes = Annotated[bool, typer.Option("--yes", help="Agree to what would be asked. Safety checks stay in force.")]


def _site(env: str) -> Site:
    return site(config.load(config.found_root(Path.cwd()), env))


def _asking(*, yes: bool) -> apply_command.Agree:
    def agree(lines: Sequence[str]) -> None:
        if yes:
            return
        if not sys.stdin.isatty():
            apply_command.nobody_agrees(lines)
        views.lines(["These changes need your agreement:", *(f"  {line}" for line in lines)])
        if typer.prompt("Type yes to go on", default="no") != "yes":
            raise ApprovalMissing(
                "not agreed to; nothing of the stack was changed", hint="run it again when it is right"
            )

    return agree


@app.command()
def apply(env: Env = "local", output: Out = Output.TABLE, yes: Yes = False) -> int:
    """Build or mend the environment, then show what is protected and how.

    Starts the local cloud where there is one, makes the state backend when it is missing, repairs what a killed apply
    left, refuses to lose anything protected, and compares state and digest at the end.
    """
    here = _site(env)
    tell = views.Teller()
    done = apply_command.run(here, tell, _asking(yes=yes))
    if output is Output.JSON:
        views.document(
            {
                "changed": done.changed,
                "application": done.recovery.app.model_dump(),
                "answers": done.answers,
                "public_name": views.public_document(done.public),
                "unproven": list(done.unproven),
                "protection": views.protection_document(done.rows),
                "seconds": dict(done.stages),
            }
        )
    else:
        views.lines([] if done.changed else ["no changes: the environment is what its files say"])
        views.protection(done.rows, done.recovery)
        views.application(done.recovery, done.answers, done.public)
        views.timings(done.stages)
    if done.answers is None:
        raise IntegrityFailure(
            f"everything is applied, but {done.recovery.app.url} does not answer with 200 from here",
            hint="lifeboat local logs" if here.local_cloud() else f"curl -v {done.recovery.app.url}",
        )
    if done.unproven:
        raise IntegrityFailure(
            "everything is applied, but the application does not answer through its public name:\n"
            + "\n".join(f"  {finding}" for finding in done.unproven),
            hint=f"lifeboat dns show -e {env}",
        )
    # What is stored but copied on no schedule yet is shown as unknown; what nothing protects misses the objective.
    missed = [row.asset for row in done.rows if not row.meets and (row.rpo is not None or not row.ways)]
    if missed:
        tell.warn(f"objective missed for: {', '.join(missed)}")
        return OBJECTIVE_MISSED
    return DONE


@app.command()
def plan(
    env: Env = "local",
    output: Out = Output.TABLE,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 20 when something would change.")
    ] = False,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline", help="Check the configuration alone, without an account (implied by dummy credentials)."
        ),
    ] = False,
) -> int:
    """Show what an apply would change; change nothing."""
    here = _site(env)
    alone = offline or (here.project.environment.endpoint is None and plan_command.dummy_credentials(here.caller_env))
    done = plan_command.run(here, views.Teller(), offline=alone)
    if output is Output.JSON:
        views.document(
            [{"root": name, "offline": done.offline, **views.plan_document(found)} for name, found in done.plans]
        )
    else:
        for name, found in done.plans:
            views.plan(name, found)
    return PENDING_CHANGES if detailed_exitcode and not done.empty else DONE


@app.command()
def destroy(env: Env = "local", yes: Yes = False) -> int:
    """Take a disposable environment down: the stack, then its local cloud with all data. Refused for any other."""
    here = _site(env)
    rehearsal = here.local_cloud() is not None and not sys.stdin.isatty()
    done = destroy_command.run(here, views.Teller(), _asking(yes=yes or rehearsal))
    left = f"still there: {', '.join(done.left)}" if done.left else "nothing is left running"
    views.lines([f"{env} is gone: {len(done.stack_plan.changes)} resources destroyed; {left}"])
    views.timings(done.stages)
    return DONE


@app.command()
def doctor(env: Env = "local", output: Out = Output.TABLE) -> int:
    """Look at everything lifeboat needs on this machine, with the command that fixes what is missing."""
    rows = doctor_command.run(_site(env))
    if output is Output.JSON:
        views.document(
            [{"name": r.name, "found": r.found, "wanted": r.wanted, "good": r.good, "fix": r.fix} for r in rows]
        )
    else:
        views.prerequisites(rows)
    bad = [row.name for row in rows if not row.good]
    if bad:
        raise WrongConfiguration(f"missing or wrong: {', '.join(bad)}", hint="the last column says how to mend each")
    return DONE


@local.command("up")
def local_up(env: Env = "local") -> int:
    """Start the local cloud; it goes on from where it was stopped."""
    views.lines([local_command.up(_site(env), views.Teller())])
    return DONE


@local.command("down")
def local_down(env: Env = "local") -> int:
    """Stop the local cloud, its databases and its hosts; nothing is forgotten."""
    views.lines([local_command.down(_site(env))])
    return DONE


@local.command("reset")
def local_reset(env: Env = "local", yes: Yes = False) -> int:
    """Stop the local cloud and delete its whole state, saves included."""
    here = _site(env)
    _asking(yes=yes)([f"delete {local_command.cloud_of(here).directory} with every database, image and save in it"])
    views.lines([local_command.reset(here)])
    return DONE


@local.command("env")
def local_env(env: Env = "local", output: Out = Output.TABLE) -> int:
    """Print export lines for aws, psql, curl and terraform: eval "$(lifeboat local env)"."""
    variables = local_command.environment(_site(env), views.Teller())
    if output is Output.JSON:
        views.document(variables)
    else:
        views.lines(local_command.exports(variables))
    return DONE


@local.command("save")
def local_save(
    name: Annotated[str, typer.Argument(help="Name of the save.")],
    env: Env = "local",
    replace: Annotated[bool, typer.Option("--replace", help="Give up an older save of that name.")] = False,
) -> int:
    """Keep a copy of the whole local cloud, databases and hosts included."""
    views.document(local_command.ask(_site(env), "save", name=name, replace=replace))
    return DONE


@local.command("saves")
def local_saves(env: Env = "local", output: Out = Output.TABLE) -> int:
    """List the saves, by name."""
    found = local_command.saves(_site(env))
    if output is Output.JSON:
        views.document(found)
    else:
        views.lines(found or ["there are no saves"])
    return DONE


@local.command("load")
def local_load(name: Annotated[str, typer.Argument(help="Name of the save.")], env: Env = "local") -> int:
    """Go back to a save. What happened since is gone; save it first if it matters."""
    views.document(local_command.ask(_site(env), "load", name=name))
    return DONE


@local.command("tick")
def local_tick(
    schedule: Annotated[str, typer.Argument(help="daily or monthly")], env: Env = "local", output: Out = Output.TABLE
) -> int:
    """Fire every schedule that is due daily, or monthly: DLM, AWS Backup, RDS, EventBridge Scheduler."""
    done = local_command.ask(_site(env), "tick", schedule=schedule)
    if output is Output.JSON:
        views.document(done)
    else:
        views.lines(done["fired"] or [f"nothing is scheduled {schedule}"])
    return DONE


@local.command("break")
def local_break(
    what: Annotated[str, typer.Argument(help="instance, instance-gone, database or state")], env: Env = "local"
) -> int:
    """Let a disaster happen to the local cloud, for a rehearsal: `lifeboat local break instance`, then `make recover`."""
    views.lines(local_command.ask(_site(env), "break", what=what)["done"])
    return DONE


@local.command("logs")
def local_logs(
    env: Env = "local",
    lines: Annotated[int, typer.Option("--lines", "-n", help="Newest lines of each log.", min=1)] = 20,
) -> int:
    """Print the newest lines of the local cloud's logs and of everything that runs on it."""
    views.lines(local_command.logs(_site(env), newest=lines))
    return DONE


# -- ami ---------------------------------------------------------------------------------------------------------------


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
    here = _site(env)
    guest = ami_command.Guest.RUNNING if no_reboot else ami_command.Guest.REBOOTED
    rehearsal = here.local_cloud() is not None and not sys.stdin.isatty()
    done = ami_command.bake(here, views.Teller(), _asking(yes=yes or rehearsal), guest, _duration(within))
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
    found = ami_command.listed(_site(env))
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
    image, choice = machine_images.latest(_site(env), None if max_age is None else _duration(max_age))
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
    made = ami_command.copy(_site(env), views.Teller(), _image(image), _duration(within))
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
    here = _site(env)
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

    What stays, whatever is said: images that an instance, a launch template, a tfvars file or a recovery file uses, the
    newest ones, the newest proven to boot, DLM's, and everything that lifeboat did not make.

    Example: lifeboat ami prune --keep 5 -e production
    """
    table = output is Output.TABLE
    done = ami_command.prune(_site(env), views.pruning if table else lambda _: None, _asking(yes=yes), keep)
    if table:
        views.lines([f"{len(done.removed)} images and {len(done.snapshots)} snapshots removed"])
    else:
        views.document(views.pruning_document(done))
    return DONE


# -- app ---------------------------------------------------------------------------------------------------------------


@application.command("rollback")
def app_rollback(env: Env = "local", output: Out = Output.TABLE, within: Within = "5m") -> int:
    """Run the image that ran before the present one; ends with 3 when the host knows of none.

    It is taken from the host's own disk where it is there, so the registry may be down.

    Example: lifeboat app rollback -e production
    """
    return _shown(app_command.run(_site(env), views.Teller(), stack_application.ROLLBACK, _duration(within)), output)


@application.command("restart")
def app_restart(env: Env = "local", output: Out = Output.TABLE, within: Within = "5m") -> int:
    """Restart the application's container and wait until it is well.

    Example: lifeboat app restart --within 2m -e production
    """
    return _shown(app_command.run(_site(env), views.Teller(), stack_application.RESTART, _duration(within)), output)


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
    return _shown(
        app_command.run(_site(env), views.Teller(), stack_application.redeployment(image), _duration(within)), output
    )


def _shown(done: stack_application.Done, output: Output) -> int:
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


# -- dns ---------------------------------------------------------------------------------------------------------------


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
    """Show the record, what Terraform keeps, what DNS answers, and which instance answers there."""
    shown = dns_command.show(_site(env), zone=zone)
    if output is Output.JSON:
        views.document(dns_command.shown_document(shown))
    else:
        views.pairs(dns_command.shown_rows(shown))
        views.findings(shown.findings)
    return DONE


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
    """Lead the public name to another address; the record is saved first, and revert puts it back."""
    here = _site(env)
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
    """Put back what the last switch replaced, provided the record is what that switch made it."""
    here = _site(env)
    if preview:
        return _moved(dns_command.preview(dns_command.revert_decided(here, zone=zone)), output, env)
    orders = _orders(until_apply=until_apply, unanswered=unanswered, yes=yes)
    return _moved(dns_command.revert(here, zone=zone, orders=orders), output, env)


def _orders(*, until_apply: bool, unanswered: bool, yes: bool) -> dns_command.Orders:
    asked = {dns_command.Allowed.UNTIL_APPLY: until_apply, dns_command.Allowed.UNANSWERED: unanswered}
    allowed = frozenset(option for option, given in asked.items() if given)
    return dns_command.Orders(allowed=allowed, agree=_asking(yes=yes), tell=views.Teller().say)


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


def main() -> NoReturn:
    """Run the command line and end the process with its exit status."""
    signal.signal(signal.SIGTERM, _like_ctrl_c)
    try:
        status = app(standalone_mode=False)
        sys.stdout.flush()
    except LifeboatError as problem:
        views.error(problem)
        status = problem.exit_status
    except KeyboardInterrupt:
        status = INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        status = INTERRUPTED
    except OSError as error:
        _drop_output()
        views.error(_refused_by_the_system(error))
        status = Failed.exit_status
    except (json.JSONDecodeError, UnicodeDecodeError):
        damaged = _damaged_files()
        if not damaged:
            raise
        hint = "move it aside (mv FILE FILE.damaged), then run the same command again"
        views.error(Failed(f"not JSON, so damaged: {', '.join(damaged)}", hint=hint))
        status = Failed.exit_status
    except typer.Exit as end:
        status = end.exit_code
    except typer.Abort:
        status = INTERRUPTED
    except _USAGE_MISTAKE as problem:
        problem.show()
        status = WrongConfiguration.exit_status
    sys.exit(status if isinstance(status, int) else DONE)


def _refused_by_the_system(error: OSError) -> Failed:
    """Say which file the operating system refused, and why, as far as it says so."""
    path = "" if error.filename is None else str(error.filename)
    if error.errno == errno.ENOSPC:
        return Failed(
            f"the disk is full: cannot write {path}" if path else "the disk is full",
            hint="make room (df -h shows where), then run the same command again",
        )
    why = error.strerror or str(error) or type(error).__name__
    return Failed(f"cannot use {path}: {why}" if path else why)


def _damaged_files() -> list[str]:
    """Return the files of our own that ought to be JSON and are not."""
    ours = config.found_root(Path.cwd()) / ".lifeboat"
    damaged = []
    for pattern in ("*/holder.json", "*/runs/*/run.json", "*/state-root.tfstate"):
        for path in sorted(ours.glob(pattern)):
            try:
                json.loads(path.read_bytes())
            except ValueError:
                damaged.append(str(path))
    return damaged


def _drop_output() -> None:
    """Write out what is still to be printed; where that is impossible, keep Python from failing of it at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _like_ctrl_c(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
