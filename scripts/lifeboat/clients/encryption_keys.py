"""KMS's keys of one region: the state that one is in."""

from __future__ import annotations

from typing import Any

from lifeboat.clients import sdk
from lifeboat.clients.sdk import translated
from lifeboat.model import EncryptionKey


class EncryptionKeys:
    """The keys of one region, whosever they are."""

    def __init__(self, kms: Any, *, region: str) -> None:
        self._kms = kms
        self._region = region

    def key(self, arn: str) -> EncryptionKey:
        """Return a key by its ARN, id or alias; raises Unreachable where nobody may look or KMS does not answer."""
        with translated(f"look at the key {arn} in {self._region}"):
            answer = sdk.unless_absent(("NotFoundException",), lambda: self._kms.describe_key(KeyId=arn))
        return EncryptionKey(arn=arn, state="missing" if answer is None else str(answer["KeyMetadata"]["KeyState"]))
