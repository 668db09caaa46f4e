"""The whole stack planned for real, without credentials and without a network, and its refusals."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lifeboat.clients.inventory import Look
from lifeboat.clients.inventory_rewritten import EVERYTHING
from lifeboat.decisions import adoption
from lifeboat.decisions.status.running import LOOKS_FOR_LEAKS
from lifeboat.model import Wanted

from tests import permissions
from tests.modules.terraform_runs import DEADLINE_SECONDS, Terraform

ROOT = Path(__file__).resolve().parents[2]
# Nobody listens on the discard port: a call that should not be made fails at once instead of going out.
NOWHERE = "http://127.0.0.1:9"
LOCAL_BACKEND = 'terraform {\n  backend "local" {}\n}\n'
IDENTITY = {
    "account_id": "123456789012",
    "region": "eu-west-1",
    "dr_region": "eu-central-1",
    "offline": "true",
    "provider_max_retries": "0",
}


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A copy of the stack's root, initialised with a state on disk."""

    folder: Path
    terraform: Terraform

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one Terraform command with dummy credentials and every way out closed."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "TF_"))}
        return subprocess.run(
            [self.terraform.program, *arguments],
            cwd=self.folder,
            env={
                **kept,
                "AWS_ACCESS_KEY_ID": "dummy",
                "AWS_SECRET_ACCESS_KEY": "dummy",
                "AWS_ENDPOINT_URL": NOWHERE,
                "HTTPS_PROXY": NOWHERE,
                "CHECKPOINT_DISABLE": "1",
                "TF_CLI_CONFIG_FILE": str(self.terraform.settings),
                "TF_INPUT": "0",
                "TF_IN_AUTOMATION": "1",
            },
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )

    def plan(self, environment: str, *options: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        """Plan an environment's var-file; `variables` are laid over it."""
        over = self.folder / "over.tfvars.json"
        over.write_text(json.dumps(variables), encoding="utf-8")
        identity = {"name": f"app-{environment}", "environment": environment, **IDENTITY}
        return self.run(
            "plan",
            "-no-color",
            "-compact-warnings",
            f"-var-file={ROOT / 'environments' / environment}.tfvars",
            *(f"-var={name}={value}" for name, value in identity.items()),
            f"-var-file={over}",
            *options,
        )

    def planned(self, environment: str) -> dict[str, Any]:
        """Return the plan of an environment as Terraform describes it to programs."""
        plan = self.plan(environment, "-out=plan")
        assert plan.returncode == 0, plan.stdout + plan.stderr
        shown = self.run("show", "-json", "plan")
        assert shown.returncode == 0, shown.stderr
        document: dict[str, Any] = json.loads(shown.stdout)
        return document


@pytest.fixture(scope="module")
def stack(terraform: Terraform, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The stack with the committed lock file and its modules, where nothing that Terraform writes is kept."""
    tree = tmp_path_factory.mktemp("stack")
    left_behind = shutil.ignore_patterns(".terraform", "*.tfstate*", "tests", "examples")
    shutil.copytree(ROOT / "modules", tree / "modules", ignore=left_behind)
    folder = Path(shutil.copytree(ROOT / "terraform/stack", tree / "terraform/stack", ignore=left_behind))
    (folder / "backend_override.tf").write_text(LOCAL_BACKEND, encoding="utf-8")
    copy = Stack(folder=folder, terraform=terraform)

    initialised = copy.run("init", "-no-color", "-lockfile=readonly")

    assert initialised.returncode == 0, initialised.stdout + initialised.stderr
    return copy


@pytest.fixture(scope="module")
def staging(stack: Stack) -> dict[str, Any]:
    """The plan of staging."""
    return stack.planned("staging")


@pytest.fixture(scope="module")
def production(stack: Stack) -> dict[str, Any]:
    """The plan of production."""
    return stack.planned("production")


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_an_environment_plans_offline_and_only_creates(environment: str, request: pytest.FixtureRequest) -> None:
    plan = request.getfixturevalue(environment)

    actions = {tuple(change["change"]["actions"]) for change in plan["resource_changes"]}

    assert actions == {("create",)}


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_no_data_source_waits_for_the_apply_or_asks_aws(environment: str, request: pytest.FixtureRequest) -> None:
    plan = request.getfixturevalue(environment)

    sources = {resource["type"] for resource in _resources(plan["configuration"]["root_module"], "data")}

    assert sources <= {"aws_iam_policy_document"}


def test_who_applies_may_remember_states_in_the_other_region_and_write_over_no_copy(staging: dict[str, Any]) -> None:
    policy = _planned(staging, 'module.recovery_roles.aws_iam_role_policy.given["restore_operator/state"]')["policy"]
    copies = "arn:aws:s3:::app-staging-tfstate-123456789012-eu-central-1"
    stack, state = f"{copies}/known-states/staging/stack.json", f"{copies}/stack.tfstate"
    key = "arn:aws:kms:eu-central-1:123456789012:key/k"
    through = {"kms:ResourceAliases": ["alias/app-staging-tfstate"], "kms:ViaService": "s3.eu-central-1.amazonaws.com"}

    def may(action: str, resource: str, **context: Any) -> bool:
        return permissions.allows([json.loads(policy)], action, resource, context)

    def finds(action: str, prefix: str) -> bool:
        return may(action, copies, **{"s3:prefix": prefix})

    assert [may("s3:GetObject", one) for one in (stack, state)] == [True, True]
    assert [may("s3:PutObject", one) for one in (stack, state)] == [True, False]
    assert [may("s3:DeleteObject", one) for one in (stack, state)] == [False, False]
    assert not may("s3:PutObject", f"{copies}/known-states/production/stack.json")
    assert finds("s3:ListBucket", "known-states/staging/stack.json")
    assert finds("s3:ListBucketVersions", "stack.tfstate")
    assert not finds("s3:ListBucket", "")
    assert may("s3:GetObjectVersion", state)
    assert [may(action, key, **through) for action in ("kms:Decrypt", "kms:GenerateDataKey")] == [True, True]
    assert not may("kms:Decrypt", key)
    # The longest name and regions add 200; modules/recovery-roles leaves 3,500 for this and what reads dumps (1,500).
    assert len(policy) <= 1800


DUMPS_STATUS = 'module.dump_job[0].aws_iam_role_policy.given["look"]'


def test_what_publishes_the_status_looks_at_what_drills_leave_and_reads_no_other_object_of_the_states(
    staging: dict[str, Any],
) -> None:
    policy = json.loads(_planned(staging, DUMPS_STATUS)["policy"])
    state = "arn:aws:s3:::app-staging-tfstate-123456789012-eu-west-1"
    copies = "arn:aws:s3:::app-staging-tfstate-123456789012-eu-central-1"
    made = {
        "secretsmanager:DescribeSecret": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app-staging-drill-a-b",
        "sqs:GetQueueUrl": "arn:aws:sqs:eu-central-1:123456789012:app-staging-drill-a-alarms",
        "s3:GetObjectTagging": f"{state}/runs/r/drill.tfstate",
        "s3:GetObject": f"{state}/runs/r/drill.tfstate",
        "dynamodb:GetItem": "arn:aws:dynamodb:eu-west-1:123456789012:table/app-staging-tflock",
        "s3:ListBucket": state,
    }
    read = [f"{state}/stack.tfstate", f"{copies}/state.tfstate", f"{copies}/known-states/staging/stack.json"]

    def may(action: str, resource: str) -> bool:
        return permissions.allows([policy], action, resource, {})

    assert [call for call in LOOKS_FOR_LEAKS if not may(call, made.get(call, "*"))] == []
    assert [key for key in read if not may("s3:GetObject", key)] == []
    assert not may("s3:GetObject", f"{state}/another.tfstate")
    assert not may("s3:GetObject", f"{copies}/known-states/production/stack.json")
    assert not may("secretsmanager:DescribeSecret", made["secretsmanager:DescribeSecret"].replace("-drill-", "-"))


def test_a_drill_by_the_clock_is_limited_and_swept_after(
    stack: Stack,
) -> None:
    enabled = {"enabled": True, "max_usd": 2.5}
    done = stack.plan("staging", "-out=drilling", drill=enabled, schedules={"drill": "cron(15 14 ? * SUN *)"})
    assert done.returncode == 0, done.stdout + done.stderr
    plan = json.loads(stack.run("show", "-json", "drilling").stdout)

    def scheduled(job: str) -> tuple[list[str], str]:
        planned = plan["resource_changes"]
        (made,) = [
            one["change"]["after"] for one in planned if one["address"].endswith(f'task_definition.jobs["{job}"]')
        ]
        (when,) = [
            one["change"]["after"] for one in planned if one["address"].endswith(f'scheduler_schedule.jobs["{job}"]')
        ]
        return json.loads(made["container_definitions"])[0]["command"], when["schedule_expression"]

    command = ["drill", "database", "--max-cost", "2.5", "--yes", "-e", "staging"]
    assert scheduled("drill") == (command, "cron(15 14 ? * SUN *)")
    assert scheduled("sweep") == (["sweep", "--yes", "-e", "staging"], "cron(25 2 * * ? *)")


def test_without_a_drill_by_the_clock_nothing_sweeps(staging: dict[str, Any]) -> None:
    jobs = [one["address"] for one in staging["resource_changes"] if "task_definition.jobs[" in one["address"]]

    assert [address.partition('["')[2].rstrip('"]') for address in jobs] == ["retention", "status", "verify"]


def test_drills_by_the_clock_without_a_network_for_them_are_refused(stack: Stack) -> None:
    message = (
        "schedules.drill needs drill = { enabled = true }: without a network for drills every one of them would be"
    )
    require_refused(stack, {"drill": {"enabled": False}, "schedules": {"drill": "cron(15 2 ? * SUN *)"}}, [message])


class Traced(Look):
    """A look that goes as far as the first question to AWS, and fails where nobody knows to what the resource belongs."""

    def id_of(self, attribute: str) -> str:
        found = super().id_of(attribute)
        if found is None:
            raise LookupError(f"{self.wanted.address}: {attribute}")
        return found


class Asked(Exception):
    """AWS is asked."""


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_of_everything_that_belongs_to_something_it_is_known_to_what(
    environment: str, request: pytest.FixtureRequest
) -> None:
    wanted = adoption.everything(adoption.planned_creates(request.getfixturevalue(environment)))

    # What nobody can look for would be taken for missing where a lost state is made anew.
    assert wanted
    assert [unknown for one in wanted if (unknown := unknown_owner(one)) != ""] == []


def unknown_owner(wanted: Wanted) -> str:
    """Return which attribute does not tell to what a resource belongs, where everything that it can belong to exists."""

    class Nobody:
        def __getattr__(self, operation: str) -> Any:
            raise Asked

    look = Traced(
        client=lambda _: Nobody(), region="eu-west-1", wanted=wanted, parent=lambda one: f"id of {one.address}"
    )
    try:
        list(EVERYTHING[wanted.resource_type](look))
    except LookupError as error:
        return str(error)
    except Asked:
        return ""
    return f"{wanted.address}: nothing is asked"


def test_the_output_has_the_shape_that_lifeboat_reads(production: dict[str, Any]) -> None:
    change = production["output_changes"]["recovery"]
    names = set(change["after"]) | set(change["after_unknown"])

    assert names == {
        "account_id",
        "app",
        "application",
        "backup_plan_ids",
        "database",
        "dlm_policy_ids",
        "dr_region",
        "drill",
        "dumps",
        "environment",
        "image_copies_key_arn",
        "objectives",
        "protection",
        "region",
        "roles",
        "secrets",
        "topic_arn",
        "vaults",
    }


def test_production_keeps_more_for_longer_than_staging(staging: dict[str, Any], production: dict[str, Any]) -> None:
    smaller = _planned(staging, 'module.database.aws_db_instance.this["g1"]')
    larger = _planned(production, 'module.database.aws_db_instance.this["g1"]')

    assert (smaller["multi_az"], larger["multi_az"]) == (False, True)
    assert smaller["backup_retention_period"] == 7
    assert larger["backup_retention_period"] == 35
    assert (smaller["deletion_protection"], larger["deletion_protection"]) == (True, True)


def test_dumps_are_made_daily_and_in_production_twice_a_day(
    staging: dict[str, Any], production: dict[str, Any]
) -> None:
    schedule = "module.dump_job[0].aws_scheduler_schedule.this"
    way_in = 'module.database.aws_vpc_security_group_ingress_rule.client["dump"]'

    assert _planned(staging, schedule)["schedule_expression"] == "cron(30 1 * * ? *)"
    assert _planned(production, schedule)["schedule_expression"] == "cron(30 1,13 * * ? *)"
    assert _planned(production, way_in)["from_port"] == 5432


def test_instance_and_database_are_built_at_the_same_time(stack: Stack) -> None:
    graph = stack.run(
        "graph",
        "-type=plan",
    )
    assert graph.returncode == 0, graph.stderr
    edges: dict[str, set[str]] = {}
    for source, target in re.findall(r'"\[root\] (.+?)" -> "\[root\] (.+?)"$', graph.stdout, flags=re.MULTILINE):
        edges.setdefault(source.removesuffix(" (expand)"), set()).add(target.removesuffix(" (expand)"))

    before_the_instance = _reachable(edges, "module.app_instance.aws_instance.this")
    before_the_database = _reachable(edges, "module.database.aws_db_instance.this")

    assert "module.database.aws_db_instance.this" not in before_the_instance
    assert "module.app_instance.aws_instance.this" not in before_the_database
    assert "module.app_instance.aws_iam_instance_profile.this" in before_the_instance
    assert "module.app_instance.aws_security_group.this" in before_the_database


def test_no_password_is_planned(production: dict[str, Any]) -> None:
    database = _planned(production, 'module.database.aws_db_instance.this["g1"]')

    assert database["manage_master_user_password"] is True
    assert database.get("password") is None


def _rule(**options: Any) -> dict[str, Any]:
    return {"schedule": "cron(0 5 * * ? *)", **options}


# A whole message each, as the operator reads it. Mistakes stand together here, and must all be reported: that each is
# refused for itself is what the modules' own tests show.
REFUSALS = {
    "in values": (
        {
            "database": {
                "backup": {
                    "retention_days": 0,
                }
            },
            "backup": {
                "snapshots": {
                    "schedules": {
                        "never": {"keep_days": 14},
                        "both": {"every_hours": 24, "keep_days": 14, "keep_count": 14},
                        "forever": {"every_hours": 24},
                        "deprecated": {"every_hours": 24, "keep_days": 14, "deprecate_after_days": 7},
                    }
                },
                "images": {"resource_type": "VOLUME", "schedules": {}},
                "rules": {
                    "cold60": _rule(cold_storage_after_days=30, delete_after_days=60),
                    "cold20": _rule(cold_storage_after_days=30, delete_after_days=20),
                    "endless": _rule(continuous=True, delete_after_days=90),
                    "unkept": _rule(continuous=True),
                    "hurried": _rule(delete_after_days=35, completion_window_minutes=70),
                    "punctual": _rule(delete_after_days=35, start_window_minutes=10),
                    "rated": _rule(delete_after_days=35, schedule="rate(1 day)"),
                    "worded": _rule(delete_after_days=35, schedule="every day"),
                },
            },
            "dns": {"zone_name": "example.com"},
            "active_generation": "g7",
            "network": {"availability_zones": ["a"]},
            "dumps": {"every_hours": 48},
        },
        [
            "backup.retention_days must be between 7 and 35: below 7 a mistake found after a week cannot be undone,"
            " and RDS keeps at most 35.",
            "snapshots.schedules never: nothing says when it runs. Set every_hours or cron.",
            "snapshots.schedules both: keep_days and keep_count contradict each other. Keep one of them.",
            "snapshots.schedules forever: nothing says how long copies are kept. Set keep_days or keep_count.",
            "snapshots.schedules deprecated: a snapshot cannot be deprecated. Take deprecate_after_days out; only"
            " images have it.",
            'images.resource_type is "VOLUME": images are made of instances, so set "INSTANCE"; snapshots may be of an'
            ' "INSTANCE" or a "VOLUME".',
            "images.schedules has 0 schedules: a policy needs 1 to 4. Leave schedules out to take the default.",
            "rules: delete_after_days must be at least cold_storage_after_days + 90, because AWS keeps (and bills) cold"
            " backups for 90 days. Raise the one or take the other out.",
            "rules endless, unkept: a continuous backup is kept 1 to 35 days. Set delete_after_days accordingly, and a"
            " second rule for longer.",
            "rules hurried: completion_window_minutes must be at least 60 more than start_window_minutes, else a job"
            " that starts late is cancelled.",
            "rules punctual: start_window_minutes must be at least 60: AWS Backup may start a job that late.",
            'rules rated, worded: schedule must be a cron of six fields, for example "cron(0 5 * * ? *)"; AWS Backup'
            " knows no rate() and no words.",
            "dns needs either create_zone = true or the zone_id of a zone that exists, not both and not none.",
            'active_generation is "g7", which is not in generations (g1): name one of them, or add it.',
            'availability_zones must name at least two different zones (at most 8), such as ["eu-west-1a",'
            ' "eu-west-1b"]: RDS refuses a subnet group in one zone, and one zone can fail.',
            "every_hours must be more than 0 and at most objectives.rpo_hours (24): dump more often, or accept the"
            " loss of more data.",
        ],
    ),
    "in how values stand to each other": (
        {
            "objectives": {"rpo_hours": 240},
            "backup": {
                "snapshots": {
                    "schedules": {
                        "open": {"every_hours": 24, "keep_days": 14, "copy": {"encrypted": False}},
                        "lost": {"every_hours": 24, "keep_days": 14, "copy": {"region": "nowhere"}},
                    }
                },
                "lock": {"mode": "compliance", "changeable_for_days": 3},
            },
        },
        [
            "backup.retention_days (7 days) is shorter than objectives.rpo_hours (240 h):"
            " raise backup.retention_days to at least 10, or lower the objective.",
            "snapshots.schedules open: the copy is not encrypted. Take copy.encrypted = false out; the module has a key"
            " in eu-central-1.",
            "snapshots.schedules lost: copy.region must be the name of another region than eu-west-1, such as"
            ' "eu-central-1".',
            'lock.mode = "compliance" cannot be undone by anybody, ever. If that is meant, set lock.confirm ='
            ' "app-staging-backups"; if not, set lock.mode = "governance".',
        ],
    ),
    "in windows that are too short, and a lock that accepts no backup": (
        {
            "database": {"backup": {"backup_window": "03:00-03:10", "maintenance_window": "sun:06:00-sun:06:10"}},
            "backup": {"lock": {"min_days": 30, "max_days": 7}},
        },
        [
            "backup.backup_window (03:00-03:10) is shorter than 30 minutes, which RDS refuses: make it longer.",
            "backup.maintenance_window (sun:06:00-sun:06:10) must be at least 30 minutes and at most 24 hours long.",
            "lock.min_days (30) must be at least 1 and not above lock.max_days (7), which may be 36500: otherwise no"
            " backup at all is accepted.",
        ],
    ),
    "in windows that meet": (
        {"database": {"backup": {"backup_window": "23:30-00:30", "maintenance_window": "sun:00:00-sun:01:00"}}},
        [
            "backup.backup_window (23:30-00:30, every day) and backup.maintenance_window (sun:00:00-sun:01:00)"
            " overlap or are less than backup.gap_minutes (60) apart: move one of them.",
        ],
    ),
}


# The one with most of them; the others, a plan each, are in tests/long.
HERE = "in values"


def test_mistakes_in_values_are_refused_with_what_to_change(stack: Stack) -> None:
    require_refused(stack, *REFUSALS[HERE])


def require_refused(stack: Stack, variables: dict[str, Any], messages: list[str]) -> None:
    refused = stack.plan("staging", **variables)

    assert refused.returncode == 1, refused.stdout
    said = " ".join(refused.stderr.split())
    assert [message for message in messages if message not in said] == [], refused.stderr


def test_teardown_of_production_is_refused(stack: Stack) -> None:
    refused = stack.plan("production", "-var=teardown=true")

    assert refused.returncode == 1, refused.stdout
    assert "teardown is refused for production: what protects its data stays on. Set teardown = false." in " ".join(
        refused.stderr.split()
    )


def _resources(module: dict[str, Any], mode: str) -> list[dict[str, Any]]:
    found = [resource for resource in module.get("resources", []) if resource["mode"] == mode]
    for call in module.get("module_calls", {}).values():
        found.extend(_resources(call["module"], mode))
    return found


def _planned(plan: dict[str, Any], address: str) -> dict[str, Any]:
    values: dict[str, Any] = next(
        change["change"]["after"] for change in plan["resource_changes"] if change["address"] == address
    )
    return values


def _reachable(edges: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for target in edges.get(waiting.pop(), set()) - seen:
            seen.add(target)
            waiting.append(target)
    return seen
