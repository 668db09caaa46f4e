"""docs/status.md is what the registry of checks says, and leads to what is there."""

from __future__ import annotations

import re
from pathlib import Path

from lifeboat.decisions.status.registry import CHECKS
from lifeboat.runbooks import status_page

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "status.md"


def test_the_page_is_what_the_checks_say() -> None:
    assert PAGE.read_text() == status_page.page(), "make docs"


def test_every_check_has_its_entry() -> None:
    text = PAGE.read_text()

    assert re.findall(r"^### (\S+)$", text, flags=re.MULTILINE) == [
        check.id for check in sorted(CHECKS, key=lambda check: list(type(check.asset)).index(check.asset))
    ]


def test_the_pages_that_it_links_are_there() -> None:
    for path in re.findall(r"\]\(([^)#]+)\)", PAGE.read_text()):
        assert (PAGE.parent / path).is_file(), path
    for path in re.findall(r"docs/runbooks/[a-z-]+\.md", PAGE.read_text()):
        assert (ROOT / path).is_file(), path
