"""docs/evidence.md and its schema say what is stored."""

from __future__ import annotations

import json
import re
from pathlib import Path

from jsonschema import Draft202012Validator
from lifeboat.decisions.evidence_controls import CONTROLS
from lifeboat.runbooks import evidence_page

from tests.evidence_runs import bundle, chained, drill

DOCS = Path(__file__).parents[2] / "docs"


def test_the_schema_is_that_of_the_nouns() -> None:
    assert (DOCS / "evidence.schema.json").read_text() == evidence_page.page(), "run `make docs`"


def test_what_is_stored_is_as_the_published_schema_says() -> None:
    check = Draft202012Validator(json.loads((DOCS / "evidence.schema.json").read_text()))

    for body in chained(bundle(), drill(1)):
        check.validate(json.loads(body))


def test_the_page_names_the_controls_that_are_answered_and_no_other() -> None:
    text = (DOCS / "evidence.md").read_text().partition("## Controls")[2]
    rows = re.findall(r"^\| (.+?) \| (.+?) \|", text, flags=re.MULTILINE)

    assert rows[0] == ("control", "asks for")
    assert rows[1:] == [(f"{one.framework.value} {one.control}", one.asks) for one in CONTROLS]
