"""Production's configuration, read without a plan: it says nothing else than what Terraform made of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lifeboat.decisions.policy.rule import Scan

from tests.modules.conftest import terraform as terraform  # noqa: PLC0414 (a fixture)
from tests.modules.test_stack_plan import stack as stack  # noqa: PLC0414 (a fixture)
from tests.policies import scan_tools
from tests.policies.scan_tools import ANSWERS
from tests.policies.test_real_plan import judged as judged  # noqa: PLC0414 (a fixture)
from tests.policies.test_real_plan import production as production  # noqa: PLC0414 (a fixture)

_IDENTITY = """
name                 = "app-production"
environment          = "production"
account_id           = "123456789012"
region               = "eu-west-1"
dr_region            = "eu-central-1"
offline              = true
provider_max_retries = 0
"""


def test_its_configuration_read_alone_says_nothing_else(
    production: dict[str, Any], judged: Scan, tmp_path: Path
) -> None:
    plan, identity = tmp_path / "plan.json", tmp_path / "identity.tfvars"
    plan.write_text(json.dumps(production), encoding="utf-8")
    identity.write_text(_IDENTITY, encoding="utf-8")
    asked = {
        "folder": str(scan_tools.ROOT / "terraform/stack"),
        "var_files": [str(scan_tools.ROOT / "environments/production.tfvars"), str(identity)],
        "plan": str(plan),
    }

    done = scan_tools.run("python", str(ANSWERS), given=json.dumps({"folders": {"stack": asked}}))

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    said = list(answer["names"]["stack"]["answers"].values())
    found = {(rule, text) for rules in said for rule, one in rules.items() for text in one["findings"]}
    assert answer["problems"] == []
    assert found <= {(str(one.rule), one.found) for one in judged.findings}
    assert sum(one["passed"] for rules in said for one in rules.values()) >= 15
    # What was read of the files is what Terraform made of them, value by value.
    *differences, compared = answer["names"]["stack"]["differences"]
    assert differences == []
    assert int(compared.split()[0]) >= 150, compared
