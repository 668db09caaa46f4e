"""Which calls a role's policies do not name: what is compared where a call names its resource, and of the roles' own files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hcl2
import pytest

from tests import permissions
from tests.conftest import RunningCloud

MODULES = Path(__file__).parents[1] / "modules"
ROLE = "app-restore-operator"
ACCOUNT = "arn:aws:iam::123456789012"


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def adopting() -> dict[str, Any]:
    """Return what the module lets the restore operator of "app" write into roles, as its file says."""
    parsed = hcl2.loads((MODULES / "recovery-roles/adopt.tf").read_text(encoding="utf-8"))
    (found,) = [one for one in parsed["locals"][0]["_adopts"] if '"iam:PutRolePolicy"' in one["Action"]]
    names = {"${var.account_id}": "123456789012", "${var.name}": "app"}
    resources = [one.strip('"') for one in found["Resource"]]
    for name, value in names.items():
        resources = [one.replace(name, value) for one in resources]
    return {"Effect": "Allow", "Action": ["iam:PutRolePolicy"], "Resource": resources}


def role_name(module: str, label: str) -> str:
    """Return the name that a module gives a role for the application "app", as its file says."""
    parsed = hcl2.loads((MODULES / module / "main.tf").read_text(encoding="utf-8"))
    roles = [one['"aws_iam_role"'] for one in parsed["resource"] if '"aws_iam_role"' in one]
    (role,) = [one[f'"{label}"'] for one in roles if f'"{label}"' in one]
    family = parsed["locals"][0].get("family", "")
    return str(role["name"]).replace("${local.family}", family).strip('"').replace("${var.name}", "app")


@pytest.fixture(scope="module")
def sent(cloud: RunningCloud) -> list[dict[str, Any]]:
    """What a restore operator sends whose applies give two roles another password to read."""
    iam = cloud.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    reads = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    for role in (ROLE, "app-app", "app-dump"):
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=policy(trust))
    trace = cloud.directory / "logs" / "trace.jsonl"
    before = len(trace.read_text().splitlines())
    for role in ("app-app", "app-dump"):
        iam.get_role(RoleName=role)
        iam.put_role_policy(RoleName=role, PolicyName="own", PolicyDocument=policy(reads))
    cloud.client("sns").create_topic(Name="t")
    return [json.loads(line) for line in trace.read_text().splitlines()[before:]]


def test_a_call_is_known_by_what_it_does_and_where_the_trace_tells_by_what_it_does_it_to(
    sent: list[dict[str, Any]],
) -> None:
    assert permissions.actions(sent) == {
        f"iam:GetRole on {ACCOUNT}:role/app-app",
        f"iam:GetRole on {ACCOUNT}:role/app-dump",
        f"iam:PutRolePolicy on {ACCOUNT}:role/app-app",
        f"iam:PutRolePolicy on {ACCOUNT}:role/app-dump",
        "sns:CreateTopic",
    }


def test_what_is_allowed_to_one_role_is_missing_for_the_other(cloud: RunningCloud, sent: list[dict[str, Any]]) -> None:
    iam = cloud.client("iam")
    looking = {"Effect": "Allow", "Action": "iam:Get*", "Resource": f"{ACCOUNT}:role/app-*"}
    topics = {"Effect": "Allow", "Action": ["sns:CreateTopic"], "Resource": "arn:aws:sns:*:123456789012:app-*"}
    writing = {"Effect": "Allow", "Action": ["iam:PutRolePolicy"], "Resource": [f"{ACCOUNT}:role/app-app"]}
    denied = {"Effect": "Deny", "Action": ["iam:GetRole"], "Resource": [f"{ACCOUNT}:role/app-d*"]}

    def refused(*statements: dict[str, Any]) -> list[str]:
        iam.put_role_policy(RoleName=ROLE, PolicyName="own", PolicyDocument=policy(*statements))
        return permissions.refused(permissions.actions(sent), iam, ROLE)

    assert refused(looking, topics, writing) == [f"iam:PutRolePolicy on {ACCOUNT}:role/app-dump"]
    assert refused(looking, topics, writing | {"Resource": "*"}) == []
    assert refused(looking, writing | {"Resource": "*"}) == ["sns:CreateTopic"]
    assert refused(looking, topics, writing | {"Resource": "*"}, denied) == [f"iam:GetRole on {ACCOUNT}:role/app-dump"]


def test_the_restore_operator_lets_the_application_and_the_dump_job_read_the_next_password(
    sent: list[dict[str, Any]],
) -> None:
    """Both modules write every generation's secret into a policy of their role, so that an adoption changes both."""
    document = {"Statement": [adopting()]}

    def may(role: str) -> bool:
        return permissions.allows([document], "iam:PutRolePolicy", f"{ACCOUNT}:role/{role}", {})

    readers = [role_name("app-instance", "this"), role_name("dump-job", "task")]
    assert readers == ["app-app", "app-dump"]
    assert [may(role) for role in (*readers, ROLE)] == [True, True, False]
