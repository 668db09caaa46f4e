"""A command that is run in this process leaves nothing of itself in it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from lifeboat import views

from tests import command_line
from tests.rehearsal import ROOT, passed


def this_process() -> list[Any]:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    return [list(sys.argv), sys.stdin, sys.stdout, sys.stderr, Path.cwd(), dict(os.environ), handlers]


def test_this_process_is_as_it_was_and_the_next_command_is_not_spoken_for() -> None:
    before, typed = this_process(), views.next_command("lifeboat plan")

    refused = command_line.run(ROOT, "local", "saves", "-e", "staging", env={"PATH": os.defpath, "NEW": "x"})

    assert "has no [local_cloud]" in passed(refused, 2).stderr
    assert this_process() == before
    assert views.next_command("lifeboat plan") == typed


def test_a_command_is_in_the_folder_and_sees_the_environment_variables_that_it_is_given() -> None:
    elsewhere = command_line.run(Path("/"), "local", "saves")
    named = command_line.run(ROOT, "local", "saves", env={"PATH": os.defpath, "ENV": "staging"})

    assert "/ is not inside a lifeboat checkout" in passed(elsewhere, 2).stderr
    assert "staging has no [local_cloud]" in passed(named, 2).stderr
