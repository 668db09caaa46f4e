"""What a GitLab variable shall be: values, masking with its reasons, markers, and all mistakes at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.decisions import variables
from lifeboat.gitlab_model import Masking, Variable, VariableName, Wish
from lifeboat.model import Secret
from localcloud.gitlab import masking

OUTPUTS = {
    "app": {"address": "10.0.0.7", "dns_name": None, "port": 8080, "ready": True, "share": 0.5},
    "ids": ["a", "b"],
    "map": {"ä": [1, {"b": None}]},
}


def wish(key: str = "KEY", **more: object) -> Wish:
    return Wish(**{"name": VariableName(key=key, scope="production"), "source": "output app.address", **more})  # type: ignore[arg-type]


def existing(key: str = "KEY", value: str | None = "some-old-value", **more: object) -> Variable:
    secret = None if value is None else Secret(value)
    return Variable(**{"name": VariableName(key=key, scope="production"), "value": secret, **more})  # type: ignore[arg-type]


# -- values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("app.address", "10.0.0.7"),
        ("app.port", "8080"),
        ("app.ready", "true"),
        ("app.share", "0.5"),
        ("ids", '["a","b"]'),
        ("ids.1", "b"),
        ("map", '{"ä":[1,{"b":null}]}'),
    ],
)
def test_an_output_is_written_as_a_shell_can_read_it(path: str, text: str) -> None:
    found = variables.rendered(OUTPUTS, path)

    assert isinstance(found, Secret)
    assert found.reveal() == text


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("app.addres", "the stack's output recovery has no app.addres"),
        ("app.address.x", "the stack's output recovery has no app.address.x"),
        ("ids.2", "the stack's output recovery has no ids.2"),
        ("nothing", "the stack's output recovery has no nothing"),
        ("app.dns_name", "the stack's output recovery.app.dns_name is null"),
    ],
)
def test_an_output_that_is_missing_or_null_is_told_from_a_value(path: str, reason: str) -> None:
    assert variables.rendered(OUTPUTS, path) == reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "its value is empty"),
        ("x" * 10_001, "its value has 10001 characters, and GitLab takes 10000 at most"),
        ("with\0nul", "its value contains a NUL, which no environment variable can hold"),
    ],
)
def test_a_value_that_no_variable_can_have_is_a_mistake(value: str, reason: str) -> None:
    done = variables.targets([(wish(masked=Masking.NEVER), Secret(value))], [], "production")

    assert done.mistakes == (f"KEY (production): {reason}",)
    assert done.targets == ()


# -- masking -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "raw", "reason"),
    [
        ("10.0.0.7", True, None),
        ("10.0.0.7", False, None),
        ("10.0.0.", True, "it has fewer than 8 characters"),
        ("postgres://u:p%40ss@h/db?x=1", True, None),
        (
            "postgres://u:p%40ss@h/db?x=1",
            False,
            "it contains other characters than letters, digits and _+=/@:.~- (raw = true allows any but white space)",
        ),
        ("two words here", True, "it contains white space (blanks or line breaks)"),
        ("first line\nsecond line", True, "it contains white space (blanks or line breaks)"),
        ("ends in a break\n", True, "it contains white space (blanks or line breaks)"),
        ("a b", True, "it contains white space (blanks or line breaks)"),
    ],
)
def test_a_value_that_cannot_be_masked_has_a_reason(value: str, raw: bool, reason: str | None) -> None:
    assert variables.unmaskable(wish(raw=raw), Secret(value)) == reason


@given(value=st.text(st.characters(codec="ascii"), max_size=20) | st.text("aä€ \n-", max_size=12), raw=st.booleans())
def test_masking_is_judged_as_the_server_judges_it(value: str, raw: bool) -> None:
    ours = variables.unmaskable(wish(raw=raw), Secret(value)) is None

    assert ours == masking.can_be_masked({"value": value, "raw": raw})


@pytest.mark.parametrize(
    ("asked", "before", "masked", "note"),
    [
        ({}, None, True, ()),
        ({"masked": Masking.NEVER}, None, False, ()),
        ({"masked": Masking.NEVER}, existing(masked=True), False, ()),
        ({"masked": Masking.REQUIRE}, None, True, ()),
        ({"hidden": True}, None, True, ()),
    ],
)
def test_a_value_that_can_be_masked_is_unless_it_may_not(
    asked: dict[str, object], before: Variable | None, masked: bool, note: tuple[str, ...]
) -> None:
    done = variables.targets([(wish(**asked), Secret("10.0.0.77"))], [before] if before else [], "production")

    assert done.mistakes == ()
    assert done.targets[0].attributes["masked"] is masked
    assert done.targets[0].notes == note


def test_a_harmless_value_that_cannot_be_masked_is_shown_and_told() -> None:
    done = variables.targets([(wish(), Secret("8080"))], [], "production")

    assert done.targets[0].attributes["masked"] is False
    assert done.targets[0].notes == ("not masked: it has fewer than 8 characters",)


@pytest.mark.parametrize(
    ("asked", "before", "why"),
    [
        ({"sensitive": True, "source": "secret db"}, None, "secret db is secret"),
        ({"masked": Masking.REQUIRE}, None, 'its entry says masked = "require"'),
        ({"hidden": True}, None, "what is hidden is masked too"),
        ({}, existing(masked=True), "it is masked in GitLab now"),
    ],
)
def test_what_must_be_masked_and_cannot_be_is_a_mistake_without_the_value(
    asked: dict[str, object], before: Variable | None, why: str
) -> None:
    done = variables.targets([(wish(**asked), Secret("hunter2"))], [before] if before else [], "production")

    assert done.mistakes == (
        f"KEY (production): cannot be masked: it has fewer than 8 characters; {why}."
        ' Write masked = "never" to have it shown in job logs',
    )


# -- hidden ------------------------------------------------------------------------------------------------------------


def test_a_variable_that_can_be_seen_cannot_be_hidden_any_more() -> None:
    done = variables.targets([(wish(hidden=True), Secret("some-value"))], [existing()], "production")

    assert done.mistakes == (
        "KEY (production): it exists and can be seen, and GitLab hides new variables alone: delete it there first, or"
        " write hidden = false",
    )


def test_a_hidden_variable_cannot_be_unmasked() -> None:
    before = existing(value=None, hidden=True, masked=True)

    done = variables.targets([(wish(masked=Masking.NEVER), Secret("some-value"))], [before], "production")

    assert done.mistakes == (
        "KEY (production): GitLab hides it for good and masks what it hides: delete it there first, or leave out"
        ' masked = "never"',
    )


def test_what_gitlab_hides_is_told_where_nobody_asked_for_it() -> None:
    before = existing(value=None, hidden=True, masked=True)

    done = variables.targets([(wish(), Secret("some-value"))], [before], "production")

    assert done.targets[0].notes == ("GitLab hides it for good: it cannot be compared, exported or put back",)


# -- attributes and markers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "before", "description"),
    [
        (None, None, "managed-by: lifeboat/production"),
        ("Why", None, "Why managed-by: lifeboat/production"),
        (None, "By hand", "By hand managed-by: lifeboat/production"),
        ("Why", "By hand", "Why managed-by: lifeboat/production"),
        (None, "Old managed-by: lifeboat/production", "Old managed-by: lifeboat/production"),
        (None, "managed-by: lifeboat/prod", "managed-by: lifeboat/prod managed-by: lifeboat/production"),
    ],
)
def test_the_description_says_who_keeps_the_variable(said: str | None, before: str | None, description: str) -> None:
    have = [] if before is None else [existing(description=before)]

    done = variables.targets([(wish(description=said), Secret("some-value"))], have, "production")

    assert done.targets[0].attributes["description"] == description


def test_a_description_without_room_for_the_marker_stays_and_is_told() -> None:
    long = "x" * 240

    done = variables.targets([(wish(), Secret("some-value"))], [existing(description=long)], "production")

    assert done.targets[0].attributes["description"] == long
    assert done.targets[0].notes == ("its description leaves no room for the marker, so it is never pruned",)


@pytest.mark.parametrize(
    ("description", "ours"),
    [
        ("managed-by: lifeboat/production", True),
        ("Text managed-by: lifeboat/production", True),
        ("managed-by: lifeboat/production more", True),
        ("managed-by: lifeboat/production2", False),
        ("managed-by: lifeboat/production-eu", False),
        ("not-managed-by: lifeboat/production", False),
        ("managed-by: lifeboat/prod", False),
        ("", False),
    ],
)
def test_the_marker_is_compared_to_the_last_letter(description: str, ours: bool) -> None:
    assert variables.is_ours(existing(description=description), "production") is ours


def test_attributes_that_the_file_does_not_state_are_not_touched() -> None:
    silent = variables.targets([(wish(), Secret("some-value"))], [existing(protected=True)], "production").targets[0]
    stated = variables.targets([(wish(protected=False), Secret("some-value"))], [], "production").targets[0]

    assert "protected" not in silent.attributes
    assert stated.attributes["protected"] is False


def test_all_mistakes_are_told_at_once() -> None:
    wishes = [
        (wish("A"), Secret("")),
        (wish("B", sensitive=True), Secret("a b")),
        (wish("C"), Secret("good-value")),
        (wish("C"), Secret("good-value")),
    ]

    done = variables.targets(wishes, [], "production")

    assert [mistake.partition(":")[0] for mistake in done.mistakes] == [
        "A (production)",
        "B (production)",
        "C (production)",
    ]
    assert done.mistakes[2] == "C (production): there is more than one entry for it"
    assert [str(target.name) for target in done.targets] == ["C (production)"]


@given(value=st.text(min_size=4), more=st.sampled_from([{}, {"sensitive": True}, {"hidden": True}, {"raw": False}]))
def test_no_mistake_note_or_repr_shows_a_value(value: str, more: dict[str, object]) -> None:
    canary = f"canary{value}"
    done = variables.targets([(wish(**more), Secret(canary))], [existing(value=canary, masked=True)], "production")

    assert canary not in repr(done)
    assert canary not in f"{done} {done.targets} {done.mistakes}"
