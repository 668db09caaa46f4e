"""Which items of an archive are restored, and what is said of those that are not."""

from __future__ import annotations

import pytest
from lifeboat.decisions.archives import Item, Rights, choose, items

# As pg_restore 15 prints it of a database on RDS, a name with a line break in it flattened.
LISTING = """;
; Archive created at 2026-11-29 03:15:00 UTC
;     dbname: app
;     TOC Entries: 12
;
; Selected TOC Entries:
;
3375; 0 0 ENCODING - ENCODING
2; 3079 16385 EXTENSION - pg_trgm
3410; 0 0 COMMENT - EXTENSION pg_trgm
3411; 0 0 COMMENT public TABLE t app
215; 1259 16389 TABLE public naïve table with spaces app
3404; 0 16389 TABLE DATA public t app
7; 2615 16400 SCHEMA - ext app
3420; 3466 16500 EVENT TRIGGER - rds_ddl rdsadmin
3421; 0 0 COMMENT - EVENT TRIGGER rds_ddl rdsadmin
3430; 6104 16510 PUBLICATION - all app
3431; 6106 16511 PUBLICATION TABLE public all t app
3432; 0 0 COMMENT - PUBLICATION all app
3440; 0 0 SECURITY LABEL public TABLE t app
220; 1255 16600 FUNCTION public rds_thing() rdsadmin
"""


def test_each_line_is_an_item_of_one_kind() -> None:
    found = items(LISTING)

    assert len(found) == 14
    assert found[1] == Item(number=2, kind="EXTENSION", rest="- pg_trgm")
    assert found[4] == Item(number=215, kind="TABLE", rest="public naïve table with spaces app")
    assert found[5].kind == "TABLE DATA"
    assert [item.kind for item in found if item.number in (3420, 3431)] == ["EVENT TRIGGER", "PUBLICATION TABLE"]


def test_what_an_rds_role_may_not_do_is_left_out_by_name() -> None:
    chosen = choose(items(LISTING), Rights(superuser=False))

    assert [item.number for item in chosen.restored] == [3375, 2, 3411, 215, 3404, 7]
    assert chosen.list_file == "3375;\n2;\n3411;\n215;\n3404;\n7;\n"
    assert {left.item.number: left.why.split(",")[0].split(";")[0] for left in chosen.left_out} == {
        3410: "only an extension's owner may comment on it",
        3420: "only a superuser may create event triggers",
        3421: "only a superuser may create event triggers",
        3430: "a copy takes no part in replication",
        3431: "a copy takes no part in replication",
        3432: "a copy takes no part in replication",
        3440: "security labels need their provider and a superuser",
        220: "it belongs to rdsadmin",
    }
    assert str(chosen.left_out[0].item) == "COMMENT EXTENSION pg_trgm"


def test_a_superuser_leaves_out_replication_alone() -> None:
    chosen = choose(items(LISTING), Rights(superuser=True))

    assert [left.item.number for left in chosen.left_out] == [3430, 3431, 3432]


def test_a_schema_that_came_with_an_extension_is_not_made_again() -> None:
    chosen = choose(items(LISTING), Rights(superuser=True, schemas_there=frozenset({"ext"})))

    assert "7;" not in chosen.list_file


@pytest.mark.parametrize("superuser", [True, False])
def test_what_is_restored_and_what_is_left_out_is_everything(superuser: bool) -> None:
    chosen = choose(items(LISTING), Rights(superuser=superuser))

    assert len(chosen.restored) + len(chosen.left_out) == len(items(LISTING))
