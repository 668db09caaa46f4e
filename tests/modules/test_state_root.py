"""The root of the state backend plans with nobody to ask, and refuses to make production disposable."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.modules.terraform_runs import Terraform

ROOT = Path(__file__).resolve().parents[2]
# Nobody listens on the discard port: a call that should not be made fails at once instead of going out.
NOBODY_TO_ASK = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "dummy",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
}
PRODUCTION = {
    "name": "app-production",
    "environment": "production",
    "account_id": "123456789012",
    "region": "eu-west-1",
    "dr_region": "eu-central-1",
    "offline": "true",
}


@dataclass(frozen=True, kw_only=True)
class StateRoot:
    """A copy of the root with its module and the committed lock file."""

    folder: Path
    terraform: Terraform

    def plan(self, **variables: str) -> tuple[int, str]:
        """Return the exit status of a plan and all it printed."""
        given = [f"-var={name}={value}" for name, value in {**PRODUCTION, **variables}.items()]
        planned = self.terraform.run(
            "plan", "-no-color", "-out=plan", *given, cwd=self.folder, environment=NOBODY_TO_ASK
        )
        return planned.returncode, planned.stdout + planned.stderr

    def shown(self) -> dict[str, Any]:
        """Return the plan made last, as Terraform describes it to programs."""
        shown = self.terraform.run("show", "-json", "plan", cwd=self.folder)
        assert shown.returncode == 0, shown.stderr
        document: dict[str, Any] = json.loads(shown.stdout)
        return document


@pytest.fixture(scope="module")
def state_root(terraform: Terraform, tmp_path_factory: pytest.TempPathFactory) -> StateRoot:
    """The root, initialised by the lock file as it is committed."""
    tree = tmp_path_factory.mktemp("state_root")
    left_behind = shutil.ignore_patterns(".terraform", "*.tfstate*")
    shutil.copytree(ROOT / "modules/state-backend", tree / "modules/state-backend", ignore=left_behind)
    folder = Path(shutil.copytree(ROOT / "terraform/state", tree / "terraform/state", ignore=left_behind))

    initialised = terraform.run("init", "-no-color", "-lockfile=readonly", cwd=folder)

    assert initialised.returncode == 0, initialised.stdout + initialised.stderr
    return StateRoot(folder=folder, terraform=terraform)


@pytest.fixture(scope="module")
def planned(state_root: StateRoot) -> dict[str, Any]:
    """The plan of production."""
    status, printed = state_root.plan()
    assert status == 0, printed
    return state_root.shown()


def test_it_plans_offline_with_dummy_credentials(planned: dict[str, Any]) -> None:
    backend = planned["planned_values"]["outputs"]["backend"]
    changes = planned["output_changes"]["backend"]["after"]

    assert backend["sensitive"] is False
    assert changes == {
        "bucket": "app-production-tfstate-123456789012-eu-west-1",
        "region": "eu-west-1",
        "encrypt": "true",
        "dynamodb_table": "app-production-tflock",
        "use_lockfile": "true",
    }


def test_every_resource_says_whose_it_is(planned: dict[str, Any]) -> None:
    tagged = [
        change["change"]["after"]["tags_all"]
        for change in planned["resource_changes"]
        if "tags_all" in change["change"]["after"]
    ]
    assert tagged
    assert all(
        tags == {"application": "app-production", "environment": "production", "managed-by": "lifeboat"}
        for tags in tagged
    )


def test_a_disposable_production_is_refused(state_root: StateRoot) -> None:
    status, printed = state_root.plan(teardown="true")

    assert status == 1
    assert "teardown must be false for production" in " ".join(printed.split())


def test_a_replica_beside_the_original_is_refused(state_root: StateRoot) -> None:
    status, printed = state_root.plan(dr_region="eu-west-1")

    assert status == 1
    assert "dr_region must differ from region" in " ".join(printed.split())
