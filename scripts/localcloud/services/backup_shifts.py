"""Long work inside the cloud that lets saves and other work in while it waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from localcloud.cloud import Cloud

_CURRENT = threading.local()


class StateReplaced(Exception):
    """A save was loaded while this work waited; what it was about is gone."""


@contextmanager
def shift(cloud: Cloud) -> Iterator[None]:
    """Hold off saves as `cloud.gate.working()` does, for work in a thread of its own that waits with `awaited`."""
    _CURRENT.stay = cloud.gate.working()
    _CURRENT.stay.__enter__()
    try:
        yield
    finally:
        stay: AbstractContextManager[None] = _CURRENT.stay
        _CURRENT.stay = None
        stay.__exit__(None, None, None)


def _rest(cloud: Cloud, seconds: float) -> None:
    """Sleep outside the gate: what is waited for may need a save to end first, and the save needs us to leave."""
    stay: AbstractContextManager[None] | None = getattr(_CURRENT, "stay", None)
    if stay is None:
        time.sleep(seconds)
        return
    before = cloud.remembered
    stay.__exit__(None, None, None)
    try:
        time.sleep(seconds)
    finally:
        _CURRENT.stay = cloud.gate.working()
        _CURRENT.stay.__enter__()
    if cloud.remembered is not before:
        raise StateReplaced("a saved state was loaded while work of the one before went on")


def awaited(cloud: Cloud, look: Callable[[], Any], what: str, *, seconds: float = 300) -> Any:
    """Return what `look` returns as soon as that is not None; raises TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} was not there after {seconds:.0f} seconds")
        _rest(cloud, 0.1)
