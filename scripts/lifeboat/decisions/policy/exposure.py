"""Rules on what must not get out: copies that anybody can read, and the database's password."""

from __future__ import annotations

from collections.abc import Iterable

from lifeboat.decisions.policy import controls
from lifeboat.decisions.policy.planned import Block
from lifeboat.decisions.policy.rule import Case, Fault, Rule, RuleId, Severity

SHARED = {
    "aws_db_snapshot": "shared_accounts",
    "aws_db_snapshot_copy": "shared_accounts",
    "aws_db_cluster_snapshot": "shared_accounts",
    "aws_rds_cluster_snapshot_copy": "shared_accounts",
}
_BLOCK = "aws_ebs_snapshot_block_public_access"
_PERMISSIONS = "aws_ami_launch_permission"
_PASSWORDS = {
    "aws_db_instance": ("password", "manage_master_user_password"),
    "aws_rds_cluster": ("master_password", "manage_master_user_password"),
}


def _public(case: Case) -> Iterable[Fault]:
    kind, body = case.resource.type, case.resource.body
    if kind == _BLOCK and body.text("state") == "unblocked":
        yield Fault(
            found="snapshots of the account may be made public",
            wanted='state = "block-all-sharing", or "block-new-sharing"',
            severity=Severity.HIGH,
        )
    if kind == _PERMISSIONS and body.text("group") == "all":
        yield Fault(found="anybody may launch the image, and read its disks", wanted="account_id of who needs it")
    if kind in SHARED and "all" in body.texts(SHARED[kind]):
        yield Fault(found="anybody may restore the snapshot", wanted=f"accounts by number in {SHARED[kind]}")


def _signs_in(case: Case) -> bool:
    name, managed = _PASSWORDS[case.resource.type]
    body = case.resource.body
    return _has(body, name) or body.written(managed) or body.written(f"{name}_wo")


def _has(body: Block, name: str) -> bool:
    """Return whether there is a password: one that no provider fills in, so where it has a value somebody gave it."""
    return body.written(name) or body.known(name) is not None


def _password(case: Case) -> Iterable[Fault]:
    name, managed = _PASSWORDS[case.resource.type]
    body = case.resource.body
    if body.flag(managed) or not _has(body, name):
        return
    if body.constant(name) or body.known(name) in case.plan.literals:
        yield Fault(found="the database's password stands in the configuration", wanted=f"{managed} = true")
        return
    yield Fault(
        found="the database's password goes through a variable or resource, into the state and into every plan",
        wanted=f"{managed} = true, or {name}_wo",
        severity=Severity.MEDIUM,
    )


RULES = (
    Rule(
        id=RuleId("LB_SNAP_1"),
        severity=Severity.CRITICAL,
        title="No copy can be read by everybody",
        why="A public snapshot is found within minutes, and is the whole database.",
        change="Share with accounts by number, and block public sharing.",
        types=(*SHARED, _PERMISSIONS, _BLOCK),
        judge=_public,
        controls=(
            *controls.well_architected("SEC08-BP04"),
            *controls.nist("AC-3", "SC-7"),
            *controls.fsbp("EC2.1", "RDS.1"),
            *controls.config("EBS_SNAPSHOT_PUBLIC_RESTORABLE_CHECK", "RDS_SNAPSHOTS_PUBLIC_PROHIBITED"),
            *controls.soc2("CC6.1"),
            *controls.iso("A.8.3"),
        ),
    ),
    Rule(
        id=RuleId("LB_SEC_1"),
        severity=Severity.HIGH,
        title="The database's password is kept by AWS",
        why="A password in code, state or plan is known to whoever reads them, and a recovery brings it back unchanged.",
        change="Set manage_master_user_password = true and take the password out; then change it.",
        types=tuple(_PASSWORDS),
        among=_signs_in,
        judge=_password,
        controls=(*controls.nist("IA-5"), *controls.soc2("CC6.1")),
    ),
)
