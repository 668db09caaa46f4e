"""The chain of evidence: read back as it was written, and anything that was done to it since is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from lifeboat.decisions import evidence_chain
from lifeboat.evidence_model import NOTHING_BEFORE, Chain, Finding, Head, Wrong

from tests.evidence_runs import bundle, chain, chained, drill

BODIES = chained(bundle(), drill(1), drill(2))
OTHER = "c" * 64
NOT_OURS = "it is no evidence as this lifeboat writes it"


def wrong(found: Chain) -> list[tuple[int | None, Wrong]]:
    return [(finding.number, finding.wrong) for finding in evidence_chain.verified(found)]


def against(whole: Chain, *bodies: bytes | None) -> list[tuple[int | None, Wrong]]:
    """Return what is wrong with these bytes where the other region knows the chain as it was."""
    return wrong(replace(whole, stored=chain(*bodies).stored))


def test_what_was_written_is_read_again_and_nothing_is_wrong_with_it() -> None:
    found = chain(*BODIES)

    assert [one.bundle for one in found.stored.values()] == [bundle(), drill(1), drill(2)]
    assert [one.previous for one in found.stored.values()] == [
        NOTHING_BEFORE,
        *(one.sha256 for one in list(found.stored.values())[:2]),
    ]
    assert evidence_chain.verified(found) == ()
    assert evidence_chain.verified(chain()) == ()


def test_every_byte_of_a_bundle_that_is_changed_is_found() -> None:
    whole, body = chain(*BODIES), BODIES[1]

    missed = []
    for at in range(len(body)):
        changed = evidence_chain.stored(2, body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :])
        if wrong(replace(whole, stored={**whole.stored, 2: changed})) != [(2, Wrong.CHANGED)]:
            missed.append(at)

    assert (len(body) > 1000, missed) == (True, [])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2), st.data())
def test_any_change_of_any_bundle_is_found_by_its_number(which: int, data: st.DataObject) -> None:
    body = BODIES[which]
    at, by = data.draw(st.integers(0, len(body) - 1)), data.draw(st.integers(1, 255))
    changed = body[:at] + bytes([body[at] ^ by]) + body[at + 1 :]

    assert against(chain(*BODIES), *BODIES[:which], changed, *BODIES[which + 1 :]) == [(which + 1, Wrong.CHANGED)]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_bundle_that_reads_the_same_and_is_spaced_otherwise_was_changed(which: int) -> None:
    respaced = json.dumps(json.loads(BODIES[which])).encode()

    assert against(chain(*BODIES), *BODIES[:which], respaced, *BODIES[which + 1 :]) == [(which + 1, Wrong.CHANGED)]


def test_a_bundle_that_is_gone_is_found_and_so_is_an_end_that_is_cut_off() -> None:
    one, two, three = BODIES
    whole = chain(*BODIES)

    assert against(whole, None, two, three) == [(1, Wrong.MISSING)]
    assert against(whole, one, None, three) == [(2, Wrong.MISSING)]
    assert against(whole, one, two) == [(3, Wrong.CUT_OFF)]
    assert against(whole, one) == [(2, Wrong.CUT_OFF), (3, Wrong.CUT_OFF)]
    assert against(whole) == [(1, Wrong.CUT_OFF), (2, Wrong.CUT_OFF), (3, Wrong.CUT_OFF)]


def test_two_bundles_that_changed_places_are_both_found() -> None:
    one, two, three = BODIES

    assert against(chain(*BODIES), one, three, two) == [(2, Wrong.CHANGED), (3, Wrong.CHANGED)]


def test_a_chain_that_was_written_anew_from_a_changed_bundle_on_is_found() -> None:
    forged = chained(replace(bundle(), why="all was well"), drill(1), drill(2))

    # Among themselves they agree; the other region knows better, and of the last one nothing speaks for it.
    assert against(chain(*BODIES), *forged) == [(1, Wrong.DISAGREES), (2, Wrong.DISAGREES), (3, Wrong.CHANGED)]


def test_a_forged_head_is_found_and_told_from_a_changed_bundle() -> None:
    whole = chain(*BODIES)
    forged = replace(whole, heads={**whole.heads, 2: Head(number=2, sha256=OTHER, run="x")})
    damaged = replace(whole, heads={**whole.heads, 2: Head(number=2, sha256="", run="", damaged="no JSON")})
    gone = replace(whole, heads={number: head for number, head in whole.heads.items() if number != 2})

    assert [wrong(one) for one in (forged, damaged, gone)] == [[(2, Wrong.DISAGREES)]] * 3


@pytest.mark.parametrize("sealed", [True, False])
def test_a_bundle_that_was_changed_together_with_what_the_other_region_knows_of_it_is_found(*, sealed: bool) -> None:
    whole = chain(*BODIES)
    other = evidence_chain.stored(2, BODIES[1].replace(b"Z", b"z", 1))
    heads = {**whole.heads, 2: replace(whole.heads[2], sha256=other.sha256)}
    if not sealed:
        del heads[3]

    found = wrong(replace(whole, stored={**whole.stored, 2: other}, heads=heads))

    assert found == [(2, Wrong.DISAGREES), *([] if sealed else [(3, Wrong.UNSEALED)])]


def test_the_last_bundle_is_not_called_whole_while_the_other_region_does_not_know_of_it() -> None:
    whole = chain(*BODIES)
    unsealed = replace(whole, heads={number: head for number, head in whole.heads.items() if number != 3})

    assert wrong(unsealed) == [(3, Wrong.UNSEALED)]


def test_where_the_other_region_could_not_be_asked_that_is_told_and_the_links_are_judged_among_themselves() -> None:
    blind = replace(chain(*BODIES, heads=False), unseen=("cannot list s3://x: AccessDenied",))
    one, two, three = BODIES

    assert evidence_chain.verified(blind) == (
        Finding(number=None, wrong=Wrong.UNSEEN, text="cannot list s3://x: AccessDenied"),
    )
    changed = one.replace(b"0.1.0", b"0.1.1")
    assert against(blind, changed, two, three) == [(None, Wrong.UNSEEN), (1, Wrong.CHANGED)]
    assert against(blind, one, None, three) == [(None, Wrong.UNSEEN), (2, Wrong.MISSING)]


def test_what_a_damaged_bundle_is_suspected_of_is_told_in_words() -> None:
    whole = chain(*BODIES)
    [finding] = evidence_chain.verified(replace(whole, stored=chain(BODIES[0], b"{}", BODIES[2]).stored))
    newer = BODIES[1].replace(b"lifeboat-evidence-1", b"lifeboat-evidence-2")
    [of_newer] = evidence_chain.verified(replace(whole, stored=chain(BODIES[0], newer, BODIES[2]).stored))

    assert finding.text == f"bundle 2 cannot be read: {NOT_OURS}: number: field required"
    assert of_newer.text == f"bundle 2 cannot be read: {NOT_OURS}: format: input should be 'lifeboat-evidence-1'"


def test_what_is_stored_is_as_the_schema_says_and_what_is_not_is_refused() -> None:
    check = Draft202012Validator(evidence_chain.schema())

    assert [list(check.iter_errors(json.loads(body))) for body in BODIES] == [[], [], []]
    for change in ({"number": "one"}, {"more": 1}, {"bundle": {**json.loads(BODIES[0])["bundle"], "outcome": "green"}}):
        assert list(check.iter_errors({**json.loads(BODIES[0]), **change})), change


CUT_OFF_AT = "it is no JSON: EOF while parsing a string at line 7 column 35"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda body: b"", "it is no JSON: EOF while parsing a value at line 1 column 0"),
        (lambda body: body[:200], CUT_OFF_AT),
        (lambda body: b"[]", f"{NOT_OURS}: input should be an object"),
        (lambda body: b"[" * 100_000, "it is no JSON: recursion limit exceeded at line 1 column 202"),
        (lambda body: body.replace(b'"bundle"', b'"bandle"'), f"{NOT_OURS}: bundle: field required"),
    ],
    ids=["empty", "cut off", "a list", "nested without end", "without a bundle"],
)
def test_what_cannot_be_read_is_told_why_in_plain_words(change: Callable[[bytes], bytes], why: str) -> None:
    (body,) = chained(bundle())

    assert evidence_chain.stored(1, change(body)).damaged == why
