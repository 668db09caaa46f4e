"""Checks of the state itself: whether it is there, can be read, is ours and the newest, and what Terraform left beside it."""

from __future__ import annotations

import re

from lifeboat.decisions import known_states, state_history, state_mending
from lifeboat.decisions import state_verdicts as verdicts
from lifeboat.decisions.durations import said
from lifeboat.decisions.state_observation import LeftState, Observation, RootSeen, serial_words
from lifeboat.decisions.state_verdicts import Outcome
from lifeboat.model import StateMark
from lifeboat.state_model import StateFacts, StateRoot


def present(seen: Observation, root: RootSeen) -> Outcome:
    """Is there an object, and does no delete marker stand on it?"""
    if hidden := verdicts.unseen(root.entries):
        return hidden
    if root.entries.found is None:
        return verdicts.moot("there is no bucket")
    top, where = root.top, root.place.url
    if top is not None and not top.marker:
        return verdicts.good(f"version {top.version_id} of {where}, written {said(seen.now - top.written_at)} ago")
    danger = _danger(seen, root)
    if top is not None:
        at = f"{top.written_at:%Y-%m-%d %H:%M:%S}Z"
        left = sum(not entry.marker for entry in root.entries.found)
        return verdicts.critical(
            f"{where} was deleted at {at}: a delete marker stands on {left} version{'' if left == 1 else 's'}{danger}"
            + (f"; its digest is {root.digest_words}" if root.digest.found else ""),
            "the newest sound version on top",
            state_mending.mend(seen, root),
        )
    if root.entries.found:
        return verdicts.critical(
            f"nothing stands on top of {where}{danger}",
            "the newest sound version on top",
            state_mending.mend(seen, root),
        )
    return _never(seen, root, danger)


def _danger(seen: Observation, root: RootSeen) -> str:
    """Return what comes of a state that is not there, to stand behind it: with a digest of it Terraform refuses to work."""
    if seen.at_work.found is not None and not root.entries.found:
        return ""  # it may be the first one, which is just made
    if root.root is StateRoot.STACK and root.digest.found:
        return (
            "; Terraform refuses to work while its digest is left, and without that would make everything a second time"
        )
    return "; Terraform would take it for a first apply and make everything a second time"


def _never(seen: Observation, root: RootSeen, danger: str) -> Outcome:
    """Judge a state of which nothing is left at all: was there one?"""
    where = root.place.url
    if hidden := verdicts.unseen(*state_mending.looks_for_signs(seen, root)):
        return hidden
    signs = state_mending.signs(seen, root)
    if signs:
        return verdicts.critical(
            f"there is neither a version nor a delete marker of {where}, although {', '.join(signs)}{danger}",
            "the state",
            state_mending.mend(seen, root),
        )
    return verdicts.notice(f"there never was a state {where}, as far as can be seen", "a first apply", "lifeboat apply")


def readable(seen: Observation, root: RootSeen) -> Outcome:
    """Is it a state that can be read?"""
    if hidden := verdicts.unseen(root.entries):
        return hidden
    top = root.top
    if top is None or top.marker:
        return verdicts.moot("there is no state object")
    if top.facts is not None:
        return verdicts.good(f"serial {top.facts.serial}, {top.facts.resources} resources")
    return verdicts.critical(
        f"version {top.version_id} on top is no state that can be read: {top.damage}",
        "a state that Terraform can read",
        state_mending.mend(seen, root),
    )


def terraform_version(seen: Observation, root: RootSeen) -> Outcome:
    """Was it written by a Terraform that is no newer than the one here?"""
    if hidden := verdicts.unseen(root.entries, seen.terraform):
        return hidden
    if root.state is None:
        return verdicts.moot("there is no state that can be read")
    written, here = root.state.terraform_version, seen.terraform.found or ()
    numbers = tuple(int(number) for number in re.findall(r"\d+", written.split("-")[0])[:3])
    ours = ".".join(str(number) for number in here)
    if not numbers:
        return verdicts.good("it does not say by which Terraform it was written")
    if numbers <= here:
        return verdicts.good(f"written by Terraform {written}; here is {ours}")
    return verdicts.warning(
        f"it was written by Terraform {written}, and here is {ours}: an older one may not understand all of it",
        f"Terraform {written} or newer here (developer.hashicorp.com/terraform/install)",
        "terraform version",
    )


def lineage(seen: Observation, root: RootSeen) -> Outcome:
    """Is it the environment's own?"""
    if hidden := verdicts.unseen(root.entries, root.remembered):
        return hidden
    if root.state is None:
        return verdicts.moot("there is no state that can be read")
    whose = root.whose(seen.env)
    ours = state_history.lineage(root.history.entries, whose)
    why = state_history.foreign(root.state, ours, whose)
    if why is None:
        return verdicts.good(f"{root.state.lineage}, {_as_whom(root)}")
    if state_mending.sound(seen, root) is None and state_mending.sound_copy(seen, root) is None:
        return verdicts.critical(
            f"the state on top is not this environment's: {why}, and no version is",
            f"a state of the lineage {ours}: either what is remembered is of another one, or every version was replaced",
            f"{state_mending.LIST}{state_mending.options(root)}",
        )
    return verdicts.critical(
        f"the state on top is not this environment's: {why}; Terraform would destroy what it does not know",
        "our own state",
        state_mending.mend(seen, root),
    )


def _as_whom(root: RootSeen) -> str:
    """Return who says that a lineage is right."""
    if root.known.found is not None:
        return "as the other region remembers"
    return "as this machine remembers" if root.remembered.found else "as in most of its versions; nothing remembers it"


def serial(seen: Observation, root: RootSeen) -> Outcome:
    """Is it the newest that ever was?"""
    if hidden := verdicts.unseen(root.entries, root.remembered):
        return hidden
    top, state, known = root.top, root.state, known_states.counting(root.memory)
    if top is None or state is None:
        return verdicts.moot("there is no state that can be read")
    same = [e for e in root.history.entries if e.facts is not None and e.facts.lineage == state.lineage]
    highest = max(same, key=lambda entry: entry.facts.serial if entry.facts else -1)
    reached = highest.facts.serial if highest.facts else state.serial
    if state.serial < reached:
        return verdicts.critical(
            f"the serial goes backwards: {state.serial} on top, and version {highest.version_id} has {reached}; what was made"
            " in between is not in it",
            f"a serial above {reached}",
            state_mending.mend(seen, root),
        )
    if known is None or known.lineage != state.lineage:
        return verdicts.good(
            f"{state.serial}, the highest of {len(same)} versions" + ("" if known else "; nothing remembers it")
        )
    if state.serial < known.serial or (state.serial == known.serial and known.md5 != top.md5):
        return _behind_memory(root, state, known)
    if (fork := root.fork) is not None:
        return _forked(root, fork, state, known)
    if state.serial == known.serial:
        return verdicts.good(f"{state.serial}, the highest of {len(same)} versions")
    return verdicts.good(f"{state.serial}, the highest of {len(same)} versions; {_last_knew(root)} {known.serial}")


def _forked(root: RootSeen, fork: state_history.Fork, state: StateFacts, known: StateMark) -> Outcome:
    """Judge a state that has a higher serial than the remembered one, and does not know what that one knew."""
    kept = fork.kept
    return verdicts.critical(
        f"serial {state.serial} does not go on from what {_last_knew(root)}, serial {known.serial}: version"
        f" {fork.other.version_id}{serial_words(fork.other)} was written by somebody who did not know"
        + (" that state" if kept is None else f" version {kept.version_id}{serial_words(kept)}"),
        "one history: what goes on from the remembered state",
        _remembered_again(root, known) if kept is None else state_mending.restore(root, kept.version_id),
    )


def _last_knew(root: RootSeen) -> str:
    return "this machine last knew" if known_states.here_alone(root.memory) else "the other region remembers"


def memory(seen: Observation, root: RootSeen) -> Outcome:
    """Does the other region remember the state that is on top, so that its loss would be noticed anywhere?"""
    if hidden := verdicts.unseen(root.known, root.entries, seen.replica_bucket):
        return hidden
    known, state = root.known.found, root.state
    if root.damaged_memory:
        return verdicts.critical(
            f"{root.damaged_memory}: which state is the newest is known to this machine alone, and plan and apply refuse",
            "the newest sound state written down there anew, which a restore does also where nothing else is amiss",
            f"lifeboat state restore --latest-good{state_mending.options(root)}"
            if state_mending.sound(seen, root) is not None
            else state_mending.mend(seen, root),
        )
    if seen.replica_bucket.found is None:
        return verdicts.moot("there is no replica bucket")
    said = "" if known is None else f"serial {known.mark.serial}, {known_states.noted(known)}"
    if state is None:
        return verdicts.moot(said or "there is no state that can be read")
    if known is None:
        return verdicts.warning(
            f"{seen.replica_name} does not remember the state (serial {state.serial}): a machine that never saw it would take"
            " its loss for a first apply",
            "the last sound state written down there",
            "lifeboat apply",
        )
    if known.mark.lineage != state.lineage or known.mark.serial >= state.serial or root.fork is not None:
        return verdicts.good(said)  # where they contradict each other, lineage and serial say so
    if root.worker is not None:
        return verdicts.good(f"{said}; the state is just worked on: {root.worker.holding.why}")
    return verdicts.warning(
        f"{said}, and the state has gone on to serial {state.serial}",
        "the last sound state written down there",
        "lifeboat apply",
    )


def _behind_memory(root: RootSeen, state: StateFacts, known: StateMark) -> Outcome:
    """Judge a state that is older than, or another than, the one that this machine last found sound."""
    command = _remembered_again(root, known)
    if state.serial < known.serial:
        return verdicts.critical(
            f"the serial goes backwards: {state.serial} on top, and {_last_knew(root)} {known.serial}",
            f"the state of serial {known.serial}, or one after it",
            command,
        )
    return verdicts.warning(
        f"it is not the state of serial {known.serial} that was last found sound: that serial was written twice",
        "one state of each serial",
        command,
    )


def _remembered_again(root: RootSeen, known: StateMark) -> str:
    """Return the command that puts the remembered state on top, wherever it still is."""
    if root.fork is not None and root.fork.kept is not None:
        return state_mending.restore(root, root.fork.kept.version_id)
    twin = next((e for e in (root.entries.found or ()) if e.md5 == known.md5 and not e.latest), None)
    copy = next((e for e in (root.copies.found or ()) if e.md5 == known.md5), None)
    if twin is not None:
        return state_mending.restore(root, twin.version_id)
    if copy is not None:
        return state_mending.from_replica(root)
    if root.root is StateRoot.BACKEND and known_states.here_alone(root.memory):
        return "lifeboat apply"  # puts the working copy there, which is newer
    return f"{state_mending.LIST}{state_mending.options(root)}"


def left(seen: Observation, root: RootSeen) -> Outcome:
    """Did a Terraform leave a state that it could not save?"""
    if hidden := verdicts.unseen(root.left, root.entries):
        return hidden
    left = root.left.found
    if left is None:
        return verdicts.good("no errored.tfstate was left")
    if left.facts is None:
        aside = f"mv {left.path} {left.path}.damaged"
        return verdicts.warning(f"{left.path} was left, and is no state: {left.damage}", "no such file", aside)
    ours = state_history.lineage(root.history.entries, root.whose(seen.env))
    if ours is not None and left.facts.lineage != ours:
        return verdicts.good(f"{left.path} was left, of another lineage: roots are shared, it is another environment's")
    return _unsaved(seen, root, left, left.facts.serial)


def _unsaved(seen: Observation, root: RootSeen, left: LeftState, serial: int) -> Outcome:
    state, known = root.state, known_states.counting(root.memory)
    if state is not None and serial <= state.serial:
        return verdicts.warning(
            f"{left.path} was left (serial {serial}), and the state has gone on to serial {state.serial}",
            "no such file, once it was seen whether all it knows is in the state",
            # The file goes only where both say the same: a difference ends the first of the two with 20.
            f"lifeboat state diff file:{left.path} latest{state_mending.options(root)} && rm {left.path}",
        )
    if state is None and known is not None and serial <= known.serial:
        return verdicts.notice(
            f"{left.path} was left (serial {serial}), and the state had gone on to serial {known.serial} before it was lost",
            "the state first, then this file held against it",
            state_mending.AGAIN,
        )
    return verdicts.critical(
        f"Terraform could not save its state (serial {serial}) and left it in {left.path}: only there is what it made",
        "that state, saved",
        _saved(seen, root, left),
    )


def _saved(seen: Observation, root: RootSeen, left: LeftState) -> str:
    if root.root is StateRoot.STACK and root.state is None:
        # Terraform reads what it would replace first, so every push fails while a digest is left.
        put = f"aws s3api put-object --bucket {root.place.bucket} --key {root.place.key} --body {left.path}"
        return f"{seen.shell}{put} && lifeboat state restore --latest-good"
    ours = seen.cut_off.found and root.root is StateRoot.STACK
    return "lifeboat apply" if ours else f"{left.push} && rm {left.path}"
