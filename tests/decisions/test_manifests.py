"""Manifests: what is written is read again, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from lifeboat.database_model import dump_begun_at
from lifeboat.decisions import manifests
from lifeboat.errors import NewerFormat

from tests.dump_manifests import BEGUN, manifest


def test_a_manifest_is_read_as_it_was_written() -> None:
    whole = manifest()

    assert manifests.read(manifests.written(whole)) == whole
    assert json.loads(manifests.written(whole))["format"] == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(format=0), "its format is 0, and this lifeboat knows 1"),
        (lambda d: d.update(format="2"), "its format is '2', and this lifeboat knows 1"),
        (lambda d: d.update(format=True), "its format is True"),
        (lambda d: d.pop("format"), "its format is None"),
        (lambda d: d.update(more=1), "the manifest has the unknown more"),
        (lambda d: d.pop("lsn"), "the manifest lacks lsn"),
        (lambda d: d.update(standby=1), "the manifest: standby is not of the type bool"),
        (lambda d: d.update(state_serial=True), "the manifest: state_serial is not of the type int"),
        (lambda d: d.update(begun_at="2026-11-29T03:15:00"), "the manifest: begun_at has no zone"),
        (lambda d: d.update(id="latest"), "'latest' is no dump's id"),
        (lambda d: d["files"][0].pop("sha256"), "an entry of files lacks sha256"),
        (lambda d: d["files"][0].update(size=-1), "an entry of files: size is negative"),
        (lambda d: d["files"][0]["tables"].append("t"), "an entry of tables is not of the type dict"),
        (lambda d: d["contents"]["tables"][0].update(rows="1"), "an entry of tables: rows is not of the type int"),
        (lambda d: d["contents"].update(views=[]), "contents has the unknown views"),
        (lambda d: d["selection"].update(schemas=[1]), "an entry of schemas is not of the type str"),
    ],
)
def test_what_is_not_a_manifest_is_not_read(change: Callable[[dict[str, Any]], object], words: str) -> None:
    document = json.loads(manifests.written(manifest()))
    change(document)

    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        manifests.read(json.dumps(document).encode())


def test_what_a_newer_lifeboat_wrote_is_not_called_damaged() -> None:
    document = {**json.loads(manifests.written(manifest())), "format": 2}

    with pytest.raises(NewerFormat, match="its format is 2, and this lifeboat knows 1") as newer:
        manifests.read(json.dumps(document).encode())

    assert newer.value.hint == "look into it with the lifeboat that wrote it, or a newer one"


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b"\xff"])
def test_what_is_no_json_object_is_not_read(body: bytes) -> None:
    with pytest.raises(ValueError):
        manifests.read(body)


@pytest.mark.parametrize("text", ["20261129T031500Z", "20261329T031500Z-3f9a1c", "20261129T031500Z-3F9A1C", ""])
def test_what_is_no_id_of_a_dump_tells_no_time(text: str) -> None:
    assert dump_begun_at(text) is None
    assert dump_begun_at("20261129T031500Z-3f9a1c") == BEGUN
