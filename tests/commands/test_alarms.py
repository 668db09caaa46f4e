"""`lifeboat alarms`: every message comes out of its topic, or it is told which did not and why; nothing of the test stays."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from lifeboat.alarm_model import AlarmReport, Outcome
from lifeboat.commands import alarms, sweep
from lifeboat.commands.alarms import Asked
from lifeboat.errors import ApprovalMissing, IntegrityFailure, Locked, NothingFits, Unreachable
from lifeboat.stack import leaks

from tests import command_line
from tests.alarm_sites import PATTERNS, AlarmSite, alarm_site
from tests.conftest import RunningCloud
from tests.gitlab_sites import DR_REGION, REGION
from tests.localcloud.machines import until
from tests.plain_sites import Told

ALL = Asked(names=(), within=timedelta(seconds=30))
SOON = timedelta(seconds=1)  # nothing is awaited that arrives


def agreed(_lines: Sequence[str]) -> None:
    """Agree to everything."""


@pytest.fixture
def here(cloud: RunningCloud, tmp_path: Path) -> AlarmSite:
    return alarm_site(cloud, tmp_path)


def ring(here: AlarmSite, *names: str, within: timedelta = timedelta(seconds=30)) -> AlarmReport:
    return alarms.test(here.site(), Told(), agreed, Asked(names=names, within=within))


def the(done: AlarmReport, here: AlarmSite, slug: str) -> Outcome:
    (found,) = [one for one in (*done.rung, *done.checked) if one.ringer.name in (here.name(slug), slug)]
    return found


def test_every_alarm_and_rule_of_both_regions_arrives_and_nothing_of_the_test_stays(here: AlarmSite) -> None:
    before = [here.state_of("dumps-stale"), here.state_of("replication-failed-state")]

    done = alarms.test(here.site(), Told(), agreed, ALL)

    assert [(one.ringer.name, one.why) for one in done.rung if not one.good] == []
    assert (done.arrived, len(done.rung)) == (5, 5)
    assert [(one.ringer.name, one.why) for one in done.checked] == [(here.events_of_databases, ""), (here.vault, "")]
    assert done.topics == ((here.topic(DR_REGION), ""), (here.topic(), ""))
    assert done.left == ()
    assert (here.queues(), sorted(here.listeners())) == ([], ["email", "email"])
    assert [here.state_of("dumps-stale"), here.state_of("replication-failed-state")] == before


def test_people_read_that_it_is_a_test_and_which_page_it_is_about(here: AlarmSite) -> None:
    done = ring(here, "dump-job-failed", "dumps-stale")

    mail = here.mail()
    assert f"eu-west-1: Dump job test ended with status test: TEST {done.run}-0002, nothing happened" in mail
    assert f'"NewStateReason": "TEST {done.run}-0001, nothing happened"' in mail
    assert {one.page for one in done.rung} == {
        "docs/runbooks/alarm-dumps-stale.md", "docs/runbooks/alarm-dump-job-failed.md",
    }  # fmt: skip


def test_what_is_made_is_written_down_before_and_marked_so_that_a_sweep_finds_it(here: AlarmSite) -> None:
    done = ring(here)

    lines = list(here.journal())
    name = f"{here.plain.application}-drill-{done.run[-6:]}-alarms"
    queues = [{"type": "sqs:queue", "id": name, "region": region} for region in sorted((REGION, DR_REGION))]
    assert [line["kind"] for line in lines] == ["begun", "note", "note", "note", "note", "ended"]
    assert [line["data"]["made"] for line in lines if "made" in line["data"]] == queues
    assert [line["data"]["gone"] for line in lines if "gone" in line["data"]] == queues[::-1]


def test_a_test_that_is_interrupted_takes_everything_back(here: AlarmSite) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    here.policy(REGION, "events.amazonaws.com")  # so that it is waited for
    with pytest.raises(KeyboardInterrupt):
        alarms.test(here.site(), Told(then=stop), agreed, Asked(names=("dumps-stale",), within=timedelta(seconds=60)))

    assert (here.queues(), sorted(here.listeners())) == ([], ["email", "email"])
    assert here.state_of("dumps-stale") == "INSUFFICIENT_DATA"
    assert [line["kind"] for line in here.journal()][-1] == "ended"


def test_nobody_sweeps_the_queue_of_a_test_that_runs(here: AlarmSite) -> None:
    seen: list[object] = []

    def look() -> None:
        if not seen:
            seen.append((len(here.queues()), leaks.leaks(here.site())))
            with pytest.raises(Locked):
                sweep.run(here.site(), Told(), agreed)

    here.policy(REGION, "events.amazonaws.com")  # so that it is waited for
    alarms.test(here.site(), Told(then=look), agreed, Asked(names=("dumps-stale",), within=timedelta(seconds=4)))

    assert seen == [(1, ())]


def test_what_a_killed_test_leaves_bears_the_marks_of_a_drill_and_stands_in_its_ledger(here: AlarmSite) -> None:
    slow = {"service": "cloudwatch", "operation": "SetAlarmState", "status": 200, "held": True}
    here.cloud.control("faults", add=slow)
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from lifeboat.start import main; main()",
            "alarms",
            "test",
            "dumps-stale",
            "-e",
            "x",
            "--yes",
        ],
        cwd=here.plain.root,
    ) as process:
        until(lambda: "sqs" in here.listeners())
        process.kill()
    here.cloud.control("faults", clear=True)

    (url,) = here.queues()
    marks = here.cloud.client("sqs").list_queue_tags(QueueUrl=url)["Tags"]
    (made,) = [line["data"]["made"] for line in here.journal() if "made" in line["data"]]
    assert made == {"type": "sqs:queue", "id": url.rsplit("/", 1)[-1], "region": REGION}
    assert (marks["lifeboat:drill-of"], marks["lifeboat:drill"]) == (here.plain.application, marks["lifeboat:run"])
    assert datetime.fromisoformat(marks["lifeboat:expires"]) > datetime.now(UTC)
    assert [line["kind"] for line in here.journal()] == ["begun", "note"]


def test_an_alarm_that_rings_already_is_rung_again_and_stays_as_it_is(here: AlarmSite) -> None:
    here.cloud.client("cloudwatch").set_alarm_state(
        AlarmName=here.name("dumps-stale"), StateValue="ALARM", StateReason="really"
    )

    done = ring(here, "dumps-stale")

    assert (done.arrived, len(done.rung), here.state_of("dumps-stale")) == (1, 1, "ALARM")


def test_an_alarm_of_alarms_is_rung_as_well(here: AlarmSite) -> None:
    here.cloud.client("cloudwatch").put_composite_alarm(
        AlarmName=here.name("anything"), AlarmRule=f'ALARM("{here.name("dumps-stale")}")', AlarmActions=[here.topic()]
    )

    done = ring(here, "anything")

    assert (done.arrived, [one.ringer.name for one in done.rung]) == (1, [here.name("anything")])


def test_what_a_young_subscription_missed_is_rung_once_more(here: AlarmSite) -> None:
    told = Told(then=lambda: here.policy(REGION, "cloudwatch.amazonaws.com", "events.amazonaws.com"))
    here.policy(REGION, "rds.amazonaws.com")  # nothing passes until it is waited for

    done = alarms.test(
        here.site(), told, agreed, Asked(names=("dumps-stale", "backup-job-failed"), within=timedelta(seconds=6))
    )

    assert (done.arrived, len(done.rung)) == (2, 2)
    assert "2 messages have not come after 3 s; ringing these once more" in told.lines
    assert here.state_of("dumps-stale") == "INSUFFICIENT_DATA"


def test_the_message_of_an_alarm_that_is_set_to_ok_is_none_of_its_alarm(here: AlarmSite) -> None:
    mended: list[bool] = []

    def mend() -> None:
        """Let messages pass from now on, and refuse the second ALARM: what comes then is that it is OK alone."""
        if not mended:
            mended.append(True)
            here.policy(REGION, "cloudwatch.amazonaws.com")
            refused = {"code": "AccessDenied", "status": 403, "first": 2}
            here.cloud.control("faults", add={"service": "cloudwatch", "operation": "SetAlarmState", **refused})

    here.policy(REGION, "rds.amazonaws.com")  # nothing passes until it is waited for

    done = alarms.test(here.site(), Told(then=mend), agreed, Asked(names=("dumps-stale",), within=timedelta(seconds=4)))
    here.cloud.control("faults", clear=True)

    assert '"NewStateValue": "OK"' in here.mail()
    assert (done.arrived, len(done.rung)) == (0, 1)


@pytest.mark.parametrize("state", ["AlarmActions", "OKActions"])
def test_an_alarm_that_does_more_than_tell_is_not_rung(here: AlarmSite, state: str) -> None:
    reboot = f"arn:aws:automate:{REGION}:ec2:reboot"
    here.alarm("dumps-stale", **{state: [here.topic(), reboot]})

    done = command_line.run(here.plain.root, "alarms", "test", "-e", "x", "--yes", "dumps-stale")

    assert done.returncode == 8
    assert f"not rung, since it does more than tell: {reboot}" in done.stderr
    assert "Alarm updated" not in here.history("dumps-stale")


def test_a_rule_that_does_more_than_tell_is_not_rung(here: AlarmSite) -> None:
    queue = f"arn:aws:sqs:{REGION}:123456789012:work"
    here.cloud.client("events").put_targets(Rule=here.name("backup-job-failed"), Targets=[{"Id": "q", "Arn": queue}])

    done = ring(here, "backup-job-failed")

    assert [(one.why, one.unsure) for one in done.rung] == [(f"not rung, since it does more than tell: {queue}", True)]


# -- what does not arrive ----------------------------------------------------------------------------------------------


def no_action(here: AlarmSite) -> None:
    here.alarm("dumps-stale", AlarmActions=[])


def switched_off(here: AlarmSite) -> None:
    here.cloud.client("cloudwatch").disable_alarm_actions(AlarmNames=[here.name("dumps-stale")])


def deleted(here: AlarmSite) -> None:
    here.cloud.client("cloudwatch").delete_alarms(AlarmNames=[here.name("dumps-stale")])


def tells_a_topic_that_is_gone(here: AlarmSite) -> None:
    here.alarm("dumps-stale", AlarmActions=[f"{here.topic()}-gone"])


def policy_without_cloudwatch(here: AlarmSite) -> None:
    here.policy(REGION, "events.amazonaws.com")


@pytest.mark.parametrize(
    ("accident", "says"),
    [
        (no_action, "it has no action for ALARM"),
        (
            switched_off,
            'its actions are disabled: eval "$(lifeboat local env -e x)" && aws cloudwatch enable-alarm-actions',
        ),
        (deleted, "it was built and is gone; lifeboat apply -e x makes it again"),
        (tells_a_topic_that_is_gone, "there is no topic arn:aws:sns:eu-west-1:"),
        (policy_without_cloudwatch, "CloudWatch Alarms is not authorized to perform: SNS:Publish"),
    ],
)
def test_an_alarm_that_would_not_be_heard_is_told_with_the_true_reason(
    here: AlarmSite, accident: Callable[[AlarmSite], None], says: str
) -> None:
    accident(here)

    done = ring(here, "dumps-stale", within=SOON)

    assert (done.arrived, len(done.rung), done.left) == (0, 1, ())
    assert says in the(done, here, "dumps-stale").why


def disabled(here: AlarmSite) -> None:
    here.cloud.client("events").disable_rule(Name=here.name("backup-job-failed"))


def without_target(here: AlarmSite) -> None:
    here.cloud.client("events").remove_targets(Rule=here.name("backup-job-failed"), Ids=["alarms"])


def rule_deleted(here: AlarmSite) -> None:
    without_target(here)
    here.cloud.client("events").delete_rule(Name=here.name("backup-job-failed"))


def takes_only_events_of_aws(here: AlarmSite) -> None:
    pattern = {**PATTERNS["backup-job-failed"][1], "source": ["aws.backup"]}
    here.rule("backup-job-failed", pattern)
    here.write_state(**{"backup-job-failed": pattern})  # it was built so


def sends_a_constant(here: AlarmSite) -> None:
    here.rule("backup-job-failed", Input='"a job failed"')


def policy_without_events(here: AlarmSite) -> None:
    here.policy(REGION, "cloudwatch.amazonaws.com")


@pytest.mark.parametrize(
    ("accident", "says"),
    [
        (disabled, 'it is disabled: eval "$(lifeboat local env -e x)" && aws events enable-rule --name'),
        (without_target, "it has no target"),
        (rule_deleted, "it was built and is gone"),
        (takes_only_events_of_aws, "does not take events of lifeboat.test, only of aws.backup"),
        (sends_a_constant, "the same whatever happened"),
        (policy_without_events, "does not let events.amazonaws.com publish"),
    ],
)
def test_a_rule_that_would_not_be_heard_is_told_with_the_true_reason(
    here: AlarmSite, accident: Callable[[AlarmSite], None], says: str
) -> None:
    accident(here)

    done = ring(here, "backup-job-failed", within=SOON)

    assert (done.arrived, len(done.rung)) == (0, 1)
    assert says in the(done, here, "backup-job-failed").why


# -- what was changed by hand ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"Threshold": 1e9}, "threshold is 1000000000, built as 86400"),
        (
            {"ComparisonOperator": "LessThanThreshold"},
            "comparison_operator is LessThanThreshold, built as GreaterThanThreshold",
        ),
        ({"EvaluationPeriods": 24}, "evaluation_periods is 24, built as 3"),
        ({"DatapointsToAlarm": 1}, "datapoints_to_alarm is 1, built as 3"),
        ({"TreatMissingData": "notBreaching"}, "treat_missing_data is notBreaching, built as ignore"),
        ({"TreatMissingData": "missing"}, "treat_missing_data is missing, built as ignore"),
        ({"Statistic": "Maximum"}, "statistic is Maximum, built as Minimum"),
        ({"Period": 60}, "period is 60, built as 3600"),
        ({"Unit": "Bytes"}, "unit is Bytes, built as not set"),
        ({"Namespace": "Nobody"}, "namespace is Nobody, built as {application}"),
        ({"MetricName": "Nothing"}, "metric_name is Nothing, built as BackupAgeSeconds"),
        (
            {"Dimensions": [{"Name": "Kind", "Value": "drills"}]},
            "dimensions.Kind is drills, built as dumps-stale",
        ),
        (
            {"Threshold": 1e9, "TreatMissingData": "missing"},
            "threshold is 1000000000, built as 86400; treat_missing_data is missing, built as ignore",
        ),
    ],
    ids=lambda one: "+".join(one) if isinstance(one, dict) else "",
)
def test_an_alarm_that_was_changed_by_hand_is_told_before_anything_is_sent(
    here: AlarmSite, changed: dict[str, Any], says: str
) -> None:
    here.alarm("dumps-stale", **changed)

    done = ring(here, "dumps-stale", within=SOON)

    said = says.format(application=here.plain.application)
    why = f"it is not as it was built: {said}; lifeboat apply -e x sets it again"
    assert [(one.why, one.unsure, one.page) for one in done.rung] == [
        (why, False, "docs/runbooks/alarm-dumps-stale.md")
    ]
    assert [row.why for row in alarms.listed(here.site()) if row.why] == [why]
    assert (here.state_of("dumps-stale"), "Alarm updated" in here.history("dumps-stale")) == (
        "INSUFFICIENT_DATA",
        False,
    )


def test_an_alarm_of_a_percentile_is_told(here: AlarmSite) -> None:
    here.alarm("dumps-stale", without=("Statistic",), ExtendedStatistic="p10")

    done = ring(here, "dumps-stale", within=SOON)

    assert the(done, here, "dumps-stale").why == (
        "it is not as it was built: statistic is not set, built as Minimum; extended_statistic is p10, built as not set;"
        " lifeboat apply -e x sets it again"
    )


def test_an_alarm_of_a_calculation_is_told(here: AlarmSite) -> None:
    nothing = [{"Id": "e", "Expression": "TIME_SERIES(0)", "ReturnData": True, "Period": 60}]
    here.alarm("dumps-stale", without=("Statistic", "Namespace", "MetricName", "Dimensions", "Period"), Metrics=nothing)

    done = ring(here, "dumps-stale", within=SOON)

    assert (
        'metric_query is [{"expression": "TIME_SERIES(0)", "id": "e", "period": 60, "return_data": true}], built as not set'
    ) in the(done, here, "dumps-stale").why


def test_a_rule_whose_pattern_was_changed_by_hand_is_told_before_anything_is_sent(here: AlarmSite) -> None:
    usual = PATTERNS["backup-job-failed"][1]
    here.rule("backup-job-failed", {**usual, "detail": {**usual["detail"], "state": ["NOTHING"]}})

    done = ring(here, "backup-job-failed", within=SOON)

    why = (
        'it is not as it was built: event_pattern.detail.state is ["NOTHING"], built as ["ABORTED", "FAILED"];'
        " lifeboat apply -e x sets it again"
    )
    assert [(one.why, one.unsure) for one in done.rung] == [(why, False)]
    assert {row.ringer.name: row.why for row in alarms.listed(here.site()) if row.why} == {
        here.name("backup-job-failed"): why
    }
    # No run began, so nothing was sent.
    assert here.cloud.client("s3").list_objects_v2(Bucket=here.plain.bucket, Prefix="runs/")["KeyCount"] == 0


def test_what_was_changed_by_hand_ends_the_test_with_1_and_the_command_to_type(here: AlarmSite) -> None:
    here.alarm("dumps-stale", Threshold=1e9)

    done = command_line.run(here.plain.root, "alarms", "test", "-e", "x", "--yes", "dumps-stale")
    shown = command_line.run(here.plain.root, "alarms", "list", "-e", "x")

    said = "threshold is 1000000000, built as 86400; lifeboat apply -e x sets it again"
    assert (done.returncode, said in " ".join(done.stderr.split())) == (1, True), done.stderr
    assert (shown.returncode, said in " ".join(shown.stdout.split())) == (0, True), shown.stdout


def test_a_state_that_does_not_say_how_an_alarm_was_built_is_no_reason_to_call_it_well(here: AlarmSite) -> None:
    s3, bucket = here.cloud.client("s3"), here.plain.bucket
    state = json.loads(s3.get_object(Bucket=bucket, Key="stack.tfstate")["Body"].read())
    (of_alarms,) = (one for one in state["resources"] if one["type"] == "aws_cloudwatch_metric_alarm")
    for instance in of_alarms["instances"]:
        del instance["attributes"]["threshold"]
    here.plain.put("stack.tfstate", json.dumps(state).encode())

    done = ring(here, "dumps-stale", within=SOON)

    found = the(done, here, "dumps-stale")
    assert (found.good, found.unsure) == (False, True)
    assert found.why == (
        "whether it is as it was built, nobody knows: threshold cannot be compared; lifeboat plan -e x reads all of it"
    )


@pytest.mark.parametrize(
    ("accident", "slug", "says"),
    [
        (lambda here: here.policy(REGION, "backup.amazonaws.com"), "database-event", "events.rds.amazonaws.com"),
        (lambda here: here.policy(REGION, "events.rds.amazonaws.com"), "backups", "backup.amazonaws.com publish"),
        (
            lambda here: here.cloud.client("rds").modify_event_subscription(
                SubscriptionName=here.events_of_databases, Enabled=False
            ),
            "database-event",
            "it is disabled",
        ),
        (
            lambda here: here.cloud.client("rds").modify_event_subscription(
                SubscriptionName=here.events_of_databases, EventCategories=["deletion"]
            ),
            "database-event",
            "it does not tell of backup, as it was built to; lifeboat apply -e x makes it again",
        ),
        (
            lambda here: here.cloud.client("rds").add_source_identifier_to_subscription(
                SubscriptionName=here.events_of_databases, SourceIdentifier="app-g1"
            ),
            "database-event",
            "it tells of app-g1 alone, and was built to tell of all of them, of those to come too",
        ),
        (
            lambda here: here.cloud.client("backup").put_backup_vault_notifications(
                BackupVaultName=here.vault, SNSTopicArn=here.topic(), BackupVaultEvents=["RESTORE_JOB_COMPLETED"]
            ),
            "backups",
            "it does not tell of COPY_JOB_FAILED",
        ),
        (
            lambda here: here.cloud.client("backup").delete_backup_vault_notifications(BackupVaultName=here.vault),
            "backups",
            "it was built and is gone",
        ),
    ],
)
def test_what_only_aws_can_ring_is_checked_instead(
    here: AlarmSite, accident: Callable[[AlarmSite], object], slug: str, says: str
) -> None:
    accident(here)

    done = ring(here, slug)

    assert (done.rung, [one.good for one in done.checked]) == ((), [False])
    assert says in the(done, here, slug).why


def only_a_queue(here: AlarmSite) -> None:
    for region in (REGION, DR_REGION):
        sns = here.cloud.client("sns", region)
        for one in sns.list_subscriptions_by_topic(TopicArn=here.topic(region))["Subscriptions"]:
            sns.unsubscribe(SubscriptionArn=one["SubscriptionArn"])
        endpoint = f"arn:aws:sqs:{region}:123456789012:somewhere"
        sns.subscribe(TopicArn=here.topic(region), Protocol="sqs", Endpoint=endpoint)


def nobody_confirmed(here: AlarmSite) -> None:
    only_a_queue(here)
    here.subscribe(to="away@example.com")


def filtered(here: AlarmSite) -> None:
    only_a_queue(here)
    here.subscribe(to="picky@lifeboat.test", FilterPolicy=json.dumps({"State": ["FAILED"]}))


def test_the_topic_of_what_only_aws_can_ring_is_looked_at_when_that_is_named(here: AlarmSite) -> None:
    only_a_queue(here)

    done = ring(here, "database-event")

    assert [one.good for one in done.checked] == [True]
    assert [(arn, "nobody listens to" in why) for arn, why in done.topics] == [(here.topic(), True)]


@pytest.mark.parametrize(
    ("accident", "says"),
    [
        (only_a_queue, "nobody listens to"),
        (nobody_confirmed, "has confirmed: away@example.com"),
        (filtered, "the filter of every subscriber"),
    ],
)
def test_a_topic_that_only_the_test_listens_to_is_told_although_all_messages_arrive(
    here: AlarmSite, accident: Callable[[AlarmSite], None], says: str
) -> None:
    accident(here)

    done = alarms.test(here.site(), Told(), agreed, ALL)

    assert (done.arrived, len(done.rung)) == (5, 5)
    assert [says in why for _, why in done.topics] == [True, True]


def test_where_everything_arrived_and_nobody_listens_the_command_says_so_and_who_should(here: AlarmSite) -> None:
    only_a_queue(here)

    done = command_line.run(here.plain.root, "alarms", "test", "-e", "x", "--yes")

    said = " ".join(done.stderr.split())
    assert done.returncode == 1
    assert "5 of 5 messages arrived, and not all where somebody listens" in said
    assert "next: name who should listen in alarms.subscribers, then lifeboat apply -e x" in said


# -- what is asked wrongly ---------------------------------------------------------------------------------------------


def test_a_name_that_nothing_bears_is_refused_before_anything_is_sent(here: AlarmSite) -> None:
    with pytest.raises(NothingFits) as refused:
        ring(here, "dumps-stale", "dumps-stael")

    assert refused.value.summary == "no alarm or rule is called dumps-stael"
    assert (here.queues(), here.state_of("dumps-stale")) == ([], "INSUFFICIENT_DATA")


def test_without_agreement_nothing_is_sent_nor_made(here: AlarmSite) -> None:
    asked: list[str] = []

    def refuse(lines: Sequence[str]) -> None:
        asked.extend(lines)
        raise ApprovalMissing("no")

    with pytest.raises(ApprovalMissing):
        alarms.test(here.site(), Told(), refuse, ALL)

    assert asked == [
        "ring 2 alarms and 3 event rules: whoever listens gets that many messages, and those of the alarms once more when"
        " they are set back"
    ]
    assert (here.queues(), here.state_of("dumps-stale")) == ([], "INSUFFICIENT_DATA")


def test_without_a_state_nobody_says_that_all_is_heard(here: AlarmSite) -> None:
    here.plain.delete("stack.tfstate")

    with pytest.raises(IntegrityFailure):
        alarms.test(here.site(), Told(), agreed, ALL)


def test_a_region_that_does_not_answer_is_no_region_without_alarms(here: AlarmSite) -> None:
    with refusing(here, "events", "ListRules"), pytest.raises(Unreachable) as refused:
        alarms.test(here.site(), Told(), agreed, ALL)

    assert "cannot list the event rules in eu-west-1: AccessDenied" in refused.value.summary
    assert (here.queues(), here.state_of("dumps-stale")) == ([], "INSUFFICIENT_DATA")


def test_who_may_not_ring_an_alarm_is_not_told_that_it_is_broken(here: AlarmSite) -> None:
    with refusing(here, "cloudwatch", "SetAlarmState"):
        done = command_line.run(here.plain.root, "alarms", "test", "-e", "x", "--yes", "dumps-stale")

    assert done.returncode == 8
    assert "0 of 1 messages arrived" in done.stderr
    assert f"cannot set the alarm {here.name('dumps-stale')} in eu-west-1 to ALARM: AccessDenied" in done.stderr
    assert here.queues() == []


def test_what_stays_of_a_test_is_told_although_nothing_could_be_rung(here: AlarmSite) -> None:
    with refusing(here, "cloudwatch", "SetAlarmState"), refusing(here, "sqs", "DeleteQueue"):
        done = command_line.run(here.plain.root, "alarms", "test", "-e", "x", "--yes", "dumps-stale")

    assert done.returncode == 12, done.stderr
    said = " ".join(done.stderr.split())
    assert "0 of 1 messages arrived" in said
    assert "cannot delete the queue" in said
    assert "lifeboat sweep" in said


def test_what_stays_of_a_test_is_told_although_nobody_could_listen(here: AlarmSite) -> None:
    with refusing(here, "sqs", "ReceiveMessage"), refusing(here, "sqs", "DeleteQueue"):
        done = command_line.run(here.plain.root, "alarms", "test", "-e", "x", "--yes", "dumps-stale")

    assert done.returncode == 12, done.stderr
    said = " ".join(done.stderr.split())
    assert "cannot listen to the queue" in said
    assert "cannot delete the queue" in said
    assert here.state_of("dumps-stale") == "INSUFFICIENT_DATA"


@contextmanager
def refusing(here: AlarmSite, service: str, operation: str) -> Iterator[None]:
    """Let AWS refuse a call to whoever makes it."""
    fault = {"service": service, "operation": operation, "code": "AccessDenied", "status": 403, "times": 1000}
    here.cloud.control("faults", add=fault)
    yield
    here.cloud.control("faults", clear=True)


# -- listing and the command line --------------------------------------------------------------------------------------


def test_the_list_shows_what_rings_whom_it_tells_and_what_is_gone(here: AlarmSite) -> None:
    deleted(here)
    disabled(here)

    rows = {row.ringer.name: row for row in alarms.listed(here.site())}

    assert {name: (row.state, row.why.split(";")[0].split(":")[0]) for name, row in rows.items()} == {
        here.name("dumps-stale"): ("GONE", "it was built and is gone"),
        here.name("replication-failed-state"): ("INSUFFICIENT_DATA", ""),
        here.name("backup-job-failed"): ("DISABLED", "it is disabled"),
        here.name("dump-job-failed"): ("ENABLED", ""),
        here.name("kms-key-disabled"): ("ENABLED", ""),
        here.events_of_databases: ("ACTIVE", ""),
        here.vault: ("ACTIVE", ""),
    }
    assert rows[here.name("kms-key-disabled")].page == "docs/runbooks/alarm-kms-key-disabled.md"


def test_the_command_line_prints_the_count_and_ends_with_1_where_one_did_not_arrive(here: AlarmSite) -> None:
    root = here.plain.root

    well = command_line.run(root, "alarms", "test", "-e", "x", "--yes")
    no_action(here)
    badly = command_line.run(root, "alarms", "test", "-e", "x", "--yes", "-o", "json")
    unasked = command_line.run(root, "alarms", "test", "-e", "x")

    assert (well.returncode, well.stdout.strip().splitlines()[-1].split()[0]) == (0, "5/5"), well.stderr
    assert badly.returncode == 1
    document = json.loads(badly.stdout)
    assert (document["arrived"], document["of"]) == (4, 5)
    assert "4 of 5 messages arrived" in badly.stderr
    assert "less docs/runbooks/alarm-dumps-stale.md" in badly.stderr
    assert f"alarm {here.name('dumps-stale')} in eu-west-1: it has no action for ALARM" in badly.stderr
    assert unasked.returncode == 7
