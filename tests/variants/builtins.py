"""Checkov's own checks on many trees in one process, run by the scan tools' own Python: folders in, failures out, as JSON."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any


def main() -> int:
    """Read {folder, var_files, plan} lines, and print the checks that fail in each, with where."""
    from checkov.runner_filter import RunnerFilter  # noqa: PLC0415 (only that Python has it)
    from checkov.terraform.plan_runner import Runner as PlanRunner  # noqa: PLC0415
    from checkov.terraform.runner import Runner  # noqa: PLC0415

    logging.disable(logging.CRITICAL)
    for line in sys.stdin:
        asked: dict[str, Any] = json.loads(line)
        files = RunnerFilter(framework=["terraform"], var_files=asked["var_files"])
        plan = RunnerFilter(framework=["terraform_plan"])
        reports = [
            Runner().run(root_folder=asked["folder"], runner_filter=files),
            PlanRunner().run(root_folder=None, files=[asked["plan"]], runner_filter=plan),
        ]
        found = [[record.check_id, record.resource] for report in reports for record in report.failed_checks]
        counted = [[len(report.failed_checks), len(report.parsing_errors)] for report in reports]
        print(json.dumps({"failed": found, "counted": counted}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
