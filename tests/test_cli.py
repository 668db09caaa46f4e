"""The commands are loaded one by one, and all of them are there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import lifeboat
import pytest
import typer
from lifeboat import cli

FOLDER = Path(lifeboat.__file__).parent
MODULES = sorted(
    path.stem for path in FOLDER.glob("cli_*.py") if hasattr(import_module(f"lifeboat.{path.stem}"), "add_to")
)


@pytest.mark.parametrize("module", MODULES)
def test_the_program_has_every_command_of_a_module(module: str) -> None:
    part = typer.Typer()
    import_module(f"lifeboat.{module}").add_to(part)

    offered = set(typer.main.get_group(part).commands)

    assert offered
    assert offered == {name for name, where in cli.COMMANDS.items() if where == module}


def test_every_command_is_of_a_module_that_is_there() -> None:
    assert set(cli.COMMANDS.values()) == set(MODULES)


def test_a_command_is_started_without_what_the_others_need() -> None:
    program = (
        "import sys; from lifeboat import cli; sys.argv = ['lifeboat', 'local', '--help']\n"
        "try: cli.main()\n"
        "finally: print([name for name in ('psycopg', 'gitlab', 'lifeboat.cli_recover') if name in sys.modules])"
    )

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ended.stdout.splitlines()[-1] == "[]"


def helps(command: Any) -> Iterator[str]:
    yield command.help
    for inner in getattr(command, "commands", {}).values():
        yield from helps(inner)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_a_help_is_wrapped_by_the_terminal_alone(name: str) -> None:
    found = list(helps(typer.main.get_group(cli.app).commands[name]))

    assert "" not in found
    assert [text for text in found if "\n" in text.replace("\n\n", "")] == []


def test_a_name_that_no_command_has_is_told_with_those_like_it() -> None:
    ended = subprocess.run(["lifeboat", "recovr"], capture_output=True, text=True, check=False)

    assert ended.returncode == 2
    assert "No such command 'recovr'. Did you mean 'recover', " in ended.stderr


def test_ctrl_c_while_the_program_is_still_loaded_ends_it_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from lifeboat.start import main; main()"
    )

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
