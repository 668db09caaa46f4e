"""`make test-policy`: each variant planned and judged, beside checkov's own checks on the same files; a table of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifeboat.decisions.policy.registry import RULES

from tests.modules.conftest import terraform_in
from tests.rehearsal import ROOT
from tests.variants.edits import VARIANTS, Variant
from tests.variants.trees import Tree, judged, new_in, tree

_PLANS = ROOT / ".lifeboat" / "variants"
_TOOLS = ROOT / ".venv-scan" / "bin" / "python"
_QUIET = {"CKV_SKIP_PACKAGE_UPDATE_CHECK": "True", "LOG_LEVEL": "CRITICAL", "PATH": os.environ["PATH"]}
_HEAD = """\
# Seeded defects

Written by `make test-policy`: each variant is one edit of a module or of the stack's root, planned with the real Terraform for
production's first apply, and judged by lifeboat's rules on the plan. (Most of what `production.tfvars` could get wrong Terraform
refuses by itself: the modules validate it.) Beside it: what checkov {version} says of the same files by the checks that it brings,
all of them, on the configuration with that tfvars file and on the plan: those that fail only since the edit.

| # | rules that should find it | the defect | edited | found by | checkov's own |
|---|---|---|---|---|---|
"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What came of one variant: the rules that found it, or why there was no plan."""

    variant: Variant
    found: frozenset[str]
    refused: str = ""
    theirs: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        """Whether exactly the rules found it that should."""
        return self.found == self.variant.rules


def main(page: Path) -> int:
    """Judge every variant and write the page; returns 1 where one is not found by exactly the rules that should."""
    if not _TOOLS.exists():
        print("there is no .venv-scan with checkov in it: make scan-tools makes it", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        with terraform_in(folder / "terraform") as terraform:
            work = tree(terraform, folder / "tree", "stack", "state")
            ours, kept = _ours(work, folder / "kept")
        theirs = _theirs(kept)
    good = {"stack": theirs[0], "state": theirs[1]}
    rows = [
        Row(
            variant=row.variant,
            found=row.found,
            refused=row.refused,
            theirs=tuple(sorted({check for check, where in answer if (check, where) not in good[row.variant.root]})),
        )
        for row, answer in zip(ours, theirs[2:], strict=True)
    ]
    page.write_text(_page(rows), encoding="utf-8")
    wrong = [row for row in rows if not row.right]
    for row in wrong:
        print(f"NOT AS IT SHOULD: {row.variant.id}: {sorted(row.found)} {row.refused}", file=sys.stderr)
    print(_figures(rows))
    return 1 if wrong else 0


def _ours(work: Tree, kept: Path) -> tuple[list[Row], list[dict[str, Any]]]:
    """Return what the rules find in each variant, and where its files and plan are kept, the good ones first."""
    good, asked = {}, []
    for root in ("stack", "state"):
        document = _planned(work, root)
        good[root] = judged(document)
        asked.append(_keep(work, document, root, kept / f"good-{root}"))
    rows = []
    for number, variant in enumerate(VARIANTS, start=1):
        with work.having(variant):
            try:
                document = _planned(work, variant.root)
                scan = judged(document)
                found = {str(one.rule) for one in new_in(scan, good[variant.root])}
                refused = "; ".join(scan.not_valid)
            except AssertionError as refusal:
                found, refused = set(), next((line for line in str(refusal).splitlines() if "Error" in line), "no plan")
            rows.append(Row(variant=variant, found=frozenset(found), refused=refused))
            asked.append(_keep(work, document, variant.root, kept / str(number)))
        print(
            f"{number}/{len(VARIANTS)} {variant.id}: {', '.join(sorted(found))} {refused}", file=sys.stderr, flush=True
        )
    return rows, asked


def _planned(work: Tree, root: str) -> dict[str, Any]:
    """Return the plan of a root; of files that an earlier run has planned already it is kept, so that a run goes on."""
    known = _PLANS / f"{work.digest(root)}.json"
    if not known.exists():
        document = work.planned(root)
        _PLANS.mkdir(parents=True, exist_ok=True)
        unfinished = known.with_suffix(".new")
        unfinished.write_text(json.dumps(document), encoding="utf-8")
        unfinished.rename(known)
    found: dict[str, Any] = json.loads(known.read_text(encoding="utf-8"))
    return found


def _keep(work: Tree, document: dict[str, Any], root: str, place: Path) -> dict[str, Any]:
    ignore = shutil.ignore_patterns(".terraform", "plan", "*.tfstate*")
    for name in ("modules", f"terraform/{root}", "environments"):
        shutil.copytree(work.folder / name, place / name, ignore=ignore)
    plan = place / "plan.json"
    plan.write_text(json.dumps(document), encoding="utf-8")
    files = [str(place / "environments/production.tfvars")] if root == "stack" else []
    return {"folder": str(place / "terraform" / root), "var_files": files, "plan": str(plan)}


def _theirs(asked: Sequence[dict[str, Any]]) -> list[set[tuple[str, str]]]:
    """Return the checks of checkov's own that fail in each tree, with where."""
    done = subprocess.run(
        [str(_TOOLS), str(Path(__file__).with_name("builtins.py"))],
        input="".join(json.dumps(one) + "\n" for one in asked),
        env=_QUIET,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(answers) == len(asked), done.stderr[-2000:]
    # A scan that parsed nothing fails nothing: that would be no answer.
    assert all(failed and not errors for one in answers[:2] for failed, errors in one["counted"]), answers[0]["counted"]
    return [{(check, where) for check, where in one["failed"]} for one in answers]


def _page(rows: Sequence[Row]) -> str:
    done = subprocess.run(
        [str(_TOOLS), "-c", "from checkov.version import version; print(version)"],
        env=_QUIET,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [
        f"| {number} | {', '.join(sorted(row.variant.rules))} | {row.variant.what} | `{row.variant.edit.file}` |"
        f" {_found(row)} | {', '.join(row.theirs) or 'nothing'} |"
        for number, row in enumerate(rows, start=1)
    ]
    return _HEAD.format(version=done.stdout.strip()) + "\n".join(lines) + f"\n\n{_figures(rows)}\n"


def _found(row: Row) -> str:
    if row.right:
        return "these"
    return f"**{', '.join(sorted(row.found)) or 'nothing'}** {row.refused}".strip()


def _figures(rows: Sequence[Row]) -> str:
    right, seen = sum(row.right for row in rows), sum(bool(row.theirs) for row in rows)
    unseeded = sorted({rule.id for rule in RULES} - {rule for row in rows for rule in row.variant.rules})
    return (
        f"{right} of {len(rows)} variants are found by the rules that should, and by no other. Checkov's own checks say"
        f" something of {seen}, and nothing of {len(rows) - seen}.\n"
        f"No variant seeds a defect of {', '.join(unseeded)}: `tests/policies/seeded.py` seeds those into the plan itself."
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
