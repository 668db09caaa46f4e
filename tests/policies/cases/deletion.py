"""Cases of the rule on what keeps a database from being deleted."""

from __future__ import annotations

from tests.policies.cases.case import absent, bad, clean, undecided
from tests.policies.cases.databases import CLUSTER, cluster, database
from tests.policies.plans import COMPUTED, PlanFile, known, later

_OPEN = "nothing protects it from being deleted"


def _measured(plan: PlanFile, **variables: object) -> PlanFile:
    plan.variables |= variables
    return plan


CASES = (
    clean("LB_RDS_7", "on", database()),
    clean("LB_RDS_7", "on, by an expression", database(deletion_protection=known(True, "var.teardown"))),
    bad("LB_RDS_7", "off", database(deletion_protection=False), _OPEN),
    bad("LB_RDS_7", "off, by an expression", database(deletion_protection=known(False, "var.teardown")), _OPEN),
    bad("LB_RDS_7", "not said", database(deletion_protection=None), _OPEN),
    bad("LB_RDS_7", "not said, and AWS's own", database(deletion_protection=COMPUTED), _OPEN),
    clean("LB_RDS_7", "a cluster", cluster()),
    bad("LB_RDS_7", "a cluster without", cluster(deletion_protection=False), _OPEN),
    bad(
        "LB_RDS_7", "documents", PlanFile().add("aws_docdb_cluster.d", {**CLUSTER, "deletion_protection": False}), _OPEN
    ),
    bad(
        "LB_RDS_7", "a graph", PlanFile().add("aws_neptune_cluster.g", {**CLUSTER, "deletion_protection": False}), _OPEN
    ),
    undecided(
        "LB_RDS_7",
        "known later",
        database(deletion_protection=later("aws_ssm_parameter.p.value")),
        "aws_db_instance.this: deletion_protection is known only after the apply",
    ),
    absent("LB_RDS_7", "a replica", database(deletion_protection=False, replicate_source_db="app-g0")),
    absent("LB_RDS_7", "of no worth", _measured(database(deletion_protection=False), disposable=True)),
    absent(
        "LB_RDS_7",
        "of no worth, by policy",
        _measured(database(deletion_protection=False), policy={"disposable": True}),
    ),
    bad("LB_RDS_7", "of worth", _measured(database(deletion_protection=False), disposable=False), _OPEN),
    clean("LB_RDS_1", "documents", PlanFile().add("aws_docdb_cluster.d", CLUSTER)),
    bad(
        "LB_RDS_1",
        "documents of a day",
        PlanFile().add("aws_docdb_cluster.d", {**CLUSTER, "backup_retention_period": 2}),
        "automated backups are kept for 2 days",
    ),
    bad(
        "LB_RDS_3",
        "documents without a snapshot",
        PlanFile().add("aws_docdb_cluster.d", {**CLUSTER, "skip_final_snapshot": True}),
        "skip_final_snapshot is true",
    ),
)
