"""Cases of the rules on coverage."""

from __future__ import annotations

from typing import Any

from tests.policies.cases.case import absent, bad, clean, undecided
from tests.policies.plans import HERE, HIDDEN, THERE, PlanFile, known, later

DAILY = {"lifeboat:protect": "daily"}
_NONE = "no backup selection and no lifecycle policy takes copies of it"
_NOTHING = "it matches nothing in this plan"


def volume(**tags: str) -> PlanFile:
    """Return a plan with a volume that bears tags."""
    return PlanFile().add("aws_ebs_volume.data", {"tags": tags or DAILY})


def with_policy(plan: PlanFile, *, region: str = HERE, **over: Any) -> PlanFile:
    """Add a lifecycle policy that takes volumes with the daily tag."""
    details = {"policy_type": "EBS_SNAPSHOT_MANAGEMENT", "resource_types": ["VOLUME"], "target_tags": DAILY, **over}
    return plan.add("aws_dlm_lifecycle_policy.daily", {"state": "ENABLED", "policy_details": [details]}, region=region)


def with_selection(plan: PlanFile, **values: Any) -> PlanFile:
    """Add a selection of AWS Backup."""
    return plan.add("aws_backup_selection.this", {"plan_id": "p", **values})


def _database(**over: Any) -> PlanFile:
    return PlanFile().add("aws_db_instance.this", {"identifier": "app-g1", "tags": {"backup": "plan"}, **over})


def _condition(key: str, value: str, how: str = "string_equals") -> list[dict[str, Any]]:
    return [{how: [{"key": f"aws:ResourceTag/{key}", "value": value}]}]


def _bucket(**tags: str) -> PlanFile:
    return PlanFile().add("aws_s3_bucket.data", {"bucket": "data", "tags": tags})


_SKIP = {"skip": "1"}


def _named_by_key(*keys: str) -> PlanFile:
    """Return two volumes of one block, and a selection that names some of them."""
    found = PlanFile()
    for key in ("a", "b"):
        found.add("aws_ebs_volume.data", {"size": 1}, key=key)
    return with_selection(found, resources=[later(f'aws_ebs_volume.data["{key}"].arn') for key in keys])


def _each(volume_id: Any) -> PlanFile:
    """Return two volumes, each attached to an instance of its own; one policy takes the instances."""
    found = PlanFile()
    for key in ("a", "b"):
        found.add("aws_ebs_volume.data", {"size": 1}, key=key)
        found.add("aws_instance.app", {"tags": DAILY}, key=key)
        found.add(
            "aws_volume_attachment.data",
            {"volume_id": volume_id, "instance_id": later("aws_instance.app", "each.key")},
            key=key,
        )
    found.files = {"main": _EACH}
    return with_policy(found, resource_types=["INSTANCE"])


_EACH = """
provider "aws" {
  region = "eu-west-1"
}
resource "aws_ebs_volume" "data" {
  for_each = toset(["a", "b"])
  size     = 1
}
resource "aws_instance" "app" {
  for_each = toset(["a", "b"])
  tags     = { "lifeboat:protect" = "daily" }
}
resource "aws_volume_attachment" "data" {
  for_each    = toset(["a", "b"])
  volume_id   = aws_ebs_volume.data[each.key].id
  instance_id = aws_instance.app[each.key].id
}
resource "aws_dlm_lifecycle_policy" "daily" {
  policy_details {
    policy_type    = "EBS_SNAPSHOT_MANAGEMENT"
    resource_types = ["INSTANCE"]
    target_tags    = { "lifeboat:protect" = "daily" }
  }
}
"""


def _lost(found: PlanFile) -> PlanFile:
    found.lost_regions = True
    return found


def _attached(**parameters: Any) -> PlanFile:
    """Return a volume of an instance that a policy takes, with what it leaves out."""
    found = (
        PlanFile()
        .add("aws_instance.app", {"tags": DAILY})
        .add("aws_ebs_volume.data", {"tags": _SKIP})
        .add(
            "aws_volume_attachment.data",
            {"volume_id": later("aws_ebs_volume.data.id"), "instance_id": later("aws_instance.app.id")},
        )
    )
    return with_policy(found, resource_types=["INSTANCE"], parameters=[parameters])


def _by_default(**exclusions: Any) -> PlanFile:
    details = [{"resource_type": "VOLUME", "exclusions": [exclusions]}]
    return (
        PlanFile()
        .add("aws_ebs_volume.data", {"tags": _SKIP, "type": "gp2"})
        .add("aws_dlm_lifecycle_policy.all", {"default_policy": "VOLUME", "policy_details": details})
    )


def _tagged(found: PlanFile) -> PlanFile:
    return with_selection(found, selection_tag=[{"type": "STRINGEQUALS", "key": "backup", "value": "plan"}])


def _opted(off: str, found: PlanFile) -> PlanFile:
    """Add the settings of a region in which one type is switched off."""
    types = {**dict.fromkeys(("EBS", "RDS", "Aurora"), True), off: False}
    return found.add("aws_backup_region_settings.this", {"resource_type_opt_in_preference": types})


_FILES = PlanFile().add("aws_fsx_windows_file_system.share", {"storage_capacity": 32})
CASES = (
    bad(
        "LB_COV_1",
        "files of Windows that nothing takes",
        _FILES,
        "no backup selection and no lifecycle policy takes copies of it",
    ),
    clean(
        "LB_COV_1",
        "files of Windows",
        with_selection(
            PlanFile().add("aws_fsx_windows_file_system.share", {"storage_capacity": 32}),
            resources=["arn:aws:fsx:*:*:file-system/*"],
        ),
    ),
    bad(
        "LB_COV_1",
        "a volume of ONTAP beside the file systems",
        with_selection(
            PlanFile().add("aws_fsx_ontap_volume.data", {"name": "data"}), resources=["arn:aws:fsx:*:*:file-system/*"]
        ),
        "no backup selection and no lifecycle policy takes copies of it",
    ),
    clean("LB_COV_1", "a volume by its tag", with_policy(volume())),
    clean("LB_COV_1", "a volume by one of two tags", with_policy(volume(), target_tags={**DAILY, "x": "y"})),
    bad("LB_COV_1", "a tag that is misspelt", with_policy(volume(**{"lifeboat:protect": "dayly"})), _NONE),
    bad("LB_COV_1", "a tag in other letters", with_policy(volume(**{"Lifeboat:protect": "daily"})), _NONE),
    bad("LB_COV_1", "a policy on instances", with_policy(volume(), resource_types=["INSTANCE"]), _NONE),
    bad("LB_COV_1", "a policy of another region", with_policy(volume(), region=THERE), _NONE),
    bad("LB_COV_1", "a policy on events", with_policy(volume(), policy_type="EVENT_BASED_POLICY"), _NONE),
    clean(
        "LB_COV_1",
        "a default policy",
        volume(a="b").add("aws_dlm_lifecycle_policy.all", {"default_policy": "VOLUME", "policy_details": [{}]}),
    ),
    clean(
        "LB_COV_1",
        "a volume of an instance that is covered",
        with_policy(
            PlanFile()
            .add("aws_instance.app", {"tags": DAILY})
            .add("aws_ebs_volume.data", {})
            .add(
                "aws_volume_attachment.data",
                {"volume_id": later("aws_ebs_volume.data.id"), "instance_id": later("aws_instance.app.id")},
            ),
            resource_types=["INSTANCE"],
        ),
    ),
    clean(
        "LB_COV_1",
        "an instance by the tag of its root volume",
        with_policy(PlanFile().add("aws_instance.app", {"root_block_device": [{"tags": DAILY}]})),
    ),
    bad(
        "LB_COV_1", "an instance whose volumes bear no tag", with_policy(PlanFile().add("aws_instance.app", {})), _NONE
    ),
    absent("LB_COV_1", "a volume that says it holds no data", volume(**{"lifeboat:data": "false"})),
    clean(
        "LB_COV_1",
        "a database by reference",
        with_selection(_database(), resources=[later("aws_db_instance.this.arn")]),
    ),
    clean(
        "LB_COV_1",
        "a database by its ARN before it is made",
        with_selection(_database(), resources=["arn:aws:rds:eu-west-1:123456789012:db:app-g1"]),
    ),
    bad(
        "LB_COV_1",
        "the ARN of another database",
        with_selection(_database(), resources=["arn:aws:rds:eu-west-1:123456789012:db:app-g2"]),
        _NONE,
    ),
    bad(
        "LB_COV_1",
        "an ARN of another region",
        with_selection(_database(), resources=["arn:aws:rds:eu-central-1:123456789012:db:app-g1"]),
        _NONE,
    ),
    clean("LB_COV_1", "a selection that names nothing takes all", with_selection(_database())),
    bad(
        "LB_COV_1",
        "all but databases",
        with_selection(_database(), not_resources=["arn:aws:rds:*:*:*"]),
        _NONE,
    ),
    clean("LB_COV_1", "a database by a wildcard", with_selection(_database(), resources=["arn:aws:rds:*:*:db:*"])),
    bad(
        "LB_COV_1", "a wildcard of volumes", with_selection(_database(), resources=["arn:aws:ec2:*:*:volume/*"]), _NONE
    ),
    clean("LB_COV_1", "a volume by a wildcard", with_selection(volume(), resources=["arn:aws:ec2:*:*:volume/*"])),
    bad(
        "LB_COV_1",
        "a volume by an id that is not its own",
        with_selection(volume(), resources=["arn:aws:ec2:*:*:volume/vol-1"]),
        _NONE,
    ),
    bad(
        "LB_COV_1",
        "everything but this one",
        with_selection(_database(), resources=["*"], not_resources=["arn:aws:rds:*:*:db:app-*"]),
        _NONE,
    ),
    clean(
        "LB_COV_1",
        "by a condition",
        with_selection(_database(), resources=["*"], condition=_condition("backup", "plan")),
    ),
    bad(
        "LB_COV_1",
        "a condition on another value",
        with_selection(_database(), resources=["*"], condition=_condition("backup", "plans")),
        _NONE,
    ),
    bad(
        "LB_COV_1",
        "one of two conditions",
        with_selection(
            _database(),
            resources=["*"],
            condition=[
                {
                    "string_equals": [
                        {"key": "aws:ResourceTag/backup", "value": "plan"},
                        {"key": "aws:ResourceTag/env", "value": "prod"},
                    ]
                }
            ],
        ),
        _NONE,
    ),
    clean(
        "LB_COV_1",
        "a condition with a wildcard",
        with_selection(_database(), resources=["*"], condition=_condition("backup", "pl*", "string_like")),
    ),
    bad(
        "LB_COV_1",
        "a condition that leaves it out",
        with_selection(_database(), resources=["*"], condition=_condition("backup", "plan", "string_not_equals")),
        _NONE,
    ),
    clean(
        "LB_COV_1",
        "by one of two selection tags",
        with_selection(
            _database(),
            selection_tag=[
                {"type": "STRINGEQUALS", "key": "env", "value": "prod"},
                {"type": "STRINGEQUALS", "key": "backup", "value": "plan"},
            ],
        ),
    ),
    bad(
        "LB_COV_1",
        "a selection tag with another value",
        with_selection(_database(), selection_tag=[{"type": "STRINGEQUALS", "key": "backup", "value": "daily"}]),
        _NONE,
    ),
    undecided(
        "LB_COV_1",
        "a selection whose ARNs a local hides",
        with_selection(_database(), resources=later("local.arns")),
        "aws_backup_selection.this: which resources it names is known only after the apply",
    ),
    absent("LB_COV_1", "nothing that holds data", PlanFile().add("aws_vpc.this")),
    absent("LB_COV_2", "a bucket that says nothing", _bucket()),
    clean(
        "LB_COV_2",
        "a bucket in a selection",
        with_selection(_bucket(**{"lifeboat:data": "true"}), resources=["arn:aws:s3:::*"]),
    ),
    bad(
        "LB_COV_2",
        "a bucket with versions alone",
        _bucket(**{"lifeboat:data": "true"}).add(
            "aws_s3_bucket_versioning.data",
            {"bucket": later("aws_s3_bucket.data.id"), "versioning_configuration": [{"status": "Enabled"}]},
        ),
        "it holds data (tag lifeboat:data = true) and nothing takes copies of it",
    ),
    clean(
        "LB_COV_2",
        "a bucket with versions and a replica",
        _bucket(**{"lifeboat:data": "true"})
        .add(
            "aws_s3_bucket_versioning.data",
            {"bucket": later("aws_s3_bucket.data.id"), "versioning_configuration": [{"status": "Enabled"}]},
        )
        .add("aws_s3_bucket_replication_configuration.data", {"bucket": "data"}),
    ),
    bad(
        "LB_COV_2",
        "a bucket whose versions are suspended",
        _bucket(**{"lifeboat:data": "true"})
        .add(
            "aws_s3_bucket_versioning.data",
            {"bucket": later("aws_s3_bucket.data.id"), "versioning_configuration": [{"status": "Suspended"}]},
        )
        .add("aws_s3_bucket_replication_configuration.data", {"bucket": "data"}),
        "it holds data (tag lifeboat:data = true) and nothing takes copies of it",
    ),
    clean(
        "LB_COV_2",
        "a table with recovery",
        PlanFile().add(
            "aws_dynamodb_table.data",
            {"name": "data", "tags": {"lifeboat:data": "true"}, "point_in_time_recovery": [{"enabled": True}]},
        ),
    ),
    bad(
        "LB_COV_2",
        "a table without recovery",
        PlanFile().add(
            "aws_dynamodb_table.data",
            {"name": "data", "tags": {"lifeboat:data": "true"}, "point_in_time_recovery": [{"enabled": False}]},
        ),
        "it holds data (tag lifeboat:data = true) and nothing takes copies of it",
    ),
    clean("LB_COV_3", "a policy with a volume", with_policy(volume())),
    bad(
        "LB_COV_3",
        "a policy whose tag is misspelt",
        with_policy(volume(), target_tags={"lifeboat:protect": "dayly"}),
        _NOTHING,
    ),
    bad(
        "LB_COV_3",
        "a selection that matches nothing",
        with_selection(_database(), resources=["arn:aws:rds:*:*:db:x*"]),
        _NOTHING,
    ),
    absent("LB_COV_3", "a plan of policies alone", with_policy(PlanFile())),
    undecided(
        "LB_COV_3",
        "tags that come of something made in the same apply",
        with_policy(PlanFile().add("aws_ebs_volume.data", {"tags": {"lifeboat:protect": later("local.tag")}})),
        "aws_ebs_volume.data: its tag lifeboat:protect is known only after the apply",
    ),
    clean(
        "LB_COV_3",
        "a tag that is known",
        with_policy(PlanFile().add("aws_ebs_volume.data", {"tags": {"lifeboat:protect": known("daily", "local.tag")}})),
    ),
    bad(
        "LB_COV_1",
        "a selection that names another instance",
        _named_by_key("a"),
        _NONE,
    ),
    clean("LB_COV_1", "a selection that names each instance", _named_by_key("a", "b")),
    undecided(
        "LB_COV_1",
        "a selection whose tags nobody knows how many",
        with_selection(_database(), selection_tag=HIDDEN),
        "aws_backup_selection.this: how many selection_tag it has is known only after the apply",
    ),
    undecided(
        "LB_COV_1",
        "a policy that may be in another region",
        _lost(with_policy(volume(), region=THERE)),
        "aws_dlm_lifecycle_policy.daily: whether it is in the region of aws_ebs_volume.data is not in the plan",
    ),
    clean("LB_COV_1", "a policy in the same region, whichever it is", _lost(with_policy(volume()))),
    bad("LB_COV_1", "a volume that its instance's policy leaves out", _attached(exclude_data_volume_tags=_SKIP), _NONE),
    clean("LB_COV_1", "a volume that has none of the tags", _attached(exclude_data_volume_tags={"skip": "2"})),
    bad(
        "LB_COV_1",
        "an instance whose root volume is left out",
        with_policy(
            PlanFile().add("aws_instance.app", {"tags": DAILY}),
            resource_types=["INSTANCE"],
            parameters=[{"exclude_boot_volume": True}],
        ),
        _NONE,
    ),
    clean(
        "LB_COV_1",
        "an instance whose root volume is not",
        with_policy(
            PlanFile().add("aws_instance.app", {"tags": DAILY}),
            resource_types=["INSTANCE"],
            parameters=[{"exclude_boot_volume": False}],
        ),
    ),
    bad("LB_COV_1", "a volume that the default policy leaves out", _by_default(exclude_tags=_SKIP), _NONE),
    bad("LB_COV_1", "a volume of a type that it leaves out", _by_default(exclude_volume_types=["gp2"]), _NONE),
    clean("LB_COV_1", "a volume of another type", _by_default(exclude_volume_types=["st1"])),
    bad("LB_COV_1", "a type that AWS Backup has switched off", _opted("EBS", _tagged(volume(backup="plan"))), _NONE),
    clean("LB_COV_1", "another type that is switched off", _opted("RDS", _tagged(volume(backup="plan")))),
    clean(
        "LB_COV_1",
        "a type that is switched off and named",
        _opted("EBS", with_selection(volume(), resources=["arn:aws:ec2:*:*:volume/*"])),
    ),
    bad(
        "LB_COV_1",
        "a type that must be switched on even where it is named",
        _opted(
            "Aurora",
            with_selection(
                PlanFile().add("aws_rds_cluster.this", {"cluster_identifier": "app"}),
                resources=["arn:aws:rds:*:*:cluster:app"],
            ),
        ),
        _NONE,
    ),
    absent(
        "LB_COV_1",
        "a cluster that is the copy of another region's",
        PlanFile().add("aws_rds_cluster.this", {"cluster_identifier": "app", "replication_source_identifier": "arn"}),
    ),
    clean(
        "LB_COV_1",
        "each by its own of many",
        _each(later("aws_ebs_volume.data", "each.key")),
    ),
)
