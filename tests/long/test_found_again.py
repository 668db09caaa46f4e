"""All that both roots make is found again after their state is lost, and is adopted instead of made twice."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from lifeboat.clients import provider_mirror
from lifeboat.clients.terraform import recorded_progress
from lifeboat.decisions.adoption import HOW, How, document, planned_creates, unrecorded
from lifeboat.model import Address, Adoption, PlannedCreate, Progress

from tests.clients.inventories import inventory_of
from tests.conftest import RunningCloud

ROOT = Path(__file__).parents[2]
APPLY_SECONDS = 600
VARIABLES = {
    "name": "app-local",
    "environment": "local",
    "account_id": "123456789012",
    "region": "eu-west-1",
    "dr_region": "eu-central-1",
    "s3_use_path_style": "true",
    "provider_max_retries": "2",
}


@dataclass(frozen=True, kw_only=True)
class AppliedRoot:
    """A root that was applied once: its folder, its saved plan and its events, and how to run Terraform in it."""

    folder: Path
    env: Mapping[str, str]
    process: subprocess.Popen[bytes]

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            ["terraform", *arguments],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=APPLY_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def plan(self, name: str) -> dict[str, Any]:
        self.run("plan", f"-out={name}", *(f"-var={key}={value}" for key, value in VARIABLES.items()))
        document: dict[str, Any] = json.loads(self.run("show", "-json", name))
        return document

    @cached_property
    def creates(self) -> list[PlannedCreate]:
        return planned_creates(json.loads(self.run("show", "-json", "first.plan")))

    @cached_property
    def events(self) -> list[Progress]:
        return recorded_progress(self.folder / "events.jsonl")


def begin(cloud: RunningCloud, folder: Path, root: str) -> AppliedRoot:
    """Copy a root, plan it and start to apply the saved plan."""
    copy = folder / "terraform" / root
    shutil.copytree(ROOT / "terraform" / root, copy, ignore=shutil.ignore_patterns(".terraform", "*.tfstate*"))
    (copy / "own_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
    if root == "stack":
        shutil.copy(ROOT / "environments" / "local.tfvars", copy / "terraform.tfvars")
    own = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "TF_"))}
    mirror = provider_mirror.configuration(folder, own)
    env = {
        **own,
        **({} if mirror is None else {"TF_CLI_CONFIG_FILE": str(mirror)}),
        "TF_DATA_DIR": str(folder / f"{root}-data"),
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        "CHECKPOINT_DISABLE": "1",
        "AWS_ENDPOINT_URL": cloud.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    planner = AppliedRoot(folder=copy, env=env, process=subprocess.Popen(["true"]))
    planner.run("init")
    planner.plan("first.plan")
    with (copy / "events.jsonl").open("wb") as events:
        process = subprocess.Popen(
            ["terraform", "apply", "-json", "-parallelism=20", "first.plan"], cwd=copy, env=env, stdout=events
        )
    return AppliedRoot(folder=copy, env=env, process=process)


@pytest.fixture(scope="module")
def roots(cloud: RunningCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], AppliedRoot]]:
    """Both roots, applied side by side: most of an apply is the provider's own waiting."""
    folder = tmp_path_factory.mktemp("roots")
    (folder / "modules").symlink_to(ROOT / "modules")
    begun = {root: begin(cloud, folder, root) for root in ("stack", "state")}

    def applied(root: str) -> AppliedRoot:
        it = begun[root]
        status = it.process.wait(APPLY_SECONDS)
        errors = [line for line in (it.folder / "events.jsonl").read_text().splitlines() if '"level":"error"' in line]
        assert status == 0, f"terraform/{root} could not be applied:\n" + "\n".join(errors)
        return it

    yield applied
    for it in begun.values():
        it.process.kill()
        it.process.wait(60)


def found_again(cloud: RunningCloud, root: AppliedRoot, progress: list[Progress] | None) -> dict[Address, str | None]:
    """Return the import id of everything that the root's first plan created, as if the state knew none of it."""
    inventory = inventory_of(cloud)
    lost = unrecorded(root.creates, progress, set())
    assert [w.address for w in lost if inventory.status(w) is not None] == []
    return {w.address: inventory.import_id(w) for w in lost}


@pytest.mark.parametrize("root", ["state", "stack"])
def test_everything_that_was_made_is_found_again_with_and_without_reported_ids(
    cloud: RunningCloud, roots: Callable[[str], AppliedRoot], root: str
) -> None:
    applied = roots(root)

    with_ids = found_again(cloud, applied, applied.events)
    without_ids = found_again(cloud, applied, None)

    assert [address for address, import_id in with_ids.items() if import_id is None] == []
    assert without_ids == with_ids
    rewritten = [c for c in applied.creates if HOW[c.resource_type] is How.REWRITTEN]
    assert len(with_ids) + len(rewritten) == len(applied.creates)


@pytest.mark.parametrize("root", ["state", "stack"])
def test_after_the_state_is_lost_nothing_is_made_twice_and_one_apply_settles_it(
    cloud: RunningCloud, roots: Callable[[str], AppliedRoot], root: str
) -> None:
    applied = roots(root)
    adoptions = [
        Adoption(address=address, import_id=str(import_id))
        for address, import_id in found_again(cloud, applied, None).items()
    ]
    (applied.folder / "terraform.tfstate").unlink()
    (applied.folder / "lifeboat_adopt.tf.json").write_text(json.dumps(document(adoptions)))

    plan = applied.plan("adopt.plan")
    (applied.folder / "lifeboat_adopt.tf.json").unlink()
    applied.run("apply", "adopt.plan")
    again = applied.plan("again.plan")

    assert {t for t in types_by_action(plan, "create") if HOW[t] is not How.REWRITTEN} == set()
    assert types_by_action(plan, "delete") == set()
    assert sum("importing" in c["change"] for c in plan["resource_changes"]) == len(adoptions)
    changed = [c for c in again["resource_changes"] if c["change"]["actions"] not in (["no-op"], ["read"])]
    assert [(c["address"], c["change"]["actions"]) for c in changed] == []


def types_by_action(plan: Mapping[str, Any], action: str) -> set[str]:
    return {c["type"] for c in plan["resource_changes"] if action in c["change"]["actions"] and c["mode"] == "managed"}
