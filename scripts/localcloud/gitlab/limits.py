"""How often GitLab may be asked: the throttle of the API and the limit of plays, both off until somebody sets them."""

from __future__ import annotations

import threading
import time
from collections import deque

from localcloud.gitlab.records import Record, Records
from localcloud.gitlab.requests import ApiError
from localcloud.operations import Answer

PLAY_SECONDS = 60


class Limits:
    """Counts what each user asked lately; a restart forgets it."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, int], deque[float]] = {}

    def throttled(self, user: Record | None) -> Answer | None:
        """Return the throttle's answer when a user has asked too often (config/initializers/rack_attack.rb).

        It is plain text, not JSON, and says in Retry-After how many seconds to wait.
        """
        settings = self.records.settings
        if user is None or not settings["throttle_authenticated_api_enabled"]:
            return None
        allowed = settings["throttle_authenticated_api_requests_per_period"]
        wait = self._too_often("api", user, allowed, settings["throttle_authenticated_api_period_in_seconds"])
        if wait is None:
            return None
        headers = [
            ("Content-Type", "text/plain"),
            ("Retry-After", str(wait)),
            ("RateLimit-Name", "throttle_authenticated_api"),
            ("RateLimit-Limit", str(allowed)),
            ("RateLimit-Observed", str(allowed + 1)),
            ("RateLimit-Remaining", "0"),
            ("RateLimit-Reset", str(int(time.time()) + wait)),
        ]
        return Answer(429, headers, b"Retry later\n")

    def count_play(self, user: Record) -> None:
        """Count one play and refuse it over the limit (app/services/concerns/ci/job_rate_limitable.rb)."""
        allowed = self.records.settings["job_play_limit_per_user_project"]
        wait = self._too_often("play", user, allowed, PLAY_SECONDS) if allowed else None
        if wait is not None:
            text = "This endpoint has been requested too many times. Try again later."
            raise ApiError(429, {"message": {"error": text}}, {"Retry-After": str(wait)})

    def _too_often(self, what: str, user: Record, allowed: int, period: int) -> int | None:
        """Note one more; return the seconds until the next is allowed when there were too many."""
        now = time.monotonic()
        with self._lock:
            seen = self._seen.setdefault((what, user["id"]), deque())
            while seen and seen[0] <= now - period:
                seen.popleft()
            if len(seen) >= allowed:
                return max(1, round(seen[0] + period - now)) if seen else period
            seen.append(now)
        return None
