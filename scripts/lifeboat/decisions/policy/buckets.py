"""What belongs to a bucket, and which buckets hold dumps or the Terraform state, by their tag lifeboat:role or their name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lifeboat.decisions.policy import statements
from lifeboat.decisions.policy.joins import attached
from lifeboat.decisions.policy.planned import Block, Planned, Resource
from lifeboat.decisions.policy.rule import Case, Fault, Severity

_ROLE = "lifeboat:role"
_STATE = re.compile(r"(^|[-_.])(tf|terraform|tofu)[-_.]?states?($|[-_.])|(^|[-_.])states?$", re.IGNORECASE)
_DUMPS = re.compile(r"(^|[-_.])(db|database|pg|sql)?[-_.]?dumps?($|[-_.])", re.IGNORECASE)


def holds_state(case: Case) -> bool:
    """Return whether a bucket or table is for the Terraform state."""
    return _is(case.resource, "state", _STATE)


def holds_dumps(case: Case) -> bool:
    """Return whether a bucket is for dumps of a database."""
    return _is(case.resource, "dumps", _DUMPS)


def has_role(resource: Resource) -> bool:
    """Return whether a bucket says what it is for, by its tag or as one for the state or for dumps."""
    return _ROLE in resource.tags() or _is(resource, "state", _STATE) or _is(resource, "dumps", _DUMPS)


def dump_buckets(plan: Planned) -> list[Resource]:
    """Return the buckets for dumps of a database."""
    return [bucket for bucket in plan.of("aws_s3_bucket") if _is(bucket, "dumps", _DUMPS)]


def state_is_elsewhere(plan: Planned) -> bool:
    """Return whether no bucket of a plan is the state's, or each of the others says by its tag what it is for."""
    every = plan.of("aws_s3_bucket")
    if any(_is(bucket, "state", _STATE) for bucket in every):
        return True
    return all(_ROLE in bucket.tags() or _is(bucket, "dumps", _DUMPS) for bucket in every)


def all_say_what_for(plan: Planned) -> bool:
    """Return whether each bucket of a plan says by its tag what it is for, or is the state's."""
    return all(_ROLE in bucket.tags() or _is(bucket, "state", _STATE) for bucket in plan.of("aws_s3_bucket"))


def versioned(plan: Planned, bucket: Resource) -> bool:
    """Return whether versions of a bucket's objects are kept. Raises Undecided."""
    old = bucket.body.block("versioning")  # of a provider before 4
    if old is not None and old.flag("enabled"):
        return True
    for one in attached(plan, bucket, "aws_s3_bucket_versioning", "bucket"):
        configuration = one.body.block("versioning_configuration")
        if configuration is not None and configuration.text("status") == "Enabled":
            return True
    return False


def encryption(plan: Planned, bucket: Resource) -> list[Block]:
    """Return how new objects of a bucket are encrypted, one block for each rule. Raises Undecided."""
    own = [bucket.body] if bucket.body.blocks("server_side_encryption_configuration") else []
    rules = [
        rule
        for body in own
        for configuration in body.blocks("server_side_encryption_configuration")
        for rule in configuration.blocks("rule")
    ]
    for one in attached(plan, bucket, "aws_s3_bucket_server_side_encryption_configuration", "bucket"):
        rules += one.body.blocks("rule")
    return [found for rule in rules for found in rule.blocks("apply_server_side_encryption_by_default")]


def only_over_tls(plan: Planned, bucket: Resource) -> bool:
    """Return whether the bucket's policy denies what does not come over TLS. Raises Undecided."""
    policies = attached(plan, bucket, "aws_s3_bucket_policy", "bucket")
    texts = [text for policy in policies if (text := policy.body.text("policy")) is not None]
    return any(statements.denies_plain_text(text, bucket.body.known("bucket")) for text in texts)


def lifecycle_rules(plan: Planned, bucket: Resource) -> Iterator[Block]:
    """Yield the enabled lifecycle rules of a bucket. Raises Undecided."""
    for one in attached(plan, bucket, "aws_s3_bucket_lifecycle_configuration", "bucket"):
        for rule in one.body.blocks("rule"):
            if rule.text("status") == "Enabled":
                yield rule
    for rule in bucket.body.blocks("lifecycle_rule"):
        if rule.flag("enabled"):
            yield rule


def expiry_days(rule: Block) -> float | None:
    """Return after how many days a rule lets current objects expire; 0 at a date, None where it does not. Raises Undecided."""
    expiration = rule.block("expiration")
    if expiration is None:
        return None
    if expiration.text("date") is not None:
        return 0
    return expiration.number("days") or None


def superseded_days(rule: Block) -> float | None:
    """Return after how many days a rule deletes what was superseded, None where it does not. Raises Undecided."""
    days = [old.number("noncurrent_days") or old.number("days") for old in rule.blocks("noncurrent_version_expiration")]
    return min((one for one in days if one is not None), default=None)


def filtered_by(rule: Block) -> tuple[str, dict[str, str | None]]:
    """Return the prefix and the tags of the objects that a rule is for. Raises Undecided."""
    prefix, tags = rule.text("prefix") or "", {**rule.mapping("tags")}
    for one in rule.blocks("filter"):
        prefix = one.text("prefix") or prefix
        for tag in one.blocks("tag"):
            tags[tag.text("key") or ""] = tag.text("value")
        for both in one.blocks("and"):
            prefix = both.text("prefix") or prefix
            tags |= both.mapping("tags")
    return prefix, tags


def emptied(case: Case) -> Iterable[Fault]:
    """Yield the fault of a bucket that Terraform empties where it is destroyed: the one thing that stops it is data in it."""
    if not case.parameters.disposable and case.resource.body.flag("force_destroy"):
        yield Fault(
            found="force_destroy is true: a destroy deletes everything in it first",
            wanted="force_destroy = false",
            change="Set it to false.",
            severity=Severity.HIGH,
        )


def without_tls(case: Case) -> Iterable[Fault]:
    """Yield the fault of a bucket that takes what does not come over TLS."""
    if not only_over_tls(case.plan, case.resource):
        yield Fault(
            found="its policy does not deny what comes without TLS",
            wanted="a Deny of s3:* for everybody with aws:SecureTransport = false",
            change="Add the statement to the bucket's policy.",
        )


def _is(resource: Resource, role: str, name: re.Pattern[str]) -> bool:
    found = resource.tags().get(_ROLE)
    if found is not None:
        return found.startswith(role.removesuffix("s"))
    body = resource.body
    names = (body.known("bucket"), body.known("name"), (body.known("bucket_prefix") or "").rstrip("-_."), resource.name)
    return any(name.search(text) for text in names if text)
