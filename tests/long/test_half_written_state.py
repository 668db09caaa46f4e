"""Terraform killed while it wrote root 1's state leaves half a file; the next apply finds again what that knew."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.conftest import open_folder
from tests.faults.counted import existing, recorded
from tests.faults.killing import kill
from tests.rehearsal import Rehearsal, checkout, passed

STATE_FILE = Path(".lifeboat/local/state-root.tfstate")


# The buckets without their settings; most of the settings; both with their policies, and the stack under way.
@pytest.mark.parametrize("known", ["aws_s3_bucket", "aws_s3_bucket_versioning", "aws_s3_bucket_policy"])
def test_what_half_a_state_knew_is_adopted_and_the_half_is_kept(known: str) -> None:
    with open_folder() as folder:
        rehearsal = checkout(folder / "checkout")
        try:
            half = _half_written(rehearsal, known)

            repaired = rehearsal.run("make", "apply")

            passed(repaired)
            passed(rehearsal.lifeboat("plan", "--detailed-exitcode"))
            assert existing(rehearsal) == recorded(rehearsal)
            aside = list((rehearsal.root / STATE_FILE.parent).glob(f"{STATE_FILE.name}.damaged-*"))
            assert [path.read_bytes() for path in aside] == [half]
            assert aside[0].name in repaired.stderr
        finally:
            rehearsal.lifeboat("local", "down")


def _half_written(rehearsal: Rehearsal, known: str) -> bytes:
    """Kill a first apply once root 1's state knows something of that type, and leave half of that state."""
    apply = rehearsal.start("make", "apply")
    path = rehearsal.root / STATE_FILE
    wanted = f'"type": "{known}"'.encode()
    deadline = time.monotonic() + 300
    while not (path.exists() and wanted in path.read_bytes()):
        assert apply.poll() is None, "the apply ended before it was killed"
        assert time.monotonic() < deadline, f"the state never knew {known}"
        time.sleep(0.05)
    kill(apply)
    whole = path.read_bytes()
    half = whole[: len(whole) // 2]
    path.write_bytes(half)
    return half
