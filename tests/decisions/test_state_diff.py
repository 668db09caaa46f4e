"""What one state has that another has not; of what is sensitive only that it changed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.decisions.state_diff import diff
from lifeboat.decisions.state_documents import read
from lifeboat.decisions.state_secrets import MASK
from lifeboat.state_model import AttributeChange, Move, StateDiff

from tests.state_sites import CANARY, FOREIGN, LINEAGE, resource, state


def compared(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> StateDiff:
    return diff(read(state(1, old)), read(state(2, new)))


def thing(name: str = "y", **attributes: Any) -> dict[str, Any]:
    return resource("aws_x", name, {"id": f"id-{name}", **attributes})


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, str | None, str | None]]:
    (found,) = compared([thing(**old)], [thing(**new)]).changed
    return [(change.path, change.old, change.new) for change in found.changes]


def test_a_state_and_itself_are_the_same() -> None:
    found = compared([thing(a="1")], [thing(a="1")])

    assert found == StateDiff(
        added=(), removed=(), moved=(), replaced=(), changed=(), outputs=(), lineages=(LINEAGE, LINEAGE)
    )
    assert found.same


def test_what_the_next_apply_replaces_for_being_tainted_is_not_the_same() -> None:
    whole = {"schema_version": 0, "attributes": {"id": "i", "status": "running"}}
    tainted = {**whole, "status": "tainted"}

    found = compared([resource("aws_x", "y", whole)], [resource("aws_x", "y", tainted)])

    assert not found.same
    assert found.changed[0].changes == (AttributeChange(path="(status)", old=None, new="tainted"),)


def test_two_lineages_are_never_the_same() -> None:
    found = diff(read(state(1)), read(state(1, lineage=FOREIGN)))

    assert (found.same, found.lineages) == (False, (LINEAGE, FOREIGN))


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ({"a": "1"}, {"a": "2"}, [("a", '"1"', '"2"')]),
        ({"a": None}, {"a": "2"}, [("a", None, '"2"')]),
        ({"a": 1, "b": 1}, {"b": 1}, [("a", "1", None)]),
        ({"a": True}, {"a": False}, [("a", "true", "false")]),
        ({"a": ["x", "y"]}, {"a": ["y"]}, [("a", '["x", "y"]', '["y"]')]),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}, {"b": 3}]}, [("a[0].b", "1", "2"), ("a[1].b", None, "3")]),
        ({"a": {"b c": "ä"}}, {"a": {"b c": "ö"}}, [('a["b c"]', '"ä"', '"ö"')]),
        ({"a": [{"b": 1}]}, {"a": []}, [("a", None, "[]"), ("a[0].b", "1", None)]),
    ],
)
def test_attributes_are_compared_by_their_paths(
    old: dict[str, Any], new: dict[str, Any], wanted: list[tuple[str, str | None, str | None]]
) -> None:
    assert changes(old, new) == wanted


@pytest.mark.parametrize(("old", "new"), [({"a": None}, {}), ({}, {"a": None}), ({"a": {"b": None}}, {"a": {}})])
def test_null_is_as_good_as_missing(old: dict[str, Any], new: dict[str, Any]) -> None:
    found = compared([thing(**old)], [thing(**new)])

    assert [change.changes for change in found.changed] in ([], [(AttributeChange(path="a", old=None, new="{}"),)])
    assert found.same is (old != {"a": {"b": None}})


def test_another_id_is_a_replacement_and_another_address_a_move() -> None:
    found = compared(
        [resource("aws_instance", "app", {"id": "i-1"}), resource("aws_eip", "ip", {"id": "e-1"})],
        [resource("aws_instance", "app", {"id": "i-2"}), resource("aws_eip", "ip", {"id": "e-1"}, module="module.m")],
    )

    assert [(one.address, one.old_id, one.new_id) for one in found.replaced] == [("aws_instance.app", "i-1", "i-2")]
    assert [(one.old, one.new, one.id) for one in found.moved] == [("aws_eip.ip", "module.m.aws_eip.ip", "e-1")]
    assert (found.added, found.removed, found.changed) == ((), (), ())


def test_what_has_no_id_or_one_that_others_share_has_not_moved() -> None:
    found = compared(
        [resource("aws_x", "a", {}), resource("aws_x", "b", {"id": "same"}), resource("aws_x", "c", {"id": "same"})],
        [resource("aws_x", "d", {}), resource("aws_x", "e", {"id": "same"}), resource("aws_y", "f", {"id": "same"})],
    )

    assert found.moved == ()
    assert [view.address for view in found.removed] == ["aws_x.a", "aws_x.b", "aws_x.c"]
    assert [view.address for view in found.added] == ["aws_x.d", "aws_x.e", "aws_y.f"]


def test_a_mark_alone_is_no_change_and_one_on_either_side_hides_both() -> None:
    plain = {"attributes": {"id": "i", "code": CANARY}}
    mark = [[{"type": "get_attr", "value": "code"}]]

    only = compared([resource("aws_x", "y", plain)], [resource("aws_x", "y", {**plain, "sensitive_attributes": mark})])
    other = {"attributes": {"id": "i", "code": "another"}, "sensitive_attributes": mark}
    both = compared([resource("aws_x", "y", plain)], [resource("aws_x", "y", other)])

    assert only.same
    assert both.changed[0].changes == (AttributeChange(path="code", old=MASK, new=MASK),)


def test_outputs_are_compared_and_a_sensitive_one_only_changed() -> None:
    old = read(
        state(
            1,
            url={"value": {"host": "a", "port": 1}, "type": "dynamic"},
            key={"value": CANARY, "type": "string", "sensitive": True},
            gone={"value": 1, "type": "number"},
            turned={"value": CANARY, "type": "string"},
        )
    )
    new = read(
        state(
            2,
            url={"value": {"host": "b", "port": 1}, "type": "dynamic"},
            key={"value": CANARY + "2", "type": "string", "sensitive": True},
            turned={"value": "w", "type": "string", "sensitive": True},
        )
    )

    assert diff(old, new).outputs == (
        AttributeChange(path="gone", old="1", new=None),
        AttributeChange(path="key", old=MASK, new=MASK),
        AttributeChange(path="turned", old=f'"{MASK}"', new=MASK),
        AttributeChange(path="url.host", old='"a"', new='"b"'),
    )


def test_data_sources_and_the_order_of_things_make_no_difference() -> None:
    data = {**resource("aws_region", "here", {"id": "r"}), "mode": "data"}

    assert compared([thing("a"), thing("b"), data], [thing("b"), thing("a")]).same


names = st.sampled_from(["a", "b", "c", "d"])
worlds = st.dictionaries(names, st.tuples(st.sampled_from(["1", "2"]), st.sampled_from(["x", "y"])), max_size=4)


@given(worlds, worlds)
def test_every_resource_is_in_one_group_and_the_way_back_is_the_opposite(
    one: dict[str, tuple[str, str]], other: dict[str, tuple[str, str]]
) -> None:
    def resources(world: dict[str, tuple[str, str]]) -> list[dict[str, Any]]:
        return [resource("aws_x", name, {"id": f"{name}-{id_}", "v": v}) for name, (id_, v) in world.items()]

    there, back = compared(resources(one), resources(other)), compared(resources(other), resources(one))

    groups = [
        {view.address for view in there.added},
        {view.address for view in there.removed},
        {change.address for change in there.replaced},
        {change.address for change in there.changed},
    ]
    unchanged = {f"aws_x.{name}" for name in one if one[name] == other.get(name)}
    assert sum(map(len, groups)) + len(unchanged) == len({*one, *other})
    assert set().union(unchanged, *groups) == {f"aws_x.{name}" for name in {*one, *other}}
    assert [view.address for view in there.added] == [view.address for view in back.removed]
    assert [change.address for change in there.replaced] == [change.address for change in back.replaced]
    assert there.same is (one == other)


@given(st.text(min_size=6, max_size=20), st.text(min_size=6, max_size=20))
def test_no_secret_of_either_state_is_in_what_differs(old: str, new: str) -> None:
    def world(secret: str, other: str) -> list[dict[str, Any]]:
        marked = {
            "attributes": {"id": "i", "password": secret, "copy": f"<{secret}>", "theirs": f"<{other}>"},
            "sensitive_attributes": [[{"type": "get_attr", "value": "password"}]],
        }
        return [resource("aws_x", "y", marked), resource("aws_x", secret, {"id": f"at-{secret}"})]

    found = compared(world(old, new), world(new, old))

    values = [
        text
        for change in (*found.changed, *found.replaced)
        for one in change.changes
        for text in (one.old, one.new)
        if text is not None
    ]
    views = [text for view in (*found.added, *found.removed) for text in (view.id, view.address)]
    moves = [text for move in found.moved for text in (move.old, move.new, move.id)]
    for text in (*values, *views, *moves):
        assert not any(secret in part for secret in (old, new) for part in text.split(MASK))


def test_a_move_says_what_moved() -> None:
    found = compared([thing("a")], [resource("aws_x", "b", {"id": "id-a"})])

    assert found.moved == (Move(old=found.moved[0].old, new=found.moved[0].new, id="id-a"),)
    assert (found.moved[0].old, found.moved[0].new) == ("aws_x.a", "aws_x.b")
