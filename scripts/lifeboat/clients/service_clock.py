"""Who we are to AWS, and how far this machine's clock is from AWS's, told by the date of its answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from lifeboat.clients.sdk import translated
from lifeboat.errors import IntegrityFailure


class ServiceClock:
    """The clock of STS in one region, which tells the account of its caller too."""

    def __init__(self, sts: Any) -> None:
        self._sts = sts

    def account(self) -> str:
        """Return the account that we are signed in to."""
        with translated("ask who we are"):
            return str(self._sts.get_caller_identity()["Account"])

    def skew(self) -> timedelta:
        """Return by how much this machine's clock is ahead of AWS's, to the second: the middle of the call counts."""
        before = datetime.now(UTC)
        with translated("ask AWS for its time"):
            answer = self._sts.get_caller_identity()
        after = datetime.now(UTC)
        said = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        if said is None:
            raise IntegrityFailure("AWS's answer has no date")
        return before + (after - before) / 2 - parsedate_to_datetime(said)
