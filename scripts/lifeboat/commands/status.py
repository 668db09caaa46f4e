"""`lifeboat status`: everything looked at, side by side, judged by the checks, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NoReturn, TypeVar

from lifeboat.commands import state_doctor as doctor
from lifeboat.database_model import MANIFEST_FILE
from lifeboat.decisions import state_doctor
from lifeboat.decisions.status import built, judging, metrics, state, watching
from lifeboat.decisions.status.running import LOOKS_FOR_LEAKS
from lifeboat.dumps import places
from lifeboat.dumps import status_facts as copies
from lifeboat.evidence_model import Chain
from lifeboat.model import Teller
from lifeboat.site import Site
from lifeboat.stack import open_recoveries, status_evidence, status_facts
from lifeboat.stack.looking import Looks, Place, look, results
from lifeboat.state_model import StateRoot
from lifeboat.status_model import Facts, Limits, Measure, NotifierSeen, Seen, Stack, StateCheck, Status

# Most of a look's time is the service's: they wait for each other no more than the connections allow.
_AT_ONCE = 16
_Read = TypeVar("_Read")


@dataclass(frozen=True, kw_only=True)
class Looked:
    """A status, and what it comes to in numbers."""

    status: Status
    measures: tuple[Measure, ...]


def status(site: Site, tell: Teller) -> Looked:
    """Look at everything and judge it; changes nothing, and what cannot be looked at is told, not guessed."""
    facts, judged_by = observe(site, tell), limits(site)
    found = judging.status(site.project.env, facts, judged_by)
    return Looked(status=found, measures=metrics.measures(found, facts, judged_by))


def publish(site: Site, looked: Looked) -> int:
    """Write the metrics of a status to CloudWatch, and return how many. Raises Unreachable where it does not take them."""
    region = site.project.environment.application.region
    site.alarm_settings().write(looked.measures, region, looked.status.now)
    return len(looked.measures)


def watch(
    site: Site, show: Callable[[Status, str], None], every: timedelta, sleep: Callable[[float], None]
) -> NoReturn:
    """Show the status again and again, until the operator ends it; between two looks, how long it still is to the next."""
    quiet = _Quiet()
    while True:
        found = status(site, quiet).status
        for left in range(round(every.total_seconds()), 0, -1):
            show(found, f"looked at again in {left} s; Ctrl-C ends it")
            sleep(1)
        show(found, "looking ...")


class _Quiet:
    """Who is told of progress while the whole terminal shows something else: nobody."""

    def say(self, text: str) -> None:
        """Tell nothing."""

    def warn(self, text: str) -> None:
        """Tell nothing."""

    def resources(self, done: int, total: int, slowest: str) -> None:
        """Tell nothing."""

    def resources_end(self) -> None:
        """Tell nothing."""

    @contextmanager
    def waiting(self) -> Iterator[Callable[[str], None]]:
        """Give what shows nothing."""
        yield lambda _: None


def limits(site: Site) -> Limits:
    """Return how old and how large things may be, as the environment's file says."""
    environment = site.project.environment
    settings, dumps, application = environment.status, environment.dumps, environment.application
    return Limits(
        late=timedelta(minutes=settings.late_minutes),
        proof=timedelta(days=settings.proof_days),
        proof_level=settings.proof_level,
        image=timedelta(days=settings.image_days),
        image_proof=timedelta(days=settings.image_proof_days),
        drill=timedelta(days=settings.drill_days),
        plan=timedelta(days=settings.plan_days),
        beat=timedelta(minutes=settings.heartbeat_minutes),
        skew=timedelta(seconds=settings.skew_seconds),
        metric=timedelta(hours=settings.metric_hours),
        shrink_percent=dumps.shrink_percent,
        application=application.name,
        environment=site.owner().environment,
        account_id=application.account_id,
        region=application.region,
        dr_region=application.dr_region,
        databases=tuple(dumps.databases),
        before_aws=site.shell(""),
    )


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """The environment, the looks at it that are under way, and what Terraform built of it."""

    site: Site
    looks: Looks
    stack: Stack | None
    now: datetime

    @property
    def regions(self) -> tuple[str, str]:
        """The primary region and the DR region."""
        application = self.site.project.environment.application
        return application.region, application.dr_region

    @property
    def region(self) -> str:
        """The primary region."""
        return self.regions[0]

    def place(self, what: str, call: str, region: str | None = None) -> Place:
        """Return what is looked at, in the primary region unless another is named."""
        return Place(what=what, region=region or self.region, call=call)


# Looks are begun at once; what each comes to is filled in when it is there.
_Fill = Callable[[Facts], Facts]


def observe(site: Site, tell: Teller) -> Facts:
    """Return all that can be seen of an environment, and why the rest cannot be."""
    now, region = datetime.now(UTC), site.project.environment.application.region
    stack = look(Place(what="the stack's state", region=region, call="s3:GetObject"), lambda: status_facts.stack(site))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = _Asked(site=site, looks=Looks(pool=pool), stack=stack.found, now=now)
        # The largest first: listings of dumps take longest.
        fills = [_copies(asked), _state(asked, tell), _database(asked), _machines(asked)]
        fills += [_stores(asked), _watching(asked), _running(asked), _drills(asked)]
        facts = Facts(now=now, stack=stack)
        for fill in fills:
            facts = fill(facts)
    return facts


def _copies(asked: _Asked) -> _Fill:
    site, pool = asked.site, asked.looks.pool
    where = places.of(site)
    database = "" if asked.stack is None else asked.stack.recovery.database.name
    dumps = pool.submit(copies.dumps, site, where, database, asked.now)
    windows = {region: pool.submit(copies.windows, site, region) for region in asked.regions}
    snapshots = {region: pool.submit(copies.snapshots, site, region) for region in asked.regions}
    vaults = {region: pool.submit(copies.vault, site, where, region) for region in asked.regions}

    def fill(facts: Facts) -> Facts:
        return replace(
            facts,
            windows=results(windows),
            snapshots=results(snapshots),
            vaults=results(vaults),
            dumps=dumps.result().points,
            newest_dump=dumps.result().newest,
        )

    return fill


def _database(asked: _Asked) -> _Fill:
    site, clock, recovery = (
        asked.site,
        asked.site.service_clock(),
        None if asked.stack is None else asked.stack.recovery,
    )
    account = asked.looks.at(asked.place("the account", "sts:GetCallerIdentity"), clock.account)
    skew = asked.looks.at(asked.place("AWS's clock", "sts:GetCallerIdentity"), clock.skew)
    if recovery is None:
        return lambda facts: replace(facts, account=account.result(), skew=skew.result())
    identifier = recovery.database.identifier
    instance = asked.looks.at(
        asked.place(f"the database {identifier}", "rds:DescribeDBInstances"),
        lambda: status_facts.instance(site, identifier, asked.region),
    )
    beat = asked.looks.at(
        asked.place("the heartbeat in the database", "secretsmanager:GetSecretValue"),
        lambda: status_facts.beat(site, recovery, asked.now),
    )
    return lambda facts: replace(
        facts, account=account.result(), skew=skew.result(), instance=instance.result(), beat=beat.result()
    )


def _machines(asked: _Asked) -> _Fill:
    images, settings = asked.site.images(), asked.site.protection_settings()
    volumes = asked.looks.each(
        asked.regions,
        lambda region: asked.place(f"the volume snapshots in {region}", "ec2:DescribeSnapshots", region),
        lambda region: tuple(images.snapshots(region)),
    )
    found = asked.looks.each(
        asked.regions,
        lambda region: asked.place(f"the images in {region}", "ec2:DescribeImages", region),
        lambda region: tuple(images.ours(region)),
    )
    if asked.stack is None:
        return lambda facts: replace(facts, volumes=results(volumes), images=results(found))
    recovery = asked.stack.recovery
    machine = recovery.app.instance_id
    tags = asked.looks.at(
        asked.place(f"the tags of {machine}", "ec2:DescribeInstances"), lambda: settings.tags(machine, asked.region)
    )
    architecture = asked.looks.at(
        asked.place(f"what {machine} is built for", "ec2:DescribeInstances, ec2:DescribeImages"),
        lambda: status_facts.architecture(asked.site, recovery),
    )
    policies = asked.looks.each(
        asked.stack.recovery.dlm_policy_ids,
        lambda policy: asked.place(f"the lifecycle policy {policy}", "dlm:GetLifecyclePolicy"),
        lambda policy: settings.policy(policy, asked.region),
    )
    return lambda facts: replace(
        facts,
        volumes=results(volumes),
        images=results(found),
        machine_tags=tags.result(),
        architecture=architecture.result(),
        policies=results(policies),
    )


def _stores(asked: _Asked) -> _Fill:
    site, settings, backend = asked.site, asked.site.protection_settings(), asked.site.project.environment.state
    table = asked.looks.at(
        asked.place(f"the table {backend.lock_table}", "dynamodb:DescribeContinuousBackups"),
        lambda: settings.table_recovery(backend.lock_table, asked.region),
    )
    stack = asked.stack
    if stack is None:
        return lambda facts: replace(facts, table_recovery=table.result())
    recovery, regions_of_keys = stack.recovery, status_facts.keys(stack)
    vaults = dict(zip(asked.regions, (recovery.vaults.primary, recovery.vaults.dr), strict=True))
    keys = asked.looks.each(
        regions_of_keys,
        lambda arn: asked.place(f"the key {arn}", "kms:DescribeKey", regions_of_keys[arn]),
        lambda arn: site.encryption_keys(regions_of_keys[arn]).key(arn),
    )
    selections = asked.looks.each(
        recovery.backup_plan_ids,
        lambda plan: asked.place(f"the backup plan {plan}", "backup:ListBackupSelections"),
        lambda plan: settings.selections(plan, asked.region),
    )
    locks = asked.looks.each(
        asked.regions,
        lambda region: asked.place(f"the vault {vaults[region]}", "backup:DescribeBackupVault", region),
        lambda region: settings.lock(vaults[region], region),
    )
    schedules = asked.looks.each(
        built.named(stack, "aws_scheduler_schedule"),
        lambda name: asked.place(f"the schedule {name}", "scheduler:GetSchedule"),
        lambda name: settings.schedule(name, asked.region),
    )

    def fill(facts: Facts) -> Facts:
        newest = facts.newest_dump.found
        manifest = (
            "" if newest is None else f"{newest.point.source.partition(f'{recovery.dumps.bucket}/')[2]}{MANIFEST_FILE}"
        )
        keyed = {recovery.dumps.bucket: manifest, recovery.dumps.replica_bucket: "", backend.bucket: backend.key}
        where = dict(zip(keyed, (asked.region, recovery.dr_region, asked.region), strict=True))
        buckets = asked.looks.each(
            keyed,
            lambda bucket: asked.place(f"the bucket {bucket}", "s3:GetBucketVersioning", where[bucket]),
            lambda bucket: settings.bucket(bucket, where[bucket], keyed[bucket]),
        )
        return replace(
            facts,
            table_recovery=table.result(),
            keys=results(keys),
            selections=results(selections),
            locks=results(locks),
            schedules=results(schedules),
            buckets=results(buckets),
        )

    return fill


def _watching(asked: _Asked) -> _Fill:
    client, stack, within = asked.site.alarm_settings(), asked.stack, limits(asked.site).metric
    if stack is None:
        return lambda facts: facts
    alarms = asked.looks.at(asked.place("the alarms", "cloudwatch:DescribeAlarms"), lambda: client.alarms(asked.region))
    rules = asked.looks.each(
        asked.regions,
        lambda region: asked.place(f"the event rules in {region}", "events:ListTargetsByRule", region),
        client.rules,
    )
    topics = asked.looks.each(
        watching.topics_of(stack),
        lambda arn: asked.place(f"who listens to {arn}", "sns:ListSubscriptionsByTopic, sns:GetSubscriptionAttributes"),
        client.topic,
    )

    ringers, routes = watching.notifiers(stack), asked.site.alarm_routes()

    def told(subject: str) -> NotifierSeen | None:
        found = routes.notifier(ringers[subject])
        return None if found is None else NotifierSeen(notifier=found, topic=routes.topic(found.topic))

    notifiers = asked.looks.each(
        ringers,
        lambda subject: asked.place(
            f"the {ringers[subject].words}",
            ", ".join(watching.NOTIFIERS_ASK),
            ringers[subject].region,
        ),
        told,
    )

    def metrics() -> Mapping[str, datetime]:
        found, wanted = alarms.result().value or {}, watching.measured(stack)
        return client.newest([found[name] for name in wanted if name in found], asked.region, within)

    def fill(facts: Facts) -> Facts:
        measured = look(asked.place("the metrics of lifeboat", "cloudwatch:GetMetricData"), metrics)
        return replace(
            facts,
            alarms=alarms.result(),
            rules=results(rules),
            topics=results(topics),
            notifiers=results(notifiers),
            metrics=measured,
        )

    return fill


def _running(asked: _Asked) -> _Fill:
    site = asked.site
    runs = asked.looks.at(asked.place("the runs", "s3:ListBucket"), lambda: tuple(open_recoveries.runs(site)))
    file = asked.looks.at(asked.place("the recovery file", "s3:GetObject"), lambda: status_facts.recovery_file(site))
    plan = asked.looks.at(asked.place("the last plan", "s3:GetObject"), site.plan_records().newest)
    return lambda facts: replace(facts, open_runs=runs.result(), recovery_file=file.result(), last_plan=plan.result())


def _drills(asked: _Asked) -> _Fill:
    site, place = asked.site, asked.place("the evidence of drills", "s3:ListBucketVersions, s3:GetObject")
    chain = asked.looks.at(place, lambda: status_evidence.chain(site))
    left = asked.looks.at(
        asked.place("what drills left", ", ".join(LOOKS_FOR_LEAKS)), lambda: status_evidence.left_behind(site)
    )

    def of_chain(read: Callable[[Chain], _Read]) -> Seen[_Read]:
        looked = chain.result()
        if looked.found is None:
            return Seen(unseen=looked.unseen)
        whole = looked.found
        return look(place, lambda: read(whole))

    return lambda facts: replace(
        facts,
        drills=of_chain(status_evidence.drills),
        evidence=of_chain(status_evidence.findings),
        leaks=left.result(),
    )


def _state(asked: _Asked, tell: Teller) -> _Fill:
    looked = asked.looks.pool.submit(_doctor, asked.site, tell)
    return lambda facts: replace(facts, state=looked.result())


def _doctor(site: Site, tell: Teller) -> dict[str, StateCheck]:
    """Return what the state doctor says, by the name of the check."""
    return state.of_doctor(state_doctor.diagnose(doctor.observe(site, tell, list(StateRoot))))
