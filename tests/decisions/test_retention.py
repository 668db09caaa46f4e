"""How long dumps are kept: the table of tiers, what never goes, and laws that no flood of garbage breaks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifeboat.database_model import (
    DumpEntry,
    DumpFacts,
    DumpId,
    ExpiryRule,
    Fate,
    KeepAs,
    Proof,
    RetentionPolicy,
    StoredFile,
    Verdict,
)
from lifeboat.decisions import retention

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
POLICY = RetentionPolicy(daily=3, weekly=2, monthly=2, yearly=1, minimum_verified=1, verified_level=2)


def proof(age: timedelta, level: int = 2, verdict: Verdict = Verdict.PASSED) -> Proof:
    return Proof(level=level, at=NOW - age, verdict=verdict)


def dump(
    age: timedelta, *proofs: Proof, name: str = "", stored: datetime | None = None, database: str = "app"
) -> DumpFacts:
    """Return a complete dump of this age; `name` tells two of one moment apart."""
    begun = NOW - age
    file = StoredFile(
        name="manifest.json", size=10, etag="e", version_id="v", stored_at=stored or begun + timedelta(minutes=5)
    )
    entry = DumpEntry(
        database=database,
        id=DumpId(f"{begun:%Y%m%dT%H%M%SZ}-{name or 'aaaaaa'}"),
        begun_at=begun,
        prefix=f"dumps/x/{database}/{begun:%Y%m%dT%H%M%SZ}-{name or 'aaaaaa'}/",
        files={"manifest.json": file},
        proofs=tuple(proofs),
    )
    return DumpFacts(entry=entry)


def verified(age: timedelta, name: str = "") -> DumpFacts:
    return dump(age, proof(age - timedelta(minutes=10)), name=name)


def without_manifest(age: timedelta) -> DumpFacts:
    made = dump(age)
    file = replace(made.entry.files["manifest.json"], name="schema.dump.zst")
    return replace(made, entry=replace(made.entry, files={"schema.dump.zst": file}))


def judged(*dumps: DumpFacts, policy: RetentionPolicy = POLICY) -> dict[str, Fate]:
    return {str(fate.entry.id): fate for fate in retention.fates(dumps, policy, NOW)}


def kept_as(*dumps: DumpFacts, policy: RetentionPolicy = POLICY) -> list[str]:
    """Return what becomes of the dumps, in the order given."""
    found = judged(*dumps, policy=policy)
    return [found[str(one.entry.id)].keep_as.value for one in dumps]


def test_the_last_one_of_each_day_week_month_and_year_is_kept_and_the_rest_goes() -> None:
    dumps = [verified(number * DAY) for number in range(70)]  # 29 November back to 21 September

    found = retention.fates(dumps, POLICY, NOW)

    assert len(found) == len(dumps)
    assert [(f"{fate.entry.begun_at:%m-%d}", fate.keep_as.value) for fate in found if not fate.expires] == [
        ("11-29", "held"),
        ("11-28", "daily"),
        ("11-27", "daily"),
        ("11-22", "weekly"),
        ("10-31", "monthly"),
    ]
    assert found[0].reasons == (
        "the newest complete one",
        "the newest verified one",
        "the last verified one of 2026-11-29 (daily)",
        "the last verified one of 2026-W48 (weekly)",
        "the last verified one of 2026-11 (monthly)",
        "the last verified one of 2026 (yearly)",
    )
    assert found[3].reasons == ("newer ones take every place",)


def test_a_gap_does_not_count_as_days_so_that_old_dumps_outlive_a_pause_of_a_year() -> None:
    dumps = [verified(400 * DAY), verified(401 * DAY), verified(402 * DAY), verified(403 * DAY)]

    assert kept_as(*dumps) == ["held", "daily", "daily", "expire"]


@pytest.mark.parametrize(
    ("others", "old", "keep_as", "reason"),
    [
        (
            [dump(number * DAY) for number in range(9)],
            verified(30 * DAY),
            "held",
            "the newest verified one",
        ),
        (
            [verified(number * DAY) for number in range(9)],
            replace(verified(30 * DAY), used_by="the run 20261129T000000Z-recover-1a2b3c, which has not ended"),
            "held",
            "used by the run 20261129T000000Z-recover-1a2b3c, which has not ended",
        ),
        (
            [dump(number * DAY) for number in range(9)],
            dump(300 * DAY, name="bbbbbb"),
            "held",
            "no dump of app is verified (level 2 or deeper)",
        ),
        (
            [dump(number * DAY, proof(DAY, level=1)) for number in range(9)],
            dump(300 * DAY, name="bbbbbb"),
            "held",
            "no dump of app is verified (level 2 or deeper)",
        ),
        (
            [verified(number * DAY) for number in range(9)],
            dump(20 * DAY, proof(2 * DAY), proof(DAY, verdict=Verdict.FAILED)),
            "yearly",
            "the last doubtful one of 2026-11-09 (daily)",
        ),
        (
            [verified(number * DAY) for number in range(9)],
            replace(dump(20 * DAY), suspicious=("it shrank to 3 % of the one before",)),
            "yearly",
            "the last doubtful one of 2026-11-09 (daily)",
        ),
        (
            [verified(number * DAY) for number in range(9)],
            dump(-2 * DAY),
            "held",
            "it is dated in the future (2026-12-01 12:00Z), so it is not counted; look at it",
        ),
        (
            [verified(number * DAY) for number in range(9)],
            dump(300 * DAY, stored=NOW - DAY),
            "held",
            "it says it was begun 2026-02-02 12:00Z, and S3 stored it 2026-11-28 12:00Z, so it is not counted; look at it",
        ),
        (
            [verified(number * DAY) for number in range(9)],
            replace(dump(DAY, name="bbbbbb"), partial=True),
            "held",
            "it is of a part of the database only, so it is not counted; look at it",
        ),
        (
            [verified(number * DAY) for number in range(9)],
            replace(dump(5 * DAY, name="bbbbbb"), partial=True),
            "expire",
            "it is of a part of the database only, and older than the daily ones",
        ),
        (
            [verified(number * DAY) for number in range(9)],
            without_manifest(timedelta(hours=1)),
            "held",
            "it has no manifest, and may still be written",
        ),
        (
            [verified(number * DAY) for number in range(9)],
            without_manifest(5 * DAY),
            "expire",
            "it has no manifest, and older than the daily ones",
        ),
        (
            [verified(number * DAY) for number in range(9)],
            replace(dump(300 * DAY), unreadable="it is no JSON object"),
            "held",
            "its manifest cannot be read: it is no JSON object, so it is not counted; look at it",
        ),
    ],
)
def test_what_stays_or_goes_says_why(others: list[DumpFacts], old: DumpFacts, keep_as: str, reason: str) -> None:
    fate = judged(*others, old)[str(old.entry.id)]

    assert (fate.keep_as.value, reason in fate.reasons) == (keep_as, True), fate.reasons


def test_a_flagged_dump_never_counts_as_verified_and_pushes_no_good_one_out() -> None:
    good = [verified(number * DAY) for number in range(10, 13)]
    emptied = [replace(verified(number * DAY), suspicious=("99 % of it is gone",)) for number in range(9)]

    found = judged(*emptied, *good)

    assert kept_as(*emptied, *good)[-3:] == ["held", "daily", "daily"]
    assert "the newest verified one" in found[str(good[0].entry.id)].reasons
    assert retention.fates(emptied, POLICY, NOW)[-1].reasons[0] == "no dump of app is verified (level 2 or deeper)"


def test_a_kept_dump_is_held_and_takes_its_place_all_the_same() -> None:
    old = verified(200 * DAY)
    kept = replace(old, entry=replace(old.entry, kept=True))

    fate = judged(*(verified(number * DAY) for number in range(9)), kept)[str(old.entry.id)]

    assert fate.keep_as is KeepAs.HELD
    assert fate.reasons[0] == "it is kept (lifeboat keep)"


def test_databases_are_judged_apart() -> None:
    apps = [verified(number * DAY) for number in range(5)]
    other = dump(300 * DAY, database="audit")

    found = judged(*apps, other)

    assert found[str(other.entry.id)].reasons == (
        "the newest complete one",
        "no dump of audit is verified (level 2 or deeper)",
        "the last unverified one of 2026-02-02 (daily)",
        "the last unverified one of 2026-W06 (weekly)",
        "the last unverified one of 2026-02 (monthly)",
        "the last unverified one of 2026 (yearly)",
    )
    assert [fate.keep_as.value for fate in retention.fates(apps, POLICY, NOW)] == [
        fate.keep_as.value for fate in retention.fates([*apps, other], POLICY, NOW) if fate.entry.database == "app"
    ]


def rule(days: int, prefix: str = "dumps/", **tags: str) -> ExpiryRule:
    named = {f"lifeboat:{key.replace('_', '-')}": value for key, value in tags.items()}
    return ExpiryRule(name="r", prefix=prefix, tags=named, days=days)


@pytest.mark.parametrize(
    ("rules", "findings"),
    [
        ([rule(1, keep_as="expire"), rule(30, keep_as="daily")], []),
        ([rule(1, keep_as="expire"), rule(2, keep_as="daily")], ["after 2 days, and the policy keeps them 3"]),
        ([rule(1, keep_as="expire"), rule(60, keep_as="monthly")], ["after 60 days, and the policy keeps them 62"]),
        ([rule(1, keep_as="expire"), rule(90)], ["every dump after 90 days, those that are kept or held too"]),
        ([rule(1, keep_as="expire"), rule(90, prefix="")], ["every dump after 90 days"]),
        ([rule(1, keep_as="expire"), rule(90, prefix="logs/")], []),
        ([rule(1, keep_as="expire"), rule(90, keep_as="held")], ["those that are kept or held too"]),
        ([rule(1, keep_as="expire", team="x")], ["so nothing ever goes"]),
        ([], ["no rule expires what is tagged lifeboat:keep-as=expire, so nothing ever goes"]),
    ],
)
def test_rules_of_the_bucket_that_do_not_do_what_the_tags_say_are_told(
    rules: list[ExpiryRule], findings: list[str]
) -> None:
    found = retention.rule_findings(rules, "dumps/x/", POLICY)

    assert [words in line for words, line in zip(findings, found, strict=True)] == [True] * len(findings)


# -- laws --------------------------------------------------------------------------------------------------------------

ages = st.integers(min_value=-30 * 24, max_value=800 * 24).map(lambda hours: timedelta(hours=hours))
policies = st.builds(
    RetentionPolicy,
    daily=st.integers(1, 8),
    weekly=st.integers(0, 5),
    monthly=st.integers(0, 5),
    yearly=st.integers(0, 3),
    minimum_verified=st.integers(1, 3),
    verified_level=st.integers(1, 3),
)


@st.composite
def some_dumps(draw: st.DrawFn) -> list[DumpFacts]:
    """Draw dumps of every kind, true and false, each with an id of its own."""
    found = []
    for number in range(draw(st.integers(0, 25))):
        age = draw(ages)
        proofs = [
            proof(timedelta(hours=draw(st.integers(0, 500))), draw(st.integers(1, 4)), draw(st.sampled_from(Verdict)))
            for _ in range(draw(st.integers(0, 2)))
        ]
        made = dump(
            age,
            *sorted(proofs, key=lambda one: one.at),
            name=f"{number:06x}",
            stored=draw(st.sampled_from([None, None, NOW - DAY])),
            database=draw(st.sampled_from(["app", "app", "audit"])),
        )
        made = replace(
            made,
            partial=draw(st.integers(0, 9)) == 0,
            suspicious=("it shrank",) if draw(st.integers(0, 5)) == 0 else (),
            used_by="a run" if draw(st.integers(0, 9)) == 0 else "",
            entry=replace(made.entry, kept=draw(st.integers(0, 9)) == 0),
        )
        found.append(without_manifest(age) if draw(st.integers(0, 12)) == 0 else made)
    return list({one.entry.id: one for one in found}.values())


@settings(max_examples=40)
@given(some_dumps(), policies)
def test_every_dump_is_judged_once_with_a_reason_and_what_must_never_go_stays(
    dumps: list[DumpFacts], policy: RetentionPolicy
) -> None:
    fates = retention.fates(dumps, policy, NOW)

    assert sorted(fate.entry.id for fate in fates) == sorted(one.entry.id for one in dumps)
    assert all(fate.reasons for fate in fates)
    gone = {fate.entry.id for fate in fates if fate.expires}
    facts = {one.entry.id: one for one in dumps}
    for one in (facts[name] for name in gone):
        assert not one.entry.kept
        assert not one.used_by
        assert retention.misdated(one, NOW) is None or one.partial or not one.entry.complete
    for database in {one.entry.database for one in dumps}:
        mine = [one for one in dumps if one.entry.database == database]
        true = [o for o in mine if o.entry.complete and not o.partial and retention.misdated(o, NOW) is None]
        proven = [one for one in true if retention.is_verified(one, policy)]
        newest = max(true, key=lambda one: (one.entry.begun_at, one.entry.id), default=None)
        assert newest is None or newest.entry.id not in gone
        if proven:
            best = sorted(proven, key=lambda one: (one.entry.begun_at, one.entry.id), reverse=True)
            assert not gone & {one.entry.id for one in best[: policy.minimum_verified]}
        else:
            assert not gone & {one.entry.id for one in mine}


@settings(max_examples=40)
@given(some_dumps(), some_dumps(), policies)
def test_no_flood_of_unverified_or_misdated_dumps_pushes_a_verified_one_out(
    dumps: list[DumpFacts], garbage: list[DumpFacts], policy: RetentionPolicy
) -> None:
    flood = [
        replace(one, entry=replace(one.entry, id=DumpId(f"{one.entry.id[:-6]}ffffff"), proofs=(), kept=False))
        for one in garbage
    ]
    flood = list({one.entry.id: one for one in flood}.values())

    def safe(found: list[Fate]) -> set[str]:
        real = {one.entry.id for one in dumps if retention.is_verified(one, policy)}
        return {fate.entry.id for fate in found if not fate.expires and fate.entry.id in real}

    before, after = retention.fates(dumps, policy, NOW), retention.fates([*dumps, *flood], policy, NOW)

    assert safe(before) <= safe(after)


@settings(max_examples=40)
@given(some_dumps(), policies)
def test_applying_it_again_expires_nothing_more(dumps: list[DumpFacts], policy: RetentionPolicy) -> None:
    fates = retention.fates(dumps, policy, NOW)
    left = {fate.entry.id for fate in fates if not fate.expires}

    again = retention.fates([one for one in dumps if one.entry.id in left], policy, NOW)

    assert [fate.entry.id for fate in again if fate.expires] == []
