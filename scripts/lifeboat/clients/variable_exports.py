"""Exports of GitLab's variables in the dump bucket: written once, never over another, read back whole."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from lifeboat.clients import sdk
from lifeboat.clients.sdk import translated
from lifeboat.errors import IntegrityFailure, NothingFits, Refused
from lifeboat.gitlab_model import Export, Variable, VariableName
from lifeboat.model import Secret

_FORMAT = "lifeboat-gitlab-variables-1"
_ABSENT = {"NoSuchKey", "NoSuchBucket", "404", "NotFound"}
# S3 answers the second of two writers at the same moment with 409, and one after it with 412.
_EXISTS = {"PreconditionFailed", "ConditionalRequestConflict"}


class VariableExports:
    """The exports of one environment, below gitlab/<environment>/."""

    def __init__(self, *, s3: Any, bucket: str, environment: str) -> None:
        self._s3 = s3
        self.bucket = bucket
        self._prefix = f"gitlab/{environment}/"

    def put(self, export: Export) -> str:
        """Write an export and return its key. The bucket encrypts, locks and copies it."""
        key = f"{self._prefix}{export.taken_at:%Y%m%dT%H%M%SZ}.json"
        with translated(f"write s3://{self.bucket}/{key}"):
            try:
                self._s3.put_object(
                    Bucket=self.bucket,
                    Key=key,
                    Body=_written(export),
                    ContentType="application/json",
                    ChecksumAlgorithm="SHA256",
                    IfNoneMatch="*",
                )
            except ClientError as error:
                if error.response["Error"].get("Code") in _EXISTS:
                    raise Refused(
                        f"s3://{self.bucket}/{key} exists already: somebody else exported in the same second",
                        hint="run the same command again",
                    ) from None
                raise
        return key

    def keys(self) -> list[str]:
        """Return the keys of all exports, oldest first."""
        with translated(f"list s3://{self.bucket}/{self._prefix}"):
            listed = sdk.s3_items(self._s3, "list_objects_v2", "Contents", bucket=self.bucket, prefix=self._prefix)
            found = [str(entry["Key"]) for entry in listed]
        return sorted(key for key in found if re.fullmatch(re.escape(self._prefix) + r"\d{8}T\d{6}Z\.json", key))

    def get(self, key: str) -> Export:
        """Return one export, by its key or the last part of it."""
        key = key if "/" in key else f"{self._prefix}{key}"
        if not key.startswith(self._prefix):
            raise Refused(
                f"{key} is no export of this environment: those begin with {self._prefix}",
                hint="another environment's values would reach this one's jobs",
            )
        with translated(f"read s3://{self.bucket}/{key}"):
            try:
                body = self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            except ClientError as error:
                if error.response["Error"].get("Code") in _ABSENT:
                    raise NothingFits(
                        f"there is no export s3://{self.bucket}/{key}",
                        hint=f"there are: {', '.join(self.keys()) or 'none'}",
                    ) from None
                raise
        try:
            return _read(json.loads(body))
        except (ValueError, KeyError, TypeError):
            raise IntegrityFailure(
                f"s3://{self.bucket}/{key} is not what lifeboat gitlab export writes", hint="name another export"
            ) from None


def _written(export: Export) -> bytes:
    document = {
        "format": _FORMAT,
        "environment": export.environment,
        "project": export.project,
        "taken_at": export.taken_at.isoformat(),
        "variables": [
            {
                "key": variable.name.key,
                "environment_scope": variable.name.scope,
                "value": None if variable.value is None else variable.value.reveal(),
                "variable_type": variable.variable_type,
                "protected": variable.protected,
                "masked": variable.masked,
                "raw": variable.raw,
                "description": variable.description,
            }
            for variable in export.variables
        ],
        "hidden": [{"key": name.key, "environment_scope": name.scope} for name in export.hidden],
    }
    return json.dumps(document, indent=1).encode()


def _read(document: dict[str, Any]) -> Export:
    if document["format"] != _FORMAT:
        raise ValueError
    return Export(
        environment=str(document["environment"]),
        project=str(document["project"]),
        taken_at=datetime.fromisoformat(document["taken_at"]).astimezone(UTC),
        variables=tuple(_variable(entry) for entry in document["variables"]),
        hidden=tuple(_name(entry) for entry in document["hidden"]),
    )


def _name(entry: dict[str, Any]) -> VariableName:
    return VariableName(key=_text(entry["key"]), scope=_text(entry["environment_scope"]))


def _variable(entry: dict[str, Any]) -> Variable:
    return Variable(
        name=_name(entry),
        value=Secret(_text(entry["value"])),
        variable_type="file" if entry["variable_type"] == "file" else "env_var",
        protected=_flag(entry["protected"]),
        masked=_flag(entry["masked"]),
        raw=_flag(entry["raw"]),
        description=_text(entry["description"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value
