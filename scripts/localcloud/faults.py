"""Faults that a test or a drill asks for: a chosen call is refused, delayed, or done with its answer lost."""

from __future__ import annotations

import re
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import psutil

from localcloud.operations import Call, Refused

_LONGEST_HOLD_SECONDS = 600  # whoever asked for it is gone by then
VICTIMS = ("everything", "head", "terraform")


@dataclass(kw_only=True)
class Fault:
    """A rule: the calls it hits (`service`, `operation` and `path` as regular expressions), when, and how often.

    `when` is "before" (the call is not executed), "after" (it is executed and its answer is lost: the caller gets an
    error instead) or "cut" (it is executed and the connection breaks within its answer). With a status below 400 a
    rule only delays: by `delay_seconds`, or, `held`, until the rules are cleared, for ten minutes at most. `service`
    may be "*". With `kill`, the process of that number is killed when the rule hits, or, as `who` says, it and
    everything that it started, or only its Terraform; `hit` tells what it hit.
    """

    service: str
    operation: str
    path: str = ".*"
    when: str = "before"
    first: int = 1
    times: int = 1
    code: str = "InternalFailure"
    status: int = 500
    delay_seconds: float = 0.0
    held: bool = False
    kill: int | None = None
    who: str = "everything"
    seen: int = field(default=0)
    hit: str = field(default="")


class Faults:
    """The rules in force."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Fault] = []
        self._cleared = threading.Event()

    def add(self, rule: dict[str, Any]) -> None:
        """Add a rule; unknown keys raise TypeError."""
        fault = Fault(**rule)
        if fault.when not in ("before", "after", "cut"):
            raise ValueError(f"when is {fault.when!r}; write before, after or cut")
        if fault.who not in VICTIMS:
            raise ValueError(f"who is {fault.who!r}; write one of: {', '.join(VICTIMS)}")
        if fault.when == "cut" and (fault.held or fault.delay_seconds):
            raise ValueError("an answer that is cut off comes at once: no delay_seconds, and not held")
        for pattern in (fault.operation, fault.path):
            re.compile(pattern)
        with self._lock:
            self._rules.append(fault)

    def clear(self) -> None:
        """Drop all rules, and let go of what they hold."""
        with self._lock:
            self._rules.clear()
            self._cleared.set()
            self._cleared = threading.Event()

    def listed(self) -> list[dict[str, Any]]:
        """Return the rules with how many calls each has seen."""
        with self._lock:
            return [asdict(rule) for rule in self._rules]

    def before(self, call: Call) -> None:
        """Raise Refused, or wait, when a rule says so for a call that is about to be executed."""
        self._apply(call, "before")

    def after(self, call: Call) -> None:
        """Raise Refused for a call that was executed."""
        self._apply(call, "after")

    def cuts(self, call: Call) -> bool:
        """Return whether the answer of a call that was executed breaks off on its way."""
        due, _ = self._due(call, "cut")
        return bool(due)

    def _apply(self, call: Call, when: str) -> None:
        due, cleared = self._due(call, when)
        for rule in due:
            time.sleep(rule.delay_seconds)
            if rule.held:
                cleared.wait(_LONGEST_HOLD_SECONDS)
            if rule.kill is not None:
                _kill(rule.kill, rule.who)
            if rule.status >= 400:
                raise Refused(rule.code, "fault asked for by the rehearsal", rule.status)

    def _due(self, call: Call, when: str) -> tuple[list[Fault], threading.Event]:
        """Return the rules that hit a call, and what is set when they are cleared."""
        due: list[Fault] = []
        with self._lock:
            for rule in self._rules:
                ours = rule.service in ("*", call.service)
                asked = re.fullmatch(rule.operation, call.operation) and re.fullmatch(rule.path, call.path)
                if rule.when == when and ours and asked:
                    rule.seen += 1
                    if rule.first <= rule.seen < rule.first + rule.times:
                        rule.hit = f"{call.service}:{call.operation} {call.path}"
                        due.append(rule)
            return due, self._cleared


def _kill(pid: int, who: str) -> None:
    """Kill a process, or what it started, as a machine that runs out of memory does: at once, and nobody is told."""
    with suppress(psutil.NoSuchProcess):
        head = psutil.Process(pid)
        family = [head, *head.children(recursive=True)]
        for process in family:
            with suppress(psutil.Error):
                terraforms = process.name().startswith("terraform")
                if who == "everything" or (who == "terraform" and terraforms) or (who == "head" and process == head):
                    process.kill()
