"""Checks of what keeps a state from being lost: versions, policies that let nobody remove one, and the copy elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping

from lifeboat.decisions import state_mending
from lifeboat.decisions import state_verdicts as verdicts
from lifeboat.decisions.policy import statements
from lifeboat.decisions.state_observation import Look, Observation
from lifeboat.decisions.state_verdicts import Outcome
from lifeboat.state_model import CopyRule

# Who may do them can let an overwritten state be gone for good.
GUARDED = ("s3:DeleteObjectVersion", "s3:PutBucketVersioning")
_PUT_VERSIONING, _PUT_POLICY = "s3:PutBucketVersioning", "s3:PutBucketPolicy"
_PUT_REPLICATION = "s3:PutReplicationConfiguration"


def denied(policy: str | None, bucket: str) -> Mapping[str, frozenset[str]]:
    """Return what a bucket's policy keeps everybody from, and whom it leaves out of each: patterns of their ARNs.

    Empty without a policy. Raises Undecided for what is no policy.
    """
    asked = (*GUARDED, _PUT_POLICY, _PUT_REPLICATION)
    found = {} if policy is None else {action: statements.left_out(policy, action, bucket) for action in asked}
    return {action: who for action, who in found.items() if who is not None}


def versioning(seen: Observation) -> Outcome:
    """Does the bucket keep what is overwritten?"""
    if hidden := verdicts.unseen(seen.bucket):
        return hidden
    if seen.bucket.found is None:
        return verdicts.moot("there is no bucket")
    if seen.bucket.found == "Enabled":
        return verdicts.good("enabled: what is overwritten can be gone back to")
    if hidden := verdicts.unseen(seen.denied):
        return hidden
    name, how = seen.roots[0].place.bucket, seen.bucket.found.lower() or "off"
    return verdicts.warning(
        f"versioning of {name} is {how}: an overwritten state is lost",
        f"versioning enabled{_by_whom(seen.denied, _PUT_VERSIONING)}",
        _allowed(seen, seen.denied, _PUT_VERSIONING, state_mending.versioned(name)),
    )


def replica_bucket(seen: Observation) -> Outcome:
    """Is the bucket in the other region there, and can S3 copy to it?"""
    if hidden := verdicts.unseen(seen.replica_bucket):
        return hidden
    if seen.replica_bucket.found == "Enabled":
        return verdicts.good(f"{seen.replica_name} answers, and is versioned")
    if seen.replica_bucket.found is None:
        if seen.bucket.found is None and not seen.bucket.unseen:
            return verdicts.moot("neither bucket is there")
        return verdicts.warning(
            f"there is no replica bucket {seen.replica_name}: the state has no copy in another region",
            "a copy of each version in the other region",
            "lifeboat apply",
        )
    if hidden := verdicts.unseen(seen.replica_denied):
        return hidden
    how = seen.replica_bucket.found.lower() or "off"
    region = f" --region {seen.replica_region}"
    return verdicts.warning(
        f"versioning of {seen.replica_name} is {how}: S3 copies nothing to it",
        f"enabled{_by_whom(seen.replica_denied, _PUT_VERSIONING)}",
        seen.as_break_glass(state_mending.versioned(seen.replica_name) + region)
        if _PUT_VERSIONING in (seen.replica_denied.found or ())
        else "lifeboat apply",
    )


def guards(seen: Observation) -> Outcome:
    """Do the policies of both buckets keep everybody from removing a version, and from letting none be kept?"""
    if hidden := verdicts.unseen(seen.bucket, seen.replica_bucket, seen.denied, seen.replica_denied):
        return hidden
    both = (
        (seen.roots[0].place.bucket, seen.roots[0].place.region, seen.bucket, seen.denied),
        (seen.replica_name, seen.replica_region, seen.replica_bucket, seen.replica_denied),
    )
    there = [(name, region, denied) for name, region, look, denied in both if look.found is not None]
    if not there:
        return verdicts.moot("neither bucket is there")
    for name, region, denied in there:
        missing = [action for action in GUARDED if action not in (denied.found or ())]
        if missing:
            # What is left of the policy may keep an apply from writing it anew.
            removed = f"aws s3api delete-bucket-policy --bucket {name} --region {region}"
            stuck = _PUT_POLICY in (denied.found or ())
            return verdicts.warning(
                f"the policy of {name} keeps nobody from {' and '.join(missing)}: a version of the state can be removed",
                f"a policy that denies it{_by_whom(denied, _PUT_POLICY)}",
                f"{seen.as_break_glass(removed)} && lifeboat apply" if stuck else "lifeboat apply",
            )
    but = sorted(
        {who.split(":", 5)[-1] for *_, denied in there for action in GUARDED for who in (denied.found or {})[action]}
    )
    nobody = f"nobody but {', '.join(but)}" if but else "nobody"
    return verdicts.good(f"of {' and '.join(name for name, *_ in there)} {nobody} removes a version")


def replication(seen: Observation) -> Outcome:
    """Is there a rule by which S3 copies the states to the other region?"""
    if hidden := verdicts.unseen(seen.bucket, seen.replica_bucket, seen.rules, seen.denied, seen.replica_key):
        return hidden
    if seen.bucket.found is None or seen.replica_bucket.found is None:
        return verdicts.moot("without both buckets there is nothing to copy")
    name, rules = seen.roots[0].place.bucket, seen.rules.found or ()
    keys = [root.place.key for root in seen.roots]
    left = [key for key in keys if not any(_copies(rule, key, seen.replica_name) for rule in rules)]
    if not left:
        return verdicts.good(f"S3 copies {' and '.join(keys)} to {seen.replica_name}")
    by_hand = _PUT_REPLICATION in (seen.denied.found or ())
    why = "; ".join(map(_words, rules)) or "there is no rule"
    return verdicts.critical(
        f"S3 does not copy {' and '.join(left)} of {name} to {seen.replica_name}, so what is written has no copy: {why}",
        f"a rule that copies it{_by_whom(seen.denied, _PUT_REPLICATION)}",
        seen.as_break_glass(_rule_made(seen)) if by_hand else "lifeboat apply",
    )


def _copies(rule: CopyRule, key: str, to: str) -> bool:
    covers = key.startswith(rule.prefix) and not rule.by_tags
    return rule.enabled and rule.encrypted and covers and rule.destination == to


def _words(rule: CopyRule) -> str:
    what = [
        *([] if rule.enabled else ["is disabled"]),
        f"copies to {rule.destination}",
        *([f"only what begins with {rule.prefix}"] if rule.prefix else []),
        *(["only what bears certain tags"] if rule.by_tags else []),
        *([] if rule.encrypted else ["nothing that is encrypted with a key of KMS"]),
    ]
    return f"a rule {', '.join(what)}"


def _rule_made(seen: Observation) -> str:
    """Return what writes the rule as root 1 has it (modules/state-backend/replica.tf)."""
    minutes = {"Minutes": 15}
    rule = {
        "ID": f"to-{seen.replica_region}",
        "Priority": 0,
        "Status": "Enabled",
        "Filter": {},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
        "Destination": {
            "Bucket": f"arn:aws:s3:::{seen.replica_name}",
            "StorageClass": "STANDARD",
            "EncryptionConfiguration": {"ReplicaKmsKeyID": seen.replica_key.found},
            "ReplicationTime": {"Status": "Enabled", "Time": minutes},
            "Metrics": {"Status": "Enabled", "EventThreshold": minutes},
        },
    }
    configuration = json.dumps({"Role": seen.replicator, "Rules": [rule]}, separators=(",", ":"))
    place = seen.roots[0].place
    put = f"aws s3api put-bucket-replication --bucket {place.bucket} --region {place.region}"
    return f"{put} --replication-configuration '{configuration}'"


def _by_whom(denied: Look[Mapping[str, frozenset[str]]], action: str) -> str:
    if action not in (denied.found or {}):
        return ""
    names = ", ".join(sorted(who.split(":", 5)[-1] for who in (denied.found or {})[action]))
    return f"; the bucket's policy lets only {names or 'nobody'} do that"


def _allowed(seen: Observation, denied: Look[Mapping[str, frozenset[str]]], action: str, command: str) -> str:
    """Return a command as somebody types it who may: in the break-glass role, where the policy keeps all others from it."""
    return seen.as_break_glass(command) if action in (denied.found or ()) else f"{seen.shell}{command}"
