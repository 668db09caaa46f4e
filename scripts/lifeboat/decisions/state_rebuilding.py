"""How a state of which no version is left is made anew of what exists: what may stand in it, and what forbids it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lifeboat.decisions import adoption, plans
from lifeboat.decisions.adoption import How
from lifeboat.model import Address, Candidate, Owner, StateMark, Wanted, state_address
from lifeboat.state_model import OwnedThing, StateEntry, VersionId, Whose

# Of these an apply makes an empty second one, or one that is found under another name.
HOLDS_DATA = frozenset({*plans.PROTECTED, "aws_ebs_volume", "aws_instance", "aws_route53_zone"})
# How Terraform is to work, or what AWS is told and never tells: the provider reads none of these back, and an import
# leaves them empty or at what the importer invents (hashicorp/aws 5.100, Importer and Read of each resource).
NOT_IN_AWS: Mapping[str, tuple[str, ...]] = {
    "aws_backup_vault": ("force_destroy",),
    "aws_backup_vault_lock_configuration": ("changeable_for_days",),
    "aws_cloudwatch_event_rule": ("force_destroy",),
    "aws_cloudwatch_event_target": ("force_destroy",),
    "aws_cloudwatch_log_group": ("skip_destroy",),
    "aws_db_instance": (
        "allow_major_version_upgrade",
        "apply_immediately",
        "delete_automated_backups",
        "final_snapshot_identifier",
        "skip_final_snapshot",
    ),
    "aws_db_parameter_group": ("skip_destroy",),
    "aws_default_security_group": ("revoke_rules_on_delete",),
    "aws_ecs_task_definition": ("skip_destroy", "track_latest"),
    "aws_eip_association": ("allow_reassociation",),
    "aws_iam_role": ("force_detach_policies",),
    "aws_instance": ("user_data_replace_on_change",),
    "aws_kms_key": ("bypass_policy_lockout_safety_check", "deletion_window_in_days"),
    "aws_route53_record": ("allow_overwrite",),
    "aws_route53_zone": ("force_destroy",),
    "aws_s3_bucket": ("force_destroy",),
    "aws_secretsmanager_secret": ("force_overwrite_replica_secret", "recovery_window_in_days"),
    "aws_security_group": ("revoke_rules_on_delete",),
    "aws_sns_topic_subscription": ("confirmation_timeout_in_minutes", "endpoint_auto_confirms"),
}
# Blocks of an instance whose tags an import takes for the volume's own, those that the provider gives to everything too.
_VOLUMES = ("root_block_device", "ebs_block_device")
_OF_AWS = "aws_"
_DATABASE = "aws_db_instance"
_HEAD = 4096  # Terraform writes serial and lineage first


# -- may it be rebuilt? ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Left:
    """What is left of a state: versions that may be the environment's, and versions of which nobody can say."""

    usable: tuple[StateEntry, ...]
    unread: tuple[StateEntry, ...]


def left(entries: Iterable[StateEntry], whose: Whose, passed_over: Collection[VersionId]) -> Left:
    """Return what is left that a restore may still use.

    Whatever can be read counts, whatever its lineage, unless it says that it is another environment's: this machine may
    remember the wrong lineage. One that S3 does not give (its key is disabled, it lies in an archive), or that a newer
    Terraform wrote, may hold everything. A person who has looked at one may pass it over.
    """
    counted = [entry for entry in entries if not entry.marker and entry.version_id not in passed_over]
    return Left(
        usable=tuple(e for e in counted if e.facts is not None and e.facts.environment in (None, whose.environment)),
        unread=tuple(e for e in counted if e.facts is None and (e.md5 is None or _of_another_format(e))),
    )


def _of_another_format(entry: StateEntry) -> bool:
    return (entry.damage or "").startswith("of format version")


def is_rebuilt(top: StateEntry | None, made_of: VersionId) -> bool:
    """Return whether what stands on top is what a rebuild wrote."""
    return top is not None and top.facts is not None and top.made_of == made_of


# -- whose it is -------------------------------------------------------------------------------------------------------


def head(body: bytes) -> StateMark | None:
    """Return which state a body was before it was damaged, where its beginning still says so; its digest is left open."""
    text = body[:_HEAD].decode("utf-8", errors="replace")
    serial, lineage = re.search(r'"serial":\s*(\d+)\s*,', text), re.search(r'"lineage":\s*"([^"\\]+)"', text)
    if serial is None or lineage is None:
        return None
    return StateMark(serial=int(serial[1]), lineage=lineage[1], md5="")


def lineage(remembered: StateMark | None, damaged: Iterable[StateMark], fresh: str) -> tuple[str, str]:
    """Return the lineage that a rebuilt state has, and why: the remembered one, else that of what is damaged, else a new one."""
    if remembered is not None:
        return remembered.lineage, "the remembered one"
    known = {mark.lineage for mark in damaged}
    if len(known) == 1:
        return known.pop(), "as the damaged versions say"
    why = "the damaged versions name several" if known else "nothing remembers one"
    return fresh, f"a new one: {why}"


def empty(lineage: str) -> bytes:
    """Return a state of this lineage that knows nothing."""
    document = {
        "version": 4,
        "terraform_version": "1.11.0",
        "serial": 0,
        "lineage": lineage,
        "outputs": {},
        "resources": [],
    }
    return json.dumps(document).encode()


# -- what exists -------------------------------------------------------------------------------------------------------


class Way(StrEnum):
    """How a thing was found."""

    NAME = "by its name"
    TAGS = "by its tags"
    PLACE = "by what it belongs to"
    SAID = "as --import says"
    CONFIGURED = "as the configuration says"


@dataclass(frozen=True, kw_only=True)
class Existing:
    """Something that exists and gets its address back. `unowned` is what bears no tag that says whose it is."""

    address: Address
    import_id: str
    way: Way
    unowned: bool = False


@dataclass(frozen=True, kw_only=True)
class Missing:
    """Something that was not found, and why: the next apply makes it. `costs` says what that would lose, "" for nothing."""

    address: Address
    resource_type: str
    why: str
    costs: str = ""


@dataclass(frozen=True, kw_only=True)
class Doubtful:
    """Something that a person must decide; `choices` are the ids between which."""

    address: Address
    why: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """Everything that the configuration names, sorted by what became of it; nothing is in two of these."""

    existing: tuple[Existing, ...]
    missing: tuple[Missing, ...]
    doubtful: tuple[Doubtful, ...]


def inspected(found: Iterable[Existing | Missing | Doubtful]) -> Inspected:
    """Sort what was found; each kind in the order of addresses."""
    ordered = sorted(found, key=lambda one: one.address)
    return Inspected(
        existing=tuple(one for one in ordered if isinstance(one, Existing)),
        missing=tuple(one for one in ordered if isinstance(one, Missing)),
        doubtful=tuple(one for one in ordered if isinstance(one, Doubtful)),
    )


def configured(plan: Mapping[str, Any]) -> list[Existing]:
    """Return what the configuration itself imports, by a plan against an empty state (`terraform show -json`)."""
    return [
        Existing(address=Address(change["address"]), import_id=str(importing["id"]), way=Way.CONFIGURED)
        for change in plan.get("resource_changes", [])
        if (importing := change["change"].get("importing"))
    ]


def wanted(plan: Mapping[str, Any]) -> list[Wanted]:
    """Return everything that a plan against an empty state would make; what the configuration imports and replaces exists."""
    imported = {one.address for one in configured(plan)}
    return [one for one in adoption.everything(adoption.planned_creates(plan)) if one.address not in imported]


def by_nature(one: Wanted) -> Missing | None:
    """Return that it cannot be found since it is nowhere but in a state; None for what may exist in AWS."""
    if one.resource_type.startswith(_OF_AWS):
        return None
    return Missing(
        address=one.address, resource_type=one.resource_type, why="it exists in a state alone and cannot be found again"
    )


def unknown(one: Wanted) -> Missing:
    """Return that nobody knows how to look for it: the next apply may make a second one."""
    return Missing(
        address=one.address,
        resource_type=one.resource_type,
        why=f"lifeboat does not know how to look for {one.resource_type}",
        costs="there may be one already",
    )


def judged(one: Wanted, candidates: Sequence[Candidate], said: str | None) -> Existing | Missing | Doubtful:
    """Return what became of a resource, given everything that could be it; `said` is what a person chose.

    Of things that nobody's tags are on, one that has its name is it. Another owner's never is.
    """
    if said is not None and candidates:
        return Existing(address=one.address, import_id=candidates[0].import_id, way=Way.SAID)
    ours = [c for c in candidates if c.ours or not c.tagged] or [c for c in candidates if not c.owner]
    if len(ours) > 1:
        ids = tuple(sorted(c.import_id for c in ours))
        return Doubtful(address=one.address, why=f"{len(ours)} things could be it", choices=ids)
    if ours:
        return Existing(
            address=one.address, import_id=ours[0].import_id, way=_way(one, ours[0]), unowned=_unowned(ours[0])
        )
    if candidates:
        theirs = candidates[0]
        words = ", ".join(f"{name} {value}" for name, value in sorted(theirs.owner.items()))
        return Doubtful(address=one.address, why=f"{theirs.import_id} has its name and belongs to {words}")
    costs = "it holds data, and an apply makes an empty one" if one.resource_type in HOLDS_DATA else ""
    return Missing(address=one.address, resource_type=one.resource_type, why="not found", costs=costs)


def told_apart(
    found: Iterable[Existing | Missing | Doubtful], wanted: Iterable[Wanted]
) -> list[Existing | Missing | Doubtful]:
    """Return what was found, with what a person chose in doubt again where it is at another address already.

    Names are given once for each type and region; of what the configuration itself imports the region is not known.
    """
    found, alias = list(found), {one.address: one.alias for one in wanted}
    return [_once(one, found, alias) if isinstance(one, Existing) and one.way is Way.SAID else one for one in found]


def _once(
    one: Existing, found: Iterable[Existing | Missing | Doubtful], alias: Mapping[Address, str]
) -> Existing | Doubtful:
    twins = [
        other.address
        for other in found
        if isinstance(other, Existing)
        and other.address != one.address
        and (other.import_id, _type(other.address)) == (one.import_id, _type(one.address))
        and alias.get(other.address, alias[one.address]) == alias[one.address]
    ]
    if not twins:
        return one
    return Doubtful(address=one.address, why=f"--import says {one.import_id}, which is {', '.join(twins)} already")


def _type(address: Address) -> str:
    """Return the type of what an address names; a key in it may have dots."""
    return re.sub(r'\[(?:\d+|"(?:[^"\\]|\\.)*")\]', "", address).split(".")[-2]


def others(body: bytes, existing: Iterable[Existing], owner: Owner) -> list[str]:
    """Return what a person chose and another owner's tags are on, by the state that it was imported into, a line each."""
    ours = {"application": owner.application, "environment": owner.environment}
    chosen = {one.address: one.import_id for one in existing if one.way is Way.SAID}
    lines = []
    for resource in json.loads(body)["resources"]:
        for instance in resource["instances"] if resource["mode"] == "managed" else ():
            address = state_address(resource, instance)
            tags = (instance.get("attributes") or {}).get("tags_all") or {}
            theirs = {key: tags[key] for key in ours if tags.get(key, ours[key]) != ours[key]}
            if address in chosen and theirs:
                words = ", ".join(f"{key} {value}" for key, value in theirs.items())
                lines.append(f"{address}: {chosen[address]} belongs to {words}")
    return lines


def _unowned(candidate: Candidate) -> bool:
    return candidate.tagged and not candidate.owner


def _way(one: Wanted, candidate: Candidate) -> Way:
    if not candidate.tagged:
        return Way.PLACE
    return Way.TAGS if adoption.HOW.get(one.resource_type) is How.SEARCHED else Way.NAME


def strangers(owned: Iterable[OwnedThing], found: Inspected, known: Collection[str]) -> tuple[OwnedThing, ...]:
    """Return what bears our tags and would be in no state: neither found, nor in doubt, nor `known` as something else."""
    settled = {one.import_id for one in found.existing} | {choice for one in found.doubtful for choice in one.choices}
    return tuple(thing for thing in owned if not thing.ids & (settled | set(known)))


def databases(strange: Iterable[OwnedThing]) -> tuple[OwnedThing, ...]:
    """Return the databases among what has no address: one of them may be what serves, so that no number agrees to them."""
    return tuple(thing for thing in strange if thing.kind == _DATABASE)


def thing_words(thing: OwnedThing) -> str:
    """Return what a thing is, and where, with what a person tells it from its likes by."""
    return f"{thing.kind} {thing.name} in {thing.region}" + (f" ({thing.about})" if thing.about else "")


def doubt_words(one: Doubtful, owned: Iterable[OwnedThing]) -> str:
    """Return what a person must decide, with all that is known of the things between which."""
    about = {name: thing.about for thing in owned for name in thing.ids if thing.about}
    choices = [f"{choice} ({about[choice]})" if choice in about else choice for choice in one.choices]
    return f"{one.address}: {one.why}" + (f": {', '.join(choices)}" if choices else "")


def to_agree(found: Inspected, strange: Sequence[OwnedThing]) -> list[str]:
    """Return what only a person's number agrees to, a line each: what is made anew, empty, and what the state would not know."""
    left_out = [thing for thing in strange if thing.kind != _DATABASE]
    return [
        *(f"{one.address}: {one.why}; {one.costs}" for one in found.missing if one.costs),
        *(
            f"{thing_words(thing)}: bears our tags and has no address; the state would not know it"
            for thing in left_out
        ),
    ]


def refusals(found: Inspected, owned: Sequence[OwnedThing], strange: Sequence[OwnedThing], accept: int) -> list[str]:
    """Return what forbids to write a state of what was found, a line each: a person must choose, or agree by number.

    A database that has no address is never agreed to: it may be the one that serves, of a recovery that this
    configuration does not know.
    """
    unknown_databases = [
        f"{thing_words(thing)}: bears our tags and has no address; it may be the database that serves"
        for thing in databases(strange)
    ]
    agreed = to_agree(found, strange)
    return [
        *(doubt_words(one, owned) for one in found.doubtful),
        *unknown_databases,
        *(agreed if len(agreed) > accept else []),
    ]


def way_on(found: Inspected, strange: Sequence[OwnedThing], again: str, file: str) -> str:
    """Return what lets a refused rebuild go on. It proposes no id: what a thing is, its kind and name do not tell.

    `again` is the command, `file` the recovery file: the configuration's part that a recovery writes.
    """
    if databases(strange):
        return (
            f"{file} must name each of these, as the recovery that made it wrote it: take the file from the repository, or from"
            ' the checkout that recovered (in database_generations all that exist, g1 as {}, later ones as {"restored": true};'
            " in active_generation the one that serves). What is no generation is deleted, or loses its tags, by hand."
            f" Then: {again}"
        )
    if found.doubtful:
        # What belongs to another that is in doubt is so itself, and settled with that.
        first = next((one for one in found.doubtful if one.choices), found.doubtful[0])
        return f"{again} --import '{first.address}=ID', with the id that you know to be it"
    count = len(to_agree(found, strange))
    return (
        f"what exists under another id: {again} --import 'ADDRESS=ID'; that tells what is left. Once you have looked at each, and"
        f" all {count} are gone for good or not of this stack, --accept {count} agrees to them"
    )


# -- the state ---------------------------------------------------------------------------------------------------------


def completed(body: bytes, plan: Mapping[str, Any]) -> tuple[bytes, tuple[str, ...]]:
    """Return a state of imported resources with what AWS does not keep as the configuration has it, and which that was.

    `plan` is the one that imported them. Nothing that AWS knows is touched: NOT_IN_AWS names what is not. Of a volume's
    tags those that everything has are counted as such, as for the instance itself.
    """
    document = json.loads(body)
    after = {change["address"]: change["change"]["after"] or {} for change in plan.get("resource_changes", [])}
    taken = []
    for resource in document["resources"]:
        settings = NOT_IN_AWS.get(resource["type"], ()) if resource["mode"] == "managed" else ()
        for instance in resource["instances"] if settings else ():
            wanted, attributes = after.get(state_address(resource, instance), {}), instance["attributes"]
            if resource["type"] == "aws_instance":
                taken += _count_as_given(attributes)
            for name in settings:
                if wanted.get(name) is not None and wanted[name] != attributes.get(name):
                    attributes[name] = wanted[name]
                    taken.append(f"{resource['type']}.{name}")
    return json.dumps(document).encode(), tuple(dict.fromkeys(taken))


def _count_as_given(attributes: dict[str, Any]) -> list[str]:
    """Take the tags that the provider gives to everything from the volumes' own; return in which blocks there were any."""
    own, all_tags = attributes.get("tags") or {}, attributes.get("tags_all") or {}
    given = {key: value for key, value in all_tags.items() if key not in own}
    changed = []
    for block in _VOLUMES:
        for volume in attributes.get(block) or ():
            kept = {key: value for key, value in (volume.get("tags") or {}).items() if given.get(key) != value}
            if kept != (volume.get("tags") or {}):
                volume["tags"] = kept
                changed.append(f"aws_instance.{block}.tags")
    return changed


def not_imported(body: bytes, existing: Iterable[Existing]) -> list[Address]:
    """Return what was found and is not in a state that must have all of it."""
    known = {
        state_address(resource, instance)
        for resource in json.loads(body)["resources"]
        if resource["mode"] == "managed"
        for instance in resource["instances"]
        if instance.get("attributes")
    }
    return [one.address for one in existing if one.address not in known]
