"""What a recovery file says of the database's generations beside what Terraform's state knows, and what it has to say."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from lifeboat.decisions import generations
from lifeboat.decisions.generations import Options

# What Terraform takes where no file says anything (terraform/stack/variables.tf).
FIRST = "g1"


@dataclass(frozen=True, kw_only=True)
class InState:
    """What Terraform's state knows of the generations: which there are, whose backups it has copied, which are unprotected."""

    recorded: Collection[str]
    copied: Collection[str]
    unprotected: Collection[str]
    active: str


def agreeing(text: str | None, known: InState) -> str | None:
    """Return the recovery file as the state says, None where none is needed; what it says of the instance stays.

    An exception (no copy of its backups, no protection) stays only where the state has it so: taking one away adds a copy or
    a protection, and nothing is lost by it. Raises IntegrityFailure where the file is not what we write.
    """
    present = generations.options(text, known.recorded)
    wanted = {
        name: _entry(name, said, known)
        for name, said in sorted(present.items(), key=lambda one: generations.number(one[0]))
    }
    if wanted == {FIRST: {}} and known.active == FIRST:
        return generations.without_any(text)
    return generations.file(text, wanted, known.active)


def _entry(name: str, said: Options, known: InState) -> Options:
    entry = dict(said)
    if name in known.copied:
        entry.pop("dr_copy", None)
    if name not in known.unprotected or name == known.active:
        entry.pop("retiring", None)
    # Every generation after the first one comes of a recovery.
    return entry if entry or name == FIRST else {"restored": True}


def differs(text: str | None, known: InState) -> bool:
    """Return whether an apply by this file would take away what the state knows, or lead the application elsewhere."""
    return said(agreeing(text, known)) != said(text)


def said(text: str | None) -> str:
    """Return in words what a recovery file says of the generations."""
    named = generations.named(text) or {FIRST: {}}
    active = generations.active_in(text) or FIRST
    return _words(
        {name: (bool(one.get("dr_copy", True)), bool(one.get("retiring", False))) for name, one in named.items()},
        active,
    )


def told(known: InState) -> str:
    """Return in the same words what Terraform's state knows of them."""
    return _words({name: (name in known.copied, name in known.unprotected) for name in known.recorded}, known.active)


def _words(found: dict[str, tuple[bool, bool]], active: str) -> str:
    """Return what is said of each: whether it serves, is being retired, has its backups copied to the other region."""
    lines = []
    for name in sorted(found, key=generations.number):
        copied, retiring = found[name]
        of_it = [
            "serves" if name == active else "",
            "being retired" if retiring else "",
            "" if copied or retiring else "backups not copied to the other region",
        ]
        told = ", ".join(part for part in of_it if part)
        lines.append(f"{name} ({told})" if told else name)
    return ", ".join(lines) or "none"
