"""Cases of the rules on the plan itself."""

from __future__ import annotations

from tests.policies.cases.case import absent, bad, clean, undecided
from tests.policies.plans import PlanFile


def _changed(kind: str, *actions: str) -> PlanFile:
    return PlanFile().add("aws_vpc.this").add(f"{kind}.this", {"name": "x"}, actions=actions)


def _schedule(name: str, *actions: str) -> PlanFile:
    return PlanFile().add("aws_vpc.this").add("aws_scheduler_schedule.this", {"name": name}, actions=actions)


CASES = (
    clean("LB_TF_1", "passing", PlanFile().add("aws_vpc.this").check("check", "check.health", "pass")),
    clean(
        "LB_TF_1",
        "a condition that the apply will ask",
        PlanFile().add("aws_vpc.this").check("resource", "aws_vpc.this", "unknown"),
    ),
    bad(
        "LB_TF_1",
        "failing",
        PlanFile().add("aws_vpc.this").check("check", "check.health", "fail", "no backup for 3 days"),
        "the check fails",
    ),
    bad(
        "LB_TF_1",
        "an error",
        PlanFile().add("aws_vpc.this").check("check", "check.health", "error"),
        "the check cannot be made: it ends with an error",
    ),
    undecided(
        "LB_TF_1",
        "a check of what is made in the same apply",
        PlanFile().add("aws_vpc.this").check("check", "check.health", "unknown"),
        "check.health: whether the check passes is known only after the apply",
    ),
    absent("LB_TF_1", "no check", PlanFile().add("aws_vpc.this")),
    clean("LB_TF_2", "made", _changed("aws_backup_vault", "create")),
    clean("LB_TF_2", "changed", _changed("aws_backup_vault", "update")),
    clean("LB_TF_2", "as it is", _changed("aws_backup_vault", "no-op")),
    clean("LB_TF_2", "forgotten", _changed("aws_backup_vault", "forget")),
    bad("LB_TF_2", "deleted", _changed("aws_backup_vault", "delete"), "the plan deletes it: it holds recovery points"),
    bad(
        "LB_TF_2",
        "replaced",
        _changed("aws_db_instance", "delete", "create"),
        "the plan replaces it: it is the database",
    ),
    bad(
        "LB_TF_2",
        "replaced, the new one first",
        _changed("aws_kms_key", "create", "delete"),
        "the plan replaces it: what it encrypted can never be read again",
    ),
    clean("LB_TF_2", "an instance, as in every recovery", _changed("aws_instance", "delete", "create")),
    *(
        bad("LB_TF_2", f"deleted: {kind}", _changed(kind, "delete"), f"the plan deletes it: {why}")
        for kind, why in (
            ("aws_docdb_cluster", "its data goes with it"),
            ("aws_neptune_cluster_snapshot", "it is a copy of the database"),
            ("aws_rds_cluster_snapshot_copy", "it is a copy of the database"),
            ("aws_kms_external_key", "what it encrypted can never be read again"),
            ("aws_rds_global_cluster", "it is the database in more than one region"),
            ("aws_fsx_windows_file_system", "its data goes with it"),
            ("aws_backup_selection", "what it selects is copied no more"),
        )
    ),
    clean("LB_TF_2", "a selection that is made anew", _changed("aws_backup_selection", "delete", "create")),
    bad(
        "LB_TF_2",
        "the schedule of the dumps",
        _schedule("app-dump", "delete"),
        "the plan deletes it: it makes the dumps",
    ),
    clean("LB_TF_2", "the schedule of the dumps, made anew", _schedule("app-dump", "delete", "create")),
    clean("LB_TF_2", "another schedule", _schedule("app-mail", "delete")),
)
