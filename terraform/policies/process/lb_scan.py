"""Runs checkov once, in its own virtual environment: a question in JSON on standard input, an answer in JSON on standard output.

Both of checkov's runners are used as classes, in one process: its start takes longer than its work. What plain checkov ends
with 0 in spite of (a pack that is not there, a file that cannot be parsed, a check that raises) is a problem in the answer.
No text of the answer holds a value of a plan or of a variable.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

POLICIES = Path(__file__).resolve().parents[1]
CANARY = POLICIES / "canary"
# What must be found in the canary, or the scan looked at nothing.
CANARY_RULES = ("LB_RDS_1", "LB_RDS_3")
CANARY_BUILT_IN = "CKV_AWS_157"
# Messages of checkov that name a check, a file or a resource, and never a value.
_HARMLESS = re.compile(
    r"Failed to run check \S+ on \S+|Cannot load external check '\w+'|Failed to load external check|Did not find context for key"
)


@dataclass(kw_only=True)
class Problems:
    """What went wrong, each thing once."""

    found: dict[str, None] = field(default_factory=dict)

    def add(self, what: str) -> None:
        """Remember a problem."""
        self.found.setdefault(what)


class Errors(logging.Handler):
    """Takes every error that checkov logs for a problem of the scan."""

    def __init__(self, problems: Problems) -> None:
        super().__init__(logging.ERROR)
        self._problems = problems

    def emit(self, record: logging.LogRecord) -> None:
        """Remember that an error was logged: its words only where they are known to hold no value."""
        words = _HARMLESS.match(record.getMessage())
        said = words.group() if words else f"checkov logged an error in {record.module}, line {record.lineno}"
        raised = record.exc_info[0] if record.exc_info else None
        self._problems.add(f"{said} ({raised.__name__})" if raised else said)


def refuse_connections(problems: Problems) -> None:
    """Let no connection be made from here on, and no name be looked up: checkov would ask for newer versions of itself."""

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        network = event in ("socket.getaddrinfo", "socket.gethostbyname") or (
            event in ("socket.connect", "socket.sendto") and isinstance(arguments[-1], tuple)
        )
        if network:
            problems.add(f"checkov tried to reach the network ({event})")
            raise ConnectionRefusedError("a scan asks nobody")

    sys.addaudithook(look)


@dataclass(kw_only=True)
class Reports:
    """What checkov reported of one input."""

    source: str
    root: Path
    report: Any
    graphs: list[Any]


class Scanner:
    """checkov with the pack loaded."""

    def __init__(self, problems: Problems, built_in: list[str]) -> None:
        from checkov.common.checks.base_check_registry import BaseCheckRegistry
        from checkov.common.checks_infra.registry import get_graph_checks_registry
        from checkov.terraform.checks.resource.registry import resource_registry
        from checkov.terraform.runner import Runner

        self._runner = Runner  # with it come the checks of providers and data sources
        # checkov keeps whatever it logs in memory, down to the last value.
        logging.getLogger().setLevel(logging.ERROR)
        logging.getLogger().addHandler(Errors(problems))
        self._problems = problems
        resource_registry.load_external_checks(str(POLICIES))
        self._pack = sys.modules.get("lb_rules")
        graph_checks = get_graph_checks_registry("terraform")
        graph_checks.load_checks()
        checks = (*BaseCheckRegistry.get_all_registered_checks(), *graph_checks.checks)
        known = {check.id for check in checks}
        self.rules = [str(rule.id) for rule in getattr(self._pack, "RULES", ())]
        self.built_in = [one for one in built_in if one in known]
        for one in built_in:
            if one not in known:
                problems.add(f"checkov has no check {one}")
        self.unanswered: Counter[str] = Counter()
        for check in checks:
            if check.id in self.built_in:
                self._note_what_it_does_not_answer(check)
        missing = [one for one in self.rules if one not in known]
        if missing or not self.rules:
            problems.add(f"the pack in terraform/policies was not loaded: {', '.join(missing) or 'it has no rule'}")

    def _note_what_it_does_not_answer(self, check: Any) -> None:
        """Count what a check is asked about and says UNKNOWN of, which checkov reports nowhere: it looked all the same."""
        ask = check.run

        def run(*arguments: Any, **named: Any) -> Any:
            said = ask(*arguments, **named)
            if isinstance(said, tuple):  # a check on the graph: what passed, what failed, of what it cannot tell
                self.unanswered[check.id] += len(said[2])
            else:
                self.unanswered[check.id] += said["result"].value == "UNKNOWN"
            return said

        check.run = run

    def configuration(self, root: Path, var_files: list[str]) -> Reports:
        """Return what checkov says of a root of Terraform: its own checks, and the rules that a configuration can answer."""
        runner = self._runner()
        report = runner.run(
            root_folder=str(root), runner_filter=self._filter("terraform", [*self.rules, *self.built_in], var_files)
        )
        graphs = [graph for graph, _ in runner.all_graphs]
        return self._looked(Reports(source="hcl", root=root, report=report, graphs=graphs))

    def plan(self, file: Path) -> Reports:
        """Return what the rules say of a plan inside checkov: its own checks take what is not known yet for missing there."""
        from checkov.terraform.plan_runner import Runner

        runner = Runner()
        report = runner.run(files=[str(file)], runner_filter=self._filter("terraform_plan", self.rules, []))
        graph = getattr(runner.graph_manager.db_connector, "graph", None)
        return self._looked(
            Reports(source="plan", root=file.parent, report=report, graphs=[] if graph is None else [graph])
        )

    def _filter(self, framework: str, checks: list[str], var_files: list[str]) -> Any:
        from checkov.runner_filter import RunnerFilter

        return RunnerFilter(
            framework=[framework],
            checks=checks or ["NONE"],
            var_files=var_files or None,
            download_external_modules=False,
            show_progress_bar=False,
        )

    def _looked(self, reports: Reports) -> Reports:
        for file in reports.report.parsing_errors:
            self._problems.add(f"{_relative(file, reports.root)} cannot be parsed")
        if not resource_types(reports):
            self._problems.add(f"checkov found no resource in the {'plan' if reports.source == 'plan' else 'files'}")
        return reports

    def answer(self, reports: Reports, record: Any) -> Any:
        """Return what a rule of ours said of the resource of a record; None for one of checkov's own checks."""
        memory = getattr(self._pack, "MEMORY", None)
        key = (record.check_id, str(record.resource), record.file_path)
        return None if memory is None else memory.answers.get(key)

    def answers(self) -> Mapping[tuple[str, str, str], Any]:
        """Return every answer of our rules since they were forgotten."""
        memory = getattr(self._pack, "MEMORY", None)
        return {} if memory is None else memory.answers

    def forget(self) -> None:
        """Forget the answers: the next input is another one."""
        memory = getattr(self._pack, "MEMORY", None)  # of a file with a mistake, half was loaded
        if memory is not None:
            memory.answers.clear()
        self.unanswered.clear()


# -- what is answered --------------------------------------------------------------------------------------------------


def resource_types(reports: Reports) -> set[str]:
    """Return the types of the resources that checkov parsed."""
    nodes = (node for graph in reports.graphs for _, node in graph.nodes())
    return {str(node["block_name_"]).partition(".")[0] for node in nodes if node["block_type_"] == "resource"}


def findings(scanner: Scanner, reports: Reports) -> Iterator[dict[str, Any]]:
    """Yield what was found wrong, one by one."""
    for record in reports.report.failed_checks:
        common = {
            "rule": record.check_id,
            "file": _relative(record.file_abs_path, reports.root),
            "lines": _lines(record),
            "source": reports.source,
        }
        answer = scanner.answer(reports, record)
        if answer is None:
            yield {**common, "address": str(record.resource), "found": str(record.check_name)}
            continue
        for one in answer.findings:
            yield {**common, "address": str(one.address), "found": one.found, "wanted": one.wanted}


def skipped(reports: Reports) -> Iterator[dict[str, Any]]:
    """Yield what comments keep from being looked at."""
    for record in reports.report.skipped_checks:
        yield {
            "rule": record.check_id,
            "address": str(record.resource),
            "reason": str(record.check_result.get("suppress_comment") or ""),
            "file": _relative(record.file_abs_path, reports.root),
            "line": _lines(record)[0],
        }


def evaluated(scanner: Scanner, reports: Reports) -> Counter[str]:
    """Return of how many resources each check said something; of a plan, that a rule cannot tell yet is an answer too."""
    found: Counter[str] = Counter()
    report = reports.report
    for record in (*report.passed_checks, *report.failed_checks, *report.skipped_checks):
        found[record.check_id] += 1
    found.update(_abstained(scanner) if reports.source == "plan" else ())
    return found


def _abstained(scanner: Scanner) -> Iterator[str]:
    return (rule for (rule, _, _), answer in scanner.answers().items() if answer.abstains)


def _lines(record: Any) -> list[int]:
    first, last, *_ = [*(record.file_line_range or []), 1, 1]
    return [max(int(first or 1), 1), max(int(last or 1), 1)]


def _relative(file: Any, root: Path) -> str:
    return os.path.relpath(str(file), root)


# -- the run -----------------------------------------------------------------------------------------------------------


def run(question: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to a question (lifeboat/clients/checkov.py)."""
    problems = Problems()
    refuse_connections(problems)
    from checkov.version import version

    scanner = Scanner(problems, list(question["built_in"]))
    with_plan = question["plan"] is not None
    _canary(scanner, problems, with_plan=with_plan)
    answer: dict[str, Any] = {
        "findings": [],
        "skipped": [],
        "evaluated": dict.fromkeys([*scanner.rules, *scanner.built_in], 0),
        "abstained": dict.fromkeys([*scanner.rules, *scanner.built_in], 0),
        "resource_types": set(),
        "checkov_version": version,
    }
    inputs = [lambda: scanner.configuration(Path(question["root"]), list(question["var_files"]))]
    if with_plan:
        inputs.append(lambda: scanner.plan(Path(question["plan"])))
    for look in inputs:
        scanner.forget()
        reports = look()
        answer["findings"] += findings(scanner, reports)
        answer["skipped"] += skipped(reports)
        answer["resource_types"] |= resource_types(reports)
        for rule, count in evaluated(scanner, reports).items():
            answer["evaluated"][rule] = answer["evaluated"].get(rule, 0) + count
        if reports.source == "hcl":
            for rule in (*_abstained(scanner), *scanner.unanswered.elements()):
                answer["abstained"][rule] += 1
    answer["resource_types"] = sorted(answer["resource_types"])
    answer["problems"] = list(problems.found)
    return answer


def _canary(scanner: Scanner, problems: Problems, *, with_plan: bool) -> None:
    """Look at what is known to be bad: who finds nothing wrong with it does not look."""
    wanted = [*CANARY_RULES, *(one for one in scanner.built_in if one == CANARY_BUILT_IN)]
    looks = [("configuration", lambda: scanner.configuration(CANARY, []), wanted)]
    if with_plan:
        looks.append(("plan", lambda: scanner.plan(CANARY / "plan.json"), list(CANARY_RULES)))
    for what, look, rules in looks:
        scanner.forget()
        found = {record.check_id for record in look().report.failed_checks}
        for rule in rules:
            if rule not in found:
                problems.add(f"{rule} finds nothing wrong with the {what} that is known to be bad: it looks at nothing")


def main() -> int:
    """Answer the question on standard input. Whatever else is printed meanwhile goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        answer = run(json.load(sys.stdin))
    except Exception as error:  # its words may hold a value
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = f" in {Path(place.tb_frame.f_code.co_filename).name}, line {place.tb_lineno}" if place else ""
        sys.stderr.write(f"{type(error).__name__}{where}\n")
        return 1
    with answers:
        json.dump(answer, answers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
