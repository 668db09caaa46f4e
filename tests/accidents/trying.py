"""An accident tried: plain Terraform's answer beside ours, which is what the doctor names, typed until it finds nothing."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from lifeboat.state_model import LockMode, StateRoot

from tests.accidents import naive
from tests.accidents.happenings import Accident
from tests.accidents.naive import Answer, Ends
from tests.accidents.scene import Scene, Sound

REPORT = os.environ.get("LIFEBOAT_ACCIDENT_REPORT")
COMMANDS = 6  # more than any accident takes
SECONDS = 900
# What asks a person, who is not there.
_ASKS = re.compile(r"(lifeboat (?:state (?:restore|unlock|rebuild)|apply)\b[^&;]*?)(?=\s*(?:&&|;|$))")
# Terraform writes of its holder only what another machine may be called too.
_UNLOCKS = re.compile(r"(lifeboat state unlock)\b")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What the doctor found: by which check, in which words, and the command that it names."""

    check: str
    found: str
    command: str


@dataclass(frozen=True, kw_only=True)
class Typed:
    """A command that was typed because the doctor named it, and how it ended."""

    command: str
    status: int


@dataclass(frozen=True, kw_only=True)
class Naive:
    """Plain Terraform's answer, what its message says to do, and its answer once that was done."""

    plain: Answer
    advice: str | None
    afterwards: Answer | None

    @property
    def ends(self) -> Ends:
        return (self.afterwards or self.plain).ends


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of an accident in a lock mode: `wrong` is what is not as it was before, in words; nothing where all is."""

    accident: str
    mode: LockMode
    naive: Naive
    findings: tuple[Finding, ...]
    typed: tuple[Typed, ...]
    seconds: float
    wrong: tuple[str, ...]


def tried(scene: Scene, name: str, accident: Accident, reset: Callable[[], None]) -> Outcome:
    """Let it happen to a sound state, once for plain Terraform and once for us, and see that everything is as before."""
    reset()
    sound = scene.sound()
    accident.happens(scene)
    theirs = asked_plainly(scene)
    if theirs.advice is not None:  # which changed something
        reset()
        accident.happens(scene)
    before = set(scene.versions()) if scene.site.stack_store().bucket_exists() else set()
    began = time.monotonic()
    findings = doctor(scene)
    typed, wrong = repaired(scene, findings)
    if accident.applied:
        wrong += _applied(scene)
    return Outcome(
        accident=name,
        mode=scene.mode,
        naive=theirs,
        findings=tuple(findings),
        typed=tuple(typed),
        seconds=round(time.monotonic() - began, 1),
        wrong=(*wrong, *different(scene, sound), *_lost(before, scene)),
    )


def asked_plainly(scene: Scene) -> Naive:
    """Return plain Terraform's answer, and the one after what its own message says was done."""
    plain, printed = naive.plan(scene)
    advice = naive.advised(scene, printed) if plain.ends is Ends.REFUSES else None
    return Naive(plain=plain, advice=advice, afterwards=None if advice is None else naive.plan(scene)[0])


# -- ours --------------------------------------------------------------------------------------------------------------


def doctor(scene: Scene) -> list[Finding]:
    """Return what the doctor finds, in the order in which it says to repair it."""
    done = scene.rehearsal.lifeboat("state", "doctor", "-e", scene.env, "-o", "json")
    assert done.returncode in (0, 11), done.stdout + done.stderr
    checks = json.loads(done.stdout)["checks"]
    found = [
        Finding(
            check=f"{check['root'] or ''} {check['check']}".strip(),
            found=check["finding"]["found"],
            command=check["finding"]["command"],
        )
        for check in checks
        if check["finding"] is not None
    ]
    assert (done.returncode == 11) == bool(found), done.stdout
    return found


def repaired(scene: Scene, findings: list[Finding]) -> tuple[list[Typed], list[str]]:
    """Type what the doctor names first, ask it again, and so on until it finds nothing; return what does not repair."""
    typed: list[Typed] = []
    while findings and len(typed) < COMMANDS:
        first = findings[0]
        done = scene.rehearsal.run("bash", "-c", with_agreement(first.command), seconds=SECONDS)
        typed.append(Typed(command=first.command, status=done.returncode))
        before, findings = findings, doctor(scene)
        if [(one.check, one.command) for one in findings] == [(one.check, one.command) for one in before]:
            said = " ".join((done.stdout + done.stderr).split())[-1500:]
            return typed, [
                f"{first.command} ended with {done.returncode} and repaired nothing of {first.check}: {said}"
            ]
    return typed, [f"{one.check}: {one.found}" for one in findings]


def with_agreement(command: str) -> str:
    """Return a command with the answers of the person who would be asked, who saw the holder of a lock die."""
    return _UNLOCKS.sub(r"\1 --holder-is-dead", _ASKS.sub(r"\1 --yes", command))


def _applied(scene: Scene) -> list[str]:
    done = scene.rehearsal.lifeboat("apply", "-e", scene.env, "--yes", seconds=SECONDS)
    return [] if done.returncode == 0 else [f"the apply afterwards ended with {done.returncode}: {done.stderr[-1500:]}"]


def different(scene: Scene, sound: Sound) -> list[str]:
    """Return what is not as it was before an accident; both roots are planned by plain Terraform, side by side."""
    wrong = []
    with ThreadPoolExecutor() as pool:
        plans = list(pool.map(lambda root: (root, *naive.plan(scene, root)), StateRoot))
    for root, found, printed in plans:
        if found.status != 0:
            wrong.append(f"a plan of {root.value} ends with {found.status}, {found.says}: {printed[-1500:]}")
    now = scene.sound()
    changed = sorted(
        f"{address}: {sound.ids.get(address)} before, {now.ids.get(address)} now"
        for address in {*sound.ids, *now.ids}
        if sound.ids.get(address) != now.ids.get(address)
    )
    wrong += changed
    if now.counted != sound.counted:
        wrong.append(f"there are {dict(now.counted)}, and were {dict(sound.counted)}")
    return wrong + [f"{one.check} still: {one.found}" for one in doctor(scene)]


def _lost(before: set[str], scene: Scene) -> list[str]:
    gone = before - set(scene.versions())
    return [f"versions are gone: {', '.join(sorted(gone))}"] if gone else []


# -- the report --------------------------------------------------------------------------------------------------------


def report(outcome: Outcome) -> None:
    """Add an outcome to the report, where one is kept."""
    if REPORT:
        with Path(REPORT).open("a") as file:
            file.write(json.dumps(asdict(outcome)) + "\n")
