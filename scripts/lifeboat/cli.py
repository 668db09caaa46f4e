"""The command line: parse, run one command, map errors to exit statuses."""

from __future__ import annotations

import errno
import json
import signal
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from lifeboat import config, views
from lifeboat.errors import DONE, INTERRUPTED, Failed, LifeboatError, WrongConfiguration

# Where each command is, in the order of the help.
COMMANDS = {
    **dict.fromkeys(("apply", "plan", "destroy", "doctor"), "cli_environment"),
    "local": "cli_local",
    "status": "cli_status",
    "backups": "cli_backups",
    "describe": "cli_backups",
    "keep": "cli_backups",
    "retention": "cli_backups",
    "dump": "cli_dump",
    "snapshot": "cli_snapshot",
    "verify": "cli_verify",
    "restore": "cli_restore",
    "plan-recovery": "cli_database",
    **dict.fromkeys(("recover", "resume", "abort", "runs", "logs"), "cli_recover"),
    "recovery-file": "cli_database",
    "retire": "cli_database",
    "ami": "cli_ami",
    "app": "cli_app",
    "dns": "cli_dns",
    "state": "cli_state",
    "drill": "cli_drill",
    "sweep": "cli_drill",
    "report": "cli_report",
    "alarms": "cli_alarms",
    "scan": "cli_scan",
    "policy": "cli_scan",
    "gitlab": "cli_gitlab",
}
# What Typer raises for a wrong option or argument; it exports only this subclass of it.
_USAGE_MISTAKE: Any = typer.BadParameter.__base__


class _Loaded(Mapping[str, Any]):
    """The commands by name; the module of one is loaded when it is asked for."""

    def __getitem__(self, name: str) -> Any:
        part = typer.Typer()
        where = COMMANDS[name]
        try:
            import_module(f"lifeboat.{where}").add_to(part)
            return _for_any_width(typer.main.get_group(part).commands[name])
        except KeyError as error:  # it would be taken for a name that no command has
            raise RuntimeError(f"{where} cannot be loaded, or has no {name}") from error

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


def _for_any_width(command: Any) -> Any:
    """Return a command whose help has no line ends but those of paragraphs: Typer would keep those of the source."""
    command.help = "\n\n".join(" ".join(part.split()) for part in (command.help or "").split("\n\n"))
    for inner in getattr(command, "commands", {}).values():
        _for_any_width(inner)
    return command


class _Group(TyperGroup):
    """All commands: loading every one of them takes longer than what most of them do."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self.commands = _Loaded()  # type: ignore[assignment]  # nothing is ever put into it

    def list_commands(self, ctx: Any) -> list[str]:
        """Return their names, in the order of the help."""
        return list(self.commands)


app = typer.Typer(
    name="lifeboat",
    cls=_Group,
    help="Disaster recovery for an application on AWS: each copy proven by restoring it, each recovery timed.",
    epilog="Exit statuses:\n\n" + views.exit_statuses(),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback()
def _any_command() -> None:
    """Do nothing before any command: without this Typer takes a program that has none of its own for an empty one."""


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
