"""ARNs of resources that may not exist yet, and the patterns with wildcards that AWS Backup selects them by."""

from __future__ import annotations

from fnmatch import fnmatchcase

from lifeboat.decisions.policy.planned import Resource

_NOT_MADE = "\0"  # in the place of what AWS will choose; no pattern but a wildcard matches it
# Service, what stands before the name in the ARN, and which value the name is. What has none is named by AWS.
_FORMS: dict[str, tuple[str, str, str | None]] = {
    "aws_db_instance": ("rds", "db:", "identifier"),
    "aws_rds_cluster": ("rds", "cluster:", "cluster_identifier"),
    "aws_docdb_cluster": ("rds", "cluster:", "cluster_identifier"),
    "aws_neptune_cluster": ("rds", "cluster:", "cluster_identifier"),
    "aws_ebs_volume": ("ec2", "volume/", None),
    "aws_instance": ("ec2", "instance/", None),
    "aws_efs_file_system": ("elasticfilesystem", "file-system/", None),
    "aws_fsx_lustre_file_system": ("fsx", "file-system/", None),
    "aws_fsx_ontap_volume": ("fsx", "volume/", None),
    "aws_fsx_openzfs_file_system": ("fsx", "file-system/", None),
    "aws_fsx_windows_file_system": ("fsx", "file-system/", None),
    "aws_dynamodb_table": ("dynamodb", "table/", "name"),
    "aws_s3_bucket": ("s3", "", "bucket"),
}


def matches(pattern: str, resource: Resource) -> bool:
    """Return whether a pattern of an ARN means a resource; an account that is not known yet is taken for the right one."""
    if pattern == "*":
        return True
    arn = resource.body.known("arn")
    if arn is not None:
        return fnmatchcase(arn, pattern)
    form, parts = _FORMS.get(resource.type), pattern.split(":", 5)
    if form is None or len(parts) != 6:
        return False
    service, before, name = form
    own = before + ((resource.body.known(name) if name is not None else None) or resource.body.known("id") or _NOT_MADE)
    in_region = resource.type == "aws_s3_bucket" or resource.region is None or fnmatchcase(resource.region, parts[3])
    return fnmatchcase(service, parts[2]) and in_region and fnmatchcase(own, parts[5])


def region_of(arn: str) -> str | None:
    """Return the region that an ARN names; None for one without, and for what is no ARN."""
    parts = arn.split(":")
    return parts[3] or None if len(parts) >= 6 and parts[0] == "arn" else None
