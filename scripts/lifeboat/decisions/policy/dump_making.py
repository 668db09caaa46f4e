"""The rule on dumps that are made: a bucket for them that nothing fills, and a job whose dumps nobody knows the place of."""

from __future__ import annotations

from collections.abc import Iterable

from lifeboat.decisions.policy import buckets, controls
from lifeboat.decisions.policy.joins import pointed_at
from lifeboat.decisions.policy.planned import Planned, Resource, Undecided
from lifeboat.decisions.policy.rule import Case, Fault, Rule, RuleId, Severity

SCHEDULES = ("aws_scheduler_schedule", "aws_cloudwatch_event_rule")
_BUCKET = "aws_s3_bucket"
_BY = "lifeboat:dumped-by"


def is_of_dumps(resource: Resource) -> bool:
    """Return whether a schedule or rule is about dumps, by its name or description."""
    body = resource.body
    texts = (body.known("name"), body.known("description"), resource.name)
    return any("dump" in text.lower() for text in texts if text)


def _on_the_clock(plan: Planned) -> list[Resource]:
    """Return what makes dumps at a time; a rule on events only tells of them. Raises Undecided."""
    found = [one for one in plan.of(*SCHEDULES) if is_of_dumps(one)]
    return [one for one in found if one.body.text("schedule_expression") is not None]


def _is_about_dumps(case: Case) -> bool:
    if case.resource.type == _BUCKET:
        return buckets.holds_dumps(case) and not _is_replica(case)
    return is_of_dumps(case.resource) and case.resource.body.text("schedule_expression") is not None


def _is_replica(case: Case) -> bool:
    """Return whether another bucket is replicated into this one, which then needs no job of its own."""
    for one in case.plan.of("aws_s3_bucket_replication_configuration"):
        for rule in one.body.blocks("rule"):
            for destination in rule.blocks("destination"):
                if case.resource in pointed_at(case.plan, destination, "bucket", _BUCKET):
                    return True
    return False


def _made(case: Case) -> Iterable[Fault]:
    if case.resource.type == _BUCKET:
        if not _on_the_clock(case.plan) and not case.resource.tags().get(_BY):
            yield Fault(
                found="nothing in this plan makes dumps",
                wanted=f"a schedule with dump in its name (or the tag {_BY}, which names who else makes them)",
            )
    elif not buckets.dump_buckets(case.plan):
        if not buckets.all_say_what_for(case.plan):
            raise Undecided(
                f"{case.resource.address}: no bucket was taken for that of the dumps: tag it lifeboat:role = dumps, or the"
                " others with theirs"
            )
        yield Fault(
            found="its dumps go into a bucket that is not in this plan",
            wanted="the bucket beside its job, or a scan of the plan that makes it",
            change="Tag the bucket lifeboat:role = dumps where it is in the plan; scan the plan that makes it where it is not.",
            severity=Severity.MEDIUM,
        )


RULES = (
    Rule(
        id=RuleId("LB_DUMP_3"),
        severity=Severity.HIGH,
        title="Dumps are made on a schedule, into a bucket that the rules know",
        why="A bucket that nothing fills looks like a copy until the night on which it is opened.",
        change="Add the job and its schedule (dumps.job of the stack), or tag the bucket with who else makes the dumps.",
        types=(_BUCKET, *SCHEDULES),
        among=_is_about_dumps,
        judge=_made,
        controls=(
            *controls.well_architected("REL09-BP03"),
            *controls.nist("CP-9"),
            *controls.soc2("A1.2"),
            *controls.iso("A.8.13"),
        ),
    ),
)
