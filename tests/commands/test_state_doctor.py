"""`lifeboat state doctor` over a local cloud: each accident that S3 and DynamoDB can show, in each lock mode."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from lifeboat import views_state_doctor
from lifeboat.clients import run_files
from lifeboat.clients.state_versions import BY, FROM, RUN
from lifeboat.commands import state_doctor
from lifeboat.decisions.state_verdicts import Severity
from lifeboat.model import RunId
from lifeboat.state_model import RESTORING, LockMode, StateRoot

from tests import guarded_buckets
from tests.conftest import RunningCloud
from tests.gitlab_sites import ACCOUNT, DR_REGION, REGION
from tests.plain_sites import Told
from tests.sick_states import BACKEND, CANARY, STACK, SickSite, md5, sick_site

MODES: tuple[LockMode, ...] = ("dynamodb", "lockfile", "both")
CHECKS = 8 + 2 * 11 + 5
DIGESTS: tuple[LockMode, ...] = ("dynamodb", "both")


@pytest.fixture(scope="module")
def sites(cloud: RunningCloud, tmp_path_factory: pytest.TempPathFactory) -> dict[LockMode, SickSite]:
    return {mode: sick_site(cloud, tmp_path_factory.mktemp(mode), mode) for mode in MODES}


@pytest.fixture
def make(sites: dict[LockMode, SickSite]) -> Callable[[LockMode], SickSite]:
    """Return how to get the site of a lock mode, sound."""

    def reset(mode: LockMode) -> SickSite:
        sites[mode].reset()
        return sites[mode]

    return reset


def findings(sick: SickSite) -> dict[str, str]:
    """Return the command of each finding by its check; whatever is told of it holds no secret."""
    found = state_doctor.diagnose(sick.site, Told(), list(StateRoot))
    document = views_state_doctor.diagnosis_document(found)
    assert CANARY not in json.dumps(document) + repr(found)
    assert (document["expected"], document["executed"], len(document["checks"])) == (CHECKS, CHECKS, CHECKS), (
        found.unseen
    )
    return {f"{one.root or ''} {one.check}".strip(): one.finding.command for one in found.verdicts if one.finding}


# -- a sound state -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_sound_state_is_looked_at_in_full_and_nothing_is_changed(
    make: Callable[[LockMode], SickSite], mode: LockMode
) -> None:
    sick = make(mode)
    trace = sick.cloud.directory / "logs" / "trace.jsonl"
    start = trace.stat().st_size

    ended = sick.run("state", "doctor")

    calls = [json.loads(line)["operation"] for line in trace.read_bytes()[start:].decode().splitlines()]
    assert f"checks: {CHECKS} of {CHECKS} could look; findings: 0" in ended.stdout
    assert "aws_instance, aws_db_instance, aws_eip, aws_s3_bucket, aws_vpc; no others" in ended.stdout
    assert CANARY not in ended.stdout + ended.stderr
    assert [call for call in calls if not call.startswith(("Get", "Head", "List", "Describe"))] == []


def test_one_root_alone_is_looked_at_where_it_is_named(make: Callable[[LockMode], SickSite]) -> None:
    sick = make("both")

    found = [
        json.loads(sick.run("state", "doctor", "-o", "json", "--root", root).stdout) for root in ("state", "stack")
    ]

    assert [(one["expected"], one["executed"]) for one in found] == [(19, 19), (24, 24)]
    assert {check["root"] for check in found[0]["checks"]} == {None, "state"}


# -- accidents -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Accident:
    """What happens to a sound state, in which modes, and what is found: the command by check; {} takes what happened."""

    modes: tuple[LockMode, ...] = MODES
    happens: Callable[[SickSite], dict[str, str]]
    finds: dict[str, str]
    only_with_digest: tuple[str, ...] = ()


def versions(sick: SickSite) -> dict[str, str]:
    """Return the ids of the versions of the stack's state by their serial: {s3}."""
    s3, found = sick.site.client("s3", REGION), {}
    for entry in s3.list_object_versions(Bucket=sick.bucket, Prefix=STACK).get("Versions", []):
        if entry["Key"] == STACK:
            body = s3.get_object(Bucket=sick.bucket, Key=STACK, VersionId=entry["VersionId"])["Body"].read()
            found[f"s{json.loads(body)['serial']}"] = entry["VersionId"]
    return found


def old_on_top(sick: SickSite) -> dict[str, str]:
    known = versions(sick)
    source = {"Bucket": sick.bucket, "Key": STACK, "VersionId": known["s1"]}
    sick.site.client("s3", REGION).copy_object(Bucket=sick.bucket, Key=STACK, CopySource=source)
    return known


def deleted(sick: SickSite) -> dict[str, str]:
    known = versions(sick)
    sick.delete()
    return known


def deleted_with_digest(sick: SickSite) -> dict[str, str]:
    sick.delete_digest()
    return deleted(sick)


def wrong_digest(sick: SickSite) -> dict[str, str]:
    sick.put_digest("f" * 32)
    return versions(sick)


def digest_not_written(sick: SickSite) -> dict[str, str]:
    sick.put(sick.state(4))
    return versions(sick)


def truncated(sick: SickSite) -> dict[str, str]:
    known, body = versions(sick), sick.state(4)[:200]
    sick.put(body)
    sick.put_digest(md5(body))
    return known


def foreign(sick: SickSite) -> dict[str, str]:
    known, body = versions(sick), sick.state(9, lineage="theirs")
    sick.put(body)
    sick.put_digest(md5(body))
    return known


def pushed_lower(sick: SickSite) -> dict[str, str]:
    known, body = versions(sick), sick.state(2, addresses=(sick.address, "eipalloc-other"))
    sick.put(body)
    sick.put_digest(md5(body))
    return known


def killed_apply(sick: SickSite) -> dict[str, str]:
    return {"lock": sick.lock()}


def no_table(sick: SickSite) -> dict[str, str]:
    sick.site.client("dynamodb", REGION).delete_table(TableName=sick.plain.table)
    return {}


def no_bucket(sick: SickSite) -> dict[str, str]:
    sick.purge()
    sick.site.client("s3", REGION).delete_bucket(Bucket=sick.bucket)
    return {"bucket": sick.bucket}


def emptied(sick: SickSite) -> dict[str, str]:
    known = versions(sick)
    listed = sick.site.client("s3", REGION).list_objects_v2(Bucket=sick.bucket)["Contents"]
    for entry in listed:
        sick.delete(entry["Key"])
    return known


def every_version_gone(sick: SickSite) -> dict[str, str]:
    sick.purge()
    return {}


def every_version_gone_of_both(sick: SickSite) -> dict[str, str]:
    sick.purge()
    sick.purge(DR_REGION)
    return {"root": str(sick.plain.root), "address": sick.address}


def made_twice(sick: SickSite) -> dict[str, str]:
    tags = [{"Key": "application", "Value": sick.plain.application}, {"Key": "environment", "Value": "x"}]
    specification = [{"ResourceType": "vpc", "Tags": tags}]
    vpc = sick.site.client("ec2", REGION).create_vpc(CidrBlock="10.9.0.0/16", TagSpecifications=specification)["Vpc"]
    return {"root": str(sick.plain.root), "vpc": vpc["VpcId"]}


def unsaved(sick: SickSite) -> dict[str, str]:
    left = sick.plain.root / "terraform" / "stack" / "errored.tfstate"
    left.write_bytes(sick.state(4))
    return {"root": str(sick.plain.root)}


def unversioned(sick: SickSite) -> dict[str, str]:
    known = not_copied(sick)  # S3 suspends no versioning while a rule copies
    suspended = {"Status": "Suspended"}
    sick.site.client("s3", REGION).put_bucket_versioning(Bucket=sick.bucket, VersioningConfiguration=suspended)
    return known


def unguarded(sick: SickSite) -> dict[str, str]:
    sick.site.client("s3", DR_REGION).delete_bucket_policy(Bucket=sick.replica)
    return {}


def not_copied(sick: SickSite) -> dict[str, str]:
    sick.site.client("s3", REGION).delete_bucket_replication(Bucket=sick.bucket)
    return {"bucket": sick.bucket, "replica": sick.replica, "application": sick.plain.application}


def copied_no_more(sick: SickSite) -> dict[str, str]:
    s3 = sick.site.client("s3", REGION)
    guarded_buckets.copy(s3, sick.bucket, sick.replica, "Disabled")
    s3.delete_bucket_policy(Bucket=sick.bucket)
    return {}


def memory_damaged(sick: SickSite) -> dict[str, str]:
    for key in ("known-states/x/stack.json", "known-states/x/state.json"):
        sick.site.client("s3", DR_REGION).put_object(Bucket=sick.replica, Key=key, Body=b"{not json")
    return {}


def foreign_lock(sick: SickSite) -> dict[str, str]:
    """Put what Terraform never wrote where its locks are."""
    if sick.mode != "lockfile":
        item = {"LockID": {"S": f"{sick.bucket}/{STACK}"}, "Info": {"S": "garbage not json"}}
        sick.site.client("dynamodb", REGION).put_item(TableName=sick.plain.table, Item=item)
    if sick.mode != "dynamodb":
        sick.site.client("s3", REGION).put_object(Bucket=sick.bucket, Key=f"{STACK}.tflock", Body=b"<html>oops</html>")
    return {"bucket": sick.bucket, "table": sick.plain.table}


def no_replica(sick: SickSite) -> dict[str, str]:
    sick.purge(DR_REGION)
    sick.site.client("s3", DR_REGION).delete_bucket(Bucket=sick.replica)
    return {}


def forgotten(sick: SickSite) -> dict[str, str]:
    s3 = sick.site.client("s3", DR_REGION)
    for entry in s3.list_objects_v2(Bucket=sick.replica, Prefix="known-states/")["Contents"]:
        s3.delete_object(Bucket=sick.replica, Key=entry["Key"])
    return {}


def interrupted_restore(sick: SickSite) -> dict[str, str]:
    """Leave what a restore of serial 1 leaves that was killed between the state and the digest."""
    known = versions(sick)
    lock = sick.lock(Operation=RESTORING, Who="eva@laptop-of-eva")
    metadata = {BY: "eva@laptop-of-eva", RUN: "r", FROM: known["s1"]}
    made = sick.put(sick.state(4), Metadata=metadata)
    return {"lock": lock, "made": made}


SHELL = 'eval "$(lifeboat local env -e x)" && '
AS_BREAK_GLASS = (
    f'{SHELL}(keys="$(aws sts assume-role --role-arn arn:aws:iam::{ACCOUNT}:role/{{application}}-break-glass'
    " --role-session-name by-hand --output text --query \"join(' ', ['export', join('=', ['AWS_ACCESS_KEY_ID',"
    " Credentials.AccessKeyId]), join('=', ['AWS_SECRET_ACCESS_KEY', Credentials.SecretAccessKey]), join('=',"
    ' [\'AWS_SESSION_TOKEN\', Credentials.SessionToken])])")" && eval "$keys" && '
)
RULE = (
    '{{"Role":"arn:aws:iam::'
    + ACCOUNT
    + ':role/{application}-tfstate-replication","Rules":[{{"ID":"to-'
    + DR_REGION
    + '",'
    '"Priority":0,"Status":"Enabled","Filter":{{}},"DeleteMarkerReplication":{{"Status":"Disabled"}},'
    '"SourceSelectionCriteria":{{"SseKmsEncryptedObjects":{{"Status":"Enabled"}}}},"Destination":{{"Bucket":'
    '"arn:aws:s3:::{replica}","StorageClass":"STANDARD","EncryptionConfiguration":{{"ReplicaKmsKeyID":"arn:aws:kms:'
    + DR_REGION
    + ":"
    + ACCOUNT
    + ':alias/{application}-tfstate"}},"ReplicationTime":{{"Status":"Enabled","Time":{{"Minutes":15}}}},'
    '"Metrics":{{"Status":"Enabled","EventThreshold":{{"Minutes":15}}}}}}}}]}}'
)
RULE_BY_HAND = (
    f"{AS_BREAK_GLASS}aws s3api put-bucket-replication --bucket {{bucket}} --region {REGION}"
    f" --replication-configuration '{RULE}')"
)
RESTORE_3 = "lifeboat state restore {s3}"
DATA = "{root}/.lifeboat/x/terraform/stack"
IMPORT = f'eval "$(lifeboat local env -e x)" && TF_DATA_DIR={DATA} terraform -chdir={{root}}/terraform/stack'
ACCIDENTS = {
    "old version copied over the key": Accident(
        happens=old_on_top,
        finds={"stack serial": RESTORE_3, "stack digest": RESTORE_3},
        only_with_digest=("stack digest",),
    ),
    "object deleted": Accident(happens=deleted, finds={"stack object": RESTORE_3}),
    "object and digest deleted": Accident(
        modes=DIGESTS, happens=deleted_with_digest, finds={"stack object": RESTORE_3}
    ),
    "digest wrong": Accident(modes=DIGESTS, happens=wrong_digest, finds={"stack digest": RESTORE_3}),
    "digest write failed during an apply": Accident(
        modes=DIGESTS,
        happens=digest_not_written,
        finds={"stack digest": "lifeboat state restore {s4}", "stack memory": "lifeboat apply"},
    ),
    "truncated object": Accident(happens=truncated, finds={"stack readable": RESTORE_3}),
    "object of another lineage": Accident(happens=foreign, finds={"stack lineage": RESTORE_3}),
    "lower serial pushed with force": Accident(happens=pushed_lower, finds={"stack serial": RESTORE_3}),
    "lock left by a killed apply": Accident(
        happens=killed_apply,
        finds={
            "stack lock in the table": "lifeboat state unlock {lock}",
            "stack lock file": "lifeboat state unlock {lock}",
        },
    ),
    "lock table deleted": Accident(happens=no_table, finds={"lock table": "lifeboat apply"}),
    "bucket gone, replica there": Accident(
        happens=no_bucket,
        finds={
            "bucket": f'eval "$(lifeboat local env -e x)" && aws s3api create-bucket --bucket {{bucket}} --region {REGION}'
            f" --create-bucket-configuration LocationConstraint={REGION}"
            " && aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled"
            " && lifeboat state doctor"
        },
    ),
    "whole bucket emptied, versions remain": Accident(
        happens=emptied,
        finds={"stack object": RESTORE_3, "state object": "lifeboat state restore {root1} --root state"},
    ),
    "every version gone": Accident(
        happens=every_version_gone,
        finds={
            "stack object": "lifeboat state restore --from-replica",
            "state object": "lifeboat state restore --from-replica --root state",
        },
    ),
    "every version gone, in both regions": Accident(
        happens=every_version_gone_of_both,
        finds={"stack object": "lifeboat state rebuild", "state object": "lifeboat state rebuild"},
    ),
    "made a second time": Accident(happens=made_twice, finds={"tagged aws_vpc": IMPORT + " import ADDRESS {vpc}"}),
    "a state that could not be saved": Accident(
        happens=unsaved,
        finds={
            "stack errored.tfstate": IMPORT + " state push errored.tfstate && rm {root}/terraform/stack/errored.tfstate"
        },
    ),
    "versioning suspended": Accident(
        happens=unversioned,
        finds={
            "versioning": AS_BREAK_GLASS + "aws s3api put-bucket-versioning --bucket {bucket}"
            " --versioning-configuration Status=Enabled)",
            "replication": RULE_BY_HAND,
        },
    ),
    "policy of the replica gone": Accident(happens=unguarded, finds={"bucket policies": "lifeboat apply"}),
    "replication rule removed": Accident(
        happens=not_copied,
        finds={"replication": RULE_BY_HAND},
    ),
    "replication rule disabled, and the policy gone": Accident(
        happens=copied_no_more, finds={"bucket policies": "lifeboat apply", "replication": "lifeboat apply"}
    ),
    "what remembers the states damaged": Accident(
        happens=memory_damaged,
        finds={
            "stack memory": "lifeboat state restore --latest-good",
            "state memory": "lifeboat state restore --latest-good --root state",
        },
    ),
    "something else in the lock": Accident(
        happens=foreign_lock,
        finds={
            "stack lock in the table": SHELL + "aws dynamodb delete-item --table-name {table} --key"
            """ '{{"LockID": {{"S": "{bucket}/stack.tfstate"}}}}'""",
            "stack lock file": SHELL + "aws s3api delete-object --bucket {bucket} --key stack.tfstate.tflock",
        },
    ),
    "replica gone": Accident(happens=no_replica, finds={"replica bucket": "lifeboat apply"}),
    "restore killed between state and digest": Accident(
        modes=("dynamodb",),
        happens=interrupted_restore,
        finds={
            "stack lock in the table": "lifeboat state unlock {lock} && lifeboat state restore {made}",
            "stack digest": "lifeboat state restore {made}",
            "stack memory": "lifeboat apply",
        },
    ),
    "restore killed after its only write": Accident(
        modes=("lockfile",),
        happens=interrupted_restore,
        finds={"stack lock file": "lifeboat state unlock {lock}", "stack memory": "lifeboat apply"},
    ),
    "nothing written down in the other region": Accident(
        happens=forgotten, finds={"stack memory": "lifeboat apply", "state memory": "lifeboat apply"}
    ),
}
EACH = [
    pytest.param(accident, mode, id=f"{name}, {mode}")
    for name, accident in ACCIDENTS.items()
    for mode in accident.modes
]


@pytest.mark.parametrize(("accident", "mode"), EACH)
def test_each_accident_is_found_and_nothing_else_with_the_command_that_repairs_it(
    make: Callable[[LockMode], SickSite], accident: Accident, mode: LockMode
) -> None:
    sick = make(mode)
    root1 = sick.site.client("s3", REGION).list_object_versions(Bucket=sick.bucket, Prefix=BACKEND)["Versions"][0][
        "VersionId"
    ]
    happened = {"root1": root1, **accident.happens(sick)}

    found = findings(sick)

    absent = {
        *(accident.only_with_digest if mode == "lockfile" else ()),
        *({"stack lock in the table"} if mode == "lockfile" else ()),
        *({"stack lock file"} if mode == "dynamodb" else ()),
    }
    assert found == {
        check: command.format(**happened) for check, command in accident.finds.items() if check not in absent
    }


def test_what_is_told_to_a_reader_has_what_is_what_should_be_and_what_to_type(
    make: Callable[[LockMode], SickSite],
) -> None:
    sick = make("both")
    known = deleted(sick)

    ended = sick.run("state", "doctor", status=11)

    assert f"critical: stack object: s3://{sick.bucket}/{STACK} was deleted at" in ended.stdout
    assert "  should be: the newest sound version on top" in ended.stdout
    assert f"  to repair: lifeboat state restore -e x {known['s3']}" in ended.stdout
    assert f"checks: {CHECKS} of {CHECKS} could look; findings: 1" in ended.stdout
    assert "error: findings: 1" in ended.stderr
    assert CANARY not in ended.stdout + ended.stderr


def test_what_break_glass_alone_may_do_is_done_as_it_is_typed(make: Callable[[LockMode], SickSite]) -> None:
    sick = make("both")
    s3, role = sick.site.client("s3", REGION), with_break_glass(sick)
    unversioned(sick)
    guarded_buckets.guard(s3, sick.bucket, role)
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_bucket_versioning(Bucket=sick.bucket, VersioningConfiguration={"Status": "Enabled"})

    typed = []
    while left := state_doctor.diagnose(sick.site, Told(), list(StateRoot)).findings:
        typed.append(left[0].command)
        assert len(typed) < 3, typed
        in_a_shell(sick, left[0].command.removeprefix(SHELL))

    assert ["put-bucket-versioning" in typed[0], "put-bucket-replication" in typed[1]] == [True, True]
    guarded_buckets.guard(as_role(sick, role), sick.bucket)  # for the next test


def with_break_glass(sick: SickSite) -> str:
    """Make the role break-glass, which may do with buckets what it likes, and return its ARN."""
    iam, name = sick.site.client("iam", REGION), f"{sick.plain.application}-break-glass"
    anybody = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    allowed = {"Effect": "Allow", "Action": ["s3:*", "iam:PassRole"], "Resource": "*"}
    iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [anybody]})
    )
    iam.put_role_policy(
        RoleName=name,
        PolicyName="own",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    )
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def as_role(sick: SickSite, role: str) -> Any:
    """Return S3 for whoever has taken a role."""
    taken = sick.site.client("sts", REGION).assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    return boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=sick.cloud.endpoint,
        aws_access_key_id=taken["AccessKeyId"],
        aws_secret_access_key=taken["SecretAccessKey"],
        aws_session_token=taken["SessionToken"],
        config=Config(s3={"addressing_style": "path"}),
    )


def in_a_shell(sick: SickSite, command: str) -> None:
    """Type a command in a shell that reaches the local cloud, as `lifeboat local env` sets it up."""
    endpoint = sick.site.project.environment.endpoint
    assert endpoint is not None
    own = {
        "AWS_ENDPOINT_URL": endpoint.url,
        "AWS_ACCESS_KEY_ID": endpoint.access_key_id,
        "AWS_SECRET_ACCESS_KEY": endpoint.secret_access_key,
        "AWS_DEFAULT_REGION": REGION,
    }
    subprocess.run(["bash", "-c", command], check=True, env={**os.environ, **own}, timeout=120)


def test_the_lock_of_a_living_restore_is_a_notice_and_names_its_process(make: Callable[[LockMode], SickSite]) -> None:
    sick = make("dynamodb")

    with sick.site.state_locks(StateRoot.STACK).taken(RESTORING):
        found = findings(sick)

    assert found == {"stack lock in the table": "lifeboat state doctor"}
    assert findings(sick) == {}


def test_a_run_of_this_machine_is_named_and_what_it_has_not_made_yet_is_waited_for(
    make: Callable[[LockMode], SickSite],
) -> None:
    sick = make("both")
    every_version_gone_of_both(sick)

    with run_files.held(sick.site.project.work, "apply", patience=timedelta(0), tell=str):
        found = state_doctor.diagnose(sick.site, Told(), list(StateRoot))
    after = findings(sick)

    told = {f"{one.root or ''} {one.check}".strip(): one.finding for one in found.verdicts if one.finding}
    assert {(one.severity, one.command) for one in told.values()} == {(Severity.NOTICE, "lifeboat state doctor")}
    assert "an apply of this machine runs since" in told["at work"].found
    assert "at work" not in after
    assert after["stack object"] == "lifeboat state rebuild"


def test_a_run_of_another_machine_is_known_by_the_lease(make: Callable[[LockMode], SickSite]) -> None:
    sick = make("both")

    with sick.site.lease(RunId("20260301T030000Z-apply")).held():
        found = findings(sick)

    assert found == {"at work": "lifeboat state doctor"}
    assert findings(sick) == {}


# -- what may not be looked at ---------------------------------------------------------------------------------------


def test_what_may_not_be_seen_is_named_with_exit_status_8_beside_what_is_amiss(
    make: Callable[[LockMode], SickSite],
) -> None:
    sick = make("both")
    deleted(sick)
    sick.cloud.control(
        "faults", add={"service": "dynamodb", "operation": "DescribeTable", "code": "AccessDenied", "status": 403}
    )

    told = sick.run("state", "doctor", status=8)
    sick.cloud.control("faults", clear=True)

    assert f"cannot look for the lock table {sick.plain.table}: AccessDenied" in told.stderr
    assert "was deleted at" in told.stdout
    assert f"checks: {CHECKS - 2} of {CHECKS} could look" in told.stdout
