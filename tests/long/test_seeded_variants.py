"""Every defect that is edited into production's files is found by the rules that should, and by no other."""

from __future__ import annotations

import pytest
from lifeboat.decisions.policy.rule import Scan

from tests.modules.conftest import terraform as terraform  # noqa: PLC0414 (a fixture)
from tests.modules.terraform_runs import Terraform
from tests.variants.edits import VARIANTS, Variant
from tests.variants.trees import Tree, judged, new_in, tree


@pytest.fixture(scope="module")
def work(terraform: Terraform, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return tree(terraform, tmp_path_factory.mktemp("variants"), "stack", "state")


@pytest.fixture(scope="module")
def good(work: Tree) -> dict[str, Scan]:
    """What the rules say of the files as they are."""
    return {root: judged(work.planned(root)) for root in ("stack", "state")}


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.id)
def test_a_defect_in_the_files_is_found_by_the_rules_that_should(
    work: Tree, good: dict[str, Scan], variant: Variant
) -> None:
    with work.having(variant):
        scan = judged(work.planned(variant.root))

    assert {one.rule for one in new_in(scan, good[variant.root])} == variant.rules
    assert scan.not_valid == ()
    assert "hunter2-canary" not in repr(scan.findings)
