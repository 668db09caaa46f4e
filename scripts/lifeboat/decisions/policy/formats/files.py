"""The files of a scan, by name: what a pipeline keeps of it."""

from __future__ import annotations

import json

from lifeboat.decisions.policy.formats.code_quality import code_quality
from lifeboat.decisions.policy.formats.document import document
from lifeboat.decisions.policy.formats.junit import junit
from lifeboat.decisions.policy.formats.markdown import markdown
from lifeboat.decisions.policy.formats.sarif import sarif
from lifeboat.decisions.policy.report import Report

NAMES = ("scan.json", "junit.xml", "scan.sarif", "gl-code-quality-report.json", "summary.md")


def files(report: Report) -> dict[str, str]:
    """Return the text of every file."""
    texts = (
        _json(document(report)),
        junit(report),
        _json(sarif(report)),
        _json(code_quality(report)),
        markdown(report),
    )
    return dict(zip(NAMES, texts, strict=True))


def _json(content: object) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
