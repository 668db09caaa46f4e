"""Cases of the rule on dumps that are made."""

from __future__ import annotations

from typing import Any

from tests.policies.cases.case import absent, bad, clean, undecided
from tests.policies.plans import THERE, PlanFile, known, later

_NOBODY = "nothing in this plan makes dumps"
_WHERE = (
    "aws_scheduler_schedule.this: no bucket was taken for that of the dumps: tag it lifeboat:role = dumps, or the others"
    " with theirs"
)


def _bucket(**over: Any) -> PlanFile:
    return PlanFile().add("aws_s3_bucket.store", {"bucket": "app-dumps-1", **over})


def _job(plan: PlanFile, **over: Any) -> PlanFile:
    return plan.add(
        "aws_scheduler_schedule.this", {"name": "app-dump", "schedule_expression": "cron(0 3 * * ? *)", **over}
    )


def _replicated(plan: PlanFile, to: Any) -> PlanFile:
    plan.add("aws_s3_bucket.copy", {"bucket": "app-dumps-2"}, region=THERE)
    rules = [{"status": "Enabled", "destination": [{"bucket": to}]}]
    return plan.add(
        "aws_s3_bucket_replication_configuration.r", {"bucket": later("aws_s3_bucket.store.id"), "rule": rules}
    )


CASES = (
    clean("LB_DUMP_3", "a bucket and its job", _job(_bucket())),
    clean(
        "LB_DUMP_3",
        "a rule on the clock",
        _bucket().add("aws_cloudwatch_event_rule.dumps", {"name": "nightly", "schedule_expression": "rate(1 day)"}),
    ),
    bad("LB_DUMP_3", "a bucket alone", _bucket(), _NOBODY),
    bad(
        "LB_DUMP_3",
        "a schedule of something else",
        _bucket().add("aws_scheduler_schedule.sync", {"name": "sync", "schedule_expression": "rate(1 day)"}),
        _NOBODY,
    ),
    bad(
        "LB_DUMP_3",
        "a rule that only tells of dumps",
        _bucket().add("aws_cloudwatch_event_rule.r", {"name": "dump-failed", "event_pattern": "{}"}),
        _NOBODY,
    ),
    clean("LB_DUMP_3", "somebody else makes them", _bucket(tags={"lifeboat:dumped-by": "the pipeline"})),
    bad("LB_DUMP_3", "somebody without a name", _bucket(tags={"lifeboat:dumped-by": ""}), _NOBODY),
    bad("LB_DUMP_3", "one for both, and no job", _replicated(_bucket(), later("aws_s3_bucket.copy.arn")), _NOBODY),
    bad(
        "LB_DUMP_3",
        "two of which neither is the other's",
        _replicated(_bucket(), "arn:aws:s3:::elsewhere"),
        _NOBODY,
        _NOBODY,
    ),
    undecided("LB_DUMP_3", "a job and a bucket of another name", _job(_bucket(bucket="app-archive")), _WHERE),
    bad(
        "LB_DUMP_3",
        "a job and buckets for other things",
        _job(_bucket(bucket="app-archive", tags={"lifeboat:role": "uploads"}).add("aws_s3_bucket.tfstate")),
        "its dumps go into a bucket that is not in this plan",
    ),
    bad("LB_DUMP_3", "a job alone", _job(PlanFile()), "its dumps go into a bucket that is not in this plan"),
    clean("LB_DUMP_3", "a bucket by its tag", _job(_bucket(bucket="app-archive", tags={"lifeboat:role": "dumps"}))),
    undecided(
        "LB_DUMP_3",
        "whether it is on the clock is known later",
        _job(_bucket(), schedule_expression=known(None, "aws_ssm_parameter.at.value")),
        "aws_scheduler_schedule.this: schedule_expression is known only after the apply",
        "aws_scheduler_schedule.this: schedule_expression is known only after the apply",
    ),
    absent("LB_DUMP_3", "neither", PlanFile().add("aws_s3_bucket.uploads", {"bucket": "app-uploads"})),
)
