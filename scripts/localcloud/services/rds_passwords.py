"""Master passwords that RDS manages: a secret in Secrets Manager that always holds what PostgreSQL accepts."""

from __future__ import annotations

import json
import secrets
import string
from datetime import timedelta
from typing import Any
from uuid import uuid4

from localcloud.cloud import Cloud
from localcloud.front import answered
from localcloud.operations import Answer, Call, Refused, around
from localcloud.services import rds_records as records
from localcloud.services.rds_events import happened
from localcloud.services.rds_records import Record

# RDS's own generated passwords have 28 characters, without / " @ and space.
LENGTH = 28
ALPHABET = string.ascii_letters + string.digits + "!#$%&()*+,-.:;<=>?[]^_{|}~"
ROTATION_DAYS = 7


def new_password() -> str:
    """Return a random master password."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def create(cloud: Cloud, region: str, shape: Record, *, key: str | None, password: str) -> None:
    """Put a new managed secret behind an instance and note it in its shape."""
    secret = cloud.moto("secretsmanager", region).create_managed_secret(
        service_name="rds",
        secret_id=f"rds!db-{uuid4()}",
        secret_string=_text(shape["MasterUsername"], password),
        description=f"The secret associated with the primary RDS DB instance: {shape['DBInstanceArn']}",
        kms_key_id=records.usable_key(cloud, region, key) if key else None,
        tags=[{"Key": "aws:rds:primaryDBInstanceArn", "Value": shape["DBInstanceArn"]}],
    )
    secret.rotation_requested = secret.rotation_enabled = True
    secret.auto_rotate_after_days = ROTATION_DAYS
    secret.next_rotation_date = int((cloud.now() + timedelta(days=ROTATION_DAYS)).timestamp())
    shape["MasterUserSecret"] = {
        "SecretArn": secret.arn,
        "SecretStatus": "active",
        "KmsKeyId": records.usable_key(cloud, region, key or "alias/aws/secretsmanager"),
    }


def delete(cloud: Cloud, region: str, shape: Record) -> None:
    """Delete the managed secret of an instance, if it has one."""
    managed = shape.pop("MasterUserSecret", None)
    if managed:
        cloud.moto("secretsmanager", region).delete_secret(
            managed["SecretArn"], recovery_window_in_days=None, force_delete_without_recovery=True
        )


def rotate(cloud: Cloud, region: str, record: Record) -> str:
    """Give the master user a new password, in PostgreSQL and in the secret; return the secret's version."""
    shape = record["shape"]
    if records.status(record) != "available":
        raise Refused("InvalidDBInstanceState", "Database instance is not in available state.")
    password = new_password()
    records.servers(cloud).set_password(
        records.cluster_of(cloud, region, record), user=shape["MasterUsername"], password=password
    )
    version = str(uuid4())
    cloud.moto("secretsmanager", region).put_secret_value(
        shape["MasterUserSecret"]["SecretArn"], _text(shape["MasterUsername"], password), None, version, ["AWSCURRENT"]
    )
    happened(cloud, region, "password reset", shape["DBInstanceIdentifier"])
    return version


def _text(user: str, password: str) -> str:
    return json.dumps({"username": user, "password": password})


def _owner(call: Call) -> Record | None:
    """Return the instance whose master password a Secrets Manager request is about."""
    backend = call.cloud.moto("secretsmanager", call.region)
    asked = call.params.get("SecretId") or ""
    if not backend._is_valid_identifier(asked):
        return None
    arn = backend.secrets[asked].arn
    return next(
        (
            record
            for record in records.instances(call.cloud, call.region).values()
            if (record["shape"].get("MasterUserSecret") or {}).get("SecretArn") == arn
        ),
        None,
    )


@around("secretsmanager", "DeleteSecret", "PutSecretValue", "UpdateSecret", "CancelRotateSecret")
def _managed_secrets_stay(call: Call, proceed: Any) -> Answer:
    if _owner(call) is not None:
        raise Refused(
            "InvalidRequestException",
            f"You can't perform {call.operation} on secret {call.params['SecretId']}: it is managed by rds.",
        )
    answer: Answer = proceed()
    return answer


@around("secretsmanager", "RotateSecret")
def _rotate_secret(call: Call, proceed: Any) -> Answer:
    record = _owner(call)
    if record is None:
        answer: Answer = proceed()
        return answer
    if call.params.get("RotationLambdaARN"):
        raise Refused("InvalidRequestException", "A managed secret rotates without a Lambda function.")
    rules = call.params.get("RotationRules") or {}
    secret = call.cloud.moto("secretsmanager", call.region).secrets[call.params["SecretId"]]
    if rules.get("AutomaticallyAfterDays"):
        secret.auto_rotate_after_days = rules["AutomaticallyAfterDays"]
    version = None
    if call.params.get("RotateImmediately") is not False:
        version = rotate(call.cloud, call.region, record)
    return answered(call, records.without_nones({"ARN": secret.arn, "Name": secret.name, "VersionId": version}))
