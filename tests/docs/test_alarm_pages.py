"""Every alarm has a page, every page an alarm, and every command on a page is one that the AWS command line takes."""

from __future__ import annotations

import functools
import io
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from awscli.clidriver import create_clidriver
from botocore.awsrequest import AWSResponse
from botocore.model import OperationModel
from botocore.response import StreamingBody

from tests.modules.conftest import terraform  # noqa: F401 - a fixture
from tests.modules.terraform_runs import Terraform

ROOT = Path(__file__).resolve().parents[2]
RUNBOOKS = ROOT / "docs/runbooks"
PAGES = sorted(RUNBOOKS.glob("alarm-*.md"))
SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
PAGE_NAMED = re.compile(r"docs/runbooks/(alarm-[a-z-]+\.md)")

# What rings, by the attributes in which a reader finds the page.
RINGERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "aws_cloudwatch_metric_alarm": lambda alarm: str(alarm["alarm_description"]),
    "aws_cloudwatch_event_rule": lambda rule: str(rule["description"]),
    "aws_cloudwatch_event_target": lambda target: str(target["input_transformer"][0]["input_template"]),
}

EXAMPLE_TEST = """
mock_provider "aws" {}
mock_provider "aws" {
  alias = "dr"
}

run "example" {
  command = plan
  module {
    source = "./examples/basic"
  }
}
"""

# Writes down the words it is called with, and answers with a word that may stand for any id.
RECORDER = """#!/bin/sh
for word in "$@"; do printf '%s\\0' "$word" >>"$RECORD"; done
printf '\\n\\0' >>"$RECORD"
echo sample
"""


def every_page(test: Any) -> Any:
    """Run the test once for each page, named after it."""
    return pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)(test)


def test_every_alarm_names_a_page_and_every_page_has_an_alarm(terraform: Terraform) -> None:  # noqa: F811
    planned = _planned_example(terraform)

    named: dict[str, set[str]] = {}
    for change in planned["resource_changes"]:
        if change["type"] in RINGERS:
            named[change["address"]] = set(PAGE_NAMED.findall(RINGERS[change["type"]](change["change"]["after"])))

    assert len(named) > len(PAGES)
    assert [address for address, pages in named.items() if len(pages) != 1] == []
    # RDS writes its own messages: its page is named by nothing but the module's list.
    named_by_alarms = set().union(*named.values())
    listed = {name for page in planned["output_changes"]["pages"]["after"] for name in PAGE_NAMED.findall(page)}
    assert listed - named_by_alarms == {"alarm-database-event.md"}
    assert listed == {page.name for page in PAGES}


@every_page
def test_a_page_says_what_it_means_costs_and_needs(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    headings = re.findall(
        r"^(#+) (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE
    )
    bodies = re.split(r"^## .+$", text, flags=re.MULTILINE)[1:]

    assert headings == [("#", f"alarm: {page.stem.removeprefix('alarm-')}"), *(("##", section) for section in SECTIONS)]
    assert all(body.strip() for body in bodies)
    assert "aws " in bodies[SECTIONS.index("Diagnosis")]


@every_page
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))

    assert [link for link in links if not (page.parent / link).is_file()] == []


@every_page
def test_the_commands_of_a_page_are_ones_that_aws_takes(
    page: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], without_account: None
) -> None:
    commands = _commands(page, tmp_path)

    refused = {" ".join(words): problem for words in commands if (problem := _problem(words, capfd))}

    assert commands
    assert refused == {}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["rds", "describe-everything"], "argument operation"),
        (["rds", "describe-db-instances", "--db-instance-name", "g1"], "--db-instance-name"),
        (["backup", "start-backup-job", "--resource-arn", "arn"], "required"),
        (["rds", "describe-db-instances", "--query", "DBInstances[0"], "--query"),
        (["kms", "enable-key", "--key-id", ""], "length"),
        (["s3api", "head-bucket", "--bucket", "b", "--max-items", "many"], "--max-items"),
    ],
)
def test_a_command_that_aws_does_not_take_is_found(
    words: list[str], problem: str, capfd: pytest.CaptureFixture[str], without_account: None
) -> None:
    assert problem in _problem(words, capfd)


def test_a_page_that_uses_a_variable_it_never_set_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text('```sh\naws kms enable-key --key-id "$KEY"\n```\n', encoding="utf-8")

    with pytest.raises(subprocess.CalledProcessError) as refused:
        _commands(page, tmp_path)

    assert "KEY: unbound variable" in refused.value.stderr


@pytest.fixture
def without_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's account and settings, and no service to ask: only the command line itself judges."""
    for name in [name for name in os.environ if name.startswith("AWS_") and name != "AWS_DATA_PATH"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")  # copy-snapshot signs a second request
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


def _planned_example(terraform: Terraform) -> dict[str, Any]:  # noqa: F811
    copy = terraform.copy_of(ROOT / "modules/backup-alarms")
    example = copy / "examples/basic/main.tf"
    pages = 'output "pages" {\n  value = module.backup_alarms.pages\n}\n'
    example.write_text(example.read_text(encoding="utf-8") + pages, encoding="utf-8")
    (copy / "tests/example.tftest.hcl").write_text(EXAMPLE_TEST, encoding="utf-8")
    initialised = terraform.run("init", "-no-color", cwd=copy)
    assert initialised.returncode == 0, initialised.stderr

    tested = terraform.run("test", "-json", "-verbose", "-filter=tests/example.tftest.hcl", cwd=copy)

    assert tested.returncode == 0, tested.stdout
    events = [json.loads(line) for line in tested.stdout.splitlines()]
    (planned,) = [event["test_plan"] for event in events if event["type"] == "test_plan"]
    return dict(planned)


def _commands(page: Path, folder: Path) -> list[list[str]]:
    """Run the shell blocks of a page, as one script, with an `aws` that only writes down its words."""
    script = "\n".join(
        re.findall(r"^```sh\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    )
    recorder, record = folder / "bin/aws", folder / "record"
    recorder.parent.mkdir()
    recorder.write_text(RECORDER, encoding="utf-8")
    recorder.chmod(0o755)
    record.touch()
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={"PATH": f"{recorder.parent}:{os.defpath}", "RECORD": str(record)},
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    calls = record.read_bytes().decode().split("\n\0")
    return [call.split("\0")[:-1] for call in calls if call]


def _problem(words: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    """Return why the AWS command line refuses the words, or nothing; no request leaves the process."""
    capfd.readouterr()
    try:
        status = _driver().main(words)
    except SystemExit as stopped:  # its argument parser exits where its other errors return
        status = stopped.code
    shown = capfd.readouterr()
    return "" if status == 0 else f"{shown.err}{shown.out}"


@functools.cache
def _driver() -> Any:
    driver = create_clidriver()
    driver.session.register("before-call", _answer)
    return driver


def _answer(model: OperationModel, **_request: Any) -> tuple[AWSResponse, dict[str, Any]]:
    """Answer in place of the service: empty, but with every list that a query may sort or count."""
    parsed: dict[str, Any] = {}
    for name, shape in model.output_shape.members.items() if model.output_shape else ():
        if shape.type_name == "list":
            parsed[name] = []
        elif shape.serialization.get("streaming") or shape.type_name == "blob":
            parsed[name] = StreamingBody(io.BytesIO(b""), 0)
    return AWSResponse("http://nowhere", 200, {}, None), parsed
