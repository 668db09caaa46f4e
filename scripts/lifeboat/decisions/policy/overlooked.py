"""What holds data and no rule looks at: a scan says of it that it said nothing of it."""

from __future__ import annotations

from collections.abc import Iterator

from lifeboat.decisions.policy import buckets
from lifeboat.decisions.policy.coverage import BACKUP_TYPES, with_data, without_data
from lifeboat.decisions.policy.planned import Planned, Resource, Undecided

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

# LB_COV_2 asks these only where they say that they hold data: most hold what can be made anew.
_ON_REQUEST = ("aws_s3_bucket", "aws_dynamodb_table")


def remarks(plan: Planned) -> Iterator[str]:
    """Yield a line for each type of which a plan has any that may hold data and that no rule asks about."""
    for kind, service in OVERLOOKED.items():
        found = plan.of(kind)
        if found:
            yield f"no rule looks at {service}: nothing is said of the copies of {kind} ({len(found)} in the plan)"
    for kind in _ON_REQUEST:
        silent = [one for one in plan.of(kind) if not _says_what_for(one)]
        if silent:
            yield (
                f"nothing is said of the copies of {kind} without the tag lifeboat:data ({len(silent)} in the plan,"
                f" {silent[0].address} for one)"
            )


def _says_what_for(resource: Resource) -> bool:
    """Return whether a bucket or table is looked at, or says that it holds no data."""
    try:
        told = with_data(resource) or without_data(resource)
        return told or buckets.has_role(resource) or resource.body.known("hash_key") == "LockID"
    except Undecided:
        return False
