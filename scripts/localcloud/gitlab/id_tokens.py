"""The signed tokens that jobs show to AWS, with GitLab's claims (doc/ci/secrets/id_token_authentication.md)."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from localcloud.gitlab.records import Record, Records

EARLY = timedelta(seconds=5)


def signed(records: Records, job: Record, audiences: list[str], issuer: str) -> str:
    """Return a token for a job that is valid as long as it may run."""
    key, pipeline, project = _key(records), records.pipeline_of(job), records.project
    now = records.now()
    claims: dict[str, Any] = {
        "iss": issuer,
        "sub": f"project_path:{project['path']}:ref_type:branch:ref:{pipeline['ref']}",
        "aud": audiences[0] if len(audiences) == 1 else audiences,
        "iat": int(now.timestamp()),
        "nbf": int((now - EARLY).timestamp()),
        "exp": int((now + timedelta(seconds=job["timeout"])).timestamp()),
        "jti": f"{job['id']}-{hashlib.sha256(job['token'].encode()).hexdigest()[:16]}",
        "namespace_path": records.group["path"],
        "project_id": str(project["id"]),
        "project_path": project["path"],
        "user_login": records.table("users")[job["user_id"]]["username"],
        "pipeline_id": str(pipeline["id"]),
        "pipeline_source": pipeline["source"],
        "job_id": str(job["id"]),
        "ref": pipeline["ref"],
        "ref_type": "branch",
        "ref_protected": str(pipeline["protected"]).lower(),
        "sha": pipeline["sha"],
    }
    if job["environment"]:
        claims |= {"environment": job["environment"], "environment_action": job["environment_action"]}
    head = {"alg": "RS256", "typ": "JWT", "kid": _key_id(key)}
    body = f"{_part(json.dumps(head).encode())}.{_part(json.dumps(claims).encode())}"
    signature = key.sign(body.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{body}.{_part(signature)}"


def published(records: Records) -> dict[str, Any]:
    """Return the public key as /oauth/discovery/keys does."""
    key = _key(records)
    numbers = key.public_key().public_numbers()

    def number(value: int) -> str:
        return _part(value.to_bytes((value.bit_length() + 7) // 8, "big"))

    shown = {"kty": "RSA", "kid": _key_id(key), "use": "sig", "alg": "RS256"}
    return {"keys": [{**shown, "n": number(numbers.n), "e": number(numbers.e)}]}


def _key(records: Records) -> rsa.RSAPrivateKey:
    pem = records.store.get("signing_key")
    if pem is None:
        made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = records.store["signing_key"] = made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    key = serialization.load_pem_private_key(pem, password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def _key_id(key: rsa.RSAPrivateKey) -> str:
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(public).hexdigest()[:32]


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
