"""How a drill ends whose steps stop at once, without Terraform: what it tells, what its evidence says, what it leaves."""

from __future__ import annotations

import json
import multiprocessing
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lifeboat.clients.journal import Journal
from lifeboat.clients.waiting import WallClock
from lifeboat.commands import drill as drill_command
from lifeboat.commands import report, sweep
from lifeboat.commands.drill import Drilling, Orders
from lifeboat.decisions import drill_ledger
from lifeboat.decisions.drills import Isolation
from lifeboat.drill_model import Drill, DrillReport, DrillScope, Estimate, Thing, ThingKind
from lifeboat.errors import CleanUpIncomplete, NothingFits, Refused
from lifeboat.evidence_model import Bundle, Outcome
from lifeboat.model import DrillGroups, DrillNetwork, EventKind, RecoveryRequest, RunId, Scope, Secret
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Watcher
from lifeboat.stack import evidence_keeping, outputs

from tests import step_runs
from tests.conftest import RunningCloud
from tests.gitlab_sites import DR_REGION, RECOVERY, REGION
from tests.plain_sites import ELSEWHERE, PlainSite, Told, plain_site

NETWORK = DrillNetwork(
    subnet_group="drills", subnet_ids=["subnet-1"], security_groups=DrillGroups(database="sg-1", instance="sg-2")
)
RUN = RunId("20260301T030000Z-drill-state-aaaaaa")
NO_ENDPOINTS = "the drill network of x has no endpoints of AWS, so an instance in it could not be asked anything"


@dataclass
class Broken(step_runs.Seen):
    """A watcher that nobody foresaw anything of."""

    def step_begins(self, number: int, total: int, title: str) -> None:
        raise RuntimeError(f"a secret of {title}")


@dataclass(frozen=True, kw_only=True)
class Lab:
    """An environment with a bucket for evidence, one in the other region, and a drill that has begun."""

    plain: PlainSite
    told: Told
    journal: Journal
    drill: Drill

    def carried_out(self, scope: DrillScope, watcher: Watcher | None = None) -> DrillReport:
        """Carry the drill out; one of the instance stops at its first step, for the network has no instance profile."""
        site = self.plain.site()
        c = Recovering(
            site=site,
            tell=self.told,
            journal=self.journal,
            request=RecoveryRequest(scope=Scope.DATABASE),
            now=WallClock().now,
            agree=step_runs.nobody,
            isolation=Isolation(drill=replace(self.drill, scope=scope), network=NETWORK),
        )
        orders = Orders(tell=self.told, watch=lambda *_: watcher or step_runs.Seen(), agree=step_runs.nobody)
        estimate = Estimate(prices=(), lasts=timedelta(hours=1), source="none")
        with site.drill_lease(self.drill.run).held() as held:
            return Drilling(c=c, orders=orders, held=held, journal=self.journal, estimate=estimate).carried_out()

    def has_planned(self) -> None:
        """Write down what a drill of the state does, up to its plan, and make the copy that it takes away."""
        thing = Thing(
            kind=ThingKind.STATE_COPY.value, id=f"s3://{self.plain.bucket}/runs/{RUN}/drill.tfstate", region=REGION
        )
        self.journal.write(EventKind.NOTE, step="failure", failed_at=datetime.now(UTC).isoformat())
        self.journal.write(EventKind.NOTE, step="version", version="v1", serial=1)
        self.journal.write(EventKind.NOTE, step="copy-state", made=drill_ledger.entry(thing))
        self.plain.site().drill_things().make_copy(thing, Secret("{}"), self.drill.tags)
        self.journal.write(EventKind.NOTE, step="plan", planned=0)

    def will_make_a_secret(self, tags: dict[str, str]) -> str:
        """Make a secret under the drill's name, that bears these tags, and write it into the ledger."""
        thing = self.drill.thing(ThingKind.SECRET, REGION, suffix="/database")
        self.journal.write(EventKind.NOTE, step="secret", made=drill_ledger.entry(thing))
        self.plain.cloud.client("secretsmanager").create_secret(
            Name=thing.id, SecretString="x", Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
        )
        return thing.id

    def killed_when_it_writes_its_evidence(self, scope: DrillScope) -> None:
        """Carry the drill out in a process that is killed when its evidence is on its way, before it gets there."""
        fork = multiprocessing.get_context("fork")  # which has the journal's lines already
        go = fork.Event()

        def drill() -> None:
            go.wait()
            self.carried_out(scope)

        process = fork.Process(target=drill)
        process.start()
        rule = {"service": "s3", "operation": "PutObject", "path": ".*/evidence/.*", "status": 503}
        self.plain.cloud.control("faults", add={**rule, "kill": process.pid})
        go.set()
        process.join(120)
        self.plain.cloud.control("faults", clear=True)
        assert process.exitcode == -signal.SIGKILL

    def bundles(self) -> list[Bundle | None]:
        """Return all evidence that there is, oldest first."""
        return [one.bundle for one in evidence_keeping.store(self.plain.site()).chain().stored.values()]

    def evidence(self) -> Bundle:
        """Return the one bundle that there is."""
        (found,) = self.bundles()
        assert found is not None
        return found


@pytest.fixture
def lab(cloud: RunningCloud, tmp_path: Path) -> Iterator[Lab]:
    plain = plain_site(cloud, tmp_path)
    (tmp_path / "terraform").mkdir()
    recovery = {**RECOVERY, "dumps": {**RECOVERY["dumps"], "bucket": f"{plain.application}-dumps"}}
    outputs = {"recovery": {"value": recovery, "type": "dynamic"}}
    state = {"version": 4, "serial": 2, "lineage": "l", "outputs": outputs, "resources": []}
    plain.put("stack.tfstate", json.dumps(state).encode())
    for bucket, region in (
        (f"{plain.application}-dumps", REGION),
        (plain.site().project.environment.state.replica_bucket, DR_REGION),
    ):
        cloud.client("s3", region).create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region}, ObjectLockEnabledForBucket=True
        )
    journal = plain.site().journal(RUN)
    journal.write(EventKind.BEGUN, text="drill of instance", **ELSEWHERE)
    drill = Drill(
        run=RUN,
        scope=DrillScope.STATE,
        application=plain.application,
        expires=datetime.now(UTC) + timedelta(hours=1),
    )
    yield Lab(plain=plain, told=Told(), journal=journal, drill=drill)
    cloud.control("faults", clear=True)


def test_a_drill_that_came_back_ends_as_its_evidence_says(lab: Lab) -> None:
    lab.has_planned()

    done = lab.carried_out(DrillScope.STATE)

    assert (done.exit_status, done.why, lab.evidence().outcome) == (0, "", Outcome.MET)
    assert done.evidence.startswith("bundle 1, sha256 ")


def test_a_step_that_stayed_open_is_not_done(lab: Lab) -> None:
    lab.has_planned()
    lab.journal.write(EventKind.LEFT_OPEN, step="window", text="not done within 1200 s")

    done = lab.carried_out(DrillScope.STATE)

    assert (done.objectives_met, done.exit_status, done.why) == (True, 4, "steps are open: window")
    assert (lab.evidence().outcome, lab.evidence().exit_status) == (Outcome.STOPPED, 4)


def test_a_drill_whose_evidence_is_not_written_does_not_end_well(lab: Lab) -> None:
    lab.has_planned()
    rule = {"service": "s3", "operation": "PutObject", "path": ".*/evidence/.*", "code": "AccessDenied", "status": 403}
    lab.plain.cloud.control("faults", add={**rule, "times": 1000})

    done = lab.carried_out(DrillScope.STATE)

    assert (done.exit_status, done.evidence) == (8, "not written")
    assert done.why == "its evidence is not written, so it proves nothing"

    lab.plain.cloud.control("faults", clear=True)
    swept = sweep.run(lab.plain.site(), lab.told, lambda _: None)
    assert (swept.told, lab.evidence().outcome, lab.evidence().ended) == (
        (RUN,),
        Outcome.MET,
        lab.journal.events[-1].at,
    )


@pytest.mark.parametrize(
    ("scope", "outcome", "status", "why"),
    [
        (DrillScope.STATE, Outcome.MET, 0, ""),
        (DrillScope.INSTANCE, Outcome.FAILED, Refused.exit_status, NO_ENDPOINTS),
    ],
    ids=["came back", "failed"],
)
def test_a_drill_that_was_killed_between_its_last_line_and_its_evidence_has_that_from_the_sweep_once(
    lab: Lab, scope: DrillScope, outcome: Outcome, status: int, why: str
) -> None:
    if scope is DrillScope.STATE:
        lab.has_planned()
    lab.killed_when_it_writes_its_evidence(scope)
    site = lab.plain.site()
    between = (site.journals().events(RUN)[-1].kind, site.journals().unended(), lab.bundles())

    first = sweep.run(site, lab.told, lambda _: None)
    second = sweep.run(site, lab.told, lambda _: None)

    found = lab.evidence()
    assert between == (EventKind.ENDED, [RUN], [])
    assert (first, second) == (
        sweep.Swept(found=(), gone=(), closed=(), told=(RUN,)),
        sweep.Swept(found=(), gone=(), closed=()),
    )
    assert (found.run, found.outcome, found.exit_status, found.ended) == (
        RUN,
        outcome,
        status,
        site.journals().events(RUN)[-1].at,
    )
    assert found.why == why
    assert (report.verify(site), site.journals().unended()) == (report.Verified(bundles=1, findings=()), [])


def test_a_drill_that_failed_and_could_not_clear_up_is_no_proof_of_anything(lab: Lab) -> None:
    secret = lab.will_make_a_secret({"application": lab.plain.application})

    with pytest.raises(CleanUpIncomplete) as raised:
        lab.carried_out(DrillScope.INSTANCE)

    found = lab.evidence()
    assert raised.value.summary.startswith("the drill failed (the drill network of x has no endpoints of AWS")
    assert secret in raised.value.summary
    assert (found.outcome, found.exit_status) == (Outcome.FAILED, Refused.exit_status)
    assert found.why.endswith(f"; still there: secretsmanager:secret {secret}")
    assert [(one.id, one.gone_at) for one in found.made] == [(secret, None)]
    assert (
        f"secretsmanager:secret {secret} in {REGION} stays: it bears no mark of a drill" in lab.journal.events[-2].text
    )


def test_what_stays_after_an_error_that_nobody_foresaw_is_told_with_what_takes_it_away(lab: Lab) -> None:
    secret = lab.will_make_a_secret({"application": lab.plain.application})

    with pytest.raises(RuntimeError, match="a secret of"):
        lab.carried_out(DrillScope.STATE, Broken())

    (told,) = [line for line in lab.told.lines if "could be removed" in line]
    assert f"secretsmanager:secret {secret} in {REGION}: it bears no mark of a drill" in told
    assert "lifeboat sweep" in told
    assert "a secret of" not in told
    assert (lab.evidence().outcome, [one.id for one in lab.evidence().left_over]) == (Outcome.FAILED, [secret])


def test_a_drill_that_was_killed_leaves_evidence_when_it_is_swept_and_one_that_told_it_no_second_one(lab: Lab) -> None:
    secret = lab.will_make_a_secret(lab.drill.tags)
    run: RunId = lab.drill.run

    done = sweep.run(lab.plain.site(), lab.told, lambda _: None)

    found = lab.evidence()
    assert (done.closed, [thing.id for thing in done.gone]) == ((run,), [secret])
    assert (found.run, found.kind, found.scope, found.outcome) == (run, "drill", "state", Outcome.INTERRUPTED)
    assert (found.exit_status, found.why, found.left_over) == (130, "it did not get to its end, and was swept", ())


def test_a_drill_that_could_not_clear_up_has_told_what_it_proved_and_a_sweep_adds_nothing(lab: Lab) -> None:
    secret = lab.will_make_a_secret({"application": lab.plain.application})
    with pytest.raises(CleanUpIncomplete):
        lab.carried_out(DrillScope.INSTANCE)
    marks = [{"Key": key, "Value": value} for key, value in lab.drill.tags.items()]
    lab.plain.cloud.client("secretsmanager").tag_resource(SecretId=secret, Tags=marks)

    done = sweep.run(lab.plain.site(), lab.told, lambda _: None)

    assert done.closed == (lab.drill.run,)
    assert lab.evidence().outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("scope", "outcome", "status", "why"),
    [
        (DrillScope.STATE, Outcome.LEFT_OVER, CleanUpIncomplete.exit_status, ""),
        (DrillScope.INSTANCE, Outcome.FAILED, Refused.exit_status, f"{NO_ENDPOINTS}; "),
    ],
    ids=["came back", "failed"],
)
def test_a_drill_that_could_not_clear_up_nor_write_its_evidence_ends_by_the_sweep_as_it_ended_itself(
    lab: Lab, scope: DrillScope, outcome: Outcome, status: int, why: str
) -> None:
    secret = lab.will_make_a_secret({"application": lab.plain.application})
    if scope is DrillScope.STATE:
        lab.has_planned()
    rule = {"service": "s3", "operation": "PutObject", "path": ".*/evidence/.*", "code": "AccessDenied", "status": 403}
    lab.plain.cloud.control("faults", add={**rule, "times": 1000})
    with pytest.raises(CleanUpIncomplete):
        lab.carried_out(scope)
    lab.plain.cloud.control("faults", clear=True)
    ended = lab.journal.events[-1].at
    marks = [{"Key": key, "Value": value} for key, value in lab.drill.tags.items()]
    lab.plain.cloud.client("secretsmanager").tag_resource(SecretId=secret, Tags=marks)

    done = sweep.run(lab.plain.site(), lab.told, lambda _: None)

    found = lab.evidence()
    assert (done.closed, done.told, [thing.id for thing in done.gone]) == ((RUN,), (RUN,), [secret])
    assert (found.outcome, found.exit_status, found.ended, found.left_over) == (outcome, status, ended, ())
    assert found.why == f"{why}left, until it was swept: secretsmanager:secret {secret}"
    assert lab.plain.site().journals().unended() == []


# -- before it begins --------------------------------------------------------------------------------------------------


def test_what_was_never_applied_is_not_damaged_and_is_told_how_to_begin(cloud: RunningCloud, tmp_path: Path) -> None:
    plain = plain_site(cloud, tmp_path)
    site = plain.site()
    where = {"LocationConstraint": DR_REGION}
    replica = site.project.environment.state.replica_bucket
    cloud.client("s3", DR_REGION).create_bucket(Bucket=replica, CreateBucketConfiguration=where)
    drill_command.require_applied(site)
    plain.delete("stack.tfstate")

    with pytest.raises(NothingFits) as raised:
        drill_command.require_applied(site)

    assert raised.value.exit_status == 6
    assert "nothing was ever applied that could be drilled" in raised.value.summary
    assert raised.value.hint == "lifeboat apply -e x"


# -- the network -------------------------------------------------------------------------------------------------------


def test_a_way_out_that_somebody_made_by_hand_is_seen_before_a_drill_begins(lab: Lab) -> None:
    ec2 = lab.plain.cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.98.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.98.0.0/24")["Subnet"]["SubnetId"]
    groups = [ec2.create_security_group(GroupName=n, Description=n, VpcId=vpc)["GroupId"] for n in ("db", "app")]
    everywhere = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]  # which EC2 gives each new one
    for group in groups:
        ec2.revoke_security_group_egress(GroupId=group, IpPermissions=everywhere)
    to_database = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": [{"GroupId": groups[0]}]}
    ec2.authorize_security_group_egress(GroupId=groups[1], IpPermissions=[to_database])
    network = DrillNetwork(
        subnet_group="drills",
        subnet_ids=[subnet],
        security_groups=DrillGroups(database=groups[0], instance=groups[1]),
    )
    site = lab.plain.site()
    recovery = outputs.recovery(site.stack_store()).model_copy(update={"drill": network})
    closed = drill_command.network_of(site, recovery, DrillScope.INSTANCE)

    table = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"][0]["RouteTableId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    ec2.authorize_security_group_egress(GroupId=groups[1], IpPermissions=everywhere)
    with pytest.raises(Refused) as refused:
        drill_command.network_of(site, recovery, DrillScope.INSTANCE)
    with pytest.raises(Refused, match="nobody could ask a database"):
        drill_command.network_of(site, recovery, DrillScope.FULL)

    assert closed is network
    lines = refused.value.summary.splitlines()[1:]
    assert lines[:2] == [
        f"  the route table {table} leads to 0.0.0.0/0 by {gateway}",
        f"  the internet gateway {gateway} is attached",
    ]
    assert [line.partition(" (")[0] for line in lines[2:]] == [
        f"  the security group {groups[1]} lets out to 0.0.0.0/0"
    ]
