"""Secrets Manager: the one place where passwords are, read at the moment of use."""

from __future__ import annotations

import json
from typing import Any

from lifeboat.clients.sdk import translated
from lifeboat.errors import IntegrityFailure
from lifeboat.model import Secret


class SecretStore:
    """The secrets of one region."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def text(self, secret: str) -> Secret:
        """Return the whole text of a secret, by name or ARN."""
        with translated(f"read the secret {secret}"):
            answer = self._client.get_secret_value(SecretId=secret)
        if "SecretString" not in answer:
            raise IntegrityFailure(f"the secret {secret} holds no text")
        return Secret(answer["SecretString"])

    def entry(self, secret: str, key: str) -> Secret:
        """Return one entry of a secret that is a JSON object."""
        try:
            found = json.loads(self.text(secret).reveal())[key]
        except (ValueError, KeyError, TypeError):
            raise IntegrityFailure(f"the secret {secret} has no entry {key}") from None
        return Secret(found if isinstance(found, str) else json.dumps(found))
