"""The database's generations: what the next one is called, and what the recovery file says of them."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lifeboat.database_model import InstanceSettings
from lifeboat.decisions.recoveries import readable
from lifeboat.errors import IntegrityFailure
from lifeboat.model import Action, Change, Plan

_GENERATIONS = "database_generations"
_ACTIVE = "active_generation"
_NAME = re.compile(r"g([1-9][0-9]{0,3})")

# Of which there is one for each generation, made and lost with what the recovery file says.
_EACH = ("aws_db_instance", "aws_db_instance_automated_backups_replication")

Options = dict[str, Any]


def identifier(application: str, generation: str) -> str:
    """Return the name of a generation's instance in RDS (modules/database)."""
    return f"{application}-{generation}"


def of_identifier(application: str, name: str) -> str | None:
    """Return the generation that an instance, its backups or its final snapshot is of; None where it is none of ours."""
    found = re.fullmatch(rf"{re.escape(application)}-(g[1-9][0-9]{{0,3}})(-.+)?", name)
    return found[1] if found else None


def of_address(address: str) -> str | None:
    """Return the generation whose instance an address of the stack's names; None where it names none."""
    found = re.fullmatch(r'module\.database\.aws_db_instance\.this\["(.+)"\]', address)
    return found[1] if found else None


def made_empty(plan: Plan) -> list[Change]:
    """Return the databases that a plan makes where none was: only the first one ever comes to be like that.

    Every later one is restored and then adopted. One that the state knows and AWS no longer has is another matter.
    """
    return [
        change
        for change in plan.changes
        if change.action is Action.CREATE and of_address(change.address) is not None and change.address not in plan.gone
    ]


def is_of_generation(change: Change) -> bool:
    """Return whether a change is of a generation's instance, or of the copy of its backups in the other region."""
    return re.fullmatch(rf'module\.database\.(?:{"|".join(_EACH)})\.\w+\["[^"]+"\]', change.address) is not None


def following(application: str, names: Iterable[str]) -> str:
    """Return the generation after every one that ever left a trace: an instance, its backups, its final snapshot."""
    numbers = [
        int(match[1])
        for name in names
        if (generation := of_identifier(application, name)) is not None and (match := _NAME.fullmatch(generation))
    ]
    return f"g{max(numbers, default=0) + 1}"


def options(
    text: str | None, recorded: Collection[str], *, planned: Mapping[str, Options] | None = None
) -> dict[str, Options]:
    """Return each recorded generation with what the recovery file says of it; where it does not name it, as it was planned.

    Raises IntegrityFailure where the file is not what we write.
    """
    said = {**(planned or {}), **named(text)}
    return {generation: dict(said.get(generation, {})) for generation in sorted(recorded, key=number)}


def _document(text: str | None) -> dict[str, Any]:
    return {} if text is None else readable(text)


def named(text: str | None) -> dict[str, Options]:
    """Return what a recovery file says of each generation that it names; raises IntegrityFailure where it is not ours."""
    found = _document(text).get(_GENERATIONS, {})
    if not isinstance(found, dict) or not all(isinstance(said, dict) for said in found.values()):
        raise IntegrityFailure(
            f"the recovery file's {_GENERATIONS} are no map of maps", hint="look at it; git log shows what it was"
        )
    return found


def with_restored(present: Mapping[str, Options], new: str, *, lost: Collection[str] = ()) -> dict[str, Options]:
    """Return the generations with a restored one beside them; one whose instance is lost would be made anew, empty.

    Its copy in the other region comes last, when the application answers: AWS takes up to an hour to begin one.
    """
    kept = {generation: dict(said) for generation, said in present.items() if generation not in lost}
    return {**kept, new: {"restored": True, "dr_copy": False}}


def with_adopted(present: Mapping[str, Options], new: str, *, copied: Collection[str]) -> dict[str, Options]:
    """Return the generations with one as restored that Terraform has adopted; its copy waits until one was begun."""
    said = {"restored": True} if new in copied else {"restored": True, "dr_copy": False}
    return {**present, new: present.get(new) or said}


def says(text: str | None, wanted: Mapping[str, Options], active: str) -> bool:
    """Return whether a recovery file says exactly this of the generations, and names this one as the one that serves."""
    return named(text) == wanted and active_in(text) == active


def with_copy(present: Mapping[str, Options], generation: str) -> dict[str, Options]:
    """Return the generations with the copy in the other region begun for one."""
    return {
        name: {key: value for key, value in said.items() if name != generation or key != "dr_copy"}
        for name, said in present.items()
    }


def retiring(present: Mapping[str, Options], generation: str) -> dict[str, Options]:
    """Return the generations with the deletion protection lifted from one."""
    return {name: {**said, "retiring": True} if name == generation else dict(said) for name, said in present.items()}


def without(present: Mapping[str, Options], generation: str) -> dict[str, Options]:
    """Return the generations without one."""
    return {name: dict(said) for name, said in present.items() if name != generation}


@dataclass(frozen=True, kw_only=True)
class Known:
    """What Terraform's state knows: the generations, and which of them serves."""

    recorded: Collection[str]
    active: str


def names(text: str | None, generation: str) -> bool:
    """Return whether a recovery file names a generation, as one that there is or as the one that serves."""
    return generation in named(text) or active_in(text) == generation


def given_up(text: str | None, before: str | None, known: Known) -> str | None:
    """Return the recovery file without what was never adopted, None where none is needed: what else it says stays.

    `before` is the file before the recovery wrote into it, which may have left out of it what was lost.
    """
    document, present, earlier = _document(text), named(text), named(before)
    kept = {one: dict(present.get(one, earlier.get(one, {}))) for one in sorted(known.recorded, key=number)}
    left = {key: value for key, value in document.items() if key not in (_GENERATIONS, _ACTIVE)}
    if _GENERATIONS in _document(before) or any(kept.values()):
        left = {**left, _GENERATIONS: kept, _ACTIVE: known.active}
    return json.dumps(left, indent=2, sort_keys=True) + "\n" if left else None


def without_any(text: str | None) -> str | None:
    """Return the recovery file without a word of generations; None where nothing is left in it."""
    left = {key: value for key, value in _document(text).items() if key not in (_GENERATIONS, _ACTIVE)}
    return json.dumps(left, indent=2, sort_keys=True) + "\n" if left else None


def file(text: str | None, generations: Mapping[str, Options], active: str) -> str:
    """Return the recovery file with these generations; what it says of the instance stays."""
    document = {**_document(text), _GENERATIONS: dict(generations), _ACTIVE: active}
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def variables(generations: Mapping[str, Options], active: str) -> dict[str, str]:
    """Return the same for Terraform's command line, which counts for more than any file."""
    return {_GENERATIONS: json.dumps(generations), _ACTIVE: active}


def active_in(text: str | None) -> str | None:
    """Return the generation that a recovery file names as the serving one."""
    found = _document(text).get(_ACTIVE)
    return found if isinstance(found, str) else None


# RDS's restore calls and Terraform's record of an instance call the same thing differently.
_ASKED = {
    "DBInstanceClass": "instance_class",
    "DBSubnetGroupName": "db_subnet_group_name",
    "DBParameterGroupName": "parameter_group_name",
    "VpcSecurityGroupIds": "vpc_security_group_ids",
    "Port": "port",
    "MultiAZ": "multi_az",
    "PubliclyAccessible": "publicly_accessible",
    "StorageType": "storage_type",
    "AutoMinorVersionUpgrade": "auto_minor_version_upgrade",
    "CopyTagsToSnapshot": "copy_tags_to_snapshot",
    "EnableIAMDatabaseAuthentication": "iam_database_authentication_enabled",
    "EnableCloudwatchLogsExports": "enabled_cloudwatch_logs_exports",
    "CACertificateIdentifier": "ca_cert_identifier",
    "NetworkType": "network_type",
    "PreferredBackupWindow": "backup_window",
    "MaxAllocatedStorage": "max_allocated_storage",
}
# What an empty instance has to be told; of a copy RDS knows it.
_CREATED = {
    "Engine": "engine",
    "DBName": "db_name",
    "MasterUsername": "username",
    "AllocatedStorage": "allocated_storage",
    "StorageEncrypted": "storage_encrypted",
    "KmsKeyId": "kms_key_id",
}
_DEFAULT_IOPS, _DEFAULT_THROUGHPUT = 3000, 125


def settings(recorded: Mapping[str, Any]) -> InstanceSettings:
    """Return what a restored instance must be like, from the attributes of an aws_db_instance in Terraform's state."""
    asked = {name: recorded[key] for name, key in _ASKED.items() if recorded.get(key) not in (None, "", [])}
    if not recorded.get("max_allocated_storage"):
        asked.pop("MaxAllocatedStorage", None)
    # gp3's own values may not be named (RDS user guide, "gp3 storage"); groups of RDS's own need not be.
    if (recorded.get("iops") or 0) > _DEFAULT_IOPS or recorded.get("storage_type") in ("io1", "io2"):
        asked["Iops"] = recorded["iops"]
    if (recorded.get("storage_throughput") or 0) > _DEFAULT_THROUGHPUT:
        asked["StorageThroughput"] = recorded["storage_throughput"]
    if not str(recorded.get("option_group_name") or "default:").startswith("default:"):
        asked["OptionGroupName"] = recorded["option_group_name"]
    modified = {"PreferredMaintenanceWindow": recorded["maintenance_window"]}
    if "MaxAllocatedStorage" in asked:
        modified["MaxAllocatedStorage"] = asked["MaxAllocatedStorage"]
    created = {name: recorded[key] for name, key in _CREATED.items() if recorded.get(key) not in (None, "")}
    # In full: what "15" means moves on, and a dump may be of a newer minor version than RDS's default.
    created["EngineVersion"] = recorded.get("engine_version_actual") or recorded["engine_version"]
    return InstanceSettings(
        asked=asked,
        modified=modified,
        created=created,
        tags=dict(recorded.get("tags_all") or {}),
        password_key=password_key(recorded),
        retention=int(recorded["backup_retention_period"]),
    )


def password_key(recorded: Mapping[str, Any]) -> str | None:
    """Return the key that a database's password is kept under, from its attributes in Terraform's state; None: AWS's own."""
    secret: list[dict[str, Any]] = recorded.get("master_user_secret") or []
    return recorded.get("master_user_secret_kms_key_id") or (secret[0]["kms_key_id"] if secret else None)


def with_room(settings: InstanceSettings, *, live: int, raw: int) -> InstanceSettings:
    """Return the settings with storage for what comes into an empty instance: `live` and `raw` in bytes.

    `live` is the storage of the instance that served, of which Terraform's record does not tell what autoscaling added;
    `raw` the bytes of a dump before compression, which indexes make half as much again: only with autoscaling does a plan
    leave alone what is more than Terraform's files say. Its limit has to be at least a tenth above the storage (RDS user
    guide, "Managing capacity automatically with Amazon RDS storage autoscaling").
    """
    known, limit = int(str(settings.created["AllocatedStorage"])), settings.asked.get("MaxAllocatedStorage")
    wanted = max(_gib(live), _gib(raw * 3 // 2) if limit else 0)
    most = int(str(limit)) * 10 // 11 if limit else wanted
    return replace(settings, created={**settings.created, "AllocatedStorage": max(known, min(wanted, most))})


def _gib(size: int) -> int:
    return -(-size // 1024**3)


def major(settings: InstanceSettings) -> int:
    """Return PostgreSQL's major version of such an instance."""
    return int(str(settings.created["EngineVersion"]).partition(".")[0])


def number(generation: str) -> int:
    """Return the number of a generation, g12 is the 12th; 0 where it has none."""
    match = _NAME.fullmatch(generation)
    return int(match[1]) if match else 0
