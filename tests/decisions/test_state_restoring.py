"""What a restore of Terraform's state still has to write, from whatever was left by accidents and kills."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.decisions import state_diff, state_documents
from lifeboat.decisions.state_restoring import (
    REBUILD,
    RESTORE,
    VERBS,
    Appearing,
    FreeLock,
    PutDigest,
    PutState,
    Restoring,
    Seen,
    Vanishing,
    Verb,
    Write,
    ahead,
    appearing,
    blind,
    highest,
    is_of,
    md5,
    plan,
    same_content,
    strangers,
    that_count,
    unknown_elsewhere,
    vanishing,
    with_serial,
    words,
)
from lifeboat.model import Address, RunId, StateMark
from lifeboat.state_model import OwnedThing, StateDiff, StateEntry, StateFacts, VersionId

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
LOCK = "lock-1"


def state(serial: int, *names: str, lineage: str = "l") -> bytes:
    resources = [{"mode": "managed", "type": "terraform_data", "name": name, "instances": []} for name in names]
    document = {"version": 4, "serial": serial, "lineage": lineage, "outputs": {}, "resources": resources}
    return f"{json.dumps(document, indent=2)}\n".encode()


def mark(body: bytes) -> StateMark:
    document = json.loads(body)
    return StateMark(serial=document["serial"], lineage=document["lineage"], md5=md5(body))


OLD, NEW = state(3, "a"), state(5, "a", "b")
RIVALS = (mark(OLD), mark(NEW))
RESTORED = with_serial(OLD, 6)


# -- the serial --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b'{"serial": 3}', b'{"serial": 12}'),
        (b'{"serial":3,"lineage":"l"}\n', b'{"serial":12,"lineage":"l"}\n'),
        (
            b'{\n  "version": 4,\n  "serial": 3,\n  "outputs": {}\n}\n',
            b'{\n  "version": 4,\n  "serial": 12,\n  "outputs": {}\n}\n',
        ),
        # The serial of something inside, and text that looks like one, are not the document's.
        (
            b'{"outputs": {"serial": 1}, "text": "\\"serial\\": 2", "serial": 3}',
            b'{"outputs": {"serial": 1}, "text": "\\"serial\\": 2", "serial": 12}',
        ),
        # Go escapes < and >, writes 1e+06 and keeps the order of what it was given.
        (b'{"z": "\\u003c", "a": 1e+06, "serial": 3}', b'{"z": "\\u003c", "a": 1e+06, "serial": 12}'),
        ('{"name": "Zürich", "serial": 3}'.encode(), '{"name": "Zürich", "serial": 12}'.encode()),
    ],
)
def test_nothing_but_the_serial_changes(body: bytes, wanted: bytes) -> None:
    assert with_serial(body, 12) == wanted


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"serial": 3',
        b'{"serial": 3}, {}',
        b'{"serial": 3,}',
        b'{"serial": "3"}',
        b'{"serial": 3.5}',
        b'{"serial": true}',
        b'{"lineage": "l"}',
        b'{"serial": 3, "serial": 4}',
        b"\xff\xfe",
    ],
)
def test_what_has_not_exactly_one_serial_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        with_serial(body, 12)


@given(
    st.dictionaries(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists), max_size=5),
    st.integers(0, 10**12),
    st.sampled_from([None, 2]),
)
def test_any_document_comes_out_as_it_went_in(document: dict[str, Any], serial: int, indent: int | None) -> None:
    body = json.dumps({**document, "serial": 7}, indent=indent).encode()

    changed = with_serial(body, serial)

    assert json.loads(changed) == {**document, "serial": serial}
    assert with_serial(changed, 7) == body


def test_states_are_the_same_when_only_their_serials_differ() -> None:
    assert same_content(OLD, RESTORED)
    assert not same_content(OLD, NEW)
    assert not same_content(OLD, OLD[:-10])


# -- the writes --------------------------------------------------------------------------------------------------------


def seen(**other: Any) -> Seen:
    return replace(Seen(chosen=OLD, on_top=NEW, rivals=RIVALS, keeps_digest=True, digest=md5(NEW)), **other)


PUT = PutState(serial=6, digest=md5(RESTORED))


@pytest.mark.parametrize(
    ("found", "writes"),
    [
        # An older version is wanted than the one on top.
        (seen(), (PUT, PutDigest(digest=md5(RESTORED), instead_of=md5(NEW)))),
        # Deleted, with and without the digest.
        (seen(on_top=None), (PUT, PutDigest(digest=md5(RESTORED), instead_of=md5(NEW)))),
        (seen(on_top=None, digest=None), (PUT, PutDigest(digest=md5(RESTORED), instead_of=None))),
        # Truncated, and another lineage.
        (seen(on_top=NEW[:40]), (PUT, PutDigest(digest=md5(RESTORED), instead_of=md5(NEW)))),
        (
            seen(on_top=state(1, lineage="m"), digest="x", rivals=(*RIVALS, mark(state(1, lineage="m")))),
            (PUT, PutDigest(digest=md5(RESTORED), instead_of="x")),
        ),
        # A digest is not kept, or there is no table for it.
        (seen(keeps_digest=False, digest=None), (PUT,)),
        # Copied over the key as it was: its serial is one that Terraform went on from.
        (seen(on_top=OLD, digest=md5(NEW)), (PUT, PutDigest(digest=md5(RESTORED), instead_of=md5(NEW)))),
        # The newest is wanted and stands there: at most its digest is wrong.
        (seen(chosen=NEW), ()),
        (seen(chosen=NEW, digest="x"), (PutDigest(digest=md5(NEW), instead_of="x"),)),
        (seen(chosen=NEW, digest=None), (PutDigest(digest=md5(NEW), instead_of=None),)),
        (seen(chosen=NEW, keeps_digest=False, digest=None), ()),
        # Restored already, with its digest and without.
        (seen(on_top=RESTORED, rivals=(*RIVALS, mark(RESTORED)), digest=md5(RESTORED)), ()),
        (
            seen(on_top=RESTORED, rivals=(*RIVALS, mark(RESTORED))),
            (PutDigest(digest=md5(RESTORED), instead_of=md5(NEW)),),
        ),
        # Somewhere, such as on this machine, the serial went further.
        (
            seen(on_top=RESTORED, rivals=(mark(RESTORED), StateMark(serial=6, lineage="l", md5="other"))),
            (
                PutState(serial=7, digest=md5(with_serial(OLD, 7))),
                PutDigest(digest=md5(with_serial(OLD, 7)), instead_of=md5(NEW)),
            ),
        ),
        # A dead restore's lock goes first.
        (
            seen(left=(LOCK,)),
            (FreeLock(lock_id=LOCK), PUT, PutDigest(digest=md5(RESTORED), instead_of=md5(NEW))),
        ),
        (seen(chosen=NEW, left=(LOCK,)), (FreeLock(lock_id=LOCK),)),
    ],
)
def test_every_start_has_its_writes(found: Seen, writes: tuple[Write, ...]) -> None:
    assert plan(found).writes == writes


def test_the_plan_never_shows_the_state_itself() -> None:
    secret = state(3, "canary")

    shown = f"{seen(chosen=secret, on_top=secret)} {plan(seen(chosen=secret))}"

    assert "canary" not in shown


def test_writes_are_told_in_words() -> None:
    place = "s3://b/k"

    assert [
        words(write, place)
        for write in (
            FreeLock(lock_id=LOCK),
            PutState(serial=6, digest="d"),
            PutDigest(digest="d", instead_of=None),
            PutDigest(digest="d", instead_of="e"),
        )
    ] == [
        "remove the lock lock-1, which an interrupted restore or rebuild of the state left",
        "write serial 6 on top of s3://b/k; every version below it stays",
        "write the digest d, which is missing",
        "write the digest d instead of e",
    ]


# -- a bucket and a table in small, and kills between any two writes ------------------------------------------------------


@dataclass
class Backend:
    """A versioned object (None is a delete marker), its digest and its lock."""

    versions: list[bytes | None]
    digest: str | None
    lock: str | None = None
    keeps_digest: bool = True
    known: tuple[StateMark, ...] = field(default=())

    def seen(self, chosen: bytes) -> Seen:
        readable = [body for body in self.versions if body is not None and body.startswith(b"{")]
        return Seen(
            chosen=chosen,
            on_top=self.versions[-1] if self.versions else None,
            rivals=(*(mark(body) for body in readable), *self.known),
            keeps_digest=self.keeps_digest,
            digest=self.digest,
            left=() if self.lock is None else (self.lock,),
        )

    def carry_out(self, write: Write, restoring: Restoring) -> None:
        match write:
            case FreeLock(lock_id=lock_id):
                assert self.lock == lock_id
                self.lock = None
            case PutState():
                self.versions.append(restoring.body)
            case PutDigest(digest=digest, instead_of=before):
                assert self.digest == before
                self.digest = digest


SERIALS = st.integers(0, 6)
BODIES = st.builds(state, SERIALS, st.sampled_from("ab"), lineage=st.sampled_from("lm"))
CUT = BODIES.map(lambda body: body[1 : len(body) // 2])
MARKS = st.builds(StateMark, serial=SERIALS, lineage=st.just("l"), md5=st.sampled_from(["x", "y"]))
BACKENDS = st.builds(
    Backend,
    versions=st.lists(BODIES | CUT | st.none(), max_size=5),
    digest=st.none() | st.sampled_from(["x", md5(OLD), md5(NEW)]),
    lock=st.none() | st.just(LOCK),
    keeps_digest=st.booleans(),
    known=st.tuples() | st.tuples(MARKS),
)


@given(BACKENDS, BODIES, st.lists(st.integers(0, 3), max_size=4))
def test_killed_anywhere_and_run_again_it_converges_and_then_does_nothing(
    backend: Backend, chosen: bytes, kills: list[int]
) -> None:
    before = list(backend.versions)
    highest = max((m.serial for m in backend.seen(chosen).rivals), default=-1)

    for carried_out in [*kills, 99]:
        restoring = plan(backend.seen(chosen))
        for write in restoring.writes[:carried_out]:
            backend.carry_out(write, restoring)

    again = plan(backend.seen(chosen))
    top = backend.versions[-1]
    assert again.writes == ()
    assert top is not None
    assert same_content(top, chosen)
    assert json.loads(top)["serial"] >= highest
    assert backend.digest == md5(top) or not backend.keeps_digest
    assert backend.lock is None
    assert backend.versions[: len(before)] == before
    assert len(backend.versions) <= len(before) + 1


@given(BACKENDS, st.lists(BODIES, min_size=1, max_size=4))
def test_restores_one_after_the_other_keep_every_version_and_raise_the_serial(
    backend: Backend, wanted: list[bytes]
) -> None:
    serials = []
    for chosen in wanted:
        before = list(backend.versions)
        restoring = plan(backend.seen(chosen))
        for write in restoring.writes:
            backend.carry_out(write, restoring)
        serials.append(restoring.serial)
        assert backend.versions[: len(before)] == before

    assert serials == sorted(serials)
    assert all(
        a < b for a, b, x, y in zip(serials, serials[1:], wanted, wanted[1:], strict=False) if not same_content(x, y)
    )


# -- what would be lost ------------------------------------------------------------------------------------------------


def views(**resources: str) -> dict[str, Any]:
    return {
        "version": 4,
        "serial": 1,
        "lineage": "l",
        "terraform_version": "1.11.4",
        "outputs": {},
        "resources": [
            {
                "mode": "managed",
                "type": "t",
                "name": name,
                "provider": "p",
                "instances": [{"schema_version": 0, "attributes": {"id": id_}, "sensitive_attributes": []}],
            }
            for name, id_ in resources.items()
        ],
    }


def change(old: dict[str, Any], new: dict[str, Any]) -> StateDiff:
    before, after = (state_documents.read(json.dumps(one).encode()) for one in (old, new))
    return state_diff.diff(before, after)


def test_what_the_chosen_state_does_not_know_would_vanish() -> None:
    chosen = views(a="1", b="2", moved="6")
    five, seven = views(a="1", b="3", c="4", other="6"), views(c="4", d="5")

    found = vanishing([("serial 5", change(five, chosen)), ("serial 7", change(seven, chosen))])

    assert found == (
        Vanishing(address=Address("t.b"), id="3", known_to="serial 5"),  # replaced: the new one would be nobody's
        Vanishing(address=Address("t.c"), id="4", known_to="serial 5"),
        Vanishing(address=Address("t.d"), id="5", known_to="serial 7"),
    )


def test_what_the_chosen_state_alone_knows_would_appear() -> None:
    chosen = views(a="1", b="2", c="3")
    five, seven = views(a="1", b="2"), views(a="1", c="4")

    assert appearing([]) == ()
    assert appearing([("serial 5", change(five, chosen))]) == (Appearing(address=Address("t.c"), id="3"),)
    # Replaced since: that counts as vanishing.
    assert appearing([("serial 5", change(five, chosen)), ("serial 7", change(seven, chosen))]) == ()


def test_what_the_other_root_knows_under_its_address_and_its_id_does_not_vanish() -> None:
    known, moved, another = (
        Vanishing(address=Address(address), id=id_, known_to="serial 5")
        for address, id_ in (("t.a", "1"), ("t.b", "2"), ("t.c", "3"))
    )

    found = unknown_elsewhere([known, moved, another], {Address("t.a"): "1", Address("t.x"): "2", Address("t.c"): "4"})

    assert found == (moved, another)


def entry(name: str, serial: int | None, *, lineage: str = "l", latest: bool = False, content: str = "") -> StateEntry:
    facts = (
        None
        if serial is None
        else StateFacts(serial=serial, lineage=lineage, terraform_version="1", resources=0, environment=None)
    )
    return StateEntry(
        version_id=VersionId(name),
        written_at=NOW + timedelta(minutes=int(name)),
        latest=latest,
        md5=content or name,
        facts=facts,
    )


@pytest.mark.parametrize(
    ("entries", "counted"),
    [
        ([], []),
        ([entry("1", 3, latest=True)], ["1"]),
        ([entry("2", 5, latest=True), entry("1", 3)], ["2"]),
        # An old version copied over the key knows what was destroyed since; forced there and gone on from, it counts.
        ([entry("3", 3, latest=True, content="1"), entry("2", 5), entry("1", 3)], ["2"]),
        ([entry("3", 4, latest=True), entry("2", 5), entry("1", 3)], ["3", "2"]),
        # Deleted, or cut off: what was written last, under the highest serial.
        ([entry("3", None, latest=True), entry("2", 5), entry("1", 3)], ["2"]),
        # A serial that was written twice: what either made must not be lost unseen; the same content counts once.
        ([entry("3", 5, content="1"), entry("2", 5), entry("1", 5)], ["3", "2"]),
        # The history left serial 5, which is remembered, and has passed it since.
        (
            [entry("4", 6, latest=True), entry("3", 3, content="1"), entry("2", 5, content="known"), entry("1", 3)],
            ["4", "2"],
        ),
        # Another lineage may have made real things too.
        ([entry("2", 9, lineage="m", latest=True), entry("1", 3)], ["2", "1"]),
        ([entry("2", 9, lineage="m", latest=True)], ["2"]),
        # Deleted, and a version of another lineage wanted, of which this is not the highest serial.
        ([entry("4", 8), entry("3", 2, lineage="other"), entry("2", 4, lineage="other")], ["4", "2"]),
    ],
)
def test_what_is_on_top_and_the_highest_serial_count(entries: list[StateEntry], counted: list[str]) -> None:
    known = StateMark(serial=5, lineage="l", md5="known")

    assert [one.version_id for one in that_count(entries, ["l", "other"], known)] == counted


def test_what_lies_ahead_of_a_serial_is_the_highest_of_the_lineage() -> None:
    entries = [entry("4", 7, lineage="m"), entry("3", 5), entry("2", 6), entry("1", None)]

    assert (highest(entries, "l"), highest(entries, "n")) == (6, -1)
    assert ahead(entries, "l", 4) == (entries[2],)
    assert ahead(entries, "l", 6) == ()


@pytest.mark.parametrize(
    ("run", "of"),
    [
        ("20261128T032535Z-state-restore-1a2b3c", [RESTORE]),
        ("20261128T032535Z-state-rebuild-1a2b3c", [REBUILD]),
        ("20261128T032535Z-recover-1a2b3c", []),
        ("20261128T032535.123456Z-apply", []),
    ],
)
def test_what_a_run_wrote_over_the_state_for_is_told_by_its_name(run: str, of: list[Verb]) -> None:
    assert [verb for verb in VERBS if is_of(RunId(run), [verb])] == of


MARKER = StateEntry(version_id=VersionId("9"), written_at=NOW + timedelta(minutes=9), latest=True, marker=True)


def marked(serial: int, md5: str) -> StateMark:
    return StateMark(serial=serial, lineage="l", md5=md5)


@pytest.mark.parametrize(
    ("entries", "chosen", "remembered", "answer"),
    [
        ([entry("2", 5), entry("1", 3)], entry("2", 5), [], False),
        ([MARKER, entry("2", 5), entry("1", 3)], entry("2", 5), [marked(5, "2")], False),
        ([entry("3", None), entry("2", 5)], entry("2", 5), [marked(5, "2")], True),  # cut off, and of who knows what
        ([entry("3", 6), entry("2", None), entry("1", 5)], entry("3", 6), [marked(5, "1")], False),  # gone on from
        ([entry("2", 5)], entry("2", 5), [marked(6, "x")], True),  # this machine knew a newer one
        ([entry("2", 5)], entry("2", 5), [marked(5, "x")], True),  # that serial was written twice
        ([entry("3", 6), entry("2", 4)], entry("3", 6), [marked(5, "x")], True),
        ([entry("3", 6)], entry("3", 6), [marked(5, "x")], False),  # the remembered one left by its age
        ([], entry("2", 5), [marked(5, "2")], True),  # out of the replica, which may lag behind
        ([], entry("2", 5), [], True),
    ],
)
def test_aws_is_asked_where_no_version_tells_what_was_made_last(
    entries: list[StateEntry], chosen: StateEntry, remembered: list[StateMark], *, answer: bool
) -> None:
    assert blind(entries, chosen, remembered) is answer


def test_what_bears_our_tags_and_is_in_no_state_would_be_known_to_aws_alone() -> None:
    known, lost = (
        OwnedThing(kind="aws_vpc", region="r", name=name, ids=frozenset({name, f"arn:{name}"})) for name in "ab"
    )

    assert strangers([known, lost], frozenset({"arn:a", "c"})) == (
        Vanishing(address=Address("aws_vpc"), id="b", known_to="AWS in r"),
    )


def test_what_is_nested_too_deeply_to_be_read_is_no_state_to_compare_with() -> None:
    deep = b"[" * 100_000

    assert not same_content(deep, b'{"serial": 1}')
    with pytest.raises(ValueError, match="nested too deeply"):
        with_serial(deep, 2)
