"""A scan as JUnit XML, which GitLab and Jenkins show as tests: a finding that fails, a rule that passes, what was not judged.

The elements are those that Jenkins takes (junit-10.xsd of its xunit plugin) and GitLab reads (doc/ci/testing/unit_test_reports.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from lifeboat.decisions.policy.formats.places import place, sentence
from lifeboat.decisions.policy.report import Report
from lifeboat.decisions.policy.reported import Place, Reported
from lifeboat.decisions.policy.rule import Verdict

# What XML 1.0 has no way to write (section 2.2), and a key of an instance may hold.
_UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, kw_only=True)
class _Case:
    rule: str
    name: str
    kind: str = ""  # failure, error or skipped; empty where it passed
    message: str = ""
    text: str = ""


def junit(report: Report) -> str:
    """Return the text of the file."""
    cases = list(_cases(report))
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.kind == "failure" for case in cases)),
        "errors": str(sum(case.kind == "error" for case in cases)),
    }
    root = ElementTree.Element("testsuites", counts)
    skipped = str(sum(case.kind == "skipped" for case in cases))
    name = _written(f"lifeboat scan {report.subject.name}")
    suite = ElementTree.SubElement(root, "testsuite", {"name": name, **counts, "skipped": skipped, "time": "0"})
    for case in cases:
        attributes = {"classname": case.rule, "name": _written(case.name), "time": "0"}
        element = ElementTree.SubElement(suite, "testcase", attributes)
        if case.kind:
            inner = ElementTree.SubElement(element, case.kind, {"message": _written(case.message)})
            inner.text = _written(case.text)
        elif case.text:
            ElementTree.SubElement(element, "system-out").text = _written(case.text)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _cases(report: Report) -> Iterator[_Case]:
    for number, reason in enumerate(report.not_valid, start=1):
        name = f"the scan is valid ({number})"
        yield _Case(rule="scan", name=name, kind="error", message="the scan is not valid", text=reason)
    if not report.not_valid:
        yield _Case(rule="scan", name="the scan is valid", text=report.subject.ground)
    if report.subject.warning:
        yield _Case(rule="scan", name="what this says nothing of", kind="skipped", message=report.subject.warning)
    for remark in report.remarks:
        yield _Case(rule="scan", name=remark, kind="skipped", message="to know", text=remark)
    for one in report.found:
        yield _of_finding(one, place(one, report))
    for late in report.put_off:
        yield _Case(rule=late.rule, name=late.text, kind="skipped", message="put off until it is built", text=late.text)
    for ended in report.rules:
        if ended.verdict is Verdict.CLEAN:
            yield _Case(rule=ended.rule.id, name=f"{ended.rule.title} ({len(ended.judged)})")
        elif ended.verdict is Verdict.ABSENT:
            message = "about nothing that is there"
            yield _Case(rule=ended.rule.id, name=ended.rule.title, kind="skipped", message=message)


def _of_finding(one: Reported, at: Place) -> _Case:
    text = f"{sentence(one)}\n{one.why}\n{one.change}"
    kind, message = ("failure", f"{one.severity.name.lower()}: {one.found}") if one.fails else ("", "")
    if one.waived is not None:
        kind, message = "skipped", one.waived.words
    text = f"{at.file}:{at.line}: {text}"
    return _Case(rule=one.rule, name=one.where, kind=kind, message=message, text=text)


def _written(text: str) -> str:
    return _UNWRITABLE.sub("\ufffd", text)
