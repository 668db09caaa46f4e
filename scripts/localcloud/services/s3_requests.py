"""Watches on S3 requests that the bucket's policy has let pass: who may not act learns nothing else, as in AWS."""

from __future__ import annotations

from collections.abc import Callable

from localcloud.operations import Answer, Around, Call, around
from localcloud.services import s3_policies as _judged_first  # noqa: F401  (watches nest in the order of registration)

_PASSED: dict[str, list[Around]] = {}


def passed(*names: str) -> Callable[[Around], Around]:
    """Register `watch(call, proceed) -> Answer` for S3 operations; watches of one operation nest as registered."""

    def register(watch: Around) -> Around:
        for name in names:
            _PASSED.setdefault(name, []).append(watch)
        return watch

    return register


@around("s3", "*")
def through_the_watches(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Run the watches registered for the call's operation, then those for all."""
    for watch in reversed([*_PASSED.get(call.operation, []), *_PASSED.get("*", [])]):
        proceed = _nest(watch, call, proceed)
    return proceed()


def _nest(watch: Around, call: Call, proceed: Callable[[], Answer]) -> Callable[[], Answer]:
    return lambda: watch(call, proceed)
