"""What a state says, why something is none, and what of it may be shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.decisions import state_documents, state_forms, state_secrets
from lifeboat.decisions.state_documents import facts, read, resources
from lifeboat.decisions.state_secrets import MASK
from lifeboat.model import Secret
from lifeboat.state_model import StateFacts

from tests.state_sites import CANARY, LINEAGE, resource, state

MARKED = [[{"type": "get_attr", "value": "password"}]]


def marked(attributes: dict[str, Any], *paths: list[dict[str, Any]]) -> dict[str, Any]:
    return {"attributes": attributes, "sensitive_attributes": list(paths)}


def attribute(name: str) -> dict[str, Any]:
    return {"type": "get_attr", "value": name}


def index(value: str | int) -> dict[str, Any]:
    return {"type": "index", "value": {"value": value, "type": "string" if isinstance(value, str) else "number"}}


def leaves(*instances: dict[str, Any]) -> dict[str, str | Secret]:
    view = next(iter(resources(state(1, [resource("aws_x", "y", *instances)])).values()))
    return state_secrets.leaves(view.attributes, view.sensitive)


# -- facts -------------------------------------------------------------------------------------------------------------


def test_a_state_says_its_serial_lineage_version_environment_and_how_many_resources_it_has() -> None:
    body = state(
        7,
        [
            resource("aws_s3_bucket", "a", {"id": "1"}, {"attributes": {"id": "0"}, "deposed": "0a1b"}),
            resource("aws_s3_bucket", "b", {"id": "2"}, module="module.m"),
            {**resource("aws_region", "here", {"id": "r"}), "mode": "data"},
        ],
        recovery={"value": {"environment": "production"}, "type": ["object", {}]},
    )

    assert facts(body) == StateFacts(
        serial=7, lineage=LINEAGE, terraform_version="1.11.4", resources=2, environment="production"
    )


@pytest.mark.parametrize("value", [None, "text", {"environment": None}, [], {}])
def test_a_state_whose_output_does_not_say_so_is_of_no_environment(value: object) -> None:
    said = facts(state(1, recovery={"value": value, "type": "dynamic"})).environment

    assert said is None


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"[]", "no state: it is JSON, but no object"),
        (b"null", "no state: it is JSON, but no object"),
        (b"<html></html>", "not JSON: expecting value at byte 0"),
        (b'{"version": 4} x', "not JSON: cut off at byte 16"),
        (b'{"version" 4}', "not JSON: expecting ':' delimiter at byte 11"),
        (b'{"a": "\xff"}', "not JSON: byte 7 is no UTF-8"),
        ('{"ä": "ö'.encode()[:-1], "not JSON: cut off at byte 9"),
        (b'{"version": 5, "serial": 1, "lineage": "l"}', "of format version 5, and only 4 is known"),
        (b'{"version": "4", "serial": 1, "lineage": "l"}', 'of format version "4", and only 4 is known'),
        (b'{"version": 4, "lineage": "l"}', "no state: it has no serial"),
        (b'{"version": 4, "serial": true, "lineage": "l"}', "no state: it has no serial"),
        (b'{"version": 4, "serial": -1, "lineage": "l"}', "no state: it has no serial"),
        (b'{"version": 4, "serial": 1, "lineage": ""}', "no state: it has no lineage"),
        (b'{"version": 4, "serial": 1, "lineage": "l", "resources": {}}', "no state: its resources are no list"),
        (
            b'{"version": 4, "serial": 1, "lineage": "l", "resources": [{}]}',
            "no state: its resource number 0 has not the form of one",
        ),
        (
            b'{"version": 4, "serial": 1, "lineage": "l", "outputs": {"a": 1}}',
            "no state: its outputs have not the form of outputs",
        ),
        (b"[" * 200_000, "not JSON that can be read: a number too long, or nested too deeply"),
        (b'{"serial": ' + b"1" * 5000 + b"}", "not JSON that can be read: a number too long, or nested too deeply"),
    ],
)
def test_what_is_no_state_says_why(body: bytes, why: str) -> None:
    with pytest.raises(ValueError) as found:
        facts(body)

    assert str(found.value) == why
    assert found.value.__cause__ is None


WHOLE = state(3, [resource("aws_x", "y", marked({"id": "i-ä", "password": CANARY, "n": 1.5, "b": True}, *MARKED))])


@given(st.integers(min_value=1, max_value=len(WHOLE.rstrip()) - 1))
def test_a_state_that_is_cut_off_anywhere_says_where_and_nothing_of_its_content(length: int) -> None:
    with pytest.raises(ValueError) as found:
        facts(WHOLE[:length])

    assert str(found.value) == f"not JSON: cut off at byte {length}"


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_whatever_is_read_either_is_a_state_or_says_why_not(body: bytes) -> None:
    why = ""
    try:
        facts(body)
    except ValueError as error:
        why = str(error)
        assert why


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["version", "serial", "lineage", "resources", "outputs", "terraform_version"]), json_values
    )
)
def test_any_other_json_is_a_state_that_can_be_read_whole_or_says_why_not(document: dict[str, Any]) -> None:
    body = json.dumps({"version": 4, "serial": 1, "lineage": "l", **document}).encode()

    try:
        said = facts(body)
    except ValueError:
        with pytest.raises(ValueError):
            read(body)
    else:
        assert read(body).facts == said


# What is written into a state: a key that is there twice, what only json takes, what neither does, what a form may not be.
SPLINTERS = [
    b'"serial": 4, ',
    b'"resources": [], ',
    b'"attributes": null, ',
    b'"attributes": {}, ',
    b'"attributes_flat": [], ',
    b'"deposed": null, ',
    b'"deposed": "0a1b", ',
    b'"module": null, ',
    b'"value": null, ',
    b'"x": NaN, ',
    b'"x": 1e999, ',
    b'"x": "\\ud800", ',
    b'"x": ' + b"[" * 300 + b"]" * 300 + b", ",
    b'"x": ' + b"7" * 4301 + b", ",
    b'"x": 01, ',
    b'"x": "\t", ',
    b"\xff",
    b"\xef\xbb\xbf",
    b"\\",
    b"}",
    b",",
]
READABLE = state(
    3,
    [resource("aws_x", "y", marked({"id": "i-ä", "n": 1.5, "l": [1, {"a": None}]}, *MARKED), module="module.m")],
    recovery={"value": {"environment": "production"}, "type": ["object", {}]},
)


@given(st.data())
def test_whatever_is_done_to_a_state_a_look_at_its_form_and_a_look_at_all_of_it_say_the_same(
    data: st.DataObject,
) -> None:
    body = READABLE
    for splinter in data.draw(st.lists(st.sampled_from(SPLINTERS) | st.binary(max_size=2), min_size=1, max_size=3)):
        start = data.draw(st.integers(min_value=0, max_value=len(body)))
        # Before a key it is a key more; anywhere else it breaks something.
        keys = [at for at in range(len(body)) if body[at : at + 1] == b'"' and body[at - 1 : at] in (b" ", b"{")]
        at = min(keys, key=lambda key: abs(key - start)) if keys and data.draw(st.booleans()) else start
        body = body[:at] + splinter + body[at + data.draw(st.sampled_from([0, 0, 0, 1, 7])) :]

    assert said_of(lambda: facts(body)) == said_of(lambda: read(body).facts)


@pytest.mark.parametrize("splinter", SPLINTERS)
def test_what_is_written_into_a_state_is_taken_alike_by_both_looks(splinter: bytes) -> None:
    for key in (b'"serial"', b'"mode"', b'"attributes"', b'"id"', b'"environment"', b'"type": [', b'"value": {'):
        body = READABLE.replace(key, splinter + key, 1)

        assert said_of(lambda body=body: facts(body)) == said_of(lambda body=body: read(body).facts)  # type: ignore[misc]


def said_of(look: Callable[[], StateFacts]) -> StateFacts | str:
    try:
        return look()
    except ValueError as error:
        return str(error)


def test_a_state_as_terraform_writes_it_is_known_by_its_form_alone() -> None:
    found = state_forms.form(READABLE)

    assert found is not None
    assert (found.serial, found.lineage, found.managed) == (3, LINEAGE, 1)
    assert msgspec.structs.asdict(found.resources[0].instances[0].attributes) == {}


# -- resources and outputs ---------------------------------------------------------------------------------------------


def test_resources_are_by_address_with_the_key_of_what_is_deposed() -> None:
    found = resources(
        state(
            1,
            [
                resource("aws_s3_bucket", "a", {"id": "1"}, {"attributes": {"id": "0"}, "deposed": "0a1b"}),
                resource("aws_eip", "b", {"index_key": 0, "attributes": {"arn": "arn:x"}}, module="module.m"),
                resource("aws_old", "c", {"attributes_flat": {"id": "7"}, "attributes": {}}),
                {**resource("aws_region", "here", {"id": "r"}), "mode": "data"},
            ],
        )
    )

    assert {address: (view.module, view.kind, view.id, view.deposed) for address, view in found.items()} == {
        "aws_s3_bucket.a": ("", "aws_s3_bucket", "1", None),
        "aws_s3_bucket.a (deposed 0a1b)": ("", "aws_s3_bucket", "0", "0a1b"),
        "module.m.aws_eip.b[0]": ("module.m", "aws_eip", "arn:x", None),
        "aws_old.c": ("", "aws_old", "7", None),
    }
    assert all(address == view.address for address, view in found.items())


def test_outputs_are_shown_but_for_what_is_sensitive() -> None:
    document = read(
        state(
            1,
            hidden={"value": CANARY, "type": "string", "sensitive": True},
            plain={"value": "x", "type": "string"},
            database={
                "value": {
                    "password": "other-secret",
                    "port": 1,
                    "url": f"see {CANARY}",
                    "password_secret_arn": "arn:aws:x",
                },
                "type": "dynamic",
            },
        )
    )

    assert {name: output.value for name, output in document.outputs.items()} == {
        "hidden": MASK,
        "plain": '"x"',
        "database": json.dumps({"password": MASK, "port": 1, "url": f"see {MASK}", "password_secret_arn": "arn:aws:x"}),
    }
    assert CANARY not in repr(document)
    assert "other-secret" not in repr(document)


def test_an_address_or_id_that_is_sensitive_elsewhere_is_masked_and_still_found_by_its_address() -> None:
    body = state(
        1,
        [
            resource("aws_x", "y", {"index_key": CANARY, "attributes": {"id": f"pre-{CANARY}"}}),
            resource("aws_db", "z", marked({"id": "db", "password": CANARY}, *MARKED)),
            resource("aws_id", "w", marked({"id": "the-id"}, [attribute("id")])),
        ],
    )

    found = resources(body)

    assert [(view.address, view.id) for view in found.values()] == [
        (f'aws_x.y["{MASK}"]', f"pre-{MASK}"),
        ("aws_db.z", "db"),
        ("aws_id.w", MASK),
    ]
    assert state_documents.Address(f'aws_x.y["{CANARY}"]') in found


# -- what is sensitive -------------------------------------------------------------------------------------------------


def test_what_the_state_marks_is_hidden_wherever_it_lies() -> None:
    found = leaves(
        marked(
            {
                "password": "p",
                "tags": {"a.b": "x", "open": "y"},
                "rules": [{"key": "k1", "open": 1}, {"key": "k2", "open": 2}],
                "texts": ["a", "b"],
                "set": ["c", "d"],
                "whole": {"deep": {"er": True}},
                "input": {"value": {"list": [{"x": "x1", "open": 1}]}, "type": ["object", {}]},
                "nothing": None,
            },
            [attribute("password")],
            [attribute("tags"), index("a.b")],
            [attribute("rules"), index(1), attribute("key")],
            [attribute("texts"), index(0)],
            [attribute("set")],
            [attribute("whole")],
            [attribute("input"), attribute("list"), index(0), attribute("x")],
            [attribute("nothing")],
            [attribute("absent"), attribute("inner")],
        )
    )

    assert {path: leaf if isinstance(leaf, str) else repr(leaf) for path, leaf in found.items()} == {
        "password": "(hidden)",
        'tags["a.b"]': "(hidden)",
        "tags.open": '"y"',
        "rules[0].key": '"k1"',
        "rules[0].open": "1",
        "rules[1].key": "(hidden)",
        "rules[1].open": "2",
        "texts": "(hidden)",
        "set": "(hidden)",
        "whole.deep.er": "(hidden)",
        "input.value.list[0].x": "(hidden)",
        "input.value.list[0].open": "1",
        "input.type[0]": '"object"',
        "input.type[1]": "{}",
    }


@pytest.mark.parametrize(
    "path",
    [
        [attribute("settings"), {"type": "splat"}],
        [attribute("settings"), index(99)],
        [attribute("settings"), attribute("gone"), attribute("x")],
        [attribute("settings"), {"type": "index", "value": {"value": None}}],
    ],
)
def test_a_path_that_leads_nowhere_hides_all_that_it_lies_in(path: list[dict[str, Any]]) -> None:
    found = leaves(marked({"settings": {"a": "1", "b": {"c": "2"}}, "open": "3"}, path))

    assert {name: isinstance(leaf, Secret) for name, leaf in found.items()} == {
        "settings.a": True,
        "settings.b.c": True,
        "open": False,
    }


def test_paths_that_are_no_paths_hide_the_whole_resource() -> None:
    found = leaves({"attributes": {"id": "i", "a": "1"}, "sensitive_attributes": ["a"]})

    assert all(isinstance(leaf, Secret) for leaf in found.values())


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "master_password",
        "db_passwd",
        "secret",
        "secret_string",
        "auth_token",
        "private_key",
        "private_key_pem",
        "access_key",
        "api_key",
        "apiKey",
        "encryption_key",
        "key_material",
        "credentials",
        "user_data",
        "user_data_base64",
        "connection_string",
        "DB_PASSWORD",
    ],
)
def test_what_is_called_a_secret_is_hidden_without_a_mark(name: str) -> None:
    assert isinstance(leaves({name: "w0rd-of-it"})[name], Secret)
    assert isinstance(leaves({"environment": {"variables": {name: "w0rd"}}})[f"environment.variables.{name}"], Secret)
    assert isinstance(leaves({"env": [{"name": name, "value": "w0rd"}]})["env[0].value"], Secret)
    assert isinstance(leaves({"definition": json.dumps({name: "w0rd"})})["definition"], Secret)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kms_key_id", "alias/x"),
        ("kms_master_key_id", "alias/x"),
        ("key_name", "ops"),
        ("password_secret_arn", "arn:aws:x"),
        ("master_user_secret", "arn:aws:x"),
        ("manage_master_user_password", True),
        ("http_tokens", "required"),
        ("private_ip", "10.0.0.1"),
        ("private_dns", "ip-10-0-0-1"),
        ("private_subnets", ["subnet-1"]),
        ("policy", '{"Statement": [{"Action": "secretsmanager:GetSecretValue"}]}'),
        ("public_key", "ssh-rsa x"),
    ],
)
def test_what_only_sounds_like_a_secret_is_shown(name: str, value: object) -> None:
    assert leaves({name: value})[name] == json.dumps(value)


@pytest.mark.parametrize(
    "value",
    [
        "postgres://app:hunter2@db/app",
        "redis://:hunter2@cache",
        "-----BEGIN RSA PRIVATE KEY-----\nMII",
        '[{"environment": [{"name": "DB_PASSWORD", "value": "hunter2"}]}]',
        '{"password": "hunter2"',
    ],
)
def test_a_text_with_a_secret_in_it_is_hidden_whatever_it_is_called(value: str) -> None:
    assert isinstance(leaves({"note": value})["note"], Secret)


@given(st.text(min_size=6, max_size=30), st.text(max_size=20), st.text(max_size=20), st.integers(0, 3))
def test_no_text_that_is_marked_is_left_in_what_is_shown(secret: str, before: str, after: str, where: int) -> None:
    text = before + secret + after
    instance = marked({"id": text if where == 0 else "i", "password": secret}, *MARKED)
    other = {"value": text if where == 1 else "o", "type": "string"}
    document = read(state(1, [resource("aws_x", "y", instance)], note=other))

    view = next(iter(document.resources.values()))
    shown = view.id + json.loads(document.outputs["note"].value)

    assert not any(secret in part for part in shown.split(MASK))


@pytest.mark.parametrize("value", [{}, [], [{}], [[]]])
def test_what_is_empty_under_a_name_that_tells_is_read_as_all_else(value: object) -> None:
    assert set(state_secrets.leaves({"passwords": value, "name": "web"}, frozenset())) >= {"name"}
    assert state_secrets.secrets([({"passwords": value}, frozenset())]).masked("passwords") == "passwords"
