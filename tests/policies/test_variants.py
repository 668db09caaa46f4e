"""One of the defects that `make test-policy` edits into the files; the rest is seeded into plans (test_real_plan.py)."""

from __future__ import annotations

from collections import Counter

import pytest
from lifeboat.decisions.policy.registry import BY_ID
from lifeboat.decisions.policy.rule import Scan

from tests.modules.conftest import terraform as terraform  # noqa: PLC0414 (a fixture)
from tests.modules.terraform_runs import Terraform
from tests.rehearsal import ROOT
from tests.variants.edits import VARIANTS, Variant
from tests.variants.trees import Tree, judged, new_in, tree

_SAMPLE = [one for one in VARIANTS if one.what == "no copies"]


@pytest.fixture(scope="module")
def work(terraform: Terraform, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return tree(terraform, tmp_path_factory.mktemp("variants"), "stack")


@pytest.fixture(scope="module")
def good(work: Tree) -> Scan:
    return judged(work.planned("stack"))


@pytest.mark.parametrize("variant", _SAMPLE, ids=lambda variant: variant.id)
def test_a_defect_in_the_files_is_found_by_the_rule_that_should(work: Tree, good: Scan, variant: Variant) -> None:
    with work.having(variant):
        scan = judged(work.planned(variant.root))

    assert {one.rule for one in new_in(scan, good)} == variant.rules


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.id)
def test_every_edit_still_finds_its_place(variant: Variant) -> None:
    before = (ROOT / variant.edit.file).read_text(encoding="utf-8")

    assert variant.edit.change(before) != before


def test_there_are_enough_of_them_each_with_a_name_of_its_own() -> None:
    assert len(VARIANTS) >= 40
    assert [name for name, count in Counter(one.id for one in VARIANTS).items() if count > 1] == []
    assert {rule for one in VARIANTS for rule in one.rules} <= BY_ID.keys()


def test_the_page_of_what_was_measured_tells_of_each() -> None:
    page = (ROOT / "docs" / "measured" / "seeded-defects.md").read_text(encoding="utf-8")

    assert [one.id for one in VARIANTS if f"| {one.what} | `{one.edit.file}` | these |" not in page] == []
