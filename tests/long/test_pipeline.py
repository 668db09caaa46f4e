"""The plan and apply jobs of the repository's pipeline, really run by the local GitLab on the applied stack."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gitlab
import pytest

from tests.localcloud.machines import until
from tests.rehearsal import Rehearsal, passed

ENDED = ("success", "failed", "canceled", "skipped")
SECONDS = 300
SCAN = '- make scan-tools\n    - lifeboat scan -e "$ENVIRONMENT"'
# The job's checkout is not the one whose local cloud runs, which it would refuse to plan against.
SCAN_ALONE = '- lifeboat scan --native --offline -e "$ENVIRONMENT"'


@pytest.fixture
def cloud(stack: Rehearsal) -> Iterator[Path]:
    """The folder of the stack's cloud, whose GitLab takes the pipelines of main for the local environment."""
    file = stack.root / ".gitlab-ci.yml"
    text = file.read_text()
    # The scan tools are for the tests of tests/policies; here it is the job that is looked at.
    assert SCAN in text
    text_here = text.replace("default: production", "default: local").replace(SCAN, SCAN_ALONE)
    file.write_text(text_here)
    yield stack.root / ".lifeboat/local/cloud"
    file.write_text(text)


def pushed(stack: Rehearsal) -> int:
    """Push to main; return the pipeline's id."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{stack.port}/_localcloud/gitlab", b'{"push": "main"}', {"X-Localcloud": "1"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return int(json.load(answer)["pipeline"])


def test_the_pipeline_applies_the_plan_that_it_showed(stack: Rehearsal, cloud: Path) -> None:
    document = json.loads((cloud / "gitlab-tokens.json").read_text())
    project = gitlab.Gitlab(document["url"], private_token=document["tokens"]["owner"], timeout=60).projects.get(1)
    stack.edit("environments/local.tfvars", r"on-call@lifeboat\.test", "second-line@lifeboat.test")
    pipeline = project.pipelines.get(pushed(stack))

    def job(name: str) -> Any:
        return project.jobs.get(next(j.id for j in pipeline.jobs.list(get_all=True) if j.name == name))

    def ended(name: str) -> Any:
        until(lambda: job(name).status in ENDED, SECONDS)
        return job(name)

    configuration, policy, plan = ended("configuration"), ended("policy"), ended("plan")
    for one in (configuration, policy, plan):
        assert one.status == "success", one.trace().decode()
    summary = json.loads(plan.artifact("plan/summary.json"))
    before = passed(stack.lifeboat("plan", "--detailed-exitcode"), 20)
    job("apply").play()
    apply = ended("apply")
    after = stack.lifeboat("plan", "--detailed-exitcode")

    assert json.loads(policy.artifact("scan/scan.json"))["valid"] is True
    assert json.loads(policy.artifact("scan/gl-code-quality-report.json")) != []
    assert sum(summary.values()) > 0
    assert "stack: no changes" not in before.stdout
    assert apply.status == "success", apply.trace().decode()
    assert "stack: applied as planned" in apply.trace().decode()
    passed(after)
