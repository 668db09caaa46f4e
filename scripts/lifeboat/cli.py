"""The command line: parse, run one command, map errors to exit statuses."""

from __future__ import annotations

import errno
import json
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from lifeboat import (
    cli_backups,
    cli_database,
    cli_drill,
    cli_dump,
    cli_recover,
    cli_report,
    cli_restore,
    cli_scan,
    cli_status,
    cli_verify,
    config,
    views,
)
from lifeboat.cli_alarms import alarms
from lifeboat.cli_ami import ami
from lifeboat.cli_app import application
from lifeboat.cli_dns import dns
from lifeboat.cli_gitlab import gitlab
from lifeboat.cli_options import AcceptRisk, Env, Out, Output, Yes, asking, site_of
from lifeboat.cli_snapshot import snapshot
from lifeboat.cli_state import state
from lifeboat.commands import apply as apply_command
from lifeboat.commands import destroy as destroy_command
from lifeboat.commands import doctor as doctor_command
from lifeboat.commands import local as local_command
from lifeboat.commands import plan as plan_command
from lifeboat.decisions.known_states import Purpose
from lifeboat.decisions.policy import risks
from lifeboat.errors import (
    DONE,
    INTERRUPTED,
    OBJECTIVE_MISSED,
    PENDING_CHANGES,
    Failed,
    IntegrityFailure,
    LifeboatError,
    StoppedPartWay,
    WrongConfiguration,
)
from lifeboat.stack import grounds

app = typer.Typer(
    name="lifeboat",
    help="Disaster recovery for an application on AWS: each copy proven by restoring it, each recovery timed.",
    epilog="Exit statuses:\n\n" + views.exit_statuses(),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
# What Typer raises for a wrong option or argument; it exports only this subclass of it.
_USAGE_MISTAKE: Any = typer.BadParameter.__base__

local = typer.Typer(help="The local cloud of a rehearsal environment.", no_args_is_help=True)
app.add_typer(local, name="local")
app.add_typer(alarms, name="alarms")
app.add_typer(ami, name="ami")
app.add_typer(application, name="app")
app.add_typer(gitlab, name="gitlab")
app.add_typer(dns, name="dns")
app.add_typer(snapshot, name="snapshot")
app.add_typer(state, name="state")
cli_backups.add_to(app)
cli_drill.add_to(app)
cli_dump.add_to(app)
cli_recover.add_to(app)
cli_database.add_to(app)
cli_report.add_to(app)
cli_restore.add_to(app)
cli_scan.add_to(app)
cli_status.add_to(app)
cli_verify.add_to(app)


@app.command()
def apply(
    env: Env = "local",
    output: Out = Output.TABLE,
    first_apply: Annotated[
        bool,
        typer.Option(
            "--first-apply",
            help="There was an environment of this name, and nothing of it exists. Refused where its state is remembered.",
        ),
    ] = False,
    accept_risk: AcceptRisk = None,
    yes: Yes = False,
) -> int:
    """Build or mend the environment, then show what is protected and how.

    Starts the local cloud where there is one, makes the state backend when it is missing, repairs what a killed apply
    left, refuses to lose anything protected, and compares state and digest at the end.

    Refused (3) where the state is gone, another one, or older than what this machine or the other region remembers of it;
    root 1's, where this machine has it still, is put back once you agree. Refused too where a plan would bring about a
    finding of high severity (lifeboat policy list) that nobody accepts.
    """
    here = site_of(env)
    tell = views.Teller()
    asked = apply_command.Asked(
        purpose=Purpose.FIRST_APPLY if first_apply else Purpose.APPLY, risks=risks.parsed(accept_risk or ())
    )
    done = apply_command.run(here, tell, asking(yes=yes), asked)
    if output is Output.JSON:
        views.document(
            {
                "changed": done.changed,
                "application": done.recovery.app.model_dump(),
                "answers": done.answers,
                "public_name": views.public_document(done.public),
                "unproven": list(done.unproven),
                "unremembered": list(done.unremembered),
                "accepted_risks": list(done.accepted),
                "put_back": list(done.put_back),
                "protection": views.protection_document(done.rows),
                "seconds": dict(done.stages),
            }
        )
    else:
        views.lines([] if done.changed else ["no changes: the environment is what its files say"])
        views.lines([f"done: {line}" for line in done.put_back])
        views.protection(done.rows, done.recovery)
        views.application(done.recovery, done.answers, done.public)
        views.lines([f"accepted risk: {line}" for line in done.accepted])
        views.timings(done.stages)
    if done.answers is None:
        raise IntegrityFailure(
            f"everything is applied, but {done.recovery.app.url} does not answer with 200 from here",
            hint=f"{'lifeboat local logs' if here.local_cloud() else f'curl -v {done.recovery.app.url}'}; where the instance"
            " is what fails: lifeboat recover --preview",
        )
    if done.unproven:
        raise IntegrityFailure(
            "everything is applied, but the application does not answer through its public name:\n"
            + "\n".join(f"  {finding}" for finding in done.unproven),
            hint=f"lifeboat dns show -e {env}",
        )
    if done.unremembered:
        raise StoppedPartWay(
            "everything is applied, but:\n" + "\n".join(f"  {line}" for line in done.unremembered),
            hint=f"lifeboat apply -e {env} writes it down, once the other region answers and takes it",
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
    """Show what an apply would change, and whether it would refuse to; change nothing."""
    here, tell = site_of(env), views.Teller()
    alone = offline or (here.project.environment.endpoint is None and grounds.dummy_credentials(here.caller_env))
    done = plan_command.run(here, tell, offline=alone)
    refusals = dict(done.refusals)
    if output is Output.JSON:
        views.document(
            [
                {
                    "root": name,
                    "offline": done.offline,
                    **views.plan_document(found),
                    "refused": refusals[name].summary if name in refusals else None,
                }
                for name, found in done.plans
            ]
        )
    else:
        for name, found in done.plans:
            views.plan(f"{name} (offline, against an empty state)" if done.offline else name, found)
    for error in refusals.values():
        tell.warn(f"an apply would refuse this: {error.summary}\n  next: {error.hint}")
    return PENDING_CHANGES if detailed_exitcode and not done.empty else DONE


@app.command()
def destroy(env: Env = "local", yes: Yes = False) -> int:
    """Take a disposable environment down: the stack, then its local cloud with all data. Refused for any other."""
    here = site_of(env)
    rehearsal = here.local_cloud() is not None and not sys.stdin.isatty()
    done = destroy_command.run(here, views.Teller(), asking(yes=yes or rehearsal))
    left = f"still there: {', '.join(done.left)}" if done.left else "nothing is left running"
    views.lines([f"{env} is gone: {len(done.stack_plan.changes)} resources destroyed; {left}"])
    views.timings(done.stages)
    return DONE


@app.command()
def doctor(env: Env = "local", output: Out = Output.TABLE) -> int:
    """Look at everything lifeboat needs on this machine, with the command that fixes what is missing."""
    rows = doctor_command.run(site_of(env))
    if output is Output.JSON:
        views.document(views.prerequisites_document(rows))
    else:
        views.prerequisites(rows)
    bad = [row.name for row in rows if not row.good]
    if bad:
        raise WrongConfiguration(f"missing or wrong: {', '.join(bad)}", hint="the last column says how to mend each")
    return DONE


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


def main() -> NoReturn:
    """Run the command line and end the process with its exit status."""
    # SIGINT as well: a shell's background job ignores it, and would hand that on to Terraform, which then never stops.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _like_ctrl_c)
    # The terminal is gone, and with it nobody's wish that it goes on: that would be nohup's, which ignores this.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _like_ctrl_c)
    status = _ended()
    try:
        sys.stdout.flush()
    except Failed as problem:
        views.error(problem)
        status = status or problem.exit_status
    except KeyboardInterrupt:
        status = status or INTERRUPTED
    sys.exit(status)


def _ended() -> int:
    """Run the command line and return its exit status, with what went wrong printed."""
    try:
        status = app(standalone_mode=False)
    except LifeboatError as problem:
        views.error(problem)
        return problem.exit_status
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except OSError as error:
        views.error(_refused_by_the_system(error))
        return Failed.exit_status
    except (json.JSONDecodeError, UnicodeDecodeError):
        damaged = _damaged_files()
        if not damaged:
            raise
        hint = "move it aside (mv FILE FILE.damaged), then run the same command again"
        views.error(Failed(f"not JSON, so damaged: {', '.join(damaged)}", hint=hint))
        return Failed.exit_status
    except typer.Exit as end:
        return end.exit_code
    except _USAGE_MISTAKE as problem:
        problem.show()
        return WrongConfiguration.exit_status
    return status if isinstance(status, int) else DONE


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


def _like_ctrl_c(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
