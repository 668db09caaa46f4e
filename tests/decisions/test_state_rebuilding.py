"""What a lost state may be made of, what a person must decide for it, and what is taken from the configuration."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lifeboat.clients.inventory_rewritten import EVERYTHING, REWRITTEN
from lifeboat.decisions import state_documents, state_rebuilding
from lifeboat.decisions.adoption import HOW, How
from lifeboat.decisions.state_rebuilding import Doubtful, Existing, Inspected, Missing, Way
from lifeboat.model import Address, Candidate, Owner, StateMark, Wanted
from lifeboat.state_model import REBUILT, OwnedThing, StateEntry, StateFacts, VersionId, Whose

OURS = {"application": "app", "environment": "x"}
WHOSE = Whose(environment="x", lineage=None)
BUCKET = Address("aws_s3_bucket.data")
NETWORK = Address("module.network.aws_vpc.this")


def version(name: str, *, environment: str | None = "x", **more: Any) -> StateEntry:
    facts = StateFacts(serial=4, lineage="ours", terraform_version="1.11.4", resources=3, environment=environment)
    given = {"written_at": datetime(2026, 3, 1, tzinfo=UTC), "latest": False, "md5": "0f", "facts": facts, **more}
    return StateEntry(version_id=VersionId(name), **given)


def damaged(name: str, damage: str, md5: str | None = "0f") -> StateEntry:
    return version(name, facts=None, damage=damage, md5=md5)


# -- what is left ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "usable", "unread"),
    [
        (version("v"), True, False),
        (version("v", environment=None), True, False),  # another lineage may be the right one
        (version("v", environment="other"), False, False),
        (version("v", marker=True, facts=None, md5=None), False, False),
        (damaged("v", "not JSON: cut off at byte 100"), False, False),
        (damaged("v", "no state: it has no serial"), False, False),
        (damaged("v", "of format version 5, and only 4 is known"), False, True),
        (damaged("v", "S3 does not give it: KMS.DisabledException", None), False, True),
    ],
)
def test_what_can_be_read_or_may_be_once_more_is_left(entry: StateEntry, usable: bool, unread: bool) -> None:
    found = state_rebuilding.left([entry], WHOSE, ())
    passed = state_rebuilding.left([entry], WHOSE, {VersionId("v")})

    assert (found.usable, found.unread) == ((entry,) * usable, (entry,) * unread)
    assert (passed.usable, passed.unread) == ((), ())


def test_what_a_rebuild_wrote_is_told_from_what_anybody_else_did() -> None:
    assert state_rebuilding.is_rebuilt(version("v", made_of=REBUILT), REBUILT)
    assert not state_rebuilding.is_rebuilt(version("v", made_of=VersionId("v2")), REBUILT)
    assert not state_rebuilding.is_rebuilt(version("v", made_of=REBUILT, facts=None), REBUILT)
    assert not state_rebuilding.is_rebuilt(None, REBUILT)


# -- whose it is -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (
            b'{\n  "version": 4,\n  "serial": 12,\n  "lineage": "a-b",\n  "outp',
            StateMark(serial=12, lineage="a-b", md5=""),
        ),
        (b'{"serial": 12', None),
        (b'{"serial": 12, "lineage": "cut', None),
        (b"\xff\xfe", None),
        (b"", None),
    ],
)
def test_the_beginning_of_a_damaged_state_tells_which_one_it_was(body: bytes, found: StateMark | None) -> None:
    assert state_rebuilding.head(body) == found


def test_the_lineage_is_the_remembered_one_else_that_of_what_is_damaged_else_new() -> None:
    known = StateMark(serial=9, lineage="known", md5="0f")
    cut_off = [StateMark(serial=8, lineage="cut", md5=""), StateMark(serial=7, lineage="cut", md5="")]
    another = StateMark(serial=1, lineage="another", md5="")

    assert state_rebuilding.lineage(known, cut_off, "new") == ("known", "the remembered one")
    assert state_rebuilding.lineage(None, cut_off, "new") == ("cut", "as the damaged versions say")
    assert state_rebuilding.lineage(None, [*cut_off, another], "new") == (
        "new",
        "a new one: the damaged versions name several",
    )
    assert state_rebuilding.lineage(None, [], "new") == ("new", "a new one: nothing remembers one")
    facts = state_documents.facts(state_rebuilding.empty("new"))
    assert (facts.lineage, facts.serial, facts.resources) == ("new", 0, 0)


# -- what exists -------------------------------------------------------------------------------------------------------


def wanted(address: str, resource_type: str | None = None) -> Wanted:
    kind = resource_type or address.split(".")[-2]
    return Wanted(address=Address(address), resource_type=kind, values={}, begun=True)


def candidate(import_id: str, owner: dict[str, str] | None = None, **more: Any) -> Candidate:
    return Candidate(import_id=import_id, tagged=owner is not None, ours=owner == OURS, owner=owner or {}, **more)


THEIRS = {"application": "payroll", "environment": "x"}


@pytest.mark.parametrize(
    ("one", "candidates", "said", "became"),
    [
        (wanted(BUCKET), [candidate("b", OURS)], None, Existing(address=BUCKET, import_id="b", way=Way.NAME)),
        (wanted(NETWORK), [candidate("vpc-1", OURS)], None, Existing(address=NETWORK, import_id="vpc-1", way=Way.TAGS)),
        (
            wanted("aws_s3_bucket_policy.data"),
            [candidate("b")],
            None,
            Existing(address=Address("aws_s3_bucket_policy.data"), import_id="b", way=Way.PLACE),
        ),
        # Whose it is nobody says, and it has the name; beside one of ours it is not it.
        (
            wanted(BUCKET),
            [candidate("b", {})],
            None,
            Existing(address=BUCKET, import_id="b", way=Way.NAME, unowned=True),
        ),
        (
            wanted(NETWORK),
            [candidate("vpc-1", {}), candidate("vpc-2", OURS)],
            None,
            Existing(address=NETWORK, import_id="vpc-2", way=Way.TAGS),
        ),
        (
            wanted(NETWORK),
            [candidate("vpc-2", OURS), candidate("vpc-1", OURS)],
            None,
            Doubtful(address=NETWORK, why="2 things could be it", choices=("vpc-1", "vpc-2")),
        ),
        (
            wanted(BUCKET),
            [candidate("b", THEIRS)],
            None,
            Doubtful(address=BUCKET, why="b has its name and belongs to application payroll, environment x"),
        ),
        (wanted(NETWORK), [candidate("vpc-9")], "vpc-9", Existing(address=NETWORK, import_id="vpc-9", way=Way.SAID)),
        (wanted(NETWORK), [], None, Missing(address=NETWORK, resource_type="aws_vpc", why="not found")),
        (
            wanted(BUCKET),
            [],
            None,
            Missing(
                address=BUCKET,
                resource_type="aws_s3_bucket",
                why="not found",
                costs="it holds data, and an apply makes an empty one",
            ),
        ),
    ],
)
def test_what_could_be_a_resource_is_judged(
    one: Wanted, candidates: list[Candidate], said: str | None, became: Existing | Missing | Doubtful
) -> None:
    assert state_rebuilding.judged(one, candidates, said) == became


def test_what_is_in_a_state_alone_is_told_and_a_type_that_nobody_knows_counts() -> None:
    alone = state_rebuilding.by_nature(wanted("random_id.suffix"))
    strange = state_rebuilding.unknown(wanted("aws_fsx_backup.this"))

    assert alone is not None
    assert (alone.why, alone.costs) == ("it exists in a state alone and cannot be found again", "")
    assert state_rebuilding.by_nature(wanted(BUCKET)) is None
    assert (strange.why, strange.costs) == (
        "lifeboat does not know how to look for aws_fsx_backup",
        "there may be one already",
    )


def test_what_the_configuration_imports_is_not_looked_for_though_a_plan_would_replace_it() -> None:
    names = ("imported", "made")
    key = {"mode": "managed", "type": "aws_eip", "provider_config_key": "aws"}
    change = {"actions": ["delete", "create"], "before": None, "after": {}, "after_unknown": {}}
    imports = {"imported": {"importing": {"id": "eipalloc-1"}}, "made": {}}
    plan = {
        "configuration": {"root_module": {"resources": [{**key, "name": name} for name in names]}},
        "resource_changes": [
            {**key, "address": f"aws_eip.{name}", "change": {**change, **imports[name]}} for name in names
        ],
    }

    assert [one.address for one in state_rebuilding.wanted(plan)] == ["aws_eip.made"]
    assert [one.address for one in state_rebuilding.configured(plan)] == ["aws_eip.imported"]


LOST_BUCKET = Missing(address=BUCKET, resource_type="aws_s3_bucket", why="not found", costs="it holds data")
LOST_NETWORK = Missing(address=NETWORK, resource_type="aws_vpc", why="not found")
TWO_NETWORKS = Doubtful(address=NETWORK, why="2 things could be it", choices=("vpc-1", "vpc-2"))
OF_A_NETWORK = Doubtful(
    address=Address("module.network.aws_default_security_group.this"),
    why=f"2 things in eu-west-1 could be {NETWORK}: vpc-1, vpc-2",
)
OTHER_BUCKET = OwnedThing(kind="aws_s3_bucket", region="eu-west-1", name="app-b", ids=frozenset({"app-b"}))
OTHER_NETWORK = OwnedThing(
    kind="aws_vpc", region="eu-west-1", name="vpc-2", ids=frozenset({"vpc-2"}), about="10.2.0.0/16"
)
RECOVERED = OwnedThing(
    kind="aws_db_instance", region="eu-west-1", name="app-g2", ids=frozenset({"app-g2", "db-2"}), about="available"
)
IS_LOST = f"{BUCKET}: not found; it holds data"
HAS_NONE = "aws_s3_bucket app-b in eu-west-1: bears our tags and has no address; the state would not know it"
WHICH = f"{NETWORK}: 2 things could be it: vpc-1, vpc-2"
MAY_SERVE = "aws_db_instance app-g2 in eu-west-1 (available): bears our tags and has no address; it may be the database that serves"


@pytest.mark.parametrize(
    ("found", "strange", "accept", "refused"),
    [
        ([LOST_NETWORK], [], 0, []),
        ([LOST_BUCKET], [], 1, []),
        ([LOST_BUCKET], [], 0, [IS_LOST]),
        # What the state would not know counts as what is made anew does: an apply may make a second one of it.
        ([LOST_NETWORK], [OTHER_BUCKET], 0, [HAS_NONE]),
        ([LOST_NETWORK], [OTHER_BUCKET], 1, []),
        ([LOST_BUCKET], [OTHER_BUCKET], 1, [IS_LOST, HAS_NONE]),
        ([LOST_BUCKET], [OTHER_BUCKET], 2, []),
        # No number agrees to a database that may be the one that serves.
        ([], [RECOVERED], 9, [MAY_SERVE]),
        ([LOST_BUCKET, TWO_NETWORKS], [RECOVERED], 1, [WHICH, MAY_SERVE]),
        ([TWO_NETWORKS], [], 5, [WHICH]),
        ([TWO_NETWORKS, LOST_BUCKET], [OTHER_BUCKET], 0, [WHICH, IS_LOST, HAS_NONE]),
    ],
)
def test_all_that_must_be_decided_is_told_at_once(
    found: list[Missing | Doubtful], strange: list[OwnedThing], accept: int, refused: list[str]
) -> None:
    assert state_rebuilding.refusals(state_rebuilding.inspected(found), (), strange, accept) == refused


AGAIN, FILE = "lifeboat state rebuild", "environments/x.recovery.tfvars.json"


@pytest.mark.parametrize(
    ("found", "strange", "begins"),
    [
        ([LOST_BUCKET], [OTHER_BUCKET], f"what exists under another id: {AGAIN} --import 'ADDRESS=ID'; that tells"),
        ([TWO_NETWORKS, LOST_BUCKET], [OTHER_BUCKET], f"{AGAIN} --import '{NETWORK}=ID', with the id that you know"),
        # What is in doubt with the network is settled with it.
        ([OF_A_NETWORK, TWO_NETWORKS], [], f"{AGAIN} --import '{NETWORK}=ID', with the id that you know"),
        ([TWO_NETWORKS], [RECOVERED], f"{FILE} must name each of these"),
    ],
)
def test_the_way_on_chooses_nothing_for_anybody(
    found: list[Missing | Doubtful], strange: list[OwnedThing], begins: str
) -> None:
    hint = state_rebuilding.way_on(state_rebuilding.inspected(found), strange, AGAIN, FILE)

    assert hint.startswith(begins)
    assert not [one for one in ("app-b", "app-g2", "vpc-1") if one in hint]
    # What is pasted agrees to nothing: the number stands alone, where it is all that is left to say.
    assert "' --accept" not in hint
    assert ("--accept 2" in hint) == (not strange[1:] and found == [LOST_BUCKET])


def test_what_could_be_it_is_told_with_what_tells_it_from_its_likes() -> None:
    said = state_rebuilding.doubt_words(TWO_NETWORKS, [OTHER_NETWORK, OTHER_BUCKET])

    assert said == f"{NETWORK}: 2 things could be it: vpc-1, vpc-2 (10.2.0.0/16)"


def test_what_bears_our_tags_and_is_neither_found_nor_in_doubt_nor_root_1s_has_no_address() -> None:
    owned = [RECOVERED, OTHER_NETWORK, OTHER_BUCKET]
    found = state_rebuilding.inspected([Existing(address=BUCKET, import_id="app-b", way=Way.NAME), TWO_NETWORKS])

    assert state_rebuilding.strangers(owned, found, ()) == (RECOVERED,)
    assert state_rebuilding.strangers(owned, found, {"db-2"}) == ()


def test_nothing_is_in_two_lists_and_each_is_in_order() -> None:
    existing = [Existing(address=Address(f"aws_vpc.{name}"), import_id=name, way=Way.TAGS) for name in "ba"]

    found = state_rebuilding.inspected([*existing, LOST_BUCKET, TWO_NETWORKS])

    assert found == Inspected(existing=(existing[1], existing[0]), missing=(LOST_BUCKET,), doubtful=(TWO_NETWORKS,))


def test_one_id_is_not_taken_for_two_addresses() -> None:
    said, named = (
        Address('module.m["k.x"].aws_db_instance.this["g1"]'),
        Address('module.m["k.x"].aws_db_instance.this["g2"]'),
    )
    copy, policy = Address("aws_db_instance.copy"), Address("aws_db_instance_policy.this")
    chosen = Existing(address=said, import_id="app-g2", way=Way.SAID)
    of_recovery = Existing(address=named, import_id="app-g2", way=Way.CONFIGURED)
    # The same name in the other region, and what belongs to it, are other things.
    elsewhere = Existing(address=copy, import_id="app-g2", way=Way.NAME)
    part = Existing(address=policy, import_id="app-g2", way=Way.PLACE)
    looked_for = [wanted(said), replace(wanted(copy), alias="dr"), wanted(policy)]

    alone = state_rebuilding.told_apart([chosen, elsewhere, part, LOST_BUCKET], looked_for)
    twice = state_rebuilding.told_apart([chosen, of_recovery, elsewhere, part], looked_for)

    assert alone == [chosen, elsewhere, part, LOST_BUCKET]
    in_doubt = Doubtful(address=said, why=f"--import says app-g2, which is {named} already")
    assert twice == [in_doubt, of_recovery, elsewhere, part]


@pytest.mark.parametrize(
    ("tags", "way", "lines"),
    [
        ({"application": "app", "environment": "x"}, Way.SAID, []),
        ({}, Way.SAID, []),
        ({"application": "app", "environment": "prod"}, Way.SAID, ["db belongs to environment prod"]),
        ({"application": "payroll"}, Way.SAID, ["db belongs to application payroll"]),
        ({"application": "payroll"}, Way.CONFIGURED, []),
    ],
)
def test_what_somebody_chose_must_not_be_another_environments(tags: dict[str, str], way: Way, lines: list[str]) -> None:
    address = Address('module.m.aws_db_instance.this["g1"]')
    owner = Owner(account_id="1", application="app", environment="x")
    body = imported("aws_db_instance", tags_all=tags)

    found = state_rebuilding.others(body, [Existing(address=address, import_id="db", way=way)], owner)

    assert found == [f"{address}: {line}" for line in lines]


# -- the state ---------------------------------------------------------------------------------------------------------


def imported(kind: str, **attributes: Any) -> bytes:
    instance = {"attributes": attributes, "index_key": "g1"}
    resource = {"mode": "managed", "type": kind, "name": "this", "module": "module.m", "instances": [instance]}
    return json.dumps({"version": 4, "serial": 0, "lineage": "l", "outputs": {}, "resources": [resource]}).encode()


def planned(kind: str, **after: Any) -> dict[str, Any]:
    change = {"actions": ["update"], "after": after, "importing": {"id": "db"}}
    return {"resource_changes": [{"address": f'module.m.{kind}.this["g1"]', "mode": "managed", "change": change}]}


def test_only_what_aws_does_not_keep_is_taken_from_the_configuration() -> None:
    body = imported("aws_db_instance", skip_final_snapshot=True, apply_immediately=None, instance_class="db.t4g.small")
    plan = planned("aws_db_instance", skip_final_snapshot=False, apply_immediately=None, instance_class="db.r6g.large")

    completed, settings = state_rebuilding.completed(body, plan)

    assert completed == imported(
        "aws_db_instance", skip_final_snapshot=False, apply_immediately=None, instance_class="db.t4g.small"
    )
    assert settings == ("aws_db_instance.skip_final_snapshot",)
    assert state_rebuilding.completed(completed, plan) == (completed, ())
    assert [one.import_id for one in state_rebuilding.configured(plan)] == ["db"]


def test_what_was_found_and_is_not_in_the_state_is_missed() -> None:
    there = Existing(address=Address('module.m.aws_db_instance.this["g1"]'), import_id="db", way=Way.NAME)
    gone = Existing(address=Address("aws_vpc.this"), import_id="vpc-1", way=Way.TAGS)

    assert state_rebuilding.not_imported(imported("aws_db_instance", id="db-1"), [there, gone]) == [gone.address]
    assert state_rebuilding.not_imported(imported("aws_db_instance"), [there]) == [there.address]


# -- every type of the project -----------------------------------------------------------------------------------------


def test_every_type_of_the_project_can_be_looked_for() -> None:
    assert set(EVERYTHING) == set(HOW)
    assert set(REWRITTEN) == {resource_type for resource_type, how in HOW.items() if how is How.REWRITTEN}


def test_tags_that_everything_has_are_not_taken_for_a_volumes_own() -> None:
    everything = {"application": "app", "managed-by": "lifeboat"}
    volume = {"tags": {"Name": "app", "managed-by": "someone", "application": "app"}, "volume_id": "vol-1"}
    attributes = {"tags": {"Name": "app"}, "tags_all": {"Name": "app", **everything}, "root_block_device": [volume]}

    completed, settings = state_rebuilding.completed(imported("aws_instance", **attributes), {})

    kept = {**volume, "tags": {"Name": "app", "managed-by": "someone"}}  # another value is the volume's own
    assert completed == imported("aws_instance", **{**attributes, "root_block_device": [kept]})
    assert settings == ("aws_instance.root_block_device.tags",)


def test_no_setting_is_taken_from_the_configuration_for_a_type_that_the_project_has_not() -> None:
    assert set(state_rebuilding.NOT_IN_AWS) <= set(HOW)


def test_nothing_of_the_project_exists_in_a_state_alone() -> None:
    root = Path(__file__).parents[2]
    sources = [path for folder in ("modules", "terraform") for path in (root / folder).rglob("*.tf")]
    used = {t for path in sources for t in re.findall(r'^resource "([a-z0-9_]+)"', path.read_text(), re.MULTILINE)}

    assert [kind for kind in sorted(used) if state_rebuilding.by_nature(wanted(f"{kind}.this")) is not None] == []
