"""What reading a configuration tells, and what it does not: the texts are those that checkov's parser gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from lifeboat.decisions.policy import configuration, foreseen_judging
from lifeboat.decisions.policy.configuration import Module, as_declared
from lifeboat.decisions.policy.expressions import (
    LOST,
    NULL,
    Coming,
    Fields,
    Items,
    Known,
    Path,
    Worth,
    steps,
    worth,
)
from lifeboat.decisions.policy.foreseen import Foreseen, foreseen
from lifeboat.decisions.policy.planned import Awaited, BlockAddress, Reference, Undecided
from lifeboat.decisions.policy.registry import BY_ID
from lifeboat.decisions.policy.rule import Verdict

_KEY = Coming(references=frozenset([Reference(block=BlockAddress("aws_kms_key.k"), keys=(None,))]))
_GIVEN: Mapping[Path, Worth] = {
    ("var", "days"): Known(value=9),
    ("var", "on"): Known(value=True),
    ("var", "name"): Known(value="app"),
    ("var", "list"): Items(parts=(Known(value="a"), Known(value="b"))),
    ("each", "value", "x.y"): Known(value="dotted"),
    ("aws_kms_key", "k", "arn"): _KEY,
}


def _look_up(path: Path) -> Worth:
    return _GIVEN.get(path, LOST)


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ("each.value", Known(value="each.value")),  # a text, whatever it looks like
        ("${var.days}", Known(value=9, constant=False)),
        ("a-${var.days}-${var.name}", Known(value="a-9-app", constant=False)),
        ("${var.on}-x", Known(value="true-x", constant=False)),
        ('${each.value["x.y"]}', Known(value="dotted", constant=False)),
        ("${aws_kms_key.k.arn}", _KEY),
        ("arn:${aws_kms_key.k.arn}", _KEY),
        ("$${var.days}", Known(value="${var.days}")),
        (r"a\"b\\c\u00e9", Known(value='a"b\\cé')),
        (r'{"a": "b\n"}', Known(value=r'{"a": "b\n"}')),  # a heredoc: nothing is escaped in it
        ("", Known(value="")),
        ("${-5}", Known(value=-5)),
        ("${True}", Known(value=True)),
        (None, NULL),
        (1.5, Known(value=1.5)),
        ("${var.on ? 1 : 2}", Known(value=1)),
        ("${toset(var.list)}", _GIVEN["var", "list"]),
        ("${toset(['a', 'b'])}", _GIVEN["var", "list"]),
        ("${toset(['${var.name}'])}", Items(parts=(Known(value="app", constant=False),))),
        ([1, "${var.days}"], Items(parts=(Known(value=1), Known(value=9, constant=False)))),
        ({"a b": "c"}, Fields(parts={"a b": Known(value="c")})),
        ({"${var.name}": 1}, Fields(parts={"app": Known(value=1)})),
    ],
)
def test_what_is_surely_known_is_known(raw: Any, found: Worth) -> None:
    assert worth(raw, _look_up) == found


@pytest.mark.parametrize(
    "raw",
    [
        "${var.unknown}",
        "x-${var.unknown}",
        "${max(1, 2)}",
        "${[for k in var.list : k]}",
        "${aws_kms_key.k[*].arn}",
        "%{ if var.on }x%{ endif }",
        "${!var.on}",
        "${1 + 2 * 3}",  # the parentheses of (1 + 2) * 3 are gone
        "${var.days == 9 ? 1 : 2}",  # and so are those of var.days == (9 ? 1 : 2)
        "${var.on ? var.on ? 1 : 2 : 3}",
        "${var.days ? 1 : 2}",
        '${replace(var.name, "}", "")}',
        {"local.key": "v"},  # a text, or {(local.key) = "v"}
        {"${var.unknown}": "v"},
        b"bytes",
    ],
)
def test_what_could_mean_something_else_is_lost(raw: Any) -> None:
    assert worth(raw, _look_up) == LOST


def test_a_reference_is_taken_apart() -> None:
    assert steps('module.m["a.b"].out[0].x.1') == ("module", "m", "a.b", "out", 0, "x", 1)


_TYPE = (
    "${object({'days': '${optional(number,5)}', 'name': '${optional(string,\"x,y\")}', 'on': '${optional(bool)}', "
    "'rules': \"${optional(map(object({\\'at\\': \\'${optional(string,\\\"03:00\\\")}\\'})),{})}\"})}"
)


def test_a_type_completes_what_is_given() -> None:
    given = worth({"days": 7, "rules": {"daily": {}}})

    found = as_declared(given, {"type": [_TYPE]})

    assert found == Fields(
        parts={
            "days": Known(value=7),
            "name": Known(value="x,y"),
            "on": NULL,
            "rules": Fields(parts={"daily": Fields(parts={"at": Known(value="03:00")})}),
        }
    )


def test_null_is_the_default_where_null_may_not_be_given() -> None:
    variable = {"type": ["${number}"], "nullable": [False], "default": [4]}

    assert as_declared(NULL, variable) == Known(value=4)
    assert as_declared(NULL, {"type": ["${number}"], "default": [4]}) == NULL


# -- a whole root ------------------------------------------------------------------------------------------------------


def _resource(kind: str, label: str, /, **body: Any) -> dict[str, Any]:
    return {kind: {label: body}}


def _foreseen(
    resources: list[dict[str, Any]], called: Module | None = None, values: Mapping[str, Any] | None = None, **parts: Any
) -> Foreseen:
    module = configuration.module([{"resource": resources, **parts}], lambda _: called)
    return foreseen(module, values or {})


def _database(**body: Any) -> dict[str, Any]:
    return _resource("aws_db_instance", "d", **body)


def _addresses(found: Foreseen) -> list[str]:
    return [str(one.address) for one in found.plan.resources]


def test_instances_are_made_where_their_keys_are_known() -> None:
    found = _foreseen(
        [
            _database(
                for_each=["${var.g}"], backup_retention_period=["${each.value.days}"], identifier=["${each.key}"]
            ),
            _resource("aws_kms_key", "k", count=[2]),
            _resource("aws_vpc", "none", count=["${var.on ? 1 : 0}"]),
        ],
        variable=[{"g": {"default": [{"a": {"days": 3}, "b": {"days": 4}}]}}, {"on": {"default": [False]}}],
    )

    assert _addresses(found) == [
        'aws_db_instance.d["a"]',
        'aws_db_instance.d["b"]',
        "aws_kms_key.k[0]",
        "aws_kms_key.k[1]",
    ]
    assert [one.body.number("backup_retention_period") for one in found.plan.of("aws_db_instance")] == [3, 4]
    assert [one.body.text("identifier") for one in found.plan.of("aws_db_instance")] == ["a", "b"]
    assert found.doubtful == frozenset()


def test_of_what_nobody_can_count_nobody_judges_anything() -> None:
    found = _foreseen([_database(count=["${length(var.x)}"], backup_retention_period=[1])])

    judged = foreseen_judging.judged(found, [BY_ID["LB_RDS_1"], BY_ID["LB_STATE_4"]])

    assert found.doubtful == {"aws_db_instance.d"}
    assert [(one.verdict, one.why) for one in judged] == [
        (Verdict.UNDECIDED, "nobody can tell how many of it there will be, if any")
    ]


def test_a_module_gets_what_its_call_gives_and_answers_with_what_it_puts_out() -> None:
    module = configuration.module(
        [
            {
                "variable": [{"key": {}}, {"days": {"default": [9]}}, {"prefix": {}}],
                "resource": [_database(kms_key_id=["${var.key}"], backup_retention_period=["${var.days}"])],
                "output": [{"name": {"value": ["${var.prefix}-db"]}}, {"arn": {"value": ["${aws_db_instance.d.arn}"]}}],
            }
        ],
        lambda _: None,
    )
    call = {
        "source": ["./m"],
        "key": ["${aws_kms_key.k.arn}"],
        "prefix": ["${local.name}"],
        "for_each": ["${toset(['x'])}"],
    }

    found = _foreseen(
        [
            _resource("aws_kms_key", "k"),
            _resource(
                "aws_vpc", "v", name=['${module.m["x"].name}'], arn=['${module.m["x"].arn}'], none=["${module.m.name}"]
            ),
        ],
        module,
        module=[{"m": call}],
        locals=[{"name": ["app"]}],
    )

    database = found.plan.of("aws_db_instance")[0]
    vpc = found.plan.of("aws_vpc")[0].body
    assert database.address == 'module.m["x"].aws_db_instance.d'
    assert database.block == "module.m.aws_db_instance.d"
    assert database.body.number("backup_retention_period") == 9
    assert database.body.origin("kms_key_id").blocks == {"aws_kms_key.k"}
    assert vpc.text("name") == "app-db"
    assert vpc.origin("arn").blocks == {"module.m.aws_db_instance.d"}
    with pytest.raises(Awaited):
        vpc.text("none")


def test_a_dynamic_block_is_written_out_where_it_can_be() -> None:
    dynamic = {
        "for_each": ["${var.rules}"],
        "iterator": ["${r}"],
        "content": [{"schedule": ["${r.value.at}"], "n": ["${r.key}"]}],
    }

    found = _foreseen(
        [
            _resource("aws_backup_plan", "known", dynamic=[{"rule": dynamic}], rule=[{"schedule": ["first"]}]),
            _resource("aws_backup_plan", "lost", dynamic=[{"rule": {**dynamic, "for_each": ["${keys(var.rules)}"]}}]),
        ],
        variable=[{"rules": {"default": [{"daily": {"at": "rate(1 day)"}}]}}],
    )

    known, lost = found.plan.of("aws_backup_plan")
    assert [one.text("schedule") for one in known.body.blocks("rule")] == ["first", "rate(1 day)"]
    assert known.body.blocks("rule")[1].text("n") == "daily"
    with pytest.raises(Undecided):
        lost.body.blocks("rule")


def test_regions_and_tags_come_of_the_provider_that_the_call_hands_on() -> None:
    module = configuration.module(
        [{"resource": [_database(provider=["${aws.dr}"]), _resource("aws_vpc", "v")]}], lambda _: None
    )
    call = {"source": ["./m"], "providers": [{"aws": "${aws}", "aws.dr": "${aws.there}"}]}

    found = _foreseen(
        [_resource("aws_kms_key", "k", provider=["${aws.elsewhere}"])],
        module,
        module=[{"m": call}],
        provider=[
            {"aws": {"region": ["eu-west-1"], "default_tags": [{"tags": [{"a": "b"}]}]}},
            {"aws": {"alias": ["there"], "region": ["${var.region}"], "default_tags": [{"tags": ["${local.lost}"]}]}},
        ],
        variable=[{"region": {}}],
        values={"region": "eu-central-1"},
    )

    assert {one.type: (one.region, one.default_tags) for one in found.plan.resources} == {
        "aws_kms_key": (None, {}),
        "aws_db_instance": ("eu-central-1", None),
        "aws_vpc": ("eu-west-1", {"a": "b"}),
    }


@pytest.mark.parametrize(
    "parts",
    [
        {"module": [{"m": {"source": ["registry/module/aws"]}}]},
        {"variable": [{"name": {}}]},
    ],
)
def test_where_something_is_missing_nobody_says_that_nothing_is_there(parts: dict[str, Any]) -> None:
    found = _foreseen([_database(backup_retention_period=[1])], **parts)

    judged = {
        one.rule.id: one.verdict for one in foreseen_judging.judged(found, [BY_ID["LB_RDS_1"], BY_ID["LB_COV_1"]])
    }

    assert judged == {"LB_RDS_1": Verdict.FINDINGS, "LB_COV_1": Verdict.UNDECIDED}


def test_an_answer_that_rests_on_something_lost_is_none() -> None:
    found = _foreseen([_database(skip_final_snapshot=["${var.lost}"], delete_automated_backups=[True])])

    judged = foreseen_judging.judged(found, [BY_ID["LB_RDS_3"]])

    assert [(one.verdict, one.findings, one.why) for one in judged] == [
        (Verdict.UNDECIDED, (), "aws_db_instance.d: skip_final_snapshot cannot be told without a plan")
    ]


@pytest.mark.parametrize("given", ["${local.lost}", "much"])
def test_without_the_objectives_nothing_is_measured(given: str) -> None:
    found = _foreseen([_database(backup_retention_period=[1])], variable=[{"rpo_hours": {"default": [given]}}])

    judged = foreseen_judging.judged(found, [BY_ID["LB_RDS_1"]])

    assert [one.verdict for one in judged] == [Verdict.UNDECIDED]
    assert judged[0].why.startswith("the objectives are not known: ")


def test_circles_end() -> None:
    found = _foreseen(
        [_resource("aws_vpc", "v", a=["${local.a}"], b=["${aws_vpc.v.b}"])],
        locals=[{"a": ["${local.b}"], "b": ["${local.a}"]}],
    )

    with pytest.raises(Undecided):
        found.plan.of("aws_vpc")[0].body.text("a")
