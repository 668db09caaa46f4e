"""A run's evidence as JUnit XML, which GitLab and Jenkins show as tests: objectives, steps, questions asked, what is left."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from lifeboat.decisions.evidence_overview import Overview, RunReport
from lifeboat.evidence_formats import words
from lifeboat.evidence_model import Bundle, Finding, Measured, Outcome, Wrong

# What XML 1.0 has no way to write (section 2.2), and a text of AWS may hold.
_UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, kw_only=True)
class _Case:
    """One test: `kind` is failure, error (nobody could look) or skipped; empty where it passed."""

    of: str
    name: str
    seconds: float = 0.0
    kind: str = ""
    message: str = ""


def of_run(report: RunReport) -> str:
    """Return the text of the file for one run."""
    found = report.bundle
    name = f"lifeboat {found.kind.value} {found.scope} {found.run}"
    return _written(name, [*_of_chain(report.findings), *_of_bundle(found)])


def of_all(overview: Overview) -> str:
    """Return the text of the file for all runs: a test for each bundle, and for each run that has none."""
    cases = list(_of_chain(overview.findings))
    for entry in overview.entries:
        if entry.bundle is None:
            cases.append(_Case(of="runs", name=f"bundle {entry.number}", kind="error", message=entry.damaged))
        else:
            cases.append(_outcome(entry.bundle))
    cases += [
        _Case(of="runs", name=run, kind="skipped", message=f"no evidence: {why}") for run, why in overview.without
    ]
    return _written(f"lifeboat evidence {overview.application}", cases)


def _of_chain(findings: tuple[Finding, ...]) -> Iterator[_Case]:
    if not findings:
        yield _Case(of="evidence", name="it is as it was written")
    for one in findings:
        kind = "error" if one.wrong in (Wrong.UNSEALED, Wrong.UNSEEN) else "failure"
        name = "the chain" if one.number is None else f"bundle {one.number}"
        yield _Case(of="evidence", name=name, kind=kind, message=one.text)


def _outcome(found: Bundle) -> _Case:
    kind = "" if found.outcome is Outcome.MET else "failure"
    took = (found.ended - found.began).total_seconds()
    message = found.why or found.outcome.value if kind else ""
    return _Case(of="runs", name=found.run, seconds=took, kind=kind, message=message)


def _of_bundle(found: Bundle) -> Iterator[_Case]:
    yield _outcome(found)
    for name, one in (("recovery time (RTO)", found.rto), ("data lost (RPO)", found.rpo)):
        if one is not None:
            yield _objective(name, one)
    last = max((step.attempt for step in found.steps), default=0)
    for step in found.steps:
        if step.attempt == last:
            bad = {"stopped": "failure", "left-open": "failure", "cut-off": "error"}.get(step.outcome, "")
            yield _Case(
                of="steps",
                name=step.title,
                seconds=step.seconds,
                kind=bad,
                message=step.why or step.outcome if bad else "",
            )
    yield from _of_proof(found)
    for made in found.left_over:
        message = "it was made, and nobody saw it go"
        yield _Case(of="clean-up", name=f"{made.type} {made.id}", kind="failure", message=message)


def _of_proof(found: Bundle) -> Iterator[_Case]:
    proof = found.proof
    if proof is None:
        return
    for line in proof.missing:
        yield _Case(of="data", name="no rows are missing", kind="failure", message=line)
    for line in proof.probe_findings:
        yield _Case(of="data", name="a question is answered as it shall be", kind="failure", message=line)
    if proof.probes and not proof.probe_findings:
        yield _Case(of="data", name=f"answered as they shall be: {', '.join(proof.probes)}")
    for line in proof.not_compared:
        yield _Case(of="data", name="compared", kind="error", message=f"not compared with {line}")


def _objective(name: str, one: Measured) -> _Case:
    if one.met:
        return _Case(of="objectives", name=name, seconds=one.seconds or 0.0)
    message = f"{words.length(one.seconds)}, of {words.length(one.objective_seconds)} allowed: {one.how}"
    return _Case(of="objectives", name=name, seconds=one.seconds or 0.0, kind="failure", message=message)


def _written(name: str, cases: list[_Case]) -> str:
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.kind == "failure" for case in cases)),
        "errors": str(sum(case.kind == "error" for case in cases)),
    }
    root = ElementTree.Element("testsuites", counts)
    more = {"skipped": str(sum(case.kind == "skipped" for case in cases)), "time": "0"}
    suite = ElementTree.SubElement(root, "testsuite", {"name": _plain(name), **counts, **more})
    for case in cases:
        about = {"classname": case.of, "name": _plain(case.name), "time": f"{case.seconds:.3f}"}
        element = ElementTree.SubElement(suite, "testcase", about)
        if case.kind:
            ElementTree.SubElement(element, case.kind, {"message": _plain(case.message)})
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _plain(text: str) -> str:
    return _UNWRITABLE.sub("?", text)
