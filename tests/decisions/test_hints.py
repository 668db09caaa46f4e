"""Hints that can be typed as they stand, for the environment that is meant."""

from __future__ import annotations

import pytest
import typer
from lifeboat.cli import app
from lifeboat.decisions.hints import (
    GROUPS,
    VERBS,
    WITHOUT_ENVIRONMENT,
    for_environment,
    for_shell,
    with_environment,
)


@pytest.mark.parametrize(
    ("hint", "wanted"),
    [
        ("lifeboat apply", "lifeboat apply -e production"),
        (
            "lifeboat resume 20261128T032535.555922Z-recover",
            "lifeboat resume -e production 20261128T032535.555922Z-recover",
        ),
        ("lifeboat runs lists them", "lifeboat runs -e production lists them"),
        ("lifeboat plan-recovery lists them", "lifeboat plan-recovery -e production lists them"),
        ("lifeboat app redeploy --image IMAGE", "lifeboat app redeploy -e production --image IMAGE"),
        ("lifeboat ami from-snapshot latest", "lifeboat ami from-snapshot -e production latest"),
        (
            "lifeboat app rollback goes back; lifeboat app restart tries again",
            "lifeboat app rollback -e production goes back; lifeboat app restart -e production tries again",
        ),
        (
            "lifeboat resume 7 goes on with it; lifeboat abort 7 gives it up",
            "lifeboat resume -e production 7 goes on with it; lifeboat abort -e production 7 gives it up",
        ),
        (
            "lifeboat apply -e production makes it; lifeboat plan --offline checks it",
            "lifeboat apply -e production makes it; lifeboat plan -e production --offline checks it",
        ),
        (
            "lifeboat ami bake -e production, or: lifeboat ami from-snapshot latest -e production",
            "lifeboat ami bake -e production, or: lifeboat ami from-snapshot latest -e production",
        ),
        (
            'eval "$(lifeboat local env -e production)" && terraform state push errored.tfstate',
            'eval "$(lifeboat local env -e production)" && terraform state push errored.tfstate',
        ),
        ("lifeboat recover -e production --allow 'a'", "lifeboat recover -e production --allow 'a'"),
        ("lifeboat ami from-snapshot --help", "lifeboat ami from-snapshot --help"),
        (
            "lifeboat plan-recovery, else lifeboat plan",
            "lifeboat plan-recovery -e production, else lifeboat plan -e production",
        ),
        ("what lifeboat planned; lifeboat does not know", "what lifeboat planned; lifeboat does not know"),
        ("wait for it, then run it again", "wait for it, then run it again"),
    ],
)
def test_each_command_of_a_hint_names_the_environment_once(hint: str, wanted: str) -> None:
    assert for_environment(hint, "production") == wanted


def test_the_default_environment_needs_no_name() -> None:
    assert for_environment("lifeboat apply", None) == "lifeboat apply"


LOCAL = 'eval "$(lifeboat local env -e x)" && '


@pytest.mark.parametrize(
    ("hint", "wanted"),
    [
        ("aws kms enable-key --key-id k", f"{LOCAL}aws kms enable-key --key-id k"),
        ("aws s3 cp a b", f"{LOCAL}aws s3 cp a b"),
        (
            "look at its events: aws rds describe-events, then order it again",
            "look at its events: aws rds describe-events, then order it again"
            ' (typed after: eval "$(lifeboat local env -e x)")',
        ),
        (f"{LOCAL}aws kms enable-key --key-id k", f"{LOCAL}aws kms enable-key --key-id k"),
        ("lifeboat apply -e x", "lifeboat apply -e x"),
        ("the aws provider is missing", "the aws provider is missing"),
    ],
)
def test_a_command_of_aws_reaches_an_environment_that_is_not_aws(hint: str, wanted: str) -> None:
    assert for_shell(hint, LOCAL) == wanted
    assert for_shell(hint, "") == hint


def test_the_commands_that_are_known_are_those_of_the_command_line() -> None:
    commands = typer.main.get_group(app).commands

    groups = {name for name, command in commands.items() if hasattr(command, "commands")}
    assert groups - WITHOUT_ENVIRONMENT == GROUPS
    assert commands.keys() - groups - WITHOUT_ENVIRONMENT == VERBS
    assert commands.keys() > WITHOUT_ENVIRONMENT


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["plan", "-e", "stagin"], "lifeboat plan -e staging"),
        (["local", "load", "stagin", "--env", "stagin"], "lifeboat local load stagin --env staging"),
        (["plan", "--env=stagin", "-o", "json"], "lifeboat plan --env=staging -o json"),
        (["plan", "-estagin"], "lifeboat plan -estaging"),
        (["local", "load", "my save"], "lifeboat local load 'my save' -e staging"),
    ],
)
def test_the_same_command_is_named_for_the_environment_that_was_meant(arguments: list[str], wanted: str) -> None:
    assert with_environment(arguments, typed="stagin", meant="staging") == wanted
