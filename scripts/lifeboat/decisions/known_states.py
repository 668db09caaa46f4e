"""Which state is to be on top, by what is remembered outside it; what contradicts that, and what may be written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from lifeboat.model import StateMark
from lifeboat.state_model import KnownState, Memory, OwnedThing, StateEntry, StateRoot, VersionId

TWICE = "a plan would make everything a second time"
_NAMED = 8  # of the signs that there was a state


class Purpose(StrEnum):
    """What a state is to be planned for."""

    APPLY = "apply"
    FIRST_APPLY = "first apply"
    PLAN = "plan"
    RECOVER = "recover"
    DESTROY = "destroy"


class Amiss(StrEnum):
    """How a state contradicts what is remembered of it."""

    GONE = "gone"
    FOREIGN = "of another lineage"
    BEHIND = "older than the remembered one"
    ANOTHER = "another one of the same serial"
    FORKED = "a later one that does not go on from it"


def counting(memory: Memory) -> StateMark | None:
    """Return the state that counts of what is remembered; None where nothing is.

    The other region is asked by all machines, and another lineage gets there only when somebody agreed to it: its lineage
    counts. Of the same lineage the higher serial counts, since what this machine found sound may not have got there.
    """
    if memory.there is None:
        return memory.here
    there = memory.there.mark
    ahead = memory.here is not None and memory.here.lineage == there.lineage and memory.here.serial > there.serial
    return memory.here if ahead else there


def goes_on(here: StateMark, other: StateMark, base: str | None, there: KnownState | None) -> bool:
    """Return whether root 1's working copy is newer than a state of the bucket, and made from it or once in its place.

    A serial alone says that of two applies which were made from one state too. `base` is the MD5 of what was in the bucket when
    the copy was last fetched or given, None where nobody knows; what the other region remembers (`there`) all machines saw last.
    """
    newer = here.lineage == other.lineage and here.serial > other.serial
    return newer and (other.md5 == base or stood(here, base, there))


def stood(here: StateMark, base: str | None, there: KnownState | None) -> bool:
    """Return whether root 1's working copy, as it is, was the state that stood in the bucket."""
    return here.md5 == base or (there is not None and there.mark == here)


def aside(here: StateMark, top: StateMark, base: str | None, there: KnownState | None) -> bool:
    """Return whether the working copy was made from another state than the one in the bucket, and never stood there."""
    of_one = here.lineage == top.lineage and here != top
    return of_one and top.md5 != base and not stood(here, base, there)


def here_alone(memory: Memory) -> bool:
    """Return whether it is this machine alone that remembers the state that counts."""
    return memory.here is not None and (memory.there is None or counting(memory) != memory.there.mark)


def remembers(memory: Memory) -> str:
    """Return in words what is remembered, and by whom."""
    known = counting(memory)
    if known is None:
        return "nothing is remembered of it"
    what = f"serial {known.serial} of lineage {known.lineage}"
    if memory.there is None or here_alone(memory):
        return f"this machine remembers {what}"
    return f"the other region remembers {what}, {noted(memory.there)}"


def noted(known: KnownState) -> str:
    """Return when and by whom a state was written down."""
    return f"written down at {known.at:%Y-%m-%d %H:%M:%S}Z by {known.by} (run {known.run})"


def amiss(top: StateMark | None, memory: Memory) -> Amiss | None:
    """Return how the state on top (None: there is none) contradicts what is remembered; None where it does not."""
    known = counting(memory)
    if known is None or top == known:
        return None
    if top is None:
        return Amiss.GONE
    if top.lineage != known.lineage:
        return Amiss.FOREIGN
    if top.serial < known.serial:
        return Amiss.BEHIND
    return Amiss.ANOTHER if top.serial == known.serial else None


# -- what is refused ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Stood:
    """How a state stands: what is on top, else how it was lost (`how`, a clause) and what is left of it.

    `damaged` is that no state stands on top, but something. `versions` are those below it, `copies` those in the other region;
    `traces` is true where anything says that there was a state, `digest` where a digest does. `working_copy` is that `top` is
    root 1's on this machine, and nothing stands in the bucket; `beneath` is the older one that stands there then. `forget` makes
    this machine forget what it remembers. Where the history left the remembered state, `other` is the version that did, `kept`
    the newest that goes on from that state, or `copy` that state in the other region. `unseen` says why nobody could see
    whether it did.
    """

    env: str
    root: StateRoot
    url: str
    top: StateMark | None
    how: str = ""
    bucket: bool
    damaged: bool = False
    versions: bool = False
    traces: bool = False
    digest: bool = False
    working_copy: bool = False
    beneath: StateMark | None = None
    copies: bool = False
    kept: VersionId | None = None
    copy: VersionId | None = None
    other: VersionId | None = None
    unseen: str = ""
    forget: str


def refusal(stood: Stood, memory: Memory, found: Amiss) -> tuple[str, str]:
    """Return what is to be said of a state that contradicts what is remembered, and the command to type."""
    if found is Amiss.GONE or stood.top is None:
        return f"{stood.how}, and {remembers(memory)}: {_comes_of(stood)}", way_back(stood) + _unless_wrong(
            stood, memory
        )
    saw = f"the state {stood.url} has serial {stood.top.serial} of lineage {stood.top.lineage}"
    ours = f"lifeboat state restore --latest-good{_option(stood)} -e {stood.env}"
    if found is Amiss.FOREIGN:
        listing = f"lifeboat state list{_option(stood)} -e {stood.env}"
        return (
            f"{saw}, and {remembers(memory)}: it is not the state of {stood.env}",
            f"{ours} puts our own on top again; where the other lineage is the right one: {listing}, then lifeboat state"
            f" restore VERSION --allow-lineage{_option(stood)} -e {stood.env}" + _unless_wrong(stood, memory),
        )
    if found is Amiss.BEHIND:
        why = "it is an older one, which does not know what was made since"
        return f"{saw}, and {remembers(memory)}: {why}", f"{ours}{_unless_wrong(stood, memory)}"
    why = (
        "that serial was written twice, and this is not the state that was found sound"
        if found is Amiss.ANOTHER
        else f"it does not go on from that: version {stood.other} was written by somebody who did not know what came before"
    )
    return f"{saw}, and {remembers(memory)}: {why}", f"{_back_on_the_line(stood)}{_unless_wrong(stood, memory)}"


def _comes_of(stood: Stood) -> str:
    """Return what a plan would come to with a state that is lost (measured with Terraform 1.11)."""
    if stood.damaged:
        return "Terraform cannot read it, and plans nothing"
    if stood.digest:
        return "Terraform plans nothing while the digest of what is gone is left"
    return "a plan would take all that root 1 made for new" if stood.root is StateRoot.BACKEND else TWICE


def _back_on_the_line(stood: Stood) -> str:
    """Return the command that puts the newest state on top that goes on from the remembered one."""
    restore = f"lifeboat state restore {{}}{_option(stood)} -e {stood.env}"
    if stood.kept is not None:
        return restore.format(stood.kept)
    if stood.copy is not None:
        return restore.format(f"{stood.copy} --from-replica")
    return (
        f"lifeboat state doctor -e {stood.env}; lifeboat state list{_option(stood)} -e {stood.env} shows every version"
    )


def refused_first(stood: Stood, memory: Memory) -> tuple[str, str]:
    """Return what is to be said of a first apply of what was applied before, and the command to type."""
    back = way_back(stood) if stood.top is None else f"lifeboat apply -e {stood.env}"
    return f"{stood.env} was applied before: {remembers(memory)}", back + _unless_wrong(stood, memory)


def not_put_back(stood: Stood, here: StateMark, newest: StateEntry) -> tuple[str, str]:
    """Return what is to be said where root 1's state is gone and the working copy does not go on from its newest version."""
    serial = "an unknown serial" if newest.facts is None else f"serial {newest.facts.serial}"
    return (
        f"{stood.url} is gone, and its newest version, {newest.version_id} of {serial}, is not what this machine's working copy"
        f" (serial {here.serial}) was made from: what it knows would be lost",
        f"lifeboat state restore --latest-good{_option(stood)} -e {stood.env}",
    )


def left_over(stood: Stood, purpose: Purpose) -> tuple[str, str]:
    """Return what is to be said of a state that is gone, of which nothing is remembered and something is left."""
    first = (
        f"; where this is truly a first apply, and nothing that they know exists: lifeboat apply --first-apply -e {stood.env}"
        if purpose in (Purpose.APPLY, Purpose.PLAN)
        else ""
    )
    return f"{stood.how}: {_comes_of(stood)}", way_back(stood) + first


def owned(stood: Stood, signs: Sequence[str], purpose: Purpose) -> tuple[str, str]:
    """Return what is to be said where nothing is left of a state, and AWS has what it made; and the command to type."""
    first = (
        f"; where nothing of that is of the stack: lifeboat apply --first-apply -e {stood.env}"
        if purpose in (Purpose.APPLY, Purpose.PLAN)
        else ""
    )
    return (
        f"{stood.how}, and nothing is remembered of it, but {stood.env} was applied before: {_listed(signs)}; {_comes_of(stood)}",
        way_back(stood) + first,
    )


def is_of(entry: StateEntry, env: str) -> bool:
    """Return whether a version can be read, knows anything, and says that it is of this environment."""
    return entry.facts is not None and entry.facts.resources > 0 and entry.facts.environment == env


def was_there(stood: Stood, entry: StateEntry) -> tuple[str, str]:
    """Return what is to be said of a first apply where a version tells that there was one, and the command to type."""
    known = 0 if entry.facts is None else entry.facts.resources
    return (
        f"{stood.env} was applied before: version {entry.version_id} of {stood.url} has {known} resources, and says that they"
        f" are of {stood.env}",
        f"{way_back(stood)}; of a state that is back an apply makes again what does not exist any more",
    )


def beside(stood: Stood, things: Sequence[OwnedThing]) -> str:
    """Return what somebody agrees to who begins anew where things bear the environment's tags."""
    return f"make everything of {stood.env} beside what bears its tags and is no state's: {_listed(named(things))}"


def named(things: Sequence[OwnedThing]) -> list[str]:
    """Return each thing in words."""
    return [f"{thing.kind} {thing.name} in {thing.region} bears its tags" for thing in things]


def _listed(signs: Sequence[str]) -> str:
    more = f" and {len(signs) - _NAMED} more" if len(signs) > _NAMED else ""
    return f"{', '.join(signs[:_NAMED])}{more}"


def way_back(stood: Stood) -> str:
    """Return the command by which a state that is gone comes back."""
    if not stood.bucket:
        return f"lifeboat state doctor -e {stood.env} names what makes the bucket again, empty, and what puts the state into it"
    if stood.versions:
        return f"lifeboat state restore --latest-good{_option(stood)} -e {stood.env}"
    if stood.copies:
        return f"lifeboat state restore --from-replica{_option(stood)} -e {stood.env}"
    if stood.root is StateRoot.BACKEND:
        return f"lifeboat apply -e {stood.env} finds what root 1 made by its names, and asks before it begins a new state of it"
    return f"lifeboat state rebuild -e {stood.env}"


def _option(stood: Stood) -> str:
    return "" if stood.root is StateRoot.STACK else f" --root {stood.root.value}"


def _unless_wrong(stood: Stood, memory: Memory) -> str:
    """Return how this machine forgets, where it alone contradicts what stands there."""
    return f"; where this machine remembers the wrong one: {stood.forget}" if here_alone(memory) else ""


def planned_from_another(let_pass: StateMark | None, serial: int, lineage: str) -> str | None:
    """Return why a plan was not made of the state that was let pass, nor of one after it; None where it was.

    A plan says serial 0 and no lineage where it found no state. Where none was there to let pass (None), what a killed apply
    could not save may have become the state since.
    """
    if let_pass is None or (serial >= let_pass.serial and lineage == let_pass.lineage):
        return None
    made = f"of serial {serial} of lineage {lineage}" if lineage else "with no state at all"
    return f"serial {let_pass.serial} of lineage {let_pass.lineage} stood there, and the plan was made {made}"


# -- what is written down ----------------------------------------------------------------------------------------------


def forbidden(found: KnownState | None, mark: StateMark) -> str | None:
    """Return why a sound state must not take the place of the one that is written down; None where it may."""
    if found is not None and found.mark.lineage != mark.lineage:
        return (
            f"lineage {found.mark.lineage} is remembered there, and another one, {mark.lineage}, only takes its place when"
            " somebody agreed to it"
        )
    return forbidden_if_agreed(found, mark)


def forbidden_if_agreed(found: KnownState | None, mark: StateMark) -> str | None:
    """Return the same where somebody agreed to the lineage: a serial never goes back, and is never of two states."""
    if found is None or found.mark.lineage != mark.lineage or found.mark.serial < mark.serial:
        return None
    if found.mark.serial == mark.serial:
        return f"another state of serial {mark.serial} is remembered there"
    return f"serial {found.mark.serial} is remembered there, and {mark.serial} is older"
