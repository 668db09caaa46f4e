"""What root 1 puts on the buckets of the state beside their versions: a policy, and a rule that copies them elsewhere."""

from __future__ import annotations

import json
from typing import Any

from tests.gitlab_sites import ACCOUNT, DR_REGION

CALLER = f"arn:aws:iam::{ACCOUNT}:user/moto"  # what a test does to a bucket, it may do


def guard(s3: Any, bucket: str, but: str = CALLER) -> None:
    """Put a policy on a bucket that denies what root 1's does to all but those of an ARN."""
    statements = [
        (["s3:DeleteObjectVersion"], f"arn:aws:s3:::{bucket}/*"),
        (["s3:PutBucketVersioning", "s3:PutReplicationConfiguration"], f"arn:aws:s3:::{bucket}"),
    ]
    condition = {"ArnNotLike": {"aws:PrincipalArn": [but]}}
    denied = [
        {"Effect": "Deny", "Principal": "*", "Action": actions, "Resource": [resource], "Condition": condition}
        for actions, resource in statements
    ]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": denied}))


def copy(s3: Any, bucket: str, replica: str, status: str = "Enabled") -> None:
    """Put a rule on a bucket that copies all of it, as far as can be seen: there is no such role, so nothing is copied."""
    rule = {
        "ID": "to-there",
        "Priority": 0,
        "Status": status,
        "Filter": {},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
        "Destination": {
            "Bucket": f"arn:aws:s3:::{replica}",
            "EncryptionConfiguration": {"ReplicaKmsKeyID": f"arn:aws:kms:{DR_REGION}:{ACCOUNT}:alias/none"},
        },
    }
    configuration = {"Role": f"arn:aws:iam::{ACCOUNT}:role/nobody", "Rules": [rule]}
    s3.put_bucket_replication(Bucket=bucket, ReplicationConfiguration=configuration)
