"""What holds data and no rule looks at: a scan says of it that it said nothing of it."""

from __future__ import annotations

from collections.abc import Iterator

from lifeboat.decisions.policy.coverage import BACKUP_TYPES
from lifeboat.decisions.policy.planned import Planned

_STORES = {
    "aws_docdbelastic_cluster": "DocumentDB Elastic",
    "aws_elasticache_cluster": "ElastiCache",
    "aws_elasticache_replication_group": "ElastiCache",
    "aws_elasticsearch_domain": "OpenSearch",
    "aws_keyspaces_table": "Keyspaces",
    "aws_memorydb_cluster": "MemoryDB",
    "aws_opensearch_domain": "OpenSearch",
    "aws_opensearchserverless_collection": "OpenSearch Serverless",
    "aws_redshift_cluster": "Redshift",
    "aws_redshiftserverless_namespace": "Redshift Serverless",
    "aws_storagegateway_cached_iscsi_volume": "Storage Gateway",
    "aws_storagegateway_stored_iscsi_volume": "Storage Gateway",
    "aws_timestreamwrite_table": "Timestream",
}
# What LB_COV_1 and LB_COV_2 ask about is not overlooked.
OVERLOOKED = {kind: service for kind, service in _STORES.items() if kind not in BACKUP_TYPES}


def remarks(plan: Planned) -> Iterator[str]:
    """Yield a line for each type that a plan has, that holds data and that no rule asks about."""
    for kind, service in OVERLOOKED.items():
        found = plan.of(kind)
        if found:
            yield f"no rule looks at {service}: nothing is said of the copies of {kind} ({len(found)} in the plan)"
