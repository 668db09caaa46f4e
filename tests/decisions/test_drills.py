"""The ledger of a drill, what its things must be like, what its application must answer, and what it costs."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from lifeboat.database_model import ClientSession, InstanceSettings
from lifeboat.decisions import drill_costs, drill_ledger, drills
from lifeboat.decisions.drill_costs import Sizes
from lifeboat.decisions.drills import Isolation
from lifeboat.drill_model import Drill, DrillScope, LetOut, NetworkSeen, Route, Thing
from lifeboat.errors import Failed, Refused
from lifeboat.model import (
    Database,
    DrillGroups,
    DrillNetwork,
    Event,
    EventKind,
    RunId,
)
from lifeboat.runbooks import drill_tables

from tests.gitlab_sites import RECOVERY
from tests.rehearsal import ROOT

AT = datetime(2026, 11, 29, 18, 0, tzinfo=UTC)
FULL = Drill(run=RunId("20261129T180000Z-drill-full-e2c1b1"), scope=DrillScope.FULL, application="app-x", expires=AT)
ALONE = Drill(run=FULL.run, scope=DrillScope.INSTANCE, application="app-x", expires=AT)
NETWORK = DrillNetwork(
    subnet_group="app-x-drill",
    subnet_ids=["subnet-1", "subnet-2"],
    security_groups=DrillGroups(database="sg-db", instance="sg-app"),
    instance_profile="app-x-drill-instance",
)
DATABASE = Thing(kind="rds:db", id="app-x-drill-e2c1b1", region="eu-west-1")
SECRET = Thing(kind="secretsmanager:secret", id="app-x-drill-e2c1b1/database", region="eu-west-1")


def line(seq: int, **data: object) -> Event:
    return Event(seq=seq, at=AT + timedelta(seconds=seq), kind=EventKind.NOTE, step="x", data=data)


# -- the ledger --------------------------------------------------------------------------------------------------------


def test_what_was_made_goes_in_the_other_order_and_what_is_gone_is_not_left() -> None:
    one, two = drill_ledger.entry(DATABASE), drill_ledger.entry(SECRET)

    assert drill_ledger.left([line(1, made=one), line(2, made=two)]) == (SECRET, DATABASE)
    assert drill_ledger.left([line(1, made=one), line(2, made=two), line(3, gone=two)]) == (DATABASE,)
    assert drill_ledger.left([line(1, made=one), line(2, gone=one), line(3, made=one)]) == (DATABASE,)
    assert drill_ledger.made([line(1, made=one), line(2, gone=one), line(3, made=two)]) == (DATABASE, SECRET)


@pytest.mark.parametrize("said", [None, "app", {}, {"type": "rds:db", "id": "x"}])
def test_a_line_that_names_nothing_is_no_entry(said: object) -> None:
    assert drill_ledger.left([line(1, made=said)]) == ()


def test_a_thing_was_ordered_when_its_last_order_went_out_or_was_answered() -> None:
    def of(seq: int, kind: EventKind, step: str = "x") -> Event:
        return Event(seq=seq, at=AT + timedelta(seconds=seq), kind=kind, step=step)

    made, intent, result = line(1, made=drill_ledger.entry(DATABASE)), of(3, EventKind.INTENT), of(5, EventKind.RESULT)
    again = line(6, made=drill_ledger.entry(DATABASE))

    assert drill_ledger.ordered_at([], DATABASE) is None
    assert drill_ledger.ordered_at([made, of(2, EventKind.INTENT, "y")], DATABASE) == made.at
    assert drill_ledger.ordered_at([made, intent], DATABASE) == intent.at
    assert drill_ledger.ordered_at([made, intent, result], DATABASE) == result.at
    assert drill_ledger.ordered_at([made, intent, result, again], DATABASE) == again.at
    assert drill_ledger.ordered_at([made, intent], SECRET) is None


# -- the network -------------------------------------------------------------------------------------------------------


def test_without_a_network_of_its_own_no_drill_begins() -> None:
    with pytest.raises(Refused) as refused:
        drills.network(None, "production")

    assert refused.value.exit_status == 3
    assert "drill = { enabled = true } in environments/production.tfvars" in refused.value.hint
    assert drills.network(NETWORK, "production") is NETWORK


def test_without_endpoints_no_instance_is_launched() -> None:
    with pytest.raises(Refused, match="could not be asked anything"):
        drills.require_instance(NETWORK.model_copy(update={"instance_profile": None}), "x")

    assert drills.require_instance(NETWORK, "x") == "app-x-drill-instance"


@pytest.mark.parametrize(
    ("route", "allowed"),
    [
        (Route(table="rtb-1", to="10.20.3.0/24", by="pcx-1"), True),  # back to who asks
        (Route(table="rtb-1", to="10.20.0.0/16", by="tgw-1"), True),
        (Route(table="rtb-1", to="10.0.0.0/8", by="pcx-1"), False),  # and to others
        (Route(table="rtb-1", to="0.0.0.0/0", by="nat-1"), False),
        (Route(table="rtb-1", to="::/0", by="eigw-1"), False),
        (Route(table="rtb-1", to="pl-1", by="vpce-1"), False),
    ],
)
def test_a_route_may_lead_back_to_who_asks_the_database_and_nowhere_else(route: Route, allowed: bool) -> None:
    network = NETWORK.model_copy(update={"client_cidrs": ["10.20.0.0/16"]})
    seen = NetworkSeen(routes=(route,), gateways=(), lets_out=())

    if allowed:
        drills.require_no_way_out(network, seen, "x")
    else:
        with pytest.raises(Refused, match=f"the route table rtb-1 leads to {route.to} by {route.by}"):
            drills.require_no_way_out(network, seen, "x")


def test_every_way_out_of_the_network_is_named() -> None:
    own, other = (
        LetOut(group="sg-app", rule=f"sgr-{n}", to=to, stays=n == 1) for n, to in ((1, "sg-db"), (2, "0.0.0.0/0"))
    )
    database = LetOut(group="sg-db", rule="sgr-3", to="sg-app", stays=True)
    drills.require_no_way_out(NETWORK, NetworkSeen(routes=(), gateways=(), lets_out=(own,)), "x")

    with pytest.raises(Refused) as refused:
        drills.require_no_way_out(
            NETWORK,
            NetworkSeen(
                routes=(Route(table="rtb-1", to="10.1.0.0/16", by="pcx-1"),),
                gateways=("igw-1",),
                lets_out=(own, other, database),
            ),
            "x",
        )

    assert refused.value.exit_status == 3
    assert refused.value.summary.splitlines()[1:] == [
        "  the route table rtb-1 leads to 10.1.0.0/16 by pcx-1",
        "  the internet gateway igw-1 is attached",
        "  the security group sg-app lets out to 0.0.0.0/0 (sgr-2)",
        "  the security group sg-db lets out to sg-app (sgr-3)",
    ]


def test_a_database_that_nobody_could_ask_is_refused_before_it_is_restored() -> None:
    serving = Database.model_validate({**RECOVERY["database"], "address": "app-x-g1.abc.eu-west-1.rds.amazonaws.com"})

    with pytest.raises(Refused) as refused:
        drills.require_reached(NETWORK, serving, "production")

    assert refused.value.exit_status == 3
    assert "client_cidrs" in refused.value.hint
    drills.require_reached(NETWORK.model_copy(update={"client_cidrs": ["10.20.0.0/16"]}), serving, "production")
    # On one's own machine there is nothing between.
    drills.require_reached(NETWORK, serving.model_copy(update={"address": "127.4.0.9"}), "local")


# -- the database ------------------------------------------------------------------------------------------------------


def test_a_drills_database_is_as_the_serving_one_but_in_isolation_with_its_marks_alone() -> None:
    known = InstanceSettings(
        asked={
            "DBInstanceClass": "db.m7g.large",
            "DBSubnetGroupName": "app-x-database",
            "DBParameterGroupName": "app-x-postgres15",
            "VpcSecurityGroupIds": ["sg-production"],
            "MultiAZ": True,
            "CopyTagsToSnapshot": True,
            "EnableCloudwatchLogsExports": ["postgresql"],
            "MaxAllocatedStorage": 500,
        },
        modified={"PreferredMaintenanceWindow": "sun:00:30-sun:01:30", "MaxAllocatedStorage": 500},
        created={"Engine": "postgres"},
        tags={"application": "app-x", "lifeboat:backup": "plan"},
        password_key="key",
        retention=35,
    )

    found = drills.settings(known, Isolation(drill=FULL, network=NETWORK))

    assert found == InstanceSettings(
        asked={
            "DBInstanceClass": "db.m7g.large",
            "DBSubnetGroupName": "app-x-drill",
            "DBParameterGroupName": "app-x-postgres15",
            "VpcSecurityGroupIds": ["sg-db"],
            "MultiAZ": False,
            "PubliclyAccessible": False,
            "CopyTagsToSnapshot": False,
        },
        modified={"PreferredMaintenanceWindow": "sun:00:30-sun:01:30"},
        created={"Engine": "postgres"},
        tags=FULL.tags,
        password_key="key",
        retention=0,
    )


# -- the canary --------------------------------------------------------------------------------------------------------

CANARY = AT.replace(microsecond=400_000)


@pytest.mark.parametrize(
    ("until", "due"),
    [
        (None, False),
        (AT - timedelta(minutes=5), False),
        (AT, False),  # the second that it is in may be cut off before it
        (AT + timedelta(seconds=1), True),
    ],
)
def test_the_canary_is_waited_for_until_the_second_after_it_can_be_restored(until: datetime | None, due: bool) -> None:
    assert (drills.canary_is_due(CANARY, until) is None) is due


def test_a_copy_of_a_later_moment_without_the_canary_has_lost_something() -> None:
    assert drills.canary_finding(CANARY, CANARY) is None
    assert drills.canary_finding(CANARY, AT - timedelta(hours=1)) is None
    lost = drills.canary_finding(CANARY, AT + timedelta(seconds=1))
    assert lost is not None
    assert lost.startswith("the row that was committed at 2026-11-29 18:00:00.400000Z is not in what was restored")


# -- the application ---------------------------------------------------------------------------------------------------

TOLD = f"APP_SECRET_NAME={SECRET.id}"
OK = '{"status": "ok", "image": "app:1"}\n200\n'
WAITS = '{"status": "waiting"}\n503\n'


@pytest.mark.parametrize(
    ("drill", "said", "why"),
    [
        (FULL, f"{OK}{TOLD}\n", None),
        (ALONE, f"{OK}{TOLD}\n", None),
        (ALONE, f"{WAITS}{TOLD}\n", None),  # without a database it cannot be well
        (FULL, f"{WAITS}{TOLD}\n", 'HTTP 503: {"status": "waiting"}'),
        (FULL, f"\n000\n{TOLD}\n", "nobody answers there: nothing"),
        (ALONE, f"\n000\n{TOLD}\n", "nobody answers there: nothing"),
        # What the image started by itself is well, with production's database: that proves nothing.
        (
            FULL,
            f"{OK}APP_SECRET_NAME=app-x/database\n",
            f"its container was told of app-x/database, and not yet of the drill's {SECRET.id}",
        ),
        (FULL, OK, f"its container was told of no secret, and not yet of the drill's {SECRET.id}"),
        (FULL, "", f"its container was told of no secret, and not yet of the drill's {SECRET.id}"),
    ],
)
def test_an_answer_counts_from_the_container_that_was_told_of_the_drills_secret(
    drill: Drill, said: str, why: str | None
) -> None:
    assert drills.unwell(drills.answered(said, "i-1"), drill) == why


def test_the_script_that_asks_holds_nothing_that_ssm_takes_for_its_own() -> None:
    script = drills.asking("/healthz", "t")

    assert "{{" not in script.text
    assert script.arguments == ("/healthz",)


def test_the_user_data_names_the_secret_and_fetches_nothing() -> None:
    text = drills.user_data(SECRET.id)

    assert f"echo 'APP_SECRET_NAME={SECRET.id}'" in text
    assert 'settings="${HOST_ROOT:-}/etc/app/app.env"' in text
    assert [word for word in ("pull", "dnf", "login", "{{") if word in text] == []


def test_who_is_connected_tells_which_database_the_application_works_on() -> None:
    def session(user: str, address: str, program: str = "") -> ClientSession:
        return ClientSession(user=user, address=address, program=program, since=None)

    own, ours = session("app", "10.255.0.9"), session("app", "10.1.0.1", "lifeboat drill")

    assert drills.not_connected([own, ours], "app") is None
    assert drills.not_connected([ours], "app") == (
        "no session of app is in the restored database: there is lifeboat drill"
    )
    assert drills.not_connected([], "app") == "no session of app is in the restored database: there is nobody"
    assert drills.reached_production([session("app", "10.20.0.4")], "10.255.0.9") is None
    assert drills.reached_production([own], "10.255.0.9") == "app from 10.255.0.9, which is the drill's instance"
    # Of an instance without an address nobody can tell.
    with pytest.raises(Failed, match="nobody can tell whether it reached production"):
        drills.reached_production([own], None)


def test_an_image_counts_as_proven_only_after_its_application_was_not_seen_in_production() -> None:
    names = [step.name for step in drill_tables.FULL]

    assert names[-3:] == ["answers", "sessions", "proven"]


# -- what it costs -----------------------------------------------------------------------------------------------------

SIZES = Sizes(database="db.t4g.micro", database_gib=20, instance="t3.small", instance_gib=20)


def test_a_drill_costs_what_it_makes_for_as_long_as_it_lasts() -> None:
    hour, two = timedelta(hours=1), timedelta(hours=2)

    found = drill_costs.estimate(DrillScope.FULL, SIZES, hour)

    assert [price.what for price in found.prices] == [
        "database db.t4g.micro",
        "20 GiB of storage of the database",
        "instance t3.small",
        "20 GiB of storage of the instance",
        "secret",
    ]
    assert found.usd == pytest.approx(0.017 + 0.127 * 20 / 730 + 0.0228 + 0.088 * 20 / 730 + 0.40 / 730)
    assert drill_costs.estimate(DrillScope.FULL, SIZES, two).usd == pytest.approx(2 * found.usd)
    assert drill_costs.estimate(DrillScope.STATE, SIZES, hour).usd == 0


@pytest.mark.parametrize("env", ["local", "staging", "production"])
def test_the_price_of_what_an_environment_runs_on_is_known(env: str) -> None:
    text = (ROOT / "environments" / f"{env}.tfvars").read_text()
    databases, machines = (
        re.findall(r'"(db\.[a-z0-9.]+)"', text),
        re.findall(r'type\s*= "([a-z0-9]+\.[a-z0-9]+)"', text),
    )
    # What the files leave out is what modules/database and modules/app-instance take by themselves.
    sizes = [
        Sizes(database=database, database_gib=1, instance=machine, instance_gib=1)
        for database in databases or ["db.t4g.small"]
        for machine in machines or ["t3.small"]
    ]

    assert [drill_costs.estimate(DrillScope.FULL, one, timedelta(hours=1)).unknown for one in sizes] == [()] * len(
        sizes
    )


def test_less_than_ten_minutes_costs_ten() -> None:
    short = drill_costs.estimate(DrillScope.DATABASE, SIZES, timedelta(seconds=10))

    assert short.usd == drill_costs.estimate(DrillScope.DATABASE, SIZES, timedelta(minutes=10)).usd


@pytest.mark.parametrize(
    ("scope", "lasts", "said"),
    [
        (DrillScope.DATABASE, timedelta(seconds=20), "less than 0.01 USD for 1 min ("),
        (DrillScope.DATABASE, timedelta(minutes=45), "about 0.02 USD for 45 min ("),
        (DrillScope.DATABASE, timedelta(minutes=90), "about 0.03 USD for 1.5 h ("),
        (DrillScope.STATE, timedelta(hours=1), "less than 0.01 USD for 1.0 h ("),
    ],
)
def test_little_money_and_a_short_time_are_said_as_such(scope: DrillScope, lasts: timedelta, said: str) -> None:
    assert drill_costs.words(drill_costs.estimate(scope, SIZES, lasts)).startswith(said)


@pytest.mark.parametrize(
    ("cap", "said"), [(0.0, "0.00"), (0.1, "0.10"), (0.0001, "0.0001"), (1e-7, "0.0000001"), (0.125, "0.125")]
)
def test_a_cap_is_told_with_all_digits_that_it_was_given_with(cap: float, said: str) -> None:
    found = drill_costs.estimate(DrillScope.DATABASE, SIZES, timedelta(hours=10))

    with pytest.raises(Refused, match=f"and --max-cost allows {said} USD$"):
        drill_costs.require_within(found, cap, "lifeboat drill database -e x")


def test_a_drill_above_the_cap_is_refused_with_what_it_would_cost() -> None:
    found = drill_costs.estimate(DrillScope.DATABASE, SIZES, timedelta(hours=10))
    drill_costs.require_within(found, None, "lifeboat drill database -e x")
    drill_costs.require_within(found, 1.0, "lifeboat drill database -e x")

    with pytest.raises(Refused) as refused:
        drill_costs.require_within(found, 0.1, "lifeboat drill database -e x")

    assert refused.value.summary.startswith("the drill is expected to cost about 0.20 USD for 10.0 h")
    assert refused.value.summary.endswith("and --max-cost allows 0.10 USD")
    assert refused.value.hint == "lifeboat drill database -e x --max-cost 0.21"


def test_what_nobody_knows_the_price_of_is_said_and_asked() -> None:
    sizes = Sizes(database="db.x2iedn.32xlarge", database_gib=20, instance="t3.small", instance_gib=20)

    found = drill_costs.estimate(DrillScope.DATABASE, sizes, timedelta(hours=1))

    assert found.unknown == ("database db.x2iedn.32xlarge",)
    assert drill_costs.to_agree(found) == ["make what no price is known of here: database db.x2iedn.32xlarge"]
    assert "what nobody here knows the price of: database db.x2iedn.32xlarge" in drill_costs.words(found)
    drill_costs.require_within(found, None, "lifeboat drill database -e x")
    with pytest.raises(Refused) as refused:
        drill_costs.require_within(found, 1000.0, "lifeboat drill database -e x")
    assert refused.value.summary == (
        "nobody here knows the price of database db.x2iedn.32xlarge, so nobody can say that the drill costs less than"
        " 1000.00 USD, which --max-cost allows"
    )
    assert refused.value.hint == "lifeboat drill database -e x, which asks whether it may be made"
