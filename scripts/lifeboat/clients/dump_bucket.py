"""The bucket that dumps lie in: the key that it encrypts with, and the tags by which its rules expire objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lifeboat.clients import sdk
from lifeboat.clients.sdk import translated
from lifeboat.database_model import ExpiryRule
from lifeboat.errors import Refused

_MOST_TAGS = 10  # of one object (S3 user guide, "Categorizing your objects using tags")


class DumpBucket:
    """One bucket of dumps, in its region."""

    def __init__(self, *, s3: Any, bucket: str, region: str) -> None:
        self._s3 = s3
        self.bucket = bucket
        self.region = region

    def key(self) -> str | None:
        """Return the ARN or alias of the KMS key that new objects are encrypted with; None where it is not one of KMS."""
        with translated(f"read how s3://{self.bucket} encrypts"):
            rules = self._s3.get_bucket_encryption(Bucket=self.bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        found = [rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID") for rule in rules]
        return next((str(key) for key in found if key), None)

    def expiry_rules(self) -> list[ExpiryRule]:
        """Return the rules in force that expire current objects after days."""
        with translated(f"read the lifecycle rules of s3://{self.bucket}"):
            answer = sdk.unless_absent(
                ("NoSuchLifecycleConfiguration",),
                lambda: self._s3.get_bucket_lifecycle_configuration(Bucket=self.bucket)["Rules"],
            )
        return [_rule(r) for r in answer or [] if r["Status"] == "Enabled" and "Days" in r.get("Expiration", {})]

    def keys(self, prefix: str) -> list[str]:
        """Return the keys of all objects below a dump's prefix: its files, proofs and marks; not what is deleted."""
        with translated(f"list s3://{self.bucket}/{prefix}"):
            found = sdk.s3_items(self._s3, "list_objects_v2", "Contents", bucket=self.bucket, prefix=prefix)
            return [str(entry["Key"]) for entry in found]

    def tags(self, key: str) -> dict[str, str]:
        """Return the tags of an object."""
        with translated(f"read the tags of s3://{self.bucket}/{key}"):
            return sdk.tags(self._s3.get_object_tagging(Bucket=self.bucket, Key=key)["TagSet"])

    def tag(self, key: str, name: str, value: str) -> None:
        """Give an object a tag beside those that it has; raises Refused where S3 takes no more."""
        tags = {**self.tags(key), name: value}
        if len(tags) > _MOST_TAGS:
            raise Refused(f"s3://{self.bucket}/{key} has {_MOST_TAGS} tags, and S3 takes no more")
        with translated(
            f"tag s3://{self.bucket}/{key}",
            hint="where permissions refuse it: the role that may is the restore operator's",
        ):
            self._s3.put_object_tagging(Bucket=self.bucket, Key=key, Tagging={"TagSet": sdk.pairs(tags)})


def _rule(rule: Mapping[str, Any]) -> ExpiryRule:
    only = rule.get("Filter", {})
    both = only.get("And", {})
    return ExpiryRule(
        name=rule.get("ID", ""),
        prefix=both.get("Prefix") or only.get("Prefix") or rule.get("Prefix") or "",
        tags=sdk.tags([*both.get("Tags", []), *([only["Tag"]] if "Tag" in only else [])]),
        days=int(rule["Expiration"]["Days"]),
    )
