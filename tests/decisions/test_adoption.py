"""What has to be looked for after an interrupted apply, and what Terraform is then told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from lifeboat.clients.inventory import FINDERS
from lifeboat.decisions.adoption import HOW, How, document, half_replaced, planned_creates, unrecorded
from lifeboat.errors import Refused
from lifeboat.model import Address, Adoption, PlannedCreate, Progress

ROOT = Path(__file__).parents[2]
SOURCES = sorted(p for folder in ("modules", "terraform") for p in (ROOT / folder).rglob("*.tf"))


def planned(address: str, **more: Any) -> PlannedCreate:
    resource_type = re.sub(r"^(module\.\w+\.)*", "", address).split(".")[0]
    return PlannedCreate(address=Address(address), resource_type=resource_type, values={}, **more)


def done(address: str, id_value: str, action: str = "create") -> Progress:
    return Progress(address=Address(address), kind="done", action=action, id_key="id", id_value=id_value)


def started(address: str, action: str = "create") -> Progress:
    return Progress(address=Address(address), kind="started", action=action)


# -- every type of the project ------------------------------------------------------------------------------------


def test_every_resource_type_of_the_project_is_classified() -> None:
    used = {t for path in SOURCES for t in re.findall(r'^resource "([a-z0-9_]+)"', path.read_text(), re.MULTILINE)}

    unclassified = used - set(HOW)

    assert len(used) > 40, "the search for resources finds nothing"
    assert unclassified == set(), "say in decisions/adoption.py HOW these are adopted"


def test_every_adopted_type_can_be_looked_for_and_no_other() -> None:
    adopted = {resource_type for resource_type, how in HOW.items() if how is not How.REWRITTEN}

    assert adopted == set(FINDERS)


def test_every_event_target_has_an_id_of_its_own() -> None:
    blocks = [
        block
        for path in SOURCES
        for block in re.findall(
            r'^resource "aws_cloudwatch_event_target".*?^}', path.read_text(), re.MULTILINE | re.DOTALL
        )
    ]

    assert all(re.search(r"^\s+target_id\s+=", block, re.MULTILINE) for block in blocks), (
        "without target_id the provider invents one, and a target that is written again becomes a second one"
    )


# -- what must be looked for ---------------------------------------------------------------------------------------


def test_what_the_state_does_not_know_is_wanted_with_the_id_that_was_reported() -> None:
    plan = [
        planned("aws_vpc.this"),
        planned("aws_s3_bucket.dumps"),
        planned("aws_kms_key.this"),
        planned("aws_eip.this"),
    ]
    progress = [
        started("aws_vpc.this"),
        done("aws_vpc.this", "vpc-1"),
        started("aws_eip.this"),
        done("aws_kms_key.this", "k"),
    ]

    wanted = unrecorded(plan, progress, {Address("aws_kms_key.this")})

    assert [(w.address, w.known_id, w.begun) for w in wanted] == [
        ("aws_vpc.this", "vpc-1", True),
        ("aws_s3_bucket.dumps", None, False),
        ("aws_eip.this", None, True),
    ]


def test_what_is_only_written_again_is_not_looked_for() -> None:
    plan = [planned("aws_cloudwatch_metric_alarm.stale"), planned("aws_vpc.this")]

    wanted = unrecorded(plan, [started("aws_cloudwatch_metric_alarm.stale")], set())

    assert [w.address for w in wanted] == ["aws_vpc.this"]


def test_nothing_planned_is_lost_on_the_way() -> None:
    plan = [planned(f"{resource_type}.{n}") for resource_type in HOW for n in "ab"]
    recorded = {p.address for p in plan if p.address.endswith(".a")}

    wanted = {w.address for w in unrecorded(plan, [], recorded)}
    rewritten = {p.address for p in plan if HOW[p.resource_type] is How.REWRITTEN}

    assert wanted | recorded | rewritten == {p.address for p in plan}
    assert wanted & (recorded | rewritten) == set()


def test_when_nothing_is_known_of_the_run_anything_may_have_been_begun() -> None:
    plan = [planned("aws_vpc.this")]

    assert [w.begun for w in unrecorded(plan, None, set())] == [True]
    assert [w.begun for w in unrecorded(plan, [], set())] == [False]


def test_deleting_the_old_object_is_not_beginning_the_new_one() -> None:
    wanted = unrecorded([planned("aws_instance.this")], [done("aws_instance.this", "i-old", action="delete")], set())

    assert [(w.known_id, w.begun) for w in wanted] == [(None, False)]


def test_a_parent_is_handed_over_with_what_is_known_of_it_even_when_the_state_has_it() -> None:
    table, route = (
        planned("aws_route_table.public"),
        planned("aws_route.out", takes={"route_table_id": "aws_route_table.public"}),
    )

    wanted = unrecorded([table, route], [done("aws_route_table.public", "rtb-1")], {table.address})

    assert [w.address for w in wanted] == ["aws_route.out"]
    assert wanted[0].parents["route_table_id"].known_id == "rtb-1"


def test_a_type_that_nobody_classified_is_refused_by_name_once_it_was_begun() -> None:
    plan = [planned("module.x.aws_lambda_function.dump"), planned("aws_sqs_queue.q")]

    with pytest.raises(Refused) as refused:
        unrecorded(plan, [done("module.x.aws_lambda_function.dump", "dump")], set())

    assert refused.value.summary == (
        "an interrupted apply began to create what lifeboat does not know how to find again:\n"
        "  module.x.aws_lambda_function.dump (id dump)"
    )
    assert refused.value.exit_status == 3


def test_a_replacement_in_the_place_of_the_old_object_is_half_made_only_while_the_state_has_the_old_id() -> None:
    address = Address("module.app.aws_instance.this")
    plan, begun = [planned(address, instead_of="i-old")], [started(address)]

    assert [(w.address, w.instead_of) for w in half_replaced(plan, begun, {address: "i-old"})] == [(address, "i-old")]
    assert half_replaced(plan, begun, {address: "i-new"}) == []
    assert half_replaced(plan, [], {address: "i-old"}) == []
    assert half_replaced([planned(address)], begun, {address: "i-old"}) == []


# -- the plan's JSON -----------------------------------------------------------------------------------------------


def change(address: str, *actions: str, **more: Any) -> dict[str, Any]:
    return {
        "address": address,
        "mode": "managed",
        "type": planned(re.sub(r'\["[^"]*"\]|\[\d\]', "", address)).resource_type,
        "change": {"actions": list(actions), "before": None, "after": {}, "after_unknown": {}, **more},
    }


def resource(
    name: str, provider: str = "aws", for_each: tuple[str, ...] = (), **references: list[str]
) -> dict[str, Any]:
    resource_type, own_name = name.split(".")
    return {
        "mode": "managed",
        "type": resource_type,
        "name": own_name,
        "provider_config_key": provider,
        "expressions": {attribute: {"references": found} for attribute, found in references.items()},
        "for_each_expression": {"references": list(for_each)},
    }


def plan_of(resources: list[dict[str, Any]], *changes: dict[str, Any], module: str = "") -> dict[str, Any]:
    root: dict[str, Any] = {"resources": resources}
    if module:
        root = {"module_calls": {module: {"module": root}}}
    return {"configuration": {"root_module": root}, "resource_changes": list(changes)}


def test_only_what_is_created_or_replaced_counts_and_a_replacement_says_what_it_replaces() -> None:
    plan = plan_of(
        [resource("aws_instance.this"), resource("aws_vpc.this"), resource("aws_eip.this")],
        change("aws_instance.this", "create", "delete", before={"id": "i-old"}, after={"ami": "ami-2"}),
        change("aws_vpc.this", "update"),
        change("aws_eip.this", "create"),
        {**change("aws_eip.this", "create"), "mode": "data"},
    )

    found = planned_creates(plan)

    assert [(p.address, p.values, p.instead_of) for p in found] == [
        ("aws_instance.this", {"ami": "ami-2"}, "i-old"),
        ("aws_eip.this", {}, None),
    ]


@pytest.mark.parametrize(
    ("key", "alias"), [("aws", ""), ("aws.dr", "dr"), ("module.database:aws", ""), ("module.database:aws.dr", "dr")]
)
def test_the_alias_of_the_provider_says_in_which_region_it_lives(key: str, alias: str) -> None:
    plan = plan_of([resource("aws_kms_key.this", key)], change("module.m.aws_kms_key.this", "create"), module="m")

    assert [p.alias for p in planned_creates(plan)] == [alias]


def test_an_attribute_unknown_in_the_plan_is_traced_to_the_resource_of_the_same_key() -> None:
    unknown = {"after_unknown": {"subnet_id": True, "route_table_id": True, "tags": {}}}
    plan = plan_of(
        [
            resource("aws_subnet.public"),
            resource("aws_route_table.public"),
            resource(
                "aws_route_table_association.public",
                subnet_id=["aws_subnet.public", "each.key"],
                route_table_id=["aws_route_table.public.id", "aws_route_table.public"],
            ),
        ],
        change('module.n.aws_subnet.public["a"]', "create"),
        change('module.n.aws_subnet.public["b.c"]', "create"),
        change("module.n.aws_route_table.public", "create"),
        change('module.n.aws_route_table_association.public["b.c"]', "create", **unknown),
        module="n",
    )

    association = planned_creates(plan)[-1]

    assert association.takes == {
        "subnet_id": 'module.n.aws_subnet.public["b.c"]',
        "route_table_id": "module.n.aws_route_table.public",
    }


def test_a_value_of_for_each_is_traced_to_what_is_iterated_over() -> None:
    plan = plan_of(
        [
            resource("aws_db_instance.this"),
            resource(
                "aws_db_instance_automated_backups_replication.dr",
                for_each=("aws_db_instance.this", "var.active_generation"),
                source_db_instance_arn=["each.value"],
            ),
        ],
        change('aws_db_instance.this["g1"]', "create"),
        change('aws_db_instance.this["g2"]', "create"),
        change(
            'aws_db_instance_automated_backups_replication.dr["g2"]',
            "create",
            after_unknown={"source_db_instance_arn": True},
        ),
    )

    assert planned_creates(plan)[-1].takes == {"source_db_instance_arn": 'aws_db_instance.this["g2"]'}


def test_a_parent_made_by_count_is_found_and_an_ambiguous_one_is_left_open() -> None:
    plan = plan_of(
        [
            resource("aws_route53_zone.this"),
            resource("aws_eip.this"),
            resource("aws_route53_record.app", zone_id=["var.dns", "aws_route53_zone.this"], records=["aws_eip.this"]),
        ],
        change("aws_route53_zone.this[0]", "create"),
        change('aws_eip.this["a"]', "create"),
        change('aws_eip.this["b"]', "create"),
        change("aws_route53_record.app[0]", "create", after_unknown={"zone_id": True, "records": True}),
    )

    assert planned_creates(plan)[-1].takes == {"zone_id": "aws_route53_zone.this[0]"}


# -- what Terraform is told ----------------------------------------------------------------------------------------


def test_the_document_holds_one_import_block_for_each_adoption_in_order() -> None:
    adoptions = [
        Adoption(address=Address('module.n.aws_subnet.public["eu-west-1a"]'), import_id="subnet-1"),
        Adoption(address=Address("module.n.aws_route.internet"), import_id="rtb-1_0.0.0.0/0"),
    ]

    assert document(adoptions)["import"] == [
        {"to": "module.n.aws_route.internet", "id": "rtb-1_0.0.0.0/0"},
        {"to": 'module.n.aws_subnet.public["eu-west-1a"]', "id": "subnet-1"},
    ]
