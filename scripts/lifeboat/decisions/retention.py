"""How long dumps are kept: the last of so many days, weeks, months and years, and what never goes, each with its reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from lifeboat.database_model import (
    LONGEST_DUMP,
    MANIFEST_FILE,
    DumpEntry,
    DumpFacts,
    DumpId,
    ExpiryRule,
    Fate,
    KeepAs,
    RetentionPolicy,
)
from lifeboat.decisions import dump_dates

KEEP_AS = "lifeboat:keep-as"  # the tag by which a bucket's rules tell dumps apart
_DAYS = {KeepAs.DAILY: 1, KeepAs.WEEKLY: 7, KeepAs.MONTHLY: 31, KeepAs.YEARLY: 366}

# Each tier's word, how a time becomes its period, and how many periods are kept.
_Period = Callable[[datetime], str]
_TIERS: tuple[tuple[KeepAs, _Period], ...] = (
    (KeepAs.DAILY, lambda at: f"{at:%Y-%m-%d}"),
    (KeepAs.WEEKLY, lambda at: f"{at:%G-W%V}"),
    (KeepAs.MONTHLY, lambda at: f"{at:%Y-%m}"),
    (KeepAs.YEARLY, lambda at: f"{at:%Y}"),
)


def fates(dumps: Iterable[DumpFacts], policy: RetentionPolicy, now: datetime) -> list[Fate]:
    """Return what becomes of each dump, newest first, every database judged by itself.

    Verified dumps, those that nothing speaks against, and doubtful ones are each given their places in the days, weeks,
    months and years by themselves: a flood of dumps that nobody verified never takes the place of one that is. A dump that
    is dated in the future, or otherwise than S3 saw it come, takes no place. Without any verified dump of a database
    nothing of it expires.
    """
    found = list(dumps)
    databases = sorted({facts.entry.database for facts in found})
    judged = [f for name in databases for f in _of_one([d for d in found if d.entry.database == name], policy, now)]
    return sorted(judged, key=lambda fate: (fate.entry.begun_at, fate.entry.id, fate.entry.database), reverse=True)


def merged(primary: Sequence[DumpEntry], replica: Sequence[DumpEntry]) -> list[DumpEntry]:
    """Return each dump once, with the verifications of the better one of its copies and the mark that either has.

    A dump of which one copy is proven is proven, whatever became of the other one; where none is, what failed counts. Its
    files are those of the copy that is whole, the primary region's where both are or none is.
    """
    copies = {(entry.database, entry.id): entry for entry in replica}
    found = []
    for entry in primary:
        copy = copies.pop((entry.database, entry.id), None)
        if copy is None:
            found.append(entry)
        else:
            better = max(entry, copy, key=_worth)
            kept, whole = entry.kept or copy.kept, copy if copy.complete and not entry.complete else entry
            found.append(replace(whole, proofs=better.proofs, elsewhere=better.elsewhere, kept=kept))
    return [*found, *copies.values()]


def _worth(copy: DumpEntry) -> tuple[int, float, bool]:
    """Return how much the verifications of a copy say: how deep the best one looked, and when; else whether one failed."""
    proven = copy.proven
    return (0, 0.0, copy.failure is not None) if proven is None else (proven.level, proven.at.timestamp(), False)


def _of_one(dumps: Sequence[DumpFacts], policy: RetentionPolicy, now: datetime) -> list[Fate]:
    newest_first = sorted(dumps, key=lambda d: (d.entry.begun_at, d.entry.id), reverse=True)
    left_out = {d.entry.id: why for d in newest_first if (why := _takes_no_place(d, now))}
    counted = [d for d in newest_first if d.entry.id not in left_out]
    verified = [d for d in counted if is_verified(d, policy)]
    doubtful = [d for d in counted if _is_doubtful(d) and d not in verified]
    clean = [d for d in counted if not _is_doubtful(d) and d not in verified]
    places = {
        **_places(verified, policy, "verified "),
        **_places(clean, policy, "unverified "),
        **_places(doubtful, policy, "doubtful "),
    }
    held = _held(counted, verified, policy)
    if not verified:
        why = f"no dump of {newest_first[0].entry.database} is verified (level {policy.verified_level} or deeper)"
        for dump in newest_first:
            held.setdefault(dump.entry.id, []).append(why)
    last = policy.daily * timedelta(days=1)
    return [
        _uncounted(d, left_out[d.entry.id], _reasons(d, held), now - last)
        if d.entry.id in left_out
        else _fate(d, _reasons(d, held), places.get(d.entry.id, []))
        for d in newest_first
    ]


def _is_doubtful(dump: DumpFacts) -> bool:
    """Return whether something speaks against a dump: a flag of its manifest, or a verification that it failed."""
    return bool(dump.suspicious) or _failed(dump)


def _failed(dump: DumpFacts) -> bool:
    return dump.entry.failure is not None or dump.entry.failed_elsewhere is not None


def is_verified(dump: DumpFacts, policy: RetentionPolicy) -> bool:
    """Return whether a dump counts as proven: its last word is a pass as deep as the policy asks for.

    Never one that is flagged: a perfect copy of an emptied database proves that it was emptied.
    """
    proof = dump.entry.proven
    return proof is not None and proof.level >= policy.verified_level and not dump.suspicious


def misdated(dump: DumpFacts, now: datetime) -> str | None:
    """Return how a dump's own date cannot be true; None where it can."""
    manifest = dump.entry.files.get(MANIFEST_FILE)
    # The manifest is stored when a dump ends.
    if manifest is not None and manifest.stored_at > dump.entry.begun_at + LONGEST_DUMP:
        return dump_dates.stored(dump.entry, manifest.stored_at)
    return dump_dates.ahead(dump.entry, now)


def _takes_no_place(dump: DumpFacts, now: datetime) -> str | None:
    """Return why a dump is not counted among the others; such a one never pushes another out."""
    if not dump.entry.complete:
        return "it has no manifest"
    if dump.unreadable:
        return f"its manifest cannot be read: {dump.unreadable}"
    if dump.partial:
        return "it is of a part of the database only"
    return misdated(dump, now)


def _places(
    newest_first: Sequence[DumpFacts], policy: RetentionPolicy, kind: str
) -> dict[DumpId, list[tuple[KeepAs, str]]]:
    """Return for each dump the places that it takes: the last one of each of the newest periods that have any."""
    counts = _counts(policy)
    places: dict[DumpId, list[tuple[KeepAs, str]]] = {}
    for tier, period in _TIERS:
        seen: set[str] = set()
        for dump in newest_first:
            name = period(dump.entry.begun_at)
            if name in seen:
                continue
            if len(seen) == counts[tier]:
                break
            seen.add(name)
            places.setdefault(dump.entry.id, []).append((tier, f"the last {kind}one of {name} ({tier.value})"))
    return places


def _held(
    counted: Sequence[DumpFacts], verified: Sequence[DumpFacts], policy: RetentionPolicy
) -> dict[DumpId, list[str]]:
    """Return which dumps never expire, whatever the counts say, and why."""
    held: dict[DumpId, list[str]] = {}
    if counted:
        held.setdefault(counted[0].entry.id, []).append("the newest complete one")
    fewest = max(policy.minimum_verified, 1)
    for number, dump in enumerate(verified[:fewest]):
        which = "the newest verified one" if number == 0 else f"one of the newest {fewest} verified ones"
        held.setdefault(dump.entry.id, []).append(which)
    return held


def _reasons(dump: DumpFacts, held: Mapping[DumpId, Sequence[str]]) -> list[str]:
    """Return why a dump stays apart from its place."""
    found = ["it is kept (lifeboat keep)"] if dump.entry.kept else []
    found += [f"used by {dump.used_by}"] if dump.used_by else []
    return [*found, *held.get(dump.entry.id, [])]


def _fate(dump: DumpFacts, reasons: Sequence[str], places: Sequence[tuple[KeepAs, str]]) -> Fate:
    words = (*reasons, *(why for _, why in places))
    if reasons:
        return Fate(entry=dump.entry, keep_as=KeepAs.HELD, reasons=words)
    if places:
        order = [tier for tier, _ in _TIERS]
        longest = max((tier for tier, _ in places), key=order.index)
        return Fate(entry=dump.entry, keep_as=longest, reasons=words)
    why = "newer ones take every place" + (", and its last verification failed" if _failed(dump) else "")
    return Fate(entry=dump.entry, keep_as=KeepAs.EXPIRE, reasons=(why,))


def _uncounted(dump: DumpFacts, left_out: str, reasons: Sequence[str], oldest: datetime) -> Fate:
    """Return the fate of a dump that takes no place: held, unless it is one that can be told to be of no use.

    `oldest` is how far back daily ones reach: as long a leftover, or a dump of a part of the database, stays.
    """
    entry = dump.entry
    if reasons:
        return Fate(entry=entry, keep_as=KeepAs.HELD, reasons=(*reasons, f"{left_out}, so it is not counted"))
    newest = max([entry.begun_at, *(file.stored_at for file in entry.files.values())])
    if newest < oldest and (dump.partial or not entry.complete):
        return Fate(entry=entry, keep_as=KeepAs.EXPIRE, reasons=(f"{left_out}, and older than the daily ones",))
    more = ", and may still be written" if not entry.complete else ", so it is not counted; look at it"
    return Fate(entry=entry, keep_as=KeepAs.HELD, reasons=(f"{left_out}{more}",))


def _counts(policy: RetentionPolicy) -> dict[KeepAs, int]:
    return {
        KeepAs.DAILY: policy.daily,
        KeepAs.WEEKLY: policy.weekly,
        KeepAs.MONTHLY: policy.monthly,
        KeepAs.YEARLY: policy.yearly,
    }


def rule_findings(rules: Iterable[ExpiryRule], folder: str, policy: RetentionPolicy) -> list[str]:
    """Return where a bucket's rules do not do what the tags say, for the dumps below a folder, each in a line."""
    mine = [rule for rule in rules if folder.startswith(rule.prefix)]
    found = [
        f"the rule {rule.name} expires every dump after {rule.days} days, those that are kept or held too"
        for rule in mine
        if set(rule.tags) - {KEEP_AS} == set() and rule.tags.get(KEEP_AS) in (None, KeepAs.HELD)
    ]
    by_tag = {rule.tags[KEEP_AS]: rule for rule in mine if set(rule.tags) == {KEEP_AS}}
    if KeepAs.EXPIRE not in by_tag:
        found.append(f"no rule expires what is tagged {KEEP_AS}=expire, so nothing ever goes")
    for tier, count in _counts(policy).items():
        rule, wanted = by_tag.get(tier), count * _DAYS[tier]
        if rule is not None and rule.days < wanted:
            found.append(
                f"the rule {rule.name} expires dumps after {rule.days} days, and the policy keeps them {wanted}"
            )
    return found
