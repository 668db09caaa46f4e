"""`lifeboat scan` and `lifeboat policy`: a plan judged by the rules of disaster recovery, and the rules themselves."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

from lifeboat.decisions.policy import judging, reading
from lifeboat.decisions.policy.registry import BY_ID, RULES
from lifeboat.decisions.policy.rule import AnyRule, Scan, Standing
from lifeboat.errors import DONE, Failed, ScanNotValid, WrongConfiguration

STANDARD_INPUT = "-"


def of_file(name: str, standing: Standing) -> Scan:
    """Return what the rules say of the plan in a file, or of the one on standard input."""
    return judging.scanned(reading.read(_text(name)), standing=standing)


def status(scan: Scan) -> int:
    """Return the exit status: a scan that cannot vouch for everything is not valid, whatever else it found."""
    if scan.not_valid:
        return ScanNotValid.exit_status
    return Failed.exit_status if scan.failing else DONE


def rule(name: str) -> AnyRule:
    """Return the rule of an id, in whatever case it was typed. Raises WrongConfiguration where there is none."""
    found = BY_ID.get(name.upper())
    if found is None:
        near = difflib.get_close_matches(name.upper(), [one.id for one in RULES], n=1)
        raise WrongConfiguration(
            f"there is no rule {name}",
            hint=f"lifeboat policy explain {near[0]}" if near else "lifeboat policy list shows every rule",
        )
    return found


def _text(name: str) -> bytes:
    if name == STANDARD_INPUT:
        return sys.stdin.buffer.read()
    path = Path(name)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ScanNotValid(
            f"there is no file {name}", hint="terraform show -json stack.plan > plan.json makes one of a saved plan"
        ) from None
    except IsADirectoryError:
        raise ScanNotValid(f"{name} is a folder; the JSON of a plan is wanted") from None
