"""Every module is small, stands alone, passes its own tests, and its README shows an example that plans."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import hcl2
import pytest

from tests.modules.terraform_runs import Terraform, one_provider

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path for path in (ROOT / "modules").iterdir() if path.is_dir())
MOST_VARIABLES = 12

# A mocked policy document is a random word, which the provider refuses where it wants JSON.
EXAMPLE_TEST = """
mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{\\"Version\\":\\"2012-10-17\\",\\"Statement\\":[]}" }
  }
}

mock_provider "aws" {
  alias = "dr"

  mock_data "aws_iam_policy_document" {
    defaults = { json = "{\\"Version\\":\\"2012-10-17\\",\\"Statement\\":[]}" }
  }
}

run "the_example_of_the_readme_plans" {
  command = plan

  module {
    source = "./examples/basic"
  }
}
"""


every_module = pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)


@every_module
def test_the_readme_shows_the_example_that_is_tested(module: Path) -> None:
    readme = (module / "README.md").read_text(encoding="utf-8")
    example = (module / "examples/basic/main.tf").read_text(encoding="utf-8")

    shown = re.findall(r"^```hcl\n(.*?)^```$", readme, flags=re.DOTALL | re.MULTILINE)

    assert example in shown


@every_module
def test_a_module_has_few_variables_no_provider_and_no_modules(module: Path) -> None:
    blocks = _top_level_blocks(module)

    assert len(blocks["variable"]) <= MOST_VARIABLES, blocks["variable"]
    assert blocks["provider"] == []
    assert blocks["module"] == []


@pytest.fixture(scope="module")
def provider(terraform: Terraform) -> Iterator[dict[str, str]]:
    """The provider of the committed lock file, running, as the environment that Terraform finds it by."""
    root = terraform.folder / "provider"
    root.mkdir()
    for name in ("versions.tf", ".terraform.lock.hcl"):
        shutil.copy(ROOT / "terraform/state" / name, root)
    initialised = terraform.run("init", "-no-color", "-backend=false", "-lockfile=readonly", cwd=root)
    assert initialised.returncode == 0, initialised.stdout + initialised.stderr
    (program,) = (terraform.folder / "data" / root.name).glob("providers/*/hashicorp/aws/*/*/terraform-provider-aws*")
    with one_provider(program, terraform.folder) as attached:
        yield attached


@every_module
def test_the_tests_of_a_module_pass_and_its_example_plans(
    module: Path, terraform: Terraform, provider: dict[str, str]
) -> None:
    copy = terraform.copy_of(module)
    (copy / "tests").mkdir(exist_ok=True)
    (copy / "tests/readme_example.tftest.hcl").write_text(EXAMPLE_TEST, encoding="utf-8")
    initialised = terraform.run("init", "-no-color", cwd=copy, environment=provider)
    assert initialised.returncode == 0, initialised.stdout + initialised.stderr

    tested = terraform.run("test", "-no-color", cwd=copy, environment=provider)

    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert re.search(r"Success! (\d+) passed, 0 failed\.", tested.stdout), tested.stdout
    assert 'run "the_example_of_the_readme_plans"... pass' in tested.stdout


def _top_level_blocks(module: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"variable": [], "provider": [], "module": []}
    for file in sorted(module.glob("*.tf")):
        parsed = hcl2.loads(file.read_text(encoding="utf-8"))
        for kind, names in found.items():
            names.extend(name for block in parsed.get(kind, []) for name in block if not name.startswith("__"))
    return found
