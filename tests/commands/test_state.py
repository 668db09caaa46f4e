"""`lifeboat state list`, `show` and `diff` against a local cloud: all of a history, nothing sensitive, no guess."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lifeboat.clients import known_state
from lifeboat.model import EventKind, StateMark

from tests.conftest import RunningCloud
from tests.gitlab_sites import DR_REGION
from tests.plain_sites import plain_site
from tests.state_sites import CANARY, FOREIGN, LINEAGE, StateSite, md5, resource, state, state_site


@pytest.fixture(scope="module")
def made(cloud: RunningCloud, tmp_path_factory: pytest.TempPathFactory) -> StateSite:
    return state_site(cloud, tmp_path_factory.mktemp("project"))


@pytest.fixture
def site(made: StateSite) -> Iterator[StateSite]:
    """The site, without a history at the start and the end of each test."""
    yield made
    made.empty()
    known_state.forget(made.plain.site().project.work)


def bucket_resource(name: str, **attributes: Any) -> dict[str, Any]:
    return resource("aws_s3_bucket", name, {"id": f"b-{name}", **attributes})


def with_secrets(serial: int, suffix: str) -> bytes:
    """Return a state with the canary where states have secrets: marked, named, in texts, in open types, in outputs."""
    canary = CANARY + suffix
    marked = {
        "schema_version": 0,
        "attributes": {"id": "app-g1", "password": canary, "tags": {"a.b": canary, "plain": f"tag{suffix}"}},
        "sensitive_attributes": [
            [{"type": "get_attr", "value": "password"}],
            [{"type": "get_attr", "value": "tags"}, {"type": "index", "value": {"value": "a.b", "type": "string"}}],
        ],
    }
    open_type = {
        "schema_version": 0,
        "attributes": {
            "id": "00000000-1111-2222-3333-444444444444",
            "input": {"value": {"list": [{"x": canary}]}, "type": ["object", {}]},
            "output": {"value": {"list": [{"x": canary}]}, "type": ["object", {}]},
        },
        "sensitive_attributes": [
            [
                {"type": "get_attr", "value": "input"},
                {"type": "get_attr", "value": "list"},
                {"type": "index", "value": {"value": 0, "type": "number"}},
                {"type": "get_attr", "value": "x"},
            ]
        ],
    }
    task = json.dumps([{"name": "app", "environment": [{"name": "DB_PASSWORD", "value": f"other-{canary}"}]}])
    return state(
        serial,
        [
            resource("aws_db_instance", "this", marked, module="module.database"),
            resource("terraform_data", "open", open_type),
            resource("aws_ecs_task_definition", "job", {"id": "job", "container_definitions": task}),
            resource("aws_ssm_parameter", "url", {"id": f"/{canary}", "value": f"postgres://app:{canary}@db/app"}),
            resource("aws_iam_access_key", "old", {"id": "AKIA1", "secret": canary, "ses_smtp_password_v4": canary}),
        ],
        plain={"value": f"value{suffix}", "type": "string"},
        hidden={"value": canary, "type": "string", "sensitive": True},
        settings={"value": {"db_password": canary, "port": 5432, "note": f"it is {canary}"}, "type": ["object", {}]},
    )


# -- the list ----------------------------------------------------------------------------------------------------------


def test_a_history_is_listed_newest_first_with_what_is_to_be_known(site: StateSite) -> None:
    first = site.put(state(1))
    second = site.put(state(2, [bucket_resource("a"), bucket_resource("b")]))
    site.write_digest(md5(state(2, [bucket_resource("a"), bucket_resource("b")])))
    time.sleep(1.1)  # S3 tells whole seconds
    site.put(b"{}", key="stack.tfstate.tflock")
    marker = site.delete()
    time.sleep(1.1)
    last = site.put(
        state(3, [bucket_resource("a")]), **{"lifeboat-by": "eva@laptop", "lifeboat-run": "r", "lifeboat-from": first}
    )
    site.write_digest(md5(state(3, [bucket_resource("a")])))

    document = site.json("state", "list")
    table = site.run("state", "list").stdout

    versions = document["versions"]
    assert [one["version_id"] for one in versions] == [last, marker, second, first]
    assert [one["serial"] for one in versions] == [3, None, 2, 1]
    assert [one["resources"] for one in versions] == [1, None, 2, 0]
    assert [one["latest"] for one in versions] == [True, False, False, False]
    assert [one["marker"] for one in versions] == [False, True, False, False]
    assert [one["is_digest"] for one in versions] == [True, False, False, False]
    assert [one["by"] for one in versions] == [f"eva@laptop, run r, of version {first}", None, None, None]
    assert versions[0]["lineage"] == LINEAGE
    assert versions[0]["terraform_version"] == "1.11.4"
    assert versions[0]["size"] == len(state(3, [bucket_resource("a")]))
    assert (document["warnings"], document["unseen"], document["keeps_digest"]) == ([], [], True)
    rows = table.splitlines()
    assert rows[0] == f"s3://{site.bucket}/stack.tfstate in eu-west-1"
    for word in (last, "latest", " 3 ", LINEAGE[:8], "1.11.4", "current digest", "eva@laptop, run r", "yes"):
        assert word in rows[2]
    assert LINEAGE not in table
    assert "a delete marker" in rows[3]
    assert rows[-1] == "3 versions, 0 of them not readable; 1 delete markers"


@pytest.mark.parametrize("mode", ["dynamodb", "lockfile", "both"])
def test_the_digest_is_asked_for_only_where_terraform_keeps_one(site: StateSite, mode: str) -> None:
    site.lock_by(mode)
    site.put(state(1))

    document, table = site.json("state", "list"), site.run("state", "list").stdout

    keeps = mode != "lockfile"
    assert document["keeps_digest"] is keeps
    assert document["versions"][0]["is_digest"] is (False if keeps else None)
    assert ("none is kept" in table) is not keeps
    assert [one["what"] for one in document["warnings"]] == (
        ["there is no digest, so Terraform takes whatever stands there"] if keeps else []
    )


def test_what_is_amiss_stands_below_the_table_with_the_command_that_goes_on(site: StateSite) -> None:
    site.put(state(5))
    known = site.put(state(6))
    site.write_digest(md5(state(6)))
    lower = site.put(state(2))
    strange = site.put(state(1, lineage=FOREIGN))
    site.put(state(7)[:-40])

    document, done = site.json("state", "list"), site.run("state", "list")

    cut = len(state(7)) - 40
    what = [
        f"the latest version is no state that can be read: not JSON: cut off at byte {cut}",
        "the digest is not that of the latest version, so every Terraform command is refused: it is of version "
        + known,
        f"version {strange} is not this environment's: of another lineage ({FOREIGN}, not {LINEAGE})",
        f"serials go backwards: version {lower} is behind one before (serial 2 after 6)",
    ]
    assert document["warnings"] == [{"what": one, "next": "lifeboat state doctor -e x"} for one in what]
    assert document["versions"][0]["damage"] == f"not JSON: cut off at byte {cut}"
    for one in what:
        assert f"! {one}\n  next: lifeboat state doctor -e x\n" in done.stdout
    assert f"no: not JSON: cut off at byte {cut}" in done.stdout
    assert "not the digest" in done.stdout


def test_a_deleted_state_is_said_to_be_deleted(site: StateSite) -> None:
    site.put(state(5))
    site.write_digest(md5(state(5)))
    site.delete()

    document = site.json("state", "list")

    assert [one["what"].partition(" at ")[0] for one in document["warnings"]] == [
        "the state was deleted",
        "the digest is not that of the latest version, so every Terraform command is refused: it is of version "
        + document["versions"][1]["version_id"],
    ]


def test_the_remembered_lineage_counts_more_than_the_number_of_versions(site: StateSite) -> None:
    old = site.put(state(5))
    site.put(state(1, lineage=FOREIGN))
    newest = site.put(state(2, lineage=FOREIGN))
    mark = StateMark(serial=5, lineage=LINEAGE, md5=md5(state(5)))
    site.write_digest(md5(state(2, lineage=FOREIGN)))

    counted = site.json("state", "list")["warnings"]
    work = site.plain.site().project.work
    work.mkdir(parents=True, exist_ok=True)
    known_state.remember(work, mark)
    remembered = site.json("state", "list")["warnings"]

    assert [one["what"].split(" ")[1] for one in counted] == [old]
    assert [one["what"].startswith("2 versions (") and newest in one["what"] for one in remembered] == [True]


def test_who_wrote_a_version_is_found_by_the_run_in_whose_time_it_was_written(site: StateSite) -> None:
    site.put(state(1))
    time.sleep(2.1)
    site.plain.run("20260301T030000.000000Z-recover", (EventKind.DOING, "instance", {}))
    inside = site.put(state(2))
    time.sleep(1.1)
    site.plain.put("runs/20260301T030000.000000Z-recover/ended", b"{}")
    time.sleep(1.1)
    folder = site.plain.site().project.work / "runs" / "here"
    folder.mkdir(parents=True)
    since = datetime.now(UTC)
    facts = {"run": "here", "user": "ops", "host": "runner", "since": since.isoformat()}
    (folder / "run.json").write_text(json.dumps(facts))
    killed = site.put(state(3))
    site.write_digest(md5(state(3)))

    versions = site.json("state", "list")["versions"]
    later = site.run("state", "list").stdout
    (folder / "run.json").unlink()

    assert {one["version_id"]: one["by"] for one in versions}[inside] == (
        "probably eva@laptop, run 20260301T030000.000000Z-recover"
    )
    assert {one["version_id"]: one["by"] for one in versions}[killed] == (
        "unknown; ops@runner, run here, was begun and has not ended"
    )
    assert versions[-1]["by"] is None
    assert later.count("  -  ") == 1


def test_a_thousand_versions_and_one_are_all_listed(cloud: RunningCloud, tmp_path: Path) -> None:
    site = state_site(cloud, tmp_path)
    s3 = cloud.client("s3", max_pool_connections=8)

    def put(serial: int) -> None:
        s3.put_object(Bucket=site.bucket, Key="stack.tfstate", Body=state(serial))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(1, 1002)))
    site.delete()

    document = site.json("state", "list")

    assert len(document["versions"]) == 1002
    assert {one["serial"] for one in document["versions"] if not one["marker"]} == set(range(1, 1002))
    assert document["versions"][0]["marker"]


def test_the_copy_in_the_other_region_is_listed_by_itself_without_a_digest(site: StateSite) -> None:
    site.put(state(2))
    copied = site.put_copy(state(1))

    document, table = site.json("state", "list", "--replica"), site.run("state", "list", "--replica").stdout

    assert [(one["version_id"], one["serial"]) for one in document["versions"]] == [(copied, 1)]
    assert (document["region"], document["replica"], document["keeps_digest"]) == (DR_REGION, True, False)
    assert document["warnings"] == []
    assert f"s3://{site.replica}/stack.tfstate in {DR_REGION}, the copy" in table


def test_the_state_of_root_1_is_listed_by_itself(site: StateSite) -> None:
    site.put(state(2))
    root = site.put(state(7), key="state.tfstate")

    document = site.json("state", "list", "--root", "state")

    assert [(one["version_id"], one["serial"]) for one in document["versions"]] == [(root, 7)]
    assert (document["root"], document["key"], document["keeps_digest"]) == ("state", "state.tfstate", False)


def test_where_nothing_is_left_the_end_is_6_and_neither_region_leads_to_the_other(site: StateSite) -> None:
    here, there = site.run("state", "list", status=6), site.run("state", "list", "--replica", status=6)

    assert f"there is neither a version nor a delete marker of s3://{site.bucket}/stack.tfstate" in here.stderr
    assert here.stderr.splitlines()[-1] == there.stderr.splitlines()[-1] == "  next: lifeboat state doctor -e x"
    assert here.stdout == there.stdout == ""


@pytest.mark.parametrize("verb", [("list",), ("show", "latest"), ("diff", "previous", "latest")])
def test_without_a_bucket_the_end_is_6_with_the_next_command(
    cloud: RunningCloud, tmp_path: Path, verb: tuple[str, ...]
) -> None:
    plain = plain_site(cloud, tmp_path)
    (tmp_path / "terraform").mkdir()
    site = StateSite(plain=plain)
    plain.delete("stack.tfstate")
    cloud.client("s3").delete_bucket(Bucket=plain.bucket)

    done = site.run("state", *verb, status=6)

    assert f"there is no state bucket {plain.bucket} in eu-west-1" in done.stderr
    assert done.stderr.splitlines()[-1] == "  next: lifeboat state doctor -e x"


@pytest.mark.parametrize(
    ("service", "operation", "permission"),
    [
        ("s3", "ListObjectVersions", "s3:ListBucketVersions"),
        ("s3", "GetObject", "s3:GetObjectVersion"),
        ("dynamodb", "GetItem", "dynamodb:GetItem"),
    ],
)
def test_what_may_not_be_looked_at_is_8_with_the_permission_and_no_list(
    site: StateSite, service: str, operation: str, permission: str
) -> None:
    for serial in range(1, 30):
        site.put(state(serial))
    site.refuse(service, operation, first=1, times=100)

    done = site.run("state", "list", status=8)

    assert "AccessDenied" in done.stderr
    assert f"take a role that has {permission}" in done.stderr
    assert done.stdout == ""


def test_a_listing_that_is_repeated_says_the_same_until_a_version_may_not_be_read_any_more(site: StateSite) -> None:
    site.put(state(1), **{"lifeboat-by": "eva@laptop"})
    site.put(state(2)[:-20])
    site.put(state(3))

    first, second = (
        [{**one, "age_seconds": 0} for one in site.json("state", "list")["versions"]] for _ in ("first", "again")
    )
    site.refuse("s3", "GetObject", first=3, times=100)  # of the oldest only the first byte would be read
    refused = site.run("state", "list", status=8)

    assert first == second
    assert [(one["serial"], one["by"]) for one in second] == [(3, None), (None, None), (1, "eva@laptop")]
    assert refused.stdout == ""


def test_runs_that_may_not_be_listed_leave_the_writers_unknown_and_the_end_is_8(site: StateSite) -> None:
    version = site.put(state(1))
    site.write_digest(md5(state(1)))
    site.refuse("s3", "ListObjectsV2", times=4)  # for the runs and for the memory, twice

    document = site.json("state", "list", status=8)
    done = site.run("state", "list", status=8)

    assert [(one["version_id"], one["by"]) for one in document["versions"]] == [(version, "?")]
    assert [one.split(":")[0] for one in document["unseen"]] == [
        "who wrote which version is not known",
        "of which lineage the versions must be is not known",
    ]
    assert "take a role that has s3:ListBucket on" in done.stderr
    assert version in done.stdout


def test_a_memory_that_may_not_be_read_leaves_the_lineage_unknown_and_the_end_is_8(site: StateSite) -> None:
    site.put(state(1))
    site.write_digest(md5(state(1)))
    site.refuse("s3", "ListObjectsV2", first=2, times=1)  # the runs may be listed, what is remembered may not

    document = site.json("state", "list", status=8)

    assert [one["by"] for one in document["versions"]] == [None]
    (unseen,) = document["unseen"]
    assert unseen.startswith(
        "of which lineage the versions must be is not known: cannot read what is known of the state"
    )


def test_a_listing_that_is_cut_off_is_8_and_no_list(site: StateSite) -> None:
    site.put(state(1))
    site.cloud.control("faults", add={"service": "s3", "operation": "ListObjectVersions", "when": "cut", "times": 20})

    done = site.run("state", "list", status=8)

    assert f"cannot list the versions of s3://{site.bucket}/stack.tfstate" in done.stderr
    assert done.stdout == ""


def test_a_body_that_breaks_off_is_read_again(site: StateSite) -> None:
    version = site.put(state(1))
    site.write_digest(md5(state(1)))
    site.cloud.control("faults", add={"service": "s3", "operation": "GetObject", "when": "cut", "times": 1})

    document = site.json("state", "list")

    assert [(one["version_id"], one["serial"]) for one in document["versions"]] == [(version, 1)]


# -- one version -------------------------------------------------------------------------------------------------------


def test_a_version_is_shown_with_its_resources_and_its_outputs(site: StateSite) -> None:
    data = {**resource("aws_region", "here", {"id": "eu-west-1"}), "mode": "data"}
    version = site.put(
        state(
            4,
            [
                resource(
                    "aws_instance", "app", {"index_key": "blue", "attributes": {"id": "i-1"}}, module="module.app"
                ),
                resource(
                    "aws_s3_bucket",
                    "logs",
                    {"attributes": {"id": "b-1"}},
                    {"attributes": {"id": "b-0"}, "deposed": "0a1b"},
                ),
                data,
            ],
            url={"value": "http://x", "type": "string"},
            recovery={"value": {"environment": "x"}, "type": ["object", {}]},
        )
    )

    document = site.json("state", "show", "latest")
    table = site.run("state", "show", version).stdout

    assert (document["version_id"], document["serial"], document["environment"]) == (version, 4, "x")
    assert (document["resources"], document["data_sources"]) == (
        [
            {"address": "aws_s3_bucket.logs", "module": "", "type": "aws_s3_bucket", "id": "b-1", "deposed": None},
            {
                "address": "aws_s3_bucket.logs (deposed 0a1b)",
                "module": "",
                "type": "aws_s3_bucket",
                "id": "b-0",
                "deposed": "0a1b",
            },
            {
                "address": 'module.app.aws_instance.app["blue"]',
                "module": "module.app",
                "type": "aws_instance",
                "id": "i-1",
                "deposed": None,
            },
        ],
        1,
    )
    assert [(one["name"], one["value"]) for one in document["outputs"]] == [
        ("recovery", '{"environment": "x"}'),
        ("url", '"http://x"'),
    ]
    assert ["module.app", "aws_instance", 'module.app.aws_instance.app["blue"]', "i-1"] in [
        line.split() for line in table.splitlines()
    ]
    assert "2, and 1 data sources, which are read anew" in table


def test_latest_and_previous_are_by_their_place_in_the_history(site: StateSite) -> None:
    site.put(state(1))
    site.put(state(2))
    whole = (site.json("state", "show", "latest")["serial"], site.json("state", "show", "previous")["serial"])
    site.delete()

    below = site.json("state", "show", "previous")["serial"]
    site.empty()
    site.put(state(1))
    none = site.run("state", "show", "previous", status=6)
    site.delete()
    deleted = site.run("state", "show", "latest", status=6)

    assert (whole, below) == ((2, 1), 2)
    assert f"s3://{site.bucket}/stack.tfstate has no previous version" in none.stderr
    assert "is a delete marker: the state was deleted at" in deleted.stderr
    assert "lifeboat state doctor -e x says how to bring one back" in deleted.stderr


def test_what_is_no_version_is_6_and_what_is_no_state_is_11(site: StateSite) -> None:
    site.put(state(0))
    marker = site.delete()
    time.sleep(1.1)
    broken = site.put(state(1)[:50])

    absent = site.run("state", "show", "3sL4kqtJlcpXroDTDmJ-rmSpXd3dIbrHY", status=6)
    deleted = site.run("state", "show", marker, status=6)
    site.run("state", "show", "previous")
    damaged = site.run("state", "show", broken, status=11)

    assert "there is no version '3sL4kqtJlcpXroDTDmJ-rmSpXd3dIbrHY'" in absent.stderr
    assert f"{marker} of s3://{site.bucket}/stack.tfstate is a delete marker" in deleted.stderr
    assert (
        f"version {broken} of s3://{site.bucket}/stack.tfstate is no state that can be read: not JSON: cut off at byte 50"
        in (damaged.stderr)
    )
    assert "lifeboat state list -e x shows which versions can be" in damaged.stderr


def test_a_version_that_may_not_be_read_is_8(site: StateSite) -> None:
    site.put(state(1))
    site.refuse("s3", "GetObject")

    done = site.run("state", "show", "latest", status=8)

    assert "take a role that has s3:GetObjectVersion on" in done.stderr


def test_a_file_is_shown_and_one_that_is_not_there_is_2(site: StateSite, tmp_path: Path) -> None:
    (tmp_path / "errored.tfstate").write_bytes(state(9))

    document = site.json("state", "show", f"file:{tmp_path}/errored.tfstate")
    absent = site.run("state", "show", f"file:{tmp_path}/nothing", status=2)
    folder = site.run("state", "show", f"file:{tmp_path}", status=2)

    assert (document["serial"], document["version_id"]) == (9, None)
    assert f"cannot read {tmp_path}/nothing: No such file or directory" in absent.stderr
    assert "Is a directory" in folder.stderr


def test_a_terminal_obeys_nothing_that_a_state_says(site: StateSite) -> None:
    site.put(state(1, [resource("aws_s3_bucket", "a", {"id": "b\x1b[2J\nnext [red]"})], lineage="l\x1b[31m"))

    listed, shown = site.run("state", "list").stdout, site.run("state", "show", "latest").stdout

    assert "\x1b" not in listed + shown
    assert "b\\x1b[2J\\x0anext [red]" in shown


# -- two of them -------------------------------------------------------------------------------------------------------


def test_a_diff_tells_added_removed_replaced_moved_and_changed(site: StateSite) -> None:
    old = [
        bucket_resource("gone"),
        bucket_resource("here", tags={"a": "1"}),
        resource("aws_instance", "app", {"id": "i-1", "ami": "ami-1"}),
        resource("aws_eip", "this", {"id": "eip-1"}),
    ]
    new = [
        bucket_resource("come"),
        bucket_resource("here", tags={"a": "2", "b": "x"}),
        resource("aws_instance", "app", {"id": "i-2", "ami": "ami-2"}),
        resource("aws_eip", "this", {"id": "eip-1"}, module="module.network"),
    ]
    first = site.put(state(1, old, url={"value": "http://a", "type": "string"}))
    last = site.put(state(2, new, url={"value": "http://b", "type": "string"}))

    document = site.json("state", "diff", "previous", "latest", status=20)
    table = site.run("state", "diff", first, last, status=20).stdout

    assert document["same"] is False
    assert [one["address"] for one in document["added"]] == ["aws_s3_bucket.come"]
    assert [one["address"] for one in document["removed"]] == ["aws_s3_bucket.gone"]
    assert document["moved"] == [{"old": "aws_eip.this", "new": "module.network.aws_eip.this", "id": "eip-1"}]
    assert document["replaced"] == [
        {
            "address": "aws_instance.app",
            "old_id": "i-1",
            "new_id": "i-2",
            "attributes": [
                {"path": "ami", "old": '"ami-1"', "new": '"ami-2"'},
                {"path": "id", "old": '"i-1"', "new": '"i-2"'},
            ],
        }
    ]
    assert document["changed"] == [
        {
            "address": "aws_s3_bucket.here",
            "old_id": "b-here",
            "new_id": "b-here",
            "attributes": [
                {"path": "tags.a", "old": '"1"', "new": '"2"'},
                {"path": "tags.b", "old": None, "new": '"x"'},
            ],
        }
    ]
    assert document["outputs"] == [{"path": "url", "old": '"http://a"', "new": '"http://b"'}]
    for line in (
        "  + aws_s3_bucket.come  b-come",
        "  - aws_s3_bucket.gone  b-gone",
        " -> aws_eip.this is now module.network.aws_eip.this  eip-1",
        "-/+ aws_instance.app  i-1 -> i-2",
        '      tags.b: (none) -> "x"',
        "1 added, 1 removed, 1 replaced, 1 changed, 1 moved; 1 values of outputs changed",
    ):
        assert line in table.splitlines()


def test_states_that_say_the_same_are_0_whatever_their_serials_are(site: StateSite, tmp_path: Path) -> None:
    site.put(state(1, [bucket_resource("a")]))
    (tmp_path / "copy").write_bytes(state(8, [bucket_resource("a")]))
    (tmp_path / "foreign").write_bytes(state(8, [bucket_resource("a")], lineage=FOREIGN))

    same = site.run("state", "diff", "latest", f"file:{tmp_path}/copy")
    foreign = site.run("state", "diff", "latest", f"file:{tmp_path}/foreign", status=20)

    assert "no difference: both say the same of the world" in same.stdout
    assert f"! they are of different lineages, so two histories: {LINEAGE}, {FOREIGN}" in foreign.stdout


def test_the_copies_of_the_other_region_are_compared(site: StateSite) -> None:
    site.put_copy(state(1))
    site.put_copy(state(2, [bucket_resource("a")]))

    document = site.json("state", "diff", "previous", "latest", "--replica", status=20)

    assert [one["address"] for one in document["added"]] == ["aws_s3_bucket.a"]


# -- nothing sensitive -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["table", "json"])
def test_no_verb_prints_what_is_sensitive(site: StateSite, output: str) -> None:
    site.put(with_secrets(1, ""))
    site.put(with_secrets(2, "2"))
    site.write_digest(md5(with_secrets(2, "2")))

    printed = [
        site.run("state", "list", "-o", output),
        site.run("state", "show", "latest", "-o", output),
        site.run("state", "diff", "previous", "latest", "-o", output, status=20),
    ]

    text = "".join(done.stdout + done.stderr for done in printed)
    assert CANARY not in text
    assert "Canary" not in text
    assert json.dumps(CANARY)[1:-1] not in text
    assert "(sensitive)" in printed[1].stdout
    assert "password" in printed[2].stdout
    for told in ("value2", "tag2", "app-g1", "5432"):
        assert told in printed[1].stdout + printed[2].stdout


def test_what_cannot_be_read_is_not_printed_either(site: StateSite) -> None:
    body = with_secrets(1, "")
    site.put(body[: body.rindex(CANARY.encode()) + len(CANARY)])

    listed, shown = site.run("state", "list"), site.run("state", "show", "latest", status=11)

    assert "Canary" not in listed.stdout + listed.stderr + shown.stdout + shown.stderr
    assert "cut off at byte" in shown.stderr
