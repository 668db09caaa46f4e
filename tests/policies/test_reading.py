"""What is no whole plan is refused before anything is judged; what is one is read to the last module."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lifeboat.decisions.policy import judging, reading, report
from lifeboat.decisions.policy.planned import Planned, Undecided
from lifeboat.decisions.policy.report import Subject
from lifeboat.decisions.policy.reported import Looked
from lifeboat.decisions.policy.rule import Standing, Verdict
from lifeboat.decisions.policy.validity import Evidence
from lifeboat.errors import ScanNotValid

from tests.policies.evidence import TODAY
from tests.policies.plans import COMPUTED, HERE, THERE, PlanFile, later


def _plan(**over: Any) -> bytes:
    return PlanFile().add("aws_db_instance.this", {"identifier": "app"}).text(**over)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "this is not JSON (line 1)"),
        (b'{"a":\n', "this is not JSON (line 2)"),
        (b"\xff\xff\xff", "this is not JSON"),
        (b"PK\x03\x04rest", "this is a saved plan, not its JSON"),
        (b"[" * 100_000, "this is not JSON"),
        (b"[]", "this is JSON and no plan"),
        (b"{}", "this is JSON and no plan"),
        (b'{"format_version": "1.0", "values": {}}', "this is a state, not a plan"),
        (_plan(format_version="2.0"), "the plan has the unknown format version '2.0'; 1.x is known"),
        (_plan(format_version=None), "the plan has the unknown format version None; 1.x is known"),
        (_plan(errored=True), "Terraform failed while it made this plan, so it is not whole"),
        (
            PlanFile().text(),
            "the plan is empty: it has no resource at all, so nothing was judged",
        ),
        (
            _plan(resource_changes=[{"mode": "managed"}]),
            "this is not a plan as Terraform writes it: a part of it is missing, or of another form",
        ),
        (
            _plan(planned_values=[]),
            "this is not a plan as Terraform writes it: a part of it is missing, or of another form",
        ),
    ],
)
def test_what_is_no_whole_plan_is_refused(text: bytes, said: str) -> None:
    with pytest.raises(ScanNotValid) as refused:
        reading.read(text)

    assert refused.value.summary == said
    assert refused.value.exit_status == 2
    assert refused.value.hint


def _half(*, without: str) -> bytes:
    document = json.loads(PlanFile().add("aws_db_instance.this").add("aws_backup_vault.this").text())
    values, changes = document["planned_values"]["root_module"]["resources"], document["resource_changes"]
    (values if without == "planned_values" else changes).pop()
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("without", "has"), [("planned_values", "resource_changes"), ("resource_changes", "planned_values")]
)
def test_a_plan_of_which_one_half_lacks_a_resource_is_refused(without: str, has: str) -> None:
    with pytest.raises(ScanNotValid) as refused:
        reading.read(_half(without=without))

    assert refused.value.summary == (
        f"the plan is not whole: its {has} have aws_backup_vault.this and its {without} do not (1 of this kind)"
    )
    assert refused.value.hint


def test_a_plan_without_its_values_is_refused() -> None:
    document = json.loads(_plan())
    del document["planned_values"]

    with pytest.raises(
        ScanNotValid, match=r"its resource_changes have aws_db_instance\.this and its planned_values do not"
    ):
        reading.from_document(document)


def test_what_is_deleted_forgotten_or_left_over_of_a_replacement_is_in_the_changes_alone() -> None:
    plan = (
        PlanFile().add("aws_vpc.this").add("aws_vpc.gone", actions=["delete"]).add("aws_vpc.free", actions=["forget"])
    )
    document = json.loads(plan.text())
    over = {**document["resource_changes"][0], "address": "aws_vpc.old", "deposed": "1234abcd"}
    document["resource_changes"].append(over)
    values = document["planned_values"]["root_module"]["resources"]
    document["planned_values"]["root_module"]["resources"] = [one for one in values if one["name"] == "this"]

    assert [one.address for one in reading.from_document(document).resources] == ["aws_vpc.this"]


def test_a_plan_without_its_configuration_is_refused() -> None:
    document = json.loads(_plan())
    del document["configuration"]

    with pytest.raises(ScanNotValid, match="no configuration"):
        reading.from_document(document)


def test_what_is_not_json_is_not_repeated() -> None:
    with pytest.raises(ScanNotValid) as refused:
        reading.read(b'{"password": "hunter2"')

    assert "hunter2" not in f"{refused.value.summary} {refused.value.hint}"


@pytest.mark.parametrize("rpo", ["soon", 0, -1, [], "1e400"])
def test_an_objective_that_is_no_length_of_time_is_refused(rpo: object) -> None:
    plan = PlanFile(variables={"objectives": {"rpo_hours": rpo}}).add("aws_vpc.this")

    with pytest.raises(ScanNotValid, match=r"var\.objectives\.rpo_hours"):
        judging.scanned(reading.read(plan.text()))


@pytest.mark.parametrize("over", [{"complete": False}, {"deferred_changes": [{"reason": "provider_config_unknown"}]}])
def test_a_plan_that_leaves_something_out_is_not_valid(over: dict[str, Any]) -> None:
    scan = judging.scanned(reading.read(_plan(**over)))

    assert scan.not_valid[0].startswith("the plan is not complete")


def test_what_is_forgotten_is_not_there_any_more() -> None:
    plan = PlanFile().add("aws_vpc.this").add("aws_db_instance.this", {"identifier": "app"}, actions=("forget",))

    found = reading.read(plan.text())

    assert [one.address for one in found.resources] == ["aws_vpc.this"]
    assert [one.rule for one in judging.scanned(found).findings] == []


def _older(plan: PlanFile, *without: str, **over: Any) -> Planned:
    """Return a plan as Terraform 1.5 writes it, which says nothing of being complete, without what has these addresses."""
    document = plan.document(terraform_version="1.5.7", **over)
    del document["complete"]
    for part in (document["planned_values"]["root_module"], document):
        name = "resources" if "resources" in part else "resource_changes"
        part[name] = [one for one in part[name] if one["address"] not in without]
    return reading.from_document(document)


def _database_and_bucket() -> PlanFile:
    return PlanFile().add("aws_db_instance.this", {"backup_retention_period": 0}).add("aws_s3_bucket.web")


@pytest.mark.parametrize("prior", ["in the state", "only written"])
def test_an_older_plan_of_a_target_is_not_valid_though_it_does_not_say_so(prior: str) -> None:
    plan = _database_and_bucket()
    state = {"values": plan.document()["planned_values"]} if prior == "in the state" else {}

    found = _older(plan, "aws_db_instance.this", prior_state=state)

    assert judging.scanned(found).not_valid[0].startswith("the plan is not complete")


def test_an_older_plan_of_what_is_only_in_the_state_any_more_names_it() -> None:
    plan = _database_and_bucket()
    document = plan.document()
    document["configuration"]["root_module"]["resources"] = []
    state = {"values": document["planned_values"]}

    gone = _older(PlanFile().add("aws_s3_bucket.web"), prior_state=state, configuration=document["configuration"])

    assert judging.scanned(gone).not_valid[0].startswith("the plan is not complete")


def test_of_an_older_plan_that_names_everything_it_is_said_that_nobody_knows() -> None:
    plan = _database_and_bucket().add("aws_ebs_volume.none", key="a")
    written = plan.document()["configuration"]
    written["root_module"]["resources"][-1]["for_each_expression"] = {"references": ["var.volumes"]}

    found = _older(plan, 'aws_ebs_volume.none["a"]', configuration=written)
    scan = judging.scanned(found)
    done = report.of(
        Evidence(looked=(Looked(root="", scan=scan, places={}),), today=TODAY), Subject(name="x", ground="x")
    )

    assert scan.not_valid == ()
    assert (
        "Terraform 1.5.7 does not say whether a plan is whole: of one made with -target, the rest was not judged"
    ) in done.remarks


# -- values ------------------------------------------------------------------------------------------------------------


def _bucket(**values: Any) -> Planned:
    return reading.read(PlanFile().add("aws_s3_bucket.this", values).text())


def test_a_value_is_known_not_set_or_known_only_later() -> None:
    body = _bucket(bucket="b", force_destroy=None, region=COMPUTED, policy=later("aws_kms_key.k.arn")).resources[0].body

    assert body.text("bucket") == "b"
    assert body.flag("force_destroy") is None
    assert body.text("region") is None
    assert body.text("never_heard_of") is None
    with pytest.raises(Undecided, match=r"aws_s3_bucket\.this: policy is known only after the apply"):
        body.text("policy")
    assert [body.written(name) for name in ("bucket", "force_destroy", "region", "policy")] == [
        True,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("kind", "value"), [("number", "many"), ("text", 3), ("flag", "maybe"), ("size", "x"), ("mapping", [])]
)
def test_a_value_of_another_form_is_not_guessed(kind: str, value: object) -> None:
    body = _bucket(x=value).resources[0].body

    with pytest.raises(Undecided):
        getattr(body, kind)("x")


def test_a_resource_is_in_the_region_of_its_provider_or_of_its_arn() -> None:
    plan = (
        PlanFile()
        .add("aws_vpc.here")
        .add("aws_vpc.there", region=THERE)
        .add("aws_vpc.nobody_says", region=None)
        .add("aws_vpc.made", {"arn": "arn:aws:ec2:us-east-1:123456789012:vpc/vpc-1"})
    )

    regions = {one.name: one.region for one in reading.read(plan.text()).resources}

    assert regions == {"here": HERE, "there": THERE, "nobody_says": None, "made": "us-east-1"}


@pytest.mark.parametrize(
    ("references", "region"),
    [
        (["var.regions.dr", "var.regions"], THERE),
        (['var.regions["dr"]', "var.regions"], THERE),
        (["var.regions.other", "var.regions"], None),
        (["var.region"], HERE),
        (["var.part"], None),  # "eu-${var.part}-1"
        (["var.region", "var.part"], None),
        (["local.region"], None),
    ],
)
def test_a_region_is_an_input_or_a_part_of_one(references: list[str], region: str | None) -> None:
    document = (
        PlanFile(variables={"regions": {"dr": THERE}, "region": HERE, "part": "west"}).add("aws_vpc.this").document()
    )
    document["configuration"]["provider_config"]["aws"]["expressions"]["region"] = {"references": references}

    assert [one.region for one in reading.from_document(document).resources] == [region]


@pytest.mark.parametrize(
    ("references", "meant"),
    [
        (['aws_vpc.v["a"].id', 'aws_vpc.v["a"]', "aws_vpc.v"], ['aws_vpc.v["a"]']),
        (['aws_vpc.v["a"].id', 'aws_vpc.v["a"]', "aws_vpc.v", "aws_vpc.v"], ['aws_vpc.v["a"]', 'aws_vpc.v["b"]']),
        (["aws_vpc.v"], ['aws_vpc.v["a"]', 'aws_vpc.v["b"]']),
        (["aws_vpc.v", "each.key"], ['aws_vpc.v["b"]']),
        (['aws_vpc.v["c"].id', 'aws_vpc.v["c"]', "aws_vpc.v"], []),
    ],
)
def test_a_reference_means_the_instance_that_it_names(references: list[str], meant: list[str]) -> None:
    plan = (
        PlanFile()
        .add("aws_vpc.v", key="a")
        .add("aws_vpc.v", key="b")
        .add("aws_subnet.s", {"x": later("aws_vpc.v.id")}, key="b")
    )
    document = plan.document()
    document["configuration"]["root_module"]["resources"][-1]["expressions"]["x"] = {"references": references}

    read = reading.from_document(document)

    assert [one.address for one in read.come_from(read.of("aws_subnet")[0].body, "x")] == meant


@pytest.mark.parametrize(("reference", "found"), [('module.data["a.b"]', 1), ('module.data["other"]', 0)])
def test_a_reference_means_the_call_of_a_module_that_it_names(reference: str, found: int) -> None:
    document = _in_modules()
    call = document["configuration"]["root_module"]["module_calls"]["backup"]
    call["expressions"]["arns"]["references"] = [f"{reference}.arns", reference]

    plan = reading.from_document(document)

    assert len(plan.come_from(plan.of("aws_backup_selection")[0].body, "resources")) == found


# -- modules -----------------------------------------------------------------------------------------------------------


def _in_modules() -> dict[str, Any]:
    """Return a plan whose selection, in one module, names the database of another through outputs, variables and each.value."""

    def written(kind: str, expressions: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {
            "mode": "managed",
            "type": kind,
            "name": "this",
            "provider_config_key": "aws",
            "expressions": expressions,
            **more,
        }

    def planned(address: str, kind: str, values: dict[str, Any]) -> dict[str, Any]:
        return {"address": address, "mode": "managed", "type": kind, "name": "this", "index": "g.1", "values": values}

    database = 'module.data["a.b"].aws_db_instance.this["g.1"]'
    selection = 'module.backup.aws_backup_selection.this["g.1"]'
    return PlanFile().document(
        planned_values={
            "root_module": {
                "child_modules": [
                    {
                        "address": 'module.data["a.b"]',
                        "resources": [planned(database, "aws_db_instance", {"identifier": "app"})],
                    },
                    {"address": "module.backup", "resources": [planned(selection, "aws_backup_selection", {})]},
                ]
            }
        },
        resource_changes=[
            {
                "address": address,
                "mode": "managed",
                "type": kind,
                "change": {"actions": ["create"], "before": None, "after": {}, "after_unknown": unknown},
            }
            for address, kind, unknown in (
                (database, "aws_db_instance", {}),
                (selection, "aws_backup_selection", {"resources": True}),
            )
        ],
        configuration={
            "provider_config": {"aws": {"expressions": {"region": {"references": ["var.region"]}}}},
            "root_module": {
                "module_calls": {
                    "data": {
                        "module": {
                            "outputs": {
                                "arns": {"expression": {"references": ["aws_db_instance.this"]}},
                                "other": {"expression": {"references": ["aws_vpc.this"]}},
                            },
                            "resources": [written("aws_db_instance", {"identifier": {"constant_value": "app"}})],
                        }
                    },
                    "backup": {
                        "expressions": {"arns": {"references": ["module.data.arns", "module.data"]}},
                        "module": {
                            "resources": [
                                written(
                                    "aws_backup_selection",
                                    {"resources": {"references": ["each.value"]}},
                                    for_each_expression={"references": ["var.arns"]},
                                )
                            ]
                        },
                    },
                }
            },
        },
        variables={"region": {"value": THERE}},
    )


def test_a_value_is_traced_through_modules() -> None:
    plan = reading.from_document(_in_modules())

    origin = plan.of("aws_backup_selection")[0].body.origin("resources")

    assert (sorted(origin.blocks), origin.lost) == (["module.data.aws_db_instance.this"], False)
    assert [one.address for one in plan.named(origin.references)] == ['module.data["a.b"].aws_db_instance.this["g.1"]']
    assert {one.region for one in plan.resources} == {THERE}


def test_what_a_trace_finds_counts_as_covered() -> None:
    scan = judging.scanned(reading.from_document(_in_modules()))

    assert {one.rule.id: one.verdict for one in scan.outcomes}["LB_COV_1"] is Verdict.CLEAN


def test_a_trace_ends_at_a_local() -> None:
    document = _in_modules()
    call = document["configuration"]["root_module"]["module_calls"]["backup"]
    call["expressions"] = {"arns": {"references": ["local.arns"]}}

    scan = judging.scanned(reading.from_document(document))

    ended = {one.rule.id: one for one in scan.outcomes}["LB_COV_1"]
    assert ended.verdict is Verdict.UNDECIDED
    assert scan.not_valid


def test_a_configuration_that_goes_round_in_circles_ends() -> None:
    document = _in_modules()
    calls = document["configuration"]["root_module"]["module_calls"]
    calls["backup"]["expressions"] = {"arns": {"references": ["module.backup.arns"]}}
    calls["backup"]["module"]["outputs"] = {"arns": {"expression": {"references": ["var.arns"]}}}

    plan = reading.from_document(document)

    assert plan.of("aws_backup_selection")[0].body.origin("resources").blocks == frozenset()


# -- what only the first apply tells -----------------------------------------------------------------------------------


def _first() -> Planned:
    plan = (
        PlanFile()
        .add("aws_backup_vault.main", {"name": "main"})
        .add("aws_backup_vault_policy.main", {"backup_vault_name": "main", "policy": later("aws_iam_role.glass.arn")})
    )
    return reading.read(plan.text())


def test_what_only_the_apply_tells_makes_a_scan_not_valid() -> None:
    scan = judging.scanned(_first())

    assert scan.put_off == ()
    assert scan.not_valid == (
        "LB_VAULT_2 on aws_backup_vault.main: aws_backup_vault_policy.main: policy is known only after the apply",
    )


def test_of_what_is_only_to_be_built_it_is_put_off_and_said() -> None:
    scan = judging.scanned(_first(), standing=Standing.TO_BUILD)

    assert scan.not_valid == ()
    assert scan.put_off == (
        "LB_VAULT_2 on aws_backup_vault.main: aws_backup_vault_policy.main: policy is known only after the apply",
    )
    assert {one.rule.id: one.verdict for one in scan.outcomes}["LB_VAULT_2"] is Verdict.UNDECIDED


def test_of_what_stands_nothing_is_put_off() -> None:
    plan = (
        PlanFile()
        .add("aws_backup_vault.main", {"name": "main"}, actions=["no-op"])
        .add("aws_backup_vault_policy.main", {"backup_vault_name": "main", "policy": later("aws_iam_role.glass.arn")})
    )

    scan = judging.scanned(reading.read(plan.text()), standing=Standing.TO_BUILD)

    assert len(scan.not_valid) == 1
