"""Whatever stands where a state should, no command about states breaks over it, and all of them judge it alike."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from lifeboat.state_model import LARGEST_STATE, StateRoot

from tests.commands.test_state_doctor import findings, make, sites
from tests.gitlab_sites import REGION
from tests.sick_states import BACKEND, STACK, SickSite, md5

__all__ = ["make", "sites"]
BODIES = {
    "list": b"[]",
    "list of lists": b"[[1], {}]",
    "null": b"null",
    "text": b'"x"',
    "number": b"3",
    "true": b"true",
    "object of nothing": b"{}",
    "resources that are none": b'{"version": 4, "serial": 9, "lineage": "ours", "resources": [3, null, "x"]}',
    "instances that are none": b'{"version": 4, "serial": 9, "lineage": "ours", "resources": [{"mode": "managed",'
    b' "type": "t", "name": "n", "instances": [[], 1]}]}',
    "empty": b"",
    "no UTF-8": b'{"serial": "\xff\xfe"}',
    "UTF-16": '{"version": 4, "serial": 9, "lineage": "ours"}'.encode("utf-16"),
    "nested too deeply": b"[" * 100_000,
    "zeros": b"\0" * 100,
}
# Some here, and all others in tests/long: each takes eight commands.
ONCE = [
    ("list", StateRoot.STACK),
    ("instances that are none", StateRoot.BACKEND),
    ("empty", StateRoot.STACK),
    ("no UTF-8", StateRoot.BACKEND),
    ("nested too deeply", StateRoot.STACK),
]
KEYS = {StateRoot.STACK: STACK, StateRoot.BACKEND: BACKEND}


def top(sick: SickSite, root: StateRoot, body: bytes) -> None:
    sick.put(body, KEYS[root])
    if root is StateRoot.STACK:
        sick.put_digest(md5(body))


@pytest.mark.parametrize(("kind", "root"), ONCE)
def test_no_command_breaks_over_it_and_the_doctor_names_the_version_below(
    make: Callable[..., SickSite], kind: str, root: StateRoot
) -> None:
    require_no_command_breaks_over(BODIES[kind], root, make("both"))


def require_no_command_breaks_over(body: bytes, root: StateRoot, sick: SickSite) -> None:
    """Fail unless each command says what it is of, and names what is below."""
    s3 = sick.site.client("s3", REGION)
    below = s3.head_object(Bucket=sick.bucket, Key=KEYS[root])["VersionId"]
    top(sick, root, body)
    of_root = ("--root", root.value)

    found = findings(sick)
    listed = json.loads(sick.run("state", "list", *of_root, "-o", "json").stdout)["versions"]
    for verb in (("doctor",), ("show", "latest"), ("diff", "previous", "latest")):
        sick.run("state", *verb, *of_root, status=11)
    asked = sick.run("state", "restore", "--latest-good", *of_root, status=7)
    rebuilt = sick.run("state", "rebuild", *of_root, status=3)

    option = "" if root is StateRoot.STACK else " --root state"
    assert found == {f"{root.value} readable": f"lifeboat state restore {below}{option}"}
    assert [one["readable"] for one in listed][:2] == [False, True]
    assert f"version {below}" in asked.stdout + asked.stderr
    assert "next: lifeboat " in rebuilt.stderr


@pytest.mark.parametrize("root", [StateRoot.STACK, StateRoot.BACKEND])
def test_what_is_larger_than_any_state_is_told_as_such_and_not_read(
    make: Callable[..., SickSite], root: StateRoot
) -> None:
    sick = make("both")
    s3, key = sick.site.client("s3", REGION), KEYS[root]
    below = s3.head_object(Bucket=sick.bucket, Key=key)["VersionId"]
    # A state, so that nothing but its size speaks against it.
    s3.put_object(Bucket=sick.bucket, Key=key, Body=b" " * LARGEST_STATE + sick.state(9))
    of_root = ("--root", root.value)
    trace = sick.cloud.directory / "logs" / "trace.jsonl"
    start = trace.stat().st_size

    found = findings(sick)
    told = sick.run("state", "doctor", *of_root, status=11).stdout
    listed = json.loads(sick.run("state", "list", *of_root, "-o", "json").stdout)["versions"]
    shown = sick.run("state", "show", "latest", *of_root, status=11).stderr
    asked = sick.run("state", "restore", "--latest-good", *of_root, status=7)

    option = "" if root is StateRoot.STACK else " --root state"
    assert found == {f"{root.value} readable": f"lifeboat state restore {below}{option}"}
    assert "too large to be a state of ours, so not read: 64 MiB, and 64 at most are" in " ".join(told.split())
    assert listed[0]["damage"] in shown
    assert (listed[0]["md5"], listed[1]["readable"]) == (None, True)
    assert f"version {below}" in asked.stdout + asked.stderr
    assert start < trace.stat().st_size
