"""Run by the scan tools' Python: what checkov reports of folders of Terraform files, rule by rule and file by file.

Standard input: {"folders": {name: {"folder": path, "var_files": [path], "plan": path or null}}, "plans": {name: path}}.
Standard output: for each folder the answers of our rules by file, what comments skip, and where a value that was read differs
from that of the plan; for each plan the rule and the address of every finding.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "terraform/policies/process"))

import lb_scan  # noqa: E402 (found there)


def _answers(scanner: Any, reports: Any) -> dict[str, dict[str, dict[str, Any]]]:
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for record in (*reports.report.failed_checks, *reports.report.passed_checks):
        if record.check_id in scanner.rules:
            answer = scanner.answer(reports, record)
            assert answer.result == record.check_result["result"]
            _put(found, record.file_path, record.check_id, answer)
    for (rule, _, file), answer in scanner.answers().items():
        if answer.abstains:
            _put(found, file, rule, answer)
    return found


def _put(found: dict[str, Any], file: str, rule: str, answer: Any) -> None:
    said = found.setdefault(Path(file).stem, {}).setdefault(
        rule, {"findings": [], "addresses": [], "passed": 0, "abstains": []}
    )
    said["findings"] += [one.found for one in answer.findings]
    said["addresses"] += [str(one.address) for one in answer.findings]
    said["passed"] += answer.result.value == "PASSED"
    said["abstains"] += [answer.abstains] if answer.abstains else []


def _differences(asked: dict[str, Any]) -> list[str]:
    """Return where a value that was read from the files is not that of the plan."""
    pack = sys.modules["lb_rules"]
    planned = {one.address: one for one in pack.reading.read(Path(asked["plan"]).read_bytes()).resources}
    read = {one.address: one for judgement in pack.MEMORY.judgements.values() for one in judgement.plan.resources}
    found = []
    compared = 0
    for address in sorted(set(planned) & set(read)):
        for name, value in dict(read[address].body.values).items():
            unknown = read[address].body.unknown.get(name)
            if unknown or name not in planned[address].body.values:
                continue
            compared += 1
            if not _alike(value, planned[address].body.values[name]):
                found.append(f"{address}: {name}")
        if read[address].region not in (None, planned[address].region):
            found.append(f"{address}: region")
    return [*found, f"{compared} values of {len(set(planned) & set(read))} resources compared"]


def _alike(read: Any, planned: Any) -> bool:
    """Return whether a value that was read is the planned one, which has more in it and may be of another type."""
    if isinstance(read, dict) and isinstance(planned, dict):
        return all(_alike(value, planned.get(name)) for name, value in dict(read).items())
    if isinstance(read, list) and isinstance(planned, list):
        ordered = len(read) == len(planned) and all(_alike(a, b) for a, b in zip(read, planned, strict=True))
        return ordered or sorted(map(str, read)) == sorted(map(str, planned))
    if isinstance(read, bool) or isinstance(planned, bool):
        return str(read).lower() == str(planned).lower()
    return read == planned or str(read) == str(planned)


def main() -> None:
    """Answer what is asked on standard input."""
    problems = lb_scan.Problems()
    lb_scan.refuse_connections(problems)
    scanner = lb_scan.Scanner(problems, [])
    answers: dict[str, Any] = {}
    question = json.load(sys.stdin)
    for name, asked in question["folders"].items():
        scanner.forget()
        reports = scanner.configuration(Path(asked["folder"]), asked["var_files"])
        answers[name] = {
            "answers": _answers(scanner, reports),
            "skipped": list(lb_scan.skipped(reports)),
            "differences": _differences(asked) if asked["plan"] else [],
        }
    plans: dict[str, Any] = {}
    for name, path in question.get("plans", {}).items():
        scanner.forget()
        plans[name] = [[one["rule"], one["address"]] for one in lb_scan.findings(scanner, scanner.plan(Path(path)))]
    json.dump({"names": answers, "plans": plans, "problems": list(problems.found)}, sys.stdout)


if __name__ == "__main__":
    main()
