"""Terraform itself reads an environment's inputs: as they are written, and as the variables take them."""

from __future__ import annotations

import json
from pathlib import Path

from lifeboat.clients import input_values
from lifeboat.clients.input_values import Inputs

_VARIABLES = """
variable "name" {
  type = string
}

variable "backup" {
  type = object({
    days = optional(number, 7)
    note = optional(string)
  })
  default = {}
}

variable "secret" {
  type      = string
  sensitive = true
  default   = null
}
"""


def _read(folder: Path, text: str, **more: str) -> Inputs | None:
    (folder / "variables.tf").write_text(_VARIABLES)
    files = [folder / "x.tfvars"]
    files[0].write_text(text)
    for name, content in more.items():
        files.append(folder / f"{name}.tfvars.json")
        files[-1].write_text(content)
    return input_values.read(folder, files, {"name": "app-x"})


def test_an_option_that_no_variable_has_is_written_and_not_taken(tmp_path: Path) -> None:
    found = _read(tmp_path, 'backup = {\n  dayz = 35\n  note = "a \\"word\\" $${x} \\u00e9"\n}\nsecret = "s"\n')

    note = 'a "word" ${x} \u00e9'
    assert found == Inputs(
        written={"backup": {"dayz": 35, "note": note}, "secret": "s"},
        taken={"backup": {"days": 7, "note": note}, "name": "app-x", "secret": "s"},
    )


def test_the_last_file_counts(tmp_path: Path) -> None:
    found = _read(tmp_path, "backup = { days = 1 }", last=json.dumps({"backup": {"days": 3}}))

    assert found is not None
    assert found.written == {"backup": {"days": 3}}


def test_a_variable_that_is_declared_elsewhere_hides_no_other(tmp_path: Path) -> None:
    found = _read(tmp_path, "elsewhere = 1\nbackup = { dayz = 35 }\n")

    assert found is not None
    assert found.written == {"backup": {"dayz": 35}}


def test_what_terraform_refuses_is_left_to_its_plan(tmp_path: Path) -> None:
    assert _read(tmp_path, "backup = {") is None
    assert _read(tmp_path, 'backup = { days = "many" }') is None


def test_a_root_without_variables_has_nothing_to_ask(tmp_path: Path) -> None:
    assert input_values.read(tmp_path, [], {}) is None
