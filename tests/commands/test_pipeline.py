"""The plan and apply jobs of the repository's pipeline, really run by the local GitLab on the applied stack."""

from __future__ import annotations

import json
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import gitlab

from tests.localcloud.machines import until
from tests.rehearsal import ROOT, Rehearsal, passed

ENDED = ("success", "failed", "canceled", "skipped")
SECONDS = 300


def with_a_repository(stack: Rehearsal) -> Path:
    """Put the pipeline into the checkout, which the local GitLab runs; return the cloud's folder."""
    shutil.copytree(ROOT / "scripts/ci", stack.root / "scripts/ci", dirs_exist_ok=True)
    text = (ROOT / ".gitlab-ci.yml").read_text()
    (stack.root / ".gitlab-ci.yml").write_text(text.replace("default: production", "default: local"))
    return stack.root / ".lifeboat/local/cloud"


def pushed(stack: Rehearsal) -> int:
    """Push to main; return the pipeline's id."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{stack.port}/_localcloud/gitlab", b'{"push": "main"}', {"X-Localcloud": "1"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return int(json.load(answer)["pipeline"])


def test_the_pipeline_applies_the_plan_that_it_showed(stack: Rehearsal) -> None:
    document = json.loads((with_a_repository(stack) / "gitlab-tokens.json").read_text())
    project = gitlab.Gitlab(document["url"], private_token=document["tokens"]["owner"], timeout=60).projects.get(1)
    stack.edit("environments/local.tfvars", r"on-call@lifeboat\.test", "second-line@lifeboat.test")
    pipeline = project.pipelines.get(pushed(stack))

    def job(name: str) -> Any:
        return project.jobs.get(next(j.id for j in pipeline.jobs.list(get_all=True) if j.name == name))

    def ended(name: str) -> Any:
        until(lambda: job(name).status in ENDED, SECONDS)
        return job(name)

    configuration, plan = ended("configuration"), ended("plan")
    summary = json.loads(plan.artifact("plan/summary.json"))
    before = passed(stack.lifeboat("plan", "--detailed-exitcode"), 20)
    job("apply").play()
    apply = ended("apply")
    after = stack.lifeboat("plan", "--detailed-exitcode")

    assert configuration.status == "success", configuration.trace().decode()
    assert plan.status == "success", plan.trace().decode()
    assert sum(summary.values()) > 0
    assert "stack: no changes" not in before.stdout
    assert apply.status == "success", apply.trace().decode()
    assert "stack: applied as planned" in apply.trace().decode()
    passed(after)
