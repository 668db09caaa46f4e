"""A scan as Markdown, to be put into a merge request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lifeboat.decisions.policy.counts import counted
from lifeboat.decisions.policy.formats.places import place
from lifeboat.decisions.policy.report import Report
from lifeboat.decisions.policy.reported import Place, Reported

# What Markdown or HTML would take for more than itself; an address can hold any of it in the key of an instance.
# An underscore inside of a word is none of it.
_SPECIAL = re.compile(r"([\\`*{}\[\]<>#!|~@&])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


def markdown(report: Report) -> str:
    """Return the text."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    ended = "not valid" if report.not_valid else "failed" if report.failing else "passed"
    yield f"## Disaster recovery scan of {_plain(report.subject.name)}: {ended}"
    yield ""
    yield (
        f"{_plain(report.subject.ground)}. {counted(report.resources, 'resource')}, {counted(len(report.rules), 'rule')}, "
        + (f"checkov {report.checkov}." if report.checkov else "without checkov.")
    )
    if report.subject.warning:
        yield from ("", f"**{_plain(report.subject.warning)}**")
    yield from _listed("Not valid, because", report.not_valid)
    open_, accepted = [one for one in report.found if one.waived is None], report.accepted
    if open_:
        yield from ("", "| severity | rule | where | found | wanted |", "|---|---|---|---|---|")
        yield from (_row(one, place(one, report)) for one in open_)
        whys = dict.fromkeys(f"{one.rule}: {one.why} {one.change}" for one in open_)
        yield from ("", *(f"- {_plain(text)}" for text in whys))
    if accepted:
        yield from ("", "### Accepted", "", "| severity | rule | where | found | accepted |", "|---|---|---|---|---|")
        yield from (_accepted(one, place(one, report)) for one in accepted)
    yield from _listed("Put off until it is built", [one.text for one in report.put_off])
    yield from _listed("To know", report.remarks)


def _row(one: Reported, at: Place) -> str:
    return _cells(one.severity.name.lower(), one.rule, _where(one, at), one.found, one.wanted)


def _accepted(one: Reported, at: Place) -> str:
    words = one.waived.words if one.waived else ""
    return _cells(one.severity.name.lower(), one.rule, _where(one, at), one.found, words)


def _where(one: Reported, at: Place) -> str:
    return f"{one.where} ({at.file}:{at.line})"


def _cells(*texts: str) -> str:
    return "| " + " | ".join(_plain(text) for text in texts) + " |"


def _listed(heading: str, texts: Iterable[str]) -> Iterator[str]:
    found = list(texts)
    if found:
        yield from ("", f"### {heading}", "", *(f"- {_plain(text)}" for text in found))


def _plain(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(_CONTROL.sub(" ", text).split()))
