"""`lifeboat gitlab export` and `restore`: what a copy holds, and that putting it back gives the same again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lifeboat.decisions.variable_exports import Reach
from lifeboat.errors import IntegrityFailure, LifeboatError, NothingFits, Refused, Unreachable
from lifeboat.pipeline import copies, sync
from lifeboat.pipeline.sync import Way

from tests.gitlab_sites import DUMP_BUCKET, VARIABLES, GitLabSite

AWKWARD = {
    "DOLLAR": "a $HOME ${x} `id` $(id)",
    "QUOTES": 'it\'s "quoted" \\ and #',
    "LINES": "first\nsecond\r\nthird\n",
    "BLANKS": "  before and after  ",
    "UNICODE": "ümläut € \u202e 😀",
    "LONG": "x" * 10_000,
}


@pytest.fixture
def lab(lab: GitLabSite) -> GitLabSite:
    """A site without exports."""
    s3 = lab.cloud.client("s3")
    for version in s3.list_object_versions(Bucket=DUMP_BUCKET).get("Versions", []):
        s3.delete_object(Bucket=DUMP_BUCKET, Key=version["Key"], VersionId=version["VersionId"])
    return lab


def exported(lab: GitLabSite) -> copies.Exported:
    return copies.export(lab.site(), lab.patience)


def restored(lab: GitLabSite, name: str = "latest", reach: Reach = Reach.OWN) -> list[str]:
    """Restore and return what was written, in words."""
    found = copies.restore(lab.site(), lab.patience, lambda _: None, (name, reach))
    return sync.lines(found.done.plan.writes)


def document(lab: GitLabSite, key: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lab.cloud.client("s3").get_object(Bucket=DUMP_BUCKET, Key=key)["Body"].read())
    return found


def refused(kind: type[LifeboatError], call: Any) -> LifeboatError:
    with pytest.raises(kind) as caught:
        call()
    return caught.value


def test_an_export_holds_what_the_environments_jobs_can_see_with_all_attributes(lab: GitLabSite) -> None:
    lab.place.create("OWN", "some-value", scope="x", masked=True, raw=True, protected=True, description="Why")
    lab.place.create("SHARED", "value-of-all", scope="*")
    lab.place.create("REVIEW", "another", scope="x/*")
    lab.place.create("OTHERS", "of-staging", scope="staging")
    lab.place.create("FILE", "a\nb\n", scope="x", variable_type="file")
    lab.place.create("SECRET", "hidden-value", scope="x", masked_and_hidden=True)

    done = exported(lab)

    assert done.key.startswith("gitlab/x/")
    assert [str(name) for name in done.export.hidden] == ["SECRET (x)"]
    found = document(lab, done.key)
    assert {k: v for k, v in found.items() if k not in ("variables", "taken_at")} == {
        "format": "lifeboat-gitlab-variables-1",
        "environment": "x",
        "project": "demo/app",
        "hidden": [{"key": "SECRET", "environment_scope": "x"}],
    }
    assert [(v["key"], v["environment_scope"]) for v in found["variables"]] == [
        ("FILE", "x"),
        ("OWN", "x"),
        ("SHARED", "*"),
    ]
    assert found["variables"][1] == {
        "key": "OWN",
        "environment_scope": "x",
        "value": "some-value",
        "variable_type": "env_var",
        "protected": True,
        "masked": True,
        "raw": True,
        "description": "Why",
    }


def test_what_was_lost_comes_back_as_it_was_to_the_last_character(lab: GitLabSite) -> None:
    for number, (key, value) in enumerate(AWKWARD.items()):
        lab.place.create(
            key, value, scope="x", raw=number % 2 == 0, protected=number % 3 == 0, description=f"No {number}"
        )
    before = lab.variables()
    done = exported(lab)
    variables = lab.place.project.variables
    variables.delete("DOLLAR", filter={"environment_scope": "x"})
    variables.delete("LONG", filter={"environment_scope": "x"})
    variables.update("QUOTES", {"value": "overwritten", "protected": True}, filter={"environment_scope": "x"})
    variables.update("LINES", {"description": "other"}, filter={"environment_scope": "x"})

    written = restored(lab, done.key)
    again = restored(lab, done.key.rsplit("/", 1)[-1])

    assert sorted(line.split(" ")[1] for line in written) == ["DOLLAR", "LINES", "LONG", "QUOTES"]
    assert again == []
    assert lab.variables() == before


def test_what_a_sync_writes_is_left_to_it_since_the_copy_may_point_at_an_instance_that_is_gone(
    lab: GitLabSite,
) -> None:
    sync.sync(lab.site(), lab.patience, lambda _: None, Way())
    lab.place.create("OWN", "some-value", scope="x")
    exported(lab)
    lab.output(lambda r: r["app"].update(address="10.0.0.8"))
    sync.sync(lab.site(), lab.patience, lambda _: None, Way())
    before = {name: variable["value"] for name, variable in lab.variables().items()}
    lab.place.project.variables.delete("OWN", filter={"environment_scope": "x"})

    found = copies.restore(lab.site(), lab.patience, lambda _: None, ("latest", Reach.OWN))

    assert sync.lines(found.done.plan.writes) == ["+ OWN (x) (shown in logs, 10 characters)"]
    assert found.done.plan.warnings == (
        "left to a sync, which writes them from their own source:"
        " APP_URL (x), DATABASE_URL (x), DB_PORT (x), EC2_INSTANCE_IP (x)",
    )
    assert {name: variable["value"] for name, variable in lab.variables().items()} == before
    assert sync.preview(lab.site(), lab.patience).writes == ()


def test_one_variable_that_the_file_writes_for_all_does_not_let_a_restore_write_all_of_them(lab: GitLabSite) -> None:
    lab.write(VARIABLES + '[[gitlab.variables]]\nkey = "REGION"\nscope = "*"\noutput = "region"\n')
    lab.place.create("SHARED", "value-of-all", scope="*")
    exported(lab)
    lab.place.project.variables.update("SHARED", {"value": "overwritten"}, filter={"environment_scope": "*"})

    assert restored(lab) == []
    assert lab.value("SHARED", "*") == "overwritten"


def test_variables_that_other_environments_see_are_put_back_only_when_asked(lab: GitLabSite) -> None:
    lab.place.create("OWN", "some-value", scope="x")
    lab.place.create("SHARED", "value-of-all", scope="*")
    exported(lab)
    for key, scope in (("OWN", "x"), ("SHARED", "*")):
        lab.place.project.variables.update(key, {"value": "overwritten"}, filter={"environment_scope": scope})

    preview = copies.preview(lab.site(), lab.patience, "latest", Reach.OWN)
    own = restored(lab)
    left = lab.value("SHARED", "*")
    shared = restored(lab, reach=Reach.SHARED)

    assert [str(name) for name in preview.done.shared] == ["SHARED (*)"]
    assert (own, left) == (["~ OWN (x) (value)"], "overwritten")
    assert shared == ["~ SHARED (*) (value)"]
    assert lab.value("SHARED", "*") == "value-of-all"


def test_what_came_later_stays_and_is_told(lab: GitLabSite) -> None:
    lab.place.create("OLD", "some-value", scope="x")
    lab.place.create("SECRET", "hidden-value", scope="x", masked_and_hidden=True)
    exported(lab)
    lab.place.create("LATER", "some-value", scope="x")
    lab.place.project.variables.delete("SECRET", filter={"environment_scope": "x"})

    found = copies.preview(lab.site(), lab.patience, "latest", Reach.OWN).done.plan

    assert found.writes == ()
    assert found.warnings == (
        "not in the export, so left as they are: LATER (x)",
        "hidden when it was exported, so nobody can put them back: SECRET (x)",
    )


def test_a_variable_that_became_hidden_gets_its_value_back_unseen(lab: GitLabSite) -> None:
    lab.place.create("KEY", "some-value", scope="x")
    exported(lab)
    lab.clean()
    lab.place.create("KEY", "another-value", scope="x", masked_and_hidden=True)

    written = restored(lab)

    assert written == [
        "? KEY (x) (hidden, cannot be compared: value written again)"
        "  -- GitLab hides it now and for good: the value is put back unseen"
    ]


def test_the_latest_export_is_the_newest_one_and_the_others_stay(lab: GitLabSite) -> None:
    s3 = lab.cloud.client("s3")
    lab.place.create("KEY", "newest-value", scope="x")
    newest = exported(lab)
    body = json.dumps(document(lab, newest.key)).replace("newest-value", "older-value").encode()
    s3.put_object(Bucket=DUMP_BUCKET, Key="gitlab/x/20200101T000000Z.json", Body=body)
    s3.put_object(Bucket=DUMP_BUCKET, Key="gitlab/x/notes.json", Body=b"not an export")
    lab.place.project.variables.update("KEY", {"value": "overwritten"}, filter={"environment_scope": "x"})

    restored(lab)
    latest = lab.value("KEY")
    restored(lab, "20200101T000000Z.json")

    assert (latest, lab.value("KEY")) == ("newest-value", "older-value")
    assert copies.exports(lab.site()) == ["gitlab/x/20200101T000000Z.json", newest.key]


def test_an_export_never_replaces_another(lab: GitLabSite) -> None:
    lab.place.create("KEY", "some-value", scope="x")
    first = exported(lab)
    store = lab.site().variable_exports(copies.values.outputs(lab.site()).recovery)

    problem = refused(Refused, lambda: store.put(first.export))

    assert problem.summary.startswith(f"s3://{DUMP_BUCKET}/{first.key} exists already")
    assert len(copies.exports(lab.site())) == 1


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("latest", NothingFits, "holds no export of x"),
        ("20200101T000000Z.json", NothingFits, "there is no export s3://"),
        ("gitlab/y/20200101T000000Z.json", Refused, "is no export of this environment"),
        ("../y/20200101T000000Z.json", Refused, "is no export of this environment"),
    ],
)
def test_an_export_that_is_not_ours_or_not_there_is_refused(
    lab: GitLabSite, name: str, kind: type[LifeboatError], words: str
) -> None:
    problem = refused(kind, lambda: restored(lab, name))

    assert words in problem.summary


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d.pop("variables"),
        lambda d: d.update(format="other"),
        lambda d: d["variables"][0].update(value=None),
        lambda d: d["variables"][0].update(masked="yes"),
        lambda d: d["variables"][0].pop("raw"),
        lambda d: d.update(variables={"KEY": "value"}),
        lambda d: d.update(taken_at="yesterday"),
    ],
)
def test_a_damaged_export_is_told_as_that_and_nothing_is_written(lab: GitLabSite, damage: Any) -> None:
    lab.place.create("KEY", "some-value", scope="x")
    done = exported(lab)
    found = document(lab, done.key)
    damage(found)
    lab.cloud.client("s3").put_object(Bucket=DUMP_BUCKET, Key=done.key, Body=json.dumps(found).encode())
    lab.clean()

    problem = refused(IntegrityFailure, lambda: restored(lab))

    assert problem.summary == f"s3://{DUMP_BUCKET}/{done.key} is not what lifeboat gitlab export writes"
    assert "some-value" not in problem.summary
    assert lab.variables() == {}


def test_an_export_of_another_environment_under_our_name_is_refused(lab: GitLabSite) -> None:
    lab.place.create("KEY", "some-value", scope="x")
    done = exported(lab)
    body = json.dumps(document(lab, done.key) | {"environment": "y"}).encode()
    lab.cloud.client("s3").put_object(Bucket=DUMP_BUCKET, Key=done.key, Body=body)

    problem = refused(Refused, lambda: restored(lab))

    assert problem.summary == f"{done.key} is an export of y, not of x"


def test_a_project_without_variables_has_nothing_to_export(lab: GitLabSite) -> None:
    problem = refused(NothingFits, lambda: exported(lab))

    assert problem.summary == "demo/app has no variable that jobs of x could see"
    assert copies.exports(lab.site()) == []


def test_a_restore_that_fails_leaves_the_variables_as_they_were(lab: GitLabSite) -> None:
    for key in ("A", "B", "C"):
        lab.place.create(key, "some-value", scope="x")
    exported(lab)
    for key in ("A", "B", "C"):
        lab.place.project.variables.update(key, {"value": "overwritten"}, filter={"environment_scope": "x"})
    before = lab.variables()
    lab.fail("UpdateVariable", first=3, times=3, status=502)

    problem = refused(Unreachable, lambda: restored(lab))

    assert "GitLab is as it was: what was written before is put back" in problem.summary
    assert lab.variables() == before


def test_a_bucket_that_cannot_be_asked_is_unreachable(lab: GitLabSite) -> None:
    lab.place.create("KEY", "some-value", scope="x")
    lab.cloud.control(
        "faults", add={"service": "s3", "operation": "PutObject", "code": "AccessDenied", "status": 403, "times": 9}
    )

    problem = refused(Unreachable, lambda: exported(lab))

    assert problem.summary.startswith(f"cannot write s3://{DUMP_BUCKET}/gitlab/x/")
    assert "some-value" not in problem.summary
