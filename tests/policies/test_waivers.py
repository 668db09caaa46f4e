"""environments/<env>.waivers.toml: what is accepted is shown and fails nothing, until its last day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from lifeboat.checkov_model import CheckovSkip
from lifeboat.decisions.policy import validity, waivers
from lifeboat.decisions.policy.rule import Severity
from lifeboat.decisions.policy.waivers import LONGEST, Waiver
from lifeboat.errors import WrongConfiguration

from tests.policies.evidence import ENCRYPTED, TODAY, ran, reported, seen, wrong
from tests.policies.plans import PlanFile

ONE = """
[[waiver]]
rule = "LB_RDS_1"
address = "aws_db_instance.*"
reason = "It holds what can be made again in an hour."
expires = 2027-03-31
who = "eva@example.com"
"""


def waiver(**over: Any) -> Waiver:
    found = {"rule": "LB_RDS_1", "address": "aws_db_instance.this", "reason": "a cache", "who": "eva"}
    return Waiver(**{**found, "expires": TODAY, **over})


def test_a_file_is_read() -> None:
    assert waivers.read(ONE, "x") == (
        Waiver(
            rule="LB_RDS_1",
            address="aws_db_instance.*",
            reason="It holds what can be made again in an hour.",
            expires=date(2027, 3, 31),
            who="eva@example.com",
        ),
    )
    assert waivers.read("", "x") == ()


def test_every_mistake_in_a_file_is_named_at_once() -> None:
    with pytest.raises(WrongConfiguration) as refused:
        waivers.read(ONE.replace("2027-03-31", '"soon"').replace("who =", "by =").replace('"It', '"" # "It'), "a.toml")

    said = refused.value.summary
    assert said.startswith("a.toml cannot be used:\n")
    assert [
        where
        for where in ("waiver.0.expires:", "waiver.0.who:", "waiver.0.by:", "waiver.0.reason:")
        if where not in said
    ] == []
    assert "[[waiver]]" in refused.value.hint


def test_a_date_in_quotes_is_told_from_no_date() -> None:
    with pytest.raises(WrongConfiguration) as refused:
        waivers.read(ONE.replace("2027-03-31", '"2027-03-31"'), "a.toml")

    assert refused.value.summary == (
        "a.toml cannot be used:\n  waiver.0.expires: it must be a date, which TOML writes without quotes: 2027-03-31"
    )


def test_what_is_no_toml_is_refused() -> None:
    with pytest.raises(WrongConfiguration, match="a.toml is not TOML: .*line 1"):
        waivers.read("[[waiver]", "a.toml")


@pytest.mark.parametrize(
    ("glob", "address", "matches"),
    [
        ("module.x.*", "module.x.aws_db_instance.this", True),
        ('module.x.aws_db_instance.this["g1"]', 'module.x.aws_db_instance.this["g1"]', True),
        ('module.x.aws_db_instance.this["g?"]', 'module.x.aws_db_instance.this["g2"]', True),
        ('module.x.aws_db_instance.this["g1"]', "module.x.aws_db_instance.this1", False),
        ("module.x", "module.x.aws_db_instance.this", False),
        ("*", "the plan", True),
        ("module.x.*", "moduleyx.z", False),
    ],
)
def test_an_address_is_a_glob_in_which_brackets_are_brackets(glob: str, address: str, matches: bool) -> None:
    assert waiver(address=glob).matches(address) is matches


def test_what_is_accepted_is_reported_and_fails_nothing() -> None:
    done = reported(seen(wrong(), waivers=(waiver(),)))

    accepted = next(one for one in done.found if one.rule == "LB_RDS_1")
    assert accepted.waived is not None
    assert accepted.waived.words == f"waived until {TODAY.isoformat()} by eva: a cache"
    assert "LB_RDS_1" not in {one.rule for one in done.failing}
    assert (done.accepted, done.not_valid, done.remarks) == ((accepted,), (), ())


@pytest.mark.parametrize(
    ("over", "reason"),
    [
        (
            {"expires": TODAY - timedelta(days=1)},
            "the waiver of LB_RDS_1 on aws_db_instance.this ended on 2026-11-28: mend what it accepts, or renew it",
        ),
        (
            {"expires": TODAY + LONGEST + timedelta(days=1)},
            "the waiver of LB_RDS_1 on aws_db_instance.this ends on 2027-12-01, in more than a year: nothing is accepted for ever",
        ),
        (
            {"rule": "LB_RSD_1"},
            "the waiver of LB_RSD_1 on aws_db_instance.this names no rule: lifeboat policy list shows every one",
        ),
        (
            {"address": "aws_db_instance.that"},
            "the waiver of LB_RDS_1 on aws_db_instance.that matches nothing that is there: mend the address, or take it out",
        ),
    ],
)
def test_a_waiver_that_does_not_hold_makes_the_scan_not_valid(over: dict[str, Any], reason: str) -> None:
    done = reported(seen(wrong(), waivers=(waiver(**over),)))

    assert done.not_valid == (reason,)
    assert done.remarks == ()  # it is not also said to be needed no more


@pytest.mark.parametrize("address", ["*", "**", "?*", "*.*", "module.*", "state:*", "aws_*", "*this"])
def test_a_waiver_of_everything_makes_the_scan_not_valid(address: str) -> None:
    one = waiver(address=address)

    assert not one.bounded
    if one.matches("aws_db_instance.this"):
        assert reported(seen(wrong(), waivers=(one,))).not_valid == (
            f"the waiver of LB_RDS_1 on {address} is about everything:"
            " write a type, a module or a name of it without * and ?",
        )


@pytest.mark.parametrize(
    "address", ["aws_db_instance.*", "*.this", "module.a.*", 'x.y["*"]', "state:module.a.*", "the plan"]
)
def test_a_waiver_that_writes_something_out_is_bounded(address: str) -> None:
    assert waiver(address=address).bounded


def _losing() -> PlanFile:
    return wrong().add("aws_backup_vault.main", {"name": "main"}, actions=("delete",))


def test_what_a_critical_rule_finds_is_accepted_address_by_address() -> None:
    wide, exact = (
        waiver(rule="LB_TF_2", address=address) for address in ("aws_backup_vault.*", "aws_backup_vault.main")
    )

    assert reported(seen(_losing(), waivers=(wide,))).not_valid == (
        "the waiver of LB_TF_2 on aws_backup_vault.* is wide, and the rule is critical:"
        " write a waiver for each address, without * and ?",
    )
    done = reported(seen(_losing(), waivers=(exact,)))
    assert (done.not_valid, [one.rule for one in done.accepted]) == ((), ["LB_TF_2"])


def test_a_critical_check_of_checkovs_own_is_accepted_address_by_address() -> None:
    grave = replace(ENCRYPTED, severity=Severity.CRITICAL)
    evidence = seen(wrong(), ran(wrong()), waivers=(waiver(rule=ENCRYPTED.id, address="aws_db_instance.*"),))

    assert reported(evidence).not_valid == ()
    assert "the rule is critical" in reported(replace(evidence, built_in=(grave,))).not_valid[0]


def test_a_waiver_that_is_over_accepts_nothing() -> None:
    done = reported(seen(wrong(), waivers=(waiver(expires=TODAY - timedelta(days=1)),)))

    assert "LB_RDS_1" in {one.rule for one in done.failing}
    assert done.accepted == ()


def test_a_waiver_that_is_not_needed_is_said() -> None:
    done = reported(seen(wrong(), waivers=(waiver(), waiver(rule="LB_RDS_4"))))

    assert done.not_valid == ()
    assert done.remarks == (
        "the waiver of LB_RDS_4 on aws_db_instance.this is not needed any more: nothing was found there",
    )


def test_a_waiver_of_checkovs_own_check_is_judged_where_checkov_is_asked() -> None:
    one = waiver(rule="CKV_AWS_1")

    alone = validity.reasons(seen(wrong(), waivers=(one,)))
    whole = validity.reasons(seen(wrong(), ran(wrong()), waivers=(one,)))

    assert alone == ()
    assert whole == (
        "the waiver of CKV_AWS_1 on aws_db_instance.this names no rule: lifeboat policy list shows every one",
    )


def test_a_comment_in_the_configuration_waives_with_its_reason() -> None:
    skip = CheckovSkip(
        rule="LB_RDS_1", address="aws_db_instance.this", reason="a cache", file="modules/database/main.tf", line=3
    )
    idle = CheckovSkip(rule="LB_RDS_4", address="aws_db_instance.this", reason="x", file="main.tf", line=4)

    done = reported(seen(wrong(), ran(wrong(), skipped=(skip, idle))))

    assert "LB_RDS_1" not in {one.rule for one in done.failing}
    assert done.not_valid == ()
    assert [one.waived.words for one in done.accepted if one.waived] == [
        "waived by the comment in modules/database/main.tf:3: a cache"
    ]
    assert done.remarks == ("the comment in main.tf:4 waives LB_RDS_4 on aws_db_instance.this, which finds nothing",)
