"""All that modules/backup-alarms makes, applied by the real Terraform, is heard; what somebody then took away is told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from lifeboat.alarm_model import AlarmReport, Sort
from lifeboat.clients import provider_mirror
from lifeboat.commands import alarms
from lifeboat.commands.alarms import Asked

from tests import permissions
from tests.conftest import RunningCloud
from tests.gitlab_sites import RECOVERY
from tests.plain_sites import PlainSite, Told, plain_site

MODULE = Path(__file__).parents[2] / "modules/backup-alarms"
REGIONS = ("eu-west-1", "eu-central-1")
# The verifier, with what terraform/stack gives it for a test: the state is read, the run's own journal written,
# and the lease of drills held.
VERIFIER = """
locals {
  bucket = "arn:aws:s3:::NAME-tfstate-123456789012-eu-west-1"
  table  = "arn:aws:dynamodb:eu-west-1:123456789012:table/NAME-tflock"
}

module "roles" {
  source = "MODULES/recovery-roles"

  name        = "NAME"
  environment = "production"
  account_id  = "123456789012"
  policies = {
    alarms       = module.backup_alarms.tester_policy_json
    state_reader = jsonencode({
      Version = "2012-10-17"
      Statement = [
        { Effect = "Allow", Action = ["s3:GetObject", "s3:ListBucket"], Resource = [local.bucket, "${local.bucket}/*"] },
        { Effect = "Allow", Action = ["s3:PutObject"], Resource = ["${local.bucket}/runs/*-alarms-*/*"] },
        { Effect = "Allow", Action = ["dynamodb:GetItem", "dynamodb:UpdateItem"], Resource = [local.table] },
      ]
    })
  }
}
"""


@dataclass(frozen=True, kw_only=True)
class Built:
    """A site whose state is what Terraform made of the module's own example."""

    plain: PlainSite
    state: dict[str, Any]

    def ring(self, *names: str) -> AlarmReport:
        return alarms.test(self.plain.site(), Told(), lambda _: None, Asked(names=names, within=timedelta(seconds=60)))

    def count(self, kind: str) -> int:
        return sum(len(one["instances"]) for one in self.state["resources"] if one["type"] == kind)


@pytest.fixture(scope="module")
def built(cloud: RunningCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    folder, root = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("root")
    plain = plain_site(cloud, folder)
    for region, suffix in zip(REGIONS, ("", "-dr"), strict=True):
        vault = f"{plain.application}-backups{suffix}"
        cloud.client("backup", region).create_backup_vault(BackupVaultName=vault)
    example = (MODULE / "examples/basic/main.tf").read_text()
    changed = {
        'source = "../.."': f'source = "{MODULE}"',
        "app-production": plain.application,
        "on-call@example.com": "on-call@lifeboat.test",
    }
    for old, new in changed.items():
        assert old in example
        example = example.replace(old, new)
    roles = VERIFIER.replace("NAME", plain.application).replace("MODULES", str(MODULE.parent))
    (root / "main.tf").write_text(example + roles)
    settings = provider_mirror.configuration(root, dict(os.environ))
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(root),
        "AWS_ENDPOINT_URL": cloud.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        **({} if settings is None else {"TF_CLI_CONFIG_FILE": str(settings)}),
    }
    for words in (["init", "-input=false"], ["apply", "-auto-approve", "-input=false"]):
        done = subprocess.run(
            ["terraform", *words, "-no-color"], cwd=root, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    planned = subprocess.run(
        ["terraform", "plan", "-detailed-exitcode"], cwd=root, env=env, capture_output=True, check=False
    )
    assert planned.returncode == 0, planned.stdout.decode()
    state = json.loads((root / "terraform.tfstate").read_text())
    state["outputs"] = {"recovery": {"value": RECOVERY, "type": "dynamic"}}
    plain.put("stack.tfstate", json.dumps(state).encode())
    yield Built(plain=plain, state=state)
    shutil.rmtree(root, ignore_errors=True)


def test_all_that_the_module_makes_is_heard(built: Built) -> None:
    done = built.ring()

    rung = {sort: sum(one.ringer.sort is sort for one in done.rung) for sort in (Sort.ALARM, Sort.RULE)}
    assert [(one.ringer.name, one.why) for one in (*done.rung, *done.checked) if not one.good] == []
    assert rung == {
        Sort.ALARM: built.count("aws_cloudwatch_metric_alarm"), Sort.RULE: built.count("aws_cloudwatch_event_rule"),
    }  # fmt: skip
    assert min(rung.values()) > 10
    assert [one.ringer.sort for one in done.checked] == [Sort.DATABASE_EVENTS, Sort.VAULT_EVENTS, Sort.VAULT_EVENTS]
    assert [why for _, why in done.topics] == ["", ""]
    # Each names a page that is there.
    pages = {one.page for one in done.rung}
    assert [page for page in pages if not (MODULE.parents[1] / page).is_file()] == []


def test_the_verifier_may_do_all_that_a_test_does(built: Built) -> None:
    cloud = built.plain.cloud
    trace = cloud.directory / "logs" / "trace.jsonl"
    before = len(trace.read_text().splitlines())

    done = built.ring("drill-stale-full", "kms-key-disabled", "database-event")

    called = permissions.actions([json.loads(line) for line in trace.read_text().splitlines()[before:]])
    assert (done.arrived, len(done.rung), len(done.checked)) == (3, 3, 1)
    assert {"cloudwatch:SetAlarmState", "events:PutEvents", "sqs:CreateQueue"} <= {call.split()[0] for call in called}
    assert permissions.refused(called, cloud.client("iam"), f"{built.plain.application}-verifier") == []


def test_an_alarm_whose_action_was_taken_away_is_told_and_no_other(built: Built) -> None:
    cloudwatch, name = built.plain.cloud.client("cloudwatch"), f"{built.plain.application}-drill-stale-full"
    (found,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    kept = {key: found[key] for key in (
        "AlarmName", "AlarmDescription", "Namespace", "MetricName", "Statistic", "Dimensions", "ComparisonOperator",
        "Threshold", "Period", "EvaluationPeriods", "DatapointsToAlarm", "TreatMissingData", "OKActions",
    )}  # fmt: skip
    cloudwatch.put_metric_alarm(**kept, AlarmActions=[])

    done = built.ring()

    assert [(one.ringer.name, one.why) for one in done.rung if not one.good] == [
        (name, "it has no action for ALARM; lifeboat apply -e x makes it again")
    ]
    assert done.arrived == len(done.rung) - 1


def test_the_dashboard_is_there_and_what_somebody_publishes_rings_and_ends_its_alarms(built: Built) -> None:
    cloudwatch, application = built.plain.cloud.client("cloudwatch"), built.plain.application
    body = json.loads(cloudwatch.get_dashboard(DashboardName=f"{application}-recovery")["DashboardBody"])
    alarm = f"{application}-rto-missed-full"

    def publish(seconds: float) -> str:
        dimensions = [{"Name": "Name", "Value": application}, {"Name": "Kind", "Value": "full"}]
        datum = {"MetricName": "MeasuredRtoSeconds", "Dimensions": dimensions, "Value": seconds, "Unit": "Seconds"}
        cloudwatch.put_metric_data(Namespace="Lifeboat", MetricData=[datum])
        return str(cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"][0]["StateValue"])

    assert {widget["type"] for widget in body["widgets"]} == {"text", "metric", "alarm"}
    assert [publish(3600), publish(5 * 3600)] == ["OK", "ALARM"]
